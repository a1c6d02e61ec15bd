//! Activation functions that are written in pieces become one operation, and so one table: Swish, Gelu,
//! Mish and HardSwish, however an exporter spells them; where comparisons choose between pieces, also
//! Softplus, LeakyRelu, Elu, thresholds and shrinkages.
//!
//! What counts is the function, not its spelling: where an element of a value meets itself again after
//! operations on single elements, the function of that element is evaluated and compared.

use crate::graph::ops::{BinaryFunction, Unary, UnaryFunction};
use crate::graph::{Graph, Node, Op, ValueId};

/// Operations between an element and where it meets itself, at most.
const LONGEST: usize = 12;

/// How far two functions that are the same may differ, beside their magnitude: less than the two forms
/// of Gelu do, more than the rounding of their pieces.
const TOLERANCE: f32 = 2e-5;

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut writers = vec![None; graph.values.len()];
    for (index, node) in graph.nodes.iter().enumerate() {
        writers[node.output.0] = Some(index);
    }
    let mut rewrites = 0;
    for index in 0..graph.nodes.len() {
        if let Some((source, function)) = recognize(graph, &writers, index) {
            graph.nodes[index].op = Unary { function }.into();
            graph.nodes[index].inputs = vec![source];
            rewrites += 1;
        }
    }
    rewrites
}

/// The value of whose elements the output of node `index` is a known function, which takes several
/// nodes.
fn recognize(
    graph: &Graph,
    writers: &[Option<usize>],
    index: usize,
) -> Option<(ValueId, UnaryFunction)> {
    let end = &graph.nodes[index];
    let joins = matches!(end.op, Op::Mul(_) | Op::ChannelAffine(_) | Op::Binary(_) | Op::Add(_));
    let may_end = joins && is_pointwise(&end.op);
    if !may_end || end.clamp.is_some() {
        return None;
    }
    let pieces = Pieces::in_front_of(graph, writers, index);
    let bounds = pieces.bounds();
    // A choice between two pieces is their sum.
    if bounds.is_empty() && matches!(end.op, Op::Add(_)) {
        return None;
    }
    // Near values come first: the shortest function is tried first.
    pieces.sources.iter().find_map(|&source| {
        let f = |x| pieces.output(source, x);
        let known = known(&f).or_else(|| chosen(&f, &bounds))?;
        Some((source, known))
    })
}

/// The known function that equals `f` on a range that shows what it is.
fn known(f: &dyn Fn(f32) -> Option<f32>) -> Option<UnaryFunction> {
    // The gate of a Swish at 1 says its slope.
    let gate = f64::from(f(1.0)?);
    let alpha = (gate / (1.0 - gate)).ln() as f32;
    let alpha = if (alpha - 1.0).abs() < 1e-5 { 1.0 } else { alpha };
    // A slope of 0 would be a division by 2.
    let is_gate = alpha.is_finite() && alpha.abs() > 1e-3;
    let swish = is_gate.then_some(UnaryFunction::Swish { alpha });
    let others = [
        UnaryFunction::Gelu { tanh: false },
        UnaryFunction::Gelu { tanh: true },
        UnaryFunction::Mish,
        UnaryFunction::HardSwish,
    ];
    swish.into_iter().chain(others).find(|function| equals(f, *function, &[]))
}

/// The known function that equals `f`, whose pieces meet at one of `bounds`.
fn chosen(f: &dyn Fn(f32) -> Option<f32>, bounds: &[f32]) -> Option<UnaryFunction> {
    let (&first, _) = bounds.split_first()?;
    // What a function is tells where it saturates, and what it does around 1.
    let (low, slope, high) = (f(-50.0)?, 0.0 - f(-1.0)?, f(1.0)?);
    let mut candidates = vec![
        UnaryFunction::Softplus,
        UnaryFunction::LeakyRelu { alpha: slope },
        UnaryFunction::Elu { alpha: -low / high, scale: high, width: 1.0 },
    ];
    for bound in bounds {
        candidates.push(UnaryFunction::Threshold { bound: *bound, value: f(bound - 1.0)? });
        let lambd = bound.abs();
        let bias = lambd + 1.0 - f(lambd + 1.0)?;
        // The sum above is rounded where the bias is none, or the bound itself.
        let near = [0.0, lambd].into_iter().find(|exact| (bias - exact).abs() < 1e-5);
        candidates.push(UnaryFunction::Shrink { lambd, bias: near.unwrap_or(bias) });
    }
    // All of them are known where their pieces meet.
    let mut points: Vec<f32> = bounds.iter().flat_map(|b| [*b, -b]).collect();
    points.extend(points.clone().iter().flat_map(|b| [b.next_up(), b.next_down()]));
    let finite = |function: &UnaryFunction| match *function {
        UnaryFunction::LeakyRelu { alpha } => alpha.is_finite(),
        UnaryFunction::Elu { alpha, scale, .. } => alpha.is_finite() && scale.is_finite(),
        _ => first.is_finite(),
    };
    let mut candidates = candidates.into_iter().filter(finite);
    candidates.find(|function| equals(f, *function, &points))
}

/// Whether `f` is `function`, on a range that shows what it is and at `points`.
fn equals(f: &dyn Fn(f32) -> Option<f32>, function: UnaryFunction, points: &[f32]) -> bool {
    // Bounds in the pieces may lie far out.
    let far = [9.0, 12.0, 20.0, 50.0, 100.0, 1e3, 1e4];
    let near = (-40..=40).map(|step| step as f32 / 5.0);
    let all = near.chain(far).chain(far.map(|x: f32| -x)).chain(points.iter().copied());
    all.into_iter().all(|x| {
        let expected = function.apply(x);
        f(x).is_some_and(|y| (y - expected).abs() <= TOLERANCE * (1.0 + expected.abs()))
    })
}

/// The nodes on single elements up to a node, in the order in which they run.
struct Pieces<'a> {
    nodes: Vec<&'a Node>,
    /// What they read, the nearest first.
    sources: Vec<ValueId>,
}

impl<'a> Pieces<'a> {
    fn in_front_of(graph: &'a Graph, writers: &[Option<usize>], end: usize) -> Self {
        let mut indices = vec![end];
        let mut sources = graph.nodes[end].inputs.clone();
        let mut next = 0;
        while let Some(&value) = sources.get(next) {
            next += 1;
            let Some(index) = writers[value.0] else { continue };
            let node = &graph.nodes[index];
            if indices.len() == LONGEST || !is_pointwise(&node.op) {
                continue;
            }
            indices.push(index);
            let new = node.inputs.iter().filter(|input| !sources.contains(input));
            let new: Vec<ValueId> = new.copied().collect();
            sources.extend(new);
        }
        indices.sort_unstable();
        Self { nodes: indices.into_iter().map(|index| &graph.nodes[index]).collect(), sources }
    }

    /// What the pieces compare with, none twice.
    fn bounds(&self) -> Vec<f32> {
        let mut bounds = Vec::new();
        for node in &self.nodes {
            if let Op::Unary(Unary { function: UnaryFunction::Compare { bound, .. } }) = node.op
                && !bounds.contains(&bound)
            {
                bounds.push(bound);
            }
        }
        bounds
    }

    /// An element of the last node's output where that of `source` is `x`; `None` if it depends on
    /// other values.
    fn output(&self, source: ValueId, x: f32) -> Option<f32> {
        let mut elements = vec![(source, x)];
        for node in &self.nodes {
            let element = |value| elements.iter().find(|(known, _)| *known == value);
            let inputs: Option<Vec<f32>> =
                node.inputs.iter().map(|&value| element(value).map(|(_, x)| *x)).collect();
            if let Some(y) = inputs.and_then(|inputs| apply(node, &inputs)) {
                elements.push((node.output, y));
            }
        }
        let last = self.nodes.last()?.output;
        elements.iter().find(|(value, _)| *value == last).map(|(_, y)| *y)
    }
}

/// An element of the output of a node for those of its inputs.
fn apply(node: &Node, inputs: &[f32]) -> Option<f32> {
    let (a, b) = (*inputs.first()?, inputs.last()?);
    let y = match &node.op {
        Op::Unary(op) => op.function.apply(a),
        Op::ChannelAffine(op) => a * op.scale.data[0] + op.shift.data[0],
        Op::Clip(op) => a.max(op.bounds.min).min(op.bounds.max),
        Op::Add(_) => a + b,
        Op::Mul(_) => a * b,
        Op::Binary(op) => match op.function {
            BinaryFunction::Sub => a - b,
            BinaryFunction::Div => a / b,
            BinaryFunction::Minimum => a.min(*b),
            BinaryFunction::Maximum => a.max(*b),
            BinaryFunction::Prelu => a.max(0.0) + a.min(0.0) * b,
        },
        _ => return None,
    };
    Some(node.clamp.map_or(y, |clamp| y.max(clamp.min).min(clamp.max)))
}

/// Whether it computes each element of its output from those at the same place alone, and all alike.
fn is_pointwise(op: &Op) -> bool {
    let uniform = |elements: &[f32]| elements.iter().all(|element| *element == elements[0]);
    match op {
        Op::Unary(_) | Op::Clip(_) | Op::Add(_) | Op::Mul(_) | Op::Binary(_) => true,
        Op::ChannelAffine(op) => uniform(&op.scale.data) && uniform(&op.shift.data),
        _ => false,
    }
}
