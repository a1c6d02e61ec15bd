//! What callers choose about a file.

/// How a program is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TfLiteOptions {
    /// A byte for each weight, also for those of at most four bits: some tools take no others.
    pub whole_bytes: bool,
    /// To take for granted that no divisor is 0, for which the interpreters do not say what the quotient
    /// is.
    pub divisors_are_not_zero: bool,
}
