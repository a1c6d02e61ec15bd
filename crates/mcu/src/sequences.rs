//! Networks over time with random weights, of the shapes that run on streams.

use burn_ptq_deploy::program::{
    Border, Broadcast, DType, Input, IntNode, IntOp, IntTensor, Output, Program, Provenance,
    TensorId,
};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::{AddParams, Clamp};

use crate::layers::Random;

/// A network over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// A temporal convolution network: four residual blocks of two causal convolutions of 3 steps and 32
    /// channels, dilated 1, 2, 4 and 8 times, and a fully connected layer of each step.
    Tcn,
    /// A depthwise separable network of kernels 3, 5, 10 and 15 and filters 128, 128, 128 and 32 on 40
    /// features, as the streaming wake word of MLPerf Tiny, and a fully connected layer of each step.
    WakeWord,
    /// A depthwise separable network for keywords: 10 features a frame, a convolution of 10x4 with strides
    /// of 2, four blocks of 64 channels that do not pad time, the mean over all time.
    DsCnn,
}

/// All of them.
pub const SEQUENCES: [Sequence; 3] = [Sequence::Tcn, Sequence::WakeWord, Sequence::DsCnn];

const BOUNDS: Clamp = Clamp { min: -128, max: 127 };

impl Sequence {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Sequence::Tcn => "TCN",
            Sequence::WakeWord => "wake word",
            Sequence::DsCnn => "DS-CNN",
        }
    }

    /// Numbers of a frame.
    pub const fn features(self) -> usize {
        match self {
            Sequence::Tcn | Sequence::WakeWord => 40,
            Sequence::DsCnn => 10,
        }
    }

    /// The network for recordings of so many frames, at least 49, with weights of `bits`.
    pub fn program(self, bits: u8, frames: usize) -> Program {
        let mut net = Net { tensors: Vec::new(), nodes: Vec::new(), bits, random: Random::new(7) };
        let last = match self {
            Sequence::Tcn => {
                let mut x = net.tensor([frames, 1, self.features()]);
                x = net.conv(x, over_time(1), 32);
                for dilation in [1, 2, 4, 8] {
                    let mut y = x;
                    for _ in 0..2 {
                        let padded = net.pad_before(y, 2 * dilation);
                        let window = Window { dilation: [dilation, 1], ..over_time(3) };
                        y = net.conv(padded, window, 32);
                    }
                    x = net.add(y, x);
                }
                net.conv(x, over_time(1), 4)
            }
            Sequence::WakeWord => {
                let mut x = net.tensor([frames, 1, self.features()]);
                for (kernel, filters) in [(3, 128), (5, 128), (10, 128), (15, 32)] {
                    x = net.depthwise(x, over_time(kernel));
                    x = net.conv(x, over_time(1), filters);
                }
                net.conv(x, over_time(1), 3)
            }
            Sequence::DsCnn => {
                let x = net.tensor([frames, self.features(), 1]);
                let window = Window { kernel: [10, 4], stride: [2; 2], ..over_time(1) };
                let mut x = net.conv(x, Window { pad: [0, 1], ..window }, 64);
                for _ in 0..4 {
                    let window = Window { kernel: [3; 2], pad: [0, 1], ..over_time(1) };
                    x = net.depthwise(x, window);
                    x = net.conv(x, over_time(1), 64);
                }
                let mean = net.mean(x);
                net.conv(mean, over_time(1), 12)
            }
        };
        net.finish(self.name(), last)
    }

    /// A random recording of so many frames, frame after frame.
    pub fn recording(self, frames: usize) -> Vec<u8> {
        let mut random = Random::new(11);
        (0..frames * self.features()).map(|_| random.within(0, 255) as u8).collect()
    }
}

/// A window over so many steps, of all features.
const fn over_time(steps: usize) -> Window {
    Window { kernel: [steps, 1], stride: [1; 2], dilation: [1; 2], pad: [0; 2] }
}

/// A network in the making; tensor 0 is its input.
struct Net {
    tensors: Vec<IntTensor>,
    nodes: Vec<IntNode>,
    bits: u8,
    random: Random,
}

impl Net {
    fn tensor(&mut self, shape: [usize; 3]) -> usize {
        let grid = Grid { scale: 0.05, zero_point: -128, min: -128, max: 127 };
        let name = format!("t{}", self.tensors.len());
        self.tensors.push(IntTensor { name, shape, dtype: DType::I8, bits: 8, grid });
        self.tensors.len() - 1
    }

    fn push(&mut self, op: IntOp, inputs: &[usize], shape: [usize; 3]) -> usize {
        let output = self.tensor(shape);
        let inputs = inputs.iter().map(|&id| TensorId(id)).collect();
        let name = format!("{}{output}", op.name());
        self.nodes.push(IntNode { name, op, inputs, output: TensorId(output) });
        output
    }

    fn conv(&mut self, x: usize, window: Window, filters: usize) -> usize {
        let [height, width, channels] = self.tensors[x].shape;
        let output = plane(window, [height, width]);
        let shape = [filters, window.kernel[0], window.kernel[1], channels];
        let weighted = self.random.weighted(&shape, filters, self.bits, BOUNDS);
        let geometry = ConvGeometry {
            input: [height, width],
            output,
            in_channels: channels,
            out_channels: filters,
            groups: 1,
            window,
        };
        self.push(IntOp::Conv2d { geometry, weighted }, &[x], [output[0], output[1], filters])
    }

    fn depthwise(&mut self, x: usize, window: Window) -> usize {
        let [height, width, channels] = self.tensors[x].shape;
        let output = plane(window, [height, width]);
        let shape = [window.kernel[0], window.kernel[1], channels];
        let weighted = self.random.weighted(&shape, channels, self.bits, BOUNDS);
        let input = [height, width];
        let geometry = DepthwiseGeometry { input, output, channels, multiplier: 1, window };
        let op = IntOp::DepthwiseConv2d { geometry, weighted };
        self.push(op, &[x], [output[0], output[1], channels])
    }

    /// Steps of zeros before the first one.
    fn pad_before(&mut self, x: usize, steps: usize) -> usize {
        let input @ [height, width, channels] = self.tensors[x].shape;
        let op = IntOp::Pad { input, before: [steps, 0, 0], after: [0; 3], value: -128 };
        self.push(op, &[x], [height + steps, width, channels])
    }

    fn add(&mut self, a: usize, b: usize) -> usize {
        let params = AddParams::new(0.05, 0.05, 0.08, false).expect("usual scales");
        let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: BOUNDS };
        self.push(op, &[a, b], self.tensors[a].shape)
    }

    /// The mean over the plane.
    fn mean(&mut self, x: usize) -> usize {
        let [height, width, channels] = self.tensors[x].shape;
        let window = Window { kernel: [height, width], ..over_time(1) };
        let geometry = PoolGeometry { input: [height, width], output: [1; 2], channels, window };
        self.push(IntOp::AveragePool { geometry, clamp: BOUNDS }, &[x], [1, 1, channels])
    }

    fn finish(self, name: &str, last: usize) -> Program {
        let border = |id: usize| Border::plain(&self.tensors[id].shape);
        Program {
            name: name.into(),
            inputs: vec![Input::new("frames", TensorId(0), border(0))],
            outputs: vec![Output::new("y", TensorId(last), border(last))],
            tensors: self.tensors,
            nodes: self.nodes,
            states: Vec::new(),
            loops: Vec::new(),
            provenance: Provenance::default(),
        }
    }
}

/// The output of a window.
fn plane(window: Window, input: [usize; 2]) -> [usize; 2] {
    [0, 1].map(|axis| {
        let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        (input[axis] + 2 * window.pad[axis] - reach) / window.stride[axis] + 1
    })
}
