//! Element-wise non-linearities.

use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::arithmetic::{meeting, terms, two_constants};
use crate::graph::ops::{Binary, BinaryFunction, Clip, Unary, UnaryFunction};
use crate::graph::{Clamp, ValueId};

pub(super) fn relu(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    push_clip(importer, site, site.value(0)?, Clamp::RELU)
}

pub(super) fn clip(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (min, max) = if site.opset < 11 {
        (site.attributes.float("min", f32::MIN)?, site.attributes.float("max", f32::MAX)?)
    } else {
        let bound = |index, what, default| {
            site.optional(index, what)?.map_or(Ok(default), |constant| constant.to_scalar())
        };
        (bound(1, "minimum", f32::MIN)?, bound(2, "maximum", f32::MAX)?)
    };
    push_clip(importer, site, site.value(0)?, Clamp { min, max })
}

/// The smallest of any number of values and constants.
pub(super) fn min(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let bounds = |bound| Clamp { min: f32::MIN, max: bound };
    extreme(importer, site, BinaryFunction::Minimum, f32::min, bounds)
}

/// The largest of any number of values and constants.
pub(super) fn max(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let bounds = |bound| Clamp { min: bound, max: f32::MAX };
    extreme(importer, site, BinaryFunction::Maximum, f32::max, bounds)
}

/// The extreme of values and constants; those of one element become a bound.
fn extreme(
    importer: &mut Importer,
    site: &Site,
    function: BinaryFunction,
    of_two: fn(f32, f32) -> f32,
    bounds: impl Fn(f32) -> Clamp,
) -> Result<ValueId, Refusal> {
    let mut bound: Option<f32> = None;
    let mut others = site.clone();
    let mut kept = Vec::with_capacity(site.inputs.len());
    for binding in &site.inputs {
        match binding {
            Some(Binding::Constant(constant)) if constant.shape.iter().all(|&d| d == 1) => {
                let constant = constant.to_scalar()?;
                bound = Some(bound.map_or(constant, |bound| of_two(bound, constant)));
            }
            _ => kept.push(binding.clone()),
        }
    }
    others.inputs = kept;
    let terms = terms(importer, &others)?;
    let Some((&first, rest)) = terms.split_first() else {
        return Err(two_constants());
    };
    let mut result = first;
    for (index, &term) in rest.iter().enumerate() {
        let pair = meeting(importer, result, term)?;
        result = if index + 1 == rest.len() && bound.is_none() {
            importer.push(site, Binary { function }, &pair)?
        } else {
            importer.push_part(site, &format!("of{}", index + 2), Binary { function }, &pair)?
        };
    }
    match bound {
        Some(bound) => push_clip(importer, site, result, bounds(bound)),
        None => Ok(result),
    }
}

fn push_clip(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    Clamp { min, max }: Clamp,
) -> Result<ValueId, Refusal> {
    if min.is_nan() || max.is_nan() || min > max {
        let problem = format!("no number lies between its bounds {min} and {max}");
        return Err(Refusal::new(problem, "export the model with a minimum below the maximum"));
    }
    // Exporters write the largest finite numbers for "no bound".
    let bounds = Clamp {
        min: if min <= f32::MIN { f32::NEG_INFINITY } else { min },
        max: if max >= f32::MAX { f32::INFINITY } else { max },
    };
    importer.push(site, Clip { bounds }, &[input])
}

fn unary(
    importer: &mut Importer,
    site: &Site,
    function: UnaryFunction,
) -> Result<ValueId, Refusal> {
    importer.push(site, Unary { function }, &[site.value(0)?])
}

pub(super) fn leaky_relu(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let alpha = finite(site, "alpha", 0.01)?;
    unary(importer, site, UnaryFunction::LeakyRelu { alpha })
}

pub(super) fn sigmoid(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    unary(importer, site, UnaryFunction::Sigmoid)
}

pub(super) fn tanh(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    unary(importer, site, UnaryFunction::Tanh)
}

pub(super) fn hard_swish(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    unary(importer, site, UnaryFunction::HardSwish)
}

pub(super) fn hard_sigmoid(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (alpha, beta) = (finite(site, "alpha", 0.2)?, finite(site, "beta", 0.5)?);
    unary(importer, site, UnaryFunction::HardSigmoid { alpha, beta })
}

/// A function without attributes.
macro_rules! plain {
    ($($name:ident => $function:ident),* $(,)?) => {
        $(pub(super) fn $name(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
            unary(importer, site, UnaryFunction::$function)
        })*
    };
}

plain! {
    abs => Abs, exp => Exp, log => Log, sqrt => Sqrt, reciprocal => Reciprocal, sin => Sin, cos => Cos,
    sign => Sign, floor => Floor, ceil => Ceil, round => Round, erf => Erf, softplus => Softplus,
    softsign => Softsign, mish => Mish,
}

pub(super) fn gelu(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let tanh = match site.attributes.string("approximate", "none")? {
        "none" => false,
        "tanh" => true,
        other => {
            let problem = format!("attribute 'approximate': expected none or tanh, found {other}");
            return Err(Refusal::invalid(problem));
        }
    };
    unary(importer, site, UnaryFunction::Gelu { tanh })
}

pub(super) fn swish(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let alpha = finite(site, "alpha", 1.0)?;
    unary(importer, site, UnaryFunction::Swish { alpha })
}

pub(super) fn elu(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let alpha = finite(site, "alpha", 1.0)?;
    unary(importer, site, UnaryFunction::Elu { alpha, scale: 1.0, width: 1.0 })
}

pub(super) fn selu(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let alpha = finite(site, "alpha", 1.673_263_2)?;
    let scale = finite(site, "gamma", 1.050_701)?;
    unary(importer, site, UnaryFunction::Elu { alpha, scale, width: 1.0 })
}

pub(super) fn celu(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let alpha = finite(site, "alpha", 1.0)?;
    if alpha == 0.0 {
        return Err(Refusal::invalid("attribute 'alpha' is 0, by which it divides"));
    }
    unary(importer, site, UnaryFunction::Elu { alpha, scale: 1.0, width: alpha })
}

pub(super) fn thresholded_relu(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let alpha = finite(site, "alpha", 1.0)?;
    unary(importer, site, UnaryFunction::ThresholdedRelu { alpha })
}

pub(super) fn shrink(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (lambd, bias) = (finite(site, "lambd", 0.5)?, finite(site, "bias", 0.0)?);
    if lambd < 0.0 {
        return Err(Refusal::new(
            format!("attribute 'lambd': expected 0 or more, found {lambd}"),
            "train or export the model again",
        ));
    }
    unary(importer, site, UnaryFunction::Shrink { lambd, bias })
}

pub(super) fn pow(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let exponent = site.constant(1, "exponent")?.to_scalar()?;
    if !exponent.is_finite() {
        let problem = format!("expected a finite exponent, found {exponent}");
        return Err(Refusal::new(problem, "train or export the model again"));
    }
    unary(importer, site, UnaryFunction::Pow { exponent })
}

/// A float attribute that must be a number.
pub(super) fn finite(site: &Site, name: &str, default: f32) -> Result<f32, Refusal> {
    let value = site.attributes.float(name, default)?;
    if value.is_finite() {
        return Ok(value);
    }
    Err(Refusal::new(
        format!("attribute '{name}': expected a finite number, found {value}"),
        "train or export the model again",
    ))
}
