//! Windows: where they begin and end, and pools.

use burn_ptq_kernels::geometry::{PoolGeometry, Window};
use burn_ptq_kernels::params::Clamp;

use super::form::Form;
use super::graph::{Graph, whole};
use super::schema::{Attribute, integer, integers};
use crate::export::shared::refusal::Refusal;
use crate::export::shared::window::end;
use crate::program::TensorId;

/// The part of a plane that windows read, and what they read behind it.
pub(super) struct Around {
    /// Rows and columns from the first to those before these.
    pub used: [usize; 2],
    /// Padding behind them.
    pub after: [usize; 2],
}

/// What windows read of a plane.
pub(super) fn around(
    window: &Window,
    extents: [usize; 2],
    output: [usize; 2],
) -> Result<Around, Refusal> {
    let end = end(window, output);
    if (0..2).any(|axis| end[axis] <= window.pad[axis]) {
        return Err(Refusal::new("all of its windows lie in the padding"));
    }
    let read = [0, 1].map(|axis| end[axis] - window.pad[axis]);
    let used = [0, 1].map(|axis| read[axis].min(extents[axis]));
    Ok(Around { used, after: [0, 1].map(|axis| read[axis] - used[axis]) })
}

/// The attributes of a window with padding before and behind both axes.
pub(super) fn attributes(
    window: &Window,
    [before, after]: [[usize; 2]; 2],
    groups: Option<usize>,
) -> Vec<Attribute> {
    let mut attributes = vec![
        integers("kernel_shape", window.kernel),
        integers("strides", window.stride),
        integers("pads", before.into_iter().chain(after)),
    ];
    if window.dilation != [1, 1] {
        attributes.push(integers("dilations", window.dilation));
    }
    if let Some(groups) = groups.filter(|&groups| groups != 1) {
        attributes.push(integer("group", groups as i64));
    }
    attributes
}

/// The rows and columns of planes before `end`.
pub(super) fn cropped(
    graph: &mut Graph,
    value: String,
    extents: [usize; 2],
    end: [usize; 2],
) -> String {
    if end == extents {
        return value;
    }
    let start = graph.list("crop_starts", &[0, 0]);
    let end = graph.list("crop_ends", &end.map(|number| number as i64));
    let axes = graph.list("crop_axes", &[2, 3]);
    graph.helper("Slice", "cropped", &[&value, &start, &end, &axes], Vec::new())
}

/// Writes the pool `operator` of `ends[0]` to `ends[1]`.
pub(super) fn pool(
    graph: &mut Graph,
    operator: &'static str,
    g: &PoolGeometry,
    clamp: Clamp,
    [x, y]: [TensorId; 2],
) -> Result<(), Refusal> {
    let Around { used, after } = around(&g.window, g.input, g.output)?;
    let source = graph.integers(x, &Form::planes([g.input[0], g.input[1], g.channels]));
    let source = cropped(graph, source, g.input, used);
    let mut pads = [g.window.pad, after];
    // Pools take no padding as large as the kernel.
    let fits = |pads: &[usize; 2]| (0..2).all(|axis| pads[axis] < g.window.kernel[axis]);
    let source = if pads.iter().all(fits) {
        graph.dequantized(x, source)
    } else {
        if operator != MAX_POOL {
            return Err(Refusal::new("an average pool takes no padding as large as its kernel"));
        }
        // No element of an activation is below the lowest.
        let lowest = whole(graph.of(x)).min;
        let [before, after] = pads.map(|pads| pads.map(|pad| pad as i64));
        let list = [0, 0, before[0], before[1], 0, 0, after[0], after[1]];
        pads = [[0; 2]; 2];
        graph.padded(x, source, &list, lowest)
    };
    let mut attributes = attributes(&g.window, pads, None);
    if operator == AVERAGE_POOL {
        attributes.push(integer("count_include_pad", 0));
    }
    let value = graph.operator(operator, &[&source], attributes);
    let form = Form::planes([g.output[0], g.output[1], g.channels]);
    if operator == MAX_POOL {
        graph.write_moved(y, value, form, clamp);
    } else {
        graph.write(y, value, form, clamp);
    }
    Ok(())
}

pub(super) const AVERAGE_POOL: &str = "AveragePool";
pub(super) const MAX_POOL: &str = "MaxPool";
