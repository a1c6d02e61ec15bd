//! All output of the command.
//!
//! - Names in models, data and result files may contain anything: control characters are printed as
//!   escapes.
//! - When the reader closes standard output, as `head -1` does, nothing more is printed. The command
//!   completes its work, and its exit code is as if it had printed everything.
//! - Any other failure of standard output, such as a full disk, is an error.
//! - Failures of standard error are ignored: there is nowhere to report them, and the work continues.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use burn_ptq_deploy::printable::{is_active, lines};
use serde::Serialize;

/// Prints to standard output, as `println!` does; fails where that panics.
macro_rules! outln {
    ($($argument:tt)*) => { $crate::output::print(format_args!("{}\n", format_args!($($argument)*))) };
}

/// Prints a line to standard error.
macro_rules! errln {
    ($($argument:tt)*) => { $crate::output::note(format_args!($($argument)*)) };
}

pub(crate) use {errln, outln};

/// Whether the reader has closed standard output.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Prints a text to standard output.
///
/// # Errors
/// If it cannot be written, unless the reader is gone.
pub(crate) fn print(text: impl Display) -> anyhow::Result<()> {
    write(lines(&text.to_string()).as_bytes())
}

/// Prints a value as JSON.
///
/// # Errors
/// As [`print`].
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = String::new();
    for c in serde_json::to_string_pretty(value)?.chars() {
        // Within strings, where alone they can be: all of them have four digits.
        match is_active(c) && c != '\n' {
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
    }
    text.push('\n');
    write(text.as_bytes())
}

/// Prints a line to standard error.
pub(crate) fn note(text: impl Display) {
    let line = format!("{}\n", lines(&text.to_string()));
    let _ = io::stderr().write_all(line.as_bytes());
}

fn write(bytes: &[u8]) -> anyhow::Result<()> {
    if CLOSED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {
            CLOSED.store(true, Ordering::Relaxed);
            Ok(())
        }
        written => written.context("cannot write to standard output"),
    }
}
