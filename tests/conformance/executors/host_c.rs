//! The exported C on this machine: every problem's program in one executable, so that hundreds of
//! problems cost few compiler runs.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};

use burn_ptq_deploy::export::{C99, ExportFile, Exporter, Options, SelfTest, end_names, target};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::target::Kernels;
use tempfile::TempDir;

use super::{Agreement, Executor, has_own_kernels, no_self_test, self_test_of};
use crate::problems::Problem;

/// What the exported C promises to compile under.
const STRICT: &[&str] = &["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"];

/// Where the intrinsics of the vector extension stand in portable C.
const EMULATED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/emulated");

/// A compiler and how it is asked to compile.
pub(crate) struct HostC {
    name: &'static str,
    compiler: &'static str,
    /// Whose kernels are compiled; they have portable forms.
    target: &'static str,
    flags: &'static [&'static str],
    /// How much it optimizes what is generated: tables and calls, which take the compiler longer than the
    /// runtime and which other builds optimize.
    generated: &'static str,
    /// Its third of what another build runs as a whole.
    third: Option<usize>,
}

/// Every build that the exported C is held to.
pub(super) const BUILDS: &[HostC] = &[
    HostC {
        name: "C, gcc",
        compiler: "gcc",
        target: "host",
        flags: &["-O2"],
        generated: "-O1",
        third: None,
    },
    HostC {
        name: "C, clang",
        compiler: "clang",
        target: "host",
        flags: &["-O2"],
        generated: "-O2",
        third: Some(0),
    },
    HostC {
        name: "C, sanitizers",
        compiler: "gcc",
        target: "host",
        flags: &["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        generated: "-O0",
        third: Some(1),
    },
    HostC {
        name: "C, DSP",
        compiler: "clang",
        target: "cortex-m4",
        flags: &["-O2"],
        generated: "-O0",
        third: Some(2),
    },
    HostC {
        name: "C, scalar",
        compiler: "clang",
        target: "cortex-m3",
        flags: &["-O2"],
        generated: "-O0",
        third: Some(1),
    },
    HostC {
        name: "C, scalar, san.",
        compiler: "gcc",
        target: "cortex-m3",
        flags: &["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        generated: "-O0",
        third: Some(2),
    },
    HostC {
        name: "C, DSP, san.",
        compiler: "gcc",
        target: "cortex-m4",
        flags: &["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
        generated: "-O0",
        third: Some(0),
    },
    HostC {
        name: "C, MVE",
        compiler: "clang",
        target: "cortex-m55",
        flags: &["-O2", "-isystem", EMULATED],
        generated: "-O0",
        third: Some(1),
    },
    HostC {
        name: "C, MVE, san.",
        compiler: "gcc",
        target: "cortex-m55",
        flags: &[
            "-O1",
            "-g",
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            // Each intrinsic is a loop: ten times as long to compile where they are inlined.
            "-fno-inline",
            "-isystem",
            EMULATED,
        ],
        generated: "-O0",
        third: Some(0),
    },
];

impl Executor for &'static HostC {
    fn name(&self) -> &'static str {
        self.name
    }

    fn agreement(&self) -> Agreement {
        Agreement::Exact
    }

    fn available(&self) -> Result<(), String> {
        let status = Command::new(self.compiler)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => Ok(()),
            _ => Err("not installed (Debian: apt install gcc clang)".into()),
        }
    }

    fn supports(&self, _problem: &Problem) -> Result<(), String> {
        Ok(())
    }

    fn third(&self, problem: &Problem) -> Option<usize> {
        // Sanitizers, which take the longest, never run what another build has as a whole.
        let kernels = target(self.target).map_or(Kernels::Portable, |target| target.kernels);
        self.third.filter(|_| self.is_sanitized() || !has_own_kernels(problem, kernels))
    }

    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        let folder = new_folder()?;
        let runtime = write_bundle(folder.path(), problems, self.target)?;
        let runtime = self.runtime(&runtime)?;
        let executable = self.link(folder.path(), &runtime, 0)?;
        let inputs = File::open(folder.path().join(INPUTS)).map_err(|error| error.to_string())?;
        let output = output_of(Command::new(executable).stdin(inputs))?;
        split(&output, problems)
    }

    fn self_tests(&mut self, problems: &[&Problem]) -> Option<Result<Vec<String>, String>> {
        Some(self.run_self_tests(problems))
    }
}

/// The file of all inputs, back to back.
const INPUTS: &str = "inputs";

impl HostC {
    pub(crate) fn is_sanitized(&self) -> bool {
        self.flags.iter().any(|flag| flag.starts_with("-fsanitize"))
    }

    /// The folder with the objects of the runtime, which all tests of a process share.
    fn runtime(&self, files: &[ExportFile]) -> Result<PathBuf, String> {
        // Locked while it compiles: tests run at the same time.
        let mut compiled = RUNTIMES.lock().map_err(|error| error.to_string())?;
        if let Some(folder) = compiled.get(self.name) {
            return Ok(folder.clone());
        }
        let folder = shared_folder()?.join(compiled.len().to_string());
        fs::create_dir(&folder).map_err(|error| error.to_string())?;
        let mut command = self.command(&folder);
        command.arg("-c");
        for file in files {
            if let Some(name) = file.path.strip_prefix("runtime/") {
                write(&folder, name, &file.contents)?;
                command.args(name.ends_with(".c").then_some(name));
            }
        }
        output_of(&mut command)?;
        compiled.insert(self.name, folder.clone());
        Ok(folder)
    }

    /// A line for each problem whose export finds something wrong.
    fn run_self_tests(&self, problems: &[&Problem]) -> Result<Vec<String>, String> {
        let folder = new_folder()?;
        let (mut declared, mut calls) = (String::new(), String::new());
        let mut files = Vec::new();
        for (index, problem) in problems.iter().enumerate() {
            files = render(index, problem, self.target, &self_test_of(problem)?)?;
            // Each has tables and functions of the same names, which no other file may see.
            let own = folder.path().join(index.to_string());
            fs::create_dir(&own).map_err(|error| error.to_string())?;
            for file in files.iter().filter(|file| !file.path.contains('/')) {
                write(&own, &file.path, &file.contents)?;
            }
            declared.push_str(&format!("#include \"{index}/self_test.h\"\n"));
            calls.push_str(&format!(
                "    const p{index}_self_test_result r{index} = p{index}_self_test();
    if (r{index}.sample < r{index}.samples) {{
        printf(\"%s: sample %lu, operation %ld\\n\", {:?}, (unsigned long)r{index}.sample,
               (long)r{index}.node);
    }}
",
                problem.name
            ));
        }
        let runtime = self.runtime(&files)?;
        for index in 0..problems.len() {
            let hook = format!("-DP{index}_NODE_HOOK=p{index}_self_test_node");
            let mut compile = self.command(&folder.path().join(index.to_string()));
            compile.arg("-I").arg(&runtime).args([self.generated, &hook, "-r", "-nostdlib", "-o"]);
            compile.args(["object.o", "self_test.c", &format!("p{index}.c")]);
            output_of(&mut compile)?;
        }
        let main = format!(
            "#include <stdio.h>\n{declared}\nint main(void)\n{{\n{calls}    return 0;\n}}\n"
        );
        write(folder.path(), "driver.c", main.as_bytes())?;
        let executable = self.link(folder.path(), &runtime, problems.len())?;
        let found = output_of(&mut Command::new(executable))?;
        Ok(String::from_utf8_lossy(&found).lines().map(str::to_owned).collect())
    }

    /// Compiles the driver in `folder` and links it with the objects in `runtime`, and with those in
    /// so many folders within its own.
    fn link(&self, folder: &Path, runtime: &Path, parts: usize) -> Result<PathBuf, String> {
        let entries = fs::read_dir(runtime).map_err(|error| error.to_string())?;
        let paths = entries.flatten().map(|entry| entry.path());
        let objects = paths.filter(|path| path.extension().is_some_and(|end| end == "o"));
        let mut command = self.command(folder);
        command
            .arg("-I")
            .arg(runtime)
            .args([self.generated, "-o", "driver", "driver.c"])
            .args((0..parts).map(|part| format!("{part}/object.o")))
            .args(objects);
        output_of(&mut command)?;
        Ok(folder.join("driver"))
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(self.compiler);
        command.current_dir(folder).args(STRICT).args(self.flags);
        command
    }
}

/// The folders of compiled runtimes, by the names of their builds.
static RUNTIMES: LazyLock<Mutex<HashMap<&'static str, PathBuf>>> = LazyLock::new(Mutex::default);

/// A folder of this process in cargo's folder for tests; those of processes that have ended go, because
/// none can remove its own when all tests are done.
fn shared_folder() -> Result<PathBuf, String> {
    let shared = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtimes");
    let own = shared.join(std::process::id().to_string());
    fs::create_dir_all(&own).map_err(|error| error.to_string())?;
    for entry in fs::read_dir(&shared).map_err(|error| error.to_string())?.flatten() {
        let process = Path::new("/proc").join(entry.file_name());
        if Path::new("/proc/self").exists() && !process.exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(own)
}

fn new_folder() -> Result<TempDir, String> {
    tempfile::tempdir().map_err(|error| error.to_string())
}

fn write(folder: &Path, name: &str, contents: &[u8]) -> Result<(), String> {
    fs::write(folder.join(name), contents).map_err(|error| error.to_string())
}

/// The standard output of a command that succeeds.
pub(super) fn output_of(command: &mut Command) -> Result<Vec<u8>, String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// Writes a driver with all programs, and the inputs; returns files among which the runtime is.
fn write_bundle(
    folder: &Path,
    problems: &[&Problem],
    target_name: &str,
) -> Result<Vec<ExportFile>, String> {
    let mut driver = Driver::default();
    let mut first = None;
    for (index, problem) in problems.iter().enumerate() {
        let files = render(index, problem, target_name, &no_self_test(problem))?;
        driver.add(index, problem, &files);
        first.get_or_insert(files);
    }
    write(folder, "driver.c", driver.finish().as_bytes())?;
    let inputs: Vec<u8> = problems.iter().flat_map(|problem| &problem.input).copied().collect();
    write(folder, INPUTS, &inputs)?;
    Ok(first.unwrap_or_default())
}

/// The export of one problem, under names that no other problem has.
fn render(
    index: usize,
    problem: &Problem,
    target_name: &str,
    self_test: &SelfTest,
) -> Result<Vec<ExportFile>, String> {
    let (mut program, placement) = problem.program.clone().into_parts();
    program.name = format!("p{index}");
    for (position, node) in program.nodes.iter_mut().enumerate() {
        node.name = format!("p{index}n{position}");
    }
    let program = Placed::new(program, placement, problem.program.kernels());
    let program = program.map_err(|error| format!("{}: {error}", problem.name))?;
    let target = target(target_name).map_err(|error| error.to_string())?;
    let rendered = C99.render(&program, self_test, &Options::new(target));
    rendered.map(|export| export.files).map_err(|error| format!("{}: {error}", problem.name))
}

/// One translation unit with every program, a function that streams its samples through, and `main`.
#[derive(Default)]
struct Driver {
    programs: String,
    calls: String,
}

impl Driver {
    fn add(&mut self, index: usize, problem: &Problem, files: &[ExportFile]) {
        let (program, samples) = (&problem.program, problem.samples());
        let recording = problem.samples_per_recording();
        let text = |name: String| {
            let file = files.iter().find(|file| file.path == name).expect("an exported file");
            String::from_utf8_lossy(&file.contents).into_owned()
        };
        let header = text(format!("p{index}.h"));
        let include = format!("#include \"p{index}.h\"\n");
        let source = text(format!("p{index}.c")).replace(&include, &header);
        let moves = |function: &str, names: &[String], stream: &str| -> String {
            let each = names.iter().map(|name| {
                let bytes = format!("P{index}_{}_BYTES", name.to_ascii_uppercase());
                format!(
                    "        failed |= {function}(p{index}_{name}(), 1, {bytes}, {stream}) != {bytes};\n"
                )
            });
            each.collect()
        };
        let [inputs, outputs] = end_names(program);
        let reset = match program.states.is_empty() {
            true => String::new(),
            false => format!(
                "        if (sample % {recording} == 0) {{\n            p{index}_reset();\n        }}\n"
            ),
        };
        self.programs.push_str(&format!(
            "{source}static int run_{index}(void)
{{
    int failed = 0;
    for (int sample = 0; sample < {samples}; sample++) {{
{reset}{}        p{index}_run();
{}    }}
    return failed;
}}
",
            moves("fread", &inputs, "stdin"),
            moves("fwrite", &outputs, "stdout")
        ));
        self.calls.push_str(&format!("    failed |= run_{index}();\n"));
    }

    fn finish(self) -> String {
        format!(
            "#include <stdio.h>
{}
int main(void)
{{
    int failed = 0;
{}    return failed | (fflush(stdout) != 0);
}}
",
            self.programs, self.calls
        )
    }
}

/// The outputs of `problems` that stand back to back in `bytes`.
pub(super) fn split(bytes: &[u8], problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
    let mut rest = bytes;
    let mut outputs = Vec::with_capacity(problems.len());
    for problem in problems {
        let size = problem.samples() * problem.program.output_bytes();
        let (output, tail) = rest.split_at_checked(size).ok_or("too few output bytes")?;
        outputs.push(output.to_vec());
        rest = tail;
    }
    if rest.is_empty() { Ok(outputs) } else { Err(format!("{} bytes too many", rest.len())) }
}
