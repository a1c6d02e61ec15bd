//! Variables, which become states: what a call finds is what the call before it has left.

use super::builder::Builder;
use super::error::Refusal;
use super::movement::{Axis, push_movement};
use super::values::{Value, Variable};
use crate::program::{IntTensor, Output, State, TensorId};
use crate::tflite::Element;
use crate::tflite::file::{Operator, Tensor};
use crate::tflite::places::options;
use crate::tflite::schema::{ASSIGN_VARIABLE, VAR_HANDLE};

/// The most variables of a model.
const MOST_VARIABLES: usize = 256;

/// The name of the variable that an operator is the handle of.
fn key(operator: &Operator) -> Result<(String, String), Refusal> {
    let table =
        operator.options.ok_or_else(|| Refusal::new("expected a name, found no options"))?;
    let text =
        |place: usize| Ok::<_, Refusal>(crate::printable::clip(table.text(place)?).into_owned());
    Ok((text(options::VARIABLE_CONTAINER)?, text(options::VARIABLE_NAME)?))
}

/// The place of a variable, which is new if it was not named before.
fn variable(b: &mut Builder, key: (String, String)) -> Result<usize, Refusal> {
    if let Some(known) = b.variables.iter().position(|variable| variable.key == key) {
        return Ok(known);
    }
    if b.variables.len() == MOST_VARIABLES {
        return Err(Refusal::lasting(format!("expected at most {MOST_VARIABLES} variables")));
    }
    b.variables.push(Variable { key, held: None, assigned: None, initial: None });
    Ok(b.variables.len() - 1)
}

pub(super) fn handle(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let place = variable(b, key(operator)?)?;
    let y = b.output(operator)?;
    b.set(y, Value::Variable(place))
}

/// The variable whose handle an operator reads first.
fn of_handle(b: &Builder, operator: &Operator) -> Result<usize, Refusal> {
    match b.value(b.input(operator, 0)?) {
        Some(&Value::Variable(place)) => Ok(place),
        _ => Err(Refusal::lasting(
            "expected the handle of a variable, which a VAR_HANDLE operator gives",
        )),
    }
}

pub(super) fn read(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let place = of_handle(b, operator)?;
    let y = b.output(operator)?;
    let Variable { held, assigned, .. } = b.variables[place].clone();
    // A variable that was assigned in this call has a new value already.
    if let Some(id) = assigned.or(held) {
        let own = b.activation_like(y)?;
        let known = b.of(id);
        if (known.dtype, known.grid, known.len()) != (own.dtype, own.grid, own.len()) {
            return Err(Refusal::new(
                "expected one type, grid and size wherever a variable is read",
            ));
        }
        return b.set(y, Value::Activation(id));
    }
    let id = b.write(y)?;
    b.variables[place].held = Some(id);
    Ok(())
}

pub(super) fn assign(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let place = of_handle(b, operator)?;
    let id = b.activation(b.input(operator, 1)?)?;
    b.variables[place].assigned = Some(id);
    Ok(())
}

/// Reads from the graph that runs once what variables begin with.
pub(super) fn initialize(b: &mut Builder, operator: &Operator) -> Result<(), Refusal> {
    let number = operator.options.map_or(Ok(0), |table| table.int(options::INITIAL_GRAPH))?;
    let refusal = || {
        Refusal::lasting(
            "expected one graph that assigns constants to variables, and does nothing else",
        )
    };
    // Reading a graph takes its time, however often it is named.
    if number <= 0 || std::mem::replace(&mut b.initialized, true) {
        return Err(refusal());
    }
    let graph = b.file.graph(number as usize)?;
    let mut handles: Vec<(usize, usize)> = Vec::new();
    for operator in &graph.operators {
        match operator.builtin() {
            Some(VAR_HANDLE) => {
                let Some(&y) = operator.outputs.first() else { return Err(refusal()) };
                let place = variable(b, key(operator)?)?;
                handles.push((y, place));
            }
            Some(ASSIGN_VARIABLE) => {
                let [Some(handle), Some(value)] = operator.inputs[..] else {
                    return Err(refusal());
                };
                let found = handles.iter().find(|(at, _)| *at == handle).ok_or_else(refusal)?;
                b.variables[found.1].initial = Some(only_value(&graph.tensors[value])?);
            }
            _ => return Err(refusal()),
        }
    }
    Ok(())
}

/// What every element of a constant is.
fn only_value(tensor: &Tensor) -> Result<i32, Refusal> {
    let first = match (tensor.element, tensor.data) {
        (Ok(Element::Int8), &[first, ..]) => Some((i32::from(first as i8), 1)),
        (Ok(Element::Int16), &[low, high, ..]) => {
            Some((i32::from(i16::from_le_bytes([low, high])), 2))
        }
        _ => None,
    };
    let all = first.filter(|&(_, width)| {
        let mut elements = tensor.data.chunks_exact(width);
        elements.all(|element| Some(element) == tensor.data.get(..width))
    });
    all.map(|(value, _)| value).ok_or_else(|| {
        Refusal::lasting("expected variables to begin with one int8 or int16 value in all elements")
    })
}

impl Builder<'_> {
    /// The states of all variables; an output that is what a call finds becomes a copy of it.
    pub(super) fn states(&mut self, outputs: &mut [Output]) -> Vec<State> {
        let mut states: Vec<State> = Vec::new();
        for (place, variable) in std::mem::take(&mut self.variables).into_iter().enumerate() {
            let name = match variable.key.1.as_str() {
                "" => format!("variable_{place}"),
                name => name.to_owned(),
            };
            match self.state(&variable, &name, &states) {
                Ok(state) => states.extend(state),
                Err(refusal) => self.note(None, "variable".into(), &name, refusal),
            }
        }
        for output in outputs {
            if states.iter().any(|state| state.input == output.tensor) {
                match self.copy(output.tensor, output.name.clone()) {
                    Ok(copy) => output.tensor = copy,
                    Err(refusal) => self.note(None, "output".into(), &output.name, refusal),
                }
            }
        }
        states
    }

    /// An activation with the elements of another one.
    fn copy(&mut self, from: TensorId, name: String) -> Result<TensorId, Refusal> {
        let like = self.of(from).clone();
        let axis = Axis::Even { count: like.len(), step: 1 };
        let copy = self.add(IntTensor { name, ..like });
        push_movement(self, [from, copy], 0, vec![axis])?;
        Ok(copy)
    }

    /// The state of a variable; none of one that is never read.
    fn state(
        &mut self,
        variable: &Variable,
        name: &str,
        others: &[State],
    ) -> Result<Option<State>, Refusal> {
        let Some(input) = variable.held else { return Ok(None) };
        let assigned = variable
            .assigned
            .ok_or_else(|| Refusal::lasting("expected an operator that assigns it, found none"))?;
        let (held, next) = (self.of(input), self.of(assigned));
        if (held.dtype, held.grid, held.len()) != (next.dtype, next.grid, next.len()) {
            return Err(Refusal::new(
                "expected one type, grid and size where it is read and assigned",
            ));
        }
        let written = self.nodes.iter().any(|node| node.output == assigned);
        let taken = others.iter().any(|other| other.output == assigned);
        let output = match written && !taken && held.shape == next.shape {
            true => assigned,
            // A state is written by a node of its own.
            false => {
                let shape = held.shape;
                let copy = self.copy(assigned, format!("{name}.next"))?;
                self.tensors[copy.0].shape = shape;
                copy
            }
        };
        // A call finds zeros where nothing says otherwise.
        let initial = variable.initial.unwrap_or(self.of(input).grid.zero_point);
        Ok(Some(State { name: name.to_owned(), input, output, initial }))
    }
}
