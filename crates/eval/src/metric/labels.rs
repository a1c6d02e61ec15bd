//! Labels and targets, and what is wrong with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::data::printable;

/// Labels or targets of samples, held in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Labels {
    path: PathBuf,
    shape: Vec<usize>,
    values: Vec<f64>,
    classes: Vec<String>,
}

impl Labels {
    /// Labels of `shape`, whose first axis counts the samples; the last axis is the fastest in
    /// `values`. `path` names them in errors.
    pub fn new(path: &Path, shape: Vec<usize>, values: Vec<f64>) -> Self {
        Self { path: path.into(), shape, values, classes: Vec::new() }
    }

    /// The same with the names of the classes, in order, that integers stand for.
    pub fn with_classes(mut self, classes: Vec<String>) -> Self {
        self.classes = classes;
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Their shape; the first axis counts the samples.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The number of samples.
    pub fn count(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// The shape of one sample's labels.
    pub fn sample_shape(&self) -> &[usize] {
        self.shape.get(1..).unwrap_or_default()
    }

    /// All of them, the last axis the fastest.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The names of the classes, in order; empty if unknown.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// One integer a sample, if these are that.
    pub fn integers(&self) -> Option<Vec<i64>> {
        let whole = self.values.iter().all(|x| x.fract() == 0.0);
        let one = self.values.len() == self.count();
        (one && whole).then(|| self.values.iter().map(|&x| x as i64).collect())
    }

    /// The class of every place of every sample: whole numbers as they are, and of rows of zeros with a single
    /// one the place of the one.
    pub(crate) fn classes_of_samples(&self) -> Option<Vec<i64>> {
        let len: usize = self.sample_shape().iter().product();
        let is_one_hot = |row: &[f64]| {
            row.iter().filter(|&&x| x == 1.0).count() == 1
                && row.iter().filter(|&&x| x == 0.0).count() + 1 == row.len()
        };
        if len > 1 && self.values.chunks(len).all(is_one_hot) {
            let place = |row: &[f64]| row.iter().position(|&x| x == 1.0).map(|at| at as i64);
            return self.values.chunks(len).map(place).collect();
        }
        let whole = self.values.iter().all(|x| x.fract() == 0.0);
        whole.then(|| self.values.iter().map(|&x| x as i64).collect())
    }

    /// Those of the samples at `chosen`.
    #[must_use]
    pub fn of(&self, chosen: &[usize]) -> Self {
        let len: usize = self.sample_shape().iter().product();
        let values = chosen.iter().flat_map(|&i| &self.values[i * len..(i + 1) * len]);
        let mut shape = self.shape.clone();
        shape[0] = chosen.len();
        Self { shape, values: values.copied().collect(), ..self.clone() }
    }

    /// Every label as a class below `classes`.
    pub(super) fn as_classes(&self, classes: usize) -> Result<Vec<usize>, String> {
        self.expect_whole()?;
        if !self.classes.is_empty() && self.classes.len() != classes {
            return Err(format!(
                "the labels in {} have {} names ({}), and the model tells {classes} classes apart: which \
                 output is whose cannot be told; give --classes with the names of all classes, in the order \
                 of the outputs",
                self.path.display(),
                self.classes.len(),
                listed(&self.classes)
            ));
        }
        let limit = classes as f64;
        let outside = |x: &f64| !(0.0..limit).contains(x);
        let wrong = self.values.iter().filter(|x| outside(x)).count();
        if wrong == 0 {
            return Ok(self.values.iter().map(|&x| x as usize).collect());
        }
        let (low, high) = self.range();
        let path = self.path.display();
        let expected = format!("expected the classes 0 to {} of the model", classes - 1);
        if low >= 1.0 && high == limit {
            return Err(format!(
                "the labels in {path} run from {low} to {high} and none is 0: {expected}; if they \
                 count from 1, subtract 1 with numpy: y - 1"
            ));
        }
        let found = summary(self.values.iter().copied().filter(outside));
        let len = (self.values.len() / self.count().max(1)).max(1);
        let first = self.values.iter().position(outside).map_or(0, |i| i / len);
        Err(format!(
            "{wrong} of {} labels in {path} are not classes of the model: {expected}, found {found}; \
             the first is that of sample {first}",
            self.values.len()
        ))
    }

    /// Every label as a truth value, from 0 and 1.
    pub(super) fn as_truth(&self, what: &str) -> Result<Vec<bool>, String> {
        self.expect_whole()?;
        if self.values.iter().all(|x| [0.0, 1.0].contains(x)) {
            return Ok(self.values.iter().map(|&x| x == 1.0).collect());
        }
        let (low, high) = self.range();
        let mut hint = String::new();
        if (low, high) == (1.0, 2.0) {
            hint = "; if they count from 1, subtract 1 with numpy: y - 1".into();
        } else if low == -1.0 && self.values.iter().all(|x| x.abs() == 1.0) {
            hint =
                format!("; for -1 and 1, say which is {what}: with numpy, (y == 1) or (y == -1)");
        }
        Err(format!(
            "the labels in {} hold {}: expected 0, and 1 for {what}{hint}",
            self.path.display(),
            summary(self.values.iter().copied())
        ))
    }

    /// Refuses labels that are NaN, infinite or not whole.
    fn expect_whole(&self) -> Result<(), String> {
        self.expect_finite()?;
        let Some(odd) = self.values.iter().find(|x| x.fract() != 0.0) else { return Ok(()) };
        Err(format!(
            "the labels in {} hold {odd}: expected whole numbers; float targets of a regression are \
             judged by --metric mse, mae or r2",
            self.path.display()
        ))
    }

    /// Refuses NaN and infinity.
    pub(super) fn expect_finite(&self) -> Result<(), String> {
        let Some(at) = self.values.iter().position(|x| !x.is_finite()) else { return Ok(()) };
        let count = self.values.iter().filter(|x| !x.is_finite()).count();
        let len = (self.values.len() / self.count().max(1)).max(1);
        Err(format!(
            "{} holds {count} {} NaN or infinite, the first in sample {}; clean the data first",
            self.path.display(),
            if count == 1 { "value that is" } else { "values that are" },
            at / len
        ))
    }

    fn range(&self) -> (f64, f64) {
        let fold = |(low, high): (f64, f64), &x: &f64| (low.min(x), high.max(x));
        self.values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), fold)
    }

    /// The shape in human-readable form, such as `[500, 4]`.
    pub(super) fn shape_text(&self) -> String {
        format!("{:?}", self.shape)
    }
}

/// Names, the first of many.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| printable(name)).collect();
    let more = names.len().saturating_sub(SHOWN);
    match more {
        0 => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The values with how often each stands there, the most frequent first.
fn summary(values: impl Iterator<Item = f64>) -> String {
    const SHOWN: usize = 6;
    let mut counts: BTreeMap<i64, (f64, usize)> = BTreeMap::new();
    for value in values {
        counts.entry(value.to_bits() as i64).or_insert((value, 0)).1 += 1;
    }
    let mut counts: Vec<(f64, usize)> = counts.into_values().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.total_cmp(&b.0)));
    let text = |&(value, count): &(f64, usize)| {
        format!("{value} ({count} {})", if count == 1 { "time" } else { "times" })
    };
    let mut shown: Vec<String> = counts.iter().take(SHOWN).map(text).collect();
    if counts.len() > SHOWN {
        shown.push(format!("{} other values", counts.len() - SHOWN));
    }
    shown.join(", ")
}
