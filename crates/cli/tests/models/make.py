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
# A step of a minimal gated unit: `h_out` is `h_in` on its way to a candidate, `y` three scores of it.
draw = np.random.default_rng(0)
FEATURES, HIDDEN, SCORES = 6, 12, 3
shapes = {
    "gate_x": (FEATURES, HIDDEN), "gate_h": (HIDDEN, HIDDEN), "gate_b": (HIDDEN,),
    "new_x": (FEATURES, HIDDEN), "new_h": (HIDDEN, HIDDEN), "new_b": (HIDDEN,),
    "score": (HIDDEN, SCORES), "score_b": (SCORES,),
}
spread = {"gate_x": 0.6, "gate_h": 0.3, "new_x": 0.6, "new_h": 0.3, "score": 0.5}
constants = {name: draw.normal(0, spread.get(name, 0.2), shape).astype(np.float32)
             for name, shape in shapes.items()}
node = lambda operator, inputs, output: helper.make_node(operator, inputs, [output], output)
write_graph(
    "cell",
    [
        node("MatMul", ["x", "gate_x"], "from_x"),
        node("MatMul", ["h_in", "gate_h"], "from_h"),
        node("Add", ["from_x", "from_h"], "gate_sum"),
        node("Add", ["gate_sum", "gate_b"], "gate_in"),
        node("Sigmoid", ["gate_in"], "gate"),
        node("Mul", ["gate", "h_in"], "gated"),
        node("MatMul", ["x", "new_x"], "new_from_x"),
        node("MatMul", ["gated", "new_h"], "new_from_h"),
        node("Add", ["new_from_x", "new_from_h"], "new_sum"),
        node("Add", ["new_sum", "new_b"], "new_in"),
        node("Tanh", ["new_in"], "candidate"),
        node("Sub", ["candidate", "h_in"], "way"),
        node("Mul", ["gate", "way"], "step"),
        node("Add", ["h_in", "step"], "h_out"),
        helper.make_node("Gemm", ["h_out", "score", "score_b"], ["y"], "scores"),
    ],
    constants,
    [value("x", FLOAT, [FEATURES]), value("h_in", FLOAT, [HIDDEN])],
    [value("y", FLOAT, [SCORES]), value("h_out", FLOAT, [HIDDEN])],
)
# One step of ONNX's own layers, with what they keep going in and out, as exporters write them.
FEATURES, HIDDEN = 5, 8
for operator, gates in (("GRU", 3), ("LSTM", 4)):
    kept = ["h", "c"][: 1 + (operator == "LSTM")]
    inputs = ["x", "w", "r", "b", "", *(f"{name}0" for name in kept)]
    outputs = ["sequence", *(f"{name}n" for name in kept)]
    step = lambda name, extents: helper.make_tensor_value_info(name, FLOAT, extents)
    spread = lambda bound, *shape: draw.uniform(-bound, bound, shape).astype(np.float32)
    write_graph(
        operator.lower(),
        [
            helper.make_node(operator, inputs, outputs, "layer", hidden_size=HIDDEN),
            helper.make_node("Squeeze", ["sequence", "front"], ["row"], "squeeze"),
            helper.make_node("Gemm", ["row", "score"], ["y"], "scores"),
        ],
        {"w": spread(0.8, 1, gates * HIDDEN, FEATURES), "r": spread(0.5, 1, gates * HIDDEN, HIDDEN),
         "b": spread(0.2, 1, 2 * gates * HIDDEN), "front": np.array([0, 1], dtype=np.int64),
         "score": spread(0.8, HIDDEN, 3)},
        [step("x", [1, "N", FEATURES]), *(step(f"{name}0", [1, "N", HIDDEN]) for name in kept)],
        [step("y", ["N", 3]), *(step(f"{name}n", [1, "N", HIDDEN]) for name in kept)],
    )
# A fixed batch of 8 on the second axis, as encoders have it that were exported for one: only the samples tell.
fixed = lambda name, extents: helper.make_tensor_value_info(name, FLOAT, extents)
write_graph(
    "second",
    [
        helper.make_node("MatMul", ["x", "eye"], ["own"], "own"),
        helper.make_node("ReduceMean", ["own"], ["y"], "mean", axes=[0], keepdims=0),
    ],
    {"eye": np.eye(2, dtype=np.float32)},
    [fixed("x", [6, 8, 2])],
    [fixed("y", [8, 2])],
)
