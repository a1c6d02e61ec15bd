//! One node of a program, for whoever looks at single layers.

use crate::border::Border;
use crate::program::{Input, IntNode, Output, Program, Provenance, TensorId};

impl Program {
    /// The program of one of the nodes, and the activations of this program that are its inputs, in their
    /// order. An activation that the node reads twice is one input.
    pub fn alone(&self, node: &IntNode) -> (Self, Vec<TensorId>) {
        let mut ids: Vec<TensorId> = Vec::new();
        for &id in &node.inputs {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let place = |id: &TensorId| TensorId(ids.iter().position(|other| other == id).unwrap_or(0));
        let border = |id: &TensorId| Border::plain(&[self.tensors[id.0].len()]);
        let output = TensorId(ids.len());
        let tensors = ids.iter().chain([&node.output]).map(|id| self.tensors[id.0].clone());
        let inputs = ids.iter().map(|id| Input::new(format!("{}", id.0), place(id), border(id)));
        let program = Self {
            name: self.name.clone(),
            tensors: tensors.collect(),
            nodes: vec![IntNode {
                inputs: node.inputs.iter().map(place).collect(),
                output,
                ..node.clone()
            }],
            inputs: inputs.collect(),
            outputs: vec![Output::new("y", output, border(&node.output))],
            states: Vec::new(),
            loops: Vec::new(),
            provenance: Provenance::default(),
        };
        (program, ids)
    }
}
