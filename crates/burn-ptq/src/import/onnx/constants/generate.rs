//! Operators that make constants out of few numbers.

use super::super::attributes::Attributes;
use super::super::budget::Budget;
use super::super::error::Refusal;
use super::super::tensor::decode;
use super::{Constant, Elements, Extent};

pub(super) fn constant_of_shape(
    attributes: Attributes,
    shape: &Constant,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let negative = || Refusal::invalid("a shape has negative extents");
    // One that is the same for every sample of a batch needs no batch axis.
    let extent = |extent: &Extent| match extent {
        Extent::Known(n) => usize::try_from(*n).map_err(|_| negative()),
        Extent::Batch(n) => usize::try_from(*n).map_err(|_| negative()),
    };
    let shape: Vec<usize> = shape.to_extents()?.iter().map(extent).collect::<Result<_, _>>()?;
    let value = match attributes.tensor("value")? {
        Some(tensor) => decode(tensor, budget)?,
        None => Constant { shape: vec![1], elements: Elements::Float(vec![0.0]) },
    };
    let elements = match &value.elements {
        Elements::Float(data) if data.len() == 1 => {
            Elements::Float(vec![data[0]; budget.allocate(&shape, size_of::<f32>())?])
        }
        Elements::Integer(data) if data.len() == 1 => {
            Elements::Integer(vec![data[0]; budget.allocate(&shape, size_of::<Extent>())?])
        }
        _ => return Err(Refusal::invalid("attribute 'value' must hold one element")),
    };
    Ok(Constant { shape, elements })
}

/// Numbers from `start` to before `limit`.
pub(super) fn range(
    [start, limit, delta]: [&Constant; 3],
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let endless = || Refusal::invalid("its step of 0 never reaches the limit");
    let integer = |c: &&Constant| matches!(c.elements, Elements::Integer(_));
    if [start, limit, delta].iter().all(integer) {
        let number = |constant: &Constant| match constant.to_integers()?[..] {
            [number] => Ok(number),
            _ => Err(Refusal::invalid("expected one number each")),
        };
        let (start, limit, delta) = (number(start)?, number(limit)?, number(delta)?);
        if delta == 0 {
            return Err(endless());
        }
        let span = i128::from(limit) - i128::from(start);
        let count = span / i128::from(delta) + i128::from(span % i128::from(delta) != 0);
        let count = if (span > 0) == (delta > 0) { count.max(0) } else { 0 };
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        budget.allocate(&[count], size_of::<Extent>())?;
        let numbers = (0..count as i64).map(|i| Extent::Known(start + i * delta));
        return Ok(Constant { shape: vec![count], elements: Elements::Integer(numbers.collect()) });
    }
    let [start, limit, delta] = [start.to_scalar()?, limit.to_scalar()?, delta.to_scalar()?];
    let count = ((f64::from(limit) - f64::from(start)) / f64::from(delta)).ceil();
    if !count.is_finite() {
        return Err(endless());
    }
    let count = count.max(0.0) as usize;
    budget.allocate(&[count], size_of::<f32>())?;
    let numbers = (0..count).map(|i| (f64::from(start) + i as f64 * f64::from(delta)) as f32);
    Ok(Constant { shape: vec![count], elements: Elements::Float(numbers.collect()) })
}

/// The lower or upper triangles of matrices, with zeros elsewhere.
pub(super) fn triangle(
    input: &Constant,
    upper: bool,
    diagonal: i64,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let [.., rows, columns] = input.shape[..] else {
        return Err(Refusal::invalid(format!("{:?} is not a matrix", input.shape)));
    };
    budget.allocate(&input.shape, size_of::<Extent>())?;
    let kept = |at: usize| {
        let (row, column) = ((at / columns % rows) as i64, (at % columns) as i64);
        let distance = column - row;
        if upper { distance >= diagonal } else { distance <= diagonal }
    };
    let elements = match &input.elements {
        Elements::Float(data) => {
            let keep = |(at, &v): (usize, &f32)| if kept(at) { v } else { 0.0 };
            Elements::Float(data.iter().enumerate().map(keep).collect())
        }
        Elements::Integer(data) => {
            let keep = |(at, &v): (usize, &Extent)| if kept(at) { v } else { Extent::Known(0) };
            Elements::Integer(data.iter().enumerate().map(keep).collect())
        }
    };
    Ok(Constant { shape: input.shape.clone(), elements })
}
