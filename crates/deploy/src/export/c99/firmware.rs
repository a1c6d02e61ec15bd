//! The self-test as a bare-metal program for a target: start-up code, linker script, Makefile.

use super::fill;
use crate::board::{Board, Memory};
use crate::export::{ExportFile, comment};
use crate::model::IntModel;

/// Files that are the same for every program and every target of one kind.
const PLAIN: &[(&str, &str)] = &[
    ("counter.c", include_str!("../../../c/firmware/counter.c")),
    ("counter.h", include_str!("../../../c/firmware/counter.h")),
    ("semihosting.c", include_str!("../../../c/firmware/semihosting.c")),
    ("semihosting.h", include_str!("../../../c/firmware/semihosting.h")),
];

const START_ARM: &str = include_str!("../../../c/firmware/start_arm.c");
const START_RISCV: &str = include_str!("../../../c/firmware/start_riscv.c");
const TEMPLATES: &[(&str, &str)] = &[
    ("Makefile", include_str!("../../../c/firmware/Makefile")),
    ("link.ld", include_str!("../../../c/firmware/link.ld")),
    ("main.c", include_str!("../../../c/firmware/main.c")),
];
/// The README's section on the firmware, with placeholders.
pub const README: &str = include_str!("../../../c/firmware/README.md");

/// The files of `firmware/`; `values` are those of the export and of [`values`](self::values).
pub fn files(board: &Board, model: &IntModel, values: &[(String, String)]) -> Vec<ExportFile> {
    let start = if board.target == "rv32" { START_RISCV } else { START_ARM };
    let plain = PLAIN.iter().map(|(name, text)| (*name, (*text).to_owned()));
    let filled = TEMPLATES.iter().map(|(name, template)| (*name, fill(template, values)));
    plain
        .chain([("start.c", start.to_owned())])
        .chain(filled)
        .chain([("layers.h", layers(model))])
        .map(|(name, text)| ExportFile::text(format!("firmware/{name}"), text))
        .collect()
}

/// `layers.h`: what `make count` says of each node beside its instructions.
fn layers(model: &IntModel) -> String {
    let row = |(name, macs): (String, usize)| format!("    {{\"{name}\", {macs}u}},\n");
    let rows: String = layer_names(model).into_iter().map(row).collect();
    format!(
        "/* The operations of the network, in the order of execution. */
#ifndef LAYERS_H
#define LAYERS_H

#include <stdint.h>

#define LAYERS {}

#ifdef BPTQ_COUNT
static const struct {{
    const char *name;
    uint32_t macs;
}} layers[LAYERS] = {{
{rows}}};
#endif

#endif /* LAYERS_H */
",
        model.nodes.len()
    )
}

/// The name and operation of each node, fit for a literal, and its multiply-accumulates.
pub(in crate::export) fn layer_names(model: &IntModel) -> Vec<(String, usize)> {
    let name = |name: &str| comment(name).replace(['\\', '"'], "?");
    let ascii = |text: String| text.replace(|c: char| !c.is_ascii(), "?").replace("??", "? ?");
    let nodes = model.nodes.iter();
    nodes
        .map(|node| {
            let text = format!("{} ({})", name(&node.name), node.op.name());
            (ascii(ascii(text)), node.op.macs())
        })
        .collect()
}

/// What stands for the placeholders of the templates.
pub fn values(board: &Board, model: &IntModel) -> Vec<(String, String)> {
    let [factor, divisor] = board.tick;
    let origin = |memory: Memory| format!("0x{:08x}", memory.origin);
    let length = |memory: Memory| format!("{}K", memory.length >> 10);
    [
        ("NODES", model.nodes.len().to_string()),
        ("MACHINE", board.machine.to_owned()),
        ("FLASH_ORIGIN", origin(board.flash)),
        ("FLASH_LENGTH", length(board.flash)),
        ("RAM_ORIGIN", origin(board.ram)),
        ("RAM_LENGTH", length(board.ram)),
        ("TICK_FACTOR", factor.to_string()),
        ("TICK_DIVISOR", divisor.to_string()),
        ("LIBRARY", board.library.to_owned()),
        ("QEMU", board.emulator.to_owned()),
        ("QEMU_FLAGS", board.qemu_arguments().join(" ")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
