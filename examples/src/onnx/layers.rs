//! Layers of Burn as nodes. Their parameters are called like the node, with the name of the part behind a dot.

use burn::nn::conv::Conv1d;
use burn::nn::gru::Gru;
use burn::nn::{BatchNorm, Linear};
use burn::tensor::Tensor;

use super::{OnnxWriter, float, int, ints};

/// Batch normalization as inference computes it. Returns the name of its output, as all functions here.
pub fn batch_norm(onnx: &mut OnnxWriter, name: &str, layer: &BatchNorm, input: String) -> String {
    let inputs = [
        input,
        tensor(onnx, &format!("{name}.gamma"), layer.gamma.val()),
        tensor(onnx, &format!("{name}.beta"), layer.beta.val()),
        tensor(onnx, &format!("{name}.running_mean"), layer.running_mean.value_sync()),
        tensor(onnx, &format!("{name}.running_var"), layer.running_var.value_sync()),
    ];
    let epsilon = float("epsilon", layer.epsilon as f32);
    onnx.node("BatchNormalization", name, &inputs, vec![epsilon])
}

/// A linear layer of a vector.
///
/// Burn keeps the weight of a linear layer as `[inputs, outputs]`; here it is stored as
/// `[outputs, inputs]`, an output channel per row as in convolutions.
pub fn linear(onnx: &mut OnnxWriter, name: &str, layer: &Linear, input: String) -> String {
    let weight = tensor(onnx, &format!("{name}.weight"), layer.weight.val().transpose());
    let bias = layer.bias.as_ref().expect("linear layers of the examples have a bias");
    let bias = tensor(onnx, &format!("{name}.bias"), bias.val());
    let attributes =
        vec![float("alpha", 1.0), float("beta", 1.0), int("transA", 0), int("transB", 1)];
    onnx.node("Gemm", name, &[input, weight, bias], attributes)
}

/// A convolution along one axis that does not pad.
pub fn conv1d(onnx: &mut OnnxWriter, name: &str, layer: &Conv1d, input: String) -> String {
    let mut inputs = vec![input, tensor(onnx, &format!("{name}.weight"), layer.weight.val())];
    inputs
        .extend(layer.bias.as_ref().map(|bias| tensor(onnx, &format!("{name}.bias"), bias.val())));
    let attributes = vec![
        ints("kernel_shape", &[layer.kernel_size]),
        ints("strides", &[layer.stride]),
        ints("dilations", &[layer.dilation]),
        int("group", layer.groups as i64),
    ];
    onnx.node("Conv", name, &inputs, attributes)
}

/// A GRU over a sequence `[steps, batch, input]` from a state `[1, batch, hidden]`. Returns the name of the state
/// `[1, batch, hidden]` that it leaves.
pub fn gru(onnx: &mut OnnxWriter, name: &str, layer: &Gru, input: String, state: String) -> String {
    // The standard's order of gates.
    let gates = [&layer.update_gate, &layer.reset_gate, &layer.new_gate];
    let both = gates.map(|gate| [&gate.input_transform, &gate.hidden_transform]);
    let rows = |side: usize| {
        let weights = both.map(|gate| gate[side].weight.val().transpose());
        Tensor::cat(weights.to_vec(), 0).unsqueeze::<3>()
    };
    let bias = |side: usize| {
        let biases = both.map(|gate| gate[side].bias.as_ref().expect("the GRU has biases").val());
        Tensor::cat(biases.to_vec(), 0)
    };
    let biases = Tensor::cat(vec![bias(0), bias(1)], 0).unsqueeze::<2>();
    let inputs = [
        input,
        tensor(onnx, &format!("{name}.input_weight"), rows(0)),
        tensor(onnx, &format!("{name}.hidden_weight"), rows(1)),
        tensor(onnx, &format!("{name}.bias"), biases),
        String::new(), // all sequences have the same length
        state,
    ];
    let attributes = vec![
        int("hidden_size", layer.d_hidden as i64),
        int("linear_before_reset", i64::from(layer.reset_after)),
    ];
    onnx.node_with("GRU", name, &inputs, &["", name], attributes);
    name.into()
}

/// Stores a tensor's values under `name`.
pub fn tensor<const D: usize>(onnx: &mut OnnxWriter, name: &str, values: Tensor<D>) -> String {
    let dims: [usize; D] = values.dims();
    let values = values.into_data().try_to_vec::<f32>().expect("parameters are f32");
    onnx.initializer(name, &dims, &values)
}
