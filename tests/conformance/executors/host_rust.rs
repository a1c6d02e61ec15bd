//! The exported Rust on this machine: every problem's crate as a module of one program, so that
//! hundreds of problems cost one build.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use burn_ptq_deploy::export::{ExportFile, Exporter, Options, Rust, SelfTest, end_names, target};
use burn_ptq_deploy::program::DType;
use tempfile::TempDir;

use super::host_c::{output_of, split};
use super::{Agreement, Executor, no_self_test, self_test_of};
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
        let executable = build(&folder, &[])?;
        let inputs = File::open(folder.path().join(INPUTS)).map_err(|error| error.to_string())?;
        split(&output_of(Command::new(executable).stdin(inputs))?, problems)
    }

    fn self_tests(&mut self, problems: &[&Problem]) -> Option<Result<Vec<String>, String>> {
        Some(self_tests(self.target, problems))
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

/// Builds the bundle in a folder; warnings are errors.
fn build(folder: &TempDir, features: &[&str]) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(folder.path()).args(["build", "--quiet", "--offline"]).args(features);
    build.env("CARGO_TARGET_DIR", folder.path().join("target")).env("RUSTFLAGS", "-Dwarnings");
    output_of(&mut build)?;
    Ok(folder.path().join("target/debug/bundle"))
}

/// A line for each problem whose crate finds something wrong.
fn self_tests(target_name: &str, problems: &[&Problem]) -> Result<Vec<String>, String> {
    if problems.is_empty() {
        return Ok(Vec::new());
    }
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut main = String::new();
    for (index, problem) in problems.iter().enumerate() {
        let files = render(problem, target_name, &self_test_of(problem)?)?;
        write_module(&folder, index, &files)?;
        main.push_str(&format!("#[allow(dead_code)]\nmod p{index};\n"));
    }
    let names = problems.iter().map(|problem| &problem.name);
    let calls = names.enumerate().map(|(index, name)| {
        format!(
            "    let first = p{index}::self_test::run(&mut Box::new(p{index}::Model::new())).first;\n    \
             if let Some(first) = first {{\n        println!(\"{{}}: {{first:?}}\", {name:?});\n    }}\n"
        )
    });
    main.push_str(&format!("\nfn main() {{\n{}}}\n", calls.collect::<String>()));
    write(&folder, "src/main.rs", main.as_bytes())?;
    write(&folder, "Cargo.toml", MANIFEST.as_bytes())?;
    let executable = build(&folder, &["--features", "self-test"])?;
    let found = output_of(&mut Command::new(executable))?;
    Ok(String::from_utf8_lossy(&found).lines().map(str::to_owned).collect())
}

/// Writes a file of the bundle.
fn write(folder: &TempDir, name: &str, contents: &[u8]) -> Result<(), String> {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("")))
        .and_then(|()| fs::write(path, contents))
        .map_err(|error| error.to_string())
}

/// Writes an export as the module of the problem at an index, and its kernels if it is the first.
fn write_module(folder: &TempDir, index: usize, files: &[ExportFile]) -> Result<(), String> {
    for file in files {
        if file.path == "samples.rs" {
            write(folder, &format!("src/p{index}/samples.rs"), &file.contents)?;
        } else if let Some(name) = file.path.strip_prefix("src/") {
            let name = if name == "lib.rs" { "mod.rs" } else { name };
            let text = String::from_utf8_lossy(&file.contents).replace("#![no_std]\n", "");
            let text = text.replace("\"../samples.rs\"", "\"samples.rs\"");
            write(folder, &format!("src/p{index}/{name}"), text.as_bytes())?;
        } else if index == 0 && file.path.starts_with("kernels/") {
            write(folder, &file.path, &file.contents)?;
        }
    }
    Ok(())
}

/// Writes the kernels, all programs, a `main` that streams their samples, and the inputs.
fn write_bundle(folder: &TempDir, problems: &[&Problem], target_name: &str) -> Result<(), String> {
    let [mut modules, mut functions, mut calls] = [(); 3].map(|()| String::new());
    for (index, problem) in problems.iter().enumerate() {
        let files = render(problem, target_name, &no_self_test(problem))?;
        write_module(folder, index, &files)?;
        modules.push_str(&format!("#[allow(dead_code)]\nmod p{index};\n"));
        functions.push_str(&function(index, problem));
        calls.push_str(&format!("    run_{index}();\n"));
    }
    write(folder, "Cargo.toml", MANIFEST.as_bytes())?;
    let main = format!("{MAIN}\n{modules}\n{functions}\nfn main() {{\n{calls}}}\n");
    write(folder, "src/main.rs", main.as_bytes())?;
    let inputs: Vec<u8> = problems.iter().flat_map(|problem| &problem.input).copied().collect();
    write(folder, INPUTS, &inputs)
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

fn render(
    problem: &Problem,
    target_name: &str,
    self_test: &SelfTest,
) -> Result<Vec<ExportFile>, String> {
    let target = target(target_name).map_err(|error| error.to_string())?;
    let rendered = Rust.render(&problem.program, self_test, &Options::new(target));
    rendered.map(|export| export.files).map_err(|error| format!("{}: {error}", problem.name))
}
