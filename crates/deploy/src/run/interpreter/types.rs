//! Operations whose inputs and outputs have elements of different types.

use super::*;

impl Interpreter<'_> {
    pub(super) fn lookup<T: Storage + Pod + Into<i32>>(
        &mut self,
        node: &IntNode,
        piece: &Piece,
        width: usize,
        table: &[T],
    ) {
        let input = &self.program.tensors[node.inputs[0].0];
        let output: &mut [T] =
            bytemuck::cast_slice_mut(&mut arena_bytes(&mut self.arena)[piece.output.clone()]);
        let (zero_point, ids) = (input.grid.zero_point, &self.inputs[0]);
        match input.dtype {
            DType::I16 => {
                reference::lookup(width, table, zero_point, ids.elements::<i16>(), output)
            }
            DType::I8 | DType::I4 => {
                reference::lookup(width, table, zero_point, ids.elements::<i8>(), output);
            }
        }
    }

    pub(super) fn requantize<S: Storage + Pod, T: Storage + Pod>(
        &mut self,
        node: &IntNode,
        piece: &Piece,
    ) {
        let IntOp::Requantize { multiplier, clamp } = node.op else { return };
        let [from, to] = [node.inputs[0], node.output].map(|id| self.program.tensors[id.0].grid);
        let zero_points = [from.zero_point, to.zero_point];
        let output =
            bytemuck::cast_slice_mut(&mut arena_bytes(&mut self.arena)[piece.output.clone()]);
        let input = self.inputs[0].elements::<S>();
        reference::requantize::<S, T>(multiplier, zero_points, clamp, input, output);
    }
}
