"""Runs .tflite files on TensorFlow Lite Micro.

Reads a JSON list of files from stdin and writes a JSON list of results to stdout. A file is
    {"model": its bytes in hexadecimal digits, "inputs": [those of each input]}
and a result is {"outputs": [those of each output]} or {"error": text} if TensorFlow Lite Micro
refuses. The inputs and outputs of several samples, which run one after the other and find variables as
the sample before left them, are "samples": [[those of each input] of each sample] and "outputs":
[[those of each output] of each sample]. The schema's own reader says which tensors are the inputs.

The script translates and computes nothing: scales are in the file, and TensorFlow Lite Micro
derives every multiplier, bound and padding from them itself.
"""

import json
import os
import sys

import numpy as np
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

ARENA_BYTES = 4 << 20
DTYPES = {
    schema.TensorType.INT8: np.int8,
    schema.TensorType.UINT8: np.uint8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.FLOAT32: np.float32,
}


def invoke(graph, interpreter, inputs):
    """The outputs of a sample."""
    for index, (tensor, value) in enumerate(zip(graph.inputs, inputs, strict=True)):
        tensor = graph.tensors[tensor]
        values = np.frombuffer(bytes.fromhex(value), DTYPES[tensor.type])
        interpreter.set_input(values.reshape(tensor.shape), index)
    interpreter.invoke()
    outputs = [interpreter.get_output(index) for index in range(len(graph.outputs))]
    return [output.tobytes().hex() for output in outputs]


def run(file):
    """The result of a file."""
    data = bytes.fromhex(file["model"])
    graph = schema.ModelT.InitFromPackedBuf(data, 0).subgraphs[0]
    try:
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)
        if "samples" in file:
            return {"outputs": [invoke(graph, interpreter, inputs) for inputs in file["samples"]]}
        return {"outputs": invoke(graph, interpreter, file["inputs"])}
    except RuntimeError as error:
        return {"error": str(error)}


def main():
    # TensorFlow Lite Micro may print to stdout: only the results may go there.
    results_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump([run(file) for file in json.load(sys.stdin)], results_to)
    results_to.close()


if __name__ == "__main__":
    main()
