//! What a program costs on a microcontroller: flash with the code of its kernels, RAM with the stack, and
//! instructions.
//!
//! Constants and the arena are counted exactly. Code, stack and instructions follow tables, one for each
//! target, that `cargo xtask mcu costs` makes from linker maps and from counts of emulators, for C compiled at
//! -O2: instructions of a call are a linear function of numbers that describe its work ([`work`]).

mod table;
pub mod work;

use crate::export::{constants_by_node, runtime_functions};
use crate::place::Placed;
use crate::size::ram_bytes;
use crate::target::Target;

/// The function that copies states, steps of sequences, and constants.
const COPY: &str = "memcpy";

pub use table::{Kernel, STREAM, Table, table, targets};

/// What a program costs on a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// Bytes of constants in flash, of each node; exact.
    pub constants: Vec<usize>,
    /// Bytes of code in flash: kernels, what they use of the C library, and the calls.
    pub code_bytes: usize,
    /// Bytes of the arena.
    pub arena_bytes: usize,
    /// Bytes of stack that the deepest call takes.
    pub stack_bytes: usize,
    /// Instructions of each node, in the order of execution; `None` for one whose kernel the table does not
    /// have. Rows of a stream are counted where their nodes are.
    pub nodes: Vec<Option<f64>>,
    /// The functions of the runtime that each node calls.
    pub functions: Vec<Vec<String>>,
}

impl Costs {
    /// Bytes of flash.
    pub fn flash_bytes(&self) -> usize {
        self.constant_bytes() + self.code_bytes
    }

    /// Bytes of constants in flash.
    pub fn constant_bytes(&self) -> usize {
        self.constants.iter().sum()
    }

    /// Bytes of RAM, with the stack.
    pub fn ram_bytes(&self) -> usize {
        self.arena_bytes + self.stack_bytes
    }

    /// Instructions of one inference; `None` if those of some node are not known.
    pub fn instructions(&self) -> Option<f64> {
        self.nodes.iter().copied().sum()
    }
}

/// What `program` costs on `target`; `None` if there is no table for it.
///
/// The program must be placed for the target's kernels.
pub fn costs(program: &Placed, target: &Target) -> Option<Costs> {
    Some(with_table(program, table(target)?))
}

/// What `program` costs by `table`.
pub fn with_table(program: &Placed, table: &Table) -> Costs {
    let functions = runtime_functions(program);
    let works = work::works(program);
    let instructions = |(index, work): (usize, &work::Work)| {
        let by_rows = program.streams().iter().any(|stream| stream.nodes().contains(&index));
        let main = main_function(&functions[index])?;
        let form = work::form(program, &program.nodes[index], by_rows, main);
        Some(work.dot(table.kernel(&form)?))
    };
    let mut nodes: Vec<Option<f64>> = works.iter().enumerate().map(instructions).collect();
    for (stream, rows) in work::streams(program) {
        // The loop over rows runs between the nodes; it counts with the last one.
        if let Some(Some(last)) = nodes.get_mut(stream) {
            *last += rows.dot(&table.stream);
        }
    }
    let carried = work::carried(program);
    for (last, copied) in &carried {
        // What a step copies counts with the last node of its loop.
        nodes[*last] =
            nodes[*last].zip(table.kernel(COPY)).map(|(own, copy)| own + copied.dot(copy));
    }
    let copied = work::states(program);
    if let (Some(copied), Some(last)) = (&copied, nodes.last_mut()) {
        // As does what is copied for the next call.
        *last = last.zip(table.kernel(COPY)).map(|(own, copy)| own + copied.dot(copy));
    }
    let copies = copied.iter().chain(carried.iter().map(|(_, copied)| copied)).map(|_| COPY);
    let called = || functions.iter().flatten().map(String::as_str).chain(copies.clone());
    Costs {
        constants: constants_by_node(program),
        code_bytes: table.code_bytes(called(), program),
        arena_bytes: ram_bytes(program),
        stack_bytes: table.stack_bytes(called()),
        nodes,
        functions,
    }
}

/// The function that does a node's work; those beside it prepare a row.
pub fn main_function(functions: &[String]) -> Option<&str> {
    let beside = ["bptq_row_window", STREAM];
    functions.iter().map(String::as_str).find(|name| !beside.contains(name))
}
