//! The trained network as an ONNX model. Nodes and initializers are called like the parts of
//! [`DigitsNet`] that they come from; batch normalization is kept, not folded.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::pool::MaxPool2d;

use burn_ptq_examples::net::{CLASSES, ConvNorm, DigitsNet, SIDE};
use burn_ptq_examples::onnx::layers::{batch_norm, linear, tensor};
use burn_ptq_examples::onnx::{Axis, OnnxWriter, int, ints};

const BATCH: Axis = Axis::Symbol("N");

/// The `.onnx` file: `image` `[N, 1, 8, 8]` to `probabilities` `[N, 10]`.
pub(crate) fn to_onnx(net: &DigitsNet, description: &str) -> Vec<u8> {
    let mut onnx = OnnxWriter::new("digits");
    let side = Axis::Size(SIDE);
    let image = onnx.input("image", &[BATCH, Axis::Size(1), side, side]);

    let x = conv_norm_relu(&mut onnx, "stem", &net.stem, image);
    let x = conv_norm_relu(&mut onnx, "depthwise1", &net.depthwise1, x);
    let x = conv_norm_relu(&mut onnx, "pointwise1", &net.pointwise1, x);
    let x = max_pool(&mut onnx, "max_pool", &net.max_pool, x);
    let branch = conv_norm_relu(&mut onnx, "residual1", &net.residual1, x.clone());
    let branch = conv_norm(&mut onnx, "residual2", &net.residual2, branch);
    let x = onnx.node("Add", "residual_add", &[branch, x], vec![]);
    let x = onnx.node("Relu", "residual_relu", &[x], vec![]);
    let x = conv_norm_relu(&mut onnx, "depthwise2", &net.depthwise2, x);
    let x = conv_norm_relu(&mut onnx, "pointwise2", &net.pointwise2, x);
    let x = onnx.node("GlobalAveragePool", "average_pool", &[x], vec![]);
    let x = onnx.node("Flatten", "flatten", &[x], vec![int("axis", 1)]);
    let x = linear(&mut onnx, "classifier", &net.classifier, x);
    let x = onnx.node("Softmax", "probabilities", &[x], vec![int("axis", -1)]);
    onnx.output(&x, &[BATCH, Axis::Size(CLASSES)]);
    onnx.finish("train_digits", description)
}

fn conv_norm_relu(onnx: &mut OnnxWriter, name: &str, layer: &ConvNorm, input: String) -> String {
    let x = conv_norm(onnx, name, layer, input);
    onnx.node("Relu", &format!("{name}.relu"), &[x], vec![])
}

fn conv_norm(onnx: &mut OnnxWriter, name: &str, layer: &ConvNorm, input: String) -> String {
    let x = conv(onnx, &format!("{name}.conv"), &layer.conv, input);
    batch_norm(onnx, &format!("{name}.norm"), &layer.norm, x)
}

fn conv(onnx: &mut OnnxWriter, name: &str, layer: &Conv2d, input: String) -> String {
    assert!(layer.bias.is_none(), "{name}: the normalization that follows has the bias");
    let weight = tensor(onnx, &format!("{name}.weight"), layer.weight.val());
    let attributes = vec![
        ints("kernel_shape", &layer.kernel_size),
        ints("strides", &layer.stride),
        ints("pads", &pads(&layer.padding)),
        ints("dilations", &layer.dilation),
        int("group", layer.groups as i64),
    ];
    onnx.node("Conv", name, &[input, weight], attributes)
}

fn max_pool(onnx: &mut OnnxWriter, name: &str, layer: &MaxPool2d, input: String) -> String {
    let attributes = vec![
        ints("kernel_shape", &layer.kernel_size),
        ints("strides", &layer.stride),
        ints("pads", &pads(&layer.padding)),
    ];
    onnx.node("MaxPool", name, &[input], attributes)
}

/// Top, left, bottom, right: the order of both Burn and ONNX.
fn pads(padding: &PaddingConfig2d) -> [usize; 4] {
    match padding {
        PaddingConfig2d::Explicit(top, left, bottom, right) => [*top, *left, *bottom, *right],
        PaddingConfig2d::Valid => [0; 4],
        PaddingConfig2d::Same => panic!("the network pads explicitly"),
    }
}
