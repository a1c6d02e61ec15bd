//! Operators that move elements.

use burn::tensor::TensorData;
use burn_ptq_deploy::tflite::Element;
use burn_ptq_deploy::tflite::file::Operator;
use burn_ptq_deploy::tflite::places::options;

use super::activation::activated;
use super::fields::{axis, byte, int};
use crate::import::onnx::data_type;
use crate::import::proto::{int as attribute, ints, string};
use crate::import::tflite::translator::{Call, Refusal, Translator, optional};
use crate::import::tflite::values::Order;

/// What is the same as its input, except how its elements are stored.
pub(super) fn identity(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    t.alias(output, input);
    Ok(())
}

pub(super) fn cast(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let to = match t.tensor(output).element {
        Ok(element) if element.is_float() => data_type::FLOAT,
        Ok(Element::Int32) => data_type::INT32,
        Ok(Element::Int64) => data_type::INT64,
        _ => {
            let problem = format!("a cast to {}", t.tensor(output).element_name());
            return Err(Refusal::new(problem, "convert the model without this cast"));
        }
    };
    let order = t.order(&[input]);
    let value = t.value(input, order)?;
    t.set(output, order, Call::new("Cast", vec![value]).with(attribute("to", to as usize)));
    Ok(())
}

/// Anything that keeps the elements in their order: the file states the shape of the output.
pub(super) fn reshape(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let (from, to) = (t.tensor(input).shape.clone(), t.tensor(output).shape.clone());
    if from == to {
        t.alias(output, input);
        return Ok(());
    }
    let mut shape: Vec<i64> = to.iter().map(|&extent| extent as i64).collect();
    // The same axis for any number of samples.
    if let (Some(first), true) = (shape.first_mut(), from.first() == to.first()) {
        *first = 0;
    }
    let value = t.value(input, Order::Last)?;
    let shape = t.integers("shape", &shape);
    t.set(output, Order::Last, Call::new("Reshape", vec![value, shape]));
    Ok(())
}

pub(super) fn transpose(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let axes = t.tensor(input).shape.len();
    let order = t.integers_of(t.input(operator, 1)?)?;
    let order =
        order.into_iter().map(|number| axis(number, axes)).collect::<Result<Vec<_>, _>>()?;
    let value = t.value(input, Order::Last)?;
    t.set(output, Order::Last, Call::new("Transpose", vec![value]).with(ints("perm", order)));
    Ok(())
}

pub(super) fn concatenation(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let inputs: Vec<usize> = operator.inputs.iter().copied().flatten().collect();
    let output = t.output(operator)?;
    let along = int(operator, options::CONCATENATION_AXIS)?;
    let along = axis(i64::from(along), t.tensor(output).shape.len())?;
    let order = t.order(&inputs);
    let values = inputs.iter().map(|&input| t.value(input, order)).collect::<Result<_, _>>()?;
    let call = Call::new("Concat", values).with(attribute("axis", order.axis(along)));
    activated(t, operator, options::CONCATENATION_ACTIVATION, order, call)
}

/// What is added in front of and behind each axis.
fn paddings(t: &Translator, operator: &Operator, input: usize) -> Result<Vec<[i64; 2]>, Refusal> {
    let axes = t.tensor(input).shape.len();
    let numbers = t.integers_of(t.input(operator, 1)?)?;
    let pairs = numbers.as_chunks::<2>().0.to_vec();
    if pairs.len() != axes {
        let problem = format!("{} paddings for {axes} axes", pairs.len());
        return Err(Refusal::invalid(problem));
    }
    Ok(pairs)
}

fn padded(t: &mut Translator, operator: &Operator, mode: &str) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let paddings = paddings(t, operator, input)?;
    let order = t.order(&[input]);
    let arranged = order.arrange(&paddings);
    let pads: Vec<i64> =
        (0..2).flat_map(|side| arranged.iter().map(move |pair| pair[side])).collect();
    let mut inputs = vec![t.value(input, order)?, t.integers("pads", &pads)];
    if let Some(value) = optional(operator, 2) {
        let value: Vec<f32> = t.data(value)?.iter::<f32>().collect();
        let [value] = value[..] else {
            return Err(Refusal::invalid(format!("{} values to pad with", value.len())));
        };
        inputs.push(t.store("value", &TensorData::new(vec![value], [0_usize; 0])));
    }
    t.set(output, order, Call::new("Pad", inputs).with(string("mode", mode)));
    Ok(())
}

pub(super) fn pad(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    padded(t, operator, "constant")
}

pub(super) fn mirror_pad(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    match byte(operator, options::MIRROR_MODE)? {
        0 => padded(t, operator, "reflect"),
        _ => Err(Refusal::new(
            "padding that repeats the border elements is not supported",
            "convert the model with mode REFLECT, or with zeros",
        )),
    }
}

pub(super) fn depth_to_space(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    blocks(t, operator, "DepthToSpace")
}

pub(super) fn space_to_depth(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    blocks(t, operator, "SpaceToDepth")
}

fn blocks(t: &mut Translator, operator: &Operator, name: &'static str) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let block = int(operator, options::BLOCK)?;
    let block =
        usize::try_from(block).map_err(|_| Refusal::invalid(format!("blocks of {block}")))?;
    let value = t.value(input, Order::First)?;
    t.set(output, Order::First, Call::new(name, vec![value]).with(attribute("blocksize", block)));
    Ok(())
}

pub(super) fn broadcast_to(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let value = t.value(input, Order::Last)?;
    let shape: Vec<i64> = t.tensor(output).shape.iter().map(|&extent| extent as i64).collect();
    let shape = t.integers("shape", &shape);
    t.set(output, Order::Last, Call::new("Expand", vec![value, shape]));
    Ok(())
}

pub(super) fn tile(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let repeats = t.integers_of(t.input(operator, 1)?)?;
    let value = t.value(input, Order::Last)?;
    let repeats = t.integers("repeats", &repeats);
    t.set(output, Order::Last, Call::new("Tile", vec![value, repeats]));
    Ok(())
}

pub(super) fn gather(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    if int(operator, options::GATHER_BATCH_AXES)? != 0 {
        let problem = "ids of each sample for rows of its own are not supported";
        return Err(Refusal::new(problem, "convert the model with one table for all samples"));
    }
    let along = int(operator, options::GATHER_AXIS)?;
    let along = axis(i64::from(along), t.tensor(input).shape.len())?;
    let values = [input, t.input(operator, 1)?];
    let values = values.iter().map(|&at| t.value(at, Order::Last)).collect::<Result<_, _>>()?;
    t.set(output, Order::Last, Call::new("Gather", values).with(attribute("axis", along)));
    Ok(())
}
