//! The runs that a study needs.

use std::collections::HashMap;

use burn_ptq::Granularity;
use burn_ptq::Recipe;
use burn_ptq::reconstruct::ReconstructionGranularity;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

use super::file::{Axis, Experiment, Mode, Study, StudyError};
use super::record::{Producer, TaskRecord};

/// A study with its tasks known: every run, and where each belongs in the experiments.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The study's name.
    pub name: String,
    /// What is to run it.
    pub producer: Producer,
    /// The tasks.
    pub tasks: Vec<TaskRecord>,
    /// The experiments.
    pub experiments: Vec<PlannedExperiment>,
    /// All runs, none twice, first those of the first draw.
    pub runs: Vec<Run>,
}

/// An experiment.
#[derive(Clone, Debug)]
pub struct PlannedExperiment {
    /// The question.
    pub question: String,
    /// What readers should know about it.
    pub note: String,
    /// The recipe that all its points start from, as `W4A8, coordinate-descent, ..`.
    pub setting: String,
    /// How its axes combine.
    pub mode: Mode,
    /// Its axes.
    pub axes: Vec<PlannedAxis>,
    /// Its tasks, by index.
    pub tasks: Vec<usize>,
    /// Its points.
    pub points: Vec<Point>,
}

/// An axis.
#[derive(Clone, Debug)]
pub struct PlannedAxis {
    /// Its name.
    pub name: String,
    /// The recipe's key, if it is one.
    pub key: Option<String>,
    /// Its values.
    pub levels: Vec<Level>,
}

/// A value of an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// Its name.
    pub label: String,
    /// Itself, if it is a number.
    pub number: Option<f64>,
}

/// A point of an experiment.
#[derive(Clone, Debug)]
pub struct Point {
    /// The value of each axis.
    pub levels: Vec<usize>,
    /// Its recipe in a line.
    pub recipe: String,
    /// The point that this one is compared with; itself if it is one of those.
    pub reference: usize,
    /// The axis along which the two differ.
    pub axis: usize,
    /// Its runs, for each of the experiment's tasks.
    pub runs: Vec<Vec<usize>>,
}

/// One run.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Follows from everything that the run computes.
    pub id: String,
    /// The task.
    pub task: usize,
    /// The recipe, with its seed.
    pub recipe: Recipe,
    /// Which set of calibration samples is drawn.
    pub draw: usize,
    /// How many samples it has.
    pub samples: usize,
}

/// One of several parts of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 1.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

impl std::str::FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (index, count) = text.split_once('/')?;
            Some(Self { index: index.trim().parse().ok()?, count: count.trim().parse().ok()? })
        };
        let fits = |s: &Self| (1..=s.count).contains(&s.index);
        parse().filter(fits).ok_or_else(|| format!("'{text}': expected i/n with i from 1 to n"))
    }
}

impl Plan {
    /// Plans `study` on `tasks`, which are its own in its order, for what is to run it.
    ///
    /// # Errors
    /// If a combination of values gives no recipe, or asks for more calibration samples than a task
    /// has.
    pub fn new(
        study: &Study,
        tasks: Vec<TaskRecord>,
        producer: &Producer,
    ) -> Result<Self, StudyError> {
        let mut plan = Self {
            name: study.name.clone(),
            producer: producer.clone(),
            tasks,
            experiments: vec![],
            runs: vec![],
        };
        let mut recipes = Vec::new();
        for experiment in &study.experiments {
            let (planned, of_points) = plan.experiment(study, experiment)?;
            plan.experiments.push(planned);
            recipes.push(of_points);
        }
        // Draw by draw, so that a study that is stopped early has whole rounds of all cells.
        let mut known = HashMap::new();
        for draw in 0..study.draws {
            for task in 0..plan.tasks.len() {
                for (experiment, recipes) in plan.experiments.iter_mut().zip(&recipes) {
                    let Some(place) = experiment.tasks.iter().position(|&t| t == task) else {
                        continue;
                    };
                    for (point, recipe) in experiment.points.iter_mut().zip(recipes) {
                        for seed in 0..study.seeds {
                            let seed = (draw * study.seeds + seed) as u64;
                            let run =
                                Run::new(&plan.tasks[task], task, recipe, (draw, seed), producer);
                            let index = *known.entry(run.id.clone()).or_insert(plan.runs.len());
                            if index == plan.runs.len() {
                                plan.runs.push(run);
                                point.runs[place].push(index);
                            } else if !point.runs[place].contains(&index) {
                                point.runs[place].push(index);
                            }
                        }
                    }
                }
            }
        }
        Ok(plan)
    }

    /// An experiment without its runs, and the recipes of its points.
    fn experiment(
        &self,
        study: &Study,
        experiment: &Experiment,
    ) -> Result<(PlannedExperiment, Vec<Recipe>), StudyError> {
        let tasks: Vec<usize> = (0..self.tasks.len())
            .filter(|&t| {
                experiment.tasks.is_empty() || experiment.tasks.contains(&self.tasks[t].name)
            })
            .collect();
        let (mut points, mut recipes) = (Vec::new(), Vec::new());
        let mut places = HashMap::new();
        for (levels, axis) in grid(&experiment.axes, experiment.mode) {
            let mut like = levels.clone();
            like[axis] = 0;
            let reference = places.get(&like).copied().unwrap_or(points.len());
            places.insert(levels.clone(), points.len());
            let recipe = study.recipe(experiment, &levels).map_err(|problem| {
                let problem = format!("experiment '{}': {problem}", experiment.question);
                StudyError::File { origin: study.name.clone(), problem }
            })?;
            for &task in &tasks {
                enough_samples(&self.tasks[task], &recipe).map_err(|problem| {
                    let problem = format!("experiment '{}': {problem}", experiment.question);
                    StudyError::File { origin: study.name.clone(), problem }
                })?;
            }
            let runs = vec![Vec::new(); tasks.len()];
            points.push(Point { levels, recipe: describe(&recipe), reference, axis, runs });
            recipes.push(recipe);
        }
        let axes = experiment.axes.iter().map(|axis| PlannedAxis {
            name: axis.name().into(),
            key: axis.key.clone(),
            levels: (0..axis.len())
                .map(|l| Level { label: axis.label(l), number: axis.number(l) })
                .collect(),
        });
        let setting = recipes.first().map_or_else(String::new, describe);
        let planned = PlannedExperiment {
            question: experiment.question.clone(),
            note: experiment.note.clone(),
            setting,
            mode: experiment.mode,
            axes: axes.collect(),
            tasks,
            points,
        };
        Ok((planned, recipes))
    }

    /// The runs of a shard, or all, by index.
    ///
    /// Ids, which are random numbers, say which shard a run belongs to: in the order of the plan, a
    /// shard might get only the slowest value of an axis, and by rank, a study that grows would
    /// deal finished runs to other shards, which would run them again.
    pub fn part(&self, shard: Option<Shard>) -> Vec<usize> {
        let all = 0..self.runs.len();
        let Some(Shard { index, count }) = shard else { return all.collect() };
        let number = |run: usize| u64::from_str_radix(&self.runs[run].id, 16).unwrap_or(0);
        all.filter(|&run| number(run) % count as u64 == index as u64 - 1).collect()
    }
}

/// A set of fewer samples than a recipe asks for would stand in the report as what it is not.
fn enough_samples(task: &TaskRecord, recipe: &Recipe) -> Result<(), String> {
    let recorded = recipe.calibration.source.component().synthesis().is_none();
    match recipe.calibration.samples {
        Some(asked) if recorded && asked > task.calibration_samples => Err(format!(
            "calibration.samples is {asked}, but task '{}' has {} calibration samples: take at most \
             as many, or name the tasks that have more in the experiment's `tasks`",
            task.name, task.calibration_samples
        )),
        _ => Ok(()),
    }
}

/// The levels of all points, each with the axis along which it is compared; a reference stands
/// before the points that are compared with it.
fn grid(axes: &[Axis], mode: Mode) -> Vec<(Vec<usize>, usize)> {
    let first = vec![0; axes.len()];
    if mode == Mode::OneAtATime {
        let mut points = vec![(first.clone(), 0)];
        for (at, axis) in axes.iter().enumerate() {
            for level in 1..axis.len() {
                let mut levels = first.clone();
                levels[at] = level;
                points.push((levels, at));
            }
        }
        return points;
    }
    let mut points = vec![Vec::new()];
    // The first axis turns fastest.
    for axis in axes.iter().rev() {
        let longer = |rest: &Vec<usize>| -> Vec<Vec<usize>> {
            let with = |level| [vec![level], rest.clone()].concat();
            (0..axis.len()).map(with).collect()
        };
        points = points.iter().flat_map(longer).collect();
    }
    points.into_iter().map(|levels| (levels, 0)).collect()
}

/// A recipe in a line, for the setting of an experiment.
fn describe(recipe: &Recipe) -> String {
    let samples = match (recipe.calibration.source.name(), recipe.calibration.samples) {
        ("data", Some(samples)) => format!("{samples} calibration samples"),
        ("data", None) => "all calibration samples".into(),
        (other, _) => format!("calibration {other}"),
    };
    let conditioning: Vec<&str> = recipe.conditioning.iter().map(|c| c.name()).collect();
    let mut parts = vec![
        recipe.label(),
        format!("rounding {}", recipe.rounding.name()),
        format!("weight ranges {}", recipe.weights.range.name()),
        format!("activation ranges {}", recipe.activations.range.name()),
        format!("correction {}", recipe.correction.name()),
        samples,
    ];
    if recipe.fit.as_ref().is_some_and(|fit| fit.presets) {
        // The other parts are those of the presets.
        parts = vec![
            recipe.label(),
            "each width by its preset".into(),
            parts.pop().unwrap_or_default(),
        ];
        return parts.join(", ");
    }
    if recipe.weights.granularity == Granularity::PerTensor {
        parts.insert(1, "per tensor".into());
    }
    if recipe.reconstruction.granularity != ReconstructionGranularity::None {
        let granularity = format!("{:?}", recipe.reconstruction.granularity).to_lowercase();
        parts.push(format!("reconstruction by {granularity}"));
    }
    if !conditioning.is_empty() {
        parts.insert(1, format!("conditioning {}", conditioning.join(" + ")));
    }
    parts.join(", ")
}

impl Run {
    /// The run of a recipe on a task, with this draw and seed where they matter.
    fn new(
        facts: &TaskRecord,
        task: usize,
        recipe: &Recipe,
        (draw, seed): (usize, u64),
        producer: &Producer,
    ) -> Self {
        let mut recipe = recipe.clone();
        let all = facts.calibration_samples;
        let drawn = recipe.calibration.source.component().synthesis().is_none();
        let samples = recipe.calibration.samples.unwrap_or(all).min(all);
        if drawn {
            recipe.calibration.samples = Some(samples);
        }
        // All samples can be drawn in one way only, and not all recipes are random.
        let draw = if drawn && samples < all { draw } else { 0 };
        if recipe.is_random() {
            recipe.seed = recipe.seed.wrapping_add(seed);
        }
        let text = recipe.to_toml();
        let (draw_text, samples_text) = (draw.to_string(), samples.to_string());
        let mut parts = vec![
            &*producer.version,
            &facts.name,
            &facts.fingerprint,
            &text,
            &draw_text,
            &samples_text,
        ];
        if !producer.on_first_backend() {
            parts.push(&producer.backend);
        }
        let id = digest(&parts);
        Self { id, task, recipe, draw, samples }
    }

    /// The calibration samples of this run among `count`: with the same draw, those of a smaller
    /// set are in every larger one.
    pub(super) fn chosen(&self, count: usize) -> Vec<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(self.draw as u64);
        let mut order: Vec<usize> = (0..count).collect();
        for i in (1..count).rev() {
            let j = random.next_u64() % (i as u64 + 1);
            order.swap(i, j as usize);
        }
        order.truncate(self.samples);
        order.sort_unstable();
        order
    }
}

/// The first 16 hexadecimal digits of the SHA-256 of `parts`.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}
