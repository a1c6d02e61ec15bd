//! Lowering of layers with weights.

use burn_ptq_deploy::program::{IntOp, Weighted, Weights};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};

use super::window::window;
use super::{ENDING_IN, LowerError, Lowering, no_multiplier};
use crate::graph::Node;
use crate::graph::ops::{self, Conv2d, Linear};
use crate::quant::QuantizedWeights;

impl Lowering<'_> {
    /// Weights of `shape` in the program's order, of which place `i` holds float weight `source(i)`.
    pub(super) fn weighted(
        &self,
        node: &Node,
        quantized: &QuantizedWeights,
        shape: Vec<usize>,
        source: impl Fn(usize) -> usize,
    ) -> Result<Weighted, LowerError> {
        let values: Vec<i8> =
            (0..quantized.values.len()).map(|i| quantized.values[source(i)]).collect();
        self.check_accumulators(node, quantized)?;
        let storage = storage_bits(quantized.bits);
        let mut data = vec![0; packed_len(values.len(), storage)];
        pack(&values, storage, &mut data);
        let [input, output] = [node.inputs[0], node.output].map(|v| self.grid(v).scale);
        let multiplier = |&weight: &f32| {
            let multiplier = Multiplier::of_scales(input, weight, output);
            let multiplier = multiplier.ok_or_else(|| no_multiplier(node))?;
            Ok::<_, LowerError>(self.rounding_as_needed(node, multiplier))
        };
        let multipliers =
            quantized.scales.iter().map(multiplier).collect::<Result<_, LowerError>>()?;
        let scales = quantized.scales.clone();
        let weights = Weights { shape, bits: quantized.bits, storage, data, scales };
        let bias = quantized.bias.clone();
        Ok(Weighted { weights, bias, multipliers, clamp: self.clamp(node) })
    }

    /// Sums of 8-bit inputs times weights, and the bias, must fit 32 bits whatever the inputs hold.
    fn check_accumulators(
        &self,
        node: &Node,
        quantized: &QuantizedWeights,
    ) -> Result<(), LowerError> {
        if self.is_wide(node.inputs[0]) {
            return Ok(());
        }
        let reach = 128 + i64::from(self.grid(node.inputs[0]).zero_point.abs());
        let row = quantized.values.len() / quantized.bias.len();
        let sums = quantized.values.chunks(row).zip(&quantized.bias).map(|(row, &bias)| {
            let magnitudes: i64 = row.iter().map(|&q| i64::from(q.unsigned_abs())).sum();
            i64::from(bias.unsigned_abs()) + reach * magnitudes
        });
        let largest = sums.max().unwrap_or(0);
        if largest <= i64::from(i32::MAX) {
            return Ok(());
        }
        let problem = format!(
            "its accumulators could reach {largest}, and 32 bits hold {}: give its weights fewer \
             bits, or split it into layers with fewer inputs",
            i32::MAX
        );
        Err(LowerError::Unsupported { node: node.name.clone(), problem })
    }

    pub(super) fn conv2d(
        &mut self,
        node: &Node,
        op: &Conv2d,
        quantized: &QuantizedWeights,
    ) -> Result<(), LowerError> {
        if self.transpose_conv2d(node, op, quantized)? {
            return Ok(());
        }
        let [channels, height, width] = self.graph.value(node.inputs[0]).dims();
        let [out, out_h, out_w] = self.graph.value(node.output).dims();
        let [_, per_group, kernel_h, kernel_w] = [0, 1, 2, 3].map(|i| op.weight.shape[i]);
        let window = window(&op.window);
        let (input, output) = ([height, width], [out_h, out_w]);
        for axis in 0..2 {
            let last = (output[axis] - 1) * window.stride[axis];
            if last >= input[axis] + 2 * window.pad[axis] {
                let problem = format!(
                    "a window of axis {axis} starts at {last}, far behind the {} elements of its \
                     input: export the layer with less padding at the end",
                    input[axis]
                );
                return Err(LowerError::Unsupported { node: node.name.clone(), problem });
            }
        }
        let taps = kernel_h * kernel_w;
        let int = if op.groups == channels && per_group == 1 && channels > 1 {
            let geometry =
                DepthwiseGeometry { input, output, channels, multiplier: out / channels, window };
            // [channels, 1, kernel_h, kernel_w] -> [kernel_h, kernel_w, channels]
            let source = |i: usize| (i % out) * taps + i / out;
            let weighted = self.weighted(node, quantized, vec![kernel_h, kernel_w, out], source)?;
            IntOp::DepthwiseConv2d { geometry, weighted }
        } else {
            let geometry = ConvGeometry {
                input,
                output,
                in_channels: channels,
                out_channels: out,
                groups: op.groups,
                window,
            };
            // [out, in, kernel_h, kernel_w] -> [out, kernel_h, kernel_w, in]
            let source = |i: usize| {
                let (o, rest) = (i / (taps * per_group), i % (taps * per_group));
                (o * per_group + rest % per_group) * taps + rest / per_group
            };
            let shape = vec![out, kernel_h, kernel_w, per_group];
            IntOp::Conv2d { geometry, weighted: self.weighted(node, quantized, shape, source)? }
        };
        self.elementwise(node, int);
        Ok(())
    }

    /// A channel-wise affine map that could not be folded is a depthwise 1x1 convolution.
    pub(super) fn channel_affine(
        &mut self,
        node: &Node,
        quantized: &QuantizedWeights,
    ) -> Result<(), LowerError> {
        let [channels, height, width] = self.graph.value(node.output).dims();
        let geometry = DepthwiseGeometry {
            input: [height, width],
            output: [height, width],
            channels,
            multiplier: 1,
            window: window(&ops::Window::new([1, 1])),
        };
        let weighted = self.weighted(node, quantized, vec![1, 1, channels], |i| i)?;
        self.elementwise(node, IntOp::DepthwiseConv2d { geometry, weighted });
        Ok(())
    }

    pub(super) fn linear(
        &mut self,
        node: &Node,
        op: &Linear,
        quantized: &QuantizedWeights,
    ) -> Result<(), LowerError> {
        let [out, features] = [op.weight.shape[0], op.weight.shape[1]];
        let value = node.inputs[0];
        let rows = self.graph.value(value).len() / features;
        // The contracted axis comes last in memory.
        let order = ENDING_IN[op.axis];
        // A vector may lie in any order, such as that of the map it was flattened from.
        let view = self.view(value);
        let stored = match rows {
            1 if !view.is_in(order) => view.elements(),
            _ => None,
        };
        let input = match stored {
            Some(_) => view.tensor,
            None => self.arranged(value, order).tensor,
        };
        let source = |i: usize| match &stored {
            Some(stored) => i / features * features + stored[i % features],
            None => i,
        };
        let weighted = self.weighted(node, quantized, vec![out, features], source)?;
        let dims = self.graph.value(node.output).dims();
        let output = self.tensor(node.output, dims, order);
        let op = IntOp::FullyConnected { rows, in_features: features, out_features: out, weighted };
        self.push(&node.name, op, vec![input], output.tensor);
        self.views[node.output.0] = Some(output);
        Ok(())
    }
}
