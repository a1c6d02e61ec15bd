//! The exported C on emulated microcontrollers: hundreds of programs in one image.

use burn_ptq_deploy::export;
use burn_ptq_mcu::Toolchain;

use super::{Agreement, Executor};
use crate::problems::Problem;

/// A core, and how the compiler is asked to compile for it.
pub struct EmulatedCore {
    name: &'static str,
    target: &'static str,
    flags: &'static str,
}

/// Problems of one image; more would not fit the smallest flash.
const PROBLEMS: usize = 720;

/// One core for each set of instructions that the kernels may use.
pub const CORES: &[EmulatedCore] = &[
    EmulatedCore { name: "C, M0", target: "cortex-m0", flags: "-Os" },
    EmulatedCore { name: "C, M3", target: "cortex-m3", flags: "-O2" },
    EmulatedCore { name: "C, M4", target: "cortex-m4", flags: "-O3" },
    EmulatedCore { name: "C, M55", target: "cortex-m55", flags: "-O2" },
    EmulatedCore { name: "C, RISC-V", target: "rv32", flags: "-O2" },
];

impl Executor for &'static EmulatedCore {
    fn name(&self) -> &'static str {
        self.name
    }

    fn agreement(&self) -> Agreement {
        Agreement::Exact
    }

    fn available(&self) -> Result<(), String> {
        let target = export::target(self.target).map_err(|error| error.to_string())?;
        match burn_ptq_mcu::available(target) {
            true => Ok(()),
            false => Err("no cross compiler or no QEMU (cargo xtask mcu installs them)".into()),
        }
    }

    fn supports(&self, _problem: &Problem) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        let target = export::target(self.target).map_err(|error| error.to_string())?;
        let mut toolchain =
            Toolchain::new(target, self.flags).map_err(|error| error.to_string())?;
        let mut outputs = Vec::with_capacity(problems.len());
        for problems in problems.chunks(PROBLEMS) {
            let models: Vec<_> = problems.iter().map(|problem| &problem.model).collect();
            let inputs: Vec<_> = problems.iter().map(|problem| problem.input.as_slice()).collect();
            let runs = toolchain.build(&models).and_then(|firmware| firmware.run(&inputs));
            let runs = runs.map_err(|error| error.to_string())?;
            outputs.extend(runs.into_iter().map(|run| run.outputs));
        }
        Ok(outputs)
    }
}
