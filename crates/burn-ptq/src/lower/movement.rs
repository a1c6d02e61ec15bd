//! Lowering of movements: nothing runs for them before an operation wants another order.

use super::{HWC, Lowering, SOURCE, View};
use crate::graph::ops::Rearrange;
use crate::graph::{Node, Op, ValueId};

impl Lowering<'_> {
    /// The tensor that holds `value` in `order`, copied if need be.
    pub(super) fn arranged(&mut self, value: ValueId, order: [usize; 3]) -> View {
        self.constant(value, order);
        let view = self.view(value).clone();
        let copies = self.copies.iter().filter(|(of, _)| *of == value).map(|(_, copy)| copy);
        if let Some(found) = std::iter::once(&view).chain(copies).find(|v| v.is_in(order)) {
            let mut found = found.clone();
            found.order = Some(order);
            return found;
        }
        let name = self.name_of_copy(value);
        let copy = self.copy(&name, value, &view, order);
        self.copies.push((value, copy.clone()));
        copy
    }

    /// What the copy of `value` is called: as the movement that wrote it, the first time.
    fn name_of_copy(&self, value: ValueId) -> String {
        let writer = self.graph.producer(value).map(|index| &self.graph.nodes[index]);
        match writer {
            Some(Node { name, op: Op::Rearrange(_), .. })
                if self.nodes.iter().all(|node| node.name != *name) =>
            {
                name.clone()
            }
            _ => format!("{}.transpose", self.graph.value(value).name),
        }
    }

    /// Pushes the copy of `value`, which is what `view` shows, into a tensor of its own.
    fn copy(&mut self, name: &str, value: ValueId, view: &View, order: [usize; 3]) -> View {
        let output = self.tensor(value, self.graph.value(value).dims(), order);
        self.push(name, view.copy(order), vec![view.tensor], output.tensor);
        output
    }

    /// A reshape keeps the source's order of elements: they are read from where they are.
    pub(super) fn reshape(&mut self, node: &Node) {
        let shape = &self.graph.value(node.output).shape;
        let view = match self.view(node.inputs[0]).reshaped(shape) {
            Some(view) => view,
            None => {
                let view = self.arranged(node.inputs[0], SOURCE).reshaped(shape);
                view.expect("every shape reads memory in the order of the source")
            }
        };
        self.views[node.output.0] = Some(view);
    }

    /// A movement is read from where its input is, if it only gives elements another order or if
    /// further movements follow; otherwise it is copied at once, so that its input can go.
    pub(super) fn rearrange(&mut self, node: &Node, op: &Rearrange) {
        let view = match self.view(node.inputs[0]).rearranged(op) {
            Some(view) => view,
            None => {
                let view = self.arranged(node.inputs[0], SOURCE).rearranged(op);
                view.expect("the axes of a movement are independent in the order of the source")
            }
        };
        let readers = self.graph.consumers(node.output);
        let moves = |&reader: &usize| self.graph.nodes[reader].op.rearranges();
        let waits = !readers.is_empty() && readers.iter().all(moves);
        let view = if waits || view.elements().is_some() {
            view
        } else {
            self.copy(&node.name, node.output, &view, HWC)
        };
        self.views[node.output.0] = Some(view);
    }
}
