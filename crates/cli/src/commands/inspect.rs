//! `burn-ptq inspect`.

use anyhow::{Context, ensure};
use burn_ptq::backend::device;
use burn_ptq::graph::{Node, ValueId};
use burn_ptq::import::onnx::Options;
use burn_ptq::quantize_uncalibrated;
use burn_ptq_deploy::cost::targets;
use burn_ptq_deploy::export::target;
use burn_ptq_deploy::output::write_atomically;
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::printable;
use burn_ptq_deploy::program::{Input, Output, State};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Target;
use burn_ptq_eval::board::{Board, board};
use burn_ptq_eval::costs::{Cost, Predicted, float_bytes, predict};
use burn_ptq_eval::page;
use burn_ptq_eval::report::{
    ArenaReport, DEFAULT_TARGET, HistogramReport, Source, share_of, sources_of_layer,
};
use serde::Serialize;

use super::cost::{counted, fitting, notes};
use crate::args::Inspect;
use crate::output::{self, outln};
use crate::table;
use burn_ptq_eval::program;

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
    /// What it has of the instructions of all on the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_share: Option<f64>,
    /// What it reads.
    inputs: Vec<Source>,
    /// Its weights, for a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_histogram: Option<HistogramReport>,
}

/// An input or an output.
#[derive(Serialize)]
struct End {
    name: String,
    shape: Vec<usize>,
    /// What writes an output.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Source>,
}

impl End {
    fn new(name: &str, shape: &[usize], from: Option<Source>) -> Self {
        Self { name: name.into(), shape: shape.into(), from }
    }
}

/// A state.
#[derive(Serialize)]
struct Held {
    name: String,
    shape: [usize; 3],
    bytes: usize,
}

#[derive(Serialize)]
struct Inspected {
    model: String,
    /// The first input: of most models the only one.
    input: String,
    input_shape: Vec<usize>,
    inputs: Vec<End>,
    outputs: Vec<End>,
    /// What a call leaves for the next one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    states: Vec<Held>,
    flash_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    ram_bytes: Option<usize>,
    macs: usize,
    layers: Vec<Layer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    costs: Vec<Cost>,
    /// The arena on the first processor, for a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    arena: Option<ArenaReport>,
    /// Whether the layers are those of a float model with the bits that were asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    uncalibrated: bool,
}

pub(crate) fn run(args: Inspect) -> anyhow::Result<()> {
    let is_integer = program::is_program(&args.model);
    ensure!(
        !is_integer || (args.weights.is_none() && args.activations.is_none()),
        "{} has the bits that it was quantized to: --weights and --activations are for float models",
        args.model.display()
    );
    let predicts = !args.target.is_empty() || !args.board.is_empty();
    let inspected = match (is_integer, predicts) {
        (true, _) => integer(&args, &program::read(&args.model)?)?,
        (false, true) => uncalibrated(&args)?,
        (false, false) => float(&args)?,
    };
    if let Some(path) = &args.html {
        // The page reads the numbers as the JSON writes them.
        let json = serde_json::from_str(&serde_json::to_string(&inspected)?)?;
        write_atomically(path, page::render(&json).as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
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
    match &args.html {
        Some(path) => outln!("\nwritten to {}", path.display()),
        None => Ok(()),
    }
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
            cost.constant_bytes,
            cost.code_bytes,
            cost.ram_bytes,
            cost.arena_bytes,
            cost.stack_bytes,
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

/// What `model` costs on the processors and boards that `args` name, or for a page on all processors.
fn all_costs(model: &Placed, args: &Inspect) -> anyhow::Result<Vec<Predicted>> {
    let targets = args.target.iter().map(|name| Ok((target(name)?, None)));
    let boards = args.board.iter().map(|name| {
        let board = board(name)?;
        Ok((board.target, Some(board)))
    });
    let processors = targets.chain(boards).collect::<anyhow::Result<Vec<_>>>()?;
    let for_page = processors.is_empty() && args.html.is_some();
    let processors: Vec<(&'static Target, Option<&'static Board>)> = match for_page {
        true => detailed_first().into_iter().map(|target| (target, None)).collect(),
        false => processors,
    };
    let of_processor = |(mut predicted, (_, board)): (Predicted, (_, Option<&'static Board>))| {
        if let Some(board) = board {
            predicted.cost = predicted.cost.on(board);
        }
        if let Some(clock) = args.clock {
            predicted.cost = predicted.cost.at(clock);
        }
        predicted
    };
    let targets: Vec<&'static Target> = processors.iter().map(|(target, _)| *target).collect();
    let predicted = predict(model, &targets)?.into_iter().zip(processors);
    Ok(predicted.map(of_processor).collect())
}

/// All microcontrollers, the one whose details reports show before the others.
fn detailed_first() -> Vec<&'static Target> {
    let mut targets: Vec<_> = targets().collect();
    targets.sort_by_key(|target| target.name != DEFAULT_TARGET);
    targets
}

/// Inputs, and outputs where there are several.
fn ends(inspected: &Inspected) -> String {
    let list = |role: &str, ends: &[End]| {
        let each =
            ends.iter().map(|end| format!("'{}' {:?}", printable::line(&end.name), end.shape));
        let plural = if ends.len() == 1 { "" } else { "s" };
        format!("{role}{plural} {}", each.collect::<Vec<_>>().join(", "))
    };
    let mut text = list("input", &inspected.inputs);
    if inspected.outputs.len() > 1 {
        text.push_str(&format!(", {}", list("output", &inspected.outputs)));
    }
    let bytes = inspected.states.iter().map(|state| state.bytes).sum();
    match inspected.states.len() {
        0 => text,
        1 => format!("{text}, a state of {}", table::bytes(bytes)),
        count => format!("{text}, {count} states of {}", table::bytes(bytes)),
    }
}

/// A float model as stored in the file: batch normalizations are not folded yet.
fn float(args: &Inspect) -> anyhow::Result<Inspected> {
    let options = Options { shapes: args.shape.clone(), ..Options::default() };
    let graph = burn_ptq::import::read(&args.model, &options)?.graph;
    let source = |id: ValueId| match graph.producer(id) {
        Some(layer) => Source::Layer(layer),
        None => Source::Input(graph.inputs.iter().position(|&own| own == id).unwrap_or(0)),
    };
    let weights = |node: &Node| {
        let (weights, _) = node.op.weight_and_bias().filter(|_| args.html.is_some())?;
        HistogramReport::of_floats(&weights.data)
    };
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
            time_share: None,
            inputs: node.inputs.iter().map(|&id| source(id)).collect(),
            weight_histogram: weights(node),
        })
        .collect();
    let input = graph.value(graph.input());
    let end = |id: ValueId, from: Option<Source>| {
        let value = graph.value(id);
        End::new(&value.name, &value.shape, from)
    };
    Ok(Inspected {
        inputs: graph.inputs.iter().map(|&id| end(id, None)).collect(),
        outputs: graph.outputs.iter().map(|&id| end(id, Some(source(id)))).collect(),
        states: Vec::new(),
        model: args.model.display().to_string(),
        input: input.name.clone(),
        input_shape: input.shape.clone(),
        flash_bytes: layers.iter().map(|l| l.bytes).sum(),
        ram_bytes: None,
        macs: graph.macs(),
        layers,
        costs: Vec::new(),
        arena: None,
        uncalibrated: false,
    })
}

/// A float model with the bits that were asked for, as an integer program.
fn uncalibrated(args: &Inspect) -> anyhow::Result<Inspected> {
    let options = Options { shapes: args.shape.clone(), ..Options::default() };
    let graph = burn_ptq::import::read(&args.model, &options)?.graph;
    let (weights, activations) = (args.weights.unwrap_or(8), args.activations.unwrap_or(8));
    let quantized = quantize_uncalibrated(graph, weights, activations, &device("flex")?)?;
    Ok(Inspected { uncalibrated: true, ..integer(args, &quantized.program)? })
}

fn integer(args: &Inspect, model: &Placed) -> anyhow::Result<Inspected> {
    let size = size_report(model);
    let costs = all_costs(model, args)?;
    let in_one_dimension = model.inputs.iter().all(|input| input.border.source_shape.len() <= 2);
    let layers = model.nodes.iter().zip(size.nodes).enumerate().map(|(index, (node, size))| {
        let instructions = costs.iter().map(|each| each.nodes[index]);
        let output = &model.tensors[node.output.0];
        let weights = node.op.weighted().filter(|_| args.html.is_some());
        Layer {
            name: size.name,
            op: size.op.into(),
            output_shape: layer_shape(output.shape, in_one_dimension),
            weight_bits: size.weight_bits,
            activation_bits: Some(output.bits),
            bytes: size.flash_bytes,
            macs: size.macs,
            instructions: instructions.map(|count| Some(count? as u64)).collect(),
            time_share: costs.first().and_then(|first| share_of(first.nodes[index], &first.nodes)),
            inputs: sources_of_layer(model, index),
            weight_histogram: weights.map(|own| HistogramReport::of_integers(&own.weights)),
        }
    });
    let layers = layers.collect();
    let end_of_input = |input: &Input| End::new(&input.name, &input.border.source_shape, None);
    let end_of_output = |output: &Output| {
        let from = Source::of(model, output.tensor);
        End::new(&output.name, &output.border.source_shape, Some(from))
    };
    let held = |state: &State| {
        let tensor = &model.tensors[state.input.0];
        Held { name: state.name.clone(), shape: tensor.shape, bytes: tensor.bytes() }
    };
    let detailed = costs.first().filter(|_| args.html.is_some());
    Ok(Inspected {
        model: args.model.display().to_string(),
        input: model.inputs[0].name.clone(),
        input_shape: model.inputs[0].border.source_shape.clone(),
        inputs: model.inputs.iter().map(end_of_input).collect(),
        outputs: model.outputs.iter().map(end_of_output).collect(),
        states: model.states.iter().map(held).collect(),
        flash_bytes: size.flash_bytes,
        ram_bytes: Some(size.ram_bytes),
        macs: size.macs,
        layers,
        arena: detailed.map(|first| ArenaReport::new(&first.placed, first.cost.target)),
        costs: costs.into_iter().map(|each| each.cost).collect(),
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
