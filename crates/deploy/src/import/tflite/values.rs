//! What became of tensors, inputs and variables of the file.

use crate::program::TensorId;

/// What a tensor of the file became.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// An activation of the program, of the same elements.
    Activation(TensorId),
    /// An input in floats, or in bytes without sign: its place.
    Outside(usize),
    /// An activation in floats, or in bytes without sign, for the caller to read.
    Outward(TensorId),
    /// Integers without a grid that follow from an activation, element by element.
    Sequence(Sequence),
    /// The handle of a variable: its place.
    Variable(usize),
    /// Extents, which the file says anyway.
    Extents,
    /// What a refused operator writes.
    Refused,
}

/// Integers without a grid, one for each element of an activation.
#[derive(Clone, Debug)]
pub(super) struct Sequence {
    /// The activation.
    pub source: TensorId,
    /// The integer of each element that its type can hold, from the lowest on.
    pub of: std::rc::Rc<[i32]>,
}

/// An input of the file.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub name: String,
    /// The tensor of the file.
    pub at: usize,
    /// The activation, once it is known.
    pub tensor: Option<TensorId>,
}

/// A variable of the model.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    /// The container and the name within it.
    pub key: (String, String),
    /// What a call finds, once something reads it.
    pub held: Option<TensorId>,
    /// What is in it now, once something is assigned to it.
    pub assigned: Option<TensorId>,
    /// What is in each element at first, once that is known.
    pub initial: Option<i32>,
}
