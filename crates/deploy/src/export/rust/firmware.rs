//! The self-test as a bare-metal program for a target: start-up code, linker script, cargo's
//! configuration.

use crate::board::Board;
use crate::export::shared::firmware;
use crate::export::shared::template::Values;
use crate::export::{ExportError, ExportFile};
use crate::target::Target;

const LINKER_SCRIPT: &str = include_str!("../../../c/firmware/link.ld");
const START_ARM: &str = include_str!("../../../rust/firmware/start_arm.rs.in");
const START_RISCV: &str = include_str!("../../../rust/firmware/start_riscv.rs.in");
const TEMPLATES: &[(&str, &str)] = &[
    (".cargo/config.toml", include_str!("../../../rust/firmware/config.toml.in")),
    ("Cargo.toml", include_str!("../../../rust/firmware/Cargo.toml.in")),
    ("src/counter.rs", include_str!("../../../rust/firmware/counter.rs.in")),
    ("src/main.rs", include_str!("../../../rust/firmware/main.rs.in")),
    ("src/semihosting.rs", include_str!("../../../rust/firmware/semihosting.rs.in")),
];
/// The README's section on the firmware, with placeholders.
pub(super) const README: &str = include_str!("../../../rust/firmware/README.md");

/// A Cortex-M0 traps unaligned accesses; an emulator that lends it a larger core does now.
const TRAP_UNALIGNED: &str = "
    \"ldr r0, =0xE000ED14\",
    \"ldr r1, [r0]\",
    \"movs r2, #8\",
    \"orrs r1, r2\",
    \"str r1, [r0]\",";

/// Before anything else: floating-point and vector instructions trap until this is done, and the
/// compiler may use them for loops over memory.
const ENABLE_COPROCESSORS: &str = "
    // Floating-point and vector instructions trap until this is done.
    \"ldr r0, =0xE000ED88\",
    \"ldr r1, [r0]\",
    \"movs r2, #15\",
    \"lsls r2, r2, #20\",
    \"orrs r1, r2\",
    \"str r1, [r0]\",
    \"dsb\",
    \"isb\",";

/// The files of `firmware/`; `values` are those of the export and of [`values`](self::values).
pub(super) fn files(board: &Board, values: &Values) -> Result<Vec<ExportFile>, ExportError> {
    let start = if board.target == "rv32" { START_RISCV } else { START_ARM };
    let own = [("link.ld", LINKER_SCRIPT), ("src/start.rs", start)];
    let file = |(name, template): (&str, &str)| {
        Ok(ExportFile::text(format!("firmware/{name}"), values.fill(template)?))
    };
    TEMPLATES.iter().copied().chain(own).map(file).collect()
}

/// What stands for the placeholders of the templates, beside the values of the export.
pub(super) fn values(board: &Board, target: &Target) -> Vec<(&'static str, String)> {
    let mut values = firmware::values(board).to_vec();
    let processor = match target.name {
        "cortex-m33" | "cortex-m55" => format!(", \"-C\", \"target-cpu={}\"", target.name),
        _ => String::new(),
    };
    let prepare = match target.name {
        "cortex-m0" => TRAP_UNALIGNED,
        "cortex-m55" => ENABLE_COPROCESSORS,
        _ => "",
    };
    values.extend([
        ("TARGET", target.name.to_owned()),
        ("RUST_TARGET", target.rust.to_owned()),
        ("RUST_CPU", processor),
    ]);
    // The start-up code of RISC-V has nothing to prepare.
    if board.target != "rv32" {
        values.push(("PREPARE", prepare.to_owned()));
    }
    values
}
