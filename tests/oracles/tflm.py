"""Runs small models on TensorFlow Lite Micro.

Reads a JSON list of models from stdin and writes a JSON list of results to stdout. A model is
    {"tensors": [{"shape", "type", "scales"?, "zero_points"?, "axis"?, "data"?}],
     "operators": [{"builtin", "version", "options_type"?, "options"?, "inputs", "outputs"}],
     "inputs": [tensor ids], "output": tensor id,
     "samples": [[flat values of each input]]}
where a tensor with data is a constant, and names are those of the TensorFlow Lite schema. A result
is {"outputs": [flat values of each sample]} or {"error": text} if TensorFlow Lite Micro refuses.

The script translates and computes nothing: scales go into the file, and TensorFlow Lite Micro
derives every multiplier, bound and padding from them itself.
"""

import json
import os
import sys

import flatbuffers
import numpy as np
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

DTYPES = {"INT8": np.int8, "INT16": np.int16, "INT32": np.int32, "INT64": np.int64}
FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
# The largest value that fits the old one-byte field for operator codes.
LAST_DEPRECATED_CODE = 127


def build(model):
    """The model as bytes of a .tflite file."""
    # Buffer 0 stands for "no data".
    buffers = [schema.BufferT()]
    tensors = []
    for description in model["tensors"]:
        tensor = schema.TensorT()
        tensor.name = f"t{len(tensors)}"
        tensor.shape = description["shape"]
        tensor.type = getattr(schema.TensorType, description["type"])
        tensor.buffer = 0
        if "scales" in description:
            quantization = schema.QuantizationParametersT()
            quantization.scale = [np.float32(scale) for scale in description["scales"]]
            quantization.zeroPoint = description["zero_points"]
            quantization.quantizedDimension = description.get("axis", 0)
            tensor.quantization = quantization
        if "data" in description:
            buffer = schema.BufferT()
            data = np.array(description["data"], dtype=DTYPES[description["type"]])
            buffer.data = np.frombuffer(data.tobytes(), dtype=np.uint8)
            tensor.buffer = len(buffers)
            buffers.append(buffer)
        tensors.append(tensor)

    codes, operators = [], []
    for description in model["operators"]:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, description["builtin"])
        code.deprecatedBuiltinCode = min(code.builtinCode, LAST_DEPRECATED_CODE)
        code.version = description["version"]
        operator = schema.OperatorT()
        operator.opcodeIndex = len(codes)
        operator.inputs = description["inputs"]
        operator.outputs = description["outputs"]
        if "options_type" in description:
            name = description["options_type"]
            options = getattr(schema, name + "T")()
            for field, value in description.get("options", {}).items():
                if not hasattr(options, field):
                    raise KeyError(f"{name} has no field {field}")
                setattr(options, field, value)
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
            operator.builtinOptions = options
        codes.append(code)
        operators.append(operator)

    graph = schema.SubGraphT()
    graph.tensors = tensors
    graph.operators = operators
    graph.inputs = model["inputs"]
    graph.outputs = [model["output"]]
    root = schema.ModelT()
    root.version = SCHEMA_VERSION
    root.operatorCodes = codes
    root.subgraphs = [graph]
    root.buffers = buffers
    builder = flatbuffers.Builder(1024)
    builder.Finish(root.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())


def run(model):
    """The result of a model."""
    try:
        interpreter = runtime.Interpreter.from_bytes(build(model), arena_size=4 << 20)
        outputs = []
        for sample in model["samples"]:
            for index, (tensor, values) in enumerate(zip(model["inputs"], sample, strict=True)):
                description = model["tensors"][tensor]
                values = np.array(values, dtype=DTYPES[description["type"]])
                interpreter.set_input(values.reshape(description["shape"]), index)
            interpreter.invoke()
            outputs.append(interpreter.get_output(0).flatten().tolist())
        return {"outputs": outputs}
    except RuntimeError as error:
        return {"error": str(error)}


def main():
    # TensorFlow Lite Micro may print to stdout: only the results shall go there.
    results_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump([run(model) for model in json.load(sys.stdin)], results_to)
    results_to.close()


if __name__ == "__main__":
    main()
