//! Whole programs on every target: bytes, instructions, flash and RAM.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::file;
use burn_ptq_deploy::interpreter::{Path as Kernels, run_batch};
use burn_ptq_deploy::model::IntModel;
use burn_ptq_deploy::target::Target;
use burn_ptq_mcu::{Firmware, Run, Toolchain};

use super::Request;

/// A program with samples and the outputs that the interpreter gives.
struct Program {
    name: String,
    model: IntModel,
    inputs: Vec<u8>,
    expected: Vec<u8>,
}

/// Returns whether every byte was the interpreter's.
pub fn run(request: &Request) -> Result<bool> {
    let folder = request.programs.as_deref().context("--programs DIR is needed")?;
    let programs = programs(folder, request.samples)?;
    let mut text = HEAD.to_string();
    let mut same = true;
    for target in &request.targets {
        writeln!(text, "\n## {}\n\n{COLUMNS}", target.name)?;
        let mut fast = Toolchain::new(target, "-O2")?;
        let mut small = Toolchain::new(target, "-Os")?;
        for program in &programs {
            eprintln!("{} on {} ...", program.name, target.name);
            let firmware = fast.build(&[&program.model])?;
            let run = measure(&firmware, program, target)?;
            let differing = differing(&run, program);
            same &= differing == 0;
            let code_small = small.build(&[&program.model])?.sizes()?.code();
            text.push_str(&row(program, &run, differing, &firmware, code_small)?);
            if request.nodes {
                eprint!("{}", nodes(program, &run));
            }
        }
    }
    print!("{text}");
    if let Some(path) = &request.out {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(same)
}

/// Every `.bptq` of `folder` that has inputs, with at most `samples` of them.
fn programs(folder: &Path, samples: usize) -> Result<Vec<Program>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "bptq"))
        .filter(|path| path.with_extension("inputs").is_file())
        .collect();
    paths.sort();
    ensure!(!paths.is_empty(), "{} holds no NAME.bptq with NAME.inputs", folder.display());
    paths.iter().map(|path| program(path, samples)).collect()
}

fn program(path: &Path, samples: usize) -> Result<Program> {
    let model = file::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let inputs = path.with_extension("inputs");
    let mut inputs =
        fs::read(&inputs).with_context(|| format!("cannot read {}", inputs.display()))?;
    inputs.truncate(samples * model.tensors[model.input.0].bytes());
    let expected = run_batch(&model, Kernels::Fast, &inputs)
        .with_context(|| format!("the inputs of {} do not fit", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Program { name, model, inputs, expected })
}

fn measure(firmware: &Firmware, program: &Program, target: &Target) -> Result<Run> {
    let runs = firmware.run(&[&program.inputs]);
    let runs = runs.with_context(|| format!("{} does not run on {}", program.name, target.name))?;
    runs.into_iter().next().context("one program, one run")
}

fn differing(run: &Run, program: &Program) -> usize {
    run.outputs.iter().zip(&program.expected).filter(|(found, expected)| found != expected).count()
}

fn row(
    program: &Program,
    run: &Run,
    differing: usize,
    firmware: &Firmware,
    code_small: usize,
) -> Result<String> {
    let sizes = firmware.sizes()?;
    let macs: usize = program.model.nodes.iter().map(|node| node.op.macs()).sum();
    Ok(format!(
        "| {} | {} | {differing} of {} | {} | {:.2} | {} | {} | {code_small} | {} | {} | {} |\n",
        program.name,
        run.samples,
        run.outputs.len(),
        run.instructions(),
        run.instructions() as f64 / macs.max(1) as f64,
        sizes.constants,
        sizes.code(),
        sizes.arena,
        sizes.variables,
        run.stack_bytes,
    ))
}

/// The instructions of every node of one inference.
fn nodes(program: &Program, run: &Run) -> String {
    let mut text = String::new();
    for (node, &instructions) in program.model.nodes.iter().zip(&run.node_instructions) {
        let instructions = instructions / run.samples as u64;
        let macs = node.op.macs();
        let each = match macs {
            0 => String::new(),
            _ => format!("{:10.2} a MAC", instructions as f64 / macs as f64),
        };
        let _ = writeln!(text, "{:>30} {:16} {instructions:12} {each}", node.name, node.op.name());
    }
    text
}

const COLUMNS: &str = "\
| program | samples | differing bytes | instructions | per MAC | constants | code -O2 | code -Os | arena | \
variables | stack |\n|---|---|---|---|---|---|---|---|---|---|---|";

const HEAD: &str = "\
# Programs on microcontrollers

Written by `cargo xtask mcu`; not edited by hand.

Outputs compared with the interpreter's, and executed instructions of one inference (not cycles), on
emulated cores at -O2. Bytes of flash: constants (weights, biases, multipliers, tables), and code (kernels
that the program uses, one call a node, library functions); bytes of RAM: arena, variables, stack.
";
