//! The two ways to write a program.

/// Which operators compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Those on floats, between `DequantizeLinear` and `QuantizeLinear`.
    Qdq,
    /// Those on integers, `QLinearConv` and `QLinearMatMul`; others between floats.
    QOperator,
}
