//! Weights that lie on a grid already, as those of a network trained with fake quantization do: the
//! grid is found and kept, so that quantizing changes nothing.

/// How far from a whole number of steps per weight may be, which floats round to.
const TOLERANCE: f32 = 1e-4;

/// The largest scale of which all weights are whole multiples within `min..=max`, if there is one.
///
/// Arbitrary weights have none, except for a row of one or two.
pub(super) fn scale(weights: &[f32], (min, max): (i32, i32)) -> Option<f32> {
    let magnitude = weights.iter().fold(0.0_f32, |m, w| m.max(w.abs()));
    if magnitude <= 0.0 || !magnitude.is_finite() {
        return None;
    }
    (1..=max.max(-min)).map(|steps| magnitude / steps as f32).find(|scale| {
        weights.iter().all(|w| {
            let units = w / scale;
            let level = units.round();
            (units - level).abs() < TOLERANCE && (min as f32..=max as f32).contains(&level)
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_grid_is_found_again_and_represents_every_weight(
            bits in 2_u8..=8,
            step in 1e-4_f32..1.0,
            levels in prop::collection::vec(-128_i32..=127, 3..40),
        ) {
            let (min, max) = burn_ptq_kernels::grid::weight_range(bits);
            let levels: Vec<i32> = levels.into_iter().map(|l| l.clamp(min, max)).collect();
            let weights: Vec<f32> = levels.iter().map(|&l| l as f32 * step).collect();
            match scale(&weights, (min, max)) {
                None => prop_assert!(levels.iter().all(|&l| l == 0)),
                Some(found) => for w in weights {
                    let error = (w - (w / found).round() * found).abs();
                    prop_assert!(error <= 2e-4 * found, "{w} on multiples of {found}");
                },
            }
        }

        #[test]
        fn arbitrary_weights_lie_on_none(
            weights in prop::collection::vec(-1.0_f32..1.0, 8..40),
        ) {
            prop_assert_eq!(scale(&weights, (-127, 127)), None);
        }
    }
}
