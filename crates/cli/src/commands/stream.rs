//! What is said of a model that takes recordings frame by frame.

use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::printable;
use burn_ptq_deploy::target::Target;
use burn_ptq_eval::costs::{CostError, predict};
use burn_ptq_eval::report::StreamReport;

use crate::table;

/// The most processors whose costs are told.
const TOLD: usize = 7;

/// Lines on `stream`, the form of `offline` for recordings, with its costs on `targets` beside those of `offline`.
pub(super) fn lines(
    stream: &StreamReport,
    offline: &Placed,
    targets: &[&'static Target],
) -> Result<Vec<String>, CostError> {
    let mut lines = vec![format!(
        "frame by frame along axis {}: {} a call, of the {} that the network takes offline; {} of states",
        stream.time_axis,
        frames(stream.chunk),
        stream.frames,
        table::bytes(stream.state_bytes)
    )];
    for output in &stream.outputs {
        let what = match output.rows {
            Some(1) => "a row a call".to_owned(),
            Some(rows) => format!("{rows} rows a call"),
            None => format!("of the last {}", frames(stream.frames)),
        };
        let late = match output.delay {
            0 => String::new(),
            delay => format!(", {} late", frames(delay)),
        };
        let complete = match output.warm_up {
            0 => "from the first call on".to_owned(),
            calls => format!("after {calls} call{}", if calls == 1 { "" } else { "s" }),
        };
        let name = printable::line(&output.name);
        lines.push(format!("output {name}: {what}{late}, complete {complete}"));
    }
    let before = predict(offline, targets)?;
    for (cost, before) in stream.costs.iter().zip(&before).take(TOLD) {
        let (Some(now), Some(all)) = (cost.instructions, before.cost.instructions) else {
            continue;
        };
        let frame = all as f64 / stream.frames as f64 * stream.chunk as f64;
        lines.push(format!(
            "{}: {} instructions a call and RAM {}, predicted; offline {} (for as many frames {}) and {}",
            cost.target,
            table::number(now as f64),
            table::bytes(cost.ram_bytes),
            table::number(all as f64),
            table::number(frame),
            table::bytes(before.cost.ram_bytes)
        ));
    }
    for warning in stream.warnings(offline) {
        lines.push(format!("warning: {warning}"));
    }
    Ok(lines)
}

fn frames(count: usize) -> String {
    format!("{count} frame{}", if count == 1 { "" } else { "s" })
}
