//! TensorFlow Lite: the program as a `.tflite` file, for TensorFlow Lite Micro, LiteRT and the compilers
//! of accelerators.
//!
//! TensorFlow Lite Micro gives the bytes of the program. What it computes otherwise is refused, by the
//! name of the node.

mod choices;
mod flatbuffer;
mod graph;
mod model;
mod movement;
mod multipliers;
mod operators;
mod options;
mod pairs;
mod states;
mod weighted;
mod window;

use super::shared::ends::{End, inputs, outputs};
use super::shared::names::comment;
use super::shared::samples::layout_text;
use super::shared::template::Values;
use super::shared::{describe, identity, license};
use super::{ExportError, ExportFile, Exporter, Figures, Options, Rendered, SelfTest};
use crate::place::plan::ALIGNMENT;
use crate::place::{Memory, Placed};
use crate::preprocess::Element;
use crate::program::Program;
use crate::target::{Kernels, Target};

use crate::tflite::METADATA;
use crate::tflite::schema::Builtin;
use graph::{Graph, natural};
use model::Model;
use weighted::Stored;

pub use choices::TfLiteOptions;

/// Exports to TensorFlow Lite.
#[derive(Clone, Copy, Debug)]
pub struct TfLite;

/// What messages call the format.
const FORMAT: &str = "TensorFlow Lite";

const README: &str = include_str!("../../../tflite/README.md");
const CHECK: &str = include_str!("../../../tflite/check.py");

/// What the interpreter adds to the activations, as a first guess.
const INTERPRETER_BYTES: usize = 16 << 10;

/// A program in the operators of TensorFlow Lite.
struct Translation {
    model: Model,
    /// The layers with weights, by name.
    layers: Vec<(String, Stored)>,
}

/// The bytes of the `.tflite` file that computes what `program` does.
///
/// # Errors
/// If no operators compute what a node does, or the program has loops.
pub fn tflite_model(program: &Program, chosen: TfLiteOptions) -> Result<Vec<u8>, ExportError> {
    Ok(translate(program, chosen)?.model.to_bytes())
}

fn translate(program: &Program, chosen: TfLiteOptions) -> Result<Translation, ExportError> {
    if let Some(own) = program.loops.first() {
        let node = program.nodes[own.first].name.clone();
        return Err(ExportError::Loops { format: FORMAT, node, steps: own.steps });
    }
    let mut graph = Graph::new(program);
    let (variables, initial) = states::read(&mut graph);
    let mut layers = Vec::new();
    for node in &program.nodes {
        graph.node.clone_from(&node.name);
        let stored = operators::translate(&mut graph, node, chosen);
        let stored = stored.map_err(|refusal| ExportError::Inexpressible {
            format: FORMAT,
            node: node.name.clone(),
            operation: node.op.name(),
            reason: refusal.to_string(),
        })?;
        layers.extend(stored.map(|stored| (node.name.clone(), stored)));
    }
    let inputs = program.inputs.iter().map(|end| (end.name.clone(), graph.any(end.tensor)));
    let inputs = inputs.collect();
    let mut outputs = Vec::new();
    for end in &program.outputs {
        graph.node.clone_from(&end.name);
        let shape = natural(program.output_tensor(end));
        outputs.push((end.name.clone(), graph.read(end.tensor, &shape)));
    }
    states::assign(&mut graph, &variables);
    let model = Model {
        name: program.name.clone(),
        description: format!("quantized by burn-ptq {}", program.provenance.version),
        inputs,
        outputs,
        metadata: vec![(METADATA.into(), describe::provenance(program))],
        tensors: graph.tensors,
        operators: graph.operators,
        buffers: graph.buffers,
        initial,
    };
    Ok(Translation { model, layers })
}

impl Exporter for TfLite {
    fn name(&self) -> &'static str {
        "tflite"
    }

    fn describe(&self) -> &'static str {
        "TensorFlow Lite: a .tflite file for TensorFlow Lite Micro, LiteRT and Vela"
    }

    /// The interpreter has kernels of its own.
    fn kernels(&self, _target: &Target) -> Kernels {
        Kernels::Portable
    }

    fn render(
        &self,
        program: &Placed,
        self_test: &SelfTest,
        options: &Options,
    ) -> Result<Rendered, ExportError> {
        options.expect_no_harness(self.name())?;
        self_test.check(program)?;
        // The interpreter runs each operator as a whole.
        let whole = program.program().clone().place(Kernels::Portable, Memory::Whole)?;
        let hash = identity::hash(&whole)?;
        let file = |chosen: TfLiteOptions| {
            let mut translation = translate(&whole, chosen)?;
            translation.model.metadata.push(("burn-ptq-program-sha256".into(), hash.clone()));
            let bytes = translation.model.to_bytes();
            Ok::<_, ExportError>((translation, bytes))
        };
        let (translation, bytes) = file(TfLiteOptions::default())?;
        let id = options.identifier(program)?;
        let ram_bytes = whole.arena_bytes().next_multiple_of(ALIGNMENT);
        let used = operators_of(&translation.model);
        let (ins, outs) = (inputs(&whole), outputs(&whole));
        let packed = translation.layers.iter().any(|(_, stored)| stored.stored == 4);
        let row = |(end, at): (&End, usize)| end_row(end, &translation.model, at);
        let rows = |ends: &[End], places: &[(String, usize)]| -> String {
            ends.iter().zip(places.iter().map(|place| place.1)).map(row).collect()
        };
        let values = Values::from([
            ("TITLE", comment(if program.name.is_empty() { &id } else { &program.name })),
            ("NAME", id.clone()),
            (
                "VELA_FILE",
                if packed { format!("{id}_int8.tflite") } else { format!("{id}.tflite") },
            ),
            ("VERSION", comment(&program.provenance.version)),
            ("OPERATOR_COUNT", used.len().to_string()),
            ("RESOLVER", used.iter().map(|op| format!("resolver.Add{}();\n", op.name)).collect()),
            ("ARENA_GUESS", (ram_bytes + INTERPRETER_BYTES).to_string()),
            (
                "END_ROWS",
                rows(&ins, &translation.model.inputs) + &rows(&outs, &translation.model.outputs),
            ),
            ("PLACES", layout_text(program, raw_type) + &states::text(program)),
            ("FILE_BYTES", bytes.len().to_string()),
            ("WEIGHT_BYTES", weight_bytes(&translation.layers).to_string()),
            ("ARENA_BYTES", ram_bytes.to_string()),
            ("STORAGE", storage(&translation.layers, &id)),
            ("SAMPLES", self_test.samples.len().to_string()),
            ("PROVENANCE", describe::provenance(program)),
        ]);
        let mut models = vec![(format!("{id}.tflite"), bytes)];
        if packed {
            let whole_bytes = TfLiteOptions { whole_bytes: true, ..TfLiteOptions::default() };
            models.push((format!("{id}_int8.tflite"), file(whole_bytes)?.1));
        }
        let figures = Figures {
            flash_constant_bytes: models.first().map_or(0, |(_, bytes)| bytes.len()),
            flash_is_upper_bound: false,
            ram_bytes,
            ram_is_lower_bound: true,
        };
        let mut files = vec![
            ExportFile::text("README.md", values.fill(README)?),
            ExportFile::text("check.py", CHECK),
            ExportFile { path: "samples.bin".into(), contents: samples(self_test) },
        ];
        values.all_used()?;
        let names = models.iter().map(|(name, _)| name.as_str()).chain(["samples.bin"]);
        files.extend(license::files(&names.collect::<Vec<_>>()));
        files.extend(models.into_iter().map(|(path, contents)| ExportFile { path, contents }));
        Ok(Rendered { files, figures })
    }
}

/// The operators that a model has, in the order of their first use.
fn operators_of(model: &Model) -> Vec<Builtin> {
    let mut used: Vec<Builtin> = Vec::new();
    let initial = model.initial.iter().flat_map(|graph| &graph.operators);
    for operator in model.operators.iter().chain(initial) {
        if !used.contains(&operator.builtin) {
            used.push(operator.builtin);
        }
    }
    used
}

/// The row of an input or output in the README's table; `at` is its tensor in the file.
fn end_row(end: &End, model: &Model, at: usize) -> String {
    let shape = model.tensors.get(at).map(|tensor| tensor.shape.as_slice()).unwrap_or_default();
    let grid = end.tensor.grid;
    format!(
        "| {} {} | `{}` | {shape:?} | {} | {} | {:?} | {} |\n",
        end.role,
        end.index,
        comment(end.name).replace(['`', '|'], "?"),
        match end.tensor.dtype.bytes() {
            1 => "int8",
            _ => "int16",
        },
        end.tensor.bytes(),
        grid.scale,
        grid.zero_point
    )
}

fn weight_bytes(layers: &[(String, Stored)]) -> usize {
    layers.iter().map(|(_, stored)| stored.bytes).sum()
}

/// Which weights take more bits than they have, for the README.
fn storage(layers: &[(String, Stored)], id: &str) -> String {
    let wider: Vec<&(String, Stored)> =
        layers.iter().filter(|(_, stored)| stored.bits < stored.stored).collect();
    let mut text = String::new();
    if layers.iter().any(|(_, stored)| stored.stored == 4) {
        text.push_str(&format!(
            "Weights of at most 4 bits are packed two to a byte where the interpreters take that. TensorFlow Lite \
             Micro unpacks those of one\nlayer at a time to its arena. `{id}_int8.tflite` is the same network \
             with a byte for each weight: it needs less RAM, and Vela, which\ntakes no packed ones, compiles it.\n\n",
        ));
    }
    if wider.is_empty() {
        text.push_str("All weights are stored in as many bits as they have.");
        return text;
    }
    text.push_str(
        "Weights that take more bits than they have, as the interpreters read no others:\n\n",
    );
    text.push_str("| layer | bits | stored in |\n|---|---|---|\n");
    for (name, stored) in wider {
        let name = comment(name).replace(['`', '|'], "?");
        text.push_str(&format!("| `{name}` | {} | {} |\n", stored.bits, stored.stored));
    }
    text.trim_end().to_owned()
}

/// The samples of the self-test, one after the other.
fn samples(self_test: &SelfTest) -> Vec<u8> {
    let samples = self_test.samples.iter();
    samples.flat_map(|(input, output)| input.iter().chain(output)).copied().collect()
}

fn raw_type(element: Element) -> &'static str {
    match element {
        Element::U8 => "uint8",
        Element::I8 => "int8",
        Element::U16 => "uint16",
        Element::I16 => "int16",
        Element::I32 => "int32",
        Element::F32 => "float32",
    }
}

#[cfg(test)]
mod tests;
