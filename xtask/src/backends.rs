//! `cargo xtask backends`: Burn's other backends, compared with the default one.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::requirements;
use crate::results::write;

/// Compare the backends ndarray and wgpu with the default one and write docs/results/backends.md.
///
/// Compiling each takes minutes, so that no other command does. Without a GPU it runs on lavapipe, Mesa's software Vulkan,
/// which is installed where permitted.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

const HEAD: &str = "\
# Backends

Written by `cargo xtask backends`; not edited by hand.

One recipe on two Burn backends: the share of integer weights that are the same, and the integer metric
on each. Backends sum in different orders, so that a weight may fall on the other side of a tie. Rounding
to nearest (`nearest`) agrees in at least 99.9 % of the weights. Roundings that look at inputs (`w4a8`) make
up for each such flip with the weights after it, may end at another scale of a row, and reach other integers
that are equally good: they agree in the metric, and in at least 80 % of the weights. This
command holds them to that; `cargo xtask test` runs the default backend alone, because the compilation of each
takes minutes.

";

pub(crate) fn run(_: &Arguments) -> Result<ExitCode> {
    let adapter = requirements::vulkan();
    let library =
        ["test", "--release", "-p", "burn-ptq", "--features", "ndarray", "--test", "modules"];
    let status = crate::cargo().args(library).status().context("cannot start cargo")?;
    ensure!(status.success(), "a network is not the same on ndarray");
    let test = ["test", "--release", "-p", "burn-ptq-eval", "--features", "ndarray,wgpu"];
    let output = crate::cargo()
        .args(test)
        .args(["--test", "backends", "--", "--show-output"])
        .stderr(std::process::Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    ensure!(output.status.success(), "the backends do not agree, or there is no Vulkan device");
    let mut page = format!("{HEAD}Vulkan device: {adapter}.\n\n");
    page.push_str("| backend | task | preset | same weights % | metric on flex | metric |\n");
    page.push_str("|---|---|---|---|---|---|\n");
    for line in text.lines().filter_map(|line| line.strip_prefix("backend ")) {
        let cells: Vec<&str> = line.split(' ').collect();
        writeln!(page, "| {} |", cells.join(" | "))?;
    }
    write("backends.md", &page)?;
    Ok(ExitCode::SUCCESS)
}
