//! Lowering of products of two values: their elements are read where they are, in any order of axes.

use burn_ptq_deploy::program::{Broadcast, IntOp, TensorId};
use burn_ptq_kernels::geometry::MatMulGeometry;
use burn_ptq_kernels::multiplier::Multiplier;

use super::{ENDING_IN, HWC, LowerError, Lowering, SOURCE, axes3, no_multiplier};
use crate::graph::ops::MatMul;
use crate::graph::{Node, Op, ValueId};

/// Nodes behind a product that are asked for the order they want.
pub(super) const LOOKAHEAD: usize = 6;

impl Lowering<'_> {
    pub(super) fn matmul(&mut self, node: &Node, op: &MatMul) -> Result<(), LowerError> {
        let [a, b] = [node.inputs[0], node.inputs[1]];
        self.check_sums(node, op)?;
        let shapes = [a, b].map(|v| self.graph.value(v).shape.clone());
        let extents = op.extents(&shapes[0], &shapes[1]);
        let extents = extents.expect("a verified graph multiplies what fits");
        let pairs = extents.batches[0].max(extents.batches[1]);
        // The axes of matrices among a value's three: a single matrix has none in front.
        let matrix = |steps: [usize; 3], matrices: usize| match op.axes {
            2 => [0, steps[0], steps[1]],
            _ if matrices < pairs => [0, steps[1], steps[2]],
            _ => steps,
        };
        let views = [a, b].map(|v| self.evenly_stored(v));
        let steps = [0, 1].map(|i| matrix(views[i].1, extents.batches[i]));
        let order = self.wanted_order(node.output, LOOKAHEAD).unwrap_or(SOURCE);
        let dims = self.graph.value(node.output).dims();
        let output = self.tensor(node.output, dims, order);
        let geometry = MatMulGeometry {
            batch: pairs,
            rows: extents.rows,
            columns: extents.columns,
            inner: op.inner,
            a: steps[0],
            b: steps[1],
            output: matrix(output.even_steps().unwrap_or_default(), pairs),
        };
        let scales = [a, b, node.output].map(|v| self.grid(v).scale);
        let multiplier = match op.factor {
            1.0 => Multiplier::of_product(scales[0], scales[1], scales[2]),
            factor => {
                let [a, b, output] = scales.map(f64::from);
                Multiplier::from_real(a * b * f64::from(factor) / output)
            }
        };
        let multiplier = multiplier.ok_or_else(|| no_multiplier(node))?;
        let multiplier = self.rounding_as_needed(node, multiplier);
        let int = IntOp::BatchMatMul { geometry, multiplier, clamp: self.clamp(node) };
        let inputs = views.iter().map(|(tensor, _)| *tensor).collect();
        self.push(&node.name, int, inputs, output.tensor);
        self.views[node.output.0] = Some(output);
        Ok(())
    }

    /// A tensor that holds `value` at even steps, and those: where it is, or else a copy.
    fn evenly_stored(&mut self, value: ValueId) -> (TensorId, [usize; 3]) {
        if let Some(steps) = self.view(value).even_steps() {
            return (self.view(value).tensor, steps);
        }
        let copy = self.arranged(value, SOURCE);
        (copy.tensor, copy.even_steps().unwrap_or_default())
    }

    /// Sums of products of 8-bit elements must fit 32 bits whatever the elements are.
    fn check_sums(&self, node: &Node, op: &MatMul) -> Result<(), LowerError> {
        let reach = |v: ValueId| 128 + i64::from(self.grid(v).zero_point.abs());
        let largest = (op.inner as i64)
            .saturating_mul(reach(node.inputs[0]))
            .saturating_mul(reach(node.inputs[1]));
        if self.is_wide(node.output) || largest <= i64::from(i32::MAX) {
            return Ok(());
        }
        let problem = format!(
            "its sums of {} products could reach {largest}, and 32 bits hold {}: give it 16-bit \
             activations, or split the product",
            op.inner,
            i32::MAX
        );
        Err(LowerError::Unsupported { node: node.name.clone(), problem })
    }

    /// The order in which the nodes that read `value` want it, if one of them does; `depth` bounds how
    /// far it looks.
    pub(super) fn wanted_order(&self, value: ValueId, depth: usize) -> Option<[usize; 3]> {
        let consumers = self.graph.consumers(value);
        let wanted = |index: usize| {
            let node = &self.graph.nodes[index];
            let behind = || self.wanted_order(node.output, depth.checked_sub(1)?);
            if let Op::Permute(op) = &node.op {
                if op.axes.len() > 3 {
                    return None;
                }
                let axes = axes3(&op.axes);
                return Some(behind()?.map(|axis| axes[axis]));
            }
            if let Op::Linear(op) = &node.op {
                return Some(ENDING_IN[op.axis]);
            }
            if let Some(axis) = node.op.operator().class_axis() {
                return Some(ENDING_IN[axis]);
            }
            if matches!(node.op, Op::Reshape(_) | Op::Step(_)) {
                return Some(SOURCE);
            }
            if self.runs_in_any_order(node) || matches!(node.op, Op::Normalize(_)) {
                return behind();
            }
            // Products read any order.
            (!matches!(node.op, Op::MatMul(_))).then_some(HWC)
        };
        consumers.into_iter().find_map(wanted)
    }

    /// Whether elements meet those at the same place alone.
    fn runs_in_any_order(&self, node: &Node) -> bool {
        let unary = matches!(node.op, Op::Unary(_) | Op::Clip(_) | Op::Requantize(_));
        let binary = matches!(node.op, Op::Add(_) | Op::Mul(_) | Op::Binary(_));
        unary || (binary && self.broadcast(node) == Broadcast::None)
    }

    /// Pushes an operation whose elements meet those at the same place alone, in the order of its
    /// first input, or else the usual one.
    pub(super) fn pointwise(&mut self, node: &Node, op: IntOp) {
        // A constant has no order yet: it takes that of the other input.
        let view = node.inputs.iter().find_map(|input| self.views[input.0].clone());
        let order = match view {
            Some(view)
                if node.inputs.len() == 1 && view.order.is_none() && view.elements().is_some() =>
            {
                // Whatever its elements are, and wherever they were moved to.
                let shape = self.tensors[view.tensor.0].shape;
                let tensor = self.tensor_of_shape(node.output, shape);
                self.push(&node.name, op, vec![view.tensor], tensor);
                self.views[node.output.0] = Some(view.on(tensor));
                return;
            }
            Some(view) if !view.is_in(HWC) && self.runs_in_any_order(node) => view.order,
            _ => None,
        };
        let order = order.unwrap_or(HWC);
        self.along(node, order, op);
    }
}
