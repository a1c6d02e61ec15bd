//! `cargo xtask results`: what presets and components are worth, as pages of `docs/results`.

mod peers;
mod presets;
mod study;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

/// Quantize the MLPerf Tiny tasks by presets and components and write docs/results.
///
/// The page of the presets has what a single quantization by each gives, with flash and RAM on a Cortex-M4, in
/// some 25 minutes of processor time; those of studies have what a study in studies/ found, which takes
/// hours. Interrupted studies continue. BURN_PTQ_ASSETS names the folder of the tasks.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The pages to write; all if none is named
    #[arg(value_enum)]
    pages: Vec<Page>,
    /// Runs of a study at a time
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Run this command line instead of building one
    #[arg(long)]
    binary: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Page {
    /// docs/results/presets.md
    Presets,
    /// docs/results/preset-study.md
    PresetStudy,
    /// docs/results/components.md
    Components,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let program = built(arguments.binary.as_deref())?.get_program().to_owned();
    let chosen = |page| arguments.pages.is_empty() || arguments.pages.contains(&page);
    if chosen(Page::Presets) {
        let tables = presets::tables(&program)?;
        write("presets.md", &format!("{}{tables}", presets::HEAD))?;
    }
    if chosen(Page::PresetStudy) {
        let found = study::run(&program, "presets", arguments.jobs)?;
        write("preset-study.md", &format!("{PRESET_STUDY}{found}"))?;
    }
    if chosen(Page::Components) {
        let found = study::run(&program, "components", arguments.jobs)?;
        write("components.md", &format!("{COMPONENTS}{found}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

const PRESET_STUDY: &str = "\
# Presets compared

Written by `cargo xtask results preset-study` from `studies/presets.toml`; not edited by hand.

";

const COMPONENTS: &str = "\
# Components, one exchanged at a time

Written by `cargo xtask results components` from `studies/components.toml`; not edited by hand.

Two draws of the calibration samples leave the tests one degree of freedom: even a difference of tens of points
may be called not significant here. `studies/paper.toml` has four.

";

/// The folder of the tasks.
pub(crate) fn assets() -> Result<PathBuf> {
    let folder = std::env::var_os("BURN_PTQ_ASSETS").map(PathBuf::from);
    folder.context("set BURN_PTQ_ASSETS to the folder of the MLPerf Tiny tasks")
}

/// The command line: `binary`, or else a new build.
pub(crate) fn built(binary: Option<&Path>) -> Result<Command> {
    let Some(binary) = binary else {
        build()?;
        return Ok(command_line());
    };
    let path = binary.canonicalize();
    Ok(Command::new(path.with_context(|| format!("no {}", binary.display()))?))
}

/// Builds the command line.
pub(crate) fn build() -> Result<()> {
    let build = ["build", "--release", "--locked", "-p", "burn-ptq-cli"];
    ensure!(crate::cargo().args(build).status()?.success(), "the command line does not build");
    Ok(())
}

/// Where cargo builds.
pub(crate) fn target_folder() -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    folder.unwrap_or_else(|| crate::root().join("target"))
}

/// The command line that [`build`] builds.
pub(crate) fn command_line() -> Command {
    Command::new(target_folder().join("release/burn-ptq"))
}

/// Writes a page of the documentation.
pub(crate) fn write(name: &str, text: &str) -> Result<()> {
    let path = crate::root().join("docs/results").join(name);
    burn_ptq_deploy::output::write_atomically(&path, text.as_bytes())?;
    println!("written to docs/results/{name}");
    Ok(())
}
