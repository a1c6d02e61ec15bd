//! Nodes that run once for each step of a sequence.

use std::ops::Range;

use burn::tensor::Tensor;

use super::ops::{Step, StepRole};
use super::{Graph, GraphError, Node, Op, ValueId, for_batch};

/// Consecutive nodes that run once for each step of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepLoop {
    /// The nodes, by index; the first and the last are [`Step`]s.
    pub nodes: Range<usize>,
    /// How often they run.
    pub steps: usize,
    /// What a step finds, and what it leaves for the next one in its place.
    pub held: Vec<(ValueId, ValueId)>,
}

/// Where values are while a graph runs.
pub(crate) type Held = Vec<Option<Tensor<4>>>;

impl Graph {
    /// The loops, in the order of execution.
    pub fn loops(&self) -> Vec<StepLoop> {
        let mut loops: Vec<(usize, StepLoop)> = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let Op::Step(step) = &node.op else { continue };
            let position = loops.iter().position(|(sequence, _)| *sequence == step.sequence);
            let found = match position {
                Some(position) => &mut loops[position].1,
                None => {
                    let (nodes, steps) = (index..index, step.steps);
                    loops.push((step.sequence, StepLoop { nodes, steps, held: Vec::new() }));
                    &mut loops.last_mut().expect("one was pushed").1
                }
            };
            found.nodes.end = index + 1;
            if let (StepRole::Last, [held, next]) = (step.role, &node.inputs[..]) {
                found.held.push((*held, *next));
            }
        }
        loops.into_iter().map(|(_, found)| found).collect()
    }

    /// How often the node at `index` runs for a sample.
    pub fn runs(&self, index: usize) -> usize {
        let own = self.loops().into_iter().find(|found| found.nodes.contains(&index));
        own.map_or(1, |found| found.steps)
    }

    /// A number that no loop has.
    pub(crate) fn new_sequence(&self) -> usize {
        let numbers = self.nodes.iter().filter_map(|node| match &node.op {
            Op::Step(step) => Some(step.sequence + 1),
            _ => None,
        });
        numbers.max().unwrap_or(0)
    }

    /// Checks that loops are apart, that their nodes read what is written before them through steps alone, and
    /// that every value that a step holds is left by one.
    pub(super) fn verify_loops(&self) -> Result<(), GraphError> {
        let mut end = 0;
        for found in self.loops() {
            let mut inside = vec![false; self.values.len()];
            let mut held: Vec<ValueId> = Vec::new();
            let of_loop = |node: &Node, problem: &'static str| {
                Err(GraphError::Loop { node: node.name.clone(), problem })
            };
            if found.nodes.start < end {
                return of_loop(&self.nodes[found.nodes.start], "two loops are entangled");
            }
            end = found.nodes.end;
            for node in &self.nodes[found.nodes.clone()] {
                let mut enters = false;
                if let Op::Step(step) = &node.op {
                    if step.steps != found.steps || step.steps == 0 {
                        return of_loop(node, "its loop has another number of steps");
                    }
                    if step.role == StepRole::Hold {
                        held.push(node.output);
                    }
                    enters = matches!(step.role, StepRole::Hold | StepRole::Take { .. });
                }
                if node.inputs.iter().any(|input| inside[input.0] == enters) {
                    return of_loop(node, "its inputs cross the border of a loop");
                }
                inside[node.output.0] = true;
            }
            let mut left: Vec<ValueId> = found.held.iter().map(|(held, _)| *held).collect();
            held.sort_unstable();
            left.sort_unstable();
            if held != left {
                return of_loop(&self.nodes[end - 1], "a step holds what none leaves, or twice");
            }
            // Outside, only sequences and what the last step left are read.
            let leaves = |node: &&Node| match &node.op {
                Op::Step(step) => matches!(step.role, StepRole::Put { .. } | StepRole::Last),
                _ => false,
            };
            for node in self.nodes[found.nodes.clone()].iter().filter(|node| !leaves(node)) {
                let read = self.nodes[end..].iter().any(|n| n.inputs.contains(&node.output));
                if read || self.is_output(node.output) {
                    return of_loop(node, "its output is read behind the loop");
                }
            }
        }
        Ok(())
    }
}

/// Runs `nodes` in order, those of a loop once for each of its steps; `values` holds what they read and gets what
/// they write.
///
/// `compute` gives the output of a node, whose activation function it applies; steps are moved in here. Every
/// output passes through `hook`, in each step once; a sequence is put together in the last step.
pub(crate) fn run_nodes(
    graph: &Graph,
    nodes: Range<usize>,
    batch: usize,
    values: &mut Held,
    mut compute: impl FnMut(usize, &Node, &[Tensor<4>]) -> Tensor<4>,
    mut hook: impl FnMut(usize, Tensor<4>) -> Tensor<4>,
    mut done: impl FnMut(usize, &mut Held),
) {
    let loops = graph.loops();
    let mut index = nodes.start;
    while index < nodes.end {
        let of = loops.iter().find(|found| found.nodes.start == index);
        let (own, steps) = of.map_or((index..index + 1, 1), |f| (f.nodes.clone(), f.steps));
        let mut puts: Vec<Vec<Tensor<4>>> = vec![Vec::new(); own.len()];
        for step in 0..steps {
            for at in own.clone() {
                let node = &graph.nodes[at];
                let read = |value: &ValueId| values[value.0].clone();
                let inputs: Vec<Tensor<4>> = (node.inputs.iter())
                    .map(|v| read(v).expect("a verified graph writes values before reading"))
                    .collect();
                let output = match &node.op {
                    Op::Step(border) => border_of(
                        border,
                        &inputs,
                        step,
                        values[node.output.0].take(),
                        &mut puts[at - own.start],
                    ),
                    _ => Some(for_batch(node, compute(at, node, &inputs), batch)),
                };
                if let Some(output) = output {
                    values[node.output.0] = Some(hook(at, output));
                }
            }
            for (held, next) in of.iter().flat_map(|found| &found.held) {
                values[held.0] = values[next.0].clone();
            }
        }
        own.clone().for_each(|at| done(at, values));
        index = own.end;
    }
}

/// What crosses a border of a loop in a step; `held` is what the step before left there.
fn border_of(
    border: &Step,
    inputs: &[Tensor<4>],
    step: usize,
    held: Option<Tensor<4>>,
    put: &mut Vec<Tensor<4>>,
) -> Option<Tensor<4>> {
    match border.role {
        StepRole::Take { .. } => Some(border.take(&inputs[0], step)),
        StepRole::Hold if step == 0 => Some(inputs[0].clone()),
        StepRole::Hold => held,
        StepRole::Put { .. } => {
            put.push(inputs[0].clone());
            (step + 1 == border.steps).then(|| border.put(std::mem::take(put)))
        }
        StepRole::Last => (step + 1 == border.steps).then(|| inputs[1].clone()),
    }
}
