//! Networks that are quantized already: the grids that a file gives become those of values.
//!
//! Importers leave a `Requantize` where the file rounds. Here it goes into the value that it rounds, wherever that
//! has no other grid and the operation before it can write this one; the others stay and change grids. Operations
//! that give elements of what they read then read and write one grid. Last, weights are checked to lie on the grids
//! that the file gives them.

use std::sync::Arc;

use burn_ptq_kernels::grid::{Grid, signed_range, weight_range};

use super::{fuse_clip, remove_dead};
use crate::graph::ops::{OutputGrid, Reduce, ReduceFunction};
use crate::graph::{GivenGrid, GivenWeights, Graph, Node, Op, ValueId};
use crate::warning::Warning;

/// Settles what the file gives, if it gives anything.
pub(super) fn settle(graph: &mut Graph) {
    if !graph.is_quantized() {
        return;
    }
    loop {
        let rewrites = adopt_all(graph)
            + keep_grids_of_clips(graph)
            + fuse_clip::run(graph)
            + remove_dead::run(graph);
        if rewrites == 0 {
            break;
        }
    }
    share(graph);
    narrow_bounded(graph);
    for index in 0..graph.nodes.len() {
        check_weights(graph, index);
    }
}

/// Lets values have the grids that they are rounded to, in the order of execution.
fn adopt_all(graph: &mut Graph) -> usize {
    let mut rewrites = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        if adopt(graph, index) {
            rewrites += 1;
        } else {
            index += 1;
        }
    }
    rewrites
}

/// Removes node `index` if it rounds a value to a grid that this can have.
fn adopt(graph: &mut Graph, index: usize) -> bool {
    let Node { op: Op::Requantize(_), inputs, output, .. } = &graph.nodes[index] else {
        return false;
    };
    let (input, output) = (inputs[0], *output);
    let Some(wanted) = graph.value(output).given else { return false };
    free_mean(graph, input, wanted);
    match graph.value(input).given {
        Some(own) if own == wanted => {}
        Some(_) => return false,
        None if can_write(graph, input, wanted) => {
            note_other_readers(graph, index, input);
            graph.values[input.0].given = Some(wanted);
        }
        None => return false,
    }
    // The caller reads and feeds values by their names.
    if graph.is_output(output) {
        if graph.inputs.contains(&input) || graph.is_output(input) {
            return false;
        }
        graph.values[input.0].name = graph.values[output.0].name.clone();
    }
    graph.nodes.remove(index);
    let replaced = |value: &mut ValueId| {
        if *value == output {
            *value = input;
        }
    };
    graph.nodes.iter_mut().flat_map(|node| &mut node.inputs).for_each(replaced);
    graph.outputs.iter_mut().for_each(replaced);
    true
}

/// Lets the mean of whole planes that writes `value` be a reduction, which can write another grid than it reads: a pool
/// would round twice.
fn free_mean(graph: &mut Graph, value: ValueId, wanted: GivenGrid) {
    let Some(producer) = graph.producer(value) else { return };
    let node = &graph.nodes[producer];
    let Op::AveragePool(pool) = &node.op else { return };
    let read = graph.value(node.inputs[0]);
    let [_, height, width] = read.dims();
    let is_whole = pool.window.kernel == [height, width] && pool.window.is_unpadded();
    if is_whole
        && read.given.is_some_and(|own| own != wanted)
        && (2..=3).contains(&read.shape.len())
    {
        let axes = (1..read.shape.len()).collect();
        let mean = Reduce { function: ReduceFunction::Mean, axes, elements: height * width };
        graph.nodes[producer].op = mean.into();
    }
}

/// Whether the operation that writes `value` can write it on this grid.
fn can_write(graph: &Graph, value: ValueId, wanted: GivenGrid) -> bool {
    let Some(producer) = graph.producer(value) else { return graph.integer_grid(value).is_none() };
    let node = &graph.nodes[producer];
    let has = |input: &ValueId| graph.value(*input).given.is_none_or(|own| own == wanted);
    match node.op.operator().output_grid() {
        OutputGrid::Observed => true,
        // Tables write any grid.
        OutputGrid::Fixed { .. } if matches!(node.op, Op::Unary(_)) => true,
        OutputGrid::Shared => {
            // Several values that meet are moved to one grid before.
            node.inputs.iter().all(has)
                || node
                    .inputs
                    .iter()
                    .any(|input| graph.value(*input).given != graph.value(node.inputs[0]).given)
        }
        OutputGrid::Fixed { scale, zero_point, doublings } => {
            let own = wanted.grid;
            (0..=doublings).any(|k| own.scale == scale * (1_u32 << k) as f32)
                && (wanted.bits, own.zero_point) == (8, zero_point)
        }
        OutputGrid::Places => false,
    }
}

/// Remarks that others read a value that is rounded for one reader, so that they read it rounded too.
fn note_other_readers(graph: &mut Graph, index: usize, value: ValueId) {
    let others: Vec<usize> = graph.consumers(value).into_iter().filter(|&n| n != index).collect();
    let unrounded = |&n: &usize| !matches!(graph.nodes[n].op, Op::Requantize(_));
    let Some(other) = others.into_iter().find(unrounded) else { return };
    let (value, reader) = (&graph.value(value).name, &graph.nodes[other].name);
    let message = format!(
        "the file quantizes '{value}' for some of its readers, and '{reader}' reads it as floats: the integer \
         program reads it quantized"
    );
    let hint = "quantize the value for all readers, and compare the metric of both";
    graph.notes.push(Warning::new("value-quantized-for-all", message, hint));
}

/// What is only bounded stays on its grid, unless the file says otherwise.
fn keep_grids_of_clips(graph: &mut Graph) -> usize {
    let mut kept = 0;
    for index in 0..graph.nodes.len() {
        let Node { op: Op::Clip(_), inputs, output, .. } = &graph.nodes[index] else { continue };
        let (input, output) = (inputs[0], *output);
        let rounded = graph
            .consumers(output)
            .into_iter()
            .any(|n| matches!(graph.nodes[n].op, Op::Requantize(_)));
        if let (Some(own), None, false) =
            (graph.value(input).given, graph.value(output).given, rounded)
        {
            graph.values[output.0].given = Some(own);
            kept += 1;
        }
    }
    kept
}

/// Gives all values of operations that move elements one grid.
fn share(graph: &mut Graph) {
    let shares = |node: &Node| node.op.operator().output_grid() == OutputGrid::Shared;
    loop {
        let mut given = 0;
        for node in graph.nodes.iter().filter(|node| shares(node)) {
            let of = |value: ValueId| graph.values[value.0].given;
            let own = of(node.output).or_else(|| node.inputs.iter().find_map(|&input| of(input)));
            let Some(own) = own else { continue };
            for value in node.inputs.iter().chain([&node.output]) {
                let value = &mut graph.values[value.0];
                if value.given.is_none() {
                    value.given = Some(own);
                    given += 1;
                }
            }
        }
        if given == 0 {
            break;
        }
    }
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        if let Some(own) = graph.value(node.output).given.filter(|_| shares(&node)) {
            let reader = node.name.clone();
            for input in &mut node.inputs {
                if graph.value(*input).given != Some(own) {
                    let name = format!("{}.{reader}", graph.value(*input).name);
                    let (moved, node) = graph.requantized(*input, name, own);
                    *input = moved;
                    nodes.push(node);
                }
            }
        }
        nodes.push(node);
    }
    graph.nodes = nodes;
}

/// Levels of values that are bounded to so few that they are taken for ones of as many bits: 2 to 4.
const FEW_LEVELS: [i32; 3] = [4, 8, 16];

/// Gives values of bytes that every operation bounds to few levels the grid of these alone: files have no type for
/// activations of few bits that all readers take.
fn narrow_bounded(graph: &mut Graph) {
    let groups = graph.grid_groups();
    for group in 0..groups.len() {
        let members: Vec<usize> = (0..groups.len()).filter(|&v| groups[v] == group).collect();
        let Some(own) = members.first().and_then(|&v| graph.values[v].given) else { continue };
        let is_member = |value: ValueId| groups[value.0] == group;
        if own.bits != 8 || graph.inputs.iter().any(|&input| is_member(input)) {
            continue;
        }
        let writes = |node: &&Node| {
            is_member(node.output) && !node.inputs.iter().any(|&input| is_member(input))
        };
        let bounds = graph.nodes.iter().filter(writes).map(|node| {
            let quantize = |bound: f32| own.grid.quantize(bound);
            node.clamp.map(|clamp| [quantize(clamp.min), quantize(clamp.max)])
        });
        let bounds = bounds.collect::<Option<Vec<[i32; 2]>>>().unwrap_or_default();
        let low = bounds.iter().map(|own| own[0]).min().unwrap_or(0);
        let high = bounds.iter().map(|own| own[1]).max().unwrap_or(0);
        let levels = high - low + 1;
        if !FEW_LEVELS.contains(&levels) || !(low..=high).contains(&own.grid.zero_point) {
            continue;
        }
        let bits = levels.trailing_zeros() as u8;
        let (min, max) = signed_range(bits, false);
        let zero_point = own.grid.zero_point - low + min;
        let grid = Grid { zero_point, min, max, ..own.grid };
        members.iter().for_each(|&v| graph.values[v].given = Some(GivenGrid { bits, grid }));
    }
}

/// How far a weight may be from its grid, in steps: what floats of 32 bits round away.
const OFF_GRID: f64 = 1e-3;

/// Checks that the weights of a node lie on the grid that it is given, and finds the least bits that hold them.
fn check_weights(graph: &mut Graph, index: usize) {
    let node = &mut graph.nodes[index];
    let Some(given) = node.given.take() else { return };
    let name = node.name.clone();
    let mut note = |message: String, hint: &str| {
        graph.notes.push(Warning::new("weights-changed", message, hint));
    };
    let Some((weight, _)) = node.op.weight_and_bias_mut() else { return };
    let mut scales = given.scales.clone();
    let row = (weight.data.len() / scales.len().max(1)).max(1);
    let steps = |weight: f32, channel: usize| f64::from(weight) / f64::from(scales[channel]);
    let off = weight.data.iter().enumerate().any(|(i, &w)| {
        let steps = steps(w, i / row);
        (steps - steps.round()).abs() > OFF_GRID
    });
    if off {
        note(
            format!(
                "the weights of '{name}' are scaled by the operation beside it, so that they leave the grid of the \
                 file: they are rounded anew"
            ),
            "fold batch normalization into the layers before the model is quantized",
        );
        return;
    }
    let integers: Vec<i64> =
        weight.data.iter().enumerate().map(|(i, &w)| steps(w, i / row).round() as i64).collect();
    let (low, high) = weight_range(8);
    let outside = |q: &i64| !(i64::from(low)..=i64::from(high)).contains(q);
    let lowest = integers.iter().filter(|&&q| q == i64::from(low) - 1).count();
    let count = integers.iter().filter(|q| outside(q)).count();
    if count > 0 && count == lowest {
        for (w, _) in weight.data.iter_mut().zip(&integers).filter(|(_, q)| outside(q)) {
            *w *= 127.0 / 128.0;
        }
        let of = integers.len();
        note(
            format!(
                "{count} of {of} weights of '{name}' are -128 in the file and -127 in the integer program"
            ),
            "quantize weights symmetrically, in the narrow range",
        );
    } else if count > 0 {
        for (scale, row) in scales.iter_mut().zip(weight.data.chunks_mut(row)) {
            let largest = row.iter().fold(0.0_f32, |most, w| most.max(w.abs()));
            *scale = if largest > 0.0 { largest / high as f32 } else { *scale };
            row.iter_mut().for_each(|w| *w = (*w / *scale).round() * *scale);
        }
        note(
            format!(
                "the weights of '{name}' have a zero point in the file, and integer kernels take weights around 0: \
                 they are rounded to the nearest of a grid around 0"
            ),
            "quantize weights symmetrically (ONNX Runtime: weight_type=QuantType.QInt8)",
        );
    }
    let hold = |bits: u8| {
        let (low, high) = weight_range(bits);
        integers.iter().all(|q| (i64::from(low)..=i64::from(high)).contains(q))
    };
    let bits = [2, 3, 4].into_iter().find(|&bits| hold(bits)).unwrap_or(8);
    node.given = Some(Arc::new(GivenWeights { bits, scales }));
}
