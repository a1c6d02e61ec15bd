//! Arithmetic on constants.

use std::cmp::Ordering;

use super::super::budget::Budget;
use super::super::error::Refusal;
use super::indexing::broadcast;
use super::{Constant, Elements, Extent, depends_on_batch};

/// A binary operator with broadcasting.
pub(super) fn binary(
    op: &str,
    first: &Constant,
    second: &Constant,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let (shape, pairs) = broadcast(first, second, budget)?;
    let elements = match (&first.elements, &second.elements) {
        (Elements::Integer(a), Elements::Integer(b)) => {
            let pairs = pairs.into_iter().map(|(i, j)| integer(op, a[i], b[j]));
            Elements::Integer(pairs.collect::<Result<_, _>>()?)
        }
        _ => {
            let (a, b) = (first.to_floats()?, second.to_floats()?);
            if let Some(holds) = comparison(op) {
                let truth = |(i, j): (usize, usize)| {
                    Extent::Known(a[i].partial_cmp(&b[j]).is_some_and(holds).into())
                };
                Elements::Integer(pairs.into_iter().map(truth).collect())
            } else {
                let compute = |(i, j): (usize, usize)| real(op, a[i], b[j]);
                Elements::Float(pairs.into_iter().map(compute).collect())
            }
        }
    };
    Ok(Constant { shape, elements })
}

/// Whether two numbers in this order compare as the operator asks.
fn comparison(op: &str) -> Option<fn(Ordering) -> bool> {
    Some(match op {
        "Equal" => Ordering::is_eq,
        "Greater" => Ordering::is_gt,
        "GreaterOrEqual" => Ordering::is_ge,
        "Less" => Ordering::is_lt,
        "LessOrEqual" => Ordering::is_le,
        _ => return None,
    })
}

fn real(op: &str, a: f32, b: f32) -> f32 {
    match op {
        "Add" | "Sum" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        "Pow" => a.powf(b),
        "Mod" => a % b,
        "Min" => a.min(b),
        _ => a.max(b),
    }
}

fn integer(op: &str, a: Extent, b: Extent) -> Result<Extent, Refusal> {
    use Extent::{Batch, Known};
    let truth = |holds: bool| Ok(Known(holds.into()));
    let (a, b) = match (op, a, b) {
        (_, Known(a), Known(b)) => (a, b),
        ("Add" | "Sub", Batch(n), Known(0)) | ("Add", Known(0), Batch(n)) => return Ok(Batch(n)),
        ("Add", Batch(a), Batch(b)) if a.checked_add(b).is_some() => return Ok(Batch(a + b)),
        ("Sub", Batch(a), Batch(b)) if a == b => return Ok(Known(0)),
        ("Mul", Batch(_), Known(0)) | ("Mul", Known(0), Batch(_)) => return Ok(Known(0)),
        ("Mul", Batch(a), Known(b)) | ("Mul", Known(b), Batch(a))
            if b > 0 && a.checked_mul(b).is_some() =>
        {
            return Ok(Batch(a * b));
        }
        ("Div", Batch(a), Known(b)) if b > 0 && a % b == 0 => return Ok(Batch(a / b)),
        ("Div", Batch(a), Batch(b)) if a % b == 0 => return Ok(Known(a / b)),
        ("Mod", Batch(a), Known(b)) if b > 0 && a % b == 0 => return Ok(Known(0)),
        // An extent is at least 1: never the -1 that `Reshape` and `Expand` compare with.
        ("Max", Batch(n), Known(..=1)) | ("Max", Known(..=1), Batch(n)) => return Ok(Batch(n)),
        ("Equal", Batch(_), Known(..=0)) | ("Equal", Known(..=0), Batch(_)) => return truth(false),
        ("Greater", Batch(_), Known(..=0)) | ("Less", Known(..=0), Batch(_)) => return truth(true),
        (_, Batch(a), Batch(b)) if comparison(op).is_some() => (a, b),
        _ => return Err(depends_on_batch()),
    };
    if let Some(holds) = comparison(op) {
        return truth(holds(a.cmp(&b)));
    }
    let result = match op {
        "Add" | "Sum" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        "Mod" if b != 0 => a.checked_rem_euclid(b).map(|r| if b < 0 && r != 0 { r + b } else { r }),
        "Pow" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        "Min" => Some(a.min(b)),
        "Max" => Some(a.max(b)),
        "And" => Some((a != 0 && b != 0).into()),
        "Or" => Some((a != 0 || b != 0).into()),
        "Xor" => Some(((a != 0) != (b != 0)).into()),
        _ => None,
    };
    let failed = || {
        let problem = format!("{op} of the integers {a} and {b} overflows or divides by zero");
        Refusal::new(problem, "export the model with shapes that are constant")
    };
    result.map(Known).ok_or_else(failed)
}

/// An operator on single elements.
pub(super) fn unary(op: &str, input: &Constant, budget: &mut Budget) -> Result<Constant, Refusal> {
    budget.allocate(&input.shape, size_of::<Extent>())?;
    let elements = match &input.elements {
        Elements::Float(data) => {
            let function: fn(f32) -> f32 = match op {
                "Neg" => |v| -v,
                "Sqrt" => f32::sqrt,
                "Reciprocal" => f32::recip,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Round" => f32::round_ties_even,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                "Sin" => f32::sin,
                "Cos" => f32::cos,
                "Sign" => |v| if v == 0.0 { 0.0 } else { v.signum() },
                "Relu" => |v| v.max(0.0),
                "Sigmoid" => |v| (1.0 / (1.0 + (-f64::from(v)).exp())) as f32,
                "Tanh" => f32::tanh,
                "Abs" => f32::abs,
                _ => return Err(Refusal::invalid(format!("{op} of floats is not defined"))),
            };
            Elements::Float(data.iter().map(|&v| function(v)).collect())
        }
        Elements::Integer(_) => {
            let function: fn(i64) -> i64 = match op {
                "Neg" => i64::saturating_neg,
                "Abs" => i64::saturating_abs,
                "Sign" => i64::signum,
                "Relu" => |v| v.max(0),
                "Not" => |v| i64::from(v == 0),
                _ => return Err(Refusal::invalid(format!("{op} of integers is not defined"))),
            };
            let values = input.to_integers()?.into_iter();
            Elements::Integer(values.map(|v| Extent::Known(function(v))).collect())
        }
    };
    Ok(Constant { shape: input.shape.clone(), elements })
}
