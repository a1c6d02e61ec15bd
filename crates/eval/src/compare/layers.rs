//! Layers side by side, matched by their names.

use std::collections::{BTreeMap, BTreeSet};

use burn_ptq::graph::{Graph, GraphError};
use burn_ptq::prepare;
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::program::{IntNode, IntTensor, Program, Weighted};
use burn_ptq_deploy::size::size_report;
use serde::Serialize;

use super::recorded::RecordedLayer;
use super::subject::{Network, Subject};
use crate::costs::float_bytes;

/// A layer that at least one of the models has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparedLayer {
    /// Its name in the source model.
    pub name: String,
    /// Whether the models differ in it.
    pub differs: bool,
    /// What it is in each model; `None` in those that lack it.
    pub models: Vec<Option<LayerOfModel>>,
}

/// A layer of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerOfModel {
    /// The operation.
    pub op: Option<String>,
    /// Bits of the weights; absent without weights and in float networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_bits: Option<u8>,
    /// Bits of the output; absent in float networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activation_bits: Option<u8>,
    /// Bytes of constants.
    pub bytes: Option<usize>,
    /// Multiply-accumulates.
    pub macs: Option<usize>,
    /// Signal-to-quantization-noise ratio of the output in dB, as the report has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqnr_db: Option<f64>,
    /// How its integers differ from those of the first model; absent unless both are integer programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integers: Option<IntegerDifference>,
}

/// How the integers of a layer differ from those of the same layer in another program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct IntegerDifference {
    /// Whether operation, weights, biases, multipliers and the grids of inputs and output are the same.
    pub identical: bool,
    /// Weights that differ; absent without weights, and where their shapes or bits differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_differing: Option<usize>,
    /// Of so many; absent without weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<usize>,
    /// Whether the bits of the weights differ.
    pub bits_differ: bool,
    /// Whether the shape of the weights differs.
    pub shape_differs: bool,
    /// Whether the scales of the weights differ.
    pub scales_differ: bool,
    /// Biases that differ; absent without weights, and where there are more of them in one program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub biases_differing: Option<usize>,
    /// Whether the grid of the output differs.
    pub grid_differs: bool,
}

impl IntegerDifference {
    pub(super) fn new((a, x): (&Program, &IntNode), (b, y): (&Program, &IntNode)) -> Self {
        let (own, other) = (output(b, y), output(a, x));
        let mut difference = Self {
            identical: x.op == y.op && own == other && inputs(b, y).eq(inputs(a, x)),
            grid_differs: own.grid != other.grid || own.dtype != other.dtype,
            ..Self::default()
        };
        if let (Some(x), Some(y)) = (x.op.weighted(), y.op.weighted()) {
            difference.weigh(x, y);
        }
        difference
    }

    /// Compares weights and biases.
    fn weigh(&mut self, x: &Weighted, y: &Weighted) {
        self.weights = Some(y.weights.len());
        self.bits_differ = x.weights.bits != y.weights.bits;
        self.shape_differs = x.weights.shape != y.weights.shape;
        self.scales_differ = x.weights.scales != y.weights.scales;
        if !self.bits_differ && !self.shape_differs {
            self.weights_differing = Some(differing(&x.weights.unpack(), &y.weights.unpack()));
        }
        if x.bias.len() == y.bias.len() {
            self.biases_differing = Some(differing(&x.bias, &y.bias));
        }
    }

    /// The difference in words.
    pub fn text(&self) -> String {
        if self.identical {
            return "identical".into();
        }
        let mut parts: Vec<String> = Vec::new();
        parts.extend(self.bits_differ.then(|| "other bits".to_owned()));
        parts.extend(self.shape_differs.then(|| "other shape".to_owned()));
        // Of other weights, every scale and bias is another one.
        if parts.is_empty() {
            let weights = self.weights_differing.zip(self.weights).filter(|(count, _)| *count > 0);
            parts.extend(weights.map(|(count, all)| format!("weights differ in {count} of {all}")));
            parts.extend(self.scales_differ.then(|| "scales differ".to_owned()));
            let biases = self.biases_differing.filter(|&count| count > 0);
            parts.extend(biases.map(|count| format!("biases differ in {count}")));
        }
        parts.extend(self.grid_differs.then(|| "grid differs".to_owned()));
        if parts.is_empty() {
            // Multipliers, bounds, tables, or the grid of an input.
            parts.push("parameters differ".into());
        }
        parts.join(", ")
    }
}

/// The activation that a node writes, without its name.
fn output(program: &Program, node: &IntNode) -> IntTensor {
    IntTensor { name: String::new(), ..program.tensors[node.output.0].clone() }
}

/// The activations that a node reads, without their names.
fn inputs<'a>(program: &'a Program, node: &'a IntNode) -> impl Iterator<Item = IntTensor> + 'a {
    let tensors = node.inputs.iter().map(|input| &program.tensors[input.0]);
    tensors.map(|tensor| IntTensor { name: String::new(), ..tensor.clone() })
}

/// The places at which two lists of the same length differ.
fn differing<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    a.iter().zip(b).filter(|(x, y)| x != y).count()
}

/// A layer by its name, and how many of that name come before it.
pub(super) type Key = (String, usize);

/// The layers of a model, in order.
struct Layers(Vec<(Key, LayerOfModel)>);

impl Layers {
    fn new(layers: impl Iterator<Item = (String, LayerOfModel)>) -> Self {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let keyed = layers.map(|(name, layer)| {
            let count = seen.entry(name.clone()).or_default();
            *count += 1;
            ((name, *count - 1), layer)
        });
        Self(keyed.collect())
    }

    fn of(subject: &Subject) -> Result<Self, GraphError> {
        let report = subject.report.as_ref().map(|report| report.layers.as_slice());
        Ok(match &subject.network {
            Some(Network::Program(program)) => {
                let mut layers = Self::of_program(program);
                // The layers of both are the same, or the report would have been left out.
                for ((_, layer), stated) in layers.0.iter_mut().zip(report.unwrap_or_default()) {
                    layer.sqnr_db = stated.sqnr_db;
                }
                layers
            }
            Some(Network::Float { graph, .. }) => Self::of_graph(graph)?,
            None => Self::of_report(report.unwrap_or_default()),
        })
    }

    fn of_program(program: &Placed) -> Self {
        let sizes = size_report(program).nodes.into_iter().zip(&program.nodes);
        Self::new(sizes.map(|(size, node)| {
            let layer = LayerOfModel {
                op: Some(size.op.into()),
                weight_bits: size.weight_bits,
                activation_bits: Some(program.tensors[node.output.0].bits),
                bytes: Some(size.flash_bytes),
                macs: Some(size.macs),
                sqnr_db: None,
                integers: None,
            };
            (size.name, layer)
        }))
    }

    /// Layers of a float network as the quantizer sees them: batch normalizations are folded.
    fn of_graph(graph: &Graph) -> Result<Self, GraphError> {
        let graph = prepare(graph.clone())?;
        Ok(Self::new(graph.nodes.iter().map(|node| {
            let layer = LayerOfModel {
                op: Some(graph.op_name(node).into()),
                weight_bits: None,
                activation_bits: None,
                bytes: Some(float_bytes(node)),
                macs: Some(graph.node_macs(node)),
                sqnr_db: None,
                integers: None,
            };
            (node.name.clone(), layer)
        })))
    }

    fn of_report(layers: &[RecordedLayer]) -> Self {
        Self::new(layers.iter().map(|stated| {
            let layer = LayerOfModel {
                op: stated.op.clone(),
                weight_bits: stated.bits,
                activation_bits: stated.activation_bits,
                bytes: stated.bytes,
                macs: stated.macs,
                sqnr_db: stated.sqnr_db,
                integers: None,
            };
            (stated.name.clone(), layer)
        }))
    }

    /// Compares the layers of a program with those of the same names in `first`.
    fn against(&mut self, program: &Program, first: &Program, keys_of_first: &[Key]) {
        let places: BTreeMap<&Key, usize> = keys_of_first.iter().zip(0..).collect();
        for ((key, layer), node) in self.0.iter_mut().zip(&program.nodes) {
            let other = places.get(key).and_then(|&place| first.nodes.get(place));
            layer.integers =
                other.map(|other| IntegerDifference::new((first, other), (program, node)));
        }
    }
}

/// The layers of all models, in the order of the first; those that it lacks stand where the others have them.
pub(super) fn compare_layers(subjects: &[Subject]) -> Result<Vec<ComparedLayer>, GraphError> {
    let mut all = subjects.iter().map(Layers::of).collect::<Result<Vec<_>, _>>()?;
    if let [first, others @ ..] = &mut all[..]
        && let Some(program) = subjects[0].program()
    {
        let keys: Vec<Key> = first.0.iter().map(|(key, _)| key.clone()).collect();
        for (layers, subject) in others.iter_mut().zip(&subjects[1..]) {
            if let Some(own) = subject.program() {
                layers.against(own, program, &keys);
            }
        }
    }
    Ok(merged(all.into_iter().map(|layers| layers.0).collect()))
}

/// Where a layer stands in the merged list: after a layer of the first model, the model that has it, and how
/// many of that model come before it.
type Place = (usize, usize, usize);

/// Joins the layers of several models by their keys.
pub(super) fn merged(all: Vec<Vec<(Key, LayerOfModel)>>) -> Vec<ComparedLayer> {
    let count = all.len();
    let mut places: BTreeMap<Key, Place> = BTreeMap::new();
    let mut rows: BTreeMap<Place, ComparedLayer> = BTreeMap::new();
    for (model, layers) in all.into_iter().enumerate() {
        let mut after = 0;
        for (index, (key, layer)) in layers.into_iter().enumerate() {
            let new = if model == 0 { (index + 1, 0, 0) } else { (after, model, index) };
            let place = *places.entry(key.clone()).or_insert(new);
            after = place.0;
            let row = rows.entry(place).or_insert_with(|| ComparedLayer {
                name: key.0,
                differs: false,
                models: vec![None; count],
            });
            row.models[model] = Some(layer);
        }
    }
    let mut rows: Vec<ComparedLayer> = rows.into_values().collect();
    rows.iter_mut().for_each(|row| row.differs = differ(&row.models));
    rows
}

/// Whether models differ in a layer. What one of them does not state is not a difference.
fn differ(models: &[Option<LayerOfModel>]) -> bool {
    let present: Vec<&LayerOfModel> = models.iter().flatten().collect();
    fn several<T: Ord>(values: impl Iterator<Item = T>) -> bool {
        values.collect::<BTreeSet<T>>().len() > 1
    }
    let ratios = present.iter().filter_map(|layer| layer.sqnr_db).map(f64::to_bits);
    present.len() < models.len()
        || several(present.iter().filter_map(|layer| layer.op.as_ref()))
        || several(present.iter().map(|layer| layer.weight_bits))
        || several(present.iter().map(|layer| layer.activation_bits))
        || several(present.iter().filter_map(|layer| layer.bytes))
        || several(present.iter().filter_map(|layer| layer.macs))
        || several(ratios)
        || present.iter().filter_map(|layer| layer.integers.as_ref()).any(|found| !found.identical)
}
