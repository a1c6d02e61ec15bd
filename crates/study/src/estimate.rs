//! How long runs take, before they are run: rough, and set right by the runs that are finished.

use burn_ptq::graph::Graph;
use burn_ptq::reconstruct::ReconstructionGranularity;

use super::bench::Bench;
use super::plan::Run;

/// Seconds that a run is expected to take, on a machine on which nothing else runs.
///
/// Counted in samples through the float network, whose time was measured; the factors were found by
/// timing the stages of the four MLPerf Tiny tasks.
pub(super) fn seconds(bench: &Bench, run: &Run, evaluation: f64) -> f64 {
    let (sample_seconds, graph) = bench.cost(run.task);
    let recipe = &run.recipe;
    let seen = |most: usize| run.samples.min(most) as f64;
    let mut samples = 2.0 * seen(usize::MAX) + 3.0 * seen(recipe.correction.component().samples());
    if recipe.looks_at_inputs() {
        samples += 6.0 * seen(recipe.layerwise.samples);
    }
    let tuning = &recipe.reconstruction;
    let parts = match tuning.granularity {
        ReconstructionGranularity::None => 0.0,
        // All parts together are the network once.
        _ => 8.0,
    };
    samples += parts * (tuning.iterations * tuning.batch) as f64;
    samples += 100.0 * recipe.joint_range.component().samples() as f64;
    let steps = recipe.rounding.component().steps();
    // A step multiplies every row of weights by its layer's second moments.
    let samples_per_step = row_products(graph) / graph.macs().max(1) as f64;
    samples += 2.0 * steps as f64 * samples_per_step;
    // Each width is tried, then a few choices; layers are quantized alone each time.
    let trials = recipe.fit.as_ref().map_or(1.0, |fit| fit.weights.len() as f64 + 3.0);
    let layers = if recipe.fit.is_some() { 128.0 * graph.nodes.len() as f64 } else { 0.0 };
    0.05 + sample_seconds * (trials * (samples + layers) + evaluation)
}

/// The multiply-accumulates of every row of weights with the second moments of its inputs.
fn row_products(graph: &Graph) -> f64 {
    let weights = graph.nodes.iter().filter_map(|n| n.op.weight_and_bias());
    weights
        .map(|(weight, _)| {
            let row = weight.len() / weight.shape[0].max(1);
            (weight.len() * row) as f64
        })
        .sum()
}
