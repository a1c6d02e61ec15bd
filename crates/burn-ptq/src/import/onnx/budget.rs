//! A bound on the memory that a file can make the importer allocate.

use super::error::Refusal;

/// The bytes that all constants of a model may take together.
const BYTES: usize = 384 << 20;
/// The largest number of axes of a constant.
pub(super) const MAX_RANK: usize = 8;

/// What is left of the bytes for constants.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    pub fn new() -> Self {
        Self { left: BYTES }
    }

    /// The number of elements of a constant of `shape` with `size` bytes an element, if so many may
    /// be allocated.
    pub fn allocate(&mut self, shape: &[usize], size: usize) -> Result<usize, Refusal> {
        if shape.len() > MAX_RANK {
            let problem = format!("a constant has {} axes, more than {MAX_RANK}", shape.len());
            return Err(Refusal::new(problem, "reshape it"));
        }
        // Extents of 0 count as 1, so that products of some of the extents are bounded too.
        let elements = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d.max(1)));
        let bytes = elements.and_then(|n| n.checked_mul(size));
        match bytes.and_then(|b| self.left.checked_sub(b)) {
            Some(left) => {
                self.left = left;
                Ok(shape.iter().product())
            }
            None => Err(Refusal::new(
                format!(
                    "a constant of shape {shape:?} exceeds the {} MiB that a model's constants \
                     may take",
                    BYTES >> 20
                ),
                "models for microcontrollers are smaller",
            )),
        }
    }
}
