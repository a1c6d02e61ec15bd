//! Comparisons with a number.

use burn::tensor::Tensor;

/// A comparison with a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Comparison {
    /// `x < bound`.
    Less,
    /// `x <= bound`.
    LessOrEqual,
    /// `x > bound`.
    Greater,
    /// `x >= bound`.
    GreaterOrEqual,
    /// `x == bound`.
    Equal,
    /// `x != bound`.
    NotEqual,
}

impl Comparison {
    /// Whether it holds.
    pub fn holds(self, x: f32, bound: f32) -> bool {
        match self {
            Comparison::Less => x < bound,
            Comparison::LessOrEqual => x <= bound,
            Comparison::Greater => x > bound,
            Comparison::GreaterOrEqual => x >= bound,
            Comparison::Equal => x == bound,
            Comparison::NotEqual => x != bound,
        }
    }

    /// The comparison with its two sides in the other order.
    pub fn turned(self) -> Self {
        match self {
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
            Comparison::Equal | Comparison::NotEqual => self,
        }
    }

    /// The operator of ONNX; of the one that it lacks, the name that it would have.
    pub(super) fn name(self) -> &'static str {
        match self {
            Comparison::Less => "Less",
            Comparison::LessOrEqual => "LessOrEqual",
            Comparison::Greater => "Greater",
            Comparison::GreaterOrEqual => "GreaterOrEqual",
            Comparison::Equal => "Equal",
            Comparison::NotEqual => "NotEqual",
        }
    }

    /// 1 where it holds for an element of `x`, else 0.
    pub(super) fn forward(self, x: Tensor<4>, bound: f32) -> Tensor<4> {
        let holds = match self {
            Comparison::Less => x.lower_elem(bound),
            Comparison::LessOrEqual => x.lower_equal_elem(bound),
            Comparison::Greater => x.greater_elem(bound),
            Comparison::GreaterOrEqual => x.greater_equal_elem(bound),
            Comparison::Equal => x.equal_elem(bound),
            Comparison::NotEqual => x.not_equal_elem(bound),
        };
        holds.float()
    }
}
