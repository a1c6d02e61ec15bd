//! Figures of other tools, out of `docs/data/peers.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde::Deserialize;

/// A method of another tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Peer {
    /// The column's heading.
    pub name: String,
    /// The tool, with its version and address.
    pub tool: String,
    /// What it did.
    pub method: String,
    /// On which arrays.
    pub data: String,
    /// What else one should know.
    pub note: String,
    /// The metric by task and widths.
    metric: BTreeMap<String, BTreeMap<String, f64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    peer: Vec<Peer>,
}

/// All peers.
pub(super) fn read() -> Result<Vec<Peer>> {
    let path = crate::root().join("docs/data/peers.toml");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let file: File = toml::from_str(&text).with_context(|| format!("in {}", path.display()))?;
    Ok(file.peer)
}

impl Peer {
    /// A cell of its column: the metric of a task at these widths, if it was measured.
    pub(super) fn cell(&self, task: &str, widths: &str) -> String {
        let found = self.metric.get(task).and_then(|of_task| of_task.get(widths));
        found.map_or(String::new(), |metric| format!("{metric:.3}"))
    }
}

/// What the columns are, as a list.
pub(super) fn sources(peers: &[Peer]) -> String {
    let mut text = String::new();
    for Peer { name, tool, method, data, note, .. } in peers {
        let _ = writeln!(text, "- {name}: {tool}; {method}; {data}; {note}.");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_read_with_their_source() {
        let peers = read().expect("they are there");
        let nearest = peers.iter().find(|peer| peer.name == "AIMET nearest").expect("it is");
        assert_eq!(nearest.cell("kws", "W4A8"), "0.917");
        assert_eq!(nearest.cell("kws", "W3A4"), "");
        let sources = sources(&peers);
        assert_eq!(sources.lines().count(), peers.len());
        assert!(sources.contains("https://") && sources.contains("AdaRound with 1000 iterations"));
    }
}
