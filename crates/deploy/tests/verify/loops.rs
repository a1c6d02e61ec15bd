//! Loops that no executor could run, or that would say something else than what runs, are refused.

use burn_ptq_deploy::loops::MAX_LOOP_STEPS;
use burn_ptq_deploy::place::Stream;
use burn_ptq_deploy::program::{
    Carried, DType, IntOp, IntTensor, Loop, MAX_NODES, Output, Program, State, TensorId,
};
use burn_ptq_deploy::verify::verify;

use crate::looped::every_kind;
use crate::programs::{border, running_sum, side_by_side, tensor};
use crate::{breaks, misplaces};

/// Of [`running_sum`]: its tensors.
const X: TensorId = TensorId(0);
const PART: TensorId = TensorId(1);
const HELD: TensorId = TensorId(2);
const NEXT: TensorId = TensorId(3);
const Y: TensorId = TensorId(4);

fn sum() -> Program {
    running_sum(4, false)
}

#[test]
fn loops_of_every_kind_pass_side_by_side_too() {
    for program in [sum(), every_kind()] {
        verify(&program).unwrap();
        let carried = program.carried().count();
        let placed = side_by_side(program).placed().unwrap();
        let copied = placed.loops.iter().map(|own| placed.copied_carried(own).count());
        assert_eq!(copied.sum::<usize>(), carried);
    }
}

#[test]
fn loops_have_nodes_of_their_own_in_the_order_of_execution() {
    breaks(sum(), "model: expected at most 16384 loops, found 16385", |m| {
        m.loops = vec![m.loops[0].clone(); MAX_NODES + 1];
    });
    breaks(sum(), "model: expected at most 16384 activations that loops carry, found 16385", |m| {
        m.loops[0].carried = vec![m.loops[0].carried[0]; MAX_NODES + 1];
    });
    for (first, count) in [(1, 4), (4, 1), (1, 0), (usize::MAX, 2), (2, usize::MAX)] {
        breaks(sum(), "model: expected a loop of nodes from 0 to before 4, found", |m| {
            (m.loops[0].first, m.loops[0].count) = (first, count);
        });
    }
    breaks(every_kind(), "a loop of nodes from 23 to before 24, found 5..18", |m| {
        m.loops.swap(0, 1);
    });
    breaks(every_kind(), "a loop of nodes from 18 to before 24, found 17..20", |m| {
        m.loops[1].first = 17;
    });
    for steps in [0, MAX_LOOP_STEPS + 1, usize::MAX] {
        let message = format!("model: expected a loop of 1 to 65536 steps, found {steps}");
        breaks(sum(), &message, |m| m.loops[0].steps = steps);
    }
}

#[test]
fn steps_stand_in_loops_and_fit_their_sequences() {
    breaks(sum(), "node `part` (Step): expected a node of a loop, found a node outside", |m| {
        m.loops.clear();
    });
    let message = "node `part` (Step): expected a sequence of 3 steps of 2 elements, found 8";
    breaks(sum(), message, |m| m.loops[0].steps = 3);
    let message = "node `y` (Step): expected a sequence of 4 steps of 2 elements, found 6";
    breaks(sum(), message, |m| {
        m.tensors[Y.0].shape = [3, 1, 2];
        m.outputs[0].border = border([3, 1, 2]);
    });
    breaks(sum(), "node `part` (Step): expected the output's grid", |m| {
        m.tensors[PART.0].grid.scale = 0.2;
    });
    breaks(sum(), "node `part` (Step): expected inputs and output of one element type", |m| {
        m.tensors[PART.0] = crate::programs::tensor16("part", [1, 1, 2]);
    });
}

#[test]
fn sequences_are_there_before_the_loop_or_after_it() {
    breaks(
        sum(),
        "a sequence `held` that is there before the loop, found one that the loop",
        |m| {
            m.loops[0].steps = 1;
            m.tensors[Y.0].shape = [1, 1, 2];
            m.outputs[0].border = border([1, 1, 2]);
            m.nodes[1].inputs[0] = HELD;
        },
    );
    breaks(sum(), "a sequence `copy` that is there before the loop", |m| {
        m.loops[0].steps = 1;
        m.tensors[Y.0].shape = [1, 1, 2];
        m.outputs[0].border = border([1, 1, 2]);
        let mut copy = m.nodes[2].clone();
        (copy.name, copy.inputs, copy.output) = ("copy".into(), vec![HELD, HELD], TensorId(5));
        m.tensors.push(IntTensor { name: "copy".into(), ..m.tensors[HELD.0].clone() });
        m.nodes.insert(1, copy);
        m.loops[0].count += 1;
        m.nodes[2].inputs[0] = TensorId(5);
    });
    breaks(sum(), "a sequence `y` that only nodes after the loop read, found a reader in", |m| {
        let mut reader = m.nodes[2].clone();
        (reader.name, reader.inputs, reader.output) = ("reader".into(), vec![Y, Y], TensorId(5));
        m.tensors.push(IntTensor { name: "reader".into(), ..m.tensors[Y.0].clone() });
        m.nodes.push(reader);
        m.loops[0].count += 1;
    });
}

/// `running_sum` with another loop after it, which continues with a copy of what the first one left.
fn two() -> Program {
    let mut program = sum();
    let more = TensorId(5);
    program.tensors.push(IntTensor { name: "more".into(), ..program.tensors[HELD.0].clone() });
    program.tensors.push(IntTensor { name: "last".into(), ..program.tensors[HELD.0].clone() });
    let mut copy = program.nodes[2].clone();
    (copy.name, copy.inputs, copy.output) = ("more".into(), vec![NEXT, NEXT], more);
    let mut last = copy.clone();
    (last.name, last.inputs, last.output) = ("last".into(), vec![more, NEXT], TensorId(6));
    program.nodes.extend([copy, last]);
    let carried = vec![Carried { held: more, next: TensorId(6) }];
    program.loops.push(Loop { first: 5, count: 1, steps: 3, carried });
    verify(&program).unwrap();
    program
}

#[test]
fn what_a_loop_carries_belongs_to_it_alone() {
    let message = "model: expected the loop's tensor id below 5, found id 99";
    breaks(sum(), message, |m| m.loops[0].carried[0].held = TensorId(99));
    breaks(sum(), message, |m| m.loops[0].carried[0].next = TensorId(99));
    breaks(two(), "tensor `held`: expected an activation that is held by one loop, once", |m| {
        m.loops[1].carried[0].held = HELD;
    });
    breaks(sum(), "tensor `next`: expected an activation that becomes one that is held", |m| {
        let copy = Program { ..m.clone() }.nodes[0].clone();
        m.tensors.push(IntTensor { name: "again".into(), ..m.tensors[HELD.0].clone() });
        m.nodes.insert(0, copy);
        m.nodes[0].output = TensorId(5);
        m.loops[0].first += 1;
        m.loops[0].carried.push(Carried { held: TensorId(5), next: NEXT });
    });
}

#[test]
fn a_node_before_the_loop_writes_what_the_steps_change() {
    let message = "an activation that a node before the loop writes, for steps to change";
    breaks(sum(), message, |m| m.loops[0].carried[0].held = X);
    breaks(sum(), message, |m| m.loops[0].carried[0].held = PART);
    breaks(two(), message, |m| m.loops[0].carried[0].held = TensorId(6));
    breaks(every_kind(), message, |m| m.loops[0].carried[0].held = m.states[0].input);
    let message = "an activation that the steps change, and neither the caller nor a state reads";
    breaks(sum(), message, |m| {
        m.outputs.push(Output::new("held", HELD, border([1, 1, 2])));
    });
    breaks(sum(), message, |m| {
        m.tensors.push(IntTensor { name: "kept".into(), ..m.tensors[HELD.0].clone() });
        let (name, input) = ("kept".into(), TensorId(5));
        m.states.push(State { name, input, output: HELD, initial: 0 });
    });
    let message = "tensor `held`: expected an activation that nothing reads after the loop";
    breaks(two(), message, |m| m.nodes[4].inputs[1] = HELD);
}

#[test]
fn a_node_of_the_loop_writes_what_it_leaves() {
    let message = "expected an activation that a node of the loop writes, found another one";
    breaks(sum(), message, |m| m.loops[0].carried[0].next = X);
    breaks(sum(), message, |m| m.loops[0].carried[0].next = HELD);
    breaks(two(), message, |m| m.loops[0].carried[0].next = TensorId(5));
    breaks(sum(), "expected an activation that a step writes as a whole, found a sequence", |m| {
        m.loops[0].carried[0].next = Y;
    });
}

#[test]
fn both_activations_that_are_carried_are_alike() {
    let message = "tensor `held`: expected the shape and grid of `next`: [1, 1, 2], 8 bits";
    let held = |m: &mut Program, change: &dyn Fn(&mut IntTensor)| change(&mut m.tensors[HELD.0]);
    breaks(sum(), message, |m| held(m, &|tensor| tensor.shape = [1, 2, 1]));
    breaks(sum(), message, |m| held(m, &|tensor| tensor.grid.zero_point = 4));
    breaks(sum(), message, |m| {
        held(m, &|tensor| (tensor.bits, tensor.grid.min, tensor.grid.max) = (7, -64, 63));
    });
    breaks(sum(), "tensor `packed`: expected whole bytes in what a loop carries, found I4", |m| {
        let packed = |name: &str, dtype| {
            let mut tensor = tensor(name, [1, 1, 2]);
            (tensor.dtype, tensor.bits) = (dtype, 4);
            (tensor.grid.min, tensor.grid.max) = (-8, 7);
            tensor
        };
        m.tensors.extend([
            packed("values", DType::I8),
            packed("packed", DType::I4),
            packed("again", DType::I8),
            packed("next", DType::I4),
        ]);
        let node = |op: IntOp, input: Option<usize>, output| {
            let mut node = m.nodes[0].clone();
            node.name = "packing".into();
            (node.op, node.output) = (op, TensorId(output));
            node.inputs = input.map(TensorId).into_iter().collect();
            node
        };
        let before =
            [node(IntOp::Constant { data: vec![1, 2] }, None, 5), node(IntOp::Pack, Some(5), 6)];
        let inside = [node(IntOp::Unpack, Some(6), 7), node(IntOp::Pack, Some(7), 8)];
        m.nodes.extend(inside);
        m.nodes.splice(0..0, before);
        m.loops[0].first += 2;
        m.loops[0].count += 2;
        m.loops[0].carried.push(Carried { held: TensorId(6), next: TensorId(8) });
    });
}

#[test]
fn no_stream_runs_in_a_loop_or_writes_what_steps_change_inside() {
    misplaces(
        sum(),
        "node `next` (Add): expected a stream apart from loops, found a node that",
        |parts| {
            parts.placement.streams.push(Stream { first: 2, rows: vec![1] });
        },
    );
}

#[test]
fn loops_ask_for_no_more_work_than_there_may_be() {
    breaks(sum(), "an inference of at most 1000000000000 steps", |m| {
        m.loops[0].steps = MAX_LOOP_STEPS;
        for (tensor, shape) in m.tensors.iter_mut().zip([
            [1 << 16, 1, 1 << 11],
            [1, 1, 1 << 11],
            [1, 1, 1 << 23],
            [1, 1, 1 << 23],
            [1 << 16, 1, 1 << 11],
        ]) {
            tensor.shape = shape;
        }
        m.inputs[0].border = border(m.tensors[0].shape);
        m.outputs.truncate(1);
        m.outputs[0].border = border(m.tensors[Y.0].shape);
        m.nodes[0].op = IntOp::Constant { data: vec![0; 1 << 23] };
        m.nodes[2].inputs = vec![HELD, HELD];
        m.nodes[3].inputs = vec![PART];
    });
}

#[test]
fn steps_share_no_memory_with_what_later_steps_find() {
    // What is taken from, put into and held is live in the whole loop.
    for (moved, onto) in [(PART, X), (NEXT, X), (Y, X), (PART, HELD), (PART, Y), (NEXT, Y)] {
        misplaces(sum(), "free", |parts| {
            parts.placement.offsets[moved.0] = parts.placement.offsets[onto.0];
        });
    }
    // A sum may be written over its first input alone.
    misplaces(sum(), "free", |parts| {
        parts.program.nodes[2].inputs = vec![PART, HELD];
        parts.placement.offsets[NEXT.0] = parts.placement.offsets[HELD.0];
    });
    let mut parts = side_by_side(sum());
    parts.placement.offsets[NEXT.0] = parts.placement.offsets[HELD.0];
    let placed = parts.placed().unwrap();
    assert_eq!(placed.copied_carried(&placed.loops[0]).count(), 0);
    // Whole, not in part.
    misplaces(sum(), "free", |parts| {
        parts.placement.offsets[NEXT.0] = parts.placement.offsets[HELD.0] + 1;
    });
    // What is left after the last node is copied then: no node writes over it before.
    misplaces(two(), "free", |parts| {
        parts.placement.offsets[Y.0] = parts.placement.offsets[NEXT.0];
    });
}
