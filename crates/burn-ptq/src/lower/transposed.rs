//! Lowering of transposed convolutions: a [`Dilate`] and the convolution that reads it.

use burn_ptq_deploy::program::{IntOp, Weighted, Weights};
use burn_ptq_kernels::geometry::{TransposeConvGeometry, Window};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Clamp;

use super::window::int_pad;
use super::{HWC, LowerError, Lowering, no_multiplier};
use crate::graph::ops::{self, Conv2d, Dilate};
use crate::graph::{Node, Op};
use crate::quant::QuantizedWeights;

impl Lowering<'_> {
    /// The padding of the transposed convolution that `dilate` and `conv` are together, if they are
    /// one: that of the window over the output.
    fn transposed_padding(dilate: &Dilate, conv: &Conv2d) -> Option<[usize; 2]> {
        let window = &conv.window;
        let [height, width] = [0, 1].map(|axis| {
            let reach = (window.kernel[axis] - 1) * window.dilation[axis];
            usize::try_from(reach as isize - dilate.begin[axis]).ok()
        });
        Some([height?, width?])
    }

    /// The dilation that the convolution `node` computes too, with its node and the padding.
    fn joined<'n>(&'n self, node: &'n Node) -> Option<(&'n Node, &'n Dilate, [usize; 2])> {
        let (before, conv) = self.graph.dilation_of(node)?;
        let Op::Dilate(dilate) = &before.op else { return None };
        Some((before, dilate, Self::transposed_padding(dilate, conv)?))
    }

    /// Lowers a convolution together with the dilation that it reads; `false` if there is none.
    pub(super) fn transpose_conv2d(
        &mut self,
        node: &Node,
        op: &Conv2d,
        quantized: &QuantizedWeights,
    ) -> Result<bool, LowerError> {
        let Some((before, dilate, pad)) = self.joined(node) else { return Ok(false) };
        let (value, stride) = (before.inputs[0], dilate.stride);
        let [channels, height, width] = self.graph.value(value).dims();
        let [out, out_h, out_w] = self.graph.value(node.output).dims();
        let [_, per_group, kernel_h, kernel_w] = [0, 1, 2, 3].map(|i| op.weight.shape[i]);
        let geometry = TransposeConvGeometry {
            input: [height, width],
            output: [out_h, out_w],
            in_channels: channels,
            out_channels: out,
            groups: op.groups,
            window: Window { kernel: op.window.kernel, stride, dilation: op.window.dilation, pad },
        };
        let taps = kernel_h * kernel_w;
        // [out, in, kernel_h, kernel_w], turned around -> [out, kernel_h, kernel_w, in]
        let source = |i: usize| {
            let (o, rest) = (i / (taps * per_group), i % (taps * per_group));
            (o * per_group + rest % per_group) * taps + (taps - 1 - rest / per_group)
        };
        let shape = vec![out, kernel_h, kernel_w, per_group];
        let weighted = self.weighted(node, quantized, shape, source)?;
        let input = self.hwc(value);
        let output = self.output(node);
        self.push(&node.name, IntOp::TransposeConv2d { geometry, weighted }, vec![input], output);
        Ok(true)
    }

    /// Lowers a dilation, unless the convolution that reads it computes it too. By itself it is a
    /// transposed convolution of every channel with a kernel of one weight, which changes no element.
    pub(super) fn dilate(&mut self, node: &Node, op: &Dilate) -> Result<(), LowerError> {
        let reader = self.graph.consumers(node.output);
        if let [reader] = reader[..]
            && self.joined(&self.graph.nodes[reader]).is_some()
        {
            return Ok(());
        }
        let dims = self.graph.value(node.inputs[0]).dims();
        let [channels, height, width] = dims;
        let [_, out_h, out_w] = self.graph.value(node.output).dims();
        // A kernel starts no later than its input: what stands before the first element is padding.
        let before = op.begin.map(|begin| begin.max(0).unsigned_abs());
        let spread = [channels, out_h - before[0], out_w - before[1]];
        let geometry = TransposeConvGeometry {
            input: [height, width],
            output: [spread[1], spread[2]],
            in_channels: channels,
            out_channels: channels,
            groups: channels,
            window: Window {
                kernel: [1; 2],
                stride: op.stride,
                dilation: [1; 2],
                pad: op.begin.map(|begin| begin.min(0).unsigned_abs()),
            },
        };
        let grid = self.grid(node.output);
        let one = Multiplier::of_scales(1.0, 1.0, 1.0).ok_or_else(|| no_multiplier(node))?;
        let weighted = Weighted {
            weights: Weights {
                shape: vec![channels, 1, 1, 1],
                bits: 8,
                storage: 8,
                data: vec![1; channels],
                scales: vec![1.0],
            },
            bias: vec![0; channels],
            multipliers: vec![one],
            clamp: Clamp { min: grid.min, max: grid.max },
        };
        let int = IntOp::TransposeConv2d { geometry, weighted };
        if before == [0; 2] {
            self.elementwise(node, int);
            return Ok(());
        }
        let input = self.hwc(node.inputs[0]);
        let between = self.tensor(node.inputs[0], spread, HWC).tensor;
        self.push(&format!("{}.spread", node.name), int, vec![input], between);
        let pad = ops::Pad { before: [0, before[0], before[1]], after: [0; 3], value: 0.0 };
        let output = self.output(node);
        let int = int_pad(spread, &pad, grid.zero_point);
        self.push(&node.name, int, vec![between], output);
        Ok(())
    }
}
