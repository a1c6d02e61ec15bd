//! The axes of a movement as C writes them.

use burn_ptq_kernels::reference::Steps;

use super::data::array;
use crate::movement::MoveAxis;

/// The lists of places of the node `id`, which are `constant`, and the field `axes` of its parameters.
pub(super) fn axes(constant: &str, id: &str, axes: &[MoveAxis]) -> (String, String) {
    let (mut lists, mut printed) = (String::new(), String::new());
    for (index, axis) in MoveAxis::padded(axes).into_iter().enumerate() {
        let axis = match axis {
            Steps::Even { count, step } => format!("{{{count}, {step}, NULL}}"),
            Steps::Listed(places) => {
                let name = format!("{id}_places{index}");
                lists.push_str(&array(constant, "uint32_t", &name, places));
                format!("{{{}, 0, {name}}}", places.len())
            }
        };
        printed.push_str(&format!("    {axis},\n"));
    }
    (lists, format!(".axes = {{\n{printed}}},"))
}
