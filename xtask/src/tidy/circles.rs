//! No circles of imports: a reader can understand a file after those that it imports.
//!
//! Edges are `use` declarations outside tests, followed through re-exports to the file that has the item. What a
//! facade re-exports does not count as an import.

use std::collections::{BTreeMap, BTreeSet};

use super::{is_test, sources};

/// Files of one folder that may import each other in a circle.
const MAX_CIRCLE: usize = 3;

/// A module by its names from the root of its crate.
type Module = Vec<String>;

/// A path that a `use` declaration names.
struct Use {
    /// From the root of the crate, the item at its end; `*` stands for all items.
    path: Vec<String>,
    name: String,
    is_public: bool,
}

/// The files of a crate with what each imports from it.
struct Source {
    files: BTreeMap<Module, String>,
    uses: BTreeMap<Module, Vec<Use>>,
}

impl Source {
    /// The source in files, by their paths below `src`.
    fn new<'a>(files: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Self {
        let paths = files.clone().map(|(path, _)| (module_of(path), path.to_owned()));
        let mut source = Self { files: paths.collect(), uses: BTreeMap::new() };
        for (path, text) in files {
            let module = module_of(path);
            let mut found = Vec::new();
            for (is_public, tree) in declarations(text) {
                for (path, name) in leaves(&tree) {
                    if let Some(path) = source.absolute(&module, path) {
                        found.push(Use { path, name, is_public });
                    }
                }
            }
            source.uses.insert(module, found);
        }
        source
    }

    /// A path from the root of the crate; `None` for one of another crate.
    fn absolute(&self, module: &Module, path: Vec<String>) -> Option<Vec<String>> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let from = |kept: &[String], rest: &[String]| Some([kept, rest].concat());
        match path.first()?.as_str() {
            "crate" => from(&[], &path[1..]),
            "self" => from(module, &path[1..]),
            "super" => from(&module[..module.len().checked_sub(supers)?], &path[supers..]),
            first => {
                let child = from(module, &[first.to_owned()])?;
                self.files.contains_key(&child).then(|| from(module, &path))?
            }
        }
    }

    /// The module whose file has what a path from the root names.
    fn owner(&self, path: &[String], depth: usize) -> Module {
        let prefixes = (0..=path.len()).rev().map(|len| &path[..len]);
        let module = prefixes.into_iter().find(|prefix| self.files.contains_key(*prefix));
        let module = module.expect("every crate has a root").to_vec();
        let rest = &path[module.len()..];
        let exported = rest.first().and_then(|name| {
            self.uses[&module].iter().find(|found| found.name == *name && found.path != path)
        });
        match exported {
            // Re-exports form no endless chains in code that compiles; the parser may see one.
            Some(found) if depth < 16 => {
                self.owner(&[&found.path[..], &rest[1..]].concat(), depth + 1)
            }
            _ => module,
        }
    }

    /// What each module imports.
    fn edges(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let targets = |module: &Module, uses: &[Use]| {
            let imports = uses.iter().filter(|found| !found.is_public);
            let owners = imports.map(|found| match found.name.as_str() {
                "*" => self.owner(&found.path[..found.path.len() - 1], 0),
                _ => self.owner(&found.path, 0),
            });
            owners.filter(|owner| owner != module).collect()
        };
        self.uses.iter().map(|(module, uses)| (module, targets(module, uses))).collect()
    }

    /// Sets of modules that import each other, directly or not.
    fn circles(&self) -> Vec<BTreeSet<Module>> {
        let edges = self.edges();
        let reached = |module: &Module| {
            let mut seen = BTreeSet::new();
            let mut open: Vec<&Module> = edges[module].iter().collect();
            while let Some(next) = open.pop() {
                if seen.insert(next) {
                    open.extend(&edges[next]);
                }
            }
            seen
        };
        let reached: BTreeMap<&Module, _> =
            edges.keys().map(|&module| (module, reached(module))).collect();
        let mut circles: Vec<BTreeSet<Module>> = Vec::new();
        for (&module, seen) in &reached {
            if seen.contains(module) && !circles.iter().any(|circle| circle.contains(module)) {
                let circle = seen.iter().filter(|other| reached[*other].contains(module));
                circles.push(circle.map(|&other| other.clone()).collect());
            }
        }
        circles
    }

    /// The folder of a module's file; `x.rs` and `x/mod.rs` lie in the folder `x` if there is one.
    fn folder<'a>(&self, module: &'a Module) -> &'a [String] {
        let has_children =
            self.files.keys().any(|other| other.len() > module.len() && other.starts_with(module));
        if has_children { module } else { &module[..module.len().saturating_sub(1)] }
    }
}

/// The module of a file by its path below `src`.
fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
    let is_root = parts.len() == 1 && (parts[0] == "lib" || parts[0] == "main");
    if is_root || parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// The trees of all `use` declarations outside tests, and whether they are public in any way.
fn declarations(text: &str) -> Vec<(bool, String)> {
    // Tests stand at the end of a file.
    let code = text.lines().take_while(|line| !line.ends_with("mod tests {"));
    let lines = code.map(|line| line.split("//").next().unwrap_or_default());
    let code = lines.collect::<Vec<_>>().join("\n").replace("#[cfg(test)]\nuse ", "#[cfg(test)] ");
    let mut found = Vec::new();
    for statement in code.split_inclusive(';') {
        // What precedes a declaration on its line is its visibility.
        let Some(at) = statement.rfind("use ") else { continue };
        let line = statement[..at].rsplit('\n').next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with("pub") && !line.contains(' ') {
            let tree = statement[at + 4..].trim_end_matches(';').split_whitespace();
            found.push((!line.is_empty(), tree.collect::<Vec<_>>().join(" ")));
        }
    }
    found
}

/// The paths of a tree of `use`, each with the name that it brings in.
fn leaves(tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim();
    if let Some((prefix, group)) = tree.split_once('{') {
        let group = group.strip_suffix('}').unwrap_or(group);
        let mut depth = 0;
        let members = group.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        return members
            .filter(|member| !member.trim().is_empty())
            .flat_map(|member| leaves(&format!("{prefix}{}", member.trim())))
            .collect();
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias)),
        None => (tree, None),
    };
    let mut path: Vec<String> = path.split("::").map(|part| part.trim().to_owned()).collect();
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = alias.map(str::to_owned).or_else(|| path.last().cloned()).unwrap_or_default();
    vec![(path, name)]
}

#[test]
fn files_import_each_other_in_no_circles() {
    let mut crates: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (name, text) in sources() {
        let Some((package, path)) = name.split_once("/src/") else { continue };
        if !is_test(&name) && !path.starts_with("bin/") {
            crates.entry(package.to_owned()).or_default().push((path.to_owned(), text));
        }
    }
    let mut found = Vec::new();
    for (package, files) in &crates {
        let source = Source::new(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
        for circle in source.circles() {
            let folders: BTreeSet<_> = circle.iter().map(|module| source.folder(module)).collect();
            if circle.len() > MAX_CIRCLE || folders.len() > 1 {
                let files: Vec<_> = circle.iter().map(|module| &source.files[module]).collect();
                found.push(format!("{package}: {files:?}"));
            }
        }
    }
    assert!(crates.len() >= 7, "{:?}", crates.keys());
    assert!(found.is_empty(), "circles of imports:\n{}", found.join("\n"));
}

#[test]
fn circles_are_found_through_re_exports() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\npub use a::Thing;\n"),
        ("a/mod.rs", "mod inner;\npub use inner::Thing;\n"),
        ("a/inner.rs", "use crate::{b::{Other, self}};\n// use crate::c;\n"),
        ("b.rs", "use std::fmt;\nuse crate::Thing;\n"),
        ("c.rs", "use crate::b;\n"),
    ];
    let source = Source::new(files.into_iter());
    let circles = source.circles();
    assert_eq!(circles.len(), 1);
    let circle: Vec<_> = circles[0].iter().map(|module| source.files[module].as_str()).collect();
    assert_eq!(circle, ["a/inner.rs", "b.rs"]);
}
