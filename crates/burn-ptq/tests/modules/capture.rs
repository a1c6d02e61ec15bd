//! Burn modules become graphs that compute what they compute.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::attention::{MhaInput, MultiHeadAttentionConfig};
use burn::nn::conv::{
    Conv1d, Conv1dConfig, Conv2d, Conv2dConfig, ConvTranspose1d, ConvTranspose1dConfig,
    ConvTranspose2d, ConvTranspose2dConfig,
};
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::pool::{
    AdaptiveAvgPool2dConfig, AvgPool1dConfig, AvgPool2dConfig, MaxPool1dConfig, MaxPool2dConfig,
};
use burn::nn::{
    BiLstm, BiLstmConfig, DropoutConfig, Embedding, EmbeddingConfig, GroupNormConfig,
    InstanceNormConfig, LayerNormConfig, Linear, LinearConfig, Lstm, LstmConfig, PaddingConfig2d,
    RmsNormConfig,
};
use burn::tensor::activation::{
    hard_sigmoid, hard_swish, leaky_relu, log_softmax, prelu, relu, sigmoid, softmax,
};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions, PadMode};
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData, s};
use burn_ptq::graph::{FloatModel, Graph, Op, ValueId};
use burn_ptq::import::{CaptureError, Tensors, capture, capture_named};
use burn_ptq::prepare;

use crate::net::{Draws, Net, host};

/// No parameters.
#[derive(Module, Debug)]
struct Nothing {}

/// Runs a graph on a batch of any rank.
fn run<const D: usize>(graph: &Graph, input: Tensor<D>) -> Vec<f32> {
    let [a, b, c] = graph.value(graph.input()).dims();
    let batch = input.dims()[0];
    let model = FloatModel::new(Arc::new(graph.clone()), &input.device());
    host(model.forward(input.reshape([batch, a, b, c])))
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0_f32, |m, x| m.max(x.abs()));
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= 1e-5 * largest, "{what}: {f}, expected {e}");
    }
}

/// Captures with one sample, and compares on three.
#[track_caller]
fn check<M: Module, const I: usize, const O: usize>(
    what: &str,
    module: &M,
    shape: [usize; I],
    forward: impl Fn(&M, Tensor<I>) -> Tensor<O>,
) -> Graph {
    let device = Device::flex();
    let mut one = shape;
    one[0] = 1;
    let graph = capture(module, Tensor::zeros(one, &device), |m, x| forward(m, x))
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let input = Draws::new(1).tensor(shape, [-2.0, 2.0], &device);
    let expected = host(forward(module, input.clone()));
    assert_close(&run(&graph, input.clone()), &expected, what);
    assert_close(&run(&prepare(graph.clone()).unwrap(), input), &expected, what);
    graph
}

#[test]
fn a_network_is_captured_with_the_paths_of_its_parameters_as_names() {
    let net = Net::new(&Device::flex());
    let graph = check("net", &net, [3, 2, 12, 10], Net::forward);
    assert_eq!(graph.name, "Net");
    let names: Vec<&str> = graph.nodes.iter().map(|n| n.name.as_str()).collect();
    for name in ["stem.conv", "stem.norm", "blocks.1.conv", "depthwise.conv", "classifier"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let statistics = |name: &str| {
        let node = graph.nodes.iter().find(|n| n.name == name).unwrap();
        node.batch_norm.clone().unwrap()
    };
    assert_eq!(statistics("stem.norm").name, "stem.norm");
    assert_eq!(statistics("stem.norm").gamma, host(net.stem.norm.gamma.val()));
    assert!(graph.nodes.iter().any(|n| matches!(n.op, Op::Unary(_))), "hard swish is one node");
    let prepared = prepare(graph).unwrap();
    let names: Vec<&str> = prepared.nodes.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names.len(), 10, "{names:?}");
}

#[test]
fn a_captured_batch_may_have_any_size() {
    let net = Net::new(&Device::flex());
    for batch in [1, 2, 7] {
        let sample = Tensor::zeros([batch, 2, 8, 8], &Device::flex());
        let graph = capture(&net, sample, Net::forward).unwrap();
        assert_eq!(graph.value(graph.input()).shape, [2, 8, 8]);
        let input = Draws::new(3).tensor([4, 2, 8, 8], [-2.0, 2.0], &Device::flex());
        assert_close(&run(&graph, input.clone()), &host(net.forward(input)), "net");
    }
}

#[test]
fn every_supported_operation_computes_what_burn_computes() {
    type Forward = fn(&Nothing, Tensor<4>) -> Tensor<4>;
    let operations: &[(&str, Forward)] = &[
        ("relu", |_, x| relu(x)),
        ("relu6", |_, x| x.clamp(0.0, 6.0)),
        ("clamp_min", |_, x| x.clamp_min(-0.5)),
        ("clamp_max", |_, x| x.clamp_max(0.5)),
        ("leaky_relu", |_, x| leaky_relu(x, 0.2)),
        ("hard_swish", |_, x| hard_swish(x)),
        ("hard_sigmoid", |_, x| hard_sigmoid(x, 0.2, 0.5)),
        ("sigmoid", |_, x| sigmoid(x)),
        ("tanh", |_, x| x.tanh()),
        ("softmax", |_, x| softmax(x, 1)),
        ("log_softmax", |_, x| log_softmax(x, 3)),
        ("neg", |_, x| -x),
        ("add", |_, x| relu(x.clone()) + x),
        ("add_scalar", |_, x| x + 1.5),
        ("sub_scalar", |_, x| x - 1.5),
        ("mul", |_, x| sigmoid(x.clone()) * x),
        ("mul_scalar", |_, x| x * 0.3),
        ("div_scalar", |_, x| x / 3.0),
        ("sub", |_, x| sigmoid(x.clone()) - x),
        ("div", |_, x| x.clone() / (relu(x) + 0.5)),
        ("max_pair", |_, x| x.clone().max_pair(x.mean_dim(1))),
        ("min_pair", |_, x| sigmoid(x.clone()).min_pair(x)),
        ("prelu", |_, x| {
            let slopes = Tensor::<1>::from_floats([0.1, -0.3, 0.7, 1.5], &x.device());
            prelu(x, slopes)
        }),
        ("prelu of one slope", |_, x| {
            let slope = Tensor::<1>::from_floats([0.25], &x.device());
            prelu(x, slope)
        }),
        ("cat", |_, x| Tensor::cat(vec![relu(x.clone()), x], 1)),
        ("pad", |_, x| x.pad((1, 2, 0, 3), 0.0)),
        ("reshape", |_, x| {
            let batch = x.dims()[0];
            x.reshape([batch, 8, 3, 4])
        }),
        ("permute", |_, x| x.permute([0, 2, 3, 1])),
        ("swap_dims", |_, x| x.swap_dims(2, 3)),
        ("mean", |_, x| x.mean_dim(2).mean_dim(3)),
        ("slice", |_, x| x.slice(s![.., 1..3, .., -3..])),
        ("slice in steps", |_, x| x.slice(s![.., .., 1..6;2, 0..4;-2])),
        ("narrow", |_, x| x.narrow(2, 1, 4)),
        ("chunk", |_, x| Tensor::cat(x.chunk(2, 1).into_iter().rev().collect(), 1)),
        ("flip", |_, x| x.flip([1, 3])),
        ("select", |_, x| {
            let device = x.device();
            x.select(2, Tensor::<1, Int>::from_ints([5, 0, 0], &device))
        }),
        ("repeat", |_, x| x.repeat_dim(3, 2)),
        ("expand", |_, x| x.mean_dim(2).expand([-1, -1, 5, -1])),
        ("reflected", |_, x| x.pad((1, 2, 0, 3), PadMode::Reflect)),
        ("edge", |_, x| x.pad((1, 2, 0, 3), PadMode::Edge)),
        ("bilinear, corners aligned", |_, x| {
            let linear = InterpolateOptions::new(InterpolateMode::Bilinear);
            interpolate(x, linear.with_output_size([9, 8]).with_align_corners(true))
        }),
        ("bilinear", |_, x| {
            let linear = InterpolateOptions::new(InterpolateMode::Bilinear);
            interpolate(x, linear.with_output_size([9, 8]).with_align_corners(false))
        }),
        ("interpolate", |_, x| {
            let nearest = InterpolateOptions::new(InterpolateMode::Nearest);
            interpolate(x, nearest.with_output_size([9, 8]))
        }),
        ("channel shuffle", |_, x| {
            let [batch, channels, height, width] = x.dims();
            let groups = x.reshape([batch, 2, channels / 2, height, width]).swap_dims(1, 2);
            groups.reshape([batch, channels, height, width])
        }),
        ("mean of channels", |_, x| x.mean_dim(1)),
        ("sum", |_, x| x.sum_dim(2)),
        ("largest", |_, x| x.max_dim(1)),
        ("smallest", |_, x| x.min_dim(3)),
        ("product", |_, x| x.clone().matmul(x.swap_dims(2, 3))),
        ("average pool", |_, x| {
            AvgPool2dConfig::new([2, 2]).with_strides([2, 2]).init().forward(x)
        }),
        ("average pool with padding", |_, x| {
            let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
            let pool = AvgPool2dConfig::new([3, 3]).with_strides([1, 1]).with_padding(padding);
            pool.with_count_include_pad(false).init().forward(x)
        }),
        ("max pool", |_, x| MaxPool2dConfig::new([2, 3]).with_strides([2, 1]).init().forward(x)),
        ("adaptive pool", |_, x| AdaptiveAvgPool2dConfig::new([3, 2]).init().forward(x)),
        ("global pool", |_, x| AdaptiveAvgPool2dConfig::new([1, 1]).init().forward(x)),
        ("dropout", |_, x| relu(DropoutConfig::new(0.5).init().forward(x))),
    ];
    for (what, forward) in operations {
        check(what, &Nothing {}, [3, 4, 6, 4], *forward);
    }
    type Flat = fn(&Nothing, Tensor<4>) -> Tensor<2>;
    let flat: &[(&str, Flat)] = &[
        ("flatten", |_, x| x.flatten(1, 3)),
        ("permute and flatten", |_, x| x.permute([0, 2, 3, 1]).flatten(1, 3)),
        ("squeeze", |_, x| x.mean_dim(3).mean_dim(2).squeeze_dims(&[2, 3])),
    ];
    for (what, forward) in flat {
        check(what, &Nothing {}, [3, 4, 6, 4], *forward);
    }
    type Sequence = fn(&Nothing, Tensor<3>) -> Tensor<3>;
    let sequences: &[(&str, Sequence)] = &[
        ("average pool 1d", |_, x| AvgPool1dConfig::new(2).with_stride(2).init().forward(x)),
        ("max pool 1d", |_, x| MaxPool1dConfig::new(3).with_stride(1).init().forward(x)),
    ];
    for (what, forward) in sequences {
        check(what, &Nothing {}, [3, 4, 12], *forward);
    }
}

#[test]
fn normalizations_and_attention_are_captured() {
    let device = Device::flex();
    let count = |graph: Graph| prepare(graph).unwrap().nodes.len();
    let layer = LayerNormConfig::new(6).init(&device);
    let graph = check("layer", &layer, [3, 5, 6], |norm, x: Tensor<3>| norm.forward(x));
    assert_eq!(count(graph), 1);
    let root = RmsNormConfig::new(6).init(&device);
    let graph = check("root mean square", &root, [3, 5, 6], |norm, x: Tensor<3>| norm.forward(x));
    assert_eq!(count(graph), 1);
    let group = GroupNormConfig::new(2, 6).init(&device);
    let graph = check("group", &group, [3, 6, 4, 5], |norm, x: Tensor<4>| norm.forward(x));
    assert_eq!(count(graph), 1);
    let instance = InstanceNormConfig::new(6).init(&device);
    let graph = check("instance", &instance, [3, 6, 4, 5], |norm, x: Tensor<4>| norm.forward(x));
    assert_eq!(count(graph), 1);
    let attention = MultiHeadAttentionConfig::new(8, 2).with_dropout(0.0).init(&device);
    check("attention", &attention, [3, 5, 8], |attention, x: Tensor<3>| {
        attention.forward(MhaInput::self_attn(x)).context
    });
}

#[test]
fn linear_layers_take_any_leading_axes() {
    let device = Device::flex();
    for bias in [false, true] {
        let linear: Linear = LinearConfig::new(6, 4).with_bias(bias).init(&device);
        let graph = check("two", &linear, [5, 6], |l, x: Tensor<2>| l.forward(x));
        assert_eq!(graph.nodes.len(), 1, "{:?}", graph.nodes[0].name);
        let graph = check("three", &linear, [5, 3, 6], |l, x: Tensor<3>| l.forward(x));
        assert_eq!(prepare(graph).unwrap().nodes.len(), 1);
        check("four", &linear, [5, 2, 3, 6], |l, x: Tensor<4>| l.forward(x));
    }
}

#[test]
fn convolutions_keep_their_options() {
    let device = Device::flex();
    for (groups, stride, dilation, padding) in [
        (1, [1, 1], [1, 1], PaddingConfig2d::Valid),
        (2, [2, 1], [1, 2], PaddingConfig2d::Explicit(1, 2, 1, 2)),
        (4, [1, 2], [2, 1], PaddingConfig2d::Same),
        (1, [1, 1], [1, 1], PaddingConfig2d::Explicit(0, 1, 2, 3)),
    ] {
        // Burn pads to the same extents only at a stride of one.
        let stride = if matches!(padding, PaddingConfig2d::Same) { [1, 1] } else { stride };
        let conv: Conv2d = Conv2dConfig::new([4, 8], [3, 3])
            .with_groups(groups)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_padding(padding)
            .init(&device);
        check("conv2d", &conv, [2, 4, 9, 8], |c, x: Tensor<4>| c.forward(x));
    }
    let conv: Conv1d = Conv1dConfig::new(4, 6, 3).with_stride(2).init(&device);
    check("conv1d", &conv, [2, 4, 15], |c, x: Tensor<3>| c.forward(x));
}

#[test]
fn transposed_convolutions_keep_their_options() {
    let device = Device::flex();
    let config = || ConvTranspose2dConfig::new([4, 6], [3, 2]).with_stride([2, 3]);
    let grouped = config().with_groups(2).with_padding([1, 0]).with_padding_out([1, 2]);
    for (what, config) in [
        ("strides", config()),
        ("padding and groups", grouped),
        ("dilation", config().with_dilation([2, 1])),
        ("no bias", config().with_bias(false)),
    ] {
        let conv: ConvTranspose2d = config.init(&device);
        let graph = check(what, &conv, [3, 4, 5, 4], ConvTranspose2d::forward);
        assert_eq!(graph.op_name(graph.nodes.last().unwrap()), "ConvTranspose");
    }
    let config = ConvTranspose1dConfig::new([4, 3], 3).with_stride(2).with_padding(1);
    let conv: ConvTranspose1d = config.init(&device);
    check("1-D", &conv, [3, 4, 7], ConvTranspose1d::forward);
}

#[test]
fn unsupported_operations_are_listed_all_at_once_with_their_place() {
    let net = Net::new(&Device::flex());
    let forward = |net: &Net, x: Tensor<4>| {
        let x = net.stem.forward(x).tan();
        let x = net.blocks[0].forward(x).sinh();
        x.cosh()
    };
    let error = capture(&net, Tensor::zeros([1, 2, 8, 8], &Device::flex()), forward).unwrap_err();
    let text = error.to_string();
    for part in [
        "tan after stem.norm",
        "sinh after blocks.0.norm",
        "cosh after blocks.0.norm",
        "module 'Net': 3 operations cannot be imported",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
}

#[test]
fn unsupported_layers_are_one_line_each_in_words_about_the_module() {
    #[derive(Module, Debug)]
    struct Sensor {
        lstm: Lstm,
        gru: Gru,
        norm: BiLstm,
        classifier: Linear,
    }
    let device = Device::flex();
    let sensor = Sensor {
        lstm: LstmConfig::new(3, 8, true).with_clip(Some(1.0)).init(&device),
        gru: GruConfig::new(8, 8, true).with_clip(Some(1.0)).init(&device),
        norm: BiLstmConfig::new(8, 4, true).with_input_forget(true).init(&device),
        classifier: LinearConfig::new(8, 4).init(&device),
    };
    let forward = |net: &Sensor, x: Tensor<3>| {
        let (x, _) = net.lstm.forward(x, None);
        let (x, _) = net.norm.forward(net.gru.forward(x, None), None);
        burn::tensor::activation::softmax(net.classifier.forward(x), 0)
    };
    let error = capture(&sensor, Tensor::zeros([1, 5, 3], &device), forward).unwrap_err();
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5, "{text}");
    assert_eq!(lines[0], "module 'Sensor': 4 operations cannot be imported:");
    for (line, parts) in lines[1..].iter().zip([
        ["'lstm' (Lstm): the operator is not supported", "use convolutions over time"],
        ["'gru' (Gru): the operator is not supported", "use convolutions over time"],
        ["'norm' (BiLstm): the operator is not supported", "use convolutions over time"],
        ["(Softmax): it normalizes over the batch axis", "write `forward` so that every sample"],
    ]) {
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(!text.contains("ONNX") && !text.contains("file"), "{text}");
}

#[test]
fn random_operations_are_refused() {
    let device = Device::flex();
    let noisy = |_: &Nothing, x: Tensor<4>| {
        let noise = x.random_like(Distribution::Default);
        x + noise
    };
    let error = capture(&Nothing {}, Tensor::zeros([1, 2, 4, 4], &device), noisy).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("Random") && text.contains("valid()"), "{text}");
}

#[test]
fn modules_for_training_are_refused() {
    let device = Device::flex().autodiff();
    let net = Net::new(&device);
    let error = capture(&net, Tensor::zeros([1, 2, 8, 8], &device), Net::forward).unwrap_err();
    assert!(matches!(error, CaptureError::Training { .. }), "{error}");
    assert!(error.to_string().contains("`module.valid()`"), "{error}");
    capture(&net.valid(), Tensor::zeros([1, 2, 8, 8], &device), Net::forward).unwrap();
}

#[test]
fn a_wrong_sample_shape_is_named() {
    let net = Net::new(&Device::flex());
    let sample = Tensor::zeros([1, 3, 8, 8], &Device::flex());
    let error = capture(&net, sample, Net::forward).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CaptureError::Forward { .. }), "{text}");
    assert!(text.contains("[1, 3, 8, 8]"), "{text}");
}

#[test]
fn what_forward_takes_from_elsewhere_is_refused() {
    let net = Net::new(&Device::flex());
    let sample = || Tensor::zeros([1, 2, 8, 8], &Device::flex());
    let other = net.clone();
    let error = capture(&net, sample(), move |_, x| other.forward(x)).unwrap_err();
    assert!(matches!(error, CaptureError::Forward { .. }), "{error}");
    let constant = |_: &Net, _: Tensor<4>| Tensor::<2>::zeros([1, 3], &Device::flex());
    let error = capture(&net, sample(), constant).unwrap_err();
    assert!(matches!(error, CaptureError::Forward { .. }), "{error}");
}

#[test]
fn constants_of_the_module_are_part_of_the_graph() {
    #[derive(Module, Debug)]
    struct Scaled {
        scale: Param<Tensor<1>>,
    }
    let data = TensorData::from([0.5_f32, 2.0]);
    let device = Device::flex();
    let module = Scaled { scale: Param::from_tensor(Tensor::from_data(data, &device)) };
    check("scaled", &module, [3, 2, 4, 4], |m, x: Tensor<4>| {
        x * m.scale.val().reshape([1, 2, 1, 1]) + 1.0
    });
}

#[cfg(feature = "ndarray")]
#[test]
fn a_module_and_a_sample_on_different_devices_are_refused() {
    let other = burn_ptq::backend::device("ndarray").unwrap();
    let net = Net::new(&Device::flex());
    let sample = || Tensor::zeros([1, 2, 8, 8], &other);
    let error = capture(&net, sample(), Net::forward).unwrap_err();
    assert!(matches!(error, CaptureError::Devices { .. }), "{error}");
    assert!(error.to_string().contains("to_device"), "{error}");
    let moved = capture(&net.clone().to_device(&other), sample(), Net::forward).unwrap();
    let sample = Tensor::zeros([1, 2, 8, 8], &Device::flex());
    let here = capture(&net, sample, Net::forward).unwrap();
    assert_eq!(format!("{:?}", moved.nodes), format!("{:?}", here.nodes));
}

#[test]
fn several_inputs_and_outputs_keep_the_names_that_they_are_given() {
    let device = Device::flex();
    let net = Net::new(&device);
    let image = || Draws::new(2).tensor([3, 2, 12, 10], [-2.0, 2.0], &device);
    let gain = || Draws::new(3).tensor([3, 2, 1, 1], [0.5, 2.0], &device);
    // An output of a layer's name, one twice, and an input.
    let forward = |net: &Net, (image, gain): (Tensor<4>, Tensor<4>)| {
        let scores = net.forward(image * gain.clone());
        (scores.clone(), gain, scores)
    };
    let outputs = ["stem.conv", "gain again", "scores"];
    let graph =
        capture_named(&net, (image(), gain()), &["image", "gain"], &outputs, forward).unwrap();
    let names = |ids: &[ValueId]| -> Vec<String> {
        ids.iter().map(|&id| graph.value(id).name.clone()).collect()
    };
    assert_eq!(names(&graph.inputs), ["image", "gain"]);
    assert_eq!(names(&graph.outputs), outputs);
    assert!(graph.nodes.iter().any(|node| node.name == "stem.conv"));
    let expected = forward(&net, (image(), gain()));
    let model = FloatModel::new(Arc::new(prepare(graph).unwrap()), &device);
    let found = model.forward_all(vec![image(), gain()]);
    assert_close(&host(found[0].clone()), &host(expected.0), "scores");
    assert_close(&host(found[1].clone()), &host(expected.1), "gain");
    assert_close(&host(found[2].clone()), &host(expected.2), "scores again");

    for names in [&["image"][..], &["image", "image"], &["image", ""]] {
        let error = capture_named(&net, (image(), gain()), names, &outputs, forward).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("expected 2 distinct, non-empty names for the inputs"), "{text}");
    }
    let shared = ["image", "a", "b"];
    let error =
        capture_named(&net, (image(), gain()), &["image", "gain"], &shared, forward).unwrap_err();
    assert!(error.to_string().contains("names for the outputs"), "{error}");
}

#[test]
fn an_embedding_reads_ids() {
    let device = Device::flex();
    let words: Embedding = EmbeddingConfig::new(10, 4).init(&device);
    let ids = || Tensor::<2, Int>::from_ints([[3, 9, 0], [1, 1, 7]], &device);
    let forward = |words: &Embedding, ids: Tensor<2, Int>| words.forward(ids).mean_dim(1);
    let graph = capture_named(&words, ids(), &["ids"], &["mean"], forward).unwrap();
    assert!(graph.nodes.iter().any(|node| matches!(node.op, Op::Lookup(_))));
    let expected = host(forward(&words, ids()));
    let samples = ids().into_batch();
    let inputs = samples.into_tensors(&graph, &device).remove(0);
    assert_close(&run(&graph, inputs), &expected, "mean");
}
