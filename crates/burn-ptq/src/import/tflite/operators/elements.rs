//! Operators on single elements.

use burn_ptq_deploy::tflite::file::Operator;
use burn_ptq_deploy::tflite::places::options;

use super::activation::{activated, clip};
use super::fields::{byte, option};
use crate::import::proto::{float, string};
use crate::import::tflite::translator::{Call, Refusal, Translator};
use crate::import::tflite::values::Order;

/// `call` of the operator's only input.
fn unary(
    t: &mut Translator,
    operator: &Operator,
    call: impl FnOnce(&mut Translator, String) -> Call,
) -> Result<(), Refusal> {
    let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
    let order = t.order(&[input]);
    let value = t.value(input, order)?;
    let call = call(t, value);
    t.set(output, order, call);
    Ok(())
}

macro_rules! unary {
    ($($name:ident: $operator:literal;)*) => {$(
        pub(super) fn $name(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
            unary(t, operator, |_, x| Call::new($operator, vec![x]))
        }
    )*};
}

unary! {
    abs: "Abs";
    ceil: "Ceil";
    cos: "Cos";
    elu: "Elu";
    exp: "Exp";
    floor: "Floor";
    hard_swish: "HardSwish";
    log: "Log";
    logistic: "Sigmoid";
    neg: "Neg";
    relu: "Relu";
    round: "Round";
    sign: "Sign";
    sin: "Sin";
    sqrt: "Sqrt";
    tanh: "Tanh";
}

pub(super) fn relu6(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    unary(t, operator, |t, x| clip(t, x, 0.0, 6.0))
}

pub(super) fn relu_0_to_1(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    unary(t, operator, |t, x| clip(t, x, 0.0, 1.0))
}

pub(super) fn relu_n1_to_1(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    unary(t, operator, |t, x| clip(t, x, -1.0, 1.0))
}

pub(super) fn rsqrt(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    unary(t, operator, |t, x| {
        let root = t.part("sqrt", Call::new("Sqrt", vec![x]));
        Call::new("Reciprocal", vec![root])
    })
}

pub(super) fn square(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    unary(t, operator, |_, x| Call::new("Mul", vec![x.clone(), x]))
}

pub(super) fn leaky_relu(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let slope = option(operator, |table| table.float(options::LEAKY_SLOPE))?;
    unary(t, operator, |_, x| {
        Call::new("LeakyRelu", vec![x]).with(float("alpha", f64::from(slope)))
    })
}

pub(super) fn gelu(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let approximate = if byte(operator, options::GELU_APPROXIMATE)? != 0 { "tanh" } else { "none" };
    unary(t, operator, |_, x| Call::new("Gelu", vec![x]).with(string("approximate", approximate)))
}

/// `name` of both inputs, in the order that suits them.
fn binary(
    t: &mut Translator,
    operator: &Operator,
    name: &'static str,
) -> Result<(Order, Call), Refusal> {
    let inputs = [t.input(operator, 0)?, t.input(operator, 1)?];
    let order = t.order(&inputs);
    let values = inputs.iter().map(|&input| t.value(input, order)).collect::<Result<_, _>>()?;
    Ok((order, Call::new(name, values)))
}

macro_rules! binary {
    ($($name:ident: $operator:literal, $activation:expr;)*) => {$(
        pub(super) fn $name(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
            let (order, call) = binary(t, operator, $operator)?;
            let activation: Option<usize> = $activation;
            match activation {
                Some(place) => activated(t, operator, place, order, call),
                None => {
                    let output = t.output(operator)?;
                    t.set(output, order, call);
                    Ok(())
                }
            }
        }
    )*};
}

binary! {
    add: "Add", Some(options::ACTIVATION);
    div: "Div", Some(options::ACTIVATION);
    maximum: "Max", None;
    minimum: "Min", None;
    mul: "Mul", Some(options::ACTIVATION);
    pow: "Pow", None;
    prelu: "PRelu", None;
    sub: "Sub", Some(options::ACTIVATION);
}

pub(super) fn squared_difference(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (order, call) = binary(t, operator, "Sub")?;
    let difference = t.part("difference", call);
    let output = t.output(operator)?;
    t.set(output, order, Call::new("Mul", vec![difference.clone(), difference]));
    Ok(())
}
