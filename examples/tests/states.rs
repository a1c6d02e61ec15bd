//! The Rust code of the guide's chapter on states compiles, runs, and does what its comments say.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use burn::module::Module;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};
use burn_ptq::graph::to_vec;

#[derive(Module, Debug)]
struct Net {
    gru: Gru,
    head: Linear,
}

/// The guide's code between the two marks.
fn from_burn(
    net: Net,
    recordings: Vec<Tensor<3>>,
    recording: Vec<f32>,
    folder: &Path,
) -> Result<Vec<f32>, Box<dyn Error>> {
    let device = Device::flex();
    // guide begins
    use burn_ptq::{Quantizer, Recipe, capture_named};

    let step = |net: &Net, (frame, h): (Tensor<3>, Tensor<2>)| {
        let h = net.gru.forward(frame, Some(h)).squeeze_dim::<2>(1); // a sequence of one frame
        (net.head.forward(h.clone()), h)
    };
    let samples = (Tensor::zeros([1, 1, 12], &device), Tensor::zeros([1, 32], &device));
    let ends = (&["frame", "h"], &["scores", "h_next"]);
    let mut graph = capture_named(&net.valid(), samples, ends.0, ends.1, step)?;
    graph.declare_state("h", "h_next")?; // what h_next was is h in the next call
    let quantizer = Quantizer::new(Recipe::preset("w4a8")?);
    let quantized = quantizer.quantize_sequences(graph, recordings)?; // [batch, frames, 12]
    let scores = quantized.run_sequence(&recording)?; // as integers, frame after frame
    quantized.export("c", &folder.join("code"))?;
    // guide ends
    Ok(scores)
}

#[test]
fn a_gru_of_burn_becomes_c_that_runs_step_after_step() {
    let device = Device::flex();
    let training = device.clone().autodiff();
    let net = Net {
        gru: GruConfig::new(12, 32, true).init(&training),
        head: LinearConfig::new(32, 4).init(&training),
    };
    let draw = |count| Tensor::random([count, 20, 12], Distribution::Normal(0.0, 1.0), &device);
    let recording = draw(1);
    let expected = net.valid().gru.forward(recording.clone(), None);
    let expected = to_vec(net.valid().head.forward(expected));
    let recording = to_vec(recording);
    let folder = tempfile::tempdir().unwrap();
    let scores = from_burn(net, vec![draw(32), draw(32)], recording, folder.path()).unwrap();
    assert_eq!(scores.len(), expected.len());
    let power = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>();
    let noise: Vec<f32> = scores.iter().zip(&expected).map(|(a, b)| a - b).collect();
    let decibels = 10.0 * (power(&expected) / power(&noise)).log10();
    assert!(decibels > 15.0, "{decibels:.1} dB over 20 frames");
    let made = Command::new("make").arg("-C").arg(folder.path().join("code")).arg("test").output();
    match made {
        Ok(made) => {
            let text = String::from_utf8_lossy(&made.stdout);
            assert!(text.contains("8 samples, 0 differing bytes"), "{text}");
        }
        Err(error) => eprintln!("SKIPPED the self-test of the guide's network: {error}"),
    }
}

#[test]
fn the_code_of_the_guide_is_the_code_that_runs() {
    let (_, after) = include_str!("states.rs").split_once("// guide begins\n").unwrap();
    let (run, _) = after.split_once("    // guide ends").unwrap();
    let run: Vec<&str> =
        run.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let guide = include_str!("../../docs/guide/src/states.md");
    let (_, after) = guide.split_once("```rust\n").unwrap();
    let (shown, _) = after.split_once("```").unwrap();
    assert_eq!(shown.lines().collect::<Vec<_>>(), run);
}
