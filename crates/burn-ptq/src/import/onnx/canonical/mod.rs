//! Nodes as if the batch were the first axis of every value, which operators rely on.
//!
//! A value may have its batch elsewhere in the file, or none at all ([`Layout`]). Here the attributes
//! and inputs that count axes are rewritten for values with the batch in front, once for all operators:
//! [`RULES`] says how each counts them. What an operator does not keep apart from the batch is
//! refused; where the file fixes the batch at 1, its values become single samples instead.

mod along;
mod meeting;

use std::rc::Rc;

use onnx_ir::{AttributeProto, AttributeType};

use super::attributes::Attributes;
use super::constants::{Constant, Elements, Extent, normalize_axis};
use super::error::Refusal;
use super::growing::{Binding, Importer, Site};
use super::layout::{Batch, Layout};
use super::operators::check_rank;
use crate::graph::ValueId;
use crate::graph::ops::Reshape;

/// How an operator counts axes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    /// Not at all: element by element.
    Elementwise,
    /// Element by element of several inputs, whose last axes meet.
    Broadcast,
    /// By an attribute, with its default; it keeps the axes.
    Along { axis: Option<i64>, from: bool },
    /// As `Along`, and it drops the axis unless told to keep it.
    Choose,
    /// By a list, which is an attribute or an input; it drops them unless told to keep them.
    Reduce,
    /// `Gather`, whose indices replace an axis.
    Gather,
    /// `Slice`, with lists that name axes.
    Slice,
    /// `Pad`, with two numbers for every axis.
    Pad,
    /// One number for every axis.
    Tile,
    /// A shape to broadcast to.
    Expand,
    /// Matrix products, of the last two axes.
    MatMul,
    /// The matrix product with a bias.
    Gemm,
    /// The batch and the channels in front.
    BatchFirst,
    /// `Einsum`, which names axes.
    Einsum,
    /// Its translation finds the place of the batch.
    Own,
}

const fn along(axis: i64) -> Rule {
    Rule::Along { axis: Some(axis), from: false }
}

/// How operators count axes; the batch must be in front for those that are not listed.
const RULES: &[(Rule, &str)] = &[
    (
        Rule::Elementwise,
        "Abs Acos Acosh Asin Asinh Atan Atanh Cast CastLike Ceil Celu Clip Cos Cosh Dropout Elu Erf Exp \
         Floor Gelu HardSigmoid HardSwish Identity LeakyRelu Log Mish Neg Not Reciprocal Relu Round \
         Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu",
    ),
    (
        Rule::Broadcast,
        "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub \
         Sum Where Xor",
    ),
    (along(-1), "Hardmax LogSoftmax Softmax LpNormalization TopK"),
    (along(0), "GatherElements Split"),
    (Rule::Along { axis: None, from: false }, "Concat"),
    (Rule::Along { axis: Some(-1), from: true }, "LayerNormalization RMSNormalization"),
    (Rule::Choose, "ArgMax ArgMin"),
    (
        Rule::Reduce,
        "ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd \
         ReduceSum ReduceSumSquare",
    ),
    (Rule::Gather, "Gather"),
    (Rule::Slice, "Slice"),
    (Rule::Pad, "Pad"),
    (Rule::Tile, "Tile"),
    (Rule::Expand, "Expand"),
    (Rule::MatMul, "MatMul"),
    (Rule::Gemm, "Gemm"),
    (Rule::Einsum, "Einsum"),
    (Rule::Own, "Flatten GRU GatherND LSTM RNN Reshape Squeeze Transpose Unsqueeze"),
];

fn rule(site: &Site) -> Rule {
    let listed = |names: &str| names.split(' ').any(|name| name == site.op);
    let found = RULES.iter().find(|(_, names)| listed(names)).map(|(rule, _)| *rule);
    match (found, site.op) {
        // Before opset 13 softmax ran over the axes from `axis` on, taken together.
        (_, "Hardmax" | "LogSoftmax" | "Softmax") if site.opset < 13 => {
            Rule::Along { axis: Some(1), from: true }
        }
        (found, _) => found.unwrap_or(Rule::BatchFirst),
    }
}

/// Why a node is not one on samples of a batch.
enum Fault {
    /// It computes across the batch.
    Mixes(&'static str),
    Refused(Refusal),
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A node with the batch in front of its values.
pub(super) struct Canonical {
    inputs: Vec<Option<Binding>>,
    /// `None` where they are those of the file.
    attributes: Option<Vec<AttributeProto>>,
    /// What it is, where that is not the operator of the file.
    op: Option<&'static str>,
    /// Where the batch is in its inputs, as far as the operator asks.
    layouts: Vec<Layout>,
    /// How the outputs' axes are in the file.
    pub layout: Layout,
    /// Whether samples of the outputs have one element and no axis in the file.
    pub scalar: bool,
}

impl Canonical {
    /// The node that operators see.
    pub(super) fn site<'a>(&'a self, of: &'a Site<'a>) -> Site<'a> {
        Site {
            name: of.name.clone(),
            op: self.op.unwrap_or(of.op),
            opset: of.opset,
            attributes: self.attributes.as_deref().map_or(of.attributes, Attributes),
            output: of.output,
            outputs: of.outputs.clone(),
            inputs: self.inputs.clone(),
            layouts: self.layouts.clone(),
        }
    }
}

/// Rewrites `site` for values with the batch in front.
///
/// # Errors
/// If it computes across the batch.
pub(super) fn canonical(importer: &mut Importer, site: &Site) -> Result<Canonical, Refusal> {
    let rule = rule(site);
    let fault = match arrange(importer, site, rule) {
        Ok(canonical) => return Ok(canonical),
        Err(Fault::Refused(refusal)) => return Err(refusal),
        Err(Fault::Mixes(what)) => what,
    };
    let mixes = |what: &str| {
        Err(Refusal::new(
            format!("{what}, expected the batch to stay an axis of its own"),
            "export the model so that every sample is computed on its own",
        )
        .across_batch())
    };
    // A softmax over a batch of 1 gives ones, which nobody means.
    let degenerate = matches!(rule, Rule::Along { .. }) && !["Concat", "Split"].contains(&site.op);
    if importer.batch != Some(1) || degenerate || rule == Rule::Own {
        return mixes(fault);
    }
    let mut single = site.clone();
    for index in 0..single.inputs.len() {
        if let Some(Binding::Value(id)) = single.inputs[index] {
            let (id, layout) = as_sample(importer, site, index, id)?;
            single.inputs[index] = Some(Binding::Value(id));
            single.layouts[index] = layout;
        }
    }
    match arrange(importer, &single, rule) {
        Ok(canonical) => Ok(canonical),
        Err(Fault::Refused(refusal)) => Err(refusal),
        Err(Fault::Mixes(what)) => mixes(what),
    }
}

/// A value whose batch of 1 is an axis of its samples.
fn as_sample(
    importer: &mut Importer,
    site: &Site,
    index: usize,
    id: ValueId,
) -> Result<(ValueId, Layout), Refusal> {
    let layout = site.layouts[index];
    let Batch::Axis(axis) = layout.batch else { return Ok((id, layout)) };
    let mut shape = importer.shape(id).to_vec();
    if !layout.scalar {
        shape.insert(axis, 1);
        check_rank(&shape)?;
        let part = format!("input{index}");
        return Ok((importer.push_part(site, &part, Reshape { shape }, &[id])?, Layout::ABSENT));
    }
    Ok((id, Layout::ABSENT))
}

/// A value without the axis `axis` of its samples, which is 1 and stands for the batch.
fn without_axis(
    importer: &mut Importer,
    site: &Site,
    index: usize,
    id: ValueId,
    axis: usize,
) -> Result<ValueId, Fault> {
    let mut shape = importer.shape(id).to_vec();
    if shape[axis] != 1 {
        return Err(Fault::Mixes("it joins values with and without a batch axis"));
    }
    if shape.len() == 1 {
        return Ok(id);
    }
    shape.remove(axis);
    let part = format!("input{index}");
    Ok(importer.push_part(site, &part, Reshape { shape }, &[id])?)
}

/// The value among the inputs whose axes the operator counts.
struct Counted {
    layout: Layout,
    sample: Vec<usize>,
    rank: usize,
}

impl Counted {
    fn of(importer: &Importer, site: &Site, index: usize) -> Option<Self> {
        let Some(Some(Binding::Value(id))) = site.inputs.get(index) else { return None };
        let (layout, sample) = (site.layouts[index], importer.shape(*id).to_vec());
        Some(Self { layout, rank: layout.rank(&sample), sample })
    }

    /// An axis of the file, and its place with the batch in front.
    fn axis(&self, axis: i64, what: &'static str) -> Result<(usize, i64), Fault> {
        let own = normalize_axis(axis, self.rank)?;
        match self.layout.canonical(own) {
            Some(canonical) => Ok((own, canonical as i64)),
            None => Err(Fault::Mixes(what)),
        }
    }
}

fn arrange(importer: &mut Importer, site: &Site, rule: Rule) -> Result<Canonical, Fault> {
    let first = site.inputs.iter().position(|input| matches!(input, Some(Binding::Value(_))));
    let Some(first) = first else {
        return Err(Refusal::invalid("expected a computed value among the inputs").into());
    };
    let mut result = Canonical {
        inputs: site.inputs.clone(),
        attributes: None,
        op: None,
        layouts: site.layouts.clone(),
        layout: site.layouts[first],
        scalar: false,
    };
    match rule {
        Rule::Own => {}
        Rule::Elementwise => {}
        Rule::Broadcast => meeting::broadcast(importer, site, &mut result)?,
        Rule::Along { axis, from } => {
            along::along_axis(importer, site, &mut result, (axis, from), first)?;
        }
        Rule::Choose => {
            let counted = value(importer, site, 0)?;
            let given = site.attributes.int("axis", 0)?;
            let (own, axis) = counted.axis(given, "it compares the samples of a batch")?;
            set(site, &mut result, "axis", Number::One(axis));
            if !site.attributes.flag("keepdims", true)? {
                result.layout = dropped(&counted, &[own]);
                result.scalar = result.layout.scalar;
            }
        }
        Rule::Reduce => along::reduce(importer, site, &mut result)?,
        Rule::Gather => along::gather(importer, site, &mut result)?,
        Rule::Slice => along::slice(importer, site, &mut result)?,
        Rule::Pad => along::pad(importer, site, &mut result)?,
        Rule::Tile => {
            let counted = value(importer, site, 0)?;
            let repeats = site.constant(1, "repeats")?.to_integers()?;
            if repeats.len() != counted.rank {
                return Err(wrong_length("repeats", counted.rank, repeats.len()).into());
            }
            if counted.layout.batch_axis().is_some_and(|axis| repeats[axis] != 1) {
                return Err(Fault::Mixes("it repeats the batch axis"));
            }
            result.inputs[1] = list(counted.layout.in_front(&repeats, 1));
        }
        Rule::Expand => along::expand(importer, site, &mut result)?,
        Rule::MatMul => meeting::matmul(importer, site, &mut result)?,
        Rule::Gemm => meeting::gemm(importer, site, &mut result)?,
        Rule::Einsum => {
            let layouts = (0..site.inputs.len())
                .filter(|&index| matches!(site.inputs[index], Some(Binding::Value(_))))
                .map(|index| site.layouts[index]);
            let mut layouts = layouts.map(|layout| layout.batch);
            let batch = site.layouts[first].batch;
            let known = matches!(batch, Batch::Absent | Batch::Axis(0));
            if !known || !layouts.all(|other| other == batch) {
                return Err(Fault::Mixes("the batch is not the first axis of its inputs"));
            }
            let output = site.attributes.string("equation", "")?.split_once("->");
            let labels = output.map(|(_, output)| output.trim().len());
            result.layout.scalar = labels == Some(usize::from(batch != Batch::Absent));
        }
        Rule::BatchFirst => meeting::batch_first(importer, site, &mut result)?,
    }
    Ok(result)
}

fn value(importer: &Importer, site: &Site, index: usize) -> Result<Counted, Fault> {
    site.value(index)?;
    Counted::of(importer, site, index)
        .ok_or_else(|| Refusal::invalid(format!("input {index} is missing")).into())
}

fn wrong_length(what: &str, expected: usize, found: usize) -> Refusal {
    Refusal::invalid(format!("expected {expected} {what}, found {found}"))
}

/// Integers as an input.
fn list(values: Vec<i64>) -> Option<Binding> {
    let shape = vec![values.len()];
    let elements = Elements::Integer(values.into_iter().map(Extent::Known).collect());
    Some(Binding::Constant(Rc::new(Constant { shape, elements })))
}

/// The new value of an attribute.
enum Number {
    One(i64),
    List(Vec<i64>),
}

/// Sets an attribute.
fn set(site: &Site, result: &mut Canonical, name: &str, number: Number) {
    let attributes = result.attributes.get_or_insert_with(|| site.attributes.0.to_vec());
    attributes.retain(|attribute| attribute.name != name);
    let mut attribute = AttributeProto { name: name.into(), ..Default::default() };
    match number {
        Number::One(value) => {
            attribute.type_ = AttributeType::INT.into();
            attribute.i = value;
        }
        Number::List(values) => {
            attribute.type_ = AttributeType::INTS.into();
            attribute.ints = values;
        }
    }
    attributes.push(attribute);
}

/// The layout of a value without some of its axes, which do not have the batch in them.
fn dropped(counted: &Counted, axes: &[usize]) -> Layout {
    let layout = match counted.layout.batch_axis() {
        Some(batch) => counted.layout.moved(batch - axes.iter().filter(|&&a| a < batch).count()),
        None => counted.layout,
    };
    let own = if counted.layout.scalar { 0 } else { counted.sample.len() };
    Layout { scalar: own == axes.len(), ..layout }
}
