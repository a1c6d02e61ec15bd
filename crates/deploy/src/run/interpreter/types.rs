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

    /// A fully connected layer with outputs of the inputs' type, or of 16 bits of 8-bit inputs.
    pub(super) fn fully_connected<S: Storage + Pod, T: Storage + Pod>(
        &mut self,
        index: usize,
        piece: &Piece,
    ) {
        let node = &self.program.nodes[index];
        let IntOp::FullyConnected { in_features, out_features, weighted, .. } = &node.op else {
            return;
        };
        let [from, to] = [node.inputs[0], node.output].map(|id| self.program.tensors[id.0].grid);
        let requantize = requantize_of(weighted, from, to);
        let output: &mut [T] =
            bytemuck::cast_slice_mut(&mut arena_bytes(&mut self.arena)[piece.output.clone()]);
        let input = self.inputs[0].elements::<S>();
        let (weights, [features, out]) = (weighted.weights.packed(), [*in_features, *out_features]);
        reference::fully_connected(features, out, input, weights, &requantize, output);
    }

    /// A product of 16-bit values in 8 bits.
    pub(super) fn narrow_product(&mut self, node: &IntNode, piece: &Piece) {
        let IntOp::Mul { multiplier, clamp, .. } = node.op else { return };
        let ids = [node.inputs[0], node.inputs[1], node.output];
        let zero_points = ids.map(|id| self.program.tensors[id.0].grid.zero_point);
        let output: &mut [i8] =
            bytemuck::cast_slice_mut(&mut arena_bytes(&mut self.arena)[piece.output.clone()]);
        let [a, b] = [0, 1].map(|i| self.inputs[i].elements::<i16>());
        reference::mul(multiplier, zero_points, clamp, a, b, output);
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
