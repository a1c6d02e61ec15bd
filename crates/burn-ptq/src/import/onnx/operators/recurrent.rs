//! Recurrent layers, one step of them: what they keep goes in and out, and is a state.

use super::super::constants::Constant;
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::super::layout::{Batch, Layout};
use crate::graph::ops::{Add, Binary, BinaryFunction, Linear, Mul, Reshape, Unary, UnaryFunction};
use crate::graph::{Array, Op, ValueId};

/// What to do with a layer over several steps.
const ONE_STEP: &str = "export the model for one step, with what the layer keeps as inputs and outputs (initial_h \
                        and Y_h), and name them with --state; data are then sequences of steps";

/// A layer at one step.
struct Step<'s, 'm> {
    site: &'s Site<'m>,
    /// The input, `[1, features]`.
    x: ValueId,
    /// What the layer gave in the step before, `[1, hidden]`.
    h: ValueId,
    /// `[gates * hidden, features]`.
    from_x: Array,
    /// `[gates * hidden, hidden]`.
    from_h: Array,
    /// Those of the input, then those of the state, as many as rows of weights each.
    biases: [Vec<f32>; 2],
    hidden: usize,
    /// Where the batch is in the input, in the file.
    layout: Layout,
    /// Whether the batch comes first in the file.
    batch_first: bool,
}

pub(super) fn gru(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let step = Step::new(importer, site, 3)?;
    activations(site, &["Sigmoid", "Tanh"])?;
    let update = step.gate(importer, "update", 0, step.h)?;
    let update = step.unary(importer, "update", UnaryFunction::Sigmoid, update)?;
    let reset = step.gate(importer, "reset", 1, step.h)?;
    let reset = step.unary(importer, "reset", UnaryFunction::Sigmoid, reset)?;
    let sum = if site.attributes.flag("linear_before_reset", false)? {
        let x = step.through(importer, "new_x", 2, step.x)?;
        let h = step.through(importer, "new_h", 2, step.h)?;
        let h = step.push(importer, "new_reset", Mul.into(), &[reset, h])?;
        step.push(importer, "new_sum", Add.into(), &[x, h])?
    } else {
        let kept = step.push(importer, "kept", Mul.into(), &[reset, step.h])?;
        step.gate(importer, "new", 2, kept)?
    };
    let new = step.unary(importer, "new", UnaryFunction::Tanh, sum)?;
    // (1 - z) * new + z * h
    let way = step.binary(importer, "way", step.h, new)?;
    let part = step.push(importer, "part", Mul.into(), &[update, way])?;
    let next = step.push(importer, "next", Add.into(), &[new, part])?;
    step.finish(importer, next, None)
}

pub(super) fn lstm(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let step = Step::new(importer, site, 4)?;
    activations(site, &["Sigmoid", "Tanh", "Tanh"])?;
    if site.inputs.get(7).is_some_and(Option::is_some) {
        return Err(Refusal::new(
            "it has peepholes: gates that read the cell",
            "train the layer without peepholes",
        ));
    }
    if site.attributes.flag("input_forget", false)? {
        return Err(Refusal::new(
            "input_forget = 1",
            "train the layer with a forget gate of its own",
        ));
    }
    let cell = step.state(importer, 6, "initial_c")?;
    let mut gate = |name: &str, index: usize, function: UnaryFunction| {
        let sum = step.gate(importer, name, index, step.h)?;
        step.unary(importer, name, function, sum)
    };
    let input = gate("input", 0, UnaryFunction::Sigmoid)?;
    let output = gate("output", 1, UnaryFunction::Sigmoid)?;
    let forget = gate("forget", 2, UnaryFunction::Sigmoid)?;
    let new = gate("new", 3, UnaryFunction::Tanh)?;
    let kept = step.push(importer, "kept", Mul.into(), &[forget, cell])?;
    let added = step.push(importer, "added", Mul.into(), &[input, new])?;
    let cell = step.push(importer, "cell", Add.into(), &[kept, added])?;
    let shown = step.unary(importer, "shown", UnaryFunction::Tanh, cell)?;
    let next = step.push(importer, "next", Mul.into(), &[output, shown])?;
    step.finish(importer, next, Some(cell))
}

pub(super) fn rnn(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let step = Step::new(importer, site, 1)?;
    activations(site, &["Tanh"])?;
    let sum = step.gate(importer, "new", 0, step.h)?;
    let next = step.unary(importer, "new", UnaryFunction::Tanh, sum)?;
    step.finish(importer, next, None)
}

/// Checks that the functions of the gates are those that the standard has for `expected` by default.
fn activations(site: &Site, expected: &[&str]) -> Result<(), Refusal> {
    let Some(found) = site.attributes.strings("activations")? else { return Ok(()) };
    if found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| a == b) {
        return Ok(());
    }
    Err(Refusal::new(
        format!("its activations are {found:?}, expected {expected:?}"),
        "train the layer with its usual activations",
    ))
}

impl<'s, 'm> Step<'s, 'm> {
    fn new(importer: &mut Importer, site: &'s Site<'m>, gates: usize) -> Result<Self, Refusal> {
        let direction = site.attributes.string("direction", "forward")?;
        if direction == "bidirectional" {
            return Err(Refusal::new(
                "it runs in both directions, expected one: the other one begins at the end of the sequence",
                "train the layer in one direction, or use convolutions over time",
            ));
        }
        if site.attributes.has("clip") {
            return Err(Refusal::new("it clips sums (clip)", "train the layer without clip"));
        }
        let batch_first = site.attributes.flag("layout", false)?;
        let layout = site.layout(0);
        let input = site.value(0)?;
        let sample = importer.shape(input).to_vec();
        let batch = match (layout.batch, batch_first) {
            // Where the file fixes both at 1, either may be the batch.
            (Batch::Axis(0), false) => importer.batch == Some(1),
            (Batch::Axis(axis), _) => axis == usize::from(!batch_first),
            (Batch::Absent, _) => true,
            (Batch::Fused { .. }, _) => false,
        };
        let (Some((&features, others)), true) = (sample.split_last(), batch) else {
            return Err(Refusal::new("its steps are taken for the batch", ONE_STEP));
        };
        let steps: usize = others.iter().product();
        if steps != 1 {
            return Err(Refusal::new(
                format!("it runs over {steps} steps of a sequence, expected one"),
                ONE_STEP,
            ));
        }
        let lengths = site.optional(4, "sequence_lens")?;
        if lengths
            .is_some_and(|lengths| lengths.to_integers().is_ok_and(|l| l.iter().any(|&n| n != 1)))
        {
            return Err(Refusal::invalid("sequence_lens is not 1, but there is one step"));
        }
        let mut matrix = |index: usize, what: &str| -> Result<Array, Refusal> {
            let constant = site.constant(index, what)?;
            let mut array = importer.array(&constant)?;
            if array.shape.len() != 3
                || array.shape[0] != 1
                || !array.shape[1].is_multiple_of(gates)
            {
                return Err(Refusal::invalid(format!(
                    "expected {what} of [1, {gates} * hidden, ..], found {:?}",
                    array.shape
                )));
            }
            array.shape.remove(0);
            Ok(array)
        };
        let (from_x, from_h) = (matrix(1, "weights W")?, matrix(2, "weights R")?);
        let (rows, hidden) = (from_x.shape[0], from_x.shape[0] / gates);
        if from_x.shape != [rows, features] || from_h.shape != [rows, hidden] {
            return Err(Refusal::invalid(format!(
                "expected W of [1, {rows}, {features}] and R of [1, {rows}, {hidden}], found {:?} and {:?}",
                from_x.shape, from_h.shape
            )));
        }
        let biases = biases(site.optional(3, "biases B")?.as_deref(), rows)?;
        let x = Self::row(importer, site, "x", input, features)?;
        let mut step = Step { site, x, h: x, from_x, from_h, biases, hidden, layout, batch_first };
        step.h = step.state(importer, 5, "initial_h")?;
        Ok(step)
    }

    /// A state as `[1, hidden]`.
    fn state(&self, importer: &mut Importer, index: usize, what: &str) -> Result<ValueId, Refusal> {
        let Some(Some(Binding::Value(id))) = self.site.inputs.get(index) else {
            return Err(Refusal::new(
                format!("it begins anew in every step: it has no {what}"),
                ONE_STEP,
            ));
        };
        Self::row(importer, self.site, what, *id, self.hidden)
    }

    /// A value of so many elements as `[1, elements]`.
    fn row(
        importer: &mut Importer,
        site: &Site,
        part: &str,
        id: ValueId,
        elements: usize,
    ) -> Result<ValueId, Refusal> {
        let shape = importer.shape(id);
        if shape == [1, elements] {
            return Ok(id);
        }
        if shape.iter().product::<usize>() != elements {
            return Err(Refusal::invalid(format!(
                "expected {elements} elements of {part} in a sample, found {shape:?}"
            )));
        }
        importer.push_part(site, part, Reshape { shape: vec![1, elements] }, &[id])
    }

    fn push(
        &self,
        importer: &mut Importer,
        part: &str,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        importer.push_part(self.site, part, op, inputs)
    }

    fn unary(
        &self,
        importer: &mut Importer,
        part: &str,
        function: UnaryFunction,
        x: ValueId,
    ) -> Result<ValueId, Refusal> {
        self.push(importer, part, Unary { function }.into(), &[x])
    }

    /// The first less the second.
    fn binary(
        &self,
        importer: &mut Importer,
        part: &str,
        a: ValueId,
        b: ValueId,
    ) -> Result<ValueId, Refusal> {
        let op = Binary { function: BinaryFunction::Sub };
        self.push(importer, part, op.into(), &[a, b])
    }

    /// The weights of a gate on the input, or on `h`, which stands for the state.
    fn through(
        &self,
        importer: &mut Importer,
        part: &str,
        gate: usize,
        from: ValueId,
    ) -> Result<ValueId, Refusal> {
        let of_input = from == self.x;
        let (whole, biases) = match of_input {
            true => (&self.from_x, &self.biases[0]),
            false => (&self.from_h, &self.biases[1]),
        };
        let columns = whole.shape[1];
        let rows = gate * self.hidden..(gate + 1) * self.hidden;
        let weight = whole.data[rows.start * columns..rows.end * columns].to_vec();
        let op = Linear {
            weight: Array::new([self.hidden, columns], weight),
            bias: Array::new([self.hidden], biases[rows].to_vec()),
            axis: 1,
        };
        self.push(importer, part, op.into(), &[from])
    }

    /// The sum of a gate, of the input and of `h`.
    fn gate(
        &self,
        importer: &mut Importer,
        part: &str,
        gate: usize,
        h: ValueId,
    ) -> Result<ValueId, Refusal> {
        let x = self.through(importer, &format!("{part}_x"), gate, self.x)?;
        let h = self.through(importer, &format!("{part}_h"), gate, h)?;
        self.push(importer, &format!("{part}_sum"), Add.into(), &[x, h])
    }

    /// The outputs: what the layer gives, as a sequence of one step and as what it keeps, and the cell.
    fn finish(
        &self,
        importer: &mut Importer,
        next: ValueId,
        cell: Option<ValueId>,
    ) -> Result<ValueId, Refusal> {
        let absent = self.layout.batch == Batch::Absent;
        // [steps, directions, batch, hidden] and [directions, batch, hidden].
        let places = if self.batch_first { [0, 0] } else { [2, 1] };
        let [sequence, state] = places.map(|axis| match absent {
            true => Layout::ABSENT,
            false => Layout::axis(axis),
        });
        let shape = |rank: usize| -> Vec<usize> {
            let rank = rank + usize::from(absent);
            std::iter::repeat_n(1, rank - 1).chain([self.hidden]).collect()
        };
        for (index, value) in [(1, Some(next)), (2, cell)] {
            let read = self.site.outputs.get(index).is_some_and(|name| importer.is_read(name));
            let (Some(value), true) = (value, read) else { continue };
            let value = match absent {
                false => value,
                true => {
                    let part = format!("kept{index}");
                    self.push(importer, &part, Reshape { shape: shape(2) }.into(), &[value])?
                }
            };
            importer.further.push((index, value));
        }
        importer.further_placed = Some(state);
        importer.placed = Some(sequence);
        importer.push(self.site, Reshape { shape: shape(3) }, &[next])
    }
}

/// The biases of the input and of the state.
fn biases(constant: Option<&Constant>, rows: usize) -> Result<[Vec<f32>; 2], Refusal> {
    let Some(constant) = constant else { return Ok([vec![0.0; rows], vec![0.0; rows]]) };
    let values = constant.to_floats()?;
    if constant.shape != [1, 2 * rows] {
        return Err(Refusal::invalid(format!(
            "expected biases B of [1, {}], found {:?}",
            2 * rows,
            constant.shape
        )));
    }
    let (x, h) = values.split_at(rows);
    Ok([x.to_vec(), h.to_vec()])
}
