//! The backend tests of the ONNX standard: every model of the `onnx` package is equal or refused.
//!
//! `tests/onnx/backend.py` reads them from the installed package. A model may be refused, by a message
//! that names the operator, unless all of its operators are in [`ACCEPTED`]; what is imported computes
//! the stored output.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq::graph::{FloatModel, dims3};
use burn_ptq::import::onnx::{self, ImportError};

/// The largest error, relative to the output's largest magnitude (at least 1).
const TOLERANCE: f32 = 1e-4;
/// No model takes as long.
const LIMIT: Duration = Duration::from_secs(60);

/// The same for outputs that the package stores with fewer bits.
const HALF_TOLERANCE: f32 = 1e-2;

/// Operators whose models over float tensors are all accepted, those of [`REFUSED`] aside. Tests with
/// weights as inputs are accepted where the weights are constants.
const ACCEPTED: &[&str] = &[
    "AveragePool",
    "BatchNormalization",
    "Concat",
    "Conv",
    "DepthToSpace",
    "Div",
    "Flatten",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LeakyRelu",
    "LpPool",
    "Max",
    "Min",
    "PRelu",
    "Relu",
    "Sigmoid",
    "SpaceToDepth",
    "Squeeze",
    "Sub",
    "Tanh",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// Parts of the names of tests that are refused though their operators are accepted, and why.
const REFUSED: &[(&str, &str)] = &[
    ("3d", "windows over three axes"),
    ("Conv3d", "windows over three axes"),
    ("Pool3d", "windows over three axes"),
    ("BatchNorm3d", "samples of four axes"),
    ("training", "training"),
];

/// Parts of names of models that give integers, which graphs hold as the numbers that these stand for.
const QUANTIZED: &[&str] = &["node-quantizelinear"];

/// A model of the package.
struct Case {
    name: String,
    operators: Vec<String>,
    /// `None` where one is not a tensor of numbers.
    inputs: Option<Vec<Place>>,
    outputs: Option<Vec<Place>>,
}

/// Where an array is.
struct Place {
    name: String,
    /// NumPy's name of the elements' type.
    kind: String,
    shape: Vec<usize>,
    start: usize,
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.rsplitn(4, ':');
        let start = parts.next()?.parse().ok()?;
        let shape = parts.next()?.split('x').filter(|d| !d.is_empty());
        let shape = shape.map(|d| d.parse().expect("an extent")).collect();
        Some(Self { kind: parts.next()?.into(), name: parts.next()?.into(), shape, start })
    }

    fn of<'a>(&self, data: &'a [f32]) -> &'a [f32] {
        &data[self.start..self.start + self.shape.iter().product::<usize>()]
    }
}

impl Case {
    fn parse(line: &str) -> Self {
        let mut fields = line.split('\t');
        let mut field = || fields.next().expect("three fields");
        let (name, operators, arrays) = (field().to_string(), field(), field());
        let (inputs, outputs) = arrays.split_once(" | ").expect("inputs and outputs");
        Self {
            name,
            operators: operators.split(',').map(String::from).collect(),
            inputs: inputs.split(' ').map(Place::parse).collect(),
            outputs: outputs.split(' ').map(Place::parse).collect(),
        }
    }

    /// Whether it is about 32-bit floats alone.
    fn is_float(&self) -> bool {
        let places = [&self.inputs, &self.outputs].map(|p| p.as_deref().unwrap_or_default());
        places.iter().all(|p| !p.is_empty() && p.iter().all(|place| place.kind == "float32"))
    }

    /// The test, without the suffix of a model with constants.
    fn test(&self) -> &str {
        self.name.trim_end_matches(".bound")
    }
}

/// What became of a model.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Equal,
    /// The operators that were refused, and the whole message.
    Refused(String, String),
    Differs(String),
    Panics(String),
}

fn judge(folder: &Path, case: &Case, data: &[f32]) -> Outcome {
    let path = folder.join(format!("{}.onnx", case.name));
    let run = || match onnx::read_with(&path, &onnx::Options::default()) {
        Ok(model) => compare(model, case, data),
        Err(error @ ImportError::Unsupported { .. }) => {
            let message = error.to_string();
            let ImportError::Unsupported { problems, .. } = error else { unreachable!() };
            let vague = problems.iter().find(|p| p.problem.is_empty() || p.hint.is_empty());
            assert!(vague.is_none(), "{vague:?} says too little");
            let operators: BTreeSet<_> = problems.iter().map(|p| p.op.as_str()).collect();
            Outcome::Refused(operators.into_iter().collect::<Vec<_>>().join(", "), message)
        }
        Err(other) => Outcome::Refused("file".into(), other.to_string()),
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("?");
        Outcome::Panics(text.to_string())
    })
}

/// The elements of an array with the axis of the batch in front, and the extent of that axis: so many
/// copies, if there is none.
fn batch_first(data: &[f32], shape: &[usize], axis: Option<usize>, copies: usize) -> Vec<f32> {
    let Some(axis) = axis else { return data.repeat(copies) };
    let (batch, behind) = (shape[axis], shape[axis + 1..].iter().product::<usize>());
    let front: usize = shape[..axis].iter().product();
    let row = |i: usize| {
        let (sample, outer) = (i / front, i % front);
        let start = (outer * batch + sample) * behind;
        &data[start..start + behind]
    };
    (0..batch * front).flat_map(row).copied().collect()
}

fn compare(model: onnx::Model, case: &Case, data: &[f32]) -> Outcome {
    let kinds = "its inputs or outputs are of another kind";
    let (Some(inputs), Some(expected)) = (&case.inputs, case.outputs.as_deref()) else {
        return Outcome::Differs(kinds.into());
    };
    let device = Device::flex();
    let graph = Arc::new(model.graph);
    let fed: Vec<&Place> = (graph.inputs.iter())
        .filter_map(|&id| inputs.iter().find(|place| place.name == graph.value(id).name))
        .collect();
    if fed.len() != graph.inputs.len() || graph.outputs.len() != expected.len() {
        return Outcome::Differs(kinds.into());
    }
    let axes = model.input_batch_axes.iter();
    let samples = fed.iter().zip(axes).find_map(|(place, axis)| Some(place.shape[(*axis)?]));
    let samples = samples.unwrap_or(1);
    let tensors = fed.iter().zip(&model.input_batch_axes).zip(&graph.inputs);
    let tensors = tensors.map(|((place, axis), &id)| {
        let elements = batch_first(place.of(data), &place.shape, *axis, samples);
        let dims = run_time_dims(&graph.value(id).shape);
        let shape = [&[samples][..], &dims].concat();
        Tensor::<4>::from_data(TensorData::new(elements, shape), &device)
    });
    let tensors: Vec<Tensor<4>> = tensors.collect();
    let outputs = FloatModel::new(graph.clone(), &device).forward_all(tensors);
    for ((output, place), axis) in outputs.into_iter().zip(expected).zip(&model.output_batch_axes) {
        let output: Vec<f32> = output.into_data().try_to_vec().expect("outputs are floats");
        let numbers = batch_first(place.of(data), &place.shape, *axis, samples);
        match difference(&output, &numbers, place) {
            Outcome::Equal => {}
            differs => return differs,
        }
    }
    Outcome::Equal
}

/// The extents at run time of a sample: three, with the first two of four merged.
fn run_time_dims(shape: &[usize]) -> [usize; 3] {
    match *shape {
        [a, b, c, d] => [a * b, c, d],
        _ => dims3(shape),
    }
}

fn difference(output: &[f32], numbers: &[f32], expected: &Place) -> Outcome {
    if output.len() != numbers.len() {
        return Outcome::Differs(format!("{} elements, not {}", output.len(), numbers.len()));
    }
    let magnitude = numbers.iter().filter(|y| y.is_finite()).fold(1.0_f32, |m, y| m.max(y.abs()));
    let error = |(a, b): (&f32, &f32)| {
        let same = a == b || (a.is_nan() && b.is_nan());
        if same { 0.0 } else { (a - b).abs() / magnitude }
    };
    let errors = output.iter().zip(numbers).map(error);
    let largest = errors.fold(0.0_f32, |m, e| if e.is_nan() { f32::INFINITY } else { m.max(e) });
    let half = expected.kind != "float32";
    if largest <= if half { HALF_TOLERANCE } else { TOLERANCE } {
        return Outcome::Equal;
    }
    Outcome::Differs(format!("relative error {largest:.1e}"))
}

/// The outcome of every case, in order; two threads share them.
fn run_all(folder: &Path, cases: &Arc<Vec<Case>>, data: &Arc<Vec<f32>>) -> Vec<Outcome> {
    let next = Arc::new(AtomicUsize::new(0));
    let running = Arc::new(Mutex::new(BTreeSet::new()));
    let (sender, receiver) = mpsc::channel();
    for _ in 0..2 {
        let (folder, cases, data) = (folder.to_path_buf(), cases.clone(), data.clone());
        let (next, running, sender) = (next.clone(), running.clone(), sender.clone());
        std::thread::spawn(move || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = cases.get(index) else { break };
                running.lock().expect("no panic").insert(index);
                let outcome = judge(&folder, case, &data);
                running.lock().expect("no panic").remove(&index);
                if sender.send((index, outcome)).is_err() {
                    break;
                }
            }
        });
    }
    let mut outcomes = vec![None; cases.len()];
    for _ in 0..cases.len() {
        let Ok((index, outcome)) = receiver.recv_timeout(LIMIT) else {
            let hanging = running.lock().expect("no panic").clone();
            let names: Vec<&str> = hanging.iter().map(|&i| cases[i].name.as_str()).collect();
            panic!("for {} s nothing ended: {names:?}", LIMIT.as_secs());
        };
        outcomes[index] = Some(outcome);
    }
    outcomes.into_iter().map(|outcome| outcome.expect("every case was run")).collect()
}

#[test]
fn the_standards_own_models_are_equal_or_refused_by_name() {
    let test = "the_standards_own_models_are_equal_or_refused_by_name";
    let Some(python) = python(test) else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/backend.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = fs::read(folder.path().join("data.f32")).expect("the arrays");
    let data: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let index = fs::read_to_string(folder.path().join("index.txt")).expect("the index");
    let mut cases: Vec<Case> = index.lines().map(Case::parse).collect();
    // A part of a name shows the messages of those that have it.
    let only = std::env::var("BURN_PTQ_BACKEND_TEST").ok();
    if let Some(only) = &only {
        cases.retain(|case| case.name.contains(only));
    }
    let cases = Arc::new(cases);
    let outcomes = run_all(folder.path(), &cases, &Arc::new(data));

    let mut wrong = Vec::new();
    let mut refusals: BTreeMap<&str, usize> = BTreeMap::new();
    let mut best: BTreeMap<&str, &Outcome> = BTreeMap::new();
    for (case, outcome) in cases.iter().zip(&outcomes) {
        let better = best.get(case.test()).is_none_or(|found| **found != Outcome::Equal);
        if better {
            best.insert(case.test(), outcome);
        }
        match outcome {
            Outcome::Equal => {}
            Outcome::Refused(operators, message) => {
                *refusals.entry(operators).or_default() += 1;
                if only.is_some() {
                    eprintln!("{}: {}", case.name, message.lines().last().unwrap_or_default());
                }
            }
            Outcome::Differs(_) if QUANTIZED.iter().any(|part| case.name.contains(part)) => {}
            Outcome::Differs(how) => wrong.push(format!("{} differs: {how}", case.name)),
            Outcome::Panics(text) => wrong.push(format!("{} panics: {text}", case.name)),
        }
    }
    let equal = outcomes.iter().filter(|o| **o == Outcome::Equal).count();
    let tests = best.values().filter(|o| ***o == Outcome::Equal).count();
    eprintln!(
        "{} models of {} tests: {equal} models of {tests} tests are equal, {} models are refused, \
         {} differ or panic",
        cases.len(),
        best.len(),
        refusals.values().sum::<usize>(),
        wrong.len()
    );
    for (operators, count) in refusals {
        eprintln!("{count:6} {operators}");
    }
    let accepted = |case: &&Case| {
        let listed = |op: &String| ACCEPTED.contains(&op.as_str());
        let excepted = REFUSED.iter().any(|(part, _)| case.name.contains(part));
        let own = case.name.starts_with("own-");
        own || (case.operators.iter().all(listed) && case.is_float() && !excepted)
    };
    for case in cases.iter().filter(accepted) {
        let outcome = best[case.test()];
        if let Outcome::Refused(_, message) = outcome {
            wrong.push(format!("{} is refused: {message}", case.name));
        }
    }
    let listed: Vec<String> = wrong.iter().map(|w| format!("\n  {w}")).collect();
    assert!(wrong.is_empty(), "{}", listed.concat());
}

/// The Python that has the oracles' packages: `BURN_PTQ_PYTHON`, else that of
/// `scripts/install-oracles.sh`. Says on stderr that `test` is skipped if there is none.
fn python(test: &str) -> Option<PathBuf> {
    let python = match std::env::var_os("BURN_PTQ_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python"),
    };
    if python.exists() {
        return Some(python);
    }
    eprintln!(
        "SKIPPED {test}: no Python at {}; run scripts/install-oracles.sh, or set BURN_PTQ_PYTHON \
         to a Python with the packages of scripts/requirements.txt",
        python.display()
    );
    None
}
