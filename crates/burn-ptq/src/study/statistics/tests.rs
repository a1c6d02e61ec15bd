//! Tests of the statistics against cases whose answer is known.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::*;
use crate::metric::auc;
use crate::study::record::Contents;

/// `runs` runs on samples that are right with these probabilities.
fn runs(random: &mut ChaCha8Rng, chances: &[f64], runs: usize) -> Vec<Vec<bool>> {
    let mut hit = |chance: f64| (f64::from(random.next_u32()) / f64::from(u32::MAX)) < chance;
    (0..runs).map(|_| chances.iter().map(|&c| hit(c)).collect()).collect()
}

fn compare(resamples: &Resamples, cell: &[Vec<bool>], reference: &[Vec<bool>]) -> Comparison {
    let resampled = |cell: &[Vec<bool>]| -> Vec<(f64, Resampled)> {
        let metric = |run: &Vec<bool>| run.iter().filter(|&&c| c).count() as f64 / run.len() as f64;
        let of = |run: &Vec<bool>| (metric(run), resamples.run(&Contents::Correct(run.clone())));
        cell.iter().map(of).collect()
    };
    let (cell, reference) = (resampled(cell), resampled(reference));
    let cell: Vec<(f64, &Resampled)> = cell.iter().map(|(m, r)| (*m, r)).collect();
    let reference: Vec<(f64, &Resampled)> = reference.iter().map(|(m, r)| (*m, r)).collect();
    resamples.compare(&cell, &reference, true)
}

/// Samples of which some are hard: what two runs get right is alike.
fn chances(random: &mut ChaCha8Rng, samples: usize, mean: f64) -> Vec<f64> {
    let spread = |random: &mut ChaCha8Rng| f64::from(random.next_u32()) / f64::from(u32::MAX);
    (0..samples).map(|_| if spread(random) < mean { 0.98 } else { 0.05 }).collect()
}

#[test]
fn a_difference_is_claimed_falsely_no_more_often_than_promised() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let resamples = Resamples::new(Judge::Mean, 300, 400, 2);
    let trials = 400;
    let mut claims = 0;
    for _ in 0..trials {
        let chances = chances(&mut random, 300, 0.85);
        let (cell, reference) = (runs(&mut random, &chances, 3), runs(&mut random, &chances, 3));
        claims += usize::from(compare(&resamples, &cell, &reference).p < 0.05);
    }
    assert!(claims <= trials * 7 / 100, "{claims} false claims in {trials} trials");
}

#[test]
fn a_difference_of_some_points_is_found() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let resamples = Resamples::new(Judge::Mean, 400, 1000, 4);
    let chances = chances(&mut random, 400, 0.9);
    let worse: Vec<f64> = chances.iter().map(|c| c * 0.93).collect();
    let found = compare(&resamples, &runs(&mut random, &worse, 3), &runs(&mut random, &chances, 3));
    assert!(found.p < 0.01 && found.high < 0.0, "{found:?}");
    assert!(found.low < found.difference && found.difference < found.high, "{found:?}");
}

#[test]
fn equal_cells_do_not_differ() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let resamples = Resamples::new(Judge::Mean, 50, 200, 6);
    let cell = runs(&mut random, &[0.5; 50], 3);
    let found = compare(&resamples, &cell, &cell);
    assert_eq!((found.p, found.difference, found.low, found.high), (1.0, 0.0, 0.0, 0.0));
}

#[test]
fn resampled_areas_are_those_of_the_drawn_samples() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let scores: Vec<f64> = (0..24).map(|_| f64::from(random.next_u32() % 9)).collect();
    let anomalous: Vec<bool> = (0..24).map(|i| i % 3 == 0).collect();
    let groups: Vec<i64> = (0..24).map(|i| i / 12).collect();
    let judge = Judge::Auc { anomalous: anomalous.clone(), groups: groups.clone() };
    let resamples = Resamples::new(judge, 24, 20, 8);
    let found = resamples.run(&Contents::Scores(scores.clone()));
    for resample in 0..20 {
        // The same by drawing the samples and calling the metric.
        let counts = resamples.counts_of(resample);
        let areas = [0, 1].map(|group| {
            let drawn = (0..24).filter(|&i| groups[i] == group);
            let drawn = drawn.flat_map(|i| vec![i; usize::from(counts[i])]);
            let (s, a): (Vec<f64>, Vec<bool>) = drawn.map(|i| (scores[i], anomalous[i])).unzip();
            auc(&s, &a).unwrap()
        });
        let expected = (areas[0] + areas[1]) / 2.0;
        assert!((f64::from(found.values()[resample]) - expected).abs() < 1e-6);
    }
}

#[test]
fn holm_steps_down() {
    // The example of Holm (1979) as it is often given: 0.01, 0.04, 0.03, 0.005.
    let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
    let expected = [0.03, 0.06, 0.06, 0.02];
    assert!(adjusted.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-12), "{adjusted:?}");
    assert_eq!(holm(&[]), Vec::<f64>::new());
    assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
}

#[test]
fn deviations_need_two_values() {
    assert_eq!(mean_and_deviation(&[3.0]), (3.0, None));
    assert_eq!(mean_and_deviation(&[1.0, 3.0]), (2.0, Some(2.0_f64.sqrt())));
}
