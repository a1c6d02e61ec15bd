"""Runs int8 LSTM layers, and their functions by themselves, on TensorFlow Lite Micro.

Reads a JSON list of layers from stdin and writes a JSON list of results to stdout. A layer has
    "sizes": [steps, inputs, cells], "time_major": whether steps come before the batch of 1,
    "input": [scale, zero point], "hidden": the same, "cell": scale,
    "gates": for the input, forget, cell and output gate in turn
        {"input": [scale, hexadecimal digits of weights], "recurrent": the same, "bias": integers},
    "x": hexadecimal digits of the sequence.
A function has
    "function": "LOGISTIC" or "TANH", "scale": of its 16-bit inputs, "x": their hexadecimal digits.
A result is {"outputs": [hexadecimal digits]}, or {"error": text} if TensorFlow Lite Micro refuses.

The script writes each as a file of one operator and computes only the scales of biases: TensorFlow
Lite Micro derives every multiplier from the scales itself.
"""

import json
import os
import sys

import flatbuffers
import numpy as np
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

ARENA_BYTES = 1 << 20
GATE_SCALE = 2.0**-12
OUTPUT_SCALE = 2.0**-15
TYPES = schema.TensorType


class File:
    """The tensors and buffers of a file in the making."""

    def __init__(self):
        self.buffers = [schema.BufferT()]
        self.tensors = []

    def tensor(self, shape, kind, scale, zero_point=0, data=None, variable=False):
        """Adds a tensor; returns its index."""
        tensor = schema.TensorT()
        tensor.name = f"t{len(self.tensors)}".encode()
        tensor.shape = list(shape)
        tensor.type = kind
        tensor.isVariable = variable
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = [scale]
        tensor.quantization.zeroPoint = [zero_point]
        if data is not None:
            tensor.buffer = len(self.buffers)
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data, np.uint8)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1


    def of(self, operator, builtin):
        """The bytes of the file with one operator, whose first input is the only one of the file."""
        operator.opcodeIndex = 0
        code = schema.OperatorCodeT()
        code.builtinCode = builtin
        code.deprecatedBuiltinCode = builtin
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, [operator]
        graph.inputs, graph.outputs = operator.inputs[:1], operator.outputs
        whole = schema.ModelT()
        whole.version = 3
        whole.operatorCodes, whole.subgraphs, whole.buffers = [code], [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(whole.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def layer(request):
    """The bytes of a layer's file."""
    steps, inputs, cells = request["sizes"]
    file = File()

    def sequence(channels, scale, zero_point):
        shape = [steps, 1, channels] if request["time_major"] else [1, steps, channels]
        return file.tensor(shape, TYPES.INT8, scale, zero_point)

    def weights(gate, which, columns):
        scale, digits = gate[which]
        return file.tensor([cells, columns], TYPES.INT8, scale, 0, bytes.fromhex(digits))

    def bias(gate):
        scale = float(np.float32(request["input"][0]) * np.float32(gate["input"][0]))
        data = np.array(gate["bias"], np.int32).tobytes()
        return file.tensor([cells], TYPES.INT32, scale, 0, data)

    gates = request["gates"]
    x = sequence(inputs, *request["input"])
    read = [x]
    read += [weights(gate, "input", inputs) for gate in gates]
    read += [weights(gate, "recurrent", cells) for gate in gates]
    read += [-1] * 3
    read += [bias(gate) for gate in gates]
    read += [-1] * 2
    read.append(file.tensor([1, cells], TYPES.INT8, *request["hidden"], variable=True))
    read.append(file.tensor([1, cells], TYPES.INT16, request["cell"], variable=True))
    read += [-1] * 4
    output = sequence(cells, *request["hidden"])

    operator = schema.OperatorT()
    operator.inputs, operator.outputs = read, [output]
    builtin = schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM
    sums = [file.tensor([0], TYPES.INT16, GATE_SCALE) for _ in gates]
    operator.intermediates = sums + [file.tensor([0], TYPES.INT8, *request["hidden"])]
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    options.timeMajor = request["time_major"]
    operator.builtinOptions = options
    operator.builtinOptionsType = schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions
    return file.of(operator, builtin)


def function(request):
    """The bytes of a function's file."""
    length = len(request["x"]) // 4
    file = File()
    operator = schema.OperatorT()
    operator.inputs = [file.tensor([1, length], TYPES.INT16, request["scale"])]
    operator.outputs = [file.tensor([1, length], TYPES.INT16, OUTPUT_SCALE)]
    return file.of(operator, getattr(schema.BuiltinOperator, request["function"]))


def run(request):
    """The result of a layer or a function."""
    is_function = "function" in request
    try:
        data = function(request) if is_function else layer(request)
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)
        x = np.frombuffer(bytes.fromhex(request["x"]), np.int16 if is_function else np.int8)
        tensor = schema.ModelT.InitFromPackedBuf(data, 0).subgraphs[0].tensors[0]
        interpreter.set_input(x.reshape(tensor.shape), 0)
        interpreter.invoke()
        return {"outputs": [interpreter.get_output(0).tobytes().hex()]}
    except RuntimeError as error:
        return {"error": str(error)}


def main():
    # TensorFlow Lite Micro may print to stdout: only the results may go there.
    results_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    json.dump([run(request) for request in json.load(sys.stdin)], results_to)
    results_to.close()


if __name__ == "__main__":
    main()
