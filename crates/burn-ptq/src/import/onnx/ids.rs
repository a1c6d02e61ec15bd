//! Ids that are brought into the range of a table before they are looked up there.
//!
//! Keras writes `Where(ids < 0, ids + rows, ids)`, or products with truths that mean it. A lookup counts
//! negative ids from the last row itself, so it reads the ids as they are fed. What counts is the function,
//! not its spelling: it is evaluated for every id.

use onnx_ir::{GraphProto, NodeProto};

use super::domain::is_standard_domain;
use super::fuse::Pieces;
use super::tensor::data_type;
use crate::graph::ops::MAX_ROWS;

/// Nodes between the ids and the lookup, at most.
const LONGEST: usize = 16;
/// Evaluations of a node in one model, at most: a hostile file may have any number of lookups.
const MAX_EVALUATIONS: usize = 4_000_000;

const COMPARISONS: [&str; 4] = ["Greater", "GreaterOrEqual", "Less", "LessOrEqual"];

/// Lets every lookup read the ids themselves.
pub(super) fn simplify(graph: &mut GraphProto, opset: i64) {
    let pieces = Pieces::new(graph, opset);
    let mut budget = MAX_EVALUATIONS;
    let mut found = Vec::new();
    for (index, node) in graph.node.iter().enumerate() {
        let [table, ids] = &node.input[..] else { continue };
        if node.op_type != "Gather" || !is_standard_domain(&node.domain) {
            continue;
        }
        let along = node.attribute.iter().find(|attribute| attribute.name == "axis");
        let Some(&[rows, _]) = pieces.extents(table) else { continue };
        if along.is_some_and(|axis| axis.i != 0) || !(1..=MAX_ROWS as i64).contains(&rows) {
            continue;
        }
        if let Some(source) = source(&pieces, ids, rows, &mut budget) {
            found.push((index, source.to_string()));
        }
    }
    for (index, source) in found {
        graph.node[index].input[1] = source;
    }
}

/// What a step reads: a number, or what an earlier one gave.
#[derive(Clone, Copy)]
enum Read {
    Number(i64),
    Value(usize),
}

struct Step<'a> {
    node: &'a NodeProto,
    reads: Vec<Read>,
}

/// The value whose elements `ids` are, except that negative ones may be counted from the front already.
fn source<'a>(pieces: &Pieces<'a>, ids: &'a str, rows: i64, budget: &mut usize) -> Option<&'a str> {
    let mut nodes: Vec<(usize, &NodeProto)> = Vec::new();
    let mut names = vec![ids];
    let mut next = 0;
    while let Some(&name) = names.get(next) {
        next += 1;
        let Some((index, node)) = pieces.writer(name) else { continue };
        let known = nodes.iter().any(|(other, _)| *other == index);
        if known || nodes.len() == LONGEST || !is_pointwise(node) {
            continue;
        }
        nodes.push((index, node));
        for input in &node.input {
            if !names.contains(&input.as_str()) {
                names.push(input);
            }
        }
    }
    // Files are sorted; where one is not, nothing is found.
    nodes.sort_unstable_by_key(|(index, _)| *index);
    names.iter().skip(1).copied().find(|source| {
        let Some(steps) = steps(pieces, &nodes, source, ids) else { return false };
        // Casts and sums alone are no more than what they say.
        if !steps.iter().any(|step| COMPARISONS.contains(&step.node.op_type.as_str())) {
            return false;
        }
        (-rows..rows).all(|id| {
            let Some(left) = budget.checked_sub(steps.len()) else { return false };
            *budget = left;
            let row = evaluate(&steps, id);
            row == Some(id) || (id < 0 && row == Some(id + rows))
        })
    })
}

/// The steps from `source` to `ids`; `None` if those depend on something else.
fn steps<'a>(
    pieces: &Pieces,
    nodes: &[(usize, &'a NodeProto)],
    source: &str,
    ids: &str,
) -> Option<Vec<Step<'a>>> {
    let mut names = vec![source];
    let mut steps = Vec::new();
    for (_, node) in nodes {
        let read = |name: &String| {
            let value = names.iter().position(|known| known == name);
            value.map(Read::Value).or_else(|| number(pieces, name).map(Read::Number))
        };
        let reads: Option<Vec<Read>> = node.input.iter().map(read).collect();
        if let (Some(reads), [output]) = (reads, &node.output[..])
            && output != source
        {
            names.push(output);
            steps.push(Step { node, reads });
            if output == ids {
                return Some(steps);
            }
        }
    }
    None
}

fn number(pieces: &Pieces, name: &str) -> Option<i64> {
    let number = pieces.scalar(name)?;
    // Floats count in ones up to there.
    (number.fract() == 0.0 && number.abs() < 16_777_216.0).then_some(number as i64)
}

/// What the last step gives for an id.
fn evaluate(steps: &[Step], id: i64) -> Option<i64> {
    let mut values = vec![id];
    for step in steps {
        let read = |index: usize| match step.reads.get(index)? {
            Read::Number(number) => Some(*number),
            Read::Value(place) => values.get(*place).copied(),
        };
        let truth = |truth: bool| Some(i64::from(truth));
        let (a, b) = (read(0)?, read(1));
        let value = match step.node.op_type.as_str() {
            "Identity" => Some(a),
            "Cast" => cast(step.node, a),
            "Not" => truth(a == 0),
            "Add" => a.checked_add(b?),
            "Sub" => a.checked_sub(b?),
            "Mul" => a.checked_mul(b?),
            "Less" => truth(a < b?),
            "LessOrEqual" => truth(a <= b?),
            "Greater" => truth(a > b?),
            "GreaterOrEqual" => truth(a >= b?),
            "Where" => {
                if a != 0 {
                    b
                } else {
                    read(2)
                }
            }
            _ => None,
        };
        values.push(value?);
    }
    values.last().copied()
}

/// Whether it computes each element from those at the same place, as [`evaluate`] does.
fn is_pointwise(node: &NodeProto) -> bool {
    let known = "Add Cast Greater GreaterOrEqual Identity Less LessOrEqual Mul Not Sub Where";
    is_standard_domain(&node.domain) && known.split(' ').any(|name| name == node.op_type)
}

/// A cast of an id to a type that holds it.
fn cast(node: &NodeProto, id: i64) -> Option<i64> {
    let to = node.attribute.iter().find(|attribute| attribute.name == "to")?;
    match i32::try_from(to.i).ok()? {
        data_type::BOOL => Some(i64::from(id != 0)),
        data_type::FLOAT | data_type::DOUBLE | data_type::INT32 | data_type::INT64 => Some(id),
        _ => None,
    }
}
