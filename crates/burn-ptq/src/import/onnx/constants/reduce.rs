//! Reductions and products of constants.

use super::super::budget::Budget;
use super::super::error::Refusal;
use super::indexing::{normalize_axis, strides, transpose};
use super::{Constant, Elements, Extent, depends_on_batch};

/// The constants' `Reduce` operators that are computed.
pub(super) const REDUCTIONS: [&str; 7] = [
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
];

/// A reduction over `axes`, all of them if there are none.
pub(in super::super) fn reduce(
    op: &str,
    input: &Constant,
    axes: &[i64],
    keep: bool,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let rank = input.shape.len();
    let mut reduced = vec![axes.is_empty(); rank];
    for axis in axes {
        reduced[normalize_axis(*axis, rank)?] = true;
    }
    budget.allocate(&input.shape, size_of::<Extent>())?;
    // The reduced axes go behind the others, so that what is reduced lies together.
    let (kept, gone): (Vec<usize>, Vec<usize>) = (0..rank).partition(|&axis| !reduced[axis]);
    let order: Vec<i64> = kept.iter().chain(&gone).map(|&axis| axis as i64).collect();
    let turned = transpose(input, Some(&order), budget)?;
    let count: usize = gone.iter().map(|&axis| input.shape[axis]).product();
    if count == 0 {
        return Err(Refusal::new("it reduces no elements", "simplify the model's shapes"));
    }
    let elements = match &turned.elements {
        Elements::Float(data) => {
            Elements::Float(data.chunks(count).map(|chunk| real(op, chunk)).collect())
        }
        Elements::Integer(data) => {
            let chunks = data.chunks(count).map(|chunk| integer(op, chunk));
            Elements::Integer(chunks.collect::<Result<_, _>>()?)
        }
    };
    let shape = (0..rank).filter(|&axis| keep || !reduced[axis]);
    let shape = shape.map(|axis| if reduced[axis] { 1 } else { input.shape[axis] }).collect();
    Ok(Constant { shape, elements })
}

fn real(op: &str, data: &[f32]) -> f32 {
    let numbers = data.iter().map(|&v| f64::from(v));
    let result = match op {
        "ReduceL2" => numbers.map(|v| v * v).sum::<f64>().sqrt(),
        "ReduceSumSquare" => numbers.map(|v| v * v).sum(),
        "ReduceMax" => numbers.fold(f64::NEG_INFINITY, f64::max),
        "ReduceMin" => numbers.fold(f64::INFINITY, f64::min),
        "ReduceMean" => numbers.sum::<f64>() / data.len() as f64,
        "ReduceProd" => numbers.product(),
        _ => numbers.sum(),
    };
    result as f32
}

fn integer(op: &str, data: &[Extent]) -> Result<Extent, Refusal> {
    use Extent::{Batch, Known};
    let overflows = || Refusal::invalid(format!("{op} of integers overflows"));
    let mut result = *data.first().ok_or_else(|| Refusal::invalid("it reduces no elements"))?;
    for extent in &data[1..] {
        result = match (op, result, *extent) {
            ("ReduceProd", Batch(a), Known(b)) | ("ReduceProd", Known(a), Batch(b)) => {
                Batch(a.checked_mul(b).ok_or_else(overflows)?)
            }
            ("ReduceProd", Known(a), Known(b)) => Known(a.checked_mul(b).ok_or_else(overflows)?),
            ("ReduceSum", Known(a), Known(b)) => Known(a.checked_add(b).ok_or_else(overflows)?),
            ("ReduceMax", Known(a), Known(b)) => Known(a.max(b)),
            ("ReduceMin", Known(a), Known(b)) => Known(a.min(b)),
            (_, Known(_), Known(_)) => {
                return Err(Refusal::new(
                    format!("{op} of integers is not computed at import"),
                    "simplify the model's shapes",
                ));
            }
            _ => return Err(depends_on_batch()),
        };
    }
    Ok(result)
}

/// The product of two matrices.
pub(super) fn matmul(
    first: &Constant,
    second: &Constant,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let ([rows, inner], [second_inner, columns]) = (&first.shape[..], &second.shape[..]) else {
        return Err(Refusal::new(
            format!("{:?} and {:?} are not matrices", first.shape, second.shape),
            "fold the constants of the model when exporting",
        ));
    };
    if inner != second_inner {
        let problem = format!("{:?} and {:?} do not fit", first.shape, second.shape);
        return Err(Refusal::invalid(problem));
    }
    // The work counts as what it would take to store every product.
    budget.allocate(&[*rows, *inner, *columns], 1)?;
    let (a, b) = (first.to_floats()?, second.to_floats()?);
    let element = |at: usize| {
        let (row, column) = (at / columns, at % columns);
        (0..*inner)
            .map(|k| f64::from(a[row * inner + k]) * f64::from(b[k * columns + column]))
            .sum::<f64>()
    };
    let data = (0..rows * columns).map(|at| element(at) as f32).collect();
    Ok(Constant { shape: vec![*rows, *columns], elements: Elements::Float(data) })
}

/// Sums of the elements up to each, along an axis.
pub(super) fn running_sum(
    input: &Constant,
    axis: i64,
    (exclusive, reverse): (bool, bool),
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let axis = normalize_axis(axis, input.shape.len())?;
    budget.allocate(&input.shape, 2 * size_of::<f64>())?;
    let data = input.to_floats()?;
    let (extent, step) = (input.shape[axis], strides(&input.shape)[axis]);
    let mut sums = vec![0.0_f32; data.len()];
    for start in (0..data.len()).filter(|at| (at / step).is_multiple_of(extent)) {
        let mut sum = 0.0_f64;
        for i in 0..extent {
            let at = start + step * if reverse { extent - 1 - i } else { i };
            let before = sum;
            sum += f64::from(data[at]);
            sums[at] = if exclusive { before } else { sum } as f32;
        }
    }
    let elements = match &input.elements {
        Elements::Float(_) => Elements::Float(sums),
        Elements::Integer(_) => {
            Elements::Integer(sums.iter().map(|&v| Extent::Known(v as i64)).collect())
        }
    };
    Ok(Constant { shape: input.shape.clone(), elements })
}
