//! TensorFlow Lite Micro, on the files that the exporter `tflite` writes.
//!
//! A program is exported as a whole. Where some node of it has no counterpart, the nodes that write
//! outputs are exported one by one, each as a program of its own, on the inputs that the reference
//! interpreter feeds them.

use burn_ptq_deploy::export::{TfLiteOptions, tflite_model};
use burn_ptq_deploy::program::{BinaryFunction, IntNode, IntOp, Output, Program, TensorId};
use burn_ptq_deploy::run::tensor_integers;
use serde_json::{Value, json};

use super::{Agreement, Executor};
use crate::problems::Problem;
pub(crate) use crate::python::{answers, digits, oracle};

/// The interpreter in the `tflite-micro` wheel.
pub(super) struct TensorFlowLiteMicro;

impl Executor for TensorFlowLiteMicro {
    fn name(&self) -> &'static str {
        "TFLite Micro"
    }

    fn agreement(&self) -> Agreement {
        Agreement::Exact
    }

    fn available(&self) -> Result<(), String> {
        oracle()
    }

    fn supports(&self, problem: &Problem) -> Result<(), String> {
        files(problem).map(|_| ())
    }

    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        let files = problems.iter().map(|problem| files(problem));
        let files = files.collect::<Result<Vec<Vec<Source>>, String>>()?;
        let whole = files.iter().filter(|sources| matches!(sources[..], [Source::Whole(_)]));
        let whole = whole.count();
        eprintln!("TFLite Micro: {whole} whole programs, {} by nodes", problems.len() - whole);
        let requests: Vec<&Value> = files.iter().flatten().filter_map(Source::file).collect();
        let answers = answers("tflm.py", &requests)?;
        let mut answers = answers.iter();
        let mut bytes = |source: &Source| match source {
            Source::Input(bytes) => Ok(bytes.clone()),
            Source::Whole(_) | Source::Node(_) => {
                of_answer(answers.next().ok_or("too few answers")?)
            }
        };
        let mut outputs = |(problem, sources): (&&Problem, &Vec<Source>)| {
            let outputs: Result<Vec<_>, String> = sources.iter().map(&mut bytes).collect();
            outputs
                .map(|parts| parts.concat())
                .map_err(|error| format!("{}: {error}", problem.name))
        };
        problems.iter().zip(&files).map(&mut outputs).collect()
    }
}

/// Where the bytes of outputs come from.
enum Source {
    /// A file of the whole program.
    Whole(Value),
    /// A file of the node that writes an output.
    Node(Value),
    /// No node: the output is an input.
    Input(Vec<u8>),
}

impl Source {
    fn file(&self) -> Option<&Value> {
        match self {
            Source::Whole(file) | Source::Node(file) => Some(file),
            Source::Input(_) => None,
        }
    }
}

/// The bytes of the outputs of a file.
pub(crate) fn of_answer(answer: &Value) -> Result<Vec<u8>, String> {
    if let Some(refusal) = answer.get("error") {
        return Err(format!("refused, {refusal}"));
    }
    let outputs: Vec<String> =
        serde_json::from_value(answer["outputs"].clone()).map_err(|error| error.to_string())?;
    let digits = outputs.concat();
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2).unwrap_or("?"), 16);
    let bytes: Result<Vec<u8>, _> = (0..digits.len()).step_by(2).map(byte).collect();
    bytes.map_err(|error| error.to_string())
}

/// What the outputs come from.
fn files(problem: &Problem) -> Result<Vec<Source>, String> {
    let program = problem.program.program();
    let contents = problem.contents();
    let inputs = |of: &Program, ids: &[TensorId]| -> Vec<String> {
        of.inputs.iter().zip(ids).map(|(_, id)| digits(&contents[id.0])).collect()
    };
    let divides = program.nodes.iter().any(|node| divides_by_zero(program, node, &contents));
    let whole = match divides {
        true => Err("DIV by 0 is undefined".to_owned()),
        false => export(program),
    };
    if let Ok(model) = whole {
        let ids: Vec<TensorId> = program.inputs.iter().map(|input| input.tensor).collect();
        let file = json!({ "model": model, "inputs": inputs(program, &ids) });
        return Ok(vec![Source::Whole(file)]);
    }
    let source = |output: &Output| {
        let writes = |node: &&IntNode| node.output == output.tensor;
        let Some(node) = program.nodes.iter().find(writes) else {
            return Ok(Source::Input(contents[output.tensor.0].clone()));
        };
        if matches!(node.op, IntOp::Pack | IntOp::Unpack | IntOp::Constant { .. }) {
            return Err("the operation is nothing by itself".to_owned());
        }
        if divides_by_zero(program, node, &contents) {
            return Err("DIV by 0 is undefined".into());
        }
        let (alone, ids) = program.alone(node);
        let model = export(&alone)?;
        Ok(Source::Node(json!({ "model": model, "inputs": inputs(&alone, &ids) })))
    };
    program.outputs.iter().map(source).collect()
}

/// The file of a program, in hexadecimal digits, or why there is none.
fn export(program: &Program) -> Result<String, String> {
    let chosen = TfLiteOptions { divisors_are_not_zero: true, ..TfLiteOptions::default() };
    let model = tflite_model(program, chosen).map_err(|error| {
        let text = error.to_string();
        // The name of the node does not matter here.
        text.split_once("as it is: ").map_or(text.clone(), |(_, reason)| reason.to_owned())
    })?;
    Ok(digits(&model))
}

/// Whether a node divides by 0 on these contents of all tensors.
fn divides_by_zero(program: &Program, node: &IntNode, contents: &[Vec<u8>]) -> bool {
    let IntOp::Binary { function: BinaryFunction::Div(_), .. } = node.op else { return false };
    let divisor = node.inputs[1];
    let tensor = &program.tensors[divisor.0];
    tensor_integers(tensor, &contents[divisor.0]).any(|value| value == tensor.grid.zero_point)
}
