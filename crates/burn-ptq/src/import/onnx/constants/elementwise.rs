//! Arithmetic on constants.

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
            let compute = |(i, j): (usize, usize)| real(op, a[i], b[j]);
            if op == "Equal" {
                let equal = pairs.into_iter().map(|(i, j)| Extent::Known((a[i] == b[j]).into()));
                Elements::Integer(equal.collect())
            } else {
                Elements::Float(pairs.into_iter().map(compute).collect())
            }
        }
    };
    Ok(Constant { shape, elements })
}

fn real(op: &str, a: f32, b: f32) -> f32 {
    match op {
        "Add" => a + b,
        "Sub" => a - b,
        "Mul" => a * b,
        "Div" => a / b,
        "Pow" => a.powf(b),
        "Min" => a.min(b),
        _ => a.max(b),
    }
}

fn integer(op: &str, a: Extent, b: Extent) -> Result<Extent, Refusal> {
    use Extent::{Batch, Known};
    let (a, b) = match (op, a, b) {
        (_, Known(a), Known(b)) => (a, b),
        ("Add" | "Sub", Batch, Known(0)) | ("Mul" | "Div", Batch, Known(1)) => return Ok(Batch),
        ("Add", Known(0), Batch) | ("Mul", Known(1), Batch) => return Ok(Batch),
        // An extent is never the -1 that `Reshape` and `Expand` compare with.
        ("Equal", Batch, Known(-1)) | ("Equal", Known(-1), Batch) => return Ok(Known(0)),
        _ => return Err(depends_on_batch()),
    };
    let result = match op {
        "Add" => a.checked_add(b),
        "Sub" => a.checked_sub(b),
        "Mul" => a.checked_mul(b),
        "Div" => a.checked_div(b),
        "Pow" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
        "Min" => Some(a.min(b)),
        "Max" => Some(a.max(b)),
        _ => Some((a == b).into()),
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
                "Exp" => f32::exp,
                _ => f32::abs,
            };
            Elements::Float(data.iter().map(|&v| function(v)).collect())
        }
        Elements::Integer(_) => {
            let function: fn(i64) -> i64 = match op {
                "Neg" => i64::saturating_neg,
                "Abs" => i64::saturating_abs,
                _ => return Err(Refusal::invalid(format!("{op} of integers is not defined"))),
            };
            let values = input.to_integers()?.into_iter();
            Elements::Integer(values.map(|v| Extent::Known(function(v))).collect())
        }
    };
    Ok(Constant { shape: input.shape.clone(), elements })
}
