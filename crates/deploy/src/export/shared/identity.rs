//! What tells exported networks apart.

use sha2::{Digest, Sha256};

use super::names::comment;
use crate::export::ExportError;
use crate::file;
use crate::place::Placed;

/// The SHA-256 of the `.bptq` file that would hold the program as it is placed.
///
/// # Errors
/// If the program cannot be encoded.
pub(crate) fn hash(program: &Placed) -> Result<String, ExportError> {
    let bytes = file::to_bytes(program)?;
    Ok(Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A text fit for a literal.
pub(crate) fn text(text: &str) -> String {
    let plain = comment(text).replace(['"', '\\'], "?");
    let ascii = plain.replace(|c: char| !c.is_ascii(), "?");
    ascii.replace("??", "? ?").replace("??", "? ?")
}
