//! Suspicious values in the calibration statistics: constants, and numbers that their
//! grid cannot hold.

use crate::graph::{Graph, ValueId};
use crate::observe::Stats;
use crate::quant::Range;
use crate::range::is_zero;
use crate::warning::Warning;

/// The warnings that the statistics of the values of `graph` call for, one a kind.
///
/// The program is right on data like the calibration data in any case: it gives the constant.
pub(crate) fn suspicious_values(graph: &Graph, statistics: &[Stats]) -> Vec<Warning> {
    let (mut zero, mut constant, mut tiny) = (vec![], vec![], vec![]);
    for (index, (value, stats)) in graph.values.iter().zip(statistics).enumerate() {
        // Of a single sample every value of one element is constant.
        if stats.batches == 0 || stats.count <= value.len() as u64 {
            continue;
        }
        let node = graph.producer(ValueId(index)).map(|n| &graph.nodes[n]);
        // What is constant by itself needs no warning.
        if node.is_some_and(|node| node.inputs.is_empty()) {
            continue;
        }
        let name = node.map_or_else(
            || format!("the input '{}'", value.name),
            |node| format!("'{}'", node.name),
        );
        let range = Range { min: stats.min, max: stats.max };
        if range.magnitude() == 0.0 && range.min == 0.0 {
            zero.push(name);
        } else if is_zero(range) {
            tiny.push(name);
        } else if stats.min == stats.max {
            constant.push(format!("{name} ({})", stats.min));
        }
    }
    let mut warnings = Vec::new();
    let mut warn = |kind, names: Vec<String>, what: &str, hint: &str| {
        if !names.is_empty() {
            warnings.push(Warning::new(kind, format!("{what}: {}", some_of(&names)), hint));
        }
    };
    warn(
        "value-always-zero",
        zero,
        "0 on all calibration data",
        "check that the data is scaled as in training; if the layer is dead in the float model too, \
         its integer form gives the same constant",
    );
    warn(
        "value-constant",
        constant,
        "constant over all calibration data",
        "check that the calibration samples differ and are scaled as in training",
    );
    warn(
        "value-too-small",
        tiny,
        "so small on all calibration data that it is rounded to 0",
        "scale the model's weights so that activations are nearer to 1",
    );
    warnings
}

/// The first names of a list, and how many more there are.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len() - names.len().min(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
