//! A small network for exports to run.

#[allow(dead_code)]
pub(crate) mod uneven;

use burn_ptq_deploy::export::SelfTest;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::preprocess::{DataLayout, Element, Preprocessing};
use burn_ptq_deploy::program::{
    Border, Broadcast, DType, Input, IntNode, IntOp, IntTensor, Output, Program, Provenance,
    TensorId, Weighted, Weights,
};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::grid::{Grid, signed_range, weight_range};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};
use burn_ptq_kernels::params::{AddParams, Clamp};

/// Builds programs node by node.
struct Builder {
    program: Program,
    state: u32,
}

impl Builder {
    fn new(name: &str, input: [usize; 3]) -> Self {
        let program = Program {
            name: name.to_owned(),
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: vec![Input::new("t0", TensorId(0), Border::plain(&input))],
            outputs: vec![Output::new("y", TensorId(0), Border::plain(&[1, 1, 7]))],
            states: Vec::new(),
            loops: Vec::new(),
            provenance: Provenance { version: "0.1.0".into(), ..Provenance::default() },
        };
        let mut builder = Self { program, state: 12345 };
        builder.tensor(input, DType::I8, 0.05, 3);
        builder
    }

    fn random(&mut self, low: i32, high: i32) -> i32 {
        self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + ((self.state >> 8) % (high - low + 1) as u32) as i32
    }

    fn tensor(&mut self, shape: [usize; 3], dtype: DType, scale: f32, zero_point: i32) -> TensorId {
        let bits = 8 * dtype.bytes() as u8;
        let (min, max) = signed_range(bits, false);
        let id = TensorId(self.program.tensors.len());
        self.program.tensors.push(IntTensor {
            name: format!("t{}", id.0),
            shape,
            dtype,
            bits,
            grid: Grid { scale, zero_point, min, max },
        });
        id
    }

    fn node(&mut self, name: &str, op: IntOp, inputs: &[TensorId], output: TensorId) {
        self.program.nodes.push(IntNode {
            name: name.to_owned(),
            op,
            inputs: inputs.to_vec(),
            output,
        });
        self.program.outputs[0].tensor = output;
    }

    /// Random weights whose accumulators are multiplied by about `gain`.
    fn weighted(
        &mut self,
        shape: &[usize],
        channels: usize,
        bits: u8,
        gain: f64,
        clamp: Clamp,
    ) -> Weighted {
        let (low, high) = weight_range(bits);
        let len = shape.iter().product();
        let values: Vec<i8> = (0..len).map(|_| self.random(low, high) as i8).collect();
        let storage = storage_bits(bits);
        let mut data = vec![0; packed_len(len, storage)];
        pack(&values, storage, &mut data);
        let multipliers = (0..channels)
            .map(|c| Multiplier::from_real(gain * (1.0 + c as f64 / 20.0)))
            .collect::<Option<_>>()
            .expect("representable multipliers");
        Weighted {
            weights: Weights { shape: shape.to_vec(), bits, storage, data, scales: vec![0.01] },
            bias: (0..channels).map(|_| self.random(-500, 500)).collect(),
            multipliers,
            clamp,
        }
    }

    fn inputs(&mut self, samples: usize) -> Vec<Vec<u8>> {
        let bytes = self.program.tensors[0].bytes();
        (0..samples).map(|_| (0..bytes).map(|_| self.random(0, 255) as u8).collect()).collect()
    }
}

const BYTE: Clamp = Clamp { min: -128, max: 127 };
const WORD: Clamp = Clamp { min: -32768, max: 32767 };

fn window(kernel: usize, stride: usize, pad: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [stride; 2], dilation: [1; 2], pad: [pad; 2] }
}

fn conv(plane: usize, channels: [usize; 2], window: Window) -> ConvGeometry {
    let [in_channels, out_channels] = channels;
    let (input, output) = ([plane; 2], [plane; 2]);
    ConvGeometry { input, output, in_channels, out_channels, groups: 1, window }
}

/// A network with every storage of weights, both widths of activations and a residual connection.
fn network(name: &str) -> (Placed, Vec<Vec<u8>>) {
    let mut b = Builder::new(name, [6, 6, 3]);
    let first = b.tensor([6, 6, 8], DType::I8, 0.4, -128);
    let weighted = b.weighted(&[8, 3, 3, 3], 8, 8, 0.0015, BYTE);
    let op = IntOp::Conv2d { geometry: conv(6, [3, 8], window(3, 1, 1)), weighted };
    b.node("conv", op, &[TensorId(0)], first);

    let depthwise = b.tensor([6, 6, 8], DType::I8, 0.4, -5);
    let geometry = DepthwiseGeometry {
        input: [6; 2],
        output: [6; 2],
        channels: 8,
        multiplier: 1,
        window: window(3, 1, 1),
    };
    let weighted = b.weighted(&[3, 3, 8], 8, 4, 0.1, BYTE);
    b.node("conv", IntOp::DepthwiseConv2d { geometry, weighted }, &[first], depthwise);

    let sum = b.tensor([6, 6, 8], DType::I8, 0.7, 10);
    let params = AddParams::new(0.4, 0.4, 0.7, false).expect("representable scales");
    let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: BYTE };
    b.node("1+2 */", op, &[depthwise, first], sum);

    let pooled = b.tensor([3, 3, 8], DType::I8, 0.7, 10);
    let (input, output) = ([6; 2], [3; 2]);
    let geometry = PoolGeometry { input, output, channels: 8, window: window(2, 2, 0) };
    b.node("int", IntOp::MaxPool { geometry, clamp: BYTE }, &[sum], pooled);

    let wide = b.tensor([3, 3, 8], DType::I16, 0.003, 0);
    let multiplier = Multiplier::from_real(0.7 / 0.003).expect("representable");
    b.node("", IntOp::Requantize { multiplier, clamp: WORD }, &[pooled], wide);

    let features = b.tensor([3, 3, 5], DType::I16, 0.01, 0);
    let weighted = b.weighted(&[5, 1, 1, 8], 5, 2, 0.2, WORD);
    let op = IntOp::Conv2d { geometry: conv(3, [8, 5], window(1, 1, 0)), weighted };
    b.node("\u{6d6e}\u{52d5}", op, &[wide], features);

    let narrow = b.tensor([3, 3, 5], DType::I8, 1.0, 0);
    let multiplier = Multiplier::from_real(0.01).expect("representable");
    b.node("narrow", IntOp::Requantize { multiplier, clamp: BYTE }, &[features], narrow);

    let logits = b.tensor([1, 1, 7], DType::I8, 0.4, 0);
    let weighted = b.weighted(&[7, 45], 7, 3, 0.06, BYTE);
    let op = IntOp::FullyConnected { rows: 1, in_features: 45, out_features: 7, weighted };
    b.node("fully connected", op, &[narrow], logits);
    let inputs = b.inputs(5);
    (placed(b.program), inputs)
}

/// A program, placed as a whole.
pub(crate) fn placed(program: Program) -> Placed {
    program.place(Kernels::Portable, Memory::Whole).expect("a valid program")
}

/// The network, and a self-test on five samples.
pub(crate) fn proven(name: &str) -> (Placed, SelfTest) {
    let (program, inputs) = network(name);
    let self_test = SelfTest::new(&program, &inputs).expect("inputs of the right size");
    (program, self_test)
}

/// Lets the source model hold its input channel by channel.
#[allow(dead_code)]
pub(crate) fn channels_first(program: &mut Program) {
    program.inputs[0].border = Border::permuted(&[3, 6, 6], [1, 2, 0]);
}

/// A network of three inputs and five outputs, whose names code cannot have: of both widths, an output
/// that nodes read, the same as a vector, and an input that no node reads.
#[allow(dead_code)]
pub(crate) fn several(name: &str) -> (Placed, SelfTest) {
    let mut b = Builder::new(name, [6, 6, 3]);
    let image = TensorId(0);
    let meta = b.tensor([3, 3, 5], DType::I16, 0.01, 0);
    let passed = b.tensor([1, 1, 4], DType::I8, 0.5, -7);

    let map = b.tensor([6, 6, 8], DType::I8, 0.4, -128);
    let weighted = b.weighted(&[8, 3, 3, 3], 8, 8, 0.0015, BYTE);
    let op = IntOp::Conv2d { geometry: conv(6, [3, 8], window(3, 1, 1)), weighted };
    b.node("conv", op, &[image], map);

    let pooled = b.tensor([3, 3, 8], DType::I8, 0.4, -128);
    let (input, output) = ([6; 2], [3; 2]);
    let geometry = PoolGeometry { input, output, channels: 8, window: window(2, 2, 0) };
    b.node("pool", IntOp::MaxPool { geometry, clamp: BYTE }, &[map], pooled);

    let wide = b.tensor([3, 3, 8], DType::I16, 0.003, 0);
    let multiplier = Multiplier::from_real(0.4 / 0.003).expect("representable");
    b.node("widen", IntOp::Requantize { multiplier, clamp: WORD }, &[pooled], wide);

    let features = b.tensor([3, 3, 5], DType::I16, 0.01, 0);
    let weighted = b.weighted(&[5, 1, 1, 8], 5, 2, 0.2, WORD);
    let op = IntOp::Conv2d { geometry: conv(3, [8, 5], window(1, 1, 0)), weighted };
    b.node("features", op, &[wide], features);

    let sum = b.tensor([3, 3, 5], DType::I16, 0.02, 0);
    let params = AddParams::new(0.01, 0.01, 0.02, true).expect("representable scales");
    let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: WORD };
    b.node("sum", op, &[features, meta], sum);

    let narrow = b.tensor([3, 3, 5], DType::I8, 1.0, 0);
    let multiplier = Multiplier::from_real(0.02).expect("representable");
    b.node("narrow", IntOp::Requantize { multiplier, clamp: BYTE }, &[sum], narrow);

    let logits = b.tensor([1, 1, 7], DType::I8, 0.4, 0);
    let weighted = b.weighted(&[7, 45], 7, 3, 0.06, BYTE);
    let op = IntOp::FullyConnected { rows: 1, in_features: 45, out_features: 7, weighted };
    b.node("fully connected", op, &[narrow], logits);

    let mut program = b.program.clone();
    let borders =
        (Border::permuted(&[3, 6, 6], [1, 2, 0]), Border::permuted(&[8, 6, 6], [1, 2, 0]));
    program.inputs = vec![
        Input::new("image", image, borders.0),
        Input::new("Meta/in:0", meta, Border::plain(&[3, 3, 5])),
        Input::new("IMAGE", passed, Border::plain(&[4])),
    ];
    let flat = Border { source_shape: vec![288], ..borders.1.clone() };
    program.outputs = vec![
        Output::new("map", map, borders.1),
        Output::new("int", sum, Border::plain(&[45])),
        Output::new("\u{6d6e}", logits, Border::plain(&[7])),
        Output::new("passed", passed, Border::plain(&[4])),
        Output::new("map flat", map, flat),
    ];
    program.inputs[0].preprocessing = Preprocessing {
        element: Element::U8,
        scale: 0.01,
        mean: vec![0.5, 1.0, 1.5],
        layout: DataLayout::ChannelsLast,
        ..Preprocessing::default()
    };
    program.inputs[1].preprocessing =
        Preprocessing { element: Element::I16, scale: 0.003, ..Preprocessing::default() };
    program.outputs[2].classes = (0..7).map(|class| format!("class {class}")).collect();
    let program = placed(program);
    let bytes = program.input_bytes();
    let samples: Vec<Vec<u8>> =
        (0..5).map(|_| (0..bytes).map(|_| b.random(0, 255) as u8).collect()).collect();
    let self_test = SelfTest::new(&program, &samples).expect("inputs of the right size");
    (program, self_test)
}
