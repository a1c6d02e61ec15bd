//! Operations of two values that meet element by element.

use burn_ptq_deploy::program::{BinaryFunction, Broadcast, IntOp, TensorId};
use burn_ptq_kernels::params::{AddParams, PreluParams};

use super::{HWC, LowerError, Lowering, no_multiplier};
use crate::graph::{Node, ops};

impl Lowering<'_> {
    /// How the inputs of an operation of two values meet.
    pub(super) fn broadcast(&self, node: &Node) -> Broadcast {
        let [a, b] = [0, 1].map(|i| self.graph.value(node.inputs[i]).dims());
        match b {
            _ if a == b => Broadcast::None,
            [1, 1, 1] => Broadcast::Scalar,
            [channels, 1, 1] if channels == a[0] => Broadcast::Channels,
            _ => self.broadcast_of_shapes(node),
        }
    }

    fn broadcast_of_shapes(&self, node: &Node) -> Broadcast {
        let [a, b] = [0, 1].map(|i| self.graph.value(node.inputs[i]).dims());
        Broadcast::Shapes { a: HWC.map(|axis| a[axis]), b: HWC.map(|axis| b[axis]) }
    }

    /// One element a channel meets the last axis of the tensor that is read, which may hold the same
    /// memory with other axes: then the shapes are stated.
    pub(super) fn widen_broadcast(&self, node: &Node, op: &mut IntOp, inputs: &[TensorId]) {
        let (IntOp::Add { broadcast, .. }
        | IntOp::Mul { broadcast, .. }
        | IntOp::Binary { broadcast, .. }) = op
        else {
            return;
        };
        let shapes = [0, 1].map(|i| self.tensors[inputs[i].0].shape);
        if *broadcast == Broadcast::Channels && shapes[0][2] != shapes[1].iter().product::<usize>()
        {
            *broadcast = self.broadcast_of_shapes(node);
        }
    }

    pub(super) fn add_params(&self, node: &Node) -> Result<AddParams, LowerError> {
        let [a, b, out] = [node.inputs[0], node.inputs[1], node.output];
        let scale = |v| self.grid(v).scale;
        AddParams::new(scale(a), scale(b), scale(out), self.is_wide(out))
            .ok_or_else(|| no_multiplier(node))
    }

    pub(super) fn binary_function(
        &self,
        node: &Node,
        function: ops::BinaryFunction,
    ) -> Result<BinaryFunction, LowerError> {
        use ops::BinaryFunction as Function;
        let [a, b, out] = [node.inputs[0], node.inputs[1], node.output]
            .map(|value| f64::from(self.grid(value).scale));
        Ok(match function {
            Function::Sub => BinaryFunction::Sub(self.add_params(node)?),
            Function::Div => BinaryFunction::Div(self.multiplier(node, a / (b * out))?),
            Function::Minimum => BinaryFunction::Minimum,
            Function::Maximum => BinaryFunction::Maximum,
            Function::Prelu => BinaryFunction::Prelu(PreluParams {
                positive: self.rounding_as_needed(node, self.multiplier(node, a / out)?),
                negative: self.rounding_as_needed(node, self.multiplier(node, a * b / out)?),
            }),
        })
    }
}
