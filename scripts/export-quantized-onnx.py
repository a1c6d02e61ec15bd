#!/usr/bin/env python3
"""Writes the quantized `.onnx` files that tests of their import read, with ONNX Runtime's quantizer and by hand.

    scripts/install-oracles.sh
    .venv/bin/python scripts/export-quantized-onnx.py crates/burn-ptq/tests/quantized

Weights are random, by a seed: the files judge what is computed, not accuracy. Other versions of ONNX Runtime may
write other bytes.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

random = np.random.default_rng(20261201)
OPSET = 21


class Net:
    """A float network under construction."""

    def __init__(self, shape):
        self.nodes, self.constants, self.count = [], [], 0
        self.shape = shape

    def constant(self, values, kind=np.float32):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def add(self, operator, *inputs, **attributes):
        self.count += 1
        name = f"{operator.lower()}{self.count}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], name=name + "_node", **attributes))
        return name

    def conv(self, x, cin, cout, kernel=3, groups=1, **attributes):
        fan = cin // groups * kernel * kernel
        w = self.constant(random.normal(0, (2 / fan) ** 0.5, (cout, cin // groups, kernel, kernel)))
        b = self.constant(random.normal(0, 0.1, cout))
        return self.add("Conv", x, w, b, kernel_shape=[kernel] * 2, group=groups, **attributes)

    def gemm(self, x, cin, cout):
        w = self.constant(random.normal(0, (2 / cin) ** 0.5, (cout, cin)))
        return self.add("Gemm", x, w, self.constant(random.normal(0, 0.1, cout)), transB=1)

    def model(self, output, width):
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *self.shape])
        y = helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])
        graph = helper.make_graph(self.nodes, "net", [x], [y], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
        onnx.checker.check_model(model, full_check=True)
        return model


def residual():
    net = Net([3, 8, 8])
    x = net.add("Relu", net.conv("x", 3, 8, pads=[1] * 4))
    x = net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    y = net.add("Relu", net.conv(x, 8, 8, groups=8, pads=[1] * 4))
    y = net.conv(y, 8, 8, kernel=1)
    x = net.add("Relu", net.add("Add", x, y))
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    return net.model(net.add("Softmax", net.gemm(x, 8, 10), axis=1), 10)


def functions():
    net = Net([16])
    x = net.gemm("x", 16, 12)
    gate = net.add("Sigmoid", net.gemm("x", 16, 12))
    x = net.add("Mul", net.add("Tanh", x), gate)
    y = net.add("LeakyRelu", net.gemm(x, 12, 6), alpha=0.1)
    x = net.add("Concat", net.gemm(x, 12, 6), y, axis=1)
    w = net.constant(random.normal(0, 0.4, (12, 5)))
    return net.model(net.add("MatMul", x, w), 5)


class Samples(CalibrationDataReader):
    def __init__(self, shape):
        self.rest = [random.normal(0, 1, (1, *shape)).astype(np.float32) for _ in range(64)]

    def get_next(self):
        return {"x": self.rest.pop()} if self.rest else None


def quantized(model, shape, **options):
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/float.onnx", f"{folder}/quantized.onnx"
        onnx.save(model, source)
        quantize_static(source, target, Samples(shape), **options)
        return onnx.load(target)


def constants(model):
    return {tensor.name: tensor for tensor in model.graph.initializer}


def replace(model, tensor):
    for index, own in enumerate(model.graph.initializer):
        if own.name == tensor.name:
            model.graph.initializer[index].CopyFrom(tensor)


def int4(model):
    """The same with the weights of all layers in 4 bits."""
    held = constants(model)
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in held:
            continue
        weight = held[node.input[0]]
        if weight.data_type != TensorProto.INT8 or len(weight.dims) < 2:
            continue
        integers = np.clip(np.round(numpy_helper.to_array(weight).astype(int) / 16), -7, 7).astype(int)
        replace(model, helper.make_tensor(weight.name, TensorProto.INT4, weight.dims, integers.flatten().tolist()))
        scale = numpy_helper.to_array(held[node.input[1]]) * 16
        replace(model, numpy_helper.from_array(scale.astype(np.float32), node.input[1]))
        zeros = held[node.input[2]]
        replace(model, helper.make_tensor(zeros.name, TensorProto.INT4, zeros.dims, [0] * int(np.prod(zeros.dims))))
    # Biases have the product of both scales.
    held = constants(model)
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in held:
            if held[node.input[0]].data_type == TensorProto.INT32:
                bias = numpy_helper.to_array(held[node.input[0]]).astype(float)
                replace(model, numpy_helper.from_array(np.round(bias / 16).astype(np.int32), node.input[0]))
                scale = numpy_helper.to_array(held[node.input[1]]) * 16
                replace(model, numpy_helper.from_array(scale.astype(np.float32), node.input[1]))
    onnx.checker.check_model(model, full_check=True)
    return model


def clipped(model):
    """The same with 4-bit activations as Brevitas writes them: a Clip of integers behind every QuantizeLinear."""
    held, nodes = constants(model), []
    low = numpy_helper.from_array(np.array(-8, np.int8), "clip_low")
    high = numpy_helper.from_array(np.array(7, np.int8), "clip_high")
    model.graph.initializer.extend([low, high])
    activations = {node.input[1]: node.input[2] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    for scale, zero in activations.items():
        wider = numpy_helper.to_array(held[scale]) * 17
        replace(model, numpy_helper.from_array(wider.astype(np.float32), scale))
        moved = np.round(numpy_helper.to_array(held[zero]) / 17)
        replace(model, numpy_helper.from_array(np.clip(moved, -8, 7).astype(np.int8), zero))
    for node in model.graph.node:
        nodes.append(node)
        if node.op_type == "QuantizeLinear":
            output = node.output[0]
            node.output[0] = output + "_wide"
            inputs = [output + "_wide", "clip_low", "clip_high"]
            nodes.append(helper.make_node("Clip", inputs, [output], name=output + "_clip"))
    # Biases are floats there.
    for index, node in enumerate(nodes):
        if node.op_type == "DequantizeLinear" and node.input[0] in held:
            tensor = held[node.input[0]]
            if tensor.data_type == TensorProto.INT32:
                scale = numpy_helper.to_array(held[node.input[1]])
                bias = numpy_helper.to_array(tensor).astype(np.float32) * scale
                model.graph.initializer.append(numpy_helper.from_array(bias.astype(np.float32), node.output[0]))
                nodes[index] = None
    del model.graph.node[:]
    model.graph.node.extend(node for node in nodes if node is not None)
    onnx.checker.check_model(model, full_check=True)
    return model


def integer_ends(model):
    """The same with an input and an output of bytes."""
    first = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    name = first.output[0]
    model.graph.node.remove(first)
    for node in model.graph.node:
        node.input[:] = ["x" if own == name else own for own in node.input]
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    last = next(node for node in model.graph.node if node.output[0] == model.graph.output[0].name)
    model.graph.output[0].name = last.input[0]
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.UINT8
    model.graph.node.remove(last)
    onnx.checker.check_model(model, full_check=True)
    return model


def encodings(model, floats):
    """A file of AIMET's encodings with the grids of a quantized model, for its float model."""
    held, found = constants(model), []
    names = {tensor.name for tensor in floats.graph.initializer}
    names |= {name for node in floats.graph.node for name in node.output} | {"x"}
    for node in model.graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        scale, zero = (numpy_helper.to_array(held[name]) for name in node.input[1:])
        name = node.input[0].removesuffix("_quantized")
        name = name if name in names else node.output[0].removesuffix("_DequantizeLinear_Output")
        if name not in names or zero.dtype == np.int32 or any(own["name"] == name for own in found):
            continue
        own = {"name": name, "output_dtype": str(zero.dtype), "y_scale": scale.tolist()}
        if np.any(zero != 0):
            own["y_zero_point"] = zero.tolist()
        if scale.size > 1:
            own["axis"] = 0
        found.append(own)
    return {"version": "2.0.0", "encodings": found}


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    signed = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    unsigned = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    both = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QUInt8}
    words = {
        "activation_type": QuantType.QInt16,
        "weight_type": QuantType.QInt8,
        "extra_options": {"ActivationSymmetric": True, "UseQDQContribOps": False},
    }
    for name, net, shape in [("residual", residual(), [3, 8, 8]), ("functions", functions(), [16])]:
        qdq = {"quant_format": QuantFormat.QDQ}
        integer = {"quant_format": QuantFormat.QOperator}
        files = {
            "qdq_int8": quantized(net, shape, per_channel=True, **qdq, **signed),
            "qdq_uint8": quantized(net, shape, per_channel=False, **qdq, **unsigned),
            "qdq_uint8_weights": quantized(net, shape, per_channel=False, **qdq, **both),
            "qdq_int16": quantized(net, shape, per_channel=True, **qdq, **words),
            "qoperator": quantized(net, shape, per_channel=name == "residual", **integer, **unsigned),
        }
        kept = quantized(net, shape, per_channel=True, **qdq, **signed)
        files["qdq_int4"] = int4(kept)
        if name == "residual":
            files["qdq_float_weights"] = quantized(
                net, shape, per_channel=True, **qdq, **(signed | {"extra_options": {"AddQDQPairToWeight": True}})
            )
            files["clipped"] = clipped(quantized(net, shape, per_channel=True, **qdq, **signed))
            files["integer_ends"] = integer_ends(quantized(net, shape, per_channel=True, **qdq, **unsigned))
            text = json.dumps(encodings(files["qdq_int8"], net), indent=1)
            (out / "residual_float.encodings").write_text(text + "\n")
            files["float"] = net
        for form, model in files.items():
            onnx.save(model, out / f"{name}_{form}.onnx")


if __name__ == "__main__":
    main()
