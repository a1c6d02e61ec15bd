//! Costs side by side.

use burn_ptq_deploy::export::{ExportError, target};
use serde::Serialize;

use super::CompareError;
use super::subject::{Network, Subject};
use crate::costs::{Cost, float_bytes, predict};
use crate::error::Error;
use crate::report::ExportedSize;
use burn_ptq_deploy::size::size_report;

/// A cost of each model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedCost {
    /// What is counted. Of the model: `exported_flash_bytes` and `exported_ram_bytes` (constants and arena of
    /// an export for any machine), `flash_bytes` and `ram_bytes` (the same of the model as its file holds it;
    /// of a float network the bytes of its parameters), `macs`. Predicted on a target: `flash_bytes`,
    /// `code_bytes`, `ram_bytes`, `arena_bytes` and `instructions`, as `burn-ptq inspect --target` has them.
    pub what: &'static str,
    /// The target; absent for what does not depend on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<&'static str>,
    /// What each model costs; `None` where that is not known.
    pub values: Vec<Option<u64>>,
    /// How much more than the first each costs, in percent of the first.
    pub percent: Vec<Option<f64>>,
}

impl ComparedCost {
    pub(super) fn new(
        what: &'static str,
        target: Option<&'static str>,
        values: Vec<Option<u64>>,
    ) -> Self {
        let first = values.first().copied().flatten();
        let change = |value: &Option<u64>| match (first?, (*value)?) {
            (0, 0) => Some(0.0),
            (0, _) => None,
            (first, value) => Some(100.0 * (value as f64 / first as f64 - 1.0)),
        };
        let percent = values.iter().map(change).collect();
        Self { what, target, values, percent }
    }
}

/// What a model costs on any machine.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    exported_flash: Option<usize>,
    exported_ram: Option<usize>,
    flash: Option<usize>,
    ram: Option<usize>,
    macs: Option<usize>,
}

impl Size {
    fn of(subject: &Subject) -> Result<Self, ExportError> {
        Ok(match (&subject.network, &subject.report) {
            (Some(Network::Program(program)), _) => {
                let exported = ExportedSize::of(program)?;
                let size = size_report(program);
                Self {
                    exported_flash: Some(exported.flash_bytes),
                    exported_ram: Some(exported.ram_bytes),
                    flash: Some(size.flash_bytes),
                    ram: Some(size.ram_bytes),
                    macs: Some(size.macs),
                }
            }
            (Some(Network::Float { graph, .. }), _) => Self {
                flash: Some(graph.nodes.iter().map(float_bytes).sum()),
                macs: Some(graph.macs()),
                ..Self::default()
            },
            (None, Some(report)) => Self {
                exported_flash: report.exported.flash_bytes,
                exported_ram: report.exported.ram_bytes,
                flash: report.flash_bytes,
                ram: report.ram_bytes,
                macs: report.macs,
            },
            (None, None) => Self::default(),
        })
    }
}

/// The costs of all models, on any machine and on `targets`.
pub(super) fn compare_costs(
    subjects: &[Subject],
    targets: &[String],
) -> Result<Vec<ComparedCost>, CompareError> {
    if !targets.is_empty() && subjects.iter().all(|subject| subject.program().is_none()) {
        return Err(CompareError::NoProgram);
    }
    let sizes =
        subjects.iter().map(Size::of).collect::<Result<Vec<_>, _>>().map_err(Error::from)?;
    let of = |what: &'static str, field: fn(&Size) -> Option<usize>| {
        let values = sizes.iter().map(|size| field(size).map(|count| count as u64)).collect();
        ComparedCost::new(what, None, values)
    };
    let mut costs = vec![
        of("exported_flash_bytes", |size| size.exported_flash),
        of("exported_ram_bytes", |size| size.exported_ram),
        of("flash_bytes", |size| size.flash),
        of("ram_bytes", |size| size.ram),
        of("macs", |size| size.macs),
    ];
    for target in targets {
        costs.extend(on_target(subjects, target)?);
    }
    costs.retain(|cost| cost.values.iter().any(Option::is_some));
    Ok(costs)
}

/// The costs of all models on the target called `name`.
fn on_target(subjects: &[Subject], name: &str) -> Result<Vec<ComparedCost>, CompareError> {
    let target = target(name).map_err(Error::from)?;
    let mut predicted = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let cost = subject.program().map(|program| predict(program, &[target]));
        predicted
            .push(cost.transpose()?.and_then(|mut all| all.pop()).map(|predicted| predicted.cost));
    }
    let target = predicted.iter().flatten().next().map(|cost| cost.target);
    let of = |what: &'static str, field: fn(&Cost) -> Option<u64>| {
        let values = predicted.iter().map(|cost| field(cost.as_ref()?)).collect();
        ComparedCost::new(what, target, values)
    };
    Ok(vec![
        of("flash_bytes", |cost| Some(cost.flash_bytes as u64)),
        of("code_bytes", |cost| Some(cost.code_bytes as u64)),
        of("ram_bytes", |cost| Some(cost.ram_bytes as u64)),
        of("arena_bytes", |cost| Some(cost.arena_bytes as u64)),
        of("instructions", |cost| cost.instructions),
    ])
}
