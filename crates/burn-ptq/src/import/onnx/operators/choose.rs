//! Comparisons, what combines them, and the choice between two values.
//!
//! Truths are values of 0 and 1. A choice is then a sum: of one value times the truth, and of the other
//! times its complement. Where all of it depends on one value alone, the passes of `prepare` make one
//! function of it if they know that.

use super::super::constants::Constant;
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::arithmetic::{
    meeting, push_in_order, push_pair, same_ranks, terms, two_constants, uniform,
};
use super::constant_choice;
use crate::graph::ops::{Add, Binary, BinaryFunction, Clip, Comparison, Mul, Unary, UnaryFunction};
use crate::graph::{Clamp, ValueId};

/// A larger number in a choice would leave no step of an integer grid to the others.
const LARGEST: f32 = 1e4;

macro_rules! comparisons {
    ($($name:ident => $comparison:ident),* $(,)?) => {
        $(pub(super) fn $name(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
            compare(importer, site, Comparison::$comparison)
        })*
    };
}

comparisons! {
    less => Less, less_or_equal => LessOrEqual, greater => Greater,
    greater_or_equal => GreaterOrEqual, equal => Equal,
}

fn compare(importer: &mut Importer, site: &Site, with: Comparison) -> Result<ValueId, Refusal> {
    match site.pair()? {
        (Binding::Value(x), Binding::Constant(c)) => compare_constant(importer, site, *x, c, with),
        (Binding::Constant(c), Binding::Value(x)) => {
            compare_constant(importer, site, *x, c, with.turned())
        }
        (Binding::Value(a), Binding::Value(b)) => {
            same_ranks(importer, *a, *b)?;
            let function = BinaryFunction::Sub;
            let difference =
                importer.push_part(site, "difference", Binary { function }, &[*a, *b])?;
            push_comparison(importer, site, difference, with, 0.0)
        }
        _ => Err(two_constants()),
    }
}

fn compare_constant(
    importer: &mut Importer,
    site: &Site,
    x: ValueId,
    constant: &Constant,
    with: Comparison,
) -> Result<ValueId, Refusal> {
    let shape = importer.shape(x).to_vec();
    if let Some(bound) = number(constant, &shape)? {
        return push_comparison(importer, site, x, with, bound);
    }
    let constant = importer.push_constant(site, constant, shape.len())?;
    let function = BinaryFunction::Sub;
    let difference = importer.push_part(site, "difference", Binary { function }, &[x, constant])?;
    push_comparison(importer, site, difference, with, 0.0)
}

/// Whether the elements of a value are not 0: a cast to truths.
pub(in super::super) fn is_not_zero(
    importer: &mut Importer,
    site: &Site,
) -> Result<ValueId, Refusal> {
    push_comparison(importer, site, site.value(0)?, Comparison::NotEqual, 0.0)
}

/// A comparison with a number. That of whole numbers is a slope of 1 between two of them: tables of many
/// steps round between numbers, which a grid of 16 bits has too many of.
fn push_comparison(
    importer: &mut Importer,
    site: &Site,
    x: ValueId,
    with: Comparison,
    bound: f32,
) -> Result<ValueId, Refusal> {
    if !bound.is_finite() {
        let problem = format!("it compares with {bound}");
        return Err(Refusal::new(problem, "train or export the model again"));
    }
    if !importer.whole {
        return importer.push(
            site,
            Unary { function: UnaryFunction::Compare { with, bound } },
            &[x],
        );
    }
    // How far a whole number is beyond the largest at which the comparison does not hold.
    let (scale, shift) = match with {
        Comparison::Greater => (1.0, -bound.floor()),
        Comparison::GreaterOrEqual => (1.0, 1.0 - bound.ceil()),
        Comparison::Less => (-1.0, bound.ceil()),
        Comparison::LessOrEqual => (-1.0, bound.floor() + 1.0),
        Comparison::Equal | Comparison::NotEqual => (1.0, -bound),
    };
    let op = uniform(importer, x, scale, shift)?;
    let beyond = importer.push_part(site, "beyond", op, &[x])?;
    let truth = Clip { bounds: Clamp { min: 0.0, max: 1.0 } };
    if !matches!(with, Comparison::Equal | Comparison::NotEqual) {
        return importer.push(site, truth, &[beyond]);
    }
    // -1, 0 or 1, whose square says whether they differ.
    let sign = Clip { bounds: Clamp { min: -1.0, max: 1.0 } };
    let sign = importer.push_part(site, "sign", sign, &[beyond])?;
    if with == Comparison::NotEqual {
        return importer.push(site, Mul, &[sign, sign]);
    }
    let differs = importer.push_part(site, "differs", Mul, &[sign, sign])?;
    let op = uniform(importer, differs, -1.0, 1.0)?;
    importer.push(site, op, &[differs])
}

/// The number that all elements of a constant are, if it does not enlarge values of `shape`.
fn number(constant: &Constant, shape: &[usize]) -> Result<Option<f32>, Refusal> {
    let missing = shape.len().checked_sub(constant.shape.len());
    let fits = match missing {
        Some(missing) => {
            let mut extents = constant.shape.iter().zip(&shape[missing..]);
            extents.all(|(&own, &all)| own == 1 || own == all)
        }
        None => constant.shape.iter().all(|&extent| extent == 1),
    };
    if !fits || constant.len() == 0 {
        return Ok(None);
    }
    let floats = constant.to_floats()?;
    Ok(floats.iter().all(|x| *x == floats[0]).then_some(floats[0]))
}

pub(super) fn not(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let input = site.value(0)?;
    let op = uniform(importer, input, -1.0, 1.0)?;
    importer.push(site, op, &[input])
}

pub(super) fn and(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let [a, b] = truths(importer, site)?;
    push_pair(importer, site, Mul, a, b)
}

pub(super) fn or(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let pair = truths(importer, site)?;
    let [a, b] = meeting(importer, pair[0], pair[1])?;
    push_in_order(importer, site, BinaryFunction::Maximum, a, b)
}

pub(super) fn xor(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let pair = truths(importer, site)?;
    let [a, b] = meeting(importer, pair[0], pair[1])?;
    let function = BinaryFunction::Sub;
    let difference = importer.push_part(site, "difference", Binary { function }, &[a, b])?;
    let function = UnaryFunction::Compare { with: Comparison::NotEqual, bound: 0.0 };
    importer.push(site, Unary { function }, &[difference])
}

fn truths(importer: &mut Importer, site: &Site) -> Result<[ValueId; 2], Refusal> {
    site.pair()?;
    <[ValueId; 2]>::try_from(terms(importer, site)?).map_err(|_| two_constants())
}

/// `Where`: elements of one input where the condition holds, of the other where it does not.
pub(super) fn choose(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let [Some(condition), Some(first), Some(second)] = &site.inputs[..] else {
        return Err(Refusal::invalid("expected a condition and two inputs"));
    };
    let condition = match condition {
        Binding::Value(condition) => *condition,
        Binding::Constant(condition) => {
            return constant_choice::choose(importer, site, condition, [first, second]);
        }
        Binding::Unknown => return Err(two_constants()),
    };
    let shape = extents(importer, condition, [first, second])?;
    let numbers = [first, second].map(|binding| match binding {
        Binding::Constant(constant) => number(constant, &shape),
        _ => Ok(None),
    });
    let [on, off] = numbers;
    let (on, off) = (on?, off?);
    for x in [on, off].into_iter().flatten() {
        if x.is_nan() || x.abs() > LARGEST {
            return Err(Refusal::new(
                format!(
                    "it chooses between computed values and {x}, beside which an integer grid does \
                     not tell them apart"
                ),
                "export the model with a number near the values, such as -30 in front of a softmax",
            ));
        }
    }
    if let (Some(on), Some(off)) = (on, off) {
        let op = uniform(importer, condition, on - off, off)?;
        return importer.push(site, op, &[condition]);
    }
    let on = term(importer, site, "then", condition, (first, on), shape.len())?;
    let complement = uniform(importer, condition, -1.0, 1.0)?;
    let off = match off {
        Some(0.0) => None,
        Some(_) | None => {
            let unmet = importer.push_part(site, "unmet", complement, &[condition])?;
            term(importer, site, "else", unmet, (second, off), shape.len())?
        }
    };
    match (on, off) {
        (Some(on), Some(off)) => push_pair(importer, site, Add, on, off),
        (Some(only), None) | (None, Some(only)) => Ok(importer.merge(site, only)),
        // Both are 0, which the case of two numbers is.
        (None, None) => Err(two_constants()),
    }
}

/// The extents that the condition and the inputs have together.
fn extents(
    importer: &Importer,
    condition: ValueId,
    inputs: [&Binding; 2],
) -> Result<Vec<usize>, Refusal> {
    let mut shape = importer.shape(condition).to_vec();
    for input in inputs {
        let Binding::Value(id) = *input else { continue };
        same_ranks(importer, condition, id)?;
        for (extent, own) in shape.iter_mut().zip(importer.shape(id)) {
            *extent = (*extent).max(*own);
        }
    }
    Ok(shape)
}

/// What is chosen where `truth` is 1, and 0 elsewhere; `None` if that is 0 everywhere.
fn term(
    importer: &mut Importer,
    site: &Site,
    part: &str,
    truth: ValueId,
    (input, number): (&Binding, Option<f32>),
    rank: usize,
) -> Result<Option<ValueId>, Refusal> {
    let chosen = match (input, number) {
        (_, Some(0.0)) => return Ok(None),
        (_, Some(number)) => {
            let op = uniform(importer, truth, number, 0.0)?;
            return importer.push_part(site, part, op, &[truth]).map(Some);
        }
        (Binding::Value(id), None) => *id,
        (Binding::Constant(constant), None) => importer.push_constant(site, constant, rank)?,
        (Binding::Unknown, None) => return Err(Refusal::invalid("an input is missing")),
    };
    let pair = meeting(importer, truth, chosen)?;
    importer.push_part(site, part, Mul, &pair).map(Some)
}
