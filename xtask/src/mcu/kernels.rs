//! `cargo xtask mcu kernels`: instructions per multiply-accumulate of single layers, and what the
//! kernels take in flash.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::run::{Path, run_sequence};
use burn_ptq_deploy::target::Target;
use burn_ptq_mcu::layers::{LAYERS, Layer};
use burn_ptq_mcu::{RuntimeFunction, Toolchain};

use super::Request;
use super::anchors::{self, ANCHORS, GOALS};
use super::document::{self, Part};

/// Weights of these bits are measured, in this order.
const BITS: [u8; 4] = [8, 4, 3, 2];

/// How the compiler optimizes; the first is that of the anchors too.
const FLAGS: [&str; 3] = ["-O3", "-O2", "-Os"];

/// Of each set of kernels, the target whose functions are listed.
const LISTED: [&str; 4] = ["cortex-m3", "cortex-m4", "cortex-m55", "rv32"];

/// The target on which the flags are compared.
const COMPARED: &str = "cortex-m4";

/// How the compiler is let to see the shape of a layer, if an image holds no other.
const WHOLE: &str = "-O3 -flto";

/// A layer at one width of weights, a sample and the output that the interpreter gives.
struct Case {
    model: Placed,
    input: Vec<u8>,
    expected: Vec<u8>,
}

/// What all layers took on one target with one set of flags.
struct Measured {
    target: &'static Target,
    flags: &'static str,
    /// Instructions of each case.
    instructions: Vec<u64>,
    differing: usize,
    functions: Vec<RuntimeFunction>,
}

/// Returns whether every byte was the interpreter's and every goal was met.
pub(super) fn run(request: &Request) -> Result<bool> {
    let cases = cases()?;
    let mut all = Vec::new();
    for target in &request.targets {
        for flags in FLAGS {
            if flags == FLAGS[0] || LISTED.contains(&target.name) {
                eprintln!("{} {flags} ...", target.name);
                all.push(measure(target, flags, &cases)?);
            }
        }
    }
    let differing: usize = all.iter().map(|measured| measured.differing).sum();
    let mut text = format!("{HEAD}\n{}", document::tools(&request.targets));
    let missed = goals(&mut text, &all, &cases)?;
    for measured in all.iter().filter(|measured| measured.flags == FLAGS[0]) {
        table(&mut text, measured, &cases)?;
    }
    flash(&mut text, &all)?;
    speed_by_flags(&mut text, &all, &cases)?;
    if let Some(target) = request.targets.iter().find(|target| target.name == COMPARED) {
        specialized(&mut text, target, &cases)?;
    }
    print!("{text}");
    println!("\n{differing} bytes differ from the interpreter's; {missed} goals are missed");
    if differing == 0 {
        document::write(request, Part::Layers, &text)?;
    }
    Ok(differing == 0 && missed == 0)
}

/// Every layer at every width, the widths of a layer together.
fn cases() -> Result<Vec<Case>> {
    let case = |layer: &Layer, bits: u8| {
        let model = layer.program(bits);
        let input = layer.sample(&model);
        let expected = run_sequence(&model, Path::Reference, &input)?;
        Ok(Case { model, input, expected })
    };
    LAYERS.iter().flat_map(|layer| BITS.map(|bits| case(layer, bits))).collect()
}

fn measure(target: &'static Target, flags: &'static str, cases: &[Case]) -> Result<Measured> {
    let models: Vec<&Placed> = cases.iter().map(|case| &case.model).collect();
    let inputs: Vec<&[u8]> = cases.iter().map(|case| case.input.as_slice()).collect();
    let firmware = Toolchain::new(target, flags)?.build(&models)?;
    let runs = firmware.run(&inputs)?;
    let differing = runs.iter().zip(cases).map(|(run, case)| {
        run.outputs.iter().zip(&case.expected).filter(|(found, expected)| found != expected).count()
    });
    Ok(Measured {
        target,
        flags,
        differing: differing.sum(),
        instructions: runs.iter().map(|run| run.instructions()).collect(),
        functions: firmware.runtime_functions()?,
    })
}

impl Measured {
    /// Instructions per multiply-accumulate of a layer at each of [`BITS`].
    fn per_mac(&self, layer: usize, cases: &[Case]) -> [f64; BITS.len()] {
        std::array::from_fn(|width| {
            let case = layer * BITS.len() + width;
            self.instructions[case] as f64 / cases[case].model.nodes[0].op.macs() as f64
        })
    }

    fn code_bytes(&self) -> usize {
        self.functions.iter().map(|function| function.bytes).sum()
    }
}

/// Writes what was to be reached, and whether it was; returns how often it was not.
fn goals(text: &mut String, all: &[Measured], cases: &[Case]) -> Result<usize> {
    writeln!(
        text,
        "\n### Goals\n\nInstructions per MAC; on the Cortex-M55, CMSIS-NN's own are not to be exceeded.\n\n\
         | core | layer | weights | at most | measured | |\n|---|---|---|---|---|---|"
    )?;
    let mut missed = 0;
    let measured = |name: &str| {
        all.iter().find(|measured| measured.target.name == name && measured.flags == FLAGS[0])
    };
    let mut row = |measured: &Measured, layer: &str, bits: u8, bound: f64| {
        let index = LAYERS.iter().position(|known| known.name() == layer);
        let width = BITS.iter().position(|known| *known == bits);
        let (Some(index), Some(width)) = (index, width) else { return Ok(()) };
        let found = measured.per_mac(index, cases)[width];
        let verdict = if found <= bound { "met" } else { "**missed**" };
        missed += usize::from(found > bound);
        let core = measured.target.name;
        writeln!(text, "| {core} | {layer} | W{bits} | {bound} | {found:.3} | {verdict} |")
    };
    for measured in ["cortex-m4", "cortex-m7"].into_iter().filter_map(measured) {
        for (layer, bits, bound) in GOALS {
            row(measured, layer, *bits, *bound)?;
        }
    }
    let m55 = anchors::TARGETS.iter().position(|name| *name == "cortex-m55");
    if let (Some(measured), Some(column)) = (measured("cortex-m55"), m55) {
        for anchor in ANCHORS {
            row(measured, anchor.layer, 8, anchor.s8[column])?;
            if let Some(bound) = anchor.s4.and_then(|s4| s4[column]) {
                row(measured, anchor.layer, 4, bound)?;
            }
        }
    }
    Ok(missed)
}

/// Writes the table of one target.
fn table(text: &mut String, measured: &Measured, cases: &[Case]) -> Result<()> {
    let column = anchors::TARGETS.iter().position(|name| *name == measured.target.name);
    writeln!(text, "\n### {}\n", measured.target.name)?;
    let widths: String = BITS.iter().map(|bits| format!(" W{bits} |")).collect();
    write!(text, "| layer | MACs |{widths}")?;
    let rule = format!("|---|---|{}", "---|".repeat(BITS.len()));
    match column {
        Some(_) => {
            writeln!(text, " CMSIS-NN s8 | CMSIS-NN s4 | plain C, M4 |\n{rule}---|---|---|")?
        }
        None => writeln!(text, "\n{rule}")?,
    }
    for (index, layer) in LAYERS.iter().enumerate() {
        let name = layer.name();
        let macs = cases[index * BITS.len()].model.nodes[0].op.macs();
        write!(text, "| {name} | {macs} |")?;
        for per_mac in measured.per_mac(index, cases) {
            write!(text, " {per_mac:.3} |")?;
        }
        let anchor = ANCHORS.iter().find(|anchor| anchor.layer == name);
        if let (Some(column), Some(anchor)) = (column, anchor) {
            let s4 = anchor.s4.and_then(|s4| s4[column]).map_or("".into(), |x| format!("{x:.3}"));
            write!(text, " {:.3} | {s4} | {:.2} |", anchor.s8[column], anchor.naive)?;
        }
        writeln!(text)?;
    }
    Ok(())
}

/// Writes what the kernels of these layers take in flash, function by function.
fn flash(text: &mut String, all: &[Measured]) -> Result<()> {
    writeln!(text, "\n### Flash of the kernels\n\n{FLASH}")?;
    for target in LISTED {
        let of_target: Vec<&Measured> =
            all.iter().filter(|measured| measured.target.name == target).collect();
        if of_target.is_empty() {
            continue;
        }
        let mut rows: BTreeMap<(&str, &str), [usize; FLAGS.len()]> = BTreeMap::new();
        for (column, flags) in FLAGS.iter().enumerate() {
            for measured in of_target.iter().filter(|measured| measured.flags == *flags) {
                for function in &measured.functions {
                    let key = (function.file.as_str(), function.name.as_str());
                    rows.entry(key).or_default()[column] += function.bytes;
                }
            }
        }
        writeln!(
            text,
            "\n| {target}: file | function | {} |\n|---|---|{}",
            FLAGS.join(" | "),
            "---|".repeat(FLAGS.len())
        )?;
        for ((file, name), bytes) in rows {
            let cell = |bytes| if bytes == 0 { " |".into() } else { format!(" {bytes} |") };
            writeln!(text, "| {file}.c | {name} |{}", bytes.map(cell).concat())?;
        }
        let sums: String = FLAGS
            .iter()
            .filter_map(|flags| of_target.iter().find(|measured| measured.flags == *flags))
            .map(|measured| format!(" **{}** |", measured.code_bytes()))
            .collect();
        writeln!(text, "| all | |{sums}")?;
    }
    Ok(())
}

/// Writes what the compiler's optimization of the same code is worth.
fn speed_by_flags(text: &mut String, all: &[Measured], cases: &[Case]) -> Result<()> {
    let compared: Vec<&Measured> =
        all.iter().filter(|measured| measured.target.name == COMPARED).collect();
    if compared.len() < FLAGS.len() {
        return Ok(());
    }
    writeln!(text, "\nInstructions per MAC on {COMPARED} for these bytes:\n")?;
    write!(text, "| layer |")?;
    for bits in BITS {
        for measured in &compared {
            write!(text, " W{bits} {} |", measured.flags)?;
        }
    }
    writeln!(text, "\n|---|{}", "---|".repeat(BITS.len() * compared.len()))?;
    for (index, layer) in LAYERS.iter().enumerate() {
        write!(text, "| {} |", layer.name())?;
        for width in 0..BITS.len() {
            for measured in &compared {
                write!(text, " {:.2} |", measured.per_mac(index, cases)[width])?;
            }
        }
        writeln!(text)?;
    }
    Ok(())
}

/// Writes what kernels take that the compiler specializes for the shape of a layer.
fn specialized(text: &mut String, target: &'static Target, cases: &[Case]) -> Result<()> {
    writeln!(text, "\n### Kernels for one shape\n\n{SHAPES}\n")?;
    let widths: String = BITS.iter().map(|bits| format!(" W{bits} | |")).collect();
    writeln!(text, "| layer |{widths}\n|---|{}", "---|".repeat(2 * BITS.len()))?;
    for (layer, cases) in LAYERS.iter().zip(cases.chunks(BITS.len())) {
        eprintln!("{} for its shape ...", layer.name());
        write!(text, "| {} |", layer.name())?;
        for case in cases {
            let [before, after] = ["-O3", WHOLE].map(|flags| {
                let firmware = Toolchain::new(target, flags)?.build(&[&case.model])?;
                let runs = firmware.run(&[&case.input])?;
                let run = runs.first().context("one program, one run")?;
                ensure!(run.outputs == case.expected, "{} differs by {flags}", layer.name());
                Ok((run.instructions() as f64, firmware.text_bytes()? as f64))
            });
            let ((instructions, flash), (fewer, more)) = (before?, after?);
            let percent = 100.0 * (fewer / instructions - 1.0);
            write!(text, " {percent:+.0} % | {:+.0} bytes |", more - flash)?;
        }
        writeln!(text)?;
    }
    Ok(())
}

const SHAPES: &str = "\
Instructions and code, against the kernels above at -O3, of images of a single layer that are compiled with
-flto: the compiler sees extents, kernel, strides and padding as constants, and may specialize for them.";

const HEAD: &str = "
Programs of one layer with 8-bit activations and random weights of the stated bits (W8: 8 bits). The
figures are instructions per multiply-accumulate (MAC) at -O3, everything included: gathering of inputs,
requantization, clamps. The columns beside are what CMSIS-NN takes on the same layers with the same
compiler and options, at 8-bit and 4-bit weights, and what plain loops in C take on a Cortex-M4 with
8-bit weights.

Written by `cargo xtask mcu kernels`, with
";

const FLASH: &str = "\
Bytes of each function that these layers use, at all widths, from the linker's map. Kernels are
specialized by the width of weights, which is a constant in each of the functions _w8, _w4, _w3 and _w2; their
inner loops are unrolled by hand, windows that lie within the input take shorter ways. A network links the
functions of its own widths only, and a further layer costs no code but one call. What kernels for the shape of
a single layer would be worth stands below.";
