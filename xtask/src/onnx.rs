//! `cargo xtask onnx`: exported `.onnx` files in ONNX Runtime, beside the integer programs.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use burn_ptq_deploy::export::{Exporter, Onnx, OnnxQOperator, SelfTest, onnx_model};
use burn_ptq_deploy::program::{IntOp, IntTensor};
use burn_ptq_deploy::run::{Interpreter, Path as Kernels, tensor_integers};
use burn_ptq_deploy::target::HOST;
use serde_json::{Value, json};

use crate::mcu::programs::{self, Program};
use crate::requirements;

/// Run exported .onnx files on evaluation samples and count the outputs that differ from the integer programs'.
///
/// ONNX Runtime rounds otherwise. Layers are run by themselves, on what the interpreter feeds them: none may be
/// more than a step away. Whole networks are run without and with its optimizations, and where
/// BURN_PTQ_ASSETS holds the task, the metric on its raw data is that of the integer program and that of the
/// file.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Networks as NAME.bptq, with input samples in NAME.inputs, of each the bytes of all inputs one
    /// after the other; by default they are made of the four tasks in BURN_PTQ_ASSETS.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// Samples of each network to run.
    #[arg(long, value_name = "N", default_value = "100000")]
    samples: usize,
    /// Samples of which single layers are run.
    #[arg(long, value_name = "N", default_value = "4")]
    layer_samples: usize,
    /// Leave the exports here.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// The exporters.
const EXPORTERS: [(&dyn Exporter, bool); 2] = [(&Onnx, false), (&OnnxQOperator, true)];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let python = requirements::python().context(
        "no Python with onnxruntime: run scripts/install-oracles.sh, or set BURN_PTQ_PYTHON",
    )?;
    let folder = match &arguments.programs {
        Some(folder) => folder.clone(),
        None if std::env::var_os("BURN_PTQ_ASSETS").is_none() => {
            println!("SKIPPED networks in ONNX Runtime: BURN_PTQ_ASSETS names no folder");
            return Ok(ExitCode::SUCCESS);
        }
        None => programs::make(arguments.samples)?,
    };
    let temporary = tempfile::tempdir().context("no temporary folder")?;
    let out = arguments.out.as_deref().unwrap_or(temporary.path());
    let (mut written, mut far) = (0, 0);
    for program in programs::read(&folder, arguments.samples)? {
        for (exporter, qoperator) in EXPORTERS {
            let name = format!("{} as {}", program.name, exporter.name());
            let dir = out.join(&program.name).join(exporter.name());
            let bytes = match export(exporter, &program, &dir) {
                Ok(bytes) => bytes,
                Err(refusal) => {
                    println!("{name}: REFUSED, {refusal:#}");
                    far += 1;
                    continue;
                }
            };
            println!("{name}: {bytes} bytes of file");
            written += 1;
            for optimized in [false, true] {
                let most =
                    layers(&python, &program, arguments.layer_samples, qoperator, optimized)?;
                far += usize::from(most > 1);
            }
            check(&python, &dir)?;
            metric(&python, &program.name, &dir)?;
        }
    }
    println!("{written} files, {far} with layers more than a step away or refused");
    Ok(if far == 0 && written > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Writes the export, with all samples for its self-test; the bytes of the file.
fn export(exporter: &dyn Exporter, program: &Program, dir: &Path) -> Result<usize> {
    let (input, output) = (program.model.input_bytes(), program.model.output_bytes());
    let inputs = program.inputs.chunks(input).map(<[u8]>::to_vec);
    let outputs = program.expected.chunks(output).map(<[u8]>::to_vec);
    let self_test = SelfTest { samples: inputs.zip(outputs).collect() };
    let exported = exporter.export(&program.model, &self_test, &HOST, dir)?;
    Ok(exported.figures.flash_constant_bytes)
}

/// Prints what `check.py` of an export counts.
fn check(python: &Path, dir: &Path) -> Result<()> {
    let mut command = Command::new(python);
    print(command.arg("check.py").current_dir(dir), "outputs differ")
}

/// Prints the metric of both, if the task of the program is there.
fn metric(python: &Path, name: &str, dir: &Path) -> Result<()> {
    let task = name.split('-').next().unwrap_or(name);
    let assets = std::env::var_os("BURN_PTQ_ASSETS").map(|assets| PathBuf::from(assets).join(task));
    let Some(assets) = assets.filter(|folder| folder.is_dir()) else {
        println!("  SKIPPED the metric: BURN_PTQ_ASSETS holds no task {task}");
        return Ok(());
    };
    let mut command = Command::new(python);
    print(command.arg(oracle("onnx_metric.py")).arg(dir).arg(assets), "raw samples")
}

fn oracle(script: &str) -> PathBuf {
    crate::root().join("tests/oracles").join(script)
}

/// Runs a command and prints its lines with some word.
fn print(command: &mut Command, word: &str) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?} does not start"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(word)).collect();
    ensure!(output.status.success() && !lines.is_empty(), "{command:?} failed: {complaint}");
    lines.iter().for_each(|line| println!("  {line}"));
    Ok(())
}

/// Outputs of layers that differ.
#[derive(Default)]
struct Count {
    layers: usize,
    outputs: usize,
    differing: usize,
    most: u32,
}

/// Runs each layer by itself on what the interpreter feeds it; prints what differs and returns the most steps.
fn layers(
    python: &Path,
    program: &Program,
    samples: usize,
    qoperator: bool,
    optimized: bool,
) -> Result<u32> {
    let model = &program.model;
    let plain = |op: &IntOp| matches!(op, IntOp::Pack | IntOp::Unpack | IntOp::Constant { .. });
    let mut contents = vec![Vec::new(); model.tensors.len()];
    for sample in program.inputs.chunks(model.input_bytes()).take(samples) {
        let mut rest = sample;
        for (input, tensor) in model.inputs.iter().zip(model.input_tensors()) {
            let (own, others) = rest.split_at(tensor.bytes());
            contents[input.tensor.0].extend_from_slice(own);
            rest = others;
        }
        let whole = model.place_again(
            burn_ptq_deploy::target::Kernels::Portable,
            burn_ptq_deploy::place::Memory::Whole,
        )?;
        let mut interpreter = Interpreter::new(&whole, Kernels::Fast);
        interpreter.run_observed(sample, |node, output| {
            contents[model.nodes[node].output.0].extend_from_slice(output);
        })?;
    }
    let mut requests = Vec::new();
    let mut expected = Vec::new();
    for node in model.nodes.iter().filter(|node| !plain(&node.op)) {
        let (alone, ids) = model.alone(node);
        let file = onnx_model(&alone, qoperator)?;
        let inputs = ids.iter().map(|id| {
            let tensor = &model.tensors[id.0];
            let values = tensor_integers(tensor, &contents[id.0]);
            hexadecimal(values.flat_map(|value| tensor.grid.dequantize(value).to_le_bytes()))
        });
        let inputs: Vec<String> = inputs.collect();
        let model = hexadecimal(file);
        requests.push(json!({ "model": model, "samples": [inputs], "optimized": optimized }));
        expected.push(node);
    }
    let answers = answers(python, &requests)?;
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for (node, answer) in expected.into_iter().zip(&answers) {
        let tensor = &model.tensors[node.output.0];
        let found = integers(tensor, answer).with_context(|| node.name.clone())?;
        let count = counts.entry(node.op.name()).or_default();
        count.layers += 1;
        for (expected, found) in tensor_integers(tensor, &contents[node.output.0]).zip(found) {
            count.outputs += 1;
            count.differing += usize::from(expected != found);
            count.most = count.most.max(expected.abs_diff(found));
        }
    }
    let kinds = counts.iter().map(|(kind, count)| {
        let Count { layers, outputs, differing, most } = count;
        format!("{layers} {kind} {differing} of {outputs} by {most}")
    });
    let kinds: Vec<String> = kinds.collect();
    let way = if optimized { "optimized" } else { "plain" };
    println!("  layers, {way}: {}", kinds.join("; "));
    Ok(counts.values().map(|count| count.most).max().unwrap_or(0))
}

fn hexadecimal(bytes: impl IntoIterator<Item = u8>) -> String {
    bytes.into_iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The integers that the floats of an answer stand for.
fn integers(tensor: &IntTensor, answer: &Value) -> Result<Vec<i32>> {
    if let Some(refusal) = answer.get("error") {
        bail!("refused, {refusal}");
    }
    let digits = answer["outputs"][0].as_str().context("an answer without outputs")?;
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2).unwrap_or("?"), 16);
    let bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect::<Result<_, _>>()?;
    let real = |real: &[u8]| real.try_into().map(f32::from_le_bytes).unwrap_or(f32::NAN);
    let grid = tensor.grid;
    Ok(bytes.chunks(4).map(|bytes| grid.quantize(real(bytes))).collect())
}

/// What ONNX Runtime says of each request.
fn answers(python: &Path, requests: &[Value]) -> Result<Vec<Value>> {
    let mut child = Command::new(python)
        .arg(oracle("onnx_runtime.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("Python does not start")?;
    let mut stdin = child.stdin.take().context("stdin is not a pipe")?;
    // The script reads everything before it writes.
    stdin.write_all(&serde_json::to_vec(requests)?)?;
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "onnx_runtime.py failed, {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
