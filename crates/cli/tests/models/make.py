"""Writes the networks of the command's tests: each passes its input on, so that tests know outputs.

Needs the package onnx. The files are committed; run this only to change them.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

HERE = Path(__file__).parent


def write(name, nodes, constants, inputs, outputs):
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])
    graph = helper.make_graph(
        nodes, name, [value("x", inputs)], [value("y", outputs)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, HERE / f"{name}.onnx")


gemm = lambda output: helper.make_node("Gemm", ["x", "weight"], [output], "dense")
one, two = np.eye(1, dtype=np.float32), np.eye(2, dtype=np.float32)
write("sigmoid", [gemm("h"), helper.make_node("Sigmoid", ["h"], ["y"], "sigmoid")],
      {"weight": one}, [1], [1])
write("two", [gemm("y")], {"weight": two}, [2], [2])
conv = helper.make_node("Conv", ["x", "weight"], ["y"], "conv", kernel_shape=[1])
write("steps", [conv], {"weight": two[:, :, None]}, [2, 4], [2, 4])
