//! Whole programs on every target: bytes, instructions, flash and RAM.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::size::ram_bytes;
use burn_ptq_deploy::target::Target;
use burn_ptq_mcu::{Estimate, Run, Sizes, Toolchain, estimates_cycles};

use super::document::{self, Part};
use super::programs::{self, Program};
use super::{Request, cycles};

/// Bytes of flash that the program `ic-w4a8` may take, with all its code.
const FLASH_LIMIT: usize = 64 << 10;

/// Bytes of its kernels on a Cortex-M4.
const KERNELS_LIMIT: usize = 16 << 10;

/// What one program took on one target.
struct Measured {
    target: &'static Target,
    /// What ran: the program with as little memory as it can do with.
    model: Placed,
    /// RAM of the program that runs one layer after the other.
    whole_ram: usize,
    run: Run,
    /// Instructions of one inference of the program that runs one layer after the other, if that differs.
    whole: Option<u64>,
    /// Of one sample.
    estimate: Option<Estimate>,
    differing: usize,
    /// At -O2, by which it ran.
    fast: Sizes,
    /// At -Os.
    small: Sizes,
}

/// Returns whether every byte was the interpreter's and every goal was met.
pub(super) fn run(request: &Request) -> Result<bool> {
    let folder = match &request.programs {
        Some(folder) => folder.clone(),
        None => programs::make(request.samples)?,
    };
    let programs = programs::read(&folder, request.samples)?;
    let mut all: Vec<Vec<Measured>> = programs.iter().map(|_| Vec::new()).collect();
    for target in &request.targets {
        let mut fast = Toolchain::new(target, "-O2")?;
        let mut small = Toolchain::new(target, "-Os")?;
        for (program, measured) in programs.iter().zip(&mut all) {
            eprintln!("{} on {} ...", program.name, target.name);
            measured.push(measure(&mut fast, &mut small, program, target)?);
            if let (true, Some(last)) = (request.nodes, measured.last()) {
                eprint!("{}", nodes(&last.model, &last.run));
            }
        }
    }
    let measured: Vec<(&Program, &[Measured])> =
        programs.iter().zip(all.iter().map(Vec::as_slice)).collect();
    let differing = all.iter().flatten().map(|measured| measured.differing).sum::<usize>();
    let bytes = all.iter().flatten().map(|measured| measured.run.outputs.len()).sum::<usize>();
    let samples = all.iter().flatten().map(|measured| measured.run.samples).max().unwrap_or(0);
    let are_the_tasks = programs::are_the_tasks(&programs);
    let tasks = if are_the_tasks { TASKS } else { "" };
    let mut text = format!("{tasks}{HEAD}\n{}", document::tools(&request.targets));
    writeln!(
        text,
        "\n{samples} samples of each program on each core: {differing} of {bytes} output bytes \
         differ from the interpreter's."
    )?;
    instructions(&mut text, request, &measured)?;
    forms(&mut text, &measured)?;
    cycles(&mut text, request, &measured)?;
    let missed = goals(&mut text, &measured)?;
    for (column, target) in request.targets.iter().enumerate() {
        sizes(&mut text, target, column, &measured)?;
    }
    print!("{text}");
    if differing == 0 && (request.out.is_some() || are_the_tasks) {
        document::write(request, Part::Networks, &text)?;
    }
    Ok(differing == 0 && missed == 0)
}

fn measure(
    fast: &mut Toolchain,
    small: &mut Toolchain,
    program: &Program,
    target: &'static Target,
) -> Result<Measured> {
    let whole = program.model.place_again(target.kernels, Memory::Whole)?;
    let model = program.model.place_again(target.kernels, Memory::Reduced)?;
    let firmware = fast.build(&[&model])?;
    let runs = firmware.run(&[&program.inputs]);
    let runs = runs.with_context(|| format!("{} does not run on {}", program.name, target.name))?;
    let run = runs.into_iter().next().context("one program, one run")?;
    let sample = &program.inputs[..program.model.input_bytes().min(program.inputs.len())];
    let estimate =
        estimates_cycles(target).then(|| firmware.estimate(target, &[sample])).transpose()?;
    let (mut whole_run, mut differing) = (None, differing(&run, program));
    if whole.streams().len() < model.streams().len() {
        let runs = fast.build(&[&whole])?.run(&[&program.inputs])?;
        let run = runs.into_iter().next().context("one program, one run")?;
        differing += self::differing(&run, program);
        whole_run = Some(run.instructions());
    }
    Ok(Measured {
        target,
        differing,
        run,
        whole: whole_run,
        estimate,
        fast: firmware.sizes()?,
        small: small.build(&[&model])?.sizes()?,
        whole_ram: ram_bytes(&whole),
        model,
    })
}

/// The bytes that are not the interpreter's.
fn differing(run: &Run, program: &Program) -> usize {
    let pairs = run.outputs.iter().zip(&program.expected);
    pairs.filter(|(found, expected)| found != expected).count()
}

fn macs(program: &Program) -> usize {
    program.model.nodes.iter().map(|node| node.op.macs()).sum()
}

/// Writes the instructions of one inference of every program on every target.
fn instructions(
    text: &mut String,
    request: &Request,
    all: &[(&Program, &[Measured])],
) -> Result<()> {
    writeln!(
        text,
        "\n### Instructions of one inference\n\nAt -O2, the mean of all samples; in brackets, per MAC.\n"
    )?;
    let names: String =
        request.targets.iter().map(|target| format!(" {} |", target.name)).collect();
    writeln!(text, "| program | MACs |{names}\n|---|---|{}", "---|".repeat(request.targets.len()))?;
    for (program, measured) in all {
        let macs = macs(program);
        let cells: String = measured
            .iter()
            .map(|measured| {
                let instructions = measured.run.instructions();
                format!(" {instructions} ({:.2}) |", instructions as f64 / macs.max(1) as f64)
            })
            .collect();
        writeln!(text, "| {} | {macs} |{cells}", program.name)?;
    }
    Ok(())
}

/// Writes what running row by row costs in instructions and saves in RAM.
fn forms(text: &mut String, all: &[(&Program, &[Measured])]) -> Result<()> {
    let rows = all.iter().flat_map(|(program, measured)| {
        measured.iter().filter_map(move |measured| Some((program, measured, measured.whole?)))
    });
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(text, "{FORMS}")?;
    for (program, measured, whole) in rows {
        let (name, core) = (&program.name, measured.target.name);
        let Measured { run, fast, whole_ram, .. } = measured;
        let (by_rows, ram) = (run.instructions(), fast.ram());
        let more = 100.0 * (by_rows as f64 / whole.max(1) as f64 - 1.0);
        writeln!(
            text,
            "| {name} | {core} | {whole} | {whole_ram} | {by_rows} ({more:+.0} %) | {ram} |"
        )?;
    }
    Ok(())
}

/// Writes the cycles of the targets of which they are estimated.
fn cycles(text: &mut String, request: &Request, all: &[(&Program, &[Measured])]) -> Result<()> {
    let columns: Vec<usize> = (0..request.targets.len())
        .filter(|&column| estimates_cycles(request.targets[column]))
        .collect();
    if columns.is_empty() {
        eprintln!("SKIPPED cycles: no target with a table, no compiler, or a QEMU without plugins");
        return Ok(());
    }
    let targets: Vec<&str> = columns.iter().map(|&column| request.targets[column].name).collect();
    let estimates = |measured: &[Measured]| columns.iter().map(|&c| measured[c].estimate).collect();
    let rows: Vec<_> = all
        .iter()
        .map(|(program, measured)| (program.name.as_str(), estimates(measured)))
        .collect();
    cycles::estimates(text, &targets, &rows)
}

/// Writes what was to be reached, and whether it was; returns how often it was not.
fn goals(text: &mut String, all: &[(&Program, &[Measured])]) -> Result<usize> {
    let Some((_, measured)) = all.iter().find(|(program, _)| program.name == "ic-w4a8") else {
        return Ok(0);
    };
    writeln!(
        text,
        "\n### Goals\n\nBytes of flash of ic-w4a8, at -O2: constants and all code; on the Cortex-M4, the \
         kernels' code.\n\n| core | of | below | measured | |\n|---|---|---|---|---|"
    )?;
    let mut missed = 0;
    let mut row = |measured: &Measured, what: &str, found: usize, limit: usize| {
        let verdict = if found < limit { "met" } else { "**missed**" };
        missed += usize::from(found >= limit);
        writeln!(text, "| {} | {what} | {limit} | {found} | {verdict} |", measured.target.name)
    };
    for measured in *measured {
        row(measured, "flash in all", measured.fast.flash(), FLASH_LIMIT)?;
        if measured.target.name == "cortex-m4" {
            row(measured, "kernels", measured.fast.kernels, KERNELS_LIMIT)?;
        }
    }
    Ok(missed)
}

/// Writes flash and RAM of every program on one target.
fn sizes(
    text: &mut String,
    target: &Target,
    column: usize,
    all: &[(&Program, &[Measured])],
) -> Result<()> {
    writeln!(text, "\n### Flash and RAM on {}\n\n{COLUMNS}", target.name)?;
    for (program, measured) in all {
        let Measured { run, fast, small, whole_ram, .. } = &measured[column];
        writeln!(
            text,
            "| {} | {} | {} | {} | **{}** | {} | **{}** | {whole_ram} | **{}** | {} |",
            program.name,
            fast.constants,
            fast.kernels,
            fast.code(),
            fast.flash(),
            small.code(),
            small.flash(),
            fast.ram(),
            run.stack_bytes,
        )?;
    }
    Ok(())
}

/// The instructions of every node of one inference.
fn nodes(model: &Placed, run: &Run) -> String {
    let mut text = String::new();
    for (node, &instructions) in model.nodes.iter().zip(&run.node_instructions) {
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
| program | constants | kernels -O2 | code -O2 | flash -O2 | code -Os | flash -Os | RAM, whole layers | RAM | stack |
|---|---|---|---|---|---|---|---|---|---|";

const FORMS: &str = "
### Layer by layer and row by row

The same program in both forms, on the cores on which the exported one runs row by row to save RAM.

| program | core | layer by layer | RAM | row by row, as exported | RAM |
|---|---|---|---|---|---|";

const TASKS: &str = "
The four MLPerf Tiny tasks by the presets w8a8, w4a8, w3a8, w2a8 and w4a4, all layers at these widths. Those
whose names end in -all keep the channels that are constant for every input; from all others these are removed.
";

const HEAD: &str = "
Bytes are those of the linker's map. Constants are weights, biases, multipliers, tables and parameters of
operations; kernels, the functions of the runtime that the program uses; code, these with the calls, one
a node, the C library's memcpy and memset, and padding; flash is constants and code. The start-up code and
whatever feeds the network are not in it. RAM is the arena, in which input and output lie too, and the
runtime's variables, of which there are none; the stack comes on top (an upper bound, within 100 bytes).
Layers run row by row, outputs reach into the inputs that they replace, and activations of 4 bits are
packed, where that saves RAM (`crates/deploy/src/place/reduce.rs`); RAM, whole layers, is what the same program
takes one layer after the other, every activation whole and unpacked, memory reused where one is dead.

Written by `cargo xtask mcu`, with
";
