//! ONNX Runtime, on the files that the exporters `onnx` and `onnx-qoperator` write.
//!
//! It computes in floats, or with its own integer kernels where it optimizes, and rounds half to even: a layer's
//! outputs may be a step away. So that layers do not add up what they round otherwise, the nodes that write
//! outputs are exported one by one, each as a program of its own, on the inputs that the reference
//! interpreter feeds them.

use burn_ptq_deploy::export::onnx_model;
use burn_ptq_deploy::program::{IntNode, IntOp, IntTensor, Output, Program};
use burn_ptq_deploy::run::tensor_integers;
use serde_json::{Value, json};

use super::tflm::{answers, digits, of_answer, oracle};
use super::{Agreement, Executor};
use crate::problems::Problem;

/// ONNX Runtime in one of its ways.
#[derive(Clone, Copy)]
pub(super) struct OnnxRuntime {
    name: &'static str,
    /// Whether it joins operators to integer kernels of its own.
    optimized: bool,
    /// Whether the files have operators on integers.
    qoperator: bool,
    /// Whether programs are exported as a whole; their outputs may then be any number of steps away.
    programs: bool,
}

const fn build(name: &'static str, optimized: bool, qoperator: bool) -> OnnxRuntime {
    OnnxRuntime { name, optimized, qoperator, programs: false }
}

/// The ways.
pub(super) const BUILDS: [OnnxRuntime; 4] = [
    build("ORT, QDQ", false, false),
    build("ORT, QDQ, opt", true, false),
    build("ORT, QOp", false, true),
    build("ORT, QOp, opt", true, true),
];

impl OnnxRuntime {
    pub(super) const fn on_programs(self) -> Self {
        Self { programs: true, ..self }
    }
}

impl Executor for OnnxRuntime {
    fn name(&self) -> &'static str {
        self.name
    }

    fn agreement(&self) -> Agreement {
        Agreement::WithinLsb(if self.programs { u32::MAX } else { 1 })
    }

    fn available(&self) -> Result<(), String> {
        oracle()
    }

    fn supports(&self, problem: &Problem) -> Result<(), String> {
        self.sources(problem).map(|_| ())
    }

    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        let sources = problems.iter().map(|problem| self.sources(problem));
        let sources = sources.collect::<Result<Vec<Vec<Source>>, String>>()?;
        let requests: Vec<&Value> = sources.iter().flatten().filter_map(Source::file).collect();
        let found = answers("onnx_runtime.py", &requests)?;
        let mut found = found.iter();
        let mut bytes = |source: &Source| match source {
            Source::Input(bytes) => Ok(bytes.clone()),
            Source::File(_, tensors) => {
                let reals = of_answer(found.next().ok_or("too few answers")?)?;
                integers(&reals, tensors)
            }
        };
        let mut outputs = Vec::with_capacity(problems.len());
        let mut refusals = Vec::new();
        for (problem, sources) in problems.iter().zip(&sources) {
            // Every source has an answer, also behind a refusal.
            let parts: Vec<Result<Vec<u8>, String>> = sources.iter().map(&mut bytes).collect();
            match parts.into_iter().collect::<Result<Vec<_>, _>>() {
                Ok(parts) => outputs.push(parts.concat()),
                Err(error) => refusals.push(format!("{}: {error}", problem.name)),
            }
        }
        if refusals.is_empty() { Ok(outputs) } else { Err(refusals.join("\n")) }
    }
}

/// Where the bytes of outputs come from.
enum Source {
    /// A file, and the tensors of its outputs.
    File(Value, Vec<IntTensor>),
    /// No node: the output is an input.
    Input(Vec<u8>),
}

impl Source {
    fn file(&self) -> Option<&Value> {
        match self {
            Source::File(file, _) => Some(file),
            Source::Input(_) => None,
        }
    }
}

impl OnnxRuntime {
    fn sources(&self, problem: &Problem) -> Result<Vec<Source>, String> {
        let program = problem.program.program();
        let parts = problem.input.chunks(program.input_bytes()).map(|sample| {
            let mut rest = sample;
            let own = program.input_tensors().map(|tensor| {
                let (own, others) = rest.split_at(tensor.bytes());
                rest = others;
                (tensor, own)
            });
            own.collect::<Vec<_>>()
        });
        let samples: Vec<Vec<(&IntTensor, &[u8])>> = parts.collect();
        let is_held = |(tensor, own): &(&IntTensor, &[u8])| {
            let range = tensor.grid.min..=tensor.grid.max;
            tensor_integers(tensor, own).all(|value| range.contains(&value))
        };
        if !samples.iter().flatten().all(is_held) {
            return Err("no floats become integers beyond the grid of an input".into());
        }
        if self.programs {
            let reals = |(tensor, own): &(&IntTensor, &[u8])| digits(&reals(tensor, own));
            let samples = samples.iter().map(|sample| sample.iter().map(reals).collect());
            return Ok(vec![self.file(program, &samples.collect::<Vec<_>>())?]);
        }
        let contents = problem.contents();
        let source = |output: &Output| {
            let writes = |node: &&IntNode| node.output == output.tensor;
            let Some(node) = program.nodes.iter().find(writes) else {
                return Ok(Source::Input(contents[output.tensor.0].clone()));
            };
            if matches!(node.op, IntOp::Pack | IntOp::Unpack | IntOp::Constant { .. }) {
                return Err("the operation is nothing by itself".to_owned());
            }
            let (alone, ids) = program.alone(node);
            let inputs = alone.input_tensors().zip(&ids);
            let inputs = inputs.map(|(tensor, id)| digits(&reals(tensor, &contents[id.0])));
            self.file(&alone, &[inputs.collect()])
        };
        program.outputs.iter().map(source).collect()
    }

    /// The file of a program that runs on these samples, of each the floats of all inputs.
    fn file(&self, program: &Program, samples: &[Vec<String>]) -> Result<Source, String> {
        let model = onnx_model(program, self.qoperator).map_err(|error| {
            let text = error.to_string();
            // The name of the node does not matter here.
            text.split_once("as it is: ").map_or(text.clone(), |(_, reason)| reason.to_owned())
        })?;
        let held = program.states.iter().map(|state| {
            let tensor = &program.tensors[state.input.0];
            let initial = tensor.grid.dequantize(state.initial).to_le_bytes();
            digits(&initial.repeat(tensor.len()))
        });
        let file = json!({
            "model": digits(&model),
            "samples": samples,
            "states": held.collect::<Vec<_>>(),
            "optimized": self.optimized,
        });
        let outputs = samples.iter().flat_map(|_| program.output_tensors().cloned());
        Ok(Source::File(file, outputs.collect()))
    }
}

/// The elements of a tensor as floats, low bytes first.
fn reals(tensor: &IntTensor, bytes: &[u8]) -> Vec<u8> {
    let values = tensor_integers(tensor, bytes).map(|value| tensor.grid.dequantize(value));
    values.flat_map(f32::to_le_bytes).collect()
}

/// The integers of tensors that floats stand for.
fn integers(reals: &[u8], tensors: &[IntTensor]) -> Result<Vec<u8>, String> {
    let mut rest = reals.chunks_exact(4);
    let mut bytes = Vec::new();
    for tensor in tensors {
        for _ in 0..tensor.len() {
            let real = rest.next().and_then(|real| real.try_into().ok());
            let real = f32::from_le_bytes(real.ok_or("too few outputs")?);
            let steps = f64::from(real) / f64::from(tensor.grid.scale);
            let value = steps.round() as i32 + tensor.grid.zero_point;
            if (steps - steps.round()).abs() > 0.01 || value.abs() > 1 << 15 {
                return Err(format!("{real} is on no grid of scale {}", tensor.grid.scale));
            }
            bytes.extend(&value.to_le_bytes()[..tensor.dtype.bytes()]);
        }
    }
    Ok(bytes)
}
