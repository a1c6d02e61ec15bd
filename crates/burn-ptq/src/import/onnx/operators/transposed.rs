//! Transposed convolution: zeros between the elements, then a convolution with the kernel turned
//! around.

use super::super::error::Refusal;
use super::super::growing::{Importer, Site, check_elements};
use super::window;
use crate::graph::ops::{Conv2d, Dilate, Window};
use crate::graph::{Array, ValueId};

pub(super) fn conv_transpose(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let rank = window::spatial_extents(&sample)?.len();
    let weight = importer.array(&*site.constant(1, "weight")?)?;
    let groups = usize::try_from(site.attributes.int("group", 1)?).unwrap_or(0);
    let channels = sample[0];
    if weight.shape.len() != rank + 2 || weight.is_empty() || weight.shape[0] != channels {
        let kernel = if rank == 1 { "length" } else { "height, width" };
        return Err(Refusal::new(
            format!(
                "expected a weight of [{channels}, output channels / groups, {kernel}] for samples \
                 of {sample:?}, found {:?}",
                weight.shape
            ),
            "check the input's rank and channels",
        ));
    }
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(Refusal::invalid(format!(
            "attribute 'group': expected a divisor of the {channels} input channels, found {groups}"
        )));
    }
    let out = weight.shape[1] * groups;
    let bias = match site.optional(2, "bias")? {
        Some(bias) => importer.array(&bias)?,
        None => Array::full([out], 0.0),
    };
    if bias.shape != [out] {
        return Err(Refusal::invalid(format!(
            "expected a bias of [{out}], found {:?}",
            bias.shape
        )));
    }
    let kernel = weight.shape[2..].to_vec();
    let declared = window::spatial_attribute(site, "kernel_shape", rank, 1)?;
    if declared.is_some_and(|d| d != kernel) {
        return Err(Refusal::invalid(format!(
            "attribute 'kernel_shape' contradicts the weight of shape {:?}",
            weight.shape
        )));
    }
    let (dilate, window) = geometry(site, &sample, &kernel)?;
    let op = Conv2d { weight: turned_around(&weight, groups), bias, window, groups };
    match dilate {
        Some(dilate) => {
            let spread = importer.push_part(site, "spread", dilate, &[input])?;
            importer.push(site, op, &[spread])
        }
        None => importer.push(site, op, &[input]),
    }
}

/// How the input is spread, and the window over it. Without strides and cropping it is a convolution
/// as any other, over the input itself.
fn geometry(
    site: &Site,
    sample: &[usize],
    kernel: &[usize],
) -> Result<(Option<Dilate>, Window), Refusal> {
    let rank = kernel.len();
    let spatial = window::spatial_extents(sample)?;
    let integers = |name: &str, count: usize, lowest: i64, default: usize| {
        let given = window::spatial_attribute(site, name, count, lowest)?;
        Ok::<_, Refusal>(given.unwrap_or_else(|| vec![default; count]))
    };
    let strides = integers("strides", rank, 1, 1)?;
    let dilations = integers("dilations", rank, 1, 1)?;
    let pads = integers("pads", 2 * rank, 0, 0)?;
    let extra = integers("output_padding", rank, 0, 0)?;
    let wanted = window::spatial_attribute(site, "output_shape", rank, 1)?;
    let auto_pad = site.attributes.string("auto_pad", "NOTSET")?;
    if !["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].contains(&auto_pad) {
        return Err(Refusal::invalid(format!(
            "attribute 'auto_pad': expected NOTSET, VALID, SAME_UPPER or SAME_LOWER, found \
             '{auto_pad}'"
        )));
    }
    let mut dilate = Dilate { stride: [1; 2], begin: [0; 2], output: [1; 2] };
    let mut window = Window::new([1; 2]);
    let mut padded = [[0_isize; 2]; 2];
    for axis in 0..rank {
        let (extent, stride) = (spatial[axis], strides[axis]);
        let reach = (kernel[axis] - 1) * dilations[axis] + 1;
        let full = (extent - 1) * stride + extra[axis] + reach;
        let split = |total: usize| {
            let half = total / 2;
            if auto_pad == "SAME_UPPER" { [half, total - half] } else { [total - half, half] }
        };
        let (pad, output) = match (wanted.as_ref().map(|wanted| wanted[axis]), auto_pad) {
            // Of outputs behind all inputs only the bias is left.
            (Some(wanted), _) => (split(full.saturating_sub(wanted)), wanted),
            (None, "SAME_UPPER" | "SAME_LOWER") => {
                let pad = split(full.saturating_sub(extent * stride));
                (pad, full - pad[0] - pad[1])
            }
            (None, "VALID") => ([0; 2], full),
            (None, _) => {
                let pad = [pads[axis], pads[rank + axis]];
                (pad, full.saturating_sub(pad[0] + pad[1]))
            }
        };
        if output == 0 {
            return Err(Refusal::new(
                format!(
                    "nothing is left of {full} outputs along axis {axis} with {} cut off before and \
                     {} behind (samples of {sample:?})",
                    pad[0], pad[1]
                ),
                "check the input's size, the kernel and the padding",
            ));
        }
        let begin = (reach - 1) as isize - pad[0] as isize;
        let places = output + reach - 1;
        padded[axis] = [begin, places as isize - begin - extent as isize];
        dilate.stride[axis] = stride;
        dilate.begin[axis] = begin;
        dilate.output[axis] = places;
        window.kernel[axis] = kernel[axis];
        window.dilation[axis] = dilations[axis];
    }
    // Before anything walks over it.
    check_elements(&[sample[0], dilate.output[0], dilate.output[1]])?;
    if dilate.stride == [1; 2] && padded.iter().flatten().all(|&pad| pad >= 0) {
        window.begin = padded.map(|[begin, _]| begin.unsigned_abs());
        window.end = padded.map(|[_, end]| end.unsigned_abs());
        // Padding far behind the input has no integer kernel.
        if window.end.iter().zip(window.begin).all(|(&end, begin)| end <= begin + 1) {
            return Ok((None, window));
        }
        (window.begin, window.end) = ([0; 2], [0; 2]);
    }
    Ok((Some(dilate), window))
}

/// `[in_channels, out_channels / groups, kernel..]` as the weight of the convolution:
/// `[out_channels, in_channels / groups, kernel_h, kernel_w]`, its taps in the opposite order.
fn turned_around(weight: &Array, groups: usize) -> Array {
    let [channels, out_of_group] = [0, 1].map(|axis| weight.shape[axis]);
    let mut kernel = weight.shape[2..].to_vec();
    kernel.resize(2, 1);
    let taps = kernel[0] * kernel[1];
    let in_of_group = channels / groups;
    let mut data = Vec::with_capacity(weight.len());
    for o in 0..out_of_group * groups {
        let (group, o) = (o / out_of_group, o % out_of_group);
        for c in 0..in_of_group {
            let first = ((group * in_of_group + c) * out_of_group + o) * taps;
            data.extend(weight.data[first..first + taps].iter().rev());
        }
    }
    Array::new([out_of_group * groups, in_of_group, kernel[0], kernel[1]], data)
}
