//! What opset 6 means otherwise than those after it.

use std::rc::Rc;

use super::constants::Constant;
use super::error::Refusal;
use super::growing::{Binding, Site};
use crate::graph::Graph;

/// Operators that broadcast their second input only where an attribute says so, from the axis that
/// another names.
const BROADCAST: [&str; 5] = ["Add", "Sub", "Mul", "Div", "Pow"];

/// Makes `site`, which is of opset 6, one of opset 7.
///
/// # Errors
/// If it is in training mode, or broadcasts a computed value from an axis in the middle.
pub(super) fn modernize(graph: &Graph, site: &mut Site) -> Result<(), Refusal> {
    if site.op == "BatchNormalization" && !site.attributes.flag("is_test", false)? {
        let hint = "export the model for inference (is_test = 1)";
        return Err(Refusal::new("it is in training mode", hint));
    }
    if !BROADCAST.contains(&site.op) || !site.attributes.has("axis") {
        return Ok(());
    }
    let rank = |index: usize| match site.inputs.get(index) {
        Some(Some(Binding::Constant(constant))) => constant.shape.len(),
        Some(Some(Binding::Value(id))) => site.layouts[index].rank(&graph.value(*id).shape),
        _ => 0,
    };
    let (whole, own) = (rank(0), rank(1));
    let axis = site.attributes.int("axis", 0)?;
    let axis = if axis < 0 { axis.saturating_add(whole as i64) } else { axis };
    let end = usize::try_from(axis).ok().and_then(|axis| axis.checked_add(own));
    let behind = end.and_then(|end| whole.checked_sub(end));
    match (behind, site.inputs.get_mut(1)) {
        (Some(0), _) => Ok(()),
        (Some(ones), Some(Some(Binding::Constant(constant)))) => {
            let shape = [&constant.shape[..], &vec![1; ones]].concat();
            *constant = Rc::new(Constant { shape, elements: constant.elements.clone() });
            Ok(())
        }
        _ => Err(Refusal::new(
            format!("it broadcasts from axis {axis} values of {whole} and {own} axes"),
            "convert the model to opset 13 with onnx.version_converter",
        )),
    }
}
