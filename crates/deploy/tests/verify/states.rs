//! States that a program cannot keep are refused.

use burn_ptq_deploy::program::{DType, IntOp, IntTensor, MAX_NODES, Output, Program, TensorId};
use burn_ptq_deploy::verify::verify;

use crate::programs::{border, side_by_side, tensor};
use crate::stateful::{delay_line, every_kind};
use crate::{breaks, misplaces};

#[test]
fn states_of_every_kind_pass_side_by_side_too() {
    verify(&every_kind()).unwrap();
    let parts = side_by_side(every_kind());
    assert_eq!(parts.placed().unwrap().copied_states().count(), 5);
}

#[test]
fn states_have_names_and_tensors() {
    breaks(every_kind(), "model: expected at most 16384 states, found 16385", |m| {
        m.states = vec![m.states[0].clone(); MAX_NODES + 1];
    });
    breaks(every_kind(), "states with names of their own, found two called `copied`", |m| {
        m.states[1].name = m.states[0].name.clone();
    });
    let message = "model: expected the state's tensor id below 15, found id 99";
    breaks(every_kind(), message, |m| m.states[0].input = TensorId(99));
    breaks(every_kind(), message, |m| m.states[0].output = TensorId(99));
}

#[test]
fn only_states_write_what_a_call_finds() {
    let message = "a state that is neither an input nor another state, found tensor 0 twice";
    breaks(every_kind(), message, |m| m.states[4].input = m.inputs[0].tensor);
    let message = "a state that is neither an input nor another state, found tensor 2 twice";
    breaks(every_kind(), message, |m| m.states[1].input = m.states[0].input);
    let message = "a state that only its other activation changes, after the last node, found `h0`";
    breaks(every_kind(), message, |m| m.nodes[2].output = m.states[0].input);
    breaks(every_kind(), "a state that is not an output", |m| {
        let tensor = m.states[0].input;
        let border = border(m.tensors[tensor.0].shape);
        m.outputs.push(Output::new("old", tensor, border));
    });
}

#[test]
fn what_a_call_leaves_belongs_to_one_state() {
    let message = "an activation that is the next of one state alone, and not a state itself";
    breaks(every_kind(), message, |m| m.states[1].output = m.states[0].output);
    breaks(every_kind(), message, |m| m.states[1].output = m.states[0].input);
    breaks(every_kind(), message, |m| m.states[0].output = m.states[0].input);
    breaks(every_kind(), "tensor `orphan`: expected a node that writes it, found none", |m| {
        m.tensors.push(tensor("orphan", [1, 2, 3]));
        m.tensors.last_mut().unwrap().grid.scale = 0.1;
        m.states[0].output = TensorId(m.tensors.len() - 1);
    });
}

#[test]
fn both_activations_of_a_state_are_alike() {
    let message = "tensor `h4`: expected the shape and grid of `x`";
    let held = |m: &mut Program, change: &dyn Fn(&mut IntTensor)| {
        let id = m.states[4].input;
        change(&mut m.tensors[id.0]);
    };
    breaks(every_kind(), message, |m| held(m, &|tensor| tensor.shape = [1, 3, 2]));
    breaks(every_kind(), message, |m| held(m, &|tensor| tensor.grid.scale = 0.1));
    breaks(every_kind(), message, |m| held(m, &|tensor| tensor.grid.zero_point = 4));
    breaks(every_kind(), message, |m| {
        held(m, &|tensor| {
            (tensor.bits, tensor.grid.min, tensor.grid.max) = (7, -64, 63);
        });
    });
    let message = "tensor `h4`: expected the shape and grid of `other`: [1, 1, 5], 16 bits";
    breaks(every_kind(), message, |m| m.states[4].output = m.nodes[4].output);
}

#[test]
fn states_are_whole_bytes() {
    let packed = |name: &str| {
        let mut tensor = tensor(name, [1, 1, 2]);
        (tensor.dtype, tensor.bits) = (DType::I4, 4);
        (tensor.grid.min, tensor.grid.max) = (-8, 7);
        tensor
    };
    breaks(delay_line(1), "tensor `held0`: expected whole bytes in a state, found I4", |m| {
        let (held, next) = (m.states[0].input, TensorId(m.tensors.len()));
        m.tensors[held.0] = packed("held0");
        m.tensors.push(packed("next"));
        m.nodes[0].op = IntOp::Unpack;
        let mut narrow = packed("narrow");
        narrow.dtype = DType::I8;
        let output = m.nodes[0].output;
        m.tensors[output.0] = narrow;
        let pack = m.nodes[0].clone();
        m.nodes.push(pack);
        let last = m.nodes.last_mut().unwrap();
        (last.op, last.inputs, last.output) = (IntOp::Pack, vec![output], next);
        m.states[0].output = next;
    });
}

#[test]
fn initial_values_lie_in_the_grid() {
    for initial in [-129, 128, i32::MIN, i32::MAX] {
        let message =
            format!("tensor `h0`: expected an initial value from -128 to 127, found {initial}");
        breaks(every_kind(), &message, |m| m.states[0].initial = initial);
    }
    for initial in [-32_769, 32_768] {
        let message = "an initial value from -32768 to 32767";
        breaks(every_kind(), message, |m| m.states[2].initial = initial);
    }
}

#[test]
fn what_is_kept_shares_memory_with_what_takes_its_place_alone() {
    // What follows is written while states are live, and so are other states and inputs.
    for other in [0, 1, 2, 7, 8] {
        misplaces(every_kind(), "free", |parts| {
            parts.placement.offsets[3] = parts.placement.offsets[other];
        });
    }
    // A sum of the state itself is written while it is read.
    misplaces(every_kind(), "free", |parts| {
        let [held, next] = [parts.program.states[0].input, parts.program.states[0].output];
        parts.placement.offsets[next.0] = parts.placement.offsets[held.0];
    });
    // Whole, not in part.
    let shared = |shift: usize| {
        let mut parts = side_by_side(every_kind());
        let state = &parts.program.states[1];
        let (held, next) = (state.input, state.output);
        parts.placement.offsets[next.0] = parts.placement.offsets[held.0] + shift;
        parts.placed()
    };
    assert_eq!(shared(0).unwrap().copied_states().count(), 4);
    let error = shared(2).unwrap_err().to_string();
    assert!(error.contains("free"), "{error}");
}
