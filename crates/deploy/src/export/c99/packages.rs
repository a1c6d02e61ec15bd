//! What other build systems need to take an export as it is: manifests, and a folder `src` for those that
//! compile such a folder.

use super::runtime;
use crate::export::shared::template::Values;
use crate::export::{ExportError, ExportFile};
use crate::target::{Kernels, Target};

/// CMake and ESP-IDF, PlatformIO, Arduino, CMSIS-Pack, Zephyr.
const TEMPLATES: &[(&str, &str)] = &[
    ("CMakeLists.txt", include_str!("../../../c/package/CMakeLists.txt")),
    ("idf_component.yml", include_str!("../../../c/package/idf_component.yml")),
    ("library.json", include_str!("../../../c/package/library.json")),
    ("library.properties", include_str!("../../../c/package/library.properties")),
    ("zephyr/CMakeLists.txt", include_str!("../../../c/package/zephyr/CMakeLists.txt")),
    ("zephyr/Kconfig", include_str!("../../../c/package/zephyr/Kconfig")),
    ("zephyr/module.yml", include_str!("../../../c/package/zephyr/module.yml")),
];

const PDSC: &str = include_str!("../../../c/package/package.pdsc");

/// The headers of the runtime that networks include.
const INCLUDED: &[&str] = &[
    "bptq.h",
    "bptq_dsp.h",
    "bptq_mve.h",
    "bptq_quad.h",
    "bptq_scalar.h",
    "bptq_stream.h",
    "bptq_tile.h",
];

/// What opens every file of the folder `src`.
const LICENSE: &str = "/* SPDX-License-Identifier: MIT OR Apache-2.0 */\n\
                       /* Copyright (c) 2026 The burn-ptq authors */\n";

/// What stands for the placeholders of the manifests, beside the values of the export.
pub(super) fn values(target: &Target) -> [(&'static str, String); 3] {
    let sources = || names(target.kernels).filter(|name| name.ends_with(".c"));
    let list = sources().map(|name| format!("    runtime/{name}\n"));
    let files = sources()
        .map(|name| format!("        <file category=\"source\" name=\"runtime/{name}\"/>\n"));
    let processor = match target.flags {
        "" => String::new(),
        flags => format!("\n# The project's toolchain chooses the processor, with {flags}."),
    };
    [("RUNTIME_LIST", list.collect()), ("RUNTIME_FILES", files.collect()), ("PROCESSOR", processor)]
}

/// The files, for a program called `id`; `values` are those of the export and of [`values`](self::values).
pub(super) fn files(
    id: &str,
    kernels: Kernels,
    values: &Values,
) -> Result<Vec<ExportFile>, ExportError> {
    let mut files = Vec::new();
    for (path, template) in TEMPLATES {
        files.push(ExportFile::text(*path, values.fill(template)?));
    }
    let pdsc = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", values.fill(PDSC)?);
    files.push(ExportFile::text(format!("burn-ptq.{id}.pdsc"), pdsc));
    files.extend(forwarding(id, kernels));
    Ok(files)
}

/// The folder `src`, which Arduino and PlatformIO compile with what is below it and search for headers:
/// files that include those of the export, which stay where every other build has them.
fn forwarding(id: &str, kernels: Kernels) -> Vec<ExportFile> {
    let file = |path: String, target: String| {
        ExportFile::text(path, format!("{LICENSE}#include \"{target}\"\n"))
    };
    let own = ["", "_io"].into_iter().flat_map(|part| {
        ["h", "c"]
            .map(|kind| file(format!("src/{id}{part}.{kind}"), format!("../{id}{part}.{kind}")))
    });
    let sources = names(kernels).filter(|name| name.ends_with(".c"));
    let sources =
        sources.map(|name| file(format!("src/runtime/{name}"), format!("../../runtime/{name}")));
    let headers = names(kernels).filter(|name| INCLUDED.contains(name));
    let headers = headers.map(|name| file(format!("src/{name}"), format!("../runtime/{name}")));
    own.chain(headers).chain(sources).collect()
}

/// The names of the runtime's files.
fn names(kernels: Kernels) -> impl Iterator<Item = &'static str> {
    runtime::files(kernels).map(|(name, _)| *name)
}
