//! Burn modules, through Burn's graph capture: any module becomes a [`Graph`], and no `forward` is
//! touched.
//!
//! The module runs once on a device that records operations instead of executing them. `translate`
//! says what was recorded in the vocabulary of ONNX, and the ONNX importer does the rest: there is
//! one place that folds constants, follows the batch axis and lists what is not supported.

mod fingerprint;
mod layers;
mod operations;
mod proto;
mod translate;
mod vocabulary;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn::backend::Capture;
use burn::backend::ir::TensorId;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

pub(crate) use self::fingerprint::{Fingerprint, is_statistic};
use super::onnx::{self, Problem};
use crate::graph::Graph;
use layers::{Layer, unsupported_layer};

pub use operations::{SupportedOperation, supported_operations};

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
    let mut parameters = TrainedParameters::default();
    module.visit(&mut parameters);
    if let Some(parameter) = parameters.first {
        return Err(CaptureError::Training { parameter });
    }
    let sample = sample.without_autodiff();
    let place = sample.device();
    if let Some(other) = module.devices().into_iter().find(|device| *device != place) {
        let [module, sample] = [other, place].map(|device| format!("{device:?}"));
        return Err(CaptureError::Devices { module, sample });
    }

    let shape = sample.dims().to_vec();
    let failed = |message: String| CaptureError::Forward { shape: shape.clone(), message };
    // One device a capture: a scope must not see tensors of an earlier one.
    let device = Device::capture();
    let mut border = None;
    let run = || {
        device.capture_scope(|scope| {
            let module = module.valid().materialize().to_device(&device);
            let mut paths = Paths::default();
            module.visit(&mut paths);
            let input = sample.to_device(&device);
            let input_id = id_of(input.clone());
            let output_id = id_of(forward(&module, input));
            match (input_id, output_id) {
                (Ok(input), Ok(output)) => {
                    border = Some((input, output, paths.names, paths.layers));
                    scope.complete([input], [output])
                }
                _ => scope.complete([], []),
            }
        })
    };
    let captured = catch_unwind(AssertUnwindSafe(run))
        .map_err(|panic| failed(message_of(panic.as_ref())))?
        .map_err(|error| failed(error.to_string()))?;
    let (input, output, names, layers) =
        border.ok_or_else(|| failed("its output was computed on another device".into()))?;
    let name = std::any::type_name::<M>();
    let name = name.split('<').next().and_then(|n| n.rsplit("::").next()).unwrap_or("module");
    let mut model = translate::translate(&captured, (input, &shape), output, &names, &layers);
    let unsupported = |problems| CaptureError::Unsupported { module: name.into(), problems };
    let mut graph = onnx::from_proto(&mut model, proto::OPSET, name).map_err(unsupported)?;
    graph.origin = Some(Arc::new(Fingerprint::of(module).into_origin()));
    Ok(graph)
}

fn id_of<const D: usize>(tensor: Tensor<D>) -> Result<TensorId, String> {
    let primitive = tensor.try_into_primitive::<Capture>().map_err(|e| format!("{e:?}"))?;
    Ok(primitive.id())
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
        let Ok(id) = id_of(parameter.val()) else { return };
        self.names.entry(id).or_insert_with(|| self.path.join("."));
        if let Some(layer) = unsupported_layer(&self.path, &self.containers) {
            self.layers.entry(id).or_insert(layer);
        }
    }
}
