//! `burn-ptq inspect`.

use anyhow::ensure;
use burn_ptq::backend::device;
use burn_ptq::graph::ValueId;
use burn_ptq::import::onnx::{self, Options};
use burn_ptq::quantize_uncalibrated;
use burn_ptq_deploy::export::target;
use burn_ptq_deploy::file;
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::printable;
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Target;
use burn_ptq_eval::board::{Board, board};
use burn_ptq_eval::costs::{Cost, float_bytes};
use serde::Serialize;

use super::cost::{counted, fitting, notes};
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
    /// Whether the layers are those of a float model with the bits that were asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    uncalibrated: bool,
}

pub(crate) fn run(args: Inspect) -> anyhow::Result<()> {
    let is_integer = is_integer_model(&args.model);
    ensure!(
        !is_integer || (args.weights.is_none() && args.activations.is_none()),
        "{} has the bits that it was quantized to: --weights and --activations are for .onnx models",
        args.model.display()
    );
    let predicts = !args.target.is_empty() || !args.board.is_empty();
    let inspected = match (is_integer, predicts) {
        (true, _) => integer(&args, &file::read(&args.model)?)?,
        (false, true) => uncalibrated(&args)?,
        (false, false) => float(&args)?,
    };
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
    predicted(&inspected.costs)?;
    if inspected.uncalibrated {
        outln!(
            "\nNothing was calibrated: these are the costs of any model with these bits, a little more than those \
             of one whose constant channels calibration finds. What it is worth, `quantize` says."
        )?;
    }
    Ok(())
}

/// Prints what the program costs on each processor.
fn predicted(costs: &[Cost]) -> anyhow::Result<()> {
    if costs.is_empty() {
        return Ok(());
    }
    let mut header =
        vec!["processor", "flash", "constants", "code", "RAM", "arena", "stack", "instructions"];
    let timed = costs.iter().any(|cost| cost.milliseconds.is_some());
    let on_board = costs.iter().any(|cost| cost.board.is_some());
    header.extend(timed.then_some("ms"));
    header.extend(on_board.then_some("fits"));
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
        row.extend(timed.then(|| cost.milliseconds.map_or("-".into(), table::number)));
        row.extend(on_board.then(|| fitting(cost)));
        row
    };
    let rows: Vec<Vec<String>> = costs.iter().map(row).collect();
    outln!("\nPredicted, in exported C at -O2:\n")?;
    output::print(table::render(&header, &rows))?;
    notes(costs)
}

/// What `model` costs on the processors and boards that `args` name, with the instructions of its nodes on each.
fn all_costs(model: &Placed, args: &Inspect) -> anyhow::Result<Vec<(Cost, Vec<Option<u64>>)>> {
    let targets = args.target.iter().map(|name| Ok((target(name)?, None)));
    let boards = args.board.iter().map(|name| {
        let board = board(name)?;
        Ok((board.target, Some(board)))
    });
    let processors = targets.chain(boards).collect::<anyhow::Result<Vec<_>>>()?;
    let of_processor = |(target, board): (&'static Target, Option<&'static Board>)| {
        let (mut cost, nodes) = Cost::predict(model, target)?;
        if let Some(board) = board {
            cost = cost.on(board);
        }
        if let Some(clock) = args.clock {
            cost = cost.at(clock);
        }
        let nodes = nodes.into_iter().map(|count| Some(count? as u64));
        Ok((cost, nodes.collect()))
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
            bytes: float_bytes(node),
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
        uncalibrated: false,
    })
}

/// A float model with the bits that were asked for, as an integer program.
fn uncalibrated(args: &Inspect) -> anyhow::Result<Inspected> {
    let options = Options { shapes: args.shape.clone(), sample: None };
    let graph = onnx::read_with(&args.model, &options)?.graph;
    let (weights, activations) = (args.weights.unwrap_or(8), args.activations.unwrap_or(8));
    let quantized = quantize_uncalibrated(graph, weights, activations, &device("flex")?)?;
    Ok(Inspected { uncalibrated: true, ..integer(args, &quantized.program)? })
}

fn integer(args: &Inspect, model: &Placed) -> anyhow::Result<Inspected> {
    let size = size_report(model);
    let costs = all_costs(model, args)?;
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
            instructions: instructions.collect(),
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
        uncalibrated: false,
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
