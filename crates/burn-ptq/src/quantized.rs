//! The quantized graph: the float graph, a grid for every value, and integer weights.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::reference::{table_lookup16, table16};
use rayon::prelude::*;

use crate::calibrate::{Calibration, grid_statistics, to_tensor, to_vec};
use crate::event::{Cancelled, Event, Progress};
use crate::graph::ops::OutputGrid;
use crate::graph::{Array, FloatModel, Graph, Node, Op, Parameters, ValueId, execute};
use crate::observe::Stats;
use crate::prediction::Prediction;
use crate::prepare::{ActivationBits, grid_groups};
use crate::quant::{FakeQuantize, QParams, QuantizeError, Range, round_half_away};
use crate::range::{
    Mse, RangeMethod, UNKNOWN, activation_qparams, is_zero, possible, smallest_input_scale,
    smallest_scale,
};
use crate::recipe::Recipe;

/// A graph in which everything that the integer program needs is decided.
#[derive(Clone, Debug)]
pub struct QuantizedGraph {
    /// The prepared float graph.
    pub graph: Arc<Graph>,
    /// The quantization of each value, by index.
    pub activations: Vec<QuantizedActivation>,
    /// The integer weights of each node that has weights, by index.
    pub weights: Vec<Option<QuantizedWeights>>,
}

/// The grid of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizedActivation {
    /// 2 to 8, or 16.
    pub bits: u8,
    /// The grid.
    pub grid: Grid,
}

/// The largest share of the 32-bit accumulator that a bias may take.
const LARGEST_BIAS: f64 = (1 << 29) as f64;

/// The smallest scale of weights under which a bias of this magnitude keeps to its share of the
/// accumulator, for an input of scale `input`.
pub(crate) fn least_scale(bias: f64, input: f64) -> f32 {
    (bias / (input * LARGEST_BIAS)) as f32
}

/// Integer weights and biases of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// 2 to 8.
    pub bits: u8,
    /// One scale an output channel, or a single one.
    pub scales: Vec<f32>,
    /// The integers, in the order of the float weights.
    pub values: Vec<i8>,
    /// One bias an output channel, at scale `input * weight`.
    pub bias: Vec<i32>,
}

impl QuantizedWeights {
    /// The scale of output channel `channel`.
    pub fn scale(&self, channel: usize) -> f32 {
        self.scales[if self.scales.len() == 1 { 0 } else { channel }]
    }

    /// The real weights that the integers stand for.
    pub fn dequantize(&self, shape: &[usize]) -> Array {
        let row = (self.values.len() / self.bias.len()).max(1);
        let real = |(i, &q): (usize, &i8)| f32::from(q) * self.scale(i / row);
        Array::new(shape, self.values.iter().enumerate().map(real).collect())
    }

    /// The real biases that the integers stand for, for an input of scale `input`.
    pub fn dequantize_bias(&self, input: f32) -> Array {
        let real = |(c, &b): (usize, &i32)| {
            (f64::from(b) * f64::from(input) * f64::from(self.scale(c))) as f32
        };
        Array::new([self.bias.len()], self.bias.iter().enumerate().map(real).collect())
    }

    /// Rounds real biases, for an input of scale `input`. Scales so small that a bias would take more
    /// than its share of the accumulator are widened first.
    pub fn set_bias(&mut self, bias: &[f64], input: f32) {
        self.widen_for_bias(bias, input);
        let step = |c: usize| f64::from(input) * f64::from(self.scale(c));
        self.bias = bias.iter().enumerate().map(|(c, b)| (b / step(c)).round() as i32).collect();
    }
}

/// Rounds of widening grids; one but for cycles of grids that values share.
const ROUNDS_OF_WIDENING: usize = 16;

impl QuantizedWeights {
    /// Moves the weights of channels in which `bias` would exceed its share of the accumulator to a wider grid.
    fn widen_for_bias(&mut self, bias: &[f64], input: f32) {
        let power_of_two = self.scales.iter().all(|scale| scale.log2().fract() == 0.0);
        let channels = bias.len() / self.scales.len();
        let values = self.values.len() / self.scales.len();
        for (c, scale) in self.scales.iter_mut().enumerate() {
            let largest =
                bias[c * channels..][..channels].iter().fold(0.0, |m: f64, b| m.max(b.abs()));
            let mut needed = least_scale(largest, f64::from(input));
            if *scale >= needed || !needed.is_finite() {
                continue;
            }
            if power_of_two {
                needed = needed.log2().ceil().exp2();
            }
            for value in &mut self.values[c * values..][..values] {
                *value = (f32::from(*value) * (*scale / needed)).round() as i8;
            }
            *scale = needed;
        }
    }
}

/// What a joint search of ranges needs besides statistics.
pub struct JointSearch<'a> {
    /// Calibration samples, one after the other.
    pub samples: Vec<f32>,
    /// Where the network runs.
    pub device: &'a Device,
    /// Told of the search's stage; may cancel it.
    pub progress: Progress<'a>,
}

/// Decides the grids of activations; the weights are rounded afterwards.
///
/// `graph` has passed [`insert_requantize`](crate::prepare::insert_requantize), which made `bits`;
/// `calibration` belongs to the graph before it, whose values have the same indices.
///
/// # Errors
/// If the recipe asks for bits that cannot be had, and on cancellation of a joint search.
pub fn choose_grids(
    graph: Arc<Graph>,
    bits: &ActivationBits,
    mut calibration: Calibration,
    recipe: &Recipe,
    search: JointSearch,
) -> Result<QuantizedGraph, QuantizeError> {
    calibration.values.resize_with(graph.values.len(), Default::default);
    follow_narrowing(&graph, &mut calibration.values);
    let groups = grid_groups(&graph);
    let statistics = grid_statistics(&graph, &groups, &calibration.values);
    let fixed = fixed_grids(&graph, &groups, bits, &statistics);
    let schemes =
        bits.iter().map(|&bits| recipe.activation_scheme(bits)).collect::<Result<Vec<_>, _>>()?;
    let ranges = ranges(&graph, &groups, &statistics);
    let zero = |v: usize| is_zero(observed_range(&statistics[v]));
    let grids = |method: &dyn RangeMethod| -> Vec<Grid> {
        let grid = |v: usize| match fixed[v] {
            Some(grid) => grid,
            None if zero(v) => QParams::activation(ranges[v], schemes[v]).grid(0),
            None => activation_qparams(method, &statistics[v].distribution(), schemes[v]).grid(0),
        };
        (0..graph.values.len()).into_par_iter().map(grid).collect()
    };
    let grids_of_recipe = grids(recipe.activations.range.component());
    let activation = |(v, grid): (usize, Grid)| QuantizedActivation { bits: bits[v], grid };
    let activations = grids_of_recipe.into_iter().enumerate().map(activation).collect();
    let weights = vec![None; graph.nodes.len()];
    let mut quantized = QuantizedGraph { graph: Arc::clone(&graph), activations, weights };
    let power_of_two = recipe.activations.power_of_two;
    quantized.widen_unreachable(&groups, &fixed, power_of_two);
    let joint = recipe.joint_range.component();
    let searched: Vec<usize> = (0..graph.values.len())
        .filter(|&v| groups[v] == v && fixed[v].is_none() && bits[v] < 16 && !zero(v))
        .collect();
    if joint.samples() > 0 && !searched.is_empty() {
        (search.progress)(Event::Stage { stage: "search ranges" });
        let scales_of = |exponent: f32| {
            let grids = grids(&Mse { exponent, ..Mse::default() });
            searched.iter().map(|&v| grids[v].scale).collect()
        };
        let network = RangeLoss::new(&quantized, search.samples, search.device);
        let mut evaluations = 0;
        let mut loss = |scales: &[f32]| {
            evaluations += 1;
            let event = Event::Progress { stage: "search ranges", done: evaluations, total: None };
            let mut candidate = quantized.clone();
            for (&v, &scale) in searched.iter().zip(scales) {
                candidate.set_scale(ValueId(v), scale);
            }
            (search.progress)(event).then(|| network.loss(&candidate))
        };
        let found = joint.search(&scales_of, &mut loss).ok_or(Cancelled)?;
        for (&v, scale) in searched.iter().zip(found) {
            let scale = if power_of_two { scale.log2().round().exp2() } else { scale };
            quantized.set_scale(ValueId(v), scale);
        }
        quantized.widen_unreachable(&groups, &fixed, power_of_two);
    }
    Ok(quantized)
}

fn observed_range(statistics: &Stats) -> Range {
    Range { min: statistics.min, max: statistics.max }
}

/// What each value may hold: what was observed, and where that is nothing but zero, what the
/// operations before it can give.
fn ranges(graph: &Graph, groups: &[usize], statistics: &[Stats]) -> Vec<Range> {
    let mut found: Vec<Range> = statistics.iter().map(observed_range).collect();
    let zero: Vec<bool> = found.iter().map(|&range| is_zero(range)).collect();
    let set = |found: &mut Vec<Range>, value: usize, range: Range| {
        let members = (0..groups.len()).filter(|&v| groups[v] == groups[value]);
        members.for_each(|v| found[v] = range);
    };
    let input = graph.input.0;
    if zero[input] {
        set(&mut found, input, UNKNOWN);
    }
    for node in &graph.nodes {
        let output = node.output.0;
        if !zero[output] || node.op.operator().output_grid() == OutputGrid::Shared {
            continue;
        }
        let inputs: Vec<Range> = node.inputs.iter().map(|v| found[v.0]).collect();
        let possible = possible(node, &inputs).with_zero();
        let before = if is_zero(found[output]) { possible } else { found[output] };
        let both = Range { min: before.min.min(possible.min), max: before.max.max(possible.max) };
        set(&mut found, output, if is_zero(both) { UNKNOWN } else { both });
    }
    found
}

/// The loss of a network whose activations are rounded and whose weights are not.
struct RangeLoss {
    model: FloatModel,
    input: Tensor<4>,
    prediction: Prediction,
    wanted: Tensor<4>,
}

impl RangeLoss {
    fn new(quantized: &QuantizedGraph, samples: Vec<f32>, device: &Device) -> Self {
        let graph = &quantized.graph;
        let model = FloatModel::new(Arc::clone(graph), device);
        let input = to_tensor(graph, samples, device);
        let prediction = Prediction::new(graph);
        let wanted = Self::run(&model, &input, prediction, |_, value| value);
        Self { model, input, prediction, wanted }
    }

    /// Runs the network and returns the prediction's value.
    fn run(
        model: &FloatModel,
        input: &Tensor<4>,
        prediction: Prediction,
        round: impl Fn(ValueId, Tensor<4>) -> Tensor<4>,
    ) -> Tensor<4> {
        let mut found = None;
        let output = model.forward_with(input.clone(), |id, value| {
            let value = round(id, value);
            if id == prediction.value {
                found = Some(value.clone());
            }
            value
        });
        found.unwrap_or(output)
    }

    fn loss(&self, quantized: &QuantizedGraph) -> f64 {
        let found = Self::run(&self.model, &self.input, self.prediction, |id, value| {
            FakeQuantize::new(quantized.activations[id.0].grid).forward(value)
        });
        let difference = self.prediction.difference(found, self.wanted.clone(), 1.0);
        f64::from(difference.into_scalar::<f32>())
    }
}

impl QuantizedGraph {
    /// Widens grids, before weights are rounded, that are so fine that the operation in front of them
    /// could not be rescaled to them, because what it gives is nearly zero.
    fn widen_unreachable(&mut self, groups: &[usize], fixed: &[Option<Grid>], power_of_two: bool) {
        let graph = Arc::clone(&self.graph);
        // A grid that several operations write may lie before and behind another one.
        for _ in 0..ROUNDS_OF_WIDENING {
            let mut widened = false;
            for node in &graph.nodes {
                let inputs: Vec<Grid> =
                    node.inputs.iter().map(|v| self.activations[v.0].grid).collect();
                let needed = [
                    (node.output, smallest_scale(node, &inputs)),
                    (node.inputs[0], smallest_input_scale(node)),
                ];
                for (value, smallest) in needed {
                    let found = self.activations[value.0].grid.scale;
                    if f64::from(found) >= smallest || fixed[value.0].is_some() {
                        continue;
                    }
                    let scale = match power_of_two {
                        true => smallest.log2().ceil().exp2() as f32,
                        // The nearest float may lie below.
                        false => (smallest as f32).next_up(),
                    };
                    let members = (0..groups.len()).filter(|&v| groups[v] == groups[value.0]);
                    members.for_each(|v| self.activations[v].grid.scale = scale);
                    widened = true;
                }
            }
            if !widened {
                return;
            }
        }
    }

    /// Gives `value`, and all values that share its grid, another scale; the biases of layers that
    /// read them keep their real values.
    pub fn set_scale(&mut self, value: ValueId, scale: f32) {
        let groups = grid_groups(&self.graph);
        for (index, node) in self.graph.nodes.iter().enumerate() {
            let input = node.inputs[0].0;
            if let Some(weights) = &mut self.weights[index]
                && groups[input] == groups[value.0]
            {
                let real = weights.dequantize_bias(self.activations[input].grid.scale).data;
                let real: Vec<f64> = real.into_iter().map(f64::from).collect();
                weights.set_bias(&real, scale);
            }
        }
        for (v, activation) in self.activations.iter_mut().enumerate() {
            if groups[v] == groups[value.0] {
                activation.grid.scale = scale;
            }
        }
    }
}

/// A node that runs wider than its output is followed by a requantize node that took over the
/// node's observed output: both have its distribution.
fn follow_narrowing(graph: &Graph, calibration: &mut [Stats]) {
    for node in &graph.nodes {
        let (from, to) = (node.inputs[0].0, node.output.0);
        let source = graph.producer(node.inputs[0]).map(|n| &graph.nodes[n].op);
        let mean = matches!(source, Some(Op::AveragePool(_)));
        if matches!(node.op, Op::Requantize(_)) && !mean && calibration[from].batches == 0 {
            calibration[from] = calibration[to].clone();
        }
    }
}

/// The grids that an operation fixes, for values of 8 bits that share theirs with no other source.
fn fixed_grids(
    graph: &Graph,
    groups: &[usize],
    bits: &ActivationBits,
    statistics: &[Stats],
) -> Vec<Option<Grid>> {
    let mut sources: Vec<Vec<Option<Grid>>> = vec![Vec::new(); graph.values.len()];
    sources[groups[graph.input.0]].push(None);
    for node in &graph.nodes {
        let grid = match node.op.operator().output_grid() {
            OutputGrid::Shared => continue,
            OutputGrid::Observed => None,
            OutputGrid::Fixed { scale, zero_point, doublings } => {
                let lowest = statistics[groups[node.output.0]].min;
                let reaches = |&scale: &f32| lowest >= -256.0 * scale;
                let scales = (0..=doublings).map(|k| scale * (1_u32 << k) as f32);
                let widest = scale * (1_u32 << doublings) as f32;
                let scale = scales.into_iter().find(reaches).unwrap_or(widest);
                Some(Grid { scale, zero_point, min: -128, max: 127 })
            }
        };
        sources[groups[node.output.0]].push(grid);
    }
    let fixed = |v: usize| match sources[groups[v]].as_slice() {
        [Some(grid)] if bits[v] == 8 => Some(*grid),
        _ => None,
    };
    (0..graph.values.len()).map(fixed).collect()
}

/// The float network in which one node is quantized: a Burn module.
#[derive(Module, Debug)]
pub struct PartlyQuantized {
    layers: Vec<Parameters>,
    quantizer: FakeQuantize,
    #[module(skip)]
    graph: Arc<Graph>,
    #[module(skip)]
    output: ValueId,
}

impl PartlyQuantized {
    /// The network of `quantized` with quantized weights in node `index`, whose output is rounded.
    pub fn new(quantized: &QuantizedGraph, index: usize, device: &Device) -> Self {
        let graph = Arc::clone(&quantized.graph);
        let layer =
            |(i, node): (usize, &Node)| match (&quantized.weights[i], node.op.weight_and_bias()) {
                (Some(weights), Some((weight, _))) if i == index => {
                    let input = quantized.activations[node.inputs[0].0].grid.scale;
                    let arrays =
                        [weights.dequantize(&weight.shape), weights.dequantize_bias(input)];
                    Parameters::new(&arrays, device)
                }
                _ => Parameters::new(node.op.parameters(), device),
            };
        let output = graph.nodes[index].output;
        Self {
            layers: graph.nodes.iter().enumerate().map(layer).collect(),
            quantizer: FakeQuantize::new(quantized.activations[output.0].grid),
            graph,
            output,
        }
    }

    /// Runs a batch.
    ///
    /// # Shapes
    /// As [`FloatModel::forward`](crate::graph::FloatModel::forward).
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_with(input, |_, _| {})
    }

    /// Runs a batch and shows every value to `observe`, the input first.
    pub fn forward_with(
        &self,
        input: Tensor<4>,
        mut observe: impl FnMut(ValueId, &Tensor<4>),
    ) -> Tensor<4> {
        let compute = |_, node: &Node, inputs: &[Tensor<4>], parameters: &[Tensor<1>]| {
            node.op.operator().forward(inputs, parameters)
        };
        execute(&self.graph, &self.layers, input, compute, |id, value| {
            let value = if id == self.output { self.quantizer.forward(value) } else { value };
            observe(id, &value);
            value
        })
    }
}

/// The quantized graph as a Burn module: floats that take only the values that the integer program
/// can, rounded where it rounds.
#[derive(Module, Debug)]
pub struct SimulatedModel {
    layers: Vec<Parameters>,
    quantizers: Vec<FakeQuantize>,
    #[module(skip)]
    graph: Arc<Graph>,
    /// Whether a value is rounded; movements of elements keep values on their grid.
    #[module(skip)]
    rounds: Vec<bool>,
    /// The integer program's table of each node that is one of 16 bits.
    #[module(skip)]
    tables: Vec<Option<Vec<i16>>>,
}

impl SimulatedModel {
    /// Uploads the dequantized weights to `device`.
    pub fn new(quantized: &QuantizedGraph, device: &Device) -> Self {
        let graph = Arc::clone(&quantized.graph);
        let layer = |(node, weights): (&Node, &Option<QuantizedWeights>)| match weights {
            Some(weights) => {
                let (weight, _) = node.op.weight_and_bias().expect("quantized weights were float");
                let input = quantized.activations[node.inputs[0].0].grid.scale;
                let arrays = [weights.dequantize(&weight.shape), weights.dequantize_bias(input)];
                Parameters::new(&arrays, device)
            }
            None => Parameters::new(node.op.parameters(), device),
        };
        let mut rounds = vec![true; graph.values.len()];
        for node in &graph.nodes {
            let moves = matches!(node.op, Op::Reshape(_) | Op::Permute(_) | Op::Concat(_));
            rounds[node.output.0] = !moves;
        }
        let table = |node: &Node| match &node.op {
            Op::Unary(op) if quantized.activations[node.output.0].bits == 16 => {
                let [input, output] =
                    [node.inputs[0], node.output].map(|v| quantized.activations[v.0].grid);
                Some(table16(|x| op.function.apply(x), input, output).to_vec())
            }
            _ => None,
        };
        let tables = graph.nodes.iter().map(table).collect();
        Self {
            layers: graph.nodes.iter().zip(&quantized.weights).map(layer).collect(),
            quantizers: quantized.activations.iter().map(|a| FakeQuantize::new(a.grid)).collect(),
            graph,
            rounds,
            tables,
        }
    }

    /// Runs a batch.
    ///
    /// # Shapes
    /// As [`FloatModel::forward`](crate::graph::FloatModel::forward).
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.forward_with(input, |_, _| {})
    }

    /// Runs a batch and shows every quantized value to `observe`, the input first.
    pub fn forward_with(
        &self,
        input: Tensor<4>,
        mut observe: impl FnMut(ValueId, &Tensor<4>),
    ) -> Tensor<4> {
        let compute = |index, node: &Node, inputs: &[Tensor<4>], parameters: &[Tensor<1>]| {
            self.compute(index, node, inputs, parameters)
        };
        execute(&self.graph, &self.layers, input, compute, |id, value| {
            let value =
                if self.rounds[id.0] { self.quantizers[id.0].forward(value) } else { value };
            observe(id, &value);
            value
        })
    }

    /// Runs one node on quantized inputs and rounds its output.
    pub(crate) fn forward_node(&self, index: usize, inputs: &[Tensor<4>]) -> Tensor<4> {
        let parameters = self.layers[index].values();
        let node = &self.graph.nodes[index];
        let value = self.compute(index, node, inputs, &parameters);
        let value = node.clamp.map_or(value.clone(), |c| c.forward(value));
        self.quantizers[node.output.0].forward(value)
    }

    /// Runs a node without its fused activation.
    fn compute(
        &self,
        index: usize,
        node: &Node,
        inputs: &[Tensor<4>],
        parameters: &[Tensor<1>],
    ) -> Tensor<4> {
        let operator = node.op.operator();
        let input = self.quantizers[node.inputs[0].0].grid();
        if let Some(table) = &self.tables[index] {
            // Between two entries the kernel's line differs from the function: by many steps of a
            // grid of 16 bits where the function has a kink.
            let output = self.quantizers[node.output.0].grid();
            let x = to_vec(inputs[0].clone());
            let levels: Vec<i16> = x.into_iter().map(|x| input.quantize(x) as i16).collect();
            let mut found = vec![0_i16; levels.len()];
            table_lookup16(table, &levels, &mut found);
            let y: Vec<f32> = found.into_iter().map(|q| output.dequantize(q.into())).collect();
            return Tensor::from_data(TensorData::new(y, inputs[0].dims()), &inputs[0].device());
        }
        let Op::AveragePool(_) = node.op else { return operator.forward(inputs, parameters) };
        // Means of a few integers fall on exact ties often. The kernel rounds them away from the
        // integer zero, not from the zero point, so the mean is taken over integers here too.
        let Grid { scale, zero_point, .. } = input;
        let levels = (inputs[0].clone() / scale).round();
        let mean = operator.forward(&[levels], parameters) + zero_point as f32;
        (round_half_away(mean) - zero_point as f32) * scale
    }
}
