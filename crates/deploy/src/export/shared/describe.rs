//! Programs in words: for comments, READMEs and tables of layers.

use super::names::comment;
use crate::op::DType;
use crate::program::{IntNode, IntTensor, Program, TensorId};

/// The node's name, operation, shapes and bits.
pub(crate) fn describe(program: &Program, node: &IntNode) -> String {
    let side = |id: TensorId| {
        let tensor = &program.tensors[id.0];
        let [height, width, channels] = tensor.shape;
        format!("[{height}, {width}, {channels}] {} bit", tensor.bits)
    };
    let inputs: Vec<String> = node.inputs.iter().map(|&id| side(id)).collect();
    let weights = node.op.weighted().map_or(String::new(), |weighted| {
        let weights = &weighted.weights;
        format!(
            ", {} weights of {} bit in {} bytes",
            weights.len(),
            weights.bits,
            weights.data.len()
        )
    });
    format!(
        "{}: {} {} -> {}{weights}",
        comment(&node.name),
        node.op.name(),
        inputs.join(", "),
        side(node.output)
    )
}

/// The name and operation of each node, fit for a literal, and the multiply-accumulates of all its runs.
pub(crate) fn layer_names(program: &Program) -> Vec<(String, usize)> {
    let name = |name: &str| comment(name).replace(['\\', '"'], "?");
    let ascii = |text: String| text.replace(|c: char| !c.is_ascii(), "?").replace("??", "? ?");
    let nodes = program.nodes.iter().enumerate();
    nodes
        .map(|(index, node)| {
            let text = format!("{} ({})", name(&node.name), node.op.name());
            // Printers have 32 bits for it.
            let macs = node.op.macs().saturating_mul(program.runs(index)).min(u32::MAX as usize);
            (ascii(ascii(text)), macs)
        })
        .collect()
}

/// `[height, width, channels]` elements of a type and grid, in words; `element` is the name of the type.
pub(crate) fn layout(tensor: &IntTensor, element: &str) -> String {
    let grid = if tensor.dtype == DType::I8 && tensor.bits < 8 {
        format!(", {}..={} ({} bits)", tensor.grid.min, tensor.grid.max, tensor.bits)
    } else {
        String::new()
    };
    let [height, width, channels] = tensor.shape;
    format!("[{height}, {width}, {channels}] {element}{grid}")
}

/// Where the program came from, for a README.
pub(crate) fn provenance(program: &Program) -> String {
    let provenance = &program.provenance;
    let mut text = format!(
        "burn-ptq {}, seed {}, model {}, calibration data {}.",
        comment(&provenance.version),
        provenance.seed,
        hash(&provenance.model_hash),
        hash(&provenance.calibration_hash),
    );
    if !provenance.recipe.is_empty() {
        text.push_str("\n\n");
        for line in provenance.recipe.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text.trim_end().to_owned()
}

fn hash(hash: &str) -> String {
    if hash.is_empty() { "(not recorded)".to_owned() } else { comment(hash) }
}
