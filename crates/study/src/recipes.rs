//! The recipes of a study: a base, what holds in an experiment, and the values of its axes.

use burn_ptq::recipe::{Recipe, overlay, suggest};
use serde::Deserialize;
use toml::{Table, Value};

use super::file::{Axis, Experiment, Study};
use super::fragment::pieces;

impl Study {
    /// The recipe at these levels of an experiment's axes.
    ///
    /// # Errors
    /// If it cannot be; the message names the values, or the section that is to blame.
    pub fn recipe(&self, experiment: &Experiment, levels: &[usize]) -> Result<Recipe, String> {
        let chosen = experiment.axes.iter().zip(levels);
        let preset = chosen.filter_map(|(axis, &level)| axis.preset(level)).next();
        let base = self.with_base(preset.or(self.preset.as_deref()))?;
        let mut set = base.clone();
        overlay(&mut set, &experiment.set);
        let mut recipe = set.clone();
        for (axis, &level) in experiment.axes.iter().zip(levels) {
            axis.apply(&mut recipe, level);
        }
        recipe.insert("name".into(), Value::String("study".into()));
        parse(&recipe).map_err(|problem| {
            // What is wrong without the axes already is not theirs.
            let same = |table: &Table| parse(table).is_err_and(|p| p == problem);
            if same(&base) {
                return format!("[base]: {problem}");
            }
            if same(&set) {
                return format!("set: {problem}");
            }
            let settings = experiment.axes.iter().zip(levels);
            let settings: Vec<String> = settings
                .map(|(axis, &level)| format!("{} = {}", axis.name(), axis.label(level)))
                .collect();
            format!("with {}: {problem}", settings.join(", "))
        })
    }

    /// The base recipe over a preset, or over the default recipe.
    fn with_base(&self, preset: Option<&str>) -> Result<Table, String> {
        let preset = match preset {
            Some(name) => Recipe::preset(name).map_err(|e| e.to_string())?,
            None => Recipe::default(),
        };
        let mut recipe: Table =
            preset.to_toml().parse().map_err(|e: toml::de::Error| e.message().to_string())?;
        overlay(&mut recipe, &self.base);
        Ok(recipe)
    }

    /// The base has only keys and components that there are.
    pub(super) fn check_base(&self) -> Result<(), String> {
        self.with_base(self.preset.as_deref())?;
        known_keys(&self.base).map_err(|problem| format!("[base]: {problem}"))
    }

    /// What is set for an experiment and its cases has only keys and components that there are, and
    /// every value of every axis alone gives a recipe.
    pub(super) fn check_recipes(&self, experiment: &Experiment) -> Result<(), String> {
        known_keys(&experiment.set).map_err(|problem| format!("set: {problem}"))?;
        let chooses = |axis: &&Axis| axis.cases.iter().any(|case| case.preset.is_some());
        let choosing: Vec<&str> = experiment.axes.iter().filter(chooses).map(Axis::name).collect();
        if let [first, second, ..] = choosing[..] {
            return Err(format!("axes '{first}' and '{second}' both choose a preset"));
        }
        let first = vec![0; experiment.axes.len()];
        for (at, axis) in experiment.axes.iter().enumerate() {
            for case in &axis.cases {
                known_keys(&case.set).map_err(|problem| {
                    format!("axis '{}', case '{}': set: {problem}", axis.name(), case.name)
                })?;
            }
            for level in 0..axis.len() {
                let mut levels = first.clone();
                levels[at] = level;
                self.recipe(experiment, &levels)?;
            }
        }
        Ok(())
    }
}

/// A recipe, or what is wrong with it. Nobody wrote the table as it stands, so no line is named.
fn parse(table: &Table) -> Result<Recipe, String> {
    let recipe = deserialize(table)?;
    recipe.validate().map_err(|e| e.to_string())?;
    Ok(recipe)
}

fn deserialize(table: &Table) -> Result<Recipe, String> {
    Recipe::deserialize(table.clone()).map_err(|e| suggest(e.message()))
}

/// Checks a part of a recipe key by key, so that the one that is wrong can be named. Numbers are not
/// looked at: whether they can be, other keys may decide.
fn known_keys(part: &Table) -> Result<(), String> {
    let default: Table = Recipe::default().to_toml().parse().unwrap_or_default();
    for (key, piece) in pieces(part) {
        let mut recipe = default.clone();
        overlay(&mut recipe, &piece);
        deserialize(&recipe).map_err(|problem| format!("{key}: {problem}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(base: &str, set: &str, axis: &str) -> String {
        let text = format!(
            "name = 's'\n[base]\n{base}\n[[task]]\nname = 'a'\nfolder = 'a'\n[[experiment]]\n\
             question = 'q'\n{set}\n[[experiment.axis]]\n{axis}"
        );
        let problem = Study::parse(&text, "s.toml").unwrap_err().to_string();
        // Positions would be those of a text that is nowhere to be seen.
        assert!(!problem.contains("line") && !problem.contains(":  "), "{problem}");
        problem
    }

    #[test]
    fn what_is_wrong_with_a_recipe_is_named_by_section_and_key() {
        let bits = "key = 'weights.bits'\nvalues = [8]";
        for (base, set, axis, message) in [
            ("weights.bitz = 4", "", bits, "[base]: weights.bitz: unknown field `bitz`"),
            ("weights.bitz = 4", "", bits, "did you mean `bits`?"),
            ("colour = 'red'", "", bits, "[base]: colour: unknown field `colour`"),
            ("rounding = 'gpqt'", "", bits, "[base]: rounding: unknown rounding 'gpqt'"),
            ("activations.bits = 9", "", bits, "[base]: "),
            ("", "set = { weights.rang = 'mse' }", bits, "'q': set: weights.rang: unknown field"),
            ("", "set = { weights.bits = 'x' }", bits, "'q': set: weights.bits: invalid type"),
            ("", "set = { activations.bits = 9 }", bits, "'q': set: "),
            (
                "",
                "",
                "name = 'n'\ncases = [{ name = 'c', set = { layerwise.sample = 3 } }]",
                "'q': axis 'n', case 'c': set: layerwise.sample: unknown field `sample`",
            ),
            ("", "", "key = 'rounding'\nvalues = ['gpqt']", "'q': with rounding = gpqt: unknown"),
            (
                "",
                "",
                "name = 'n'\ncases = [{ name = 'c', preset = 'w8a9' }]",
                "unknown preset 'w8a9'",
            ),
            (
                "",
                "",
                "name = 'n'\ncases = [{ name = 'c', preset = 'w8a8' }]\n[[experiment.axis]]\n\
                 name = 'm'\ncases = [{ name = 'd', preset = 'w4a8' }]",
                "axes 'n' and 'm' both choose a preset",
            ),
        ] {
            let found = problem(base, set, axis);
            assert!(found.contains(message), "{message}: {found}");
        }
    }

    #[test]
    fn what_only_holds_together_may_be_set_apart() {
        // Mixed inputs need the whole network; the base alone would have none of it.
        let text = "name = 's'\n[base]\nreconstruction.mixup = 0.5\n[[task]]\nname = 'a'\nfolder = 'a'\n\
                    [[experiment]]\nquestion = 'q'\nset = { reconstruction.granularity = 'network' }\n\
                    [[experiment.axis]]\nkey = 'weights.bits'\nvalues = [4]";
        assert!(Study::parse(text, "s").is_ok());
    }

    #[test]
    fn cases_choose_presets_which_base_and_settings_lie_over() {
        let text = "name = 's'\npreset = 'w8a8'\n[base]\ncalibration.samples = 77\n[[task]]\n\
                    name = 'a'\n[[experiment]]\nquestion = 'q'\n[[experiment.axis]]\nname = 'p'\n\
                    cases = [{ name = 'study' }, { name = 'w4a8', preset = 'w4a8' }, \
                    { name = 'w3a8', preset = 'w4a8', set = { weights.bits = 3 } }]";
        let study = Study::parse(text, "s").unwrap();
        let of = |level: usize| study.recipe(&study.experiments[0], &[level]).unwrap();
        for (level, preset, bits) in [(0, "w8a8", 8), (1, "w4a8", 4), (2, "w4a8", 3)] {
            let mut expected = Recipe::preset(preset).unwrap();
            expected.name = "study".into();
            expected.calibration.samples = Some(77);
            expected.weights.bits = bits;
            assert_eq!(of(level).to_toml(), expected.to_toml());
        }
    }

    #[test]
    fn settings_lie_over_the_base_and_axes_over_both() {
        let text = "name = 's'\npreset = 'w4a8'\n[base]\nweights.bits = 3\n[[task]]\nname = 'a'\n\
                    [[experiment]]\nquestion = 'q'\nset = { weights.range = 'octav' }\n\
                    [[experiment.axis]]\nkey = 'rounding'\nvalues = ['nearest', 'obq']\n\
                    [[experiment.axis]]\nname = 'drop'\ncases = [{ name = 'no' }, \
                    { name = 'half', set = { reconstruction.drop = 0.5 } }]";
        let study = Study::parse(text, "s").unwrap();
        let recipe = study.recipe(&study.experiments[0], &[1, 1]).unwrap();
        assert_eq!(recipe.weights.bits, 3);
        assert_eq!(recipe.weights.range.name(), "octav");
        assert_eq!(recipe.rounding.name(), "obq");
        assert_eq!(recipe.reconstruction.drop, 0.5);
        // What the preset says otherwise stays.
        assert_eq!(recipe.conditioning, Recipe::preset("w4a8").unwrap().conditioning);
    }
}
