// SPDX-License-Identifier: MIT OR Apache-2.0
// Copyright (c) 2026 The burn-ptq authors
//! The source of this crate, which the Rust exporter writes beside the programs that it exports.

/// Every other file of `src` that microcontrollers can run, by its path in it: not those of `fast`.
pub const FILES: &[(&str, &str)] = &[
    ("dsp/conv2d.rs", include_str!("dsp/conv2d.rs")),
    ("dsp/depthwise.rs", include_str!("dsp/depthwise.rs")),
    ("dsp/extension.rs", include_str!("dsp/extension.rs")),
    ("dsp/finish.rs", include_str!("dsp/finish.rs")),
    ("dsp/fully_connected.rs", include_str!("dsp/fully_connected.rs")),
    ("dsp/mod.rs", include_str!("dsp/mod.rs")),
    ("dsp/patch.rs", include_str!("dsp/patch.rs")),
    ("dsp/portable.rs", include_str!("dsp/portable.rs")),
    ("dsp/taps.rs", include_str!("dsp/taps.rs")),
    ("embedded/blocks.rs", include_str!("embedded/blocks.rs")),
    ("embedded/conv2d.rs", include_str!("embedded/conv2d.rs")),
    ("embedded/depthwise.rs", include_str!("embedded/depthwise.rs")),
    ("embedded/dot.rs", include_str!("embedded/dot.rs")),
    ("embedded/mod.rs", include_str!("embedded/mod.rs")),
    ("embedded/transpose_conv2d.rs", include_str!("embedded/transpose_conv2d.rs")),
    ("geometry.rs", include_str!("geometry.rs")),
    ("grid.rs", include_str!("grid.rs")),
    ("lib.rs", include_str!("lib.rs")),
    ("multiplier.rs", include_str!("multiplier.rs")),
    ("packing.rs", include_str!("packing.rs")),
    ("params.rs", include_str!("params.rs")),
    ("reference/activation.rs", include_str!("reference/activation.rs")),
    ("reference/binary.rs", include_str!("reference/binary.rs")),
    ("reference/elementwise.rs", include_str!("reference/elementwise.rs")),
    ("reference/gate.rs", include_str!("reference/gate.rs")),
    ("reference/layout.rs", include_str!("reference/layout.rs")),
    ("reference/log_softmax.rs", include_str!("reference/log_softmax.rs")),
    ("reference/lookup.rs", include_str!("reference/lookup.rs")),
    ("reference/matmul.rs", include_str!("reference/matmul.rs")),
    ("reference/mod.rs", include_str!("reference/mod.rs")),
    ("reference/normalize.rs", include_str!("reference/normalize.rs")),
    ("reference/pool.rs", include_str!("reference/pool.rs")),
    ("reference/rearrange.rs", include_str!("reference/rearrange.rs")),
    ("reference/reduce.rs", include_str!("reference/reduce.rs")),
    ("reference/resize.rs", include_str!("reference/resize.rs")),
    ("reference/softmax.rs", include_str!("reference/softmax.rs")),
    ("reference/storage.rs", include_str!("reference/storage.rs")),
    ("reference/table.rs", include_str!("reference/table.rs")),
    ("reference/top_k.rs", include_str!("reference/top_k.rs")),
    ("reference/weighted.rs", include_str!("reference/weighted.rs")),
    ("rows.rs", include_str!("rows.rs")),
    ("stream.rs", include_str!("stream.rs")),
];

#[cfg(test)]
mod tests {
    extern crate std;

    use std::path::Path;
    use std::string::String;
    use std::vec::Vec;
    use std::{fs, vec};

    use super::*;

    #[test]
    fn every_file_is_listed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut folders, mut found) = (vec![root.clone()], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    if path.file_name() != Some("fast".as_ref()) {
                        folders.push(path);
                    }
                } else if path.file_name() != Path::new(file!()).file_name() {
                    let name = path.strip_prefix(&root).expect("inside").to_str().expect("ASCII");
                    found.push(String::from(name).replace('\\', "/"));
                }
            }
        }
        found.sort();
        let listed: Vec<_> = FILES.iter().map(|(name, _)| String::from(*name)).collect();
        assert_eq!(listed, found);
    }
}
