//! Sums, differences, products and quotients: of two values, or of a value and a constant.

use super::super::constants::{Constant, Elements, expand};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site, sample_shape};
use super::super::masks;
use crate::graph::ops::{
    self, Binary, BinaryFunction, ChannelAffine, Permute, Unary, UnaryFunction,
};
use crate::graph::{Array, Op, ValueId, dims3};

pub(super) fn add(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    match site.pair()? {
        (Binding::Value(a), Binding::Value(b)) => push_pair(importer, site, ops::Add, *a, *b),
        (Binding::Value(x), Binding::Constant(c)) | (Binding::Constant(c), Binding::Value(x))
            if masks::is_mask(c) =>
        {
            let rank = importer.shape(*x).len();
            let mask = masks::finite(Constant::clone(c));
            let mask = importer.push_constant(site, &mask, rank)?;
            push_pair(importer, site, ops::Add, *x, mask)
        }
        (Binding::Value(x), Binding::Constant(c)) | (Binding::Constant(c), Binding::Value(x)) => {
            match add_to_bias(importer, *x, c)? {
                Some(merged) => Ok(importer.merge(site, merged)),
                None => with_constant(importer, site, *x, c, ops::Add, |c| (1.0, c)),
            }
        }
        _ => Err(two_constants()),
    }
}

pub(super) fn sub(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    match site.pair()? {
        (Binding::Value(a), Binding::Value(b)) => {
            push_in_order(importer, site, BinaryFunction::Sub, *a, *b)
        }
        (Binding::Value(x), Binding::Constant(c)) => {
            with_constant(importer, site, *x, c, ops::Add, |c| (1.0, -c))
        }
        (Binding::Constant(c), Binding::Value(x)) => {
            let x = *x;
            if let Some((axis, elements)) = along_one_axis(importer, x, c)? {
                return affine(importer, site, x, (axis, &elements), |c| (-1.0, c));
            }
            let constant = importer.push_constant(site, c, importer.shape(x).len())?;
            push_in_order(importer, site, BinaryFunction::Sub, constant, x)
        }
        _ => Err(two_constants()),
    }
}

pub(super) fn mul(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    match site.pair()? {
        (Binding::Value(a), Binding::Value(b)) => push_pair(importer, site, ops::Mul, *a, *b),
        (Binding::Value(x), Binding::Constant(c)) | (Binding::Constant(c), Binding::Value(x)) => {
            with_constant(importer, site, *x, c, ops::Mul, |c| (c, 0.0))
        }
        _ => Err(two_constants()),
    }
}

pub(super) fn div(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    match site.pair()? {
        (Binding::Value(a), Binding::Value(b)) => {
            push_in_order(importer, site, BinaryFunction::Div, *a, *b)
        }
        (Binding::Value(x), Binding::Constant(c)) => {
            with_constant(importer, site, *x, c, ops::Mul, |c| (1.0 / c, 0.0))
        }
        (Binding::Constant(c), Binding::Value(x)) => {
            let x = *x;
            if let Some((_, elements)) = along_one_axis(importer, x, c)?
                && elements.iter().all(|element| *element == 1.0)
            {
                let function = UnaryFunction::Reciprocal;
                return importer.push(site, Unary { function }, &[x]);
            }
            let constant = importer.push_constant(site, c, importer.shape(x).len())?;
            push_in_order(importer, site, BinaryFunction::Div, constant, x)
        }
        _ => Err(two_constants()),
    }
}

pub(super) fn neg(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let op = uniform(importer, input, -1.0, 0.0)?;
    importer.push(site, op, &[input])
}

/// The input where it is not negative, otherwise its product with a slope, often one a channel.
pub(super) fn prelu(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let x = site.value(0)?;
    match site.pair()? {
        (_, Binding::Value(slope)) => {
            push_in_order(importer, site, BinaryFunction::Prelu, x, *slope)
        }
        (_, Binding::Constant(slopes)) => {
            let elements = importer.array(slopes)?.data;
            if let Some((&alpha, others)) = elements.split_first()
                && alpha.is_finite()
                && others.iter().all(|other| *other == alpha)
            {
                let function = UnaryFunction::LeakyRelu { alpha };
                return importer.push(site, Unary { function }, &[x]);
            }
            let rank = importer.shape(x).len();
            let mut slopes = Constant::clone(slopes);
            // Of old models, they lie along the channels.
            if site.opset < 7 && slopes.shape.len() == 1 {
                slopes.shape.resize(rank, 1);
            }
            let slopes = importer.push_constant(site, &slopes, rank)?;
            push_in_order(importer, site, BinaryFunction::Prelu, x, slopes)
        }
        _ => Err(two_constants()),
    }
}

pub(super) fn two_constants() -> Refusal {
    Refusal::invalid("expected a computed value among the inputs")
}

/// The sum of any number of values and constants.
pub(super) fn sum(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let terms = terms(importer, site)?;
    let (Some((&last, others)), Some(&first)) = (terms.split_last(), terms.first()) else {
        return Err(Refusal::invalid("it has no inputs"));
    };
    let Some((_, between)) = others.split_first() else {
        return Ok(last);
    };
    let first = add_all(importer, site, first, between)?;
    push_pair(importer, site, ops::Add, first, last)
}

/// The mean of any number of values and constants: their sum, scaled.
pub(super) fn mean(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let terms = terms(importer, site)?;
    let Some((&first, others)) = terms.split_first() else {
        return Err(Refusal::invalid("it has no inputs"));
    };
    if others.is_empty() {
        return Ok(first);
    }
    let sum = add_all(importer, site, first, others)?;
    let op = uniform(importer, sum, (1.0 / terms.len() as f64) as f32, 0.0)?;
    importer.push(site, op, &[sum])
}

/// Adds `others` to `first`, one after the other.
fn add_all(
    importer: &mut Importer,
    site: &Site,
    first: ValueId,
    others: &[ValueId],
) -> Result<ValueId, Refusal> {
    let mut sum = first;
    for (index, &other) in others.iter().enumerate() {
        let pair = meeting(importer, sum, other)?;
        sum = importer.push_part(site, &format!("sum{index}"), ops::Add, &pair)?;
    }
    Ok(sum)
}

/// The inputs as values, of which constants become some too.
pub(super) fn terms(importer: &mut Importer, site: &Site) -> Result<Vec<ValueId>, Refusal> {
    let rank = site.inputs.iter().flatten().find_map(|binding| match binding {
        Binding::Value(id) => Some(importer.shape(*id).len()),
        _ => None,
    });
    let rank = rank.ok_or_else(two_constants)?;
    let mut terms = Vec::with_capacity(site.inputs.len());
    for binding in site.inputs.iter().flatten() {
        terms.push(match binding {
            Binding::Value(id) => *id,
            Binding::Constant(constant) => importer.push_constant(site, constant, rank)?,
            Binding::Unknown => return Err(two_constants()),
        });
    }
    Ok(terms)
}

/// An element-wise operation that commutes.
pub(super) fn push_pair(
    importer: &mut Importer,
    site: &Site,
    op: impl Into<Op>,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, Refusal> {
    let pair = meeting(importer, a, b)?;
    importer.push(site, op, &pair)
}

/// An element-wise operation whose first input is not its second.
pub(super) fn push_in_order(
    importer: &mut Importer,
    site: &Site,
    function: BinaryFunction,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, Refusal> {
    same_ranks(importer, a, b)?;
    importer.push(site, Binary { function }, &[a, b])
}

/// The inputs of an element-wise operation that commutes; the graph wants the larger value first.
pub(super) fn meeting(
    importer: &Importer,
    a: ValueId,
    b: ValueId,
) -> Result<[ValueId; 2], Refusal> {
    same_ranks(importer, a, b)?;
    let len = |id| importer.graph.value(id).len();
    Ok(if len(a) >= len(b) { [a, b] } else { [b, a] })
}

pub(super) fn same_ranks(importer: &Importer, a: ValueId, b: ValueId) -> Result<(), Refusal> {
    let (first, second) = (importer.shape(a), importer.shape(b));
    if first.len() != second.len() {
        return Err(Refusal::new(
            format!(
                "samples of {first:?} and {second:?} have different ranks, and ONNX aligns the \
                 batch axis of one with another axis of the other"
            ),
            "reshape the smaller one first",
        ));
    }
    Ok(())
}

/// One scale and shift for all channels of `input`.
pub(super) fn uniform(
    importer: &mut Importer,
    input: ValueId,
    scale: f32,
    shift: f32,
) -> Result<ChannelAffine, Refusal> {
    let [channels, ..] = dims3(importer.shape(input));
    importer.budget.allocate(&[2, channels], size_of::<f32>())?;
    Ok(ChannelAffine {
        scale: Array::full([channels], scale),
        shift: Array::full([channels], shift),
    })
}

/// A sum or product with a constant: a scale and shift a channel that `coefficients` makes of each
/// element of the constant, or `op` on two values where the constant varies along several axes.
fn with_constant(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    constant: &Constant,
    op: impl Into<Op>,
    coefficients: impl Fn(f64) -> (f64, f64),
) -> Result<ValueId, Refusal> {
    let shape = importer.shape(input).to_vec();
    if let Some((axis, elements)) = along_one_axis(importer, input, constant)?
        && (elements.len() == 1 || merged(&shape, axis).is_some() || shape.len() <= 3)
    {
        return affine(importer, site, input, (axis, &elements), coefficients);
    }
    let op = op.into();
    let product = matches!(op, Op::Mul(_));
    let mut elements = importer.array(constant)?.data;
    for element in &mut elements {
        let (scale, shift) = coefficients(f64::from(*element));
        *element = if product { scale } else { shift } as f32;
    }
    let rank = shape.len();
    let constant = Constant { shape: constant.shape.clone(), elements: Elements::Float(elements) };
    let constant = match rank {
        // Of values with more axes, kernels know no extents: the constant has one for each element.
        4.. => repeated(importer, &shape, constant)?,
        _ => constant,
    };
    let constant = importer.push_constant(site, &constant, rank)?;
    push_pair(importer, site, op, input, constant)
}

/// Of samples with more than three axes, those before the last two are one: the extent of `axis` in it, and the
/// channels between two of its steps; `None` for the last two.
fn merged(shape: &[usize], axis: usize) -> Option<(usize, usize)> {
    let merged = shape.len().checked_sub(2).filter(|&merged| axis < merged && merged > 1)?;
    Some((shape[axis], shape[axis + 1..merged].iter().product()))
}

/// A constant with an element for each of a sample's, if they meet there.
fn repeated(
    importer: &mut Importer,
    sample: &[usize],
    constant: Constant,
) -> Result<Constant, Refusal> {
    let shape = sample_shape(&constant, sample.len())?;
    let meets = shape.iter().zip(sample).all(|(own, extent)| own == extent || *own == 1);
    if !meets {
        return Ok(constant);
    }
    let to: Vec<i64> = sample.iter().map(|&extent| extent as i64).collect();
    expand(&Constant { shape, ..constant }, &to, &mut importer.budget)
}

/// An operation with a constant along one axis, as a scale and shift a channel that `coefficients`
/// makes of each element of the constant.
fn affine(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    (axis, elements): (usize, &[f32]),
    coefficients: impl Fn(f64) -> (f64, f64),
) -> Result<ValueId, Refusal> {
    let shape = importer.shape(input);
    let (channels, (extent, step)) = match merged(shape, axis) {
        Some(steps) => (dims3(shape)[0], steps),
        None => (shape[axis], (shape[axis], 1)),
    };
    importer.budget.allocate(&[2, channels], size_of::<f32>())?;
    let (mut scales, mut shifts) = (Vec::with_capacity(channels), Vec::with_capacity(channels));
    for channel in 0..channels {
        let value = elements[(channel / step % extent).min(elements.len() - 1)];
        let (scale, shift) = coefficients(f64::from(value));
        let (scale, shift) = (scale as f32, shift as f32);
        if !(scale.is_finite() && shift.is_finite()) {
            return Err(Refusal::new(
                format!("{} with the constant {value} is not finite", site.op),
                "train or export the model again",
            ));
        }
        scales.push(scale);
        shifts.push(shift);
    }
    let op = ChannelAffine {
        scale: Array::new([channels], scales),
        shift: Array::new([channels], shifts),
    };
    if axis == 0 || merged(importer.shape(input), axis).is_some() {
        return importer.push(site, op, &[input]);
    }
    // Channels are a sample's first axis: the constant's axis goes there and back.
    let mut axes: Vec<usize> = (0..importer.shape(input).len()).collect();
    axes.swap(0, axis);
    let swap = Permute { axes };
    let turned = importer.push_part(site, "turned", swap.clone(), &[input])?;
    let result = importer.push_part(site, "affine", op, &[turned])?;
    importer.push(site, swap, &[result])
}

/// The axis of a sample of `input` along which `constant` varies, and its elements there: as many
/// as the axis has, or one; `None` if it varies along several axes or enlarges the value.
fn along_one_axis(
    importer: &mut Importer,
    input: ValueId,
    constant: &Constant,
) -> Result<Option<(usize, Vec<f32>)>, Refusal> {
    let data = importer.array(constant)?.data;
    let shape = importer.shape(input);
    // Numpy's broadcasting aligns the last axes; the constant must not enlarge the value.
    let missing = (shape.len() + 1).checked_sub(constant.shape.len());
    let axes: Option<Vec<usize>> = missing.map(|missing| {
        let long = |&axis: &usize| constant.shape[axis] != 1;
        (0..constant.shape.len()).filter(long).map(|axis| axis + missing).collect()
    });
    let extent = |axis: usize| constant.shape[axis - missing.unwrap_or(0)];
    match axes.as_deref() {
        Some([]) => Ok(Some((0, data))),
        Some(&[axis]) if axis > 0 && data.len() == shape[axis - 1] => Ok(Some((axis - 1, data))),
        // An exporter may have expanded a scalar.
        Some(axes)
            if !data.is_empty()
                && data.iter().all(|v| *v == data[0])
                && axes.iter().all(|&axis| axis > 0 && extent(axis) == shape[axis - 1]) =>
        {
            Ok(Some((0, vec![data[0]])))
        }
        _ => Ok(None),
    }
}

/// Adds a constant to the bias of the fully connected layer in front: ONNX writes such layers as
/// `MatMul` and `Add`.
fn add_to_bias(
    importer: &mut Importer,
    input: ValueId,
    constant: &Constant,
) -> Result<Option<ValueId>, Refusal> {
    let rank = importer.shape(input).len() + 1;
    let leading = constant.shape.split_last().map_or(&[][..], |(_, leading)| leading);
    if constant.shape.len() > rank || leading.iter().any(|&d| d != 1) {
        return Ok(None);
    }
    let terms = importer.array(constant)?.data;
    let Some(node) = importer.exclusive_producer(input) else {
        return Ok(None);
    };
    let Op::Linear(linear) = &mut node.op else {
        return Ok(None);
    };
    let bias = &mut linear.bias.data;
    if terms.len() != bias.len() && terms.len() != 1 {
        return Ok(None);
    }
    for (bias, term) in bias.iter_mut().zip(terms.iter().cycle()) {
        *bias += term;
    }
    Ok(Some(input))
}
