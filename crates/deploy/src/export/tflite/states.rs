//! States, as variables: an operator reads what the call before left, another writes what the next one finds.

use super::graph::{Graph, element, natural, quantization};
use super::model::{Operator, SubGraph, Tensor, variable};
use super::options;
use crate::export::shared::names::comment;
use crate::program::{Program, State};
use crate::tflite::schema::{ASSIGN_VARIABLE, CALL_ONCE, READ_VARIABLE, VAR_HANDLE};

/// The place of the graph that runs once.
const INITIAL_GRAPH: usize = 1;

/// Reads all states; returns the handles of their variables, and the graph that gives these what they begin with.
pub(super) fn read(graph: &mut Graph) -> (Vec<usize>, Option<SubGraph>) {
    let program = graph.program;
    if program.states.is_empty() {
        return (Vec::new(), None);
    }
    graph.effect(CALL_ONCE, options::call_once(INITIAL_GRAPH), &[], None);
    let mut handles = Vec::new();
    for state in &program.states {
        graph.node.clone_from(&state.name);
        let handle = graph.handle(&state.name);
        let shape = natural(graph.of(state.input));
        let held = graph.write(state.input, &shape);
        graph.operator(READ_VARIABLE, options::none(), &[handle], held);
        handles.push(handle);
    }
    let initial = initial(graph, &program.states);
    (handles, Some(initial))
}

/// Writes all states, in the order of their handles.
pub(super) fn assign(graph: &mut Graph, handles: &[usize]) {
    let program = graph.program;
    for (state, &handle) in program.states.iter().zip(handles) {
        graph.node.clone_from(&state.name);
        let shape = natural(graph.of(state.input));
        let next = graph.read(state.output, &shape);
        graph.effect(ASSIGN_VARIABLE, options::none(), &[handle, next], None);
    }
}

/// The graph that assigns constants to the variables.
fn initial(graph: &mut Graph, states: &[State]) -> SubGraph {
    let mut own = SubGraph::default();
    for state in states {
        let tensor = graph.of(state.input);
        let element_bytes = state.initial.to_le_bytes();
        let data = element_bytes[..tensor.dtype.bytes()].repeat(tensor.len());
        graph.buffers.push(data);
        let handle = own.tensors.len();
        own.tensors.push(variable(&state.name));
        own.tensors.push(Tensor {
            name: format!("{}_initial", state.name),
            shape: natural(tensor),
            element: element(tensor.dtype),
            quantization: Some(quantization(tensor)),
            buffer: graph.buffers.len() - 1,
        });
        own.operators.push(Operator {
            builtin: VAR_HANDLE,
            options: options::variable(&state.name),
            inputs: Vec::new(),
            output: Some(handle),
        });
        own.operators.push(Operator {
            builtin: ASSIGN_VARIABLE,
            options: options::none(),
            inputs: vec![handle, handle + 1],
            output: None,
        });
    }
    own
}

/// What the README says of states; nothing of a program without any.
pub(super) fn text(program: &Program) -> String {
    let count = program.states.len();
    if count == 0 {
        return String::new();
    }
    let names: Vec<String> =
        program.states.iter().map(|state| format!("`{}`", comment(&state.name))).collect();
    format!(
        "\n\nThe network keeps states from one call to the next, in variables of the file: {}. The first call finds what \
         they begin with.\nAn interpreter of TensorFlow Lite Micro takes `tflite::MicroResourceVariables::Create(allocator, \
         {count})` for them; a new\ninterpreter begins anew.",
        names.join(", ")
    )
}
