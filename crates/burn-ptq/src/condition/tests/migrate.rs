//! Migration shares ranges by its equation.

use super::*;

#[test]
fn the_migration_equation_holds() {
    for strength in [0.0, 0.5, 0.8, 1.0] {
        let before = pair(1, 3);
        let (after, rewrites) = conditioned(&Migrate { strength }, &before);
        assert_eq!(rewrites, 1);
        let x = &observed(&before, 0.0, |m, x| m.max(x.abs()))[before.nodes[0].output.0];
        let weight = |graph: &Graph| graph.nodes[1].op.weight_and_bias().unwrap().0.clone();
        let (before_weight, after_weight) = (weight(&before), weight(&after));
        let bias = |graph: &Graph| graph.nodes[0].op.weight_and_bias().unwrap().1.data.clone();
        for (j, x) in x.iter().enumerate() {
            let places = || (0..5).flat_map(|o| (0..9).map(move |k| (o * 7 + j) * 9 + k));
            let w = places().map(|i| before_weight.data[i].abs()).fold(0.0, f32::max);
            let s = x.powf(strength) / w.powf(1.0 - strength);
            for i in places() {
                let (is, was) = (after_weight.data[i], before_weight.data[i]);
                assert!((is - was * s).abs() <= 1e-5 * is.abs(), "{is} is not {was} * {s}");
            }
            let (is, was) = (bias(&after)[j], bias(&before)[j]);
            assert!((is - was / s).abs() <= 1e-5 * is.abs());
        }
    }
}

#[test]
fn half_the_strength_gives_activations_and_weights_equal_ranges() {
    let layers = [(linear(12, 10, 0, 5).into(), RELU), (linear(4, 12, 0, 25).into(), None)];
    let (graph, _) = conditioned(&Migrate::default(), &chain(&[10], layers));
    let ranges = channel_ranges(&graph);
    let (weight, _) = graph.nodes[1].op.weight_and_bias().unwrap();
    let mut live = 0;
    for (j, &x) in ranges.of(graph.nodes[0].output).iter().enumerate().filter(|(_, x)| **x > 0.0) {
        let column = weight.data.iter().skip(j).step_by(12);
        let w = column.fold(0.0_f32, |m, w| m.max(w.abs()));
        assert!((x - w).abs() <= 1e-4 * x, "{x} is not {w}");
        live += 1;
    }
    assert!(live > 4);
}

#[test]
fn all_readers_are_rescaled_by_the_largest_of_their_weights() {
    let mut before = Graph::new("g", "x", vec![6]);
    let input = before.input();
    let x = before.push("a", linear(5, 6, 0, 3), &[input], "a").unwrap();
    before.nodes[0].clamp = RELU;
    let b = before.push("b", linear(4, 5, 0, 23), &[x], "b").unwrap();
    let c = before.push("c", linear(4, 5, 0, 43), &[x], "c").unwrap();
    before.push("sum", Add, &[b, c], "y").unwrap();
    let (after, rewrites) = conditioned(&Migrate::default(), &before);
    assert_eq!(rewrites, 1);
    let (old, new) = (channel_ranges(&before), channel_ranges(&after));
    for j in 0..5 {
        let weights = [1, 2].map(|n| before.nodes[n].op.weight_and_bias().unwrap().0);
        let columns = weights.into_iter().flat_map(|w| w.data.iter().skip(j).step_by(5));
        let largest = columns.fold(0.0_f32, |m, w| m.max(w.abs()));
        let (was, is) = (old.of(x)[j], new.of(x)[j]);
        assert!((is - (was * largest).sqrt()).abs() <= 1e-4 * is);
    }
}

#[test]
fn a_relu6_blocks_migration() {
    let mut graph = pair(0, 3);
    graph.nodes[0].clamp = RELU6;
    assert_eq!(conditioned(&Migrate::default(), &graph).1, 0);
}
