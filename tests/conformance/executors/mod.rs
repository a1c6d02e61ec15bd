//! Whatever can run an integer program, behind one trait.

mod board;
mod host_c;
mod host_rust;
mod interpreter;
mod onnx_runtime;
pub(crate) mod tflm;

use burn_ptq_deploy::export::SelfTest;
use burn_ptq_deploy::place::kernels::chosen;
use burn_ptq_deploy::target::Kernels;

use crate::problems::Problem;

/// How close outputs must be to the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    /// The same bytes.
    Exact,
    /// At most this many integer steps away.
    WithinLsb(u32),
}

/// Runs problems.
pub(crate) trait Executor {
    /// The name in the report.
    fn name(&self) -> &'static str;

    /// How close its outputs are to the reference.
    fn agreement(&self) -> Agreement;

    /// `Err` with what to install if it cannot run here.
    fn available(&self) -> Result<(), String>;

    /// `Err` with the reason if it cannot run `problem`.
    fn supports(&self, problem: &Problem) -> Result<(), String>;

    /// Which third of such problems it runs in a usual test run, if another executor runs the same code
    /// on all of them; `None` for all.
    fn third(&self, _problem: &Problem) -> Option<usize> {
        None
    }

    /// The bytes of all outputs of each problem, one output after the other, 16-bit elements low byte
    /// first.
    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String>;

    /// Lets the exports of the problems prove themselves: a line for each that finds a wrong output or a
    /// wrong operation on the way. `None` if there are no such exports here.
    fn self_tests(&mut self, _problems: &[&Problem]) -> Option<Result<Vec<String>, String>> {
        None
    }
}

/// What the exports of a problem prove themselves on.
fn self_test_of(problem: &Problem) -> Result<SelfTest, String> {
    let samples = problem.input.chunks(problem.program.input_bytes()).map(<[u8]>::to_vec);
    SelfTest::new(&problem.program, &samples.collect::<Vec<_>>()).map_err(|error| error.to_string())
}

/// A self-test of zeros for exports whose outputs the caller compares.
fn no_self_test(problem: &Problem) -> SelfTest {
    let program = &problem.program;
    let sample = (vec![0; program.input_bytes()], vec![0; program.output_bytes()]);
    SelfTest { samples: vec![sample] }
}

/// Whether kernels that only some targets have run some node of a problem.
fn has_own_kernels(problem: &Problem, available: Kernels) -> bool {
    let program = &problem.program;
    program.nodes.iter().any(|node| chosen(program, node, available) != Kernels::Portable)
}

/// The executor that is right by definition.
pub(crate) fn reference() -> impl Executor {
    interpreter::REFERENCE
}

/// All executors that are compared with it.
pub(crate) fn registry() -> Vec<Box<dyn Executor>> {
    let mut executors = running_programs();
    executors.push(tensorflow_lite_micro());
    executors.extend(onnx_runtime());
    executors
}

/// ONNX Runtime, which runs what the exporters `onnx` and `onnx-qoperator` write.
pub(crate) fn onnx_runtime() -> impl Iterator<Item = Box<dyn Executor>> {
    onnx_runtime::BUILDS.into_iter().map(|build| Box::new(build) as Box<dyn Executor>)
}

/// The same on whole programs: what one layer rounds otherwise, the next ones read.
pub(crate) fn onnx_runtime_on_programs() -> impl Iterator<Item = Box<dyn Executor>> {
    let whole = onnx_runtime::BUILDS.into_iter().map(onnx_runtime::OnnxRuntime::on_programs);
    whole.map(|build| Box::new(build) as Box<dyn Executor>)
}

/// TensorFlow Lite Micro, which runs what the exporter `tflite` writes.
pub(crate) fn tensorflow_lite_micro() -> Box<dyn Executor> {
    Box::new(tflm::TensorFlowLiteMicro)
}

/// The executors that run the program itself, streams and all.
pub(crate) fn running_programs() -> Vec<Box<dyn Executor>> {
    let mut executors: Vec<Box<dyn Executor>> =
        vec![Box::new(interpreter::REFERENCE), Box::new(interpreter::FAST)];
    for path in interpreter::slower() {
        executors.push(Box::new(path));
    }
    for build in host_c::BUILDS {
        executors.push(Box::new(build));
    }
    for build in host_rust::BUILDS {
        executors.push(Box::new(build));
    }
    executors.push(Box::new(board::RUST));
    for core in board::CORES {
        executors.push(Box::new(core));
    }
    executors
}

/// The exported C on this machine, stopped by undefined behaviour and by reads and writes out of
/// bounds.
pub(crate) fn sanitized() -> Vec<Box<dyn Executor>> {
    let boxed = |build| Box::new(build) as Box<dyn Executor>;
    host_c::BUILDS.iter().filter(|build| build.is_sanitized()).map(boxed).collect()
}

/// The emulated cores, running what clang makes of the exported C.
pub(crate) fn clang_cores() -> Vec<Box<dyn Executor>> {
    board::CLANG.iter().map(|core| Box::new(core) as Box<dyn Executor>).collect()
}

/// The emulated cores of `targets`, names separated by commas, with exported C and with Rust.
pub(crate) fn cores(targets: &str) -> Vec<Box<dyn Executor>> {
    let both = |target| {
        let c = Box::new(board::core(target)) as Box<dyn Executor>;
        [c, Box::new(board::rust_core(target))]
    };
    targets.split(',').flat_map(both).collect()
}
