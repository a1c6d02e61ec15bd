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

/// The tensors of values while a graph runs.
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
        let loops = self.loops();
        if loops.is_empty() {
            return Ok(());
        }
        let mut last_read = vec![0; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            node.inputs.iter().for_each(|input| last_read[input.0] = index);
        }
        let mut end = 0;
        for found in loops {
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
                if last_read[node.output.0] >= end || self.is_output(node.output) {
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
            // What a step leaves may be what another value held.
            let held = of.map_or(&[][..], |found| &found.held);
            let left: Vec<_> = held.iter().map(|(_, next)| values[next.0].clone()).collect();
            for ((held, _), left) in held.iter().zip(left) {
                values[held.0] = left;
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use burn::tensor::{Device, TensorData};

    use super::*;
    use crate::graph::ops::{Add, Constant};
    use crate::graph::{Array, FloatModel, to_vec};
    use crate::prepare::prepare;

    const STEPS: usize = 3;

    fn border(role: StepRole) -> Step {
        Step { sequence: 0, steps: STEPS, role }
    }

    /// Sums of all rows up to each, and of all, of `[3, 2]`; `reverse` begins at the end.
    fn sums(reverse: bool) -> Graph {
        let mut graph = Graph::new("sums", "x", vec![STEPS, 2]);
        let x = graph.input();
        let zero = Constant { array: Array::full([1, 2], 0.0) };
        let zero = graph.push("zero", zero, &[], "zero").unwrap();
        let step = graph.push("take", border(StepRole::Take { reverse }), &[x], "x_step").unwrap();
        let held = graph.push("hold", border(StepRole::Hold), &[zero], "held").unwrap();
        let sum = graph.push("add", Add, &[step, held], "sum").unwrap();
        let put = graph.push("put", border(StepRole::Put { reverse }), &[sum], "all").unwrap();
        let last = graph.push("last", border(StepRole::Last), &[held, sum], "total").unwrap();
        graph.outputs = vec![put, last];
        graph
    }

    fn run(graph: &Graph, values: Vec<f32>) -> Vec<Vec<f32>> {
        let count = values.len() / (2 * STEPS);
        let device = Device::flex();
        let model = FloatModel::new(Arc::new(graph.clone()), &device);
        let x = TensorData::new(values, [count, STEPS, 2, 1]);
        model.forward_all(vec![Tensor::from_data(x, &device)]).into_iter().map(to_vec).collect()
    }

    #[test]
    fn steps_run_one_after_the_other_in_both_directions() {
        let x = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0];
        let forward = run(&sums(false), x.clone());
        let of_first = [1.0, 2.0, 4.0, 6.0, 9.0, 12.0];
        let ten_times = of_first.map(|x| 10.0 * x);
        assert_eq!(forward[0], [of_first, ten_times].concat());
        assert_eq!(forward[1], [9.0, 12.0, 90.0, 120.0]);
        let backward = run(&sums(true), x);
        assert_eq!(backward[0][..6], [9.0, 12.0, 8.0, 10.0, 5.0, 6.0]);
        assert_eq!(backward[1], forward[1]);
    }

    #[test]
    fn what_a_step_leaves_lives_as_long_as_what_holds_it() {
        let mut graph = sums(false);
        graph.outputs.truncate(1);
        let prepared = prepare(graph.clone()).unwrap();
        assert_eq!(
            prepared.nodes.len(),
            graph.nodes.len(),
            "nobody reads the total but the next step"
        );
        let [found] = &prepared.loops()[..] else { panic!("one loop") };
        assert_eq!((found.steps, found.nodes.len(), found.held.len()), (STEPS, 5, 1));
        assert_eq!((prepared.runs(0), prepared.runs(3)), (1, STEPS), "the constant is outside");
        let x = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(run(&prepared, x.clone())[0], run(&graph, x)[0]);
    }

    /// What is wrong with the sums after a change.
    fn broken(change: impl FnOnce(&mut Graph)) -> String {
        let mut graph = sums(false);
        change(&mut graph);
        graph.verify().unwrap_err().to_string()
    }

    #[test]
    fn loops_that_are_not_closed_are_refused() {
        let at =
            |graph: &Graph, name: &str| graph.nodes.iter().position(|n| n.name == name).unwrap();
        let role = |graph: &mut Graph, name: &str, change: &dyn Fn(&mut Step)| {
            let index = at(graph, name);
            let Op::Step(step) = &mut graph.nodes[index].op else { panic!("a step") };
            change(step);
        };
        let text = broken(|graph| role(graph, "put", &|step| step.sequence = 1));
        assert!(text.contains("'put'") && text.contains("two loops are entangled"), "{text}");
        let text = broken(|graph| {
            let last = at(graph, "last");
            graph.nodes.remove(last);
            graph.outputs.truncate(1);
        });
        assert!(text.contains("a step holds what none leaves"), "{text}");
        let text = broken(|graph| {
            let (add, zero) = (at(graph, "add"), graph.nodes[0].output);
            graph.nodes[add].inputs[1] = zero;
        });
        assert!(text.contains("'add'") && text.contains("cross the border"), "{text}");
        let text = broken(|graph| {
            let sum = graph.nodes[at(graph, "add")].output;
            graph.outputs.push(sum);
        });
        assert!(text.contains("'add'") && text.contains("read behind the loop"), "{text}");
    }
}
