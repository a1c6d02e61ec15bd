//! Images of another size: the nearest of the elements, or what lies between them, in the ways in which
//! frameworks count them.

use burn_ptq_kernels::reference::{Alignment, POSITION_BITS, resize_position, resize_position_of};

use super::super::constants::normalize_axis;
use super::super::error::Refusal;
use super::super::growing::{Importer, Site, check_elements};
use super::movement::{push_selection, whole};
use super::shape::moves_batch;
use crate::graph::ValueId;
use crate::graph::ops::{Positions, ResizeLinear};

/// An axis as it is resized. Coordinates are computed in 32-bit floats, as ONNX Runtime does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub input: usize,
    pub output: usize,
    pub scale: f32,
}

impl Axis {
    /// The length of the output before it was rounded down, which aligned corners are at in the
    /// standard's tests.
    fn length(self) -> f32 {
        let (scaled, rounded) = (self.input as f32 * self.scale, self.output as f32);
        if self.is_whole() { rounded } else { scaled }
    }

    /// Whether the scale leads to the output's extent without rounding, as it does from sizes.
    fn is_whole(self) -> bool {
        (self.input as f32 * self.scale - self.output as f32).abs() < 1e-3
    }
}

/// How an output index becomes a coordinate of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Coordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    TfHalfPixelForNearest,
}

impl Coordinates {
    fn of(site: &Site) -> Result<Self, Refusal> {
        Ok(match site.attributes.string("coordinate_transformation_mode", "half_pixel")? {
            "half_pixel" => Self::HalfPixel,
            "half_pixel_symmetric" => Self::HalfPixelSymmetric,
            "pytorch_half_pixel" => Self::PytorchHalfPixel,
            "align_corners" => Self::AlignCorners,
            "asymmetric" => Self::Asymmetric,
            "tf_half_pixel_for_nn" => Self::TfHalfPixelForNearest,
            mode => {
                return Err(Refusal::new(
                    format!("coordinates of mode '{mode}' are not supported"),
                    "resize to whole images (half_pixel, asymmetric or align_corners)",
                ));
            }
        })
    }

    /// The coordinate of the input for output `index` of an axis.
    pub(super) fn coordinate(self, axis: Axis, index: usize) -> f32 {
        let (x, Axis { input, output, scale }) = (index as f32, axis);
        let half_pixel = || (x + 0.5) / scale - 0.5;
        match self {
            Self::HalfPixel => half_pixel(),
            Self::HalfPixelSymmetric => {
                let adjustment = output as f32 / (scale * input as f32);
                let center = input as f32 / 2.0;
                center * (1.0 - adjustment) + half_pixel()
            }
            Self::PytorchHalfPixel if output <= 1 => 0.0,
            Self::PytorchHalfPixel => half_pixel(),
            Self::AlignCorners if output <= 1 => 0.0,
            Self::AlignCorners => x * (input - 1) as f32 / (axis.length() - 1.0),
            Self::Asymmetric => x / scale,
            Self::TfHalfPixelForNearest => (x + 0.5) / scale,
        }
    }
}

/// Which element is the nearest of a coordinate.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Nearest {
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
    /// Before opset 11: down where the axis grows, else up.
    Simple,
}

impl Nearest {
    fn of(site: &Site) -> Result<Self, Refusal> {
        Ok(match site.attributes.string("nearest_mode", "round_prefer_floor")? {
            "round_prefer_floor" => Self::RoundPreferFloor,
            "round_prefer_ceil" => Self::RoundPreferCeil,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            mode => {
                return Err(Refusal::invalid(format!("attribute 'nearest_mode' is '{mode}'")));
            }
        })
    }

    fn index(self, axis: Axis, coordinate: f32) -> usize {
        let nearest = match self {
            Self::RoundPreferFloor => (coordinate - 0.5).ceil(),
            Self::RoundPreferCeil => (coordinate + 0.5).floor(),
            Self::Floor => coordinate.floor(),
            Self::Ceil => coordinate.ceil(),
            Self::Simple if axis.scale < 1.0 => coordinate.ceil(),
            Self::Simple => coordinate.floor(),
        };
        // Conversion from floats saturates at 0.
        (nearest as usize).min(axis.input - 1)
    }
}

/// `Upsample`, and `Resize` before opset 11, have scales alone.
pub(super) fn upsample(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let scales = match site.attributes.floats("scales")? {
        Some(scales) => scales.to_vec(),
        None => site.constant(1, "scales")?.to_floats()?,
    };
    let axes = scaled(&sample, &(0..sample.len() + 1).collect::<Vec<_>>(), &scales)?;
    resample(importer, site, input, &axes, Coordinates::Asymmetric, || Ok(Nearest::Simple))
}

pub(super) fn resize(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    if site.opset < 11 {
        return upsample(importer, site);
    }
    let input = site.value(0)?;
    let sample = importer.shape(input).to_vec();
    let rank = sample.len() + 1;
    let axes = match site.attributes.ints("axes")? {
        Some(axes) => axes.iter().map(|&a| normalize_axis(a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect::<Vec<_>>(),
    };
    // An empty constant stands for an input that is left out.
    let given = |constant: &std::rc::Rc<super::super::constants::Constant>| constant.len() > 0;
    let scales = site.optional(2, "scales")?.filter(given);
    let sizes = site.optional(3, "sizes")?.filter(given);
    let axes = match (scales, sizes) {
        (Some(scales), None) => scaled(&sample, &axes, &scales.to_floats()?)?,
        (None, Some(sizes)) => sized(importer, site, &sample, &axes, sizes.to_extents()?)?,
        _ => return Err(Refusal::invalid("it has neither scales nor sizes, or both")),
    };
    let coordinates = Coordinates::of(site)?;
    resample(importer, site, input, &axes, coordinates, || Nearest::of(site))
}

/// The axes of a sample for scales of `axes`, which count the batch.
fn scaled(sample: &[usize], axes: &[usize], scales: &[f32]) -> Result<Vec<Axis>, Refusal> {
    if scales.len() != axes.len() {
        let problem = format!("expected {} scales, found {}", axes.len(), scales.len());
        return Err(Refusal::invalid(problem));
    }
    let mut resized = unchanged(sample);
    for (&axis, &scale) in axes.iter().zip(scales) {
        let Some(axis) = axis.checked_sub(1) else {
            if scale == 1.0 {
                continue;
            }
            return Err(moves_batch("it resizes the batch axis".into()));
        };
        let input = sample[axis];
        // NaN, and what is negative or too large, saturates, and is refused.
        let output = (input as f32 * scale).floor() as usize;
        check_extent(output)?;
        resized[axis] = Axis { input, output, scale };
    }
    Ok(resized)
}

/// The same for the sizes of `axes`.
fn sized(
    importer: &Importer,
    site: &Site,
    sample: &[usize],
    axes: &[usize],
    sizes: &[super::super::constants::Extent],
) -> Result<Vec<Axis>, Refusal> {
    use super::super::constants::Extent;
    if sizes.len() != axes.len() {
        let problem = format!("expected {} sizes, found {}", axes.len(), sizes.len());
        return Err(Refusal::invalid(problem));
    }
    let mut resized = unchanged(sample);
    for (&axis, &size) in axes.iter().zip(sizes) {
        let Some(axis) = axis.checked_sub(1) else {
            let batch = importer.batch.map_or(1, |batch| batch as i64);
            if matches!(size, Extent::Batch(_)) || size == Extent::Known(batch) {
                continue;
            }
            return Err(moves_batch("it resizes the batch axis".into()));
        };
        let output = usize::try_from(size.known()?).unwrap_or(0);
        check_extent(output)?;
        let input = sample[axis];
        resized[axis] = Axis { input, output, scale: output as f32 / input as f32 };
    }
    // One scale for all axes, and the sizes that follow from it.
    let policy = site.attributes.string("keep_aspect_ratio_policy", "stretch")?;
    let scales = axes.iter().filter_map(|&axis| Some(resized[axis.checked_sub(1)?].scale));
    let scale = match policy {
        "stretch" => return Ok(resized),
        "not_larger" => scales.fold(f32::INFINITY, f32::min),
        "not_smaller" => scales.fold(0.0, f32::max),
        _ => {
            let problem = format!("attribute 'keep_aspect_ratio_policy' is '{policy}'");
            return Err(Refusal::invalid(problem));
        }
    };
    for axis in axes.iter().filter_map(|axis| axis.checked_sub(1)) {
        let input = sample[axis];
        let output = (input as f32 * scale + 0.5).floor() as usize;
        check_extent(output)?;
        resized[axis] = Axis { input, output, scale };
    }
    Ok(resized)
}

fn unchanged(sample: &[usize]) -> Vec<Axis> {
    sample.iter().map(|&extent| Axis { input: extent, output: extent, scale: 1.0 }).collect()
}

fn check_extent(extent: usize) -> Result<(), Refusal> {
    if extent > 0 {
        return check_elements(&[extent]);
    }
    Err(Refusal::invalid("a resized axis has no elements"))
}

/// Appends what resamples `input` along `axes`.
fn resample(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    axes: &[Axis],
    coordinates: Coordinates,
    nearest: impl Fn() -> Result<Nearest, Refusal>,
) -> Result<ValueId, Refusal> {
    check_elements(&axes.iter().map(|axis| axis.output).collect::<Vec<_>>())?;
    let mode = site.attributes.string("mode", "nearest")?;
    match mode {
        "nearest" => {}
        // As it was called before opset 9.
        "linear" | "bilinear" => return interpolate(importer, site, input, axes, coordinates),
        _ => {
            return Err(Refusal::new(
                format!("mode '{mode}' is not supported, only 'nearest' and 'linear'"),
                "resize linearly or to the nearest element",
            ));
        }
    }
    let nearest = nearest()?;
    let mut indices = whole(importer.shape(input));
    for (indices, &axis) in indices.iter_mut().zip(axes) {
        // Axes of scale 1 stay as they are, whatever the mode.
        if axis.scale != 1.0 || axis.output != axis.input {
            let index = |i: usize| nearest.index(axis, coordinates.coordinate(axis, i));
            *indices = (0..axis.output).map(index).collect();
        }
    }
    push_selection(importer, site, input, &indices)
}

/// Appends a linear interpolation of `input` along `axes`.
fn interpolate(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    axes: &[Axis],
    coordinates: Coordinates,
) -> Result<ValueId, Refusal> {
    if site.attributes.flag("antialias", false)? {
        return Err(Refusal::new(
            "attribute 'antialias': interpolation over more than two elements is not supported",
            "resize without antialiasing, or average by a pool first",
        ));
    }
    if coordinates == Coordinates::TfHalfPixelForNearest {
        return Err(Refusal::invalid(
            "coordinates of mode 'tf_half_pixel_for_nn' are for 'nearest'",
        ));
    }
    let is_whole = |axis: &Axis| axis.input == axis.output && axis.scale == 1.0;
    let spatial = match axes {
        [channels, spatial @ ..] if is_whole(channels) && (1..=2).contains(&spatial.len()) => {
            spatial
        }
        _ => {
            let sample = importer.shape(input);
            return Err(Refusal::new(
                format!(
                    "it interpolates along other axes than height and width of samples of {sample:?}"
                ),
                "resize images or sequences behind their channels",
            ));
        }
    };
    if spatial.iter().all(is_whole) {
        return Ok(input);
    }
    let mut positions = [Positions::unchanged(1), Positions::unchanged(1)];
    for (positions, &axis) in positions.iter_mut().zip(spatial) {
        check_elements(&[axis.input, axis.output])?;
        *positions = positions_of(axis, coordinates);
    }
    importer.push(site, ResizeLinear { axes: positions }, &[input])
}

/// The largest distance, in elements, of TensorFlow Lite's positions to what is meant: its scale has
/// 10 fraction bits, which do not suffice for hundreds of outputs.
const LARGEST_DISTANCE: f32 = 1.0 / 16.0;

fn positions_of(axis: Axis, coordinates: Coordinates) -> Positions {
    let Axis { input, output, scale } = axis;
    if scale == 1.0 && input == output {
        return Positions::unchanged(input);
    }
    let last = (input - 1) as f32;
    let real: Vec<f32> =
        (0..output).map(|i| coordinates.coordinate(axis, i).max(0.0).min(last)).collect();
    // TensorFlow Lite knows extents alone.
    let plain = scale == output as f32 / input as f32;
    let alignment = match coordinates {
        Coordinates::AlignCorners => Some(Alignment::Corners).filter(|_| axis.is_whole()),
        Coordinates::Asymmetric => Some(Alignment::Start).filter(|_| plain),
        Coordinates::PytorchHalfPixel if output == 1 => None,
        Coordinates::HalfPixel
        | Coordinates::HalfPixelSymmetric
        | Coordinates::PytorchHalfPixel => Some(Alignment::HalfPixel).filter(|_| plain),
        Coordinates::TfHalfPixelForNearest => None,
    };
    let exact = || real.iter().map(|&x| resize_position_of(x.into(), input)).collect::<Vec<u32>>();
    let fixed = match alignment {
        Some(alignment) => {
            let fixed: Vec<u32> =
                (0..output).map(|i| resize_position(alignment, i, input, output)).collect();
            let unit = (1_u32 << POSITION_BITS) as f32;
            let close = |(&fixed, real): (&u32, &f32)| {
                (fixed as f32 / unit - real).abs() <= LARGEST_DISTANCE
            };
            if fixed.iter().zip(&real).all(close) { fixed } else { exact() }
        }
        None => exact(),
    };
    Positions { input, real, fixed }
}
