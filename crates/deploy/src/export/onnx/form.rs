//! How values of the file hold activations: ONNX has channels before the plane, the program behind it.

use crate::border::Border;
use crate::program::IntTensor;

/// The axes of a value behind that of the batch: their extents, and the order in which the program's memory
/// has them, the last one fastest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    pub shape: Vec<usize>,
    pub order: Vec<usize>,
}

/// An operator that takes a value from one form to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// To these extents behind the batch axis.
    Reshape(Vec<usize>),
    /// For each axis behind the batch axis, the one that it is.
    Transpose(Vec<usize>),
}

impl Form {
    /// Elements as memory has them.
    pub(super) fn plain(shape: &[usize]) -> Self {
        Self { shape: shape.to_vec(), order: (0..shape.len()).collect() }
    }

    /// `[channels, height, width]` of a `[height, width, channels]`.
    pub(super) fn planes([height, width, channels]: [usize; 3]) -> Self {
        Self { shape: vec![channels, height, width], order: vec![1, 2, 0] }
    }

    /// The form in which windows, and what else has no geometry, take an activation of this shape.
    pub(super) fn of(tensor: &IntTensor) -> Self {
        match tensor.shape {
            [1, 1, features] => Self::plain(&[features]),
            shape => Self::planes(shape),
        }
    }

    /// The source model's own.
    pub(super) fn of_border(border: &Border) -> Self {
        Self { shape: border.extents.clone(), order: border.axes.clone() }
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The extents as memory has them.
    fn memory(&self) -> Vec<usize> {
        self.order.iter().map(|&axis| self.shape[axis]).collect()
    }

    /// The same with as few axes as tell elements apart.
    fn merged(&self) -> Self {
        let kept: Vec<usize> =
            (0..self.shape.len()).filter(|&axis| self.shape[axis] != 1).collect();
        let place = |axis: usize| kept.iter().position(|&other| other == axis);
        let mut shape: Vec<usize> = kept.iter().map(|&axis| self.shape[axis]).collect();
        let mut order: Vec<usize> = self.order.iter().filter_map(|&axis| place(axis)).collect();
        while let Some(at) = order.windows(2).position(|pair| pair[0] + 1 == pair[1]) {
            let axis = order[at];
            shape[axis] *= shape[axis + 1];
            shape.remove(axis + 1);
            order.remove(at + 1);
            order.iter_mut().filter(|other| **other > axis).for_each(|other| *other -= 1);
        }
        Self { shape, order }
    }

    /// Whether elements lie as memory has them.
    fn is_plain(&self) -> bool {
        self.merged().order.len() <= 1
    }

    /// What takes a value from this form to another.
    pub(super) fn moves(&self, to: &Self) -> Vec<Move> {
        if self == to {
            return Vec::new();
        }
        if self.merged() == to.merged() {
            return match self.shape == to.shape {
                true => Vec::new(),
                false => vec![Move::Reshape(to.shape.clone())],
            };
        }
        let (from_memory, memory) = (self.memory(), to.memory());
        // The axis of `from` that each of the other's is, where both have the same axes in memory.
        let matched = |from: &[usize]| {
            let mut axes = vec![0; from.len()];
            to.order.iter().zip(from).for_each(|(&axis, &own)| axes[axis] = own);
            axes
        };
        if from_memory == memory {
            return vec![Move::Transpose(matched(&self.order))];
        }
        let mut moves = Vec::new();
        let mut shape = self.shape.clone();
        if !self.is_plain() {
            moves.push(Move::Transpose(self.order.clone()));
            shape = from_memory;
        }
        let wanted = if to.is_plain() { &to.shape } else { &memory };
        if shape != *wanted {
            moves.push(Move::Reshape(wanted.clone()));
        }
        if !to.is_plain() {
            moves.push(Move::Transpose(matched(&(0..memory.len()).collect::<Vec<_>>())));
        }
        moves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_hold_the_same_elements_alike_differ_in_shape_alone() {
        let planes = Form::planes([1, 5, 3]);
        assert_eq!(planes.moves(&planes), []);
        let flat = Form { shape: vec![3, 5], order: vec![1, 0] };
        assert_eq!(planes.moves(&flat), [Move::Reshape(vec![3, 5])]);
        assert_eq!(Form::planes([2, 3, 1]).moves(&Form::plain(&[6])), [Move::Reshape(vec![6])]);
    }

    #[test]
    fn other_orders_take_a_transposition() {
        let planes = Form::planes([2, 3, 4]);
        assert_eq!(planes.moves(&Form::plain(&[2, 3, 4])), [Move::Transpose(vec![1, 2, 0])]);
        let flat = [Move::Transpose(vec![1, 2, 0]), Move::Reshape(vec![24])];
        assert_eq!(planes.moves(&Form::plain(&[24])), flat);
        let back = [Move::Reshape(vec![2, 3, 4]), Move::Transpose(vec![2, 0, 1])];
        assert_eq!(Form::plain(&[24]).moves(&planes), back);
    }
}
