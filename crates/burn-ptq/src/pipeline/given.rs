//! Networks that are quantized already, as their files give them.

use burn::tensor::Device;
use burn_ptq_deploy::program::Provenance;
use burn_ptq_kernels::grid::{Grid, signed_range};

use super::Quantizer;
use super::uncalibrated::{SAMPLES, noise};
use crate::calibrate::CalibrateError;
use crate::error::{Error, OpenGrids};
use crate::graph::ops::OutputGrid;
use crate::graph::{Batch, GivenGrid, Graph, Node, Op, ValueId};
use crate::lower::LowerError;
use crate::network::Quantized;
use crate::prepare::prepare;
use crate::recipe::Recipe;
use crate::warning::Warning;

/// The network of a graph that is quantized already, with the grids and integers that its file gives, and no
/// calibration data. Figures that need samples are those of noise. The program records the hash of the model's file.
///
/// # Errors
/// If the file leaves grids or integers open, or a layer has no integer form.
pub fn quantize_as_given(
    graph: Graph,
    model_sha256: &str,
    device: &Device,
) -> Result<Quantized, Error> {
    let mut graph = prepare(graph)?;
    narrow_logits(&mut graph)?;
    let open = open(&graph);
    if !open.values.is_empty() || !open.layers.is_empty() {
        return Err(open.into());
    }
    let batch: Result<Batch, CalibrateError> = Ok(noise(&graph));
    let mut recipe = Recipe::preset("nearest")?;
    // Noise says nothing of the means of layers.
    recipe.layerwise.fit_bias = false;
    let mut quantizer = Quantizer::new(recipe).with_device(device.clone()).keeping_all_channels();
    // No recipe made it.
    quantizer.provenance = Provenance {
        version: env!("CARGO_PKG_VERSION").into(),
        model_hash: model_sha256.into(),
        ..Provenance::default()
    };
    quantizer.quantize_samples(graph, std::iter::once(batch), Some(SAMPLES), &|_| true)
}

/// Gives what a softmax reads of 16 bits a grid of 8, which its kernel takes: as far as that of the file, because no
/// sample says more.
fn narrow_logits(graph: &mut Graph) -> Result<(), Error> {
    let mut index = 0;
    while index < graph.nodes.len() {
        let node = &graph.nodes[index];
        let logits = node.op.operator().class_axis().and(node.inputs.first().copied());
        let wide =
            logits.and_then(|id| Some((id, graph.value(id).given.filter(|own| own.bits == 16)?)));
        if let Some((logits, given)) = wide {
            let (min, max) = signed_range(8, false);
            let grid = Grid { scale: 256.0 * given.grid.scale, zero_point: 0, min, max };
            let name = format!("{}.int8", graph.value(logits).name);
            let (moved, requantize) = graph.requantized(logits, name, GivenGrid { bits: 8, grid });
            graph.nodes[index].inputs[0] = moved;
            graph.nodes.insert(index, requantize);
            index += 1;
        }
        index += 1;
    }
    Ok(graph.verify()?)
}

/// Why a network could not be lowered: the file's grids, where it gives some.
pub(super) fn blamed(graph: &Graph, error: LowerError) -> LowerError {
    if graph.is_quantized() { error.of_file() } else { error }
}

/// A warning where a recipe asks for other weights than a file gives.
pub(super) fn recipe_not_followed(graph: &Graph, recipe: &Recipe) -> Option<Warning> {
    let of_layer = |node: &Node| {
        let exception = recipe.layers.iter().rev().filter(|layer| layer.matches(&node.name));
        exception.filter_map(|layer| layer.weights).next().unwrap_or(recipe.weights.bits)
    };
    let given = graph.nodes.iter().filter_map(|node| Some((node, node.given.as_ref()?)));
    // Integers of few bits in the file may be stored in fewer than it says.
    let mut others = given.filter(|(node, given)| of_layer(node) < given.bits);
    let (node, given) = others.next()?;
    let more = match others.count() {
        0 => String::new(),
        more => format!(", and so do {more} more"),
    };
    let message = format!(
        "the weights of '{}' keep the integers of the file, of {} bits, though the recipe says {}{more}",
        node.name,
        given.bits,
        of_layer(node)
    );
    Some(Warning::new(
        "recipe-not-followed",
        message,
        "quantize the whole model anew: --requantize",
    ))
}

/// What a prepared graph lacks.
fn open(graph: &Graph) -> OpenGrids {
    let fixed = |value: ValueId| match graph.producer(value) {
        None => graph.integer_grid(value).is_some(),
        Some(index) => match graph.nodes[index].op.operator().output_grid() {
            OutputGrid::Fixed { doublings, .. } => doublings == 0,
            OutputGrid::Places => true,
            // A constant says its range itself.
            OutputGrid::Observed => graph.nodes[index].inputs.is_empty(),
            OutputGrid::Shared => false,
        },
    };
    let groups = graph.grid_groups();
    let mut known = vec![false; groups.len()];
    for (index, value) in graph.values.iter().enumerate() {
        known[groups[index]] |= value.given.is_some() || fixed(ValueId(index));
    }
    let values = (0..groups.len()).filter(|&v| groups[v] == v && !known[v]);
    let layers = graph
        .nodes
        .iter()
        .filter(|node| node.op.weight_and_bias().is_some() && node.given.is_none());
    OpenGrids {
        values: values.map(|v| graph.values[v].name.clone()).collect(),
        // One factor a channel is a scale.
        layers: layers
            .filter(|node| !matches!(node.op, Op::ChannelAffine(_)))
            .map(|node| node.name.clone())
            .collect(),
    }
}
