//! What the workspace depends on: licenses that it may ship, the oldest Rust, and one version of each
//! crate.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::root;

/// What cargo knows of all packages.
fn metadata() -> Value {
    let output = crate::cargo().args(["metadata", "--format-version=1", "--locked"]).output();
    let output = output.expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// Packages that have a license file and state nothing in their manifest.
const UNSTATED: &[(&str, &str)] = &[("cfg_block", "Apache-2.0")];

/// The licenses that `deny.toml` allows.
fn allowed() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("it exists");
    let policy: toml::Table = text.parse().expect("valid TOML");
    let allow = policy["licenses"]["allow"].as_array().expect("a list");
    allow.iter().map(|license| license.as_str().expect("a name").to_owned()).collect()
}

#[test]
fn every_dependency_has_a_license_that_is_allowed() {
    let allowed = allowed();
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("a list");
    assert!(packages.len() > 100, "only {} packages", packages.len());
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let license = package["license"].as_str().or(unstated(name));
        let license = license.unwrap_or_else(|| panic!("{name} states no license"));
        let expression = spdx::Expression::parse_mode(license, spdx::ParseMode::LAX);
        let expression = expression.unwrap_or_else(|error| panic!("{name}: {error}"));
        let fits = expression.evaluate(|requirement| allowed.contains(&requirement.to_string()));
        assert!(fits, "{name} is under {license}, which deny.toml does not allow");
    }
}

/// Major and minor version.
fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split('.').map(|part| part.parse().expect("a number"));
    (parts.next().expect("a major version"), parts.next().unwrap_or(0))
}

#[test]
fn no_dependency_needs_a_newer_rust_than_the_workspace_states() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("it exists");
    let manifest: toml::Table = manifest.parse().expect("valid TOML");
    let stated = manifest["workspace"]["package"]["rust-version"].as_str().expect("a version");
    for package in metadata()["packages"].as_array().expect("a list") {
        if let Some(needed) = package["rust_version"].as_str() {
            let name = package["name"].as_str().expect("a name");
            assert!(
                version(needed) <= version(stated),
                "{name} needs Rust {needed}, and Cargo.toml states {stated}"
            );
        }
    }
}

#[test]
fn packages_of_the_workspace_agree_on_the_version_of_a_dependency() {
    let metadata = metadata();
    let members: BTreeSet<&str> = strings(&metadata["workspace_members"]).collect();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().expect("a list") {
        if members.contains(node["id"].as_str().expect("an id")) {
            for dependency in node["deps"].as_array().expect("a list") {
                let name = dependency["name"].as_str().expect("a name");
                let id = dependency["pkg"].as_str().expect("an id");
                versions.entry(name).or_default().insert(id);
            }
        }
    }
    assert!(versions.len() > 20, "only {} dependencies", versions.len());
    for (name, ids) in versions {
        assert_eq!(ids.len(), 1, "{name} is used in several versions: {ids:?}");
    }
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().expect("a list").iter().filter_map(Value::as_str)
}

/// The license of a package that states none.
fn unstated(name: &str) -> Option<&'static str> {
    UNSTATED.iter().find(|(package, _)| *package == name).map(|(_, license)| *license)
}
