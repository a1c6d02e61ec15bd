//! Activation functions that are fused into operators.

use burn::tensor::TensorData;
use burn_ptq_deploy::tflite::file::Operator;

use super::fields::byte;
use crate::import::tflite::translator::{Call, Refusal, Translator};
use crate::import::tflite::values::Order;

/// `value` within bounds.
pub(super) fn clip(t: &mut Translator, value: String, min: f32, max: f32) -> Call {
    let bound = |bound: f32| TensorData::new(vec![bound], [0_usize; 0]);
    let (min, max) = (t.store("min", &bound(min)), t.store("max", &bound(max)));
    Call::new("Clip", vec![value, min, max])
}

/// Makes the first output of `operator`: what `call` gives, through the activation function that is fused into it,
/// of which `place` is the place in the options.
pub(super) fn activated(
    t: &mut Translator,
    operator: &Operator,
    place: usize,
    order: Order,
    call: Call,
) -> Result<(), Refusal> {
    let output = t.output(operator)?;
    let activation = byte(operator, place)?;
    if activation == 0 {
        t.set(output, order, call);
        return Ok(());
    }
    let value = t.part("linear", call);
    let call = match activation {
        1 => Call::new("Relu", vec![value]),
        2 => clip(t, value, -1.0, 1.0),
        3 => clip(t, value, 0.0, 6.0),
        4 => Call::new("Tanh", vec![value]),
        other => {
            let problem = format!("the fused activation function {other} is not supported");
            return Err(Refusal::new(
                problem,
                "convert the model with an operator of its own for it",
            ));
        }
    };
    let name = t.part("activation", call);
    t.is(output, order, name);
    Ok(())
}
