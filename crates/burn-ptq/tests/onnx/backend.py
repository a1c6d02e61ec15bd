"""The backend tests of the ONNX standard, as the installed `onnx` package holds them, and our own.

Usage: backend.py OUT. For each test writes OUT/<name>.onnx, with the model as it is, and where it has
inputs besides the first of floats, OUT/<name>.bound.onnx, with those as initializers, because node
tests pass weights and shapes as inputs. The arrays are in OUT/data.f32, one after the other, and
OUT/index.txt has a line a model: the name of its file, its operators, then its inputs, `|` and its
expected outputs, each as NAME:TYPE:SHAPE:OFFSET, or as ? where it is not a tensor of numbers.
"""

import pathlib
import sys
import warnings

import batch_axes
import numpy as np
import onnx
from onnx import numpy_helper

warnings.filterwarnings("ignore")
from onnx.backend.test.loader import load_model_tests  # noqa: E402
from onnx.backend.test.runner import Runner  # noqa: E402

OUT = pathlib.Path(sys.argv[1])
OUT.mkdir(parents=True, exist_ok=True)
# Nets of over 60 million weights, which take minutes to make and no microcontroller holds.
TOO_LARGE = ("bvlc_alexnet", "vgg19", "zfnet512")
ONNX = pathlib.Path(onnx.__file__).parent
DATA = (OUT / "data.f32").open("wb")
INDEX = (OUT / "index.txt").open("w")


def floats(array):
    """An array as 32-bit floats, or None if it holds something else."""
    if not isinstance(array, np.ndarray) or array.dtype.kind in "OSUcV":
        # Types of ml_dtypes, such as bfloat16, are of kind V.
        if not isinstance(array, np.ndarray) or array.dtype.name != "bfloat16":
            return None
    return np.ascontiguousarray(array).astype(np.float32)


def placed(name, array):
    """The place of an array in the data."""
    numbers = floats(array)
    if numbers is None:
        return "?"
    offset = DATA.tell() // 4
    DATA.write(numbers.tobytes())
    return f"{name}:{array.dtype.name}:{'x'.join(map(str, array.shape))}:{offset}"


def operators(graph):
    names = set()
    for node in graph.node:
        names.add(f"{node.domain}.{node.op_type}" if node.domain else node.op_type)
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                names |= operators(attribute.g)
    return names


def write(name, model, inputs, outputs):
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString())
    fed = [i.name for i in model.graph.input]
    ins = " ".join(placed(n, a) for n, a in inputs.items() if n in fed) or "?"
    outs = " ".join(placed(o.name, a) for o, a in zip(model.graph.output, outputs)) or "?"
    ops = ",".join(sorted(operators(model.graph))) or "-"
    print(f"{name}\t{ops}\t{ins} | {outs}", file=INDEX)


def bound(model, inputs):
    """The model with all inputs besides the first of floats as initializers; None if it is as it was."""
    first = next((n for n, a in inputs.items() if isinstance(a, np.ndarray)
                  and a.dtype.name in ("float32", "float16", "float64", "bfloat16")), None)
    others = {n: a for n, a in inputs.items() if n != first}
    if first is None or not others:
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for name, array in others.items():
        if not isinstance(array, np.ndarray):
            return None
        copy.graph.initializer.append(numpy_helper.from_array(array, name))
    kept = [i for i in copy.graph.input if i.name not in others]
    del copy.graph.input[:]
    copy.graph.input.extend(kept)
    return copy


def read_proto(path, info):
    """A stored array, or None if it is a sequence or the like."""
    if info.type.WhichOneof("value") != "tensor_type":
        return None
    return numpy_helper.to_array(onnx.load_tensor(path))


def array_of(value):
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def stored(test):
    """The model and arrays of a test whose files are in a folder."""
    folder = pathlib.Path(test.model_dir)
    model = onnx.load(folder / "model.onnx")
    sets = sorted(folder.glob("test_data_set_*"))
    constants = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in constants]
    read = {i.name: read_proto(sets[0] / f"input_{n}.pb", i) for n, i in enumerate(inputs)}
    outputs = [read_proto(sets[0] / f"output_{n}.pb", o) for n, o in enumerate(model.graph.output)]
    return model, read, outputs


def light(test):
    """A real net with made weights, fed with what the standard's own runner feeds."""
    path = ONNX.parent / test.url
    model = onnx.load(path)
    constants = {t.name for t in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in constants]
    made = {i.name: Runner.generate_dummy_data(i) for i in inputs}
    outputs = [numpy_helper.to_array(onnx.load_tensor(f"{path.with_suffix('')}_output_{n}.pb"))
               for n in range(len(model.graph.output))]
    return model, made, outputs


for kind in ("node", "simple", "pytorch-converted", "pytorch-operator", "real"):
    for test in sorted(load_model_tests(kind=kind), key=lambda test: test.name):
        if kind == "node":
            model = test.model
            values, outputs = test.data_sets[0]
            inputs = {i.name: array_of(v) for i, v in zip(model.graph.input, values)}
            outputs = [array_of(v) for v in outputs]
        elif kind == "real":
            if test.model_name in TOO_LARGE:
                continue
            model, inputs, outputs = light(test)
        else:
            model, inputs, outputs = stored(test)
        name = f"{kind}-{test.name.removeprefix('test_')}"
        write(name, model, inputs, outputs)
        variant = bound(model, inputs)
        if variant is not None:
            write(f"{name}.bound", variant, inputs, outputs)
for name, model, inputs, outputs in batch_axes.cases():
    write(name, model, inputs, outputs)
DATA.close()
INDEX.close()
