//! Weights in the order of the kernels that read them.

mod dsp;
mod mve;
mod quads;
mod scalar;
mod tiles;

pub(crate) use dsp::pack as pack_dsp;
pub(crate) use mve::pack as pack_mve;
pub(crate) use quads::pack as pack_quads;
pub(crate) use scalar::pack as pack_scalar;
pub(crate) use tiles::pack as pack_tiles;

use crate::place::kernels::{MVE_PADDING, chosen};
use crate::program::{IntNode, Program};
use crate::target::Kernels;

/// Bytes of a node's weights, biases, multipliers and tables for the kernels that it runs on.
pub(crate) fn constant_bytes(program: &Program, node: &IntNode, kernels: Kernels) -> usize {
    let Some(weighted) = node.op.weighted() else { return node.op.constant_bytes() };
    let channels = weighted.bias.len();
    match chosen(program, node, kernels) {
        Kernels::Portable => node.op.constant_bytes(),
        Kernels::Scalar => 4 * scalar::pack(program, node, false).len(),
        Kernels::Dsp => {
            node.op.constant_bytes() - weighted.weights.data.len() + 4 * dsp::pack(&node.op).len()
        }
        Kernels::Tiles => 4 * tiles::pack(program, node, false).len(),
        Kernels::Quads => 4 * quads::pack(program, node).len(),
        Kernels::Mve => mve::pack(&node.op).len() + 12 * (channels + MVE_PADDING),
    }
}
