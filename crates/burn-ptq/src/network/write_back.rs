//! Quantized weights in the module that a graph was captured from.

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

use crate::graph::ops::Weighted;
use crate::graph::{Array, BatchNormStatistics, Op, to_vec};
use crate::import::{Fingerprint, is_statistic};
use crate::network::Quantized;

/// Why weights could not be written back.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum WriteBackError {
    /// A layer of the graph is none of the module's.
    #[error(
        "the module has no parameter '{parameter}' for layer '{layer}'; write back to the module that \
         was captured (a module that runs twice in one `forward` is two layers and cannot be both)"
    )]
    NoParameter {
        /// The layer.
        layer: String,
        /// The path that was looked for.
        parameter: String,
    },
    /// A parameter has another shape.
    #[error(
        "parameter '{parameter}' has the shape {found:?}, the quantized layer {expected:?}; leave out \
         conditioning that splits channels, and write back to the module that was captured"
    )]
    Shape {
        /// The parameter.
        parameter: String,
        /// Its shape in the module.
        found: Vec<usize>,
        /// Its shape in the quantized graph.
        expected: Vec<usize>,
    },
    /// The module has changed since it was captured.
    #[error(
        "'{parameter}' of the module has changed since it was captured; write back before the module \
         is trained further, or capture and quantize it again (in Burn, clones of a module share \
         running statistics: train `module.valid().train()` instead of `module.clone()`)"
    )]
    Changed {
        /// The path of the first parameter or running statistic that has other values.
        parameter: String,
    },
    /// Quantization added a bias that the module has no parameter for.
    #[error(
        "quantization added a bias to layer '{layer}', but it has no bias parameter and no batch \
         normalization after it; give it a bias, or set `layerwise.fit_bias = false` and \
         `correction = \"none\"`"
    )]
    Bias {
        /// The layer.
        layer: String,
    },
    /// A batch normalization was folded where its parameters cannot say it.
    #[error(
        "batch normalization '{norm}' does not directly follow a convolution or linear layer, and \
         its folded parameters cannot be written back; move it there"
    )]
    Norm {
        /// The normalization.
        norm: String,
    },
}

impl Quantized {
    /// Writes the quantized weights and biases into `module`, from which the graph was
    /// [captured](crate::import::capture).
    ///
    /// The module then computes with the values that the integer program's weights have, and with
    /// float activations. A batch normalization, which is folded into the layer before it, is left to
    /// pass values through and to add the bias. The module that is returned shares no running
    /// statistics with clones of `module`, so that training them does not change it; one for training
    /// can be trained further.
    ///
    /// ```
    /// # use burn::nn::LinearConfig;
    /// # use burn::tensor::{Device, Distribution, Tensor};
    /// # use burn_ptq::{Quantizer, Recipe, capture};
    /// # let device = Device::flex();
    /// let layer = LinearConfig::new(8, 3).init(&device);
    /// let graph = capture(&layer, Tensor::<2>::zeros([1, 8], &device), |l, x| l.forward(x))?;
    /// let batch = Tensor::<2>::random([64, 8], Distribution::Default, &device);
    /// let quantized = Quantizer::new(Recipe::preset("w4a8")?).quantize(graph, [batch])?;
    /// let layer = quantized.write_back(layer)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the module is another one, has changed since it was captured, or has no place for what a
    /// layer became.
    pub fn write_back<M: Module>(&self, module: M) -> Result<M, WriteBackError> {
        if let Some(origin) = &self.float.origin
            && let Some(changed) = Fingerprint::of(&module).first_change(origin)
        {
            return Err(WriteBackError::Changed { parameter: changed.into() });
        }
        // Running statistics of its own: clones share them, and the normalizations are set by them.
        let trains = module.devices().iter().any(Device::is_autodiff);
        let module = module.valid();
        let mut found = Found::default();
        module.visit(&mut found);
        let mut writer = Writer { path: Vec::new(), arrays: HashMap::new(), error: None };
        let mut norms: HashSet<&str> = HashSet::new();
        let graph = &self.graph.graph;
        for (node, weights) in graph.nodes.iter().zip(&self.graph.weights) {
            let layer = node.name.as_str();
            let Some((weights, (weight, _))) = weights.as_ref().zip(node.op.weight_and_bias())
            else {
                continue;
            };
            let input = self.graph.activations[node.inputs[0].0].grid.scale;
            let dequantized = weights.dequantize(&weight.shape);
            let bias = weights.dequantize_bias(input);
            let norm = node.batch_norm.as_ref();
            if let (Op::ChannelAffine(_), Some(norm)) = (&node.op, norm) {
                // A normalization that could not be folded is a layer by itself.
                writer.set_norm(&found, layer, norm, &dequantized.data, &bias.data)?;
                norms.insert(&norm.name);
                continue;
            }
            // A module that is a single layer has parameters without a path.
            let is_root = found.values.contains_key("weight");
            let in_layer = |parameter: &str| match is_root {
                true => parameter.to_string(),
                false => format!("{layer}.{parameter}"),
            };
            let array = match node.op.weighted() {
                Some(Weighted::Linear(_)) => transposed(&dequantized),
                Some(Weighted::Conv2d(_) | Weighted::ChannelAffine(_)) | None => dequantized,
            };
            let path = in_layer("weight");
            found.expect(layer, &path)?;
            writer.arrays.insert(path, array);

            let own = in_layer("bias");
            let has_own = found.values.contains_key(&own);
            if let Some(norm) = norm {
                writer.set_norm(&found, layer, norm, &vec![1.0; bias.len()], &bias.data)?;
                if has_own {
                    writer.arrays.insert(own, Array::full([bias.len()], 0.0));
                }
                norms.insert(&norm.name);
            } else if has_own {
                writer.arrays.insert(own, bias);
            } else if bias.data.iter().any(|&b| b != 0.0) {
                return Err(WriteBackError::Bias { layer: layer.into() });
            }
        }
        let mut all = found.values.keys().filter_map(|path| path.strip_suffix(".running_mean"));
        if let Some(norm) = all.find(|norm| !norms.contains(norm)) {
            return Err(WriteBackError::Norm { norm: norm.into() });
        }
        let module = module.map(&mut writer);
        match writer.error {
            Some(error) => Err(error),
            None if trains => Ok(module.train()),
            None => Ok(module),
        }
    }
}

/// Burn's linear layers have `[in, out]`.
fn transposed(weight: &Array) -> Array {
    let [out, inputs] = [weight.shape[0], weight.len() / weight.shape[0]];
    let element = |i: usize| weight.data[(i % out) * inputs + i / out];
    Array::new([inputs, out], (0..weight.len()).map(element).collect())
}

/// The parameters of a module; the values of normalizations' statistics, of all others none.
#[derive(Default)]
struct Found {
    path: Vec<String>,
    values: HashMap<String, Vec<f32>>,
}

impl Found {
    fn expect(&self, layer: &str, parameter: &str) -> Result<&[f32], WriteBackError> {
        let missing =
            || WriteBackError::NoParameter { layer: layer.into(), parameter: parameter.into() };
        self.values.get(parameter).map(Vec::as_slice).ok_or_else(missing)
    }
}

impl ModuleVisitor for Found {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let path = self.path.join(".");
        let values = if is_statistic(&path) { to_vec(parameter.val()) } else { Vec::new() };
        self.values.insert(path, values);
    }
}

struct Writer {
    path: Vec<String>,
    arrays: HashMap<String, Array>,
    error: Option<WriteBackError>,
}

impl Writer {
    /// Lets a normalization compute `x * slope + shift`, whatever its statistics are.
    fn set_norm(
        &mut self,
        found: &Found,
        layer: &str,
        norm: &BatchNormStatistics,
        slope: &[f32],
        shift: &[f32],
    ) -> Result<(), WriteBackError> {
        let variance = found.expect(layer, &format!("{}.running_var", norm.name))?;
        let mean = found.expect(layer, &format!("{}.running_mean", norm.name))?;
        let deviation = |v: &f32| (f64::from(*v) + f64::from(norm.epsilon)).sqrt() as f32;
        let gamma = variance.iter().zip(slope).map(|(v, s)| s * deviation(v)).collect();
        let beta = mean.iter().zip(slope).zip(shift).map(|((m, s), b)| m * s + b).collect();
        let channels = [slope.len()];
        self.arrays.insert(format!("{}.gamma", norm.name), Array::new(channels, gamma));
        self.arrays.insert(format!("{}.beta", norm.name), Array::new(channels, beta));
        Ok(())
    }
}

impl ModuleMapper for Writer {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let path = self.path.join(".");
        let Some(array) = self.arrays.remove(&path) else { return parameter };
        let found = parameter.lazy_shape();
        // A convolution over one axis has two in the graph, the second of one element.
        let meaningful = |dims: &[usize]| {
            let end = dims.iter().rposition(|&d| d != 1).map_or(0, |last| last + 1);
            dims[..end].to_vec()
        };
        let dims: Vec<usize> = found.iter().copied().collect();
        if meaningful(&dims) != meaningful(&array.shape) {
            let expected = array.shape;
            self.error.get_or_insert(WriteBackError::Shape {
                parameter: path,
                found: dims,
                expected,
            });
            return parameter;
        }
        parameter
            .map(|tensor| Tensor::from_data(TensorData::new(array.data, dims), &tensor.device()))
    }
}
