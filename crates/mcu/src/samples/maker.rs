//! Programs in the making.

use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{
    Border, DType, Input, IntNode, IntOp, IntTensor, Output, Program, Provenance, TensorId,
};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::grid::{Grid, signed_range};

/// A program in the making.
#[derive(Default)]
pub(crate) struct Maker {
    pub(super) tensors: Vec<IntTensor>,
    nodes: Vec<IntNode>,
    pub(crate) inputs: Vec<TensorId>,
}

impl Maker {
    /// A tensor of 8 bits.
    pub(crate) fn tensor(&mut self, shape: [usize; 3], zero_point: i32) -> TensorId {
        self.tensor_of(DType::I8, shape, zero_point)
    }

    /// A tensor; zero points of 16 bits are 0.
    pub(super) fn tensor_of(
        &mut self,
        dtype: DType,
        shape: [usize; 3],
        zero_point: i32,
    ) -> TensorId {
        let id = TensorId(self.tensors.len());
        let wide = dtype == DType::I16;
        let bits = if wide { 16 } else { 8 };
        let (min, max) = signed_range(bits, false);
        let zero_point = if wide { 0 } else { zero_point };
        let grid = Grid { scale: if wide { 0.0002 } else { 0.05 }, zero_point, min, max };
        self.tensors.push(IntTensor { name: format!("t{}", id.0), shape, dtype, bits, grid });
        id
    }

    /// An input of the program.
    pub(super) fn input(&mut self, dtype: DType, shape: [usize; 3], zero_point: i32) -> TensorId {
        let id = self.tensor_of(dtype, shape, zero_point);
        self.inputs.push(id);
        id
    }

    pub(crate) fn node(&mut self, op: IntOp, inputs: &[TensorId], output: TensorId) {
        let name = format!("node{}", self.nodes.len());
        self.nodes.push(IntNode { name, op, inputs: inputs.to_vec(), output });
    }

    pub(crate) fn finish(self, memory: Memory) -> Option<Placed> {
        let border = |id: TensorId| Border::plain(&self.tensors[id.0].shape);
        let named =
            |(index, &id): (usize, &TensorId)| Input::new(format!("x{index}"), id, border(id));
        let inputs: Vec<Input> = self.inputs.iter().enumerate().map(named).collect();
        let last = self.nodes.last()?.output;
        let outputs = vec![Output::new("y", last, border(last))];
        let program = Program {
            name: "sample".into(),
            tensors: self.tensors,
            nodes: self.nodes,
            inputs,
            outputs,
            states: Vec::new(),
            loops: Vec::new(),
            provenance: Provenance::default(),
        };
        program.place(Kernels::Portable, memory).ok()
    }
}
