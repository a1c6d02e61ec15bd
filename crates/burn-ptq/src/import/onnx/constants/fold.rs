//! Which nodes are computed at import.

use onnx_ir::NodeProto;

use super::super::attributes::Attributes;
use super::super::budget::Budget;
use super::super::error::Refusal;
use super::super::tensor::{data_type, decode};
use super::elementwise::{binary, unary};
use super::indexing::{self, Axes, normalize_axis};
use super::{Constant, Elements, Extent, generate, reduce};

/// Computes the outputs of `node` from constants; `None` if the operator is not one that is computed
/// at import. An omitted input is `None`.
pub(crate) fn fold(
    node: &NodeProto,
    opset: i64,
    inputs: &[Option<&Constant>],
    budget: &mut Budget,
) -> Result<Option<Vec<Constant>>, Refusal> {
    if node.op_type == "Split" {
        return split(node, opset, inputs, budget).map(Some);
    }
    Ok(fold_one(node, opset, inputs, budget)?.map(|constant| vec![constant]))
}

/// Computes the first output of `node`.
fn fold_one(
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
        "ConstantOfShape" => generate::constant_of_shape(attributes, input(0)?, budget)?,
        "Range" => generate::range([input(0)?, input(1)?, input(2)?], budget)?,
        "Trilu" => {
            let diagonal = match optional(1) {
                Some(diagonal) => diagonal.to_integers()?.first().copied().unwrap_or(0),
                None => 0,
            };
            generate::triangle(input(0)?, attributes.flag("upper", true)?, diagonal, budget)?
        }
        "Cast" => cast(input(0)?, attributes.int("to", 0)?, budget)?,
        "CastLike" => match input(1)?.elements {
            Elements::Float(_) => cast(input(0)?, data_type::FLOAT.into(), budget)?,
            Elements::Integer(_) => cast(input(0)?, data_type::INT64.into(), budget)?,
        },
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Equal" | "Greater" | "GreaterOrEqual"
        | "Less" | "LessOrEqual" | "And" | "Or" | "Xor" => {
            binary(&node.op_type, input(0)?, input(1)?, budget)?
        }
        "Min" | "Max" | "Sum" => {
            let mut result = input(0)?.clone();
            for index in 1..inputs.len() {
                result = binary(&node.op_type, &result, input(index)?, budget)?;
            }
            result
        }
        "Clip" => {
            let mut result = input(0)?.clone();
            for (index, op) in [(1, "Max"), (2, "Min")] {
                if let Some(bound) = optional(index) {
                    result = binary(op, &result, bound, budget)?;
                }
            }
            result
        }
        "Neg" | "Sqrt" | "Reciprocal" | "Floor" | "Ceil" | "Abs" | "Exp" | "Round" | "Log"
        | "Sin" | "Cos" | "Sign" | "Not" | "Relu" | "Sigmoid" | "Tanh" => {
            unary(&node.op_type, input(0)?, budget)?
        }
        "MatMul" => reduce::matmul(input(0)?, input(1)?, budget)?,
        "CumSum" => {
            let order = (attributes.flag("exclusive", false)?, attributes.flag("reverse", false)?);
            let axis = input(1)?.to_integers()?.first().copied().unwrap_or(0);
            reduce::running_sum(input(0)?, axis, order, budget)?
        }
        op if reduce::REDUCTIONS.contains(&op) => {
            let axes = integers("axes", 1)?.unwrap_or_default();
            if axes.is_empty() && attributes.flag("noop_with_empty_axes", false)? {
                return Ok(Some(input(0)?.clone()));
            }
            reduce::reduce(op, input(0)?, &axes, attributes.flag("keepdims", true)?, budget)?
        }
        "Size" => {
            let elements = Elements::Integer(vec![Extent::Known(input(0)?.len() as i64)]);
            Constant { shape: Vec::new(), elements }
        }
        "Tile" => indexing::tile(input(0)?, &input(1)?.to_integers()?, budget)?,
        "IsNaN" => {
            let input = input(0)?;
            let truth =
                input.to_floats()?.iter().map(|x| Extent::Known(i64::from(x.is_nan()))).collect();
            Constant { shape: input.shape.clone(), elements: Elements::Integer(truth) }
        }
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
        // A constant that is the same for every sample of a batch needs no batch axis.
        "Expand" => {
            let extents = input(1)?.to_extents()?.iter().map(|extent| match extent {
                Extent::Known(n) | Extent::Batch(n) => *n,
            });
            indexing::expand(input(0)?, &extents.collect::<Vec<i64>>(), budget)?
        }
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

/// The parts of a constant.
fn split(
    node: &NodeProto,
    opset: i64,
    inputs: &[Option<&Constant>],
    budget: &mut Budget,
) -> Result<Vec<Constant>, Refusal> {
    let attributes = Attributes(&node.attribute);
    let Some(Some(input)) = inputs.first() else {
        return Err(Refusal::invalid("input 0 is missing"));
    };
    let axis = normalize_axis(attributes.int("axis", 0)?, input.shape.len())?;
    let given = match inputs.get(1).copied().flatten() {
        Some(sizes) => Some(sizes.to_integers()?),
        None if opset < 13 => attributes.ints("split")?.map(<[i64]>::to_vec),
        None => None,
    };
    let (extent, parts) = (input.shape[axis], node.output.len().max(1));
    let even = || {
        let size = extent.div_ceil(parts);
        (0..parts).map(|i| size.min(extent.saturating_sub(i * size)) as i64).collect()
    };
    let sizes: Vec<i64> = given.unwrap_or_else(even);
    let mut start = 0_i64;
    let mut outputs = Vec::with_capacity(sizes.len());
    for size in &sizes {
        let end = start.saturating_add(*size);
        let bounds = Axes {
            starts: vec![start],
            ends: vec![end],
            axes: Some(vec![axis as i64]),
            steps: None,
        };
        outputs.push(indexing::slice(input, &bounds, budget)?);
        start = end;
    }
    let is_negative = sizes.iter().any(|&size| size < 0);
    if start != extent as i64 || sizes.len() < node.output.len() || is_negative {
        return Err(Refusal::invalid(format!("parts of {sizes:?} do not make up {extent}")));
    }
    Ok(outputs)
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
