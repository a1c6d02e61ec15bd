//! Lowering of constants: bytes on the grid of a value.

use burn_ptq_deploy::program::IntOp;

use super::Lowering;
use crate::graph::{Node, Op, ValueId};

impl Lowering<'_> {
    /// Writes a constant where its first reader stands, in the order that it wants.
    pub(super) fn constant(&mut self, value: ValueId, order: [usize; 3]) {
        if self.views[value.0].is_some() {
            return;
        }
        let producer = self.graph.producer(value).map(|index| &self.graph.nodes[index]);
        let Some(Node { name, op: Op::Constant(op), .. }) = producer else { return };
        let dims = self.graph.value(value).dims();
        let view = self.tensor(value, dims, order);
        let elements: Vec<f32> =
            view.elements().into_iter().flatten().map(|i| op.array.data[i]).collect();
        let data = self.constant_data(value, &elements);
        self.push(name, IntOp::Constant { data }, Vec::new(), view.tensor);
        self.views[value.0] = Some(view);
    }

    /// Elements as the bytes of a tensor on the grid of `value`.
    pub(super) fn constant_data(&self, value: ValueId, elements: &[f32]) -> Vec<u8> {
        let (grid, bytes) = (self.grid(value), if self.is_wide(value) { 2 } else { 1 });
        let integers = elements.iter().map(|&x| grid.quantize(x).to_le_bytes());
        integers.flat_map(|q| q.into_iter().take(bytes)).collect()
    }
}
