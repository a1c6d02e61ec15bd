#!/usr/bin/env python3
"""Writes the float `.tflite` files that tests of their import read, with TensorFlow's converter.

    pip install tensorflow
    python3 scripts/export-float-tflite.py crates/burn-ptq/tests/tflite [NAME ..]

Weights are random, by a seed: the files judge what is computed, not accuracy. Other versions of TensorFlow may
write other bytes.
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import flatbuffers
import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from tensorflow.lite.python import schema_py_generated as schema


def conv_bn(x, filters, kernel, strides=1, activation="relu"):
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def depthwise_bn(x, strides=1):
    x = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def residual():
    inputs = layers.Input((16, 16, 3), 1)
    x = conv_bn(inputs, 4, 3)
    for filters, strides in [(4, 1), (8, 2), (16, 2)]:
        y = conv_bn(conv_bn(x, filters, 3, strides), filters, 3, activation=None)
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides=strides, padding="same")(x)
        x = layers.Activation("relu")(layers.add([x, y]))
    x = layers.AveragePooling2D(x.shape[1])(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))


def separable():
    inputs = layers.Input((25, 10, 1), 1)
    x = conv_bn(inputs, 8, (10, 4), 2)
    for _ in range(2):
        x = conv_bn(depthwise_bn(x), 8, 1)
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(layers.Flatten()(x)))


def autoencoder():
    inputs = x = layers.Input((64,), 1)
    for units in [16, 16, 8, 16, 16]:
        x = layers.Activation("relu")(layers.BatchNormalization()(layers.Dense(units)(x)))
    return keras.Model(inputs, layers.Dense(64)(x))


def squeeze_excite():
    inputs = layers.Input((16, 16, 3), 1)
    x = conv_bn(inputs, 8, 3, 2, "relu6")
    s = layers.Conv2D(4, 1, activation="relu")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    s = layers.Conv2D(8, 1, activation="hard_sigmoid")(s)
    x = layers.Activation("hard_swish")(layers.multiply([x, s]))
    return keras.Model(inputs, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


def unet():
    inputs = layers.Input((16, 16, 2), 1)
    a = conv_bn(inputs, 4, 3)
    b = conv_bn(layers.MaxPooling2D()(a), 8, 3)
    u = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(b)
    d = layers.Conv2D(4, 1)(layers.UpSampling2D(2, interpolation="bilinear")(b))
    o = layers.Add()([layers.Conv2D(4, 3, padding="same")(layers.Concatenate()([a, u])), d])
    return keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(o))


def sensor():
    inputs = layers.Input((64, 6), 1)
    x = layers.Conv1D(8, 5, strides=2, padding="same", activation="relu")(inputs)
    x = layers.Conv1D(8, 3, dilation_rate=2, padding="same")(x)
    x = layers.Flatten()(layers.MaxPooling1D(2)(layers.LeakyReLU(0.1)(x)))
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))


def transformer():
    inputs = layers.Input((12, 8), 1)
    x = layers.Dense(16)(inputs)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 8)(x, x))
    y = layers.Dense(16)(layers.Dense(32, activation="gelu")(x))
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x + y))
    return keras.Model(inputs, layers.Dense(3)(x))


def two_heads():
    inputs = layers.Input((24, 24, 3), 1, name="image")
    x = conv_bn(depthwise_bn(conv_bn(inputs, 8, 3, 2), 2), 16, 1)
    boxes = layers.Reshape((-1, 2))(layers.Conv2D(6, 1)(x))
    scores = layers.Activation("sigmoid")(layers.Reshape((-1, 1))(layers.Conv2D(3, 1)(x)))
    return keras.Model(inputs, [boxes, scores])


def elements():
    inputs = layers.Input((10, 12, 4), 1)
    x = layers.ZeroPadding2D(((1, 2), (0, 1)))(inputs)
    x = layers.PReLU(shared_axes=[1, 2])(layers.Conv2D(6, 3, strides=2)(x))
    x = ops.transpose(layers.ELU()(x[:, 1:, ::2, :]), (0, 2, 1, 3))
    a, b = ops.split(x, 2, axis=-1)
    x = ops.sqrt(ops.abs(ops.maximum(a, b) * 0.5 - ops.square(b)) + 0.1)
    sums, largest = ops.sum(x, axis=(1, 2)), layers.Flatten()(ops.max(x, axis=1))
    return keras.Model(inputs, layers.Concatenate()([sums, largest]))


def blocks():
    inputs = layers.Input((8, 8, 3), 1)
    x = layers.Lambda(lambda t: tf.nn.space_to_depth(t, 2))(inputs)
    x = layers.Conv2D(16, 3, padding="same", activation="tanh")(x)
    x = layers.Lambda(lambda t: tf.nn.depth_to_space(t, 2))(x)
    x = layers.Lambda(lambda t: tf.image.resize(t, (12, 12), method="nearest"))(x)
    pads = [[0, 0], [1, 1], [2, 1], [0, 0]]
    x = layers.Lambda(lambda t: tf.pad(t, pads, mode="REFLECT"))(x)
    x = layers.AveragePooling2D(3, 2, padding="same")(layers.DepthwiseConv2D(3, depth_multiplier=2)(x))
    return keras.Model(inputs, layers.Softmax()(x))


NETWORKS = {
    "autoencoder": autoencoder,
    "blocks": blocks,
    "elements": elements,
    "residual": residual,
    "sensor": sensor,
    "separable": separable,
    "squeeze_excite": squeeze_excite,
    "transformer": transformer,
    "two_heads": two_heads,
    "unet": unet,
}


def randomize(model):
    """Statistics and biases as training leaves them."""
    random = np.random.RandomState(5)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            count = weights[0].shape
            layer.set_weights([
                random.uniform(0.5, 1.5, count), random.normal(0, 0.3, count),
                random.normal(0, 0.3, count), random.uniform(0.5, 1.5, count),
            ])
        elif getattr(layer, "bias", None) is not None:
            weights[-1] = random.normal(0, 0.2, weights[-1].shape)
            layer.set_weights(weights)
    return model


def converted(model, half=False):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def recurrent(operator, options_type, options, gates, steps=11, features=5, hidden=6):
    """A file of one recurrent layer, which today's converter would write as a loop of its own."""
    random = np.random.RandomState(7)
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT()]
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = operator, operator, 1
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    graph.name, graph.tensors = "main", []

    def tensor(name, shape, data=None, variable=False):
        own = schema.TensorT()
        own.name, own.shape, own.type, own.isVariable = name, shape, schema.TensorType.FLOAT32, variable
        own.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.astype("<f4").tobytes(), np.uint8)
            own.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.tensors.append(own)
        return len(graph.tensors) - 1

    def weights(name, *shape):
        return tensor(name, shape, random.normal(0, 0.5, shape))

    x = tensor("x", [1, steps, features])
    inputs = [x] + [weights(f"w{i}", hidden, features) for i in range(gates)]
    inputs += [weights(f"r{i}", hidden, hidden) for i in range(gates)]
    if gates == 4:
        inputs += [-1, -1, -1]
    inputs += [weights(f"b{i}", hidden) for i in range(gates)]
    if gates == 4:
        inputs += [-1, -1]
    inputs.append(tensor("state", [1, hidden], variable=True))
    if gates == 4:
        inputs.append(tensor("cell", [1, hidden], variable=True))
        inputs += [-1, -1, -1, -1]
    y = tensor("y", [1, steps, hidden])
    node = schema.OperatorT()
    node.opcodeIndex, node.inputs, node.outputs = 0, inputs, [y]
    node.builtinOptionsType, node.builtinOptions = options_type, options
    graph.operators, graph.inputs, graph.outputs = [node], [x], [y]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1 << 14)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def lstm():
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    return recurrent(
        schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM,
        schema.BuiltinOptions.UnidirectionalSequenceLSTMOptions, options, 4,
    )


def rnn():
    options = schema.SequenceRNNOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    return recurrent(
        schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_RNN,
        schema.BuiltinOptions.SequenceRNNOptions, options, 1,
    )


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, network in NETWORKS.items():
        keras.utils.set_random_seed(3)
        model = randomize(network())
        files[name] = lambda model=model: converted(model)
        if name == "residual":
            files["half_precision"] = lambda model=model: converted(model, half=True)
    files |= {"lstm": lstm, "rnn": rnn}
    for name in sys.argv[2:] or files:
        path = out / f"{name}.tflite"
        path.write_bytes(files[name]())
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
