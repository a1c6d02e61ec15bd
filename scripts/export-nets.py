#!/usr/bin/env python3
"""Nine small networks, trained briefly and exported from PyTorch with and without dynamo.

    python3 -m venv torch && torch/bin/pip install torch onnx onnxscript
    torch/bin/python scripts/export-nets.py [NAME...]

Writes crates/eval/tests/nets/NAME.dynamo.onnx and NAME.legacy.onnx, which tests import and quantize.
The data are made up: sums of waves for sequences, bright spots for images; `crates/eval/tests/nets.rs`
makes the same kind for calibration. The seed is fixed, but other versions of PyTorch write other files.
"""

import io
import math
import pathlib
import sys
import warnings

import onnx
import torch
from torch import nn
from torch.nn import functional as F

NETS = pathlib.Path(__file__).parent.parent / "crates/eval/tests/nets"
STEPS = 150
warnings.filterwarnings("ignore")


def waves(count, channels, length, generator):
    """Sums of three waves with noise; the class says how fast the first channel's strongest is."""
    time = torch.arange(length) / length
    classes = torch.randint(0, 4, (count,), generator=generator)
    frequency = 1 + 14 * torch.rand(count, channels, 3, generator=generator)
    frequency[:, 0, 0] = 2 + 4 * classes
    strength = 0.2 + 0.4 * torch.rand(count, channels, 3, generator=generator)
    strength[:, :, 0] += 0.6
    phase = 2 * math.pi * torch.rand(count, channels, 3, generator=generator)
    angle = 2 * math.pi * frequency[..., None] * time + phase[..., None]
    noise = 0.1 * torch.randn(count, channels, length, generator=generator)
    return (strength[..., None] * torch.sin(angle)).sum(2) + noise, classes


def spots(count, channels, height, width, generator):
    """Two bright spots with noise; the class says in which quarter the first is. The mask covers it."""
    rows, columns = torch.arange(height)[:, None] / height, torch.arange(width)[None] / width
    place = torch.rand(count, 2, 2, generator=generator)
    size = 0.08 + 0.12 * torch.rand(count, 2, generator=generator)
    color = 0.3 + 0.7 * torch.rand(count, 2, channels, generator=generator)
    color[:, 1] *= 0.5
    distance = ((rows - place[:, :, :1, None]) ** 2 + (columns - place[:, :, 1:, None]) ** 2)
    spot = torch.exp(-distance / (2 * size[..., None, None] ** 2))
    image = (color[..., None, None] * spot[:, :, None]).sum(1)
    image = 2 * image - 0.5 + 0.1 * torch.randn(image.shape, generator=generator)
    classes = (2 * (place[:, 0, 0] > 0.5) + (place[:, 0, 1] > 0.5)).long()
    return image, classes, (spot[:, 0] > 0.5).float()


def norm_relu(channels, act=nn.ReLU, dims=2):
    return [(nn.BatchNorm1d if dims == 1 else nn.BatchNorm2d)(channels), act()]


class Har(nn.Module):
    """Activity recognition: convolutions over time."""

    def __init__(self):
        super().__init__()
        layers, fan = [], 6
        for out, kernel in ((12, 7), (16, 5), (24, 3)):
            layers += [nn.Conv1d(fan, out, kernel, padding=kernel // 2), *norm_relu(out, dims=1),
                       nn.MaxPool1d(2)]
            fan = out
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(fan, 4)

    def forward(self, x):
        return self.head(F.dropout(self.features(x).mean(-1), 0.2, self.training))


class Chomp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x[:, :, :-self.size].contiguous()


class TcnBlock(nn.Module):
    def __init__(self, fan, out, dilation):
        super().__init__()
        pad = 2 * dilation
        self.net = nn.Sequential(
            nn.Conv1d(fan, out, 3, padding=pad, dilation=dilation), Chomp(pad), nn.ReLU(),
            nn.Conv1d(out, out, 3, padding=pad, dilation=dilation), Chomp(pad), nn.ReLU())
        self.skip = nn.Conv1d(fan, out, 1) if fan != out else nn.Identity()

    def forward(self, x):
        return F.relu(self.net(x) + self.skip(x))


class Tcn(nn.Module):
    """A temporal convolutional network that looks at the last step."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(TcnBlock(4, 12, 1), TcnBlock(12, 12, 2), TcnBlock(12, 12, 4),
                                    TcnBlock(12, 12, 8))
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        return self.head(self.blocks(x)[:, :, -1])


class Inverted(nn.Module):
    """An inverted residual, with squeeze-excite if asked."""

    def __init__(self, fan, hidden, out, kernel=3, stride=1, act=nn.ReLU6, squeeze=0):
        super().__init__()
        self.residual = stride == 1 and fan == out
        self.expand = nn.Sequential(nn.Conv2d(fan, hidden, 1, bias=False), *norm_relu(hidden, act))
        self.depthwise = nn.Sequential(
            nn.Conv2d(hidden, hidden, kernel, stride, kernel // 2, groups=hidden, bias=False),
            *norm_relu(hidden, act))
        self.squeeze = Squeeze(hidden, squeeze) if squeeze else nn.Identity()
        self.project = nn.Sequential(nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.project(self.squeeze(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


class Squeeze(nn.Module):
    def __init__(self, channels, hidden, gate=nn.Hardsigmoid):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.gate = gate()

    def forward(self, x):
        return x * self.gate(self.expand(F.relu(self.reduce(self.pool(x)))))


class MobileNetV2(nn.Module):
    """MobileNetV2 at a width of 0.35, with fewer blocks and fewer channels at the end."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), *norm_relu(8, nn.ReLU6))
        self.blocks = nn.Sequential(
            Inverted(8, 16, 8), Inverted(8, 32, 8, stride=2), Inverted(8, 32, 8),
            Inverted(8, 32, 16, stride=2), Inverted(16, 48, 16))
        self.last = nn.Sequential(nn.Conv2d(16, 48, 1, bias=False), *norm_relu(48, nn.ReLU6))
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(48, 4))

    def forward(self, x):
        x = self.last(self.blocks(self.stem(x)))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class MobileNetV3(nn.Module):
    """Hard swish and squeeze-excite, as in MobileNetV3-small."""

    def __init__(self):
        super().__init__()
        act = nn.Hardswish
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), *norm_relu(8, act))
        self.blocks = nn.Sequential(
            Inverted(8, 8, 8, stride=2, act=nn.ReLU, squeeze=8),
            Inverted(8, 24, 12, act=nn.ReLU),
            Inverted(12, 32, 16, kernel=5, stride=2, act=act, squeeze=8),
            Inverted(16, 32, 16, kernel=5, act=act, squeeze=8))
        self.last = nn.Sequential(nn.Conv2d(16, 48, 1, bias=False), *norm_relu(48, act))
        self.head = nn.Sequential(nn.Linear(48, 32), act(), nn.Dropout(0.2), nn.Linear(32, 4))

    def forward(self, x):
        x = F.adaptive_avg_pool2d(self.last(self.blocks(self.stem(x))), 1)
        return self.head(torch.flatten(x, 1))


def double(fan, out):
    return nn.Sequential(nn.Conv2d(fan, out, 3, padding=1), *norm_relu(out),
                         nn.Conv2d(out, out, 3, padding=1), *norm_relu(out))


class UNet(nn.Module):
    """Segmentation with skip connections; `up` says how it grows again."""

    def __init__(self, up):
        super().__init__()
        self.down = nn.ModuleList([double(1, 6), double(6, 10), double(10, 14)])
        self.up = nn.ModuleList([double(10 + 10, 10), double(6 + 6, 6)])
        if up == "transposed":
            self.grow = nn.ModuleList([nn.ConvTranspose2d(14, 10, 2, 2),
                                       nn.ConvTranspose2d(10, 6, 4, 2, 1)])
        else:
            self.grow = nn.ModuleList([
                nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(14, 10, 1)),
                nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(10, 6, 1))])
        self.head = nn.Conv2d(6, 1, 1)

    def forward(self, x):
        skips = []
        for level, down in enumerate(self.down):
            x = down(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        skips.pop()
        for grow, up in zip(self.grow, self.up):
            x = up(torch.cat([skips.pop(), grow(x)], 1))
        return torch.sigmoid(self.head(x))


class Detector(nn.Module):
    """A detector as SSD is, with scores and boxes from two maps."""

    def __init__(self, classes=3):
        super().__init__()
        self.classes = classes

        def stage(fan, out):
            return nn.Sequential(nn.Conv2d(fan, out, 3, 2, 1, bias=False), *norm_relu(out))

        self.first = nn.Sequential(stage(3, 8), stage(8, 16))
        self.second = stage(16, 24)
        self.scores = nn.ModuleList([nn.Conv2d(c, 2 * classes, 3, padding=1) for c in (16, 24)])
        self.boxes = nn.ModuleList([nn.Conv2d(c, 2 * 4, 3, padding=1) for c in (16, 24)])

    def forward(self, x):
        first = self.first(x)
        maps = [first, self.second(first)]

        def rows(heads, width):
            flat = [head(m).permute(0, 2, 3, 1).reshape(x.shape[0], -1, width)
                    for head, m in zip(heads, maps)]
            return torch.cat(flat, 1)

        return torch.sigmoid(rows(self.scores, self.classes)), rows(self.boxes, 4)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        batch, steps, width = x.shape
        qkv = self.qkv(self.norms[0](x)).reshape(batch, steps, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v)
        x = x + self.out(attended.transpose(1, 2).reshape(batch, steps, width))
        return x + self.mlp(self.norms[1](x))


class Vit(nn.Module):
    """A vision transformer of two blocks with a class token."""

    def __init__(self, width=16):
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.token = nn.Parameter(torch.randn(1, 1, width) / 8)
        self.positions = nn.Parameter(torch.randn(1, 17, width) / 8)
        self.blocks = nn.Sequential(Attention(width, 2), Attention(width, 2))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class DsCnn(nn.Module):
    """Keyword spotting by depthwise separable convolutions with squeeze-excite."""

    def __init__(self, width=24):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, (10, 4), 2, (5, 1)), *norm_relu(width))
        self.blocks = nn.ModuleList()
        for _ in range(3):
            self.blocks.append(nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1, groups=width), *norm_relu(width),
                Squeeze(width, 8, nn.Sigmoid), nn.Conv2d(width, width, 1), *norm_relu(width)))
        self.head = nn.Linear(width, 4)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(F.avg_pool2d(x, (25, 5)).flatten(1))


def train(net, samples, loss):
    """A short training; the samples are made anew for every step."""
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    net.train()
    for _ in range(STEPS):
        inputs, *targets = samples(32, generator)
        value = loss(net(inputs), *targets)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
    net.eval()
    return float(value.detach())


def classify(output, classes, *_):
    return F.cross_entropy(output, classes)


def segment(output, _, mask):
    return F.binary_cross_entropy(output[:, 0], mask)


def detect(output, classes, mask):
    scores, boxes = output
    wanted = (classes[:, None] % 3 == torch.arange(3)[None]).float()
    center = mask.mean((1, 2))
    return F.binary_cross_entropy(scores.mean(1), wanted) + F.mse_loss(boxes.mean((1, 2)), center)


def images(channels, height, width):
    return lambda count, generator: spots(count, channels, height, width, generator)


def sequences(channels, length):
    return lambda count, generator: waves(count, channels, length, generator)


# The network, its data, its loss, and whether the legacy export has a batch of any size; dynamo's has
# it the other way around. Then the opset of the legacy export.
CATALOG = {
    "har": (Har, sequences(6, 64), classify, True, 11),
    "tcn": (Tcn, sequences(4, 48), classify, False, 13),
    "mobilenetv2": (MobileNetV2, images(3, 32, 32), classify, False, 12),
    "mobilenetv3": (MobileNetV3, images(3, 32, 32), classify, True, 14),
    "unet_transposed": (lambda: UNet("transposed"), images(1, 24, 24), segment, True, 11),
    "unet_resize": (lambda: UNet("resize"), images(1, 24, 24), segment, False, 16),
    "detector": (Detector, images(3, 32, 32), detect, True, 17),
    "vit": (Vit, images(3, 32, 32), classify, False, 17),
    "dscnn_se": (DsCnn, images(1, 49, 10), classify, True, 20),
}


def slim(model):
    """Without traces of the code that was exported, which name files of the machine."""
    def strip(graph):
        del graph.metadata_props[:]
        graph.doc_string = ""
        for entry in [*graph.node, *graph.value_info, *graph.input, *graph.output,
                      *graph.initializer]:
            del entry.metadata_props[:]
            entry.doc_string = ""

    strip(model.graph)
    for function in model.functions:
        del function.metadata_props[:]
        for entry in [*function.node, *function.value_info]:
            del entry.metadata_props[:]
            entry.doc_string = ""
    del model.metadata_props[:]
    model.doc_string = ""
    return model


def export(net, sample, dynamo, open_batch, opset):
    names = ["x"]
    buffer = io.BytesIO()
    if dynamo:
        shapes = ({0: torch.export.Dim("batch")},) if open_batch else None
        program = torch.onnx.export(net, (sample,), dynamo=True, input_names=names,
                                    dynamic_shapes=shapes, verbose=False)
        return slim(program.model_proto)
    axes = {"x": {0: "batch"}} if open_batch else None
    torch.onnx.export(net, (sample,), buffer, dynamo=False, input_names=names, dynamic_axes=axes,
                      opset_version=opset, verbose=False)
    return slim(onnx.load_from_string(buffer.getvalue()))


def main():
    NETS.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CATALOG:
        make, samples, loss, open_batch, opset = CATALOG[name]
        torch.manual_seed(0)
        net = make()
        value = train(net, samples, loss)
        sample = samples(2, torch.Generator().manual_seed(2))[0]
        for way, dynamo in (("legacy", False), ("dynamo", True)):
            any_batch = open_batch != dynamo
            # A batch of one would be fixed by dynamo.
            model = export(net, sample if any_batch else sample[:1], dynamo, any_batch, opset)
            path = NETS / f"{name}.{way}.onnx"
            path.write_bytes(model.SerializeToString())
            ops = sorted({n.op_type for n in model.graph.node})
            print(f"{path.name}: loss {value:.3f}, {path.stat().st_size} bytes, opset "
                  f"{[(o.domain, o.version) for o in model.opset_import]}, {ops}")


if __name__ == "__main__":
    main()
