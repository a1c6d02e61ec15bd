//! `cargo xtask mcu`: programs on emulated microcontrollers.

mod anchors;
mod document;
mod kernels;
mod networks;
mod programs;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use burn_ptq_deploy::export;
use burn_ptq_deploy::target::{HOST, TARGETS, Target};

use crate::requirements;

pub const HELP: &str = "\
Runs networks on emulated microcontrollers, compares every output byte with the interpreter's, counts
instructions, flash and RAM, and writes that into docs/kernels.md; with `kernels`, the same for single
layers. Installs cross compilers and QEMU where it may (apt-get as root).
  kernels           time single layers
  --programs DIR    the networks: NAME.bptq, with raw input samples in NAME.inputs; without, they are
                    made of the four tasks in BURN_PTQ_ASSETS, default ../shared/assets
  --targets A,B     instead of every microcontroller; docs/kernels.md stays as it is
  --samples N       samples of each network that are run; 32 if not given
  --nodes           print the instructions of every node
  --out FILE        write there instead
  --no-install      install nothing";

/// What the command line asks for.
struct Request {
    kernels: bool,
    programs: Option<PathBuf>,
    targets: Vec<&'static Target>,
    samples: usize,
    nodes: bool,
    out: Option<PathBuf>,
    install: bool,
}

impl Request {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut request = Request {
            kernels: false,
            programs: None,
            targets: TARGETS.iter().filter(|target| **target != HOST).collect(),
            samples: 32,
            nodes: false,
            out: None,
            install: true,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value =
                || arguments.next().with_context(|| format!("{argument} needs a value\n\n{HELP}"));
            match argument.as_str() {
                "kernels" => request.kernels = true,
                "--programs" => request.programs = Some(value()?.into()),
                "--targets" => {
                    request.targets =
                        value()?.split(',').map(export::target).collect::<Result<_, _>>()?;
                    let host = request.targets.contains(&&HOST);
                    ensure!(!host, "the host is no microcontroller");
                }
                "--samples" => {
                    let text = value()?;
                    let number = text.parse().ok().filter(|&n| n > 0);
                    request.samples = number
                        .with_context(|| format!("--samples {text:?} is no number above 0"))?;
                }
                "--nodes" => request.nodes = true,
                "--out" => request.out = Some(value()?.into()),
                "--no-install" => request.install = false,
                other => bail!("unknown argument {other:?} of cargo xtask mcu\n\n{HELP}"),
            }
        }
        Ok(request)
    }
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
    let same = if request.kernels { kernels::run(&request)? } else { networks::run(&request)? };
    Ok(if same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
        assert!(error(&["--samples", "0"]).contains("no number above 0"));
        assert!(error(&["--programs"]).contains("needs a value"));
        assert!(error(&["--targets", "m4,z80"]).contains("z80"));
        assert!(error(&["--targets", "host"]).contains("no microcontroller"));
    }

    #[test]
    fn every_microcontroller_is_a_target_unless_some_are_named() {
        let all = parse(&[]).expect("a request").targets;
        assert_eq!(all.len(), TARGETS.len() - 1);
        let two = parse(&["--targets", "m4,rv32"]).expect("a request").targets;
        assert_eq!(two.iter().map(|t| t.name).collect::<Vec<_>>(), ["cortex-m4", "rv32"]);
    }
}
