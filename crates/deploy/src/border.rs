//! How samples of the source model lie in the program's input and output.
//!
//! Source models hold images channel by channel and may end by flattening, transposing or squeezing
//! what they computed; programs hold channels last and compute nothing for such an ending. A
//! [`Border`] is the rule by which the caller reads one as the other: elements only change places.

use serde::{Deserialize, Serialize};

/// The largest number of axes on either side of a [`Border`].
pub const MAX_BORDER_AXES: usize = 8;

/// How the elements of one sample of the source model lie in a tensor of the program.
///
/// The sample, of shape `source_shape` with the last axis fastest, is read as an array of `extents`.
/// The tensor holds that array with its axes in the order `axes`, the last one fastest: axis `i` of the
/// tensor's memory is axis `axes[i]` of the array.
///
/// - An image `[C, H, W]` that the program holds as `[H, W, C]`: extents `[C, H, W]`, axes `[1, 2, 0]`.
/// - A map of `[C, H, W]` that the source model flattens at its end: `source_shape` is `[C * H * W]`,
///   extents are `[C, H * W]` and axes `[1, 0]`. The program still writes `[H, W, C]`, and element
///   `(y * W + x) * C + c` of its output is element `(c * H + y) * W + x` of the source model's.
/// - A vector, or whatever lies as in the source: one axis, or axes that count up.
///
/// [`Border::places`] is the same rule as a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Border {
    /// The shape of one sample in the source model, without the batch axis.
    pub source_shape: Vec<usize>,
    /// The extents by which the sample's elements are told apart; they hold as many elements.
    pub extents: Vec<usize>,
    /// For each axis of the tensor's memory, slowest first, the axis of `extents`.
    pub axes: Vec<usize>,
}

impl Border {
    /// A sample of up to three axes, padded with trailing axes of extent 1 to three, which the tensor
    /// holds in the order `axes`: `[1, 2, 0]` for an image with its channels first.
    pub fn permuted(source_shape: &[usize], axes: [usize; 3]) -> Self {
        let mut extents = source_shape.to_vec();
        extents.resize(source_shape.len().max(3), 1);
        Self { source_shape: source_shape.to_vec(), extents, axes: axes.to_vec() }
    }

    /// A sample that lies in the tensor as in the source model.
    pub fn plain(source_shape: &[usize]) -> Self {
        if source_shape.len() <= 3 {
            return Self::permuted(source_shape, [0, 1, 2]);
        }
        // One axis says it of any number of them.
        let extents = vec![source_shape.iter().product()];
        Self { source_shape: source_shape.to_vec(), extents, axes: vec![0] }
    }

    /// The border by which the tensor's element `i` is element `places[i]` of the sample; `None` if no
    /// order of at most [`MAX_BORDER_AXES`] axes gives these places.
    pub fn from_places(source_shape: &[usize], places: &[usize]) -> Option<Self> {
        // The tensor's axes, the fastest first: the extent, and the step through the sample.
        let mut axes: Vec<(usize, usize)> = Vec::new();
        let mut block = 1;
        while block < places.len() {
            let step = places[block];
            let continues = |i: &usize| {
                places.get(i * block).is_some_and(|place| step.checked_mul(*i) == Some(*place))
            };
            let extent = (1..).take_while(continues).count() + 1;
            axes.push((extent, step));
            block = block.checked_mul(extent)?;
        }
        axes.reverse();
        let mut sorted: Vec<usize> = (0..axes.len()).collect();
        sorted.sort_by_key(|&axis| std::cmp::Reverse(axes[axis].1));
        let mut border = Self {
            source_shape: source_shape.to_vec(),
            extents: sorted.iter().map(|&axis| axes[axis].0).collect(),
            axes: vec![0; axes.len()],
        };
        for (place, &axis) in sorted.iter().enumerate() {
            border.axes[axis] = place;
        }
        if axes.is_empty() {
            (border.extents, border.axes) = (vec![places.len()], vec![0]);
        }
        let fits = axes.len() <= MAX_BORDER_AXES && block == places.len().max(1);
        (fits && border.places() == places).then_some(border)
    }

    /// The sample's element that each element of the tensor is.
    ///
    /// The border is one of a program that [`verify`](crate::verify::verify) accepts.
    pub fn places(&self) -> Vec<usize> {
        let mut steps = vec![1; self.extents.len()];
        for axis in (1..self.extents.len()).rev() {
            steps[axis - 1] = steps[axis] * self.extents[axis];
        }
        let mut places = Vec::with_capacity(self.extents.iter().product());
        places.push(0);
        // Each axis repeats what the slower ones give: from the slowest to the fastest.
        for &axis in &self.axes {
            let slower = std::mem::take(&mut places);
            places.reserve(slower.len() * self.extents[axis]);
            for start in slower {
                places.extend((0..self.extents[axis]).map(|i| start + i * steps[axis]));
            }
        }
        places
    }

    /// Whether the tensor holds the sample's elements in the sample's order.
    pub fn keeps_order(&self) -> bool {
        self.axes.iter().filter(|&&axis| self.extents[axis] != 1).is_sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of a value of `dims` whose axes the memory holds in `order`.
    fn transposed(dims: [usize; 3], order: [usize; 3]) -> Vec<usize> {
        Border::permuted(&dims, order).places()
    }

    #[test]
    fn images_lie_with_their_channels_last() {
        let border = Border::permuted(&[2, 1, 3], [1, 2, 0]);
        assert_eq!(border.places(), [0, 3, 1, 4, 2, 5]);
        assert!(!border.keeps_order());
        assert!(Border::permuted(&[5], [1, 2, 0]).keeps_order());
        assert!(Border::permuted(&[1, 4, 3], [1, 2, 0]).keeps_order());
        let deep = Border::plain(&[2, 1, 3, 2]);
        assert!(deep.keeps_order() && deep.places().into_iter().eq(0..12));
    }

    #[test]
    fn places_of_every_order_are_found_again() {
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        for dims in [[2, 3, 4], [4, 4, 4], [1, 5, 2], [7, 1, 1], [1, 1, 1], [2, 2, 2]] {
            for order in orders {
                let places = transposed(dims, order);
                let border = Border::from_places(&[places.len()], &places).unwrap();
                assert_eq!(border.places(), places, "{dims:?} in {order:?}");
                assert_eq!(border.extents.iter().product::<usize>(), places.len());
                assert_eq!(border.keeps_order(), places.is_sorted(), "{dims:?} in {order:?}");
            }
        }
    }

    #[test]
    fn places_of_a_detector_with_several_anchors_are_found() {
        // A map of [2 anchors * 3 numbers, 2, 5], held channels last and read as [2, 5 * 2, 3] with
        // width before height.
        let anchored = |place: usize| {
            let (anchor, number, y, x) = (place / 30, place / 10 % 3, place / 5 % 2, place % 5);
            ((anchor * 5 + x) * 2 + y) * 3 + number
        };
        let map = transposed([6, 2, 5], [1, 2, 0]);
        let places: Vec<usize> = map.into_iter().map(anchored).collect();
        let border = Border::from_places(&[2, 10, 3], &places).unwrap();
        assert_eq!(border.extents, [2, 5, 2, 3]);
        assert_eq!(border.axes, [2, 1, 0, 3]);
        assert_eq!(border.places(), places);
    }

    #[test]
    fn what_is_no_order_of_axes_is_not_taken_for_one() {
        for places in [&[1, 0][..], &[0, 2, 1], &[0, 1, 3, 2], &[0, 2, 4, 1, 3, 6, 5]] {
            assert_eq!(Border::from_places(&[places.len()], places), None, "{places:?}");
        }
        // [3, 2] read as [2, 3]: the factors of one do not divide those of the other.
        let first = transposed([2, 3, 1], [1, 0, 2]);
        let twice: Vec<usize> = first.iter().map(|&p| (p % 2) * 3 + p / 2).collect();
        let thrice: Vec<usize> = twice.iter().map(|&p| (p % 3) * 2 + p / 3).collect();
        for places in [first, twice, thrice] {
            let found = Border::from_places(&[6], &places);
            assert!(found.is_none_or(|border| border.places() == places));
        }
    }
}
