//! Nodes as if the batch were the first axis of every value, which operators rely on.
//!
//! A value may have its batch elsewhere in the file, or none at all ([`Layout`]). Here the attributes
//! and inputs that count axes are rewritten for values with the batch in front, once for all operators:
//! [`RULES`] says how each counts them. What an operator does not keep apart from the batch is
//! refused; where the file fixes the batch at 1, its values become single samples instead.

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
    (Rule::Own, "Flatten Reshape Squeeze Transpose Unsqueeze"),
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
        Rule::Broadcast => broadcast(importer, site, &mut result)?,
        Rule::Along { axis, from } => {
            along_axis(importer, site, &mut result, (axis, from), first)?;
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
        Rule::Reduce => reduce(importer, site, &mut result)?,
        Rule::Gather => gather(importer, site, &mut result)?,
        Rule::Slice => slice(importer, site, &mut result)?,
        Rule::Pad => pad(importer, site, &mut result)?,
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
        Rule::Expand => expand(importer, site, &mut result)?,
        Rule::MatMul => matmul(importer, site, &mut result)?,
        Rule::Gemm => gemm(importer, site, &mut result)?,
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
        Rule::BatchFirst => batch_first(importer, site, &mut result)?,
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

fn along_axis(
    importer: &mut Importer,
    site: &Site,
    result: &mut Canonical,
    (default, from): (Option<i64>, bool),
    first: usize,
) -> Result<(), Fault> {
    let counted = value(importer, site, first)?;
    let given = match default {
        Some(default) => site.attributes.int("axis", default)?,
        // Old opsets have a default.
        None => site.attributes.int("axis", 1)?,
    };
    let what = match site.op {
        "Concat" => "it joins values along the batch axis",
        "Split" => "it splits the batch axis",
        _ => "it normalizes over the batch axis",
    };
    // Normalizations that were found in pieces name all axes.
    if let Some(axes) = site.attributes.ints("axes")? {
        let places = axes.iter().map(|&axis| counted.axis(axis, what).map(|(_, place)| place));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        set(site, result, "axes", Number::List(places));
        return Ok(());
    }
    let (own, axis) = counted.axis(given, what)?;
    if from && counted.layout.batch_axis().is_some_and(|batch| batch >= own) {
        return Err(Fault::Mixes(what));
    }
    set(site, result, "axis", Number::One(axis));
    if site.op == "Concat" {
        for index in 0..site.inputs.len() {
            match &site.inputs[index] {
                Some(Binding::Value(id)) if site.layouts[index] != counted.layout => {
                    // A value without a batch is the same for every sample.
                    let (Batch::Absent, Batch::Axis(axis)) =
                        (site.layouts[index].batch, counted.layout.batch)
                    else {
                        return Err(Fault::Mixes("it joins values with the batch in other places"));
                    };
                    if importer.shape(*id).len() <= axis {
                        return Err(wrong_length("axes", counted.rank, axis).into());
                    }
                    let id = without_axis(importer, site, index, *id, axis)?;
                    result.inputs[index] = Some(Binding::Value(id));
                }
                Some(Binding::Constant(constant)) => {
                    let constant = joined(constant, counted.layout)?;
                    result.inputs[index] = Some(Binding::Constant(Rc::new(constant)));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A constant that is joined with values of `layout`, with an axis of 1 in front.
fn joined(constant: &Constant, layout: Layout) -> Result<Constant, Fault> {
    let mut shape = constant.shape.clone();
    match layout.batch {
        Batch::Axis(axis) if shape.get(axis) == Some(&1) => {
            shape.remove(axis);
        }
        Batch::Axis(_) => return Err(Fault::Mixes("it joins a constant for each sample")),
        Batch::Fused { axis, .. } if shape.get(axis) != Some(&1) => {
            return Err(Fault::Mixes("it joins a constant for each sample"));
        }
        _ => {}
    }
    shape.insert(0, 1);
    Ok(Constant { shape, elements: constant.elements.clone() })
}

fn reduce(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    let counted = value(importer, site, 0)?;
    let axes = site.integers("axes", 1)?.unwrap_or_default();
    if axes.is_empty() && site.attributes.flag("noop_with_empty_axes", false)? {
        return Ok(());
    }
    let all: Vec<i64> = (0..counted.rank as i64).collect();
    let axes = if axes.is_empty() { all } else { axes };
    let (mut own, mut canonical) = (Vec::new(), Vec::new());
    for axis in axes {
        let (axis, place) = counted.axis(axis, "it reduces over the batch axis")?;
        if !own.contains(&axis) {
            own.push(axis);
            canonical.push(place);
        }
    }
    if !site.attributes.flag("keepdims", true)? {
        result.layout = dropped(&counted, &own);
        result.scalar = result.layout.scalar;
    }
    // A scalar has nothing to reduce.
    if counted.layout.scalar {
        canonical = vec![1];
    }
    if site.inputs.len() > 1 {
        result.inputs[1] = list(canonical);
    } else {
        set(site, result, "axes", Number::List(canonical));
    }
    Ok(())
}

fn gather(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    let given = site.attributes.int("axis", 0)?;
    let indices = match site.inputs.get(1) {
        Some(Some(Binding::Constant(indices))) => indices.clone(),
        // A table that is looked up.
        _ => {
            let counted = value(importer, site, 1)?;
            if let Some(Some(Binding::Constant(table))) = site.inputs.first() {
                let axis = normalize_axis(given, table.shape.len())?;
                result.layout = match counted.layout.batch_axis() {
                    Some(batch) => counted.layout.moved(batch + axis),
                    None => counted.layout,
                };
                result.layout.scalar = counted.layout.scalar && table.shape.len() == 1;
            }
            return Ok(());
        }
    };
    let counted = value(importer, site, 0)?;
    let own = normalize_axis(given, counted.rank)?;
    let batch = counted.layout.batch_axis();
    if counted.layout.batch == Batch::Axis(own) && importer.batch == Some(1) {
        let only = indices.to_integers()?.iter().all(|i| [0, -1].contains(i));
        if only && indices.shape.is_empty() {
            // The only sample of the batch: as a single one.
            result.op = Some("Identity");
            result.inputs.truncate(1);
            result.layout = Layout { batch: Batch::Absent, ..counted.layout };
            return Ok(());
        }
    }
    let (own, axis) = counted.axis(own as i64, "it gathers along the batch axis")?;
    set(site, result, "axis", Number::One(axis));
    let added = indices.shape.len();
    result.layout = match batch {
        Some(batch) if batch > own => counted.layout.moved(batch + added - 1),
        _ => counted.layout,
    };
    result.layout.scalar = counted.sample.len() == 1 && added == 0;
    if result.layout.scalar {
        // One axis is left, of extent 1.
        result.inputs[1] = list(indices.to_integers()?);
    }
    Ok(())
}

fn slice(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    let counted = value(importer, site, 0)?;
    let old = site.opset < 10;
    let read = |name: &str, index: usize| match old {
        true => {
            let list = site.attributes.ints(name)?;
            Ok(list.map(|list| list.iter().map(|&n| Extent::Known(n)).collect()))
        }
        false => match site.optional(index, name)? {
            Some(constant) => constant.to_extents().map(|list| Some(list.to_vec())),
            None => Ok(None),
        },
    };
    let missing = || Refusal::invalid("its starts or ends are missing");
    let starts: Vec<Extent> = read("starts", 1)?.ok_or_else(missing)?;
    let ends = read("ends", 2)?.ok_or_else(missing)?;
    let count = starts.len() as i64;
    let axes = read("axes", 3)?.unwrap_or_else(|| (0..count).map(Extent::Known).collect());
    let steps = if old { None } else { read("steps", 4)? };
    let steps = steps.unwrap_or_else(|| vec![Extent::Known(1); starts.len()]);
    if [ends.len(), axes.len(), steps.len()].iter().any(|&n| n != starts.len()) {
        let problem = "its starts, ends, axes and steps differ in length";
        return Err(Refusal::invalid(problem).into());
    }
    let mut kept = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for (i, axis) in axes.iter().enumerate() {
        let own = normalize_axis(axis.known()?, counted.rank)?;
        let step = steps[i].known()?;
        let Some(place) = counted.layout.canonical(own) else {
            // The whole batch may be chosen: exporters write the largest number that there is, or the
            // batch that they exported with.
            let enough = importer.batch.map_or(i64::from(i32::MAX) - 1, |batch| batch as i64);
            let to_the_end = match ends[i] {
                Extent::Batch(_) => true,
                Extent::Known(end) => end >= enough,
            };
            if starts[i] == Extent::Known(0) && to_the_end && step == 1 {
                continue;
            }
            return Err(Fault::Mixes("it slices the batch axis"));
        };
        let numbers = [starts[i].known()?, ends[i].known()?, place as i64, step];
        for (list, number) in kept.iter_mut().zip(numbers) {
            list.push(number);
        }
    }
    if kept[0].is_empty() {
        result.op = Some("Identity");
        result.inputs.truncate(1);
        return Ok(());
    }
    if old {
        let names = ["starts", "ends", "axes"];
        for (name, values) in names.iter().zip(kept) {
            set(site, result, name, Number::List(values));
        }
        return Ok(());
    }
    result.inputs.resize(5, None);
    for (index, values) in kept.into_iter().enumerate() {
        result.inputs[index + 1] = list(values);
    }
    Ok(())
}

fn pad(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    let counted = value(importer, site, 0)?;
    let old = site.opset < 11;
    let pads = if old {
        let name = if site.opset < 2 { "paddings" } else { "pads" };
        site.attributes.ints(name)?.map(<[i64]>::to_vec)
    } else {
        Some(site.constant(1, "pads")?.to_integers()?)
    };
    let pads = pads.ok_or_else(|| Refusal::invalid("its pads are missing"))?;
    let axes = match site.optional(3, "axes")? {
        Some(axes) => axes
            .to_integers()?
            .into_iter()
            .map(|axis| normalize_axis(axis, counted.rank))
            .collect::<Result<Vec<_>, _>>()?,
        None => (0..counted.rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(wrong_length("pads", 2 * axes.len(), pads.len()).into());
    }
    let (mut before, mut after) = (vec![0; counted.rank], vec![0; counted.rank]);
    for (i, &axis) in axes.iter().enumerate() {
        (before[axis], after[axis]) = (pads[i], pads[axes.len() + i]);
    }
    if counted.layout.batch_axis().is_some_and(|axis| [before[axis], after[axis]] != [0; 2]) {
        return Err(Fault::Mixes("it pads the batch axis"));
    }
    let pads = [counted.layout.in_front(&before, 0), counted.layout.in_front(&after, 0)].concat();
    if old {
        set(site, result, "pads", Number::List(pads));
    } else {
        result.inputs[1] = list(pads);
        result.inputs.truncate(3);
    }
    Ok(())
}

fn expand(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    let counted = value(importer, site, 0)?;
    let target = site.constant(1, "shape")?;
    let target = target.to_extents()?;
    let rank = target.len().max(counted.rank);
    let from_end = counted.layout.batch_axis().map(|axis| counted.rank - axis);
    let fixed = importer.batch.map_or(1, |batch| batch as i64);
    let mut shape = vec![1];
    for (axis, extent) in target.iter().enumerate() {
        let is_batch = from_end == Some(target.len() - axis);
        match (extent, is_batch) {
            (Extent::Batch(1), true) => {}
            (Extent::Known(n), true) if *n == 1 || *n == fixed || *n == -1 => {}
            (_, true) => return Err(Fault::Mixes("it repeats the batch axis")),
            (Extent::Known(n), false) => {
                shape.push(*n);
                continue;
            }
            // A value without a batch axis is the same for every sample.
            (Extent::Batch(n), false) if counted.layout.batch == Batch::Absent => {
                shape.push(*n);
                continue;
            }
            (Extent::Batch(_), false) => {
                return Err(Fault::Mixes("it makes another axis as long as the batch"));
            }
        }
        if let Batch::Fused { .. } = counted.layout.batch {
            shape.push(1);
        }
    }
    result.layout = match from_end {
        Some(from_end) => counted.layout.moved(rank - from_end),
        None => counted.layout,
    };
    let own = usize::from(matches!(counted.layout.batch, Batch::Axis(_)));
    result.layout.scalar = rank == own;
    result.inputs[1] = list(shape);
    // The axes that it puts in front are there before.
    if let (Some(Binding::Value(id)), true) = (&site.inputs[0], rank > counted.rank) {
        let own = if counted.layout.scalar { &[][..] } else { &counted.sample };
        let shape = [&vec![1; rank - counted.rank][..], own].concat();
        check_rank(&shape)?;
        let id = importer.push_part(site, "aligned", Reshape { shape }, &[*id])?;
        result.inputs[0] = Some(Binding::Value(id));
    }
    Ok(())
}

/// Where the last axes of several inputs meet, with the batch of those that have one at the same
/// distance from the last axis.
fn broadcast(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    let values: Vec<Option<Counted>> =
        (0..site.inputs.len()).map(|index| Counted::of(importer, site, index)).collect();
    let rank_of = |index: usize| match (&site.inputs[index], &values[index]) {
        (_, Some(counted)) => counted.rank,
        (Some(Binding::Constant(constant)), _) => constant.shape.len(),
        _ => 0,
    };
    let rank = (0..site.inputs.len()).map(rank_of).max().unwrap_or(0);
    let batched = values.iter().flatten().find(|counted| counted.layout.batch != Batch::Absent);
    let Some(batched) = batched else {
        result.layout = Layout { batch: Batch::Absent, scalar: rank == 0 };
        return Ok(());
    };
    let from_end = batched.rank - batched.layout.batch_axis().unwrap_or(0);
    let fused = matches!(batched.layout.batch, Batch::Fused { .. });
    let same = |counted: &Counted| {
        let place = counted.layout.batch_axis().map(|axis| counted.rank - axis);
        place == Some(from_end) && counted.layout.moved(0).batch == batched.layout.moved(0).batch
    };
    let meets = "the batch of one value meets another axis of the other";
    for (index, counted) in values.iter().enumerate() {
        let rank = rank_of(index);
        match (&site.inputs[index], counted) {
            (_, Some(counted)) if counted.layout.batch != Batch::Absent => {
                if !same(counted) {
                    return Err(Fault::Mixes(meets));
                }
            }
            (Some(Binding::Value(id)), Some(counted)) if rank >= from_end => {
                let axis = rank - from_end;
                if counted.sample[axis] != 1 {
                    return Err(Fault::Mixes(meets));
                }
                if !fused {
                    let id = without_axis(importer, site, index, *id, axis)?;
                    result.inputs[index] = Some(Binding::Value(id));
                }
            }
            (Some(Binding::Constant(constant)), _) if rank >= from_end => {
                let axis = rank - from_end;
                if constant.shape[axis] != 1 {
                    return Err(Fault::Mixes(
                        "a constant differs from sample to sample of a batch",
                    ));
                }
                if !fused {
                    let mut shape = constant.shape.clone();
                    shape.remove(axis);
                    let elements = constant.elements.clone();
                    let constant = Constant { shape, elements };
                    result.inputs[index] = Some(Binding::Constant(Rc::new(constant)));
                }
            }
            _ => {}
        }
    }
    let own = rank - usize::from(!fused);
    result.layout = Layout { scalar: own == 0, ..batched.layout.moved(rank - from_end) };
    Ok(())
}

fn matmul(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    let (a, b) = site.pair()?;
    let values = [0, 1].map(|index| Counted::of(importer, site, index));
    let rank = |binding: &Binding, counted: &Option<Counted>| match (binding, counted) {
        (_, Some(counted)) => counted.rank,
        (Binding::Constant(constant), _) => constant.shape.len(),
        _ => 0,
    };
    let ranks = [rank(a, &values[0]), rank(b, &values[1])];
    if ranks.contains(&0) {
        return Err(Refusal::invalid("a matrix product of scalars is not defined").into());
    }
    let out = match ranks {
        [1, 1] => 0,
        [1, rank] | [rank, 1] => rank - 1,
        [a, b] => a.max(b),
    };
    let place = |index: usize| {
        let counted = values[index].as_ref()?;
        counted.layout.batch_axis().map(|axis| ranks[index] - axis)
    };
    let contracts = Fault::Mixes("it contracts over the batch axis");
    let layout_of = |index: usize| values[index].as_ref().map_or(Layout::ABSENT, |c| c.layout);
    let (index, from_end) = match [place(0), place(1)] {
        [None, None] => {
            result.layout = Layout { batch: Batch::Absent, scalar: out == 0 };
            return Ok(());
        }
        [Some(1), _] | [_, Some(2)] => return Err(contracts),
        [Some(first), Some(second)] => {
            let alike = layout_of(0).moved(0) == layout_of(1).moved(0);
            if first != second || first < 3 || !alike {
                return Err(Fault::Mixes("the batch of one value meets another axis of the other"));
            }
            result.layout = layout_of(0).moved(out - first);
            return Ok(());
        }
        [Some(first), None] => (0, first),
        [None, Some(second)] => (1, second),
    };
    let layout = layout_of(index);
    let fused = matches!(layout.batch, Batch::Fused { .. });
    let other = 1 - index;
    if (index, from_end) == (1, 1) {
        // W X with the samples as columns: the samples are rows of the transposes' product.
        if let (Binding::Constant(weight), 2, 2, false) = (a, ranks[0], ranks[1], fused) {
            let turned = transposed(weight)?;
            result.inputs = vec![site.inputs[1].clone(), Some(Binding::Constant(Rc::new(turned)))];
            result.layout = Layout::axis(1);
            return Ok(());
        }
        return Err(Fault::Mixes("the samples of a batch are the columns of a matrix"));
    }
    if from_end == 2 && ranks[other] > 2 && !fused {
        return Err(Fault::Mixes("the samples of a batch are the rows of several matrices"));
    }
    if from_end >= 3 && ranks[other] >= from_end {
        let axis = ranks[other] - from_end;
        match &site.inputs[other] {
            Some(Binding::Constant(constant)) if constant.shape[axis] == 1 && !fused => {
                let mut shape = constant.shape.clone();
                shape.remove(axis);
                let constant = Constant { shape, elements: constant.elements.clone() };
                result.inputs[other] = Some(Binding::Constant(Rc::new(constant)));
            }
            Some(Binding::Constant(constant)) if constant.shape[axis] == 1 => {}
            Some(Binding::Value(id)) if !fused => {
                let id = without_axis(importer, site, other, *id, axis)?;
                result.inputs[other] = Some(Binding::Value(id));
            }
            _ => return Err(Fault::Mixes("it multiplies every sample by a matrix of its own")),
        }
    }
    // A vector on the right drops the last axis, one on the left the one before it.
    let axis = match (ranks[other], index) {
        (1, 0) => ranks[0] - from_end,
        (1, _) => ranks[1] - from_end,
        _ => out - from_end,
    };
    let own = out - usize::from(!fused);
    result.layout = Layout { scalar: own == 0, ..layout.moved(axis) };
    Ok(())
}

fn transposed(weight: &Constant) -> Result<Constant, Refusal> {
    let [rows, columns] = weight.shape[..] else {
        return Err(Refusal::invalid("expected a matrix"));
    };
    let data = weight.to_floats()?;
    let element = |i: usize| data[(i % rows) * columns + i / rows];
    let elements = Elements::Float((0..data.len()).map(element).collect());
    Ok(Constant { shape: vec![columns, rows], elements })
}

fn gemm(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    let Some(counted) = Counted::of(importer, site, 0) else {
        // Its translation says what it wants.
        return Ok(());
    };
    if counted.rank != 2 {
        let problem = format!("expected samples of one axis, found {:?}", counted.sample);
        return Err(Refusal::invalid(problem).into());
    }
    let turned = site.attributes.flag("transA", false)?;
    let rows = usize::from(turned);
    match counted.layout.batch {
        Batch::Absent => {}
        Batch::Axis(axis) if axis == rows => {
            set(site, result, "transA", Number::One(0));
            result.layout = Layout::FIRST;
        }
        Batch::Fused { axis: 0, .. } if !turned => {}
        _ => return Err(Fault::Mixes("it contracts over the batch axis")),
    }
    Ok(())
}

fn batch_first(importer: &mut Importer, site: &Site, result: &mut Canonical) -> Result<(), Fault> {
    for index in 0..site.inputs.len() {
        let Some(Binding::Value(id)) = site.inputs[index] else { continue };
        let layout = site.layouts[index];
        match layout.batch {
            Batch::Axis(0) if !layout.scalar => {}
            Batch::Absent if importer.batch == Some(1) => {
                let shape = importer.shape(id);
                if shape.first() != Some(&1) || shape.len() < 2 {
                    return Err(no_batch().into());
                }
                let id = without_axis(importer, site, index, id, 0)?;
                result.inputs[index] = Some(Binding::Value(id));
            }
            Batch::Absent => return Err(no_batch().into()),
            _ => return Err(Fault::Mixes("the batch is not the first axis of its input")),
        }
    }
    result.layout = Layout::FIRST;
    Ok(())
}

fn no_batch() -> Refusal {
    Refusal::new(
        "its input has no batch axis",
        "export the model with a batch as the first axis of its input, and without dropping it \
         (`x.squeeze()` drops every axis of extent 1: give it the axis)",
    )
    .across_batch()
}
