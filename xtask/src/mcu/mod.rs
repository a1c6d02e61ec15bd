//! `cargo xtask mcu`: programs on emulated microcontrollers.

mod anchors;
mod document;
mod kernels;
mod networks;
mod programs;
mod random;
mod rust;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use burn_ptq_deploy::export;
use burn_ptq_deploy::target::{HOST, TARGETS, Target};

use crate::requirements;

pub const HELP: &str = "\
Runs networks on emulated microcontrollers, compares every output byte with the interpreter's, counts
instructions, flash and RAM, and writes that into docs/kernels.md; with `kernels`, the same for single
layers. Installs cross compilers, QEMU and Rust's core library where it may (apt-get as root, rustup).
  kernels           time single layers
  rust              the same for networks and layers in exported Rust, at opt-level 3
  all               single layers, networks, and both in Rust: the whole of docs/kernels.md
  random            instead compare random layers with the reference, on these targets and, compiled
                    with sanitizers, on this machine
  --programs DIR    the networks: NAME.bptq, with raw input samples in NAME.inputs; without, they are
                    made of the four tasks in BURN_PTQ_ASSETS, default ../shared/assets
  --targets A,B     instead of every microcontroller; docs/kernels.md stays as it is; of random layers
                    cortex-m4,cortex-m55 if not given
  --cases N         random layers; 1000 if not given
  --seed N          of random layers; the clock if not given
  --samples N       samples of each network that are run; 32 if not given
  --nodes           print the instructions of every node
  --out FILE        write there instead
  --no-install      install nothing";

/// What the command line asks for.
struct Request {
    what: What,
    programs: Option<PathBuf>,
    targets: Vec<&'static Target>,
    samples: usize,
    cases: usize,
    seed: Option<u64>,
    nodes: bool,
    out: Option<PathBuf>,
    install: bool,
}

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    All,
    Networks,
    Kernels,
    Random,
    Rust,
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut request = Request {
            what: What::Networks,
            programs: None,
            targets: Vec::new(),
            samples: 32,
            cases: random::CASES,
            seed: None,
            nodes: false,
            out: None,
            install: true,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().with_context(|| format!("{argument} needs a value\n\n{HELP}"));
            match argument.as_str() {
                "all" => request.what = What::All,
                "kernels" => request.what = What::Kernels,
                "rust" => request.what = What::Rust,
                "random" => request.what = What::Random,
                "--programs" => request.programs = Some(value()?.into()),
                "--targets" => request.targets = targets(value()?)?,
                "--samples" => request.samples = count(argument, value()?)?,
                "--cases" => request.cases = count(argument, value()?)?,
                "--seed" => {
                    let text = value()?;
                    let number = text.parse().ok();
                    request.seed =
                        Some(number.with_context(|| format!("--seed {text:?} is not a number"))?);
                }
                "--nodes" => request.nodes = true,
                "--out" => request.out = Some(value()?.into()),
                "--no-install" => request.install = false,
                other => bail!("unknown argument {other:?} of cargo xtask mcu\n\n{HELP}"),
            }
        }
        ensure!(
            request.what != What::All || request.out.is_none(),
            "--out holds one part of the document: run the parts, not `all`"
        );
        if request.targets.is_empty() {
            request.targets = match request.what {
                What::Random => targets(random::TARGETS)?,
                _ => TARGETS.iter().filter(|target| **target != HOST).collect(),
            };
        }
        Ok(request)
    }
}

fn targets(names: &str) -> Result<Vec<&'static Target>> {
    let targets: Vec<_> = names.split(',').map(export::target).collect::<Result<_, _>>()?;
    ensure!(!targets.contains(&&HOST), "the host is not a microcontroller");
    Ok(targets)
}

fn count(argument: &str, text: &str) -> Result<usize> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.with_context(|| format!("{argument} {text:?} is not a number above 0"))
}

pub fn run(arguments: &[String]) -> Result<ExitCode> {
    let mut request = Request::parse(arguments)?;
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
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Request> {
        Request::parse(&arguments.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn wrong_arguments_are_refused_by_name() {
        let error = |arguments: &[&str]| parse(arguments).err().expect("refused").to_string();
        assert!(error(&["--sample"]).contains("--sample"));
        assert!(error(&["--samples", "0"]).contains("--samples \"0\" is not a number above 0"));
        assert!(error(&["random", "--seed", "x"]).contains("not a number"));
        assert!(error(&["--programs"]).contains("needs a value"));
        assert!(error(&["--targets", "m4,z80"]).contains("z80"));
        assert!(error(&["all", "--out", "x.md"]).contains("--out holds one part"));
        assert!(error(&["--targets", "host"]).contains("not a microcontroller"));
    }

    #[test]
    fn every_microcontroller_is_a_target_unless_some_are_named() {
        let all = parse(&[]).expect("a request").targets;
        assert_eq!(all.len(), TARGETS.len() - 1);
        assert_eq!(parse(&["random"]).expect("a request").targets.len(), 2);
        let two = parse(&["--targets", "m4,rv32"]).expect("a request").targets;
        assert_eq!(two.iter().map(|t| t.name).collect::<Vec<_>>(), ["cortex-m4", "rv32"]);
    }
}
