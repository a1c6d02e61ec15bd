//! Normalizations that exporters write in pieces become one node again.
//!
//! Found are, with or without a scale and a shift behind them,
//! - `(x - mean) / sqrt(variance + epsilon)`: layer and instance normalization,
//! - `x / sqrt(mean of squares + epsilon)`: root mean square,
//! - `x / norm`, the norm perhaps bounded from below: L2 normalization,
//!
//! with the quotient written by `Div`, or by `Mul` with a reciprocal or a power. The last node of the
//! pieces is replaced; the others stay, for others that read them, and go where nothing does.
//!
//! The node that is written may say `axes` where the standard knows the last ones alone, and omit the
//! scale; an `LpNormalization` may have an `epsilon`.

use std::collections::{HashMap, HashSet};

use onnx_ir::{AttributeProto, AttributeType, GraphProto, NodeProto};

use super::budget::Budget;
use super::constants::{Constant, fold};
use super::domain::is_standard_domain;
use super::tensor::decode;

/// Constants of more elements are not looked into: those of the pieces are numbers and axes.
const MAX_ELEMENTS: i64 = 64;
/// A norm that is bounded from below by less than this counts as unbounded: smaller values are steps
/// of no grid.
const SMALLEST_NORM: f32 = 1e-6;

/// What the pieces are together.
struct Found<'a> {
    op: &'static str,
    x: &'a str,
    axes: Vec<i64>,
    epsilon: f32,
    scale: &'a str,
    shift: &'a str,
}

/// Replaces the last node of every normalization that is written in pieces.
pub(super) fn fuse(graph: &mut GraphProto, opset: i64) {
    let pieces = Pieces::new(graph, opset);
    let mut replaced: HashMap<usize, NodeProto> = HashMap::new();
    for index in 0..graph.node.len() {
        let Some(found) = pieces.normalization(&graph.node[index]) else { continue };
        let (last, found) = pieces.with_scale_and_shift(index, found);
        replaced.entry(last).or_insert_with(|| written(&graph.node[last], &found));
    }
    for (index, node) in replaced {
        graph.node[index] = node;
    }
}

/// The node in place of `last`.
fn written(last: &NodeProto, found: &Found) -> NodeProto {
    let attribute = |name: &str, kind: AttributeType| AttributeProto {
        name: name.into(),
        type_: kind.into(),
        ..Default::default()
    };
    let mut axes = attribute("axes", AttributeType::INTS);
    axes.ints = found.axes.clone();
    let mut epsilon = attribute("epsilon", AttributeType::FLOAT);
    epsilon.f = found.epsilon;
    NodeProto {
        input: [found.x, found.scale, found.shift].map(String::from).to_vec(),
        output: last.output.clone(),
        name: last.name.clone(),
        op_type: found.op.into(),
        attribute: vec![axes, epsilon],
        ..Default::default()
    }
}

/// The nodes by what they write, and the constants.
pub(super) struct Pieces<'a> {
    nodes: &'a [NodeProto],
    graph: &'a GraphProto,
    opset: i64,
    writers: HashMap<&'a str, usize>,
    /// The nodes that read a name, once for each time.
    readers: HashMap<&'a str, Vec<usize>>,
    initializers: HashMap<&'a str, usize>,
    /// What is computed from constants alone, such as a scale that is reshaped.
    constants: HashSet<&'a str>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(graph: &'a GraphProto, opset: i64) -> Self {
        let (mut writers, mut readers) = (HashMap::new(), HashMap::<&str, Vec<usize>>::new());
        for (index, node) in graph.node.iter().enumerate() {
            for name in node.output.iter().filter(|o| !o.is_empty()) {
                writers.insert(name.as_str(), index);
            }
            for name in &node.input {
                readers.entry(name).or_default().push(index);
            }
        }
        // What a model gives out is read by its caller, too.
        for output in &graph.output {
            readers.entry(&output.name).or_default().push(usize::MAX);
        }
        let initializers = graph.initializer.iter().enumerate();
        let initializers: HashMap<&str, usize> =
            initializers.map(|(index, t)| (t.name.as_str(), index)).collect();
        let mut constants: HashSet<&str> = initializers.keys().copied().collect();
        // Files are sorted; where one is not, a constant is not found and nothing is replaced.
        for node in &graph.node {
            let known = |name: &String| constants.contains(name.as_str());
            if node.op_type == "Constant"
                || (!node.input.is_empty() && node.input.iter().all(known))
            {
                constants.extend(node.output.iter().map(String::as_str));
            }
        }
        Self { nodes: &graph.node, graph, opset, writers, readers, initializers, constants }
    }

    /// The node of type `op` that writes `name`.
    fn node(&self, name: &str, op: &str) -> Option<&'a NodeProto> {
        let node = &self.nodes[*self.writers.get(name)?];
        (node.op_type == op && is_standard_domain(&node.domain)).then_some(node)
    }

    /// The node that writes `name`, and its place in the graph.
    pub(super) fn writer(&self, name: &str) -> Option<(usize, &'a NodeProto)> {
        let &index = self.writers.get(name)?;
        Some((index, &self.nodes[index]))
    }

    /// The extents of an initializer.
    pub(super) fn extents(&self, name: &str) -> Option<&'a [i64]> {
        Some(&self.graph.initializer[*self.initializers.get(name)?].dims)
    }

    fn inputs<const N: usize>(node: &'a NodeProto) -> Option<[&'a str; N]> {
        let names: Vec<&str> = node.input.iter().map(String::as_str).collect();
        names.try_into().ok()
    }

    fn is_constant(&self, name: &str) -> bool {
        self.constants.contains(name)
    }

    /// A small constant.
    fn constant(&self, name: &str) -> Option<Constant> {
        let mut budget = Budget::new();
        if let Some(&index) = self.initializers.get(name) {
            let tensor = &self.graph.initializer[index];
            let elements = tensor.dims.iter().try_fold(1_i64, |n, &d| n.checked_mul(d))?;
            return (elements <= MAX_ELEMENTS).then(|| decode(tensor, &mut budget).ok())?;
        }
        let folded = fold(self.node(name, "Constant")?, self.opset, &[], &mut budget).ok()??;
        folded.into_iter().next()
    }

    fn number(&self, name: &str) -> Option<f32> {
        self.constant(name)?.to_scalar().ok()
    }

    /// A number that adds no axes to what it meets.
    pub(super) fn scalar(&self, name: &str) -> Option<f32> {
        self.constant(name).filter(|constant| constant.shape.len() < 2)?.to_scalar().ok()
    }

    /// A small list of integers.
    pub(super) fn integers(&self, name: &str) -> Option<Vec<i64>> {
        self.constant(name)?.to_integers().ok()
    }

    /// `x` and what is added to it, of a sum with a number.
    fn plus_number(&self, name: &'a str) -> Option<(&'a str, f32)> {
        let [a, b] = Self::inputs(self.node(name, "Add")?)?;
        match (self.number(a), self.number(b)) {
            (None, Some(number)) => Some((a, number)),
            (Some(number), None) => Some((b, number)),
            _ => None,
        }
    }

    /// Both orders of the factors of a product.
    fn factors(node: &'a NodeProto) -> Option<[[&'a str; 2]; 2]> {
        let [a, b] = Self::inputs(node)?;
        Some([[a, b], [b, a]])
    }

    fn power(&self, name: &str, exponents: &[f32]) -> Option<&'a str> {
        let [x, exponent] = Self::inputs(self.node(name, "Pow")?)?;
        exponents.contains(&self.number(exponent)?).then_some(x)
    }

    fn square(&self, name: &str) -> Option<&'a str> {
        if let Some(x) = self.power(name, &[2.0]) {
            return Some(x);
        }
        let [a, b] = Self::inputs(self.node(name, "Mul")?)?;
        (a == b).then_some(a)
    }

    /// What `name` is the root of.
    fn root(&self, name: &str) -> Option<&'a str> {
        match self.node(name, "Sqrt") {
            Some(node) => node.input.first().map(String::as_str),
            None => self.power(name, &[0.5]),
        }
    }

    /// What `name` is one over.
    fn reciprocal(&self, name: &str) -> Option<&'a str> {
        if let Some(node) = self.node(name, "Reciprocal") {
            return node.input.first().map(String::as_str);
        }
        if let Some(x) = self.power(name, &[-1.0]) {
            return Some(x);
        }
        let [one, x] = Self::inputs(self.node(name, "Div")?)?;
        (self.number(one)? == 1.0).then_some(x)
    }

    /// What `name` is one over the root of.
    fn inverse_root(&self, name: &str) -> Option<&'a str> {
        if let Some(x) = self.power(name, &[-0.5]) {
            return Some(x);
        }
        if let Some(x) = self.reciprocal(name) {
            return self.root(x);
        }
        self.reciprocal(self.root(name)?)
    }

    /// What a reduction that keeps its axes reduces, and which.
    fn reduced(&self, name: &str, op: &str) -> Option<(&'a str, Vec<i64>)> {
        let node = self.node(name, op)?;
        let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
        if attribute("keepdims").is_some_and(|a| a.i == 0) {
            return None;
        }
        let axes = match (attribute("axes"), node.input.get(1)) {
            (Some(axes), _) => axes.ints.clone(),
            (None, Some(axes)) => self.constant(axes)?.to_integers().ok()?,
            (None, None) => return None,
        };
        let x = node.input.first()?;
        (!axes.is_empty()).then_some((x.as_str(), axes))
    }

    /// A value less its mean: the value, and the axes of the mean.
    fn centered(&self, name: &str) -> Option<(&'a str, Vec<i64>)> {
        let [x, mean] = Self::inputs(self.node(name, "Sub")?)?;
        let (of, axes) = self.reduced(mean, "ReduceMean")?;
        (of == x).then_some((x, axes))
    }

    /// `x` and `z`, of `x / z` in any of its forms.
    fn quotient(&self, node: &'a NodeProto) -> Option<(&'a str, &'a str)> {
        match node.op_type.as_str() {
            "Div" => Self::inputs(node).map(|[x, z]| (x, z)),
            "Mul" => Self::factors(node)?
                .into_iter()
                .find_map(|[x, factor]| Some((x, self.reciprocal(factor)?))),
            _ => None,
        }
    }

    /// `x` and `v`, of `x / sqrt(v)` in any of its forms.
    fn quotient_of_root(&self, node: &'a NodeProto) -> Option<(&'a str, &'a str)> {
        match node.op_type.as_str() {
            "Div" => Self::inputs(node).and_then(|[x, z]| Some((x, self.root(z)?))),
            "Mul" => Self::factors(node)?
                .into_iter()
                .find_map(|[x, factor]| Some((x, self.inverse_root(factor)?))),
            _ => None,
        }
    }

    /// The mean of squares in `name`, perhaps with an epsilon: of what, over which axes, and it.
    fn mean_of_squares(&self, name: &'a str) -> Option<(&'a str, Vec<i64>, f32)> {
        let (mean, epsilon) = self.plus_number(name).unwrap_or((name, 0.0));
        let (squares, axes) = self.reduced(mean, "ReduceMean")?;
        Some((self.square(squares)?, axes, epsilon))
    }

    /// The normalization whose last piece `node` is, except for a scale and a shift.
    fn normalization(&self, node: &'a NodeProto) -> Option<Found<'a>> {
        if !is_standard_domain(&node.domain) {
            return None;
        }
        let usable = |found: Found<'a>| {
            let fits = (0.0..f32::INFINITY).contains(&found.epsilon);
            (fits && !self.is_constant(found.x)).then_some(found)
        };
        if let Some((deviation, inner)) = self.quotient_of_root(node) {
            if let Some((of, axes, epsilon)) = self.mean_of_squares(inner) {
                let found = |op, x, axes| Found { op, x, axes, epsilon, scale: "", shift: "" };
                match (self.centered(deviation), self.centered(of)) {
                    (Some((x, mean)), Some(other))
                        if (x, &mean) == (other.0, &other.1) && mean == axes =>
                    {
                        return usable(found("LayerNormalization", x, axes));
                    }
                    _ => {}
                }
                if of == deviation {
                    return usable(found("RMSNormalization", deviation, axes));
                }
            }
            if let Some((x, axes, epsilon)) = self.sum_of_squares(inner)
                && x == deviation
            {
                let op = "LpNormalization";
                return usable(Found { op, x, axes, epsilon, scale: "", shift: "" });
            }
        }
        if let Some(found) = self.scaled_first(node) {
            return usable(found);
        }
        let (x, norm) = self.quotient(node)?;
        let (of, axes, epsilon) = self.norm(norm)?;
        if of != x {
            return None;
        }
        usable(Found { op: "LpNormalization", x, axes, epsilon, scale: "", shift: "" })
    }

    fn sum_of_squares(&self, name: &'a str) -> Option<(&'a str, Vec<i64>, f32)> {
        let (sum, epsilon) = self.plus_number(name).unwrap_or((name, 0.0));
        if let Some((x, axes)) = self.reduced(sum, "ReduceSumSquare") {
            return Some((x, axes, epsilon));
        }
        let (squares, axes) = self.reduced(sum, "ReduceSum")?;
        Some((self.square(squares)?, axes, epsilon))
    }

    /// The norm in `name`, perhaps repeated and bounded from below by nearly nothing.
    fn norm(&self, name: &'a str) -> Option<(&'a str, Vec<i64>, f32)> {
        let mut name = name;
        let nearly_nothing = |number: f32| (0.0..=SMALLEST_NORM).contains(&number);
        if let Some(node) = self.node(name, "Expand") {
            name = node.input.first()?;
        }
        if let Some(node) = self.node(name, "Clip") {
            let attribute = |name: &str| node.attribute.iter().find(|a| a.name == name);
            let least = match (node.input.get(1), attribute("min")) {
                (Some(least), _) => self.number(least)?,
                (None, least) => least?.f,
            };
            let unbounded = node.input.get(2).is_none_or(|most| most.is_empty());
            if !nearly_nothing(least) || !unbounded || attribute("max").is_some() {
                return None;
            }
            name = node.input.first()?;
        } else if let Some(node) = self.node(name, "Max") {
            let [[a, b], _] = Self::factors(node)?;
            name = match (self.number(a), self.number(b)) {
                (None, Some(least)) if nearly_nothing(least) => a,
                (Some(least), None) if nearly_nothing(least) => b,
                _ => return None,
            };
        } else if let Some((x, more)) = self.plus_number(name) {
            if !nearly_nothing(more) {
                return None;
            }
            name = x;
        }
        if let Some((x, axes)) = self.reduced(name, "ReduceL2") {
            return Some((x, axes, 0.0));
        }
        self.sum_of_squares(self.root(name)?)
    }

    /// `x * s + (shift - mean * s)` with `s = scale / sqrt(variance + epsilon)`, as Keras has it; without a shift,
    /// `x * s + -mean * s`.
    fn scaled_first(&self, node: &'a NodeProto) -> Option<Found<'a>> {
        if node.op_type != "Add" {
            return None;
        }
        Self::factors(node)?.into_iter().find_map(|[product, rest]| {
            let (shift, moved) = match self.node(rest, "Sub") {
                Some(difference) => {
                    Self::inputs(difference).map(|[shift, moved]| (shift, moved))?
                }
                None => ("", rest),
            };
            if !shift.is_empty() && !self.is_constant(shift) {
                return None;
            }
            let products = Self::factors(self.node(product, "Mul")?)?;
            let moved = Self::factors(self.node(moved, "Mul")?)?;
            products.into_iter().find_map(|[x, factor]| {
                let [mut mean, _] = *moved.iter().find(|pair| pair[1] == factor)?;
                if shift.is_empty() {
                    mean = self.node(mean, "Neg")?.input.first()?;
                }
                let (of, axes) = self.reduced(mean, "ReduceMean")?;
                let (inner, scale) = match self.inverse_root(factor) {
                    Some(inner) => (inner, ""),
                    None => Self::factors(self.node(factor, "Mul")?)?.into_iter().find_map(
                        |[root, scale]| {
                            let inner = self.inverse_root(root)?;
                            self.is_constant(scale).then_some((inner, scale))
                        },
                    )?,
                };
                let (deviation, own, epsilon) = self.mean_of_squares(inner)?;
                let same = self.centered(deviation)? == (x, own.clone()) && own == axes;
                let op = "LayerNormalization";
                (same && of == x).then_some(Found { op, x, axes, epsilon, scale, shift })
            })
        })
    }

    /// The product with a constant and the sum with one that follow node `index`, if nothing else
    /// reads what is between; and the last of them.
    fn with_scale_and_shift(&self, index: usize, mut found: Found<'a>) -> (usize, Found<'a>) {
        if !found.scale.is_empty() || !found.shift.is_empty() || found.op == "LpNormalization" {
            return (index, found);
        }
        let mut last = index;
        if let Some((node, scale)) = self.reader_with_constant(last, "Mul") {
            (last, found.scale) = (node, scale);
        }
        if found.op == "LayerNormalization"
            && let Some((node, shift)) = self.reader_with_constant(last, "Add")
        {
            (last, found.shift) = (node, shift);
        }
        (last, found)
    }

    /// The only node that reads what `index` writes, if it is of type `op` and its other input is a
    /// constant.
    fn reader_with_constant(&self, index: usize, op: &str) -> Option<(usize, &'a str)> {
        let written = self.nodes[index].output.first()?;
        let [reader] = self.readers.get(written.as_str())?[..] else { return None };
        let node = self.nodes.get(reader)?;
        if node.op_type != op || !is_standard_domain(&node.domain) {
            return None;
        }
        let pairs = Self::factors(node)?;
        let [_, constant] = pairs.into_iter().find(|[x, _]| x == written)?;
        self.is_constant(constant).then_some((reader, constant))
    }
}
