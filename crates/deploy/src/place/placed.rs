//! Programs with their places in memory, verified.

use std::ops::{Deref, Range};

use super::placement::{Placement, Region, Stream};
use super::plan::plan;
use super::reduce::reduced;
use super::rows::RowProgram;
use crate::program::{Loop, Program, TensorId};
use crate::target::Kernels;
use crate::verify::{VerifyError, verify, verify_placement};

/// How much a placement does to save memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Nodes run one after the other, each as a whole.
    Whole,
    /// Nodes run row by row, and activations of 4 bits are packed, where that lowers the arena by a
    /// sixteenth or more. Outputs are the same for every input whose elements lie within the input's
    /// grid.
    Reduced,
}

/// A program that has its places in memory and passed the verifier: what the interpreter runs,
/// exporters print and files hold.
///
/// It reads like the [`Program`] that it places; what was verified cannot be changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    program: Program,
    placement: Placement,
    /// The rows of each stream.
    rows: Vec<RowProgram>,
    kernels: Kernels,
}

impl Program {
    /// Gives every tensor and the scratch that `kernels` need a place in one arena.
    ///
    /// The result depends on the program alone.
    ///
    /// # Errors
    /// If the program breaks an invariant of the [verifier](crate::verify).
    pub fn place(self, kernels: Kernels, memory: Memory) -> Result<Placed, VerifyError> {
        verify(&self)?;
        match memory {
            Memory::Whole => {
                let placement = plan(&self, Vec::new(), kernels);
                Placed::of_verified(self, placement, kernels)
            }
            Memory::Reduced => {
                let (program, placement) = reduced(self, kernels);
                Placed::new(program, placement, kernels)
            }
        }
    }
}

impl Placed {
    /// A program with a placement that is known, such as that of a file, for `kernels`.
    ///
    /// # Errors
    /// If the program or the placement breaks an invariant of the [verifier](crate::verify).
    pub fn new(
        program: Program,
        placement: Placement,
        kernels: Kernels,
    ) -> Result<Self, VerifyError> {
        verify(&program)?;
        Self::of_verified(program, placement, kernels)
    }

    /// A program that passed [`verify`], with a placement that did not yet.
    fn of_verified(
        program: Program,
        placement: Placement,
        kernels: Kernels,
    ) -> Result<Self, VerifyError> {
        let rows = verify_placement(&program, &placement, kernels)?;
        Ok(Self { program, placement, rows, kernels })
    }

    /// The program in new places, for other kernels or in less memory. Streams that it has stay.
    ///
    /// # Errors
    /// If the arena that these kernels need is too large.
    pub fn place_again(&self, kernels: Kernels, memory: Memory) -> Result<Self, VerifyError> {
        let program = self.program.clone();
        if self.placement.streams.is_empty() {
            return program.place(kernels, memory);
        }
        let placement = plan(&program, self.placement.streams.clone(), kernels);
        Self::of_verified(program, placement, kernels)
    }

    /// Gives the program another name, on which no invariant depends.
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.program.name = name.into();
    }

    /// The program by itself.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Its places.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// The program and its places, to be changed and placed again.
    pub fn into_parts(self) -> (Program, Placement) {
        (self.program, self.placement)
    }

    /// The kernels whose scratch it has room for.
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.placement.arena_bytes
    }

    /// Where a tensor's first element stands in the arena, in bytes.
    pub fn offset(&self, tensor: TensorId) -> usize {
        self.placement.offsets[tensor.0]
    }

    /// The bytes of a tensor in the arena; in a stream memory may hold only the first of them.
    pub fn range(&self, tensor: TensorId) -> Range<usize> {
        let offset = self.offset(tensor);
        offset..offset + self.tensors[tensor.0].bytes()
    }

    /// The states that the next call finds after a copy, from the second to the first: the others are written
    /// where they are found.
    pub fn copied_states(&self) -> impl Iterator<Item = (TensorId, TensorId)> {
        let states = self.states.iter().map(|state| (state.output, state.input));
        states.filter(|&(from, to)| self.offset(from) != self.offset(to))
    }

    /// What a step of a loop leaves for the next one by a copy, from the second to the first: the others are
    /// written where they are found.
    pub fn copied_carried(&self, own: &Loop) -> impl Iterator<Item = (TensorId, TensorId)> {
        let carried = own.carried.iter().map(|carried| (carried.next, carried.held));
        carried.filter(|&(from, to)| self.offset(from) != self.offset(to))
    }

    /// The scratch of the node at an index.
    pub fn scratch(&self, node: usize) -> Region {
        self.placement.scratch[node]
    }

    /// The streams, in the order of execution.
    pub fn streams(&self) -> &[Stream] {
        &self.placement.streams
    }

    /// Each stream with its rows.
    pub fn row_programs(&self) -> impl Iterator<Item = (&Stream, &RowProgram)> {
        self.placement.streams.iter().zip(&self.rows)
    }
}

impl Deref for Placed {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}
