//! Small programs that run nodes once for each step of a sequence.

pub(crate) mod unrolled;

use burn_ptq_deploy::program::{
    Carried, IntOp, IntTensor, Loop, MoveAxis, Program, TensorId, Weighted, Weights,
};

use crate::programs::{INT8, coarse, scale, tensor, tensor16};
use crate::stateful::Net;

/// Steps of the loops of [`every_kind`].
pub(crate) const STEPS: usize = 4;

/// A program's nodes and loops, as they come.
pub(crate) struct Loops {
    pub net: Net,
    first: usize,
}

impl Loops {
    pub(crate) fn new() -> Self {
        Self { net: Net::new(), first: 0 }
    }

    pub(crate) fn constant(&mut self, tensor: IntTensor, value: i32) -> TensorId {
        let element = &value.to_le_bytes()[..tensor.dtype.bytes()];
        self.net.node(IntOp::Constant { data: element.repeat(tensor.len()) }, &[], tensor)
    }

    pub(crate) fn copy(&mut self, from: TensorId, name: &str) -> TensorId {
        let like = self.net.0.tensors[from.0].clone();
        let axes = vec![MoveAxis::Even { count: like.len(), step: 1 }];
        let tensor = IntTensor { name: name.into(), ..like };
        self.net.node(IntOp::Rearrange { first: 0, axes }, &[from], tensor)
    }

    /// The nodes from here on belong to a loop.
    pub(crate) fn begin(&mut self) {
        self.first = self.net.0.nodes.len();
    }

    /// The nodes from here on do not.
    pub(crate) fn end(&mut self, steps: usize, carried: &[[TensorId; 2]]) {
        let count = self.net.0.nodes.len() - self.first;
        let carried = carried.iter().map(|&[held, next]| Carried { held, next }).collect();
        self.net.0.loops.push(Loop { first: self.first, count, steps, carried });
    }

    pub(crate) fn take(&mut self, from: TensorId, reverse: bool, part: IntTensor) -> TensorId {
        self.net.node(IntOp::Step { put: false, reverse }, &[from], part)
    }

    pub(crate) fn put(&mut self, from: TensorId, reverse: bool, sequence: IntTensor) -> TensorId {
        self.net.node(IntOp::Step { put: true, reverse }, &[from], sequence)
    }

    /// A layer with the same few weights in every row.
    pub(crate) fn layer(&mut self, from: TensorId, output: IntTensor) -> TensorId {
        let (inputs, outputs) = (self.net.0.tensors[from.0].len(), output.len());
        let weights = (0..inputs * outputs).map(|i| [37, -90, 11, 64, -5][i % 5] as i8 as u8);
        let weighted = Weighted {
            weights: Weights {
                shape: vec![outputs, inputs],
                bits: 8,
                storage: 8,
                data: weights.collect(),
                scales: vec![0.01],
            },
            bias: (0..outputs as i32).map(|i| 100 * i - 50).collect(),
            multipliers: vec![scale(0.01)],
            clamp: INT8,
        };
        let op =
            IntOp::FullyConnected { rows: 1, in_features: inputs, out_features: outputs, weighted };
        self.net.node(op, &[from], output)
    }
}

/// What [`every_kind`] carries, in order.
#[allow(dead_code)]
pub(crate) const CARRIED: [&str; 6] =
    ["in place", "written over", "wide, copied", "read later, copied", "by a layer", "backward"];

/// A program of two loops with each of [`CARRIED`], of a state that a loop continues with, of sequences that are
/// taken and put in both directions, of inputs that every step reads and of values of the last step that
/// are read after it.
#[allow(dead_code)]
pub(crate) fn every_kind() -> Program {
    let mut net = Loops::new();
    let own = |name: &str| coarse(name, [1, 1, 3]);
    let wide = |name: &str| tensor16(name, [1, 1, 5]);
    let x = net.net.input(tensor("x", [STEPS, 1, 3]));
    let w = net.net.input(tensor16("w", [STEPS, 1, 5]));
    let b = net.net.input(own("b"));
    let kept = net.net.tensor(own("kept"));

    let h0 = net.copy(kept, "h0");
    let h1 = net.constant(own("h1"), -7);
    let h2 = net.constant(wide("h2"), 300);
    let h3 = net.net.table(b, own("h3"));
    let h4 = net.constant(own("h4"), 20);
    net.begin();
    let x_t = net.take(x, false, tensor("x_t", [1, 1, 3]));
    let w_t = net.take(w, true, wide("w_t"));
    let next0 = net.net.add([h0, x_t], own("next0"));
    let sum = net.net.add([h1, x_t], own("sum"));
    let mixed = net.net.add([sum, b], own("mixed"));
    let next1 = net.net.table(mixed, own("next1"));
    let next2 = net.net.add([w_t, h2], wide("next2"));
    let next3 = net.net.add([next1, next0], own("next3"));
    let y_t = net.net.add([next3, h3], own("y_t"));
    let seen = net.net.add([h4, y_t], own("seen"));
    let next4 = net.layer(seen, own("next4"));
    let y = net.put(y_t, false, coarse("y", [STEPS, 1, 3]));
    let z = net.put(next2, true, tensor16("z", [STEPS, 1, 5]));
    net.end(STEPS, &[[h0, next0], [h1, next1], [h2, next2], [h3, next3], [h4, next4]]);

    let last = net.net.add([y_t, next4], own("last"));
    let h5 = net.net.table(next3, own("h5"));
    net.begin();
    let back = net.take(y, true, own("back"));
    let next5 = net.net.add([h5, back], own("next5"));
    let v = net.put(next5, true, coarse("v", [STEPS, 1, 3]));
    net.end(STEPS, &[[h5, next5]]);
    let end = net.net.add([next5, last], own("end"));
    for id in [v, z, next1, end] {
        net.net.output(id);
    }
    net.net.state("kept", [kept, next0], -9);
    net.net.0
}
