//! The self-test as a bare-metal program for a target: start-up code, linker script, Makefile.

use crate::board::Board;
use crate::export::shared::describe::layer_names;
use crate::export::shared::firmware;
use crate::export::shared::template::Values;
use crate::export::{ExportError, ExportFile};
use crate::program::Program;

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
pub(super) const README: &str = include_str!("../../../c/firmware/README.md");

/// What stands for the placeholders of the templates, beside the values of the export.
pub(super) fn values(board: &Board) -> Vec<(&'static str, String)> {
    let mut values = firmware::values(board).to_vec();
    values.push(("LIBRARY", board.library.to_owned()));
    values
}

/// The files of `firmware/`; `values` are those of the export and of [`values`](self::values).
pub(super) fn files(
    board: &Board,
    program: &Program,
    values: &Values,
) -> Result<Vec<ExportFile>, ExportError> {
    let start = if board.target == "rv32" { START_RISCV } else { START_ARM };
    let plain = PLAIN.iter().map(|(name, text)| (*name, (*text).to_owned()));
    let mut files: Vec<(&str, String)> =
        plain.chain([("start.c", start.to_owned()), ("layers.h", layers(program))]).collect();
    for (name, template) in TEMPLATES {
        files.push((name, values.fill(template)?));
    }
    let file = |(name, text)| ExportFile::text(format!("firmware/{name}"), text);
    Ok(files.into_iter().map(file).collect())
}

/// `layers.h`: what `make count` says of each node beside its instructions.
fn layers(program: &Program) -> String {
    let row = |(name, macs): (String, usize)| format!("    {{\"{name}\", {macs}u}},\n");
    let rows: String = layer_names(program).into_iter().map(row).collect();
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
        program.nodes.len()
    )
}
