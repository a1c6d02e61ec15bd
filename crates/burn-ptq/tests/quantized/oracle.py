"""Runs the models of this folder with ONNX Runtime: oracle.py FOLDER OUT SAMPLES.

Graphs are not optimized: scales, zero points and operators are those of the files.
"""

import pathlib
import sys

import numpy as np
import onnxruntime

folder, out, samples = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
random = np.random.default_rng(1)
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
for path in sorted(folder.glob("*.onnx")):
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (x,) = session.get_inputs()
    shape = (samples, *x.shape[1:])
    if x.type == "tensor(uint8)":
        inputs = random.integers(0, 256, shape).astype(np.uint8)
    else:
        inputs = random.normal(0, 1, shape).astype(np.float32)
    (outputs,) = session.run(None, {x.name: inputs})
    np.save(out / f"{path.stem}.x.npy", inputs.astype(np.float32))
    np.save(out / f"{path.stem}.y.npy", outputs.astype(np.float32))
