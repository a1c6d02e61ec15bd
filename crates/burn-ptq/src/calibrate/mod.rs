//! Calibration: one streaming pass that observes every value with a grid of its own.

pub(crate) mod suspicious;
pub(crate) mod synthesize;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use burn::tensor::Device;

use crate::event::{Cancelled, Event, Progress};
use crate::graph::ops::OutputGrid;
use crate::graph::{Batch, FloatModel, Graph, Op, Value};
use crate::observe::{Observer, Stats};

/// What calibration found out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calibration {
    /// The statistics of the values, by index of the value; empty where a value was not observed
    /// because it has the grid of another.
    pub values: Vec<Stats>,
    /// The first samples, as many as were asked for.
    pub samples: Batch,
    /// How many samples there were.
    pub seen: usize,
    /// How many different samples there were at least: counting stops at 1024.
    pub distinct: usize,
}

/// Why calibration failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// A batch could not be read or made.
    #[error(transparent)]
    Batch(Box<dyn std::error::Error + Send + Sync>),
    /// A batch does not fit the model.
    #[error(transparent)]
    BatchShape(#[from] BatchShapeError),
    /// The network has several inputs, where tensors of one were given.
    #[error(transparent)]
    Ends(#[from] SeveralEnds),
    /// The float network produced NaN or infinity on calibration data.
    #[error(
        "value '{value}' of the float model holds {count} values that are NaN or infinite on the \
         calibration data; check the model and the input scaling"
    )]
    NotFinite {
        /// The value.
        value: String,
        /// How many elements.
        count: usize,
    },
    /// There was nothing to calibrate with.
    #[error("there are no calibration samples: at least one is needed, 64 or more are better")]
    NoSamples,
    /// The caller cancelled.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// A batch whose shape is not that of the model's input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} has the shape {found:?}, expected [batch, {}]; the first axis is the batch, images are NCHW",
    expected.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
)]
pub struct BatchShapeError {
    /// What the batch is for.
    pub what: &'static str,
    /// The shape of the batch.
    pub found: Vec<usize>,
    /// The shape of a sample.
    pub expected: Vec<usize>,
}

/// A network of several inputs or outputs where one is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the network has {found} {what}, but what was called takes one; call the variant for several"
)]
pub struct SeveralEnds {
    /// `inputs` or `outputs`.
    pub what: &'static str,
    /// How many there are.
    pub found: usize,
}

/// Different samples that are counted.
const MOST_DISTINCT: usize = 1024;

/// Runs `batches` through the float graph and observes.
///
/// Every value that has a grid of its own gets an observer from `watch`. Memory does not depend on the
/// number of batches. The first `kept` samples are kept.
///
/// # Errors
/// If a batch fails, if there is none, if a value becomes NaN or infinite, or on cancellation.
pub(crate) fn calibrate(
    graph: &Arc<Graph>,
    device: &Device,
    batches: impl Iterator<Item = Result<Batch, CalibrateError>>,
    watch: &dyn Fn(&Value) -> Box<dyn Observer>,
    expected: Option<usize>,
    kept: usize,
    progress: Progress,
) -> Result<Calibration, CalibrateError> {
    let model = FloatModel::new(Arc::clone(graph), device);
    let own = graph.values.iter().zip(observed_values(graph));
    let mut observers: Vec<Option<Box<dyn Observer>>> =
        own.map(|(value, observed)| observed.then(|| watch(value))).collect();
    let mut first = Batch::default();
    let mut samples = 0;
    let mut different = HashSet::new();
    for batch in batches {
        let batch = batch?;
        for sample in batch.samples() {
            if different.len() < MOST_DISTINCT {
                different.insert(fingerprint(sample));
            }
        }
        first.append(batch.first(kept.saturating_sub(samples)));
        samples += batch.count;
        let inputs = batch.into_tensors(graph, device);
        let mut broken = None;
        model.forward_with(inputs, |id, value| {
            if let Some(observer) = &mut observers[id.0]
                && let Err(count) = observer.observe(value.clone())
            {
                broken.get_or_insert((id, count));
            }
            value
        });
        if let Some((id, count)) = broken {
            return Err(CalibrateError::NotFinite { value: graph.value(id).name.clone(), count });
        }
        Event::Progress { stage: "calibrate", done: samples, total: expected }.tell(progress)?;
    }
    if samples == 0 {
        return Err(CalibrateError::NoSamples);
    }
    let stats = |o: &Option<Box<dyn Observer>>| o.as_ref().map_or(Stats::default(), |o| o.stats());
    let mut values: Vec<Stats> = observers.iter().map(stats).collect();
    for node in &graph.nodes {
        if let Op::Pad(pad) = &node.op {
            // The padding must be representable in the grid that the output shares.
            values[node.output.0].add(&[pad.value]);
        }
        if let Op::Lookup(lookup) = &node.op {
            // Rows that no sample asked for must be representable too.
            let data = &lookup.table.data;
            let ends = [f32::min, f32::max].map(|end| data.iter().copied().fold(data[0], end));
            values[node.output.0].add(&ends);
        }
    }
    Ok(Calibration { values, samples: first, seen: samples, distinct: different.len() })
}

fn fingerprint(sample: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    sample.iter().for_each(|x| x.to_bits().hash(&mut hasher));
    hasher.finish()
}

/// The values that are observed: the inputs, what does not take over the grid of an input, and means.
fn observed_values(graph: &Graph) -> Vec<bool> {
    let mut observed = vec![false; graph.values.len()];
    graph.inputs.iter().for_each(|input| observed[input.0] = true);
    for node in &graph.nodes {
        let shared = node.op.operator().output_grid() == OutputGrid::Shared;
        // A mean has a grid of its own where bits are few.
        let mean = node.op.operator().averages();
        observed[node.output.0] = (!shared || mean) && !matches!(node.op, Op::Requantize(_));
    }
    observed
}
