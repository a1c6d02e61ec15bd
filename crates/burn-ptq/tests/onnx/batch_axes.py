"""Models with the batch in other places than in front, and other forms that exporters write.

`cases()` gives names, models and inputs; ONNX Runtime computes what they give.
"""

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(7)
FLOAT = TensorProto.FLOAT


def rand(*shape):
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def ints(*values):
    return np.array(values, dtype=np.int64)


def node(op, inputs, output, **attributes):
    outputs = [output] if isinstance(output, str) else output
    return helper.make_node(op, inputs.split(), outputs, name=f"{op}_{outputs[0]}", **attributes)


def model(shape, nodes, constants=None, functions=(), opset=17, opsets=()):
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", FLOAT, shape)],
                              [helper.make_tensor_value_info("y", FLOAT, None)], tensors)
    imports = [helper.make_opsetid("", opset), *opsets]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, functions=list(functions))


def sequence_second():
    return model([8, "batch", 5], [
        node("MatMul", "x w", "a"), node("Add", "a b", "c"), node("Relu", "c", "d"),
        node("ReduceMean", "d", "y", axes=[0], keepdims=0),
    ], {"w": rand(5, 4), "b": rand(4)}), (8, 3, 5)


def sequence_second_convolved():
    return model([8, "N", 5], [
        node("Transpose", "x", "a", perm=[1, 2, 0]),
        node("Conv", "a w", "b", pads=[1, 1]), node("Transpose", "b", "c", perm=[2, 0, 1]),
        node("Softmax", "c", "y", axis=-1),
    ], {"w": rand(4, 5, 3)}), (8, 3, 5)


def sequence_second_of_one():
    return model([8, 1, 5], [
        node("Softmax", "x", "a", axis=0), node("Squeeze", "a axes", "b"),
        node("MatMul", "b w", "y"),
    ], {"w": rand(5, 4), "axes": ints(1)}), (8, 1, 5)


def image_without_batch():
    return model([3, 8, 8], [
        node("Unsqueeze", "x zero", "a"), node("Conv", "a w", "b"), node("Squeeze", "b zero", "c"),
        node("ReduceMax", "c", "d", axes=[1, 2], keepdims=0), node("MatMul", "d m", "y"),
    ], {"zero": ints(0), "w": rand(4, 3, 3, 3), "m": rand(4, 2)}), (3, 8, 8)


def batch_of_one_reshaped_away():
    return model([1, 3, 6, 6], [
        node("Reshape", "x to", "a"), node("Transpose", "a", "b", perm=[1, 2, 0]),
        node("Reshape", "b rows", "c"), node("Gemm", "c w", "d"), node("Relu", "d", "e"),
        node("Reshape", "e back", "y"),
    ], {"to": ints(3, 6, 6), "rows": ints(36, 3), "w": rand(3, 4), "back": ints(1, 6, 6, 4)}
    ), (1, 3, 6, 6)


def first_of_a_batch_of_one():
    return model([1, 4, 8], [
        node("Gather", "x zero", "a", axis=0), node("Gemm", "a w", "b"),
        node("Concat", "b b", "y", axis=0),
    ], {"zero": np.array(0), "w": rand(8, 3)}), (1, 4, 8)


def batch_of_four():
    return model([4, 3, 6], [
        node("Reshape", "x to", "a"), node("Gemm", "a w", "b"), node("Reshape", "b back", "y"),
    ], {"to": ints(12, 6), "w": rand(6, 5), "back": ints(4, 3, 5)}), (4, 3, 6)


def rows_of_a_batch():
    return model(["batch", 6, 8], [
        node("Shape", "x", "shape"), node("Gather", "shape zero", "b", axis=0),
        node("Mul", "b six", "rows"), node("Unsqueeze", "rows zeros", "r"),
        node("Concat", "r eight", "to", axis=0), node("Reshape", "x to", "a"),
        node("Gemm", "a w", "c"), node("Unsqueeze", "b zeros", "batch"),
        node("Concat", "batch rest", "back", axis=0), node("Reshape", "c back", "y"),
    ], {"zero": np.array(0), "six": np.array(6), "zeros": ints(0), "eight": ints(8),
        "w": rand(8, 4), "rest": ints(6, 4)}), (3, 6, 8)


def heads_within_the_batch():
    """As torch.nn.MultiheadAttention has it: heads are joined with the batch."""
    return model([6, "batch", 8], [
        node("Shape", "x", "shape"), node("Gather", "shape one", "b", axis=0),
        node("Mul", "b two", "heads"), node("Concat", "six heads four", "to", axis=0),
        node("Reshape", "x to", "split"), node("Transpose", "split", "q", perm=[1, 0, 2]),
        node("Transpose", "q", "k", perm=[0, 2, 1]), node("MatMul", "q k", "scores"),
        node("Softmax", "scores", "weights", axis=-1), node("MatMul", "weights q", "mixed"),
        node("Transpose", "mixed", "t", perm=[1, 0, 2]),
        node("Mul", "b six", "rows"), node("Concat", "rows eight", "flat", axis=0),
        node("Reshape", "t flat", "m"), node("Gemm", "m w", "o"),
        node("Concat", "six b eight", "back", axis=0), node("Reshape", "o back", "y"),
    ], {"one": ints(1), "two": ints(2), "six": ints(6), "four": ints(4), "eight": ints(8),
        "w": rand(8, 8)}), (6, 3, 8)


def channels_last():
    return model([1, 8, 8, 3], [
        node("Transpose", "x", "a", perm=[0, 3, 1, 2]), node("Conv", "a w", "b"),
        node("Transpose", "b", "c", perm=[0, 2, 3, 1]),
        node("ReduceMean", "c", "d", axes=[1, 2], keepdims=0), node("MatMul", "d m", "y"),
    ], {"w": rand(4, 3, 3, 3), "m": rand(4, 2)}), (1, 8, 8, 3)


def functions():
    leaky = helper.make_node("LeakyRelu", ["h"], ["out"])
    slope = helper.make_attribute("alpha", 0.0)
    slope.ClearField("f")
    slope.ref_attr_name = "slope"
    leaky.attribute.append(slope)
    block = helper.make_function("own", "Block", ["in", "weight"], ["out"],
                                 [helper.make_node("MatMul", ["in", "weight"], ["h"]), leaky],
                                 [helper.make_opsetid("", 17)], attributes=["slope"])
    calls = [helper.make_node("Block", ["x", "w"], ["a"], domain="own", name="first", slope=0.3),
             helper.make_node("Block", ["a", "w"], ["y"], domain="own", name="second", slope=0.1)]
    return model(["batch", 6], calls, {"w": rand(6, 6)}, [block],
                 opsets=[helper.make_opsetid("own", 1)]), (3, 6)


def branches():
    def graph(name, op):
        return helper.make_graph([node(op, "x", f"{name}_out")], name, [],
                                 [helper.make_tensor_value_info(f"{name}_out", FLOAT, None)])

    return model(["batch", 6], [
        node("Shape", "x", "shape"), node("Gather", "shape one", "extent", axis=0),
        node("Equal", "extent six", "same"),
        node("If", "same", "y", then_branch=graph("yes", "Relu"), else_branch=graph("no", "Tanh")),
    ], {"one": np.array(1), "six": np.array(6)}), (3, 6)


CASES = (sequence_second, sequence_second_convolved, sequence_second_of_one, image_without_batch,
         batch_of_one_reshaped_away, first_of_a_batch_of_one, batch_of_four, rows_of_a_batch,
         heads_within_the_batch, channels_last, functions, branches)


def cases():
    for make in CASES:
        built, shape = make()
        x = rand(*shape)
        session = ort.InferenceSession(built.SerializeToString(), providers=["CPUExecutionProvider"])
        yield f"own-{make.__name__}", built, {"x": x}, session.run(None, {"x": x})
