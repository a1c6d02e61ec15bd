//! Estimated cycles of networks, and those that others have published.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use burn_ptq_mcu::Estimate;
use serde::Deserialize;

use super::programs::TASKS;

const HEAD: &str = "
### Cycles of one inference, estimated

How often each instruction runs, counted by a plugin of QEMU on the first sample, times the cycles of the
Cortex-M4's manual (DDI 0439, table 3-1): no wait states, no stalls, three cycles for a branch that is taken. Of
the Cortex-M33 no such table is published; that of the Cortex-M4 stands in for it. In brackets, cycles an
instruction.

";

const PUBLISHED: &str = "
Cycles that others have measured, in millions, for comparison with these estimates and not with instructions:
";

/// Writes the estimates of each program on each of `targets`.
pub(super) fn estimates(
    text: &mut String,
    targets: &[&str],
    rows: &[(&str, Vec<Option<Estimate>>)],
) -> Result<()> {
    text.push_str(HEAD);
    let names: String = targets.iter().map(|name| format!(" {name} |")).collect();
    writeln!(text, "| program |{names}\n|---|{}", "---|".repeat(targets.len()))?;
    for (program, estimates) in rows {
        let cells: String = estimates.iter().map(|estimate| cell(*estimate)).collect();
        writeln!(text, "| {program} |{cells}")?;
    }
    published(text)
}

fn cell(estimate: Option<Estimate>) -> String {
    let Some(Estimate { instructions, cycles }) = estimate else { return " |".into() };
    format!(" {cycles} ({:.2}) |", cycles as f64 / instructions.max(1) as f64)
}

/// `docs/data/cycles.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    source: String,
    entry: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    core: String,
    engine: String,
    millions: BTreeMap<String, f64>,
}

fn published(text: &mut String) -> Result<()> {
    let file = fs::read_to_string(crate::root().join("docs/data/cycles.toml"));
    let published: Published = toml::from_str(&file.context("docs/data/cycles.toml")?)?;
    writeln!(text, "{PUBLISHED}{}.\n", published.source)?;
    let names: String = TASKS.iter().map(|task| format!(" {task} |")).collect();
    writeln!(text, "| core | engine |{names}\n|---|---|{}", "---|".repeat(TASKS.len()))?;
    for Entry { core, engine, millions } in &published.entry {
        let cells: String = TASKS
            .iter()
            .map(|task| {
                millions.get(*task).map_or(" |".to_owned(), |cycles| format!(" {cycles} |"))
            })
            .collect();
        writeln!(text, "| {core} | {engine} |{cells}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_stand_beside_what_others_have_published() {
        let mut text = String::new();
        let estimate = Estimate { instructions: 100, cycles: 140 };
        let rows = [("ic-w8a8", vec![Some(estimate), None])];
        estimates(&mut text, &["cortex-m4", "cortex-m33"], &rows).expect("the published ones");
        assert!(text.contains("\n| ic-w8a8 | 140 (1.40) | |\n"), "{text}");
        assert!(
            text.contains("\n| Cortex-M4 | ST Edge AI 10.2 | 19.88 | 5.21 | 10.73 | 0.575 |\n")
        );
    }
}
