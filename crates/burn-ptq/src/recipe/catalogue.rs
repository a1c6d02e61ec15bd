//! The choices of a recipe: the stages of the pipeline, their components and parameters.

use std::sync::LazyLock;

use serde::Serialize;

use crate::condition::ConditioningChoice;
use crate::correct::CorrectionChoice;
use crate::range::{JointRangeChoice, RangeChoice, WeightRangeChoice};
use crate::recipe::{
    ActivationRecipe, CalibrationRecipe, FitRecipe, Source, StreamRecipe, WeightRecipe,
};
use crate::reconstruct::{LossChoice, Reconstruction};
use crate::round::RoundingChoice;
use crate::round::layerwise::Layerwise;

/// A key of a recipe.
#[derive(Clone, Debug)]
pub struct Stage {
    /// The key.
    pub key: &'static str,
    /// What the stage does.
    pub summary: &'static str,
    /// The keys of a section with their defaults, as TOML; a choice has none.
    pub parameters: Vec<(String, String)>,
    /// What a choice can be, in the order of its list; a section has none.
    pub components: Vec<Component>,
}

impl Stage {
    /// Whether it is a table whose keys are set one by one, rather than a choice of one component.
    pub fn is_section(&self) -> bool {
        self.components.is_empty()
    }
}

/// A choice of a stage.
#[derive(Clone, Debug)]
pub struct Component {
    /// The name that recipes use.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Parameters with their defaults, as TOML.
    pub parameters: Vec<(String, String)>,
}

macro_rules! stage {
    ($key:literal, $summary:literal, $choice:ty) => {
        Stage {
            key: $key,
            summary: $summary,
            parameters: Vec::new(),
            components: <$choice>::all()
                .iter()
                .zip(<$choice>::SUMMARIES)
                .map(|(choice, summary)| Component {
                    name: choice.name(),
                    summary,
                    parameters: of_component(choice, choice.name()),
                })
                .collect(),
        }
    };
}

/// The stages in the order in which they run.
pub fn stages() -> Vec<Stage> {
    let section =
        |key, summary, parameters| Stage { key, summary, parameters, components: Vec::new() };
    vec![
        section(
            "calibration",
            "which samples are observed, and how",
            of(&CalibrationRecipe::default()),
        ),
        stage!("calibration.source", "where samples come from", Source),
        stage!("conditioning", "rewrites of the float network, as a list", ConditioningChoice),
        section("weights", "how weights are quantized", of(&WeightRecipe::default())),
        stage!("weights.range", "the ranges of weights", WeightRangeChoice),
        section("activations", "how activations are quantized", of(&ActivationRecipe::default())),
        stage!("activations.range", "the ranges of activations", RangeChoice),
        stage!(
            "joint_range",
            "a joint search over the ranges of all activations",
            JointRangeChoice
        ),
        stage!("rounding", "how weights become integers", RoundingChoice),
        section(
            "layerwise",
            "what roundings and ranges that use a layer's inputs are given",
            of(&Layerwise::default()),
        ),
        section(
            "reconstruction",
            "joint tuning of several layers; granularity is none, layer, block, block-pairs or network",
            of(&Reconstruction::default()),
        ),
        stage!("reconstruction.loss", "the loss that compares outputs", LossChoice),
        stage!("correction", "what is corrected after rounding", CorrectionChoice),
        section(
            "fit",
            "budgets of a microcontroller (target, flash, ram, instructions) by which bits are chosen",
            of(&FitRecipe::default()),
        ),
        section(
            "stream",
            "that exports take recordings frame by frame (chunk: frames a call; time_axis)",
            of(&StreamRecipe::default()),
        ),
    ]
}

/// Whether `key` of a recipe is a section; every other key is a choice or a plain value.
pub fn is_section(key: &str) -> bool {
    static SECTIONS: LazyLock<Vec<&str>> =
        LazyLock::new(|| stages().iter().filter(|s| s.is_section()).map(|s| s.key).collect());
    SECTIONS.contains(&key)
}

/// The keys of a section with their defaults; choices have a stage of their own.
fn of(section: &impl Serialize) -> Vec<(String, String)> {
    let Ok(toml::Value::Table(table)) = toml::Value::try_from(section) else { return Vec::new() };
    let plain = table.into_iter().filter(|(_, value)| !value.is_table());
    let text = |value: toml::Value| match value {
        // Numbers of 32 bits have no more digits than these.
        toml::Value::Float(x) if f64::from(x as f32) == x => (x as f32).to_string(),
        value => value.to_string(),
    };
    plain.map(|(name, value)| (name, text(value))).collect()
}

fn of_component(choice: &impl Serialize, name: &str) -> Vec<(String, String)> {
    match toml::Value::try_from(choice) {
        Ok(toml::Value::Table(mut table)) => table.remove(name).map_or(Vec::new(), |c| of(&c)),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;

    #[test]
    fn every_component_of_the_catalogue_is_a_recipe_by_its_name() {
        for Stage { key, components, .. } in stages() {
            for component in &components {
                let list = if key == "conditioning" { ["[", "]"] } else { ["", ""] };
                let value = format!("{}\"{}\"{}", list[0], component.name, list[1]);
                let text = match key.split_once('.') {
                    Some((section, key)) => format!("[{section}]\n{key} = {value}"),
                    None => format!("{key} = {value}"),
                };
                let parsed = Recipe::parse(&text, key);
                assert!(parsed.is_ok(), "{text}: {}", parsed.unwrap_err());
                assert!(!component.summary.is_empty(), "{key}, {}", component.name);
            }
        }
    }

    #[test]
    fn parameters_are_listed_with_their_defaults() {
        let all = stages();
        let rounding = all.iter().find(|stage| stage.key == "rounding").unwrap();
        let adaround = rounding.components.iter().find(|c| c.name == "adaround").unwrap();
        let found =
            adaround.parameters.iter().any(|(name, value)| name == "iterations" && value == "1500");
        assert!(found, "{:?}", adaround.parameters);
    }
}
