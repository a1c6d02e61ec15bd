//! High-bias absorption lowers biases and keeps what they cause.

use super::*;

fn bias(graph: &Graph, node: usize) -> Vec<f32> {
    graph.nodes[node].op.weight_and_bias().unwrap().1.data.clone()
}

#[test]
fn high_biases_fall_by_what_the_statistics_allow() {
    let before = pair(0, 3);
    let (after, rewrites) = conditioned(&AbsorbBias::default(), &before);
    assert_eq!(rewrites, 1);
    let statistics = before.nodes[0].batch_norm.as_ref().unwrap();
    let c: Vec<f32> =
        (0..7).map(|i| (statistics.beta[i] - 3.0 * statistics.gamma[i].abs()).max(0.0)).collect();
    assert!(c.iter().any(|&c| c > 1.0) && c.contains(&0.0), "{c:?}");
    let (weight, _) = before.nodes[1].op.weight_and_bias().unwrap();
    for (o, raised) in bias(&after, 1).into_iter().enumerate() {
        let caused: f32 = (0..7 * 9).map(|i| weight.data[o * 7 * 9 + i] * c[i / 9]).sum();
        assert!((raised - bias(&before, 1)[o] - caused).abs() < 1e-4);
    }
    let lowered = after.nodes[0].batch_norm.as_ref().unwrap();
    for (i, c) in c.iter().enumerate() {
        assert!((bias(&before, 0)[i] - bias(&after, 0)[i] - c).abs() < 1e-6);
        assert!((statistics.beta[i] - lowered.beta[i] - c).abs() < 1e-6);
    }
    // There is nothing left to absorb, up to rounding.
    let mut again = after.clone();
    AbsorbBias::default().condition(&mut again, None);
    let left = bias(&after, 0).into_iter().zip(bias(&again, 0)).map(|(a, b)| (a - b).abs());
    assert!(left.fold(0.0, f32::max) < 1e-6);
}

#[test]
fn the_range_of_the_value_falls() {
    let before = pair(0, 3);
    let (after, _) = conditioned(&AbsorbBias::default(), &before);
    let largest = |graph: &Graph| {
        let value = graph.nodes[0].output.0;
        observed(graph, 0.0, f32::max)[value].iter().copied().fold(0.0, f32::max)
    };
    assert!(largest(&after) < 0.7 * largest(&before));
}

#[test]
fn inputs_below_the_absorbed_part_are_cut() {
    // The statistics claim less spread than there is, so the float output is not kept.
    let mut graph = pair(0, 3);
    graph.nodes[0].batch_norm.as_mut().unwrap().gamma.fill(0.0);
    let before = output(&graph);
    AbsorbBias::default().condition(&mut graph, None);
    let change = before.into_iter().zip(output(&graph)).map(|(a, b)| (a - b).abs());
    assert!(change.fold(0.0, f32::max) > 1e-3);
}

#[test]
fn nothing_is_absorbed_into_a_convolution_that_pads() {
    assert_eq!(conditioned(&AbsorbBias::default(), &pair(1, 3)).1, 0);
    // Of conv -> padded depthwise -> pointwise -> pool -> linear only the first link pads.
    let (before, component) = (separable(5), AbsorbBias::default());
    let (after, rewrites) = conditioned(&component, &before);
    assert_eq!(rewrites, 2);
    assert_eq!(bias(&before, 0), bias(&after, 0));
    assert_ne!(bias(&before, 1), bias(&after, 1));
}

#[test]
fn nothing_is_absorbed_through_other_clips_or_padded_averages() {
    let mut graph = pair(0, 3);
    for clamp in [RELU6, None] {
        graph.nodes[0].clamp = clamp;
        assert_eq!(conditioned(&AbsorbBias::default(), &graph).1, 0);
    }
    for (count_include_pad, expected) in [(true, 0), (false, 1)] {
        let window = Window { begin: [1; 2], end: [1; 2], ..Window::new([3; 2]) };
        let pool = AveragePool { window, count_include_pad, ceil_extra: [0; 2] };
        let ops = [
            (conv(7, 3, 3, 0, 1, 3).into(), RELU),
            (pool.into(), None),
            (conv(5, 7, 1, 0, 1, 23).into(), None),
        ];
        assert_eq!(conditioned(&AbsorbBias::default(), &chain(&[3, 8, 8], ops)).1, expected);
    }
}
