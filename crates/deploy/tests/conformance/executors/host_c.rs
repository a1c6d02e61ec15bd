//! The exported C on this machine: every problem's program in one executable, so that hundreds of
//! problems cost three compiler runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use burn_ptq_deploy::export::{C99, ExportFile, SelfTest};
use burn_ptq_deploy::model::{IntModel, TensorId};
use tempfile::TempDir;

/// What the exported C promises to compile under.
const STRICT: &[&str] = &["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"];

/// A compiler and how it is asked to compile.
pub struct HostC {
    /// The name in reports.
    pub name: &'static str,
    compiler: &'static str,
    flags: &'static [&'static str],
}

/// Every build that the exported C is held to.
pub const BUILDS: &[HostC] = &[
    HostC { name: "host C, gcc", compiler: "gcc", flags: &["-O2"] },
    HostC { name: "host C, clang", compiler: "clang", flags: &["-O2"] },
    HostC {
        name: "host C, gcc sanitizers",
        compiler: "gcc",
        flags: &["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    },
];

/// A program and the inputs to run it on.
pub struct Job<'a> {
    pub model: &'a IntModel,
    pub inputs: &'a [Vec<u8>],
}

impl HostC {
    /// Whether the compiler is there.
    pub fn is_available(&self) -> bool {
        let status = Command::new(self.compiler)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    }
}

/// The exported programs of jobs, ready for every build.
pub struct Bundle<'a> {
    jobs: &'a [Job<'a>],
    folder: TempDir,
}

impl<'a> Bundle<'a> {
    /// Exports the programs.
    pub fn new(jobs: &'a [Job<'a>]) -> Self {
        let bundle = Self { jobs, folder: tempfile::tempdir().expect("a folder") };
        let mut driver = Driver::default();
        for (index, job) in jobs.iter().enumerate() {
            let files = render(index, job);
            driver.add(index, job, &files);
            for file in files.iter().filter(|_| index == 0) {
                if let Some(name) = file.path.strip_prefix("runtime/") {
                    bundle.write(name, &file.contents);
                }
            }
        }
        bundle.write("driver.c", driver.finish().as_bytes());
        let inputs: Vec<u8> =
            jobs.iter().flat_map(|job| job.inputs.iter().flatten().copied()).collect();
        bundle.write("inputs", &inputs);
        bundle
    }

    fn write(&self, name: &str, contents: &[u8]) {
        fs::write(self.folder.path().join(name), contents).expect("the folder is writable");
    }

    /// The output bytes of every input of every job, in order.
    pub fn run(&self, build: &HostC) -> Vec<Vec<Vec<u8>>> {
        let output = Command::new(self.compile(build))
            .stdin(File::open(self.folder.path().join("inputs")).expect("the inputs"))
            .output()
            .expect("the executable starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {}\n{stderr}", build.name, output.status);
        split(&output.stdout, self.jobs)
    }

    fn compile(&self, build: &HostC) -> PathBuf {
        let folder = self.folder.path();
        let sources = fs::read_dir(folder)
            .expect("the bundle")
            .map(|entry| entry.expect("readable").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "c"));
        let executable = folder.join("driver");
        let output = Command::new(build.compiler)
            .args(STRICT)
            .args(build.flags)
            .arg("-o")
            .arg(&executable)
            .args(sources)
            .output()
            .expect("the compiler starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{stderr}", build.name);
        executable
    }
}

/// The export of one job, under names that no other job has.
fn render(index: usize, job: &Job) -> Vec<ExportFile> {
    let mut model = job.model.clone();
    model.name = format!("p{index}");
    for (position, node) in model.nodes.iter_mut().enumerate() {
        node.name = format!("p{index}n{position}");
    }
    // The caller compares, so that the embedded self-test is not compiled.
    let sample = |id: TensorId| vec![0; model.tensors[id.0].bytes()];
    let self_test = SelfTest { samples: vec![(sample(model.input), sample(model.output))] };
    C99.render(&model, &self_test).unwrap_or_else(|error| panic!("problem {index}: {error}"))
}

/// One translation unit with every program, a function that streams its samples, and `main`.
#[derive(Default)]
struct Driver {
    programs: String,
    calls: String,
}

impl Driver {
    fn add(&mut self, index: usize, job: &Job, files: &[ExportFile]) {
        let text = |name: String| {
            let file = files.iter().find(|file| file.path == name).expect("an exported file");
            String::from_utf8_lossy(&file.contents).into_owned()
        };
        let header = text(format!("p{index}.h"));
        let include = format!("#include \"p{index}.h\"\n");
        let source = text(format!("p{index}.c")).replace(&include, &header);
        self.programs.push_str(&format!(
            "#define arena arena_{index}
{source}#undef arena
static int run_{index}(void)
{{
    for (int i = 0; i < {samples}; i++) {{
        if (fread(p{index}_input(), 1, P{index}_INPUT_BYTES, stdin) != P{index}_INPUT_BYTES) {{
            return 1;
        }}
        p{index}_run();
        fwrite(p{index}_output(), 1, P{index}_OUTPUT_BYTES, stdout);
    }}
    return 0;
}}
",
            samples = job.inputs.len()
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

fn split(bytes: &[u8], jobs: &[Job]) -> Vec<Vec<Vec<u8>>> {
    let mut rest = bytes;
    let outputs = jobs
        .iter()
        .map(|job| {
            let size = job.model.tensors[job.model.output.0].bytes();
            let mut take = || {
                let (output, tail) = rest.split_at(size);
                rest = tail;
                output.to_vec()
            };
            job.inputs.iter().map(|_| take()).collect()
        })
        .collect();
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    outputs
}
