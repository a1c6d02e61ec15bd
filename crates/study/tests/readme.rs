//! What the README says of recipes and studies is true.

use burn_ptq::catalogue::stages;
use burn_ptq::recipe::{PRESETS, Recipe};
use burn_ptq_eval::metric::Metric;
use burn_ptq_study::Study;

const README: &str = include_str!("../../../README.md");

fn recipe() -> &'static str {
    let (_, after) = README.split_once("```toml\n").expect("the README shows a recipe");
    after.split_once("```").expect("the recipe ends").0
}

#[test]
fn the_recipe_of_the_readme_parses() {
    let recipe = Recipe::parse(recipe(), "README.md").expect("a valid recipe");
    assert_eq!(recipe.label(), "W4A8* 8-bit ends");
}

#[test]
fn the_recipe_of_the_readme_names_every_component() {
    for stage in stages() {
        for component in &stage.components {
            let name = component.name;
            assert!(recipe().contains(name), "the README's recipe does not mention {name}");
        }
    }
}

#[test]
fn the_study_of_the_readme_and_those_of_the_repository_parse() {
    let (_, after) = README.split_once("```toml study\n").expect("the README shows a study");
    let study = after.split_once("```").expect("the study ends").0;
    Study::parse(study, "README.md").expect("a valid study");
    for (name, text) in [
        ("paper", include_str!("../../../studies/paper.toml")),
        ("smoke", include_str!("../../../studies/smoke.toml")),
    ] {
        assert_eq!(Study::parse(text, name).expect("a valid study").name, name);
    }
}

#[test]
fn the_readme_names_every_preset() {
    for (name, _) in PRESETS {
        assert!(README.contains(&format!("`{name}`")), "the README does not mention {name}");
    }
}

#[test]
fn the_readme_names_every_metric() {
    for metric in Metric::ALL {
        let name = metric.name();
        assert!(README.contains(&format!("`{name}`")), "the README does not mention {name}");
    }
}
