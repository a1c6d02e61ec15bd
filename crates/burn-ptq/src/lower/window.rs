//! Lowering of pools, of padding and of interpolation.

use burn_ptq_deploy::program::IntOp;
use burn_ptq_kernels::geometry::{PoolGeometry, Window};

use super::{HWC, LowerError, Lowering};
use crate::graph::Node;
use crate::graph::ops::{self, AveragePool};

impl Lowering<'_> {
    pub(super) fn pool_geometry(&self, node: &Node, pool: &ops::Window) -> PoolGeometry {
        let [channels, height, width] = self.graph.value(node.inputs[0]).dims();
        let [_, out_h, out_w] = self.graph.value(node.output).dims();
        let (input, output) = ([height, width], [out_h, out_w]);
        PoolGeometry { input, output, channels, window: window(pool) }
    }

    pub(super) fn average_pool(&mut self, node: &Node, op: &AveragePool) -> Result<(), LowerError> {
        let taps = op.window.kernel.iter().product::<usize>();
        let largest = if self.is_wide(node.output) { 1 << 15 } else { 1 << 8 };
        if taps > i32::MAX as usize / (largest + 1) {
            let problem = format!(
                "the sum of {taps} elements of up to {largest} does not fit 32 bits: average in two \
                 steps, or give its activations fewer bits"
            );
            return Err(LowerError::Unsupported { node: node.name.clone(), problem });
        }
        let mut geometry = self.pool_geometry(node, &op.window);
        let clamp = self.clamp(node);
        let end = [0, 1].map(|i| op.window.end[i] - op.ceil_extra[i]);
        if !op.count_include_pad || (op.window.begin == [0; 2] && end == [0; 2]) {
            self.elementwise(node, IntOp::AveragePool { geometry, clamp });
            return Ok(());
        }
        // Padding that counts is real zeros: write them, then average without padding.
        let begin = op.window.begin;
        let dims = self.graph.value(node.inputs[0]).dims();
        let pad =
            ops::Pad { before: [0, begin[0], begin[1]], after: [0, end[0], end[1]], value: 0.0 };
        let padded = [0, 1, 2].map(|i| dims[i] + pad.before[i] + pad.after[i]);
        let input = self.hwc(node.inputs[0]);
        let between = self.tensor(node.inputs[0], padded, HWC);
        let zero = self.grid(node.inputs[0]).zero_point;
        self.push(
            &format!("{}.pad", node.name),
            int_pad(dims, &pad, zero),
            vec![input],
            between.tensor,
        );
        geometry.input = [padded[1], padded[2]];
        geometry.window.pad = [0; 2];
        let output = self.output(node);
        self.push(&node.name, IntOp::AveragePool { geometry, clamp }, vec![between.tensor], output);
        Ok(())
    }

    pub(super) fn resize_linear(&mut self, node: &Node, op: &ops::ResizeLinear) {
        let dims = self.graph.value(node.inputs[0]).dims();
        let [rows, columns] = op.axes.each_ref().map(|axis| axis.fixed.clone());
        let input = HWC.map(|axis| dims[axis]);
        self.elementwise(node, IntOp::ResizeLinear { input, rows, columns });
    }

    pub(super) fn pad(&mut self, node: &Node, op: &ops::Pad, value: i32) {
        let dims = self.graph.value(node.inputs[0]).dims();
        self.elementwise(node, int_pad(dims, op, value));
    }
}

pub(super) fn window(window: &ops::Window) -> Window {
    let ops::Window { kernel, stride, dilation, begin, .. } = *window;
    Window { kernel, stride, dilation, pad: begin }
}

pub(super) fn int_pad(dims: [usize; 3], pad: &ops::Pad, value: i32) -> IntOp {
    let [input, before, after] = [dims, pad.before, pad.after].map(|axes| HWC.map(|a| axes[a]));
    IntOp::Pad { input, before, after, value }
}
