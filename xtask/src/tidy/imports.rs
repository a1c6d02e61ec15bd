//! Who imports whom in the quantizer: ARCHITECTURE.md's rules of imports, held by a list.

use std::collections::{BTreeMap, BTreeSet};

use super::{is_test, sources};

/// The modules of `crates/burn-ptq/src` and what each may import from the crate besides itself.
///
/// The ground comes first, then the stages in the order in which they run, then what uses them. An
/// import of a stage by a stage is an exception, and says why.
const MODULES: &[(&str, &str)] = &[
    ("event", ""),
    ("warning", ""),
    ("choice", ""),
    ("graph", "warning"),
    ("quant", "graph event"),
    ("observe", "graph"),
    ("bits", "graph quant"),
    ("backend", "choice"),
    ("import", "graph warning"),
    // What a file gives and the program cannot have is said.
    ("prepare", "graph bits warning"),
    ("sequence", "graph"),
    ("condition", "graph choice"),
    // Whether a value is zero is what ranges say of it.
    ("calibrate", "graph quant observe event warning range"),
    ("range", "graph quant observe event choice bits"),
    // Rounding a layer includes the ranges of its weights.
    ("round", "graph quant observe event choice bits range"),
    // Soft roundings are those of AdaRound.
    ("reconstruct", "graph quant event choice round"),
    ("correct", "graph quant choice"),
    ("lower", "graph quant"),
    ("recipe", "graph quant bits calibrate condition range round reconstruct correct"),
    ("qat", "graph quant range round reconstruct"),
    ("warnings", "graph quant warning calibrate network"),
    ("error", "event graph import quant recipe calibrate reconstruct lower"),
    ("network", "event warning warnings graph quant import calibrate lower error"),
];

/// The library's root and the pipeline, which may import everything.
const EVERYTHING: &[&str] = &["lib", "pipeline"];

const SOURCE: &str = "crates/burn-ptq/src/";

/// The module that a file belongs to; the macro of choices is one of its own.
fn module_of(path: &str) -> &str {
    if path == "recipe/choice.rs" {
        return "choice";
    }
    path.split(['/', '.']).next().unwrap_or_default()
}

/// The modules that a file imports from its crate.
fn imports(text: &str) -> BTreeSet<&str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let paths = lines.flat_map(|line| line.split("crate::").skip(1));
    paths
        .map(|path| match path.starts_with("recipe::choice") {
            true => "choice",
            false => path.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or(""),
        })
        .collect()
}

#[test]
fn modules_of_the_quantizer_import_what_they_may() {
    let known: BTreeMap<&str, &str> = MODULES.iter().copied().collect();
    let sources = sources();
    let mut seen: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, text) in &sources {
        let Some(path) = name.strip_prefix(SOURCE) else { continue };
        let module = module_of(path);
        if is_test(name) || EVERYTHING.contains(&module) {
            continue;
        }
        let allowed = known.get(module).unwrap_or_else(|| panic!("{module} is not in MODULES"));
        for import in imports(text) {
            // Macros and items of the root are not modules.
            if import == module || !known.contains_key(import) && !EVERYTHING.contains(&import) {
                continue;
            }
            assert!(
                allowed.split(' ').any(|known| known == import),
                "{name} imports {import}, which {module} may not: see MODULES in {}",
                file!()
            );
            seen.entry(module).or_default().insert(import);
        }
    }
    for (module, allowed) in MODULES {
        let found = seen.remove(module).unwrap_or_default();
        let listed: BTreeSet<&str> = allowed.split_whitespace().collect();
        assert_eq!(found, listed, "what {module} imports, and what MODULES says");
    }
}
