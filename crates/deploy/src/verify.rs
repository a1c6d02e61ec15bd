//! The verifier of integer programs. A program that passes runs without overflow, out-of-bounds
//! access or undefined behaviour in C, whoever wrote it.
//!
//! Invariants, in the order in which they are checked:
//!
//! 1. Tensors: at least one element, less than [`MAX_ARENA_BYTES`]; bits 2..=8 in 8-bit storage,
//!    16 in 16-bit storage, or 2..=4 in 4-bit storage with whole bytes in each row; a grid of a positive finite scale with `min <= zero_point <= max` within
//!    the bits; zero point 0 in 16 bits.
//! 2. Data flow: ids in range; each operation has its number of inputs; every tensor but the model's
//!    input is written exactly once, and before it is read; the input is never written.
//! 3. Borders: at most [`MAX_BORDER_AXES`] axes of at least one element; the axes are a permutation,
//!    and source, extents and tensor have the same number of elements. The preprocessing has
//!    usable numbers, one for all channels of the input or one for each.
//! 4. Operations:
//!    - element types: those that the operation knows, and the same in and out (but `Requantize`);
//!    - geometry agrees with the lengths of the tensors and the weights, groups divide channels;
//!    - windows: kernel, stride and dilation at least 1, nothing above [`MAX_WINDOW`]; every window
//!      starts within the input padded by `pad` on both sides; a window of a pool holds at least one
//!      element that is not padding;
//!    - weights: bits 2..=8, stored in `storage_bits` of them and packed to `packed_len` bytes,
//!      values within `weight_range`; one bias an output channel, one multiplier and scale an output
//!      channel or for all; scales positive and finite;
//!    - multipliers are normalised, with exponents of -31..=30, below 15 where accumulators are wide;
//!    - accumulators: the largest that any input can give fits 32 bits (64 for 16-bit activations),
//!      also after the multiplier's left shift and with the output's zero point added;
//!    - clamps, tables and pad values lie within the output's grid;
//!    - pools, `Concat`, `Pad` and `Transpose` have the same grid in and out; softmax has output
//!      scale 1/256 and zero point -128, log-softmax 16/256 and 127.
//! 5. Streams: in the order of the nodes, without a node in two of them; their nodes run row by row
//!    and read what they pass on to each other, which no other node and no caller reads; memory holds
//!    the rows that windows cover; no tensor is taller than [`MAX_HEIGHT`](crate::stream::MAX_HEIGHT).
//! 6. Memory: tensors stand at multiples of their element's size, scratch at multiples of 8 and is as
//!    large as the operation needs; everything lies inside the arena, which is at most
//!    [`MAX_ARENA_BYTES`]; regions that are live at the same time share no byte, except that an
//!    element-wise operation may write exactly over its first input if nothing reads that again, and
//!    the output of a stream may reach from below into an input that dies in it, as far as
//!    [`replaceable_inputs`](crate::stream::replaceable_inputs) says.
//! 7. Work: at most [`MAX_NODES`] operations and as many tensors, checked first; an inference takes at
//!    most [`MAX_STEPS`](work::MAX_STEPS) elementary steps, and all streams together have at most
//!    [`MAX_STREAM_ROWS`](work::MAX_STREAM_ROWS) rows, so that a file of a few bytes costs neither
//!    hours nor gigabytes.

mod memory;
mod ops;
mod streams;
mod weighted;
mod window;
pub mod work;

use std::fmt::{self, Display};

use burn_ptq_kernels::grid::{Grid, signed_range};
use thiserror::Error;

use crate::border::MAX_BORDER_AXES;
use crate::model::{Border, DType, IntModel, IntNode, IntOp, IntTensor, TensorId};
use crate::printable::line;
use crate::target::Kernels;

/// The largest arena that a program may ask for: 256 MiB, more than any microcontroller addresses.
pub const MAX_ARENA_BYTES: usize = 1 << 28;

/// The most operations, and the most tensors, that a program may have.
pub const MAX_NODES: usize = 1 << 14;

/// The largest kernel extent, stride, dilation and padding.
pub const MAX_WINDOW: usize = u16::MAX as usize;

/// Why a program must not run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{subject}: expected {expected}, found {found}")]
pub struct VerifyError {
    /// The part of the program that is wrong.
    pub subject: Subject,
    /// What the invariant asks for.
    pub expected: String,
    /// What the program has.
    pub found: String,
}

/// A part of a program that an error speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The program as a whole.
    Model,
    /// A tensor, by name.
    Tensor(String),
    /// A node, by name and operation.
    Node {
        /// The node's name.
        name: String,
        /// [`IntOp::name`].
        op: &'static str,
    },
}

impl Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Subject::Model => f.write_str("model"),
            Subject::Tensor(name) => write!(f, "tensor `{}`", line(name)),
            Subject::Node { name, op } => write!(f, "node `{}` ({op})", line(name)),
        }
    }
}

impl From<&IntTensor> for Subject {
    fn from(tensor: &IntTensor) -> Self {
        Subject::Tensor(tensor.name.clone())
    }
}

impl From<&IntNode> for Subject {
    fn from(node: &IntNode) -> Self {
        Subject::Node { name: node.name.clone(), op: node.op.name() }
    }
}

/// Checks every invariant of the module's list and returns the first that does not hold.
///
/// Neither panics nor allocates more than a few words a tensor, whatever the program holds.
pub fn verify(model: &IntModel) -> Result<(), VerifyError> {
    verify_for(model, Kernels::Portable)
}

/// The same of a program that is planned for the kernels of a target.
pub fn verify_for(model: &IntModel, kernels: Kernels) -> Result<(), VerifyError> {
    verify_unplanned(model)?;
    memory::verify_memory(model, kernels)
}

/// Checks every invariant but those of the memory.
pub fn verify_unplanned(model: &IntModel) -> Result<(), VerifyError> {
    for (what, count) in [("operations", model.nodes.len()), ("tensors", model.tensors.len())] {
        ensure(
            count <= MAX_NODES,
            Subject::Model,
            format_args!("at most {MAX_NODES} {what}"),
            format_args!("{count}"),
        )?;
    }
    for tensor in &model.tensors {
        verify_tensor(tensor)?;
    }
    verify_data_flow(model)?;
    verify_border("input", &model.input_border, &model.tensors[model.input.0])?;
    verify_border("output", &model.output_border, &model.tensors[model.output.0])?;
    if let Err(problem) = model.preprocessing.check(&model.input_border.source_shape) {
        return ensure(false, Subject::Model, "a preprocessing that fits its input", problem);
    }
    for id in [model.input, model.output] {
        let tensor = &model.tensors[id.0];
        ensure(
            tensor.dtype != DType::I4,
            tensor,
            "whole bytes where the caller reads or writes",
            "I4",
        )?;
    }
    for node in &model.nodes {
        ops::verify_op(model, node)?;
    }
    work::verify_work(model)?;
    streams::verify_streams(model)
}

/// `Err` with the two texts unless `holds`.
pub(crate) fn ensure(
    holds: bool,
    subject: impl Into<Subject>,
    expected: impl Display,
    found: impl Display,
) -> Result<(), VerifyError> {
    if holds {
        return Ok(());
    }
    Err(VerifyError {
        subject: subject.into(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// The product of `extents`, or `None` if one is 0 or the product exceeds [`MAX_ARENA_BYTES`].
fn element_count(extents: &[usize]) -> Option<usize> {
    let product = extents.iter().try_fold(1_usize, |product, &e| product.checked_mul(e))?;
    (1..=MAX_ARENA_BYTES).contains(&product).then_some(product)
}

fn verify_tensor(tensor: &IntTensor) -> Result<(), VerifyError> {
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

fn verify_data_flow(model: &IntModel) -> Result<(), VerifyError> {
    let count = model.tensors.len();
    let in_range = |subject: Subject, role: &str, id: TensorId| {
        ensure(
            id.0 < count,
            subject,
            format_args!("the {role}'s tensor id below {count}"),
            format_args!("id {}", id.0),
        )
    };
    in_range(Subject::Model, "input", model.input)?;
    in_range(Subject::Model, "output", model.output)?;
    let mut written = vec![false; count];
    written[model.input.0] = true;
    for node in &model.nodes {
        let arity = arity(&node.op);
        ensure(
            node.inputs.len() == arity,
            node,
            format_args!("{arity} input{}", if arity == 1 { "" } else { "s" }),
            format_args!("{}", node.inputs.len()),
        )?;
        for &input in &node.inputs {
            in_range(node.into(), "input", input)?;
            let name = &model.tensors[input.0].name;
            ensure(
                written[input.0],
                node,
                format_args!("input `{name}` written by an earlier node"),
                "no such node",
            )?;
        }
        in_range(node.into(), "output", node.output)?;
        let name = &model.tensors[node.output.0].name;
        ensure(
            node.output != model.input,
            node,
            "the model's input is written by the caller alone",
            format_args!("`{name}` as the node's output"),
        )?;
        ensure(
            !written[node.output.0],
            node,
            "an output that no earlier node writes",
            format_args!("`{name}`, which is written already"),
        )?;
        written[node.output.0] = true;
    }
    match model.tensors.iter().zip(&written).find(|&(_, &written)| !written) {
        Some((tensor, _)) => ensure(false, tensor, "a node that writes it", "none"),
        None => Ok(()),
    }
}

/// The number of inputs of an operation.
fn arity(op: &IntOp) -> usize {
    match op {
        IntOp::Add { .. } | IntOp::Mul { .. } => 2,
        // At least one: without inputs there is nothing to join.
        IntOp::Concat { chunks, .. } => chunks.len().max(1),
        _ => 1,
    }
}

fn verify_border(role: &str, border: &Border, tensor: &IntTensor) -> Result<(), VerifyError> {
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

fn is_permutation(axes: [usize; 3]) -> bool {
    (0..3).all(|axis| axes.contains(&axis))
}
