//! What element-wise operations and tables must be like.

use burn_ptq_kernels::params::{AddParams, Clamp, GateParams};

use crate::op::{Broadcast, DType};
use crate::printable::name;
use crate::program::{IntNode, IntTensor};
use crate::verify::checks::{
    magnitude, scaled_bound, verify_clamp, verify_length, verify_multiplier, verify_rescaling,
};
use crate::verify::limits::MAX_ARENA_BYTES;
use crate::verify::reduce::MAX_INDEXED;
use crate::verify::violation::{Violation, ensure};

pub(super) fn verify_broadcast(
    node: &IntNode,
    broadcast: Broadcast,
    first: &IntTensor,
    second: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    let elements = match broadcast {
        Broadcast::None => first.len(),
        Broadcast::Channels => first.shape[2],
        Broadcast::Scalar => 1,
        Broadcast::Shapes { a, b } => {
            let meet = a.iter().zip(&b).all(|(a, b)| a == b || *a == 1 || *b == 1);
            ensure(
                meet,
                node,
                "extents that are equal or 1 on each axis",
                format_args!("{a:?} and {b:?}"),
            )?;
            let larger = [0, 1, 2].map(|axis| a[axis].max(b[axis]));
            verify_length(node, "input", first, &a)?;
            verify_length(node, "input", second, &b)?;
            return verify_length(node, "output", output, &larger);
        }
    };
    verify_length(node, "output", output, &[first.len()])?;
    ensure(
        second.len() == elements,
        node,
        format_args!("a second input of {elements} elements for broadcast {broadcast:?}"),
        format_args!("`{}` of shape {:?}", name(&second.name), second.shape),
    )
}

pub(super) fn verify_add(
    node: &IntNode,
    params: &AddParams,
    first: &IntTensor,
    second: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    let left_shift = match output.dtype {
        DType::I8 | DType::I4 => 20,
        DType::I16 => 15,
    };
    ensure(
        params.left_shift == left_shift,
        node,
        format_args!("a left shift of {left_shift} for {:?}", output.dtype),
        format_args!("{}", params.left_shift),
    )?;
    for multiplier in [params.a, params.b] {
        verify_multiplier(node, multiplier)?;
    }
    let sum = [(params.a, first), (params.b, second)]
        .into_iter()
        .map(|(multiplier, tensor)| scaled_bound(multiplier, magnitude(tensor) << left_shift))
        .sum::<Option<i64>>();
    ensure(
        sum.is_some(),
        node,
        "inputs whose rescaling fits 32 bits",
        format_args!("multipliers {:?} and {:?}", params.a, params.b),
    )?;
    verify_rescaling(node, params.output, sum.unwrap_or(i64::MAX), output)
}

pub(super) fn verify_table(
    node: &IntNode,
    entries: usize,
    values: impl ExactSizeIterator<Item = i32>,
    output: &IntTensor,
) -> Result<(), Violation> {
    ensure(
        values.len() == entries,
        node,
        format_args!("a table of {entries} entries"),
        format_args!("{}", values.len()),
    )?;
    for value in values {
        verify_clamp(node, Clamp { min: value, max: value }, output)?;
    }
    Ok(())
}

/// Checks the factor of a gate, and that its output is on the grid of all gates.
pub(super) fn verify_gate(
    node: &IntNode,
    params: GateParams,
    output: &IntTensor,
) -> Result<(), Violation> {
    ensure(
        params.is_valid(),
        node,
        format_args!(
            "a multiplier of 1 to {} and a shift of at most {}",
            GateParams::MAX_MULTIPLIER,
            GateParams::MAX_SHIFT
        ),
        format_args!("{} and {}", params.multiplier, params.shift),
    )?;
    let (grid, most) = (output.grid, GateParams::MAX_OUTPUT);
    ensure(
        grid.scale == GateParams::OUTPUT_SCALE && grid.min <= -most && grid.max == most,
        node,
        format_args!("output scale 2^-15, range -{most} to {most}"),
        format_args!("{grid:?}"),
    )
}

/// Checks a table of rows, and that ids of scale 1 choose among them.
pub(super) fn verify_lookup(
    node: &IntNode,
    width: usize,
    elements: usize,
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), Violation> {
    ensure(
        width > 0 && elements > 0 && elements.is_multiple_of(width),
        node,
        format_args!("whole rows of {width} elements"),
        format_args!("{elements} elements"),
    )?;
    ensure(
        elements / width <= MAX_INDEXED && elements <= MAX_ARENA_BYTES,
        node,
        format_args!("at most {MAX_INDEXED} rows"),
        format_args!("{}", elements / width),
    )?;
    ensure(
        input.grid.scale == 1.0,
        node,
        "ids on a grid of scale 1",
        format_args!("scale {}", input.grid.scale),
    )?;
    verify_length(node, "output", output, &[input.len(), width])
}
