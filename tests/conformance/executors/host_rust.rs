//! The exported Rust on this machine: every problem's crate as a module of one program, so that
//! hundreds of problems cost one build.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use burn_ptq_deploy::export::{ExportFile, Exporter, Options, Rust, SelfTest, target};
use burn_ptq_deploy::program::DType;
use tempfile::TempDir;

use super::host_c::{output_of, split};
use super::{Agreement, Executor};
use crate::problems::Problem;

/// A target whose kernels run on this machine, in portable form; arithmetic that overflows panics.
pub(crate) struct HostRust {
    name: &'static str,
    target: &'static str,
}

/// Both sets of kernels.
pub(super) const BUILDS: &[HostRust] = &[
    HostRust { name: "Rust", target: "host" },
    HostRust { name: "Rust, DSP", target: "cortex-m4" },
];

impl Executor for &'static HostRust {
    fn name(&self) -> &'static str {
        self.name
    }

    fn agreement(&self) -> Agreement {
        Agreement::Exact
    }

    fn available(&self) -> Result<(), String> {
        Ok(())
    }

    fn supports(&self, problem: &Problem) -> Result<(), String> {
        match self.target == "host" || problem.op().weighted().is_some() {
            true => Ok(()),
            false => Err("the portable kernels run it".into()),
        }
    }

    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        if problems.is_empty() {
            return Ok(Vec::new());
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        write_bundle(&folder, problems, self.target)?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.current_dir(folder.path()).args(["build", "--quiet", "--offline"]);
        build.env("CARGO_TARGET_DIR", folder.path().join("target")).env("RUSTFLAGS", "-Dwarnings");
        output_of(&mut build)?;
        let inputs = File::open(folder.path().join(INPUTS)).map_err(|error| error.to_string())?;
        let executable = folder.path().join("target/debug/bundle");
        split(&output_of(Command::new(executable).stdin(inputs))?, problems)
    }
}

/// The file of all inputs, back to back.
const INPUTS: &str = "inputs";

const MANIFEST: &str = "\
[package]
name = \"bundle\"
edition = \"2024\"
publish = false

[dependencies]
burn-ptq-kernels = { path = \"kernels\" }

[profile.dev]
debug = false
incremental = false

[workspace]
exclude = [\"kernels\"]
";

const MAIN: &str = "\
use std::io::{Read, Write, stdin, stdout};

macro_rules! run {
    ($program:ident, $input:ty) => {{
        #[inline(never)]
        fn run() {
            let mut bytes = [0; $program::INPUT_BYTES];
            stdin().read_exact(&mut bytes).expect(\"a sample\");
            let mut input = [0; $program::INPUT_LENGTH];
            for (place, bytes) in input.iter_mut().zip(bytes.as_chunks().0) {
                *place = <$input>::from_le_bytes(*bytes);
            }
            let mut model = Box::new($program::Model::new());
            let output = model.infer(&input).iter().flat_map(|x| x.to_le_bytes());
            stdout().write_all(&output.collect::<Vec<u8>>()).expect(\"standard output\");
        }
        run();
    }};
}
";

/// Writes the kernels, all programs, a `main` that streams their samples, and the inputs.
fn write_bundle(folder: &TempDir, problems: &[&Problem], target_name: &str) -> Result<(), String> {
    let write = |name: &str, contents: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))
            .and_then(|()| fs::write(path, contents))
            .map_err(|error| error.to_string())
    };
    let (mut modules, mut calls) = (String::new(), String::new());
    for (index, problem) in problems.iter().enumerate() {
        let files = render(problem, target_name)?;
        for file in &files {
            if let Some(name) = file.path.strip_prefix("src/") {
                let name = if name == "lib.rs" { "mod.rs" } else { name };
                let text = String::from_utf8_lossy(&file.contents).replace("#![no_std]\n", "");
                write(&format!("src/p{index}/{name}"), text.as_bytes())?;
            } else if index == 0 && file.path.starts_with("kernels/") {
                write(&file.path, &file.contents)?;
            }
        }
        let input = match problem.program.tensors[problem.program.inputs[0].tensor.0].dtype {
            DType::I8 | DType::I4 => "i8",
            DType::I16 => "i16",
        };
        modules.push_str(&format!("#[allow(dead_code)]\nmod p{index};\n"));
        calls.push_str(&format!("    run!(p{index}, {input});\n"));
    }
    write("Cargo.toml", MANIFEST.as_bytes())?;
    write("src/main.rs", format!("{MAIN}\n{modules}\nfn main() {{\n{calls}}}\n").as_bytes())?;
    let inputs: Vec<u8> = problems.iter().flat_map(|problem| &problem.input).copied().collect();
    write(INPUTS, &inputs)
}

fn render(problem: &Problem, target_name: &str) -> Result<Vec<ExportFile>, String> {
    let program = &problem.program;
    // The caller compares, so that the embedded self-test is not compiled.
    let sample = (vec![0; program.input_bytes()], vec![0; program.output_bytes()]);
    let self_test = SelfTest { samples: vec![sample] };
    let target = target(target_name).map_err(|error| error.to_string())?;
    let rendered = Rust.render(program, &self_test, &Options::new(target));
    rendered.map(|export| export.files).map_err(|error| format!("{}: {error}", problem.name))
}
