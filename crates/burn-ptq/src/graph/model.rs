//! Execution of graphs on Burn.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::{Array, Clamp, Graph, Held, Node, ValueId, run_nodes};

/// The executable form of a [`Graph`]: a Burn module whose parameters are the graph's constants.
#[derive(Module, Debug)]
pub struct FloatModel {
    layers: Vec<Parameters>,
    #[module(skip)]
    graph: Arc<Graph>,
}

/// The constants of one node, flat.
#[derive(Module, Debug)]
pub(crate) struct Parameters {
    tensors: Vec<Param<Tensor<1>>>,
}

impl Parameters {
    pub(crate) fn new<'a>(arrays: impl IntoIterator<Item = &'a Array>, device: &Device) -> Self {
        let upload = |array: &Array| {
            let data = TensorData::new(array.data.clone(), [array.len()]);
            Param::from_tensor(Tensor::from_data(data, device))
        };
        Self { tensors: arrays.into_iter().map(upload).collect() }
    }

    pub(crate) fn values(&self) -> Vec<Tensor<1>> {
        self.tensors.iter().map(Param::val).collect()
    }
}

impl FloatModel {
    /// Uploads the constants of `graph` to `device`.
    pub fn new(graph: Arc<Graph>, device: &Device) -> Self {
        let layers =
            graph.nodes.iter().map(|n| Parameters::new(n.op.parameters(), device)).collect();
        Self { layers, graph }
    }

    /// The graph that is executed.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Runs a batch through a network of one input and one output.
    ///
    /// # Shapes
    /// - input: `[batch, d1, d2, d3]`, the graph's input sample padded with trailing ones
    /// - output: likewise, the graph's output sample
    ///
    /// # Panics
    /// If the graph has several inputs or outputs: [`forward_all`](Self::forward_all) takes them.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        single(self.forward_all(vec![input]))
    }

    /// Runs a batch: a tensor for each input, and one for each output.
    ///
    /// # Shapes
    /// As [`forward`](Self::forward), for each input and output.
    ///
    /// # Panics
    /// If there is not one tensor for each input.
    pub fn forward_all(&self, inputs: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        self.forward_with(inputs, |_, value| value)
    }

    /// Runs a batch and passes every value, the inputs first, through `hook`, which may observe or
    /// replace it before its consumers read it.
    ///
    /// # Panics
    /// If there is not one tensor for each input.
    pub fn forward_with(
        &self,
        inputs: Vec<Tensor<4>>,
        hook: impl FnMut(ValueId, Tensor<4>) -> Tensor<4>,
    ) -> Vec<Tensor<4>> {
        let compute = |_, node: &Node, inputs: &[Tensor<4>], parameters: &[Tensor<1>]| {
            node.op.operator().forward(inputs, parameters)
        };
        execute(&self.graph, &self.layers, inputs, compute, hook)
    }
}

/// The only one of the tensors.
///
/// # Panics
/// If there are several.
pub(crate) fn single(mut tensors: Vec<Tensor<4>>) -> Tensor<4> {
    assert_eq!(tensors.len(), 1, "the network has one output; `forward_all` gives several");
    tensors.remove(0)
}

/// Runs `graph` with one set of parameters a node; values are dropped after their last use.
///
/// `compute` runs a node, given by its index too, without its fused activation.
pub(crate) fn execute(
    graph: &Graph,
    layers: &[Parameters],
    inputs: Vec<Tensor<4>>,
    compute: impl Fn(usize, &Node, &[Tensor<4>], &[Tensor<1>]) -> Tensor<4>,
    mut hook: impl FnMut(ValueId, Tensor<4>) -> Tensor<4>,
) -> Vec<Tensor<4>> {
    assert_eq!(inputs.len(), graph.inputs.len(), "a network takes one tensor for each input");
    let mut last_use = vec![0; graph.values.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        for &value in &node.inputs {
            last_use[value.0] = index;
        }
    }
    for output in &graph.outputs {
        last_use[output.0] = usize::MAX;
    }
    let mut values: Held = vec![None; graph.values.len()];
    let batch = inputs.first().map_or(1, |input| input.dims()[0]);
    for (&id, input) in graph.inputs.iter().zip(inputs) {
        values[id.0] = Some(hook(id, input));
    }
    let compute = |index: usize, node: &Node, inputs: &[Tensor<4>]| {
        let output = compute(index, node, inputs, &layers[index].values());
        node.clamp.map_or(output.clone(), |clamp| clamp.forward(output))
    };
    let drop_dead = |index: usize, values: &mut Held| {
        for &value in &graph.nodes[index].inputs {
            if last_use[value.0] == index {
                values[value.0] = None;
            }
        }
    };
    let hook = |index: usize, value| hook(graph.nodes[index].output, value);
    run_nodes(graph, 0..graph.nodes.len(), batch, &mut values, compute, hook, drop_dead);
    let output = |id: &ValueId| values[id.0].take().expect("a verified graph writes its outputs");
    graph.outputs.iter().map(output).collect()
}

/// What `node` gives for `batch` samples: `output`, which a constant has once.
pub(crate) fn for_batch(node: &Node, output: Tensor<4>, batch: usize) -> Tensor<4> {
    if !node.inputs.is_empty() {
        return output;
    }
    let [_, a, b, c] = output.dims();
    output.expand([batch, a, b, c])
}

impl Clamp {
    /// The rectified linear unit.
    pub const RELU: Self = Self { min: 0.0, max: f32::INFINITY };

    /// Clamps every element.
    pub fn forward(self, x: Tensor<4>) -> Tensor<4> {
        match (self.min > f32::NEG_INFINITY, self.max < f32::INFINITY) {
            (true, true) => x.clamp(self.min, self.max),
            (true, false) if self.min == 0.0 => burn::tensor::activation::relu(x),
            (true, false) => x.clamp_min(self.min),
            (false, true) => x.clamp_max(self.max),
            (false, false) => x,
        }
    }
}
