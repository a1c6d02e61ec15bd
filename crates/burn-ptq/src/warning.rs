//! Warnings: reasons to doubt a result, with the likely cause and what to try.

use serde::Serialize;

/// Something about a finished run to read before trusting its results.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Warning {
    /// Which check found it: a stable name in kebab-case, such as `metric-near-chance`.
    pub kind: &'static str,
    /// What was found, with the names and numbers that show it.
    pub message: String,
    /// What to try next.
    pub hint: String,
}

impl Warning {
    /// A warning of this kind.
    pub fn new(kind: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: hint.into() }
    }
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}
