//! Metrics are those of scikit-learn and SciPy on random outputs and labels.

#![allow(clippy::print_stdout, reason = "tests say what they skip or measure")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn_ptq_eval::metric::{
    Ending, Interval, Judgement, Labels, Metric, MetricOptions, ModelOutput, Setting,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde_json::{Value, json};

/// The Python that has the oracles' packages: `BURN_PTQ_PYTHON`, else that of
/// `scripts/install-oracles.sh`.
fn python(test: &str) -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("BURN_PTQ_PYTHON")
        .map_or_else(|| repository.join(".venv/bin/python"), PathBuf::from);
    let works = Command::new(&python).args(["-c", "import sklearn"]).output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    eprintln!(
        "SKIPPED {test}: no Python with scikit-learn at {}; run scripts/install-oracles.sh, or set \
         BURN_PTQ_PYTHON to a Python with the packages of scripts/requirements.txt",
        python.display()
    );
    None
}

/// Random outputs and labels for a metric.
struct Case {
    metric: Metric,
    outputs: Vec<f32>,
    labels: Vec<f64>,
    samples: usize,
    width: usize,
    threshold: f64,
}

fn uniform(random: &mut ChaCha8Rng) -> f64 {
    f64::from(random.next_u32()) / 2_f64.powi(32)
}

impl Case {
    fn new(metric: Metric, samples: usize, width: usize, seed: u64) -> Self {
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        let threshold = 0.2 + 0.6 * uniform(random);
        let several = !matches!(metric, Metric::Top1 | Metric::TopK(_));
        let count = if several { samples * width } else { samples };
        let label = |_| match metric {
            Metric::Top1 | Metric::TopK(_) => (uniform(random) * width as f64).floor(),
            Metric::Mse | Metric::Mae | Metric::R2 => 3.0 * uniform(random) - 1.0,
            _ => f64::from(u8::from(uniform(random) < 0.4)),
        };
        let labels: Vec<f64> = (0..count).map(label).collect();
        // Outputs that know something of the labels; few enough values that some are equal.
        let output = |i: usize| {
            let hint = match several {
                true => labels[i],
                false => f64::from(u8::from(labels[i / width] as usize == i % width)),
            };
            let x = 0.5 * hint + 0.6 * uniform(random);
            if metric == Metric::Auc { ((20.0 * x).floor() / 20.0) as f32 } else { x as f32 }
        };
        let outputs = (0..samples * width).map(output).collect();
        Self { metric, outputs, labels, samples, width, threshold }
    }

    fn json(&self) -> Value {
        json!({
            "metric": self.metric, "outputs": self.outputs, "labels": self.labels,
            "samples": self.samples, "threshold": self.threshold as f32,
        })
    }

    fn judge(&self) -> Judgement {
        let output = ModelOutput::new("y", &[self.width], Ending::Sigmoid);
        let mut shape = vec![self.samples];
        if self.labels.len() > self.samples {
            shape.push(self.width);
        }
        let labels = Labels::new(Path::new("y.npy"), shape, self.labels.clone());
        let options = MetricOptions { threshold: Some(self.threshold), class_axis: None };
        let setting = Setting {
            samples: self.samples,
            input: &[1],
            output: &output,
            labels: Some(&labels),
            groups: None,
            windows: false,
            options,
        };
        let mut judge = self.metric.judge(&setting).unwrap();
        self.outputs.chunks(self.width).for_each(|outputs| judge.add(outputs, &[0.0]));
        judge.finish().unwrap()
    }
}

fn is_near(found: f64, expected: &Value) -> bool {
    (found - expected.as_f64().unwrap()).abs() < 1e-6
}

#[test]
fn values_and_intervals_are_those_of_scikit_learn_and_scipy() {
    let Some(python) = python("values_and_intervals_are_those_of_scikit_learn_and_scipy") else {
        return;
    };
    let mut cases = Vec::new();
    for (seed, samples) in [7, 40, 300].into_iter().enumerate() {
        for (metric, width) in [
            (Metric::Top1, 4),
            (Metric::TopK(3), 6),
            (Metric::Binary, 1),
            (Metric::F1, 1),
            (Metric::MultiLabel, 3),
            (Metric::Auc, 1),
            (Metric::Mse, 1),
            (Metric::Mse, 3),
            (Metric::Mae, 2),
            (Metric::R2, 1),
            (Metric::R2, 3),
        ] {
            cases.push(Case::new(metric, samples, width, seed as u64));
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/metrics/oracle.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = Value::Array(cases.iter().map(Case::json).collect()).to_string();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let expected: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(expected.len(), cases.len());
    for (case, expected) in cases.iter().zip(&expected) {
        let found = case.judge();
        let what = format!("{} of {} samples: {found:?}, {expected}", case.metric, case.samples);
        assert!(is_near(found.metric, &expected["value"]), "{what}");
        if let Some(ci) = expected["ci"].as_array() {
            let (low, high): Interval = found.interval.unwrap();
            // An error is not negative, whatever its interval is.
            let least = if case.metric.higher_is_better() { f64::MIN } else { 0.0 };
            let lowest = json!(ci[0].as_f64().unwrap().max(least));
            assert!(is_near(low, &lowest) && is_near(high, &ci[1]), "{what}");
        }
        for figure in &found.figures {
            assert!(is_near(figure.value, &expected[figure.name]), "{}: {what}", figure.name);
        }
        if case.metric == Metric::Top1 {
            assert_eq!(json!(found.confusion.unwrap().counts), expected["confusion"]);
        }
    }
}

/// How often intervals over samples of a world hold what is true of it.
fn coverage(
    trials: u64,
    truth: f64,
    metric: Metric,
    world: impl Fn(&mut ChaCha8Rng) -> Case,
) -> f64 {
    let holds = |seed: &u64| {
        let case = world(&mut ChaCha8Rng::seed_from_u64(*seed));
        let (low, high) = case.judge().interval.unwrap();
        low <= truth && truth <= high
    };
    let share = (0..trials).filter(holds).count() as f64 / trials as f64;
    println!("{metric}: {share} of {trials} intervals hold {truth}");
    share
}

/// A normal random number (Box and Muller).
fn normal(random: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (1.0 - uniform(random), uniform(random));
    (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_promised() {
    let case = |metric, outputs: Vec<f32>, labels: Vec<f64>| {
        let samples = labels.len();
        Case { metric, outputs, labels, samples, width: 1, threshold: 0.5 }
    };
    let pairs =
        |random: &mut ChaCha8Rng, count: usize, pair: &dyn Fn(&mut ChaCha8Rng) -> (f64, f64)| {
            let pairs: Vec<(f64, f64)> = (0..count).map(|_| pair(random)).collect();
            (pairs.iter().map(|p| p.0 as f32).collect(), pairs.iter().map(|p| p.1).collect())
        };
    // 19 of 20 are right, whatever the label.
    let binary = coverage(2000, 0.95, Metric::Binary, |random| {
        let (outputs, labels) = pairs(random, 60, &|random| {
            let label = f64::from(u8::from(uniform(random) < 0.5));
            (if uniform(random) < 0.95 { label } else { 1.0 - label }, label)
        });
        case(Metric::Binary, outputs, labels)
    });
    // P(both) = 0.3 and P(either) = 0.4: 2 * 0.3 / 0.7.
    let f1 = coverage(2000, 0.6 / 0.7, Metric::F1, |random| {
        let (outputs, labels) = pairs(random, 80, &|random| match uniform(random) {
            x if x < 0.3 => (1.0, 1.0),
            x if x < 0.34 => (1.0, 0.0),
            x if x < 0.4 => (0.0, 1.0),
            _ => (0.0, 0.0),
        });
        case(Metric::F1, outputs, labels)
    });
    // Scores that differ by two deviations: the normal distribution at the square root of two.
    let auc = coverage(1000, 0.921_350, Metric::Auc, |random| {
        let (outputs, labels) = pairs(random, 60, &|random| {
            let label = f64::from(u8::from(uniform(random) < 0.5));
            (normal(random) + 2.0 * label, label)
        });
        case(Metric::Auc, outputs, labels)
    });
    let mse = coverage(2000, 1.0, Metric::Mse, |random| {
        let (outputs, labels) = pairs(random, 100, &|random| (normal(random), 0.0));
        case(Metric::Mse, outputs, labels)
    });
    // Targets of variance 1 with errors of variance 0.2.
    let r2 = coverage(2000, 0.8, Metric::R2, |random| {
        let (outputs, labels) = pairs(random, 100, &|random| {
            let target = normal(random);
            (target + 0.2_f64.sqrt() * normal(random), target)
        });
        case(Metric::R2, outputs, labels)
    });
    for share in [binary, f1, auc, mse, r2] {
        assert!((0.92..=0.985).contains(&share), "{share}");
    }
}
