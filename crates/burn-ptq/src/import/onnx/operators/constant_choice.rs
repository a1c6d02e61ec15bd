//! Where with a condition that is known before the model runs, as masks of attention are.

use super::super::constants::{Constant, Elements};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::super::masks::{self, HIDDEN};
use super::arithmetic::{meeting, two_constants};
use crate::graph::{ValueId, ops};

/// What a condition chooses from two inputs, of which one is computed at least.
pub(super) fn choose(
    importer: &mut Importer,
    site: &Site,
    condition: &Constant,
    [yes, no]: [&Binding; 2],
) -> Result<ValueId, Refusal> {
    let truth = condition.to_truths()?;
    match (yes, no) {
        // One of them everywhere, if the condition does not enlarge it.
        (Binding::Value(x), _) if truth.iter().all(|&yes| yes) && condition.len() == 1 => Ok(*x),
        (_, Binding::Value(x)) if truth.iter().all(|&yes| !yes) && condition.len() == 1 => Ok(*x),
        (Binding::Value(x), Binding::Value(y)) => {
            let first = kept(importer, site, *x, (condition, &truth), true)?;
            let second = kept(importer, site, *y, (condition, &truth), false)?;
            let pair = meeting(importer, first, second)?;
            importer.push(site, ops::Add, &pair)
        }
        (Binding::Value(x), Binding::Constant(other)) => {
            replaced(importer, site, *x, (condition, &truth), (other, false))
        }
        (Binding::Constant(other), Binding::Value(x)) => {
            replaced(importer, site, *x, (condition, &truth), (other, true))
        }
        _ => Err(two_constants()),
    }
}

/// The value where the condition is `when`, and 0 elsewhere.
fn kept(
    importer: &mut Importer,
    site: &Site,
    value: ValueId,
    (condition, truth): (&Constant, &[bool]),
    when: bool,
) -> Result<ValueId, Refusal> {
    let elements = truth.iter().map(|&yes| f32::from(u8::from(yes == when))).collect();
    let mask = Constant { shape: condition.shape.clone(), elements: Elements::Float(elements) };
    let rank = importer.shape(value).len();
    let mask = importer.push_constant(site, &mask, rank)?;
    let pair = meeting(importer, value, mask)?;
    importer.push_part(site, if when { "yes" } else { "no" }, ops::Mul, &pair)
}

/// The value, with the elements of a constant where the condition is `when`.
fn replaced(
    importer: &mut Importer,
    site: &Site,
    value: ValueId,
    (condition, truth): (&Constant, &[bool]),
    (other, when): (&Constant, bool),
) -> Result<ValueId, Refusal> {
    let elements = other.to_floats()?;
    let term = |&yes: &bool, element: f32| if yes == when { element } else { 0.0 };
    let (shape, terms) = match elements[..] {
        [element] => {
            (condition.shape.clone(), truth.iter().map(|yes| term(yes, element)).collect())
        }
        _ if other.shape == condition.shape => {
            let pairs = truth.iter().zip(&elements);
            (other.shape.clone(), pairs.map(|(yes, &element)| term(yes, element)).collect())
        }
        _ => {
            return Err(Refusal::new(
                format!(
                    "a constant of shape {:?} stands in where a condition of shape {:?} says so: only one \
                     element, or one for each of the condition, are supported",
                    other.shape, condition.shape
                ),
                "expand the constant to the shape of the condition",
            ));
        }
    };
    let terms: Vec<f32> = terms;
    // What softmax does not see may have any value.
    let hides = truth.iter().zip(&terms).all(|(&yes, &term)| yes != when || term <= HIDDEN);
    let value = match hides {
        true => value,
        false => kept(importer, site, value, (condition, truth), !when)?,
    };
    let terms = masks::finite(Constant { shape, elements: Elements::Float(terms) });
    let rank = importer.shape(value).len();
    let terms = importer.push_constant(site, &terms, rank)?;
    let pair = meeting(importer, value, terms)?;
    importer.push(site, ops::Add, &pair)
}
