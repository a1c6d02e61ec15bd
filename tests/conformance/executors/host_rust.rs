//! The exported Rust on this machine: every problem's crate as a module of one program, so that
//! hundreds of problems cost one build.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use burn_ptq_deploy::export::{ExportFile, Exporter, Options, Rust, SelfTest, end_names, target};
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
        let by_rows = !problem.program.streams().is_empty();
        match self.target == "host" || by_rows || problem.has_weights() {
            true => Ok(()),
            false => Err("the portable kernels run it".into()),
        }
    }

    fn third(&self, problem: &Problem) -> Option<usize> {
        // The interpreter's fast path is the portable kernels, and has every problem.
        (self.target == "host" || !problem.has_weights()).then_some(1)
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

[features]
self-test = []

[profile.dev]
debug = false
incremental = false

[workspace]
exclude = [\"kernels\"]
";

const MAIN: &str = "\
use std::io::{Read, Write, stdin, stdout};

macro_rules! element {
    ($element:ty, $read:ident, $write:ident) => {
        #[allow(dead_code)]
        fn $read<const N: usize>() -> [$element; N] {
            [(); N].map(|()| {
                let mut bytes = <$element>::default().to_le_bytes();
                stdin().read_exact(&mut bytes).expect(\"a sample\");
                <$element>::from_le_bytes(bytes)
            })
        }

        #[allow(dead_code)]
        fn $write(elements: &[$element]) {
            let bytes: Vec<u8> = elements.iter().flat_map(|x| x.to_le_bytes()).collect();
            stdout().write_all(&bytes).expect(\"standard output\");
        }
    };
}

element!(i8, read_i8, write_i8);
element!(i16, read_i16, write_i16);
";

/// Writes the kernels, all programs, a `main` that streams their samples, and the inputs.
fn write_bundle(folder: &TempDir, problems: &[&Problem], target_name: &str) -> Result<(), String> {
    let write = |name: &str, contents: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("")))
            .and_then(|()| fs::write(path, contents))
            .map_err(|error| error.to_string())
    };
    let [mut modules, mut functions, mut calls] = [(); 3].map(|()| String::new());
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
        modules.push_str(&format!("#[allow(dead_code)]\nmod p{index};\n"));
        functions.push_str(&function(index, problem));
        calls.push_str(&format!("    run_{index}();\n"));
    }
    write("Cargo.toml", MANIFEST.as_bytes())?;
    let main = format!("{MAIN}\n{modules}\n{functions}\nfn main() {{\n{calls}}}\n");
    write("src/main.rs", main.as_bytes())?;
    let inputs: Vec<u8> = problems.iter().flat_map(|problem| &problem.input).copied().collect();
    write(INPUTS, &inputs)
}

/// The function that streams the samples of the problem at an index through its program.
fn function(index: usize, problem: &Problem) -> String {
    let (program, samples) = (&problem.program, problem.samples());
    let recording = problem.samples_per_recording();
    let reset = match program.states.is_empty() {
        true => String::new(),
        false => format!(
            "        if _sample % {recording} == 0 {{\n            model.reset();\n        }}\n"
        ),
    };
    let element = |dtype: DType| match dtype {
        DType::I8 | DType::I4 => "i8",
        DType::I16 => "i16",
    };
    let [_, outputs] = end_names(program);
    let inputs = program.input_tensors().map(|tensor| format!("&read_{}()", element(tensor.dtype)));
    let writes = outputs.iter().zip(program.output_tensors()).map(|(name, tensor)| {
        format!("        write_{}(model.{name}());\n", element(tensor.dtype))
    });
    format!(
        "#[inline(never)]
fn run_{index}() {{
    let mut model = Box::new(p{index}::Model::new());
    for _sample in 0..{samples} {{
{reset}        model.infer({});
{}    }}
}}
",
        inputs.collect::<Vec<_>>().join(", "),
        writes.collect::<String>()
    )
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
