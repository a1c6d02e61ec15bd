//! Compiles programs, as the Rust exporter prints them, into a bare-metal image.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn_ptq_deploy::board::{Board, board};
use burn_ptq_deploy::export::{ExportFile, Exporter, Options, Rust, SelfTest, end_names};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::program::DType;
use burn_ptq_deploy::target::Target;
use tempfile::TempDir;

use crate::error::McuError;
use crate::firmware::{Firmware, Shape};
use crate::toolchain::{new_folder, output_of, runs, write};

const DRIVER: &str = include_str!("../rust/driver.rs.in");

const MANIFEST: &str = "\
[package]
name = \"firmware\"
edition = \"2024\"
publish = false

[dependencies]
burn-ptq-kernels = { path = \"kernels\", features = [FEATURES] }

[features]
default = [\"count\"]
count = []
self-test = []

[profile.release]
panic = \"abort\"
opt-level = LEVEL
codegen-units = 1
lto = true

[workspace]
exclude = [\"kernels\"]
";

/// Whether Rust's core library for `target` is installed, with a linker and the emulator.
pub fn rust_available(target: &Target) -> bool {
    let core = own_cargo().is_some() || has_core(target);
    core && runs(target.compiler) && board(target).is_some_and(|board| runs(board.emulator))
}

/// The cargo that compiles for microcontrollers.
pub fn rust_cargo() -> PathBuf {
    own_cargo().unwrap_or_else(|| "cargo".into())
}

/// The cargo that `scripts/install-rust-mcu.sh` unpacks, which compiles the core library.
fn own_cargo() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?.parent()?;
    Some(root.join(".rust-mcu/cargo")).filter(|cargo| cargo.is_file())
}

fn has_core(target: &Target) -> bool {
    let mut command = Command::new("rustc");
    command.args(["--print", "target-libdir", "--target", target.rust]).stdin(Stdio::null());
    let Ok(output) = command.output() else { return false };
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let is_core = |name: String| name.starts_with("libcore-") && name.ends_with(".rlib");
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries.flatten().any(|entry| is_core(entry.file_name().to_string_lossy().into_owned()))
    })
}

/// Cargo with a profile. Keeps what it has compiled of the core library and the kernels.
#[derive(Debug)]
pub struct RustToolchain {
    target: &'static Target,
    board: &'static Board,
    level: &'static str,
    compiled: TempDir,
}

impl RustToolchain {
    /// Compiles for `target` at `level`, such as `3` or `"s"`, as a manifest writes it.
    ///
    /// # Errors
    /// If no board is known for the target.
    pub fn new(target: &'static Target, level: &'static str) -> Result<Self, McuError> {
        let board = board(target).ok_or(McuError::NoBoard { target: target.name })?;
        Ok(Self { target, board, level, compiled: new_folder()? })
    }

    /// One firmware with all of `models`, which must fit the board's memory together. It does not
    /// link if one of them can panic.
    pub fn build(&mut self, models: &[&Placed]) -> Result<Firmware, McuError> {
        let folder = new_folder()?;
        let mut feature = "";
        let (mut modules, mut calls) = (String::new(), String::new());
        let nodes = models.iter().map(|model| model.nodes.len()).max().unwrap_or(0).max(1);
        for (index, model) in models.iter().enumerate() {
            let files = render(model, self.target)?;
            for file in &files {
                self.place(folder.path(), index, nodes, file)?;
                if file.path == "Cargo.toml" && contains(file, "default = [\"dsp\"]") {
                    feature = "\"dsp\"";
                }
            }
            let _ = writeln!(modules, "#[allow(dead_code)]\nmod p{index};");
            let _ = write!(calls, "\n        && {}", call(index, model));
        }
        let driver = DRIVER.replace("@MODULES@", &modules).replace("@CALLS@", &calls);
        write(folder.path(), "src/main.rs", driver.as_bytes())?;
        let manifest = MANIFEST.replace("FEATURES", feature).replace("LEVEL", self.level);
        write(folder.path(), "Cargo.toml", manifest.as_bytes())?;
        self.compile(folder.path())?;
        let shapes = models.iter().map(|model| Shape::of(model)).collect();
        Ok(Firmware::new(folder, self.board, shapes))
    }

    /// Writes a file of an export where the image has it, if it is part of that.
    fn place(
        &self,
        folder: &Path,
        index: usize,
        nodes: usize,
        file: &ExportFile,
    ) -> Result<(), McuError> {
        let text = String::from_utf8_lossy(&file.contents);
        if let Some(name) = file.path.strip_prefix("src/") {
            let name = if name == "lib.rs" { "mod.rs" } else { name };
            let text = text.replace("#![no_std]\n", "");
            return write(folder, &format!("src/p{index}/{name}"), text.as_bytes());
        }
        if index > 0 {
            return Ok(());
        }
        match file.path.strip_prefix("firmware/") {
            Some("src/counter.rs") => {
                let table = format!("const NODES: usize = {nodes};");
                let text = text.replace("use p::NODES;", &table);
                write(folder, "src/counter.rs", text.as_bytes())
            }
            Some("src/main.rs" | "Cargo.toml") => Ok(()),
            Some(name) => write(folder, name, &file.contents),
            None if file.path.starts_with("kernels/") => write(folder, &file.path, &file.contents),
            None => Ok(()),
        }
    }

    fn compile(&self, folder: &Path) -> Result<(), McuError> {
        let mut command = Command::new(rust_cargo());
        command.current_dir(folder).stdin(Stdio::null());
        command.args(["build", "--release", "--quiet", "--offline"]);
        // GNU ld, whose map is read, and which the C compiler brings.
        let linker = self.target.compiler.replace("-gcc", "-ld");
        let mut flags = "\"-Clinker-flavor=ld\", \"-Clink-arg=-Map=firmware.map\"".to_owned();
        if self.target.rust.starts_with("riscv") {
            flags.push_str(", \"-Clink-arg=-melf32lriscv\"");
        }
        let table = format!("target.{}", self.target.rust);
        command.arg("--config").arg(format!("{table}.linker={linker:?}"));
        command.arg("--config").arg(format!("{table}.rustflags=[{flags}]"));
        command.env("CARGO_TARGET_DIR", self.compiled.path()).env_remove("RUSTFLAGS");
        output_of(&mut command)?;
        let built = self.compiled.path().join(self.target.rust).join("release/firmware");
        let kept = folder.join("firmware.elf");
        std::fs::copy(&built, &kept).map(drop).map_err(crate::error::failed("copy", &built))
    }
}

/// The expression that streams samples through the program at an index.
fn call(index: usize, model: &Placed) -> String {
    let [inputs, outputs] = end_names(model);
    let read = inputs.iter().zip(model.input_tensors()).map(|(name, tensor)| match tensor.dtype {
        DType::I8 | DType::I4 => format!("read(files.inputs, bytes_mut(model.{name}()))"),
        DType::I16 => {
            let length = format!("p{index}::{}_LENGTH", name.to_ascii_uppercase());
            format!("read_words!(files.inputs, {length}, |words| model.set_{name}(words))")
        }
    });
    let write = outputs.iter().map(|name| format!("write(files.outputs, bytes(model.{name}()))"));
    let [read, write] =
        [read.collect::<Vec<_>>(), write.collect()].map(|each| each.join("\n            && "));
    let reset = if model.states.is_empty() { "()" } else { "model.reset()" };
    format!("stream!(p{index}, files, |model| {reset}, {read}, {write})")
}

fn contains(file: &ExportFile, text: &str) -> bool {
    String::from_utf8_lossy(&file.contents).contains(text)
}

/// The export of one program.
fn render(placed: &Placed, target: &Target) -> Result<Vec<ExportFile>, McuError> {
    let mut program = placed.clone();
    program.set_name("p");
    // The caller compares: the embedded self-test is not compiled.
    let sample = (vec![0; program.input_bytes()], vec![0; program.output_bytes()]);
    let self_test = SelfTest { samples: vec![sample] };
    Ok(Rust.render(&program, &self_test, &Options::new(target))?.files)
}
