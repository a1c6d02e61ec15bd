//! Which nodes are computed at import.

use onnx_ir::NodeProto;

use super::super::attributes::Attributes;
use super::super::budget::Budget;
use super::super::error::Refusal;
use super::super::tensor::{data_type, decode};
use super::elementwise::{binary, unary};
use super::indexing::{self, Axes};
use super::{Constant, Elements, Extent};

/// Computes `node` from constants; `None` if the operator is not one that is computed at import.
/// An omitted input is `None`.
pub(crate) fn fold(
    node: &NodeProto,
    opset: i64,
    inputs: &[Option<&Constant>],
    budget: &mut Budget,
) -> Result<Option<Constant>, Refusal> {
    let attributes = Attributes(&node.attribute);
    let input = |index: usize| {
        inputs
            .get(index)
            .copied()
            .flatten()
            .ok_or_else(|| Refusal::invalid(format!("input {index} is missing")))
    };
    let optional = |index: usize| inputs.get(index).copied().flatten();
    // Attributes that a later opset made inputs.
    let integers = |name: &str, index: usize| match optional(index) {
        Some(constant) => constant.to_integers().map(Some),
        None => Ok(attributes.ints(name)?.map(<[i64]>::to_vec)),
    };
    let result = match node.op_type.as_str() {
        "Constant" => constant_node(attributes, budget)?,
        "ConstantOfShape" => constant_of_shape(attributes, input(0)?, budget)?,
        "Cast" => cast(input(0)?, attributes.int("to", 0)?, budget)?,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Equal" => {
            binary(&node.op_type, input(0)?, input(1)?, budget)?
        }
        "Neg" | "Sqrt" | "Reciprocal" | "Floor" | "Ceil" | "Abs" | "Exp" => {
            unary(&node.op_type, input(0)?, budget)?
        }
        "ReduceProd" => product(input(0)?, attributes, integers("axes", 1)?)?,
        "Where" => indexing::select(input(0)?, input(1)?, input(2)?, budget)?,
        "Gather" => indexing::gather(input(0)?, input(1)?, attributes.int("axis", 0)?, budget)?,
        "Concat" => {
            let parts: Vec<&Constant> = inputs.iter().copied().flatten().collect();
            indexing::concat(&parts, attributes.int("axis", 0)?, budget)?
        }
        "Squeeze" => indexing::squeeze(input(0)?, integers("axes", 1)?, budget)?,
        "Unsqueeze" => indexing::unsqueeze(input(0)?, integers("axes", 1)?, budget)?,
        "Reshape" => {
            let keep_zeros = attributes.flag("allowzero", false)?;
            indexing::reshape(input(0)?, &input(1)?.to_integers()?, keep_zeros, budget)?
        }
        "Flatten" => indexing::flatten(input(0)?, attributes.int("axis", 1)?, budget)?,
        "Transpose" => indexing::transpose(input(0)?, attributes.ints("perm")?, budget)?,
        "Expand" => indexing::expand(input(0)?, &input(1)?.to_integers()?, budget)?,
        "Shape" => {
            let extents: Vec<Extent> =
                input(0)?.shape.iter().map(|&d| Extent::Known(d as i64)).collect();
            shape_of(&extents, attributes)?
        }
        "Slice" => {
            let [starts, ends, axes] = if opset < 10 {
                ["starts", "ends", "axes"].map(|n| integers(n, usize::MAX))
            } else {
                [1, 2, 3].map(|i| integers("", i))
            };
            let steps = integers("", 4)?;
            let missing = || Refusal::invalid("its starts or ends are missing");
            let (starts, ends) = (starts?.ok_or_else(missing)?, ends?.ok_or_else(missing)?);
            let axes = Axes { starts, ends, axes: axes?, steps };
            indexing::slice(input(0)?, &axes, budget)?
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}

/// The value of a `Constant` node.
fn constant_node(attributes: Attributes, budget: &mut Budget) -> Result<Constant, Refusal> {
    let vector = |elements: Elements, len: usize| Constant { shape: vec![len], elements };
    let known = |values: &[i64]| values.iter().map(|&v| Extent::Known(v)).collect::<Vec<_>>();
    if let Some(tensor) = attributes.tensor("value")? {
        return decode(tensor, budget);
    }
    if let Some(values) = attributes.floats("value_floats")? {
        return Ok(vector(Elements::Float(values.to_vec()), values.len()));
    }
    if let Some(values) = attributes.ints("value_ints")? {
        return Ok(vector(Elements::Integer(known(values)), values.len()));
    }
    let elements = if attributes.has("value_float") {
        Elements::Float(vec![attributes.float("value_float", 0.0)?])
    } else if attributes.has("value_int") {
        Elements::Integer(known(&[attributes.int("value_int", 0)?]))
    } else {
        return Err(Refusal::new(
            "it holds neither a dense tensor nor numbers",
            "store the constant as a dense tensor of floats or integers",
        ));
    };
    Ok(Constant { shape: Vec::new(), elements })
}

/// The result of a `Shape` node over a value with these extents.
pub(crate) fn shape_of(extents: &[Extent], attributes: Attributes) -> Result<Constant, Refusal> {
    let rank = extents.len() as i64;
    let bound =
        |axis: i64| (if axis < 0 { axis.saturating_add(rank) } else { axis }).clamp(0, rank);
    let start = bound(attributes.int("start", 0)?) as usize;
    let end = bound(attributes.int("end", rank)?) as usize;
    let extents = extents.get(start..end).unwrap_or_default().to_vec();
    Ok(Constant { shape: vec![extents.len()], elements: Elements::Integer(extents) })
}

fn constant_of_shape(
    attributes: Attributes,
    shape: &Constant,
    budget: &mut Budget,
) -> Result<Constant, Refusal> {
    let negative = || Refusal::invalid("a shape has negative extents");
    let shape: Vec<usize> = shape
        .to_integers()?
        .into_iter()
        .map(|d| usize::try_from(d).map_err(|_| negative()))
        .collect::<Result<_, _>>()?;
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

/// The product of all elements, as exporters compute the number of elements of a shape.
fn product(
    input: &Constant,
    attributes: Attributes,
    axes: Option<Vec<i64>>,
) -> Result<Constant, Refusal> {
    let all = axes.is_none_or(|axes| axes.is_empty() || matches!(axes[..], [0 | -1]));
    if input.shape.len() != 1 || !all {
        return Err(Refusal::new("only shapes are multiplied up", "simplify the model's shapes"));
    }
    let factors = input.to_integers()?;
    let product = factors.iter().try_fold(1_i64, |n, &d| n.checked_mul(d));
    let product = product.ok_or_else(|| Refusal::invalid("the product of a shape overflows"))?;
    let shape = if attributes.flag("keepdims", true)? { vec![1] } else { Vec::new() };
    Ok(Constant { shape, elements: Elements::Integer(vec![Extent::Known(product)]) })
}

fn cast(input: &Constant, to: i64, budget: &mut Budget) -> Result<Constant, Refusal> {
    let to = i32::try_from(to).unwrap_or_default();
    let elements = match &input.elements {
        Elements::Integer(_) if data_type::is_float(to) => {
            budget.allocate(&input.shape, size_of::<f32>())?;
            Elements::Float(input.to_floats()?)
        }
        Elements::Float(data) if !data_type::is_float(to) => {
            budget.allocate(&input.shape, size_of::<Extent>())?;
            let truncate = |&v: &f32| match to {
                data_type::BOOL => i64::from(v != 0.0),
                _ => v as i64,
            };
            Elements::Integer(data.iter().map(|v| Extent::Known(truncate(v))).collect())
        }
        Elements::Integer(data) if to == data_type::BOOL => {
            budget.allocate(&input.shape, size_of::<Extent>())?;
            let truth = |e: &Extent| Extent::Known(i64::from(*e != Extent::Known(0)));
            Elements::Integer(data.iter().map(truth).collect())
        }
        same => {
            budget.allocate(&input.shape, size_of::<Extent>())?;
            same.clone()
        }
    };
    Ok(Constant { shape: input.shape.clone(), elements })
}
