//! What can go wrong.

use std::path::PathBuf;

use burn_ptq_deploy::export::ExportError;

/// Why programs did not run on a microcontroller.
#[derive(Debug, thiserror::Error)]
pub enum McuError {
    /// The target is the machine that compiles.
    #[error("no board is known for the target {target}; choose a microcontroller")]
    NoBoard {
        /// The target's name.
        target: &'static str,
    },
    /// A program of the toolchain is missing.
    #[error("cannot start {program}: {source}")]
    Start {
        /// The compiler or the emulator.
        program: String,
        /// The reason.
        source: std::io::Error,
    },
    /// The compiler or the emulator failed.
    #[error("{program} failed with {status}:\n{output}")]
    Failed {
        /// The compiler or the emulator.
        program: String,
        /// How it ended.
        status: String,
        /// What it wrote.
        output: String,
    },
    /// The emulator ran for too long.
    #[error("{program} did not end within {seconds} s")]
    TooLong {
        /// The emulator.
        program: String,
        /// The limit.
        seconds: u64,
    },
    /// A device did not answer as the protocol says.
    #[error("{program} does not answer {command:?} as it should: {problem}")]
    Device {
        /// The emulator, or the harness.
        program: String,
        /// The command.
        command: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The inputs are not whole samples, or not those of as many programs.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// What was counted.
        what: &'static str,
        /// The count that fits.
        expected: usize,
        /// The count found.
        found: usize,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// A program cannot be exported.
    #[error(transparent)]
    Export(#[from] ExportError),
}

/// For `map_err` on file operations.
pub(crate) fn failed(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> McuError {
    let path = path.to_owned();
    move |source| McuError::Io { action, path, source }
}
