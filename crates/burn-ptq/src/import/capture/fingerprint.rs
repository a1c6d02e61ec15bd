//! Hashes of a module's parameters, by which later changes are noticed.
//!
//! In Burn 0.22 all clones of a module share the running statistics of its batch normalizations, and
//! no other parameter. A clone that trains thus changes what the module that it was cloned from
//! computes. [`Fingerprint::into_origin`] notices it when the module is captured a second time,
//! [`Fingerprint::first_change`] when a quantized graph is written back.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

use crate::graph::{Origin, to_vec};
use crate::warning::Warning;

/// How many captured modules are remembered.
const REMEMBERED: usize = 64;

/// The modules with running statistics that were captured last in this process, the oldest first.
static CAPTURED: Mutex<VecDeque<Captured>> = Mutex::new(VecDeque::new());

struct Captured {
    /// A hash of all parameters' identifiers, and of the values of those that are not statistics.
    weights: u64,
    /// By path.
    statistics: BTreeMap<String, u64>,
}

/// The values of a module's parameters and running statistics at one moment, as hashes.
#[derive(Default)]
pub(crate) struct Fingerprint {
    path: Vec<String>,
    parameters: BTreeMap<String, Hashed>,
}

struct Hashed {
    id: ParamId,
    values: u64,
}

/// Whether `path` is that of a running statistic of a batch normalization.
pub(crate) fn is_statistic(path: &str) -> bool {
    let name = path.rsplit_once('.').map_or(path, |(_, name)| name);
    name == "running_mean" || name == "running_var"
}

impl Fingerprint {
    /// The fingerprint of `module` as it infers, with reparameterizations applied.
    pub(crate) fn of<M: Module>(module: &M) -> Self {
        let mut fingerprint = Self::default();
        // `valid` also waits for updates of running statistics that are still to come.
        module.valid().materialize().visit(&mut fingerprint);
        fingerprint
    }

    /// The first parameter that has other values than in `origin`.
    pub(crate) fn first_change(&self, origin: &Origin) -> Option<&str> {
        let differs = |path: &str, now: u64| origin.values.get(path).is_some_and(|&t| t != now);
        let mut paths = self.parameters.iter();
        paths.find(|(path, now)| differs(path, now.values)).map(|(path, _)| path.as_str())
    }

    /// What a graph that is captured from this module keeps of it. Warns if a module with the same
    /// weights was captured before, with other running statistics.
    pub(crate) fn into_origin(self) -> Origin {
        let warnings: Vec<Warning> = self.moved_statistic().map(moved).into_iter().collect();
        for warning in &warnings {
            tracing::warn!("{warning}");
        }
        let hash = |(path, hashed): (String, Hashed)| (path, hashed.values);
        Origin { values: self.parameters.into_iter().map(hash).collect(), warnings }
    }

    /// The first running statistic that differs from the first capture of this module with the
    /// same weights; remembers the module.
    fn moved_statistic(&self) -> Option<String> {
        let mut weights = DefaultHasher::new();
        let mut statistics = BTreeMap::new();
        for (path, hashed) in &self.parameters {
            // Clones have the same identifiers, other modules others, whatever their values are.
            hashed.id.hash(&mut weights);
            if is_statistic(path) {
                statistics.insert(path.clone(), hashed.values);
            } else {
                hashed.values.hash(&mut weights);
            }
        }
        let weights = weights.finish();
        let mut captured = CAPTURED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = captured.iter().find(|c| c.weights == weights) {
            let mut paths = statistics.iter();
            return paths
                .find(|&(p, v)| first.statistics.get(p) != Some(v))
                .map(|(p, _)| p.clone());
        }
        if !statistics.is_empty() {
            captured.push_back(Captured { weights, statistics });
            if captured.len() > REMEMBERED {
                captured.pop_front();
            }
        }
        None
    }
}

fn moved(statistic: String) -> Warning {
    let message = format!(
        "running statistic '{statistic}' of the module has changed since it was first captured, \
         while its weights have not: in Burn, clones of a module share running statistics, and \
         training one of them moves those of all"
    );
    let hint = "train `module.valid().train()`, which has statistics of its own, instead of \
                `module.clone()`; ignore this if the statistics were re-estimated on purpose";
    Warning::new("moved-statistics", message, hint)
}

impl ModuleVisitor for Fingerprint {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let mut hasher = DefaultHasher::new();
        to_vec(parameter.val()).iter().for_each(|value| value.to_bits().hash(&mut hasher));
        let hashed = Hashed { id: parameter.id, values: hasher.finish() };
        self.parameters.insert(self.path.join("."), hashed);
    }
}
