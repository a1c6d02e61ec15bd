//! What models were made of, and how.

use std::collections::{BTreeMap, BTreeSet};

use burn_ptq::Warning;
use serde::Serialize;

use super::subject::{Network, Subject};

/// A setting in which models differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// `model_sha256`, `calibration_sha256`, `version`, `seed`, a key of the recipe such as
    /// `recipe.weights.bits`, or of reports `task`, `calibration` and `calibration_samples`.
    pub name: String,
    /// What it is for each model; `None` where that is not known, or not set.
    pub values: Vec<Option<String>>,
}

/// The settings in which models differ.
pub(super) fn differing(subjects: &[Subject]) -> Vec<Setting> {
    let all: Vec<BTreeMap<String, String>> = subjects.iter().map(Subject::settings).collect();
    let names: BTreeSet<&String> = all.iter().flat_map(BTreeMap::keys).collect();
    let setting = |name: &String| {
        // Only reports state these; a float network has no recipe.
        let stated = |subject: &Subject| match name.as_str() {
            "task" | "calibration" | "calibration_samples" => subject.report.is_some(),
            _ => !matches!(subject.network, Some(Network::Float { .. })),
        };
        let values: Vec<Option<String>> = all.iter().map(|own| own.get(name).cloned()).collect();
        let known = subjects.iter().zip(&values);
        let known = known.filter(|(subject, value)| value.is_some() || stated(subject));
        let several = known.map(|(_, value)| value).collect::<BTreeSet<_>>().len() > 1;
        several.then(|| Setting { name: name.clone(), values })
    };
    names.into_iter().filter_map(setting).collect()
}

/// Warnings of models that hardly bear comparison.
pub(super) fn warnings(subjects: &[Subject], settings: &[Setting]) -> Vec<Warning> {
    let mut warnings: Vec<Warning> =
        subjects.iter().flat_map(|subject| subject.warnings.iter().cloned()).collect();
    for (name, kind, made_of, hint) in [
        (
            "model_sha256",
            "different-models",
            "float models",
            "quantize the same model to compare only how it was quantized",
        ),
        (
            "calibration_sha256",
            "different-calibration-data",
            "calibration data",
            "calibrate with the same data to compare only how the model was quantized",
        ),
    ] {
        let Some(setting) = settings.iter().find(|setting| setting.name == name) else { continue };
        let pairs = subjects.iter().zip(&setting.values);
        let mut known = pairs.filter_map(|(subject, hash)| Some((&subject.letter, hash.as_ref()?)));
        let Some((first, hash)) = known.next() else { continue };
        if let Some((other, other_hash)) = known.find(|(_, other)| *other != hash) {
            let (hash, other_hash) = (short(hash), short(other_hash));
            let message = format!(
                "{first} and {other} were made of different {made_of} (SHA-256 {hash} and {other_hash})"
            );
            warnings.push(Warning::new(kind, message, hint));
        }
    }
    warnings
}

/// The first digits of a hash.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}
