//! The scales of constants, and of the layers that have these as weights.

use std::rc::Rc;
use std::sync::Arc;

use super::super::constants::Constant;
use super::super::growing::{Binding, Importer, Site};
use super::super::operators;
use super::super::steps::Steps;
use crate::graph::{Array, GivenWeights, Node};
use crate::warning::Warning;

/// Operators that have a constant as weights.
const LAYERS: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];

/// Operators that give elements of a constant another place.
const MOVES: [&str; 7] =
    ["Cast", "Flatten", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"];

/// The steps of the constant that an input is, if it has some.
fn steps_of<'s>(steps: &'s Steps, input: &Binding) -> Option<&'s Rc<Constant>> {
    match input {
        Binding::Constant(constant) => steps.get(constant),
        Binding::Value(_) | Binding::Unknown => None,
    }
}

/// The node `site` with steps in place of its first constant, if it moves one that has some.
pub(in super::super) fn moved<'s>(steps: &Steps, site: &Site<'s>) -> Option<Site<'s>> {
    let steps = steps_of(steps, site.inputs.first()?.as_ref()?)?;
    if !MOVES.contains(&site.op) {
        return None;
    }
    let mut moved = site.clone();
    moved.inputs[0] = Some(Binding::Constant(Rc::clone(steps)));
    Some(moved)
}

/// The layer `site` with steps in place of its weights, if these have some.
fn layer<'s>(steps: &Steps, site: &Site<'s>) -> Option<Site<'s>> {
    if !LAYERS.contains(&site.op) {
        return None;
    }
    let mut layer = site.clone();
    let mut found = false;
    for input in layer.inputs.iter_mut().take(2) {
        if let Some(steps) = input.as_ref().and_then(|input| steps_of(steps, input)) {
            *input = Some(Binding::Constant(Rc::clone(steps)));
            found = true;
        }
    }
    found.then_some(layer)
}

impl Importer<'_> {
    /// Gives the layers among the nodes from `first` on, which were made of `site`, the scales of its constants.
    ///
    /// The node is translated once more with the scales in place of the weights: they end up where the weights do,
    /// whatever the translation does to them.
    pub(in super::super) fn give_weights(&mut self, site: &Site, first: usize) {
        let Some(site) = layer(&self.steps, site) else { return };
        let (nodes, values) = (self.graph.nodes.len(), self.graph.values.len());
        let outputs = self.graph.outputs.clone();
        let kept =
            (self.placed.take(), self.further_placed.take(), std::mem::take(&mut self.further));
        let translated = operators::import(self, &site);
        let scales = self.graph.nodes.split_off(nodes);
        self.graph.values.truncate(values);
        self.graph.outputs = outputs;
        (self.placed, self.further_placed, self.further) = kept;
        if translated.is_err() {
            return;
        }
        for (node, steps) in self.graph.nodes[first..].iter_mut().zip(&scales) {
            node.given = given(node, steps).map(Arc::new);
            if node.given.is_none() && node.op.weight_and_bias().is_some() {
                let message = format!(
                    "the weights of '{}' have several scales for an output channel in the file, and integer kernels \
                     take one: they are rounded anew",
                    node.name
                );
                let hint = "quantize weights per output channel";
                self.graph.notes.push(Warning::new("weights-changed", message, hint));
            }
        }
    }
}

/// The grid of a layer's weights, if each output channel has one.
fn given(node: &Node, steps: &Node) -> Option<GivenWeights> {
    let ((weight, _), (steps, _)) = (node.op.weight_and_bias()?, steps.op.weight_and_bias()?);
    if weight.shape != steps.shape {
        return None;
    }
    let scale = |row: &[f32]| row.first().copied().filter(|first| row.iter().all(|s| s == first));
    let scales = rows(steps).map(scale).collect::<Option<Vec<f32>>>()?;
    Some(GivenWeights { bits: 8, scales })
}

/// The elements of each output channel.
fn rows(array: &Array) -> impl Iterator<Item = &[f32]> {
    let channels = array.shape.first().copied().unwrap_or(1).max(1);
    array.data.chunks((array.data.len() / channels).max(1))
}
