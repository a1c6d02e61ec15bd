//! Instructions per multiply-accumulate of other libraries on the same layers.

/// What CMSIS-NN takes on one layer of `burn_ptq_mcu::layers::LAYERS`.
pub(super) struct Anchor {
    /// The layer's name.
    pub layer: &'static str,
    /// With 8-bit weights on [`TARGETS`].
    pub s8: [f64; 4],
    /// With 4-bit weights, where it was measured.
    pub s4: Option<[Option<f64>; 4]>,
    /// Plain loops in C with 8-bit weights, on a Cortex-M4.
    pub naive: f64,
}

/// The columns.
pub(super) const TARGETS: [&str; 4] = ["cortex-m3", "cortex-m4", "cortex-m7", "cortex-m55"];

/// Measured in QEMU, -O3, gcc 12.2.
pub(super) const ANCHORS: &[Anchor] = &[
    Anchor {
        layer: "conv3x3 16->16 32x32",
        s8: [3.33, 2.325, 2.333, 0.388],
        s4: Some([Some(3.51), Some(4.09), Some(4.10), Some(0.560)]),
        naive: 8.31,
    },
    Anchor { layer: "conv3x3 3->16 32x32", s8: [5.45, 4.82, 4.86, 1.36], s4: None, naive: 19.4 },
    Anchor {
        layer: "conv3x3 32->32 16x16",
        s8: [2.87, 1.925, 1.927, 0.253],
        s4: None,
        naive: 6.75,
    },
    Anchor { layer: "conv1x1 16->32 32x32", s8: [4.79, 3.96, 3.91, 1.07], s4: None, naive: 13.9 },
    Anchor {
        layer: "conv1x1 64->64 16x16",
        s8: [3.09, 2.07, 2.03, 0.393],
        s4: Some([Some(3.89), Some(3.73), Some(3.75), Some(0.636)]),
        naive: 7.98,
    },
    Anchor { layer: "dw3x3 C16 32x32", s8: [10.3, 9.25, 9.12, 3.47], s4: None, naive: 33.2 },
    Anchor {
        layer: "dw3x3 C64 16x16",
        s8: [9.72, 8.61, 8.48, 2.30],
        s4: Some([Some(15.2), Some(15.8), Some(15.8), None]),
        naive: 32.4,
    },
    Anchor {
        layer: "FC 256->64",
        s8: [3.53, 2.08, 2.08, 0.527],
        s4: Some([Some(5.18), Some(5.07), Some(5.07), Some(0.478)]),
        naive: 6.21,
    },
    Anchor { layer: "FC 576->16", s8: [3.58, 1.98, 1.98, 0.508], s4: None, naive: 6.09 },
];

/// What a layer with weights of this many bits may take at most on a Cortex-M4, and on a Cortex-M7.
pub(super) const GOALS: &[(&str, u8, f64)] = &[
    ("conv3x3 16->16 32x32", 8, 2.10),
    ("conv3x3 16->16 32x32", 4, 1.95),
    ("conv3x3 16->16 32x32", 2, 1.75),
    ("conv3x3 3->16 32x32", 8, 4.0),
    ("conv3x3 3->16 32x32", 4, 4.0),
    ("conv3x3 3->16 32x32", 2, 4.0),
    ("conv1x1 64->64 16x16", 8, 1.95),
    ("conv1x1 64->64 16x16", 4, 1.85),
    ("dw3x3 C64 16x16", 8, 7.0),
    ("dw3x3 C64 16x16", 4, 8.0),
    ("FC 256->64", 8, 2.0),
    ("FC 256->64", 4, 2.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_an_anchor() {
        let layers: Vec<String> =
            burn_ptq_mcu::layers::LAYERS.iter().map(|layer| layer.name()).collect();
        assert_eq!(layers, ANCHORS.iter().map(|anchor| anchor.layer).collect::<Vec<_>>());
        assert!(GOALS.iter().all(|(layer, ..)| layers.iter().any(|known| known == layer)));
    }
}
