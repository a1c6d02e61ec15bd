//! Tests of the statistics against cases whose answer is known, and by simulation.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use super::*;

/// A random number between 0 and 1.
fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (f64::from(random.next_u32()) + 0.5) / 2_f64.powi(32)
}

/// A normal random number (Box and Muller).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (uniform(random), uniform(random));
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

/// What a simulated study looks like.
#[derive(Clone, Copy, Debug)]
struct World {
    samples: usize,
    draws: usize,
    /// The standard deviation of what a draw adds to the chance of all samples.
    spread: f64,
    /// Whether both cells have the same draws.
    paired: bool,
    /// Whether the metric is the area under the ROC curve in three groups.
    auc: bool,
}

impl World {
    fn judge(&self) -> Judge {
        match self.auc {
            false => Judge::Mean,
            true => Judge::Auc {
                anomalous: (0..self.samples).map(|i| i % 2 == 1).collect(),
                groups: (0..self.samples).map(|i| (i % 3) as i64).collect(),
            },
        }
    }

    /// A run on samples of which some are hard: what two runs get right is alike.
    fn run(&self, random: &mut ChaCha8Rng, hard: &[f64], shift: f64) -> Outcomes {
        if self.auc {
            let score = |(i, hard): (usize, &f64)| {
                let anomaly = if i % 2 == 1 { 1.2 + 4.0 * shift } else { 0.0 };
                anomaly + hard + 0.3 * normal(random)
            };
            return Outcomes::Scores(hard.iter().enumerate().map(score).collect());
        }
        let right = |hard: &f64| {
            let chance = if *hard < 1.0 { 0.93 } else { 0.1 };
            uniform(random) < chance + shift
        };
        Outcomes::Correct(hard.iter().map(right).collect())
    }

    /// Two cells of the same world, and the second with its runs `worse`.
    fn comparison(&self, random: &mut ChaCha8Rng, worse: f64) -> Comparison {
        let judge = self.judge();
        let hard: Vec<f64> = (0..self.samples).map(|_| normal(random)).collect();
        let mut cell = |first: usize, worse: f64| -> Vec<Judged> {
            let draws = first..first + self.draws;
            let judged = |draw: usize| {
                let shift = self.spread * normal(random) - worse;
                let values = judge.values(&self.run(random, &hard, shift));
                Judged { draw: Draw::Samples(draw), values }
            };
            draws.map(judged).collect()
        };
        let reference = cell(0, 0.0);
        let cell = cell(if self.paired { 0 } else { self.draws }, worse);
        judge.compare(&cell, Against::Cell(&reference), !self.auc)
    }

    /// The share of comparisons of equal cells that are claimed to differ at each level, and by the
    /// test that takes variances for known.
    fn false_claims(&self, trials: u64, levels: [f64; 3]) -> ([f64; 3], [f64; 3]) {
        let claims = |trial: u64| {
            let mut random = ChaCha8Rng::seed_from_u64(trial);
            let found = self.comparison(&mut random, 0.0);
            let count = |claimed: bool| if claimed { 1.0 } else { 0.0 };
            (
                levels.map(|level| count(found.significant(level))),
                levels.map(|level| count(found.significant_if_variances_were_known(level))),
            )
        };
        let add = |a: ([f64; 3], [f64; 3]), b: ([f64; 3], [f64; 3])| {
            let sum = |a: [f64; 3], b: [f64; 3]| [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
            (sum(a.0, b.0), sum(a.1, b.1))
        };
        let sums = (0..trials).into_par_iter().map(claims).reduce(Default::default, add);
        let share = |sums: [f64; 3]| sums.map(|sum| sum / trials as f64);
        (share(sums.0), share(sums.1))
    }
}

#[test]
fn differences_are_claimed_falsely_no_more_often_than_promised() {
    // The second is what the smallest of a dozen p-values is held against.
    let levels = [0.05, 0.004, 0.000_4];
    let trials = 5000;
    let mut careless: f64 = 0.0;
    for auc in [false, true] {
        for paired in [true, false] {
            for spread in [0.0, 0.005, 0.02, 0.06] {
                let samples = if auc { 120 } else { 300 };
                // Two draws are the fewest that may claim anything.
                let draws = if spread == 0.06 { 2 } else { 3 };
                let world = World { samples, draws, spread, paired, auc };
                let (claimed, known) = world.false_claims(trials, levels);
                println!("{world:?}: {claimed:?}; with variances taken for known {known:?}");
                for (level, claimed) in levels.iter().zip(claimed) {
                    // Three standard deviations of the simulation.
                    let most = level + 3.0 * (level / trials as f64).sqrt();
                    assert!(claimed <= most, "{world:?}: {claimed} at {level}");
                }
                careless = careless.max(known[1]);
            }
        }
    }
    // The simulation can tell: three draws, taken for many, claim falsely ten times as often.
    assert!(careless > 0.04, "{careless}");
}

#[test]
fn differences_are_found() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let few = World { samples: 400, draws: 3, spread: 0.0, paired: true, auc: false };
    let found = few.comparison(&mut random, 0.15);
    let (low, high) = found.interval(0.05);
    assert!(found.p() < 0.02 && high < 0.0, "{found:?} {}", found.p());
    assert!(low < found.difference && found.difference < high, "{found:?}");
    // Among 300 comparisons it takes more draws, or runs that hardly differ.
    let more = World { draws: 6, ..few };
    let p = more.comparison(&mut random, 0.3).p();
    assert!(p < 0.05 / 300.0, "{p}");
}

fn judged(draw: usize, correct: &[bool]) -> Judged {
    let values = Judge::Mean.values(&Outcomes::Correct(correct.to_vec()));
    Judged { draw: Draw::Samples(draw), values }
}

#[test]
fn equal_cells_do_not_differ() {
    let right: Vec<bool> = (0..50).map(|i| i % 3 == 0).collect();
    let cell = [judged(0, &right), judged(1, &right)];
    let found = Judge::Mean.compare(&cell, Against::Cell(&cell), true);
    assert_eq!((found.p(), found.difference), (1.0, 0.0));
    // Scores that differ in the last bit of a 32-bit number do not differ in their order.
    let world = World { samples: 60, draws: 2, spread: 0.0, paired: true, auc: true };
    let scores = |scale: f64| -> Vec<Judged> {
        let scores = (0..60).map(|i| f64::from((i * 37 % 61) as f32) * scale).collect();
        let values = world.judge().values(&Outcomes::Scores(scores));
        (0..2).map(|d| Judged { draw: Draw::Samples(d), values: values.clone() }).collect()
    };
    let found = world.judge().compare(&scores(1.0), Against::Cell(&scores(1.0 + 1e-7)), false);
    assert_eq!((found.p(), found.difference), (1.0, 0.0));
}

#[test]
fn few_samples_that_all_differ_one_way_are_as_rare_as_coins_say() {
    // McNemar's exact p-value of k samples that all turned wrong is 2^(1-k).
    let right = vec![true; 400];
    for k in 4..=10_usize {
        let wrong: Vec<bool> = (0..400).map(|i| i >= k).collect();
        // Draws that all agree add next to nothing.
        let [cell, reference] =
            [&wrong, &right].map(|c| (0..8).map(|draw| judged(draw, c)).collect::<Vec<_>>());
        let p = Judge::Mean.compare(&cell, Against::Cell(&reference), true).p();
        let exact = 2_f64.powi(1 - k as i32);
        assert!(p > 0.8 * exact && p < 2.6 * exact, "{k}: {p} for {exact}");
    }
}

#[test]
fn one_component_is_a_paired_t_test() {
    // Metrics of draws differ, samples within a run do not: only draws vary.
    let cell = |metrics: [f64; 3]| -> Vec<Judged> {
        let judged = |(draw, metric)| Judged { draw: Draw::Samples(draw), values: vec![metric; 9] };
        metrics.into_iter().enumerate().map(judged).collect()
    };
    let (a, b) = (cell([0.7, 0.6, 0.8]), cell([0.5, 0.5, 0.5]));
    let found = Judge::Mean.compare(&a, Against::Cell(&b), false);
    // t = 0.2 / (0.1 / sqrt 3) = 3.4641 with two degrees of freedom.
    assert!((found.difference - 0.2).abs() < 1e-12);
    assert!((found.p() - 0.074_18).abs() < 1e-4, "{}", found.p());
    assert!((found.margin(0.05) - 4.302_653 * 0.1 / 3_f64.sqrt()).abs() < 1e-6);
}

#[test]
fn draws_are_counted_and_not_seeds() {
    let right: Vec<bool> = (0..90).map(|i| i % 3 != 0).collect();
    let wrong = vec![false; 90];
    let seeds = |correct: &[bool]| -> Vec<Judged> { (0..5).map(|_| judged(0, correct)).collect() };
    assert!(!Judge::Mean.compare(&seeds(&right), Against::Cell(&seeds(&wrong)), true).enough);
    let network = Judge::Mean.values(&Outcomes::Correct(wrong.clone()));
    assert!(!Judge::Mean.compare(&seeds(&right), Against::Network(&network), true).enough);
    // Of a draw that has several seeds, the mean is taken.
    let twice = [judged(0, &right), judged(0, &wrong), judged(1, &wrong)];
    let once = [judged(0, &wrong), judged(1, &wrong)];
    let found = Judge::Mean.compare(&twice, Against::Cell(&once), true);
    assert!(found.enough && (found.difference - 1.0 / 6.0).abs() < 1e-12, "{found:?}");
    // Draws that one of the cells lacks are left out.
    let more = [judged(0, &wrong), judged(1, &wrong), judged(2, &right)];
    assert_eq!(Judge::Mean.compare(&more, Against::Cell(&once), true).difference, 0.0);
}

#[test]
fn placements_have_the_area_for_their_mean() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let scores: Vec<f64> = (0..24).map(|_| f64::from(random.next_u32() % 9)).collect();
    let anomalous: Vec<bool> = (0..24).map(|i| i % 3 == 0).collect();
    let groups: Vec<i64> = (0..24).map(|i| i / 12).collect();
    let judge = Judge::Auc { anomalous: anomalous.clone(), groups };
    let cell = |scores: &[f64]| Judged {
        draw: Draw::Samples(0),
        values: judge.values(&Outcomes::Scores(scores.to_vec())),
    };
    // Against a network that cannot tell samples apart, whose area is a half.
    let half = judge.values(&Outcomes::Scores(vec![0.0; 24]));
    let found = judge.compare(&[cell(&scores)], Against::Network(&half), false).difference;
    let areas = [0..12, 12..24].map(|g| auc(&scores[g.clone()], &anomalous[g]).unwrap());
    assert!((found + 0.5 - (areas[0] + areas[1]) / 2.0).abs() < 1e-12);
}

#[test]
fn the_false_discovery_rate_steps_up() {
    // m p / rank, and no p-value adjusted above a larger one.
    let adjusted = false_discovery(&[0.01, 0.04, 0.03, 0.005]);
    let expected = [0.02, 0.04, 0.04, 0.02];
    assert!(adjusted.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-12), "{adjusted:?}");
    assert_eq!(false_discovery(&[]), Vec::<f64>::new());
    assert_eq!(false_discovery(&[0.9, 0.8]), [0.9, 0.9]);
    // The 15 p-values of Benjamini and Hochberg (1995), of which four are claimed at 5 %.
    let p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
        0.5719, 0.6528, 0.7590, 1.0,
    ];
    assert_eq!(false_discovery(&p).iter().filter(|&&p| p <= 0.05).count(), 4);
}

#[test]
fn of_claims_among_true_and_false_ones_few_are_false() {
    // Forty comparisons with one reference, a quarter of them of cells that differ.
    let (worlds, mut share) = (400, 0.0);
    for seed in 0..worlds {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let shared = normal(&mut random);
        let p: Vec<f64> = (0..40)
            .map(|i| {
                let shift = if i % 4 == 0 { 4.0 } else { 0.0 };
                let z = (normal(&mut random) + shared) / 2_f64.sqrt() + shift;
                student::two_sided(z.abs(), 1e6)
            })
            .collect();
        let adjusted = false_discovery(&p);
        let claimed = |i: &usize| adjusted[*i] < 0.05;
        let claims = (0..40).filter(claimed).count();
        let wrong = (0..40).filter(|i| i % 4 != 0).filter(claimed).count();
        share += wrong as f64 / claims.max(1) as f64;
    }
    assert!(share / (worlds as f64) < 0.06, "{}", share / worlds as f64);
}

#[test]
fn deviations_need_two_values() {
    assert_eq!(mean_and_deviation(&[3.0]), (3.0, None));
    assert_eq!(mean_and_deviation(&[1.0, 3.0]), (2.0, Some(2.0_f64.sqrt())));
}
