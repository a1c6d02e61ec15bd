//! Recipes: which component each stage of the pipeline uses, and with which parameters.

pub mod catalogue;
pub mod choice;
mod error;
mod extends;
mod fit;
mod limits;
mod plan;
#[cfg(feature = "schema")]
pub mod schema;
mod stream;
mod widths;

use serde::{Deserialize, Serialize};

use choice::{choices, nearest};
pub use error::RecipeError;
pub use extends::overlay;
pub use fit::FitRecipe;
pub(crate) use plan::MadeBy;
pub use stream::StreamRecipe;

pub use crate::calibrate::synthesize::Synthesis;
use crate::condition::ConditioningChoice;
use crate::correct::CorrectionChoice;
use crate::quant::{Granularity, Scheme, SchemeError};
use crate::range::{JointRangeChoice, RangeChoice, WeightRangeChoice};
use crate::reconstruct::{Reconstruction, ReconstructionGranularity};
use crate::round::RoundingChoice;
use crate::round::layerwise::Layerwise;

/// The largest recipe file that is read: 1 MiB.
pub const MAX_RECIPE_BYTES: u64 = 1 << 20;

/// Everything that a quantization depends on besides the model and the calibration data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// A name for reports.
    pub name: String,
    /// The seed of every random choice.
    pub seed: u64,
    /// Bits of the first and last layers: of their weights, of the first layer's output and of the
    /// last layer's input; by default those of all other layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_last_bits: Option<u8>,
    /// Which samples are observed, and how.
    pub calibration: CalibrationRecipe,
    /// How the float network is rewritten before it is calibrated, in this order.
    pub conditioning: Vec<ConditioningChoice>,
    /// How weights are quantized.
    pub weights: WeightRecipe,
    /// How activations are quantized.
    pub activations: ActivationRecipe,
    /// How the ranges of all activations are searched together.
    pub joint_range: JointRangeChoice,
    /// How weights become integers.
    pub rounding: RoundingChoice,
    /// What roundings that use a layer's inputs are given.
    pub layerwise: Layerwise,
    /// How parts of the network are tuned after rounding.
    pub reconstruction: Reconstruction,
    /// What is corrected after rounding.
    pub correction: CorrectionChoice,
    /// Bits of individual layers; the last match wins.
    #[serde(rename = "layer")]
    pub layers: Vec<LayerOverride>,
    /// What a microcontroller has room and time for, if bits of layers are chosen by that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fit: Option<FitRecipe>,
    /// How exports take a recording frame by frame, if they do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<StreamRecipe>,
}

/// Which samples are observed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct CalibrationRecipe {
    /// How many samples to use, from the first; all by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// The number of samples in a batch.
    pub batch: usize,
    /// Where samples come from.
    pub source: Source,
}

/// Where calibration samples come from.
pub trait SampleSource {
    /// How they are made, if they are not recorded.
    fn synthesis(&self) -> Option<&Synthesis>;

    /// Whether another seed gives other samples.
    fn is_random(&self) -> bool;
}

/// Recorded samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Data {}

impl SampleSource for Data {
    fn synthesis(&self) -> Option<&Synthesis> {
        None
    }

    fn is_random(&self) -> bool {
        false
    }
}

impl SampleSource for Synthesis {
    fn synthesis(&self) -> Option<&Synthesis> {
        Some(self)
    }

    fn is_random(&self) -> bool {
        true
    }
}

choices! {
    /// The sources of calibration samples that a recipe can name.
    Source of SampleSource, a "source of samples" {
        "data" => Data: "recorded samples",
        "data-free" => Synthesis: "inputs made from the model's batch normalization (ZeroQ)",
    }
}

/// How weights are quantized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct WeightRecipe {
    /// Bits: 2 to 8.
    pub bits: u8,
    /// Whether every output channel has a scale, or all share one.
    pub granularity: Granularity,
    /// Whether scales are powers of two.
    pub power_of_two: bool,
    /// How ranges are found.
    pub range: WeightRangeChoice,
}

/// The usual bits inside of recurrent layers.
const GATE_BITS: u8 = 16;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it")]
fn is_usual_for_gates(bits: &u8) -> bool {
    *bits == GATE_BITS
}

/// How activations are quantized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ActivationRecipe {
    /// Bits: 2 to 8, or 16.
    pub bits: u8,
    /// Bits of the model's own input and output, and of the logits before a final softmax.
    pub border_bits: u8,
    /// Bits of sums, gates and cells inside of recurrent layers, whose errors add up from step to step.
    #[serde(skip_serializing_if = "is_usual_for_gates")]
    pub gate_bits: u8,
    /// Whether scales are powers of two.
    pub power_of_two: bool,
    /// How ranges are found.
    pub range: RangeChoice,
}

/// Bits of individual layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LayerOverride {
    /// The name of the layer, or a glob such as `conv2d_*`.
    pub name: String,
    /// Bits of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<u8>,
    /// Bits of the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activations: Option<u8>,
}

/// The presets: name and text.
pub const PRESETS: &[(&str, &str)] = &[
    ("nearest", include_str!("../../recipes/nearest.toml")),
    ("w8a8", include_str!("../../recipes/w8a8.toml")),
    ("w4a8-fast", include_str!("../../recipes/w4a8-fast.toml")),
    ("w4a8", include_str!("../../recipes/w4a8.toml")),
    ("w4a8-best", include_str!("../../recipes/w4a8-best.toml")),
    ("w4a4", include_str!("../../recipes/w4a4.toml")),
    ("w4a4-best", include_str!("../../recipes/w4a4-best.toml")),
    ("w3a8", include_str!("../../recipes/w3a8.toml")),
    ("w3a8-best", include_str!("../../recipes/w3a8-best.toml")),
    ("w2a8", include_str!("../../recipes/w2a8.toml")),
    ("w2a8-best", include_str!("../../recipes/w2a8-best.toml")),
];

fn preset_names() -> Vec<&'static str> {
    PRESETS.iter().map(|p| p.0).collect()
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            name: "custom".into(),
            seed: 0,
            calibration: CalibrationRecipe::default(),
            conditioning: Vec::new(),
            weights: WeightRecipe::default(),
            activations: ActivationRecipe::default(),
            joint_range: JointRangeChoice::NoJointSearch(Default::default()),
            first_last_bits: None,
            rounding: RoundingChoice::Nearest(Default::default()),
            layerwise: Layerwise::default(),
            reconstruction: Reconstruction::default(),
            correction: CorrectionChoice::Bias(Default::default()),
            layers: Vec::new(),
            fit: None,
            stream: None,
        }
    }
}

impl Default for CalibrationRecipe {
    fn default() -> Self {
        Self { samples: None, batch: 32, source: Source::Data(Data {}) }
    }
}

impl Default for WeightRecipe {
    fn default() -> Self {
        Self {
            bits: 8,
            granularity: Granularity::PerChannel,
            power_of_two: false,
            range: WeightRangeChoice::OutputMse(Default::default()),
        }
    }
}

impl Default for ActivationRecipe {
    fn default() -> Self {
        Self {
            bits: 8,
            border_bits: 8,
            gate_bits: GATE_BITS,
            power_of_two: false,
            range: RangeChoice::Mse(Default::default()),
        }
    }
}

impl Recipe {
    /// Parses a recipe from TOML; `origin` names it in errors.
    ///
    /// With `extends = "w4a8"` it is the preset with the keys that the text sets: keys of sections, such
    /// as `weights.bits`, are replaced one by one, choices and lists as a whole.
    ///
    /// ```
    /// use burn_ptq::recipe::Recipe;
    ///
    /// let recipe = Recipe::parse("rounding = 'gptq'\nweights.bits = 3", "mine")?;
    /// assert_eq!(recipe.label(), "W3A8");
    /// let error = Recipe::parse("rounding = 'gpqt'", "mine").unwrap_err();
    /// assert!(error.to_string().contains("did you mean 'gptq'?"));
    /// # Ok::<(), burn_ptq::recipe::RecipeError>(())
    /// ```
    ///
    /// # Errors
    /// For unknown keys and components, with line, column and the alternatives, and for bits and
    /// numbers out of range.
    pub fn parse(text: &str, origin: &str) -> Result<Self, RecipeError> {
        let recipe = Self::read(text, origin)?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// A preset by name.
    ///
    /// # Errors
    /// If there is no such preset.
    pub fn preset(name: &str) -> Result<Self, RecipeError> {
        let Some((_, text)) = PRESETS.iter().find(|p| p.0 == name) else {
            let hint = nearest(name, &preset_names());
            let hint = hint.map_or(String::new(), |n| format!("; did you mean '{n}'?"));
            return Err(RecipeError::Preset { name: name.into(), hint });
        };
        Self::parse(text, name)
    }

    /// The recipe as TOML.
    pub fn to_toml(&self) -> String {
        // TOML has no integers of 64 bits without sign; `validate` refuses what it cannot hold.
        toml::to_string(self).unwrap_or_else(|error| format!("# no valid recipe: {error}\n"))
    }

    /// Whether another seed gives another program.
    pub fn is_random(&self) -> bool {
        self.rounding.component().is_random()
            || self.reconstruction.is_random()
            || self.calibration.source.component().is_random()
    }

    /// Whether the weights of layers are quantized with a look at the layers' inputs.
    pub fn looks_at_inputs(&self) -> bool {
        self.weights.range.component().needs_inputs() || self.rounding.component().needs_inputs()
    }

    /// `W4A8` and the like, for tables.
    pub fn label(&self) -> String {
        if self.fit.is_some() {
            return format!("fitted W, A{}", self.activation_bits());
        }
        let mixed = if self.layers.is_empty() { "" } else { "*" };
        let border = self.first_last_bits.map_or(String::new(), |bits| format!(" {bits}-bit ends"));
        format!("W{}A{}{mixed}{border}", self.weights.bits, self.activations.bits)
    }

    /// Checks bits and numbers.
    ///
    /// # Errors
    /// The first that is out of range.
    pub fn validate(&self) -> Result<(), RecipeError> {
        self.weight_scheme(self.weights.bits)?;
        self.activation_scheme(self.activations.bits)?;
        self.activation_scheme(self.activations.border_bits)?;
        self.activation_scheme(self.activations.gate_bits)?;
        if let Some(bits) = self.first_last_bits {
            self.weight_scheme(bits)?;
            self.activation_scheme(bits)?;
        }
        for layer in &self.layers {
            let named = |mut e: SchemeError| {
                e.what = format!("{} of layer '{}'", e.what, layer.name);
                e
            };
            if let Some(bits) = layer.weights {
                self.weight_scheme(bits).map_err(named)?;
            }
            if let Some(bits) = layer.activations {
                self.activation_scheme(bits).map_err(named)?;
            }
            glob::Pattern::new(&layer.name).map_err(|e| RecipeError::Layer {
                glob: layer.name.clone(),
                problem: format!("is not a valid glob pattern: {e}"),
            })?;
        }
        if let Some(fit) = &self.fit {
            fit.check(self)?;
        }
        limits::check(self)?;
        let tuning = &self.reconstruction;
        let conflict = |key: &str, expected: &str| {
            Err(RecipeError::Value {
                key: key.into(),
                found: "set".into(),
                expected: expected.into(),
            })
        };
        if tuning.mixup > 0.0 && tuning.granularity != ReconstructionGranularity::Network {
            return conflict(
                "reconstruction.mixup",
                "granularity = \"network\": inputs of later parts are not inputs of the model, of \
                 which sums could be made",
            );
        }
        if matches!(self.correction, CorrectionChoice::Affine(_)) && self.weights.power_of_two {
            return conflict(
                "weights.power_of_two",
                "another correction than \"affine\", which stretches scales to any number",
            );
        }
        Ok(())
    }

    /// The scheme of weights of `bits` bits.
    fn weight_scheme(&self, bits: u8) -> Result<Scheme, SchemeError> {
        let scheme = Scheme::weights(bits, self.weights.granularity)?;
        Ok(Scheme { power_of_two: self.weights.power_of_two, ..scheme })
    }

    /// The scheme of activations of `bits` bits.
    fn activation_scheme(&self, bits: u8) -> Result<Scheme, SchemeError> {
        let scheme = Scheme::activations(bits)?;
        Ok(Scheme { power_of_two: self.activations.power_of_two, ..scheme })
    }

    /// Checks that every layer override matches one of the layers `names`.
    ///
    /// # Errors
    /// The first that does not, with the nearest name.
    pub fn check_layers(&self, names: &[&str]) -> Result<(), RecipeError> {
        for layer in &self.layers {
            if !names.iter().any(|n| layer.matches(n)) {
                let hint = nearest(&layer.name, names);
                let hint = hint.map_or(String::new(), |n| format!("; did you mean '{n}'?"));
                return Err(RecipeError::Layer {
                    glob: layer.name.clone(),
                    problem: format!("matches no layer of the model: {}{hint}", names.join(", ")),
                });
            }
        }
        Ok(())
    }
}

impl LayerOverride {
    /// Whether the override holds for layer `name`.
    pub fn matches(&self, name: &str) -> bool {
        glob::Pattern::new(&self.name).is_ok_and(|glob| glob.matches(name))
    }
}

/// Adds the nearest right key to the parser's message about an unknown field.
pub fn suggest(message: &str) -> String {
    let message = &in_words_of_toml(message.trim_end());
    let Some(rest) = message.split("unknown field `").nth(1) else { return message.into() };
    let mut quoted = rest.split('`');
    let wrong = quoted.next().unwrap_or_default();
    let names: Vec<&str> = quoted.skip(1).step_by(2).collect();
    match nearest(wrong, &names) {
        Some(name) => format!("{message}; did you mean `{name}`?"),
        None => message.into(),
    }
}

/// The message with tables called what files call them, and not by the names of types.
fn in_words_of_toml(message: &str) -> String {
    let (kind, table) = ("expected struct ", "expected a table");
    let Some((before, after)) = message.split_once(kind) else { return message.into() };
    let end = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
    format!("{before}{table}{}", &after[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_in_place_of_a_table_is_told_in_words_of_the_file() {
        let error = Recipe::parse("weights = 4", "mine.toml").unwrap_err().to_string();
        assert!(error.contains("expected a table") && !error.contains("struct"), "{error}");
    }

    #[test]
    fn every_preset_parses_and_is_named_after_its_bits() {
        for (name, _) in PRESETS {
            let recipe = Recipe::preset(name).unwrap();
            assert_eq!(recipe.name, *name);
            if *name == "nearest" {
                continue;
            }
            let widths = name.split('-').next().unwrap();
            assert!(recipe.label().eq_ignore_ascii_case(widths), "{}", recipe.label());
        }
    }

    #[test]
    fn recipes_survive_a_round_trip_through_toml() {
        let text = "seed = 7\n[weights]\nbits = 4\nrange = 'min-max'\n[[layer]]\nname = 'conv*'\nweights = 8";
        let recipe = Recipe::parse(text, "test").unwrap();
        assert_eq!(Recipe::parse(&recipe.to_toml(), "again").unwrap(), recipe);
        assert!(recipe.layers[0].matches("conv_1") && !recipe.layers[0].matches("dense"));
    }

    #[test]
    fn wrong_recipes_say_what_is_wrong() {
        for (text, message) in [
            ("[weights]\nbitz = 4", "did you mean `bits`?"),
            ("[wieghts]\nbits = 4", "did you mean `weights`?"),
            ("rounding = 'adaruond'", "unknown rounding 'adaruond'"),
            ("[weights]\nbits = 9", "weights cannot have 9 bits: expected 2 to 8"),
            ("[activations]\nbits = 1", "activations cannot have 1 bit: expected 2 to 8, or 16"),
            ("[[layer]]\nname = 'a'\nweights = 1", "weights of layer 'a' cannot have 1 bit"),
            ("[calibration]\nbatch = 0", "calibration.batch is 0: expected at least 1"),
            ("seed = 'x'", "line 1, column 8"),
        ] {
            let error = Recipe::parse(text, "r.toml").unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
        let error = Recipe::preset("w4a9").unwrap_err().to_string();
        assert!(error.contains("did you mean 'w4a"), "{error}");
    }

    #[test]
    fn an_override_that_matches_nothing_is_an_error() {
        let recipe = Recipe::parse("[[layer]]\nname = 'dens'\nweights = 8", "r").unwrap();
        let error = recipe.check_layers(&["conv", "dense"]).unwrap_err().to_string();
        assert!(error.contains("did you mean 'dense'?"), "{error}");
    }
}
