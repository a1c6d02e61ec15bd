//! Calls of products, reductions, normalizations and selections.

use burn_ptq_kernels::geometry::{MatMulGeometry, NormalizeGeometry};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{Clamp, NormalizeParams, Reduction, Selection};

use super::data::{int32, multiplier};
use super::source::{Printed, Printer, clamp_field, extents, field, suffix};
use crate::op::NormalizeAffine;

impl Printer<'_> {
    pub(super) fn batch_matmul(
        &self,
        g: &MatMulGeometry,
        factor: Multiplier,
        clamp: Clamp,
    ) -> Printed {
        let (a, b, output) = (self.input(0), self.input(1), self.output());
        let fields = [
            field("batch", g.batch),
            field("rows", g.rows),
            field("columns", g.columns),
            field("inner", g.inner),
            field("a_steps", extents(g.a)),
            field("b_steps", extents(g.b)),
            field("output_steps", extents(g.output)),
            field("a_zero_point", a.grid.zero_point),
            field("b_zero_point", b.grid.zero_point),
            field("output_zero_point", output.grid.zero_point),
            field("multiplier", multiplier(factor)),
            clamp_field(clamp),
        ];
        let arguments = [self.op(), self.source(0), self.source(1), self.target()];
        Printed {
            constants: self.parameters("bptq_batch_matmul", &fields),
            calls: self.call("bptq_batch_matmul", &arguments),
        }
    }

    pub(super) fn reduce(
        &self,
        reduction: Reduction,
        [outer, reduced, inner]: [usize; 3],
        factor: Multiplier,
        clamp: Clamp,
    ) -> Printed {
        let fields = [
            field("reduction", reduction_name(reduction)),
            field("outer", outer),
            field("reduced", reduced),
            field("inner", inner),
            field("input_zero_point", self.input(0).grid.zero_point),
            field("output_zero_point", self.output().grid.zero_point),
            field("multiplier", multiplier(factor)),
            clamp_field(clamp),
        ];
        self.plain("bptq_reduce", "bptq_reduce", &fields)
    }

    pub(super) fn top_k(&self, selection: Selection, [rows, depth, k]: [usize; 3]) -> Printed {
        let fields = [
            field("rows", rows),
            field("depth", depth),
            field("k", k),
            field("smallest", u8::from(selection.smallest)),
            field("last", u8::from(selection.last)),
        ];
        let function = match selection.indices {
            true => format!("bptq_top_k_{}", suffix(self.input(0).dtype)),
            false => "bptq_top_k".to_owned(),
        };
        self.plain("bptq_top_k", &function, &fields)
    }

    pub(super) fn normalize(
        &self,
        g: &NormalizeGeometry,
        params: &NormalizeParams,
        affine: Option<&NormalizeAffine>,
        clamp: Clamp,
    ) -> Printed {
        let names = affine.map(|_| [self.name("scales"), self.name("shifts")]);
        let [scales, shifts] = names.unwrap_or_else(|| [(); 2].map(|()| "NULL".into()));
        let fields = [
            field("groups", g.groups),
            field("outer", g.outer),
            field("inner", g.inner),
            field("steps", extents(g.steps)),
            field("parameter_steps", extents(g.parameters)),
            field("center", u8::from(params.center)),
            field("fraction", params.fraction),
            field("epsilon", format!("{{{}u, {}u}}", params.epsilon as u32, params.epsilon >> 32)),
            field("multiplier", multiplier(params.multiplier)),
            field("scales", &scales),
            field("shifts", &shifts),
            field("scale_fraction", affine.map_or(0, |a| a.fraction)),
            field("input_zero_point", self.input(0).grid.zero_point),
            field("output_zero_point", self.output().grid.zero_point),
            clamp_field(clamp),
        ];
        let mut printed = self.plain("bptq_normalize", "bptq_normalize", &fields);
        if let Some(affine) = affine {
            let shifts = self.array("int32_t", &shifts, affine.shifts.iter().map(|&s| int32(s)));
            let arrays = self.array("int16_t", &scales, &affine.scales) + &shifts;
            printed.constants.insert_str(0, &arrays);
        }
        printed
    }
}

fn reduction_name(reduction: Reduction) -> &'static str {
    match reduction {
        Reduction::Max => "BPTQ_MAX",
        Reduction::Min => "BPTQ_MIN",
        Reduction::Sum => "BPTQ_SUM",
        Reduction::SumOfMagnitudes => "BPTQ_SUM_OF_MAGNITUDES",
        Reduction::SumOfSquares => "BPTQ_SUM_OF_SQUARES",
        Reduction::RootOfSquares => "BPTQ_ROOT_OF_SQUARES",
    }
}
