//! Calls of operations with weights.

use super::*;
use crate::place::tiles::{channels, shifts_to_the_left};

impl Printer<'_> {
    /// The constants of a layer in the form of the kernel that reads them.
    pub(super) fn layer(&self, name: &str, c_type: &str, weighted: &Weighted) -> Layer {
        let kernels = self.kernels();
        let bits = packed_bits(&self.node.op, weighted, kernels);
        let kernel = |set: &str| format!("{}_w{bits}", c_type.replacen("bptq_", set, 1));
        let (weights, kernel) = match kernels {
            Kernels::Portable => {
                (self.array("uint8_t", name, &weighted.weights.data), c_type.to_owned())
            }
            Kernels::Scalar => {
                let words = pack_scalar(self.program, self.node, self.by_rows);
                let words = words.into_iter().map(|w| format!("0x{w:08x}"));
                (self.array("uint32_t", name, words), kernel("bptq_scalar_"))
            }
            Kernels::Dsp => {
                let words = pack_dsp(&self.node.op).into_iter().map(|w| format!("0x{w:08x}"));
                (self.array("uint32_t", name, words), kernel("bptq_dsp_"))
            }
            Kernels::Tiles => {
                let words = pack_tiles(self.program, self.node, self.by_rows);
                let words = words.into_iter().map(|w| format!("0x{w:08x}"));
                let left = channels(self.program, self.node);
                let left = left.is_some_and(|channels| shifts_to_the_left(&channels));
                let kernel = kernel("bptq_tile_") + if left { "_left" } else { "" };
                (self.array("uint32_t", name, words), kernel)
            }
            Kernels::Mve => {
                (self.array("uint8_t", name, pack_mve(&self.node.op)), kernel("bptq_mve_"))
            }
            Kernels::Quads => {
                let words = pack_quads(self.program, self.node);
                let words = words.into_iter().map(|w| format!("0x{w:08x}"));
                (self.array("uint32_t", name, words), kernel("bptq_quad_"))
            }
        };
        let zero_point = self.input(0).grid.zero_point;
        let mut layer = Layer {
            weights,
            bits,
            kernel,
            biases: biases(self.node, weighted, kernels, zero_point),
            multipliers: weighted.multipliers.clone(),
        };
        if kernels == Kernels::Mve {
            let channels = weighted.bias.len();
            if let [only] = weighted.multipliers[..] {
                layer.multipliers = vec![only; channels];
            }
            let none = Multiplier { quantized: 0, exponent: 0 };
            layer.biases.resize(channels + MVE_PADDING, 0);
            layer.multipliers.resize(channels + MVE_PADDING, none);
        }
        layer
    }

    pub(super) fn weighted(&self, c_type: &str, fields: &[String], weighted: &Weighted) -> Printed {
        let (weights, bias) = (self.name("weights"), self.name("bias"));
        let multipliers = self.name("multipliers");
        let layer = self.layer(&weights, c_type, weighted);
        // Their constants stand with their weights.
        let joined = matches!(self.kernels(), Kernels::Scalar | Kernels::Tiles | Kernels::Quads);
        let own = |name: &str| if joined { "NULL".to_owned() } else { name.to_owned() };
        let nested = [
            field("weights", &weights),
            field("storage", layer.bits),
            field("bias", own(&bias)),
            field("multipliers", own(&multipliers)),
            field("per_channel", u8::from(layer.multipliers.len() > 1)),
            field("input_zero_point", self.input(0).grid.zero_point),
            field("output_zero_point", self.output().grid.zero_point),
            clamp_field(weighted.clamp),
        ];
        let fields = [fields, &[group("weighted", &nested)]].concat();
        let mut constants = vec![layer.weights];
        if !joined {
            let factors = layer.multipliers.into_iter().map(multiplier);
            constants.push(self.array("int32_t", &bias, layer.biases.into_iter().map(int32)));
            constants.push(self.array("bptq_multiplier", &multipliers, factors));
        }
        constants.push(self.parameters(c_type, &fields));
        let scratch = self.program.scratch(self.index);
        let scratch = match scratch.bytes {
            0 => "NULL".to_owned(),
            _ => format!("arena->s8 + {}", scratch.offset),
        };
        let arguments = [self.op(), self.source(0), self.target(), scratch];
        // Outputs of 16 bits of 8-bit inputs are those of kernels that are named after both.
        let kernel = match self.input(0).dtype == self.output().dtype {
            true => layer.kernel,
            false => format!("{}_{}", layer.kernel, suffix(self.input(0).dtype)),
        };
        Printed { constants: constants.concat(), calls: self.call(&kernel, &arguments) }
    }
}
