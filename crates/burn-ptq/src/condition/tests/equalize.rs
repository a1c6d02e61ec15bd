//! Cross-layer equalization makes ranges equal.

use super::*;

/// Equalization of every channel, however far its ranges lie apart.
const UNLIMITED: Equalize = Equalize { iterations: 40, limit: 1e9, relu6: Relu6::Keep };

/// The largest `|W|` of each output channel, by indices.
fn written(op: &Op) -> Vec<f32> {
    let (weight, _) = op.weight_and_bias().unwrap();
    let len = weight.len() / weight.shape[0];
    let row = |o: usize| (0..len).map(|i| weight.data[o * len + i].abs()).fold(0.0, f32::max);
    (0..weight.shape[0]).map(row).collect()
}

/// The largest `|W|` of each input channel of a layer without groups, by indices.
fn read(op: &Op) -> Vec<f32> {
    let (weight, _) = op.weight_and_bias().unwrap();
    let (rows, columns) = (weight.shape[0], weight.shape[1]);
    let block = weight.len() / rows / columns;
    let largest = |c: usize| {
        let of_row = |o: usize| (0..block).map(move |k| (o * columns + c) * block + k);
        (0..rows).flat_map(of_row).map(|i| weight.data[i].abs()).fold(0.0, f32::max)
    };
    (0..columns).map(largest).collect()
}

fn assert_equal(a: &[f32], b: &[f32]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-3 * a.max(*b) && *a > 0.0, "{a} is not {b}");
    }
}

#[test]
fn equalized_pairs_have_equal_ranges() {
    for pad in [0, 1] {
        let before = pair(pad, 3);
        let (graph, rewrites) = conditioned(&UNLIMITED, &before);
        assert_eq!(rewrites, 1);
        let ranges = written(&graph.nodes[0].op);
        assert_equal(&ranges, &read(&graph.nodes[1].op));
        let (r1, r2) = (written(&before.nodes[0].op), read(&before.nodes[1].op));
        let means: Vec<f32> = r1.iter().zip(r2).map(|(a, b)| (a * b).sqrt()).collect();
        assert_equal(&ranges, &means);
    }
}

#[test]
fn equalized_depthwise_triples_have_equal_ranges() {
    let (graph, rewrites) = conditioned(&UNLIMITED, &separable(5));
    // The triple, and the pair around the pool.
    assert_eq!(rewrites, 2);
    assert_equal(&written(&graph.nodes[0].op), &written(&graph.nodes[1].op));
    assert_equal(&written(&graph.nodes[1].op), &read(&graph.nodes[2].op));
    assert_equal(&written(&graph.nodes[2].op), &read(&graph.nodes[5].op));
}

#[test]
fn all_pairs_of_a_long_chain_become_equal() {
    let (graph, rewrites) = conditioned(&UNLIMITED, &perceptron(9));
    assert_eq!(rewrites, 3);
    for (first, second) in [(0, 1), (1, 3), (3, 4)] {
        assert_equal(&written(&graph.nodes[first].op), &read(&graph.nodes[second].op));
    }
}

#[test]
fn statistics_follow_the_weights() {
    let before = pair(0, 3);
    let (graph, _) = conditioned(&UNLIMITED, &before);
    let statistics = |graph: &Graph| graph.nodes[0].batch_norm.clone().unwrap();
    let (a, b) = (statistics(&before), statistics(&graph));
    let ranges = written(&before.nodes[0].op).into_iter().zip(written(&graph.nodes[0].op));
    for (c, (r, s)) in ranges.enumerate() {
        assert!((b.gamma[c] / a.gamma[c] / (s / r) - 1.0).abs() < 1e-4);
        assert!((b.beta[c] / a.beta[c] / (s / r) - 1.0).abs() < 1e-4);
    }
    assert_eq!((a.mean, a.variance), (b.mean, b.variance));
}

#[test]
fn channels_of_zeros_keep_their_weights() {
    let mut before = pair(0, 3);
    let (weight, _) = before.nodes[0].op.weight_and_bias_mut().unwrap();
    weight.rows_mut().nth(2).unwrap().fill(0.0);
    let (graph, _) = conditioned(&UNLIMITED, &before);
    let bias = |graph: &Graph| graph.nodes[0].op.weight_and_bias().unwrap().1.data[2];
    assert_eq!(bias(&before), bias(&graph));
    assert_eq!(read(&before.nodes[1].op)[2], read(&graph.nodes[1].op)[2]);
}

#[test]
fn a_channel_that_is_as_good_as_zero_is_not_raised_without_end() {
    let mut before = pair(0, 3);
    let (weight, _) = before.nodes[0].op.weight_and_bias_mut().unwrap();
    weight.rows_mut().nth(2).unwrap().iter_mut().for_each(|w| *w *= 1e-20);
    let component = Equalize::default();
    let (graph, _) = conditioned(&component, &before);
    let bias = |graph: &Graph, c: usize| graph.nodes[0].op.weight_and_bias().unwrap().1.data[c];
    assert!((bias(&graph, 2) / bias(&before, 2) - component.limit).abs() < 1e-4);
    for c in 0..7 {
        let factor = bias(&graph, c) / bias(&before, c);
        assert!(factor < component.limit * 1.0001 && factor > 0.9999 / component.limit);
    }
}

#[test]
fn a_relu6_blocks_a_pair_unless_it_may_become_a_relu() {
    let mut clipped = pair(0, 3);
    clipped.nodes[0].clamp = RELU6;
    let (graph, rewrites) = conditioned(&UNLIMITED, &clipped);
    assert_eq!((rewrites, graph.nodes[0].clamp), (0, RELU6));

    let equalize = Equalize { relu6: Relu6::Relu, ..UNLIMITED };
    let mut graph = clipped.clone();
    assert_eq!(equalize.condition(&mut graph, None), 1);
    assert_eq!(graph.nodes[0].clamp, RELU);
    assert_equal(&written(&graph.nodes[0].op), &read(&graph.nodes[1].op));
    assert_same(&output(&pair(0, 3)), &output(&graph));
    let change = output(&clipped).into_iter().zip(output(&graph)).map(|(a, b)| (a - b).abs());
    assert!(change.fold(0.0, f32::max) > 1e-3, "the clip cut nothing off");
}

#[test]
fn a_hard_clip_at_a_negative_number_blocks_a_pair() {
    let mut graph = pair(0, 3);
    graph.nodes[0].clamp = Some(Clamp { min: -1.0, max: 1.0 });
    let equalize = Equalize { relu6: Relu6::Relu, ..UNLIMITED };
    assert_eq!(conditioned(&equalize, &graph).1, 0);
}
