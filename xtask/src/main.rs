//! Developer commands: `cargo xtask`.

#![allow(clippy::print_stdout, reason = "a command prints")]

mod backends;
mod bench;
mod compare;
mod docs;
mod mcu;
mod mlperf_tiny;
mod msrv;
mod onnx;
mod outcome;
mod packages;
mod picture;
mod random_graphs;
mod requirements;
mod results;
mod test;
mod tflite;
#[cfg(test)]
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};

/// Developer commands of burn-ptq.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Developer,
}

/// The developer commands, one file each.
#[derive(Debug, Subcommand)]
enum Developer {
    Test(test::Arguments),
    Docs(docs::Arguments),
    Packages(packages::Arguments),
    Compare(compare::Arguments),
    Bench(bench::Arguments),
    Backends(backends::Arguments),
    Mcu(mcu::Arguments),
    MlperfTiny(mlperf_tiny::Arguments),
    RandomGraphs(random_graphs::Arguments),
    Msrv(msrv::Arguments),
    Onnx(onnx::Arguments),
    Picture(picture::Arguments),
    Results(results::Arguments),
    Tflite(tflite::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Developer::Test(arguments) => test::run(&arguments),
        Developer::Docs(arguments) => docs::run(&arguments),
        Developer::Packages(arguments) => packages::run(&arguments),
        Developer::Compare(arguments) => compare::run(&arguments),
        Developer::Bench(arguments) => bench::run(&arguments),
        Developer::Backends(arguments) => backends::run(&arguments),
        Developer::Mcu(arguments) => mcu::run(&arguments),
        Developer::MlperfTiny(arguments) => mlperf_tiny::run(&arguments),
        Developer::RandomGraphs(arguments) => random_graphs::run(&arguments),
        Developer::Msrv(arguments) => msrv::run(&arguments),
        Developer::Onnx(arguments) => onnx::run(&arguments),
        Developer::Picture(arguments) => picture::run(&arguments),
        Developer::Results(arguments) => results::run(&arguments),
        Developer::Tflite(arguments) => tflite::run(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the root").to_path_buf()
}

/// The cargo that runs this command, in the root of the repository.
fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent_and_every_command_is_described() {
        let command = Arguments::command();
        command.clone().debug_assert();
        for subcommand in command.get_subcommands() {
            assert!(subcommand.get_about().is_some(), "{} has no help", subcommand.get_name());
        }
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_nearest_one() {
        let error = Arguments::try_parse_from(["xtask", "tset"]).expect_err("there is none");
        assert!(error.to_string().contains("'test'"), "{error}");
    }
}
