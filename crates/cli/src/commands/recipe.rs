//! `burn-ptq recipe`.

use burn_ptq::recipe::catalogue::{Stage, stages};
use burn_ptq::recipe::{PRESETS, Recipe};

use crate::args::RecipeCommand;
use crate::output;

pub(crate) fn run(command: RecipeCommand) -> anyhow::Result<()> {
    match command {
        RecipeCommand::List => output::print(list()),
        RecipeCommand::Show { name } => {
            // Names the nearest preset if there is none of this name.
            Recipe::preset(&name)?;
            let text = PRESETS.iter().find(|preset| preset.0 == name).map(|preset| preset.1);
            output::print(text.unwrap_or_default())
        }
    }
}

/// All components and presets, for a terminal.
fn list() -> String {
    let mut text = String::new();
    for Stage { key, summary, parameters, components } in stages() {
        text.push_str(&format!("{key}: {summary}\n"));
        for (name, value) in parameters {
            text.push_str(&format!("  {name} = {value}\n"));
        }
        for component in components {
            text.push_str(&format!("  {:22} {}\n", component.name, component.summary));
            for (name, value) in component.parameters {
                text.push_str(&format!("  {:22}   {name} = {value}\n", ""));
            }
        }
        text.push('\n');
    }
    text.push_str("presets (burn-ptq recipe show NAME):\n");
    for (name, preset) in PRESETS {
        text.push_str(&format!("  {name:22} {}\n", summary(preset)));
    }
    text
}

/// The first line of a preset, a comment that says what it is.
pub(crate) fn summary(preset: &str) -> &str {
    preset.lines().next().unwrap_or_default().trim_start_matches('#').trim()
}
