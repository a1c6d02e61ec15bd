//! `cargo xtask packages`: whether what goes to crates.io builds by itself.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::results::target_folder;
use crate::{cargo, root};

/// Build every published crate from its package alone.
///
/// Packs the crates, unpacks them into a workspace of their own with the examples as their user, and
/// checks all targets there.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

/// The packages' user: it has the features of Burn that the whole workspace has, so that nothing is
/// compiled twice.
const USER: &str = "examples";

/// What is copied, not packed: the user, what it reads, and the unpublished crate that its tests run on.
const COPIED: &[&str] = &[
    USER,
    "crates/cli/demo",
    "README.md",
    "docs/guide/src",
    "crates/mcu/Cargo.toml",
    "crates/mcu/c",
    "crates/mcu/rust",
    "crates/mcu/src",
];

pub(crate) fn run(_: &Arguments) -> Result<ExitCode> {
    let published = published()?;
    let mut pack = cargo();
    pack.args(["package", "--no-verify", "--allow-dirty", "--quiet"]);
    pack.args(published.iter().map(|package| format!("--package={}", package.name)));
    ensure!(pack.status().context("cannot start cargo")?.success(), "cargo package failed");

    let packages = target_folder().join("package");
    let folder = packages.join("from-packages");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {folder:?}"))?;
    }
    fs::create_dir_all(&folder)?;
    for package in &published {
        let archive = packages.join(format!("{}.crate", package.folder()));
        let mut tar = Command::new("tar");
        tar.arg("xzf").arg(&archive).arg("-C").arg(&folder);
        ensure!(tar.status().context("cannot start tar")?.success(), "cannot unpack {archive:?}");
        for file in ["LICENSE-MIT", "LICENSE-APACHE"] {
            let path = folder.join(package.folder()).join(file);
            ensure!(path.exists(), "the package {} has no {file}", package.name);
        }
    }
    for copied in COPIED {
        copy(&root().join(copied), &folder.join(copied))?;
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    fs::write(folder.join("Cargo.toml"), workspace(&manifest, &published)?)?;
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock"))?;

    let status = cargo()
        .current_dir(&folder)
        .args(["check", "--release", "--offline", "--workspace", "--all-targets", "--target-dir"])
        .arg(target_folder())
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the packages do not build by themselves: see {}", folder.display());
    println!("{} packages build by themselves", published.len());
    Ok(ExitCode::SUCCESS)
}

/// A crate that goes to crates.io.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    version: String,
    /// Its folder, from the root of the repository.
    pub(crate) path: String,
}

impl Package {
    /// The folder in its archive.
    fn folder(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// The members of the workspace that may be published.
pub(crate) fn published() -> Result<Vec<Package>> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1", "--offline"])
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let listed = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let mut found = Vec::new();
    for package in listed {
        let forbidden = package["publish"].as_array().is_some_and(Vec::is_empty);
        if forbidden {
            continue;
        }
        let text = |key: &str| {
            let value = package[key].as_str().map(str::to_owned);
            value.with_context(|| format!("cargo metadata gives no {key}"))
        };
        let manifest = text("manifest_path")?;
        let folder = Path::new(&manifest).parent().context("a manifest lies in a folder")?;
        let path = folder.strip_prefix(root())?.display().to_string();
        found.push(Package { name: text("name")?, version: text("version")?, path });
    }
    Ok(found)
}

/// The root manifest of a workspace of packages: the repository's, with other members and places.
fn workspace(manifest: &str, published: &[Package]) -> Result<String> {
    let mut root: toml::Table = manifest.parse().context("Cargo.toml")?;
    let mut patch = toml::Table::new();
    let table = root.get_mut("workspace").and_then(toml::Value::as_table_mut);
    let table = table.context("Cargo.toml has no [workspace]")?;
    let folders = published.iter().map(Package::folder);
    let members: Vec<String> = folders.chain([USER.into()]).collect();
    table.insert("members".into(), members.into());
    table.remove("default-members");
    let dependencies = table.get_mut("dependencies").and_then(toml::Value::as_table_mut);
    let dependencies = dependencies.context("Cargo.toml has no [workspace.dependencies]")?;
    for package in published {
        let place = toml::Table::from_iter([("path".to_owned(), package.folder().into())]);
        patch.insert(package.name.clone(), place.into());
        let own = dependencies.get_mut(&package.name).and_then(toml::Value::as_table_mut);
        if let Some(own) = own {
            own.insert("path".into(), package.folder().into());
        }
    }
    let patch = toml::Table::from_iter([("crates-io".to_owned(), patch.into())]);
    root.insert("patch".into(), patch.into());
    Ok(toml::to_string(&root)?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(from, to).with_context(|| format!("cannot copy {from:?}"))?;
        return Ok(());
    }
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {from:?}"))? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_of_packages_has_no_path_into_the_sources() {
        let published = published().expect("cargo describes the workspace");
        assert!(published.iter().any(|package| package.name == "burn-ptq"), "{published:?}");
        let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("it exists");
        let text = workspace(&manifest, &published).expect("a manifest");
        for package in &published {
            assert!(!text.contains(&package.path), "{} in {text}", package.path);
            assert!(text.contains(&package.folder()), "{text}");
        }
    }
}
