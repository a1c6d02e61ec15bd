//! Portable C99: a folder with the network, its runtime, a Makefile, an example and a self-test.

mod calls;
mod data;
mod ends;
mod firmware;
mod groups;
mod harness;
mod io;
mod loops;
mod movement;
mod network;
mod packages;
mod rows;
mod runtime;
mod source;
mod states;

pub use calls::runtime_functions;

use super::shared::ends::End;
use super::shared::names::comment;
use super::shared::packing::constant_bytes;
use super::shared::samples::layout_text;
use super::shared::template::Values;
use super::shared::{describe, identity, license};
use super::{ExportError, ExportFile, Exporter, Figures, Options, Rendered, SelfTest};
use crate::board::board;
use crate::place::{Memory, Placed};
use crate::program::IntNode;
use crate::size::{parameter_bytes, ram_bytes, stream_bytes};
use crate::target::{Kernels, Target};

/// Exports to C99.
#[derive(Clone, Copy, Debug)]
pub struct C99;

/// What the README says of programs for a machine with an operating system.
const HOST_COMMANDS: &str = "    \
    make test                                  # compiles and runs the self-test
    ./build/@NAME@ samples.bin > outputs.bin   # raw samples in, raw outputs out";
const HOST_FILES: &str = "\
| `main.c` | streams raw samples |";

/// What it says where there is a firmware instead.
const BOARD_COMMANDS: &str = "    \
    make -C firmware run    # the self-test for @TARGET@ on QEMU";
const BOARD_FILES: &str = "\
| `firmware/` | the self-test as a bare-metal program |";

impl Exporter for C99 {
    fn name(&self) -> &'static str {
        "c"
    }

    fn describe(&self) -> &'static str {
        "C99: sources, runtime, and a self-test, for a microcontroller as a firmware"
    }

    fn kernels(&self, target: &Target) -> Kernels {
        target.kernels
    }

    fn render(
        &self,
        program: &Placed,
        self_test: &SelfTest,
        options: &Options,
    ) -> Result<Rendered, ExportError> {
        let target = options.target;
        let program = &program.place_again(target.kernels, Memory::Whole)?;
        self_test.check(program)?;
        let id = options.identifier(program)?;
        let mut values = values(program, self_test, target, &id)?;
        values.extend(ends::values(program, &id));
        values.extend(states::values(program, &id));
        values.extend(io::values(program, &id)?);
        values.extend(packages::values(target));
        let board = board(target);
        let [commands, table, section] = match board {
            Some(_) => [BOARD_COMMANDS, BOARD_FILES, firmware::README],
            None => [HOST_COMMANDS, HOST_FILES, ""],
        };
        if let Some(board) = board {
            values.extend(firmware::values(board));
            values.set("FILLED", ends::filled(program, &id));
        } else {
            values.extend(ends::hosted_values(program, &id));
        }
        for (name, text) in [("COMMANDS", commands), ("FILES", table), ("FIRMWARE", section)] {
            let text = values.fill(text)?;
            values.set(name, text);
        }
        let mut files = vec![ExportFile::text(format!("{id}.c"), network::source(program, &id))];
        let mut templates = vec![
            (format!("{id}.h"), include_str!("../../../c/template/model.h")),
            (format!("{id}_io.h"), include_str!("../../../c/template/io.h")),
            (format!("{id}_io.c"), include_str!("../../../c/template/io.c")),
            ("samples.h".to_owned(), include_str!("../../../c/template/samples.h")),
            ("self_test.h".to_owned(), include_str!("../../../c/template/self_test.h")),
            ("self_test.c".to_owned(), include_str!("../../../c/template/self_test.c")),
            ("README.md".to_owned(), include_str!("../../../c/template/README.md")),
        ];
        if board.is_none() {
            let hosted = runtime::HOSTED.iter().map(|&(name, text)| (name.to_owned(), text));
            templates.extend(hosted);
        }
        for (path, template) in templates {
            files.push(ExportFile::text(path, values.fill(template)?));
        }
        let generated = [&*format!("{id}.c"), &*format!("{id}_io.c"), "samples.h"];
        files.extend(license::files(&generated));
        let file = |(name, text): &(&str, &str)| ExportFile::text(format!("runtime/{name}"), *text);
        files.extend(runtime::files(target.kernels).map(file));
        files.extend(packages::files(&id, target.kernels, &values)?);
        if let Some(board) = board {
            files.extend(firmware::files(board, program, &values)?);
        }
        if let Some(harness) = &options.harness {
            files.extend(harness::files(harness, program, &id, (target, board), &mut values)?);
        }
        values.all_used()?;
        let figures = Figures {
            flash_constant_bytes: flash_constant_bytes(program),
            flash_is_upper_bound: false,
            ram_bytes: ram_bytes(program),
            ram_is_lower_bound: false,
        };
        Ok(Rendered { files, figures })
    }
}

/// Bytes of the read-only data of each node in the network's source file on a machine of 32 bits; those of a
/// stream are with its last node.
pub fn constants_by_node(program: &Placed) -> Vec<usize> {
    let bytes = |node: &IntNode| {
        constant_bytes(program, node, program.kernels()) + parameter_bytes(&node.op)
    };
    let mut nodes: Vec<usize> = program.nodes.iter().map(bytes).collect();
    for (stream, rows) in program.row_programs() {
        nodes[stream.last()] += stream_bytes(rows);
    }
    nodes
}

fn flash_constant_bytes(program: &Placed) -> usize {
    constants_by_node(program).into_iter().sum()
}

/// The values of the placeholders in the templates, except those of input and output.
fn values(
    program: &Placed,
    self_test: &SelfTest,
    target: &Target,
    id: &str,
) -> Result<Values, ExportError> {
    let samples = &self_test.samples;
    let checksums = self_test.checksums(program)?;
    let hash = identity::hash(program)?;
    let mut values = Values::from([
        ("NAME", id.to_owned()),
        ("PREFIX", id.to_ascii_uppercase()),
        ("TITLE", comment(if program.name.is_empty() { id } else { &program.name })),
        ("LANGUAGE", language(target.kernels).to_owned()),
        ("COMPILER", target.compiler.to_owned()),
        ("TARGET", target.name.to_owned()),
        ("TARGET_FLAGS", target.flags.to_owned()),
        ("SPACED_FLAGS", format!(" {}", target.flags).trim_end().to_owned()),
        ("VERSION", comment(&program.provenance.version)),
        ("FLASH_BYTES", flash_constant_bytes(program).to_string()),
        ("ARENA_BYTES", program.arena_bytes().to_string()),
        ("RAM_BYTES", ram_bytes(program).to_string()),
        ("SAMPLES", samples.len().to_string()),
        ("ARRAYS", ends::sample_arrays(program, |end| rows(self_test, end))),
        ("PLACES", layout_text(program, data::raw_type)),
        ("CHECKSUMS", data::unsigned_rows(&checksums)),
        ("CHECKSUM_COUNT", checksums.first().map_or(0, Vec::len).to_string()),
        ("PROVENANCE", describe::provenance(program)),
    ]);
    values.extend([
        ("NODES", program.nodes.len().to_string()),
        ("VERSION_TEXT", identity::text(&program.provenance.version)),
        ("MODEL_HASH", identity::text(&program.provenance.model_hash)),
        ("HASH_32", hash.chars().take(8).collect()),
        ("HASH", hash),
    ]);
    Ok(values)
}

/// The elements of an input or output in every sample.
fn rows(self_test: &SelfTest, end: &End) -> String {
    let samples = self_test.samples.iter().map(|(ins, outs)| match end.role {
        "input" => ins,
        _ => outs,
    });
    data::rows(samples.map(|sample| &sample[end.bytes()]), end.tensor.dtype)
}

fn language(kernels: Kernels) -> &'static str {
    match kernels {
        Kernels::Portable => "portable C99",
        Kernels::Scalar => "C99, with kernels for cores without SIMD instructions",
        Kernels::Dsp | Kernels::Tiles => {
            "C99, with kernels for the DSP extension of Arm's M profile"
        }
        Kernels::Mve | Kernels::Quads => {
            "C99, with kernels for the vector extension of Arm's M profile (Helium)"
        }
    }
}
