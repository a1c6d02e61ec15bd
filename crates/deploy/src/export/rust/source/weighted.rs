//! Calls of operations with weights.

use super::*;

impl Printer<'_> {
    /// A weighted operation on the kernels that it runs on.
    pub(super) fn layer(
        &self,
        function: &str,
        shape: Option<(&str, &[String])>,
        own: &str,
        weighted: &Weighted,
    ) -> Printed {
        let kernels = chosen(self.program, self.node, self.program.kernels());
        let storage = packed_bits(&self.node.op, weighted, kernels);
        let (set, weights) = match kernels {
            Kernels::Portable => {
                let bytes = array_literal("u8", &weighted.weights.data);
                (
                    "embedded",
                    format!(
                        "pub const WEIGHTS: burn_ptq_kernels::packing::PackedWeights =\n    \
                     burn_ptq_kernels::packing::PackedWeights {{ bytes: &BYTES, storage: {storage} }};\n\
                     static BYTES: {bytes}"
                    ),
                )
            }
            // `Exporter::kernels` names no others.
            Kernels::Dsp | Kernels::Scalar | Kernels::Tiles | Kernels::Mve | Kernels::Quads => {
                let words = pack_dsp(&self.node.op).into_iter().map(|word| format!("0x{word:08x}"));
                let words = array_literal("u32", &words.collect::<Vec<_>>());
                (
                    "dsp",
                    format!(
                        "pub const WEIGHTS: burn_ptq_kernels::dsp::PackedWords =\n    \
                     burn_ptq_kernels::dsp::PackedWords {{ words: &WORDS, storage: {storage} }};\n\
                     static WORDS: {words}"
                    ),
                )
            }
        };
        let zero_point = self.input(0).grid.zero_point;
        let biases = biases(self.node, weighted, kernels, zero_point);
        let multipliers: Vec<String> =
            weighted.multipliers.iter().map(|&m| short_multiplier(m)).collect();
        let constants = format!(
            "{}{weights}static BIAS: {}static MULTIPLIERS: {}\
             const fn factor(quantized: i32, exponent: i32) -> burn_ptq_kernels::multiplier::Multiplier {{\n    \
             burn_ptq_kernels::multiplier::Multiplier {{ quantized, exponent }}\n}}\n\
             pub static REQUANTIZE: burn_ptq_kernels::params::Requantize =\n    \
             burn_ptq_kernels::params::Requantize {{\n        \
             input_zero_point: {zero_point},\n        output_zero_point: {},\n        \
             bias: &BIAS,\n        multipliers: &MULTIPLIERS,\n        clamp: {},\n    }};\n",
            shape.map_or(String::new(), |(name, fields)| geometry(name, fields)),
            array_literal("i32", &biases),
            array_literal("burn_ptq_kernels::multiplier::Multiplier", &multipliers),
            self.output().grid.zero_point,
            full_clamp(weighted.clamp),
        );
        let mut parts = vec![("x", Place::Input(0)), ("y", Place::Output)];
        let scratch = if self.program.scratch(self.index).bytes == 0 {
            "&mut []"
        } else {
            parts.push(("scratch", Place::Scratch));
            "scratch"
        };
        let module = format!("nodes::{}", self.id);
        let weights = format!("{module}::WEIGHTS");
        let requantize = format!("&{module}::REQUANTIZE");
        let (x, y) = (elements("x", self.input(0)), elements("y", self.output()));
        let arguments = [own, &x, &weights, &requantize, scratch, &y];
        let calls = self.parts(&parts) + &call(&format!("{set}::{function}"), &arguments);
        Printed { constants, calls }
    }
}
