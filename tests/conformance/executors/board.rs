//! The exported C on emulated microcontrollers: hundreds of programs in one image.

use std::process::Command;

use burn_ptq_deploy::export;
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_mcu::{RustToolchain, Toolchain};

use super::{Agreement, Executor, has_own_kernels};
use crate::problems::Problem;

/// A core, and how the compiler is asked to compile for it.
pub(crate) struct EmulatedCore {
    name: &'static str,
    target: &'static str,
    flags: &'static str,
    clang: bool,
    /// Its third of what the C compilers of this machine run as a whole.
    third: usize,
}

const fn gcc(
    name: &'static str,
    target: &'static str,
    flags: &'static str,
    third: usize,
) -> EmulatedCore {
    EmulatedCore { name, target, flags, clang: false, third }
}

/// What the programs of one image may take together in flash and RAM; more would not fit the
/// smallest board.
const FLASH_BYTES: usize = 400 << 10;
const RAM_BYTES: usize = 1 << 20;

/// One core for each set of instructions that the kernels may use.
pub(super) const CORES: &[EmulatedCore] = &[
    gcc("C, M0", "cortex-m0", "-Os", 2),
    gcc("C, M3", "cortex-m3", "-O2", 0),
    gcc("C, M4", "cortex-m4", "-O3", 1),
    gcc("C, M55", "cortex-m55", "-O2", 2),
    gcc("C, RISC-V", "rv32", "-O2", 1),
];

/// The kernels of each set of instructions as clang compiles them; clang 14 has no working assembler
/// for RISC-V.
pub(super) const CLANG: &[EmulatedCore] = &[
    EmulatedCore { clang: true, ..gcc("M0, clang", "cortex-m0", "-O2", 0) },
    EmulatedCore { clang: true, ..gcc("M4, clang", "cortex-m4", "-O2", 1) },
    EmulatedCore { clang: true, ..gcc("M55, clang", "cortex-m55", "-O2", 2) },
];

/// Cores with the instructions of another one, which run only where they are asked for.
const FURTHER: &[EmulatedCore] =
    &[gcc("C, M7", "cortex-m7", "-O2", 0), gcc("C, M33", "cortex-m33", "-Os", 1)];

/// The core of a target.
pub(super) fn core(target: &str) -> &'static EmulatedCore {
    let core = CORES.iter().chain(FURTHER).find(|core| core.target == target);
    core.unwrap_or_else(|| panic!("no core of {target}"))
}

/// Problems that fit one image together, group by group.
fn images<'p, 'q>(problems: &'q [&'p Problem]) -> Vec<&'q [&'p Problem]> {
    let mut images = Vec::new();
    let (mut first, mut flash, mut ram) = (0, 0, 0);
    for (index, problem) in problems.iter().enumerate() {
        let size = size_report(&problem.program);
        let weighted = problem.program.nodes.iter().filter_map(|node| node.op.weighted());
        let channels: usize = weighted.map(|weighted| weighted.bias.len()).sum();
        // Filters are padded for some kernels; on top, there is a call, and a row of a table.
        let needed = size.flash_bytes * 5 / 4 + 64 * channels + 400;
        if flash + needed > FLASH_BYTES || ram + size.ram_bytes > RAM_BYTES {
            images.push(&problems[first..index]);
            (first, flash, ram) = (index, 0, 0);
        }
        flash += needed;
        ram += size.ram_bytes;
    }
    images.push(&problems[first..]);
    images.retain(|image| !image.is_empty());
    images
}

impl Executor for &'static EmulatedCore {
    fn name(&self) -> &'static str {
        self.name
    }

    fn agreement(&self) -> Agreement {
        Agreement::Exact
    }

    fn available(&self) -> Result<(), String> {
        let target = export::target(self.target).map_err(|error| error.to_string())?;
        let clang = || Command::new("clang").arg("--version").output().is_ok();
        match burn_ptq_mcu::available(target) && (!self.clang || clang()) {
            true => Ok(()),
            false => {
                Err("no cross compiler, no QEMU or no clang (cargo xtask mcu installs them)".into())
            }
        }
    }

    fn supports(&self, _problem: &Problem) -> Result<(), String> {
        Ok(())
    }

    fn third(&self, problem: &Problem) -> Option<usize> {
        let kernels = export::target(self.target).map_or(Kernels::Portable, |t| t.kernels);
        (!has_own_kernels(problem, kernels)).then_some(self.third)
    }

    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        let target = export::target(self.target).map_err(|error| error.to_string())?;
        let new = if self.clang { Toolchain::with_clang } else { Toolchain::new };
        let mut toolchain = new(target, self.flags).map_err(|error| error.to_string())?;
        let mut outputs = Vec::with_capacity(problems.len());
        for problems in images(problems) {
            let models: Vec<_> = problems.iter().map(|problem| &problem.program).collect();
            let inputs: Vec<_> = problems.iter().map(|problem| problem.input.as_slice()).collect();
            let recordings: Vec<_> = problems.iter().map(|problem| problem.recordings).collect();
            let firmware = toolchain.build(&models);
            let runs = firmware.and_then(|built| built.run_recordings(&inputs, &recordings));
            let runs = runs.map_err(|error| error.to_string())?;
            outputs.extend(runs.into_iter().map(|run| run.outputs));
        }
        Ok(outputs)
    }
}

/// Exported Rust on a core with the DSP extension, whose instructions no other machine has.
pub(crate) struct EmulatedRust {
    name: &'static str,
    target: &'static str,
}

/// The core that runs in every test.
pub(super) const RUST: &EmulatedRust = &EmulatedRust { name: "Rust, M4", target: "cortex-m4" };

/// Cores that run where they are asked for.
const FURTHER_RUST: &[EmulatedRust] = &[
    EmulatedRust { name: "Rust, M0", target: "cortex-m0" },
    EmulatedRust { name: "Rust, M3", target: "cortex-m3" },
    EmulatedRust { name: "Rust, M7", target: "cortex-m7" },
    EmulatedRust { name: "Rust, M33", target: "cortex-m33" },
    EmulatedRust { name: "Rust, M55", target: "cortex-m55" },
    EmulatedRust { name: "Rust, RISC-V", target: "rv32" },
];

/// Exported Rust on the core of a target.
pub(super) fn rust_core(target: &str) -> &'static EmulatedRust {
    let core = [RUST].into_iter().chain(FURTHER_RUST).find(|core| core.target == target);
    core.unwrap_or_else(|| panic!("no core of {target}"))
}

impl Executor for &'static EmulatedRust {
    fn name(&self) -> &'static str {
        self.name
    }

    fn agreement(&self) -> Agreement {
        Agreement::Exact
    }

    fn available(&self) -> Result<(), String> {
        let target = export::target(self.target).map_err(|error| error.to_string())?;
        match burn_ptq_mcu::rust_available(target) {
            true => Ok(()),
            false => Err("no core library (scripts/install-rust-mcu.sh), linker or QEMU".into()),
        }
    }

    fn supports(&self, _problem: &Problem) -> Result<(), String> {
        Ok(())
    }

    fn third(&self, problem: &Problem) -> Option<usize> {
        // The other operations have the code that runs on this machine; a third of them shows that
        // they cannot panic, or the image would not link.
        (!problem.has_weights()).then_some(0)
    }

    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        let target = export::target(self.target).map_err(|error| error.to_string())?;
        let mut toolchain =
            RustToolchain::new(target, "\"s\"").map_err(|error| error.to_string())?;
        let mut outputs = Vec::with_capacity(problems.len());
        for problems in images(problems) {
            let models: Vec<_> = problems.iter().map(|problem| &problem.program).collect();
            let inputs: Vec<_> = problems.iter().map(|problem| problem.input.as_slice()).collect();
            let recordings: Vec<_> = problems.iter().map(|problem| problem.recordings).collect();
            let firmware = toolchain.build(&models);
            let runs = firmware.and_then(|built| built.run_recordings(&inputs, &recordings));
            let runs = runs.map_err(|error| error.to_string())?;
            outputs.extend(runs.into_iter().map(|run| run.outputs));
        }
        Ok(outputs)
    }
}
