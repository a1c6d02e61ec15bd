//! The axes of a movement as Rust writes them.

use burn_ptq_kernels::reference::{MAX_AXES, Steps};

use super::literals::array;
use crate::movement::MoveAxis;

/// The static `AXES`, and those with the lists of places that it refers to.
pub(super) fn axes(axes: &[MoveAxis]) -> String {
    const STEPS: &str = "burn_ptq_kernels::reference::Steps";
    let (mut lists, mut printed) = (String::new(), String::new());
    for (index, axis) in MoveAxis::padded(axes).into_iter().enumerate() {
        let axis = match axis {
            Steps::Even { count, step } => format!("Even {{ count: {count}, step: {step} }}"),
            Steps::Listed(places) => {
                lists.push_str(&array(&format!("PLACES{index}"), "u32", places));
                format!("Listed(&PLACES{index})")
            }
        };
        printed.push_str(&format!("    {STEPS}::{axis},\n"));
    }
    format!("{lists}pub static AXES: [{STEPS}<'static>; {MAX_AXES}] = [\n{printed}];\n")
}
