//! Values that are known before the model runs, and the nodes that compute them.

mod elementwise;
mod fold;
mod generate;
mod indexing;
mod reduce;

use std::fmt;

use super::error::Refusal;
use crate::graph::Array;

pub(super) use fold::{fold, shape_of};
pub(super) use indexing::{Span, expand, normalize_axis, permute_axes, unsqueezed};
pub(super) use reduce::reduce;

/// The longest list of integers that shapes and their like may have.
const MAX_LIST: usize = 4096;

/// A tensor that is known at import, with its ONNX shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constant {
    pub shape: Vec<usize>,
    pub elements: Elements,
}

/// The elements of a [`Constant`], last axis fastest.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Elements {
    Float(Vec<f32>),
    Integer(Vec<Extent>),
}

/// An integer, most often an extent of a shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Extent {
    Known(i64),
    /// So many times the extent of the batch axis, which only the run knows.
    Batch(i64),
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Extent::Known(value) => write!(f, "{value}"),
            Extent::Batch(1) => write!(f, "batch"),
            Extent::Batch(times) => write!(f, "{times}*batch"),
        }
    }
}

impl Constant {
    pub(super) fn len(&self) -> usize {
        match &self.elements {
            Elements::Float(data) => data.len(),
            Elements::Integer(data) => data.len(),
        }
    }

    /// The elements as numbers that a network may compute with.
    pub(super) fn to_array(&self) -> Result<Array, Refusal> {
        let data = self.to_floats()?;
        if data.iter().any(|v| !v.is_finite()) {
            return Err(Refusal::new(
                "a constant holds NaN or infinite values",
                "train or export the model again",
            ));
        }
        Ok(Array::new(self.shape.clone(), data))
    }

    /// The elements as floats, which may be infinite; integers that no float holds are refused.
    pub(super) fn to_floats(&self) -> Result<Vec<f32>, Refusal> {
        match &self.elements {
            Elements::Float(data) => Ok(data.clone()),
            Elements::Integer(data) => {
                let float = |value: i64| {
                    let float = value as f32;
                    // In i128, where no float saturates to the largest i64.
                    if float as i128 == i128::from(value) {
                        return Ok(float);
                    }
                    Err(Refusal::new(
                        format!(
                            "a constant holds {value}, which 32-bit floats round to {}",
                            float as i128
                        ),
                        "compute with smaller integers, or store the constant as floats",
                    ))
                };
                data.iter().map(|e| e.known().and_then(float)).collect()
            }
        }
    }

    /// The elements as truths: everything but 0 is true.
    pub(super) fn to_truths(&self) -> Result<Vec<bool>, Refusal> {
        match &self.elements {
            Elements::Integer(data) => {
                Ok(data.iter().map(|element| !matches!(element, Extent::Known(0))).collect())
            }
            Elements::Float(_) => {
                Err(Refusal::invalid("expected a condition of truth values, found floats"))
            }
        }
    }

    /// The elements as integers that do not depend on the batch.
    pub(super) fn to_integers(&self) -> Result<Vec<i64>, Refusal> {
        self.to_extents()?.iter().map(|e| e.known()).collect()
    }

    /// The elements of a shape, a list of axes or the like.
    pub(super) fn to_extents(&self) -> Result<&[Extent], Refusal> {
        match &self.elements {
            Elements::Integer(data) if data.len() <= MAX_LIST => Ok(data),
            Elements::Integer(data) => Err(Refusal::new(
                format!("expected at most {MAX_LIST} integers, found {}", data.len()),
                "models for microcontrollers are smaller",
            )),
            Elements::Float(_) => {
                Err(Refusal::invalid("expected an integer constant, found floats"))
            }
        }
    }

    /// The only element.
    pub(super) fn to_scalar(&self) -> Result<f32, Refusal> {
        match self.len() {
            1 => Ok(self.to_floats()?[0]),
            _ => Err(Refusal::new(
                format!("expected a constant with one element, found the shape {:?}", self.shape),
                "export the model with one number for all elements",
            )),
        }
    }
}

impl Extent {
    /// The number; refused where it is that of the batch.
    pub(super) fn known(self) -> Result<i64, Refusal> {
        match self {
            Extent::Known(value) => Ok(value),
            Extent::Batch(_) => Err(depends_on_batch()),
        }
    }
}

/// The refusal of arithmetic on the extent of the batch.
fn depends_on_batch() -> Refusal {
    Refusal::new(
        "it computes with the extent of the batch axis",
        "export the model with shapes that keep the batch axis as it is",
    )
}
