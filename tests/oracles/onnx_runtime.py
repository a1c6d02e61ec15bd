"""Checks .onnx files with the checker of ONNX and runs them on ONNX Runtime.

Reads a JSON list of files from stdin and writes a JSON list of results to stdout. A file is
    {"model": its bytes in hexadecimal digits,
     "samples": [[the floats of each input, likewise] of each sample, or of a batch of them],
     "states": [the floats of each state before the first sample], if there are any,
     "optimized": whether ONNX Runtime may rewrite it}
and a result is {"outputs": [the floats of each output] of all samples, one after the other} or {"error": text} if
one of them refuses. States are the last inputs and outputs.

The script computes nothing: integers become floats and floats integers where it is called.
"""

import json
import sys

import numpy as np
import onnx
import onnxruntime

LEVELS = {
    False: onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    True: onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def run(file):
    """The result of a file."""
    data = bytes.fromhex(file["model"])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = LEVELS[file["optimized"]]
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    # Otherwise ONNX Runtime saturates sums of products at 16 bits on x86 cores without VNNI; it does not where the
    # file has operators on integers, which this option would mix up.
    if b"QLinear" not in data:
        options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        onnx.checker.check_model(data, full_check=True)
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        ends = session.get_inputs()
        held = file.get("states", [])
        results = []
        for sample in file["samples"]:
            inputs = {}
            for end, value in zip(ends, sample + held, strict=True):
                values = np.frombuffer(bytes.fromhex(value), np.float32)
                inputs[end.name] = values.reshape([-1] + end.shape[1:])
            outputs = [output.tobytes().hex() for output in session.run(None, inputs)]
            own = len(outputs) - len(held)
            results += outputs[:own]
            held = outputs[own:]
        return {"outputs": results}
    except Exception as error:  # The errors of ONNX Runtime have no common class.
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    json.dump([run(file) for file in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
