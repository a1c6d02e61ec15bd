"""Small ONNX models of every operator and attribute, and random networks, judged by ONNX Runtime.

Usage: cases.py OUT [ASSETS]. For each case writes OUT/<name>.onnx, <name>.x.npy and <name>.y.npy,
where y is what ONNX Runtime computes from x, and appends the name to OUT/index.txt. With ASSETS, the
real models of that folder are judged on their evaluation data too.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
RNG = np.random.default_rng(20240607)
INDEX = []
IR = {7: 3, 9: 4, 10: 5, 11: 6, 12: 7, 13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9,
      21: 10, 22: 10, 23: 11, 24: 12}
ORT_OPTIONS = ort.SessionOptions()
ORT_OPTIONS.log_severity_level = 3
# The judge computes what the file says; fusions would only add their own rounding.
ORT_OPTIONS.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL


def rand(*shape, low=-1.0, high=1.0):
    return RNG.uniform(low, high, shape).astype(np.float32)


def ints(*values):
    return np.array(values, dtype=np.int64)


def floats(*values):
    return np.array(values, dtype=np.float32)


def scalar(value):
    return np.array(value, dtype=np.float32)


def node(op, inputs, outputs="y", **attributes):
    inputs, outputs = [[n] if isinstance(n, str) else list(n) for n in (inputs, outputs)]
    return helper.make_node(op, inputs, outputs, name=f"{op.lower()}_{outputs[0]}", **attributes)


def judge(name, model, x):
    data = model.SerializeToString()
    session = ort.InferenceSession(data, ORT_OPTIONS, providers=["CPUExecutionProvider"])
    y = session.run(None, {session.get_inputs()[0].name: x})[0]
    assert np.all(np.isfinite(y)), name
    (OUT / f"{name}.onnx").write_bytes(data)
    np.save(OUT / f"{name}.x.npy", np.ascontiguousarray(x, dtype=np.float32))
    np.save(OUT / f"{name}.y.npy", np.ascontiguousarray(y, dtype=np.float32))
    INDEX.append(name)


def case(name, nodes, shape, constants=None, opset=13, batch="N", count=3, low=-3.0, high=3.0,
         listed=False, tensors=()):
    """One model from input `x` of [batch, *shape] to output `y`.

    `listed` names the initializers as inputs too, as IR version 3 wants; `tensors` are further
    initializers as protobuf.
    """
    nodes = nodes if isinstance(nodes, list) else [nodes]
    constants = constants or {}
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])]
    initializers = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    initializers += list(tensors)
    if listed or IR[opset] == 3:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims)
                   for t in initializers]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, name, inputs, [output], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                              ir_version=IR[opset])
    count = batch if isinstance(batch, int) else count
    judge(name, model, rand(count, *shape, low=low, high=high))


def convolutions():
    def conv(name, shape, weight, bias=True, opset=13, **attributes):
        constants = {"w": rand(*weight)} | ({"b": rand(weight[0])} if bias else {})
        inputs = ["x", "w"] + (["b"] if bias else [])
        case(f"conv_{name}", node("Conv", inputs, **attributes), shape, constants, opset)

    for opset in (7, 9, 11, 13, 18, 22, 24):
        conv(f"plain_{opset}", (3, 9, 8), (5, 3, 3, 3), opset=opset)
    conv("no_bias", (3, 9, 8), (5, 3, 3, 3), bias=False)
    conv("kernel_shape", (3, 9, 8), (5, 3, 3, 2), kernel_shape=[3, 2])
    conv("pads", (3, 9, 8), (5, 3, 3, 3), pads=[1, 1, 1, 1])
    conv("pads_asymmetric", (3, 9, 8), (5, 3, 3, 3), pads=[0, 2, 1, 3])
    conv("strides", (3, 11, 8), (5, 3, 3, 3), strides=[2, 3], pads=[1, 0, 1, 0])
    conv("dilated", (3, 11, 12), (5, 3, 3, 3), dilations=[2, 3])
    conv("dilated_strided", (3, 11, 12), (5, 3, 3, 3), dilations=[2, 1], strides=[2, 2],
         pads=[2, 1, 1, 0])
    conv("grouped", (6, 7, 7), (9, 2, 3, 3), group=3, pads=[1, 1, 1, 1])
    conv("grouped_dilated", (4, 9, 9), (6, 2, 3, 3), group=2, dilations=[2, 2], pads=[2, 1, 2, 3])
    conv("depthwise", (6, 7, 7), (6, 1, 3, 3), group=6, pads=[1, 1, 1, 1])
    conv("depthwise_strided", (6, 9, 7), (6, 1, 3, 3), group=6, strides=[2, 2], pads=[0, 0, 1, 1])
    conv("depth_multiplier", (4, 7, 7), (8, 1, 3, 3), group=4, pads=[1, 1, 1, 1])
    conv("pointwise", (8, 5, 5), (7, 8, 1, 1))
    conv("pointwise_strided", (8, 6, 5), (7, 8, 1, 1), strides=[2, 2])
    conv("whole_input", (4, 5, 6), (3, 4, 5, 6))
    for pad in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        for stride in (1, 2, 3):
            for extent in (7, 8):
                conv(f"{pad.lower()}_s{stride}_e{extent}", (2, extent, extent + 1), (3, 2, 4, 3),
                     auto_pad=pad, strides=[stride, stride])
        conv(f"{pad.lower()}_pointwise", (2, 7, 6), (3, 2, 1, 1), auto_pad=pad, strides=[2, 2])
    conv("1d", (4, 20), (6, 4, 5), pads=[2, 1], strides=[2])
    conv("1d_dilated", (4, 20), (6, 4, 3), dilations=[3])
    conv("1d_depthwise", (4, 20), (4, 1, 5), group=4, pads=[2, 2])
    conv("1d_same_lower", (4, 20), (4, 4, 4), auto_pad="SAME_LOWER", strides=[3])
    w = numpy_helper.from_array(rand(4, 2, 3, 3), "w")
    case("conv_listed_initializers", node("Conv", ["x", "w"]), (2, 6, 6), listed=True, tensors=[w])
    case("conv_fixed_batch", node("Conv", ["x", "w"]), (2, 6, 6), tensors=[w], batch=1)
    case("conv_fixed_batch_of_four", node("Conv", ["x", "w"]), (2, 6, 6), tensors=[w], batch=4)
    case("conv_batch_without_name", node("Conv", ["x", "w"]), (2, 6, 6), tensors=[w], batch=None)
    case("conv_weight_from_constant_node",
         [node("Constant", [], "w", value=w), node("Conv", ["x", "w"])], (2, 6, 6))
    case("conv_shared_weight", [node("Conv", ["x", "w"], "a", pads=[1] * 4),
                                node("Conv", ["a", "w"])], (2, 6, 6),
         {"w": rand(2, 2, 3, 3)})


def recurrent():
    """One step of recurrent layers: features and what the layer keeps come side by side."""
    F, H = 5, 6
    for op, gates in (("GRU", 3), ("LSTM", 4), ("RNN", 1)):
        constants = {"w": rand(1, gates * H, F), "r": rand(1, gates * H, H), "b": rand(1, 2 * gates * H)}
        kept = 2 if op == "LSTM" else 1
        variants = [("", {})] + ([("_before_reset", {"linear_before_reset": 1})] if op == "GRU" else [])
        for name, attributes in variants:
            for output in ("sequence", "state"):
                for bias in (True, False):
                    parts = ["f", "h0", "c0"][: 1 + kept]
                    front = [node("Split", ["x", "sizes"], parts, axis=1)]
                    front += [node("Unsqueeze", [part, "zero"], part + "_step") for part in parts]
                    inputs = ["f_step", "w", "r", "b" if bias else "", "", "h0_step", "c0_step"]
                    layer = node(op, inputs[: 5 + kept], ["s", "k", "c"][: 1 + kept], hidden_size=H, **attributes)
                    back = [node("Squeeze", ["s", "front"], "y")] if output == "sequence" else [
                        node("Squeeze", ["k" if kept == 1 else "c", "zero"], "y")]
                    case(f"{op.lower()}{name}_{output}{'' if bias else '_unbiased'}", front + [layer] + back,
                         (F + kept * H,), constants | {"sizes": ints(F, *[H] * kept), "zero": ints(0), "front": ints(0, 1)},
                         opset=14)


def sequences():
    """Recurrent layers over the steps of a sequence, in one direction and in both, and stacked."""
    T, F, H = 7, 3, 4
    for op, gates in (("GRU", 3), ("LSTM", 4), ("RNN", 1)):
        for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
            def weights(features, prefix=""):
                return {prefix + "w": rand(count, gates * H, features), prefix + "r": rand(count, gates * H, H),
                        prefix + "b": rand(count, 2 * gates * H)}
            attributes = {"hidden_size": H, "direction": direction}
            # As PyTorch writes them for batch_first: [batch, steps, features] -> [steps, batch, features].
            front = [node("Transpose", ["x"], "t", perm=[1, 0, 2])]
            outputs = {"steps": [node("Transpose", ["s"], "m", perm=[2, 0, 1, 3]), node("Reshape", ["m", "rows"])],
                       "last": [node("Transpose", ["h"], "m", perm=[1, 0, 2]), node("Reshape", ["m", "row"])]}
            if op == "LSTM":
                outputs["cell"] = [node("Transpose", ["c"], "m", perm=[1, 0, 2]), node("Reshape", ["m", "row"])]
            shapes = {"rows": ints(0, 0, -1), "row": ints(0, -1)}
            variants = [("", {})] + ([("_before_reset", {"linear_before_reset": 1})] if op == "GRU" else [])
            for name, more in variants:
                for output, back in outputs.items():
                    layer = node(op, ["t", "w", "r", "b"], ["s", "h", "c"][: 3 if op == "LSTM" else 2],
                                 **attributes, **more)
                    case(f"{op.lower()}{name}_{direction}_{output}", front + [layer] + back, (T, F),
                         weights(F) | shapes, opset=14)
            # Beginning at a constant, and one layer behind another.
            initial = {"h0": rand(count, 1, H)} | ({"c0": rand(count, 1, H)} if op == "LSTM" else {})
            layer = node(op, ["t", "w", "r", "b", ""] + list(initial), ["s", "h"], **attributes)
            case(f"{op.lower()}_{direction}_from_constants", front + [layer] + outputs["steps"], (T, F),
                 weights(F) | initial | shapes, opset=14, batch=1)
            stack = [node(op, ["t", "w", "r", "b"], ["s1"], **attributes),
                     node("Transpose", ["s1"], "m1", perm=[0, 2, 1, 3]), node("Reshape", ["m1", "rows"], "t2"),
                     node(op, ["t2", "w2", "r2", "b2"], ["s", "h"], **attributes)]
            case(f"{op.lower()}_{direction}_stacked", front + stack + outputs["steps"], (T, F),
                 weights(F) | {key + "2": value for key, value in weights(count * H).items()} | shapes, opset=14)
    for function in ("Relu", "Sigmoid"):
        layer = node("RNN", ["t", "w", "r", "b"], ["s", "h"], hidden_size=H, activations=[function])
        case(f"rnn_{function.lower()}", front + [layer] + outputs["steps"], (T, F),
             {"w": rand(1, H, F), "r": rand(1, H, H) / 4, "b": rand(1, 2 * H)} | shapes, opset=14)


def fully_connected():
    for trans in (0, 1):
        for opset in (7, 9, 11, 13, 24):
            w = rand(4, 6) if trans else rand(6, 4)
            case(f"gemm_transb{trans}_{opset}", node("Gemm", ["x", "w", "c"], transB=trans), (6,),
                 {"w": w, "c": rand(4)}, opset)
    w = rand(6, 4)
    case("gemm_alpha_beta", node("Gemm", ["x", "w", "c"], alpha=0.5, beta=-2.0), (6,),
         {"w": w, "c": rand(4)})
    case("gemm_no_bias", node("Gemm", ["x", "w"], alpha=2.0), (6,), {"w": w})
    case("gemm_empty_bias", node("Gemm", ["x", "w", ""]), (6,), {"w": w})
    for name, shape in (("scalar", ()), ("one", (1,)), ("row", (1, 4)), ("one_one", (1, 1))):
        case(f"gemm_bias_{name}", node("Gemm", ["x", "w", "c"]), (6,), {"w": w, "c": rand(*shape)})
    case("matmul", node("MatMul", ["x", "w"]), (6,), {"w": w})
    case("matmul_rank_3", node("MatMul", ["x", "w"]), (5, 6), {"w": w})
    case("matmul_rank_4", node("MatMul", ["x", "w"]), (2, 5, 6), {"w": w})
    case("matmul_leading_one", node("MatMul", ["x", "w"]), (5, 6), {"w": rand(1, 6, 4)})
    case("matmul_left", node("MatMul", ["w", "x"]), (6, 5), {"w": rand(4, 6)})
    case("matmul_left_rank_4", node("MatMul", ["w", "x"]), (2, 6, 5), {"w": rand(4, 6)})
    for name, shape, bias in (("", (6,), (4,)), ("_row", (6,), (1, 4)), ("_scalar", (6,), ()),
                              ("_rank_3", (5, 6), (4,)), ("_rank_4", (2, 5, 6), (1, 1, 4))):
        case(f"matmul_add{name}", [node("MatMul", ["x", "w"], "m"), node("Add", ["m", "b"])],
             shape, {"w": w, "b": rand(*bias)})
    case("matmul_add_swapped", [node("MatMul", ["x", "w"], "m"), node("Add", ["b", "m"])], (6,),
         {"w": w, "b": rand(4)})
    case("matmul_add_of_shared_product",
         [node("MatMul", ["x", "w"], "m"), node("Add", ["m", "b"], "a"), node("Mul", ["m", "a"])],
         (6,), {"w": w, "b": rand(4)})
    case("matmul_add_of_shared_product_rank_3",
         [node("MatMul", ["x", "w"], "m"), node("Add", ["m", "b"], "a"), node("Mul", ["m", "a"])],
         (5, 6), {"w": w, "b": rand(4)})
    case("matmul_add_of_renamed_shared_product",
         [node("MatMul", ["x", "w"], "m"), node("Identity", "m", "i"),
          node("Add", ["i", "b"], "a"), node("Mul", ["m", "a"])], (6,), {"w": w, "b": rand(4)})
    case("matmul_transposed_weight",
         [node("Transpose", "w", "t", perm=[1, 0]), node("MatMul", ["x", "t"])], (6,),
         {"w": rand(4, 6)})
    case("matmul_add_relu_matmul_add",
         [node("MatMul", ["x", "w"], "m"), node("Add", ["m", "b"], "a"), node("Relu", "a", "r"),
          node("MatMul", ["r", "v"], "n"), node("Add", ["n", "c"])], (6,),
         {"w": w, "b": rand(4), "v": rand(4, 3), "c": rand(3)})


def products():
    """Products of matrices of two values, and of one constant matrix a head."""
    for name, shape in (("rank_3", (5, 6)), ("rank_4", (3, 5, 6))):
        turned = list(range(len(shape) + 1))
        turned[-2:] = turned[-1], turned[-2]
        case(f"product_{name}",
             [node("Relu", "x", "a"), node("MatMul", ["x", "v"], "b"), node("MatMul", ["b", "a"])],
             shape, {"v": rand(shape[-1], shape[-2])})
        case(f"product_turned_{name}",
             [node("Transpose", "x", "t", perm=turned), node("MatMul", ["x", "t"])], shape)
        case(f"product_first_turned_{name}",
             [node("Transpose", "x", "t", perm=turned), node("MatMul", ["t", "x"])], shape)
        case(f"product_scaled_{name}",
             [node("Transpose", "x", "t", perm=turned), node("MatMul", ["x", "t"], "p"),
              node("Mul", ["p", "s"], "m"), node("Softmax", "m", "q", axis=-1),
              node("MatMul", ["q", "x"])], shape, {"s": scalar(0.4)})
        case(f"product_of_scaled_{name}",
             [node("Div", ["x", "s"], "d"), node("Transpose", "x", "t", perm=turned),
              node("MatMul", ["d", "t"], "p"), node("Relu", "p")], shape, {"s": scalar(3.0)})
    # What a mask hides has no weight, whatever number stands for it.
    causal = np.triu(np.ones((5, 5), dtype=bool), 1)
    for name, low in (("infinite", -np.inf), ("smallest", np.finfo(np.float32).min),
                      ("large", -1e9), ("small", -1e4)):
        mask = np.where(causal, low, 0.0).astype(np.float32)
        scores = [node("Transpose", "x", "t", perm=[0, 1, 3, 2]), node("MatMul", ["x", "t"], "o"),
                  node("Mul", ["o", "s"], "p")]
        rest = [node("Softmax", "m", "q", axis=-1), node("MatMul", ["q", "x"])]
        case(f"mask_added_{name}", scores + [node("Add", ["p", "mask"], "m")] + rest, (3, 5, 6),
             {"mask": mask, "s": scalar(0.4)})
        case(f"mask_chosen_{name}", scores + [node("Where", ["c", "low", "p"], "m")] + rest,
             (3, 5, 6), {"c": causal, "low": scalar(low), "s": scalar(0.4)})
        case(f"mask_kept_{name}", scores + [node("Where", ["c", "p", "low"], "m")] + rest,
             (3, 5, 6), {"c": ~causal[None, None], "low": scalar(low), "s": scalar(0.4)})
        case(f"mask_of_keys_{name}", scores + [node("Add", ["p", "mask"], "m")] + rest, (3, 5, 6),
             {"mask": mask[2], "s": scalar(0.4)})
    case("mask_with_a_guard",
         [node("Where", ["c", "low", "x"], "m"), node("Softmax", "m", "q", axis=-1),
          node("IsNaN", "q", "n"), node("Where", ["n", "zero", "q"])], (3, 5, 5),
         {"c": causal, "low": scalar(-np.inf), "zero": scalar(0.0)})
    # Samples of four axes, such as the anchors of a detector's head.
    for op in ("Add", "Mul", "Sub", "Div"):
        for name, constant in (("one", (1,)), ("first", (3, 1, 1, 1)), ("second", (2, 1, 1)),
                               ("last", (5,)), ("apart", (3, 1, 1, 5)), ("all", (3, 2, 4, 5))):
            case(f"axes_4_{op.lower()}_{name}", node(op, ["x", "c"]), (3, 2, 4, 5),
                 {"c": rand(*constant, low=0.5, high=2.0)})
    chosen = RNG.uniform(size=(3, 5, 6)) < 0.5
    case("choice_of_values",
         [node("Relu", "x", "r"), node("Neg", "x", "n"), node("Where", ["c", "r", "n"])], (3, 5, 6),
         {"c": chosen})
    case("choice_of_a_number", node("Where", ["c", "x", "s"]), (3, 5, 6),
         {"c": chosen, "s": scalar(0.7)})
    case("choice_of_a_constant", node("Where", ["c", "s", "x"]), (3, 5, 6),
         {"c": chosen[0], "s": rand(5, 6)})
    case("product_of_one_matrix_with_all",
         [node("ReduceMean", "x", "m", axes=[1]), node("Transpose", "x", "t", perm=[0, 1, 3, 2]),
          node("MatMul", ["m", "t"])], (3, 5, 6))
    case("product_of_all_with_one_matrix",
         [node("ReduceMean", "x", "m", axes=[1]), node("Transpose", "m", "t", perm=[0, 1, 3, 2]),
          node("MatMul", ["x", "t"])], (3, 5, 6))
    for name, shape, weight in (("", (2, 5, 6), (2, 6, 4)), ("_shared_input", (1, 5, 6), (3, 6, 4)),
                                ("_one_column", (3, 5, 1), (3, 1, 1)),
                                ("_leading_one", (2, 5, 6), (1, 2, 6, 4))):
        case(f"matmul_heads{name}", node("MatMul", ["x", "w"]), shape, {"w": rand(*weight)})
    for name, shape, weight in (("", (2, 5, 6), (2, 4, 5)), ("_shared_input", (1, 5, 6), (3, 4, 5))):
        case(f"matmul_left_heads{name}", node("MatMul", ["w", "x"]), shape, {"w": rand(*weight)})


def reductions():
    """Reductions over any axes, in every form of their axes; places of extremes."""
    ops = ("Sum", "Mean", "Max", "Min", "L1", "L2", "SumSquare")
    for op in ops:
        old = 11
        new = 18 if op != "Sum" else 13
        for axes in ([1], [2], [3], [1, 2], [2, 3], [1, 3], [1, 2, 3]):
            name = "".join(map(str, axes))
            case(f"reduce_{op.lower()}_{name}", node(f"Reduce{op}", "x", axes=axes), (3, 5, 6),
                 opset=old)
        for axes in ([-1], [1, 3], [-2]):
            name = "".join(map(str, axes)).replace("-", "m")
            case(f"reduce_{op.lower()}_{name}_dropped",
                 node(f"Reduce{op}", ["x", "a"], keepdims=0), (3, 5, 6), {"a": ints(*axes)}, new)
        if op in ("Sum", "Mean", "Max", "Min"):
            case(f"reduce_{op.lower()}_nothing", node(f"Reduce{op}", "x", noop_with_empty_axes=1),
                 (3, 5, 6), opset=new)
        case(f"reduce_{op.lower()}_vector", node(f"Reduce{op}", "x", axes=[1]), (7,), opset=old)
        case(f"reduce_{op.lower()}_rank_3", node(f"Reduce{op}", "x", axes=[1]), (4, 7), opset=old)
    for op in ("ArgMax", "ArgMin"):
        for keep in (0, 1):
            for axis in (1, 2, -1):
                case(f"{op.lower()}_{axis % 4}_keep{keep}_from_{axis}".replace("-", "m"),
                     [node(op, "x", "i", axis=axis, keepdims=keep),
                      node("Cast", "i", to=TensorProto.FLOAT)], (3, 5, 6))
    for name, axis, largest in (("", -1, 1), ("_smallest", 1, 0), ("_first_axis", 1, 1)):
        inputs, attributes = ["x", "k"], {"axis": axis, "largest": largest}
        for opset in (11, 13, 24):
            case(f"top_k{name}_{opset}", node("TopK", inputs, ["y", "i"], **attributes), (5, 7),
                 {"k": ints(3)}, opset)
        case(f"top_k_places{name}",
             [node("TopK", inputs, ["v", "i"], **attributes),
              node("Cast", "i", to=TensorProto.FLOAT)], (5, 7), {"k": ints(3)})
    case("top_k_10", node("TopK", ["x", "k"], ["y", "i"]), (5, 7), {"k": ints(3)}, 10)
    for op in ("ArgMax", "ArgMin"):
        case(f"{op.lower()}_of_32_bits",
             [node(op, "x", "i", axis=1, keepdims=0), node("Cast", "i", "n", to=TensorProto.INT32),
              node("Cast", "n", to=TensorProto.FLOAT)], (9, 4))
        case(f"{op.lower()}_last",
             [node(op, "x", "i", axis=1, select_last_index=1),
              node("Cast", "i", to=TensorProto.FLOAT)], (9, 4))


def groups():
    """Normalizations of groups of elements."""
    for name, shape, axis in (("vector", (8,), -1), ("last", (5, 8), -1), ("all", (5, 8), 1),
                              ("last_of_three", (3, 5, 6), -1), ("two", (3, 5, 6), 2),
                              ("three", (3, 5, 6), 1)):
        own = shape[axis - 1 if axis > 0 else axis:]
        constants = {"s": rand(*own), "b": rand(*own)}
        case(f"layer_norm_{name}", node("LayerNormalization", ["x", "s", "b"], axis=axis), shape,
             constants, 17)
    case("layer_norm_without_bias", node("LayerNormalization", ["x", "s"], epsilon=1e-2), (5, 8),
         {"s": rand(8)}, 17)
    case("layer_norm_relu", [node("LayerNormalization", ["x", "s", "b"], "n"), node("Relu", "n")],
         (5, 8), {"s": rand(8), "b": rand(8)}, 17)
    for name, shape in (("1d", (4, 10)), ("2d", (4, 6, 5))):
        for opset in (9, 13, 22):
            case(f"instance_norm_{name}_{opset}",
                 node("InstanceNormalization", ["x", "s", "b"], epsilon=1e-3), shape,
                 {"s": rand(4), "b": rand(4)}, opset)
    for count in (1, 2, 3, 6):
        case(f"group_norm_{count}", node("GroupNormalization", ["x", "s", "b"], num_groups=count),
             (6, 4, 5), {"s": rand(6), "b": rand(6)}, 21)
    case("group_norm_1d", node("GroupNormalization", ["x", "s", "b"], num_groups=2), (6, 7),
         {"s": rand(6), "b": rand(6)}, 21)
    case("rms_norm", node("RMSNormalization", ["x", "s"]), (5, 8), {"s": rand(8)}, 23)
    case("rms_norm_two_axes", node("RMSNormalization", ["x", "s"], axis=2), (3, 5, 6),
         {"s": rand(5, 6)}, 23)
    for axis in (1, 2, -1):
        case(f"lp_norm_{axis % 4}", node("LpNormalization", "x", axis=axis), (3, 5, 6))
        case(f"l1_norm_{axis % 4}", node("LpNormalization", "x", axis=axis, p=1), (3, 5, 6))
    case("mean_variance_norm", node("MeanVarianceNormalization", "x", axes=[2, 3]), (3, 5, 6))


def pieces():
    """Normalizations as exporters write them in pieces."""
    def mean(x, y, axes):
        return node("ReduceMean", x, y, axes=axes)

    def core(axes, square="Pow", root="Div", twice=False):
        """From `x` to `n`."""
        nodes = [mean("x", "m", axes), node("Sub", ["x", "m"], "d")]
        d = "d"
        if twice:
            nodes.append(node("Sub", ["x", "m"], "d2"))
            d = "d2"
        nodes.append(node("Pow", [d, "two"], "q") if square == "Pow" else node("Mul", [d, d], "q"))
        nodes += [mean("q", "v", axes), node("Add", ["v", "e"], "w")]
        if root == "Div":
            nodes += [node("Sqrt", "w", "r"), node("Div", ["d", "r"], "n")]
        elif root == "Reciprocal":
            nodes += [node("Sqrt", "w", "r"), node("Reciprocal", "r", "i"),
                      node("Mul", ["i", "d"], "n")]
        elif root == "Power":
            nodes += [node("Pow", ["w", "minus_half"], "i"), node("Mul", ["d", "i"], "n")]
        else:
            nodes += [node("Pow", ["w", "half"], "r"), node("Div", ["one", "r"], "i"),
                      node("Mul", ["d", "i"], "n")]
        return nodes

    numbers = {"two": scalar(2), "e": scalar(1e-5), "half": scalar(0.5), "one": scalar(1),
               "minus_half": scalar(-0.5)}
    for square in ("Pow", "Mul"):
        for root in ("Div", "Reciprocal", "Power", "Quotient"):
            nodes = core([-1], square, root, twice=square == "Mul")
            case(f"layer_norm_pieces_{square}_{root}".lower(),
                 nodes + [node("Mul", ["n", "s"], "p"), node("Add", ["b", "p"])], (5, 8),
                 numbers | {"s": rand(8), "b": rand(8)})
    case("layer_norm_pieces_plain", core([2]) + [node("Identity", "n")], (5, 8), numbers)
    case("layer_norm_pieces_two_axes",
         core([2, 3]) + [node("Mul", ["n", "s"], "p"), node("Relu", "p")], (3, 5, 6),
         numbers | {"s": rand(5, 6)})
    case("instance_norm_pieces",
         core([2, 3]) + [node("Mul", ["n", "s"], "p"), node("Add", ["p", "b"])], (3, 5, 6),
         numbers | {"s": rand(3, 1, 1), "b": rand(3, 1, 1)})
    case("layer_norm_pieces_shared",
         core([-1]) + [node("Mul", ["n", "s"], "p"), node("Add", ["p", "n"])], (5, 8),
         numbers | {"s": rand(8)})
    case("layer_norm_keras",
         [mean("x", "m", [-1]), node("Sub", ["x", "m"], "d"), node("Mul", ["d", "d"], "q"),
          mean("q", "v", [-1]), node("Add", ["v", "e"], "w"), node("Sqrt", "w", "r"),
          node("Reciprocal", "r", "i"), node("Mul", ["i", "s"], "k"),
          node("Mul", ["m", "k"], "mk"), node("Sub", ["b", "mk"], "c"),
          node("Mul", ["x", "k"], "xk"), node("Add", ["xk", "c"])], (5, 8),
         numbers | {"s": rand(8), "b": rand(8)})
    case("layer_norm_unshifted_keras",
         [mean("x", "m", [-1]), node("Neg", "m", "o"), node("Sub", ["x", "m"], "d"),
          node("Mul", ["d", "d"], "q"), mean("q", "v", [-1]), node("Add", ["v", "e"], "w"),
          node("Sqrt", "w", "r"), node("Reciprocal", "r", "i"), node("Mul", ["i", "s"], "k"),
          node("Mul", ["o", "k"], "ok"), node("Mul", ["x", "k"], "xk"),
          node("Add", ["xk", "ok"])], (5, 8), numbers | {"s": rand(8)})
    case("rms_norm_pieces",
         [node("Pow", ["x", "two"], "q"), mean("q", "v", [-1]), node("Add", ["v", "e"], "w"),
          node("Sqrt", "w", "r"), node("Reciprocal", "r", "i"), node("Mul", ["x", "i"], "n"),
          node("Mul", ["s", "n"])], (5, 8), numbers | {"s": rand(8)})
    for bound in ("", "Clip", "Max", "Add", "Expand"):
        nodes = [node("ReduceL2", "x", "l", axes=[1], keepdims=1)]
        last = "l"
        if bound == "Expand":
            nodes += [node("Clip", ["l", "tiny"], "c"), node("Shape", "x", "shape"),
                      node("Expand", ["c", "shape"], "z")]
        elif bound:
            nodes.append(node(bound, ["l", "tiny"], "z"))
        case(f"l2_norm_pieces_{bound}".lower().rstrip("_"),
             nodes + [node("Div", ["x", "z" if bound else "l"])], (6,), {"tiny": scalar(1e-12)})
    case("l2_norm_of_sum",
         [node("Mul", ["x", "x"], "q"), node("ReduceSum", ["q", "a"], "t"), node("Sqrt", "t", "r"),
          node("Div", ["x", "r"])], (3, 6), {"a": ints(-1)})
    for count in (2, 3):
        case(f"group_norm_by_instances_{count}",
             [node("Reshape", ["x", "to"], "i"),
              node("InstanceNormalization", ["i", "ones", "zeros"], "n"),
              node("Reshape", ["n", "back"], "g"), node("Mul", ["g", "s"], "p"),
              node("Add", ["p", "b"])], (6, 4, 5),
             {"to": ints(0, count, -1), "back": ints(0, 6, 4, 5),
              "ones": np.ones(count, np.float32), "zeros": np.zeros(count, np.float32),
              "s": rand(6, 1, 1), "b": rand(6, 1, 1)})


def einsums():
    """Sums of products over named axes."""
    for name, equation, shape, weight in (
            ("linear", "nij,jk->nik", (5, 6), (6, 4)), ("spaces", " n i j , j k -> n i k ", (5, 6),
                                                        (6, 4)),
            ("ellipsis", "...j,jk->...k", (3, 5, 6), (6, 4)),
            ("left", "ij,njk->nik", (5, 6), (4, 5)), ("heads", "bhij,hjk->bhik", (2, 5, 6), (2, 6, 4)),
            ("vector", "ni,ij->nj", (6,), (6, 4)), ("turned", "nij,kj->nki", (5, 6), (4, 6)),
            ("dot", "nij,j->ni", (5, 6), (6,)), ("outer", "nij,k->nijk", (5, 6), (4,))):
        constant_first = equation.startswith("ij")
        inputs = ["w", "x"] if constant_first else ["x", "w"]
        case(f"einsum_{name}", node("Einsum", inputs, equation=equation), shape,
             {"w": rand(*weight)})
    for name, equation, shape in (
            ("scores", "bhid,bhjd->bhij", (2, 5, 6)), ("context", "bij,bik->bjk", (5, 6)),
            ("rows", "bij,bij->bi", (5, 6)), ("ellipsis_values", "...id,...jd->...ij", (2, 5, 6)),
            ("other_order", "bqhd,bkhd->bhqk", (5, 2, 6))):
        case(f"einsum_{name}", [node("Relu", "x", "r"), node("Einsum", ["x", "r"], equation=equation)],
             shape)
    for name, equation in (("transpose", "bij->bji"), ("sum", "bij->bi"), ("sum_and_turn", "bijk->bki"),
                           ("same", "bij->bij")):
        case(f"einsum_{name}", node("Einsum", "x", equation=equation),
             (5, 6, 3) if "k" in equation else (5, 6))


def normalizations():
    def norm(name, shape, opset=15, **attributes):
        c = shape[0]
        constants = {"s": rand(c), "b": rand(c), "m": rand(c), "v": rand(c, low=0.05, high=2.0)}
        case(f"batch_norm_{name}", node("BatchNormalization", ["x", *constants], **attributes),
             shape, constants, opset)

    for opset in (7, 9, 13, 14, 15, 22, 24):
        norm(f"{opset}", (5, 4, 3), opset)
        norm(f"flat_{opset}", (5,), opset)
    norm("epsilon", (5, 4, 3), epsilon=0.3)
    norm("1d", (5, 8))
    norm("momentum", (5, 4, 3), momentum=0.5)
    norm("spatial", (5, 4, 3), 7, spatial=1)
    norm("inference_mode", (5, 4, 3), 15, training_mode=0)
    tiny = {"s": floats(1, 1), "b": floats(0, 0), "m": floats(0, 0), "v": floats(1e-7, 0)}
    case("batch_norm_default_epsilon", node("BatchNormalization", ["x", *tiny]), (2, 3, 3), tiny)

    for op in ("Softmax", "LogSoftmax"):
        for opset in (7, 11, 12, 13, 18, 24):
            case(f"{op.lower()}_default_{opset}", node(op, "x"), (7,), opset=opset)
            case(f"{op.lower()}_image_{opset}", node(op, "x"), (4, 3, 5), opset=opset)
            for axis in (1, 2, 3, -1, -2):
                name = f"{op.lower()}_axis{axis}_{opset}".replace("-", "m")
                case(name, node(op, "x", axis=axis), (4, 3, 5), opset=opset)
        case(f"{op.lower()}_sequence_11", node(op, "x", axis=2), (4, 6), opset=11)
        case(f"{op.lower()}_trailing_ones_11", node(op, "x", axis=1), (4, 1, 1), opset=11)
    for opset in (7, 10):
        case(f"dropout_{opset}", [node("Dropout", "x", "d", ratio=0.4), node("Relu", "d")], (4, 3),
             opset=opset)
    for opset in (12, 13, 22):
        case(f"dropout_{opset}", [node("Dropout", ["x", "r"], "d"), node("Relu", "d")], (4, 3),
             {"r": scalar(0.3)}, opset)
    case("dropout_mode", [node("Dropout", ["x", "r", "t"], ["d", "mask"]), node("Relu", "d")],
         (4, 3), {"r": scalar(0.3), "t": np.array(False)})


def activations():
    shape = (3, 4, 5)
    for opset in (7, 9, 13, 14, 22, 24):
        case(f"relu_{opset}", node("Relu", "x"), shape, opset=opset)
        case(f"sigmoid_{opset}", node("Sigmoid", "x"), shape, opset=opset, low=-9, high=9)
        case(f"tanh_{opset}", node("Tanh", "x"), shape, opset=opset)
        case(f"leaky_relu_{opset}", node("LeakyRelu", "x", alpha=0.2), shape, opset=opset)
        case(f"hard_sigmoid_{opset}", node("HardSigmoid", "x"), shape, opset=opset)
    for op in ("Abs", "Sin", "Cos", "Erf", "Softplus", "Softsign", "Sign", "Floor", "Ceil", "Exp"):
        case(f"{op.lower()}_function", node(op, "x"), shape)
    for op in ("Sqrt", "Log", "Reciprocal"):
        case(f"{op.lower()}_function", node(op, "x"), shape, low=0.1, high=4.0)
    case("round_function", node("Round", "x"), shape)
    case("mish_function", node("Mish", "x"), shape, opset=18)
    for form in ("none", "tanh"):
        case(f"gelu_{form}", node("Gelu", "x", approximate=form), shape, opset=20)
    case("gelu_default", node("Gelu", "x"), shape, opset=20)
    for op in ("Elu", "Celu", "ThresholdedRelu"):
        case(f"{op.lower()}_default", node(op, "x"), shape)
        case(f"{op.lower()}_attributes", node(op, "x", alpha=0.7), shape)
    case("selu_default", node("Selu", "x"), shape)
    case("selu_attributes", node("Selu", "x", alpha=1.3, gamma=0.8), shape)
    for exponent in (0.5, 2.0, 3.0, -1.0):
        case(f"pow_{exponent}".replace("-", "m"), node("Pow", ["x", "e"]), shape,
             {"e": scalar(exponent)}, low=0.2, high=3.0)
    case("pow_square_of_negative", node("Pow", ["x", "e"]), shape, {"e": scalar(2.0)})
    case("gelu_by_erf",
         [node("Div", ["x", "r"], "d"), node("Erf", "d", "e"), node("Add", ["e", "one"], "a"),
          node("Mul", ["x", "a"], "m"), node("Mul", ["m", "half"])], shape,
         {"r": scalar(2 ** 0.5), "one": scalar(1), "half": scalar(0.5)})
    case("leaky_relu_default", node("LeakyRelu", "x"), shape)
    case("leaky_relu_steep", node("LeakyRelu", "x", alpha=1.5), shape)
    case("leaky_relu_negative", node("LeakyRelu", "x", alpha=-0.5), shape)
    case("hard_sigmoid_attributes", node("HardSigmoid", "x", alpha=0.3, beta=0.2), shape)
    case("hard_sigmoid_falling", node("HardSigmoid", "x", alpha=-0.3, beta=0.2), shape)
    for opset in (14, 18, 22, 24):
        case(f"hard_swish_{opset}", node("HardSwish", "x"), shape, opset=opset, low=-5, high=5)
    for name, bounds in (("both", {"min": -1.0, "max": 0.5}), ("min", {"min": -0.5}),
                         ("max", {"max": 0.5}), ("none", {})):
        for opset in (7, 10):
            case(f"clip_{name}_{opset}", node("Clip", "x", **bounds), shape, opset=opset)
        for opset in (11, 12, 13, 18, 24):
            inputs = ["x"] + [k if k in bounds else "" for k in ("min", "max")]
            case(f"clip_{name}_{opset}", node("Clip", inputs), shape,
                 {k: scalar(v) for k, v in bounds.items()}, opset)
    case("clip_relu6", node("Clip", ["x", "a", "b"]), shape, {"a": scalar(0), "b": scalar(6)},
         low=-9, high=9)
    case("clip_largest", node("Clip", ["x", "a", "b"]), shape,
         {"a": scalar(0), "b": scalar(np.finfo(np.float32).max)})
    case("clip_bound_from_node",
         [node("Constant", [], "a", value_float=-0.5), node("Clip", ["x", "a"])], shape)
    case("min_max", [node("Max", ["x", "a"], "m"), node("Min", ["b", "m"])], shape,
         {"a": scalar(-1), "b": floats(0.5)})
    case("hard_swish_decomposed",
         [node("HardSigmoid", "x", "h", alpha=1 / 6, beta=0.5), node("Mul", ["x", "h"])], shape,
         low=-5, high=5)
    case("hard_swish_of_clip",
         [node("Add", ["x", "three"], "a"), node("Clip", ["a", "zero", "six"], "c"),
          node("Mul", ["x", "c"], "m"), node("Div", ["m", "six"])], shape,
         {"three": scalar(3), "zero": scalar(0), "six": scalar(6)}, low=-5, high=5)
    case("swish", [node("Sigmoid", "x", "s"), node("Mul", ["x", "s"])], shape)


def arithmetic():
    for op in ("Add", "Sub", "Mul"):
        for opset in (7, 13, 14, 24):
            case(f"{op.lower()}_values_{opset}",
                 [node("Relu", "x", "a"), node("Tanh", "x", "b"), node(op, ["a", "b"])], (3, 4, 5),
                 opset=opset)
        for name, pool in (("pooled", "GlobalAveragePool"),):
            for order in ("ab", "ba"):
                case(f"{op.lower()}_{name}_{order}",
                     [node("Relu", "x", "a"), node(pool, "x", "b"), node(op, list(order))],
                     (3, 4, 5))
        case(f"{op.lower()}_itself", node(op, ["x", "x"]), (3, 4))
        case(f"{op.lower()}_single",
             [node("ReduceMean", "x", "m", axes=[2, 3], keepdims=1),
              node("Conv", ["m", "w"], "s"), node(op, ["x", "s"])], (3, 4, 5),
             {"w": rand(1, 3, 1, 1)})
    constants = {"scalar": (), "one": (1,), "ones": (1, 1, 1, 1), "channel": (3, 1, 1),
                 "channel_batch": (1, 3, 1, 1), "last": (5,), "row": (4, 1)}
    for op in ("Add", "Sub", "Mul", "Div"):
        for name, shape in constants.items():
            value = rand(*shape, low=0.5, high=2.0)
            case(f"{op.lower()}_constant_{name}", node(op, ["x", "c"]), (3, 4, 5), {"c": value})
            low = 0.5 if op == "Div" else -2.0
            case(f"{op.lower()}_constant_{name}_first", node(op, ["c", "x"]), (3, 4, 5),
                 {"c": value}, low=low)
        case(f"{op.lower()}_constant_flat", node(op, ["x", "c"]), (5,),
             {"c": rand(5, low=0.5, high=2.0)})
        case(f"{op.lower()}_constant_uniform", node(op, ["x", "c"]), (3, 4, 5),
             {"c": np.full((3, 4, 5), 0.75, np.float32)})
    for op in ("Add", "Sub", "Mul", "Div"):
        value = rand(1, 3, 4, 5, low=0.5, high=2.0)
        case(f"{op.lower()}_constant_whole", node(op, ["x", "c"]), (3, 4, 5), {"c": value})
        case(f"{op.lower()}_constant_whole_without_batch", node(op, ["x", "c"]), (3, 4, 5),
             {"c": value[0]})
        low = 0.5 if op == "Div" else -2.0
        case(f"{op.lower()}_constant_whole_first", node(op, ["c", "x"]), (3, 4, 5), {"c": value},
             low=low)
    case("positional_embedding", [node("Add", ["x", "c"], "a"), node("MatMul", ["a", "w"])], (8, 12),
         {"c": rand(1, 8, 12), "w": rand(12, 4)})
    for name, axis, shape in (("channels", 1, (2, 4, 5)), ("height", 2, (3, 2, 5)), ("width", 3, (3, 4, 2))):
        case(f"concat_constant_{name}", node("Concat", ["x", "c"], axis=axis), (3, 4, 5),
             {"c": rand(1, *shape)}, batch=1)
    case("class_token", [node("Concat", ["c", "x"], "t", axis=1), node("MatMul", ["t", "w"])], (8, 12),
         {"c": rand(1, 1, 12), "w": rand(12, 4)}, batch=1)
    # Every axis of extent 1 is repeated, of either value.
    for op in ("Add", "Mul", "Sub"):
        case(f"{op.lower()}_map_to_all_channels",
             [node("ReduceMean", "x", "m", axes=[1]), node(op, ["x", "m"])], (3, 4, 5), opset=13)
        case(f"{op.lower()}_row_and_column",
             [node("ReduceMean", "x", "r", axes=[2]), node("ReduceMean", "x", "c", axes=[3]),
              node(op, ["r", "c"])], (3, 4, 5), opset=13)
    for op in ("Div", "Max", "Min", "PRelu"):
        for name, nodes, shape in (
                ("values", [], (3, 4, 5)),
                ("a_mean_a_channel", [node("GlobalAveragePool", "b", "m")], (3, 4, 5)),
                ("a_map", [node("ReduceMean", "b", "m", axes=[1])], (3, 4, 5)),
                ("a_vector", [], (6,))):
            other = "m" if nodes else "b"
            both = [node("Tanh", "x", "a"), node("Exp", "x", "b")]
            case(f"{op.lower()}_of_{name}", [*both, *nodes, node(op, ["a", other])], shape, opset=13)
            if op != "PRelu":
                case(f"{op.lower()}_of_{name}_last", [*both, *nodes, node(op, ["b", other])]
                     if name == "values" else [*both, *nodes, node("Exp", other, "e"),
                                               node(op, ["e", "b"])], shape, opset=13)
    for op in ("Max", "Min", "PRelu"):
        for name, shape in constants.items():
            value = rand(*shape, low=-0.5, high=0.5)
            case(f"{op.lower()}_constant_{name}", node(op, ["x", "c"]), (3, 4, 5), {"c": value})
            if op != "PRelu":
                case(f"{op.lower()}_constant_{name}_first", node(op, ["c", "x"]), (3, 4, 5),
                     {"c": value})
    for op in ("Max", "Min"):
        case(f"{op.lower()}_of_one", [node(op, "x", "s"), node("Tanh", "s")], (3, 4))
        case(f"{op.lower()}_of_many", [node("Tanh", "x", "a"), node("Neg", "x", "b"),
                                       node(op, ["a", "k", "b", "c", "l", "x", "d"])], (3, 4),
             {"k": scalar(0.2), "l": scalar(0.1), "c": rand(4, low=0, high=0.3),
              "d": rand(3, 1, low=0, high=0.3)})
    case("prelu_1d", node("PRelu", ["x", "s"]), (4, 9), {"s": rand(4, 1)})
    case("prelu_of_samples", node("PRelu", ["x", "s"]), (6,), {"s": rand(6)})
    case("prelu_uniform", node("PRelu", ["x", "s"]), (3, 4, 5), {"s": np.full((3, 1, 1), 0.25, np.float32)})
    case("l2_norm_of_one", node("LpNormalization", "x", axis=1), (1, 5, 6))
    case("l2_norm_then_scaled",
         [node("LpNormalization", "x", "n", axis=2), node("Mul", ["n", "s"])], (3, 5, 6),
         {"s": rand(3, 1, 1)})
    case("softmax_by_hand",
         [node("ReduceMax", "x", "m", axes=[-1]), node("Sub", ["x", "m"], "d"),
          node("Exp", "d", "e"), node("ReduceSum", ["e", "axes"], "s"), node("Div", ["e", "s"])], (4, 6),
         {"axes": np.array([-1], np.int64)}, opset=13)
    case("add_constant_that_enlarges", node("Add", ["x", "c"]), (3, 1, 5), {"c": rand(3, 4, 1)})
    for op in ("Sum", "Mean"):
        case(f"{op.lower()}_of_one", [node(op, "x", "s"), node("Relu", "s")], (3, 4))
        case(f"{op.lower()}_of_three", [node("Relu", "x", "r"), node("Sigmoid", "x", "s"),
                                        node(op, ["x", "r", "s"])], (3, 4))
        case(f"{op.lower()}_with_a_constant", node(op, ["x", "c"]), (3, 4), {"c": rand(3, 1)})
    case("neg", node("Neg", "x"), (3, 4))
    case("residual", [node("Conv", ["x", "w"], "c", pads=[1] * 4), node("Add", ["c", "x"], "a"),
                      node("Relu", "a")], (3, 4, 5), {"w": rand(3, 3, 3, 3)})
    case("squeeze_and_excite",
         [node("GlobalAveragePool", "x", "g"), node("Conv", ["g", "w"], "c"),
          node("Relu", "c", "r"), node("Conv", ["r", "v"], "e"), node("HardSigmoid", "e", "h"),
          node("Mul", ["h", "x"])], (8, 4, 5), {"w": rand(2, 8, 1, 1), "v": rand(8, 2, 1, 1)})
    case("affine_norm", [node("Sub", ["x", "m"], "c"), node("Div", ["c", "s"])], (3, 4, 5),
         {"m": rand(1, 3, 1, 1), "s": rand(1, 3, 1, 1, low=0.5, high=2.0)})


def pools():
    def pool(op, name, shape, kernel, opset=13, **attributes):
        case(f"{op.lower()}_{name}", node(op, "x", kernel_shape=kernel, **attributes), shape,
             opset=opset)

    for op in ("AveragePool", "MaxPool"):
        for opset in (7, 10, 11, 12, 19, 22, 24):
            pool(op, f"plain_{opset}", (3, 8, 9), [2, 3], opset, strides=[2, 2])
        pool(op, "default_strides", (3, 8, 9), [2, 3])
        pool(op, "whole", (3, 5, 6), [5, 6])
        for include in (None,) if op == "MaxPool" else (0, 1):
            extra = {} if include is None else {"count_include_pad": include}
            tag = "" if include is None else f"_include{include}"
            pool(op, f"pads{tag}", (3, 8, 9), [3, 3], pads=[1, 1, 1, 1], **extra)
            pool(op, f"pads_asymmetric{tag}", (3, 8, 9), [3, 4], pads=[0, 2, 1, 3], strides=[2, 3],
                 **extra)
            for opset in (11, 19, 22):
                for extent in (7, 8, 9, 10):
                    for stride in (2, 3):
                        pool(op, f"ceil_{opset}_e{extent}_s{stride}{tag}", (2, extent, extent + 1),
                             [3, 2], opset, ceil_mode=1, strides=[stride, stride], **extra)
                        pool(op, f"ceil_pads_{opset}_e{extent}_s{stride}{tag}",
                             (2, extent, extent + 1), [3, 3], opset, ceil_mode=1,
                             strides=[stride, stride], pads=[1, 0, 1, 2], **extra)
            for pad in ("VALID", "SAME_UPPER", "SAME_LOWER"):
                for stride in (1, 2, 3):
                    pool(op, f"{pad.lower()}_s{stride}{tag}", (2, 7, 8), [3, 2], auto_pad=pad,
                         strides=[stride, stride], **extra)
                pool(op, f"{pad.lower()}_ceil{tag}", (2, 8, 9), [3, 2], auto_pad=pad, ceil_mode=1,
                     strides=[2, 2], **extra)
                pool(op, f"{pad.lower()}_ceil_22{tag}", (2, 8, 9), [3, 2], 22, auto_pad=pad,
                     ceil_mode=1, strides=[2, 2], **extra)
            pool(op, f"1d{tag}", (3, 20), [4], strides=[3], pads=[1, 2], **extra)
            for opset in (19, 22):
                pool(op, f"dilated_{opset}{tag}", (2, 9, 10), [3, 2], opset, dilations=[2, 3],
                     **extra)
                pool(op, f"dilated_pads_{opset}{tag}", (2, 9, 10), [3, 2], opset, dilations=[2, 3],
                     pads=[1, 1, 2, 1], strides=[2, 1], **extra)
                pool(op, f"dilated_ceil_{opset}{tag}", (2, 9, 10), [3, 2], opset,
                     dilations=[2, 3], ceil_mode=1, strides=[2, 2], **extra)
    pool("MaxPool", "dilated_10", (2, 9, 10), [3, 2], 10, dilations=[2, 3])
    case("maxpool_negative", node("MaxPool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
         (2, 6, 6), low=-5, high=-1)
    case("maxpool_indices_unused",
         [node("MaxPool", "x", ["m", "indices"], kernel_shape=[2, 2]), node("Relu", "m")],
         (2, 6, 6))
    for opset in (7, 13, 22, 24):
        case(f"globalaveragepool_{opset}", node("GlobalAveragePool", "x"), (3, 5, 6), opset=opset)
        case(f"globalmaxpool_{opset}", node("GlobalMaxPool", "x"), (3, 5, 6), opset=opset)
    case("globalaveragepool_1d", node("GlobalAveragePool", "x"), (3, 9))
    for keep in (0, 1):
        for opset in (7, 11, 13):
            for name, axes in (("hw", [2, 3]), ("negative", [-2, -1]), ("w", [3]), ("h", [2]),
                               ("channels", [1]), ("nhwc", [1, 2]), ("ends", [1, 3])):
                if opset == 7 and min(axes) < 0:
                    continue
                case(f"reducemean_{name}_keep{keep}_{opset}",
                     node("ReduceMean", "x", axes=axes, keepdims=keep), (3, 4, 5), opset=opset)
        for opset in (18, 24):
            case(f"reducemean_hw_keep{keep}_{opset}",
                 node("ReduceMean", ["x", "a"], keepdims=keep), (3, 4, 5), {"a": ints(2, 3)},
                 opset)
        case(f"reducemean_1d_keep{keep}", node("ReduceMean", "x", axes=[2], keepdims=keep), (3, 9))
        case(f"reducemean_1d_channels_keep{keep}",
             node("ReduceMean", "x", axes=[1], keepdims=keep), (3, 9))
    case("reducemean_default_keep", node("ReduceMean", "x", axes=[2, 3]), (3, 4, 5))
    case("reducemean_noop", [node("ReduceMean", "x", "m", noop_with_empty_axes=1),
                             node("Relu", "m")], (3, 4, 5), opset=18)


def layouts():
    for opset in (7, 9, 11, 13, 21, 24):
        case(f"flatten_{opset}", node("Flatten", "x"), (3, 4, 5), opset=opset)
        case(f"reshape_{opset}", node("Reshape", ["x", "s"]), (3, 4, 5), {"s": ints(-1, 60)},
             opset)
    case("flatten_axis", node("Flatten", "x", axis=2), (1, 4, 5))
    case("flatten_negative", node("Flatten", "x", axis=-3), (3, 4, 5))
    case("flatten_flat", [node("Flatten", "x", "f"), node("Relu", "f")], (6,))
    for name, target in (("zero", (0, 12, 5)), ("infer", (0, -1)), ("zeros", (0, 0, -1)),
                         ("batch_infer", (-1, 3, 20)), ("expand", (0, 60, 1, 1))):
        case(f"reshape_{name}", node("Reshape", ["x", "s"]), (3, 4, 5), {"s": ints(*target)})
    case("reshape_fixed_batch", node("Reshape", ["x", "s"]), (3, 4, 5), {"s": ints(1, 60)},
         batch=1)
    case("reshape_fixed_batch_infer", node("Reshape", ["x", "s"]), (3, 4, 5), {"s": ints(1, -1)},
         batch=1)
    case("reshape_fixed_batch_of_two", node("Reshape", ["x", "s"]), (3, 4, 5), {"s": ints(2, -1)},
         batch=2)
    case("reshape_allowzero", node("Reshape", ["x", "s"], allowzero=1), (3, 4, 5),
         {"s": ints(-1, 60)}, 14)
    case("reshape_from_constant_node",
         [node("Constant", [], "s", value_ints=[-1, 20, 3]), node("Reshape", ["x", "s"])],
         (3, 4, 5))
    case("reshape_from_shape",
         [node("Shape", "x", "s"), node("Gather", ["s", "zero"], "n", axis=0),
          node("Unsqueeze", "n", "u", axes=[0]), node("Concat", ["u", "rest"], "t", axis=0),
          node("Reshape", ["x", "t"])], (3, 4, 5),
         {"zero": np.array(0, np.int64), "rest": ints(-1)}, 11)
    case("reshape_from_shape_13",
         [node("Shape", "x", "s"), node("Gather", ["s", "zero"], "n", axis=0),
          node("Unsqueeze", ["n", "axes"], "u"), node("Concat", ["u", "rest"], "t", axis=0),
          node("Reshape", ["x", "t"])], (3, 4, 5),
         {"zero": np.array(0, np.int64), "axes": ints(0), "rest": ints(-1)})
    case("reshape_from_sliced_shape",
         [node("Shape", "x", "s"), node("Slice", ["s", "a", "b", "axes"], "n"),
          node("Slice", ["s", "b", "end"], "d"), node("ReduceProd", "d", "p", keepdims=1),
          node("Concat", ["n", "p"], "t", axis=0), node("Reshape", ["x", "t"])], (3, 4, 5),
         {"a": ints(0), "b": ints(1), "end": ints(99), "axes": ints(0)})
    case("reshape_from_sliced_shape_9",
         [node("Shape", "x", "s"), node("Slice", "s", "n", starts=[0], ends=[1]),
          node("Concat", ["n", "rest"], "t", axis=0), node("Reshape", ["x", "t"])], (3, 4, 5),
         {"rest": ints(60)}, 9)
    case("reshape_from_arithmetic",
         [node("Shape", "x", "s", start=1), node("Gather", ["s", "one"], "h"),
          node("Gather", ["s", "two"], "w"), node("Mul", ["h", "w"], "hw"),
          node("Add", ["hw", "zero"], "a"), node("Sub", ["a", "zero"], "b"),
          node("Div", ["b", "unit"], "c"), node("Cast", "c", "f", to=TensorProto.FLOAT),
          node("Floor", "f", "g"), node("Cast", "g", "i", to=TensorProto.INT64),
          node("Concat", ["n", "ch", "i"], "t", axis=0), node("Reshape", ["x", "t"])], (3, 4, 5),
         {"one": ints(1), "two": ints(2), "zero": ints(0), "unit": ints(1), "n": ints(-1),
          "ch": ints(3)}, 15)
    case("reshape_shape_start_end",
         [node("Shape", "x", "s", start=-4, end=-2), node("Concat", ["s", "rest"], "t", axis=0),
          node("Reshape", ["x", "t"])], (3, 4, 5), {"rest": ints(-1)}, 15)
    for opset in (7, 11, 12):
        case(f"squeeze_{opset}", node("Squeeze", "x", axes=[2, 3]), (4, 1, 1), opset=opset)
        case(f"unsqueeze_{opset}", node("Unsqueeze", "x", axes=[1, 3]), (4,), opset=opset)
    for opset in (13, 21, 24):
        case(f"squeeze_{opset}", node("Squeeze", ["x", "a"]), (4, 1, 1), {"a": ints(2, 3)}, opset)
        case(f"unsqueeze_{opset}", node("Unsqueeze", ["x", "a"]), (4,), {"a": ints(1, 3)}, opset)
    case("squeeze_negative", node("Squeeze", ["x", "a"]), (4, 1, 1), {"a": ints(-1)})
    case("squeeze_all", node("Squeeze", "x"), (4, 1, 5))
    case("unsqueeze_negative", node("Unsqueeze", ["x", "a"]), (4, 5), {"a": ints(-1)})
    case("unsqueeze_unsorted", node("Unsqueeze", ["x", "a"]), (4,), {"a": ints(3, 1)})
    for opset in (7, 13, 21, 24):
        case(f"transpose_{opset}", node("Transpose", "x", perm=[0, 3, 1, 2]), (4, 5, 3),
             opset=opset)
    case("transpose_rank_3", node("Transpose", "x", perm=[0, 2, 1]), (4, 5))
    case("transpose_identity", [node("Transpose", "x", "t", perm=[0, 1, 2]), node("Relu", "t")],
         (4, 5))
    case("nhwc_border",
         [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", ["t", "w"], "c"),
          node("Transpose", "c", perm=[0, 2, 3, 1])], (6, 7, 3), {"w": rand(4, 3, 3, 3)})
    case("nhwc_normalized",
         [node("Sub", ["x", "m"], "c"), node("Mul", ["c", "s"], "n"),
          node("Transpose", "n", "t", perm=[0, 3, 1, 2]), node("Conv", ["t", "w"])], (6, 7, 3),
         {"w": rand(4, 3, 3, 3), "m": rand(3), "s": rand(3)})
    case("transpose_before_flatten",
         [node("Conv", ["x", "w"], "c"), node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
          node("Flatten", "t", "f"), node("Gemm", ["f", "v"])], (3, 6, 7),
         {"w": rand(4, 3, 3, 3), "v": rand(80, 5)})
    for opset in (7, 11, 13, 24):
        case(f"concat_{opset}", [node("Relu", "x", "a"), node("Tanh", "x", "b"),
                                 node("Concat", ["a", "b", "x"], axis=1)], (3, 4, 5), opset=opset)
    case("concat_last", [node("Relu", "x", "a"), node("Concat", ["a", "x"], axis=-1)], (3, 4, 5))
    case("concat_height", [node("Relu", "x", "a"), node("Concat", ["a", "x"], axis=2)], (3, 4, 5))
    case("concat_flat", [node("Relu", "x", "a"), node("Concat", ["a", "x"], axis=1)], (6,))
    case("concat_one", [node("Relu", "x", "a"), node("Concat", ["a"], axis=1)], (6,))
    case("concat_different", [node("Conv", ["x", "w"], "a"), node("Concat", ["a", "x"], axis=1)],
         (3, 4, 5), {"w": rand(2, 3, 1, 1)})
    pads = [0, 1, 2, 0, 0, 0, 1, 3]
    for opset in (7, 10):
        case(f"pad_{opset}", node("Pad", "x", pads=pads, value=0.5), (3, 4, 5), opset=opset)
        case(f"pad_default_{opset}", node("Pad", "x", pads=pads), (3, 4, 5), opset=opset)
    for opset in (11, 13, 18, 19, 21, 24):
        case(f"pad_{opset}", node("Pad", ["x", "p", "v"]), (3, 4, 5),
             {"p": ints(*pads), "v": scalar(0.5)}, opset)
        case(f"pad_default_{opset}", node("Pad", ["x", "p"], mode="constant"), (3, 4, 5),
             {"p": ints(*pads)}, opset)
    case("pad_axes", node("Pad", ["x", "p", "", "a"]), (3, 4, 5),
         {"p": ints(1, 2, 3, 4), "a": ints(2, -1)}, 18)
    case("pad_sequence", node("Pad", ["x", "p"]), (4, 5), {"p": ints(0, 0, 1, 0, 0, 2)})
    case("pad_twice", [node("Pad", ["x", "p"], "a"), node("Pad", ["a", "p"], "b"),
                       node("Conv", ["b", "w"])], (3, 4, 5),
         {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "w": rand(2, 3, 3, 3)})
    case("pad_nothing", [node("Pad", ["x", "p"], "a"), node("Relu", "a")], (3, 4),
         {"p": ints(0, 0, 0, 0, 0, 0)})
    for opset in (7, 13, 24):
        case(f"identity_{opset}", [node("Identity", "x", "i"), node("Relu", "i", "r"),
                                   node("Identity", "r")], (3, 4), opset=opset)
    case("cast_float", [node("Cast", "x", "c", to=TensorProto.FLOAT), node("Relu", "c")], (3, 4))
    case("expanded_constant",
         [node("Expand", ["c", "s"], "e"), node("Add", ["x", "e"])], (3, 4, 5),
         {"c": rand(3, 1, 1), "s": ints(3, 1, 1)})
    case("constant_of_shape",
         [node("ConstantOfShape", "s", "c",
               value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.25])),
          node("Add", ["x", "c"])], (3, 4, 5), {"s": ints(3, 1, 1)})
    case("folded_floats",
         [node("Add", ["v", "eps"], "ve"), node("Sqrt", "ve", "d"), node("Div", ["g", "d"], "s"),
          node("Mul", ["x", "s"])], (3, 4, 5),
         {"v": rand(3, 1, 1, low=0.5, high=2), "eps": scalar(1e-3), "g": rand(3, 1, 1)})
    case("folded_layout",
         [node("Reshape", ["w", "s"], "r"), node("Slice", ["r", "a", "b", "axes", "steps"], "c"),
          node("Concat", ["c", "c"], "d", axis=1), node("Squeeze", ["d", "last"], "e"),
          node("Gather", ["e", "order"], "f", axis=1), node("MatMul", ["x", "f"])], (6,),
         {"w": rand(48), "s": ints(6, -1, 1), "a": ints(-1, 1), "b": ints(-99, 7),
          "axes": ints(0, 1), "steps": ints(-1, 2), "last": ints(2), "order": ints(5, 0, -1, 2)})


def axes_beyond_three():
    shuffle = [node("Reshape", ["x", "s"], "g"), node("Transpose", "g", "t", perm=[0, 2, 1, 3, 4]),
               node("Reshape", ["t", "u"])]
    case("shuffle_channels", shuffle, (6, 4, 5), {"s": ints(0, 2, 3, 4, 5), "u": ints(0, 6, 4, 5)})
    case("shuffle_between_layers",
         [node("Conv", ["x", "w"], "c"), node("Reshape", ["c", "s"], "g"), shuffle[1],
          node("Reshape", ["t", "u"], "v"),
          node("Conv", ["v", "k"])], (3, 4, 5),
         {"w": rand(6, 3, 1, 1), "s": ints(0, 2, 3, 4, 5), "u": ints(0, 6, 4, 5),
          "k": rand(4, 6, 3, 3)})
    case("heads",
         [node("MatMul", ["x", "w"], "m"), node("Reshape", ["m", "s"], "h"),
          node("Transpose", "h", "t", perm=[0, 2, 1, 3]), node("Softmax", "t", "p", axis=-1),
          node("Transpose", "p", "q", perm=[0, 2, 1, 3]), node("Reshape", ["q", "u"])], (5, 8),
         {"w": rand(8, 12), "s": ints(0, 0, 3, 4), "u": ints(0, 0, 12)})
    case("windows",
         [node("Reshape", ["x", "s"], "g"), node("Transpose", "g", "t", perm=[0, 1, 3, 2, 4, 5]),
          node("Relu", "t", "r"), node("Reshape", ["r", "u"])], (4, 6, 3),
         {"s": ints(0, 2, 2, 3, 2, 3), "u": ints(0, 6, 12)})
    case("pixel_shuffle_by_axes",
         [node("Conv", ["x", "w"], "c"), node("Reshape", ["c", "s"], "g"),
          node("Transpose", "g", "t", perm=[0, 1, 4, 2, 5, 3]), node("Reshape", ["t", "u"], "v"),
          node("Conv", ["v", "k"])], (3, 4, 5),
         {"w": rand(8, 3, 1, 1), "s": ints(0, 2, 2, 2, 4, 5), "u": ints(0, 2, 8, 10),
          "k": rand(1, 2, 3, 3)})
    five = {"s": ints(0, 2, 3, 4, 5)}
    for axis in range(1, 5):
        case(f"concat_four_axes_{axis}",
             [node("Reshape", ["x", "s"], "g"), node("Relu", "g", "r"),
              node("Concat", ["g", "r"], axis=axis)], (6, 4, 5), five)
    case("arithmetic_four_axes",
         [node("Reshape", ["x", "s"], "g"), node("Tanh", "g", "r"), node("Add", ["g", "r"], "a"),
          node("Mul", ["a", "r"])], (6, 4, 5), five)
    case("pad_four_axes",
         [node("Reshape", ["x", "s"], "g"), node("Pad", ["g", "p", "v"])], (6, 4, 5),
         five | {"p": ints(0, 1, 0, 0, 2, 0, 0, 0, 1, 0), "v": scalar(0.5)})


def movements():
    for opset in (7, 9):
        case(f"slice_{opset}", node("Slice", "x", starts=[1, -3], ends=[99, -1], axes=[2, 3]),
             (3, 4, 5), opset=opset)
    case("slice_without_axes_7", node("Slice", "x", starts=[0, 1], ends=[2**63 - 1, 2]),
         (3, 4, 5), opset=7)
    for opset in (10, 11, 13, 24):
        case(f"slice_{opset}", node("Slice", ["x", "a", "b", "d"]), (3, 4, 5),
             {"a": ints(1, -3), "b": ints(99, -1), "d": ints(2, 3)}, opset)
    for name, a, b, d, s in (("steps", (0, 1), (99, 99), (2, 3), (2, 3)),
                             ("backwards", (-1, 3), (-99, 0), (1, -1), (-1, -2)),
                             ("last", (-1,), (2**31 - 1,), (3,), (1,)),
                             ("batch", (0, 1), (2**63 - 1, 3), (0, 1), (1, 1)),
                             ("chomp", (0,), (-2,), (-1,), (1,))):
        case(f"slice_{name}", [node("Slice", ["x", "a", "b", "d", "s"], "v"), node("Relu", "v")],
             (3, 4, 5), {"a": ints(*a), "b": ints(*b), "d": ints(*d), "s": ints(*s)})
    case("slice_nothing", [node("Slice", ["x", "a", "b"], "v"), node("Relu", "v")], (3, 4),
         {"a": ints(0, 0), "b": ints(2**63 - 1, 3)})
    case("focus",
         [*(node("Slice", ["x", f"{i}{j}", "b", "d", "s"], f"v{i}{j}")
            for i in (0, 1) for j in (0, 1)),
          node("Concat", ["v00", "v10", "v01", "v11"], "c", axis=1), node("Conv", ["c", "w"])],
         (3, 6, 8), {"b": ints(99, 99), "d": ints(2, 3), "s": ints(2, 2), "w": rand(4, 12, 3, 3)}
         | {f"{i}{j}": ints(i, j) for i in (0, 1) for j in (0, 1)})

    def joined(*parts):
        parts = [*parts]
        return [*(node("Tanh", p, f"{p}_t") for p in parts[1:]),
                node("Concat", [*(f"{p}_t" for p in parts[1:]), parts[0]], axis=1)]

    for opset in (7, 11):
        case(f"split_{opset}", [node("Split", "x", ["a", "b", "c"], axis=1), *joined("a", "b", "c")],
             (6, 4, 5), opset=opset)
        case(f"split_sizes_{opset}",
             [node("Split", "x", ["a", "b"], axis=1, split=[1, 5]), *joined("a", "b")],
             (6, 4, 5), opset=opset)
    case("split_13", [node("Split", "x", ["a", "b"], axis=-3), *joined("a", "b")], (6, 4, 5))
    case("split_sizes_13", [node("Split", ["x", "s"], ["a", "b", "c"], axis=1),
                            *joined("a", "b", "c")], (6, 4, 5), {"s": ints(1, 3, 2)})
    case("split_uneven", [node("Split", "x", ["a", "b", "c"], axis=1, num_outputs=3),
                          *joined("a", "b", "c")], (7, 4, 5), opset=18)
    case("split_unused", [node("Split", "x", ["a", "b", "c"], axis=3), node("Relu", "b")],
         (3, 4, 6))
    case("split_one", [node("Split", "x", ["a"], axis=1), node("Relu", "a")], (3, 4))
    case("c2f",
         [node("Conv", ["x", "w"], "c"), node("Split", "c", ["a", "b"], axis=1),
          node("Conv", ["b", "k"], "d", pads=[1] * 4), node("Add", ["b", "d"], "e"),
          node("Concat", ["a", "b", "e"], "f", axis=1), node("Conv", ["f", "l"])], (3, 5, 6),
         {"w": rand(8, 3, 1, 1), "k": rand(4, 4, 3, 3), "l": rand(5, 12, 1, 1)})
    for opset in (7, 11, 13):
        case(f"gather_{opset}", node("Gather", ["x", "i"], axis=1), (4, 3, 2), {"i": ints(3, 0, 0)},
             opset)
    case("gather_negative", node("Gather", ["x", "i"], axis=-1), (4, 5), {"i": ints(-1, 0)})
    case("gather_one", node("Gather", ["x", "i"], axis=2), (4, 5), {"i": np.array(-1, np.int64)})
    case("gather_token", [node("Gather", ["x", "i"], "t", axis=1), node("Gemm", ["t", "w"])],
         (5, 6), {"i": np.array(0, np.int64), "w": rand(6, 3)})
    case("gather_table", node("Gather", ["x", "i"], axis=1), (4, 3),
         {"i": np.array([[1, 2, 0], [3, 3, -1]], np.int64)})
    for opset in (7, 13):
        case(f"tile_{opset}", node("Tile", ["x", "r"]), (3, 2, 4), {"r": ints(1, 2, 1, 3)}, opset)
    for opset in (9, 13):
        case(f"expand_{opset}", [node("Relu", "x", "r"), node("Expand", ["r", "s"])], (3, 1, 4),
             {"s": ints(1, 1, 5, 4)}, opset)
    case("expand_from_shape",
         [node("GlobalAveragePool", "x", "g"), node("Shape", "x", "s"), node("Expand", ["g", "s"], "e"),
          node("Concat", ["x", "e"], axis=1)], (3, 4, 5))
    case("expand_fewer", node("Expand", ["x", "s"]), (3, 1), {"s": ints(3, 4)})
    for opset in (7, 11, 13):
        case(f"depth_to_space_{opset}", node("DepthToSpace", "x", blocksize=2), (12, 3, 4),
             opset=opset)
        case(f"space_to_depth_{opset}", node("SpaceToDepth", "x", blocksize=2), (3, 4, 6),
             opset=opset)
    for mode in ("DCR", "CRD"):
        case(f"depth_to_space_{mode.lower()}", node("DepthToSpace", "x", blocksize=3, mode=mode),
             (18, 2, 3))
    case("super_resolution",
         [node("Conv", ["x", "w"], "c", pads=[1] * 4),
          node("DepthToSpace", "c", "d", blocksize=2, mode="CRD"), node("Conv", ["d", "k"])],
         (2, 5, 4), {"w": rand(12, 2, 3, 3), "k": rand(1, 3, 3, 3)})
    for mode in ("reflect", "edge"):
        for opset in (7, 11, 18):
            inputs = ["x", "p"] if opset >= 11 else "x"
            pads = [0, 0, 2, 1, 0, 0, 1, 3]
            attributes = {} if opset >= 11 else {"pads": pads}
            case(f"pad_{mode}_{opset}", node("Pad", inputs, mode=mode, **attributes), (3, 4, 5),
                 {"p": ints(*pads)} if opset >= 11 else {}, opset)
    case("pad_wrap", node("Pad", ["x", "p"], mode="wrap"), (4, 5), {"p": ints(0, 1, 3, 0, 2, 1)}, 19)
    case("pad_reflect_layer", [node("Pad", ["x", "p"], "a", mode="reflect"), node("Conv", ["a", "w"])],
         (3, 6, 5), {"p": ints(0, 0, 1, 1, 0, 0, 1, 1), "w": rand(2, 3, 3, 3)})
    case("pad_crop", node("Pad", ["x", "p", "v"]), (3, 4, 5),
         {"p": ints(0, 0, -1, 2, 0, 0, 1, -3), "v": scalar(0.5)})
    case("pad_crop_alone", node("Pad", ["x", "p"]), (3, 6), {"p": ints(0, 0, -2, 0, -1, -1)})


def resizes():
    case("upsample_7", node("Upsample", "x", scales=[1.0, 1.0, 2.0, 3.0]), (3, 4, 5), opset=7)
    case("upsample_9", node("Upsample", ["x", "s"], mode="nearest"), (3, 4, 5),
         {"s": floats(1, 1, 2, 2)}, 9)
    case("resize_10", node("Resize", ["x", "s"]), (3, 4, 5), {"s": floats(1, 1, 2, 2.5)}, 10)
    case("resize_smaller_10", node("Resize", ["x", "s"]), (3, 8, 9), {"s": floats(1, 1, 0.5, 0.4)}, 10)
    for coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        for nearest in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"):
            for name, to in (("larger", (7, 11)), ("double", (8, 10)), ("smaller", (2, 3))):
                case(f"resize_{coordinates}_{nearest}_{name}",
                     node("Resize", ["x", "", "", "s"], nearest_mode=nearest,
                          coordinate_transformation_mode=coordinates), (2, 4, 5),
                     {"s": ints(1, 2, *to)}, batch=1)
    case("resize_tf_half_pixel",
         node("Resize", ["x", "r", "s"], nearest_mode="floor",
              coordinate_transformation_mode="tf_half_pixel_for_nn"), (2, 4, 5),
         {"r": floats(), "s": floats(1, 1, 2, 2)}, 11)
    for opset in (11, 13, 18, 19):
        case(f"resize_scales_{opset}", node("Resize", ["x", "r", "s"], nearest_mode="floor",
                                            coordinate_transformation_mode="asymmetric"), (3, 4, 5),
             {"r": floats(), "s": floats(1, 1, 2, 2)}, opset)
    case("resize_symmetric",
         node("Resize", ["x", "", "s"], coordinate_transformation_mode="half_pixel_symmetric"),
         (2, 5, 6), {"s": floats(1, 1, 1.5, 0.7)}, 19)
    case("resize_axes", node("Resize", ["x", "", "", "s"], axes=[2, 3], nearest_mode="floor"),
         (2, 4, 5), {"s": ints(8, 10)}, 18)
    case("resize_sequence", node("Resize", ["x", "", "s"]), (3, 6), {"s": floats(1, 1, 2)})
    case("unet_upsampling",
         [node("MaxPool", "x", "m", kernel_shape=[2, 2], strides=[2, 2]),
          node("Conv", ["m", "w"], "c"),
          node("Resize", ["c", "", "s"], "u", nearest_mode="floor",
               coordinate_transformation_mode="asymmetric"),
          node("Concat", ["u", "x"], "j", axis=1), node("Conv", ["j", "k"])], (3, 6, 8),
         {"w": rand(4, 3, 1, 1), "s": floats(1, 1, 2, 2), "k": rand(2, 7, 3, 3)})


def norm_pools():
    for p in (1, 2):
        case(f"global_lp_pool_{p}", node("GlobalLpPool", "x", p=p), (3, 4, 5))
        case(f"lp_pool_{p}", node("LpPool", "x", kernel_shape=[2, 3], p=p), (3, 5, 6))
        case(f"lp_pool_pads_{p}", node("LpPool", "x", kernel_shape=[3, 2], strides=[2, 1],
                                       pads=[1, 0, 1, 1], p=p), (2, 5, 6))
        case(f"lp_pool_same_{p}", node("LpPool", "x", kernel_shape=[3, 3], strides=[2, 2],
                                       auto_pad="SAME_UPPER", p=p), (2, 5, 6))
        case(f"lp_pool_1d_{p}", node("LpPool", "x", kernel_shape=[3], strides=[2], p=p), (2, 9))
    case("lp_pool_default", node("LpPool", "x", kernel_shape=[2, 2]), (2, 4, 4), opset=11)
    case("lp_pool_dilations", node("LpPool", "x", kernel_shape=[2, 2], dilations=[2, 2]), (2, 5, 5),
         opset=18)


def linear_resizes():
    def linear(name, nodes, shape, constants, opset=13):
        case(f"linear_{name}", nodes, shape, constants, opset, batch=1)

    linear("upsample_7", node("Upsample", "x", scales=[1.0, 1.0, 2.0, 3.0], mode="linear"),
           (3, 4, 5), {}, 7)
    linear("upsample_9", node("Upsample", ["x", "s"], mode="linear"), (3, 4, 5),
           {"s": floats(1, 1, 2, 2)}, 9)
    for name, scales in (("larger", (2, 2.5)), ("smaller", (0.5, 0.4))):
        linear(f"10_{name}", node("Resize", ["x", "s"], mode="linear"), (3, 8, 9),
               {"s": floats(1, 1, *scales)}, 10)
    for coordinates in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"):
        for name, to in (("larger", (7, 11)), ("double", (8, 10)), ("smaller", (2, 3)),
                         ("one", (1, 5)), ("large", (90, 7))):
            linear(f"{coordinates}_{name}",
                   node("Resize", ["x", "", "", "s"], mode="linear",
                        coordinate_transformation_mode=coordinates), (2, 4, 5),
                   {"s": ints(1, 2, *to)})
    for opset in (11, 13, 18, 19):
        linear(f"scales_{opset}", node("Resize", ["x", "r", "s"], mode="linear"), (3, 4, 5),
               {"r": floats(), "s": floats(1, 1, 2, 1.7)}, opset)
    linear("symmetric", node("Resize", ["x", "", "s"], mode="linear",
                             coordinate_transformation_mode="half_pixel_symmetric"),
           (2, 5, 6), {"s": floats(1, 1, 1.5, 0.7)}, 19)
    linear("axes", node("Resize", ["x", "", "", "s"], axes=[2, 3], mode="linear"), (2, 4, 5),
           {"s": ints(8, 10)}, 18)
    linear("not_larger", node("Resize", ["x", "", "", "s"], axes=[2, 3], mode="linear",
                              keep_aspect_ratio_policy="not_larger"), (2, 4, 5),
           {"s": ints(8, 9)}, 18)
    linear("net", [node("Conv", ["x", "w"], "c", strides=[2, 2], pads=[1, 1, 1, 1]),
                   node("Relu", "c", "r"),
                   node("Resize", ["r", "", "s"], "u", mode="linear"),
                   node("Conv", ["u", "k"])], (3, 6, 8),
           {"w": rand(4, 3, 3, 3), "s": floats(1, 1, 2, 2), "k": rand(2, 4, 3, 3)})


def storage():
    w = rand(4, 6)
    node_ = node("Gemm", ["x", "w"], transB=1)
    raw = lambda a, kind: TensorProto(name="w", dims=a.shape, data_type=kind,
                                      raw_data=a.tobytes())
    case("storage_raw", node_, (6,), tensors=[raw(w, TensorProto.FLOAT)])
    typed = TensorProto(name="w", dims=w.shape, data_type=TensorProto.FLOAT)
    typed.float_data.extend(w.ravel())
    case("storage_typed", node_, (6,), tensors=[typed])
    cast = [node("Cast", "w", "f", to=TensorProto.FLOAT), node("Gemm", ["x", "f"], transB=1)]
    for name, kind, a in (("half", TensorProto.FLOAT16, w.astype(np.float16)),
                          ("double", TensorProto.DOUBLE, w.astype(np.float64))):
        case(f"storage_{name}_raw", cast, (6,), tensors=[raw(a, kind)])
        case(f"storage_{name}_typed", cast, (6,),
             tensors=[helper.make_tensor("w", kind, a.shape, a.ravel())])
    bf16 = TensorProto(name="w", dims=w.shape, data_type=TensorProto.BFLOAT16)
    bf16.raw_data = (w.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    case("storage_bfloat16_raw", cast, (6,), tensors=[bf16])
    whole = RNG.integers(-100, 100, (4, 6))
    for name, kind, dtype in (("int8", TensorProto.INT8, np.int8),
                              ("uint8", TensorProto.UINT8, np.uint8),
                              ("int16", TensorProto.INT16, np.int16),
                              ("uint16", TensorProto.UINT16, np.uint16),
                              ("int32", TensorProto.INT32, np.int32),
                              ("uint32", TensorProto.UINT32, np.uint32),
                              ("int64", TensorProto.INT64, np.int64),
                              ("uint64", TensorProto.UINT64, np.uint64)):
        a = (np.abs(whole) if name[0] == "u" else whole).astype(dtype)
        case(f"storage_{name}_raw", cast, (6,), tensors=[raw(a, kind)])
        case(f"storage_{name}_typed", cast, (6,),
             tensors=[helper.make_tensor("w", kind, a.shape, a.ravel().tolist())])
    case("storage_bool", cast, (6,),
         tensors=[helper.make_tensor("w", TensorProto.BOOL, (4, 6), (whole > 0).ravel().tolist())])


def batch_norm(prefix, channels):
    """Constants of a batch normalization and the names of its inputs behind the first."""
    constants = {f"{prefix}{k}": rand(channels) for k in ("s", "b", "m")}
    constants[f"{prefix}v"] = rand(channels, low=0.3, high=2.0)
    return constants, list(constants)


def foldings():
    """What passes fold into weights, in every order and around everything that forbids it."""
    bn = lambda x, y, names: node("BatchNormalization", [x, *names], y)
    convs = {"plain": ((8, 6, 3, 3), {}), "padded": ((8, 6, 3, 3), {"pads": [1, 0, 2, 1]}),
             "grouped": ((8, 3, 3, 3), {"group": 2}),
             "grouped_padded": ((8, 3, 3, 3), {"group": 2, "pads": [1] * 4}),
             "depthwise": ((6, 1, 3, 3), {"group": 6}),
             "multiplied": ((12, 1, 3, 3), {"group": 6, "strides": [2, 1]}),
             "same": ((8, 6, 3, 3), {"auto_pad": "SAME_UPPER", "strides": [2, 2]})}
    for name, (weight, attributes) in convs.items():
        before, b = batch_norm("p", 6)
        after, a = batch_norm("q", weight[0])
        for bias in (False, True):
            constants = {"w": rand(*weight)} | ({"c": rand(weight[0])} if bias else {})
            conv = lambda x, y: node("Conv", [x, *constants], y, **attributes)
            tag = f"{name}_biased" if bias else name
            case(f"fold_{tag}_before", [bn("x", "n", b), conv("n", "y")], (6, 7, 8),
                 constants | before)
            case(f"fold_{tag}_after", [conv("x", "c1"), bn("c1", "y", a)], (6, 7, 8),
                 constants | after)
            case(f"fold_{tag}_around_relus",
                 [bn("x", "n", b), node("Relu", "n", "r"), conv("r", "c1"), bn("c1", "d", a),
                  node("Relu", "d")], (6, 7, 8), constants | before | after)
            case(f"fold_{tag}_around_without_relus",
                 [bn("x", "n", b), conv("n", "c1"), bn("c1", "d", a), node("Mul", ["d", "k"], "e"),
                  node("Add", ["e", "k"])], (6, 7, 8),
                 constants | before | after | {"k": rand(weight[0], 1, 1)})
            case(f"fold_{tag}_scaled_before", [node("Mul", ["x", "k"], "n"), conv("n", "y")],
                 (6, 7, 8), constants | {"k": rand(6, 1, 1)})
    constants, names = batch_norm("n", 4)
    w = {"w": rand(4, 3, 3, 3)}
    conv = node("Conv", ["x", "w"], "c")
    case("fold_shared_before_norm",
         [conv, bn("c", "d", names), node("Add", ["c", "d"])], (3, 6, 6), w | constants)
    case("fold_shared_norm",
         [conv, bn("c", "d", names), node("Relu", "d", "e"), node("Mul", ["d", "e"])], (3, 6, 6),
         w | constants)
    case("fold_clip_between", [conv, node("Relu", "c", "r"), bn("r", "y", names)], (3, 6, 6),
         w | constants)
    case("fold_norm_twice", [bn("x", "c", names), bn("c", "d", names), bn("d", "y", names)],
         (4, 3, 3), constants)
    case("fold_clips",
         [conv, node("Clip", ["c", "a", "b"], "d"), node("Relu", "d", "e"),
          node("Clip", ["e", "", "h"])], (3, 6, 6),
         w | {"a": scalar(-1), "b": scalar(2), "h": scalar(0.5)})
    case("fold_disjoint_clips",
         [conv, node("Clip", ["c", "", "a"], "d"), node("Clip", ["d", "b", ""])], (3, 6, 6),
         w | {"a": scalar(-1), "b": scalar(2)})
    case("fold_through_pool",
         [bn("x", "c", names), node("MaxPool", "c", "p", kernel_shape=[2, 2]),
          node("Conv", ["p", "w"])], (4, 6, 6), {"w": rand(3, 4, 3, 3)} | constants)
    case("fold_through_pad",
         [bn("x", "c", names), node("Pad", ["c", "p"], "d"), node("Conv", ["d", "w"])], (4, 6, 6),
         {"w": rand(3, 4, 3, 3), "p": ints(0, 0, 1, 1, 0, 0, 1, 1)} | constants)
    case("fold_through_flatten",
         [bn("x", "c", names), node("Flatten", "c", "f"), node("Gemm", ["f", "w", "b"])],
         (4, 3, 2), {"w": rand(24, 5), "b": rand(5)} | constants)
    case("fold_through_transpose_and_flatten",
         [bn("x", "c", names), node("Transpose", "c", "t", perm=[0, 2, 3, 1]),
          node("Flatten", "t", "f"), node("Gemm", ["f", "w"])], (4, 3, 2),
         {"w": rand(24, 5)} | constants)
    case("fold_through_reshape",
         [bn("x", "c", names), node("Reshape", ["c", "s"], "r"), node("Conv", ["r", "w"])],
         (4, 3, 2), {"w": rand(5, 2, 3, 2), "s": ints(0, 2, 3, 4)} | constants)
    case("fold_linear_after", [node("Gemm", ["x", "w", "b"], "c"), bn("c", "d", names),
                               node("Relu", "d")], (6,), {"w": rand(6, 4), "b": rand(4)} | constants)
    case("fold_linear_before", [bn("x", "c", names), node("Gemm", ["c", "w"])], (4,),
         {"w": rand(4, 5)} | constants)
    rows, row_names = batch_norm("n", 5)
    case("fold_rows_after", [node("MatMul", ["x", "w"], "c"), bn("c", "y", row_names)], (5, 6),
         {"w": rand(6, 5)} | rows)
    case("fold_rows_before", [bn("x", "c", row_names), node("MatMul", ["c", "w"])], (5, 5),
         {"w": rand(5, 4)} | rows)
    case("fold_sequence",
         [bn("x", "c", row_names), node("Conv", ["c", "w"], "d", pads=[1, 1]),
          node("Relu", "d")], (5, 9), {"w": rand(4, 5, 3)} | rows)


def files():
    """How files may be written."""
    nodes = [node("Conv", ["x", "w"], "a", pads=[1] * 4), node("Relu", "a", "b"),
             node("Add", ["b", "x"], "c"), node("GlobalAveragePool", "c", "d"),
             node("Flatten", "d", "e"), node("Gemm", ["e", "v"])]
    constants = {"w": rand(3, 3, 3, 3), "v": rand(3, 4)}
    for batch in ("N", None, 1, 5):
        case(f"file_batch_{batch}", nodes, (3, 5, 6), constants, batch=batch)
    unnamed = [onnx.NodeProto.FromString(n.SerializeToString()) for n in nodes]
    for n in unnamed:
        n.ClearField("name")
    case("file_without_names", unnamed, (3, 5, 6), constants)
    # ONNX Runtime refuses unsorted files: it judges the sorted one.
    case("file_unsorted", nodes, (3, 5, 6), constants)
    model = onnx.load(OUT / "file_unsorted.onnx")
    shuffled = [model.graph.node[i] for i in RNG.permutation(len(nodes))]
    del model.graph.node[:]
    model.graph.node.extend(shuffled)
    onnx.save(model, OUT / "file_unsorted.onnx")
    case("file_dead_nodes", [*nodes, node("Gelu", "c", "z"), node("TopK", ["e", "k"], ["t", "i"])],
         (3, 5, 6), constants | {"k": ints(1)}, opset=20)
    case("file_domain", [helper.make_node("Relu", ["x"], ["y"], domain="ai.onnx")], (3, 4))


class Network:
    """A random network, grown node by node from values whose sample shapes are known."""

    def __init__(self):
        self.nodes, self.constants = [], {}
        self.values = {"x": tuple(int(RNG.integers(low, 9)) for low in (2, 4, 4))}
        self.unread = ["x"]

    def constant(self, array):
        name = f"k{len(self.constants)}"
        self.constants[name] = array
        return name

    def weight(self, *shape):
        bound = 1.5 / np.sqrt(np.prod(shape[1:]))
        return self.constant(rand(*shape, low=-bound, high=bound))

    def add(self, op, inputs, shape, **attributes):
        output = f"v{len(self.nodes)}"
        self.nodes.append(node(op, inputs, output, **attributes))
        self.values[output] = tuple(int(d) for d in shape)
        self.unread = [v for v in self.unread if v not in inputs] + [output]

    def grow(self):
        source = self.unread[-1] if RNG.random() < 0.8 else str(RNG.choice(list(self.values)))
        shape = self.values[source]
        steps = [self.activation, self.norm, self.affine, self.pair]
        if len(shape) == 1:
            steps += [self.dense, self.dense, self.unflatten, self.softmax]
        else:
            steps += [self.conv, self.conv, self.conv, self.pool, self.pad, self.transpose,
                      self.concat, self.mean, self.flatten]
        if len(shape) == 2:
            steps += [self.rows]
        RNG.choice(steps)(source, shape)

    def activation(self, x, shape):
        op = str(RNG.choice(["Relu", "Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSwish",
                             "HardSigmoid"]))
        bounds = [self.constant(scalar(v)) for v in (-0.5, 1.5)] if op == "Clip" else []
        self.add(op, [x, *bounds], shape)

    def norm(self, x, shape):
        constants, _ = batch_norm("", shape[0])
        self.add("BatchNormalization", [x, *map(self.constant, constants.values())], shape)

    def affine(self, x, shape):
        axis = int(RNG.integers(len(shape)))
        form = [d if i == axis else 1 for i, d in enumerate(shape)] if RNG.random() < 0.7 else []
        op = str(RNG.choice(["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"]))
        inputs = [x, self.constant(rand(*form, low=0.5, high=2))]
        self.add(op, inputs[::-1] if op not in ("Div", "PRelu") and RNG.random() < 0.5 else inputs, shape)

    def pair(self, x, shape):
        fits = [v for v, s in self.values.items()
                if s == shape or (len(s) == len(shape) and s in ((shape[0], 1, 1), (1, 1, 1)))]
        inputs = [x, str(RNG.choice(fits))]
        self.add(str(RNG.choice(["Add", "Mul", "Sub", "Max", "Min"])),
                 inputs[::-1] if RNG.random() < 0.5 else inputs, shape)

    def dense(self, x, shape):
        out = int(RNG.integers(2, 9))
        weight = self.weight(out, shape[0])
        if RNG.random() < 0.5:
            self.add("Gemm", [x, weight, self.constant(rand(out))], (out,), transB=1)
        else:
            self.constants[weight] = np.ascontiguousarray(self.constants[weight].T)
            self.add("MatMul", [x, weight], (out,))
            self.add("Add", [self.unread[-1], self.constant(rand(out))], (out,))

    def rows(self, x, shape):
        self.add("MatMul", [x, self.constant(rand(shape[1], 5))], (shape[0], 5))
        if RNG.random() < 0.5:
            self.add("Add", [self.unread[-1], self.constant(rand(5))], (shape[0], 5))

    def softmax(self, x, shape):
        self.add(str(RNG.choice(["Softmax", "LogSoftmax"])), [x], shape)

    def window(self, extents, largest):
        rank = len(extents)
        kernel = [int(RNG.integers(1, min(largest, d) + 1)) for d in extents]
        dilation = [int(RNG.integers(1, 3)) if (k - 1) * 2 < d else 1
                    for k, d in zip(kernel, extents)]
        stride = [int(v) for v in RNG.integers(1, 3, rank)]
        pads = [int(RNG.integers(0, kernel[i % rank])) for i in range(2 * rank)]
        if RNG.random() < 0.4:
            pads = [0] * (2 * rank)
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
        out = [(e + pads[i] + pads[rank + i] - reach[i]) // stride[i] + 1
               for i, e in enumerate(extents)]
        return kernel, {"strides": stride, "dilations": dilation, "pads": pads}, out

    def conv(self, x, shape):
        kernel, attributes, out = self.window(shape[1:], 3)
        group = int(RNG.choice([g for g in range(1, shape[0] + 1) if shape[0] % g == 0]))
        channels = group * int(RNG.integers(1, 4))
        inputs = [x, self.weight(channels, shape[0] // group, *kernel)]
        if RNG.random() < 0.5:
            inputs.append(self.constant(rand(channels)))
        self.add("Conv", inputs, (channels, *out), group=group, **attributes)

    def pool(self, x, shape):
        kernel, attributes, out = self.window(shape[1:], 3)
        op = str(RNG.choice(["MaxPool", "AveragePool", "GlobalAveragePool"]))
        if op == "GlobalAveragePool":
            return self.add(op, [x], (shape[0], *[1] * len(kernel)))
        if op == "AveragePool":
            attributes["count_include_pad"] = int(RNG.integers(2))
        self.add(op, [x], (shape[0], *out), kernel_shape=kernel, **attributes)

    def pad(self, x, shape):
        pads = [int(v) for v in RNG.integers(0, 2, 2 * len(shape))]
        before, after = pads[:len(shape)], pads[len(shape):]
        self.add("Pad", [x, self.constant(ints(0, *before, 0, *after)),
                         self.constant(scalar(0.5))],
                 [d + b + a for d, b, a in zip(shape, before, after)])

    def transpose(self, x, shape):
        order = [int(v) for v in RNG.permutation(len(shape))]
        self.add("Transpose", [x], [shape[i] for i in order], perm=[0, *(i + 1 for i in order)])

    def concat(self, x, shape):
        axis = int(RNG.integers(len(shape)))
        rest = lambda s: (len(s), *s[:axis], *s[axis + 1:])
        fits = [v for v, s in self.values.items() if rest(s) == rest(shape)]
        others = [str(RNG.choice(fits)) for _ in range(RNG.integers(1, 3))]
        total = shape[axis] + sum(self.values[v][axis] for v in others)
        self.add("Concat", [x, *others], (*shape[:axis], total, *shape[axis + 1:]), axis=axis + 1)

    def mean(self, x, shape):
        keep = int(RNG.integers(2))
        kept = (1,) * (len(shape) - 1) if keep else ()
        axes = self.constant(ints(*range(2, len(shape) + 1)))
        self.add("ReduceMean", [x, axes], (shape[0], *kept), keepdims=keep)

    def flatten(self, x, shape):
        self.add("Flatten", [x], (np.prod(shape),))

    def unflatten(self, x, shape):
        factors = [f for f in range(1, shape[0] + 1) if shape[0] % f == 0]
        first = int(RNG.choice(factors))
        second = int(RNG.choice([f for f in factors if shape[0] // first % f == 0]))
        target = (first, second, shape[0] // first // second)
        self.add("Reshape", [x, self.constant(ints(-1, *target))], target)


def networks():
    for index in range(200):
        network = Network()
        for _ in range(RNG.integers(3, 16)):
            network.grow()
        network.nodes[-1].output[0] = "y"
        case(f"network_{index}", network.nodes, network.values["x"], network.constants, opset=21,
             low=-1.0, high=1.0)


def assets(folder):
    import tomllib
    for name in ("ic", "kws", "vww", "ad"):
        task = tomllib.loads((folder / name / "task.toml").read_text())
        x = np.load(folder / name / "eval_x.npy", mmap_mode="r")[:64].astype(np.float32)
        x *= np.float32(task["input_scale"])
        if frames := task.get("window_frames"):
            x = np.stack([clip[:frames].ravel() for clip in x])
        model = onnx.load(folder / name / "model.onnx")
        want = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
        judge(f"asset_{name}", model, x.reshape(len(x), *want))


def choices():
    """Comparisons and the choice between values, alone and as exporters write activations with them."""
    def chosen(name, nodes, constants, shape=(4, 6), opset=17, **more):
        case(f"choice_{name}", nodes, shape, constants, opset, **more)

    zero, half, minus = scalar(0.0), scalar(0.5), scalar(-0.5)
    for op in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"):
        truth = [node("Round", "x", "r")]
        cast = [node("Cast", "t", to=TensorProto.FLOAT)]
        chosen(f"{op.lower()}_number", truth + [node(op, ["r", "c"], "t")] + cast, {"c": scalar(1.0)})
        chosen(f"{op.lower()}_turned", truth + [node(op, ["c", "r"], "t")] + cast, {"c": scalar(1.0)})
        chosen(f"{op.lower()}_row", truth + [node(op, ["r", "c"], "t")] + cast,
               {"c": np.round(rand(6, low=-2, high=2))})
        chosen(f"{op.lower()}_values", truth + [node("Abs", "r", "a"), node(op, ["r", "a"], "t")] + cast, {})
    both = [node("Greater", ["x", "a"], "g"), node("Less", ["x", "b"], "l")]
    for op in ("And", "Or", "Xor"):
        chosen(op.lower(), both + [node(op, ["g", "l"], "t"), node("Not", "t", "n"),
                                   node("Cast", "n", to=TensorProto.FLOAT)], {"a": minus, "b": half})
        chosen(f"{op.lower()}_constant", both[:1] + [node(op, ["g", "m"], "t"),
                                                     node("Cast", "t", to=TensorProto.FLOAT)],
               {"a": minus, "m": np.array([True, False, True, True, False, False])})
    chosen("to_truths", [node("Round", "x", "r"), node("Cast", "r", "t", to=TensorProto.BOOL),
                         node("Cast", "t", "i", to=TensorProto.INT64), node("Cast", "i", to=TensorProto.FLOAT)], {})
    other = [node("Mul", ["x", "x"], "s"), node("Greater", ["s", "a"], "t")]
    chosen("of_values", other + [node("Where", ["t", "x", "s"])], {"a": half})
    chosen("of_numbers", other + [node("Where", ["t", "b", "c"])], {"a": half, "b": scalar(2.0), "c": minus})
    chosen("of_row", other + [node("Where", ["t", "b", "x"])], {"a": half, "b": rand(6)})
    chosen("of_number_and_value", other + [node("Where", ["t", "b", "x"])], {"a": half, "b": scalar(2.0)})
    chosen("or_nothing", other + [node("Where", ["t", "x", "z"])], {"a": half, "z": zero})
    chosen("by_channel", [node("ReduceMean", "x", "m", axes=[2]), node("Less", ["m", "z"], "t"),
                          node("Where", ["t", "x", "z"])], {"z": zero})

    # One function each: what PyTorch and Keras write.
    def one(name, nodes, constants):
        chosen(f"{name}_pieces", nodes, constants)

    one("softplus", [node("Softplus", "x", "s"), node("Greater", ["x", "c"], "t"),
                     node("Where", ["t", "x", "s"])], {"c": scalar(20.0)})
    one("leaky", [node("Greater", ["x", "z"], "t"), node("Mul", ["x", "c"], "s"),
                  node("Where", ["t", "x", "s"])], {"z": zero, "c": scalar(0.1)})
    one("threshold", [node("LessOrEqual", ["x", "b"], "t"), node("Where", ["t", "v", "x"])],
        {"b": scalar(0.1), "v": scalar(20.0)})
    one("hardshrink", [node("Abs", "x", "a"), node("LessOrEqual", ["a", "b"], "t"),
                       node("Where", ["t", "z", "x"])], {"b": half, "z": zero})
    one("hardshrink_or", [node("Greater", ["x", "b"], "g"), node("Less", ["x", "m"], "l"),
                          node("Or", ["g", "l"], "t"), node("Where", ["t", "x", "z"])],
        {"b": half, "m": minus, "z": zero})
    one("softshrink", [node("Abs", "x", "a"), node("Greater", ["a", "b"], "t"), node("Sign", "x", "s"),
                       node("Mul", ["s", "b"], "m"), node("Sub", ["x", "m"], "d"), node("Mul", ["x", "z"], "n"),
                       node("Where", ["t", "d", "n"])], {"b": half, "z": zero})
    one("softshrink_sides", [node("Greater", ["x", "b"], "g"), node("Sub", ["x", "b"], "s"),
                             node("Where", ["g", "s", "z"], "u"), node("Less", ["x", "m"], "l"),
                             node("Add", ["x", "b"], "a"), node("Where", ["l", "a", "z"], "v"),
                             node("Add", ["u", "v"])], {"b": half, "m": minus, "z": zero})
    one("elu", [node("Greater", ["x", "z"], "t"), node("Exp", "x", "e"), node("Sub", ["e", "o"], "s"),
                node("Where", ["t", "x", "s"])], {"z": zero, "o": scalar(1.0)})
    for lambd, bias in ((0.5, 0.0), (0.5, 0.5), (1.0, 0.3)):
        case(f"shrink_{lambd}_{bias}", node("Shrink", "x", lambd=lambd, bias=bias), (4, 6))
    case("shrink_default", node("Shrink", "x"), (4, 6))


def by_ids():
    """Lookups of rows by ids."""
    def lookup(name, nodes, constants, ids, kind=TensorProto.INT64, shape=None):
        x = helper.make_tensor_value_info("x", kind, shape or ["N", *ids.shape[1:]])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
        tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
        model = helper.make_model(helper.make_graph(nodes, name, [x], [y], tensors),
                                  opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
        judge(f"lookup_{name}", model, ids)

    rows = 9
    ids = RNG.integers(-rows, rows, (4, 5))
    counted = [node("Less", ["x", "z"], "t"), node("Add", ["x", "n"], "a"), node("Where", ["t", "a", "x"], "i"),
               node("Gather", ["w", "i"])]
    constants = {"w": rand(rows, 3), "z": np.int64(0), "n": np.int64(rows)}
    lookup("counted_from_the_end", counted, constants, ids)
    float32, int32 = TensorProto.FLOAT, TensorProto.INT32
    products = [node("Add", ["x", "n"], "a"), node("Cast", "x", "f", to=float32), node("Less", ["f", "z"], "t"),
                node("Not", "t", "u"), node("Cast", "u", "v", to=int32), node("Mul", ["x", "v"], "p"),
                node("Cast", "t", "s", to=int32), node("Mul", ["s", "a"], "q"), node("Add", ["q", "p"], "i"),
                node("Gather", ["w", "i"])]
    lookup("keras_products", products, {"w": rand(rows, 3), "z": scalar(0.0), "n": np.int32(rows)},
           ids.astype(np.int32), int32)
    column = [node("Gather", ["x", "j"], "c", axis=1), node("Gather", ["w", "c"])]
    lookup("column", column, {"w": rand(rows, 3), "j": np.int64(2)}, ids)
    lookup("one_id", [node("Gather", ["w", "x"])], {"w": rand(rows, 3)},
           ids[:, 0], shape=["batch"])
    for op in ("Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Equal"):
        lookup(f"mask_{op.lower()}", [node(op, ["x", "c"], "t"), node("Cast", "t", to=float32)],
               {"c": np.int64(2)}, ids)


def labels():
    """What scikit-learn's exporter writes behind the probabilities of a classifier."""
    nodes = [node("ArgMax", "x", "a", axis=1),
             node("ArrayFeatureExtractor", ["c", "a"], "l", domain="ai.onnx.ml"),
             node("Reshape", ["l", "s"], "r"), node("Cast", "r", "i", to=TensorProto.INT64),
             node("Unsqueeze", ["i", "b"], "u"), node("Cast", "u", to=TensorProto.FLOAT)]
    tensors = [numpy_helper.from_array(np.arange(5, dtype=np.int32), "c"),
               numpy_helper.from_array(ints(-1), "s"), numpy_helper.from_array(ints(1), "b")]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 5])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opsets = [helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 1)]
    model = helper.make_model(helper.make_graph(nodes, "labels", [x], [y], tensors),
                              opset_imports=opsets, ir_version=8)
    judge("labels_are_places", model, rand(7, 5))


def attentions():
    """`Attention` of the standard: heads joined or apart, shared keys, masks."""
    def attention(name, shape, constants=None, inputs=("x", "x", "x"), opset=23, **attributes):
        case(f"attention_{name}", node("Attention", list(inputs), **attributes), shape, constants or {}, opset)

    attention("4d", (2, 5, 4))
    attention("4d_scale", (2, 5, 4), scale=0.3)
    attention("4d_causal", (2, 5, 4), is_causal=1)
    attention("3d", (5, 8), q_num_heads=2, kv_num_heads=2)
    attention("3d_causal", (5, 8), q_num_heads=4, kv_num_heads=4, is_causal=1)
    attention("softcap", (2, 5, 4), softcap=2.0)
    mask = np.tril(np.ones((5, 5), dtype=bool)) | (RNG.uniform(size=(5, 5)) > 0.5)
    masked = ("x", "x", "x", "m")
    attention("truths", (2, 5, 4), {"m": mask}, masked)
    attention("added", (2, 5, 4), {"m": rand(5, 5)}, masked)
    attention("added_by_head", (2, 5, 4), {"m": rand(1, 2, 5, 5)}, masked)
    attention("infinite", (2, 5, 4), {"m": np.where(mask, 0, -np.inf).astype(np.float32)}, masked)
    attention("causal_and_added", (2, 5, 4), {"m": rand(5, 5)}, masked, is_causal=1)
    shared = [node("Slice", ["x", "s", "e", "a"], "k"), node("Attention", ["x", "k", "k"])]
    case("attention_shared_keys", shared, (4, 5, 6), {"s": ints(1), "e": ints(3), "a": ints(1)}, 23)


def by_lists():
    """`GatherND` by constant lists of indices, between transpositions as PyTorch writes it."""
    def listed(name, shape, indices, perm=None, back=None, batch="N", **attributes):
        front = [node("Transpose", "x", "t", perm=perm)] if perm else []
        gathered = node("GatherND", ["t" if perm else "x", "i"], "g" if back else "y", **attributes)
        behind = [node("Transpose", "g", perm=back)] if back else []
        case(f"gathernd_{name}", front + [gathered] + behind, shape, {"i": np.array(indices, dtype=np.int64)},
             batch=batch)

    listed("axis", (3, 6), [[0], [0], [5], [-1]], [2, 0, 1], [1, 2, 0])
    listed("axis_inside", (3, 6), [[2], [0]], [1, 0, 2], [1, 0, 2])
    listed("two_axes", (3, 4, 5), [[0, 1], [3, 4], [2, -2]], [2, 3, 0, 1], [1, 2, 0])
    listed("grid", (3, 4, 5), RNG.integers(0, 4, (2, 3, 2)), [2, 3, 0, 1], [2, 3, 0, 1])
    listed("element", (3, 4), [2], [1, 0, 2])
    listed("all_axes", (3, 4), [[0, 1], [2, 3]], [1, 2, 0], [1, 0])
    listed("of_one_sample", (6, 8), [[[0, 1], [5, 7]]], batch=1, batch_dims=1)


def transposed_convolutions():
    def up(name, shape, weight, bias=None, opset=13, **attributes):
        constants = {"w": weight} | ({} if bias is None else {"b": bias})
        case(name, [node("ConvTranspose", ["x", *constants], **attributes)], shape, constants, opset)

    up("up2d", (3, 5, 4), rand(3, 4, 3, 3), rand(4))
    up("up2d_strides", (3, 5, 4), rand(3, 4, 3, 2), rand(4), strides=[2, 3])
    up("up2d_unet", (6, 4, 4), rand(6, 3, 2, 2), rand(3), strides=[2, 2])
    up("up2d_pads", (2, 5, 6), rand(2, 3, 4, 3), strides=[2, 2], pads=[1, 0, 2, 1])
    up("up2d_cropped", (2, 5, 6), rand(2, 3, 3, 3), strides=[1, 2], pads=[3, 4, 2, 3])
    up("up2d_cropped_behind", (2, 5, 6), rand(2, 3, 3, 3), strides=[1, 1], pads=[2, 1, 3, 1])
    up("up2d_output_padding", (2, 4, 5), rand(2, 3, 3, 3), rand(3), strides=[2, 3],
       pads=[1, 1, 1, 1], output_padding=[1, 2])
    up("up2d_dilations", (2, 4, 5), rand(2, 3, 3, 2), strides=[3, 2], dilations=[2, 3])
    up("up2d_dilations_common", (2, 4, 5), rand(2, 3, 4, 3), strides=[2, 4], dilations=[4, 2],
       pads=[2, 1, 0, 3])
    up("up2d_groups", (6, 4, 5), rand(6, 2, 3, 3), rand(6), strides=[2, 2], group=3)
    up("up2d_depthwise", (4, 4, 5), rand(4, 1, 3, 3), rand(4), strides=[2, 2], group=4,
       pads=[1, 1, 1, 1], output_padding=[1, 1])
    up("up2d_depthwise_multiplier", (3, 4, 5), rand(3, 2, 2, 3), strides=[2, 1], group=3)
    up("up2d_stride_above_kernel", (2, 3, 4), rand(2, 3, 1, 2), rand(3), strides=[3, 4])
    for pad in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        up(f"up2d_{pad.lower()}", (2, 4, 5), rand(2, 3, 4, 3), rand(3), strides=[2, 2], auto_pad=pad)
        up(f"up2d_output_shape_{pad.lower()}", (2, 4, 5), rand(2, 3, 4, 4), rand(3), strides=[2, 2],
           auto_pad=pad, output_shape=[9, 9])
    up("up2d_output_shape", (2, 3, 3), rand(2, 3, 3, 3), rand(3), strides=[3, 2],
       output_shape=[10, 8])
    up("up2d_kernel_shape", (2, 3, 3), rand(2, 3, 3, 2), opset=11, kernel_shape=[3, 2],
       strides=[2, 2])
    up("up1d", (3, 9), rand(3, 4, 3), rand(4))
    up("up1d_strides", (3, 9), rand(3, 4, 4), rand(4), strides=[2], pads=[1, 1])
    up("up1d_everything", (4, 7), rand(4, 3, 3), rand(6), strides=[3], dilations=[2], group=2,
       pads=[2, 1], output_padding=[2], opset=11)
    case("up2d_batch_norm",
         [node("ConvTranspose", ["x", "w"], "t", strides=[2, 2]),
          node("BatchNormalization", ["t", "g", "b", "m", "v"], "u"), node("Relu", ["u"])],
         (3, 4, 4), {"w": rand(3, 4, 2, 2), "g": rand(4), "b": rand(4), "m": rand(4),
                     "v": rand(4, low=0.5, high=2.0)}, opset=15)


for family in (convolutions, fully_connected, normalizations, activations, arithmetic, pools,
               layouts, storage, foldings, files, networks, products, reductions,
               groups, pieces, einsums, axes_beyond_three, movements, resizes,
               transposed_convolutions, linear_resizes,
               norm_pools, recurrent, sequences, choices, by_ids, labels, attentions,
               by_lists):
    family()
if len(sys.argv) > 2:
    assets(pathlib.Path(sys.argv[2]))
(OUT / "index.txt").write_text("\n".join(INDEX) + "\n")
