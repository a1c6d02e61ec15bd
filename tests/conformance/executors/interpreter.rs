//! The paths of the interpreter.

use burn_ptq_deploy::run::{Instructions, Path, run_sequences};

use super::{Agreement, Executor};
use crate::problems::Problem;

/// One path of the interpreter.
pub(super) struct InterpreterPath {
    name: &'static str,
    path: Path,
}

pub(super) const REFERENCE: InterpreterPath =
    InterpreterPath { name: "reference", path: Path::Reference };
pub(super) const FAST: InterpreterPath = InterpreterPath { name: "fast", path: Path::Fast };

/// The fast path with every set of instructions that this processor has besides the fastest.
pub(super) fn slower() -> impl Iterator<Item = InterpreterPath> {
    let others = Instructions::available().skip(1);
    others.map(|own| InterpreterPath { name: own.name(), path: Path::With(own) })
}

impl Executor for InterpreterPath {
    fn name(&self) -> &'static str {
        self.name
    }

    fn agreement(&self) -> Agreement {
        Agreement::Exact
    }

    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    fn supports(&self, _problem: &Problem) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        let run = |problem: &&Problem| {
            run_sequences(&problem.program, self.path, &problem.input, problem.recordings)
        };
        problems
            .iter()
            .map(|problem| run(problem).map_err(|error| format!("{}: {error}", problem.name)))
            .collect()
    }
}
