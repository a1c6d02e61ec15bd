//! Bounds on the memory and time that a file can cost the importer.

use super::error::Refusal;
use super::limits::MAX_NODES;

/// The bytes that all constants of a model may take together, whatever computes them.
const BYTES: usize = 256 << 20;
/// The elements of one sample that all values of a graph may have together.
const ELEMENTS: usize = 1 << 26;
/// The rows and columns that the windows of all pools may visit together.
const POSITIONS: usize = 1 << 26;
/// How often the nodes in loops may run together: one after the other, however small they are.
const RUNS: usize = 1 << 18;
/// The largest number of axes of a constant.
pub(super) const MAX_RANK: usize = 8;

/// What is left of the bytes for constants and of the positions of windows.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    positions: usize,
    nodes: usize,
    elements: usize,
    runs: usize,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self {
            bytes: BYTES,
            positions: POSITIONS,
            nodes: MAX_NODES,
            elements: ELEMENTS,
            runs: RUNS,
        }
    }

    /// The number of elements of a constant of `shape` with `size` bytes per element, if that many
    /// may be allocated.
    pub(super) fn allocate(&mut self, shape: &[usize], size: usize) -> Result<usize, Refusal> {
        if shape.len() > MAX_RANK {
            let problem = format!("a constant has {} axes, more than {MAX_RANK}", shape.len());
            return Err(Refusal::new(problem, "reshape it"));
        }
        // Extents of 0 count as 1, so that products of some of the extents are bounded too.
        let elements = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d.max(1)));
        let bytes = elements.and_then(|n| n.checked_mul(size));
        match bytes.and_then(|b| self.bytes.checked_sub(b)) {
            Some(left) => {
                self.bytes = left;
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

    /// Counts a node.
    pub(super) fn node(&mut self) -> Result<(), Refusal> {
        let left = self.nodes.checked_sub(1);
        self.nodes = left.ok_or_else(|| {
            Refusal::new(
                format!("the model has more than {MAX_NODES} nodes that compute"),
                "models for microcontrollers are smaller",
            )
        })?;
        Ok(())
    }

    /// Counts the elements of a computed value, whose `shape` is one of a sample.
    pub(super) fn compute(&mut self, shape: &[usize]) -> Result<(), Refusal> {
        let left = self.elements.checked_sub(shape.iter().product());
        self.elements = left.ok_or_else(|| {
            Refusal::new(
                format!("all values together have more than {ELEMENTS} elements a sample"),
                "models for microcontrollers are smaller",
            )
        })?;
        Ok(())
    }

    /// Counts the nodes of a loop of so many steps.
    pub(super) fn repeat(&mut self, nodes: usize, steps: usize) -> Result<(), Refusal> {
        let left = nodes.checked_mul(steps).and_then(|runs| self.runs.checked_sub(runs));
        self.runs = left.ok_or_else(|| {
            Refusal::new(
                format!(
                    "it has {nodes} operations in each of {steps} steps, and those of all layers run at most {RUNS} \
                     times"
                ),
                "export the model for shorter sequences, or for one step with its state (--state)",
            )
        })?;
        Ok(())
    }

    /// Counts the rows and columns that a window visits.
    pub(super) fn visit(&mut self, positions: usize) -> Result<(), Refusal> {
        let left = self.positions.checked_sub(positions);
        self.positions = left.ok_or_else(|| {
            Refusal::new(
                format!("the pools visit more than {POSITIONS} rows and columns"),
                "models for microcontrollers are smaller",
            )
        })?;
        Ok(())
    }
}
