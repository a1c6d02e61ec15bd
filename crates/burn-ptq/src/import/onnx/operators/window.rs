//! The attributes that convolutions and pools share.

use super::super::error::Refusal;
use super::super::growing::{Site, check_elements};
use crate::graph::ops::Window;

/// The largest kernel, stride, dilation or padding along one axis.
const MAX_STEP: i64 = u16::MAX as i64;

/// A window over a sample.
pub(super) struct Sliding {
    pub window: Window,
    /// How much of the end padding is only there because the output's extents are rounded up.
    pub ceil_extra: [usize; 2],
    /// The output's height and width.
    pub output: [usize; 2],
}

/// The extents behind the channels, which a window walks over.
pub(super) fn spatial_extents(sample: &[usize]) -> Result<&[usize], Refusal> {
    match sample {
        [_, spatial @ ..] if (1..=2).contains(&spatial.len()) => Ok(spatial),
        [_, spatial @ ..] if spatial.len() > 2 => Err(Refusal::new(
            format!(
                "it works over the {} axes behind the channels of samples of {sample:?}, expected one \
                 or two",
                spatial.len()
            ),
            "only 1-D and 2-D windows are supported: cut volumes into slices, or cut the model before \
             it",
        )),
        _ => Err(Refusal::new(
            format!(
                "expected samples of [channels, height, width] or [channels, length], found {sample:?}"
            ),
            "give the model an image or a sequence, or reshape in front of the node",
        )),
    }
}

/// Checked integers, one for each of `rank` spatial axes.
pub(super) fn spatial_attribute(
    site: &Site,
    name: &str,
    rank: usize,
    lowest: i64,
) -> Result<Option<Vec<usize>>, Refusal> {
    let Some(values) = site.attributes.ints(name)? else {
        return Ok(None);
    };
    let valid = |v: &i64| (lowest..=MAX_STEP).contains(v);
    if values.len() != rank || !values.iter().all(valid) {
        return Err(Refusal::new(
            format!(
                "attribute '{name}': expected {rank} numbers from {lowest} to {MAX_STEP}, found \
                 {values:?}"
            ),
            "only 1-D and 2-D windows with positive steps are supported",
        ));
    }
    Ok(Some(values.iter().map(|&v| v as usize).collect()))
}

/// Reads strides, dilations, padding and rounding of a window of `kernel` over a sample.
pub(super) fn read(site: &Site, sample: &[usize], kernel: &[usize]) -> Result<Sliding, Refusal> {
    let spatial = spatial_extents(sample)?;
    let rank = spatial.len();
    if kernel.len() != rank {
        return Err(Refusal::new(
            format!("expected a kernel of {rank} axes for samples of {sample:?}, found {kernel:?}"),
            "check the input's rank",
        ));
    }
    let ones = || vec![1; rank];
    let strides = spatial_attribute(site, "strides", rank, 1)?.unwrap_or_else(ones);
    let dilations = spatial_attribute(site, "dilations", rank, 1)?.unwrap_or_else(ones);
    let pads = spatial_attribute(site, "pads", 2 * rank, 0)?.unwrap_or_else(|| vec![0; 2 * rank]);
    let auto_pad = site.attributes.string("auto_pad", "NOTSET")?;
    let ceil = site.attributes.flag("ceil_mode", false)?;

    let mut window = Window::new([1; 2]);
    let mut ceil_extra = [0; 2];
    for axis in 0..rank {
        let extent = spatial[axis];
        let stride = strides[axis];
        let reach = (kernel[axis] - 1) * dilations[axis] + 1;
        let (begin, mut end) = match auto_pad {
            "NOTSET" => (pads[axis], pads[rank + axis]),
            "VALID" => (0, 0),
            "SAME_UPPER" | "SAME_LOWER" => {
                let covered = (extent.div_ceil(stride) - 1) * stride + reach;
                let total = covered.saturating_sub(extent);
                let half = total / 2;
                if auto_pad == "SAME_UPPER" { (half, total - half) } else { (total - half, half) }
            }
            other => {
                return Err(Refusal::invalid(format!(
                    "attribute 'auto_pad': expected NOTSET, VALID, SAME_UPPER or SAME_LOWER, found \
                     '{other}'"
                )));
            }
        };
        let padded = extent + begin + end;
        if ceil && !auto_pad.starts_with("SAME") && padded >= reach {
            // A window that would start in the padding at the end is left out. ONNX Runtime rounds
            // up with VALID too, though the standard's formula does not.
            let steps = (padded - reach).div_ceil(stride);
            let last = if steps * stride >= extent + begin { steps - 1 } else { steps };
            ceil_extra[axis] = (last * stride + reach).saturating_sub(padded);
            end += ceil_extra[axis];
        }
        window.kernel[axis] = kernel[axis];
        window.stride[axis] = stride;
        window.dilation[axis] = dilations[axis];
        window.begin[axis] = begin;
        window.end[axis] = end;
    }
    let extents = [spatial[0], spatial.get(1).copied().unwrap_or(1)];
    let output = window.output(extents).map_err(|problem| {
        Refusal::new(
            format!("{problem} (samples of {sample:?})"),
            "check the input's size, the kernel and the padding",
        )
    })?;
    // Before anything walks over the output or the padded input.
    check_elements(&[sample[0], output[0], output[1]])?;
    check_elements(&[
        sample[0],
        extents[0] + window.begin[0] + window.end[0],
        extents[1] + window.begin[1] + window.end[1],
    ])?;
    Ok(Sliding { window, ceil_extra, output })
}
