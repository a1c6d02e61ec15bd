//! Small valid programs, one of every operation, for tests to run or to break.

use burn_ptq_deploy::place::plan::plan;
use burn_ptq_deploy::place::{Memory, Placed, Placement, Region, Stream};
use burn_ptq_deploy::program::{
    BinaryFunction, Border, Broadcast, Carried, DType, Input, IntNode, IntOp, IntTensor, Loop,
    MoveAxis, NormalizeAffine, Output, Program, Provenance, TensorId, Weighted, Weights,
};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_deploy::verify::VerifyError;
use burn_ptq_kernels::geometry::{
    ConvGeometry, DepthwiseGeometry, MatMulGeometry, NormalizeGeometry, PoolGeometry,
    TransposeConvGeometry, Window,
};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{
    AddParams, Clamp, GateFunction, GateParams, NormalizeParams, PreluParams, Reduction, Selection,
};

pub(crate) const INT8: Clamp = Clamp { min: -128, max: 127 };
pub(crate) const INT16: Clamp = Clamp { min: -32768, max: 32767 };

pub(crate) fn tensor(name: &str, shape: [usize; 3]) -> IntTensor {
    let grid = Grid { scale: 0.05, zero_point: 3, min: -128, max: 127 };
    IntTensor { name: name.into(), shape, dtype: DType::I8, bits: 8, grid }
}

pub(crate) fn tensor16(name: &str, shape: [usize; 3]) -> IntTensor {
    let grid = Grid { scale: 0.001, zero_point: 0, min: -32768, max: 32767 };
    IntTensor { name: name.into(), shape, dtype: DType::I16, bits: 16, grid }
}

pub(crate) fn border(shape: [usize; 3]) -> Border {
    Border::plain(&shape)
}

/// A program with places, neither of which need be valid.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub program: Program,
    pub placement: Placement,
}

impl Parts {
    /// Tensors one after the other, then scratch for the last node.
    fn side_by_side(program: Program) -> Self {
        let mut placement = Placement::default();
        let mut end = 0_usize;
        for tensor in &program.tensors {
            placement.offsets.push(end);
            end = (end + tensor.bytes()).next_multiple_of(8);
        }
        placement.scratch = vec![Region::default(); program.nodes.len()];
        if let Some(last) = placement.scratch.last_mut() {
            *last = Region { offset: end, bytes: 256 };
        }
        placement.arena_bytes = end + 256;
        Self { program, placement }
    }

    /// The verified program in these places.
    pub(crate) fn placed(self) -> Result<Placed, VerifyError> {
        Placed::new(self.program, self.placement, Kernels::Portable)
    }
}

impl From<Placed> for Parts {
    fn from(placed: Placed) -> Self {
        let (program, placement) = placed.into_parts();
        Self { program, placement }
    }
}

/// A program of one node `x -> y`; inputs after the first come from it through a table.
pub(crate) fn program(op: IntOp, inputs: &[IntTensor], output: IntTensor) -> Program {
    let mut tensors = inputs.to_vec();
    let mut nodes: Vec<IntNode> = (1..inputs.len())
        .map(|i| IntNode {
            name: format!("copy{i}"),
            op: IntOp::Table8 { table: vec![0; 256] },
            inputs: vec![TensorId(0)],
            output: TensorId(i),
        })
        .collect();
    nodes.push(IntNode {
        name: "node".into(),
        op,
        inputs: (0..inputs.len()).map(TensorId).collect(),
        output: TensorId(tensors.len()),
    });
    tensors.push(output);
    let output = TensorId(tensors.len() - 1);
    Program {
        name: "program".into(),
        inputs: vec![Input::new("x", TensorId(0), border(tensors[0].shape))],
        outputs: vec![Output::new("y", output, border(tensors[output.0].shape))],
        tensors,
        nodes,
        states: Vec::new(),
        loops: Vec::new(),
        provenance: Provenance::default(),
    }
}

pub(crate) fn window(kernel: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [1; 2], dilation: [1; 2], pad: [kernel / 2; 2] }
}

pub(crate) fn scale(real: f64) -> Multiplier {
    Multiplier::from_real(real).expect("a representable factor")
}

pub(crate) fn weighted(shape: &[usize], channels: usize) -> Weighted {
    let len = shape.iter().product::<usize>();
    Weighted {
        weights: Weights {
            shape: shape.to_vec(),
            bits: 4,
            storage: 4,
            data: vec![0x7F; len.div_ceil(2)],
            scales: vec![0.01; channels],
        },
        bias: vec![7; channels],
        multipliers: vec![scale(0.01); channels],
        clamp: INT8,
    }
}

pub(crate) fn conv() -> Program {
    let geometry = ConvGeometry {
        input: [4, 5],
        output: [4, 5],
        in_channels: 4,
        out_channels: 6,
        groups: 2,
        window: window(3),
    };
    let op = IntOp::Conv2d { geometry, weighted: weighted(&[6, 3, 3, 2], 6) };
    program(op, &[tensor("x", [4, 5, 4])], tensor("y", [4, 5, 6]))
}

pub(crate) fn conv16() -> Program {
    let mut model = conv();
    for tensor in &mut model.tensors {
        *tensor = tensor16(&tensor.name, tensor.shape);
    }
    model
}

pub(crate) fn depthwise() -> Program {
    let geometry = DepthwiseGeometry {
        input: [4, 4],
        output: [4, 4],
        channels: 3,
        multiplier: 2,
        window: window(3),
    };
    let op = IntOp::DepthwiseConv2d { geometry, weighted: weighted(&[3, 3, 6], 6) };
    program(op, &[tensor("x", [4, 4, 3])], tensor("y", [4, 4, 6]))
}

pub(crate) fn transpose_conv() -> Program {
    let geometry = TransposeConvGeometry {
        input: [3, 2],
        output: [6, 4],
        in_channels: 4,
        out_channels: 6,
        groups: 2,
        window: Window { stride: [2; 2], ..window(3) },
    };
    let op = IntOp::TransposeConv2d { geometry, weighted: weighted(&[6, 3, 3, 2], 6) };
    program(op, &[tensor("x", [3, 2, 4])], tensor("y", [6, 4, 6]))
}

pub(crate) fn fully_connected() -> Program {
    let op = IntOp::FullyConnected {
        rows: 2,
        in_features: 6,
        out_features: 5,
        weighted: weighted(&[5, 6], 5),
    };
    program(op, &[tensor("x", [1, 2, 6])], tensor("y", [1, 2, 5]))
}

pub(crate) fn add() -> Program {
    let params = AddParams::new(0.05, 0.05, 0.05, false).expect("equal scales");
    let op = IntOp::Add { params, broadcast: Broadcast::None, clamp: INT8 };
    program(op, &[tensor("a", [2, 2, 3]), tensor("b", [2, 2, 3])], tensor("y", [2, 2, 3]))
}

pub(crate) fn mul() -> Program {
    let op = IntOp::Mul { multiplier: scale(0.05), broadcast: Broadcast::None, clamp: INT8 };
    program(op, &[tensor("a", [2, 2, 3]), tensor("b", [2, 2, 3])], tensor("y", [2, 2, 3]))
}

pub(crate) fn pool(average: bool) -> Program {
    let geometry = PoolGeometry { input: [5, 5], output: [5, 5], channels: 2, window: window(3) };
    let op = if average {
        IntOp::AveragePool { geometry, clamp: INT8 }
    } else {
        IntOp::MaxPool { geometry, clamp: INT8 }
    };
    program(op, &[tensor("x", [5, 5, 2])], tensor("y", [5, 5, 2]))
}

pub(crate) fn table8() -> Program {
    let op = IntOp::Table8 { table: vec![5; 256] };
    program(op, &[tensor("x", [1, 1, 8])], tensor("y", [1, 1, 8]))
}

pub(crate) fn table16() -> Program {
    let op = IntOp::Table16 { table: vec![500; 513] };
    program(op, &[tensor16("x", [1, 1, 8])], tensor16("y", [1, 1, 8]))
}

/// A layer whose 8-bit inputs give outputs of 16 bits.
pub(crate) fn wide_sums() -> Program {
    let mut model = fully_connected();
    let [height, width, channels] = model.tensors[1].shape;
    model.tensors[1] = tensor16("y", [height, width, channels]);
    model
}

/// A product in 8 bits of inputs of 16.
pub(crate) fn narrow_product() -> Program {
    let op = IntOp::Mul { multiplier: scale(1e-7), broadcast: Broadcast::None, clamp: INT8 };
    let mut model = program(op, &[tensor16("x", [1, 2, 3])], tensor("y", [1, 2, 3]));
    model.nodes[0].inputs.push(TensorId(0));
    model
}

/// A gate after the inputs of all gates of an LSTM.
pub(crate) fn gate(function: GateFunction) -> Program {
    let grid = |scale: f32| Grid { scale, zero_point: 0, min: -32768, max: 32767 };
    let [from, to] = [GateParams::INPUT_SCALE, GateParams::OUTPUT_SCALE].map(grid);
    let params = GateParams::new(function, from, to).expect("grids of gates");
    let of_grid = |name: &str, grid: Grid| IntTensor { grid, ..tensor16(name, [1, 1, 8]) };
    program(IntOp::Gate { params }, &[of_grid("x", from)], of_grid("y", to))
}

pub(crate) fn softmax() -> Program {
    let op = IntOp::Softmax {
        rows: 2,
        depth: 4,
        input_multiplier: scale(0.05 * f64::from(1 << 26)),
        diff_min: -620,
    };
    let mut output = tensor("y", [1, 2, 4]);
    output.grid = Grid { scale: 1.0 / 256.0, zero_point: -128, min: -128, max: 127 };
    program(op, &[tensor("x", [1, 2, 4])], output)
}

pub(crate) fn log_softmax() -> Program {
    let exponentials =
        (0..256).map(|d| ((-f64::from(d) * 0.05).exp() * f64::from(1 << 20)) as u32).collect();
    let op = IntOp::LogSoftmax { rows: 2, depth: 4, exponentials, input_multiplier: scale(0.8) };
    let mut output = tensor("y", [1, 2, 4]);
    output.grid = Grid { scale: 16.0 / 256.0, zero_point: 127, min: -128, max: 127 };
    program(op, &[tensor("x", [1, 2, 4])], output)
}

pub(crate) fn requantize() -> Program {
    let op = IntOp::Requantize { multiplier: scale(50.0), clamp: INT16 };
    program(op, &[tensor("x", [2, 2, 2])], tensor16("y", [2, 2, 2]))
}

pub(crate) fn concat() -> Program {
    let op = IntOp::Concat { outer: 4, chunks: vec![3, 3] };
    program(op, &[tensor("a", [2, 2, 3]), tensor("b", [2, 2, 3])], tensor("y", [2, 2, 6]))
}

pub(crate) fn pad() -> Program {
    let op = IntOp::Pad { input: [2, 3, 1], before: [1, 0, 0], after: [0, 2, 1], value: 3 };
    program(op, &[tensor("x", [2, 3, 1])], tensor("y", [3, 5, 2]))
}

pub(crate) fn resize_linear() -> Program {
    let op = IntOp::ResizeLinear {
        input: [2, 3, 4],
        rows: vec![0, 341, 683, 1024],
        columns: vec![0, 512, 1024, 1536, 2048],
    };
    program(op, &[tensor("x", [2, 3, 4])], tensor("y", [4, 5, 4]))
}

pub(crate) fn transpose() -> Program {
    let op = IntOp::Transpose { input: [2, 3, 4], axes: [2, 0, 1] };
    program(op, &[tensor("x", [2, 3, 4])], tensor("y", [4, 2, 3]))
}

/// A product of two pairs of matrices, the second transposed.
pub(crate) fn batch_matmul() -> Program {
    let geometry = MatMulGeometry {
        batch: 2,
        rows: 3,
        columns: 3,
        inner: 5,
        a: [15, 5, 1],
        b: [15, 1, 5],
        output: [9, 3, 1],
    };
    let op = IntOp::BatchMatMul { geometry, multiplier: scale(0.01), clamp: INT8 };
    program(op, &[tensor("a", [2, 3, 5]), tensor("b", [2, 3, 5])], tensor("y", [2, 3, 3]))
}

/// Sums over the middle axis.
pub(crate) fn reduce() -> Program {
    let op = IntOp::Reduce {
        reduction: Reduction::Sum,
        outer: 2,
        reduced: 5,
        inner: 3,
        multiplier: scale(0.3),
        clamp: INT8,
    };
    program(op, &[tensor("x", [2, 5, 3])], tensor("y", [1, 2, 3]))
}

/// Rows of 8 elements, normalized with a scale and shift each.
pub(crate) fn normalize() -> Program {
    let geometry = NormalizeGeometry {
        groups: 3,
        outer: 1,
        inner: 8,
        steps: [8, 0, 1],
        parameters: [0, 0, 1],
    };
    let params = NormalizeParams::new(8, 256, 0.05, 1e-5, true, 1.0, 0.01).expect("usual numbers");
    let affine =
        Some(NormalizeAffine { scales: vec![20_000; 8], shifts: vec![256; 8], fraction: 20 });
    let op = IntOp::Normalize { geometry, params, affine, clamp: INT8 };
    program(op, &[tensor("x", [1, 3, 8])], tensor("y", [1, 3, 8]))
}

/// The places of the two largest elements of rows.
pub(crate) fn top_k() -> Program {
    let selection = Selection { smallest: false, last: false, indices: true };
    let op = IntOp::TopK { selection, rows: 3, depth: 8, k: 2 };
    let mut output = tensor16("y", [1, 3, 2]);
    output.grid.scale = 1.0;
    program(op, &[tensor("x", [1, 3, 8])], output)
}

/// Every second row backwards, columns by a list, and each of the channels twice.
pub(crate) fn rearrange() -> Program {
    let axes = vec![
        MoveAxis::Even { count: 2, step: -24 },
        MoveAxis::Listed(vec![0, 8, 4, 4]),
        MoveAxis::Even { count: 4, step: 1 },
        MoveAxis::Even { count: 2, step: 0 },
    ];
    let op = IntOp::Rearrange { first: 24, axes };
    program(op, &[tensor("x", [3, 3, 4])], tensor("y", [2, 4, 8]))
}

/// Rows of 4 elements for ids of 16 bits.
pub(crate) fn lookup8() -> Program {
    let op = IntOp::Lookup8 { width: 4, table: (0..20).collect() };
    let mut ids = tensor16("x", [1, 1, 6]);
    ids.grid.scale = 1.0;
    program(op, &[ids], tensor("y", [1, 6, 4]))
}

/// Rows of 3 elements of 16 bits for ids of 8 bits.
pub(crate) fn lookup16() -> Program {
    let op = IntOp::Lookup16 { width: 3, table: (0..15).collect() };
    let mut ids = tensor("x", [1, 1, 6]);
    ids.grid.scale = 1.0;
    program(op, &[ids], tensor16("y", [1, 6, 3]))
}

/// Three tensors `x -> y -> z` of 8 bytes each; `y` comes of a table, `z` of a transposition.
pub(crate) fn chain() -> Program {
    let mut model = table8();
    model.tensors.push(tensor("z", [1, 1, 8]));
    model.nodes.push(IntNode {
        name: "last".into(),
        op: IntOp::Transpose { input: [1, 2, 4], axes: [0, 2, 1] },
        inputs: vec![TensorId(1)],
        output: TensorId(2),
    });
    model.outputs[0].tensor = TensorId(2);
    model
}

/// Three pools of 3x3 in a row.
pub(crate) fn pools() -> Program {
    let geometry = PoolGeometry { input: [8, 5], output: [8, 5], channels: 2, window: window(3) };
    let op = IntOp::MaxPool { geometry, clamp: INT8 };
    let shape = [8, 5, 2];
    let mut model = program(op.clone(), &[tensor("x", shape)], tensor("t1", shape));
    for id in 2..4 {
        model.tensors.push(tensor(&format!("t{id}"), shape));
        model.nodes.push(IntNode {
            name: format!("pool{id}"),
            op: op.clone(),
            inputs: vec![TensorId(id - 1)],
            output: TensorId(id),
        });
    }
    model.outputs[0].tensor = TensorId(3);
    model.outputs[0].border = border(shape);
    model
}

/// The pools in one stream.
pub(crate) fn streamed() -> Parts {
    let program = pools();
    let streams = vec![Stream { first: 0, rows: vec![3, 3, 8] }];
    let placement = plan(&program, streams, Kernels::Portable);
    Parts { program, placement }
}

/// Elements of 4 bits, packed and unpacked again.
pub(crate) fn packed() -> Program {
    let nibbles = |name: &str| {
        let mut tensor = tensor(name, [3, 4, 3]);
        tensor.bits = 4;
        tensor.grid = Grid { min: -8, max: 7, ..tensor.grid };
        tensor
    };
    let mut packed = nibbles("packed");
    packed.dtype = DType::I4;
    let mut model = program(IntOp::Pack, &[nibbles("x")], packed);
    model.nodes.push(IntNode {
        name: "unpack".into(),
        op: IntOp::Unpack,
        inputs: vec![TensorId(1)],
        output: TensorId(2),
    });
    model.tensors.push(nibbles("y"));
    model.outputs[0].tensor = TensorId(2);
    model
}

/// The sum of the input and a constant, which is written before it is read.
pub(crate) fn constant() -> Program {
    let mut model = add();
    let IntNode { op, inputs, .. } = &mut model.nodes[0];
    *op = IntOp::Constant { data: (0..12).collect() };
    inputs.clear();
    model
}

/// A function of two values, the second of which repeats along the height.
pub(crate) fn binary(function: BinaryFunction) -> Program {
    let broadcast = Broadcast::Shapes { a: [2, 2, 3], b: [1, 2, 3] };
    let op = IntOp::Binary { function, broadcast, clamp: INT8 };
    let inputs = [tensor("a", [2, 2, 3]), tensor("b", [1, 2, 3])];
    let mut model = program(op, &inputs, tensor("y", [2, 2, 3]));
    let IntNode { op, inputs, .. } = &mut model.nodes[0];
    *op = IntOp::Constant { data: (0..6).collect() };
    inputs.clear();
    model
}

/// All functions of two values.
pub(crate) fn binaries() -> impl Iterator<Item = Program> {
    let params = AddParams::new(0.05, 0.05, 0.05, false).expect("equal scales");
    let slopes = PreluParams::new(0.05, 0.05, 0.05).expect("equal scales");
    let functions = [
        BinaryFunction::Sub(params),
        BinaryFunction::Div(scale(20.0)),
        BinaryFunction::Minimum,
        BinaryFunction::Maximum,
        BinaryFunction::Prelu(slopes),
    ];
    functions.into_iter().map(binary)
}

/// A tensor that sums of others fit in.
pub(crate) fn coarse(name: &str, shape: [usize; 3]) -> IntTensor {
    let mut tensor = tensor(name, shape);
    tensor.grid.scale = 0.1;
    tensor
}

/// A program whose output is what its input adds up to, step by step, and whose other output is the sum at last.
pub(crate) fn running_sum(steps: usize, reverse: bool) -> Program {
    let (sequence, part) = ([steps, 1, 2], [1, 1, 2]);
    let mut model = program(
        IntOp::Step { put: false, reverse },
        &[coarse("x", sequence)],
        coarse("part", part),
    );
    let [x, taken, held, next, y] = [0, 1, 2, 3, 4].map(TensorId);
    model.tensors.extend([coarse("held", part), coarse("next", part), coarse("y", sequence)]);
    let params = AddParams::new(0.1, 0.1, 0.1, false).expect("equal scales");
    let sum = IntOp::Add { params, broadcast: Broadcast::None, clamp: INT8 };
    let nodes = [
        ("held", IntOp::Constant { data: vec![5; 2] }, vec![], held),
        ("part", IntOp::Step { put: false, reverse }, vec![x], taken),
        ("next", sum, vec![held, taken], next),
        ("y", IntOp::Step { put: true, reverse }, vec![next], y),
    ];
    let node = |(name, op, inputs, output): (&str, IntOp, Vec<TensorId>, TensorId)| IntNode {
        name: name.into(),
        op,
        inputs,
        output,
    };
    model.nodes = nodes.map(node).into();
    model.loops = vec![Loop { first: 1, count: 3, steps, carried: vec![Carried { held, next }] }];
    let output = |name: &str, id, shape| Output::new(name, id, border(shape));
    model.outputs = vec![output("y", y, sequence), output("next", next, part)];
    model
}

/// Programs of every operation, in places side by side, and one whose nodes run row by row.
pub(crate) fn valid_parts() -> Vec<Parts> {
    let whole = [
        conv(),
        conv16(),
        depthwise(),
        fully_connected(),
        add(),
        mul(),
        pool(true),
        pool(false),
        table8(),
        table16(),
        softmax(),
        log_softmax(),
        requantize(),
        concat(),
        pad(),
        transpose(),
        batch_matmul(),
        reduce(),
        normalize(),
        top_k(),
        rearrange(),
        lookup8(),
        lookup16(),
        chain(),
        packed(),
        transpose_conv(),
        resize_linear(),
        constant(),
        wide_sums(),
        narrow_product(),
        gate(GateFunction::Sigmoid),
        gate(GateFunction::Tanh),
        Program { outputs: running_sum(4, true).outputs[..1].to_vec(), ..running_sum(4, true) },
    ];
    whole.into_iter().chain(binaries()).map(Parts::side_by_side).chain([streamed()]).collect()
}

/// The same, placed.
pub(crate) fn valid_programs() -> Vec<Placed> {
    valid_parts().into_iter().map(|parts| parts.placed().expect("a valid program")).collect()
}

/// A program, placed as a whole.
pub(crate) fn placed(program: Program) -> Placed {
    program.place(Kernels::Portable, Memory::Whole).expect("a valid program")
}

/// A program in places side by side.
pub(crate) fn side_by_side(program: Program) -> Parts {
    Parts::side_by_side(program)
}
