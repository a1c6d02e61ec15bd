//! How far the simulation and the integer program agree, layer by layer.

use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq_deploy::program::{Carried, IntNode, IntOp};
use burn_ptq_deploy::run::{
    InputSizeError, Interpreter, Path as KernelPath, quantize_inputs, tensor_integers,
};

use crate::graph::ops::StepRole;
use crate::graph::{Batch, Op, ValueId, to_vec};
use crate::network::Quantized;
use crate::quant::SimulatedModel;

/// How one node's integer outputs compare with its simulation on the same integer inputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// Outputs compared.
    pub outputs: usize,
    /// Outputs that differ.
    pub differing: usize,
    /// The largest difference, in steps of the output's grid.
    pub max_lsb: i32,
}

/// Whether it leaves a loop, of whose steps the last one counts.
fn leaves(op: &Op) -> bool {
    matches!(op, Op::Step(step) if matches!(step.role, StepRole::Last | StepRole::Put { .. }))
}

/// Compares every node of the quantized graph that the program computes, fed with the program's own
/// values, so that differences do not add up from layer to layer. `None` where a node costs nothing
/// in the program.
///
/// `samples` are preprocessed.
///
/// # Errors
/// If the samples do not fit the program.
pub fn compare_layers(
    quantized: &Quantized,
    device: &Device,
    samples: &Batch,
) -> Result<Vec<Option<Agreement>>, InputSizeError> {
    let program = &quantized.lowered;
    let graph = &quantized.graph.graph;
    let inputs = quantize_inputs(program, &samples.values);
    let batch = samples.count;
    // The integers of every tensor, sample after sample.
    let mut integers: Vec<Vec<i32>> = vec![Vec::new(); program.tensors.len()];
    let mut interpreter = Interpreter::new(program, KernelPath::Fast);
    for sample in inputs.chunks(program.input_bytes()) {
        let mut rest = sample;
        for (input, tensor) in program.inputs.iter().zip(program.input_tensors()) {
            let (own, others) = rest.split_at(tensor.bytes());
            integers[input.tensor.0].extend(tensor_integers(tensor, own));
            rest = others;
        }
        let mut written: Vec<Vec<i32>> = vec![Vec::new(); program.tensors.len()];
        interpreter.run_observed(sample, |node, bytes| {
            let IntNode { op, output, .. } = &program.nodes[node];
            let own = tensor_integers(&program.tensors[output.0], bytes);
            match op {
                // Of a sequence, a part comes with each step.
                IntOp::Step { put: true, reverse: true } => {
                    written[output.0].splice(..0, own);
                }
                _ => written[output.0].extend(own),
            }
        })?;
        // A step finds what the one before left.
        for Carried { held, next } in program.loops.iter().flat_map(|own| &own.carried) {
            let before = written[next.0].len() - program.tensors[next.0].len();
            let left = written[next.0][..before].to_vec();
            written[held.0].extend(left);
        }
        for (all, own) in integers.iter_mut().zip(written) {
            all.extend(own);
        }
    }
    // The value's elements in the order of the graph.
    let arranged = |value: ValueId| -> Option<Vec<i32>> {
        let layout = quantized.layouts[value.0].as_ref()?;
        let (stored, places) = (&integers[layout.tensor.0], layout.places.len());
        let steps = stored.len() / (places * batch).max(1);
        // Behind a loop, what its last step left.
        let last = steps > 1
            && graph
                .producer(value)
                .is_none_or(|index| graph.runs(index) == 1 || leaves(&graph.nodes[index].op));
        let stored: Vec<i32> = match last {
            true => stored
                .chunks(places * steps)
                .flat_map(|own| &own[places * (steps - 1)..])
                .copied()
                .collect(),
            false => stored.clone(),
        };
        let mut elements = vec![0; stored.len()];
        for (elements, stored) in elements.chunks_mut(places).zip(stored.chunks(places)) {
            for (&place, &q) in layout.places.iter().zip(stored) {
                elements[place] = q;
            }
        }
        Some(elements)
    };
    let simulated = SimulatedModel::new(&quantized.graph, device);
    let mut agreements = Vec::with_capacity(graph.nodes.len());
    for (index, node) in graph.nodes.iter().enumerate() {
        let computed = program.nodes.iter().any(|n| n.name == node.name);
        let moves = matches!(node.op, Op::Step(_));
        let found = arranged(node.output).filter(|_| computed && !moves);
        let inputs: Option<Vec<Tensor<4>>> = (node.inputs.iter())
            .map(|&value| {
                let tensor = |value: ValueId| {
                    let grid = quantized.graph.activations[value.0].grid;
                    let reals: Vec<f32> =
                        arranged(value)?.into_iter().map(|q| grid.dequantize(q)).collect();
                    let [a, b, c] = graph.value(value).dims();
                    let samples = reals.len() / (a * b * c);
                    Some(Tensor::from_data(TensorData::new(reals, [samples, a, b, c]), device))
                };
                // The program does not hold what a transposed convolution spreads.
                match (graph.dilation_of(node), &quantized.layouts[value.0]) {
                    (Some((dilate, _)), None) => {
                        Some(dilate.op.operator().forward(&[tensor(dilate.inputs[0])?], &[]))
                    }
                    _ => tensor(value),
                }
            })
            .collect();
        agreements.push(found.zip(inputs).map(|(found, inputs)| {
            let grid = quantized.graph.activations[node.output.0].grid;
            let expected = to_vec(simulated.forward_node(index, &inputs));
            let differences =
                found.iter().zip(&expected).map(|(&q, &x)| (q - grid.quantize(x)).abs());
            differences.fold(Agreement { outputs: 0, differing: 0, max_lsb: 0 }, |a, d| Agreement {
                outputs: a.outputs + 1,
                differing: a.differing + usize::from(d > 0),
                max_lsb: a.max_lsb.max(d),
            })
        }));
    }
    Ok(agreements)
}
