//! Burn modules, through Burn's graph capture: any module becomes a [`Graph`], and no `forward` is
//! touched.
//!
//! The module runs once on a device that records operations instead of executing them. `translate`
//! says what was recorded in the vocabulary of ONNX, and the ONNX importer does the rest: there is
//! one place that folds constants, follows the batch axis and lists what is not supported.

mod fingerprint;
mod layers;
mod operations;
mod recurrent;
mod tensors;
mod translate;
mod vocabulary;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn::backend::ir::TensorId;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

pub(crate) use self::fingerprint::{Fingerprint, is_statistic};
use super::onnx::{self, Model, Options, Problem, Source};
use super::proto;
use crate::graph::Graph;
use layers::{Layer, unsupported_layer};
use translate::CapturedInput;

pub use operations::{SupportedOperation, supported_operations};
pub use tensors::Tensors;

/// Why a module could not be captured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The module is one for training.
    #[error(
        "parameter '{parameter}' is on a device with autodiff, expected a module for inference; \
         capture `module.valid()`"
    )]
    Training {
        /// The path of the first such parameter.
        parameter: String,
    },
    /// The module and the sample are not on one device.
    #[error(
        "the module is on {module}, the sample on {sample}, expected one device; move one of them \
         with `to_device`"
    )]
    Devices {
        /// The device of the module's first parameter that is elsewhere.
        module: String,
        /// The device of the sample.
        sample: String,
    },
    /// `forward` panicked, or returned a tensor that it did not compute from what it was given.
    #[error(
        "`forward` failed on a sample of shape {shape:?}: {message}; check the shape (batch first), \
         and that `forward` uses no module and no tensor but those that it is given"
    )]
    Forward {
        /// The sample's shape.
        shape: Vec<usize>,
        /// The message of the panic.
        message: String,
    },
    /// Not every input and output has a name of its own.
    #[error(
        "expected {expected} distinct, non-empty names for the {role}s, found {names:?}; an input and an \
         output cannot share a name either"
    )]
    Names {
        /// `input` or `output`.
        role: &'static str,
        /// How many there are.
        expected: usize,
        /// What was given.
        names: Vec<String>,
    },
    /// Layers and operations that are not supported: all of them.
    #[error("module '{module}': {}", onnx::list(problems, "operation", "operations"))]
    Unsupported {
        /// The module's type.
        module: String,
        /// Every problem, in the order of execution.
        problems: Vec<Problem>,
    },
}

/// Turns a Burn module into a [`Graph`]: what `forward` computes, with the module's parameters.
///
/// A layer is named after its module's path, such as `block1.conv`, whatever has no parameters after
/// what it does. The graph is named after the module's type. The first axis of `sample` is the batch;
/// the sample's values do not matter.
///
/// ```
/// use burn::nn::{Linear, LinearConfig, Relu};
/// use burn::module::Module;
/// use burn::tensor::{Device, Tensor};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     hidden: Linear,
///     classifier: Linear,
/// }
///
/// let device = Device::flex();
/// let net = Net {
///     hidden: LinearConfig::new(4, 8).init(&device),
///     classifier: LinearConfig::new(8, 3).init(&device),
/// };
/// let sample = Tensor::<2>::zeros([1, 4], &device);
/// let graph = burn_ptq::import::capture(&net, sample, |net, x| {
///     net.classifier.forward(Relu::new().forward(net.hidden.forward(x)))
/// })?;
/// assert_eq!(graph.nodes[0].name, "hidden");
/// # Ok::<(), burn_ptq::import::CaptureError>(())
/// ```
///
/// # Clones share running statistics
/// In Burn 0.22, `clone` copies the parameters of a module, but not the running statistics of its
/// batch normalizations: training a clone moves those of the module that it was cloned from, which
/// then computes something else. Train `module.valid().train()` instead, which has statistics of its
/// own. If a module is captured again with the same weights and other statistics,
/// [`Quantized::warnings`](crate::Quantized::warnings) says so, and `tracing` does.
///
/// # Shapes
/// - `sample`: `[batch, ..]`, one to three axes behind the batch; images are NCHW
///
/// # Errors
/// If the module is one for training (use [`Module::valid`]), the sample is on another device,
/// `forward` panics, or some operations are not supported, in which case all are listed.
pub fn capture<M: Module, const I: usize, const O: usize>(
    module: &M,
    sample: Tensor<I>,
    forward: impl FnOnce(&M, Tensor<I>) -> Tensor<O>,
) -> Result<Graph, CaptureError> {
    capture_ends(module, (sample, &[None]), &[None], forward)
}

/// Turns a Burn module of several inputs or outputs, or one that reads integers, into a [`Graph`].
///
/// As [`capture`], with a tuple of samples, one for each input, and what the inputs and outputs are
/// called in reports and in exported code. Inputs of kind `Int` are ids of an `nn::Embedding`.
///
/// ```
/// use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
/// use burn::module::Module;
/// use burn::tensor::{Device, Int, Tensor};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     words: Embedding,
///     score: Linear,
/// }
///
/// let device = Device::flex();
/// let net = Net {
///     words: EmbeddingConfig::new(20, 8).init(&device),
///     score: LinearConfig::new(8, 3).init(&device),
/// };
/// let ids = Tensor::<2, Int>::zeros([1, 6], &device);
/// let gain = Tensor::<3>::zeros([1, 6, 1], &device);
/// let graph = burn_ptq::import::capture_named(
///     &net,
///     (ids, gain),
///     &["ids", "gain"],
///     &["scores", "mean"],
///     |net, (ids, gain)| {
///         let scores = net.score.forward(net.words.forward(ids) * gain);
///         (scores.clone(), scores.mean_dim(1))
///     },
/// )?;
/// let names = |values: &[_]| values.iter().map(|&v| graph.value(v).name.clone()).collect::<Vec<_>>();
/// assert_eq!(names(&graph.inputs), ["ids", "gain"]);
/// assert_eq!(names(&graph.outputs), ["scores", "mean"]);
/// # Ok::<(), burn_ptq::import::CaptureError>(())
/// ```
///
/// # Shapes
/// - `samples`: each `[batch, ..]`, one to three axes behind the batch, which all have in common
///
/// # Errors
/// As [`capture`], and if there is not one name for each input and output, or one is empty or given twice.
pub fn capture_named<M: Module, I: Tensors, O: Tensors>(
    module: &M,
    samples: I,
    inputs: &[&str],
    outputs: &[&str],
    forward: impl FnOnce(&M, I) -> O,
) -> Result<Graph, CaptureError> {
    let mut taken = HashSet::from([""]);
    for (role, names, expected) in [("input", inputs, I::COUNT), ("output", outputs, O::COUNT)] {
        let distinct = names.iter().all(|name| taken.insert(name));
        if names.len() != expected || !distinct {
            let names = names.iter().map(|name| name.to_string()).collect();
            return Err(CaptureError::Names { role, expected, names });
        }
    }
    let [inputs, outputs] =
        [inputs, outputs].map(|names| names.iter().copied().map(Some).collect::<Vec<_>>());
    capture_ends(module, (samples, &inputs), &outputs, forward)
}

fn capture_ends<M: Module, I: Tensors, O: Tensors>(
    module: &M,
    (samples, input_names): (I, &[Option<&str>]),
    output_names: &[Option<&str>],
    forward: impl FnOnce(&M, I) -> O,
) -> Result<Graph, CaptureError> {
    let mut parameters = TrainedParameters::default();
    module.visit(&mut parameters);
    if let Some(parameter) = parameters.first {
        return Err(CaptureError::Training { parameter });
    }
    let samples = samples.without_autodiff();
    let parts = samples.parts();
    let devices = module.devices();
    for part in &parts {
        if let Some(other) = devices.iter().find(|device| **device != part.device) {
            let [module, sample] = [other, &part.device].map(|device| format!("{device:?}"));
            return Err(CaptureError::Devices { module, sample });
        }
    }

    let shape: Vec<usize> = parts.first().map_or(Vec::new(), |part| part.shape.clone());
    let failed = |message: String| CaptureError::Forward { shape: shape.clone(), message };
    // One device a capture: a scope must not see tensors of an earlier one.
    let device = Device::capture();
    let mut border = None;
    let run = || {
        device.capture_scope(|scope| {
            let module = module.valid().materialize().to_device(&device);
            let mut paths = Paths::default();
            module.visit(&mut paths);
            let inputs = samples.to_device(&device);
            let input_ids = inputs.clone().ids();
            match (input_ids, forward(&module, inputs).ids()) {
                (Ok(inputs), Ok(outputs)) => {
                    let ids = (inputs.clone(), outputs.clone());
                    border = Some((ids, paths));
                    let unique: BTreeSet<TensorId> = outputs.into_iter().collect();
                    scope.complete(inputs, unique)
                }
                _ => scope.complete([], []),
            }
        })
    };
    let captured = catch_unwind(AssertUnwindSafe(run))
        .map_err(|panic| failed(message_of(panic.as_ref())))?
        .map_err(|error| failed(error.to_string()))?;
    let ((input_ids, output_ids), Paths { names, layers, recurrent, .. }) =
        border.ok_or_else(|| failed("its output was computed on another device".into()))?;
    let inputs: Vec<CapturedInput> = (input_ids.into_iter().zip(parts).zip(input_names))
        .map(|((id, part), name)| CapturedInput {
            id,
            name: name.unwrap_or("input").into(),
            shape: part.shape,
            is_integer: part.is_integer,
        })
        .collect();
    let outputs: Vec<(TensorId, Option<&str>)> =
        output_ids.into_iter().zip(output_names.iter().copied()).collect();
    let name = std::any::type_name::<M>();
    let name = name.split('<').next().and_then(|n| n.rsplit("::").next()).unwrap_or("module");
    let mut model = translate::translate(&captured, &inputs, &outputs, &names, &layers, &recurrent);
    let unsupported = |problems| CaptureError::Unsupported { module: name.into(), problems };
    let options = Options::default();
    let imported = onnx::from_proto(&mut model, proto::OPSET, name, Source::Module, &options);
    let Model { mut graph, .. } = imported.map_err(unsupported)?;
    graph.origin = Some(Arc::new(Fingerprint::of(module).into_origin()));
    Ok(graph)
}

/// What a panic said.
fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// Looks for a parameter with autodiff.
#[derive(Default)]
struct TrainedParameters {
    path: Vec<String>,
    first: Option<String>,
}

impl ModuleVisitor for TrainedParameters {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if self.first.is_none() && parameter.val().is_autodiff() {
            self.first = Some(self.path.join("."));
        }
    }
}

/// Gathers the dotted path of every parameter on a capture device.
#[derive(Default)]
struct Paths {
    path: Vec<String>,
    containers: Vec<String>,
    names: HashMap<TensorId, String>,
    /// The unsupported layers that parameters belong to.
    layers: HashMap<TensorId, Layer>,
    /// The parameters of recurrent layers.
    recurrent: HashMap<TensorId, recurrent::Parameter>,
}

impl ModuleVisitor for Paths {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push(name.into());
        self.containers.push(container.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
        self.containers.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let Some(id) = parameter.val().ids().ok().and_then(|ids| ids.first().copied()) else {
            return;
        };
        self.names.entry(id).or_insert_with(|| self.path.join("."));
        if let Some(layer) = unsupported_layer(&self.path, &self.containers) {
            self.layers.entry(id).or_insert(layer);
        }
        if let Some(parameter) = recurrent::parameter(&self.path, &self.containers) {
            self.recurrent.entry(id).or_insert(parameter);
        }
    }
}
