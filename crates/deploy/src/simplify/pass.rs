//! Operations and bounds that cannot act.

use burn_ptq_kernels::params::Clamp;

use super::interval::Interval;
use super::intervals::{Function, intervals, node_intervals};
use super::links::{Link, links};
use crate::op::{BinaryFunction, IntOp};
use crate::program::{IntNode, Program, TensorId};

/// The program without nodes that write what they read; adds their names to `dropped`.
pub(super) fn pass_over(program: &Program, dropped: &mut Vec<String>) -> Program {
    let intervals = intervals(program);
    // What stands for each tensor.
    let mut stand_ins: Vec<TensorId> = (0..program.tensors.len()).map(TensorId).collect();
    let mut left = program.clone();
    left.nodes.clear();
    // What a loop changes is not what it was before, and its nodes stay together.
    let mut held = vec![false; program.tensors.len()];
    for carried in program.carried() {
        held[carried.held.0] = true;
    }
    let mut loops = program.loops.iter().enumerate().peekable();
    for (index, node) in program.nodes.iter().enumerate() {
        let mut node = node.clone();
        if let Some((place, _)) = loops.next_if(|(_, own)| own.first == index) {
            left.loops[place].first = left.nodes.len();
        }
        let stays = program.loop_of(index).is_some()
            || node.inputs.iter().chain([&node.output]).any(|id| held[id.0]);
        if !stays && writes_what_it_reads(program, &node, &intervals) {
            stand_ins[node.output.0] = stand_ins[node.inputs[0].0];
            dropped.push(node.name);
            continue;
        }
        for input in &mut node.inputs {
            *input = stand_ins[input.0];
        }
        left.nodes.push(node);
    }
    // Every tensor has a node that writes it.
    let stays = |id: usize| stand_ins[id] == TensorId(id);
    let mut places = vec![TensorId(0); program.tensors.len()];
    left.tensors.clear();
    for (id, tensor) in program.tensors.iter().enumerate().filter(|&(id, _)| stays(id)) {
        places[id] = TensorId(left.tensors.len());
        left.tensors.push(tensor.clone());
    }
    let inputs = left.inputs.iter_mut().map(|input| &mut input.tensor);
    let outputs = left.outputs.iter_mut().map(|output| &mut output.tensor);
    let states = left.states.iter_mut().flat_map(|state| [&mut state.input, &mut state.output]);
    let carried = left.loops.iter_mut().flat_map(|own| &mut own.carried);
    let carried = carried.flat_map(|carried| [&mut carried.held, &mut carried.next]);
    let of_nodes =
        left.nodes.iter_mut().flat_map(|node| node.inputs.iter_mut().chain([&mut node.output]));
    for id in inputs.chain(outputs).chain(states).chain(carried).chain(of_nodes) {
        *id = places[id.0];
    }
    left
}

/// Whether a node gives back every value that its input can hold, in a tensor of the same kind.
fn writes_what_it_reads(program: &Program, node: &IntNode, intervals: &[Vec<Interval>]) -> bool {
    let [input] = node.inputs[..] else { return false };
    let (from, to) = (&program.tensors[input.0], &program.tensors[node.output.0]);
    let alike =
        (from.shape, from.dtype, from.bits, from.grid) == (to.shape, to.dtype, to.bits, to.grid);
    // The caller reads what it declared.
    if !alike || program.is_left(node.output) {
        return false;
    }
    let by_channel = matches!(links(program, node).inputs[0], Link::Paired(_));
    by_channel
        && Function::of(program, node)
            .is_some_and(|function| intervals[input.0].iter().all(|&x| function.keeps(x)))
}

/// Gives the grid's bounds to operations whose own cannot act; adds their names to `unbounded`.
pub(super) fn unbound(program: &mut Program, unbounded: &mut Vec<String>) {
    let intervals = intervals(program);
    // What the caller reads says by its bounds what it is.
    let inner = |index: &usize| !program.is_left(program.nodes[*index].output);
    let inner: Vec<usize> = (0..program.nodes.len()).filter(inner).collect();
    for index in inner {
        let grid = program.tensors[program.nodes[index].output.0].grid;
        let whole = Clamp { min: grid.min, max: grid.max };
        let mut node = program.nodes[index].clone();
        // A quotient by 0 is a bound.
        let divides = matches!(node.op, IntOp::Binary { function: BinaryFunction::Div(_), .. });
        let clamp = node.op.clamp_mut().filter(|clamp| !divides && **clamp != whole);
        let Some(clamp) = clamp else { continue };
        let bounds = Interval::of(std::mem::replace(clamp, whole));
        let found = node_intervals(program, &node, &intervals);
        if found.into_iter().all(|interval| interval.lies_in(bounds)) {
            unbounded.push(node.name.clone());
            program.nodes[index] = node;
        }
    }
}
