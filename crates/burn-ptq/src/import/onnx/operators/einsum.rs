//! Sums of products over named axes: transpositions, sums and products of matrices.

use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::matmul::product;
use crate::graph::ops::{Permute, Reduce, ReduceFunction, Reshape};
use crate::graph::{Array, ValueId};

/// An operand: its labels behind the batch, and what it is.
struct Operand {
    labels: Vec<char>,
    binding: Kind,
}

enum Kind {
    Value(ValueId),
    Constant(Array),
}

pub(super) fn einsum(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let equation = site.attributes.string("equation", "")?;
    let ranks: Vec<usize> = site
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| match input {
            Some(Binding::Value(id)) => site.layout(index).rank(importer.shape(*id)),
            Some(Binding::Constant(constant)) => constant.shape.len(),
            Some(Binding::Unknown) | None => 0,
        })
        .collect();
    let (terms, output) = labels(equation, &ranks).ok_or_else(|| {
        Refusal::invalid(format!(
            "the equation '{equation}' does not fit operands of {ranks:?} axes"
        ))
    })?;
    let unusual = |why: &str| {
        Refusal::new(
            format!("the equation '{equation}' {why}"),
            "express it by MatMul, Transpose, Mul and ReduceSum",
        )
    };
    if terms.iter().any(|labels| repeats(labels)) || repeats(&output) {
        return Err(unusual("takes a diagonal"));
    }
    let values: Vec<usize> =
        (0..terms.len()).filter(|&i| matches!(site.inputs[i], Some(Binding::Value(_)))).collect();
    let Some(&first) = values.first() else {
        return Err(Refusal::invalid("expected a computed value among the inputs"));
    };
    let batched = site.layout(first).batch_axis().is_some();
    let batch = terms[first].first().copied().filter(|_| batched);
    let mut operands = Vec::with_capacity(terms.len());
    for (input, labels) in site.inputs.iter().zip(&terms) {
        let binding = match input {
            Some(Binding::Value(id)) => Kind::Value(*id),
            Some(Binding::Constant(constant)) => Kind::Constant(importer.array(constant)?),
            Some(Binding::Unknown) | None => return Err(Refusal::invalid("an input is missing")),
        };
        let mut labels = labels.clone();
        if let Some(batch) = batch {
            match &binding {
                Kind::Value(_) if labels.first() == Some(&batch) => {
                    labels.remove(0);
                }
                Kind::Constant(_) if !labels.contains(&batch) => {}
                _ => return Err(unusual("mixes the batch with other axes")),
            }
        }
        operands.push(Operand { labels, binding });
    }
    let output: Vec<char> = match batch {
        Some(batch) if output.first() != Some(&batch) => {
            return Err(unusual("does not keep the batch in front"));
        }
        Some(_) => output[1..].to_vec(),
        None => output,
    };
    let nodes = importer.graph.nodes.len();
    let value = match (operands.pop(), operands.pop(), operands.is_empty()) {
        (Some(b), Some(a), true) => contract(importer, site, [a, b], &output),
        (Some(Operand { labels, binding: Kind::Value(x) }), None, _) => {
            let summed = summed(importer, site, x, labels, &output, "summed")?;
            permuted(importer, site, summed.0, &summed.1, &output, "turned")
        }
        _ => Err(unusual("has more than two operands")),
    }?;
    // Where nothing is computed, the value keeps its name.
    let named = importer.graph.nodes.len() > nodes;
    Ok(if named { importer.merge(site, value) } else { value })
}

fn repeats(labels: &[char]) -> bool {
    (0..labels.len()).any(|i| labels[..i].contains(&labels[i]))
}

/// The labels of every operand and of the output; an ellipsis stands for capital labels of its own.
fn labels(equation: &str, ranks: &[usize]) -> Option<(Vec<Vec<char>>, Vec<char>)> {
    let compact: String = equation.chars().filter(|c| !c.is_whitespace()).collect();
    let (inputs, output) = match compact.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (compact.as_str(), None),
    };
    let terms: Vec<&str> = inputs.split(',').collect();
    if terms.len() != ranks.len() {
        return None;
    }
    // The axes of an ellipsis are counted from the last: they broadcast.
    let widest = terms
        .iter()
        .zip(ranks)
        .filter(|(term, _)| term.contains("..."))
        .map(|(term, rank)| rank.checked_sub(term.len() - 3))
        .collect::<Option<Vec<usize>>>()?
        .into_iter()
        .max()
        .unwrap_or(0);
    let hidden: Vec<char> =
        (0..widest).map(|i| char::from_u32(0xE000 + i as u32)).collect::<Option<_>>()?;
    let expand = |term: &str, rank: Option<usize>| -> Option<Vec<char>> {
        let Some((before, behind)) = term.split_once("...") else {
            return Some(term.chars().collect());
        };
        let count = rank.map_or(Some(widest), |r| r.checked_sub(before.len() + behind.len()))?;
        let own = hidden.get(widest.checked_sub(count)?..)?;
        Some(before.chars().chain(own.iter().copied()).chain(behind.chars()).collect())
    };
    let mut found = Vec::with_capacity(terms.len());
    for (term, &rank) in terms.iter().zip(ranks) {
        let labels = expand(term, Some(rank))?;
        let named = labels.iter().all(|c| c.is_ascii_alphabetic() || hidden.contains(c));
        if labels.len() != rank || !named {
            return None;
        }
        found.push(labels);
    }
    let output = match output {
        Some(output) => expand(output, None)?,
        // Without an arrow: what occurs once, in the order of the alphabet, behind the ellipsis.
        None => {
            let all: Vec<char> = found.iter().flatten().copied().collect();
            let mut once: Vec<char> = all
                .iter()
                .copied()
                .filter(|c| !hidden.contains(c) && all.iter().filter(|d| *d == c).count() == 1)
                .collect();
            once.sort_unstable();
            hidden.iter().copied().chain(once).collect()
        }
    };
    output.iter().all(|c| found.iter().flatten().any(|d| d == c)).then_some((found, output))
}

/// Sums `x` over the axes whose labels are not in `wanted`.
fn summed(
    importer: &mut Importer,
    site: &Site,
    x: ValueId,
    labels: Vec<char>,
    wanted: &[char],
    part: &str,
) -> Result<(ValueId, Vec<char>), Refusal> {
    let axes: Vec<usize> =
        (0..labels.len()).filter(|&axis| !wanted.contains(&labels[axis])).collect();
    if axes.is_empty() {
        return Ok((x, labels));
    }
    let shape = importer.shape(x).to_vec();
    let elements = axes.iter().map(|&axis| shape[axis]).product();
    let op = Reduce { function: ReduceFunction::Sum, axes: axes.clone(), elements };
    let sum = importer.push_part(site, part, op, &[x])?;
    let shape = super::reduce::dropped(&shape, &axes);
    let name = format!("{part}.dropped");
    let value = importer.push_part(site, &name, Reshape { shape }, &[sum])?;
    let labels = labels.into_iter().filter(|label| wanted.contains(label)).collect();
    Ok((value, labels))
}

/// Puts the axes of `x` into the order of `wanted`.
fn permuted(
    importer: &mut Importer,
    site: &Site,
    x: ValueId,
    labels: &[char],
    wanted: &[char],
    part: &str,
) -> Result<ValueId, Refusal> {
    let axes = order(labels, wanted)?;
    if axes.is_sorted() {
        return Ok(x);
    }
    importer.push_part(site, part, Permute { axes }, &[x])
}

fn order(labels: &[char], wanted: &[char]) -> Result<Vec<usize>, Refusal> {
    let place = |label: &char| labels.iter().position(|own| own == label);
    let axes: Option<Vec<usize>> = wanted.iter().map(place).collect();
    axes.filter(|axes| axes.len() == labels.len()).ok_or_else(|| {
        Refusal::new(
            "its operands have other axes than its output",
            "express it by MatMul, Transpose, Mul and ReduceSum",
        )
    })
}

/// The product of two operands as one of matrices: labels of both that stay are pairs, labels of both
/// that go are summed over, labels of one are rows or columns.
fn contract(
    importer: &mut Importer,
    site: &Site,
    operands: [Operand; 2],
    output: &[char],
) -> Result<ValueId, Refusal> {
    let [a, b] = operands;
    let kept = |c: &char, other: &[char]| output.contains(c) || other.contains(c);
    let sums_constant = |x: &Operand, other: &[char]| {
        matches!(x.binding, Kind::Constant(_)) && !x.labels.iter().all(|c| kept(c, other))
    };
    if sums_constant(&a, &b.labels) || sums_constant(&b, &a.labels) {
        return Err(Refusal::new(
            "it sums a constant over an axis of its own",
            "sum the constant before the export",
        ));
    }
    let [a_labels, b_labels] = [a.labels.clone(), b.labels.clone()];
    let mut operands = Vec::with_capacity(2);
    for (operand, other, part) in [(a, &b_labels, "left"), (b, &a_labels, "right")] {
        let wanted: Vec<char> = operand.labels.iter().copied().filter(|c| kept(c, other)).collect();
        operands.push(match operand.binding {
            Kind::Value(x) => {
                let (x, labels) = summed(importer, site, x, operand.labels, &wanted, part)?;
                Operand { labels, binding: Kind::Value(x) }
            }
            Kind::Constant(_) => operand,
        });
    }
    let [a, b] = [0, 1].map(|i| operands[i].labels.clone());
    let pairs: Vec<char> =
        output.iter().copied().filter(|c| a.contains(c) && b.contains(c)).collect();
    let inner: Vec<char> =
        a.iter().copied().filter(|c| b.contains(c) && !output.contains(c)).collect();
    let own = |labels: &[char], other: &[char]| -> Vec<char> {
        output.iter().copied().filter(|c| labels.contains(c) && !other.contains(c)).collect()
    };
    let (rows, columns) = (own(&a, &b), own(&b, &a));
    let extents = |operand: &Operand, importer: &Importer, labels: &[char]| -> Vec<usize> {
        let shape = match &operand.binding {
            Kind::Value(x) => importer.shape(*x).to_vec(),
            Kind::Constant(array) => array.shape.clone(),
        };
        let extent = |label: &char| {
            operand.labels.iter().position(|own| own == label).and_then(|axis| shape.get(axis))
        };
        labels.iter().filter_map(extent).copied().collect()
    };
    let size = |extents: &[usize]| extents.iter().product::<usize>();
    let [left, right] = [&operands[0], &operands[1]];
    let pair_extents = extents(left, importer, &pairs);
    let inner_extents = extents(left, importer, &inner);
    if pair_extents != extents(right, importer, &pairs)
        || inner_extents != extents(right, importer, &inner)
    {
        return Err(Refusal::new(
            "axes of one label have different extents",
            "give operands that broadcast their full extents",
        ));
    }
    let row_extents = extents(left, importer, &rows);
    let column_extents = extents(right, importer, &columns);
    let pair_count = size(&pair_extents);
    let matrices = |first: usize, second: usize| match pairs.is_empty() {
        true => vec![first, second],
        false => vec![pair_count, first, second],
    };
    let shapes = [
        matrices(size(&row_extents), size(&inner_extents)),
        matrices(size(&inner_extents), size(&column_extents)),
    ];
    let orders = [[&pairs[..], &rows, &inner].concat(), [&pairs[..], &inner, &columns].concat()];
    let mut bindings = Vec::with_capacity(2);
    for (i, operand) in operands.into_iter().enumerate() {
        let part = ["left", "right"][i];
        let axes = order(&operand.labels, &orders[i])?;
        bindings.push(match operand.binding {
            Kind::Value(x) => {
                let name = format!("{part}.turned");
                let x = permuted(importer, site, x, &operand.labels, &orders[i], &name)?;
                let name = format!("{part}.matrices");
                reshaped(importer, site, x, &shapes[i], &name)?.into()
            }
            Kind::Constant(array) => {
                importer.budget.allocate(&array.shape, size_of::<f32>())?;
                super::matmul::Factor::Constant(turned(&array, &axes, shapes[i].clone()))
            }
        });
    }
    let (Some(second), Some(first)) = (bindings.pop(), bindings.pop()) else {
        return Err(Refusal::invalid("expected two operands"));
    };
    let result = product(importer, site, "product", [first, second])?;
    let all = [&pair_extents[..], &row_extents, &column_extents].concat();
    let shape = if all.is_empty() { vec![1] } else { all };
    let split = reshaped(importer, site, result, &shape, "split")?;
    let found = [&pairs[..], &rows, &columns].concat();
    match found.is_empty() {
        true => Ok(split),
        false => permuted(importer, site, split, &found, output, "ordered"),
    }
}

fn reshaped(
    importer: &mut Importer,
    site: &Site,
    x: ValueId,
    shape: &[usize],
    part: &str,
) -> Result<ValueId, Refusal> {
    if importer.shape(x) == shape {
        return Ok(x);
    }
    importer.push_part(site, part, Reshape { shape: shape.to_vec() }, &[x])
}

/// A constant with its axes in another order, as an array of `shape`.
fn turned(array: &Array, axes: &[usize], shape: Vec<usize>) -> Array {
    let rank = array.shape.len();
    let mut steps = vec![1; rank];
    for axis in (0..rank.saturating_sub(1)).rev() {
        steps[axis] = steps[axis + 1] * array.shape[axis + 1];
    }
    let extents: Vec<usize> = axes.iter().map(|&axis| array.shape[axis]).collect();
    let place = |mut index: usize| {
        let mut at = 0;
        for (axis, &extent) in axes.iter().zip(&extents).rev() {
            at += index % extent * steps[*axis];
            index /= extent;
        }
        at
    };
    let data = (0..array.data.len()).map(|i| array.data[place(i)]).collect();
    Array::new(shape, data)
}
