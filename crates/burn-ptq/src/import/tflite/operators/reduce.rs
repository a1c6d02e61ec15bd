//! Operators over whole axes.

use burn::tensor::TensorData;
use burn_ptq_deploy::tflite::file::Operator;
use burn_ptq_deploy::tflite::places::options;

use super::activation::activated;
use super::fields::{axis, byte, option};
use crate::import::proto::int as attribute;
use crate::import::tflite::translator::{Call, Refusal, Translator};
use crate::import::tflite::values::Order;

fn reduce(t: &mut Translator, operator: &Operator, name: &'static str) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let count = t.tensor(input).shape.len();
    let numbers = t.integers_of(t.input(operator, 1)?)?;
    let axes = numbers.into_iter().map(|number| axis(number, count));
    let mut axes = axes.collect::<Result<Vec<usize>, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    let keeps = byte(operator, options::KEEP_AXES)? != 0;
    // Without height and width, or without all behind the batch, both orders are one.
    let alike = keeps || matches!(axes[..], [1, 2] | [1, 2, 3]);
    let order = if alike { t.order(&[input]) } else { Order::Last };
    let arranged: Vec<i64> = axes.iter().map(|&axis| order.axis(axis) as i64).collect();
    let inputs = vec![t.value(input, order)?, t.integers("axes", &arranged)];
    let call = Call::new(name, inputs).with(attribute("keepdims", usize::from(keeps)));
    t.set(output, if keeps { order } else { Order::Last }, call);
    Ok(())
}

macro_rules! reductions {
    ($($name:ident: $operator:literal;)*) => {$(
        pub(super) fn $name(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
            reduce(t, operator, $operator)
        }
    )*};
}

reductions! {
    max: "ReduceMax";
    mean: "ReduceMean";
    min: "ReduceMin";
    sum: "ReduceSum";
}

/// `name` along the channels.
fn along_channels(
    t: &mut Translator,
    operator: &Operator,
    call: impl FnOnce(&mut Translator, String) -> Call,
) -> Result<(Order, Call), Refusal> {
    let input = t.input(operator, 0)?;
    let axes = t.tensor(input).shape.len();
    if axes == 0 {
        return Err(Refusal::invalid("it reads a single number"));
    }
    let order = t.order(&[input]);
    let value = t.value(input, order)?;
    Ok((order, call(t, value).with(attribute("axis", order.axis(axes - 1)))))
}

pub(super) fn softmax(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let output = t.output(operator)?;
    let beta = option(operator, |table| table.float(options::SOFTMAX_BETA))?;
    let (order, call) = along_channels(t, operator, |t, mut value| {
        // A field that is not there is 0, which no model means.
        if beta != 1.0 && beta != 0.0 {
            let factor = t.store("beta", &TensorData::new(vec![beta], [0_usize; 0]));
            value = t.part("scaled", Call::new("Mul", vec![value, factor]));
        }
        Call::new("Softmax", vec![value])
    })?;
    t.set(output, order, call);
    Ok(())
}

pub(super) fn log_softmax(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let output = t.output(operator)?;
    let (order, call) = along_channels(t, operator, |_, x| Call::new("LogSoftmax", vec![x]))?;
    t.set(output, order, call);
    Ok(())
}

pub(super) fn l2_normalization(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let normalized =
        |_: &mut Translator, x| Call::new("LpNormalization", vec![x]).with(attribute("p", 2));
    let (order, call) = along_channels(t, operator, normalized)?;
    activated(t, operator, options::ACTIVATION, order, call)
}

fn place(t: &mut Translator, operator: &Operator, name: &'static str) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let along = t.integers_of(t.input(operator, 1)?)?.first().copied().unwrap_or(-1);
    let along = axis(along, t.tensor(input).shape.len())?;
    let value = t.value(input, Order::Last)?;
    let call = Call::new(name, vec![value]).with(attribute("axis", along));
    t.set(output, Order::Last, call.with(attribute("keepdims", 0)));
    Ok(())
}

pub(super) fn arg_max(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    place(t, operator, "ArgMax")
}

pub(super) fn arg_min(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    place(t, operator, "ArgMin")
}
