//! The training of one part after the other.

use std::collections::HashMap;
use std::sync::Arc;

use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::blocks::{Segment, segments};
use super::loss::Compared;
use super::model::{FloatSegment, SegmentModel, Values};
use super::{LearnedRounding, ReconstructError, Reconstruction};
use crate::event::{Cancelled, Event, Progress};
use crate::graph::prediction::{Prediction, logits};
use crate::graph::{Batch, Graph, ValueId};
use crate::quant::{FakeQuantize, QuantizedGraph, SideBySide};
use crate::round::adaround::annealed;

/// Tunes the parts of `quantized` that `how` names, in order, each on the inputs that the parts before
/// it give.
///
/// `samples` are calibration samples.
///
/// # Errors
/// If `how` names a block that is not there, and on cancellation.
pub(crate) fn reconstruct(
    quantized: &mut QuantizedGraph,
    samples: &Batch,
    how: &Reconstruction,
    seed: u64,
    device: &Device,
    progress: Progress,
) -> Result<(), ReconstructError> {
    let graph = Arc::clone(&quantized.graph);
    let parts = segments(&graph, how).map_err(|block| ReconstructError::Block {
        block,
        nodes: graph.nodes.iter().map(|n| n.name.clone()).collect(),
    })?;
    let mut networks = SideBySide::new(samples, true, quantized, device);
    let total = parts.len() * how.iterations;
    for (at, part) in parts.iter().enumerate() {
        if graph.nodes[part.nodes.clone()].iter().any(|n| n.op.weight_and_bias().is_some()) {
            let seed = seed.wrapping_mul(0x9E37_79B9).wrapping_add(at as u64);
            let part = Part::new(&graph, part, &networks, how, seed, device);
            let tell = |iteration: usize, loss: Option<f64>| {
                let done = at * how.iterations + iteration;
                let event = Event::Progress { stage: "reconstruct", done, total: Some(total) };
                loss.is_none_or(|loss| progress(Event::Loss { stage: "reconstruct", loss }))
                    && progress(event)
            };
            part.train(quantized, &tell)?;
        }
        for index in part.nodes.clone() {
            networks.run(index, quantized);
        }
    }
    Ok(())
}

/// One part with its data.
struct Part<'a> {
    graph: &'a Arc<Graph>,
    segment: &'a Segment,
    how: &'a Reconstruction,
    device: Device,
    seed: u64,
    /// The values at the part's border, in the float network and in the quantized one.
    border: HashMap<ValueId, [Tensor<4>; 2]>,
    samples: usize,
    float: FloatSegment,
    /// The float network's targets for all samples, if they are few enough to be kept.
    wanted: Option<Vec<Tensor<4>>>,
    /// What the float network makes of the part's outputs, if the loss looks at predictions.
    tail: Option<(FloatSegment, Vec<ValueId>)>,
    /// The part and its tail, for the gradients of the prediction.
    whole: Option<FloatSegment>,
    /// What the network predicts with, of what the part has a part in.
    predictions: Vec<Prediction>,
    /// The variance of each target in the float network.
    variances: Vec<f32>,
    /// The standard deviations of all values of the part.
    spreads: Vec<f32>,
}

/// How often the tuned part is judged on held-out samples.
const CHECKS: usize = 5;
/// Activations of more bits are not rounded: that noise is below what tuning resolves.
const ROUNDED_BITS: u8 = 7;
/// Targets of up to this many elements are kept instead of being computed in every step.
const KEPT_ELEMENTS: usize = 64 << 20;
/// Samples from which variances are taken.
const MEASURED: usize = 64;

impl<'a> Part<'a> {
    fn new(
        graph: &'a Arc<Graph>,
        segment: &'a Segment,
        networks: &SideBySide,
        how: &'a Reconstruction,
        seed: u64,
        device: &Device,
    ) -> Self {
        let written = |p: &Prediction| graph.producer(p.value).map_or(graph.nodes.len(), |n| n + 1);
        // The part has no part in what is written before it.
        let mut predictions = Prediction::all(graph);
        predictions
            .retain(|p| written(p) > segment.nodes.start || segment.targets.contains(&p.value));
        let end = predictions.iter().map(written).max().unwrap_or(0);
        let values = |within: bool| -> Vec<ValueId> {
            let chosen = predictions.iter().filter(|p| (written(p) <= segment.nodes.end) == within);
            chosen.map(|p| p.value).collect()
        };
        let loss = how.loss.component();
        let follows = |nodes: std::ops::Range<usize>, targets: Vec<ValueId>| {
            let written: Vec<ValueId> =
                graph.nodes[nodes.clone()].iter().map(|n| n.output).collect();
            let mut inputs: Vec<ValueId> =
                graph.nodes[nodes.clone()].iter().flat_map(|n| n.inputs.clone()).collect();
            inputs.retain(|v| !written.contains(v));
            inputs.sort_unstable();
            inputs.dedup();
            Segment { nodes, inputs, targets }
        };
        let inside = segment.nodes.end >= end;
        let tail = (loss.prediction_weight() > 0.0 && !inside).then(|| {
            let tail = follows(segment.nodes.end..end, values(false));
            (FloatSegment::new(graph, &tail, device), tail.inputs)
        });
        let whole = loss.needs_importance().then(|| {
            let mut targets = segment.targets.clone();
            targets.retain(|t| predictions.iter().all(|p| p.value != *t));
            targets.extend(predictions.iter().map(|p| p.value));
            let whole = follows(segment.nodes.start..end.max(segment.nodes.end), targets);
            FloatSegment::new(graph, &whole, device)
        });
        let mut needed = segment.inputs.clone();
        needed.extend(tail.iter().flat_map(|(_, inputs)| inputs.iter().copied()));
        if whole.is_some() {
            needed.extend((0..graph.values.len()).map(ValueId));
        }
        let border: HashMap<ValueId, [Tensor<4>; 2]> =
            needed.into_iter().filter_map(|v| Some((v, networks.all(v)?))).collect();
        let mut part = Self {
            graph,
            segment,
            how,
            device: device.clone(),
            seed,
            border,
            samples: networks.samples(),
            float: FloatSegment::new(graph, segment, device),
            wanted: None,
            tail,
            whole,
            predictions,
            variances: Vec::new(),
            spreads: vec![1.0; graph.values.len()],
        };
        part.measure();
        part
    }

    /// Finds the variances of targets and the spreads of all values.
    fn measure(&mut self) {
        let outputs: Vec<ValueId> =
            self.graph.nodes[self.segment.nodes.clone()].iter().map(|n| n.output).collect();
        let all = Segment { targets: outputs.clone(), ..self.segment.clone() };
        let rows: Vec<usize> = (0..self.samples.min(MEASURED)).collect();
        let [batch, _] = self.batch(&rows);
        let values = FloatSegment::new(self.graph, &all, &self.device).forward(&batch);
        for (id, value) in outputs.into_iter().zip(values) {
            // Within channels: differences of means between channels carry no information.
            let [samples, channels, height, width] = value.dims();
            let rows = value.swap_dims(0, 1).reshape::<2, _>([channels, samples * height * width]);
            let variance = if rows.dims()[1] > 1 && samples > 1 {
                rows.var(1).mean().into_scalar::<f32>()
            } else {
                1.0
            };
            self.spreads[id.0] = variance.max(1e-12).sqrt();
        }
        let variance = |id: &ValueId| self.spreads[id.0] * self.spreads[id.0];
        self.variances = self.segment.targets.iter().map(variance).collect();
        let targets = self.segment.targets.iter();
        let elements: usize = targets.map(|t| self.graph.value(*t).len()).sum();
        if elements * self.samples <= KEPT_ELEMENTS {
            let rows: Vec<usize> = (0..self.samples).collect();
            let parts: Vec<Vec<Tensor<4>>> = rows
                .chunks(MEASURED)
                .map(|rows| self.float.forward(&self.batch(rows)[0]))
                .collect();
            let all = |at: usize| Tensor::cat(parts.iter().map(|p| p[at].clone()).collect(), 0);
            self.wanted = Some((0..self.segment.targets.len()).map(all).collect());
        }
    }

    fn indices(&self, rows: &[usize]) -> Tensor<1, Int> {
        let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        Tensor::from_ints(rows.as_slice(), &self.device)
    }

    /// What the float network makes of a batch, which is that of `rows` if it has not been mixed.
    fn wanted(&self, rows: Option<&[usize]>, float: &Values) -> Vec<Tensor<4>> {
        match self.wanted.as_ref().zip(rows) {
            Some((all, rows)) => {
                let rows = self.indices(rows);
                all.iter().map(|target| target.clone().select(0, rows.clone())).collect()
            }
            None => self.float.forward(float),
        }
    }

    /// The rows of the border's values, in the float network and in the quantized one.
    fn batch(&self, rows: &[usize]) -> [Values; 2] {
        let rows = self.indices(rows);
        [0, 1].map(|network| {
            let take = |(v, pair): (&ValueId, &[Tensor<4>; 2])| {
                (*v, pair[network].clone().select(0, rows.clone()))
            };
            self.border.iter().map(take).collect()
        })
    }

    /// Trains the variables of the part, and keeps them if that has made it better.
    fn train(
        &self,
        quantized: &mut QuantizedGraph,
        tell: &dyn Fn(usize, Option<f64>) -> bool,
    ) -> Result<(), Cancelled> {
        let how = self.how;
        let held_out = (self.samples as f64 * how.validation.clamp(0.0, 0.9)) as usize;
        let (learned, judged) = match held_out {
            0 => (self.samples, (0..self.samples).collect::<Vec<_>>()),
            n => (self.samples - n, (self.samples - n..self.samples).collect()),
        };
        let autodiff = self.device.clone().autodiff();
        let model = |quantized: &QuantizedGraph| {
            SegmentModel::new(quantized, self.segment, &self.spreads, ROUNDED_BITS, how, &autodiff)
        };
        let before = self.judge(quantized, &judged);
        if !tell(0, Some(before)) {
            return Err(Cancelled);
        }
        let mut variables = model(quantized);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut order: Vec<usize> = Vec::new();
        let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
        for iteration in 0..how.iterations {
            let progress = iteration as f64 / how.iterations as f64;
            let rows = next_rows(&mut order, learned, how.batch, &mut random);
            let [mut float, mut rounded] = self.batch(&rows);
            if how.mixup > 0.0 {
                self.mix_samples(&mut float, &mut rounded, quantized, &mut random);
            }
            let inputs = self.mix(&float, rounded, &mut random);
            let mut keep = |dims| keep_mask(dims, how.drop, &mut random, &self.device);
            let outputs = variables.forward(&inputs, &mut keep);
            let rows = if how.mixup > 0.0 { None } else { Some(rows.as_slice()) };
            let mut loss = self.loss(outputs, rows, &float);
            if how.rounding == LearnedRounding::Adaround
                && let Some(beta) = annealed(progress, 0.2)
                && let Some(cost) = variables.indecision(beta)
            {
                loss = loss + cost * how.regularization;
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &variables);
            let rate = how.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
            variables = adam.step(rate, variables, gradients);
            let last = iteration + 1 == how.iterations;
            let mut found = None;
            if last || (iteration + 1) % how.iterations.div_ceil(CHECKS) == 0 {
                let mut candidate = quantized.clone();
                if variables.store(&mut candidate) {
                    let loss = self.judge(&candidate, &judged);
                    found = Some(loss);
                    // On the way the learning rate is too high for a judgement.
                    if last && loss < before {
                        *quantized = candidate;
                    }
                }
            }
            if !tell(iteration + 1, found) {
                return Err(Cancelled);
            }
        }
        Ok(())
    }

    /// The loss of a quantized part on the given samples.
    fn judge(&self, quantized: &QuantizedGraph, rows: &[usize]) -> f64 {
        // Straight-through variables stand exactly for the integers that they start from.
        let exact =
            Reconstruction { rounding: LearnedRounding::StraightThrough, ..self.how.clone() };
        let (spreads, device) = (&self.spreads, &self.device);
        let model =
            SegmentModel::new(quantized, self.segment, spreads, ROUNDED_BITS, &exact, device);
        let mut sum = 0.0;
        for rows in rows.chunks(self.how.batch.max(MEASURED)) {
            let [float, rounded] = self.batch(rows);
            let outputs = model.forward(&rounded, |_| None);
            let loss = self.loss(outputs, Some(rows), &float).into_scalar::<f32>();
            sum += f64::from(loss) * rows.len() as f64;
        }
        sum / rows.len().max(1) as f64
    }

    /// Compares the part's outputs with the float network's.
    fn loss(&self, outputs: Vec<Tensor<4>>, rows: Option<&[usize]>, float: &Values) -> Tensor<1> {
        let loss = self.how.loss.component();
        let wanted = self.wanted(rows, float);
        let importance = self.importance(float);
        let mut sum: Option<Tensor<1>> = None;
        let mut add = |term: Tensor<1>| {
            sum = Some(match sum.take() {
                Some(sum) => sum + term,
                None => term,
            });
        };
        let count = outputs.len() as f64;
        for (at, found) in outputs.iter().enumerate() {
            let compared = Compared {
                found: found.clone(),
                wanted: &wanted[at],
                variance: self.variances[at],
                importance: importance.as_ref().and_then(|i| i.get(at)),
            };
            add(loss.compare(compared) / count);
        }
        if loss.prediction_weight() > 0.0 {
            let targets = &self.segment.targets;
            let pairs = targets.iter().copied().zip(outputs.iter().zip(&wanted));
            let tail = self.tail.as_ref().map(|(tail, _)| {
                [0, 1].map(|network| {
                    let mut batch = float.clone();
                    let pick = |(id, (found, wanted)): (ValueId, (&Tensor<4>, &Tensor<4>))| {
                        (id, if network == 0 { wanted.clone() } else { found.clone() })
                    };
                    batch.extend(pairs.clone().map(pick));
                    tail.forward(&batch)
                })
            });
            // The tail gives the predictions that are not targets of the part, in order.
            let mut behind = 0;
            for prediction in &self.predictions {
                let within = targets.iter().position(|t| *t == prediction.value);
                let pair = match (within, &tail) {
                    (Some(at), _) => Some((wanted[at].clone(), outputs[at].clone())),
                    (None, Some([wanted, found])) => {
                        behind += 1;
                        let pair = wanted.get(behind - 1).zip(found.get(behind - 1));
                        pair.map(|(wanted, found)| (wanted.clone(), found.clone()))
                    }
                    (None, None) => None,
                };
                if let Some((wanted, found)) = pair {
                    let difference = prediction.difference(found, wanted, loss.temperature());
                    add(difference * loss.prediction_weight());
                }
            }
        }
        sum.expect("a part has an output")
    }

    /// The squared gradients of the prediction's loss at each target, relative to their mean.
    fn importance(&self, float: &Values) -> Option<Vec<Tensor<4>>> {
        let whole = self.whole.as_ref()?;
        let autodiff = self.device.clone().autodiff();
        let mut leaves: Vec<(ValueId, Tensor<4>)> = Vec::new();
        let outputs = whole.forward_with(float, |id, value| {
            if !self.segment.targets.contains(&id) {
                return value;
            }
            let leaf = Tensor::<4>::zeros(value.dims(), &autodiff).require_grad();
            leaves.push((id, leaf.clone()));
            leaf + value
        });
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut loss: Option<Tensor<1>> = None;
        let found = outputs.len().checked_sub(self.predictions.len())?;
        for (prediction, output) in self.predictions.iter().zip(outputs.into_iter().skip(found)) {
            let term = if let Some(axis) = prediction.classes {
                // The label that the float network predicts, at every position.
                let logs = log_softmax(logits(output, axis), 1);
                -logs.max_dim(1).sum()
            } else {
                // For a squared error every output counts alike: signs keep them from cancelling.
                let signs = keep_mask(output.dims(), 0.5, &mut random, &self.device)?;
                (output * (signs * 2.0 - 1.0)).sum()
            };
            loss = Some(match loss {
                Some(loss) => loss + term,
                None => term,
            });
        }
        let gradients = loss?.backward();
        let of = |id: &ValueId| {
            let (_, leaf) = leaves.iter().find(|(found, _)| found == id)?;
            let square = leaf.grad(&gradients)?.square();
            let mean = square.clone().mean().into_scalar::<f32>().max(f32::MIN_POSITIVE);
            Some(square / mean)
        };
        self.segment.targets.iter().map(of).collect()
    }

    /// Replaces samples by sums of two: more inputs than there are samples, between them.
    fn mix_samples(
        &self,
        float: &mut Values,
        rounded: &mut Values,
        quantized: &QuantizedGraph,
        random: &mut ChaCha8Rng,
    ) {
        // Sums of ids are not ids.
        if self.graph.inputs.iter().any(|&id| self.graph.integer_grid(id).is_some()) {
            return;
        }
        let inputs = self.graph.inputs.iter();
        let inputs: Vec<(ValueId, Tensor<4>)> =
            inputs.filter_map(|id| Some((*id, float.get(id)?.clone()))).collect();
        let Some(batch) = inputs.first().map(|(_, x)| x.dims()[0]) else { return };
        let mut uniform = || f64::from(random.next_u32()) / f64::from(u32::MAX);
        let share = |_| if uniform() < self.how.mixup { uniform() as f32 } else { 1.0 };
        let shares: Vec<f32> = (0..batch).map(share).collect();
        let shares = Tensor::<1>::from_floats(shares.as_slice(), &self.device);
        let shares = shares.reshape::<4, _>([batch, 1, 1, 1]);
        for (input, x) in inputs {
            let mixed = x.clone() * shares.clone() + x.flip([0]) * (-shares.clone() + 1.0);
            let grid = quantized.activations[input.0].grid;
            rounded.insert(input, FakeQuantize::new(grid).forward(mixed.clone()));
            float.insert(input, mixed);
        }
    }

    /// The part's inputs: each element quantized, or float with the probability of dropping.
    fn mix(&self, float: &Values, mut rounded: Values, random: &mut ChaCha8Rng) -> Values {
        if self.how.drop > 0.0 {
            for id in &self.segment.inputs {
                let (x, z) = (&float[id], &rounded[id]);
                let keep = keep_mask(x.dims(), self.how.drop, random, &self.device);
                if let Some(keep) = keep {
                    let mixed = x.clone() + (z.clone() - x.clone()) * keep;
                    rounded.insert(*id, mixed);
                }
            }
        }
        rounded
    }
}

/// Random rows without repetition until all have had their turn.
fn next_rows(
    order: &mut Vec<usize>,
    samples: usize,
    batch: usize,
    random: &mut ChaCha8Rng,
) -> Vec<usize> {
    let batch = batch.clamp(1, samples.max(1));
    if order.len() < batch {
        *order = (0..samples).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, random.next_u64() as usize % (i + 1));
        }
    }
    order.split_off(order.len() - batch)
}

/// Ones, and zeros with probability `drop`; nothing without dropping.
fn keep_mask(
    dims: [usize; 4],
    drop: f64,
    random: &mut ChaCha8Rng,
    device: &Device,
) -> Option<Tensor<4>> {
    if drop <= 0.0 {
        return None;
    }
    let threshold = (drop.min(1.0) * f64::from(u32::MAX)) as u32;
    let draw = |_| if random.next_u32() < threshold { 0.0 } else { 1.0 };
    let mask: Vec<f32> = (0..dims.iter().product()).map(draw).collect();
    Some(Tensor::<1>::from_floats(mask.as_slice(), device).reshape::<4, _>(dims))
}
