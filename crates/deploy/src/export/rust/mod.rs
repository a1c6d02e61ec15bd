//! `no_std` Rust: a crate with the network, the kernels as source, an example, a self-test, and a
//! firmware for microcontrollers.

mod ends;
mod firmware;
mod groups;
mod io;
mod literals;
mod loops;
mod movement;
mod network;
mod rows;
mod source;
mod states;

use std::path::Path;

use burn_ptq_kernels::reference::MAX_AXES;
use burn_ptq_kernels::source::FILES as KERNEL_SOURCES;

use super::shared::names::comment;
use super::shared::packing::constant_bytes;
use super::shared::samples::layout_text;
use super::shared::template::Values;
use super::shared::{describe, identity, license};
use super::{ExportError, ExportFile, Exporter, Figures, Options, Rendered, SelfTest};
use crate::board::board;
use crate::op::{BinaryFunction, Broadcast, DType, IntOp};
use crate::place::plan::ALIGNMENT;
use crate::place::{Memory, Placed};
use crate::program::{IntNode, IntTensor};
use crate::target::{Kernels, Target};

/// Exports to Rust.
#[derive(Clone, Copy, Debug)]
pub struct Rust;

/// Files around the network.
const TEMPLATES: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("../../../rust/template/Cargo.toml.in")),
    ("README.md", include_str!("../../../rust/template/README.md")),
    ("examples/stream.rs", include_str!("../../../rust/template/stream.rs.in")),
    ("rustfmt.toml", include_str!("../../../rust/template/rustfmt.toml")),
    ("samples.rs", include_str!("../../../rust/template/samples.rs.in")),
    ("src/lib.rs", include_str!("../../../rust/template/lib.rs.in")),
    ("src/self_test.rs", include_str!("../../../rust/template/self_test.rs.in")),
];

/// The manifest of the kernels.
const KERNELS_MANIFEST: &str = include_str!("../../../rust/template/kernels.toml.in");

/// Bytes of the network's statics on a machine of 32 bits, of which the compiler may drop those that
/// it moves into the code.
fn flash_constant_bytes(program: &Placed) -> usize {
    let bytes = |node: &IntNode| {
        constant_bytes(program, node, program.kernels()) + parameter_bytes(&node.op)
    };
    let streams = program.row_programs().map(|(_, rows)| rows::bytes(rows));
    program.nodes.iter().map(bytes).chain(streams).sum()
}

/// Bytes of the structures of `burn-ptq-kernels` that describe an operation.
const fn parameter_bytes(op: &IntOp) -> usize {
    const STRIDES: usize = 9;
    const PLANES_AND_WINDOW: usize = 12;
    const REQUANTIZE: usize = 8;
    4 * match op {
        IntOp::Conv2d { .. } | IntOp::TransposeConv2d { .. } => PLANES_AND_WINDOW + 3 + REQUANTIZE,
        IntOp::DepthwiseConv2d { .. } => PLANES_AND_WINDOW + 2 + REQUANTIZE,
        IntOp::FullyConnected { .. } => REQUANTIZE,
        IntOp::AveragePool { .. } | IntOp::MaxPool { .. } => PLANES_AND_WINDOW + 1,
        IntOp::Add { broadcast: Broadcast::Shapes { .. }, .. } => 7 + STRIDES,
        IntOp::Add { .. } => 7,
        IntOp::BatchMatMul { .. } => 13,
        IntOp::Normalize { .. } => 9 + 6,
        IntOp::Mul { broadcast: Broadcast::Shapes { .. }, .. } => STRIDES,
        IntOp::Binary { function, .. } => {
            STRIDES
                + match function {
                    BinaryFunction::Sub(_) => 7,
                    BinaryFunction::Prelu(_) => 4,
                    BinaryFunction::Div(_) | BinaryFunction::Minimum | BinaryFunction::Maximum => 0,
                }
        }
        // Their parameters are arguments of the call, or tables.
        IntOp::Mul { .. }
        | IntOp::Table8 { .. }
        | IntOp::Table16 { .. }
        | IntOp::Gate { .. }
        | IntOp::Softmax { .. }
        | IntOp::LogSoftmax { .. }
        | IntOp::Requantize { .. }
        | IntOp::Concat { .. }
        | IntOp::Pad { .. }
        | IntOp::Transpose { .. }
        | IntOp::Pack
        | IntOp::Unpack
        | IntOp::Reduce { .. }
        | IntOp::TopK { .. }
        | IntOp::ResizeLinear { .. }
        | IntOp::Lookup8 { .. }
        | IntOp::Lookup16 { .. }
        | IntOp::Constant { .. }
        | IntOp::Step { .. } => 0,
        IntOp::Rearrange { .. } => 3 * MAX_AXES,
    }
}

/// Bytes of RAM: the arena, outputs of 16-bit elements, which the arena holds as bytes, and whether it was
/// reset.
fn ram_bytes(program: &Placed) -> usize {
    let wide = program.output_tensors().filter(|tensor| tensor.dtype == DType::I16);
    let copy: usize = wide.map(IntTensor::bytes).sum();
    (program.arena_bytes() + copy + states::ram_bytes(program)).next_multiple_of(ALIGNMENT)
}

impl Exporter for Rust {
    fn name(&self) -> &'static str {
        "rust"
    }

    fn describe(&self) -> &'static str {
        "no_std Rust: a crate, its kernels, example, self-test and firmware"
    }

    /// There are neither tiles nor any for the vector extension, but those for the DSP extension run
    /// wherever it is, and the portable ones elsewhere.
    fn kernels(&self, target: &Target) -> Kernels {
        match target.kernels {
            Kernels::Scalar => Kernels::Portable,
            Kernels::Tiles | Kernels::Mve | Kernels::Quads => Kernels::Dsp,
            other @ (Kernels::Portable | Kernels::Dsp) => other,
        }
    }

    fn render(
        &self,
        program: &Placed,
        self_test: &SelfTest,
        options: &Options,
    ) -> Result<Rendered, ExportError> {
        options.expect_no_harness(self.name())?;
        let target = options.target;
        let program = &program.place_again(self.kernels(target), Memory::Whole)?;
        self_test.check(program)?;
        let mut values = values(program, self_test, options)?;
        let board = board(target);
        if let Some(board) = board {
            values.extend(firmware::values(board, target));
            values.set("COUNTED_RESET", states::counted_reset(program));
        }
        let section = values.fill(if board.is_some() { firmware::README } else { "" })?;
        values.set("FIRMWARE", section);
        let mut files = Vec::new();
        for (path, template) in TEMPLATES {
            files.push(ExportFile::text(*path, values.fill(template)?));
        }
        files.push(ExportFile::text("src/network.rs", network::source(program)));
        files.push(ExportFile::text("src/io.rs", io::source(program)));
        files.extend(license::files(&["src/network.rs", "src/io.rs", "samples.rs"]));
        if options.kernels.is_none() {
            files.extend(kernel_files()?);
        }
        if let Some(board) = board {
            files.extend(firmware::files(board, &values)?);
        }
        values.all_used()?;
        let figures = Figures {
            flash_constant_bytes: flash_constant_bytes(program),
            flash_is_upper_bound: true,
            ram_bytes: ram_bytes(program),
            ram_is_lower_bound: false,
        };
        Ok(Rendered { files, figures })
    }
}

/// The package `burn-ptq-kernels`, in the folder `kernels`.
fn kernel_files() -> Result<Vec<ExportFile>, ExportError> {
    let values = Values::from([
        ("KERNELS_VERSION", env!("CARGO_PKG_VERSION")),
        ("RUST_VERSION", env!("CARGO_PKG_RUST_VERSION")),
    ]);
    let manifest = ExportFile::text("kernels/Cargo.toml", values.fill(KERNELS_MANIFEST)?);
    values.all_used()?;
    // The module that contains this list is not part of an export, nor is what hosts run.
    let own = [
        "#[cfg(any(test, feature = \"source\"))]\npub mod source;\n",
        "#[cfg(any(test, feature = \"host\"))]\npub mod fast;\n",
    ];
    let source = |(name, text): &(&str, &str)| {
        let text = own.iter().fold((*text).to_owned(), |text, own| text.replace(own, ""));
        let text = text.replace("any(test, feature = \"host\")", "test");
        ExportFile::text(format!("kernels/src/{name}"), text)
    };
    let texts = license::texts("kernels/");
    let files = std::iter::once(manifest).chain(texts);
    Ok(files.chain(KERNEL_SOURCES.iter().map(source)).collect())
}

/// The path, seen from the folder `crate_dir` of an export to come, of the package `burn-ptq-kernels`
/// in the folder `kernels`, for [`Options::kernels`].
///
/// # Errors
/// If there is none, or that of another version.
pub fn shared_kernels(crate_dir: &Path, kernels: &Path) -> Result<String, ExportError> {
    let refused = |problem: String| ExportError::Kernels { path: kernels.to_owned(), problem };
    for file in kernel_files()? {
        let name = file.path.strip_prefix("kernels/").unwrap_or(&file.path);
        match std::fs::read(kernels.join(name)) {
            Ok(contents) if contents == file.contents => {}
            Ok(_) => {
                return Err(refused(format!(
                    "its {name} is of another version of burn-ptq, or was changed; export that network \
                     again, in another folder if need be"
                )));
            }
            Err(error) => {
                return Err(refused(format!(
                    "{name}: {error}; expected the folder `kernels` of an exported crate"
                )));
            }
        }
    }
    let absolute = |path: &Path| {
        // As far as it exists: links must be followed before `..` is taken.
        let mut known = path;
        let mut rest = Vec::new();
        loop {
            if let Ok(found) = std::fs::canonicalize(known) {
                return Ok(rest.iter().rev().fold(found, |found, name| found.join(name)));
            }
            match (known.parent(), known.file_name()) {
                (Some(parent), Some(name)) => {
                    rest.push(name);
                    known = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
                }
                _ => return std::path::absolute(path),
            }
        }
    };
    let both = absolute(crate_dir).and_then(|from| Ok((from, absolute(kernels)?)));
    let (from, to) = both.map_err(|error| refused(error.to_string()))?;
    let shared = from.components().zip(to.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| "..".to_owned());
    let down = to.components().skip(shared).map(|c| c.as_os_str().to_string_lossy().into_owned());
    Ok(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// The values of the placeholders in the templates.
fn values(
    program: &Placed,
    self_test: &SelfTest,
    options: &Options,
) -> Result<Values, ExportError> {
    let id = options.identifier(program)?;
    let ends = ends::values(program, self_test, &id)?;
    let features = if program.kernels() == Kernels::Dsp { "\"dsp\"" } else { "" };
    let checksums = self_test.checksums(program)?;
    let mut values = Values::from([
        ("TITLE", comment(if program.name.is_empty() { &id } else { &program.name })),
        ("NAME", id),
        ("VERSION", comment(&program.provenance.version)),
        ("KERNELS", options.kernels.unwrap_or("kernels").to_owned()),
        ("RUST_VERSION", env!("CARGO_PKG_RUST_VERSION").to_owned()),
        ("DEFAULT", features.to_owned()),
        ("FLASH_BYTES", flash_constant_bytes(program).to_string()),
        ("RAM_BYTES", ram_bytes(program).to_string()),
        ("ARENA_BYTES", program.arena_bytes().to_string()),
        ("NODES", program.nodes.len().to_string()),
        ("LAYERS", layers(program)),
        ("PLACES", layout_text(program, io::raw_type)),
        ("SAMPLES", self_test.samples.len().to_string()),
        ("PROVENANCE", describe::provenance(program)),
        ("CHECKSUMS", checksums.iter().map(|sums| literals::patterns(sums)).collect()),
        ("CHECKSUM_COUNT", checksums.first().map_or(0, Vec::len).to_string()),
        ("VERSION_TEXT", identity::text(&program.provenance.version)),
        ("MODEL_HASH", identity::text(&program.provenance.model_hash)),
        ("HASH", identity::hash(program)?),
    ]);
    values.extend(ends);
    values.extend(states::values(program));
    Ok(values)
}

/// The rows of the table of layers.
fn layers(program: &Placed) -> String {
    describe::layer_names(program)
        .into_iter()
        .map(|(name, macs)| format!("    ({name:?}, {macs}),\n"))
        .collect()
}
