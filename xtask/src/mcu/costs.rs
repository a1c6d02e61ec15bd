//! `cargo xtask mcu costs`: the tables by which `burn_ptq_deploy::cost` predicts, and how far they are from
//! networks that no fit has seen.

mod fit;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result};
use burn_ptq_deploy::cost::{self, Costs, STREAM, Table, main_function, work};
use burn_ptq_deploy::export::runtime_functions;
use burn_ptq_deploy::output::write_atomically;
use burn_ptq_deploy::place::kernels::chosen;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::DType;
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::{Kernels, TARGETS, Target};
use burn_ptq_mcu::samples::{KINDS, Kind, Twist, layer, network};
use burn_ptq_mcu::{Piece, Run, Toolchain};

use super::programs::{self, Program};
use super::{Request, document};
use fit::fit;

/// Layers for each form of a function that costs are fitted to, of kernels whose ways through depend on the
/// shape.
const LAYERS: usize = 100;

/// Of others, whose work is known exactly, this many of each variant, and so many for each number of the work.
const OTHER_LAYERS: usize = 6;
const OTHER_LAYERS_EACH: usize = 1;

/// Bytes of constants of these others, and of arenas, at most: small layers tell enough.
const OTHER_FLASH: usize = 4500;
const OTHER_RAM: usize = 24_000;

/// Seeds that are tried for each variant of these layers.
const SEEDS: u32 = 1300;
const OTHER_SEEDS: u32 = 240;

/// Networks from which costs of calls and of the loop over rows are taken.
const NETWORKS: usize = 24;

/// Bytes of constants and of arenas that one image holds.
const FLASH: usize = 300 << 10;
const RAM: usize = 600 << 10;

const HEAD: &str = "\
# Predicted costs

Written by `cargo xtask mcu costs`; not edited by hand.

What `burn-ptq inspect MODEL.bptq --target NAME` predicts, beside what the linker's map says of C compiled at -O2
and what QEMU counts. The tables behind it are fitted to single layers and small networks of random shapes:
none of the networks below was part of that. Constants and the arena are exact, so that the error of flash is
that of code; RAM is without the stack.

";

/// Returns whether every prediction is as close as it should be.
pub(super) fn run(request: &Request) -> Result<bool> {
    // With --nodes, the tables as they are: one looks for what they miss.
    for target in request.targets.iter().filter(|_| !request.nodes) {
        let table = measure(target, request)?;
        let path = path_of(target);
        write_atomically(&crate::root().join(&path), table.text().as_bytes())
            .with_context(|| format!("cannot write {path}"))?;
        println!("written to {path}");
    }
    compare(request)
}

/// One layer that was measured.
struct Sample {
    model: Placed,
    function: String,
    form: String,
    node: usize,
    run: Option<Run>,
}

fn path_of(target: &Target) -> String {
    format!("crates/deploy/src/cost/tables/{}.txt", target.name)
}

/// The table as it is.
fn read(target: &Target) -> Result<Table> {
    let path = path_of(target);
    let text = std::fs::read_to_string(crate::root().join(&path))
        .with_context(|| format!("cannot read {path}"))?;
    Ok(text.parse()?)
}

/// The table with what all layers take, or those that are asked for.
fn measure(target: &'static Target, request: &Request) -> Result<Table> {
    let mut toolchain = Toolchain::new(target, "-O2")?;
    let all = request.kinds.is_empty() && !request.missing;
    let mut table = if all { Table::default() } else { read(target)? };
    let kinds = if request.kinds.is_empty() { KINDS } else { &request.kinds };
    let known = |function: &str| {
        request.missing && table.needs.contains_key(function) && table.stack.contains_key(function)
    };
    let mut samples = layers(target, kinds, known)?;
    eprintln!("{}: {} layers ...", target.name, samples.len());
    run_all(&mut toolchain, &mut samples)?;
    let measured: BTreeSet<&str> = samples.iter().map(|sample| &*sample.function).collect();
    let function_of = |form: &str| form.split('/').next().unwrap_or_default().to_owned();
    table.time.retain(|form, _| !measured.contains(&*function_of(form)));
    table.stack.retain(|function, _| !measured.contains(&**function));
    table.needs.retain(|function, _| !measured.contains(&**function));
    let mut by_form: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in &samples {
        by_form.entry(&sample.form).or_default().push(sample);
    }
    for (form, samples) in by_form {
        let function = &samples[0].function;
        let runs = || samples.iter().filter_map(|sample| Some((sample.run.as_ref()?, sample.node)));
        table.time.insert(form.to_owned(), fitted(form, &samples));
        let stack = runs().map(|(run, _)| run.stack_bytes as usize).max().unwrap_or(0);
        let deepest = table.stack.entry(function.clone()).or_default();
        *deepest = stack.max(*deepest);
        if table.needs.contains_key(function) {
            continue;
        }
        let firmware = toolchain.build(&[&samples[0].model])?;
        let pieces = firmware.pieces()?;
        let names = pieces.iter().map(|piece| piece.name.clone()).collect();
        table.needs.insert(function.to_owned(), names);
        table.code.extend(pieces.into_iter().map(|piece| (piece.name, piece.bytes)));
    }
    if all {
        networks(target, &mut toolchain, &mut table)?;
    }
    let needed: BTreeSet<&String> = table.needs.values().flatten().collect();
    table.code.retain(|piece, _| needed.contains(piece));
    Ok(table)
}

/// The instructions of each number of the work of layers of one form; prints how far they are off.
fn fitted(form: &str, samples: &[&Sample]) -> Vec<f64> {
    let works = samples.iter().filter_map(|sample| {
        let run = sample.run.as_ref()?;
        let work = work::works(&sample.model)[sample.node].0.clone();
        Some((work, run.node_instructions[sample.node] as f64))
    });
    let (rows, values): (Vec<Vec<f64>>, Vec<f64>) = works.unzip();
    let coefficients = fit(&rows, &values, &values);
    let off = rows.iter().zip(&values).map(|(row, value)| {
        let predicted: f64 = row.iter().zip(&coefficients).map(|(x, c)| x * c).sum();
        (predicted / value - 1.0).abs()
    });
    let (squares, most) = off.fold((0.0, 0.0), |(sum, most), off| (sum + off * off, off.max(most)));
    let mean = (squares / values.len() as f64).sqrt();
    let (mean, most) = (100.0 * mean, 100.0 * most);
    eprintln!("  {form}: {} layers, {mean:.1} % off, at most {most:.1}", values.len());
    coefficients
}

/// Layers of kinds, as many for each form as are needed, without those of functions that are known.
fn layers(target: &Target, kinds: &[Kind], known: impl Fn(&str) -> bool) -> Result<Vec<Sample>> {
    let mut samples = Vec::new();
    for variant in kinds.iter().flat_map(|kind| kind.variants()) {
        let plain = variant.twist == Twist::Plain && variant.dtype == DType::I8;
        let seeds = if plain && variant.kind.has_weights() { SEEDS } else { OTHER_SEEDS };
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for seed in 0..seeds {
            let Some(model) = layer(variant, seed) else { continue };
            let model = model.place_again(target.kernels, Memory::Whole)?;
            let functions = runtime_functions(&model);
            let node = variant.kind.node();
            let Some(function) = main_function(&functions[node]) else { continue };
            if known(function) {
                continue;
            }
            let form = work::form(&model, &model.nodes[node], false, function);
            let size = size_report(&model);
            let most = match has_ways(&model, node) {
                true => LAYERS,
                false if size.flash_bytes > OTHER_FLASH || size.ram_bytes > OTHER_RAM => continue,
                false => OTHER_LAYERS + OTHER_LAYERS_EACH * work::works(&model)[node].0.len(),
            };
            let count = found.entry(form.clone()).or_default();
            *count += 1;
            if *count <= most {
                let function = function.to_owned();
                samples.push(Sample { function, form, node, model, run: None });
            }
        }
    }
    Ok(samples)
}

/// Whether a node runs on kernels whose ways through depend on the shape of the layer.
fn has_ways(model: &Placed, node: usize) -> bool {
    let node = &model.nodes[node];
    node.op.weighted().is_some()
        && match chosen(model, node, model.kernels()) {
            Kernels::Scalar | Kernels::Tiles | Kernels::Quads => true,
            Kernels::Portable | Kernels::Dsp | Kernels::Mve => false,
        }
}

/// Runs samples, as many in an image as it holds.
fn run_all(toolchain: &mut Toolchain, samples: &mut [Sample]) -> Result<()> {
    let mut rest = samples;
    while !rest.is_empty() {
        let (mut flash, mut ram, mut count) = (0, 0, 0);
        for sample in rest.iter() {
            let size = size_report(&sample.model);
            flash += size.flash_bytes * 5 / 4 + 1200;
            ram += size.ram_bytes + 64;
            if count > 0 && (flash > FLASH || ram > RAM) {
                break;
            }
            count += 1;
        }
        let (image, others) = rest.split_at_mut(count);
        let models: Vec<&Placed> = image.iter().map(|sample| &sample.model).collect();
        let inputs: Vec<Vec<u8>> = models.iter().map(|model| noise(model)).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let runs = toolchain.build(&models)?.run(&inputs)?;
        for (sample, run) in image.iter_mut().zip(runs) {
            sample.run = Some(run);
        }
        rest = others;
    }
    Ok(())
}

/// Bytes of every value, for all inputs of a program.
fn noise(model: &Placed) -> Vec<u8> {
    (0..model.input_bytes()).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
}

/// What networks take beyond their layers: code of calls, and the loop over rows.
fn networks(target: &Target, toolchain: &mut Toolchain, table: &mut Table) -> Result<()> {
    let (mut counts, mut bytes) = (Vec::new(), Vec::new());
    let mut loops = Loops::default();
    table.stream.clear();
    table.stack.remove(STREAM);
    let bits = |seed: u32| [8, 4, 2][seed as usize % 3];
    let both = |seed: u32| {
        let of = |memory| Some((memory, network(bits(seed), memory, seed)?));
        Some([of(Memory::Whole)?, of(Memory::Reduced)?])
    };
    for forms in (0..).filter_map(both).take(NETWORKS) {
        let mut taken = Vec::new();
        for (memory, model) in forms {
            let model = model.place_again(target.kernels, memory)?;
            let firmware = toolchain.build(&[&model])?;
            let sizes = firmware.sizes()?;
            let streams = model.streams();
            let by_rows: usize = streams.iter().map(|stream| stream.rows.len()).sum();
            counts.push([1, model.nodes.len(), by_rows, streams.len()].map(|n| n as f64).to_vec());
            bytes.push((sizes.calls + sizes.padding) as f64);
            let input = noise(&model);
            let runs = firmware.run(&[&input])?;
            let run = runs.first().context("one program, one run")?;
            let costs = cost::with_table(&model, table);
            let predicted = costs.instructions().context("a kernel was not measured")?;
            taken.push((run.instructions() as f64, predicted));
            if !streams.is_empty() {
                let beyond = (run.stack_bytes as usize).saturating_sub(costs.stack_bytes);
                loops.stack = beyond.max(loops.stack);
                loops.pieces(&costs, &firmware.pieces()?, table);
            }
            if memory == Memory::Reduced {
                loops.add(&model, &taken);
            }
        }
    }
    table.calls = fit(&counts, &bytes, &bytes).try_into().unwrap_or_default();
    table.stream = fit(&loops.rows, &loops.instructions, &loops.totals);
    table.stack.insert(STREAM.into(), loops.stack);
    for function in [STREAM, "bptq_row_window"] {
        let names = loops.pieces.keys().cloned().collect();
        table.needs.insert(function.into(), names);
    }
    table.code.extend(loops.pieces);
    Ok(())
}

/// What networks that run row by row take for it.
#[derive(Default)]
struct Loops {
    rows: Vec<Vec<f64>>,
    instructions: Vec<f64>,
    totals: Vec<f64>,
    pieces: BTreeMap<String, usize>,
    stack: usize,
}

impl Loops {
    /// Adds a network, with instructions counted and predicted of both its forms: what the one that runs row by
    /// row takes more than predicted, compared with the other, is the loop's.
    fn add(&mut self, model: &Placed, taken: &[(f64, f64)]) {
        let [(whole, predicted_whole), (by_rows, predicted_by_rows)] = taken else { return };
        if model.streams().is_empty() {
            return;
        }
        let mut all = work::Work::default();
        work::streams(model).iter().for_each(|(_, work)| all += work);
        self.rows.push(all.0);
        self.instructions.push((by_rows - whole) - (predicted_by_rows - predicted_whole));
        self.totals.push(*by_rows);
    }

    /// Adds the code that only the loop needs.
    fn pieces(&mut self, costs: &Costs, found: &[Piece], table: &Table) {
        let of_kernels: Vec<&String> = (costs.functions.iter().flatten())
            .filter(|function| *function != STREAM && *function != "bptq_row_window")
            .filter_map(|function| table.needs.get(function))
            .flatten()
            .collect();
        let others = found.iter().filter(|piece| !of_kernels.contains(&&piece.name));
        self.pieces.extend(others.map(|piece| (piece.name.clone(), piece.bytes)));
    }
}

/// What was predicted and what is true, of one program on one target.
struct Compared {
    program: String,
    target: &'static str,
    flash: [f64; 2],
    ram: [f64; 2],
    instructions: [f64; 2],
}

impl Compared {
    fn new(program: &Program, target: &'static Target, nodes: bool) -> Result<Option<Self>> {
        let model = program.model.place_again(target.kernels, Memory::Reduced)?;
        let costs = cost::with_table(&model, &read(target)?);
        let Some(instructions) = costs.instructions() else { return Ok(None) };
        let firmware = Toolchain::new(target, "-O2")?.build(&[&model])?;
        let input = &program.inputs[..program.model.input_bytes()];
        let runs = firmware.run(&[input])?;
        let run = runs.first().context("one program, one run")?;
        let sizes = firmware.sizes()?;
        if nodes {
            let all = model.nodes.iter().zip(&costs.nodes).zip(&run.node_instructions);
            for ((node, predicted), counted) in all {
                let predicted = predicted.unwrap_or(0.0);
                let error = 100.0 * (predicted / *counted as f64 - 1.0);
                eprintln!("  {}: {predicted:.0} of {counted}, {error:.1} % off", node.name);
            }
        }
        Ok(Some(Self {
            program: program.name.clone(),
            target: target.name,
            flash: [costs.flash_bytes() as f64, sizes.flash() as f64],
            ram: [costs.arena_bytes as f64, sizes.ram() as f64],
            instructions: [instructions, run.instructions() as f64],
        }))
    }

    fn error([predicted, found]: [f64; 2]) -> f64 {
        100.0 * (predicted / found - 1.0)
    }
}

/// Predicts networks, and says how far that is from the truth.
fn compare(request: &Request) -> Result<bool> {
    let Some(folder) = &request.programs else { return Ok(true) };
    let programs = programs::read(folder, 1)?;
    let mut all = Vec::new();
    for program in &programs {
        for target in &request.targets {
            match Compared::new(program, target, request.nodes)? {
                Some(compared) => all.push(compared),
                None => {
                    println!("{} on {}: some kernel was not measured", program.name, target.name)
                }
            }
        }
    }
    let mut text = format!("{HEAD}{}\n", document::tools(&request.targets));
    text.push_str("| program | target | flash: predicted | linked | error % | RAM | error % | ");
    text.push_str("instructions: predicted | counted | error % |\n");
    text.push_str("|---|---|---|---|---|---|---|---|---|---|\n");
    for c in &all {
        let [flash, ram, time] = [c.flash, c.ram, c.instructions].map(Compared::error);
        writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} | {flash:.2} | {:.0} | {ram:.2} | {:.0} | {:.0} | {time:.2} |",
            c.program,
            c.target,
            c.flash[0],
            c.flash[1],
            c.ram[1],
            c.instructions[0],
            c.instructions[1]
        )?;
    }
    let worst = |part: fn(&Compared) -> [f64; 2]| {
        all.iter().map(|c| Compared::error(part(c)).abs()).fold(0.0, f64::max)
    };
    let [flash, ram, time] = [worst(|c| c.flash), worst(|c| c.ram), worst(|c| c.instructions)];
    writeln!(
        text,
        "\nThe largest errors: flash {flash:.2} %, RAM {ram:.2} %, instructions {time:.2} %."
    )?;
    print!("{text}");
    if request.targets.len() == TARGETS.len() - 1 {
        let path = crate::root().join("docs/results/costs.md");
        write_atomically(&path, text.as_bytes()).context("cannot write docs/results/costs.md")?;
    }
    Ok(flash <= 1.0 && ram == 0.0 && time <= 3.0)
}
