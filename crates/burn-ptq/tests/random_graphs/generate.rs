//! Random small networks out of every supported operator, as ONNX files with calibration data.

mod movement;
mod recurrent;

use onnx_ir::{ModelProto, NodeProto, TensorProto};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::build::{bytes, float, int, ints, list, model, node};

/// Random numbers.
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self(random)
    }

    /// Below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.0.next_u64() % n as u64) as usize
    }

    /// From `low` to `high`.
    pub(crate) fn within(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// Once in `n` times.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Between -1 and 1.
    pub(crate) fn number(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1_u32 << 23) as f32 - 1.0
    }
}

/// A network and its samples.
pub(crate) struct Case {
    pub onnx: Vec<u8>,
    /// A sample's shape.
    pub shape: Vec<usize>,
    pub samples: Vec<f32>,
    pub count: usize,
    pub has_batch_norm: bool,
    /// The operators, for reports.
    pub operators: Vec<String>,
}

/// Of normalizations: so large that the rounding of floats is not what nearly equal elements differ by.
const EPSILON: f32 = 1e-2;

/// A value: its name and a sample's shape.
type Named = (String, Vec<usize>);

struct Builder {
    random: Random,
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
    count: usize,
    has_batch_norm: bool,
}

/// The case of a seed and a number.
pub(crate) fn case(seed: u64, number: u64) -> Case {
    let mut random = Random::new(seed, number);
    let shape = match random.below(20) {
        0..=8 => vec![random.within(1, 6), random.within(3, 9), random.within(3, 9)],
        9..=13 => vec![random.within(1, 8), random.within(4, 14)],
        _ => vec![random.within(2, 24)],
    };
    let (samples, count) = samples(&mut random, shape.iter().product());
    let mut builder =
        Builder { random, nodes: Vec::new(), tensors: Vec::new(), count: 0, has_batch_norm: false };
    let mut value: Named = ("x".into(), shape.clone());
    // Something to compute: a permutation alone is not a program.
    value = match value.1[..] {
        [steps, _] if steps > 1 && builder.random.once_in(3) => builder.recurrent(value),
        _ => builder.layer(value),
    };
    for _ in 0..builder.random.within(1, 7) {
        value = builder.any(value);
    }
    if builder.random.once_in(2) {
        builder.ending(value);
    }
    let operators = builder.nodes.iter().map(|n| n.op_type.clone()).collect();
    let last = builder.nodes.last_mut().expect("at least a layer");
    last.output[0] = "y".into();
    let sample: Vec<i64> = shape.iter().map(|&d| d as i64).collect();
    let mut file: ModelProto = model(&sample, builder.nodes, builder.tensors);
    file.opset_import[0].version = 17;
    let output = &mut file.graph.mut_or_insert_default().output[0];
    output.type_.mut_or_insert_default().mut_tensor_type().elem_type = 1;
    Case {
        onnx: bytes(&file),
        shape,
        samples,
        count,
        has_batch_norm: builder.has_batch_norm,
        operators,
    }
}

/// Calibration data: mostly ordinary, sometimes with common mistakes.
fn samples(random: &mut Random, len: usize) -> (Vec<f32>, usize) {
    let count = match random.below(8) {
        0 => 1,
        1 => random.within(2, 7),
        _ => random.within(8, 20),
    };
    let scale = *random.pick(&[1.0, 1.0, 1.0, 1.0, 10.0, 0.1, 255.0, 1e-3, 1e-9, 1e6]);
    let offset = *random.pick(&[0.0, 0.0, 0.0, 1.0, -0.5]);
    let mut values: Vec<f32> =
        (0..count * len).map(|_| (random.number() + offset) * scale).collect();
    match random.below(24) {
        0 => values.fill(0.0),
        1 => (len..count * len).for_each(|i| values[i] = values[i - len]),
        2 => values[0] = 1000.0 * scale,
        _ => {}
    }
    (values, count)
}

impl Builder {
    fn name(&mut self) -> String {
        self.count += 1;
        format!("v{}", self.count)
    }

    /// A constant of floats around zero.
    fn floats(&mut self, dims: &[usize], scale: f32) -> String {
        let name = format!("c{}", self.tensors.len());
        let data = (0..dims.iter().product()).map(|_| self.random.number() * scale).collect();
        self.constant(&name, dims, data);
        name
    }

    fn constant(&mut self, name: &str, dims: &[usize], data: Vec<f32>) {
        self.tensors.push(TensorProto {
            name: name.into(),
            dims: dims.iter().map(|&d| d as i64).collect(),
            data_type: 1,
            float_data: data,
            ..Default::default()
        });
    }

    fn scalar(&mut self, value: f32) -> String {
        let name = format!("c{}", self.tensors.len());
        self.constant(&name, &[], vec![value]);
        name
    }

    fn list(&mut self, values: &[i64]) -> String {
        let name = format!("c{}", self.tensors.len());
        self.tensors.push(list(&name, values));
        name
    }

    /// Appends a node and returns its output.
    fn push(
        &mut self,
        op: &str,
        inputs: &[&str],
        attributes: Vec<onnx_ir::AttributeProto>,
        shape: Vec<usize>,
    ) -> Named {
        let name = self.name();
        self.nodes.push(node(op, inputs, &[&name], attributes));
        (name, shape)
    }

    /// Weights that keep the magnitude, sometimes with outliers or as good as nothing.
    fn weights(&mut self, dims: &[usize]) -> String {
        let fan_in: usize = dims[1..].iter().product();
        let scale = (3.0 / fan_in as f32).sqrt() * *self.random.pick(&[1.0, 1.0, 1.0, 3.0, 0.3]);
        let name = self.floats(dims, scale);
        let outlier = self.random.below(24);
        let row = self.random.below(dims[0]);
        let data = &mut self.tensors.last_mut().expect("the weights").float_data;
        match outlier {
            0 => data[row * fan_in..][..fan_in].iter_mut().for_each(|w| *w *= 100.0),
            1 => data[row * fan_in..][..fan_in].fill(0.0),
            2 => data.fill(0.0),
            3 => data.iter_mut().for_each(|w| *w *= 1e-6),
            _ => {}
        }
        name
    }

    fn bias(&mut self, len: usize) -> String {
        let scale = *self.random.pick(&[0.1, 0.3, 1.0, 1.0, 0.0]);
        let name = self.floats(&[len], scale);
        if self.random.once_in(16) {
            // With a Relu behind, a dead layer.
            let data = &mut self.tensors.last_mut().expect("the bias").float_data;
            data.iter_mut().for_each(|b| *b -= 20.0);
        }
        name
    }

    /// A layer with weights.
    fn layer(&mut self, (x, shape): Named) -> Named {
        match shape.len() {
            1 if self.random.once_in(4) => self.matmul((x, shape)),
            1 => {
                let out = self.random.within(1, 12);
                let transposed = self.random.once_in(2);
                let dims = if transposed { [out, shape[0]] } else { [shape[0], out] };
                let (w, b) = (self.weights(&dims), self.bias(out));
                let attributes = vec![int("transB", i64::from(transposed))];
                self.push("Gemm", &[&x, &w, &b], attributes, vec![out])
            }
            _ if self.random.once_in(8) => self.matmul((x, shape)),
            _ if self.random.once_in(6) && shape[1..].iter().all(|&extent| extent <= 9) => {
                self.transposed((x, shape))
            }
            _ => self.convolution((x, shape)),
        }
    }

    fn transposed(&mut self, (x, shape): Named) -> Named {
        let (channels, spatial) = (shape[0], shape[1..].to_vec());
        let groups = if self.random.once_in(3) { channels } else { 1 };
        let of_group = self.random.within(1, if groups > 2 { 2 } else { 4 });
        let (mut dims, mut result) = (vec![channels, of_group], vec![groups * of_group]);
        let (mut kernels, mut strides, mut dilations) = (vec![], vec![], vec![]);
        let (mut begins, mut ends, mut extra) = (vec![], vec![], vec![]);
        for &extent in &spatial {
            let (kernel, stride) = (self.random.within(1, 4), self.random.within(1, 2));
            let dilation = if self.random.once_in(6) { 2 } else { 1 };
            let reach = (kernel - 1) * dilation + 1;
            let full = (extent - 1) * stride + reach;
            // Something is left.
            let most = (reach / 2).min((full - 1) / 2);
            let pads = [self.random.within(0, most), self.random.within(0, most)];
            let padding = self.random.within(0, stride - 1);
            result.push(full + padding - pads[0] - pads[1]);
            dims.push(kernel);
            kernels.push(kernel as i64);
            strides.push(stride as i64);
            dilations.push(dilation as i64);
            begins.push(pads[0] as i64);
            ends.push(pads[1] as i64);
            extra.push(padding as i64);
        }
        let (w, b) = (self.weights(&dims), self.bias(result[0]));
        begins.extend(ends);
        let attributes = vec![
            ints("kernel_shape", &kernels),
            ints("strides", &strides),
            ints("dilations", &dilations),
            ints("pads", &begins),
            ints("output_padding", &extra),
            int("group", groups as i64),
        ];
        let y = self.push("ConvTranspose", &[&x, &w, &b], attributes, result);
        if self.random.once_in(3) { self.batch_norm(y) } else { y }
    }

    fn matmul(&mut self, (x, mut shape): Named) -> Named {
        let out = self.random.within(1, 10);
        let last = shape.pop().expect("an axis");
        let w = self.weights(&[last, out]);
        shape.push(out);
        self.push("MatMul", &[&x, &w], vec![], shape)
    }

    fn convolution(&mut self, (x, shape): Named) -> Named {
        let (channels, spatial) = (shape[0], shape[1..].to_vec());
        let depthwise = self.random.once_in(3);
        let groups = match self.random.below(6) {
            _ if depthwise => channels,
            0 if channels % 2 == 0 => 2,
            _ => 1,
        };
        let out = groups * self.random.within(1, if groups > 2 { 2 } else { 4 });
        let (mut dims, mut result) = (vec![out, channels / groups], vec![out]);
        let (mut kernels, mut strides, mut dilations) = (vec![], vec![], vec![]);
        let (mut begins, mut ends) = (vec![], vec![]);
        for &extent in &spatial {
            let dilation = if self.random.once_in(6) { 2 } else { 1 };
            let kernel = self.random.within(1, 3);
            let reach = (kernel - 1) * dilation + 1;
            let most = (reach - 1).min(2);
            let mut pads = [self.random.within(0, most), self.random.within(0, most)];
            if extent + pads[0] + pads[1] < reach {
                pads = [reach - 1, reach - 1];
            }
            let stride = self.random.within(1, 2);
            result.push((extent + pads[0] + pads[1] - reach) / stride + 1);
            dims.push(kernel);
            kernels.push(kernel as i64);
            strides.push(stride as i64);
            dilations.push(dilation as i64);
            begins.push(pads[0] as i64);
            ends.push(pads[1] as i64);
        }
        let (w, b) = (self.weights(&dims), self.bias(out));
        begins.extend(ends);
        let attributes = vec![
            ints("kernel_shape", &kernels),
            ints("strides", &strides),
            ints("dilations", &dilations),
            ints("pads", &begins),
            int("group", groups as i64),
        ];
        let mut inputs = vec![x.as_str(), &w];
        if !self.random.once_in(4) {
            inputs.push(&b);
        }
        let y = self.push("Conv", &inputs, attributes, result);
        if self.random.once_in(3) { self.batch_norm(y) } else { y }
    }

    fn batch_norm(&mut self, (x, shape): Named) -> Named {
        let channels = shape[0];
        let positive = |builder: &mut Self| {
            let name = builder.floats(&[channels], 0.5);
            let data = &mut builder.tensors.last_mut().expect("a constant").float_data;
            data.iter_mut().for_each(|x| *x += 0.7);
            name
        };
        let (scale, variance) = (positive(self), positive(self));
        let (bias, mean) = (self.floats(&[channels], 0.5), self.floats(&[channels], 0.5));
        self.has_batch_norm = true;
        self.push("BatchNormalization", &[&x, &scale, &bias, &mean, &variance], vec![], shape)
    }

    fn activation(&mut self, (x, shape): Named) -> Named {
        match self.random.below(11) {
            0..=2 => self.push("Relu", &[&x], vec![], shape),
            3 => {
                let low = *self.random.pick(&[0.0, -1.0, -0.2]);
                let high = *self.random.pick(&[6.0, 1.0, 0.5]);
                let (low, high) = (self.scalar(low), self.scalar(high));
                self.push("Clip", &[&x, &low, &high], vec![], shape)
            }
            4 => {
                let alpha = *self.random.pick(&[0.01, 0.1, 0.3]);
                self.push("LeakyRelu", &[&x], vec![float("alpha", alpha)], shape)
            }
            5 => self.push("Sigmoid", &[&x], vec![], shape),
            6 => self.push("Tanh", &[&x], vec![], shape),
            7 => self.push("HardSwish", &[&x], vec![], shape),
            8 => {
                let alpha = *self.random.pick(&[0.2, 1.0 / 6.0, 1.0]);
                self.push("HardSigmoid", &[&x], vec![float("alpha", alpha)], shape)
            }
            9 => {
                let bound = self.random.number();
                let bound = self.scalar(bound);
                let op = *self.random.pick(&["Max", "Min"]);
                self.push(op, &[&x, &bound], vec![], shape)
            }
            _ => self.push("Neg", &[&x], vec![], shape),
        }
    }

    /// With a constant: a scalar, or one for each step along an axis.
    fn arithmetic(&mut self, (x, shape): Named) -> Named {
        let axis = self.random.below(shape.len());
        let mut dims = vec![1; shape.len() - axis];
        if self.random.once_in(3) {
            dims.clear();
        } else {
            dims[0] = shape[axis];
        }
        let c = self.floats(&dims, 1.0);
        let op = *self.random.pick(&["Add", "Sub", "Mul", "Div", "Max", "Min", "PRelu"]);
        if op == "Div" {
            let data = &mut self.tensors.last_mut().expect("the constant").float_data;
            data.iter_mut().for_each(|x| *x = 0.5f32.max(x.abs()).copysign(*x));
        }
        let turned = !["Div", "PRelu"].contains(&op) && self.random.once_in(3);
        let inputs = if turned { [c.as_str(), &x] } else { [x.as_str(), &c] };
        self.push(op, &inputs, vec![], shape)
    }

    /// Something that keeps the shape.
    fn same_shape(&mut self, x: Named) -> Named {
        match self.random.below(4) {
            0 => self.arithmetic(x),
            1 if x.1.len() > 1 => {
                let (channels, rank) = (x.1[0], x.1.len() - 1);
                let mut dims = vec![channels, channels];
                dims.resize(2 + rank, 3);
                let w = self.weights(&dims);
                let attributes = vec![ints("pads", &vec![1; 2 * rank])];
                self.push("Conv", &[&x.0, &w], attributes, x.1)
            }
            _ => self.activation(x),
        }
    }

    fn branch(&mut self, x: Named) -> Named {
        let other = self.same_shape(x.clone());
        let same = self.random.once_in(20);
        let other = if same { x.clone() } else { other };
        match self.random.below(4) {
            0 => {
                let axis = self.random.below(x.1.len());
                let mut shape = x.1.clone();
                shape[axis] *= 2;
                let attributes = vec![int("axis", axis as i64 + 1)];
                self.push("Concat", &[&x.0, &other.0], attributes, shape)
            }
            1 if x.1.len() == 3 => self.squeeze_and_excite(x),
            1 | 2 => self.push("Add", &[&x.0, &other.0], vec![], x.1),
            _ => {
                let op = *self.random.pick(&["Sub", "Mul", "Max", "Min", "PRelu"]);
                self.push(op, &[&other.0, &x.0], vec![], x.1)
            }
        }
    }

    fn squeeze_and_excite(&mut self, (x, shape): Named) -> Named {
        let channels = shape[0];
        let mean = self.push("GlobalAveragePool", &[&x], vec![], vec![channels, 1, 1]);
        let hidden = self.random.within(1, 4);
        let (w, b) = (self.weights(&[hidden, channels, 1, 1]), self.bias(hidden));
        let squeezed = self.push("Conv", &[&mean.0, &w, &b], vec![], vec![hidden, 1, 1]);
        let active = self.push("Relu", &[&squeezed.0], vec![], squeezed.1);
        let (w, b) = (self.weights(&[channels, hidden, 1, 1]), self.bias(channels));
        let logits = self.push("Conv", &[&active.0, &w, &b], vec![], vec![channels, 1, 1]);
        let op = *self.random.pick(&["Sigmoid", "HardSigmoid"]);
        let gate = self.push(op, &[&logits.0], vec![], logits.1);
        self.push("Mul", &[&x, &gate.0], vec![], shape)
    }

    fn pool(&mut self, (x, shape): Named) -> Named {
        let rank = shape.len() - 1;
        if self.random.once_in(3) {
            let op = *self.random.pick(&["GlobalAveragePool", "GlobalMaxPool"]);
            let mut out = vec![1; rank + 1];
            out[0] = shape[0];
            return self.push(op, &[&x], vec![], out);
        }
        let (mut kernels, mut strides, mut pads) = (vec![], vec![], vec![]);
        let mut out = vec![shape[0]];
        let ceil = self.random.once_in(4);
        for &extent in &shape[1..] {
            let kernel = self.random.within(1, 3.min(extent));
            let stride = self.random.within(1, 2).min(kernel);
            let pad = if ceil { 0 } else { self.random.within(0, kernel / 2) };
            let room = extent + 2 * pad - kernel;
            out.push(1 + if ceil { room.div_ceil(stride) } else { room / stride });
            kernels.push(kernel as i64);
            strides.push(stride as i64);
            pads.push(pad as i64);
        }
        pads.extend_from_within(..);
        let mut attributes = vec![
            ints("kernel_shape", &kernels),
            ints("strides", &strides),
            ints("pads", &pads),
            int("ceil_mode", i64::from(ceil)),
        ];
        let op = *self.random.pick(&["MaxPool", "AveragePool"]);
        if op == "AveragePool" && !ceil && self.random.once_in(3) {
            attributes.push(int("count_include_pad", 1));
        }
        self.push(op, &[&x], attributes, out)
    }

    fn softmax(&mut self, (x, shape): Named) -> Named {
        let op = *self.random.pick(&["Softmax", "Softmax", "LogSoftmax"]);
        let axis = self.random.within(1, shape.len()) as i64;
        self.push(op, &[&x], vec![int("axis", axis)], shape)
    }

    fn mean(&mut self, (x, shape): Named) -> Named {
        if shape.len() == 1 {
            return self.softmax((x, shape));
        }
        // Some axes, never all.
        let kept = self.random.below(shape.len());
        let mut axes: Vec<usize> = (0..shape.len()).filter(|&a| a != kept).collect();
        if axes.len() == 2 && self.random.once_in(2) {
            axes.pop();
        }
        let keep = self.random.once_in(2);
        let mut out = Vec::new();
        for (axis, &extent) in shape.iter().enumerate() {
            match axes.contains(&axis) {
                false => out.push(extent),
                true if keep => out.push(1),
                true => {}
            }
        }
        let axes: Vec<i64> = axes.iter().map(|&a| a as i64 + 1).collect();
        self.push("ReduceMean", &[&x], vec![ints("axes", &axes), int("keepdims", keep.into())], out)
    }

    /// Something on groups of elements, or on matrices.
    fn groups(&mut self, (x, shape): Named) -> Named {
        let rank = shape.len();
        match self.random.below(6) {
            0 => {
                let axis = self.random.within(1, rank);
                let own = shape[axis - 1..].to_vec();
                let (scale, shift) = (self.floats(&own, 1.5), self.floats(&own, 0.5));
                let attributes = vec![int("axis", axis as i64), float("epsilon", EPSILON)];
                self.push("LayerNormalization", &[&x, &scale, &shift], attributes, shape)
            }
            1 if rank > 1 => {
                let own = [shape[0]];
                let (scale, shift) = (self.floats(&own, 1.5), self.floats(&own, 0.5));
                let attributes = vec![float("epsilon", EPSILON)];
                self.push("InstanceNormalization", &[&x, &scale, &shift], attributes, shape)
            }
            2 => {
                let axis = self.random.within(1, rank) as i64;
                self.push("LpNormalization", &[&x], vec![int("axis", axis)], shape)
            }
            3 | 4 if rank > 1 => {
                let op = *self.random.pick(&[
                    "ReduceMax",
                    "ReduceMin",
                    "ReduceL1",
                    "ReduceL2",
                    "ReduceSumSquare",
                ]);
                let axis = self.random.below(rank);
                let mut out = shape;
                out[axis] = 1;
                self.push(op, &[&x], vec![ints("axes", &[axis as i64 + 1])], out)
            }
            _ if rank > 1 && shape[rank - 2] <= 12 => {
                let mut turned = shape.clone();
                turned.swap(rank - 2, rank - 1);
                let mut perm: Vec<i64> = (0..=rank as i64).collect();
                perm.swap(rank - 1, rank);
                let other = self.push("Transpose", &[&x], vec![ints("perm", &perm)], turned);
                let mut out = shape;
                out[rank - 1] = out[rank - 2];
                self.push("MatMul", &[&x, &other.0], vec![], out)
            }
            _ => self.activation((x, shape)),
        }
    }

    fn transpose(&mut self, (x, shape): Named) -> Named {
        let mut axes: Vec<usize> = (0..shape.len()).collect();
        for i in (1..axes.len()).rev() {
            axes.swap(i, self.random.below(i + 1));
        }
        let out = axes.iter().map(|&a| shape[a]).collect();
        let perm: Vec<i64> = [0].into_iter().chain(axes.iter().map(|&a| a as i64 + 1)).collect();
        self.push("Transpose", &[&x], vec![ints("perm", &perm)], out)
    }

    fn reshape(&mut self, (x, shape): Named) -> Named {
        let len: usize = shape.iter().product();
        match self.random.below(5) {
            0 => self.push("Flatten", &[&x], vec![], vec![len]),
            1 if shape.len() < 3 => {
                let axis = self.random.within(1, shape.len() + 1);
                let axes = self.list(&[axis as i64]);
                let mut out = shape;
                out.insert(axis - 1, 1);
                self.push("Unsqueeze", &[&x, &axes], vec![], out)
            }
            2 if shape.len() > 1 && shape.contains(&1) => {
                let axis = shape.iter().position(|&d| d == 1).expect("an extent of 1");
                let axes = self.list(&[axis as i64 + 1]);
                let mut out = shape;
                out.remove(axis);
                self.push("Squeeze", &[&x, &axes], vec![], out)
            }
            _ => {
                let mut out = vec![len];
                while out.len() < 3 && self.random.once_in(2) {
                    let last = out.pop().expect("an extent");
                    let divisors: Vec<usize> = (1..=last).filter(|d| last % d == 0).collect();
                    let d = *self.random.pick(&divisors);
                    out.extend([d, last / d]);
                }
                let target: Vec<i64> =
                    [0].into_iter().chain(out.iter().map(|&d| d as i64)).collect();
                let target = self.list(&target);
                self.push("Reshape", &[&x, &target], vec![], out)
            }
        }
    }

    fn pad(&mut self, (x, shape): Named) -> Named {
        let mut pads = vec![0_i64; 2 * shape.len() + 2];
        let mut out = shape.clone();
        let axis = self.random.below(shape.len());
        for side in 0..2 {
            let pad = self.random.within(0, 2);
            pads[side * (shape.len() + 1) + axis + 1] = pad as i64;
            out[axis] += pad;
        }
        let pads = self.list(&pads);
        if self.random.once_in(2) {
            return self.push("Pad", &[&x, &pads], vec![], out);
        }
        let value = self.random.number();
        let value = self.scalar(value);
        self.push("Pad", &[&x, &pads, &value], vec![], out)
    }

    fn any(&mut self, x: Named) -> Named {
        // Nothing grows without end.
        if x.1.iter().product::<usize>() > 600 {
            return if x.1.len() > 1 { self.pool(x) } else { self.layer(x) };
        }
        match self.random.below(28) {
            22..=24 => self.groups(x),
            0..=4 if x.1.len() == 2 && x.1[0] > 1 && self.random.once_in(3) => self.recurrent(x),
            0..=4 => self.layer(x),
            5..=8 => self.activation(x),
            9 | 10 => self.arithmetic(x),
            11..=13 => self.branch(x),
            14 | 15 if x.1.len() > 1 => self.pool(x),
            16 => self.transpose(x),
            17 => self.reshape(x),
            18 => self.pad(x),
            19 => self.mean(x),
            20 => {
                let op = *self.random.pick(&["Identity", "Dropout"]);
                self.push(op, &[&x.0], vec![], x.1)
            }
            25..=27 => self.movement(x),
            21 if self.random.once_in(2) => self.softmax(x),
            _ if x.1.len() > 1 && self.random.once_in(6) => self.batch_norm(x),
            _ => self.activation(x),
        }
    }

    fn ending(&mut self, x: Named) -> Named {
        match self.random.below(9) {
            0 | 1 => self.softmax(x),
            8 => self.movement(x),
            2 => self.reshape(x),
            3 => self.transpose(x),
            4 => self.mean(x),
            5 => {
                let softmax = self.softmax(x);
                self.reshape(softmax)
            }
            6 => self.branch(x),
            _ => {
                let reshaped = self.reshape(x);
                self.softmax(reshaped)
            }
        }
    }
}
