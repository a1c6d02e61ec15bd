//! The verifier of integer programs. A program that passes runs without overflow, out-of-bounds
//! access or undefined behaviour in C, whoever wrote it.
//!
//! It reports all violations that it can tell apart: of each tensor and each operation the first, since
//! what follows relies on it, and of an operation none while its tensors are invalid. Loops, streams, memory
//! and work are checked in programs whose tensors and operations are valid.
//!
//! Invariants, in the order in which they are checked:
//!
//! 1. Tensors: at least one element, less than [`MAX_ARENA_BYTES`]; bits 2..=8 in 8-bit storage,
//!    16 in 16-bit storage, or 2..=4 in 4-bit storage with whole bytes in each row; a grid of a positive finite scale with `min <= zero_point <= max` within
//!    the bits; zero point 0 in 16 bits.
//! 2. Data flow: ids in range; each operation has its number of inputs; every tensor but the model's
//!    inputs and what states hold is written exactly once, and before it is read; these are never written.
//! 3. Inputs and outputs: 1 to [`MAX_ENDS`] of each, with names of their own; no tensor is two inputs.
//!    An output may be a tensor that nodes read, an input, or another output. Borders: at most
//!    [`MAX_BORDER_AXES`] axes of at least one element; the axes are a permutation, and source, extents
//!    and tensor have the same number of elements. The preprocessing of an input has usable numbers,
//!    one for all its channels or one for each. States: at most [`MAX_NODES`], with names of their own; both
//!    activations have the same shape, type and grid, in whole bytes; the first belongs to no input, output
//!    or other state; the second to no state as its first and to no other state; the initial value lies in
//!    the grid.
//! 4. Operations:
//!    - element types: those that the operation knows, and the same in and out (but `Requantize`,
//!      `FullyConnected` of 8 bits to 16, `Mul` of 16 bits to 8);
//!    - geometry agrees with the lengths of the tensors and the weights, groups divide channels;
//!    - windows: kernel, stride and dilation at least 1, nothing above [`MAX_WINDOW`]; every window
//!      starts within the input padded by `pad` on both sides; a window of a pool holds at least one
//!      element that is not padding;
//!    - weights: bits 2..=8, stored in `storage_bits` of them and packed to `packed_len` bytes,
//!      values within `weight_range`; one bias per output channel, one multiplier and scale an output
//!      channel or for all; scales positive and finite;
//!    - multipliers are normalised, with exponents of -31..=30, below 15 where accumulators are wide;
//!    - accumulators: the largest that any input can give fits 32 bits (64 for 16-bit activations),
//!      also after the multiplier's left shift and with the output's zero point added;
//!    - strides: every element that a product of matrices or a normalization reads lies in its input,
//!      and each of its output is written once;
//!    - sums of reductions and normalizations fit their types, also rescaled;
//!    - gates multiply by at most [`GateParams::MAX_MULTIPLIER`](burn_ptq_kernels::params::GateParams) and have
//!      the output scale 2^-15;
//!    - clamps, tables, constants and pad values lie within the output's grid;
//!    - `Rearrange` has 1 to 6 axes, and its places lie in the input, whatever the indices along them;
//!    - pools, `Concat`, `Pad`, `Transpose`, `Rearrange`, minima and maxima have the same grid in and out; softmax has output
//!      scale 1/256 and zero point -128, log-softmax 16/256 and 127.
//! 5. Loops: at most [`MAX_NODES`], in the order of the nodes, without a node in two of them, of 1 to
//!    [`MAX_LOOP_STEPS`](crate::loops::MAX_LOOP_STEPS) steps. Operations that take or put a step stand in loops; their sequences
//!    have as many parts as there are steps, are there before the loop if parts are taken, and are read
//!    after it if parts are put. Of what a loop carries, both activations have the same shape, type and grid,
//!    in whole bytes, and no other place in a loop; the first is written by a node before the loop, belongs to
//!    no output or state, and is not read after the loop; the second is written by a node of the loop, as a whole.
//! 6. Streams: in the order of the nodes, without a node in two of them; their nodes run row by row
//!    belong to no loop and read what they pass on to each other, which no other node and no caller reads; memory holds
//!    the rows that windows cover; no tensor is taller than [`MAX_HEIGHT`](crate::place::rows::MAX_HEIGHT).
//! 7. Memory: tensors are placed at multiples of their element's size, scratch at multiples of 8 and is as
//!    large as the operation needs; everything lies inside the arena, which is at most
//!    [`MAX_ARENA_BYTES`]; regions that are live at the same time share no byte, except that an
//!    element-wise operation may write exactly over its first input if nothing reads that again, an
//!    operation exactly over the state or what a loop holds that its output is next, if nothing reads that again,
//!    and
//!    the output of a stream may reach from below into an input that dies in it, as far as
//!    [`replaceable_inputs`](crate::place::rows::replaceable_inputs) says.
//! 8. Work: at most [`MAX_NODES`] operations and as many tensors, checked first; an inference takes at
//!    most [`MAX_STEPS`](work::MAX_STEPS) elementary steps, and all streams together have at most
//!    [`MAX_STREAM_ROWS`](streams::MAX_STREAM_ROWS) rows, so that a file of a few bytes costs neither
//!    hours nor gigabytes.

mod checks;
mod limits;
mod loops;
mod matmul;
mod memory;
mod movement;
mod normalize;
mod ops;
mod reduce;
mod states;
pub mod streams;
pub(crate) mod violation;
mod weighted;
mod window;
pub mod work;

use burn_ptq_kernels::grid::{Grid, signed_range};

use crate::border::MAX_BORDER_AXES;
use crate::op::DType;
use crate::place::placement::Placement;
use crate::place::rows::RowProgram;
use crate::printable::name;
use crate::program::{Border, IntNode, IntTensor, Program};
pub use crate::program::{MAX_ENDS, MAX_NODES};
use crate::target::Kernels;
use checks::verify_id;
pub(crate) use limits::element_count;
pub use limits::{MAX_ARENA_BYTES, MAX_WINDOW};
use violation::ensure;
pub use violation::{LISTED, Subject, VerifyError, Violation};

/// Checks the invariants of operations, tensors and loops: all of the module's list but streams and memory.
///
/// Neither panics nor allocates more than a few words per tensor and a bounded message, whatever the
/// program holds.
pub fn verify(program: &Program) -> Result<(), VerifyError> {
    let mut found = VerifyError::default();
    for (what, count) in [("operations", program.nodes.len()), ("tensors", program.tensors.len())] {
        found.note(ensure(
            count <= MAX_NODES,
            Subject::Model,
            format_args!("at most {MAX_NODES} {what}"),
            format_args!("{count}"),
        ));
    }
    if found.count() > 0 {
        return Err(found);
    }
    let valid: Vec<bool> =
        program.tensors.iter().map(|tensor| found.note(verify_tensor(tensor))).collect();
    verify_ends(program, &valid, &mut found);
    states::verify_states(program, &valid, &mut found);
    verify_nodes(program, &valid, &mut found);
    if found.count() == 0 {
        loops::verify_loops(program, &mut found);
    }
    if found.count() == 0 {
        found.note(work::verify_work(program));
    }
    found.or(())
}

/// Checks streams and memory of a valid program on `kernels`; returns the rows of each stream.
///
/// # Errors
/// If the placement has places for another number of tensors or nodes, or breaks an invariant.
pub(crate) fn verify_placement(
    program: &Program,
    placement: &Placement,
    kernels: Kernels,
) -> Result<Vec<RowProgram>, VerifyError> {
    let mut found = VerifyError::default();
    for (what, count, places) in [
        ("tensors", program.tensors.len(), placement.offsets.len()),
        ("operations", program.nodes.len(), placement.scratch.len()),
    ] {
        found.note(ensure(
            count == places,
            Subject::Model,
            format_args!("a place for each of {count} {what}"),
            format_args!("{places}"),
        ));
    }
    if found.count() > 0 {
        return Err(found);
    }
    let rows = streams::verify_streams(program, &placement.streams)?;
    memory::verify_memory(program, placement, kernels)?;
    Ok(rows)
}

fn verify_tensor(tensor: &IntTensor) -> Result<(), Violation> {
    let bytes = element_count(&tensor.shape).map(|elements| elements * tensor.dtype.bits() / 8);
    ensure(
        bytes.is_some_and(|bytes| bytes <= MAX_ARENA_BYTES),
        tensor,
        format_args!("1 to {MAX_ARENA_BYTES} bytes of elements"),
        format_args!("shape {:?}", tensor.shape),
    )?;
    // Rows begin at bytes.
    ensure(
        (tensor.shape[1] * tensor.shape[2] * tensor.dtype.bits()).is_multiple_of(8),
        tensor,
        "an even number of elements in each row of I4",
        format_args!("shape {:?}", tensor.shape),
    )?;
    let bits_fit = match tensor.dtype {
        DType::I8 => (2..=8).contains(&tensor.bits),
        DType::I16 => tensor.bits == 16,
        DType::I4 => (2..=4).contains(&tensor.bits),
    };
    ensure(
        bits_fit,
        tensor,
        "2 to 8 bits in I8, 16 bits in I16, or 2 to 4 bits in I4",
        format_args!("{} bits in {:?}", tensor.bits, tensor.dtype),
    )?;
    let Grid { scale, zero_point, min, max } = tensor.grid;
    ensure(
        scale.is_finite() && scale > 0.0,
        tensor,
        "a positive finite scale",
        format_args!("scale {scale}"),
    )?;
    let (lowest, highest) = signed_range(tensor.bits, false);
    ensure(
        lowest <= min && min <= zero_point && zero_point <= max && max <= highest,
        tensor,
        format_args!("{lowest} <= min <= zero point <= max <= {highest}"),
        format_args!("min {min}, zero point {zero_point}, max {max}"),
    )?;
    ensure(
        tensor.dtype != DType::I16 || zero_point == 0,
        tensor,
        "zero point 0 in 16 bits",
        format_args!("zero point {zero_point}"),
    )
}

/// Checks what the caller fills and reads.
fn verify_ends(program: &Program, valid: &[bool], found: &mut VerifyError) {
    let inputs = program.inputs.iter().map(|i| ("input", &i.name, i.tensor, &i.border));
    let outputs = program.outputs.iter().map(|o| ("output", &o.name, o.tensor, &o.border));
    for (role, count) in [("inputs", program.inputs.len()), ("outputs", program.outputs.len())] {
        found.note(ensure(
            (1..=MAX_ENDS).contains(&count),
            Subject::Model,
            format_args!("1 to {MAX_ENDS} {role}"),
            format_args!("{count}"),
        ));
    }
    // What follows is quadratic.
    if found.count() > 0 && program.inputs.len().max(program.outputs.len()) > MAX_ENDS {
        return;
    }
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (role, own, id, border) in inputs.chain(outputs) {
        found.note(ensure(
            !seen.contains(&(role, own)),
            Subject::Model,
            format_args!("{role}s with names of their own"),
            format_args!("two called `{}`", name(own)),
        ));
        seen.push((role, own));
        let in_range = found.note(verify_id(program, Subject::Model, role, id));
        if !in_range || !valid[id.0] {
            continue;
        }
        let tensor = &program.tensors[id.0];
        found.note(verify_border(role, border, tensor));
        found.note(ensure(
            tensor.dtype != DType::I4,
            tensor,
            "whole bytes where the caller reads or writes",
            "I4",
        ));
    }
    for (index, input) in program.inputs.iter().enumerate() {
        if let Err(problem) = input.preprocessing.check(&input.border.source_shape) {
            let expected = "a preprocessing that fits its input";
            found.note(ensure(false, Subject::Model, expected, problem));
        }
        found.note(ensure(
            program.inputs[..index].iter().all(|other| other.tensor != input.tensor),
            Subject::Model,
            "inputs of tensors of their own",
            format_args!("tensor {} twice", input.tensor.0),
        ));
    }
}

/// Checks data flow and operations, in the order of execution.
fn verify_nodes(program: &Program, valid: &[bool], found: &mut VerifyError) {
    let mut written = vec![false; program.tensors.len()];
    for given in program.given() {
        if let Some(given) = written.get_mut(given.0) {
            *given = true;
        }
    }
    for node in &program.nodes {
        let flows = found.note(verify_flow(program, node, &written));
        if let Some(output) = written.get_mut(node.output.0) {
            *output = true;
        }
        if flows && node.inputs.iter().chain([&node.output]).all(|id| valid[id.0]) {
            found.note(ops::verify_op(program, node));
        }
    }
    for (tensor, _) in program.tensors.iter().zip(&written).filter(|&(_, &written)| !written) {
        found.note(ensure(false, tensor, "a node that writes it", "none"));
    }
}

/// Checks what `node` reads and writes; `written` says which tensors the nodes before it have made.
fn verify_flow(program: &Program, node: &IntNode, written: &[bool]) -> Result<(), Violation> {
    let arity = node.op.arity();
    ensure(
        node.inputs.len() == arity,
        node,
        format_args!("{arity} input{}", if arity == 1 { "" } else { "s" }),
        format_args!("{}", node.inputs.len()),
    )?;
    for &input in &node.inputs {
        verify_id(program, node.into(), "input", input)?;
        let name = name(&program.tensors[input.0].name);
        ensure(
            written[input.0],
            node,
            format_args!("input `{name}` written by an earlier node"),
            "no such node",
        )?;
    }
    verify_id(program, node.into(), "output", node.output)?;
    let name = name(&program.tensors[node.output.0].name);
    ensure(
        !program.is_input(node.output),
        node,
        "the model's inputs are written by the caller alone",
        format_args!("`{name}` as the node's output"),
    )?;
    ensure(
        program.states.iter().all(|state| state.input != node.output),
        node,
        "a state that only its other activation changes, after the last node",
        format_args!("`{name}` as the node's output"),
    )?;
    ensure(
        !written[node.output.0],
        node,
        "an output that no earlier node writes",
        format_args!("`{name}`, which is written already"),
    )
}

fn verify_border(role: &str, border: &Border, tensor: &IntTensor) -> Result<(), Violation> {
    let Border { source_shape, extents, axes } = border;
    for (what, shape) in [("source's", source_shape), ("border's", extents)] {
        ensure(
            shape.len() <= MAX_BORDER_AXES,
            tensor,
            format_args!("at most {MAX_BORDER_AXES} axes of the {what} {role} sample"),
            format_args!("{}", shape.len()),
        )?;
        let elements = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        ensure(
            elements == Some(tensor.len()),
            tensor,
            format_args!("as many elements as the {what} {role} sample of {shape:?}"),
            format_args!("{:?}", tensor.shape),
        )?;
    }
    ensure(
        axes.len() == extents.len() && (0..axes.len()).all(|axis| axes.contains(&axis)),
        tensor,
        format_args!("a permutation of the {} axes at the {role}", extents.len()),
        format_args!("{axes:?}"),
    )
}
