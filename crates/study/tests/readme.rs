//! What the README and the guide say of recipes, studies, presets and metrics is true.

use std::path::{Path, PathBuf};

use burn_ptq::recipe::catalogue::stages;
use burn_ptq::recipe::{PRESETS, Recipe};
use burn_ptq_eval::metric::Metric;
use burn_ptq_eval::task::Task;
use burn_ptq_study::Study;

/// The stages that `studies/components.toml` asks about one by one.
const STUDIED: [&str; 3] = ["weights.range", "activations.range", "rounding"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The README and the chapters of the guide, by name.
fn documents() -> Vec<(String, String)> {
    let chapters = std::fs::read_dir(root().join("docs/guide/src")).unwrap();
    let names = chapters.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let paths = names.map(|name| format!("docs/guide/src/{name}"));
    ["README.md".to_string()]
        .into_iter()
        .chain(paths)
        .map(|path| (path.clone(), read(&path)))
        .collect()
}

/// The blocks of code of a language, with the documents that contain them.
fn blocks(language: &str) -> Vec<(String, String)> {
    let opening = format!("```{language}\n");
    let mut found = Vec::new();
    for (path, text) in documents() {
        for block in text.split(&opening).skip(1) {
            let code = block.split_once("```").expect("a block that ends").0;
            found.push((path.clone(), code.to_owned()));
        }
    }
    found
}

#[test]
fn every_recipe_of_the_documents_parses() {
    let recipes = blocks("toml");
    assert!(!recipes.is_empty(), "the guide shows a recipe");
    for (path, recipe) in recipes {
        Recipe::parse(&recipe, &path).expect("a valid recipe");
    }
}

#[test]
fn the_tasks_of_the_guide_parse() {
    let tasks = blocks("toml task");
    assert!(!tasks.is_empty(), "the guide shows a task");
    for (path, task) in tasks {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("metric = 'top1'\n{task}");
        std::fs::write(folder.path().join("task.toml"), text).unwrap();
        let task = Task::open(folder.path());
        assert!(task.is_ok(), "{path}: {}", task.unwrap_err());
    }
}

#[test]
fn the_recipe_of_the_guide_names_every_component() {
    let recipes = blocks("toml");
    let (_, recipe) = recipes.iter().find(|(path, _)| path.ends_with("recipes.md")).unwrap();
    assert_eq!(Recipe::parse(recipe, "recipes.md").unwrap().label(), "W4A8* 8-bit ends");
    for stage in stages() {
        for component in &stage.components {
            let name = component.name;
            let mut words =
                recipe.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
            assert!(words.any(|word| word == name), "the recipe of the guide lacks {name}");
        }
    }
}

/// A component without a row says nothing about where it comes from, when it helps and what it costs.
#[test]
fn the_guide_describes_every_component() {
    let guide = read("docs/guide/src/algorithms.md");
    for stage in stages() {
        for component in &stage.components {
            let name = format!("`{}`", component.name);
            assert!(guide.contains(&name), "algorithms.md does not describe {name}");
        }
    }
}

#[test]
fn the_study_of_components_exchanges_every_rounding_and_range_method() {
    let study = read("studies/components.toml");
    for stage in stages().iter().filter(|stage| STUDIED.contains(&stage.key)) {
        for component in &stage.components {
            let name = format!("\"{}\"", component.name);
            assert!(study.contains(&name), "components.toml does not exchange {name}");
        }
    }
}

#[test]
fn the_studies_of_the_documents_and_of_the_repository_parse() {
    let studies = blocks("toml study");
    assert!(!studies.is_empty(), "the guide shows a study");
    for (path, study) in studies {
        Study::parse(&study, &path).expect("a valid study");
    }
    let mut names: Vec<String> = std::fs::read_dir(root().join("studies"))
        .expect("a folder")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter_map(|file| file.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let text = read(&format!("studies/{name}.toml"));
        assert_eq!(Study::parse(&text, &name).expect("a valid study").name, name);
    }
}

#[test]
fn the_readme_and_the_guide_name_every_preset() {
    for path in ["README.md", "docs/guide/src/recipes.md"] {
        let text = read(path);
        for (name, _) in PRESETS {
            assert!(text.contains(&format!("`{name}`")), "{path} does not mention {name}");
        }
    }
}

#[test]
fn the_guide_names_every_metric() {
    let text = read("docs/guide/src/metrics.md");
    for metric in Metric::ALL {
        let name = metric.name();
        assert!(text.contains(&format!("`{name}`")), "the guide does not mention {name}");
    }
}
