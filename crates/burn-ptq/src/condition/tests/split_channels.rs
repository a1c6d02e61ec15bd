//! Channel splitting halves the largest weights.

use super::*;

fn weight(graph: &Graph, node: usize) -> &Array {
    graph.nodes[node].op.weight_and_bias().unwrap().0
}

fn largest(graph: &Graph, node: usize) -> f32 {
    weight(graph, node).data.iter().fold(0.0, |m, w| m.max(w.abs()))
}

#[test]
fn the_largest_weight_of_a_split_layer_falls() {
    let before = pair(1, 3);
    let (after, rewrites) = conditioned(&SplitChannels::default(), &before);
    // One of 7 channels is 2 percent, rounded up.
    assert_eq!(rewrites, 1);
    assert_eq!(weight(&after, 0).shape, [8, 3, 3, 3]);
    assert_eq!(weight(&after, 1).shape, [5, 8, 3, 3]);
    assert_eq!(after.value(after.nodes[0].output).shape[0], 8);
    assert!(largest(&after, 1) < largest(&before, 1));
    // By index: the channel that held the largest weight, and its copy at the end, hold the halves.
    let at = |graph: &Graph, o: usize, c: usize, k: usize| {
        let weight = weight(graph, 1);
        weight.data[(o * weight.shape[1] + c) * 9 + k]
    };
    let place = weight(&before, 1).data.iter().position(|w| w.abs() == largest(&before, 1));
    let split = place.unwrap() / 9 % 7;
    for o in 0..5 {
        for k in 0..9 {
            assert_eq!(at(&after, o, split, k), at(&before, o, split, k) / 2.0);
            assert_eq!(at(&after, o, 7, k), at(&before, o, split, k) / 2.0);
            let other = (split + 1) % 7;
            assert_eq!(at(&after, o, other, k), at(&before, o, other, k));
        }
    }
    let written = weight(&after, 0);
    assert_eq!(written.data[7 * 27..], written.data[split * 27..][..27]);
    let statistics = after.nodes[0].batch_norm.as_ref().unwrap();
    assert_eq!((statistics.beta.len(), statistics.beta[7]), (8, statistics.beta[split]));
}

#[test]
fn more_splits_halve_again() {
    let before = pair(0, 3);
    let splits = |expand| conditioned(&SplitChannels { expand }, &before);
    assert_eq!(splits(0.0).1, 0);
    let (few, many) = (splits(3.0 / 7.0), splits(1.0));
    assert_eq!((few.1, many.1), (3, 7));
    assert!(largest(&many.0, 1) <= largest(&few.0, 1));
    assert!(largest(&many.0, 1) <= largest(&before, 1) / 2.0);
}

#[test]
fn a_depthwise_layer_between_is_widened_and_never_split() {
    let before = separable(5);
    let (after, rewrites) = conditioned(&SplitChannels::default(), &before);
    // The pointwise and the linear layer; the depthwise layer only carries a channel more.
    assert_eq!(rewrites, 2);
    assert_eq!(weight(&after, 0).shape[0], 7);
    assert_eq!(weight(&after, 1).shape, [7, 1, 3, 3]);
    assert_eq!(weight(&after, 2).shape[..2], [10, 7]);
    assert_eq!(weight(&after, 5).shape, [4, 10]);
    assert_eq!(largest(&after, 1), largest(&before, 1));
    assert!(largest(&after, 2) < largest(&before, 2));
    assert!(largest(&after, 5) < largest(&before, 5));
}

#[test]
fn a_flattened_channel_is_split_as_a_run_of_features() {
    let before = chain(
        &[3, 6, 6],
        [
            (conv(6, 3, 3, 0, 1, 3).into(), RELU),
            (reshape(&[6 * 16]), None),
            (linear(5, 6 * 16, 0, 23).into(), None),
        ],
    );
    let (after, rewrites) = conditioned(&SplitChannels::default(), &before);
    assert_eq!(rewrites, 1);
    assert_eq!(weight(&after, 2).shape, [5, 7 * 16]);
    assert!(largest(&after, 2) < largest(&before, 2));
}
