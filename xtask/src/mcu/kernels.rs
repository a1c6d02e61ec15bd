//! `cargo xtask mcu kernels`: instructions per multiply-accumulate of single layers.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use burn_ptq_deploy::interpreter::{Path, run_batch};
use burn_ptq_deploy::model::IntModel;
use burn_ptq_deploy::target::{TARGETS, Target};
use burn_ptq_mcu::Toolchain;
use burn_ptq_mcu::layers::{LAYERS, Layer};

use super::Request;
use super::anchors::{self, ANCHORS};

const BITS: [u8; 3] = [8, 4, 2];

/// Of the anchors too.
const FLAGS: &str = "-O3";

/// A layer at one width of weights, a sample and the output that the interpreter gives.
struct Case {
    model: IntModel,
    input: Vec<u8>,
    expected: Vec<u8>,
}

/// Returns whether every byte was the interpreter's.
pub fn run(request: &Request) -> Result<bool> {
    let cases = cases()?;
    let mut text = HEAD.to_string();
    let mut differing = 0;
    for target in &request.targets {
        differing += section(&mut text, target, &cases)?;
    }
    print!("{text}");
    println!("\n{differing} bytes differ from the interpreter's");
    let all = request.targets.len() == TARGETS.len() - 1;
    let path = match &request.out {
        Some(path) => path.clone(),
        // A table of some targets is no replacement for the one of all.
        None if !all => return Ok(differing == 0),
        None => crate::root().join("docs/kernels.md"),
    };
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(differing == 0)
}

/// Every layer at every width, the widths of a layer together.
fn cases() -> Result<Vec<Case>> {
    let case = |layer: &Layer, bits: u8| {
        let model = layer.program(bits);
        let input = layer.sample(&model);
        let expected = run_batch(&model, Path::Reference, &input)?;
        Ok(Case { model, input, expected })
    };
    LAYERS.iter().flat_map(|layer| BITS.map(|bits| case(layer, bits))).collect()
}

/// Writes the table of one target; returns the bytes that differ.
fn section(text: &mut String, target: &'static Target, cases: &[Case]) -> Result<usize> {
    let models: Vec<&IntModel> = cases.iter().map(|case| &case.model).collect();
    let inputs: Vec<&[u8]> = cases.iter().map(|case| case.input.as_slice()).collect();
    let firmware = Toolchain::new(target, FLAGS)?.build(&models)?;
    let runs = firmware.run(&inputs)?;
    let differing = runs.iter().zip(cases).map(|(run, case)| {
        run.outputs.iter().zip(&case.expected).filter(|(found, expected)| found != expected).count()
    });
    let differing = differing.sum();
    let column = anchors::TARGETS.iter().position(|name| *name == target.name);
    writeln!(text, "\n## {}\n", target.name)?;
    write!(text, "| layer | MACs | W8 | W4 | W2 |")?;
    let rule = "|---|---|---|---|---|";
    match column {
        Some(_) => {
            writeln!(text, " CMSIS-NN s8 | CMSIS-NN s4 | plain C, M4 |\n{rule}---|---|---|")?
        }
        None => writeln!(text, "\n{rule}")?,
    }
    for (index, layer) in LAYERS.iter().enumerate() {
        let name = layer.name();
        let first = index * BITS.len();
        let macs = cases[first].model.nodes[0].op.macs();
        write!(text, "| {name} | {macs} |")?;
        for run in &runs[first..first + BITS.len()] {
            write!(text, " {:.3} |", run.instructions() as f64 / macs as f64)?;
        }
        let anchor = ANCHORS.iter().find(|anchor| anchor.layer == name);
        if let (Some(column), Some(anchor)) = (column, anchor) {
            let s4 = anchor.s4.and_then(|s4| s4[column]).map_or("".into(), |x| format!("{x:.3}"));
            write!(text, " {:.3} | {s4} | {:.2} |", anchor.s8[column], anchor.naive)?;
        }
        writeln!(text)?;
    }
    let sizes = firmware.sizes()?;
    writeln!(text, "\nCode of all these kernels: {} bytes.", sizes.kernels)?;
    Ok(differing)
}

const HEAD: &str = "\
# Kernels, layer by layer

Written by `cargo xtask mcu kernels`; not edited by hand.

Executed instructions per multiply-accumulate (MAC) on emulated cores, of programs of one layer with 8-bit
activations and random weights of 8, 4 and 2 bits. These are instructions, not cycles: QEMU knows nothing
of pipelines, wait states and dual issue. The exported C, arm-none-eabi-gcc or riscv64-unknown-elf-gcc, -O3.
Every output byte of every run was compared with the interpreter's.

The columns beside are what CMSIS-NN takes on the same layers with the same compiler and options, at 8-bit
and 4-bit weights, and what plain loops in C take on a Cortex-M4 with 8-bit weights.
Cortex-M0 code runs on a Cortex-M3, whose instructions include all of it.
";
