"""Checks .onnx files with the checker of ONNX and runs them on ONNX Runtime.

Reads a JSON list of files from stdin and writes a JSON list of results to stdout. A file is
    {"model": its bytes in hexadecimal digits, "inputs": [the floats of each input, likewise],
     "optimized": whether ONNX Runtime may rewrite it}
and a result is {"outputs": [the floats of each output]} or {"error": text} if one of them refuses.

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
    try:
        onnx.checker.check_model(data, full_check=True)
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        inputs = {}
        for end, value in zip(session.get_inputs(), file["inputs"], strict=True):
            values = np.frombuffer(bytes.fromhex(value), np.float32)
            inputs[end.name] = values.reshape([1] + end.shape[1:])
        outputs = session.run(None, inputs)
        return {"outputs": [output.tobytes().hex() for output in outputs]}
    except Exception as error:  # The errors of ONNX Runtime have no common class.
        return {"error": f"{type(error).__name__}: {error}"}


def main():
    json.dump([run(file) for file in json.load(sys.stdin)], sys.stdout)


if __name__ == "__main__":
    main()
