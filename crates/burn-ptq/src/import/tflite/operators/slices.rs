//! Parts of tensors, and tensors made of them.

use burn_ptq_deploy::tflite::file::Operator;
use burn_ptq_deploy::tflite::places::options;

use super::fields::{axis, int};
use crate::import::proto::int as attribute;
use crate::import::tflite::translator::{Call, Refusal, Translator};
use crate::import::tflite::values::Order;

/// What is taken along an axis.
#[derive(Clone, Copy)]
struct Range {
    start: i64,
    end: i64,
    step: i64,
}

/// The part of a value that `ranges` take, one for each axis.
fn part(t: &mut Translator, value: String, ranges: &[Range]) -> Call {
    let numbers = |number: fn(&Range) -> i64| ranges.iter().map(number).collect::<Vec<i64>>();
    let axes: Vec<i64> = (0..ranges.len() as i64).collect();
    let inputs = vec![
        value,
        t.integers("starts", &numbers(|range| range.start)),
        t.integers("ends", &numbers(|range| range.end)),
        t.integers("axes", &axes),
        t.integers("steps", &numbers(|range| range.step)),
    ];
    Call::new("Slice", inputs)
}

/// Whether lists have a number for each axis.
fn check_axes(t: &Translator, input: usize, lists: &[&[i64]]) -> Result<(), Refusal> {
    let axes = t.tensor(input).shape.len();
    match lists.iter().find(|list| list.len() != axes) {
        Some(list) => Err(Refusal::invalid(format!("{} numbers for {axes} axes", list.len()))),
        None => Ok(()),
    }
}

pub(super) fn slice(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let starts = t.integers_of(t.input(operator, 1)?)?;
    let sizes = t.integers_of(t.input(operator, 2)?)?;
    check_axes(t, input, &[&starts, &sizes])?;
    let range = |(&start, &size): (&i64, &i64)| {
        let end = if size < 0 { i64::MAX } else { start.saturating_add(size) };
        Range { start, end, step: 1 }
    };
    let ranges: Vec<Range> = starts.iter().zip(&sizes).map(range).collect();
    let order = t.order(&[input]);
    let value = t.value(input, order)?;
    let call = part(t, value, &order.arrange(&ranges));
    t.set(output, order, call);
    Ok(())
}

pub(super) fn strided_slice(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let lists: Vec<Vec<i64>> = (1..4)
        .map(|place| t.input(operator, place).and_then(|at| t.integers_of(at)))
        .collect::<Result<_, _>>()?;
    let [starts, ends, steps] = &lists[..] else {
        return Err(Refusal::invalid("its bounds are missing"));
    };
    let mask = |place: usize| int(operator, place);
    if mask(options::ELLIPSIS_MASK)? != 0 || mask(options::NEW_AXIS_MASK)? != 0 {
        let problem = "a part with an ellipsis or new axes is not supported";
        return Err(Refusal::new(problem, "convert the model with a number for every axis"));
    }
    if mask(options::END_IS_OFFSET)? != 0 {
        let problem = "a part whose ends are lengths is not supported";
        return Err(Refusal::new(problem, "convert the model with ends as places"));
    }
    let [open_starts, open_ends, shrunk] =
        [mask(options::BEGIN_MASK)?, mask(options::END_MASK)?, mask(options::SHRINK_MASK)?];
    let shape = t.tensor(input).shape.clone();
    if starts.len() > shape.len() || [ends, steps].iter().any(|list| list.len() != starts.len()) {
        let problem = format!("{} numbers for {} axes", starts.len(), shape.len());
        return Err(Refusal::invalid(problem));
    }
    let mut ranges = vec![Range { start: 0, end: i64::MAX, step: 1 }; shape.len()];
    for (axis, range) in ranges.iter_mut().enumerate().take(starts.len()) {
        let is = |mask: i32| mask >> axis & 1 == 1;
        let step = steps[axis];
        let (mut start, mut end) = (starts[axis], ends[axis]);
        if is(shrunk) {
            // One element, which may be counted from behind.
            if is(open_starts) {
                start = 0;
            }
            end = if start == -1 { i64::MAX } else { start.saturating_add(1) };
            *range = Range { start, end, step: 1 };
            continue;
        }
        if is(open_starts) {
            start = if step < 0 { i64::MAX } else { 0 };
        }
        if is(open_ends) {
            end = if step < 0 { i64::MIN } else { i64::MAX };
        }
        *range = Range { start, end, step };
    }
    let squeezed: Vec<i64> =
        (0..shape.len() as i64).filter(|&axis| shrunk >> axis & 1 == 1).collect();
    let order = if squeezed.is_empty() { t.order(&[input]) } else { Order::Last };
    let value = t.value(input, order)?;
    let call = part(t, value, &order.arrange(&ranges));
    let call = match squeezed.is_empty() {
        true => call,
        false => {
            let value = t.part("slice", call);
            let axes = t.integers("squeezed", &squeezed);
            Call::new("Squeeze", vec![value, axes])
        }
    };
    t.set(output, order, call);
    Ok(())
}

/// The parts of `input` along an axis, as long as the outputs.
fn split_along(
    t: &mut Translator,
    operator: &Operator,
    input: usize,
    along: usize,
) -> Result<(), Refusal> {
    let along =
        axis(t.integers_of(along)?.first().copied().unwrap_or(0), t.tensor(input).shape.len())?;
    let extent = |&output: &usize| t.tensor(output).shape.get(along).map(|&extent| extent as i64);
    let sizes: Option<Vec<i64>> = operator.outputs.iter().map(extent).collect();
    let sizes = sizes.ok_or_else(|| Refusal::invalid("parts with fewer axes than the whole"))?;
    let order = t.order(&[input]);
    let inputs = vec![t.value(input, order)?, t.integers("sizes", &sizes)];
    let call = Call::new("Split", inputs).with(attribute("axis", order.axis(along)));
    t.set_all(&operator.outputs, order, call);
    Ok(())
}

pub(super) fn split(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (along, input) = (t.input(operator, 0)?, t.input(operator, 1)?);
    split_along(t, operator, input, along)
}

pub(super) fn split_v(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, along) = (t.input(operator, 0)?, t.input(operator, 2)?);
    split_along(t, operator, input, along)
}

pub(super) fn pack(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let output = t.output(operator)?;
    let along = int(operator, options::PACK_AXIS)?;
    let along = axis(i64::from(along), t.tensor(output).shape.len())?;
    let new = t.integers("axis", &[along as i64]);
    let inputs: Vec<usize> = operator.inputs.iter().copied().flatten().collect();
    let mut parts = Vec::new();
    for input in inputs {
        let value = t.value(input, Order::Last)?;
        parts.push(t.part("unsqueeze", Call::new("Unsqueeze", vec![value, new.clone()])));
    }
    t.set(output, Order::Last, Call::new("Concat", parts).with(attribute("axis", along)));
    Ok(())
}

pub(super) fn unpack(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let input = t.input(operator, 0)?;
    let shape = t.tensor(input).shape.clone();
    let along = axis(i64::from(int(operator, options::PACK_AXIS)?), shape.len())?;
    let value = t.value(input, Order::Last)?;
    let removed = t.integers("axis", &[along as i64]);
    for (place, &output) in operator.outputs.iter().enumerate() {
        let mut ranges = vec![Range { start: 0, end: i64::MAX, step: 1 }; shape.len()];
        ranges[along] = Range { start: place as i64, end: place as i64 + 1, step: 1 };
        let call = part(t, value.clone(), &ranges);
        let one = t.part("slice", call);
        t.set(output, Order::Last, Call::new("Squeeze", vec![one, removed.clone()]));
    }
    Ok(())
}
