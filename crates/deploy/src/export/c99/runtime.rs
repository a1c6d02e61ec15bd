//! The C runtime, as its files.

use crate::target::Kernels;

/// The runtime: every file of `c/runtime`.
const RUNTIME: &[(&str, &str)] = &[
    ("bptq.h", include_str!("../../../c/runtime/bptq.h")),
    ("bptq_batch_matmul.c", include_str!("../../../c/runtime/bptq_batch_matmul.c")),
    ("bptq_binary.c", include_str!("../../../c/runtime/bptq_binary.c")),
    ("bptq_conv2d_s16.c", include_str!("../../../c/runtime/bptq_conv2d_s16.c")),
    ("bptq_conv2d_s8.c", include_str!("../../../c/runtime/bptq_conv2d_s8.c")),
    ("bptq_depthwise_s16.c", include_str!("../../../c/runtime/bptq_depthwise_s16.c")),
    ("bptq_depthwise_s8.c", include_str!("../../../c/runtime/bptq_depthwise_s8.c")),
    ("bptq_dot.c", include_str!("../../../c/runtime/bptq_dot.c")),
    ("bptq_dot.h", include_str!("../../../c/runtime/bptq_dot.h")),
    ("bptq_elementwise.c", include_str!("../../../c/runtime/bptq_elementwise.c")),
    ("bptq_fully_connected.c", include_str!("../../../c/runtime/bptq_fully_connected.c")),
    ("bptq_gate.c", include_str!("../../../c/runtime/bptq_gate.c")),
    ("bptq_layout.c", include_str!("../../../c/runtime/bptq_layout.c")),
    ("bptq_lookup.c", include_str!("../../../c/runtime/bptq_lookup.c")),
    ("bptq_math.h", include_str!("../../../c/runtime/bptq_math.h")),
    ("bptq_normalize.c", include_str!("../../../c/runtime/bptq_normalize.c")),
    ("bptq_pool.c", include_str!("../../../c/runtime/bptq_pool.c")),
    ("bptq_rearrange.c", include_str!("../../../c/runtime/bptq_rearrange.c")),
    ("bptq_reduce.c", include_str!("../../../c/runtime/bptq_reduce.c")),
    ("bptq_resize.c", include_str!("../../../c/runtime/bptq_resize.c")),
    ("bptq_softmax.c", include_str!("../../../c/runtime/bptq_softmax.c")),
    ("bptq_stream.c", include_str!("../../../c/runtime/bptq_stream.c")),
    ("bptq_stream.h", include_str!("../../../c/runtime/bptq_stream.h")),
    ("bptq_sum.h", include_str!("../../../c/runtime/bptq_sum.h")),
    ("bptq_sum_s16.c", include_str!("../../../c/runtime/bptq_sum_s16.c")),
    ("bptq_top_k.c", include_str!("../../../c/runtime/bptq_top_k.c")),
    ("bptq_transpose_conv2d.c", include_str!("../../../c/runtime/bptq_transpose_conv2d.c")),
    ("bptq_weights.c", include_str!("../../../c/runtime/bptq_weights.c")),
    ("bptq_weights.h", include_str!("../../../c/runtime/bptq_weights.h")),
    ("bptq_window.h", include_str!("../../../c/runtime/bptq_window.h")),
];

/// What kernels for cores without SIMD instructions add: every file of `c/scalar`.
const SCALAR: &[(&str, &str)] = &[
    ("bptq_scalar.h", include_str!("../../../c/scalar/bptq_scalar.h")),
    ("bptq_scalar_add.c", include_str!("../../../c/scalar/bptq_scalar_add.c")),
    ("bptq_scalar_conv2d.c", include_str!("../../../c/scalar/bptq_scalar_conv2d.c")),
    ("bptq_scalar_depthwise.c", include_str!("../../../c/scalar/bptq_scalar_depthwise.c")),
    (
        "bptq_scalar_fully_connected.c",
        include_str!("../../../c/scalar/bptq_scalar_fully_connected.c"),
    ),
    ("bptq_scalar_gather.c", include_str!("../../../c/scalar/bptq_scalar_gather.c")),
    ("bptq_scalar_gather.h", include_str!("../../../c/scalar/bptq_scalar_gather.h")),
    ("bptq_scalar_layer.h", include_str!("../../../c/scalar/bptq_scalar_layer.h")),
    ("bptq_scalar_lines.c", include_str!("../../../c/scalar/bptq_scalar_lines.c")),
    ("bptq_scalar_lines.h", include_str!("../../../c/scalar/bptq_scalar_lines.h")),
    ("bptq_scalar_math.h", include_str!("../../../c/scalar/bptq_scalar_math.h")),
    ("bptq_scalar_packed.h", include_str!("../../../c/scalar/bptq_scalar_packed.h")),
    ("bptq_scalar_tile.h", include_str!("../../../c/scalar/bptq_scalar_tile.h")),
    ("bptq_scalar_w2.c", include_str!("../../../c/scalar/bptq_scalar_w2.c")),
    ("bptq_scalar_w3.c", include_str!("../../../c/scalar/bptq_scalar_w3.c")),
    ("bptq_scalar_w4.c", include_str!("../../../c/scalar/bptq_scalar_w4.c")),
    ("bptq_scalar_w8.c", include_str!("../../../c/scalar/bptq_scalar_w8.c")),
];

/// What the kernels of the DSP extension add: every file of `c/dsp`.
const DSP: &[(&str, &str)] = &[
    ("bptq_dsp.h", include_str!("../../../c/dsp/bptq_dsp.h")),
    ("bptq_dsp_conv2d.c", include_str!("../../../c/dsp/bptq_dsp_conv2d.c")),
    ("bptq_dsp_depthwise.c", include_str!("../../../c/dsp/bptq_dsp_depthwise.c")),
    ("bptq_dsp_dot.h", include_str!("../../../c/dsp/bptq_dsp_dot.h")),
    ("bptq_dsp_finish.c", include_str!("../../../c/dsp/bptq_dsp_finish.c")),
    ("bptq_dsp_fully_connected.c", include_str!("../../../c/dsp/bptq_dsp_fully_connected.c")),
    ("bptq_dsp_math.h", include_str!("../../../c/dsp/bptq_dsp_math.h")),
    ("bptq_dsp_patch.c", include_str!("../../../c/dsp/bptq_dsp_patch.c")),
    ("bptq_dsp_patch.h", include_str!("../../../c/dsp/bptq_dsp_patch.h")),
];

/// What tiles add to these: every file of `c/tile`.
const TILE: &[(&str, &str)] = &[
    ("bptq_tile.h", include_str!("../../../c/tile/bptq_tile.h")),
    ("bptq_tile_add.c", include_str!("../../../c/tile/bptq_tile_add.c")),
    ("bptq_tile_conv2d.c", include_str!("../../../c/tile/bptq_tile_conv2d.c")),
    ("bptq_tile_depthwise.c", include_str!("../../../c/tile/bptq_tile_depthwise.c")),
    ("bptq_tile_fully_connected.c", include_str!("../../../c/tile/bptq_tile_fully_connected.c")),
    ("bptq_tile_gather.c", include_str!("../../../c/tile/bptq_tile_gather.c")),
    ("bptq_tile_gather.h", include_str!("../../../c/tile/bptq_tile_gather.h")),
    ("bptq_tile_lines.c", include_str!("../../../c/tile/bptq_tile_lines.c")),
    ("bptq_tile_lines.h", include_str!("../../../c/tile/bptq_tile_lines.h")),
    ("bptq_tile_math.h", include_str!("../../../c/tile/bptq_tile_math.h")),
    ("bptq_tile_sums.h", include_str!("../../../c/tile/bptq_tile_sums.h")),
    ("bptq_tile_w4.c", include_str!("../../../c/tile/bptq_tile_w4.c")),
    ("bptq_tile_w8.c", include_str!("../../../c/tile/bptq_tile_w8.c")),
];

/// What the vector kernels add: every file of `c/mve`.
const MVE: &[(&str, &str)] = &[
    ("bptq_mve.h", include_str!("../../../c/mve/bptq_mve.h")),
    ("bptq_mve_add.c", include_str!("../../../c/mve/bptq_mve_add.c")),
    ("bptq_mve_conv2d.c", include_str!("../../../c/mve/bptq_mve_conv2d.c")),
    ("bptq_mve_depthwise.c", include_str!("../../../c/mve/bptq_mve_depthwise.c")),
    ("bptq_mve_dot.h", include_str!("../../../c/mve/bptq_mve_dot.h")),
    ("bptq_mve_finish.c", include_str!("../../../c/mve/bptq_mve_finish.c")),
    ("bptq_mve_fully_connected.c", include_str!("../../../c/mve/bptq_mve_fully_connected.c")),
    ("bptq_mve_math.h", include_str!("../../../c/mve/bptq_mve_math.h")),
    ("bptq_mve_pool.c", include_str!("../../../c/mve/bptq_mve_pool.c")),
];

/// What kernels for four channels at a time add to these: every file of `c/quad`.
const QUAD: &[(&str, &str)] = &[
    ("bptq_quad.h", include_str!("../../../c/quad/bptq_quad.h")),
    ("bptq_quad_conv2d.c", include_str!("../../../c/quad/bptq_quad_conv2d.c")),
    ("bptq_quad_depthwise.c", include_str!("../../../c/quad/bptq_quad_depthwise.c")),
    ("bptq_quad_depthwise.h", include_str!("../../../c/quad/bptq_quad_depthwise.h")),
    ("bptq_quad_fully_connected.c", include_str!("../../../c/quad/bptq_quad_fully_connected.c")),
    ("bptq_quad_line.c", include_str!("../../../c/quad/bptq_quad_line.c")),
    ("bptq_quad_math.h", include_str!("../../../c/quad/bptq_quad_math.h")),
    ("bptq_quad_sums.h", include_str!("../../../c/quad/bptq_quad_sums.h")),
    ("bptq_quad_w2.c", include_str!("../../../c/quad/bptq_quad_w2.c")),
    ("bptq_quad_w4.c", include_str!("../../../c/quad/bptq_quad_w4.c")),
    ("bptq_quad_w8.c", include_str!("../../../c/quad/bptq_quad_w8.c")),
];

/// What `BPTQ_VERSION` in `bptq.h` says.
pub(super) const VERSION: u32 = 100;

/// Programs for a machine with an operating system.
pub(super) const HOSTED: &[(&str, &str)] = &[
    ("Makefile", include_str!("../../../c/template/Makefile")),
    ("main.c", include_str!("../../../c/template/main.c")),
];

/// The files that programs on `kernels` need.
pub(super) fn files(
    kernels: Kernels,
) -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    let own: &[&[(&str, &str)]] = match kernels {
        Kernels::Portable => &[],
        Kernels::Scalar => &[SCALAR],
        Kernels::Dsp => &[DSP],
        Kernels::Tiles => &[DSP, TILE],
        Kernels::Mve => &[MVE],
        Kernels::Quads => &[MVE, QUAD],
    };
    RUNTIME.iter().chain(own.iter().copied().flatten())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_runtime_has_the_version_of_the_package() {
        let numbers = env!("CARGO_PKG_VERSION").split('.').map(|part| part.parse::<u32>());
        let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().expect("three numbers");
        assert_eq!(numbers.iter().fold(0, |sum, number| sum * 100 + number), VERSION);
        let line = format!("#define BPTQ_VERSION {VERSION}\n");
        assert!(RUNTIME.iter().any(|(name, text)| *name == "bptq.h" && text.contains(&line)));
    }

    #[test]
    fn every_runtime_file_is_exported() {
        for (folder, files) in [
            ("c/runtime", RUNTIME),
            ("c/scalar", SCALAR),
            ("c/dsp", DSP),
            ("c/tile", TILE),
            ("c/mve", MVE),
            ("c/quad", QUAD),
        ] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut found: Vec<String> = std::fs::read_dir(folder)
                .expect("the runtime is part of the crate")
                .map(|entry| entry.expect("readable").file_name().into_string().expect("ASCII"))
                .collect();
            found.sort();
            let listed: Vec<_> = files.iter().map(|(name, _)| (*name).to_owned()).collect();
            assert_eq!(listed, found);
        }
    }
}
