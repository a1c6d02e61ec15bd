//! Constant tensors on the host.

/// A dense row-major array of floats: weights and other constants of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents of the axes.
    pub shape: Vec<usize>,
    /// The elements, last axis fastest.
    pub data: Vec<f32>,
}

impl Array {
    /// An array of `shape` over `data`.
    ///
    /// # Panics
    /// If the number of elements differs from the shape's.
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "an array's data must fill its shape"
        );
        Self { shape, data }
    }

    /// An array of `shape` in which every element is `value`.
    pub fn full(shape: impl Into<Vec<usize>>, value: f32) -> Self {
        let shape = shape.into();
        let data = vec![value; shape.iter().product()];
        Self { shape, data }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements of each step along the first axis.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks(self.row_len())
    }

    /// The elements of each step along the first axis, mutably.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let len = self.row_len();
        self.data.chunks_mut(len)
    }

    fn row_len(&self) -> usize {
        self.shape.iter().skip(1).product::<usize>().max(1)
    }
}
