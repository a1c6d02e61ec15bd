//! Where a file came from: what an export of burn-ptq says, or else the file itself.

use sha2::{Digest, Sha256};

use crate::program::Provenance;
use crate::tflite::METADATA;
use crate::tflite::bytes::Damage;
use crate::tflite::file::TfliteFile;

/// What hashes are called that were not recorded.
const NOT_RECORDED: &str = "(not recorded)";

pub(super) fn of(file: &TfliteFile, bytes: &[u8]) -> Result<Provenance, Damage> {
    let own = file.metadata(METADATA)?.and_then(exported);
    Ok(own.unwrap_or_else(|| Provenance {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        recipe: String::new(),
        seed: 0,
        model_hash: Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        calibration_hash: String::new(),
    }))
}

/// The provenance in the text that an export has, as `shared/describe.rs` writes it.
fn exported(text: &str) -> Option<Provenance> {
    let (head, recipe) = text.split_once("\n\n").unwrap_or((text, ""));
    let rest = head.strip_prefix("burn-ptq ")?;
    let (version, rest) = rest.split_once(", seed ")?;
    let (seed, rest) = rest.split_once(", model ")?;
    let (model, rest) = rest.split_once(", calibration data ")?;
    let hash = |text: &str| if text == NOT_RECORDED { String::new() } else { text.to_owned() };
    let lines = recipe.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
    Some(Provenance {
        version: version.to_owned(),
        recipe: lines.map(|line| format!("{line}\n")).collect(),
        seed: seed.parse().ok()?,
        model_hash: hash(model),
        calibration_hash: hash(rest.strip_suffix('.')?),
    })
}
