"""Random .tflite files of one operator each, and what TensorFlow Lite Micro computes.

Reads {"seed": number, "count": number} from stdin and writes a JSON list to stdout: for each file
    {"operator": its name, "model": its bytes, "inputs": [bytes of each input], "outputs": [of each output]}
with bytes in hexadecimal digits, or "error" in place of "outputs" if the interpreter refuses.
"""

import json
import os
import sys

import flatbuffers
import numpy as np
from tflite_micro import runtime
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

ARENA_BYTES = 1 << 20
KINDS = {np.int8: schema.TensorType.INT8, np.int16: schema.TensorType.INT16,
         np.int32: schema.TensorType.INT32, np.int64: schema.TensorType.INT64}


class File:
    """A file under construction."""

    def __init__(self, random):
        self.random = random
        self.tensors, self.buffers, self.operators, self.codes = [], [schema.BufferT()], [], []
        self.inputs, self.outputs = [], []

    def tensor(self, shape, kind=np.int8, scale=None, zero=None, data=None, scales=None, axis=0):
        tensor = schema.TensorT()
        tensor.name = f"t{len(self.tensors)}".encode()
        tensor.shape = [int(extent) for extent in shape]
        tensor.type, tensor.buffer = KINDS[kind], 0
        if scales is None and scale is not None:
            scales = [scale]
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(np.float32(scale)) for scale in scales]
            tensor.quantization.zeroPoint = [int(zero or 0)] * len(scales)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(data, kind).tobytes(), np.uint8)
            self.buffers.append(buffer)
            tensor.buffer = len(self.buffers) - 1
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def numbers(self, numbers):
        return self.tensor(np.shape(numbers), np.int32, data=numbers)

    def operator(self, name, inputs, outputs, options=None, **fields):
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = getattr(schema, options + "T")()
            for field, value in fields.items():
                assert hasattr(operator.builtinOptions, field), (options, field)
                setattr(operator.builtinOptions, field, value)
        self.operators.append(operator)
        self.outputs = list(outputs)

    def bytes(self):
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs = self.inputs, self.outputs
        model = schema.ModelT()
        model.version, model.operatorCodes = 3, self.codes
        model.subgraphs, model.buffers = [graph], self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    # Random parts.

    def scale(self, low=0.002, high=0.5):
        return float(np.float32(np.exp(self.random.uniform(np.log(low), np.log(high)))))

    def kind(self):
        return np.int16 if self.random.random() < 0.3 else np.int8

    def zero(self, kind):
        return 0 if kind is np.int16 else int(self.random.integers(-128, 128))

    def input(self, shape, kind=np.int8, scale=None, zero=None):
        zero = self.zero(kind) if zero is None else zero
        at = self.tensor(shape, kind, self.scale() if scale is None else scale, zero)
        self.inputs.append(at)
        return at

    def like(self, at, shape):
        """An activation on the same grid."""
        of = self.tensors[at].quantization
        kind = np.int8 if self.tensors[at].type == KINDS[np.int8] else np.int16
        return self.tensor(shape, kind, of.scale[0], of.zeroPoint[0])

    def below(self, end):
        return int(self.random.integers(0, end))

    def shape(self, axes=4, most=6):
        return [1] + [1 + self.below(most) for _ in range(axes - 1)]

    def pick(self, choices):
        return choices[self.below(len(choices))]


def unary(name, options=None, wide=True, output=None, **fields):
    def make(f):
        kind = f.kind() if wide else np.int8
        x = f.input(f.shape(), kind, scale=f.scale(0.0001, 0.01) if kind is np.int16 else None)
        grid = output(kind) if output else (f.scale(), f.zero(kind))
        own = {field: value(f) if callable(value) else value for field, value in fields.items()}
        f.operator(name, [x], [f.tensor(f.tensors[x].shape, kind, *grid)], options, **own)
    return make


def bounded_alike(name):
    def make(f):
        x = f.input(f.shape(), f.kind())
        f.operator(name, [x], [f.like(x, f.tensors[x].shape)])
    return make


def quantize(f):
    x = f.input(f.shape(), f.kind())
    kind = f.kind()
    f.operator("QUANTIZE", [x], [f.tensor(f.tensors[x].shape, kind, f.scale(), f.zero(kind))], "QuantizeOptions")



def moved(name, options=None, **fixed):
    """Operators whose output's shape is what numpy says."""
    def decorate(function):
        def make(f):
            kind = np.int8 if name in ("MIRROR_PAD", "SPACE_TO_DEPTH", "DEPTH_TO_SPACE") else f.kind()
            x, operands, shape, fields = function(f, kind)
            f.operator(name, [x, *operands], [f.like(x, shape)], options, **fields, **fixed)
        return make
    return decorate


@moved("TRANSPOSE", "TransposeOptions")
def transpose(f, kind):
    axes = 2 + f.below(4)
    shape = [1 + f.below(4) for _ in range(axes)]
    order = f.random.permutation(axes)
    return f.input(shape, kind), [f.numbers(order.astype(np.int32))], [shape[axis] for axis in order], {}


@moved("SLICE", "SliceOptions")
def slice_(f, kind):
    shape = [1 + f.below(5) for _ in range(1 + f.below(4))]
    begins = [f.below(extent) for extent in shape]
    sizes = [1 + f.below(extent - begin) for extent, begin in zip(shape, begins)]
    stated = [-1 if begin + size == extent and f.below(2) else size
              for begin, size, extent in zip(begins, sizes, shape)]
    return f.input(shape, kind), [f.numbers(begins), f.numbers(stated)], sizes, {}


@moved("STRIDED_SLICE", "StridedSliceOptions")
def strided_slice(f, kind):
    while True:
        shape = [1 + f.below(5) for _ in range(1 + f.below(4))]
        begins = [int(f.random.integers(-extent - 1, extent + 1)) for extent in shape]
        ends = [int(f.random.integers(-extent - 1, extent + 2)) for extent in shape]
        steps = [f.pick([1, 1, 2, -1, -2]) for _ in shape]
        masks = [f.below(1 << len(shape)) if f.below(3) == 0 else 0 for _ in range(2)]
        shrunk = 0
        if f.below(3) == 0:
            axis = f.below(len(shape))
            shrunk, steps[axis], begins[axis] = 1 << axis, 1, f.below(shape[axis])
            ends[axis] = begins[axis] + 1
            masks = [mask & ~shrunk for mask in masks]
        def part(axis):
            if shrunk >> axis & 1:
                return begins[axis]
            begin = None if masks[0] >> axis & 1 else begins[axis]
            end = None if masks[1] >> axis & 1 else ends[axis]
            return slice(begin, end, steps[axis])
        result = np.zeros(shape)[tuple(part(axis) for axis in range(len(shape)))]
        if result.size and result.ndim:
            break
    operands = [f.numbers(begins), f.numbers(ends), f.numbers(steps)]
    fields = {"beginMask": masks[0], "endMask": masks[1], "shrinkAxisMask": shrunk}
    return f.input(shape, kind), operands, result.shape, fields


@moved("REVERSE_V2", "ReverseV2Options")
def reverse(f, kind):
    shape = f.shape()
    return f.input(shape, kind), [f.numbers([f.below(4)])], shape, {}


@moved("BROADCAST_TO", "BroadcastToOptions")
def broadcast_to(f, kind):
    shape = [1 + f.below(3) for _ in range(1 + f.below(4))]
    repeated = [1 + f.below(4) if extent == 1 else extent for extent in shape]
    return f.input(shape, kind), [f.numbers(repeated)], repeated, {}


@moved("GATHER", "GatherOptions")
def gather(f, kind):
    shape = [2 + f.below(4) for _ in range(1 + f.below(4))]
    axis = f.below(len(shape))
    ids = [f.below(shape[axis]) for _ in range(1 + f.below(5))]
    result = shape[:axis] + [len(ids)] + shape[axis + 1:]
    return f.input(shape, kind), [f.numbers(ids)], result, {"axis": axis}


def padded(f, kind, most):
    shape = f.shape()
    pads = [[0, 0]] + [[f.below(most(extent)), f.below(most(extent))] for extent in shape[1:]]
    result = [extent + sum(pad) for extent, pad in zip(shape, pads)]
    return f.input(shape, kind), f.numbers(pads), result


@moved("PAD", "PadOptions")
def pad(f, kind):
    x, pads, shape = padded(f, kind, lambda extent: 3)
    return x, [pads], shape, {}


@moved("PADV2", "PadV2Options")
def padv2(f, kind):
    x, pads, shape = padded(f, kind, lambda extent: 3)
    of = f.tensors[x].quantization
    value = f.tensor([1], kind, of.scale[0], of.zeroPoint[0], data=[f.below(200) - 100])
    return x, [pads, value], shape, {}


@moved("MIRROR_PAD", "MirrorPadOptions")
def mirror_pad(f, kind):
    mode = f.below(2)
    x, pads, shape = padded(f, kind, lambda extent: min(3, extent + mode))
    return x, [pads], shape, {"mode": mode}


@moved("SPACE_TO_DEPTH", "SpaceToDepthOptions")
def space_to_depth(f, kind):
    block, (_, height, width, channels) = 2 + f.below(2), f.shape(most=3)
    x = f.input([1, height * block, width * block, channels], kind)
    return x, [], [1, height, width, channels * block * block], {"blockSize": block}


@moved("DEPTH_TO_SPACE", "DepthToSpaceOptions")
def depth_to_space(f, kind):
    block, (_, height, width, channels) = 2 + f.below(2), f.shape(most=3)
    x = f.input([1, height, width, channels * block * block], kind)
    return x, [], [1, height * block, width * block, channels], {"blockSize": block}


@moved("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighborOptions")
def resize_nearest(f, kind):
    shape, (height, width) = f.shape(most=9), (1 + f.below(14), 1 + f.below(14))
    fields = {"alignCorners": bool(f.below(2)), "halfPixelCenters": bool(f.below(2))}
    return f.input(shape, kind), [f.numbers([height, width])], [1, height, width, shape[3]], fields


def resize_bilinear(f):
    shape, (height, width) = f.shape(most=9), (1 + f.below(14), 1 + f.below(14))
    x = f.input(shape)
    corners, half = f.pick([(False, False), (True, False), (False, True)])
    y = f.like(x, [1, height, width, shape[3]])
    f.operator("RESIZE_BILINEAR", [x, f.numbers([height, width])], [y], "ResizeBilinearOptions",
               alignCorners=corners, halfPixelCenters=half)


def split(f):
    axes = 1 + f.below(4)
    shape, axis, parts = [1 + f.below(4) for _ in range(axes)], f.below(axes), 1 + f.below(3)
    size = shape[axis]
    shape[axis] *= parts
    x = f.input(shape, f.kind())
    part = shape[:axis] + [size] + shape[axis + 1:]
    outputs = [f.like(x, part) for _ in range(parts)]
    f.operator("SPLIT", [f.numbers([axis]), x], outputs, "SplitOptions", numSplits=parts)


def split_v(f):
    axes = 1 + f.below(4)
    shape, axis = [1 + f.below(4) for _ in range(axes)], f.below(axes)
    sizes = [1 + f.below(3) for _ in range(1 + f.below(3))]
    shape[axis] = sum(sizes)
    x = f.input(shape, f.kind())
    outputs = [f.like(x, shape[:axis] + [size] + shape[axis + 1:]) for size in sizes]
    operands = [x, f.numbers(sizes), f.numbers(axis)]
    f.operator("SPLIT_V", operands, outputs, "SplitVOptions", numSplits=len(sizes))


def unpack(f):
    axes = 2 + f.below(3)
    shape, axis = [1 + f.below(4) for _ in range(axes)], f.below(axes)
    x = f.input(shape, np.int8)
    outputs = [f.like(x, shape[:axis] + shape[axis + 1:]) for _ in range(shape[axis])]
    f.operator("UNPACK", [x], outputs, "UnpackOptions", num=shape[axis], axis=axis)


def pack(f):
    shape, parts = [1 + f.below(4) for _ in range(1 + f.below(3))], 1 + f.below(3)
    axis = f.below(len(shape) + 1)
    x = f.input(shape, np.int8)
    of = f.tensors[x].quantization
    more = [f.input(shape, np.int8, of.scale[0], of.zeroPoint[0]) for _ in range(parts - 1)]
    y = f.like(x, shape[:axis] + [parts] + shape[axis:])
    f.operator("PACK", [x, *more], [y], "PackOptions", valuesCount=parts, axis=axis)


def concatenation(f):
    axes = 1 + f.below(4)
    shape, axis, kind = [1 + f.below(4) for _ in range(axes)], f.below(axes), f.kind()
    x = f.input(shape, kind)
    of = f.tensors[x].quantization
    extents, inputs = [shape[axis]], [x]
    for _ in range(f.below(3)):
        extents.append(1 + f.below(4))
        own = shape[:axis] + [extents[-1]] + shape[axis + 1:]
        inputs.append(f.input(own, kind, of.scale[0], of.zeroPoint[0]))
    y = f.like(x, shape[:axis] + [sum(extents)] + shape[axis + 1:])
    f.operator("CONCATENATION", inputs, [y], "ConcatenationOptions", axis=f.pick([axis, axis - axes]))


def reduced(name):
    def make(f):
        kind = np.int8 if name == "REDUCE_MAX" else f.kind()
        axes = 2 + f.below(3)
        shape = [1] + [1 + f.below(5) for _ in range(axes - 1)]
        chosen = sorted({1 + f.below(axes - 1) for _ in range(1 + f.below(2))})
        keep = bool(f.below(2))
        result = [1 if axis in chosen else extent for axis, extent in enumerate(shape) if keep or axis not in chosen]
        x = f.input(shape, kind)
        alike = name == "REDUCE_MAX" or f.below(2)
        y = f.like(x, result) if alike else f.tensor(result, kind, f.scale(), f.zero(kind))
        f.operator(name, [x, f.numbers(chosen)], [y], "ReducerOptions", keepDims=keep)
    return make


def place(name):
    def make(f):
        shape = f.shape(axes=2 + f.below(3))
        x = f.input(shape)
        y = f.tensor(shape[:-1], np.int32)
        f.operator(name, [x, f.numbers([len(shape) - 1])], [y], name.title().replace("_", "") + "Options",
                   outputType=schema.TensorType.INT32)
    return make


def pair(name, options, same=False, wide=True, activations=True):
    def make(f):
        kind = f.kind() if wide else np.int8
        shape = [1 + f.below(4) for _ in range(1 + f.below(4))]
        other = [1 if f.below(3) == 0 else extent for extent in shape][f.below(len(shape)):]
        if f.below(3) == 0:
            other = shape
        a = f.input(shape, kind)
        of = f.tensors[a].quantization
        grid = (of.scale[0], of.zeroPoint[0]) if same else (None, None)
        constant = f.below(3) == 0
        if constant:
            low, high = (-128, 128) if kind is np.int8 else (-32768, 32768)
            data = f.random.integers(low, high, other)
            scale, zero = grid if same else (f.scale(), f.zero(kind))
            b = f.tensor(other, kind, scale, zero, data=data)
        else:
            b = f.input(other, kind, *grid)
        y = f.like(a, shape) if same else f.tensor(shape, kind, f.scale(), f.zero(kind))
        turned = f.below(3) == 0 and name != "PRELU"
        fields = {"fusedActivationFunction": f.pick([0, 0, 1, 3])} if activations else {}
        f.operator(name, [b, a] if turned else [a, b], [y], options, **fields)
    return make


def weights(f, shape, axis, single=False, four=False):
    channels = 1 if single else shape[axis]
    scales = [f.scale(0.001, 0.02) for _ in range(channels)]
    data = f.random.integers(-127, 128, shape)
    return f.tensor(shape, np.int8, scales=scales, zero=0, data=data, axis=axis), scales


def biases(f, x, scales, channels, kind):
    scale = f.tensors[x].quantization.scale[0]
    wide = f.pick([np.int64, np.int32]) if kind is np.int16 else np.int32
    return f.tensor([channels], wide, scales=[scale * own for own in scales], zero=0,
                    data=f.random.integers(-3000, 3000, channels))


def windows(f, extent, kernel, stride, dilation, same):
    reach = (kernel - 1) * dilation + 1
    return -(-extent // stride) if same else (extent + stride - reach) // stride


def convolution(depthwise):
    def make(f):
        kind = f.kind()
        groups = 1 if depthwise else f.pick([1, 1, 2])
        while True:
            _, height, width, channels = f.shape(most=8)
            channels *= groups
            kernel, stride = [1 + f.below(3) for _ in range(2)], [1 + f.below(2) for _ in range(2)]
            dilation, same = [f.pick([1, 1, 2]) for _ in range(2)], f.below(2) == 0
            extents = [windows(f, extent, *rest, same) for extent, *rest in
                       zip((height, width), kernel, stride, dilation)]
            if min(extents) > 0:
                break
        x = f.input([1, height, width, channels], kind)
        padding = schema.Padding.SAME if same else schema.Padding.VALID
        fields = {"padding": padding, "strideH": stride[0], "strideW": stride[1], "dilationHFactor": dilation[0],
                  "dilationWFactor": dilation[1], "fusedActivationFunction": f.pick([0, 1, 3])}
        single = f.below(4) == 0
        if depthwise:
            multiplier = 1 + f.below(2)
            out = channels * multiplier
            filters, scales = weights(f, [1, *kernel, out], 3, single)
            fields["depthMultiplier"] = multiplier
        else:
            out = groups * (1 + f.below(5))
            filters, scales = weights(f, [out, *kernel, channels // groups], 0, single)
        bias = [biases(f, x, scales, out, kind)] if f.below(3) else []
        y = f.tensor([1, *extents, out], kind, f.scale(0.01), f.zero(kind))
        name = "DepthwiseConv2D" if depthwise else "Conv2D"
        f.operator("DEPTHWISE_CONV_2D" if depthwise else "CONV_2D", [x, filters, *bias], [y], name + "Options", **fields)
    return make


def transpose_conv(f):
    kind = f.kind()
    _, height, width, channels = f.shape(most=5)
    kernel, stride, out = [1 + f.below(3) for _ in range(2)], [1 + f.below(2) for _ in range(2)], 1 + f.below(4)
    same = f.below(2) == 0
    extents = [extent * step if same else (extent - 1) * step + size
               for extent, step, size in zip((height, width), stride, kernel)]
    x = f.input([1, height, width, channels], kind)
    filters, scales = weights(f, [out, *kernel, channels], 0)
    shape = [1, *extents, out]
    bias = [biases(f, x, scales, out, kind)] if f.below(2) else []
    y = f.tensor(shape, kind, f.scale(0.01), f.zero(kind))
    f.operator("TRANSPOSE_CONV", [f.numbers(shape), filters, x, *bias], [y], "TransposeConvOptions",
               padding=schema.Padding.SAME if same else schema.Padding.VALID, strideH=stride[0], strideW=stride[1])


def fully_connected(f):
    kind = f.kind()
    rows, inner, out = 1 + f.below(3), 1 + f.below(30), 1 + f.below(12)
    x = f.input([rows, inner], kind)
    filters, scales = weights(f, [out, inner], 0, single=f.below(2) == 0)
    bias = [biases(f, x, scales, out, kind)] if f.below(3) else []
    y = f.tensor([rows, out], kind, f.scale(0.01), f.zero(kind))
    # A missing bias is said by -1, or not at all.
    f.operator("FULLY_CONNECTED", [x, filters, *(bias or f.pick([[], [-1]]))], [y], "FullyConnectedOptions",
               fusedActivationFunction=f.pick([0, 1]))


def batch_matmul(f):
    kind = f.kind()
    pairs = f.pick([[], [2], [2, 3]])
    rows, inner, columns = [1 + f.below(5) for _ in range(3)]
    turned = [bool(f.below(2)), bool(f.below(2))]
    a, b = [rows, inner], [inner, columns]
    a, b = [shape[::-1] if turn else shape for shape, turn in zip((a, b), turned)]
    x, y = f.input(pairs + a, kind), f.input(pairs + b, kind)
    out = f.tensor(pairs + [rows, columns], kind, f.scale(0.01), f.zero(kind))
    f.operator("BATCH_MATMUL", [x, y], [out], "BatchMatMulOptions", adjX=turned[0], adjY=turned[1])


def pool(name):
    def make(f):
        kind = f.kind()
        while True:
            _, height, width, channels = f.shape(most=8)
            kernel, stride, same = [1 + f.below(4) for _ in range(2)], [1 + f.below(3) for _ in range(2)], f.below(2) == 0
            extents = [windows(f, extent, size, step, 1, same) for extent, size, step in
                       zip((height, width), kernel, stride)]
            if min(extents) > 0:
                break
        x = f.input([1, height, width, channels], kind)
        y = f.like(x, [1, *extents, channels])
        f.operator(name, [x], [y], "Pool2DOptions", padding=schema.Padding.SAME if same else schema.Padding.VALID,
                   strideH=stride[0], strideW=stride[1], filterHeight=kernel[0], filterWidth=kernel[1],
                   fusedActivationFunction=f.pick([0, 1, 3]))
    return make


def softmax(f):
    x = f.input(f.shape(axes=2 + f.below(3)), scale=f.scale(0.001, 1.0))
    f.operator("SOFTMAX", [x], [f.tensor(f.tensors[x].shape, np.int8, 1 / 256, -128)], "SoftmaxOptions", beta=1.0)


def l2_normalization(f):
    x = f.input(f.shape(axes=2 + f.below(3)))
    f.operator("L2_NORMALIZATION", [x], [f.tensor(f.tensors[x].shape, np.int8, 1 / 128, 0)], "L2NormOptions")


def logistic_grid(kind):
    return (1 / 256, -128) if kind is np.int8 else (1 / 32768, 0)


def tanh_grid(kind):
    return (1 / 128, 0) if kind is np.int8 else (1 / 32768, 0)


OPERATORS = [
    ("LOGISTIC", unary("LOGISTIC", output=logistic_grid)),
    ("TANH", unary("TANH", output=tanh_grid)),
    ("HARD_SWISH", unary("HARD_SWISH", "HardSwishOptions", wide=False)),
    ("LEAKY_RELU", unary("LEAKY_RELU", "LeakyReluOptions", wide=False, alpha=lambda f: f.scale(0.01, 0.9))),
    ("ABS", unary("ABS", "AbsOptions", wide=False)),
    ("ELU", unary("ELU", wide=False)),
    ("RELU", unary("RELU")),
    ("RELU6", bounded_alike("RELU6")),
    ("QUANTIZE", quantize),
    ("SOFTMAX", softmax),
    ("L2_NORMALIZATION", l2_normalization),
    ("TRANSPOSE", transpose),
    ("SLICE", slice_),
    ("STRIDED_SLICE", strided_slice),
    ("REVERSE_V2", reverse),
    ("BROADCAST_TO", broadcast_to),
    ("GATHER", gather),
    ("PAD", pad),
    ("PADV2", padv2),
    ("MIRROR_PAD", mirror_pad),
    ("SPACE_TO_DEPTH", space_to_depth),
    ("DEPTH_TO_SPACE", depth_to_space),
    ("RESIZE_NEAREST_NEIGHBOR", resize_nearest),
    ("RESIZE_BILINEAR", resize_bilinear),
    ("SPLIT", split),
    ("SPLIT_V", split_v),
    ("UNPACK", unpack),
    ("PACK", pack),
    ("CONCATENATION", concatenation),
    ("MEAN", reduced("MEAN")),
    ("SUM", reduced("SUM")),
    ("REDUCE_MAX", reduced("REDUCE_MAX")),
    ("ARG_MAX", place("ARG_MAX")),
    ("ARG_MIN", place("ARG_MIN")),
    ("ADD", pair("ADD", "AddOptions")),
    ("SUB", pair("SUB", "SubOptions")),
    ("MUL", pair("MUL", "MulOptions")),
    ("MAXIMUM", pair("MAXIMUM", "MaximumMinimumOptions", same=True, activations=False)),
    ("MINIMUM", pair("MINIMUM", "MaximumMinimumOptions", same=True, activations=False)),
    ("PRELU", pair("PRELU", None, wide=False, activations=False)),
    ("CONV_2D", convolution(False)),
    ("DEPTHWISE_CONV_2D", convolution(True)),
    ("TRANSPOSE_CONV", transpose_conv),
    ("FULLY_CONNECTED", fully_connected),
    ("BATCH_MATMUL", batch_matmul),
    ("AVERAGE_POOL_2D", pool("AVERAGE_POOL_2D")),
    ("MAX_POOL_2D", pool("MAX_POOL_2D")),
]


def run(random, name, make):
    """A file of an operator, and what comes out."""
    file = File(random)
    make(file)
    data = file.bytes()
    inputs = []
    for at in file.inputs:
        tensor = file.tensors[at]
        kind = np.int16 if tensor.type == KINDS[np.int16] else np.int8
        limits = np.iinfo(kind)
        inputs.append(random.integers(limits.min, limits.max + 1, tensor.shape).astype(kind))
    result = {"operator": name, "model": data.hex(), "inputs": [value.tobytes().hex() for value in inputs]}
    try:
        interpreter = runtime.Interpreter.from_bytes(data, arena_size=ARENA_BYTES)
        for index, value in enumerate(inputs):
            interpreter.set_input(value, index)
        interpreter.invoke()
        outputs = [interpreter.get_output(index) for index in range(len(file.outputs))]
        result["outputs"] = [output.tobytes().hex() for output in outputs]
    except (RuntimeError, ValueError) as error:
        result["error"] = str(error)
    return result


def main():
    # TensorFlow Lite Micro may print to stdout: only the results may go there.
    results_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    results = []
    for operator, (name, make) in enumerate(OPERATORS):
        for index in range(request["count"]):
            random = np.random.default_rng([request["seed"], operator, index])
            results.append(run(random, name, make))
    json.dump(results, results_to)
    results_to.close()


if __name__ == "__main__":
    main()
