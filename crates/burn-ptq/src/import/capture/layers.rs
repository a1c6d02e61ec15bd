//! Layers of Burn that cannot be imported, found by their parameters.
//!
//! A recurrent layer is hundreds of captured operations, each refused for a reason of its own. What
//! matters to the reader is the layer's name: all its operations become one node. One step of it is a few
//! operations that are supported.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use burn::backend::capture::CapturedGraph;
use burn::backend::ir::{OperationIr, TensorId};

/// The types of layers with parameters that are not supported.
const UNSUPPORTED: &str = "Lstm BiLstm Gru BiGru Rnn BiRnn CrossAttention \
    TransformerDecoder RotaryEncoding \
    ConvTranspose3d Conv3d DeformConv2d SwiGlu";

/// A layer that is not supported.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Layer {
    /// Its path in the module.
    pub path: String,
    /// Its type, such as `Lstm`.
    pub kind: String,
}

/// The outermost layer of an unsupported type on the way to a parameter: `names` are the path's
/// names, and `containers` the types of which each is a field, such as `Struct:Linear`.
pub(super) fn unsupported_layer(names: &[String], containers: &[String]) -> Option<Layer> {
    let kind = |container: &String| container.strip_prefix("Struct:").map(str::to_string);
    let (depth, kind) = containers.iter().enumerate().find_map(|(depth, container)| {
        let kind = kind(container)?;
        UNSUPPORTED.split(' ').any(|name| name == kind).then_some((depth, kind))
    })?;
    Some(Layer { path: names[..depth].join("."), kind })
}

/// The operations of each unsupported layer, one range a call.
///
/// `layers` says whose the parameters are, `parameters` holds those of all layers, and `is_supported`
/// whether an operation has a translation.
pub(super) fn calls<'l>(
    captured: &CapturedGraph,
    layers: &'l HashMap<TensorId, Layer>,
    parameters: impl Fn(TensorId) -> bool,
    is_supported: impl Fn(&OperationIr) -> bool,
) -> Vec<(Range<usize>, &'l Layer)> {
    let operations = &captured.graph.operations;
    // What layers compute of their parameters alone is theirs too.
    let mut owned: HashMap<TensorId, &Layer> = layers.iter().map(|(id, l)| (*id, l)).collect();
    let mut constants: HashSet<TensorId> = captured.values.keys().copied().collect();
    let owners: Vec<Owner> = operations
        .iter()
        .map(|operation| {
            let reads: Vec<TensorId> = operation.inputs().map(|t| t.id).collect();
            let layer = reads.iter().find_map(|id| owned.get(id).copied());
            let only_constants = !reads.is_empty() && reads.iter().all(|id| constants.contains(id));
            for output in operation.outputs().filter(|_| only_constants) {
                constants.insert(output.id);
                layer.map(|layer| owned.insert(output.id, layer));
            }
            match layer {
                Some(layer) => Owner::Layer(layer),
                None if reads.iter().any(|id| parameters(*id)) => Owner::Other,
                None => Owner::Nobody,
            }
        })
        .collect();
    // Before its first parameter and after its last, a layer cuts and joins tensors.
    let cuts = |index: &usize| {
        matches!(operations[*index], OperationIr::BaseFloat(_))
            && !is_supported(&operations[*index])
    };
    let is_nobodys = |index: &usize| matches!(owners[*index], Owner::Nobody);
    let mut calls: Vec<(Range<usize>, &Layer)> = Vec::new();
    let mut index = 0;
    while index < owners.len() {
        let Owner::Layer(layer) = owners[index] else {
            index += 1;
            continue;
        };
        let is_other = |o: &Owner| !matches!(o, Owner::Nobody) && *o != Owner::Layer(layer);
        let limit = owners[index..].iter().position(is_other).map_or(owners.len(), |n| index + n);
        let last = (index..limit).rev().find(|i| owners[*i] == Owner::Layer(layer));
        let last = last.unwrap_or(index);
        let floor = calls.last().map_or(0, |(range, _)| range.end);
        let before = (floor..index).rev().take_while(is_nobodys).filter(cuts).last();
        let after = (last + 1..limit).take_while(is_nobodys).filter(cuts).last();
        let range = before.unwrap_or(index)..after.unwrap_or(last) + 1;
        index = range.end;
        // A step of a recurrent layer is operations that all have a translation.
        if !operations[range.clone()].iter().all(&is_supported) {
            calls.push((range, layer));
        }
    }
    calls
}

/// Whose parameters an operation reads.
#[derive(Clone, Copy, PartialEq)]
enum Owner<'l> {
    Layer(&'l Layer),
    Other,
    Nobody,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_unsupported_layer_owns_a_parameter() {
        let strings = |texts: &[&str]| texts.iter().map(|t| t.to_string()).collect::<Vec<_>>();
        let names = strings(&["rnns", "0", "input_gate", "input_transform", "weight"]);
        let containers = strings(&[
            "Struct:Net",
            "Vec",
            "Struct:Lstm",
            "Struct:GateController",
            "Struct:Linear",
        ]);
        let layer = unsupported_layer(&names, &containers).unwrap();
        assert_eq!((layer.path.as_str(), layer.kind.as_str()), ("rnns.0", "Lstm"));
        assert_eq!(unsupported_layer(&names[3..], &containers[3..]), None);
    }
}
