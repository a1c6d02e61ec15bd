//! Lowering: from the quantized graph to the integer program.
//!
//! Values of the graph are NCHW, tensors of the program NHWC. A `View` says where a tensor's memory
//! holds the elements of a value, so that transposes and flattens cost nothing where only the order of
//! reading changes; where an operation needs the usual order, one copy is inserted for all movements in
//! front of it. What only moves elements at the end of a network becomes part of the output's border
//! (`ending`).

mod binary;
mod constant;
mod ending;
mod groups;
mod lookup;
mod matmul;
mod movement;
mod steps;
mod transposed;
mod view;
mod weighted;
mod window;

use std::collections::HashSet;

use burn_ptq_deploy::program::{
    Border, DType, Input, IntNode, IntOp, IntTensor, Loop, Output, Program, Provenance, TensorId,
};
use burn_ptq_deploy::streaming::StreamingError;
use burn_ptq_deploy::verify::VerifyError;
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Clamp;
use burn_ptq_kernels::reference::{self as kernels};

use crate::graph::ops::Lookup;
use crate::graph::{Graph, Node, Op, ValueId};
use crate::quant::{QuantizedGraph, QuantizedWeights};

use ending::places_of_the_output;
use matmul::LOOKAHEAD;
use view::View;

/// What cannot be lowered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LowerError {
    /// The ratio of scales has no multiplier.
    #[error(
        "layer '{node}': the ratio of its scales cannot be represented; check that calibration data \
         and evaluation data are scaled alike, or choose another range method"
    )]
    Multiplier {
        /// The layer.
        node: String,
    },
    /// The combination of operation and bits has no kernel.
    #[error("layer '{node}': {problem}")]
    Unsupported {
        /// The layer.
        node: String,
        /// What is missing, and what to do.
        problem: String,
    },
    /// The program cannot take recordings frame by frame.
    #[error(transparent)]
    Streaming(#[from] StreamingError),
    /// The program is not valid.
    #[error(
        "the integer program is invalid: {0}; this is a bug in burn-ptq: please report it with the \
         model and the recipe"
    )]
    Verify(VerifyError),
    /// The grids that a file gives have no integer form.
    #[error(
        "the scales of the file have no integer form: {0}; check how the model was quantized, or quantize it anew \
         (--requantize)"
    )]
    Given(VerifyError),
}

impl LowerError {
    /// The same of a network whose grids a file gives.
    pub(crate) fn of_file(self) -> Self {
        match self {
            Self::Verify(error) => Self::Given(error),
            other => other,
        }
    }
}

impl From<VerifyError> for LowerError {
    // Not a source: the message holds it already.
    fn from(error: VerifyError) -> Self {
        Self::Verify(error)
    }
}

/// The usual order of a tensor: height, width, channels.
const HWC: [usize; 3] = [1, 2, 0];
/// The order of the source.
const SOURCE: [usize; 3] = [0, 1, 2];
/// Rows of a softmax are shorter than this.
const LARGEST_ROW: usize = 1 << 12;
/// Inputs of log-softmax on grids this many times as coarse as its output's are taken for ones on
/// this grid.
const LARGEST_LOGIT_STEPS: f32 = 1600.0;
/// For each axis of a value, an order in which it comes last.
const ENDING_IN: [[usize; 3]; 3] = [HWC, [0, 2, 1], SOURCE];

struct Lowering<'a> {
    quantized: &'a QuantizedGraph,
    graph: &'a Graph,
    tensors: Vec<IntTensor>,
    nodes: Vec<IntNode>,
    views: Vec<Option<View>>,
    /// Values with a tensor that holds them in another order.
    copies: Vec<(ValueId, View)>,
    loops: Vec<Loop>,
    /// What steps leave for the next ones.
    nexts: Vec<TensorId>,
}

/// Where the program keeps a value of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The tensor.
    pub tensor: TensorId,
    /// The index of the value's element that each element of the tensor holds.
    pub places: Vec<usize>,
}

/// Returns the program, without places in memory, and which of its tensors keeps each value.
///
/// # Errors
/// If a multiplier cannot be represented or an operation has no kernel for its bits.
pub(crate) fn lower(
    quantized: &QuantizedGraph,
    provenance: Provenance,
) -> Result<(Program, Vec<Option<Layout>>), LowerError> {
    let graph = quantized.graph.as_ref();
    let mut lowering = Lowering {
        quantized,
        graph,
        tensors: Vec::new(),
        nodes: Vec::new(),
        views: vec![None; graph.values.len()],
        copies: Vec::new(),
        loops: Vec::new(),
        nexts: Vec::new(),
    };
    graph.inputs.iter().for_each(|&input| lowering.input(input));
    let endings: Vec<Vec<usize>> =
        graph.outputs.iter().map(|&output| graph.moves_before(output)).collect();
    let moving: HashSet<usize> = endings.iter().flatten().copied().collect();
    let loops = graph.loops();
    for (index, node) in graph.nodes.iter().enumerate() {
        match loops.iter().find(|found| found.nodes.contains(&index)) {
            Some(found) if found.nodes.start == index => lowering.steps(found)?,
            Some(_) => {}
            None if moving.contains(&index) => {}
            None => lowering.node(index, node)?,
        }
    }
    let (mut outputs, mut read) = (Vec::new(), Vec::new());
    for (&output, ending) in graph.outputs.iter().zip(&endings) {
        let (layout, border) = lowering.end(output, ending)?;
        let name = graph.value(output).name.clone();
        outputs.push(Output::new(name, layout.tensor, border));
        read.push((output, layout));
    }
    if lowering.nodes.is_empty() {
        return Err(LowerError::Unsupported {
            node: graph.value(graph.output()).name.clone(),
            problem: "the model passes its input on without computing anything".into(),
        });
    }
    let input = |&id: &ValueId| {
        let (view, value) = (lowering.view(id), graph.value(id));
        let border = match value.shape.len() {
            ..=3 => Border::permuted(&value.shape, view.order.unwrap_or(HWC)),
            _ => Border::plain(&value.shape),
        };
        Input::new(value.name.clone(), view.tensor, border)
    };
    let program = Program {
        name: graph.name.clone(),
        inputs: graph.inputs.iter().map(input).collect(),
        outputs,
        tensors: lowering.tensors,
        nodes: lowering.nodes,
        states: Vec::new(),
        loops: lowering.loops,
        provenance,
    };
    let layout = |view: View| Some(Layout { tensor: view.tensor, places: view.elements()? });
    let mut layouts: Vec<Option<Layout>> =
        lowering.views.into_iter().map(|view| view.and_then(layout)).collect();
    for (output, layout) in read {
        layouts[output.0] = Some(layout);
    }
    Ok((program, layouts))
}

impl Lowering<'_> {
    fn view(&self, value: ValueId) -> &View {
        self.views[value.0].as_ref().expect("a verified graph writes values before reading")
    }

    /// Lowers the `ending`, whose nodes only move elements, and says how the caller reads `output`.
    fn end(&mut self, output: ValueId, ending: &[usize]) -> Result<(Layout, Border), LowerError> {
        let graph = self.graph;
        let shape = &graph.value(output).shape;
        if let Some(&first) = ending.first() {
            let view = self.view(graph.nodes[first].inputs[0]).clone();
            let places = view.elements().map(|held| places_of_the_output(graph, ending, held));
            if let Some(places) = places
                && let Some(border) = Border::from_places(shape, &places)
            {
                return Ok((Layout { tensor: view.tensor, places }, border));
            }
            // No border says it: the elements move on the device.
            for &index in ending {
                self.node(index, &graph.nodes[index])?;
            }
        }
        let mut view = self.view(output).clone();
        if view.elements().is_none() {
            view = self.arranged(output, HWC);
        }
        let places = view.elements().expect("a copy holds every element once");
        let border = match view.order {
            Some(order) if shape.len() <= 3 => Some(Border::permuted(shape, order)),
            _ => Border::from_places(shape, &places),
        };
        match border {
            Some(border) => Ok((Layout { tensor: view.tensor, places }, border)),
            None => {
                let view = self.arranged(output, SOURCE);
                let places = (0..graph.value(output).len()).collect();
                Ok((Layout { tensor: view.tensor, places }, Border::plain(shape)))
            }
        }
    }

    fn grid(&self, value: ValueId) -> Grid {
        self.quantized.activations[value.0].grid
    }

    fn is_wide(&self, value: ValueId) -> bool {
        self.quantized.activations[value.0].bits == 16
    }

    /// A new tensor on the grid of `value`, holding `dims` in `order`.
    fn tensor(&mut self, value: ValueId, dims: [usize; 3], order: [usize; 3]) -> View {
        let tensor = self.tensor_of_shape(value, order.map(|a| dims[a]));
        let of = self.graph.value(value);
        let shape = if dims == of.dims() { &of.shape[..] } else { &dims };
        View::dense(tensor, shape, order)
    }

    /// A new tensor on the grid of `value`.
    fn tensor_of_shape(&mut self, value: ValueId, shape: [usize; 3]) -> TensorId {
        let quantization = self.quantized.activations[value.0];
        let base = self.graph.value(value).name.clone();
        let copies = self.tensors.iter().filter(|t| t.name == base).count();
        let name = if copies == 0 { base } else { format!("{base}.{copies}") };
        self.tensors.push(IntTensor {
            name,
            shape,
            dtype: if quantization.bits == 16 { DType::I16 } else { DType::I8 },
            bits: quantization.bits,
            grid: quantization.grid,
        });
        TensorId(self.tensors.len() - 1)
    }

    fn push(&mut self, name: &str, op: IntOp, inputs: Vec<TensorId>, output: TensorId) {
        let name = name.to_string();
        self.nodes.push(IntNode { name, op, inputs, output });
    }

    /// An input of up to three axes is stored so that a transpose right after it costs nothing.
    fn input(&mut self, value: ValueId) {
        let mut order = if self.graph.value(value).shape.len() > 3 { SOURCE } else { HWC };
        if let [only] = self.graph.consumers(value)[..]
            && let Op::Permute(permute) = &self.graph.nodes[only].op
        {
            let axes = axes3(&permute.axes);
            order = HWC.map(|a| axes[a]);
        } else if self.graph.value(value).shape.len() == 2
            && let Some(wanted) = self.wanted_order(value, LOOKAHEAD)
        {
            // Tokens, say, of which layers read one after the other.
            order = wanted;
        }
        let dims = self.graph.value(value).dims();
        self.views[value.0] = Some(self.tensor(value, dims, order));
    }

    fn hwc(&mut self, value: ValueId) -> TensorId {
        self.arranged(value, HWC).tensor
    }

    fn output(&mut self, node: &Node) -> TensorId {
        let dims = self.graph.value(node.output).dims();
        let view = self.tensor(node.output, dims, HWC);
        let tensor = view.tensor;
        self.views[node.output.0] = Some(view);
        tensor
    }

    /// The bounds of a node's output: its grid, tightened by the fused activation.
    fn clamp(&self, node: &Node) -> Clamp {
        let grid = self.grid(node.output);
        match node.clamp {
            None => Clamp { min: grid.min, max: grid.max },
            Some(c) => Clamp { min: grid.quantize(c.min), max: grid.quantize(c.max) },
        }
    }

    fn multiplier(&self, node: &Node, real: f64) -> Result<Multiplier, LowerError> {
        Multiplier::from_real(real).ok_or_else(|| no_multiplier(node))
    }

    /// As TensorFlow Lite rounds at 8 bits; once below, where its second rounding would show.
    fn rounding_as_needed(&self, node: &Node, multiplier: Multiplier) -> Multiplier {
        let few_bits = self.quantized.activations[node.output.0].bits < 8;
        if few_bits { multiplier.rounding_once() } else { multiplier }
    }

    fn node(&mut self, index: usize, node: &Node) -> Result<(), LowerError> {
        let quantized = self.quantized;
        let weights = quantized.weights[index].as_ref();
        // Elementwise operations take constants in whatever order; others look at what there is.
        if !matches!(node.op, Op::Add(_) | Op::Mul(_) | Op::Binary(_) | Op::Concat(_)) {
            node.inputs.iter().for_each(|&input| self.constant(input, HWC));
        }
        match &node.op {
            Op::Conv2d(op) => self.conv2d(node, op, expect_weights(weights))?,
            Op::Dilate(op) => self.dilate(node, op)?,
            Op::ResizeLinear(op) => self.resize_linear(node, op),
            Op::Linear(op) => self.linear(node, op, expect_weights(weights))?,
            Op::ChannelAffine(_) => self.channel_affine(node, expect_weights(weights))?,
            Op::Add(_) => {
                let params = self.add_params(node)?;
                let (broadcast, clamp) = (self.broadcast(node), self.clamp(node));
                self.pointwise(node, IntOp::Add { params, broadcast, clamp });
            }
            Op::Mul(_) => {
                let scale = |v| f64::from(self.grid(v).scale);
                let real = scale(node.inputs[0]) * scale(node.inputs[1]) / scale(node.output);
                let multiplier = self.rounding_as_needed(node, self.multiplier(node, real)?);
                let (broadcast, clamp) = (self.broadcast(node), self.clamp(node));
                self.pointwise(node, IntOp::Mul { multiplier, broadcast, clamp });
            }
            Op::Binary(op) => {
                let function = self.binary_function(node, op.function)?;
                let (broadcast, clamp) = (self.broadcast(node), self.clamp(node));
                self.pointwise(node, IntOp::Binary { function, broadcast, clamp });
            }
            // Its first reader writes it, and a loop its borders.
            Op::Constant(_) | Op::Step(_) => {}
            Op::Clip(op) => {
                let grid = self.grid(node.output);
                let clamp =
                    Clamp { min: grid.quantize(op.bounds.min), max: grid.quantize(op.bounds.max) };
                self.requantize(node, clamp)?;
            }
            Op::Requantize(_) => {
                let clamp = self.clamp(node);
                self.requantize(node, clamp)?;
            }
            Op::Unary(op) => {
                let (input, output) = (self.grid(node.inputs[0]), self.grid(node.output));
                let f = |x| op.function.apply(x);
                let table = if let Some(params) = op.function.gate(input, output) {
                    IntOp::Gate { params }
                } else if self.is_wide(node.output) {
                    IntOp::Table16 { table: kernels::table16(f, input, output).to_vec() }
                } else {
                    IntOp::Table8 { table: kernels::table8(f, input, output).to_vec() }
                };
                self.pointwise(node, table);
            }
            Op::AveragePool(op) => self.average_pool(node, op)?,
            Op::MaxPool(op) => {
                let geometry = self.pool_geometry(node, &op.window);
                let op = IntOp::MaxPool { geometry, clamp: self.clamp(node) };
                self.elementwise(node, op);
            }
            Op::Reshape(_) => self.reshape(node),
            Op::Permute(op) => {
                // Output axis j is input axis axes[j]: the same memory, read in another order.
                let view = self.view(node.inputs[0]).permuted(&op.axes);
                self.views[node.output.0] = Some(view);
            }
            Op::Rearrange(op) => self.rearrange(node, op),
            Op::Concat(op) => {
                let position = place(HWC, op.axis);
                let dims = self.graph.value(node.output).dims();
                let outer = HWC[..position].iter().map(|&a| dims[a]).product();
                let inner: usize = HWC[position + 1..].iter().map(|&a| dims[a]).product();
                let chunk = |v: &ValueId| self.graph.value(*v).dims()[op.axis] * inner;
                let chunks = node.inputs.iter().map(chunk).collect();
                self.elementwise(node, IntOp::Concat { outer, chunks });
            }
            Op::Pad(op) => {
                let value = self.grid(node.output).quantize(op.value);
                self.pad(node, op, value);
            }
            Op::Softmax(op) => {
                let axis = op.axis;
                let (rows, depth) = self.rows(node, axis)?;
                let scale = self.grid(node.inputs[0]).scale;
                let (input_multiplier, diff_min) =
                    kernels::softmax_params(scale).ok_or_else(|| no_multiplier(node))?;
                let int = IntOp::Softmax { rows, depth, input_multiplier, diff_min };
                self.along(node, ENDING_IN[axis], int);
            }
            Op::LogSoftmax(op) => {
                let axis = op.axis;
                let (rows, depth) = self.rows(node, axis)?;
                let output_scale = self.grid(node.output).scale;
                // Already one step of this scale is beyond the lowest output.
                let scale = self.grid(node.inputs[0]).scale.min(LARGEST_LOGIT_STEPS * output_scale);
                let real = f64::from(scale) / f64::from(output_scale);
                let int = IntOp::LogSoftmax {
                    rows,
                    depth,
                    exponentials: kernels::log_softmax_exponentials(scale).to_vec(),
                    input_multiplier: self.multiplier(node, real)?,
                };
                self.along(node, ENDING_IN[axis], int);
            }
            Op::MatMul(op) => self.matmul(node, op)?,
            Op::Reduce(op) => self.reduce(node, op)?,
            Op::Normalize(op) => self.normalize(node, op)?,
            Op::TopK(op) => self.top_k(node, op)?,
            Op::Lookup(op) => self.lookup(node, op)?,
        }
        Ok(())
    }

    /// Pushes an operation whose inputs and output have the usual order.
    fn elementwise(&mut self, node: &Node, op: IntOp) {
        self.along(node, HWC, op);
    }

    /// Pushes an operation whose inputs and output have the given order.
    fn along(&mut self, node: &Node, order: [usize; 3], mut op: IntOp) {
        let inputs: Vec<TensorId> =
            node.inputs.iter().map(|&v| self.arranged(v, order).tensor).collect();
        self.widen_broadcast(node, &mut op, &inputs);
        let dims = self.graph.value(node.output).dims();
        let view = self.tensor(node.output, dims, order);
        self.push(&node.name, op, inputs, view.tensor);
        self.views[node.output.0] = Some(view);
    }

    /// Rows and their length for an operation along `axis`.
    fn rows(&self, node: &Node, axis: usize) -> Result<(usize, usize), LowerError> {
        let dims = self.graph.value(node.output).dims();
        let depth = dims[axis];
        if depth >= LARGEST_ROW {
            let problem = format!(
                "softmax over {depth} elements; its integer kernel takes fewer than {LARGEST_ROW}: \
                 cut the model before it"
            );
            return Err(LowerError::Unsupported { node: node.name.clone(), problem });
        }
        Ok((dims.iter().product::<usize>() / depth, depth))
    }

    fn requantize(&mut self, node: &Node, clamp: Clamp) -> Result<(), LowerError> {
        let scale = |v| f64::from(self.grid(v).scale);
        let multiplier = self.multiplier(node, scale(node.inputs[0]) / scale(node.output))?;
        let multiplier = self.rounding_as_needed(node, multiplier);
        self.pointwise(node, IntOp::Requantize { multiplier, clamp });
        Ok(())
    }
}

/// The place of `axis` in an order that names every axis.
fn place(order: [usize; 3], axis: usize) -> usize {
    order.iter().position(|&a| a == axis).expect("an order names every axis")
}

/// Completes a permutation of a sample's axes to three axes.
fn axes3(axes: &[usize]) -> [usize; 3] {
    let mut all = SOURCE;
    all[..axes.len()].copy_from_slice(axes);
    all
}

fn no_multiplier(node: &Node) -> LowerError {
    LowerError::Multiplier { node: node.name.clone() }
}

fn expect_weights(weights: Option<&QuantizedWeights>) -> &QuantizedWeights {
    weights.expect("the quantized graph has integers for every layer with weights")
}
