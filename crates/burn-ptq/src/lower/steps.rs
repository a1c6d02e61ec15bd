//! Lowering of loops over the steps of a sequence.

use burn_ptq_deploy::program::{Carried, IntOp, Loop};

use super::{LowerError, Lowering, SOURCE};
use crate::graph::ops::{Step, StepRole};
use crate::graph::{Node, Op, StepLoop};

impl Lowering<'_> {
    /// Lowers the nodes of a loop. What steps read from outside is written before the first one.
    pub(super) fn steps(&mut self, found: &StepLoop) -> Result<(), LowerError> {
        let graph = self.graph;
        let nodes = &graph.nodes[found.nodes.clone()];
        for node in nodes {
            match &node.op {
                Op::Step(Step { role: StepRole::Hold, .. }) => self.hold(node),
                // A sequence has its steps one after the other.
                Op::Step(Step { role: StepRole::Take { .. }, .. }) => {
                    self.arranged(node.inputs[0], SOURCE);
                }
                _ => {}
            }
        }
        let first = self.nodes.len();
        let mut carried = Vec::new();
        for (index, node) in found.nodes.clone().zip(nodes) {
            match &node.op {
                Op::Step(step) => carried.extend(self.step(node, step.role, first)),
                _ => self.node(index, node)?,
            }
        }
        let count = self.nodes.len() - first;
        self.loops.push(Loop { first, count, steps: found.steps, carried });
        Ok(())
    }

    /// Writes what the first step finds into a tensor of its own.
    fn hold(&mut self, node: &Node) {
        let initial = node.inputs[0];
        let dims = self.graph.value(node.output).dims();
        let writer = self.graph.producer(initial).map(|index| &self.graph.nodes[index].op);
        let (op, inputs) = match writer {
            Some(Op::Constant(constant)) => {
                let data = self.constant_data(node.output, &constant.array.data);
                (IntOp::Constant { data }, Vec::new())
            }
            _ => {
                let view = self.arranged(initial, SOURCE);
                (view.copy(SOURCE), vec![view.tensor])
            }
        };
        let view = self.tensor(node.output, dims, SOURCE);
        self.push(&node.name, op, inputs, view.tensor);
        self.views[node.output.0] = Some(view);
    }

    /// Lowers a border of a loop whose first node in the program is `first`; says what a step leaves for the next.
    fn step(&mut self, node: &Node, role: StepRole, first: usize) -> Option<Carried> {
        match role {
            StepRole::Hold => None,
            StepRole::Take { reverse } | StepRole::Put { reverse } => {
                let input = self.arranged(node.inputs[0], SOURCE).tensor;
                let view = self.tensor(node.output, self.graph.value(node.output).dims(), SOURCE);
                let put = matches!(role, StepRole::Put { .. });
                self.push(&node.name, IntOp::Step { put, reverse }, vec![input], view.tensor);
                self.views[node.output.0] = Some(view);
                None
            }
            StepRole::Last => {
                let held = self.view(node.inputs[0]).tensor;
                let mut next = self.arranged(node.inputs[1], SOURCE);
                let written = self.nodes[first..].iter().any(|node| node.output == next.tensor);
                let taken = self.nexts.contains(&next.tensor);
                if !written || taken {
                    let copy = self.tensor(node.output, next.dims, SOURCE);
                    self.push(&node.name, next.copy(SOURCE), vec![next.tensor], copy.tensor);
                    next = copy;
                }
                self.nexts.push(next.tensor);
                // Elements are in the same order, whatever axes of extent 1 are between them.
                self.tensors[held.0].shape = self.tensors[next.tensor.0].shape;
                let carried = Carried { held, next: next.tensor };
                self.views[node.output.0] = Some(next);
                Some(carried)
            }
        }
    }
}
