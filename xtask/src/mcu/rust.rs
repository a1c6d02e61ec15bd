//! `cargo xtask mcu rust`: networks and single layers in exported Rust.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use burn_ptq_deploy::export::{Exporter, Rust};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::run::{Path, run_sequence};
use burn_ptq_deploy::target::Target;
use burn_ptq_mcu::layers::{LAYERS, Layer};
use burn_ptq_mcu::{RustSizes, RustToolchain, rust_available, rust_cargo};

use super::Request;
use super::anchors::{self, ANCHORS};
use super::document::{self, Part};
use super::programs::{self, Program};

const BITS: [u8; 4] = [8, 4, 3, 2];

/// As a manifest writes it.
const LEVEL: &str = "3";

/// What one network took on one target.
struct Measured {
    instructions: u64,
    stack_bytes: u64,
    sizes: RustSizes,
}

/// What was compared so far.
#[derive(Default)]
struct Compared {
    bytes: usize,
    differing: usize,
}

impl Compared {
    fn add(&mut self, found: &[u8], expected: &[u8]) {
        self.bytes += expected.len();
        let pairs = found.iter().zip(expected);
        self.differing += pairs.filter(|(found, expected)| found != expected).count();
    }
}

/// Returns whether every byte was the interpreter's.
pub(super) fn run(request: &Request) -> Result<bool> {
    let folder = match &request.programs {
        Some(folder) => folder.clone(),
        None => programs::make(request.samples)?,
    };
    let programs = programs::read(&folder, request.samples)?;
    let (mut targets, mut absent) = (request.targets.clone(), Vec::new());
    targets.retain(|target| {
        let available = rust_available(target);
        if !available {
            absent.push(target.name);
            println!("SKIPPED {}: no core library (scripts/install-rust-mcu.sh)", target.name);
        }
        available
    });
    let mut compared = Compared::default();
    let mut layers = String::new();
    let mut networks: Vec<Vec<Measured>> = programs.iter().map(|_| Vec::new()).collect();
    for target in &targets {
        eprintln!("layers on {} ...", target.name);
        section(&mut layers, target, &mut compared)?;
        let mut toolchain = RustToolchain::new(target, LEVEL)?;
        for (program, measured) in programs.iter().zip(&mut networks) {
            eprintln!("{} on {} ...", program.name, target.name);
            measured.push(measure(&mut toolchain, program, target, &mut compared)?);
        }
    }
    let samples = programs.iter().map(|program| program.inputs.len() / program.model.input_bytes());
    let Compared { bytes, differing } = compared;
    let mut text = format!("{HEAD}\n{}", document::tools(&targets));
    writeln!(
        text,
        "- {}\n\n{} samples of each network and one of each layer on each core: {differing} of {bytes} output \
         bytes differ from the interpreter's.",
        document::version(rust_cargo()),
        samples.max().unwrap_or(0),
    )?;
    table_of_networks(&mut text, &targets, &programs, &networks)?;
    text.push_str(&layers);
    print!("{text}");
    if differing == 0
        && (request.out.is_some() || (absent.is_empty() && programs::are_the_tasks(&programs)))
    {
        document::write(request, Part::Rust, &text)?;
    }
    Ok(differing == 0)
}

fn measure(
    toolchain: &mut RustToolchain,
    program: &Program,
    target: &Target,
    compared: &mut Compared,
) -> Result<Measured> {
    let model = program.model.place_again(Rust.kernels(target), Memory::Reduced)?;
    let firmware = toolchain.build(&[&model])?;
    let runs = firmware.run(&[&program.inputs]);
    let runs = runs.with_context(|| format!("{} does not run on {}", program.name, target.name))?;
    let run = runs.first().context("one program, one run")?;
    compared.add(&run.outputs, &program.expected);
    Ok(Measured {
        instructions: run.instructions(),
        stack_bytes: run.stack_bytes,
        sizes: firmware.rust_sizes()?,
    })
}

/// Writes the table of single layers on one target.
fn section(text: &mut String, target: &'static Target, compared: &mut Compared) -> Result<()> {
    let programs: Vec<(Placed, Vec<u8>)> = LAYERS
        .iter()
        .flat_map(|layer: &Layer| {
            BITS.map(|bits| {
                let model = layer.program(bits);
                let sample = layer.sample(&model);
                (model, sample)
            })
        })
        .collect();
    let models: Vec<&Placed> = programs.iter().map(|(model, _)| model).collect();
    let inputs: Vec<&[u8]> = programs.iter().map(|(_, sample)| sample.as_slice()).collect();
    let runs = RustToolchain::new(target, LEVEL)?.build(&models)?.run(&inputs)?;
    let column = anchors::TARGETS.iter().position(|name| *name == target.name);
    let [peers, rule] = match column {
        Some(_) => [" CMSIS-NN s8 | CMSIS-NN s4 |", "---|---|"],
        None => ["", ""],
    };
    let widths: String = BITS.iter().map(|bits| format!(" W{bits} |")).collect();
    writeln!(
        text,
        "\n### Layers in Rust on {}\n\n| layer | MACs |{widths}{peers}\n|---|---|{}{rule}",
        target.name,
        "---|".repeat(BITS.len())
    )?;
    for (layer, (runs, programs)) in
        LAYERS.iter().zip(runs.chunks(BITS.len()).zip(programs.chunks(BITS.len())))
    {
        let mut cells = String::new();
        let mut macs = 0;
        for (run, (model, sample)) in runs.iter().zip(programs) {
            compared.add(&run.outputs, &run_sequence(model, Path::Reference, sample)?);
            macs = model.nodes.iter().map(|node| node.op.macs()).sum();
            write!(cells, " {:.3} |", run.instructions() as f64 / macs.max(1) as f64)?;
        }
        let name = layer.name();
        let anchor = ANCHORS.iter().find(|anchor| anchor.layer == name);
        if let (Some(column), Some(anchor)) = (column, anchor) {
            let s4 = anchor.s4.and_then(|s4| s4[column]).map_or("".into(), |x| format!("{x:.3}"));
            write!(cells, " {:.3} | {s4} |", anchor.s8[column])?;
        }
        writeln!(text, "| {name} | {macs} |{cells}")?;
    }
    Ok(())
}

fn table_of_networks(
    text: &mut String,
    targets: &[&'static Target],
    programs: &[Program],
    networks: &[Vec<Measured>],
) -> Result<()> {
    let names: String = targets.iter().map(|target| format!(" {} |", target.name)).collect();
    let rule = "---|".repeat(targets.len());
    writeln!(text, "\n### Instructions of one inference in Rust\n\nIn brackets, per MAC.\n")?;
    writeln!(text, "| network | MACs |{names}\n|---|---|{rule}")?;
    for (program, measured) in programs.iter().zip(networks) {
        let macs: usize = program.model.nodes.iter().map(|node| node.op.macs()).sum();
        let cell = |measured: &Measured| {
            let each = measured.instructions as f64 / macs.max(1) as f64;
            format!(" {} ({each:.2}) |", measured.instructions)
        };
        let cells: String = measured.iter().map(cell).collect();
        writeln!(text, "| {} | {macs} |{cells}", program.name)?;
    }
    writeln!(
        text,
        "\n### Flash and RAM in Rust\n\nBytes of constants / of code with everything, start-up, driver and \
         counting included / of `Model` / of stack.\n"
    )?;
    writeln!(text, "| network |{names}\n|---|{rule}")?;
    for (program, measured) in programs.iter().zip(networks) {
        let cell = |measured: &Measured| {
            let RustSizes { constants, code, models } = measured.sizes;
            format!(" {constants} / {code} / {models} / {} |", measured.stack_bytes)
        };
        let cells: String = measured.iter().map(cell).collect();
        writeln!(text, "| {} |{cells}", program.name)?;
    }
    Ok(())
}

const HEAD: &str = "
The same networks and layers in exported `no_std` Rust, at opt-level 3 with link-time optimization. No
image links if it can panic. Cortex-M4, M7, M33 and M55 run the kernels of the DSP extension; for the
vector extension of the M55 there are none in Rust.

Written by `cargo xtask mcu rust`, with
";
