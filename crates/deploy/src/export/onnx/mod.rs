//! ONNX: the program as an `.onnx` file, for ONNX Runtime and whatever reads quantized models from there.
//!
//! Activations are integers between `QuantizeLinear` and `DequantizeLinear`, around operators on floats
//! (QDQ), or around operators on integers where the standard has them (QOperator). Runtimes compute in floats
//! or in integers as they like, and round otherwise than the program: outputs of a layer differ by a step at
//! times. Tables and movements are exact.

mod form;
mod graph;
mod movement;
mod names;
mod normalize;
mod operators;
mod pairs;
mod protobuf;
mod resize;
mod scales;
mod schema;
mod style;
mod tables;
mod weighted;
mod window;

use std::collections::BTreeSet;

use super::shared::ends::{End as NamedEnd, inputs, outputs};
use super::shared::names::comment;
use super::shared::template::Values;
use super::shared::{describe, identity, license};
use super::{ExportError, ExportFile, Exporter, Figures, Options, Rendered, SelfTest};
use crate::border::Border;
use crate::op::IntOp;
use crate::place::plan::ALIGNMENT;
use crate::place::{Memory, Placed};
use crate::program::{IntNode, IntTensor, Program, TensorId};
use crate::run::tensor_integers;
use crate::target::{Kernels, Target};

use form::Form;
use graph::Graph;
use names::Names;
use scales::{OUT_OF_RANGE, SCALES};
use schema::{Batch, End, Model, OPSET, OPSET_OF_INT2};
use style::Style;
use weighted::Stored;

/// Exports to ONNX with operators on floats between `DequantizeLinear` and `QuantizeLinear`.
#[derive(Clone, Copy, Debug)]
pub struct Onnx;

/// Exports to ONNX with operators on integers where the standard has them.
#[derive(Clone, Copy, Debug)]
pub struct OnnxQOperator;

/// What messages call the format.
const FORMAT: &str = "ONNX";

const README: &str = include_str!("../../../onnx/README.md");
const CHECK: &str = include_str!("../../../onnx/check.py");

/// A program in the operators of ONNX.
struct Translation {
    model: Model,
    /// The layers with weights, by name.
    layers: Vec<(String, Stored)>,
}

/// The bytes of the `.onnx` file that computes what `program` does; `qoperator` for operators on integers.
///
/// # Errors
/// If no operators compute what a node does, or the program has loops.
pub fn onnx_model(program: &Program, qoperator: bool) -> Result<Vec<u8>, ExportError> {
    let style = if qoperator { Style::QOperator } else { Style::Qdq };
    Ok(translate(program, style)?.model.to_bytes())
}

fn translate(program: &Program, style: Style) -> Result<Translation, ExportError> {
    if let Some(own) = program.loops.first() {
        let node = program.nodes[own.first].name.clone();
        return Err(ExportError::Loops { format: FORMAT, node, steps: own.steps });
    }
    check_grids(program)?;
    let mut names = Names::default();
    let mut own = |name: &str, role: &str| {
        let name = if name.is_empty() { role } else { name };
        names.unique(name)
    };
    let inputs: Vec<String> = program.inputs.iter().map(|end| own(&end.name, "input")).collect();
    let held: Vec<String> = program.states.iter().map(|end| own(&end.name, "state")).collect();
    let outputs: Vec<String> = program.outputs.iter().map(|end| own(&end.name, "output")).collect();
    let left: Vec<String> = program
        .states
        .iter()
        .map(|state| own(&format!("{}_next", state.name), "state_next"))
        .collect();
    let mut graph = Graph::new(program, names);
    let mut ends = [Vec::new(), Vec::new()];
    for (name, end) in inputs.iter().zip(&program.inputs) {
        fill(&mut graph, name, end.tensor, &end.border);
        ends[0].push(End { name: name.clone(), shape: end.border.source_shape.clone() });
    }
    for (name, state) in held.iter().zip(&program.states) {
        let border = border_of(graph.of(state.input));
        fill(&mut graph, name, state.input, &border);
        ends[0].push(End { name: name.clone(), shape: border.source_shape });
    }
    let mut layers = Vec::new();
    for node in &program.nodes {
        graph.node.clone_from(&node.name);
        let stored = operators::translate(&mut graph, node, style);
        let stored = stored.map_err(|refusal| ExportError::Inexpressible {
            format: FORMAT,
            node: node.name.clone(),
            operation: node.op.name(),
            reason: refusal.to_string(),
        })?;
        layers.extend(stored.map(|stored| (node.name.clone(), stored)));
    }
    for (name, end) in outputs.iter().zip(&program.outputs) {
        read(&mut graph, name, end.tensor, &end.border);
        ends[1].push(End { name: name.clone(), shape: end.border.source_shape.clone() });
    }
    for (name, state) in left.iter().zip(&program.states) {
        let border = border_of(graph.of(state.output));
        read(&mut graph, name, state.output, &border);
        ends[1].push(End { name: name.clone(), shape: border.source_shape });
    }
    let [inputs, outputs] = ends;
    let model = Model {
        name: if program.name.is_empty() { "network".into() } else { program.name.clone() },
        version: program.provenance.version.clone(),
        opset: if graph.needs_int2 { OPSET_OF_INT2 } else { OPSET },
        batch: batch(program),
        inputs,
        outputs,
        nodes: graph.nodes,
        constants: graph.constants,
        metadata: metadata(program),
    };
    Ok(Translation { model, layers })
}

/// Checks that floats of 32 bits hold what integers stand for, and products of two of them.
fn check_grids(program: &Program) -> Result<(), ExportError> {
    let holds = |id: TensorId| SCALES.contains(&program.tensors[id.0].grid.scale);
    let leaves = |node: &&IntNode| !node.inputs.iter().chain([&node.output]).all(|&id| holds(id));
    match program.nodes.iter().find(leaves) {
        None => Ok(()),
        Some(node) => Err(ExportError::Inexpressible {
            format: FORMAT,
            node: node.name.clone(),
            operation: node.op.name(),
            reason: OUT_OF_RANGE.to_string(),
        }),
    }
}

/// The border of an activation as the program has it.
fn border_of(tensor: &IntTensor) -> Border {
    Border::plain(&tensor.shape)
}

/// Lets the activation be the input `name`, quantized.
fn fill(graph: &mut Graph, name: &str, id: TensorId, border: &Border) {
    let tensor = graph.of(id);
    graph.node = format!("{name}_input");
    let clamp = burn_ptq_kernels::params::Clamp { min: tensor.grid.min, max: tensor.grid.max };
    let own = Form::plain(&border.source_shape);
    graph.write(id, name.to_owned(), own.clone(), clamp);
    if !border.keeps_order() {
        let (value, form) = (graph.integers(id, &own), Form::of_border(border));
        let value = graph.moved(value, &own.moves(&Form::plain(&form.shape)));
        graph.hold(id, value, form);
    }
}

/// Lets the output `name` be the activation, dequantized.
fn read(graph: &mut Graph, name: &str, id: TensorId, border: &Border) {
    let own = Form::plain(&border.source_shape);
    let value = if border.keeps_order() {
        graph.integers(id, &own)
    } else {
        let form = Form::of_border(border);
        let value = graph.integers(id, &form);
        graph.moved(value, &Form::plain(&form.shape).moves(&own))
    };
    graph.dequantize(id, value, name.to_owned());
}

/// Whether a call takes any number of samples: constants repeat for all of them only where operators
/// broadcast.
fn batch(program: &Program) -> Batch {
    let constants: BTreeSet<TensorId> = program
        .nodes
        .iter()
        .filter(|node| matches!(node.op, IntOp::Constant { .. }))
        .map(|node| node.output)
        .collect();
    let is_constant = |id: &TensorId| constants.contains(id);
    let repeats = |op: &IntOp| {
        matches!(
            op,
            IntOp::Add { .. }
                | IntOp::Mul { .. }
                | IntOp::Binary { .. }
                | IntOp::BatchMatMul { .. }
        )
    };
    let read = program.nodes.iter().filter(|node| !repeats(&node.op)).flat_map(|node| &node.inputs);
    let both = program.nodes.iter().filter(|node| repeats(&node.op));
    let mut alone = both.filter(|node| node.inputs.iter().all(is_constant));
    let left: Vec<TensorId> = program.left().collect();
    let fixed = read.chain(&left).any(is_constant) || alone.next().is_some();
    if fixed { Batch::One } else { Batch::Any }
}

/// Where the program comes from, and the steps of its outputs.
fn metadata(program: &Program) -> Vec<(String, String)> {
    let steps: Vec<String> =
        program.output_tensors().map(|tensor| format!("{:e}", tensor.grid.scale)).collect();
    let mut metadata = vec![
        ("burn-ptq".into(), describe::provenance(program)),
        ("burn-ptq-output-steps".into(), steps.join(" ")),
    ];
    if !program.states.is_empty() {
        let initial = program
            .states
            .iter()
            .map(|state| program.tensors[state.input.0].grid.dequantize(state.initial));
        let initial: Vec<String> = initial.map(|initial| format!("{initial:e}")).collect();
        metadata.push(("burn-ptq-initial-states".into(), initial.join(" ")));
    }
    metadata
}

impl Exporter for Onnx {
    fn name(&self) -> &'static str {
        "onnx"
    }

    fn describe(&self) -> &'static str {
        "ONNX: an .onnx file with QuantizeLinear and DequantizeLinear, for ONNX Runtime and compilers"
    }

    /// The runtime has kernels of its own.
    fn kernels(&self, _target: &Target) -> Kernels {
        Kernels::Portable
    }

    fn render(
        &self,
        program: &Placed,
        self_test: &SelfTest,
        options: &Options,
    ) -> Result<Rendered, ExportError> {
        render(self, Style::Qdq, program, self_test, options)
    }
}

impl Exporter for OnnxQOperator {
    fn name(&self) -> &'static str {
        "onnx-qoperator"
    }

    fn describe(&self) -> &'static str {
        "ONNX: an .onnx file with QLinearConv and QLinearMatMul, for readers of only these"
    }

    /// The runtime has kernels of its own.
    fn kernels(&self, _target: &Target) -> Kernels {
        Kernels::Portable
    }

    fn render(
        &self,
        program: &Placed,
        self_test: &SelfTest,
        options: &Options,
    ) -> Result<Rendered, ExportError> {
        render(self, Style::QOperator, program, self_test, options)
    }
}

fn render(
    exporter: &dyn Exporter,
    style: Style,
    program: &Placed,
    self_test: &SelfTest,
    options: &Options,
) -> Result<Rendered, ExportError> {
    options.expect_no_harness(exporter.name())?;
    self_test.check(program)?;
    // The runtime runs each operator as a whole.
    let whole = program.program().clone().place(Kernels::Portable, Memory::Whole)?;
    let mut translation = translate(&whole, style)?;
    let hash = identity::hash(&whole)?;
    translation.model.metadata.push(("burn-ptq-program-sha256".into(), hash));
    let bytes = translation.model.to_bytes();
    let id = options.identifier(program)?;
    let model = &translation.model;
    let ends = |ends: &[End], named: &[NamedEnd]| -> String {
        let row = |(index, end): (usize, &End)| end_row(end, named.get(index), model.batch);
        ends.iter().enumerate().map(row).collect()
    };
    let stored: usize = translation.layers.iter().map(|(_, stored)| stored.bytes).sum();
    let values = Values::from([
        ("TITLE", comment(if program.name.is_empty() { &id } else { &program.name })),
        ("NAME", id.clone()),
        ("VERSION", comment(&program.provenance.version)),
        ("OPSET", model.opset.to_string()),
        (
            "END_ROWS",
            ends(&model.inputs, &inputs(&whole)) + &ends(&model.outputs, &outputs(&whole)),
        ),
        ("STATES", states(&whole)),
        ("FILE_BYTES", bytes.len().to_string()),
        ("WEIGHT_BYTES", stored.to_string()),
        ("STORAGE", storage(&translation.layers)),
        ("SAMPLES", self_test.samples.len().to_string()),
        ("PROVENANCE", describe::provenance(program)),
    ]);
    let figures = Figures {
        flash_constant_bytes: bytes.len(),
        flash_is_upper_bound: false,
        ram_bytes: whole.arena_bytes().next_multiple_of(ALIGNMENT),
        ram_is_lower_bound: true,
    };
    let mut files = vec![
        ExportFile::text("README.md", values.fill(README)?),
        ExportFile::text("check.py", CHECK),
        ExportFile { path: "samples.bin".into(), contents: samples(&whole, self_test) },
    ];
    values.all_used()?;
    let name = format!("{id}.onnx");
    files.extend(license::files(&[&name, "samples.bin"]));
    files.push(ExportFile { path: name, contents: bytes });
    Ok(Rendered { files, figures })
}

/// The row of an input or output in the README's table; states have no named end.
fn end_row(end: &End, named: Option<&NamedEnd>, batch: Batch) -> String {
    let first = match batch {
        Batch::Any => "batch",
        Batch::One => "1",
    };
    let axes: Vec<String> = end.shape.iter().map(|axis| format!(", {axis}")).collect();
    let (role, grid) = named.map_or(("state".to_owned(), String::from(" | ")), |named| {
        let grid = named.tensor.grid;
        let role = format!("{} {}", named.role, named.index);
        (role, format!("{:?} | {}", grid.scale, grid.zero_point))
    });
    let name = comment(&end.name).replace(['`', '|'], "?");
    format!("| {role} | `{name}` | [{first}{}] | {grid} |\n", axes.concat())
}

/// What the README says of states.
fn states(program: &Program) -> String {
    if program.states.is_empty() {
        return String::from("Every call stands for itself.");
    }
    let mut text = String::from(
        "The network keeps states: give each call what the call before left, from the output of the same name \
         with `_next` behind it.\nBefore the first call, all their elements are:\n\n| state | element |\n|---|---|\n",
    );
    for state in &program.states {
        let name = comment(&state.name).replace(['`', '|'], "?");
        let value = program.tensors[state.input.0].grid.dequantize(state.initial);
        text.push_str(&format!("| `{name}` | {value:?} |\n"));
    }
    text.trim_end().to_owned()
}

/// Which weights take more bits than they have, for the README.
fn storage(layers: &[(String, Stored)]) -> String {
    let wider: Vec<&(String, Stored)> =
        layers.iter().filter(|(_, stored)| stored.bits < stored.stored).collect();
    if wider.is_empty() {
        return String::from("All weights are stored in as many bits as they have.");
    }
    let mut text = String::from(
        "Weights that take more bits than they have, as the operators read no others:\n\n\
         | layer | bits | stored in |\n|---|---|---|\n",
    );
    for (name, stored) in wider {
        let name = comment(name).replace(['`', '|'], "?");
        text.push_str(&format!("| `{name}` | {} | {} |\n", stored.bits, stored.stored));
    }
    text.trim_end().to_owned()
}

/// The samples of the self-test as floats in the order of the source model, one after the other: of each the
/// inputs, then the outputs.
fn samples(program: &Program, self_test: &SelfTest) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut add = |tensor: &IntTensor, border: &Border, own: &[u8]| {
        let mut reals = vec![0.0_f32; tensor.len()];
        for (place, value) in border.places().into_iter().zip(tensor_integers(tensor, own)) {
            if let Some(real) = reals.get_mut(place) {
                *real = tensor.grid.dequantize(value);
            }
        }
        bytes.extend(reals.iter().flat_map(|real| real.to_le_bytes()));
    };
    for (input, output) in &self_test.samples {
        let (mut at, mut from) = (0, 0);
        for end in &program.inputs {
            let tensor = program.input_tensor(end);
            add(tensor, &end.border, input.get(at..at + tensor.bytes()).unwrap_or_default());
            at += tensor.bytes();
        }
        for end in &program.outputs {
            let tensor = program.output_tensor(end);
            add(tensor, &end.border, output.get(from..from + tensor.bytes()).unwrap_or_default());
            from += tensor.bytes();
        }
    }
    bytes
}

#[cfg(test)]
mod tests;
