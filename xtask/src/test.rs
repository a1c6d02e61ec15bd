//! `cargo xtask test`: everything that is checked, cheapest first.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::outcome::{Outcome, Reader};
use crate::requirements;

/// Install what the tests need, where permitted, and run every test, cheapest first.
///
/// As root, apt-get installs compilers, cross compilers and QEMU; Python packages go into .venv. Tests
/// whose tools are missing print SKIPPED, and the summary repeats those lines.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Install nothing.
    #[arg(long)]
    no_install: bool,
    /// Fail when a tool is missing; implied by CI=true in the environment.
    #[arg(long)]
    require_all: bool,
}

/// One run of cargo.
struct Step {
    name: &'static str,
    arguments: &'static [&'static str],
    /// Environment of this step alone.
    environment: &'static [(&'static str, &'static str)],
}

/// The order is by cost. Burn is compiled in the release profile only: what needs it is tested
/// optimized, what does not is tested with overflow checks.
const STEPS: &[Step] = &[
    Step {
        name: "kernels, deploy, microcontrollers, conformance and xtask, with overflow checks",
        arguments: &[
            "test",
            "--no-fail-fast",
            "--package=burn-ptq-kernels",
            "--package=burn-ptq-deploy",
            "--package=burn-ptq-mcu",
            "--package=burn-ptq-tests",
            "--package=xtask",
            "--",
            "--show-output",
        ],
        environment: &[],
    },
    Step {
        name: "burn-ptq, its command line, the examples and damaged inputs, optimized",
        arguments: &[
            "test",
            "--release",
            "--no-fail-fast",
            "--package=burn-ptq",
            "--package=burn-ptq-eval",
            "--package=burn-ptq-study",
            "--package=burn-ptq-cli",
            "--package=burn-ptq-examples",
            "--package=burn-ptq-fuzz",
            "--",
            "--show-output",
        ],
        environment: &[],
    },
    Step {
        name: "packages of the crates, which build by themselves",
        arguments: &["xtask", "packages"],
        environment: &[],
    },
    Step {
        name: "documentation without warnings",
        arguments: &["doc", "--release", "--workspace", "--no-deps"],
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let install = !arguments.no_install;
    let require_all = arguments.require_all || std::env::var("CI").is_ok_and(|ci| ci == "true");

    let begun = Instant::now();
    heading("what the tests compare with");
    let mut missing = requirements::provide(install);
    missing.extend(requirements::provide_mcu(install));
    for what in &missing {
        println!("missing: {what}");
    }
    if !missing.is_empty() && require_all {
        println!("everything is required: no test was run");
        return Ok(ExitCode::FAILURE);
    }
    finished("what the tests compare with", begun.elapsed());

    let mut sum = Outcome::default();
    let mut broken = Vec::new();
    for step in STEPS {
        heading(step.name);
        let begun = Instant::now();
        let (mut outcome, success) = execute(step)?;
        if !success {
            broken.push(step.name);
            // What does not compile has no failed test, and is a failure all the same.
            outcome.failed = outcome.failed.max(1);
        }
        sum += outcome;
        finished(step.name, begun.elapsed());
    }
    println!("\n{}", summary(&sum, &broken, begun.elapsed()));
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a step, showing its output as it comes. Returns what the tests said, and whether cargo was
/// content.
fn execute(step: &Step) -> Result<(Outcome, bool)> {
    // One pipe for both streams: cargo names a test program on one, the program answers on the
    // other.
    let (reader, writer) = std::io::pipe().context("no pipe")?;
    let mut command: Command = crate::cargo();
    command
        .args(step.arguments)
        .envs(step.environment.iter().copied())
        .env("CARGO_TERM_COLOR", "never")
        .stdout(writer.try_clone().context("no pipe")?)
        .stderr(writer);
    if let Some(python) = requirements::python() {
        command.env("BURN_PTQ_PYTHON", python);
    }
    let mut child = command.spawn().context("cannot start cargo")?;
    // The command holds the pipe's end, and reading would never end while it does.
    drop(command);
    let mut said = Reader::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.context("cannot read what cargo says")?;
        let line = String::from_utf8_lossy(&line);
        if said.line(line.trim_end_matches('\r')) {
            println!("{line}");
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    Ok((said.outcome, status.success()))
}

fn heading(name: &str) {
    println!("\n==> {name}");
}

fn finished(name: &str, time: Duration) {
    println!("==> {name}: {:.1} s", time.as_secs_f64());
}

fn summary(sum: &Outcome, broken: &[&str], time: Duration) -> String {
    let mut lines = sum.skipped.clone();
    if sum.ignored > 0 {
        lines.push(format!("{} ignored", sum.ignored));
    }
    // What failed stands at the end, where a log that is cut keeps it.
    lines.extend(sum.failures.iter().map(|failure| format!("\nfailed: {failure}")));
    lines.extend(broken.iter().map(|name| format!("failed: {name}")));
    lines.push(format!("all of it took {:.0} s", time.as_secs_f64()));
    lines.push(format!("{} passed, {} failed", sum.passed, sum.failed));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_repeats_skips_and_closes_with_the_counts() {
        let sum = Outcome {
            passed: 12,
            failed: 1,
            ignored: 0,
            skipped: vec!["SKIPPED equals: no Python".into()],
            failures: vec!["adds\n1 is 2".into()],
        };
        let text = summary(&sum, &["documentation"], Duration::from_secs(3));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "SKIPPED equals: no Python");
        assert_eq!(lines[2..5], ["failed: adds", "1 is 2", "failed: documentation"]);
        assert_eq!(lines.last(), Some(&"12 passed, 1 failed"));
    }
}
