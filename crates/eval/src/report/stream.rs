//! What a network takes that runs frame by frame.

use burn_ptq::Warning;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::printable;
use burn_ptq_deploy::streaming::Streamed;
use burn_ptq_deploy::target::{Kernels, Target};
use serde::Serialize;

use super::ExportedSize;
use crate::costs::{Cost, CostError, predict};

/// Nodes that a warning names.
const NAMED: usize = 3;

/// A network that takes recordings frame by frame.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StreamReport {
    /// The axis of a sample that is time, without the batch axis.
    pub time_axis: usize,
    /// Frames that a call takes.
    pub chunk: usize,
    /// Frames that the network takes offline.
    pub frames: usize,
    /// Its outputs.
    pub outputs: Vec<StreamedOutputReport>,
    /// Bytes that a call leaves for the next one; the arena has them.
    pub state_bytes: usize,
    /// Multiply-accumulates of a call.
    pub macs: usize,
    /// What exported code takes.
    pub exported: ExportedSize,
    /// What a call takes on microcontrollers.
    pub costs: Vec<Cost>,
    /// Operations that pad time, which the stream does before its first frame alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub padded: Vec<String>,
    /// Whether outputs without time axis differ for that from those of the offline network.
    pub differs: bool,
    /// Operations that every call computes for all rows that the offline network has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub whole: Vec<String>,
}

/// An output of a network that takes recordings frame by frame.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StreamedOutputReport {
    /// Its name.
    pub name: String,
    /// New rows of each call; absent for an output without time axis.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<usize>,
    /// Frames from one row to the next.
    pub rate: usize,
    /// Frames by which it is late.
    pub delay: usize,
    /// Calls after a reset whose outputs do not have all their frames yet.
    pub warm_up: usize,
}

impl StreamReport {
    /// What `streamed` takes, on microcontrollers too.
    ///
    /// # Errors
    /// If the arena that a processor's kernels need is too large.
    pub fn new(streamed: &Streamed, targets: &[&'static Target]) -> Result<Self, CostError> {
        let placed = streamed.program.clone().place(Kernels::Portable, Memory::Whole)?;
        let predicted = predict(&placed, targets)?;
        let outputs = streamed.outputs.iter().map(|output| StreamedOutputReport {
            name: output.name.clone(),
            rows: output.rows,
            rate: output.rate,
            delay: output.delay_frames(),
            warm_up: output.warm_up,
        });
        Ok(Self {
            time_axis: streamed.axis,
            chunk: streamed.chunk,
            frames: streamed.frames,
            outputs: outputs.collect(),
            state_bytes: streamed.program.state_bytes(),
            macs: streamed.program.macs(),
            exported: ExportedSize::placed(&placed)?,
            costs: predicted.into_iter().map(|predicted| predicted.cost).collect(),
            padded: streamed.padded.clone(),
            differs: streamed.differs,
            whole: streamed.whole.clone(),
        })
    }

    /// What to know before relying on it, of a network that takes `offline` offline.
    pub fn warnings(&self, offline: &Placed) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if !self.padded.is_empty() {
            let message = format!(
                "{} pad{} time, where the stream has real frames: outputs differ from {}",
                named(&self.padded),
                if self.padded.len() == 1 { "s" } else { "" },
                if self.differs {
                    "those of the offline network, which pads each window of frames"
                } else {
                    "the offline network's near the ends of recordings"
                },
            );
            let hint = if self.differs {
                "train with windows that do not pad time, or judge the network on recordings as the stream sees them"
            } else {
                "train with causal padding, or ignore that many rows at the ends"
            };
            warnings.push(Warning::new("stream-pads-time", message, hint));
        }
        let macs: usize = self.macs_of_whole(offline);
        if macs * 2 > self.macs {
            let share = 100.0 * macs as f64 / self.macs as f64;
            let message = format!(
                "{share:.0} % of the multiply-accumulates of a call are computed again for all {} frames, by {}",
                self.frames,
                named(&self.whole)
            );
            let hint = "put what needs all time (means, flattening, attention) behind the convolutions, or take more frames a call";
            warnings.push(Warning::new("stream-repeats-work", message, hint));
        }
        warnings
    }

    /// Multiply-accumulates of what a call computes as a whole.
    fn macs_of_whole(&self, offline: &Placed) -> usize {
        let whole = offline.nodes.iter().filter(|node| self.whole.contains(&node.name));
        whole.map(|node| node.op.macs()).sum()
    }
}

/// The first few names.
fn named(nodes: &[String]) -> String {
    let mut names: Vec<String> =
        nodes.iter().take(NAMED).map(|name| format!("'{}'", printable::line(name))).collect();
    if nodes.len() > NAMED {
        names.push(format!("{} more", nodes.len() - NAMED));
    }
    match names.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => names.concat(),
    }
}
