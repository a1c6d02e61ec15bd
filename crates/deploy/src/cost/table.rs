//! Tables of costs, as `cargo xtask mcu costs` writes them.
//!
//! A table is a text of lines, each a word that says what it is, then names and numbers:
//!
//! - `code NAME BYTES`: a piece of code, or of constants of the runtime's own;
//! - `needs FUNCTION NAME..`: the pieces that a call of a function brings into the image;
//! - `calls FIRST NODE ROWS STREAM`: bytes of a program's own code, for the program, for each node, and on top for
//!   each that runs row by row and for each stream;
//! - `stack FUNCTION BYTES`: stack of a call; for the loop over rows, what it adds to that of its rows;
//! - `time FUNCTION NUMBER..`: instructions for each number of its work;
//! - `stream NUMBER..`: those of the loop over rows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::LazyLock;

use crate::place::Placed;
use crate::target::{TARGETS, Target};

/// The function with the loop over rows, which calls those that make them.
pub const STREAM: &str = "bptq_stream_run";

/// The instructions of a kernel for each number of its work.
pub type Kernel = Vec<f64>;

/// What kernels cost on a target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Bytes of each piece of code.
    pub code: BTreeMap<String, usize>,
    /// The pieces that each function needs.
    pub needs: BTreeMap<String, Vec<String>>,
    /// Bytes of the code of a program: of all, of each node, of each that runs row by row, of each stream.
    pub calls: [f64; 4],
    /// Bytes of stack of each function.
    pub stack: BTreeMap<String, usize>,
    /// Instructions of each function.
    pub time: BTreeMap<String, Kernel>,
    /// Instructions of the loop over rows.
    pub stream: Kernel,
}

/// The text of every table.
const TEXTS: &[(&str, &str)] = &[
    ("cortex-m0", include_str!("tables/cortex-m0.txt")),
    ("cortex-m3", include_str!("tables/cortex-m3.txt")),
    ("cortex-m4", include_str!("tables/cortex-m4.txt")),
    ("cortex-m7", include_str!("tables/cortex-m7.txt")),
    ("cortex-m33", include_str!("tables/cortex-m33.txt")),
    ("cortex-m55", include_str!("tables/cortex-m55.txt")),
    ("rv32", include_str!("tables/rv32.txt")),
];

static TABLES: LazyLock<BTreeMap<&str, Table>> = LazyLock::new(|| {
    let parsed = TEXTS.iter().map(|&(target, text)| {
        // A test reads all of them.
        (target, text.parse().unwrap_or_default())
    });
    parsed.collect()
});

/// The table of `target`; none for the machine that compiles.
pub fn table(target: &Target) -> Option<&'static Table> {
    TABLES.get(target.name)
}

/// The targets that have a table: all microcontrollers.
pub fn targets() -> impl Iterator<Item = &'static Target> {
    TARGETS.iter().filter(|target| table(target).is_some())
}

impl Table {
    /// The instructions of a function; `None` if it was not measured.
    pub fn kernel(&self, function: &str) -> Option<&Kernel> {
        self.time.get(function)
    }

    /// Bytes of code of a program that calls `functions`.
    pub(super) fn code_bytes<'a>(
        &self,
        functions: impl Iterator<Item = &'a str>,
        program: &Placed,
    ) -> usize {
        let pieces: BTreeSet<&String> =
            functions.filter_map(|function| self.needs.get(function)).flatten().collect();
        let kernels: usize = pieces.iter().filter_map(|&piece| self.code.get(piece)).sum();
        let streams = program.streams();
        let rows: usize = streams.iter().map(|stream| stream.rows.len()).sum();
        // A copy of a state, and its part of the reset, are calls as those of nodes.
        let calls = program.nodes.len() + program.states.len() + program.copied_states().count();
        let counts = [1, calls, rows, streams.len()];
        let own: f64 = counts.iter().zip(self.calls).map(|(&n, bytes)| n as f64 * bytes).sum();
        kernels + own.max(0.0).round() as usize
    }

    /// Bytes of stack of the deepest call, below that of the loop over rows if there is one.
    pub(super) fn stack_bytes<'a>(&self, functions: impl Iterator<Item = &'a str>) -> usize {
        let (mut kernels, mut loops) = (0, 0);
        for function in functions {
            let bytes = self.stack.get(function).copied().unwrap_or(0);
            let most = if function == STREAM { &mut loops } else { &mut kernels };
            *most = bytes.max(*most);
        }
        kernels + loops
    }

    /// The text that [`from_str`](Self::from_str) reads.
    pub fn text(&self) -> String {
        let mut text = String::from("# Made by `cargo xtask mcu costs`; not edited by hand.\n");
        let list = |numbers: &[f64]| {
            let each = numbers.iter().map(|number| format!(" {}", rounded(*number)));
            each.collect::<String>()
        };
        for (name, bytes) in &self.code {
            let _ = writeln!(text, "code {name} {bytes}");
        }
        for (function, pieces) in &self.needs {
            let _ = writeln!(text, "needs {function} {}", pieces.join(" "));
        }
        let _ = writeln!(text, "calls{}", list(&self.calls));
        for (function, bytes) in &self.stack {
            let _ = writeln!(text, "stack {function} {bytes}");
        }
        for (function, numbers) in &self.time {
            let _ = writeln!(text, "time {function}{}", list(numbers));
        }
        let _ = writeln!(text, "stream{}", list(&self.stream));
        text
    }
}

/// Four significant digits are more than the fit has.
fn rounded(number: f64) -> f64 {
    if number == 0.0 || !number.is_finite() {
        return 0.0;
    }
    let scale = 10_f64.powi(4 - number.abs().log10().ceil() as i32);
    (number * scale).round() / scale
}

/// A line of a table that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a line of a table of costs, found '{line}'")]
pub struct TableError {
    line: String,
}

impl FromStr for Table {
    type Err = TableError;

    fn from_str(text: &str) -> Result<Self, TableError> {
        let mut table = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            table.add(line).ok_or_else(|| TableError { line: line.to_owned() })?;
        }
        Ok(table)
    }
}

impl Table {
    fn add(&mut self, line: &str) -> Option<()> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let name = match kind {
            "calls" | "stream" => String::new(),
            _ => words.next()?.to_owned(),
        };
        let words: Vec<&str> = words.collect();
        let numbers = || words.iter().map(|word| word.parse().ok()).collect::<Option<Vec<f64>>>();
        let bytes = || words.first()?.parse::<usize>().ok();
        match kind {
            "code" => drop(self.code.insert(name, bytes()?)),
            "stack" => drop(self.stack.insert(name, bytes()?)),
            "needs" => {
                drop(self.needs.insert(name, words.iter().map(|&word| word.into()).collect()));
            }
            "time" => drop(self.time.insert(name, numbers()?)),
            "stream" => self.stream = numbers()?,
            "calls" => self.calls = numbers()?.try_into().ok()?,
            _ => return None,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::Kernels;

    #[test]
    fn every_microcontroller_has_a_table() {
        let names: Vec<&str> = targets().map(|target| target.name).collect();
        assert_eq!(names.len() + 1, TARGETS.len(), "{names:?}");
        assert!(!names.contains(&"host"));
    }

    /// Functions that no export calls on a target: Helium's kernels take every convolution and fully
    /// connected layer of 8 bits, and every sum of two inputs of one length.
    const NEVER_CALLED: &[(&str, &str)] = &[
        ("cortex-m55", "bptq_conv2d_s8"),
        ("cortex-m55", "bptq_fully_connected_s8"),
        ("cortex-m55", "bptq_fully_connected_s8_s16"),
        ("cortex-m55", "bptq_add_plain_s16"),
        ("cortex-m55", "bptq_add_same_s16"),
    ];

    /// The functions that an export for `target` may call.
    fn functions(target: &Target) -> impl Iterator<Item = &'static str> {
        let own: &[&str] = match target.kernels {
            Kernels::Portable => &[],
            Kernels::Scalar => &[include_str!("../../c/scalar/bptq_scalar.h")],
            Kernels::Dsp => &[include_str!("../../c/dsp/bptq_dsp.h")],
            Kernels::Tiles => {
                &[include_str!("../../c/dsp/bptq_dsp.h"), include_str!("../../c/tile/bptq_tile.h")]
            }
            Kernels::Mve => &[include_str!("../../c/mve/bptq_mve.h")],
            Kernels::Quads => {
                &[include_str!("../../c/mve/bptq_mve.h"), include_str!("../../c/quad/bptq_quad.h")]
            }
        };
        let headers = [include_str!("../../c/runtime/bptq.h")].into_iter().chain(own.to_vec());
        let declared = |header: &'static str| {
            let names = header.lines().filter_map(|line| line.strip_prefix("void "));
            names.filter_map(|line| Some(line.split_once('(')?.0))
        };
        headers.flat_map(declared).chain(["memcpy"])
    }

    #[test]
    fn every_function_that_an_export_calls_was_measured_on_every_target() {
        let mut missing = Vec::new();
        for target in TARGETS.iter().filter(|target| target.name != "host") {
            let table = table(target).expect("a table");
            let names: Vec<&str> = functions(target).collect();
            assert!(names.len() > 60 && names.contains(&"bptq_top_k_s8_s16"), "{}", target.name);
            for name in names {
                let timed = table.time.keys().any(|form| form.split('/').next() == Some(name));
                let known =
                    timed && table.needs.contains_key(name) && table.stack.contains_key(name);
                if known == NEVER_CALLED.contains(&(target.name, name)) {
                    missing.push(format!("{name} on {}", target.name));
                }
            }
        }
        assert!(missing.is_empty(), "measured on one list only: {missing:?}");
    }

    #[test]
    fn targets_with_the_same_kernels_have_measured_the_same_ways_through_them() {
        let forms = |target: &Target| -> Vec<String> {
            table(target).expect("a table").time.keys().cloned().collect()
        };
        let boards = || TARGETS.iter().filter(|target| target.name != "host");
        for target in boards() {
            let alike = |other: &&Target| other.kernels == target.kernels;
            let first = boards().find(alike).expect("itself");
            assert_eq!(forms(target), forms(first), "{} and {}", target.name, first.name);
        }
    }

    #[test]
    fn every_target_but_the_host_has_a_table_that_reads() {
        for target in TARGETS.iter().filter(|target| target.name != "host") {
            let text = TEXTS.iter().find(|(name, _)| *name == target.name).expect("a table").1;
            let read: Table = text.parse().expect("a table");
            assert!(!read.time.is_empty() && !read.needs.is_empty(), "{}", target.name);
            assert_eq!(read.text(), text, "{}", target.name);
            let pieces = read.needs.values().flatten();
            assert!(pieces.into_iter().all(|piece| read.code.contains_key(piece)));
        }
    }

    #[test]
    fn lines_that_say_nothing_are_errors() {
        for line in ["time bptq_pad_s8 x", "calls 1 2", "code bptq_pad_s8", "other a 1"] {
            let error = line.parse::<Table>().expect_err(line);
            assert!(error.to_string().contains(line));
        }
    }
}
