//! What a quantizer may represent.

/// The kind of grid that a value is quantized to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Bits of an integer: 2..=8; for activations 16 too.
    pub bits: u8,
    /// Whether the zero point is 0 and the grid as wide on both sides.
    pub symmetric: bool,
    /// What shares a scale.
    pub granularity: Granularity,
    /// Whether scales are rounded to powers of two.
    pub power_of_two: bool,
}

/// What shares a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Granularity {
    /// One scale for all elements.
    PerTensor,
    /// One scale for each output channel.
    PerChannel,
}

/// A bit width that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} cannot have {found} bit{}: expected {expected}", if *found == 1 { "" } else { "s" })]
pub struct SchemeError {
    /// `weights` or `activations`, and of which layer.
    pub what: String,
    /// The bits that were asked for.
    pub found: u8,
    /// The bits that can be had.
    pub expected: &'static str,
}

impl Scheme {
    /// Symmetric weights of `bits` bits.
    ///
    /// # Errors
    /// If `bits` is not in 2..=8.
    pub fn weights(bits: u8, granularity: Granularity) -> Result<Self, SchemeError> {
        if !(2..=8).contains(&bits) {
            return Err(SchemeError { what: "weights".into(), found: bits, expected: "2 to 8" });
        }
        Ok(Self { bits, symmetric: true, granularity, power_of_two: false })
    }

    /// Activations of `bits` bits, one grid a value: affine up to 8 bits, symmetric at 16.
    ///
    /// # Errors
    /// If `bits` is not in 2..=8 and not 16.
    pub fn activations(bits: u8) -> Result<Self, SchemeError> {
        if !matches!(bits, 2..=8 | 16) {
            return Err(SchemeError {
                what: "activations".into(),
                found: bits,
                expected: "2 to 8, or 16",
            });
        }
        Ok(Self {
            bits,
            symmetric: bits == 16,
            granularity: Granularity::PerTensor,
            power_of_two: false,
        })
    }
}
