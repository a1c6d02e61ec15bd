//! Portable C99: a folder with the network, its runtime, a Makefile, an example and a self-test.

pub(super) mod data;
pub(super) mod dsp;
pub(super) mod firmware;
mod io;
mod mve;
mod rows;
pub(super) mod source;

use super::io::layout_text;
use super::{
    ExportError, ExportFile, Exporter, Figures, Options, Rendered, SelfTest, comment, license,
};
use crate::board::board;
use crate::kernels::{MVE_PADDING, chosen};
use crate::model::{DType, IntModel, IntNode, IntTensor};
use crate::plan::plan_for;
use crate::size::{parameter_bytes, ram_bytes, stream_bytes};
use crate::target::{Kernels, Target};
use crate::verify::{VerifyError, verify_for, verify_unplanned};

/// Exports to C99.
#[derive(Clone, Copy, Debug)]
pub struct C99;

/// The runtime: every file of `c/runtime`.
const RUNTIME: &[(&str, &str)] = &[
    ("bptq.h", include_str!("../../c/runtime/bptq.h")),
    ("bptq_conv2d_s16.c", include_str!("../../c/runtime/bptq_conv2d_s16.c")),
    ("bptq_conv2d_s8.c", include_str!("../../c/runtime/bptq_conv2d_s8.c")),
    ("bptq_depthwise_s16.c", include_str!("../../c/runtime/bptq_depthwise_s16.c")),
    ("bptq_depthwise_s8.c", include_str!("../../c/runtime/bptq_depthwise_s8.c")),
    ("bptq_dot.c", include_str!("../../c/runtime/bptq_dot.c")),
    ("bptq_dot.h", include_str!("../../c/runtime/bptq_dot.h")),
    ("bptq_elementwise.c", include_str!("../../c/runtime/bptq_elementwise.c")),
    ("bptq_fully_connected.c", include_str!("../../c/runtime/bptq_fully_connected.c")),
    ("bptq_layout.c", include_str!("../../c/runtime/bptq_layout.c")),
    ("bptq_math.h", include_str!("../../c/runtime/bptq_math.h")),
    ("bptq_pool.c", include_str!("../../c/runtime/bptq_pool.c")),
    ("bptq_softmax.c", include_str!("../../c/runtime/bptq_softmax.c")),
    ("bptq_stream.c", include_str!("../../c/runtime/bptq_stream.c")),
    ("bptq_stream.h", include_str!("../../c/runtime/bptq_stream.h")),
    ("bptq_weights.c", include_str!("../../c/runtime/bptq_weights.c")),
    ("bptq_weights.h", include_str!("../../c/runtime/bptq_weights.h")),
    ("bptq_window.h", include_str!("../../c/runtime/bptq_window.h")),
];

/// What the kernels of the DSP extension add: every file of `c/dsp`.
const DSP: &[(&str, &str)] = &[
    ("bptq_dsp.h", include_str!("../../c/dsp/bptq_dsp.h")),
    ("bptq_dsp_conv2d.c", include_str!("../../c/dsp/bptq_dsp_conv2d.c")),
    ("bptq_dsp_depthwise.c", include_str!("../../c/dsp/bptq_dsp_depthwise.c")),
    ("bptq_dsp_dot.h", include_str!("../../c/dsp/bptq_dsp_dot.h")),
    ("bptq_dsp_finish.c", include_str!("../../c/dsp/bptq_dsp_finish.c")),
    ("bptq_dsp_fully_connected.c", include_str!("../../c/dsp/bptq_dsp_fully_connected.c")),
    ("bptq_dsp_math.h", include_str!("../../c/dsp/bptq_dsp_math.h")),
    ("bptq_dsp_patch.c", include_str!("../../c/dsp/bptq_dsp_patch.c")),
    ("bptq_dsp_patch.h", include_str!("../../c/dsp/bptq_dsp_patch.h")),
];

/// What the vector kernels add: every file of `c/mve`.
const MVE: &[(&str, &str)] = &[
    ("bptq_mve.h", include_str!("../../c/mve/bptq_mve.h")),
    ("bptq_mve_add.c", include_str!("../../c/mve/bptq_mve_add.c")),
    ("bptq_mve_conv2d.c", include_str!("../../c/mve/bptq_mve_conv2d.c")),
    ("bptq_mve_depthwise.c", include_str!("../../c/mve/bptq_mve_depthwise.c")),
    ("bptq_mve_dot.h", include_str!("../../c/mve/bptq_mve_dot.h")),
    ("bptq_mve_finish.c", include_str!("../../c/mve/bptq_mve_finish.c")),
    ("bptq_mve_fully_connected.c", include_str!("../../c/mve/bptq_mve_fully_connected.c")),
    ("bptq_mve_math.h", include_str!("../../c/mve/bptq_mve_math.h")),
];

/// Programs for a machine with an operating system.
const HOSTED: &[(&str, &str)] = &[
    ("Makefile", include_str!("../../c/template/Makefile")),
    ("main.c", include_str!("../../c/template/main.c")),
    ("self_test.c", include_str!("../../c/template/self_test.c")),
];

/// What the README says of them.
const HOST_COMMANDS: &str = "    \
    make test                                  # compiles and runs the self-test
    ./build/@NAME@ samples.bin > outputs.bin   # raw samples in, raw outputs out";
const HOST_FILES: &str = "\
| `main.c` | streams raw samples |
| `self_test.c`, `samples.h` | @SAMPLES@ samples with the output bytes that they must give |";

/// What it says where there is a firmware instead.
const BOARD_COMMANDS: &str = "    \
    make -C firmware run    # the self-test for @TARGET@ on QEMU";
const BOARD_FILES: &str = "\
| `samples.h` | @SAMPLES@ samples with the output bytes that they must give |
| `firmware/` | the self-test as a bare-metal program |";

fn runtime(kernels: Kernels) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let own = match kernels {
        Kernels::Portable => &[][..],
        Kernels::Dsp => DSP,
        Kernels::Mve => MVE,
    };
    RUNTIME.iter().chain(own)
}

/// The program with memory planned for `kernels`, whatever it was planned for.
pub(super) fn planned(model: &IntModel, kernels: Kernels) -> Result<IntModel, VerifyError> {
    verify_unplanned(model)?;
    let mut planned = model.clone();
    plan_for(&mut planned, kernels);
    verify_for(&planned, kernels)?;
    Ok(planned)
}

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
        model: &IntModel,
        self_test: &SelfTest,
        options: &Options,
    ) -> Result<Rendered, ExportError> {
        let target = options.target;
        let model = &planned(model, target.kernels)?;
        check_self_test(model, self_test)?;
        let id = options.identifier(model)?;
        let mut values = values(model, self_test, target, &id);
        values.extend(io::values(model, &id));
        let board = board(target);
        if let Some(board) = board {
            values.extend(firmware::values(board, model));
        }
        let [commands, table, section] = match board {
            Some(_) => [BOARD_COMMANDS, BOARD_FILES, firmware::README],
            None => [HOST_COMMANDS, HOST_FILES, ""],
        };
        for (name, text) in [("COMMANDS", commands), ("FILES", table), ("FIRMWARE", section)] {
            values.push((name.to_owned(), fill(text, &values)));
        }
        let filled = |path: &str, template| ExportFile::text(path, fill(template, &values));
        let mut files = vec![
            filled(&format!("{id}.h"), include_str!("../../c/template/model.h")),
            ExportFile::text(format!("{id}.c"), source::model_source(model, target.kernels, &id)),
            filled(&format!("{id}_io.h"), include_str!("../../c/template/io.h")),
            filled(&format!("{id}_io.c"), include_str!("../../c/template/io.c")),
            filled("samples.h", include_str!("../../c/template/samples.h")),
            filled("README.md", include_str!("../../c/template/README.md")),
        ];
        let generated = [&*format!("{id}.c"), &*format!("{id}_io.c"), "samples.h"];
        files.extend(license::files(&generated));
        if board.is_none() {
            files.extend(HOSTED.iter().map(|(name, template)| filled(name, template)));
        }
        let file = |(name, text): &(&str, &str)| ExportFile::text(format!("runtime/{name}"), *text);
        files.extend(runtime(target.kernels).map(file));
        files.extend(board.into_iter().flat_map(|board| firmware::files(board, model, &values)));
        let figures = Figures {
            flash_constant_bytes: flash_constant_bytes(model, target.kernels),
            flash_is_upper_bound: false,
            ram_bytes: ram_bytes(model),
        };
        Ok(Rendered { files, figures })
    }
}

/// Bytes of the read-only data of the network's source file on a machine of 32 bits.
fn flash_constant_bytes(model: &IntModel, kernels: Kernels) -> usize {
    let bytes = |node: &IntNode| constant_bytes(model, node, kernels) + parameter_bytes(&node.op);
    let streams = model.streams.iter().map(|stream| stream_bytes(model, stream));
    model.nodes.iter().map(bytes).chain(streams).sum()
}

/// Bytes of a node's weights, biases, multipliers and tables for the kernels that it runs on.
pub(super) fn constant_bytes(model: &IntModel, node: &IntNode, kernels: Kernels) -> usize {
    let Some(weighted) = node.op.weighted() else { return node.op.constant_bytes() };
    let channels = weighted.bias.len();
    match chosen(model, node, kernels) {
        Kernels::Portable => node.op.constant_bytes(),
        Kernels::Dsp => {
            node.op.constant_bytes() - weighted.weights.data.len() + 4 * dsp::pack(&node.op).len()
        }
        Kernels::Mve => mve::pack(&node.op).len() + 12 * (channels + MVE_PADDING),
    }
}

/// Checks that the samples of the self-test fit the program.
pub(super) fn check_self_test(model: &IntModel, self_test: &SelfTest) -> Result<(), ExportError> {
    if self_test.samples.is_empty() {
        return Err(ExportError::NoSamples);
    }
    let input_bytes = model.tensors[model.input.0].bytes();
    let output_bytes = model.tensors[model.output.0].bytes();
    for (sample, (input, output)) in self_test.samples.iter().enumerate() {
        for (what, expected, found) in
            [("input", input_bytes, input.len()), ("output", output_bytes, output.len())]
        {
            if expected != found {
                return Err(ExportError::Sample { sample, what, expected, found });
            }
        }
    }
    Ok(())
}

/// What stands for each `@PLACEHOLDER@` of the templates.
fn values(
    model: &IntModel,
    self_test: &SelfTest,
    target: &Target,
    id: &str,
) -> Vec<(String, String)> {
    let input = &model.tensors[model.input.0];
    let output = &model.tensors[model.output.0];
    let samples = &self_test.samples;
    let provenance = &model.provenance;
    let mut values: Vec<(String, String)> = [
        ("NAME", id.to_owned()),
        ("PREFIX", id.to_ascii_uppercase()),
        ("TITLE", comment(if model.name.is_empty() { id } else { &model.name })),
        ("LANGUAGE", language(target.kernels).to_owned()),
        ("COMPILER", target.compiler.to_owned()),
        ("TARGET", target.name.to_owned()),
        ("TARGET_FLAGS", target.flags.to_owned()),
        ("SPACED_FLAGS", format!(" {}", target.flags).trim_end().to_owned()),
        ("VERSION", comment(&provenance.version)),
        ("FLASH_BYTES", flash_constant_bytes(model, target.kernels).to_string()),
        ("ARENA_BYTES", model.arena_bytes.to_string()),
        ("RAM_BYTES", ram_bytes(model).to_string()),
        ("SAMPLES", samples.len().to_string()),
        ("INPUTS", data::rows(samples.iter().map(|(input, _)| input.as_slice()), input.dtype)),
        ("EXPECTED", data::rows(samples.iter().map(|(_, out)| out.as_slice()), output.dtype)),
        ("PLACES", layout_text(model, io::raw_type(model.preprocessing.element))),
        ("RAW", io::raw_type(model.preprocessing.element).to_owned()),
        ("PROVENANCE", provenance_text(model)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for (role, tensor) in [("INPUT", input), ("OUTPUT", output)] {
        let [height, width, channels] = tensor.shape;
        let fields = [
            ("HEIGHT", height.to_string()),
            ("WIDTH", width.to_string()),
            ("CHANNELS", channels.to_string()),
            ("LENGTH", tensor.len().to_string()),
            ("BYTES", tensor.bytes().to_string()),
            ("SCALE", format!("{:?}f", tensor.grid.scale)),
            ("ZERO_POINT", tensor.grid.zero_point.to_string()),
            ("TYPE", data::c_type(tensor.dtype).to_owned()),
            ("LAYOUT", layout(tensor)),
        ];
        values.extend(fields.map(|(name, value)| (format!("{role}_{name}"), value)));
    }
    values
}

fn language(kernels: Kernels) -> &'static str {
    match kernels {
        Kernels::Portable => "portable C99",
        Kernels::Dsp => "C99, with kernels for the DSP extension of Arm's M profile",
        Kernels::Mve => "C99, with kernels for the vector extension of Arm's M profile (Helium)",
    }
}

/// `[height, width, channels] type, grid`, for people.
fn layout(tensor: &IntTensor) -> String {
    let grid = match tensor.dtype {
        DType::I8 if tensor.bits < 8 => {
            format!(", {}..={} ({} bits)", tensor.grid.min, tensor.grid.max, tensor.bits)
        }
        _ => String::new(),
    };
    let [height, width, channels] = tensor.shape;
    format!("[{height}, {width}, {channels}] {}{grid}", data::c_type(tensor.dtype))
}

pub(super) fn provenance_text(model: &IntModel) -> String {
    let provenance = &model.provenance;
    let mut text = format!(
        "burn-ptq {}, seed {}, model {}, calibration data {}.",
        comment(&provenance.version),
        provenance.seed,
        hash(&provenance.model_hash),
        hash(&provenance.calibration_hash),
    );
    if !provenance.recipe.is_empty() {
        text.push_str("\n\n");
        for line in provenance.recipe.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text.trim_end().to_owned()
}

fn hash(hash: &str) -> String {
    if hash.is_empty() { "(not recorded)".to_owned() } else { comment(hash) }
}

/// `template` with every `@NAME@` replaced, each once, so that values are never searched.
pub(super) fn fill(template: &str, values: &[(String, String)]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(start) = rest.find('@') {
        let (before, after) = rest.split_at(start);
        out.push_str(before);
        let found = after[1..].split_once('@').and_then(|(name, tail)| {
            values.iter().find(|(known, _)| known == name).map(|(_, value)| (value, tail))
        });
        match found {
            Some((value, tail)) => {
                out.push_str(value);
                rest = tail;
            }
            None => {
                out.push('@');
                rest = &after[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_runtime_file_is_exported() {
        for (folder, files) in [("c/runtime", RUNTIME), ("c/dsp", DSP), ("c/mve", MVE)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut found: Vec<String> = std::fs::read_dir(folder)
                .expect("the runtime is part of the crate")
                .map(|entry| entry.expect("readable").file_name().into_string().expect("ASCII"))
                .collect();
            found.sort();
            let listed: Vec<_> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(listed, found);
        }
    }

    #[test]
    fn placeholders_are_replaced_and_values_are_not_searched() {
        let values = [("A".to_owned(), "@B@".to_owned()), ("B".to_owned(), "b".to_owned())];
        assert_eq!(fill("@A@ $@ @B@@B@ a@c", &values), "@B@ $@ bb a@c");
    }
}
