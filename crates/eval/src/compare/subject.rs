//! What is compared: integer programs, float networks, and reports.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn_ptq::Recipe;
use burn_ptq::Warning;
use burn_ptq::graph::{Graph, ValueId};
use burn_ptq_deploy::place::Placed;

use super::CompareError;
use super::letters::letter;
use super::recorded::{Recorded, RecordedEnd};
use crate::error::Error;
use crate::metric::{ChoiceError, ModelOutput};
use crate::program;
use crate::task::Task;

/// A model, its report, or both.
pub(super) struct Subject {
    /// What tables and messages call it: `A`, `B` and so on.
    pub letter: String,
    /// As it was named.
    pub path: PathBuf,
    /// The model; `None` for a report alone.
    pub network: Option<Network>,
    /// The report, if there is one.
    pub report: Option<Recorded>,
    /// Reasons to doubt that the files belong together.
    pub warnings: Vec<Warning>,
}

/// A network that can be run.
pub(super) enum Network {
    /// An integer program.
    Program(Box<Placed>),
    /// A float network.
    Float {
        /// As it is stored in its file.
        graph: Arc<Graph>,
        /// SHA-256 of the file.
        sha256: String,
    },
}

impl Network {
    /// The output called `name`; without a name the only one.
    pub(super) fn output(&self, name: Option<&str>) -> Result<ModelOutput, ChoiceError> {
        match self {
            Self::Program(program) => ModelOutput::of_program(program, name),
            Self::Float { graph, .. } => ModelOutput::of_graph(graph, name),
        }
    }
}

/// The shapes of the ends of a model, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shapes {
    /// Those of the inputs.
    pub inputs: Vec<Vec<usize>>,
    /// Those of the outputs.
    pub outputs: Vec<Vec<usize>>,
}

impl Subject {
    /// Opens what `path` names; `task` says which shapes the inputs of float networks have.
    pub(super) fn open(index: u8, path: &Path, task: &Task) -> Result<Self, CompareError> {
        let mut subject = Self {
            letter: letter(index),
            path: path.into(),
            network: None,
            report: None,
            warnings: Vec::new(),
        };
        if path.is_dir() {
            subject.open_folder()?;
            return Ok(subject);
        }
        if !path.exists() {
            return Err(CompareError::Missing { path: path.into() });
        }
        if program::is_program(path) {
            subject.network = Some(program(path)?);
            return Ok(subject);
        }
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        match extension.as_deref().and_then(|extension| extension.to_str()) {
            Some("json") => subject.report = Some(Recorded::read(path)?),
            Some("onnx" | "tflite") => {
                let task = Task { model: path.into(), ..task.clone() };
                let model = task.read_model().map_err(Error::from)?;
                let (graph, sha256) = (Arc::new(model.graph), model.sha256);
                subject.network = Some(Network::Float { graph, sha256 });
            }
            _ => return Err(CompareError::Kind { path: path.into() }),
        }
        Ok(subject)
    }

    /// Opens the model and the report of a folder.
    fn open_folder(&mut self) -> Result<(), CompareError> {
        let file = |name: &str| Some(self.path.join(name)).filter(|path| path.is_file());
        let (bptq, report) = (file("model.bptq"), file("report.json"));
        if bptq.is_none() && report.is_none() {
            let onnx = file("model.onnx");
            let hint = |onnx: PathBuf| format!("; its float model is {}", onnx.display());
            let hint = onnx.map_or(String::new(), hint);
            return Err(CompareError::Folder { path: self.path.clone(), hint });
        }
        self.network = bptq.as_deref().map(program).transpose()?;
        self.report = report.as_deref().map(Recorded::read).transpose()?;
        if let (Some(program), Some(report)) = (self.program(), &self.report)
            && !belongs(report, program)
        {
            self.warnings.push(Warning::new(
                "report-of-another-model",
                format!(
                    "in the folder of {}, {}, model.bptq and report.json were not made together; the report \
                     is left out",
                    self.letter,
                    self.path.display()
                ),
                "quantize the model again, or name one of the files",
            ));
            self.report = None;
        }
        Ok(())
    }

    /// The network.
    ///
    /// # Errors
    /// If there is a report alone.
    pub(super) fn network(&self) -> Result<&Network, CompareError> {
        self.network.as_ref().ok_or_else(|| CompareError::NoModel { path: self.path.clone() })
    }

    /// The output called `name`; without a name the only one.
    pub(super) fn output(&self, name: Option<&str>) -> Result<ModelOutput, CompareError> {
        self.network()?.output(name).map_err(|error| self.wrong(error.into()))
    }

    /// An error that says which model it is about, where it does not follow from the data.
    pub(super) fn wrong(&self, error: Error) -> CompareError {
        match error {
            Error::Choice(_) | Error::Input(_) | Error::InputSize(_) => {
                CompareError::Model { path: self.path.clone(), source: Box::new(error) }
            }
            error => error.into(),
        }
    }

    /// The integer program, if it is one.
    pub(super) fn program(&self) -> Option<&Placed> {
        match &self.network {
            Some(Network::Program(program)) => Some(program),
            Some(Network::Float { .. }) | None => None,
        }
    }

    /// What it is: `integer`, `float`, or `report` for a report alone.
    pub(super) fn kind(&self) -> &'static str {
        match &self.network {
            Some(Network::Program(_)) => "integer",
            Some(Network::Float { .. }) => "float",
            None => "report",
        }
    }

    /// The bits in short, such as `W4A8`; `None` for float networks.
    pub(super) fn label(&self) -> Option<String> {
        let of_report = || self.report.as_ref()?.label.clone();
        let recipe = self.program().map(|program| program.provenance.recipe.as_str());
        let of_recipe = |text: &str| Recipe::parse(text, "the recipe").ok();
        recipe.and_then(of_recipe).map(|recipe| recipe.label()).or_else(of_report)
    }

    /// The shapes of its ends; `None` if a report does not say.
    pub(super) fn shapes(&self) -> Option<Shapes> {
        match (&self.network, &self.report) {
            (Some(Network::Program(program)), _) => {
                let (inputs, outputs) = (program.inputs.iter(), program.outputs.iter());
                Some(Shapes {
                    inputs: inputs.map(|input| input.border.source_shape.clone()).collect(),
                    outputs: outputs.map(|output| output.border.source_shape.clone()).collect(),
                })
            }
            (Some(Network::Float { graph, .. }), _) => {
                let shapes =
                    |ids: &[ValueId]| ids.iter().map(|&id| graph.value(id).shape.clone()).collect();
                Some(Shapes { inputs: shapes(&graph.inputs), outputs: shapes(&graph.outputs) })
            }
            (None, Some(report)) if !report.inputs.is_empty() && !report.outputs.is_empty() => {
                let shapes =
                    |ends: &[RecordedEnd]| ends.iter().map(|end| end.shape.clone()).collect();
                Some(Shapes { inputs: shapes(&report.inputs), outputs: shapes(&report.outputs) })
            }
            (None, _) => None,
        }
    }

    /// What it was made of and how, by names in the order of the alphabet. Keys of the recipe begin with
    /// `recipe.`.
    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        let mut settings = BTreeMap::new();
        let mut set = |name: &str, value: Option<String>| {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                settings.insert(name.to_owned(), value);
            }
        };
        if let Some(report) = &self.report {
            set("task", report.task.clone());
            set("model_sha256", report.model_sha256.clone());
            set("calibration_sha256", report.calibration_sha256.clone());
            set("calibration", report.calibration.clone());
            set("calibration_samples", report.calibration_samples.map(|count| count.to_string()));
            set("version", report.version.clone());
            set("seed", report.seed.map(|seed| seed.to_string()));
            recipe_keys(report.recipe.as_deref().unwrap_or_default(), &mut set);
        }
        match &self.network {
            Some(Network::Program(program)) => {
                let provenance = &program.provenance;
                set("model_sha256", Some(provenance.model_hash.clone()));
                set("calibration_sha256", Some(provenance.calibration_hash.clone()));
                set("version", Some(provenance.version.clone()));
                set("seed", Some(provenance.seed.to_string()));
                recipe_keys(&provenance.recipe, &mut set);
            }
            Some(Network::Float { sha256, .. }) => set("model_sha256", Some(sha256.clone())),
            None => {}
        }
        settings
    }
}

/// Reads an integer program.
fn program(path: &Path) -> Result<Network, CompareError> {
    let program = program::read(path)?;
    if let Some(state) = program.states.first() {
        return Err(CompareError::Stateful { path: path.into(), state: state.name.clone() });
    }
    Ok(Network::Program(Box::new(program)))
}

/// Whether a report is that of the run that made `program`.
fn belongs(report: &Recorded, program: &Placed) -> bool {
    let provenance = &program.provenance;
    let same = |stated: &Option<String>, own: &str| stated.as_ref().is_none_or(|text| text == own);
    // A report without layers says nothing of them.
    let names = report.layers.iter().map(|layer| layer.name.as_str());
    let same_layers =
        report.layers.is_empty() || names.eq(program.nodes.iter().map(|node| node.name.as_str()));
    same(&report.recipe, &provenance.recipe)
        && same(&report.model_sha256, &provenance.model_hash)
        && same(&report.calibration_sha256, &provenance.calibration_hash)
        && report.seed.is_none_or(|seed| seed == provenance.seed)
        && same_layers
}

/// The keys of a recipe with their values, each in a line; the whole text where it is not TOML.
fn recipe_keys(text: &str, set: &mut impl FnMut(&str, Option<String>)) {
    match toml::from_str::<toml::Table>(text) {
        Ok(table) => flatten("recipe", table, set),
        Err(_) => set("recipe", Some(text.trim().to_owned())),
    }
}

fn flatten(name: &str, table: toml::Table, set: &mut impl FnMut(&str, Option<String>)) {
    for (key, value) in table {
        let name = format!("{name}.{key}");
        match value {
            // The seed stands beside the recipe.
            _ if name == "recipe.seed" => {}
            toml::Value::Table(table) => flatten(&name, table, set),
            toml::Value::String(text) => set(&name, Some(text)),
            value => set(&name, Some(value.to_string())),
        }
    }
}
