//! Every component of every stage quantizes a small residual network, repeats itself, and refuses
//! what it cannot do with a reason.

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::SimulatedModel;
use burn_ptq::graph::ops::{
    Add, AveragePool, BatchNormStatistics, ChannelAffine, Clip, Conv2d, Linear, Reshape, Softmax,
    Window,
};
use burn_ptq::graph::{Array, Batch, Clamp, Graph, Op, ValueId};
use burn_ptq::recipe::catalogue::stages;
use burn_ptq::round::RoundingChoice;
use burn_ptq::{Error, Event, Quantized, Quantizer, Recipe};
use burn_ptq_deploy::run::{Path as KernelPath, dequantize_outputs, quantize_inputs, run_batch};

const SAMPLES: usize = 48;
const INPUT: [usize; 3] = [2, 10, 10];

/// Numbers between -1 and 1 that look random.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1_u32 << 23) as f32 - 1.0
        })
        .collect()
}

/// A convolution that keeps the extents.
fn conv(out: usize, input: usize, kernel: usize, groups: usize, seed: u64) -> Op {
    let fan_in = input / groups * kernel * kernel;
    let scale = (3.0 / fan_in as f32).sqrt();
    let weight = numbers(out * fan_in, seed).into_iter().map(|w| w * scale).collect();
    Conv2d {
        weight: Array::new([out, input / groups, kernel, kernel], weight),
        bias: Array::new([out], numbers(out, seed + 1)),
        window: Window { begin: [kernel / 2; 2], end: [kernel / 2; 2], ..Window::new([kernel; 2]) },
        groups,
    }
    .into()
}

fn batch_norm(channels: usize, seed: u64) -> (Op, BatchNormStatistics) {
    let positive = |seed| numbers(channels, seed).into_iter().map(|x| 0.6 + 0.4 * x).collect();
    let statistics = BatchNormStatistics {
        name: "norm".into(),
        gamma: positive(seed),
        beta: numbers(channels, seed + 1),
        mean: numbers(channels, seed + 2),
        variance: positive(seed + 3),
        epsilon: 1e-3,
    };
    (ChannelAffine::from_batch_norm(&statistics).into(), statistics)
}

/// Convolution, residual unit with a depthwise-separable path, mean, classifier.
fn network() -> Graph {
    let mut graph = Graph::new("net", "x", INPUT.to_vec());
    let layer = |graph: &mut Graph, name: &str, op: Op, inputs: &[ValueId]| {
        graph.push(name, op, inputs, format!("{name}.out")).unwrap()
    };
    let relu = || Op::from(Clip { bounds: Clamp::RELU });
    let normalize = |graph: &mut Graph, name: &str, from: ValueId, seed: u64| {
        let (op, statistics) = batch_norm(graph.value(from).shape[0], seed);
        let id = graph.push(name, op, &[from], format!("{name}.out")).unwrap();
        graph.nodes.last_mut().unwrap().batch_norm = Some(statistics);
        id
    };
    let x = graph.input();
    let stem = layer(&mut graph, "stem", conv(8, 2, 3, 1, 1), &[x]);
    let stem = normalize(&mut graph, "stem_bn", stem, 2);
    let stem = layer(&mut graph, "stem_relu", relu(), &[stem]);
    let depthwise = layer(&mut graph, "depthwise", conv(8, 8, 3, 8, 3), &[stem]);
    let depthwise = normalize(&mut graph, "depthwise_bn", depthwise, 4);
    let depthwise = layer(&mut graph, "depthwise_relu", relu(), &[depthwise]);
    let pointwise = layer(&mut graph, "pointwise", conv(8, 8, 1, 1, 5), &[depthwise]);
    let sum = layer(&mut graph, "add", Add.into(), &[stem, pointwise]);
    let sum = layer(&mut graph, "add_relu", relu(), &[sum]);
    let pool =
        AveragePool { window: Window::new([10, 10]), count_include_pad: false, ceil_extra: [0; 2] };
    let mean = layer(&mut graph, "pool", pool.into(), &[sum]);
    let flat = layer(&mut graph, "flatten", Reshape { shape: vec![8] }.into(), &[mean]);
    let dense = Linear {
        weight: Array::new([4, 8], numbers(32, 6)),
        bias: Array::new([4], numbers(4, 7)),
        axis: 0,
    };
    let logits = layer(&mut graph, "dense", dense.into(), &[flat]);
    layer(&mut graph, "softmax", Softmax { axis: 0 }.into(), &[logits]);
    graph
}

fn samples() -> Vec<f32> {
    numbers(SAMPLES * INPUT.iter().product::<usize>(), 99)
}

fn quantize_with(
    recipe: &Recipe,
    graph: Graph,
    progress: &dyn Fn(Event) -> bool,
) -> Result<Quantized, Error> {
    let samples = samples();
    let samples = Batch::new(samples, INPUT.iter().product());
    let batches = samples.chunks(16).map(Ok::<_, std::convert::Infallible>);
    Quantizer::new(recipe.clone()).quantize_samples(graph, batches, None, progress)
}

fn quantize(recipe: &Recipe) -> Result<Quantized, Error> {
    quantize_with(recipe, network(), &|_| true)
}

fn recipe(text: &str) -> Recipe {
    Recipe::parse(text, "the test").unwrap()
}

/// The integer program agrees with the simulation, and both are of some use.
fn check(name: &str, quantized: &Quantized) {
    let samples = samples();
    let [a, b, c] = INPUT;
    let input = Tensor::<4>::from_data(
        TensorData::new(samples.clone(), [SAMPLES, a, b, c]),
        &Device::flex(),
    );
    let simulated = SimulatedModel::new(&quantized.graph, &Device::flex()).forward(input);
    let simulated: Vec<f32> = simulated.into_data().try_to_vec().unwrap();
    let inputs = quantize_inputs(&quantized.program, &samples);
    let outputs = run_batch(&quantized.program, KernelPath::Fast, &inputs).unwrap();
    let integer = dequantize_outputs(&quantized.program, &outputs);
    let mean = simulated.iter().zip(&integer).map(|(a, b)| (a - b).abs()).sum::<f32>()
        / integer.len() as f32;
    assert!(mean < 0.01, "{name}: probabilities differ by {mean} on average");
    assert!(integer.iter().any(|&p| p > 0.3), "{name}: nothing is predicted");
}

#[test]
fn every_component_of_every_stage_makes_a_program_that_agrees_with_the_simulation() {
    let mut count = 0;
    for stage in stages() {
        for component in &stage.components {
            for bits in [3, 8] {
                let mut text = format!("weights.bits = {bits}\nactivations.bits = {bits}\n");
                let value = match stage.key {
                    "conditioning" => format!("['{}']", component.name),
                    _ => format!("'{}'", component.name),
                };
                text.push_str(&format!("{} = {value}\n", stage.key));
                if stage.key == "reconstruction.loss" {
                    text.push_str("reconstruction.granularity = 'block'\n");
                    text.push_str("reconstruction.iterations = 4\n");
                }
                if component.name == "data-free" {
                    text =
                        text.replace("'data-free'", "{ data-free = { samples = 32, steps = 5 } }");
                }
                let name = format!("{} = {value}, {bits} bits", stage.key);
                let quantized =
                    quantize(&recipe(&text)).unwrap_or_else(|error| panic!("{name}: {error}"));
                check(&name, &quantized);
                count += 1;
            }
        }
    }
    println!("{count} combinations");
}

#[test]
fn every_way_to_reconstruct_makes_a_program_that_agrees_with_the_simulation() {
    for granularity in ["layer", "block", "block-pairs", "network"] {
        for loss in ["mse", "fisher", "prediction-difference"] {
            for (rounding, drop) in [("straight-through", 0.0), ("adaround", 0.5)] {
                let text = format!(
                    "rounding = 'gptq'\nweights.bits = 3\nactivations.bits = 4\n[reconstruction]\n\
                     granularity = '{granularity}'\nloss = '{loss}'\nrounding = '{rounding}'\n\
                     drop = {drop}\niterations = 6\nbatch = 8\nvalidation = 0.25"
                );
                check(&text, &quantize(&recipe(&text)).unwrap());
            }
        }
    }
}

#[test]
fn granularities_powers_of_two_and_ends_go_with_the_roundings_that_change_scales() {
    for rounding in ["coordinate-descent", "adaquant", "flexround"] {
        for granularity in ["per-tensor", "per-channel"] {
            let text = format!(
                "rounding = '{rounding}'\nfirst_last_bits = 8\n[weights]\nbits = 4\n\
                 granularity = '{granularity}'\npower_of_two = true\n[activations]\n\
                 bits = 4\npower_of_two = true"
            );
            let quantized = quantize(&recipe(&text)).unwrap();
            let weights = quantized.graph.weights.iter().flatten();
            for weights in weights.clone() {
                let of_two = |scale: &f32| scale.log2().fract() == 0.0;
                assert!(weights.scales.iter().all(of_two), "{text}: {:?}", weights.scales);
                assert_eq!(weights.scales.len() == 1, granularity == "per-tensor", "{text}");
            }
            let bits: Vec<u8> = weights.map(|w| w.bits).collect();
            assert_eq!(bits, [8, 4, 4, 8]);
            check(&text, &quantized);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_program_with_one_thread_and_with_two() {
    for text in [
        "rounding = 'adaround'\nweights.bits = 3",
        "rounding = 'coordinate-descent'\nconditioning = ['migrate']\nweights.bits = 2\n\
         activations.bits = 4\njoint_range = 'lapq'",
        "rounding = 'gptq'\nweights.bits = 2\nactivations.bits = 4\n[reconstruction]\n\
         granularity = 'network'\nloss = 'prediction-difference'\niterations = 12\ndrop = 0.3\n\
         mixup = 0.5",
        "calibration.source = { data-free = { samples = 16, steps = 6 } }\nweights.bits = 4",
    ] {
        let recipe = recipe(text);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| quantize(&recipe).unwrap().program)
        };
        assert_eq!(with(1), with(2), "{text}");
        let other = Recipe { seed: 5, ..recipe.clone() };
        let same = quantize(&other).unwrap().program.nodes == with(1).nodes;
        let random = text.contains("mixup") || text.contains("data-free");
        assert!(!(random && same), "{text}: the seed has no effect");
    }
}

#[test]
fn tuning_lowers_the_loss_on_held_out_samples_or_leaves_the_network_alone() {
    let start = "correction = 'none'\n[weights]\nbits = 2\nrange = 'min-max'\n";
    let text = "[reconstruction]\ngranularity = 'network'\niterations = 150\n\
                learning_rate = 1e-2\nbatch = 16\nvalidation = 0.25";
    let losses = RefCell::new(Vec::new());
    let tell = |event: Event| {
        if let Event::Loss { loss, .. } = event {
            losses.borrow_mut().push(loss);
        }
        true
    };
    let text = format!("{start}{text}");
    let tuned = quantize_with(&recipe(&text), network(), &tell).unwrap();
    let losses = losses.into_inner();
    let (first, last) = (losses[0], losses[losses.len() - 1]);
    assert!(last < 0.7 * first, "{losses:?}");
    let plain = quantize(&recipe(start)).unwrap();
    assert_ne!(tuned.graph.weights, plain.graph.weights);
    let spoiled = text.replace("1e-2", "50.0");
    let spoiled = quantize(&recipe(&spoiled)).unwrap();
    assert_eq!(spoiled.graph.weights, plain.graph.weights);
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    for (text, message) in [
        ("reconstruction.drop = 1.5", "reconstruction.drop is 1.5: expected 0 to 1"),
        (
            "reconstruction.mixup = 0.5\nreconstruction.granularity = 'block'",
            "inputs of later parts",
        ),
        ("reconstruction.learning_rate = 0.0", "expected a positive number"),
        ("reconstruction.granulrity = 'block'", "did you mean `granularity`?"),
        ("conditioning = ['equalise']", "did you mean 'equalize'?"),
        ("joint_range = 'lapc'", "did you mean 'lapq'?"),
        ("layerwise.samples = 0", "layerwise.samples is 0"),
        ("first_last_bits = 1", "weights cannot have 1 bit"),
    ] {
        let error = Recipe::parse(text, "r.toml").unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    let blocks = recipe("reconstruction.granularity = 'block'\nreconstruction.blocks = ['ad']");
    let error = quantize(&blocks).unwrap_err().to_string();
    assert!(error.contains("'ad' in reconstruction.blocks is not a node of the model"), "{error}");
    let mut plain = network();
    plain.nodes.iter_mut().for_each(|node| node.batch_norm = None);
    let error = quantize_with(&recipe("calibration.source = { data-free = {} }"), plain, &|_| true);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the model has no batch normalization"), "{error}");
}

#[test]
fn a_long_stage_can_be_cancelled() {
    for stage in ["round", "reconstruct", "search ranges"] {
        let text = "rounding = 'gptq'\njoint_range = 'lapq'\nreconstruction.granularity = 'block'";
        let stop = |event: Event| !matches!(event, Event::Progress { stage: s, .. } if s == stage);
        let error = quantize_with(&recipe(text), network(), &stop).unwrap_err();
        assert!(matches!(error, Error::Cancelled(_)), "{stage}: {error}");
    }
}

/// A recipe in which a parameter has a value: `weights.bits = 5`, or
/// `rounding = { adaround = { iterations = 5 } }`.
fn with_parameter(stage: &str, component: Option<&str>, parameter: &str, value: &str) -> String {
    let Some(component) = component else {
        let steps = match (stage, parameter) {
            ("reconstruction", "iterations") => "",
            ("reconstruction", _) => {
                "reconstruction.granularity = 'network'\nreconstruction.iterations = 2\n"
            }
            _ => "",
        };
        return format!("{stage}.{parameter} = {value}\n{steps}");
    };
    let trains =
        RoundingChoice::all().iter().any(|r| r.name() == component && r.component().steps() > 0);
    let few_steps = match component {
        _ if parameter == "iterations" || parameter == "steps" => "",
        _ if trains => ", iterations = 3",
        "data-free" => ", steps = 3",
        _ => "",
    };
    let choice = format!("{{ {component} = {{ {parameter} = {value}{few_steps} }} }}");
    match stage {
        "conditioning" => format!("conditioning = [{choice}]\n"),
        "reconstruction.loss" => format!(
            "{stage} = {choice}\nreconstruction.granularity = 'block'\n\
             reconstruction.iterations = 2\n"
        ),
        _ => format!("{stage} = {choice}\n"),
    }
}

/// Every number of the catalogue: stage, component, parameter, and whether it is a fraction.
fn every_number() -> Vec<(&'static str, Option<&'static str>, String, bool)> {
    let mut numbers = Vec::new();
    for stage in stages() {
        let components = stage.components.into_iter().map(|c| (Some(c.name), c.parameters));
        for (component, parameters) in components.chain([(None, stage.parameters)]) {
            for (parameter, default) in parameters {
                if default.parse::<f64>().is_ok() {
                    // Defaults of fractions may be printed without a point.
                    let text = with_parameter(stage.key, component, &parameter, "0.5");
                    let parsed = Recipe::parse(&text, "r.toml");
                    let mismatch = parsed.is_err_and(|e| e.to_string().contains("invalid type"));
                    numbers.push((stage.key, component, parameter, !mismatch));
                }
            }
        }
    }
    assert!(numbers.len() > 40, "{}", numbers.len());
    numbers
}

#[test]
fn every_number_of_every_component_has_bounds_beyond_which_the_recipe_is_refused() {
    for (stage, component, parameter, fraction) in every_number() {
        let values: &[&str] = match fraction {
            true => &["inf", "-inf", "nan", "1e308", "-1.0"],
            false => &["9223372036854775807", "-1"],
        };
        for value in values {
            let text = with_parameter(stage, component, &parameter, value);
            let error = Recipe::parse(&text, "r.toml").err();
            let error = error.unwrap_or_else(|| panic!("accepted: {text}")).to_string();
            let by_name = error.contains(&parameter) || error.contains("bits");
            assert!(by_name || error.contains("line"), "{text}: {error}");
        }
    }
}

#[test]
fn extremes_of_every_number_end_in_a_program_or_in_words() {
    for (stage, component, parameter, fraction) in every_number() {
        let values: &[&str] = match fraction {
            true => &["0.0", "1e-30", "0.5", "1.0", "10.0", "1e3", "1e6"],
            false => &["0", "1", "2"],
        };
        for value in values {
            let mut text = with_parameter(stage, component, &parameter, value);
            if !text.contains("bits") {
                text.push_str("weights.bits = 3\nactivations.bits = 4\n");
            }
            let Ok(recipe) = Recipe::parse(&text, "r.toml") else { continue };
            if let Err(error) = quantize(&recipe) {
                let error = error.to_string();
                assert!(!error.contains("bug"), "{text}: {error}");
            }
        }
    }
}
