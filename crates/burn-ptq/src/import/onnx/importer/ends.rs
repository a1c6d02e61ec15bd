//! The outputs, once all nodes are there.

use super::super::error::Refusal;
use super::super::growing::{Binding, Importer};
use super::super::interface::Interface;
use super::super::layout::{Batch, Layout};
use super::super::masks;
use super::{Imported, Problem};
use crate::graph::ops::Reshape;
use crate::graph::{GraphError, ValueId};

impl Importer<'_> {
    /// The graph, with its outputs.
    pub(super) fn finish(mut self, interface: &Interface) -> Result<Imported, Vec<Problem>> {
        let outputs = &interface.outputs;
        let mut problems = Vec::new();
        let mut ends: Vec<ValueId> = Vec::new();
        let mut layouts = Vec::new();
        for &output in outputs {
            let source = self.source;
            let mut error = |problem: &str| {
                let refusal = Refusal::new(problem, "export the model again");
                problems.push(refusal.of(output, "output", source));
            };
            match self.bindings.get(output) {
                Some(Binding::Value(id)) => match self.end(*id, output, outputs.len(), &ends) {
                    Ok((id, layout)) => {
                        ends.push(id);
                        layouts.push(layout);
                    }
                    Err(graph_error) => error(&graph_error.to_string()),
                },
                Some(Binding::Constant(_)) => error("it is a constant, expected a computed value"),
                _ => error("nothing writes it, expected a value that is computed from the input"),
            }
        }
        self.graph.outputs = ends;
        if let Err((node, refusal)) = masks::bound(&mut self.graph) {
            problems.push(refusal.of(&self.graph.nodes[node].name, "Add", self.source));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let inputs = interface.inputs.iter().map(|input| input.layout).collect();
        Ok(Imported { graph: self.graph, inputs, outputs: layouts })
    }

    /// The value of the output called `name`, which `id` is; `others` are outputs already.
    fn end(
        &mut self,
        mut id: ValueId,
        name: &str,
        outputs: usize,
        others: &[ValueId],
    ) -> Result<(ValueId, Layout), GraphError> {
        let mut layout = self.layouts.get(name).copied().unwrap_or(Layout::FIRST);
        let mut shape = self.shape(id).to_vec();
        // A sample whose first axis is a batch of 1 is one of a batch.
        if layout.batch == Batch::Absent
            && self.batch == Some(1)
            && shape.len() > 1
            && shape[0] == 1
        {
            shape.remove(0);
            layout = Layout::FIRST;
            id = self.graph.push(
                format!("{name}/sample"),
                Reshape { shape: shape.clone() },
                &[id],
                name,
            )?;
        }
        let is_input = self.graph.inputs.contains(&id);
        // Each of several outputs has a name of its own, though it may hold what another holds.
        if outputs > 1 && (is_input || others.contains(&id)) {
            id = self.graph.push(name, Reshape { shape }, &[id], name)?;
            return Ok((id, layout));
        }
        // An `Identity` at the end leaves no node, but its name is the one users know.
        if !is_input {
            self.graph.values[id.0].name = name.into();
        }
        Ok((id, layout))
    }
}
