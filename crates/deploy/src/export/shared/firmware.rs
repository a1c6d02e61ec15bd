//! What bare-metal programs must know of their board.

use crate::board::{Board, Memory};

/// What stands for the placeholders that firmware templates of all languages share.
pub(crate) fn values(board: &Board) -> [(&'static str, String); 9] {
    let [factor, divisor] = board.tick;
    let origin = |memory: Memory| format!("0x{:08x}", memory.origin);
    let length = |memory: Memory| format!("{}K", memory.length >> 10);
    [
        ("MACHINE", board.machine.to_owned()),
        ("FLASH_ORIGIN", origin(board.flash)),
        ("FLASH_LENGTH", length(board.flash)),
        ("RAM_ORIGIN", origin(board.ram)),
        ("RAM_LENGTH", length(board.ram)),
        ("TICK_FACTOR", factor.to_string()),
        ("TICK_DIVISOR", divisor.to_string()),
        ("QEMU", board.emulator.to_owned()),
        ("QEMU_FLAGS", board.qemu_arguments().join(" ")),
    ]
}
