//! `burn-ptq inspect`.

use anyhow::ensure;
use burn_ptq::graph::ValueId;
use burn_ptq::import::onnx::{self, Options};
use burn_ptq_deploy::cost::Costs;
use burn_ptq_deploy::export::target;
use burn_ptq_deploy::file;
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::printable;
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Target;
use burn_ptq_eval::board::{Board, board};
use serde::Serialize;

use super::cost::{Cost, counted, notes, predict};
use super::is_integer_model;
use crate::args::Inspect;
use crate::output::{self, outln};
use crate::table;

#[derive(Serialize)]
struct Layer {
    name: String,
    op: String,
    output_shape: Vec<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_bits: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation_bits: Option<u8>,
    bytes: usize,
    macs: usize,
    /// Predicted, on each processor that is asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instructions: Vec<Option<u64>>,
}

/// An input or an output.
#[derive(Serialize)]
struct End {
    name: String,
    shape: Vec<usize>,
}

impl End {
    fn new(name: &str, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.into() }
    }
}

#[derive(Serialize)]
struct Inspected {
    model: String,
    /// The first input: of most models the only one.
    input: String,
    input_shape: Vec<usize>,
    inputs: Vec<End>,
    outputs: Vec<End>,
    flash_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ram_bytes: Option<usize>,
    macs: usize,
    layers: Vec<Layer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    costs: Vec<Cost>,
}

pub(crate) fn run(args: Inspect) -> anyhow::Result<()> {
    let is_integer = is_integer_model(&args.model);
    ensure!(
        is_integer || (args.target.is_empty() && args.board.is_empty()),
        "--target and --board predict what an integer program costs: quantize {} first, and inspect the model.bptq",
        args.model.display()
    );
    let inspected = if is_integer { integer(&args)? } else { float(&args)? };
    if args.json {
        return output::json(&inspected);
    }
    let bits = |b: Option<u8>| b.map_or("-".into(), |b| b.to_string());
    let rows: Vec<Vec<String>> = (inspected.layers.iter())
        .map(|l| {
            let shape: Vec<String> = l.output_shape.iter().map(usize::to_string).collect();
            let mut row = vec![
                l.name.clone(),
                l.op.clone(),
                shape.join("x"),
                bits(l.weight_bits),
                bits(l.activation_bits),
                l.bytes.to_string(),
                l.macs.to_string(),
            ];
            row.extend(l.instructions.iter().map(|&count| counted(count)));
            row
        })
        .collect();
    let mut header = vec!["layer", "op", "output", "W", "A", "bytes", "MACs"];
    header.extend(inspected.costs.iter().map(Cost::processor));
    output::print(table::render(&header, &rows))?;
    outln!(
        "\n{}: {}, {} of constants{}, {} MACs",
        inspected.model,
        ends(&inspected),
        table::bytes(inspected.flash_bytes),
        inspected.ram_bytes.map_or(String::new(), |b| format!(", RAM {}", table::bytes(b))),
        inspected.macs
    )?;
    predicted(&inspected.costs)
}

/// Prints what the program costs on each processor.
fn predicted(costs: &[Cost]) -> anyhow::Result<()> {
    if costs.is_empty() {
        return Ok(());
    }
    let timed = costs.iter().any(|cost| cost.milliseconds.is_some());
    let on_boards = costs.iter().any(|cost| cost.missing.is_some());
    let mut header =
        vec!["processor", "flash", "constants", "code", "RAM", "arena", "stack", "instructions"];
    header.extend(timed.then_some("ms"));
    header.extend(on_boards.then_some("fits"));
    let row = |cost: &Cost| {
        let bytes = [
            cost.flash_bytes,
            cost.flash_bytes - cost.code_bytes,
            cost.code_bytes,
            cost.ram_bytes,
            cost.arena_bytes,
            cost.ram_bytes - cost.arena_bytes,
        ];
        let mut row = vec![cost.processor().to_owned()];
        row.extend(bytes.map(|bytes| bytes.to_string()));
        row.push(counted(cost.instructions));
        let unknown = if cost.instructions.is_none() { "?" } else { "-" };
        row.extend(timed.then(|| cost.milliseconds.map_or(unknown.into(), table::number)));
        row.extend(on_boards.then(|| cost.fitting()));
        row
    };
    let rows: Vec<Vec<String>> = costs.iter().map(row).collect();
    outln!("\nPredicted, in exported C at -O2:\n")?;
    output::print(table::render(&header, &rows))?;
    notes(costs)
}

/// The instructions of each node of `model`, of which `placed` is a form with packed activations: packing and
/// unpacking count with the node before.
fn instructions_of(model: &Placed, placed: &Placed, costs: &Costs) -> Vec<Option<f64>> {
    let mut counts = vec![Some(0.0); model.nodes.len()];
    let mut at = 0;
    for (node, cost) in placed.nodes.iter().zip(&costs.nodes) {
        at = model.nodes.iter().position(|own| own.name == node.name).unwrap_or(at);
        if let Some(count) = counts.get_mut(at) {
            *count = count.zip(*cost).map(|(sum, cost)| sum + cost);
        }
    }
    counts
}

/// What `model` costs on the processors and boards that `args` name, with the instructions of its nodes on each.
fn all_costs(model: &Placed, args: &Inspect) -> anyhow::Result<Vec<(Cost, Vec<Option<f64>>)>> {
    let mut processors: Vec<(&'static Target, Option<&'static Board>)> = Vec::new();
    for name in &args.target {
        processors.push((target(name)?, None));
    }
    for name in &args.board {
        let board = board(name)?;
        processors.push((board.target, Some(board)));
    }
    let of_processor = |(target, board): (&'static Target, Option<&'static Board>)| {
        let (placed, predicted) = predict(model, target)?;
        let mut cost = Cost::new(target, &predicted);
        if let Some(board) = board {
            cost = cost.on(board);
        }
        if let Some(clock) = args.clock {
            cost = cost.at(clock);
        }
        Ok((cost, instructions_of(model, &placed, &predicted)))
    };
    processors.into_iter().map(of_processor).collect()
}

/// Inputs, and outputs where there are several.
fn ends(inspected: &Inspected) -> String {
    let list = |role: &str, ends: &[End]| {
        let each =
            ends.iter().map(|end| format!("'{}' {:?}", printable::line(&end.name), end.shape));
        let plural = if ends.len() == 1 { "" } else { "s" };
        format!("{role}{plural} {}", each.collect::<Vec<_>>().join(", "))
    };
    let inputs = list("input", &inspected.inputs);
    match inspected.outputs.len() {
        1 => inputs,
        _ => format!("{inputs}, {}", list("output", &inspected.outputs)),
    }
}

/// A float model as stored in the file: batch normalizations are not folded yet.
fn float(args: &Inspect) -> anyhow::Result<Inspected> {
    let options = Options { shapes: args.shape.clone(), sample: None };
    let graph = onnx::read_with(&args.model, &options)?.graph;
    let layers: Vec<Layer> = (graph.nodes.iter())
        .map(|node| Layer {
            name: node.name.clone(),
            op: graph.op_name(node).into(),
            output_shape: graph.value(node.output).shape.clone(),
            weight_bits: None,
            activation_bits: None,
            bytes: node.op.parameters().iter().map(|p| p.len() * 4).sum(),
            macs: graph.node_macs(node),
            instructions: Vec::new(),
        })
        .collect();
    let input = graph.value(graph.input());
    let end = |&id: &ValueId| End::new(&graph.value(id).name, &graph.value(id).shape);
    Ok(Inspected {
        inputs: graph.inputs.iter().map(end).collect(),
        outputs: graph.outputs.iter().map(end).collect(),
        model: args.model.display().to_string(),
        input: input.name.clone(),
        input_shape: input.shape.clone(),
        flash_bytes: layers.iter().map(|l| l.bytes).sum(),
        ram_bytes: None,
        macs: graph.macs(),
        layers,
        costs: Vec::new(),
    })
}

fn integer(args: &Inspect) -> anyhow::Result<Inspected> {
    let model = file::read(&args.model)?;
    let size = size_report(&model);
    let costs = all_costs(&model, args)?;
    let in_one_dimension = model.inputs.iter().all(|input| input.border.source_shape.len() <= 2);
    let layers = model.nodes.iter().zip(size.nodes).enumerate().map(|(index, (node, size))| {
        let instructions = costs.iter().map(|(_, nodes)| nodes[index]);
        let output = &model.tensors[node.output.0];
        Layer {
            name: size.name,
            op: size.op.into(),
            output_shape: layer_shape(output.shape, in_one_dimension),
            weight_bits: size.weight_bits,
            activation_bits: Some(output.bits),
            bytes: size.flash_bytes,
            macs: size.macs,
            instructions: instructions.map(|count| Some(count? as u64)).collect(),
        }
    });
    let layers = layers.collect();
    let (inputs, outputs) = (model.inputs.iter(), model.outputs.iter());
    Ok(Inspected {
        model: args.model.display().to_string(),
        input: model.inputs[0].name.clone(),
        input_shape: model.inputs[0].border.source_shape.clone(),
        inputs: inputs.map(|i| End::new(&i.name, &i.border.source_shape)).collect(),
        outputs: outputs.map(|o| End::new(&o.name, &o.border.source_shape)).collect(),
        flash_bytes: size.flash_bytes,
        ram_bytes: Some(size.ram_bytes),
        macs: size.macs,
        layers,
        costs: costs.into_iter().map(|(cost, _)| cost).collect(),
    })
}

/// The shape of a layer's output: `[height, width, channels]` as it lies in memory, of networks in one
/// dimension `[channels, steps]`, and of vectors their length.
fn layer_shape([height, width, channels]: [usize; 3], in_one_dimension: bool) -> Vec<usize> {
    match (height, width) {
        (1, 1) => vec![channels],
        (1, steps) | (steps, 1) if in_one_dimension => vec![channels, steps],
        _ => vec![height, width, channels],
    }
}
