//! The `burn-ptq` command: quantize, evaluate, inspect and export models for microcontrollers.

// Standard streams may be closed or full: `output` prints.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod commands;
mod output;
mod progress;
mod table;

use std::io::ErrorKind;
use std::process::ExitCode;

use args::{Arguments, Command};
use burn_ptq_eval::Error;
use burn_ptq_study::StudyError;
use clap::Parser;
use output::errln;

/// Exit code of user-fixable errors.
const USAGE: u8 = 2;
/// Exit code after Ctrl-C.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(help_or_error) => return explain(&help_or_error),
    };
    progress::handle_interrupts();
    let result = match arguments.command {
        Command::Quantize(args) => commands::quantize::run(args),
        Command::Evaluate(args) => commands::evaluate::run(args),
        Command::Convert(args) => commands::convert::run(args),
        Command::Compare(args) => commands::compare::run(args),
        Command::Fit(args) => commands::fit::run(args),
        Command::Inspect(args) => commands::inspect::run(args),
        Command::Boards(args) => commands::boards::run(args),
        Command::Export(args) => commands::export::run(args),
        Command::Operators => output::print(burn_ptq::import::supported_markdown()),
        Command::Recipe(command) => commands::recipe::run(command),
        Command::Schema { of } => commands::schema::run(of),
        Command::Ablate(args) => commands::ablate::run(args),
        Command::Demo(args) => commands::demo::run(args),
        Command::Completions { shell } => commands::manual::completions(shell),
        Command::Man { out } => commands::manual::man(out.as_deref()),
        Command::Reference(args) => commands::reference::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(Error::Cancelled(_)) = error.downcast_ref() {
                errln!("interrupted; no file was left half-written");
                return ExitCode::from(INTERRUPTED);
            }
            if let Some(StudyError::Cancelled(_)) = error.downcast_ref() {
                errln!(
                    "interrupted; every finished run is kept, and the same command continues the study"
                );
                return ExitCode::from(INTERRUPTED);
            }
            errln!("error: {}", causes(&error));
            ExitCode::from(USAGE)
        }
    }
}

/// An error with its causes. Many errors include their cause: no text is repeated.
fn causes(error: &anyhow::Error) -> String {
    error.chain().map(|cause| cause.to_string()).fold(String::new(), |text, cause| {
        match text.contains(&cause) {
            true => text,
            false if text.is_empty() => cause,
            false => format!("{text}: {cause}"),
        }
    })
}

/// Prints what clap says: help and the version to standard output, errors to standard error.
fn explain(text: &clap::Error) -> ExitCode {
    match text.print() {
        Err(error) if !text.use_stderr() && error.kind() != ErrorKind::BrokenPipe => {
            errln!("error: cannot write to standard output: {error}");
            ExitCode::from(USAGE)
        }
        _ if text.use_stderr() => ExitCode::from(USAGE),
        _ => ExitCode::SUCCESS,
    }
}
