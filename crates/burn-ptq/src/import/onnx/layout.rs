//! Where the batch is among the axes that a value has in the file. In the graph it is always in front.

/// Where the batch is among the axes of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Batch {
    /// Nowhere: the value is one sample.
    Absent,
    /// An axis of its own.
    Axis(usize),
    /// Within an axis that holds an axis of the sample too: the outer part of it, or the inner one.
    Fused { axis: usize, inner: bool },
}

/// How the axes of a value in the file are those of its samples in the graph.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Layout {
    pub batch: Batch,
    /// Whether samples have no axes in the file; in the graph they have one of extent 1.
    pub scalar: bool,
}

impl Layout {
    /// The batch in front, as in the graph.
    pub(super) const FIRST: Self = Self { batch: Batch::Axis(0), scalar: false };
    /// No batch.
    pub(super) const ABSENT: Self = Self { batch: Batch::Absent, scalar: false };

    pub(super) const fn axis(axis: usize) -> Self {
        Self { batch: Batch::Axis(axis), scalar: false }
    }

    /// How many axes the value has in the file.
    pub(super) fn rank(self, sample: &[usize]) -> usize {
        let own = if self.scalar { 0 } else { sample.len() };
        own + usize::from(matches!(self.batch, Batch::Axis(_)))
    }

    /// The axis that has the batch in it.
    pub(super) fn batch_axis(self) -> Option<usize> {
        match self.batch {
            Batch::Absent => None,
            Batch::Axis(axis) | Batch::Fused { axis, .. } => Some(axis),
        }
    }

    /// The same with the batch in another place.
    pub(super) fn moved(self, axis: usize) -> Self {
        let batch = match self.batch {
            Batch::Absent => Batch::Absent,
            Batch::Axis(_) => Batch::Axis(axis),
            Batch::Fused { inner, .. } => Batch::Fused { axis, inner },
        };
        Self { batch, ..self }
    }

    /// Where an axis of the file is once an axis for the batch is in front; `None` for the axis that
    /// has the batch in it.
    pub(super) fn canonical(self, axis: usize) -> Option<usize> {
        match self.batch {
            _ if self.batch_axis() == Some(axis) => None,
            Batch::Axis(batch) if axis > batch => Some(axis),
            _ => Some(axis + 1),
        }
    }

    /// A list with an entry for every axis of the file as one for the batch in front and the axes
    /// behind it. `neutral` stands for the batch, whose own entry is dropped.
    pub(super) fn in_front<T: Clone>(self, list: &[T], neutral: T) -> Vec<T> {
        let mut ordered = vec![neutral];
        let own = |axis: &usize| self.batch != Batch::Axis(*axis);
        ordered.extend((0..list.len()).filter(own).map(|axis| list[axis].clone()));
        ordered
    }

    /// The shape of the file, with `batch` for the batch: the number that multiplies the rest of its
    /// axis.
    pub(super) fn whole<T>(
        self,
        sample: &[usize],
        known: impl Fn(usize) -> T,
        batch: impl Fn(usize) -> T,
    ) -> Vec<T> {
        let own = if self.scalar { &[] } else { sample };
        let mut whole: Vec<T> = own.iter().map(|&extent| known(extent)).collect();
        match self.batch {
            Batch::Absent => {}
            Batch::Axis(axis) => whole.insert(axis.min(whole.len()), batch(1)),
            Batch::Fused { axis, .. } => whole[axis] = batch(own[axis]),
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_of_the_file_find_their_place_behind_the_batch() {
        let places = |layout: Layout| (0..3).map(|a| layout.canonical(a)).collect::<Vec<_>>();
        assert_eq!(places(Layout::FIRST), [None, Some(1), Some(2)]);
        assert_eq!(places(Layout::axis(1)), [Some(1), None, Some(2)]);
        assert_eq!(places(Layout::axis(2)), [Some(1), Some(2), None]);
        assert_eq!(places(Layout::ABSENT), [Some(1), Some(2), Some(3)]);
        let fused = Layout { batch: Batch::Fused { axis: 1, inner: false }, scalar: false };
        assert_eq!(places(fused), [Some(1), None, Some(3)]);
        assert_eq!(fused.rank(&[4, 5, 6]), 3);
        assert_eq!(fused.whole(&[4, 5, 6], |d| (d, 0), |d| (0, d)), [(4, 0), (0, 5), (6, 0)]);
        assert_eq!(Layout::axis(1).in_front(&[7, 8, 9], 0), [0, 7, 9]);
        assert_eq!(Layout::ABSENT.in_front(&[7, 8], 0), [0, 7, 8]);
    }
}
