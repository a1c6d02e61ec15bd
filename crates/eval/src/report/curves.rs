//! What is drawn of a metric: ROC curves, and outputs beside their targets.

use serde::Serialize;

use crate::metric::{Judgement, Picture};

/// Groups whose ROC curves a report has at most.
const MOST_GROUPS: usize = 16;

/// The ROC curves of a group of samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RocReport {
    /// The group; absent if all samples are one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<i64>,
    /// The area under the float network's curve.
    pub float_auc: f64,
    /// The area under the integer program's curve.
    pub integer_auc: f64,
    /// The corners of the float network's curve: false and true positive rates, at most 200.
    pub float: Vec<(f64, f64)>,
    /// Those of the integer program's.
    pub integer: Vec<(f64, f64)>,
}

/// Outputs beside their targets: pairs of both, at most 500, evenly spread over samples and outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScatterReport {
    /// Targets and outputs of the float network.
    pub float: Vec<(f64, f64)>,
    /// Targets and outputs of the integer program.
    pub integer: Vec<(f64, f64)>,
}

/// What can be drawn of two judgements of the same samples.
pub(super) fn drawn(
    float: &Judgement,
    integer: &Judgement,
) -> (Vec<RocReport>, Option<ScatterReport>) {
    match (&float.picture, &integer.picture) {
        (Some(Picture::Roc(float)), Some(Picture::Roc(integer))) => {
            let pairs = float.iter().zip(integer).take(MOST_GROUPS);
            let curves = pairs.map(|(float, integer)| RocReport {
                group: float.group,
                float_auc: float.area,
                integer_auc: integer.area,
                float: float.points.clone(),
                integer: integer.points.clone(),
            });
            (curves.collect(), None)
        }
        (Some(Picture::Scatter(float)), Some(Picture::Scatter(integer))) => {
            let (float, integer) = (float.clone(), integer.clone());
            (Vec::new(), Some(ScatterReport { float, integer }))
        }
        _ => (Vec::new(), None),
    }
}
