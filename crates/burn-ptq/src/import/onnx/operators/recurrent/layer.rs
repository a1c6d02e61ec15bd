//! A recurrent layer as the standard has it: its attributes, weights and ends.

use std::rc::Rc;

use super::super::super::constants::Constant;
use super::super::super::error::Refusal;
use super::super::super::growing::{Binding, Importer, Site};
use super::super::super::layout::{Batch, Layout};
use super::cells::{Cell, Kind};
use crate::graph::ops::{self, Concat, Rearrange, Reshape, Step, StepRole};
use crate::graph::{Array, Op, ValueId};

/// What to do with a layer at one step that keeps nothing.
const STATE: &str = "give what the layer keeps as inputs and outputs of the model (initial_h and Y_h) and name them \
                     with --state, data are then sequences of steps; or export the model for whole sequences";

/// What to do where it does not show which axis is the batch.
const BATCH: &str =
    "export the model with a dynamic batch axis, of which every sample is a sequence";

/// A layer with its parameters.
struct Layer<'s, 'm> {
    site: &'s Site<'m>,
    kind: Kind,
    function: Op,
    /// Whether each of its directions begins at the end of the sequence.
    directions: Vec<bool>,
    steps: usize,
    features: usize,
    hidden: usize,
    /// `[directions, gates * hidden, features]`.
    from_x: Array,
    /// `[directions, gates * hidden, hidden]`.
    from_h: Array,
    /// `[directions, 2 * gates * hidden]`.
    biases: Vec<f32>,
    before_reset: bool,
    /// Where the batch is in the input, in the file.
    layout: Layout,
    /// Whether the batch comes first in the file.
    batch_first: bool,
}

/// What one direction gives.
struct Given {
    /// The outputs of all steps, `[steps, hidden]`.
    sequence: Option<ValueId>,
    /// The output and the cell after the last step, `[1, hidden]`.
    last: [Option<ValueId>; 2],
}

pub(super) fn import(importer: &mut Importer, site: &Site, kind: Kind) -> Result<ValueId, Refusal> {
    let layer = Layer::new(importer, site, kind)?;
    let x = layer.reshaped(importer, "x", site.value(0)?, vec![layer.steps, layer.features])?;
    let states = layer.initial(importer, 5, "initial_h")?;
    let cells = match kind {
        Kind::Lstm => layer.initial(importer, 6, "initial_c")?,
        Kind::Gru | Kind::Rnn => vec![None; states.len()],
    };
    let mut given = Vec::new();
    for (direction, (h, c)) in states.into_iter().zip(cells).enumerate() {
        given.push(layer.direction(importer, direction, x, [h, c])?);
    }
    layer.finish(importer, &given)
}

impl<'s, 'm> Layer<'s, 'm> {
    fn new(importer: &mut Importer, site: &'s Site<'m>, kind: Kind) -> Result<Self, Refusal> {
        let directions = match site.attributes.string("direction", "forward")? {
            "forward" => vec![false],
            "reverse" => vec![true],
            "bidirectional" => vec![false, true],
            other => return Err(Refusal::invalid(format!("there is no direction {other:?}"))),
        };
        let function = kind.function(site, directions.len())?;
        if site.attributes.has("clip") {
            return Err(Refusal::new("it clips sums (clip)", "train the layer without clip"));
        }
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
        let batch_first = site.attributes.flag("layout", false)?;
        let layout = site.layout(0);
        let sample = importer.shape(site.value(0)?).to_vec();
        let batch = match (layout.batch, batch_first) {
            // Where the file fixes both at 1, either may be the batch.
            (Batch::Axis(0), false) => {
                importer.batch == Some(1) && sample.iter().rev().skip(1).all(|&extent| extent == 1)
            }
            (Batch::Axis(axis), _) => axis == usize::from(!batch_first),
            (Batch::Absent, _) => sample.get(usize::from(!batch_first)) == Some(&1),
            (Batch::Fused { .. }, _) => false,
        };
        let (Some((&features, others)), true) = (sample.split_last(), batch) else {
            return Err(Refusal::new("its steps are taken for the batch", BATCH));
        };
        let steps = others.iter().product();
        let lengths = site.optional(4, "sequence_lens")?;
        let lengths = lengths.map(|lengths| lengths.to_integers()).transpose()?;
        if let Some(other) = lengths.iter().flatten().find(|&&length| length != steps as i64) {
            return Err(Refusal::new(
                format!("sequence_lens has {other}, but its sequences have {steps} steps"),
                "export the model without lengths of sequences",
            ));
        }
        let gates = kind.gates();
        let mut matrix = |index: usize, what: &str| -> Result<Array, Refusal> {
            let constant = site.constant(index, what)?;
            let array = importer.array(&constant)?;
            let fits = array.shape.len() == 3
                && array.shape[0] == directions.len()
                && array.shape[1].is_multiple_of(gates);
            match fits {
                true => Ok(array),
                false => Err(Refusal::invalid(format!(
                    "expected {what} of [{}, {gates} * hidden, ..], found {:?}",
                    directions.len(),
                    array.shape
                ))),
            }
        };
        let (from_x, from_h) = (matrix(1, "weights W")?, matrix(2, "weights R")?);
        let (rows, hidden) = (from_x.shape[1], from_x.shape[1] / gates);
        if from_x.shape[2] != features || from_h.shape[1..] != [rows, hidden] {
            return Err(Refusal::invalid(format!(
                "expected W of [.., {rows}, {features}] and R of [.., {rows}, {hidden}], found {:?} and {:?}",
                from_x.shape, from_h.shape
            )));
        }
        let biases = biases(site.optional(3, "biases B")?.as_deref(), directions.len(), rows)?;
        let before_reset =
            kind == Kind::Gru && site.attributes.flag("linear_before_reset", false)?;
        Ok(Self {
            site,
            kind,
            function,
            directions,
            steps,
            features,
            hidden,
            from_x,
            from_h,
            biases,
            before_reset,
            layout,
            batch_first,
        })
    }

    /// Whether it is a single step, which needs no loop.
    fn is_one_step(&self) -> bool {
        self.steps == 1
    }

    /// What each direction finds at its first step, `[1, hidden]`; `None` for zeros.
    fn initial(
        &self,
        importer: &mut Importer,
        index: usize,
        what: &str,
    ) -> Result<Vec<Option<ValueId>>, Refusal> {
        let count = self.directions.len();
        match self.site.inputs.get(index) {
            Some(Some(Binding::Value(id))) => {
                let all = self.reshaped(importer, what, *id, vec![count, self.hidden])?;
                let own = |(direction, _): (usize, &bool)| {
                    if count == 1 {
                        return Ok(Some(all));
                    }
                    let indices = [vec![direction], (0..self.hidden).collect()];
                    let slice = Rearrange::at("Slice", &[count, self.hidden], &indices);
                    let part = format!("{what}{direction}");
                    importer.push_part(self.site, &part, slice, &[all]).map(Some)
                };
                self.directions.iter().enumerate().map(own).collect()
            }
            Some(Some(Binding::Constant(constant))) => {
                let constant = Rc::clone(constant);
                let own = |direction| self.constant(importer, what, &constant, direction).map(Some);
                (0..count).map(own).collect()
            }
            _ if self.is_one_step() => {
                Err(Refusal::new(format!("it begins anew in every step: it has no {what}"), STATE))
            }
            _ => Ok(vec![None; count]),
        }
    }

    /// What a direction finds at first, of a constant `[directions, batch, hidden]`, or with the batch in front.
    fn constant(
        &self,
        importer: &mut Importer,
        what: &str,
        constant: &Constant,
        direction: usize,
    ) -> Result<ValueId, Refusal> {
        let (count, hidden) = (self.directions.len(), self.hidden);
        let batch = constant.len() / (count * hidden).max(1);
        if batch == 0 || constant.len() != batch * count * hidden {
            return Err(Refusal::invalid(format!(
                "expected {what} of [{count}, batch, {hidden}], found {:?}",
                constant.shape
            )));
        }
        let values = importer.array(constant)?.data;
        let row = |sample: usize| {
            let row = match self.batch_first {
                true => sample * count + direction,
                false => direction * batch + sample,
            };
            &values[row * hidden..(row + 1) * hidden]
        };
        if (1..batch).any(|sample| row(sample) != row(0)) {
            return Err(Refusal::new(
                format!("its {what} differs from sample to sample of a batch"),
                "export the model so that every sample begins alike",
            ));
        }
        self.start(importer, &format!("{what}{direction}"), row(0).to_vec())
    }

    /// A constant `[1, hidden]`.
    fn start(
        &self,
        importer: &mut Importer,
        part: &str,
        values: Vec<f32>,
    ) -> Result<ValueId, Refusal> {
        let array = Array::new([1, self.hidden], values);
        importer.push_part(self.site, part, ops::Constant { array }, &[])
    }

    /// Runs a direction over the sequence `x`, `[steps, features]`, from what it finds at first.
    fn direction(
        &self,
        importer: &mut Importer,
        direction: usize,
        x: ValueId,
        initial: [Option<ValueId>; 2],
    ) -> Result<Given, Refusal> {
        let reverse = self.directions[direction];
        let prefix = match (self.directions.len(), reverse) {
            (1, _) => "",
            (_, false) => "forward_",
            (_, true) => "backward_",
        };
        let rows = self.kind.gates() * self.hidden;
        let own = |whole: &Array| {
            let (columns, size) = (whole.shape[2], rows * whole.shape[2]);
            let data = whole.data[direction * size..(direction + 1) * size].to_vec();
            Array::new([rows, columns], data)
        };
        let biases = &self.biases[2 * rows * direction..2 * rows * (direction + 1)];
        let (of_x, of_h) = biases.split_at(rows);
        let mut cell = Cell {
            site: self.site,
            kind: self.kind,
            function: self.function.clone(),
            prefix,
            x,
            h: x,
            c: None,
            from_x: own(&self.from_x),
            from_h: own(&self.from_h),
            biases: [of_x.to_vec(), of_h.to_vec()],
            hidden: self.hidden,
            before_reset: self.before_reset,
        };
        let mut found = Vec::new();
        let kept: &[&str] = if self.kind == Kind::Lstm { &["h", "c"] } else { &["h"] };
        for (name, value) in kept.iter().zip(initial) {
            found.push(match value {
                Some(value) => value,
                None => {
                    let part = format!("{prefix}{name}_initial");
                    self.start(importer, &part, vec![0.0; self.hidden])?
                }
            });
        }
        if self.is_one_step() {
            (cell.h, cell.c) = (found[0], found.get(1).copied());
            let (next, c) = cell.step(importer)?;
            return Ok(Given { sequence: None, last: [Some(next), c] });
        }
        let sequence = importer.graph.new_sequence();
        let border = |role| Step { sequence, steps: self.steps, role };
        let begin = importer.graph.nodes.len();
        cell.x = cell.push(importer, "x_step", border(StepRole::Take { reverse }), &[x])?;
        let mut held = Vec::new();
        for (name, initial) in kept.iter().zip(found) {
            held.push(cell.push(
                importer,
                &format!("{name}_held"),
                border(StepRole::Hold),
                &[initial],
            )?);
        }
        (cell.h, cell.c) = (held[0], held.get(1).copied());
        let (next, c) = cell.step(importer)?;
        importer.budget.repeat(importer.graph.nodes.len() - begin, self.steps)?;
        // All steps compute.
        let computed: usize = importer.graph.nodes[begin..]
            .iter()
            .map(|node| importer.graph.value(node.output).len())
            .sum();
        importer.budget.compute(&[computed, self.steps - 1])?;
        let put = border(StepRole::Put { reverse });
        let sequence =
            self.is_read(importer, 0).then(|| cell.push(importer, "steps", put, &[next]));
        let mut last = [None; 2];
        for (place, next) in [Some(next), c].into_iter().enumerate() {
            let Some(next) = next else { continue };
            let part = format!("{}_last", kept[place]);
            last[place] =
                Some(cell.push(importer, &part, border(StepRole::Last), &[held[place], next])?);
        }
        Ok(Given { sequence: sequence.transpose()?, last })
    }

    /// Whether the model reads an output of the layer.
    fn is_read(&self, importer: &Importer, index: usize) -> bool {
        let name = self.site.outputs.get(index).copied().unwrap_or_default();
        !name.is_empty() && importer.is_read(name)
    }

    /// A value of as many elements in another shape.
    fn reshaped(
        &self,
        importer: &mut Importer,
        part: &str,
        id: ValueId,
        shape: Vec<usize>,
    ) -> Result<ValueId, Refusal> {
        let found = importer.shape(id);
        if found == shape {
            return Ok(id);
        }
        let expected: usize = shape.iter().product();
        if found.iter().product::<usize>() != expected {
            return Err(Refusal::invalid(format!(
                "expected {expected} elements of {part} in a sample, found {found:?}"
            )));
        }
        importer.push_part(self.site, part, Reshape { shape }, &[id])
    }

    /// The outputs: what the layer gives in all steps, and what it keeps after the last one.
    fn finish(&self, importer: &mut Importer, given: &[Given]) -> Result<ValueId, Refusal> {
        let absent = self.layout.batch == Batch::Absent;
        let count = given.len();
        // [steps, directions, batch, hidden] and [directions, batch, hidden], or with the batch first.
        let places = if self.batch_first { [0, 0] } else { [2, 1] };
        let [sequence, state] = places.map(|axis| match absent {
            true => Layout::ABSENT,
            false => Layout::axis(axis),
        });
        // The axis of a batch that the file does not have.
        let shape = |own: &[usize]| -> Vec<usize> {
            let mut shape = own.to_vec();
            if absent {
                shape.insert(if self.batch_first { 0 } else { own.len() }, 1);
            }
            shape.push(self.hidden);
            shape
        };
        for (index, name) in [(1, "kept"), (2, "cell")] {
            let values: Option<Vec<ValueId>> =
                given.iter().map(|direction| direction.last[index - 1]).collect();
            let (Some(values), true) = (values, self.is_read(importer, index)) else { continue };
            let joined = self.joined(importer, &format!("{name}_joined"), 0, &values)?;
            let value = self.reshaped(importer, name, joined, shape(&[count]))?;
            importer.further.push((index, value));
        }
        importer.further_placed = Some(state);
        importer.placed = Some(sequence);
        let mut steps = Vec::new();
        for (direction, given) in given.iter().enumerate() {
            let Some(value) = given.sequence.or(given.last[0]) else { continue };
            let own = if given.sequence.is_some() { self.steps } else { 1 };
            let part = format!("steps{direction}");
            steps.push(match count {
                1 => value,
                _ => self.reshaped(importer, &part, value, vec![own, 1, self.hidden])?,
            });
        }
        let joined = self.joined(importer, "steps_joined", 1, &steps)?;
        // Unread, it stands for one step.
        let own = importer.shape(joined).iter().product::<usize>() / (count * self.hidden);
        importer.push(self.site, Reshape { shape: shape(&[own, count]) }, &[joined])
    }

    /// The values of the directions side by side.
    fn joined(
        &self,
        importer: &mut Importer,
        part: &str,
        axis: usize,
        values: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        match values {
            [only] => Ok(*only),
            _ => importer.push_part(self.site, part, Concat { axis }, values),
        }
    }
}

/// The biases of the input and of the state, of each direction.
fn biases(
    constant: Option<&Constant>,
    directions: usize,
    rows: usize,
) -> Result<Vec<f32>, Refusal> {
    let Some(constant) = constant else { return Ok(vec![0.0; directions * 2 * rows]) };
    if constant.shape != [directions, 2 * rows] {
        return Err(Refusal::invalid(format!(
            "expected biases B of [{directions}, {}], found {:?}",
            2 * rows,
            constant.shape
        )));
    }
    constant.to_floats()
}
