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


# Two inputs and two outputs: `sum` is both features and `meta`, `scores` the sum through weights.
value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, ["N", *shape])


def write_graph(name, nodes, constants, inputs, outputs):
    graph = helper.make_graph(
        nodes, name, inputs, outputs,
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    save(model, HERE / f"{name}.onnx")


FLOAT = TensorProto.FLOAT
write_graph(
    "ends",
    [
        helper.make_node("Gemm", ["features", "eye"], ["own"], "own"),
        helper.make_node("Add", ["own", "meta"], ["sum"], "sum"),
        helper.make_node("Gemm", ["sum", "turn"], ["scores"], "scores"),
    ],
    {"eye": np.eye(3, dtype=np.float32), "turn": np.eye(3, dtype=np.float32)[:, ::-1].copy()},
    [value("features", FLOAT, [3]), value("meta", FLOAT, [3])],
    [value("sum", FLOAT, [3]), value("scores", FLOAT, [3])],
)
# Token ids: the mean of the rows that they name.
rows = np.arange(20, dtype=np.float32).reshape(10, 2) / 4
write_graph(
    "tokens",
    [
        helper.make_node("Gather", ["rows", "ids"], ["embedded"], "embedding"),
        helper.make_node("ReduceMean", ["embedded"], ["mean"], "mean", axes=[1], keepdims=0),
        helper.make_node("Gemm", ["mean", "eye"], ["y"], "dense"),
    ],
    {"rows": rows, "eye": np.eye(2, dtype=np.float32)},
    [value("ids", TensorProto.INT64, [4])],
    [value("y", FLOAT, [2])],
)
