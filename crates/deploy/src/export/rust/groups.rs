//! Calls of products and normalizations.

use burn_ptq_kernels::geometry::{MatMulGeometry, NormalizeGeometry};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{Clamp, NormalizeParams};

use super::literals::{array, field, full_clamp, geometry, multiplier};
use super::source::{Printed, Printer};
use crate::op::NormalizeAffine;

impl Printer<'_> {
    pub(super) fn batch_matmul(
        &self,
        g: &MatMulGeometry,
        factor: Multiplier,
        clamp: Clamp,
    ) -> Printed {
        let fields = [
            field("batch", g.batch),
            field("rows", g.rows),
            field("columns", g.columns),
            field("inner", g.inner),
            field("a", format!("{:?}", g.a)),
            field("b", format!("{:?}", g.b)),
            field("output", format!("{:?}", g.output)),
        ];
        let own = format!(
            "{}, {}, {}, {}",
            self.geometry(),
            multiplier(factor),
            self.zero_points(),
            full_clamp(clamp)
        );
        self.binary("batch_matmul", &own, geometry("MatMulGeometry", &fields))
    }

    pub(super) fn normalize(
        &self,
        g: &NormalizeGeometry,
        params: &NormalizeParams,
        affine: Option<&NormalizeAffine>,
        clamp: Clamp,
    ) -> Printed {
        let fields = [
            field("groups", g.groups),
            field("outer", g.outer),
            field("inner", g.inner),
            field("steps", format!("{:?}", g.steps)),
            field("parameters", format!("{:?}", g.parameters)),
        ];
        let mut constants = geometry("NormalizeGeometry", &fields);
        let NormalizeParams { center, fraction, epsilon, multiplier: factor } = params;
        constants.push_str(&format!(
            "pub static PARAMS: burn_ptq_kernels::params::NormalizeParams =\n    \
             burn_ptq_kernels::params::NormalizeParams {{\n        center: {center},\n        \
             fraction: {fraction},\n        epsilon: {epsilon},\n        multiplier: {},\n    }};\n",
            multiplier(*factor)
        ));
        let module = format!("nodes::{}", self.id);
        let mut given = "None".to_owned();
        if let Some(affine) = affine {
            constants.push_str(&array("SCALES", "i16", &affine.scales));
            constants.push_str(&array("SHIFTS", "i32", &affine.shifts));
            given = format!(
                "Some(burn_ptq_kernels::reference::ScalesAndShifts {{ scales: &{module}::SCALES, \
                 shifts: &{module}::SHIFTS, fraction: {} }})",
                affine.fraction
            );
        }
        let own = format!(
            "{}, &{module}::PARAMS, {given}, {}, {}",
            self.geometry(),
            self.zero_points(),
            full_clamp(clamp)
        );
        self.unary("normalize", &own, constants)
    }
}
