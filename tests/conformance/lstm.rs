//! Loops of gates are the LSTM of TensorFlow Lite Micro, bit for bit, and so are gates by themselves.
//!
//! `BURN_PTQ_LSTM=10000` compares as many random layers.

use burn_ptq_deploy::run::{Path, run_batch};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::{GateFunction, GateParams};
use burn_ptq_kernels::reference::gate16;
use serde_json::{Value, json};

use crate::executors::tflm::{answers, digits, of_answer, oracle};
use crate::problems::Problem;
use crate::problems::draw::Draw;
use crate::problems::lstm::{self, Lstm};
use crate::states::compared;

/// Layers that are compared, unless `BURN_PTQ_LSTM` asks for another number.
const LAYERS: usize = 300;

/// Layers that every executor runs.
const EXECUTED: usize = 24;

const SCRIPT: &str = "recurrent.py";

/// Random layers and their programs.
fn layers(count: usize) -> Vec<(Lstm, Problem)> {
    let mut draw = Draw::new(21);
    let made = (0..2 * count).filter_map(|_| {
        let layer = lstm::layer(&mut draw);
        let problem = lstm::program(&mut draw, &layer)?;
        Some((layer, problem))
    });
    let named = made
        .enumerate()
        .map(|(i, (layer, problem))| (layer, Problem { name: format!("LSTM {i}"), ..problem }));
    let layers: Vec<_> = named.take(count).collect();
    assert_eq!(layers.len(), count, "most random layers are not valid programs");
    layers
}

#[test]
fn loops_of_gates_are_the_lstm_of_tensorflow_lite_micro() {
    if let Err(how_to_install) = oracle() {
        eprintln!("SKIPPED the LSTM of TensorFlow Lite Micro: {how_to_install}");
        return;
    }
    let asked = std::env::var("BURN_PTQ_LSTM").ok();
    let count = asked.map_or(LAYERS, |count| count.parse().expect("BURN_PTQ_LSTM is a number"));
    let layers = layers(count);
    let requests: Vec<Value> = layers.iter().enumerate().map(request).collect();
    let found = answers(SCRIPT, &requests.iter().collect::<Vec<_>>()).expect("the script runs");
    let (mut outputs, mut differing, mut values) = (0, 0, [0_usize; 256]);
    for ((_, problem), answer) in layers.iter().zip(&found) {
        let expected = of_answer(answer).expect("an LSTM");
        for path in [Path::Reference, Path::Fast] {
            let found = run_batch(&problem.program, path, &problem.input).expect("a sample");
            assert_eq!(found.len(), expected.len(), "{}", problem.name);
            differing += found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        }
        outputs += expected.len();
        expected.iter().for_each(|&y| values[usize::from(y)] += 1);
    }
    let distinct = values.iter().filter(|&&count| count > 0).count();
    println!("{count} layers, {outputs} outputs of {distinct} values, {differing} differing");
    assert_eq!(differing, 0);
    assert!(distinct > 250, "outputs have {distinct} values");
}

/// What the script takes of a layer; half of them have steps before the batch.
fn request((index, (layer, problem)): (usize, &(Lstm, Problem))) -> Value {
    let grid = |grid: Grid| json!([grid.scale, grid.zero_point]);
    let matrix = |matrix: &lstm::Matrix| {
        let bytes: Vec<u8> = matrix.values.iter().map(|&value| value as u8).collect();
        json!([matrix.scale, digits(&bytes)])
    };
    let gate = |gate: &lstm::Gate| {
        let [input, recurrent] = [&gate.input, &gate.recurrent].map(matrix);
        json!({ "input": input, "recurrent": recurrent, "bias": gate.bias })
    };
    json!({
        "sizes": [layer.steps, layer.inputs, layer.cells],
        "time_major": index % 2 == 0,
        "input": grid(layer.input),
        "hidden": grid(layer.hidden),
        "cell": layer.cell.scale,
        "gates": layer.gates.iter().map(gate).collect::<Vec<_>>(),
        "x": digits(&problem.input),
    })
}

#[test]
fn lstms_agree_on_every_executor() {
    let problems: Vec<Problem> = layers(EXECUTED).into_iter().map(|(_, problem)| problem).collect();
    compared(&problems, &problems);
}

#[test]
fn gates_are_those_of_tensorflow_lite_micro_for_every_input() {
    if let Err(how_to_install) = oracle() {
        eprintln!("SKIPPED the gates of TensorFlow Lite Micro: {how_to_install}");
        return;
    }
    let inputs: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let bytes = |values: &[i16]| -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    };
    let mut cases = Vec::new();
    for (function, name) in [(GateFunction::Sigmoid, "LOGISTIC"), (GateFunction::Tanh, "TANH")] {
        for power in -18..=-8 {
            cases.push((function, name, 2.0_f32.powi(power)));
        }
    }
    let x = digits(&bytes(&inputs));
    let requests: Vec<Value> = cases
        .iter()
        .map(|(_, name, scale)| json!({ "function": name, "scale": scale, "x": x }))
        .collect();
    let found = answers(SCRIPT, &requests.iter().collect::<Vec<_>>()).expect("the script runs");
    for ((function, name, scale), answer) in cases.into_iter().zip(&found) {
        let of = |scale: f32| Grid { scale, zero_point: 0, min: -32768, max: 32767 };
        let params = GateParams::new(function, of(scale), of(GateParams::OUTPUT_SCALE));
        let mut outputs = vec![0_i16; inputs.len()];
        gate16(params.expect("a power of two"), &inputs, &mut outputs);
        let expected = of_answer(answer).expect("a function");
        assert!(expected == bytes(&outputs), "{name} at {scale}");
    }
    println!("{} inputs at {} scales", inputs.len(), found.len());
}
