//! Functions that the program has as tables: integers from a constant, at the places that integers say.

use burn_ptq_kernels::params::GateParams;
use burn_ptq_kernels::reference::{gate16, table_lookup16};

use super::form::Form;
use super::graph::{Graph, element};
use super::schema::{Element, integer};
use crate::program::TensorId;

/// Writes the entry of `table`, 256 in the order of inputs, that each 8-bit element says.
pub(super) fn of_bytes(graph: &mut Graph, table: &[i8], [x, y]: [TensorId; 2]) {
    let bytes: Vec<u8> = table.iter().map(|&entry| entry as u8).collect();
    gathered(graph, bytes, 256, [x, y]);
}

/// Writes what a table of 16-bit activations, between whose entries is interpolated, gives.
pub(super) fn of_words(graph: &mut Graph, table: &[i16], ends: [TensorId; 2]) {
    every_word(graph, ends, |inputs, outputs| table_lookup16(table, inputs, outputs));
}

/// Writes what a gate gives.
pub(super) fn gate(graph: &mut Graph, params: GateParams, ends: [TensorId; 2]) {
    every_word(graph, ends, |inputs, outputs| gate16(params, inputs, outputs));
}

/// Writes a function of 16-bit activations from what the kernel gives of all of them.
fn every_word(graph: &mut Graph, ends: [TensorId; 2], kernel: impl Fn(&[i16], &mut [i16])) {
    let inputs: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    let mut outputs = vec![0; inputs.len()];
    kernel(&inputs, &mut outputs);
    let bytes = outputs.iter().flat_map(|output| output.to_le_bytes()).collect();
    gathered(graph, bytes, outputs.len(), ends);
}

/// Writes entries of a table of `count`, in the order of inputs from the smallest on.
fn gathered(graph: &mut Graph, mut bytes: Vec<u8>, count: usize, [x, y]: [TensorId; 2]) {
    let form = graph.form(x);
    let source = graph.integers(x, &form);
    // Negative places count from the end of the table: their entries stand there.
    let half = bytes.len() / 2;
    bytes.rotate_left(half);
    let kind = element(graph.of(y).dtype);
    let table = graph.own_constant("table", kind, &[count], bytes);
    let places =
        graph.helper("Cast", "places", &[&source], vec![integer("to", Element::Int32.number())]);
    let value = graph.operator("Gather", &[&table, &places], vec![integer("axis", 0)]);
    graph.write_integers(y, value, form);
}

/// Writes the rows of a table that activations say.
pub(super) fn lookup(graph: &mut Graph, width: usize, bytes: Vec<u8>, [x, y]: [TensorId; 2]) {
    let (input, output) = (graph.of(x), graph.of(y));
    let count = (bytes.len() / output.dtype.bytes()).checked_div(width).unwrap_or(0);
    let source = graph.integers(x, &Form::plain(&[input.len()]));
    let to = integer("to", Element::Int32.number());
    let mut ids = graph.helper("Cast", "numbers", &[&source], vec![to]);
    if input.grid.zero_point != 0 {
        let zero_point = graph.number("zero", input.grid.zero_point);
        ids = graph.helper("Sub", "ids", &[&ids, &zero_point], Vec::new());
    }
    // Those beyond either end mean the nearest row.
    let last = graph.number("last", count as i32 - 1);
    let ids = graph.helper("Min", "ids_to_last", &[&ids, &last], Vec::new());
    let first = graph.number("first", -(count as i32));
    let ids = graph.helper("Max", "rows", &[&ids, &first], Vec::new());
    let table = graph.own_constant("table", element(output.dtype), &[count, width], bytes);
    let value = graph.operator("Gather", &[&table, &ids], vec![integer("axis", 0)]);
    graph.write_integers(y, value, Form::plain(&[input.len(), width]));
}
