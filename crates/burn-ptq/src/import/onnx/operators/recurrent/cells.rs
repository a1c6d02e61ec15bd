//! What one step of a recurrent layer computes.

use std::ops::Range;

use super::super::super::error::Refusal;
use super::super::super::growing::{Importer, Site};
use crate::graph::ops::{Add, Binary, BinaryFunction, Clip, Linear, Mul, Unary, UnaryFunction};
use crate::graph::{Array, Clamp, Gate, Op, ValueId};

/// The kinds of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gru,
    Lstm,
    Rnn,
}

impl Kind {
    /// How many gates it has.
    pub(super) fn gates(self) -> usize {
        match self {
            Kind::Gru => 3,
            Kind::Lstm => 4,
            Kind::Rnn => 1,
        }
    }

    /// The functions of its gates, as the standard has them by default.
    fn activations(self) -> &'static [&'static str] {
        match self {
            Kind::Gru => &["Sigmoid", "Tanh"],
            Kind::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Kind::Rnn => &["Tanh"],
        }
    }

    /// The function of an RNN; checks that those of the gates of other layers are the usual ones.
    pub(super) fn function(self, site: &Site, directions: usize) -> Result<Op, Refusal> {
        let tanh = Op::from(Unary { function: UnaryFunction::Tanh });
        let Some(found) = site.attributes.strings("activations")? else { return Ok(tanh) };
        let all = |names: &[&str]| {
            found.len() == names.len() * directions
                && found.chunks(names.len()).all(|own| own.iter().zip(names).all(|(a, b)| a == b))
        };
        match self {
            _ if all(self.activations()) => Ok(tanh),
            Kind::Rnn if all(&["Relu"]) => Ok(Clip { bounds: Clamp::RELU }.into()),
            Kind::Rnn if all(&["Sigmoid"]) => Ok(Unary { function: UnaryFunction::Sigmoid }.into()),
            Kind::Rnn | Kind::Gru | Kind::Lstm => Err(Refusal::new(
                format!(
                    "its activations are {found:?}, expected {:?} in each direction",
                    self.activations()
                ),
                "train the layer with its usual activations",
            )),
        }
    }
}

/// A layer in one direction, at one step.
pub(super) struct Cell<'s, 'm> {
    pub(super) site: &'s Site<'m>,
    pub(super) kind: Kind,
    /// The function of an RNN.
    pub(super) function: Op,
    /// What the names of its parts begin with.
    pub(super) prefix: &'static str,
    /// The input, `[1, features]`.
    pub(super) x: ValueId,
    /// What the layer gave in the step before, `[1, hidden]`.
    pub(super) h: ValueId,
    /// The cell of an LSTM after the step before.
    pub(super) c: Option<ValueId>,
    /// `[gates * hidden, features]`.
    pub(super) from_x: Array,
    /// `[gates * hidden, hidden]`.
    pub(super) from_h: Array,
    /// Those of the input, then those of the state, as many as rows of weights each.
    pub(super) biases: [Vec<f32>; 2],
    pub(super) hidden: usize,
    pub(super) before_reset: bool,
}

impl Cell<'_, '_> {
    /// What the layer gives after the step, and its cell.
    pub(super) fn step(
        &self,
        importer: &mut Importer,
    ) -> Result<(ValueId, Option<ValueId>), Refusal> {
        match (self.kind, self.c) {
            (Kind::Lstm, Some(cell)) => self.lstm(importer, cell),
            (Kind::Gru, _) => Ok((self.gru(importer)?, None)),
            (Kind::Rnn | Kind::Lstm, _) => {
                let sum = self.gate(importer, "new", 0, self.h)?;
                Ok((self.push(importer, "new", self.function.clone(), &[sum])?, None))
            }
        }
    }

    fn gru(&self, importer: &mut Importer) -> Result<ValueId, Refusal> {
        let update = self.gate(importer, "update", 0, self.h)?;
        let update = self.unary(importer, "update", UnaryFunction::Sigmoid, update)?;
        let reset = self.gate(importer, "reset", 1, self.h)?;
        let reset = self.unary(importer, "reset", UnaryFunction::Sigmoid, reset)?;
        let sum = if self.before_reset {
            let [of_x, of_h] = [0, 1].map(|from| self.biases[from][self.rows(2)].to_vec());
            let x = self.through(importer, "new_x", 2, self.x, of_x)?;
            let h = self.through(importer, "new_h", 2, self.h, of_h)?;
            let h = self.inner(importer, "new_reset", Mul, &[reset, h], Gate::Sum)?;
            self.inner(importer, "new_sum", Add, &[x, h], Gate::Sum)?
        } else {
            let kept = self.inner(importer, "kept", Mul, &[reset, self.h], Gate::Inner)?;
            self.gate(importer, "new", 2, kept)?
        };
        let new = self.unary(importer, "new", UnaryFunction::Tanh, sum)?;
        // (1 - z) * new + z * h
        let sub = Op::from(Binary { function: BinaryFunction::Sub });
        let way = self.inner(importer, "way", sub, &[self.h, new], Gate::Inner)?;
        let part = self.inner(importer, "part", Mul, &[update, way], Gate::Inner)?;
        self.push(importer, "next", Add, &[new, part])
    }

    fn lstm(
        &self,
        importer: &mut Importer,
        cell: ValueId,
    ) -> Result<(ValueId, Option<ValueId>), Refusal> {
        let mut gate = |name: &str, index: usize, function: UnaryFunction| {
            let sum = self.gate(importer, name, index, self.h)?;
            self.unary(importer, name, function, sum)
        };
        let input = gate("input", 0, UnaryFunction::Sigmoid)?;
        let output = gate("output", 1, UnaryFunction::Sigmoid)?;
        let forget = gate("forget", 2, UnaryFunction::Sigmoid)?;
        let new = gate("new", 3, UnaryFunction::Tanh)?;
        let kept = self.inner(importer, "kept", Mul, &[forget, cell], Gate::Cell)?;
        let added = self.inner(importer, "added", Mul, &[input, new], Gate::Cell)?;
        let cell = self.inner(importer, "cell", Add, &[kept, added], Gate::Cell)?;
        let shown = self.unary(importer, "shown", UnaryFunction::Tanh, cell)?;
        let next = self.push(importer, "next", Mul, &[output, shown])?;
        Ok((next, Some(cell)))
    }

    pub(super) fn push(
        &self,
        importer: &mut Importer,
        part: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        importer.push_part(self.site, &format!("{}{part}", self.prefix), op, inputs)
    }

    /// As [`push`](Self::push), of a value that stays in the layer.
    fn inner(
        &self,
        importer: &mut Importer,
        part: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
        gate: Gate,
    ) -> Result<ValueId, Refusal> {
        let id = self.push(importer, part, op, inputs)?;
        importer.graph.values[id.0].gate = Some(gate);
        Ok(id)
    }

    fn unary(
        &self,
        importer: &mut Importer,
        part: &str,
        function: UnaryFunction,
        x: ValueId,
    ) -> Result<ValueId, Refusal> {
        self.inner(importer, part, Unary { function }, &[x], Gate::Function)
    }

    /// The weights of a gate on the input, or on `from`, which stands for the state, with a bias.
    fn through(
        &self,
        importer: &mut Importer,
        part: &str,
        gate: usize,
        from: ValueId,
        bias: Vec<f32>,
    ) -> Result<ValueId, Refusal> {
        let whole = if from == self.x { &self.from_x } else { &self.from_h };
        let columns = whole.shape[1];
        let rows = self.rows(gate);
        let weight = whole.data[rows.start * columns..rows.end * columns].to_vec();
        let op = Linear {
            weight: Array::new([self.hidden, columns], weight),
            bias: Array::new([self.hidden], bias),
            axis: 1,
        };
        self.inner(importer, part, op, &[from], Gate::Sum)
    }

    /// The rows of weights and biases of a gate.
    fn rows(&self, gate: usize) -> Range<usize> {
        gate * self.hidden..(gate + 1) * self.hidden
    }

    /// The sum of a gate, of the input and of `h`.
    fn gate(
        &self,
        importer: &mut Importer,
        part: &str,
        gate: usize,
        h: ValueId,
    ) -> Result<ValueId, Refusal> {
        // One bias for both, which is rounded once.
        let [of_x, of_h] = [0, 1].map(|from| &self.biases[from][self.rows(gate)]);
        let bias = of_x.iter().zip(of_h).map(|(x, h)| x + h).collect();
        let x = self.through(importer, &format!("{part}_x"), gate, self.x, bias)?;
        let h = self.through(importer, &format!("{part}_h"), gate, h, vec![0.0; self.hidden])?;
        self.inner(importer, &format!("{part}_sum"), Add, &[x, h], Gate::Sum)
    }
}
