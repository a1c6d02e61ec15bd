//! `docs/results/kernels.md`: two parts, each written by a command of its own.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use burn_ptq_deploy::board::board;
use burn_ptq_deploy::output::write_atomically;
use burn_ptq_deploy::target::{TARGETS, Target};

use super::Request;

/// A part of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// By `cargo xtask mcu kernels`.
    Layers,
    /// By `cargo xtask mcu`.
    Networks,
    /// By `cargo xtask mcu rust`.
    Rust,
}

impl Part {
    const fn heading(self) -> &'static str {
        match self {
            Part::Layers => "\n## Layers\n",
            Part::Networks => "\n## Networks\n",
            Part::Rust => "\n## Rust\n",
        }
    }
}

/// Writes a part, which begins after its heading, where the request says. Without a word from the
/// request it is a part of `docs/results/kernels.md`, if it is about every target.
pub(super) fn write(request: &Request, part: Part, text: &str) -> Result<()> {
    let written = |path: PathBuf, text: String| {
        write_atomically(&path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("written to {}", path.display());
        Ok(())
    };
    if let Some(path) = &request.out {
        return written(path.clone(), replaced("", part, text));
    }
    if request.targets.len() < TARGETS.len() - 1 {
        println!("not all targets were measured: docs/results/kernels.md stays as it is");
        return Ok(());
    }
    let path = crate::root().join("docs/results/kernels.md");
    let earlier = fs::read_to_string(&path).unwrap_or_default();
    written(path, replaced(&earlier, part, text))
}

/// The document `earlier` with a new part, and a new head.
fn replaced(earlier: &str, part: Part, text: &str) -> String {
    let body_of = |heading: &str| {
        let (_, body) = earlier.split_once(heading)?;
        Some(body.split_once("\n## ").map_or(body, |(body, _)| body))
    };
    let mut document = HEAD.to_owned();
    for each in [Part::Layers, Part::Networks, Part::Rust] {
        let body = if each == part { Some(text) } else { body_of(each.heading()) };
        if let Some(body) = body {
            document.push_str(each.heading());
            document.push_str(body.trim_end());
            document.push('\n');
        }
    }
    document
}

/// The versions of the compilers and emulators of `targets`, as a list.
pub(super) fn tools(targets: &[&'static Target]) -> String {
    let mut programs = Vec::new();
    for target in targets {
        programs.push(target.compiler);
        programs.extend(board(target).map(|board| board.emulator));
    }
    programs.sort_unstable();
    programs.dedup();
    programs.into_iter().map(|program| format!("- {program}: {}\n", version(program))).collect()
}

/// The first line that a program says of its version.
pub(super) fn version(program: impl AsRef<OsStr>) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok().and_then(|text| Some(text.lines().next()?.to_owned())).unwrap_or_default()
}

const HEAD: &str = "\
# Kernels on microcontrollers

Written by `cargo xtask mcu all`; not edited by hand.

The exported C on cores that QEMU emulates. Counts are of executed instructions, not of cycles: QEMU
knows nothing of pipelines, wait states, caches and dual issue. They are the same in every run. Every
output byte of every run was compared with the interpreter's. Cortex-M0 code runs on a Cortex-M3, whose
instructions include all of it.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_replaces_itself_and_leaves_the_other() {
        let layers = replaced("", Part::Layers, "\nfast\n\n### cortex-m4\n");
        assert!(layers.ends_with("\n## Layers\n\nfast\n\n### cortex-m4\n"), "{layers}");
        let both = replaced(&layers, Part::Networks, "\nlarge\n");
        assert_eq!(both, format!("{layers}\n## Networks\n\nlarge\n"));
        let faster = replaced(&both, Part::Layers, "\nfaster\n");
        assert_eq!(faster, format!("{HEAD}\n## Layers\n\nfaster\n\n## Networks\n\nlarge\n"));
    }
}
