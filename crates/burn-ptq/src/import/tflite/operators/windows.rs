//! Operators that slide windows over images.

use burn::tensor::TensorData;
use burn_ptq_deploy::tflite::file::Operator;
use burn_ptq_deploy::tflite::places::{
    conv as places, depthwise as depthwise_places, options, pool, window,
};
use burn_ptq_deploy::tflite::schema::Padding;

use super::activation::activated;
use super::fields::{byte, int, option};
use crate::import::proto::{int as attribute, ints, string};
use crate::import::tflite::translator::{Call, Refusal, Translator, optional, permuted};
use crate::import::tflite::values::Order;

/// Strides and padding of an operator along height and width.
struct Window {
    strides: [usize; 2],
    padding: Padding,
}

/// A stride, dilation or extent of an operator's options; 1 if it is not there.
fn at_least_1(operator: &Operator, place: usize) -> Result<usize, Refusal> {
    if !option(operator, |options| options.has(place))? {
        return Ok(1);
    }
    let number = int(operator, place)?;
    let known = usize::try_from(number).ok().filter(|&number| number > 0);
    known.ok_or_else(|| Refusal::invalid(format!("a stride, dilation or extent of {number}")))
}

impl Window {
    fn of(operator: &Operator) -> Result<Self, Refusal> {
        let padding = byte(operator, window::PADDING)?;
        let known = Padding::of_code(padding);
        Ok(Self {
            strides: [
                at_least_1(operator, window::STRIDE_H)?,
                at_least_1(operator, window::STRIDE_W)?,
            ],
            padding: known.ok_or_else(|| Refusal::invalid(format!("padding {padding}")))?,
        })
    }

    /// Padding before height and width, and after both, for windows that span `reach`.
    fn pads(&self, image: [usize; 2], reach: [usize; 2]) -> [usize; 4] {
        let total =
            |axis: usize| self.padding.windows(image[axis], self.strides[axis], reach[axis]).1;
        let (height, width) = (total(0), total(1));
        [height / 2, width / 2, height - height / 2, width - width / 2]
    }
}

/// Height and width of an image.
fn extents(t: &Translator, at: usize) -> Result<[usize; 2], Refusal> {
    match t.tensor(at).shape[..] {
        [_, height, width, _] => Ok([height, width]),
        _ => {
            let found = t.tensor(at).shape.len();
            Err(Refusal::new(
                format!("an input of {found} axes, expected 4: batch, height, width, channels"),
                "convert the model with two-dimensional layers",
            ))
        }
    }
}

/// A kernel's four extents.
fn kernel(t: &Translator, at: usize) -> Result<[usize; 4], Refusal> {
    t.tensor(at).shape[..].try_into().map_err(|_| Refusal::invalid("weights without four axes"))
}

/// The input, the turned weights, and the bias if there is one.
fn weighted(
    t: &mut Translator,
    operator: &Operator,
    [input, weights, bias]: [usize; 3],
    turned: [usize; 4],
) -> Result<Vec<String>, Refusal> {
    let (input, weights) = (t.input(operator, input)?, t.input(operator, weights)?);
    let data = permuted(&t.real(weights)?, &turned)?;
    let mut inputs = vec![t.value(input, Order::First)?, t.store("weight", &data)];
    if let Some(bias) = optional(operator, bias) {
        inputs.push(t.bias(bias)?);
    }
    Ok(inputs)
}

pub(super) fn conv(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, weights) = (t.input(operator, 0)?, t.input(operator, 1)?);
    let [_, height, width, per_group] = kernel(t, weights)?;
    let channels = t.tensor(input).shape.last().copied().unwrap_or(0);
    if per_group == 0 || !channels.is_multiple_of(per_group) {
        let problem = format!("{channels} channels, of which a filter reads {per_group}");
        return Err(Refusal::invalid(problem));
    }
    let dilations =
        [at_least_1(operator, places::DILATION_H)?, at_least_1(operator, places::DILATION_W)?];
    let shape = ([height, width], dilations, channels / per_group);
    convolution(t, operator, shape, [0, 3, 1, 2], places::ACTIVATION)
}

pub(super) fn depthwise(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, weights) = (t.input(operator, 0)?, t.input(operator, 1)?);
    let [_, height, width, _] = kernel(t, weights)?;
    let channels = t.tensor(input).shape.last().copied().unwrap_or(0);
    let dilations = [
        at_least_1(operator, depthwise_places::DILATION_H)?,
        at_least_1(operator, depthwise_places::DILATION_W)?,
    ];
    let shape = ([height, width], dilations, channels);
    convolution(t, operator, shape, [3, 0, 1, 2], depthwise_places::ACTIVATION)
}

fn convolution(
    t: &mut Translator,
    operator: &Operator,
    (kernel, dilations, groups): ([usize; 2], [usize; 2], usize),
    turned: [usize; 4],
    activation: usize,
) -> Result<(), Refusal> {
    let image = extents(t, t.input(operator, 0)?)?;
    let window = Window::of(operator)?;
    let reach = |axis: usize| (kernel[axis].max(1) - 1).saturating_mul(dilations[axis]) + 1;
    let pads = window.pads(image, [reach(0), reach(1)]);
    let inputs = weighted(t, operator, [0, 1, 2], turned)?;
    let call = Call::new("Conv", inputs)
        .with(ints("kernel_shape", kernel))
        .with(ints("strides", window.strides))
        .with(ints("dilations", dilations))
        .with(ints("pads", pads))
        .with(attribute("group", groups));
    activated(t, operator, activation, Order::First, call)
}

pub(super) fn transpose_conv(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (weights, input) = (t.input(operator, 1)?, t.input(operator, 2)?);
    let [_, height, width, _] = kernel(t, weights)?;
    let (image, output) = (extents(t, input)?, extents(t, t.output(operator)?)?);
    let window = Window::of(operator)?;
    let (mut pads, mut more) = ([0; 4], [0; 2]);
    for (axis, kernel) in [height, width].into_iter().enumerate() {
        let stride = window.strides[axis];
        let whole = (image[axis].max(1) - 1).saturating_mul(stride).saturating_add(kernel);
        let cut = whole.saturating_sub(output[axis]);
        (pads[axis], pads[axis + 2]) = (cut / 2, cut - cut / 2);
        more[axis] = output[axis].saturating_sub(whole);
    }
    let inputs = weighted(t, operator, [2, 1, 3], [3, 0, 1, 2])?;
    let call = Call::new("ConvTranspose", inputs)
        .with(ints("kernel_shape", [height, width]))
        .with(ints("strides", window.strides))
        .with(ints("pads", pads))
        .with(ints("output_padding", more));
    // Before version 4, there is no activation function.
    match operator.version {
        ..=3 => {
            let output = t.output(operator)?;
            t.set(output, Order::First, call);
            Ok(())
        }
        _ => activated(t, operator, places::ACTIVATION, Order::First, call),
    }
}

pub(super) fn average_pool(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    pooled(t, operator, "AveragePool")
}

pub(super) fn max_pool(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    pooled(t, operator, "MaxPool")
}

fn pooled(t: &mut Translator, operator: &Operator, name: &'static str) -> Result<(), Refusal> {
    let input = t.input(operator, 0)?;
    let image = extents(t, input)?;
    let window = Window::of(operator)?;
    let kernel = [at_least_1(operator, pool::FILTER_H)?, at_least_1(operator, pool::FILTER_W)?];
    let pads = window.pads(image, kernel);
    let call = Call::new(name, vec![t.value(input, Order::First)?])
        .with(ints("kernel_shape", kernel))
        .with(ints("strides", window.strides))
        .with(ints("pads", pads));
    activated(t, operator, pool::ACTIVATION, Order::First, call)
}

pub(super) fn resize_bilinear(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let corners = byte(operator, options::BILINEAR_CORNERS)? != 0;
    let half = byte(operator, options::BILINEAR_HALF_PIXELS)? != 0;
    resize(t, operator, "linear", None, (corners, half))
}

pub(super) fn resize_nearest(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let corners = byte(operator, options::NEAREST_CORNERS)? != 0;
    let half = byte(operator, options::NEAREST_HALF_PIXELS)? != 0;
    let rounding = match (corners, half) {
        (true, _) | (_, true) => "round_prefer_ceil",
        (false, false) => "floor",
    };
    resize(t, operator, "nearest", Some(rounding), (corners, half))
}

fn resize(
    t: &mut Translator,
    operator: &Operator,
    mode: &str,
    rounding: Option<&str>,
    (corners, half): (bool, bool),
) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let (from, to) = (extents(t, input)?, extents(t, output)?);
    let scale = |axis: usize| to[axis] as f32 / from[axis].max(1) as f32;
    let x = t.value(input, Order::First)?;
    let exact = (0..2).all(|axis| (scale(axis) * from[axis] as f32).floor() == to[axis] as f32);
    let inputs = if exact {
        let scales = TensorData::new(vec![1.0, 1.0, scale(0), scale(1)], [4]);
        vec![x, String::new(), t.store("scales", &scales)]
    } else {
        let shape = &t.tensor(output).shape;
        let sizes = Order::First.arrange(shape).into_iter().map(|extent| extent as i64);
        let sizes = sizes.collect::<Vec<_>>();
        vec![x, String::new(), String::new(), t.integers("sizes", &sizes)]
    };
    let coordinates = match (corners, half) {
        (true, true) => {
            return Err(Refusal::invalid("both aligned corners and half pixels are asked for"));
        }
        (true, false) => "align_corners",
        (false, true) => "half_pixel",
        (false, false) => "asymmetric",
    };
    let mut call = Call::new("Resize", inputs)
        .with(string("mode", mode))
        .with(string("coordinate_transformation_mode", coordinates));
    if let Some(rounding) = rounding {
        call = call.with(string("nearest_mode", rounding));
    }
    t.set(output, Order::First, call);
    Ok(())
}
