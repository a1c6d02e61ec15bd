//! The `burn-ptq` command: quantize, evaluate, inspect and export models for microcontrollers.

mod args;
mod commands;
mod progress;
mod table;

use std::process::ExitCode;

use burn_ptq::pipeline::PipelineError;
use burn_ptq::study::StudyError;
use clap::Parser;

use args::{Arguments, Command};

/// Exit code of errors that the user can mend.
const USAGE: u8 = 2;
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    progress::handle_interrupts();
    let result = match arguments.command {
        Command::Quantize(args) => commands::quantize::run(args),
        Command::Evaluate(args) => commands::evaluate::run(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Recipe(command) => commands::recipe::run(command),
        Command::Ablate(args) => commands::ablate::run(args),
        Command::Demo(args) => commands::demo::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(PipelineError::Cancelled) = error.downcast_ref() {
                eprintln!("interrupted; nothing was left half-written");
                return ExitCode::from(INTERRUPTED);
            }
            if let Some(StudyError::Cancelled) = error.downcast_ref() {
                eprintln!("interrupted; every finished run is kept, the same command goes on");
                return ExitCode::from(INTERRUPTED);
            }
            eprintln!("error: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}
