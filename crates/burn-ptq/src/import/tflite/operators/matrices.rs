//! Products of matrices.

use burn_ptq_deploy::tflite::file::Operator;
use burn_ptq_deploy::tflite::places::options;

use super::activation::activated;
use super::fields::byte;
use crate::import::proto::{int, ints};
use crate::import::tflite::translator::{Call, Refusal, Translator, optional, permuted};
use crate::import::tflite::values::Order;

pub(super) fn fully_connected(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let (input, weights) = (t.input(operator, 0)?, t.input(operator, 1)?);
    let bias = optional(operator, 2).map(|bias| t.bias(bias)).transpose()?;
    if byte(operator, options::FULLY_CONNECTED_FORMAT)? != 0 {
        let problem = "its weights are shuffled for one processor";
        return Err(Refusal::new(problem, "convert the model with weights in the default format"));
    }
    let &[_, features] = &t.tensor(weights).shape[..] else {
        return Err(Refusal::invalid("weights without two axes"));
    };
    let shape = t.tensor(input).shape.clone();
    let keeps_axes = byte(operator, options::FULLY_CONNECTED_KEEP)? != 0 && shape.len() != 2;
    let behind: usize = shape.iter().skip(1).product();
    let mut x = t.value(input, Order::Last)?;
    if !keeps_axes && behind == features {
        if shape.len() != 2 {
            x = t.part("flatten", Call::new("Flatten", vec![x]).with(int("axis", 1)));
        }
    } else if !keeps_axes {
        let rows = t.integers("rows", &[-1, features as i64]);
        x = t.part("flatten", Call::new("Reshape", vec![x, rows]));
    }
    let is_constant = t.constant(weights).is_some();
    let call = if is_constant && !keeps_axes {
        t.real(weights)?;
        let inputs = [x, t.value(weights, Order::Last)?].into_iter().chain(bias);
        Call::new("Gemm", inputs.collect()).with(int("transB", 1))
    } else {
        let turned = if is_constant {
            let weights = permuted(&t.real(weights)?, &[1, 0])?;
            t.store("weight", &weights)
        } else {
            let weights = t.value(weights, Order::Last)?;
            t.part("weight", Call::new("Transpose", vec![weights]).with(ints("perm", [1, 0])))
        };
        let product = Call::new("MatMul", vec![x, turned]);
        match bias {
            Some(bias) => Call::new("Add", vec![t.part("product", product), bias]),
            None => product,
        }
    };
    activated(t, operator, options::ACTIVATION, Order::Last, call)
}

pub(super) fn batch_matmul(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    let mut factors = Vec::new();
    for (place, adjoint) in [options::ADJOINT_A, options::ADJOINT_B].into_iter().enumerate() {
        let input = t.input(operator, place)?;
        let axes = t.tensor(input).shape.len();
        let mut value = t.value(input, Order::Last)?;
        if byte(operator, adjoint)? != 0 && axes >= 2 {
            let mut turned: Vec<usize> = (0..axes).collect();
            turned.swap(axes - 1, axes - 2);
            let call = Call::new("Transpose", vec![value]).with(ints("perm", turned));
            value = t.part("turned", call);
        }
        factors.push(value);
    }
    let output = t.output(operator)?;
    t.set(output, Order::Last, Call::new("MatMul", factors));
    Ok(())
}
