//! Which element types meet in an operation.

use crate::op::{DType, ElementTypes};
use crate::printable::name;
use crate::program::{IntNode, IntTensor, Program};
use crate::verify::violation::{Violation, ensure};

/// Checks the element types of the tensors of `node`.
pub(super) fn verify_dtypes(
    program: &Program,
    node: &IntNode,
    output: &IntTensor,
) -> Result<(), Violation> {
    let types = node.op.element_types();
    if let ElementTypes::Nibbles(from, to) = types {
        let input = &program.tensors[node.inputs[0].0];
        return ensure(
            (input.dtype, output.dtype) == (from, to) && input.bits <= 4 && output.bits <= 4,
            node,
            format_args!("{from:?} of at most 4 bits in and {to:?} out"),
            format_args!("{} bits of {:?} and {:?}", input.bits, input.dtype, output.dtype),
        );
    }
    let inputs = node.inputs.iter().map(|id| &program.tensors[id.0]);
    for tensor in inputs.clone().chain([output]) {
        ensure(
            tensor.dtype != DType::I4,
            node,
            "tensors of whole bytes; `Unpack` and `Pack` surround operations on packed ones",
            format_args!("`{}` in I4", name(&tensor.name)),
        )?;
    }
    let first = inputs.clone().next().map_or(output.dtype, |tensor| tensor.dtype);
    let differ = match types {
        ElementTypes::Any | ElementTypes::To(_) => true,
        ElementTypes::SameOrWider => (first, output.dtype) == (DType::I8, DType::I16),
        ElementTypes::SameOrNarrower => (first, output.dtype) == (DType::I16, DType::I8),
        ElementTypes::Same | ElementTypes::Only(_) | ElementTypes::Nibbles(..) => false,
    };
    for dtype in inputs.map(|tensor| tensor.dtype) {
        if let ElementTypes::Only(only) = types {
            ensure(
                dtype == only,
                node,
                format_args!("an input of {only:?}"),
                format_args!("{dtype:?}"),
            )?;
        }
        let fits = if differ { dtype == first } else { dtype == output.dtype };
        ensure(
            fits,
            node,
            "inputs and output of one element type",
            format_args!("{dtype:?} and {:?}", output.dtype),
        )?;
        if let ElementTypes::To(to) = types {
            ensure(
                output.dtype == to,
                node,
                format_args!("an output of {to:?}"),
                format_args!("{:?}", output.dtype),
            )?;
        }
    }
    Ok(())
}
