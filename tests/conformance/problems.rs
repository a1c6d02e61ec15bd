//! Seeded random problems for every integer operation.
//!
//! Every problem is a small valid program that ends in the operation under test, or one of several
//! operations with several inputs and outputs. Multipliers are derived from the scales of grids and
//! weights by the kernels' functions, so that an executor may derive them again.

mod chain;
mod constant;
pub(crate) mod draw;
mod edges;
mod ends;
mod frames;
mod gates;
mod groups;
pub(crate) mod layers;
mod lookup;
mod loops;
pub(crate) mod lstm;
mod movement;
mod program;
mod quads;
pub(crate) mod recurrent;
mod scalar;
mod states;
mod streamed;
mod tiles;
mod values;
mod weighted;

use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::program::{BinaryFunction, Broadcast, DType, IntOp, IntTensor, TensorId};
use burn_ptq_deploy::run::{Interpreter, Path};
use burn_ptq_deploy::verify::VerifyError;
use burn_ptq_kernels::geometry::PoolGeometry;
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, PreluParams};
use burn_ptq_kernels::reference::{
    Alignment, log_softmax_exponentials, resize_position, softmax_params, table8 as table8_of,
    table16 as table16_of,
};
use draw::Draw;
use program::{
    Program, clamp, constant_of, random_table8, random_table16, tensor, tensor_like, window,
};

/// A program and its inputs.
pub(crate) struct Problem {
    /// The operation and the number of the problem.
    pub name: String,
    /// The program; the operation under test is its last node, which writes an output, or a `Pack`
    /// before that.
    pub program: Placed,
    /// Bytes of the inputs, one after the other; if the program has states, those of several samples, which are
    /// one sequence or several.
    pub input: Vec<u8>,
    /// Sequences of equal lengths, each after a reset.
    pub recordings: usize,
}

impl Problem {
    /// The operation under test.
    pub(crate) fn op(&self) -> &IntOp {
        let last = &self.program.nodes.last().expect("a program has a node").op;
        // What is packed must be unpacked, to be an output; problems of `Unpack` end in two nodes.
        let before = self.program.nodes.iter().rev().nth(1).map(|node| &node.op);
        match (before, last) {
            (Some(IntOp::Pack), IntOp::Unpack) if self.program.nodes.len() == 2 => &IntOp::Pack,
            _ => last,
        }
    }

    /// How many samples there are.
    pub(crate) fn samples(&self) -> usize {
        self.input.len() / self.program.input_bytes()
    }

    /// How many samples there are in a sequence.
    pub(crate) fn samples_per_recording(&self) -> usize {
        self.samples() / self.recordings
    }

    /// The operation's name.
    pub(crate) fn op_name(&self) -> &'static str {
        self.op().name()
    }

    /// What reports call it: the operation under test, [`SEVERAL_ENDS`], [`STATES`] or [`LOOPS`].
    pub(crate) fn family(&self) -> &'static str {
        if self.program.loops.len() > 1 || !self.program.loops.is_empty() && self.has_several_ends()
        {
            return LOOPS;
        }
        if !self.program.states.is_empty() {
            return STATES;
        }
        if self.has_several_ends() { SEVERAL_ENDS } else { self.op_name() }
    }

    fn has_several_ends(&self) -> bool {
        self.program.inputs.len() + self.program.outputs.len() > 2
    }

    /// What the operation under test writes.
    pub(crate) fn last_output(&self) -> &IntTensor {
        let last = self.program.nodes.last().expect("a program has a node");
        &self.program.tensors[last.output.0]
    }

    /// The bytes of every tensor when the reference runs the program on its inputs.
    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        let program = &self.program;
        let mut interpreter = Interpreter::new(program, Path::Reference);
        let mut contents = vec![Vec::new(); program.tensors.len()];
        let mut rest = self.input.as_slice();
        for (input, tensor) in program.inputs.iter().zip(program.input_tensors()) {
            let (own, others) = rest.split_at(tensor.bytes());
            contents[input.tensor.0] = own.to_vec();
            rest = others;
        }
        let keep = |node: usize, output: &[u8]| {
            contents[program.nodes[node].output.0] = output.to_vec();
        };
        interpreter.run_observed(&self.input, keep).expect("inputs of the program");
        contents
    }

    /// Whether any operation has weights.
    pub(crate) fn has_weights(&self) -> bool {
        self.program.nodes.iter().any(|node| node.op.weighted().is_some())
    }
}

/// Makes a problem; `None` if the random parameters do not fit together.
pub(crate) type Generator = fn(&mut Draw) -> Option<Problem>;

/// Problems of each operation, unless `BURN_PTQ_PROBLEMS` asks for another number.
const PROBLEMS: usize = 96;

/// Problems of several layers.
const CHAINS: usize = 192;

/// There are as many problems at the edges of an operation as others, divided by this.
const PARTS_EDGED: usize = 6;

/// Problems tried for each of them, some of which the verifier refuses.
const EDGE_ATTEMPTS: usize = 5;

/// What `BURN_PTQ_OPERATIONS` and reports call problems of several inputs and outputs.
pub(crate) const SEVERAL_ENDS: &str = "several ends";

/// What reports call problems of programs with states.
pub(crate) const STATES: &str = "states";

/// What reports call problems of programs with loops.
pub(crate) const LOOPS: &str = "loops";

/// How many times as many problems of several ends there are as of an operation, and of states: TensorFlow Lite Micro has every operation
/// that writes an output in a quarter of them only.
const TIMES_SEVERAL_ENDS: usize = 2;

/// Lists every operation with the function that makes its problems. The match has no other arm, so
/// that a new operation does not compile until it is listed here.
///
/// The functions of two values are listed one by one.
macro_rules! generators {
    ($($variant:ident => $generator:path),* $(,)?; $($function:ident => $of_two:path),* $(,)?) => {
        /// The operations' names and the functions that make their problems.
        pub(crate) const GENERATORS: &[(&str, Generator)] = &[
            $((stringify!($variant), $generator),)*
            $((stringify!($function), $of_two)),*
        ];

        const _: fn(&IntOp) = |op| match op {
            $(IntOp::$variant { .. } => (),)*
            IntOp::Binary { function, .. } => match function {
                $(BinaryFunction::$function { .. } => (),)*
            },
        };
    };
}

generators! {
    Conv2d => weighted::conv2d,
    DepthwiseConv2d => weighted::depthwise_conv2d,
    FullyConnected => weighted::fully_connected,
    Add => add,
    Mul => mul,
    AveragePool => average_pool,
    MaxPool => max_pool,
    Table8 => table8,
    Table16 => table16,
    Softmax => softmax,
    LogSoftmax => log_softmax,
    Requantize => requantize,
    Concat => concat,
    Pad => pad,
    Transpose => transpose,
    Pack => pack,
    Unpack => unpack,
    BatchMatMul => values::batch_matmul,
    Reduce => groups::reduce,
    Normalize => groups::normalize,
    TopK => groups::top_k,
    Rearrange => movement::rearrange,
    TransposeConv2d => weighted::transpose_conv2d,
    ResizeLinear => resize_linear,
    Lookup8 => lookup::lookup8,
    Lookup16 => lookup::lookup16,
    Constant => constant,
    Step => loops::step,
    Gate => gates::gate;
    Sub => sub,
    Div => div,
    Minimum => minimum,
    Maximum => maximum,
    Prelu => prelu,
}

/// The problems of all operations and of several ends, or of those that `BURN_PTQ_OPERATIONS` lists
/// with commas.
pub(crate) fn all() -> Vec<Problem> {
    let several = if is_chosen(SEVERAL_ENDS) { of_several_ends() } else { Vec::new() };
    of_operations().chain(several).collect()
}

fn of_operations() -> impl Iterator<Item = Problem> {
    let generators = GENERATORS.iter().filter(|(op, _)| is_chosen(op));
    generators.flat_map(|(op, generator)| of_operation(op, *generator))
}

fn is_chosen(op: &str) -> bool {
    let chosen = std::env::var("BURN_PTQ_OPERATIONS");
    chosen.map_or(true, |list| list.split(',').any(|o| o == op))
}

/// Problems of several inputs and outputs.
pub(crate) fn of_several_ends() -> Vec<Problem> {
    made(SEVERAL_ENDS, ends::several, TIMES_SEVERAL_ENDS * count())
}

/// Networks that take recordings frame by frame.
pub(crate) fn frame_by_frame() -> Vec<Problem> {
    frames::frames()
}

/// Problems of programs that keep something from one call to the next.
pub(crate) fn with_states() -> Vec<Problem> {
    made(STATES, states::states, TIMES_SEVERAL_ENDS * count())
}

/// Problems of programs with states that run row by row, each with the program that does not.
pub(crate) fn with_states_by_rows() -> Vec<(Problem, Problem)> {
    let mut draw = Draw::new(12);
    let pairs = with_states().into_iter().step_by(2);
    pairs.filter_map(|whole| Some((streamed::streamed(&mut draw, &whole)?, whole))).collect()
}

/// Problems of programs that run nodes once for each step of a sequence.
pub(crate) fn with_loops() -> Vec<Problem> {
    made(LOOPS, loops::loops, TIMES_SEVERAL_ENDS * count())
}

/// Problems of programs with loops of which other nodes run row by row, each with the program that does not.
pub(crate) fn with_loops_by_rows() -> Vec<(Problem, Problem)> {
    let mut draw = Draw::new(13);
    let pairs = with_loops().into_iter().step_by(2);
    pairs.filter_map(|whole| Some((streamed::streamed(&mut draw, &whole)?, whole))).collect()
}

/// Recurrent layers, unless `BURN_PTQ_PROBLEMS` asks for another number.
const RECURRENT: usize = 12;

/// Problems of recurrent layers, with what they are made of.
pub(crate) fn of_recurrent_layers() -> Vec<(recurrent::Net, Problem)> {
    let asked = std::env::var_os("BURN_PTQ_PROBLEMS").map(|_| count());
    recurrent_layers(asked.unwrap_or(RECURRENT))
}

/// So many of them, the same in every run.
pub(crate) fn recurrent_layers(count: usize) -> Vec<(recurrent::Net, Problem)> {
    let mut draw = Draw::new(31);
    let made = (0..4 * count).filter_map(|_| {
        let net = recurrent::net(&mut draw);
        let problem = recurrent::program(&mut draw, &net)?;
        Some((net, problem))
    });
    let named = made.enumerate().map(|(i, (net, problem))| {
        let name = format!("recurrent {i} {:?} {:?}", net.cells, net.directions);
        (net, Problem { name, ..problem })
    });
    let problems: Vec<_> = named.take(count).collect();
    assert_eq!(problems.len(), count, "most random layers make no valid program");
    problems
}

/// How many problems of each operation to make.
fn count() -> usize {
    std::env::var("BURN_PTQ_PROBLEMS")
        .ok()
        .map_or(PROBLEMS, |count| count.parse().expect("BURN_PTQ_PROBLEMS is a number"))
}

/// Problems of several layers.
pub(crate) fn chains() -> Vec<Problem> {
    let mut draw = Draw::new(7);
    let chains: Vec<Problem> = (0..3 * CHAINS)
        .filter_map(|_| chain::chain(&mut draw))
        .take(CHAINS)
        .enumerate()
        .map(|(i, problem)| Problem { name: format!("chain {i}"), ..problem })
        .collect();
    assert_eq!(chains.len(), CHAINS, "most random chains are not valid programs");
    chains
}

/// The operations of two values and those after the first releases, whose numbers are tried at their
/// edges.
const EDGED: [&str; 17] = [
    "BatchMatMul",
    "Reduce",
    "Normalize",
    "TopK",
    "TransposeConv2d",
    "ResizeLinear",
    "Rearrange",
    "Lookup8",
    "Lookup16",
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Minimum",
    "Maximum",
    "Prelu",
    "Gate",
];

/// Problems whose numbers lie at their edges, and what the verifier said of those that it refused.
pub(crate) fn at_their_edges() -> (Vec<Problem>, Vec<VerifyError>) {
    let count = count() / PARTS_EDGED;
    let (mut problems, mut refusals) = (Vec::new(), Vec::new());
    let edged = |(op, _): &&(&str, Generator)| EDGED.contains(op) && is_chosen(op);
    for (op, generator) in GENERATORS.iter().filter(edged) {
        let mut draw = Draw::new(9);
        let whole = made(op, *generator, EDGE_ATTEMPTS * count).into_iter();
        let mut found = 0;
        for whole in whole {
            match edges::edged(&mut draw, whole) {
                Ok(problem) if found < count => {
                    problems.push(problem);
                    found += 1;
                }
                Ok(_) => {}
                Err(refusal) => refusals.push(refusal),
            }
        }
        assert_eq!(found, count, "{op}: the verifier refuses most edges");
    }
    (problems, refusals)
}

/// Problems with channels that are constant or dead, as many as `BURN_PTQ_PROBLEMS` asks for.
pub(crate) fn with_constants() -> Vec<Problem> {
    let (mut draw, count) = (Draw::new(9), 2 * count());
    let problems: Vec<Problem> = (0..12 * count)
        .filter_map(|_| constant::with_constants(&mut draw))
        .take(count)
        .enumerate()
        .map(|(i, problem)| Problem { name: format!("constants {i}"), ..problem })
        .collect();
    assert_eq!(problems.len(), count, "most random programs are not valid");
    problems
}

/// Convolutions whose sums are about as large as those that can share a register.
pub(crate) fn of_large_sums() -> Vec<Problem> {
    let (mut draw, count) = (Draw::new(11), count() / 2);
    let problems: Vec<Problem> = (0..4 * count)
        .filter_map(|_| quads::large_sums(&mut draw))
        .take(count)
        .enumerate()
        .map(|(i, problem)| Problem { name: format!("large sums {i}"), ..problem })
        .collect();
    assert_eq!(problems.len(), count, "most random sums make no valid program");
    problems
}

/// Problems that run row by row, each with the program that does not.
pub(crate) fn streamed() -> Vec<(Problem, Problem)> {
    let mut draw = Draw::new(8);
    let several = chains().into_iter().chain(of_several_ends());
    let problems = several.chain(of_operations().step_by(8));
    let pairs = problems.filter_map(|whole| Some((streamed::streamed(&mut draw, &whole)?, whole)));
    pairs.collect()
}

/// Problems that run row by row and whose strides leave a rest of rows, each with the program that does
/// not.
pub(crate) fn uneven() -> Vec<(Problem, Problem)> {
    let mut draw = Draw::new(14);
    let wholes = made("uneven", chain::uneven, count());
    let pairs = wholes.into_iter();
    pairs.filter_map(|whole| Some((streamed::streamed(&mut draw, &whole)?, whole))).collect()
}

/// The problems of one operation, the same in every run.
pub(crate) fn of_operation(op: &str, generator: Generator) -> Vec<Problem> {
    made(op, generator, count())
}

/// As many problems as asked for, the same in every run.
fn made(op: &str, generator: Generator, count: usize) -> Vec<Problem> {
    let seed = op.bytes().fold(0, |seed: u64, byte| seed.wrapping_mul(31) + u64::from(byte));
    let mut draw = Draw::new(seed);
    let attempts = (0..4 * count).filter_map(|_| generator(&mut draw));
    let problems: Vec<Problem> = attempts
        .take(count)
        .enumerate()
        .map(|(i, problem)| Problem { name: format!("{op} {i}"), ..problem })
        .collect();
    assert_eq!(problems.len(), count, "{op}: most random parameters make no valid program");
    problems
}

/// The two inputs of an element-wise operation, of independent values on independent grids, and the
/// shape of its output.
fn operands(program: &mut Program) -> (Broadcast, [TensorId; 2], [usize; 3]) {
    let x = program.input();
    let shape = program.tensor(x).shape;
    let [height, width, channels] = shape;
    let (broadcast, inputs) = match program.draw.below(9) {
        0 => {
            let pooled = program.max_pool(x, [height, width], channels);
            (Broadcast::Channels, [x, program.scrambled(pooled)])
        }
        1 => {
            let pooled = program.max_pool(x, [height * width * channels, 1], 1);
            (Broadcast::Scalar, [x, program.scrambled(pooled)])
        }
        2 => (Broadcast::None, [program.scrambled(x), x]),
        3 => (Broadcast::None, [x, x]),
        4 => return repeating(program, true),
        5 => return repeating(program, false),
        _ => (Broadcast::None, [x, program.scrambled(x)]),
    };
    (broadcast, inputs, shape)
}

/// Inputs that repeat along random axes: the input and a constant, or two constants.
fn repeating(program: &mut Program, reads_input: bool) -> (Broadcast, [TensorId; 2], [usize; 3]) {
    let x = program.input();
    let (full, wide) = (program.tensor(x).shape, program.tensor(x).dtype == DType::I16);
    let constant = |program: &mut Program| {
        let shape = full.map(|extent| if program.draw.chance(50) { 1 } else { extent });
        let tensor = tensor(program.draw, wide, shape);
        let data = constant_of(program.draw, &tensor);
        program.push(IntOp::Constant { data }, &[], tensor)
    };
    let mut inputs = [if reads_input { x } else { constant(program) }, constant(program)];
    if program.draw.chance(30) {
        inputs.reverse();
    }
    let [a, b] = inputs.map(|id| program.tensor(id).shape);
    let output = [0, 1, 2].map(|axis| a[axis].max(b[axis]));
    (Broadcast::Shapes { a, b }, inputs, output)
}

fn add(draw: &mut Draw) -> Option<Problem> {
    if draw.chance(30) {
        return tiles::add(draw);
    }
    let (wide, shape) = (draw.chance(25), draw.shape(6, 9));
    let mut program = Program::new(draw, wide, shape);
    let (broadcast, inputs, shape) = operands(&mut program);
    let grids = inputs.map(|id| program.tensor(id).grid);
    let [a, b] = grids.map(|grid| grid.scale);
    let mut output = tensor(program.draw, wide, shape);
    output.grid.scale = a.max(b) * program.draw.scale(0.3, 4.0);
    // Zero points at opposite ends make every sum saturate.
    if !wide && program.draw.chance(60) {
        let Grid { scale, min, max, .. } = output.grid;
        let middle = |grid: Grid| grid.dequantize((grid.min + grid.max) / 2);
        let sum: f32 = grids.into_iter().map(middle).sum();
        output.grid.zero_point = ((min + max) / 2 - (sum / scale) as i32).clamp(min, max);
    }
    let params = AddParams::new(a, b, output.grid.scale, wide)?;
    let clamp = clamp(program.draw, output.grid);
    program.finish(IntOp::Add { params, broadcast, clamp }, &inputs, output)
}

fn mul(draw: &mut Draw) -> Option<Problem> {
    if draw.chance(25) {
        return gates::narrow_product(draw);
    }
    let (wide, shape) = (draw.chance(25), draw.shape(6, 9));
    let mut program = Program::new(draw, wide, shape);
    let (broadcast, inputs, shape) = operands(&mut program);
    let [a, b] = inputs.map(|id| program.tensor(id).grid);
    let mut output = tensor(program.draw, wide, shape);
    let steps = |grid: Grid| (grid.max - grid.min) as f32;
    let fit = program.draw.scale(0.1, 1.0);
    output.grid.scale = a.scale * b.scale * steps(a) * steps(b) / steps(output.grid) * fit;
    let multiplier = Multiplier::of_scales(a.scale, b.scale, output.grid.scale)?;
    let clamp = clamp(program.draw, output.grid);
    program.finish(IntOp::Mul { multiplier, broadcast, clamp }, &inputs, output)
}

fn sub(draw: &mut Draw) -> Option<Problem> {
    let (wide, shape) = (draw.chance(25), draw.shape(6, 9));
    let mut program = Program::new(draw, wide, shape);
    let (broadcast, inputs, shape) = operands(&mut program);
    let [a, b] = inputs.map(|id| program.tensor(id).grid);
    let mut output = tensor(program.draw, wide, shape);
    output.grid.scale = a.scale.max(b.scale) * program.draw.scale(0.3, 4.0);
    if !wide && program.draw.chance(60) {
        let Grid { scale, min, max, .. } = output.grid;
        let middle = |grid: Grid| grid.dequantize((grid.min + grid.max) / 2);
        let difference = middle(a) - middle(b);
        output.grid.zero_point = ((min + max) / 2 - (difference / scale) as i32).clamp(min, max);
    }
    let params = AddParams::new(a.scale, b.scale, output.grid.scale, wide)?;
    let clamp = clamp(program.draw, output.grid);
    let function = BinaryFunction::Sub(params);
    program.finish(IntOp::Binary { function, broadcast, clamp }, &inputs, output)
}

fn div(draw: &mut Draw) -> Option<Problem> {
    let (wide, shape) = (draw.chance(15), draw.shape(7, 20));
    let mut program = Program::new(draw, wide, shape);
    let (broadcast, inputs, shape) = operands(&mut program);
    let [a, b] = inputs.map(|id| program.tensor(id).grid);
    let mut output = tensor(program.draw, wide, shape);
    // Quotients are positive as often as negative, most of them small.
    if !wide && program.draw.chance(80) {
        (output.bits, output.grid.min, output.grid.max) = (8, -128, 127);
        output.grid.zero_point = program.draw.within(-20, 20);
    }
    // Quotients about 1 are many steps of a fine grid, and few of a coarse one.
    let step = if program.draw.chance(70) { [0.002, 0.006] } else { [0.006, 0.2] };
    output.grid.scale = a.scale / b.scale * program.draw.scale(step[0], step[1]);
    let real = f64::from(a.scale) / (f64::from(b.scale) * f64::from(output.grid.scale));
    let function = BinaryFunction::Div(Multiplier::from_real(real)?);
    let whole = Clamp { min: output.grid.min, max: output.grid.max };
    let clamp = if program.draw.chance(60) { whole } else { clamp(program.draw, output.grid) };
    program.finish(IntOp::Binary { function, broadcast, clamp }, &inputs, output)
}

fn prelu(draw: &mut Draw) -> Option<Problem> {
    let (wide, shape) = (draw.chance(25), draw.shape(6, 9));
    let mut program = Program::new(draw, wide, shape);
    let (broadcast, inputs, shape) = operands(&mut program);
    let [a, b] = inputs.map(|id| program.tensor(id).grid);
    let mut output = tensor(program.draw, wide, shape);
    let steps = (a.max - a.min) as f32 / (output.grid.max - output.grid.min) as f32;
    output.grid.scale = a.scale * steps * program.draw.scale(0.3, 4.0);
    let function = BinaryFunction::Prelu(PreluParams::new(a.scale, b.scale, output.grid.scale)?);
    let clamp = clamp(program.draw, output.grid);
    program.finish(IntOp::Binary { function, broadcast, clamp }, &inputs, output)
}

fn minimum(draw: &mut Draw) -> Option<Problem> {
    extremum(draw, BinaryFunction::Minimum)
}

fn maximum(draw: &mut Draw) -> Option<Problem> {
    extremum(draw, BinaryFunction::Maximum)
}

/// Inputs and output have one grid.
fn extremum(draw: &mut Draw, function: BinaryFunction) -> Option<Problem> {
    let (wide, shape) = (draw.chance(25), draw.shape(6, 9));
    let mut program = Program::new(draw, wide, shape);
    let x = program.input();
    let repeated = shape.map(|extent| if program.draw.chance(30) { 1 } else { extent });
    let other = tensor_like(program.tensor(x), repeated);
    let data = constant_of(program.draw, &other);
    let constant = program.push(IntOp::Constant { data }, &[], other);
    let (broadcast, mut inputs) = match repeated == shape {
        true => (Broadcast::None, [x, constant]),
        false => (Broadcast::Shapes { a: shape, b: repeated }, [x, constant]),
    };
    let mut broadcast = broadcast;
    if program.draw.chance(30) {
        inputs.reverse();
        if let Broadcast::Shapes { a, b } = &mut broadcast {
            std::mem::swap(a, b);
        }
    }
    let output = tensor_like(program.tensor(x), shape);
    let clamp = Clamp { min: output.grid.min, max: output.grid.max };
    program.finish(IntOp::Binary { function, broadcast, clamp }, &inputs, output)
}

fn average_pool(draw: &mut Draw) -> Option<Problem> {
    pool(draw, true)
}

fn max_pool(draw: &mut Draw) -> Option<Problem> {
    pool(draw, false)
}

fn pool(draw: &mut Draw, average: bool) -> Option<Problem> {
    let (wide, shape) = (draw.chance(25), draw.shape(9, 9));
    let input = [shape[0], shape[1]];
    let (window, output) = window(draw, input, true);
    let geometry = PoolGeometry { input, output, channels: shape[2], window };
    let program = Program::new(draw, wide, shape);
    let x = program.input();
    let output = tensor_like(program.tensor(x), [output[0], output[1], shape[2]]);
    let clamp = clamp(program.draw, output.grid);
    let op = if average {
        IntOp::AveragePool { geometry, clamp }
    } else {
        IntOp::MaxPool { geometry, clamp }
    };
    program.finish(op, &[x], output)
}

/// Functions with a kink, a pole-free bend and a saturating one.
const FUNCTIONS: [fn(f32) -> f32; 3] =
    [|x| x.max(0.1 * x), |x| 1.0 / (1.0 + (-x).exp()), |x| (x - 3.0).clamp(-1.0, 1.0) * x];

fn table8(draw: &mut Draw) -> Option<Problem> {
    let shape = draw.shape(5, 40);
    let program = Program::new(draw, false, shape);
    let x = program.input();
    let output = tensor(program.draw, false, shape);
    let table = if program.draw.chance(50) {
        random_table8(program.draw, output.grid)
    } else {
        let function = program.draw.pick(&FUNCTIONS);
        table8_of(function, program.tensor(x).grid, output.grid).to_vec()
    };
    program.finish(IntOp::Table8 { table }, &[x], output)
}

fn table16(draw: &mut Draw) -> Option<Problem> {
    let shape = draw.shape(5, 40);
    let program = Program::new(draw, true, shape);
    let x = program.input();
    let output = tensor(program.draw, true, shape);
    let table = if program.draw.chance(50) {
        random_table16(program.draw)
    } else {
        let function = program.draw.pick(&FUNCTIONS);
        table16_of(function, program.tensor(x).grid, output.grid).to_vec()
    };
    program.finish(IntOp::Table16 { table }, &[x], output)
}

/// A program whose input has rows of logits at a scale of `least` to `most`.
fn logits<'d>(draw: &'d mut Draw, scales: [f32; 2]) -> (Program<'d>, [usize; 2]) {
    let depth = if draw.chance(10) { draw.within(200, 1000) } else { draw.within(1, 40) } as usize;
    let rows = draw.within(1, 12) as usize;
    let scale = draw.scale(scales[0], scales[1]);
    let mut program = Program::new(draw, false, [1, rows, depth]);
    program.set_scale(TensorId(0), scale);
    (program, [rows, depth])
}

fn softmax(draw: &mut Draw) -> Option<Problem> {
    let (program, [rows, depth]) = logits(draw, [0.001, 4.0]);
    let x = program.input();
    let (input_multiplier, diff_min) = softmax_params(program.tensor(x).grid.scale)?;
    let mut output = tensor(program.draw, false, [1, rows, depth]);
    output.bits = 8;
    output.grid = Grid { scale: 1.0 / 256.0, zero_point: -128, min: -128, max: 127 };
    program.finish(IntOp::Softmax { rows, depth, input_multiplier, diff_min }, &[x], output)
}

fn log_softmax(draw: &mut Draw) -> Option<Problem> {
    let (program, [rows, depth]) = logits(draw, [0.001, 40.0]);
    let x = program.input();
    let scale = program.tensor(x).grid.scale;
    // TensorFlow Lite's grid, or one that goes lower.
    let integer_bits = if program.draw.chance(50) { 4 } else { program.draw.within(5, 12) };
    let output_scale = (1 << integer_bits) as f32 / 256.0;
    let input_multiplier = Multiplier::from_real(f64::from(scale) / f64::from(output_scale))?;
    let exponentials = log_softmax_exponentials(scale).to_vec();
    let mut output = tensor(program.draw, false, [1, rows, depth]);
    output.bits = 8;
    output.grid = Grid { scale: output_scale, zero_point: 127, min: -128, max: 127 };
    let op = IntOp::LogSoftmax { rows, depth, exponentials, input_multiplier };
    program.finish(op, &[x], output)
}

fn pack(draw: &mut Draw) -> Option<Problem> {
    let mut program = Program::of_nibbles(draw);
    let x = program.input();
    let (packed, unpacked) = (program.packed_like(x), program.tensor(x).clone());
    let packed = program.push(IntOp::Pack, &[x], packed);
    program.finish(IntOp::Unpack, &[packed], unpacked)
}

fn unpack(draw: &mut Draw) -> Option<Problem> {
    let mut program = Program::of_nibbles(draw);
    let x = program.input();
    let scrambled = program.scrambled_in_place(x);
    let (packed, unpacked) = (program.packed_like(x), program.tensor(x).clone());
    let packed = program.push(IntOp::Pack, &[scrambled], packed);
    program.finish(IntOp::Unpack, &[packed], unpacked)
}

fn constant(draw: &mut Draw) -> Option<Problem> {
    let (wide, shape) = (draw.chance(25), draw.shape(6, 9));
    let program = Program::new(draw, wide, shape);
    let output = tensor(program.draw, wide, shape);
    let data = constant_of(program.draw, &output);
    program.finish(IntOp::Constant { data }, &[], output)
}

fn requantize(draw: &mut Draw) -> Option<Problem> {
    let (from_wide, to_wide) = (draw.chance(50), draw.chance(50));
    let shape = draw.shape(6, 20);
    let program = Program::new(draw, from_wide, shape);
    let x = program.input();
    let input = program.tensor(x).grid;
    let mut output = tensor(program.draw, to_wide, shape);
    let steps = (input.max - input.min) as f32 / (output.grid.max - output.grid.min) as f32;
    output.grid.scale = input.scale * steps * program.draw.scale(0.2, 4.0);
    let real = f64::from(input.scale) / f64::from(output.grid.scale);
    let multiplier = Multiplier::from_real(real)?;
    let clamp = clamp(program.draw, output.grid);
    program.finish(IntOp::Requantize { multiplier, clamp }, &[x], output)
}

fn concat(draw: &mut Draw) -> Option<Problem> {
    let (wide, shape) = (draw.chance(25), draw.shape(5, 7));
    let mut program = Program::new(draw, wide, shape);
    let mut inputs = vec![program.input()];
    let mut chunks = vec![shape[2]];
    for _ in 0..program.draw.within(1, 3) {
        let extra = program.draw.below(4);
        let widened = program.widened(program.input(), extra);
        inputs.push(program.scrambled_in_place(widened));
        chunks.push(shape[2] + extra);
    }
    // Along the channels, or whole tensors one after the other.
    let outer = if program.draw.chance(70) { shape[0] * shape[1] } else { 1 };
    let steps = shape[0] * shape[1] / outer;
    let chunks: Vec<usize> = chunks.iter().map(|chunk| chunk * steps).collect();
    let output =
        tensor_like(program.tensor(program.input()), [1, outer, chunks.iter().sum::<usize>()]);
    program.finish(IntOp::Concat { outer, chunks }, &inputs, output)
}

fn pad(draw: &mut Draw) -> Option<Problem> {
    let (wide, input) = (draw.chance(25), draw.shape(5, 7));
    let [before, after] = [(); 2].map(|()| [(); 3].map(|()| draw.below(4)));
    let program = Program::new(draw, wide, input);
    let x = program.input();
    let shape = [0, 1, 2].map(|axis| before[axis] + input[axis] + after[axis]);
    let output = tensor_like(program.tensor(x), shape);
    let grid = output.grid;
    let value = match program.draw.chance(60) {
        true => grid.zero_point,
        false => program.draw.within(grid.min, grid.max),
    };
    program.finish(IntOp::Pad { input, before, after, value }, &[x], output)
}

fn resize_linear(draw: &mut Draw) -> Option<Problem> {
    let (wide, input) = (draw.chance(25), draw.shape(6, 7));
    let extents = [1 + draw.below(12), 1 + draw.below(12)];
    // TensorFlow Lite's positions, or any.
    let alignments = [Alignment::Start, Alignment::HalfPixel, Alignment::Corners];
    let alignment = draw.chance(60).then(|| draw.pick(&alignments));
    let [rows, columns] = [0, 1].map(|axis| {
        let (from, to) = (input[axis], extents[axis]);
        let position = |index: usize| match alignment {
            Some(alignment) => resize_position(alignment, index, from, to),
            None => draw.below((from - 1) * 1024 + 1) as u32,
        };
        (0..to).map(position).collect::<Vec<u32>>()
    });
    let program = Program::new(draw, wide, input);
    let x = program.input();
    let output = tensor_like(program.tensor(x), [extents[0], extents[1], input[2]]);
    program.finish(IntOp::ResizeLinear { input, rows, columns }, &[x], output)
}

/// Every order of three axes.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

fn transpose(draw: &mut Draw) -> Option<Problem> {
    let (wide, input, axes) = (draw.chance(25), draw.shape(6, 7), draw.pick(&ORDERS));
    let program = Program::new(draw, wide, input);
    let x = program.input();
    let output = tensor_like(program.tensor(x), axes.map(|axis| input[axis]));
    program.finish(IntOp::Transpose { input, axes }, &[x], output)
}
