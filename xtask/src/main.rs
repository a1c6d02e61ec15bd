//! Developer commands: `cargo xtask`.

mod bench;
mod components;
mod mcu;
mod outcome;
mod random_graphs;
mod requirements;
mod results;
mod test;
#[cfg(test)]
mod tidy;
mod wgpu;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

/// One developer command.
struct Subcommand {
    name: &'static str,
    help: &'static str,
    /// Runs it with the arguments after its name; the code is the process's.
    run: fn(&[String]) -> Result<ExitCode>,
}

const COMMANDS: &[Subcommand] = &[
    Subcommand { name: "test", help: test::HELP, run: test::run },
    Subcommand { name: "bench", help: bench::HELP, run: bench::run },
    Subcommand { name: "results", help: results::HELP, run: results::run },
    Subcommand { name: "wgpu", help: wgpu::HELP, run: wgpu::run },
    Subcommand { name: "mcu", help: mcu::HELP, run: mcu::run },
    Subcommand { name: "random-graphs", help: random_graphs::HELP, run: random_graphs::run },
    Subcommand { name: "components", help: components::HELP, run: components::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        None => {
            print!("{}", help());
            return ExitCode::SUCCESS;
        }
        Some((name, rest)) => dispatch(name, rest),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn dispatch(name: &str, rest: &[String]) -> Result<ExitCode> {
    if matches!(name, "help" | "-h" | "--help") {
        print!("{}", help());
        return Ok(ExitCode::SUCCESS);
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(rest),
        None => bail!("no command {name:?}\n\n{}", help()),
    }
}

fn help() -> String {
    let mut text = String::from("Developer commands of burn-ptq.\n\n");
    for command in COMMANDS {
        text.push_str(&format!("cargo xtask {}\n", command.name));
        for line in command.help.lines() {
            text.push_str(&format!("    {line}\n"));
        }
        text.push('\n');
    }
    text
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
    use super::*;

    #[test]
    fn help_names_every_command() {
        for command in COMMANDS {
            assert!(help().contains(&format!("cargo xtask {}", command.name)));
        }
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_known_ones() {
        let error = dispatch("tset", &[]).expect_err("there is none").to_string();
        assert!(
            error.contains("no command \"tset\"") && error.contains("cargo xtask test"),
            "{error}"
        );
    }
}
