//! `cargo xtask mcu`: programs on emulated microcontrollers.

mod anchors;
mod costs;
mod cycles;
mod document;
mod kernels;
mod networks;
pub(crate) mod programs;
mod random;
mod rust;
mod streams;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::export;
use burn_ptq_deploy::target::{HOST, TARGETS, Target};
use burn_ptq_mcu::samples::{KINDS, Kind};
use clap::ValueEnum;

use crate::requirements;

/// Run exported programs on emulated microcontrollers and write what they take.
///
/// Every output byte is compared with the interpreter's; instructions, flash and RAM go into
/// docs/results/kernels.md. Cross compilers, QEMU and Rust's core library are installed where permitted
/// (apt-get as root, rustup).
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What to run.
    #[arg(value_enum, default_value_t = What::Networks)]
    what: What,
    /// Networks as NAME.bptq, with input samples in NAME.inputs, of each the bytes of all inputs one
    /// after the other; by default they are made of the four tasks in BURN_PTQ_ASSETS.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Targets instead of every microcontroller, which leaves docs/results/kernels.md as it is; for
    /// random layers cortex-m4 and cortex-m55 by default.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = microcontroller)]
    targets: Vec<&'static Target>,
    /// Samples of each network to run.
    #[arg(long, value_name = "N", default_value = "32")]
    samples: NonZeroUsize,
    /// Random layers to compare.
    #[arg(long, value_name = "N", default_value = "1000")]
    cases: NonZeroUsize,
    /// The seed of random layers; the clock by default.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Kinds of layers whose costs are measured anew, such as TopK; the others keep theirs. All by default.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = kind)]
    kinds: Vec<Kind>,
    /// Measure only kernels that the tables of costs lack.
    #[arg(long)]
    missing: bool,
    /// Print the instructions of every operation; tables of costs stay as they are.
    #[arg(long)]
    nodes: bool,
    /// Write to this file instead of docs/results/kernels.md.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Install nothing.
    #[arg(long)]
    no_install: bool,
}

/// What the command line asks for.
struct Request {
    what: What,
    programs: Option<PathBuf>,
    targets: Vec<&'static Target>,
    samples: usize,
    cases: usize,
    seed: Option<u64>,
    kinds: Vec<Kind>,
    missing: bool,
    nodes: bool,
    out: Option<PathBuf>,
    install: bool,
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Whole networks in exported C.
    Networks,
    /// Single layers in exported C.
    Kernels,
    /// Networks and layers in exported Rust, at opt-level 3.
    Rust,
    /// Networks, kernels and rust: the whole of docs/results/kernels.md.
    All,
    /// What calls of every kernel take, for the tables of costs in crates/deploy/src/cost/tables, and how far
    /// these are from networks.
    Costs,
    /// Random layers, on microcontrollers and on this machine with sanitizers; writes nothing.
    Random,
    /// Networks that take recordings frame by frame, for docs/results/streams.md.
    Streams,
}

impl Request {
    /// Checks what arguments say together, and chooses targets where they name none.
    fn new(arguments: &Arguments) -> Result<Self> {
        let what = arguments.what;
        ensure!(
            what != What::All || arguments.out.is_none(),
            "--out holds one part of the document: run the parts, not `all`"
        );
        let by_default = |target: &&Target| match what {
            What::Random => random::TARGETS.contains(&target.name),
            _ => **target != HOST,
        };
        let targets = match arguments.targets.as_slice() {
            [] => TARGETS.iter().filter(by_default).collect(),
            named => named.to_vec(),
        };
        Ok(Self {
            what,
            programs: arguments.programs.clone(),
            targets,
            samples: arguments.samples.get(),
            cases: arguments.cases.get(),
            seed: arguments.seed,
            kinds: arguments.kinds.clone(),
            missing: arguments.missing,
            nodes: arguments.nodes,
            out: arguments.out.clone(),
            install: !arguments.no_install,
        })
    }
}

/// A target that is not the host.
fn microcontroller(name: &str) -> Result<&'static Target> {
    let target = export::target(name)?;
    ensure!(*target != HOST, "the host is not a microcontroller");
    Ok(target)
}

/// A kind of layers by its name.
fn kind(name: &str) -> Result<Kind> {
    let kind = KINDS.iter().find(|kind| format!("{kind:?}") == name);
    kind.copied().with_context(|| format!("kinds of layers are {KINDS:?}"))
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut request = Request::new(arguments)?;
    for missing in requirements::provide_mcu(request.install) {
        println!("missing: {missing}");
    }
    request.targets.retain(|target| {
        let available = burn_ptq_mcu::available(target);
        if !available {
            println!("SKIPPED {}: no cross compiler or no QEMU", target.name);
        }
        available
    });
    ensure!(!request.targets.is_empty(), "no target can be compiled for and emulated");
    let same = match request.what {
        What::All => all(&mut request)?,
        What::Networks => networks::run(&request)?,
        What::Kernels => kernels::run(&request)?,
        What::Random => random::run(&request)?,
        What::Streams => streams::run(&request)?,
        What::Costs => costs::run(&request)?,
        What::Rust => rust::run(&request)?,
    };
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs everything that the document tells of; the programs are made once.
fn all(request: &mut Request) -> Result<bool> {
    if request.programs.is_none() {
        request.programs = Some(programs::make(request.samples)?);
    }
    let runs = [kernels::run, networks::run, rust::run];
    runs.iter().try_fold(true, |same, run| Ok(run(request)? && same))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(arguments: &[&str]) -> Result<Request> {
        let line = Line::try_parse_from(["mcu"].iter().chain(arguments))?;
        Request::new(&line.arguments)
    }

    #[test]
    fn wrong_arguments_are_refused_by_name() {
        let error = |arguments: &[&str]| parse(arguments).err().expect("refused").to_string();
        assert!(error(&["--sample"]).contains("--sample"));
        assert!(error(&["--samples", "0"]).contains("--samples"));
        assert!(error(&["random", "--seed", "x"]).contains("--seed"));
        assert!(error(&["--targets", "m4,z80"]).contains("z80"));
        assert!(error(&["all", "--out", "x.md"]).contains("--out holds one part"));
        assert!(error(&["--targets", "host"]).contains("not a microcontroller"));
    }

    #[test]
    fn every_microcontroller_is_a_target_unless_some_are_named() {
        let all = parse(&[]).expect("a request").targets;
        assert_eq!(all.len(), TARGETS.len() - 1);
        assert_eq!(parse(&["random"]).expect("a request").targets.len(), random::TARGETS.len());
        let two = parse(&["--targets", "m4,rv32"]).expect("a request").targets;
        assert_eq!(two.iter().map(|t| t.name).collect::<Vec<_>>(), ["cortex-m4", "rv32"]);
    }
}
