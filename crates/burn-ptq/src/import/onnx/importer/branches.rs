//! Branches of constant condition, put in place of the node that chooses.

use std::collections::BTreeMap;

use onnx_ir::{GraphProto, NodeProto};

use super::super::constants::Extent;
use super::super::domain::operator_name;
use super::super::error::{Problem, Refusal};
use super::super::growing::{Importer, Site};
use super::super::layout::Layout;
use super::super::order::{display_name, needed_nodes, reads};

/// The branch that an `If` always takes.
pub(super) fn branch_of<'m>(site: &Site<'m>) -> Result<&'m GraphProto, Refusal> {
    let condition = site.constant(0, "condition").map_err(|_| {
        Refusal::new(
            "its condition depends on the model's input, expected a constant",
            "export the model without control flow, or simplify it",
        )
    })?;
    let name = match condition.to_extents()? {
        [Extent::Known(0)] => "else_branch",
        [_] => "then_branch",
        _ => return Err(Refusal::invalid("expected one condition")),
    };
    let missing = || Refusal::invalid(format!("its {name} is missing"));
    let attribute = site.attributes.0.iter().find(|a| a.name == name).ok_or_else(missing)?;
    attribute.g.as_ref().ok_or_else(missing)
}

impl<'m> Importer<'m> {
    /// Puts the graph of the branch that is always taken in place of the node.
    pub(super) fn import_branch(
        &mut self,
        node: &'m NodeProto,
        branch: &'m GraphProto,
    ) -> Result<(), Refusal> {
        let outputs: Vec<&str> = branch.output.iter().map(|o| o.name.as_str()).collect();
        let within = |problem: &Problem| {
            Refusal::new(format!("in its branch, {problem}"), "export the model without branches")
        };
        let nodes = needed_nodes(&branch.node, &outputs, self.source);
        let nodes = nodes.map_err(|problems| within(&problems[0]))?;
        let mut problems = Vec::new();
        for name in nodes.iter().flat_map(|node| reads(node)).chain(outputs.iter().copied()) {
            *self.readers.entry(name).or_default() += 1;
        }
        // Branches may use the names of other branches.
        for tensor in &branch.initializer {
            self.bindings.remove(tensor.name.as_str());
        }
        self.bind_initializers(branch, &BTreeMap::new(), &mut problems);
        if let Some(problem) = problems.first() {
            return Err(within(problem));
        }
        for inner in nodes {
            if let Err(refusal) = self.import_node(inner) {
                let across = refusal.is_across_batch();
                let problem =
                    refusal.of(display_name(inner), operator_name(inner, self.source), self.source);
                let refusal = within(&problem);
                return Err(if across { refusal.across_batch() } else { refusal });
            }
        }
        for (index, output) in node.output.iter().enumerate().filter(|(_, o)| !o.is_empty()) {
            let name = outputs.get(index).copied().unwrap_or_default();
            let binding = self.bindings.get(name).cloned().ok_or_else(|| {
                Refusal::invalid(format!("nothing writes the output '{name}' of its branch"))
            })?;
            let layout = self.layouts.get(name).copied().unwrap_or(Layout::FIRST);
            self.bind(output, binding, layout);
        }
        Ok(())
    }
}
