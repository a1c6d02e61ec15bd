//! Problems whose nodes run row by row.

use burn_ptq_deploy::model::{IntModel, Stream};
use burn_ptq_deploy::plan::plan;
use burn_ptq_deploy::stream::RowProgram;
use burn_ptq_deploy::verify::verify;

use super::Problem;
use super::draw::Draw;

/// The problem with streams wherever there can be some, of random lengths and with random room;
/// `None` if there can be none.
pub fn streamed(draw: &mut Draw, whole: &Problem) -> Option<Problem> {
    let mut model = whole.model.clone();
    let mut first = 0;
    while first < model.nodes.len() {
        let longest =
            (first + 1..=model.nodes.len()).rev().find_map(|end| stream(&model, first, end));
        let Some(longest) = longest else {
            first += 1;
            continue;
        };
        let end = first + 1 + draw.below(longest.rows.len());
        let shorter = if draw.chance(30) { stream(&model, first, end) } else { None };
        let mut stream = shorter.unwrap_or(longest);
        first = stream.nodes().end;
        for (rows, node) in stream.rows.iter_mut().zip(&model.nodes[stream.first..]) {
            let height = model.tensors[node.output.0].shape[0];
            *rows = (*rows + if draw.chance(30) { draw.below(3) } else { 0 }).min(height);
        }
        model.streams.push(stream);
    }
    if model.streams.is_empty() {
        return None;
    }
    plan(&mut model);
    verify(&model).expect("a stream that can be, and its plan");
    Some(Problem { name: format!("{}, by rows", whole.name), model, input: whole.input.clone() })
}

fn stream(model: &IntModel, first: usize, end: usize) -> Option<Stream> {
    let stream = Stream { first, rows: vec![1; end - first] };
    let rows = RowProgram::unlimited(model, &stream).ok()?.capacities();
    Some(Stream { first, rows })
}
