"""Runs ONNX Runtime on N.onnx with N.x (32-bit floats, samples of the shape in N.shape) and writes
N.y, for every N.onnx in the folder. What ONNX Runtime refuses gets N.refused with its message."""

import pathlib
import sys

import numpy as np
import onnxruntime as ort

OPTIONS = ort.SessionOptions()
OPTIONS.log_severity_level = 4
OPTIONS.intra_op_num_threads = 1
OPTIONS.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    shape = [int(d) for d in path.with_suffix(".shape").read_text().split()]
    x = np.fromfile(path.with_suffix(".x"), dtype="<f4").reshape(-1, *shape)
    try:
        session = ort.InferenceSession(str(path), OPTIONS, providers=["CPUExecutionProvider"])
        y = session.run(None, {"x": x})[0]
    except Exception as error:
        path.with_suffix(".refused").write_text(str(error))
        continue
    np.ascontiguousarray(y, dtype="<f4").tofile(path.with_suffix(".y"))
