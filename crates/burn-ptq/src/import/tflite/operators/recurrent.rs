//! Recurrent layers over a sequence.

use burn::tensor::TensorData;
use burn_ptq_deploy::tflite::file::Operator;
use burn_ptq_deploy::tflite::places::{lstm as lstm_places, rnn as rnn_places};

use super::fields::{byte, option};
use crate::import::proto::{int as attribute, ints};
use crate::import::tflite::translator::{Call, Refusal, Translator, optional};
use crate::import::tflite::values::Order;

/// The activation function of a recurrent layer that has only one.
fn expect_activation(
    operator: &Operator,
    place: usize,
    code: u8,
    name: &str,
) -> Result<(), Refusal> {
    match byte(operator, place)? {
        found if found == code => Ok(()),
        found => Err(Refusal::new(
            format!("its activation function has code {found}, expected {name}"),
            format!("train the model with {name}"),
        )),
    }
}

/// The values of constant tensors of as many elements each, one after the other.
fn joined(t: &Translator, operator: &Operator, places: &[usize]) -> Result<Vec<f32>, Refusal> {
    let mut values = Vec::new();
    for (count, &place) in places.iter().enumerate() {
        let before = values.len();
        values.extend(t.real(t.input(operator, place)?)?.iter::<f32>());
        if (values.len() - before) * count != before {
            return Err(Refusal::invalid("gates of different sizes"));
        }
    }
    Ok(values)
}

/// A layer of ONNX with one direction, from a sequence to the outputs of all its steps.
struct Layer {
    name: &'static str,
    hidden: usize,
    input_weights: Vec<f32>,
    hidden_weights: Vec<f32>,
    /// Of inputs; those of the state are zero.
    bias: Vec<f32>,
    is_time_first: bool,
}

impl Layer {
    fn add(self, t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
        let (input, output) = (t.input(operator, 0)?, t.output(operator)?);
        let Self { name, hidden, input_weights, hidden_weights, mut bias, is_time_first } = self;
        let rows = bias.len();
        let features = t.tensor(input).shape.last().copied().unwrap_or(0);
        let is = input_weights.len() == rows * features && hidden_weights.len() == rows * hidden;
        if !is || t.tensor(input).shape.len() != 3 {
            return Err(Refusal::invalid("its weights do not fit its input"));
        }
        let mut x = t.value(input, Order::Last)?;
        let swap = [1, 0, 2];
        if !is_time_first {
            x = t.part("steps_first", Call::new("Transpose", vec![x]).with(ints("perm", swap)));
        }
        bias.resize(2 * rows, 0.0);
        let inputs = vec![
            x,
            t.store("input_weight", &TensorData::new(input_weights, [1, rows, features])),
            t.store("hidden_weight", &TensorData::new(hidden_weights, [1, rows, hidden])),
            t.store("bias", &TensorData::new(bias, [1, 2 * rows])),
        ];
        let y = t.part("layer", Call::new(name, inputs).with(attribute("hidden_size", hidden)));
        let direction = t.integers("direction", &[1]);
        let mut call = Call::new("Squeeze", vec![y, direction]);
        if !is_time_first {
            let y = t.part("squeezed", call);
            call = Call::new("Transpose", vec![y]).with(ints("perm", swap));
        }
        t.set(output, Order::Last, call);
        Ok(())
    }
}

pub(super) fn lstm(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    expect_activation(operator, lstm_places::ACTIVATION, 4, "tanh")?;
    // The input gate is missing in layers that couple it with the forget gate.
    let unusual = [(9..12, "peepholes"), (16..18, "a projection"), (20..24, "layer normalization")];
    for (places, what) in unusual {
        if places.clone().any(|place| optional(operator, place).is_some()) {
            let problem = format!("a layer with {what} is not supported");
            return Err(Refusal::new(problem, format!("train the model without {what}")));
        }
    }
    for place in [lstm_places::CELL_CLIP, lstm_places::PROJECTION_CLIP] {
        let clip = option(operator, |table| table.float(place))?;
        // Converters write what no cell reaches where there is no bound.
        if clip != 0.0 && clip < 10.0 {
            let problem = format!("a cell that is clipped at {clip} is not supported");
            return Err(Refusal::new(problem, "train the model without it"));
        }
    }
    let bias = joined(t, operator, &[12, 15, 13, 14])?;
    // ONNX has input, output, forget and cell; these files input, forget, cell and output.
    Layer {
        name: "LSTM",
        hidden: bias.len() / 4,
        input_weights: joined(t, operator, &[1, 4, 2, 3])?,
        hidden_weights: joined(t, operator, &[5, 8, 6, 7])?,
        bias,
        is_time_first: byte(operator, lstm_places::TIME_FIRST)? != 0,
    }
    .add(t, operator)
}

pub(super) fn rnn(t: &mut Translator, operator: &Operator) -> Result<(), Refusal> {
    expect_activation(operator, rnn_places::ACTIVATION, 4, "tanh")?;
    let bias = joined(t, operator, &[3])?;
    Layer {
        name: "RNN",
        hidden: bias.len(),
        input_weights: joined(t, operator, &[1])?,
        hidden_weights: joined(t, operator, &[2])?,
        bias,
        is_time_first: byte(operator, rnn_places::TIME_FIRST)? != 0,
    }
    .add(t, operator)
}
