//! Small programs that keep something from one call to the next.

use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{
    Broadcast, Input, IntNode, IntOp, IntTensor, Output, Program, State, TensorId,
};
use burn_ptq_deploy::run::{Interpreter, Path, run_sequence};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::params::AddParams;

use crate::programs::{self, INT8, INT16, border, tensor, tensor16};

/// The states of [`every_kind`], in their order.
#[allow(dead_code)]
pub(crate) const KINDS: [&str; 5] = ["copied", "in place", "wide", "wide in place", "delay"];

/// A program that grows node by node.
pub(crate) struct Net(pub Program);

#[allow(dead_code)]
impl Net {
    pub(crate) fn new() -> Self {
        let mut program = programs::table8();
        program.name = "net".into();
        (program.tensors, program.nodes) = (Vec::new(), Vec::new());
        (program.inputs, program.outputs) = (Vec::new(), Vec::new());
        Self(program)
    }

    pub(crate) fn tensor(&mut self, tensor: IntTensor) -> TensorId {
        self.0.tensors.push(tensor);
        TensorId(self.0.tensors.len() - 1)
    }

    pub(crate) fn input(&mut self, tensor: IntTensor) -> TensorId {
        let (name, border) = (tensor.name.clone(), border(tensor.shape));
        let id = self.tensor(tensor);
        self.0.inputs.push(Input::new(name, id, border));
        id
    }

    pub(crate) fn output(&mut self, id: TensorId) {
        let tensor = &self.0.tensors[id.0];
        self.0.outputs.push(Output::new(tensor.name.clone(), id, border(tensor.shape)));
    }

    pub(crate) fn state(&mut self, name: &str, [input, output]: [TensorId; 2], initial: i32) {
        self.0.states.push(State { name: name.into(), input, output, initial });
    }

    pub(crate) fn node(&mut self, op: IntOp, inputs: &[TensorId], output: IntTensor) -> TensorId {
        let name = output.name.clone();
        let output = self.tensor(output);
        self.0.nodes.push(IntNode { name, op, inputs: inputs.to_vec(), output });
        output
    }

    pub(crate) fn add(&mut self, inputs: [TensorId; 2], output: IntTensor) -> TensorId {
        let [a, b] = inputs.map(|id| self.0.tensors[id.0].grid.scale);
        let wide = output.bits == 16;
        let params = AddParams::new(a, b, output.grid.scale, wide).expect("representable");
        let clamp = if wide { INT16 } else { INT8 };
        self.node(IntOp::Add { params, broadcast: Broadcast::None, clamp }, &inputs, output)
    }

    /// A function that no values of a state undo.
    pub(crate) fn table(&mut self, input: TensorId, output: IntTensor) -> TensorId {
        let op = match output.bits {
            16 => IntOp::Table16 { table: (0..513).map(|i| (i * 251 % 32768) as i16).collect() },
            _ => IntOp::Table8 { table: (0..256).map(|i| (i * 37 + 11) as u8 as i8).collect() },
        };
        self.node(op, &[input], output)
    }
}

/// A program of two inputs and three outputs with a state of each of [`KINDS`]: two that are copied after
/// the last node and two that a node writes over, of both widths, and one that is the input of the call before.
/// One of those that are written over is an output too.
pub(crate) fn every_kind() -> Program {
    let mut net = Net::new();
    let x = net.input(tensor("x", [1, 2, 3]));
    let w = net.input(tensor16("w", [1, 1, 5]));
    let coarse = |name: &str| {
        let mut tensor = tensor(name, [1, 2, 3]);
        tensor.grid.scale = 0.1;
        tensor
    };
    let wide = |name: &str| tensor16(name, [1, 1, 5]);
    let held = [coarse("h0"), coarse("h1"), wide("h2"), wide("h3"), tensor("h4", [1, 2, 3])];
    let held = held.map(|tensor| net.tensor(tensor));

    let sum = net.add([held[0], x], coarse("sum"));
    let first = net.add([held[1], sum], coarse("first"));
    let next = net.table(first, coarse("next"));
    let total = net.add([held[2], w], wide("total"));
    let other = net.add([held[3], total], wide("other"));
    let last = net.table(other, wide("last"));
    let delayed = net.add([held[4], x], coarse("delayed"));
    let y = net.add([delayed, next], coarse("y"));
    for id in [y, next, last] {
        net.output(id);
    }
    let left = [(sum, 7), (next, -5), (total, -300), (last, 0), (x, 0)];
    for ((name, input), (output, initial)) in KINDS.into_iter().zip(held).zip(left) {
        net.state(name, [input, output], initial);
    }
    net.0
}

/// A program without nodes to speak of, whose output is its input of `calls` calls before: a line of states,
/// each of which takes what the one before it held.
#[allow(dead_code)]
pub(crate) fn delay_line(calls: usize) -> Program {
    let mut net = Net::new();
    let x = net.input(tensor("x", [1, 1, 2]));
    let mut from = x;
    for call in 0..calls {
        let held = net.tensor(tensor(&format!("held{call}"), [1, 1, 2]));
        net.state(&format!("state{call}"), [held, from], call as i32 + 1);
        let table = (0..=255_u8).map(|index| index.wrapping_sub(128) as i8).collect();
        from =
            net.node(IntOp::Table8 { table }, &[held], tensor(&format!("passed{call}"), [1, 1, 2]));
    }
    net.output(from);
    net.0
}

/// A program in its places, as a whole.
pub(crate) fn placed(program: Program) -> Placed {
    program.place(Kernels::Portable, Memory::Whole).expect("a valid program")
}

/// Samples that differ from each other, back to back.
pub(crate) fn samples(program: &Program, count: usize) -> Vec<u8> {
    let mut state = 9_u32;
    let byte = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count * program.input_bytes()).map(byte).collect()
}

/// The outputs of one sequence, and of the same samples once more without a reset in between.
#[allow(dead_code)]
pub(crate) fn with_and_without_reset(program: &Placed, samples: &[u8]) -> [Vec<u8>; 2] {
    let sequence = run_sequence(program, Path::Reference, samples).expect("whole samples");
    let mut interpreter = Interpreter::new(program, Path::Reference);
    let mut pass = || -> Vec<u8> {
        let samples = samples.chunks_exact(program.input_bytes());
        samples.flat_map(|sample| interpreter.run(sample).expect("a sample").to_vec()).collect()
    };
    assert_eq!(pass(), sequence);
    let again = pass();
    assert_ne!(again, sequence, "nothing is kept");
    [sequence, again]
}
