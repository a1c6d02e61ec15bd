//! Why an operation has no counterpart that gives the same bytes.

/// Why a file cannot have an operation, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    reason: &'static str,
    remedy: &'static str,
}

/// Multipliers that do not follow from the scales in a file.
pub(crate) const NOT_DERIVED: Refusal =
    Refusal::new("its multipliers are not those that the interpreters derive from scales");

const OTHER: &str = "export with --to c or --to rust, which have every operation";

impl Refusal {
    /// A refusal after which only another exporter helps.
    pub(crate) const fn new(reason: &'static str) -> Self {
        Self { reason, remedy: OTHER }
    }

    /// The refusal of outputs that round as no interpreter does.
    pub(crate) const fn few_bits() -> Self {
        Self {
            reason: "its output has fewer than 8 bits, which burn-ptq rounds once and the interpreters \
                     round twice",
            remedy: "quantize it with --layer 'NAME:activations=8', or export with --to c or --to rust",
        }
    }

    /// The refusal of 16-bit activations where 8 bits would do.
    pub(crate) const fn wide(reason: &'static str) -> Self {
        Self {
            reason,
            remedy: "quantize it with --layer 'NAME:activations=8', or export with --to c or --to rust",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}
