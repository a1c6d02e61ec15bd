#!/usr/bin/env python3
"""Writes the `.tflite` files that tests of their import read, with TensorFlow's converter.

    pip install tensorflow ai-edge-quantizer    # the latter for weights of 4 bits
    python3 scripts/export-tflite.py tests/imports/files            # the small ones, which are committed
    python3 scripts/export-tflite.py --full FOLDER                  # MLPerf Tiny's architectures, full size

Weights are random, by a seed, and so are the samples that the converter calibrates with: the files judge
arithmetic, not accuracy. Other versions of TensorFlow may write other bytes.
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SAMPLES = 32


def conv_bn(x, filters, kernel, strides=1, activation="relu"):
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same")(x)
    x = layers.BatchNormalization(momentum=0.0)(x)
    return layers.Activation(activation)(x) if activation else x


def depthwise_bn(x, strides=1):
    x = layers.DepthwiseConv2D(3, strides=strides, padding="same")(x)
    x = layers.BatchNormalization(momentum=0.0)(x)
    return layers.Activation("relu")(x)


def resnet8(width=16, size=32, last="softmax"):
    """Image classification: CIFAR-10's ResNet-8."""
    inputs = layers.Input((size, size, 3))
    x = conv_bn(inputs, width, 3)
    for stage, filters in enumerate([width, 2 * width, 4 * width]):
        strides = 1 if stage == 0 else 2
        y = conv_bn(x, filters, 3, strides)
        y = conv_bn(y, filters, 3, activation=None)
        if stage > 0:
            x = layers.Conv2D(filters, 1, strides=strides, padding="same")(x)
        x = layers.Activation("relu")(layers.add([x, y]))
    x = layers.AveragePooling2D(x.shape[1])(x)
    return keras.Model(inputs, layers.Dense(10, activation=last)(layers.Flatten()(x)))


def dscnn(width=64, frames=49):
    """Keyword spotting: the depthwise separable network."""
    inputs = layers.Input((frames, 10, 1))
    x = conv_bn(inputs, width, (10, 4), 2)
    for _ in range(4):
        x = conv_bn(depthwise_bn(x), width, 1)
    x = layers.AveragePooling2D(x.shape[1:3])(x)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(layers.Flatten()(x)))


def mobilenet(width=8, size=96, blocks=13):
    """Visual wake words: MobileNetV1 with a quarter of the channels."""
    inputs = layers.Input((size, size, 3))
    x = conv_bn(inputs, width, 3, 2)
    plan = [(2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (16, 2)] + 5 * [(16, 1)] + [(32, 2), (32, 1)]
    for factor, strides in plan[:blocks]:
        x = conv_bn(depthwise_bn(x, strides), factor * width, 1)
    x = layers.AveragePooling2D(x.shape[1:3])(x)
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(x)))


def autoencoder(inner=128, size=640):
    """Anomaly detection: the dense autoencoder."""
    inputs = x = layers.Input((size,))
    for units in 4 * [inner] + [8] + 4 * [inner]:
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.0)(layers.Dense(units)(x)))
    return keras.Model(inputs, layers.Dense(size)(x))


def activations(wide=False):
    """Activation functions by themselves and fused, transposed convolutions, joined parts."""
    inputs = layers.Input((8, 8, 4), 1)
    x = layers.Conv2D(6, 3, padding="same")(inputs)
    parts = [
        layers.Activation("sigmoid")(x),
        layers.Activation("tanh")(x),
        layers.Activation("relu6")(layers.Conv2D(6, 1)(x)),
    ]
    parts += [] if wide else [
        layers.LeakyReLU(negative_slope=0.1)(x),
        layers.Activation("hard_silu")(x),
        layers.PReLU(shared_axes=[1, 2], alpha_initializer="uniform")(x),
    ]
    x = layers.concatenate(parts)
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same")(x)
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.AveragePooling2D(3, 1, padding="same")(x)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, dilation_rate=2)(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(x))


class Movements(tf.Module):
    """What moves elements, and operations of two values."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(5)
        self.kernel = tf.Variable(random.normal(0, 0.3, (3, 3, 4, 6)).astype(np.float32))
        self.factors = tf.constant(random.normal(0, 1, (1, 1, 1, 6)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 4), tf.float32)])
    def __call__(self, x):
        x = tf.nn.conv2d(x, self.kernel, 1, "SAME")
        low, high = tf.split(x, 2, axis=3)
        x = tf.concat([high, low[:, :, ::-1, :]], 3)
        x = tf.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]])
        x = tf.pad(x, [[0, 0], [1, 0], [0, 2], [0, 0]], "REFLECT")
        x = x[:, 1:9:2, 2:10, :]
        y = x * self.factors
        x = tf.maximum(x, y) - tf.minimum(y, 0.5 * x)
        x = tf.image.resize(x, (8, 8), "nearest")
        x = tf.compat.v1.image.resize_bilinear(x, (12, 12), half_pixel_centers=True)
        x = tf.nn.depth_to_space(tf.nn.space_to_depth(x, 2), 2)
        x = tf.transpose(x, (0, 3, 1, 2))
        x = tf.reshape(x, (1, 36, 24))
        x = tf.matmul(x, x, transpose_b=True)
        return tf.reduce_mean(x, 1), tf.reduce_sum(tf.abs(x), 2), tf.reduce_max(x, 1)


class Streaming(tf.Module):
    """Frame by frame: states keep what windows need of frames before."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(6)
        draw = lambda *shape: tf.constant(random.normal(0, 0.3, shape).astype(np.float32))
        self.first, self.second = draw(3, 1, 10, 8), draw(5, 1, 8, 1)
        self.dense = draw(8, 4)
        self.frames = tf.Variable(tf.zeros((1, 2, 1, 10)), trainable=False)
        self.maps = tf.Variable(tf.zeros((1, 4, 1, 8)), trainable=False)

    @tf.function(input_signature=[tf.TensorSpec((1, 1, 1, 10), tf.float32)])
    def __call__(self, x):
        x = tf.concat([self.frames, x], 1)
        self.frames.assign(x[:, 1:])
        x = tf.nn.relu(tf.nn.conv2d(x, self.first, 1, "VALID"))
        x = tf.concat([self.maps, x], 1)
        self.maps.assign(x[:, 1:])
        x = tf.nn.depthwise_conv2d(x, self.second, [1, 1, 1, 1], "VALID")
        return tf.nn.softmax(tf.matmul(tf.reshape(x, (1, 8)), self.dense))


def enlivened(model, seed):
    """The model with batch normalizations that do something, and an output that depends on the input."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.gamma.assign(random.uniform(0.5, 1.5, layer.gamma.shape).astype(np.float32))
            layer.beta.assign(random.uniform(-0.5, 0.5, layer.beta.shape).astype(np.float32))
    shape = [1, *model.inputs[0].shape[1:]]
    batch = np.concatenate([sample(random, shape) for _ in range(2 * SAMPLES)])
    # Statistics become those of the batch.
    model(batch, training=True)
    last = model.layers[-1]
    features = keras.Model(model.inputs, last.input)(batch).numpy()
    # No class wins always, and none by far.
    kernel = last.kernel.numpy()
    kernel = kernel * (2 / (features @ kernel).std(0))
    last.kernel.assign(kernel)
    last.bias.assign(-(features @ kernel).mean(0))
    return model


def sample(random, shape):
    """Noise around a level of its own, so that averages over a sample differ."""
    return (random.normal(0, 1) + random.uniform(0.2, 1.5) * random.normal(0, 1, shape)).astype(np.float32)


def convert(model, seed, wide=False, ends=None, quantized=True):
    """The bytes of the converted model; `ends` is the type of inputs and outputs."""
    if isinstance(model, keras.Model):
        inputs = [[1, *tensor.shape[1:]] for tensor in model.inputs]
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
    else:
        concrete = model.__call__.get_concrete_function()
        inputs = [spec.shape for spec in concrete.structured_input_signature[0]]
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], model)
    if not quantized:
        return converter.convert()
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    random = np.random.default_rng(seed)

    def samples():
        for _ in range(SAMPLES):
            yield [sample(random, shape) for shape in inputs]

    converter.representative_dataset = samples
    ops = tf.lite.OpsSet
    kinds = ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8 if wide else ops.TFLITE_BUILTINS_INT8
    converter.target_spec.supported_ops = [kinds]
    integer = tf.int16 if wide else tf.int8
    converter.inference_input_type = converter.inference_output_type = ends or integer
    # States become int8 as other activations do.
    converter._experimental_variable_quantization = True
    return converter.convert()


def four_bits(content, seed):
    """A float file with weights of 4 bits and activations of 8, by ai-edge-quantizer."""
    from ai_edge_quantizer import qtyping, quantizer

    tool = quantizer.Quantizer(content)
    operators = qtyping.TFLOperationName
    tool.add_static_config(".*", operators.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    # The tool has no other layers with 4 bits.
    tool.add_static_config(".*", operators.CONV_2D, activation_num_bits=8, weight_num_bits=4)
    interpreter = tf.lite.Interpreter(model_content=content)
    (signature,) = interpreter.get_signature_list()
    runner = interpreter.get_signature_runner(signature)
    ((name, details),) = runner.get_input_details().items()
    random = np.random.default_rng(seed)
    samples = [{name: sample(random, details["shape"])} for _ in range(SAMPLES)]
    return bytes(tool.quantize(tool.calibrate({signature: samples})).quantized_model)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--full", action="store_true", help="the architectures of MLPerf Tiny at full size")
    parser.add_argument("--only", help="only the file of this name")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(7)
    if options.full:
        files = {
            "resnet8": lambda: convert(enlivened(resnet8(), 1), 1),
            "dscnn": lambda: convert(enlivened(dscnn(), 2), 2),
            "mobilenet": lambda: convert(enlivened(mobilenet(), 3), 3),
            "autoencoder": lambda: convert(enlivened(autoencoder(), 4), 4),
        }
    else:
        files = {
            "resnet8": lambda: convert(enlivened(resnet8(4, 16), 1), 1),
            "dscnn": lambda: convert(enlivened(dscnn(8), 2), 2),
            "mobilenet": lambda: convert(enlivened(mobilenet(4, 32, 6), 3), 3),
            "autoencoder": lambda: convert(enlivened(autoencoder(16, 64), 4), 4),
            "float_ends": lambda: convert(enlivened(dscnn(4), 2), 2, ends=tf.float32),
            "uint8_ends": lambda: convert(enlivened(dscnn(4), 2), 2, ends=tf.uint8),
            "wide": lambda: convert(enlivened(resnet8(4, 8, last=None), 5), 5, wide=True),
            "activations": lambda: convert(activations(), 6),
            "wide_activations": lambda: convert(activations(wide=True), 6, wide=True),
            "movements": lambda: convert(Movements(), 7),
            "streaming": lambda: convert(Streaming(), 8),
            "float": lambda: convert(enlivened(dscnn(4), 2), 2, quantized=False),
            "four_bits": lambda: four_bits(convert(enlivened(dscnn(8), 9), 9, quantized=False), 9),
        }
    for name, make in files.items():
        if options.only not in (None, name):
            continue
        try:
            content = make()
        except Exception as error:
            print(f"{name}: FAILED, {type(error).__name__}: {str(error)[:1000]}")
            continue
        (options.folder / f"{name}.tflite").write_bytes(content)
        print(f"{name}: {len(content)} bytes", flush=True)


if __name__ == "__main__":
    main()
