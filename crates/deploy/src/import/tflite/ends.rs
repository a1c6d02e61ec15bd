//! Inputs and outputs, in integers, or in floats around a model of integers.

use super::builder::{Builder, follows};
use super::error::Refusal;
use super::values::{End, Value};
use crate::border::Border;
use crate::preprocess::Preprocessing;
use crate::program::{Input, MAX_ENDS, Output};
use crate::tflite::Element;
use crate::tflite::file::{Names, Operator};

/// How zero points of bytes without sign differ from those with one.
const SIGN: i64 = 128;

impl Builder<'_> {
    /// Takes in the inputs of the graph.
    pub(super) fn enter(&mut self, names: &Names) {
        let ends = &self.graph.inputs;
        if !(1..=MAX_ENDS).contains(&ends.len()) {
            let reason = format!("expected 1 to {MAX_ENDS} inputs, found {}", ends.len());
            self.note(None, "graph".into(), self.graph.name, Refusal::lasting(reason));
            return;
        }
        let all = unique(ends.iter().map(|&at| self.end_name(at, &names.inputs, "input")));
        for (place, (&at, name)) in self.graph.inputs.iter().zip(all).enumerate() {
            let element = self.tensor(at).element;
            let entered = match element {
                Ok(Element::Float32 | Element::UInt8) => {
                    self.set(at, Value::Outside(place)).map(|()| None)
                }
                _ => self.write(at).map(Some),
            };
            let tensor = entered.unwrap_or_else(|refusal| {
                self.note(None, "input".into(), &name, refusal);
                None
            });
            self.inputs.push(End { name, at, tensor });
        }
    }

    /// The name of an end: that of a signature, else that of its tensor.
    fn end_name(&self, at: usize, names: &[(&str, usize)], role: &str) -> String {
        let own = names.iter().find(|(_, tensor)| *tensor == at).map(|(name, _)| *name);
        let name = own.unwrap_or(self.tensor(at).name);
        // The converter's prefix and suffix say nothing.
        let plain = name.strip_prefix(&format!("{}_", crate::tflite::SIGNATURE));
        match plain.map_or(name, |plain| plain.strip_suffix(":0").unwrap_or(plain)) {
            "" => role.to_owned(),
            name => crate::printable::clip(name).into_owned(),
        }
    }

    /// `QUANTIZE` of an input in floats or bytes without sign: the program's input is what it writes.
    pub(super) fn quantize_input(&mut self, place: usize, output: usize) -> Result<(), Refusal> {
        let Some(End { at, tensor, .. }) = self.inputs.get(place).cloned() else {
            return Err(follows());
        };
        if self.tensor(at).element == Ok(Element::UInt8) {
            self.only_the_sign_differs(at, output)?;
        }
        match tensor {
            None => {
                let id = self.write(output)?;
                self.inputs[place].tensor = Some(id);
                Ok(())
            }
            Some(id) => {
                // A second operator may do the same once more.
                let own = self.activation_like(output)?;
                let held = self.of(id);
                if (held.dtype, held.grid) != (own.dtype, own.grid) {
                    return Err(Refusal::lasting(
                        "the input is quantized to two grids, expected one for an input",
                    ));
                }
                self.set(output, Value::Activation(id))
            }
        }
    }

    /// `QUANTIZE` to bytes without sign, or `DEQUANTIZE`: the caller reads what it reads.
    pub(super) fn outward(&mut self, operator: &Operator) -> Result<(), Refusal> {
        let (x, y) = (self.input(operator, 0)?, self.output(operator)?);
        let id = self.activation(x)?;
        if self.tensor(y).element == Ok(Element::UInt8) {
            self.only_the_sign_differs(y, x)?;
        }
        self.set(y, Value::Outward(id))
    }

    /// Checks that bytes without sign, of the tensor `unsigned`, are those of `signed` plus 128.
    fn only_the_sign_differs(&self, unsigned: usize, signed: usize) -> Result<(), Refusal> {
        let (outer, inner) = (self.single_grid(unsigned)?, self.single_grid(signed)?);
        let alike = (outer.0, outer.1) == (inner.0, inner.1 + SIGN);
        match alike && self.tensor(signed).element == Ok(Element::Int8) {
            true => Ok(()),
            false => Err(Refusal::new(format!(
                "expected uint8 elements at an end to be int8 ones plus {SIGN}, found scale {:?} and zero point {} \
                 for {:?} and {}",
                outer.0, outer.1, inner.0, inner.1
            ))),
        }
    }

    /// The inputs and outputs of the program.
    pub(super) fn leave(&mut self, names: &Names) -> (Vec<Input>, Vec<Output>) {
        let mut inputs = Vec::new();
        for End { name, at, tensor } in std::mem::take(&mut self.inputs) {
            let Some(tensor) = tensor else {
                let reason = "expected a QUANTIZE operator to read the input, found none";
                if matches!(self.value(at), Some(Value::Outside(_))) {
                    self.note(None, "input".into(), &name, Refusal::new(reason));
                }
                continue;
            };
            let border = self.border(at);
            let channel_axis = border.source_shape.len().saturating_sub(1);
            let preprocessing = Preprocessing { channel_axis, ..Preprocessing::default() };
            inputs.push(Input { name, tensor, border, preprocessing });
        }
        let ends = &self.graph.outputs;
        if !(1..=MAX_ENDS).contains(&ends.len()) {
            let reason = format!("expected 1 to {MAX_ENDS} outputs, found {}", ends.len());
            self.note(None, "graph".into(), self.graph.name, Refusal::lasting(reason));
            return (inputs, Vec::new());
        }
        let all = unique(ends.iter().map(|&at| self.end_name(at, &names.outputs, "output")));
        let mut outputs = Vec::new();
        for (&at, name) in self.graph.outputs.iter().zip(all) {
            let tensor = match self.value(at) {
                Some(Value::Outward(id)) => Ok(*id),
                _ => self.activation(at),
            };
            match tensor {
                Ok(tensor) => outputs.push(Output::new(name, tensor, self.border(at))),
                Err(refusal) => self.note(None, "output".into(), &name, refusal),
            }
        }
        (inputs, outputs)
    }

    /// How a sample lies in the tensor: as in the file, without the axis of a batch of one.
    fn border(&self, at: usize) -> Border {
        match self.shape(at) {
            [1, sample @ ..] if !sample.is_empty() => Border::plain(sample),
            [] => Border::plain(&[1]),
            sample => Border::plain(sample),
        }
    }
}

/// Names with numbers behind those that come again.
fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names {
        let mut own = name.clone();
        let mut number = 2;
        while all.contains(&own) {
            own = format!("{name}_{number}");
            number += 1;
        }
        all.push(own);
    }
    all
}
