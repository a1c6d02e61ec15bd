//! The self-test as a bare-metal program for a target: start-up code, linker script, cargo's
//! configuration.

use crate::board::{Board, Memory};
use crate::export::ExportFile;
use crate::export::c99::fill;
use crate::target::Target;

/// The files of `firmware/`; `values` are those of the export and of [`values`](self::values).
pub fn files(board: &Board, values: &[(String, String)]) -> Vec<ExportFile> {
    let _ = board;
    let _ = values;
    Vec::new()
}

/// The README's section on the firmware.
pub fn readme(values: &[(String, String)]) -> String {
    let _ = values;
    String::new()
}

/// What stands for the placeholders of the templates.
pub fn values(board: &Board, target: &Target) -> Vec<(String, String)> {
    let _ = (board, target, fill(";", &[]), Memory { origin: 0, length: 0 });
    Vec::new()
}
