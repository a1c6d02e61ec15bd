//! The walk over the operators of a file.

use std::collections::HashSet;

use burn_ptq_deploy::tflite::file::{Graph, Names};
use onnx_ir::GraphProto;

use super::operators;
use super::translator::Translator;
use crate::import::onnx::Problem;

/// After this many problems, the rest is not examined.
const MOST_PROBLEMS: usize = 1000;

/// What a graph of a file computes, in the vocabulary of ONNX.
///
/// # Errors
/// All inputs that no model reads; otherwise all operators that cannot be imported.
pub(super) fn translate(file: &Graph, names: &Names) -> Result<GraphProto, Vec<Problem>> {
    let mut translator = Translator::new(file, names)?;
    let mut problems = Vec::new();
    let needed = needed(file);
    for (operator, _) in file.operators.iter().zip(needed).filter(|(_, needed)| *needed) {
        let Some(&output) = operator.outputs.first() else { continue };
        translator.begin(output);
        if problems.len() >= MOST_PROBLEMS {
            break;
        }
        if let Err(refusal) = operators::translate(&mut translator, operator) {
            problems.push(translator.refused(operator.name(), &operator.outputs, refusal));
        }
    }
    translator.finish(problems)
}

/// Which operators the outputs depend on; those that compute the shapes of others are not among them, since the
/// file states all shapes.
fn needed(file: &Graph) -> Vec<bool> {
    let mut tensors: HashSet<usize> = file.outputs.iter().copied().collect();
    let mut needed = vec![false; file.operators.len()];
    for (needed, operator) in needed.iter_mut().zip(&file.operators).rev() {
        if !operator.outputs.iter().any(|output| tensors.contains(output)) {
            continue;
        }
        *needed = true;
        let of_shape = match operator.name().as_str() {
            "RESHAPE" | "RESIZE_BILINEAR" | "RESIZE_NEAREST_NEIGHBOR" | "BROADCAST_TO" => Some(1),
            "TRANSPOSE_CONV" => Some(0),
            _ => None,
        };
        let inputs = operator.inputs.iter().enumerate();
        tensors
            .extend(inputs.filter(|(place, _)| Some(*place) != of_shape).filter_map(|(_, at)| *at));
    }
    needed
}
