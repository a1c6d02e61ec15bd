//! The quantized graph on floats: what the integer program computes, as a Burn module.

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::GateParams;
use burn_ptq_kernels::reference::{gate16, table_lookup16, table16};

use super::{FakeQuantize, QuantizedGraph, round_half_away};
use crate::graph::ops::{Operator, ResizeLinear};
use crate::graph::{Graph, Node, Op, Parameters, ValueId, execute, single, to_vec};

/// A quantized graph as a Burn module: floats that take only the values that the integer program
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
    /// How each node is computed.
    #[module(skip)]
    arithmetic: Vec<Arithmetic>,
}

/// How a node of a [`SimulatedModel`] computes its output before it is rounded.
#[derive(Clone, Debug)]
enum Arithmetic {
    /// As the float network does.
    Float,
    /// A mean over integers, rounded as the kernel rounds it.
    Mean,
    /// The same at the positions between elements that the kernel knows.
    Interpolation(ResizeLinear),
    /// By the integer program's table of 16 bits.
    Table(Vec<i16>),
    /// By the table that gates of recurrent layers share.
    Gate(GateParams),
}

impl SimulatedModel {
    /// The whole network quantized, its dequantized weights on `device`.
    pub fn new(quantized: &QuantizedGraph, device: &Device) -> Self {
        let graph = &quantized.graph;
        let mut rounds = vec![true; graph.values.len()];
        for node in &graph.nodes {
            rounds[node.output.0] = !node.op.operator().moves_elements();
        }
        let arithmetic = graph.nodes.iter().map(|node| Arithmetic::of(node, quantized)).collect();
        let layers = (0..graph.nodes.len()).map(|i| quantized.parameters(i, device)).collect();
        Self::with(quantized, layers, rounds, arithmetic)
    }

    /// The float network in which node `index` alone is quantized: its weights and its output.
    pub fn of_node(quantized: &QuantizedGraph, index: usize, device: &Device) -> Self {
        let graph = &quantized.graph;
        let layer = |(i, node): (usize, &Node)| match i == index {
            true => quantized.parameters(i, device),
            false => Parameters::new(node.op.parameters(), device),
        };
        let layers = graph.nodes.iter().enumerate().map(layer).collect();
        let mut rounds = vec![false; graph.values.len()];
        rounds[graph.nodes[index].output.0] = true;
        Self::with(quantized, layers, rounds, vec![Arithmetic::Float; graph.nodes.len()])
    }

    fn with(
        quantized: &QuantizedGraph,
        layers: Vec<Parameters>,
        rounds: Vec<bool>,
        arithmetic: Vec<Arithmetic>,
    ) -> Self {
        let quantizers = quantized.activations.iter().map(|a| FakeQuantize::new(a.grid)).collect();
        Self { layers, quantizers, graph: Arc::clone(&quantized.graph), rounds, arithmetic }
    }

    /// Runs a batch through a network of one input and one output.
    ///
    /// # Shapes
    /// As [`FloatModel::forward`](crate::graph::FloatModel::forward).
    ///
    /// # Panics
    /// If the network has several inputs or outputs: [`forward_all`](Self::forward_all) takes them.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        single(self.forward_all(vec![input]))
    }

    /// Runs a batch: a tensor for each input, and one for each output.
    ///
    /// # Panics
    /// If there is not one tensor for each input.
    pub fn forward_all(&self, inputs: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        self.forward_with(inputs, |_, _| {})
    }

    /// Runs a batch and shows every value to `observe`, the inputs first.
    ///
    /// # Panics
    /// If there is not one tensor for each input.
    pub fn forward_with(
        &self,
        inputs: Vec<Tensor<4>>,
        mut observe: impl FnMut(ValueId, &Tensor<4>),
    ) -> Vec<Tensor<4>> {
        let compute = |index, node: &Node, inputs: &[Tensor<4>], parameters: &[Tensor<1>]| {
            self.compute(index, node, inputs, parameters)
        };
        execute(&self.graph, &self.layers, inputs, compute, |id, value| {
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
        let input = || self.quantizers[node.inputs[0].0].grid();
        match &self.arithmetic[index] {
            Arithmetic::Float => operator.forward(inputs, parameters),
            Arithmetic::Mean | Arithmetic::Interpolation(_) => {
                let operator: &dyn Operator = match &self.arithmetic[index] {
                    Arithmetic::Interpolation(rounded) => rounded,
                    _ => operator,
                };
                // Means of a few integers fall on exact ties often. The kernel rounds them away from
                // the integer zero, not from the zero point, so the mean is taken over integers.
                let Grid { scale, zero_point, .. } = input();
                let levels = (inputs[0].clone() / scale).round();
                let mean = operator.forward(&[levels], parameters) + zero_point as f32;
                (round_half_away(mean) - zero_point as f32) * scale
            }
            // Between two entries the kernel's line differs from the function: by many steps of a grid of 16 bits
            // where the function has a kink.
            Arithmetic::Table(table) => self.by_integers(node, &inputs[0], |levels, found| {
                table_lookup16(table, levels, found);
            }),
            Arithmetic::Gate(params) => {
                self.by_integers(node, &inputs[0], |levels, found| gate16(*params, levels, found))
            }
        }
    }

    /// What a kernel of 16 bits makes of the integers of a node's input.
    fn by_integers(
        &self,
        node: &Node,
        x: &Tensor<4>,
        kernel: impl FnOnce(&[i16], &mut [i16]),
    ) -> Tensor<4> {
        let [input, output] = [node.inputs[0], node.output].map(|v| self.quantizers[v.0].grid());
        let levels: Vec<i16> =
            to_vec(x.clone()).into_iter().map(|x| input.quantize(x) as i16).collect();
        let mut found = vec![0_i16; levels.len()];
        kernel(&levels, &mut found);
        let y: Vec<f32> = found.into_iter().map(|q| output.dequantize(q.into())).collect();
        Tensor::from_data(TensorData::new(y, x.dims()), &x.device())
    }
}

impl Arithmetic {
    fn of(node: &Node, quantized: &QuantizedGraph) -> Self {
        match &node.op {
            Op::Unary(op) if quantized.activations[node.output.0].bits == 16 => {
                let [input, output] =
                    [node.inputs[0], node.output].map(|v| quantized.activations[v.0].grid);
                if let Some(params) = op.function.gate(input, output) {
                    return Self::Gate(params);
                }
                Self::Table(table16(|x| op.function.apply(x), input, output).to_vec())
            }
            Op::ResizeLinear(op) => Self::Interpolation(op.rounded()),
            op if op.operator().averages() => Self::Mean,
            _ => Self::Float,
        }
    }
}
