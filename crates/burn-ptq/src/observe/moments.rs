//! Second moments of what a layer's weights multiply.
//!
//! A layer's squared output error is a quadratic form in its weights. Once the second moments of its
//! inputs are accumulated, any number of candidate weights can be judged, and the best be solved
//! for, without running a sample again.

use burn::tensor::{Tensor, TensorData};
use rayon::prelude::*;

use super::cholesky::{Factor, add_product};
use super::products::products;
use crate::graph::ops::{Conv2d, Weighted, Window};
use crate::graph::{Array, Op};

/// Accumulates second moments of the inputs that a layer sees in the quantized network, and their
/// products with those that it sees in the float network.
///
/// Memory does not grow with the samples.
#[derive(Clone, Debug)]
pub struct MomentsObserver {
    kind: Kind,
    len: usize,
    groups: usize,
    /// The share of the rows that is taken, evenly spread.
    share: f64,
    seen: u64,
    moments: Moments,
}

#[derive(Clone, Debug)]
enum Kind {
    Conv { window: Window, per_group: usize },
    Linear,
    Affine,
}

/// Means and second moments of the rows that a layer's weights multiply: patches of a convolution,
/// samples of a fully connected layer.
///
/// `x` is a row in the float network, `z` the same row in the quantized one.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// The length of a row.
    pub len: usize,
    /// Groups of output channels that see different rows.
    pub groups: usize,
    /// The number of rows.
    pub rows: u64,
    /// Sums of `z z^T`, a `len x len` matrix a group.
    quantized: Vec<f64>,
    /// Sums of `z x^T`; empty if both networks are one.
    cross: Vec<f64>,
    /// Sums of `z`, `len` a group.
    sum_quantized: Vec<f64>,
    /// Sums of `x`.
    sum_float: Vec<f64>,
}

/// The squared output error of a layer with rounded weights: for output channel `o`, up to a
/// constant, `(w - target_o)^T H (w - target_o)` with the `H` of its group.
#[derive(Clone, Debug, PartialEq)]
pub struct Quadratic {
    /// The length of a weight row.
    pub len: usize,
    /// Groups of output channels that have different matrices.
    pub groups: usize,
    /// One `len x len` matrix a group, row-major, positive definite.
    pub hessians: Vec<f32>,
    /// The weights without error, output channels first.
    pub target: Array,
}

/// The share of the second moments about zero below which those about the means are rounding noise of
/// their sums.
const NOISE: f64 = 1e-5;

impl MomentsObserver {
    /// An observer for the inputs of `op`; `None` if it has no weights.
    ///
    /// `input` is the shape of a sample, `samples` how many will come; at most about `rows` rows
    /// are taken in, evenly spread over all.
    pub fn new(op: &Op, input: [usize; 3], samples: usize, rows: usize) -> Option<Self> {
        let (kind, len, groups) = match op.weighted()? {
            Weighted::Conv2d(Conv2d { weight, window, groups, .. }) => {
                let kind = Kind::Conv { window: *window, per_group: weight.shape[1] };
                (kind, weight.len() / weight.shape[0], *groups)
            }
            Weighted::Linear(linear) => (Kind::Linear, linear.weight.shape[1], 1),
            Weighted::ChannelAffine(affine) => (Kind::Affine, 1, affine.scale.len()),
        };
        let of_sample = match &kind {
            Kind::Linear => input.iter().product::<usize>() / len,
            Kind::Affine => input[1] * input[2],
            Kind::Conv { window, .. } => {
                window.output([input[1], input[2]]).map_or(0, |[h, w]| h * w)
            }
        };
        let share = (rows as f64 / (of_sample * samples).max(1) as f64).min(1.0);
        let (matrix, vector) = (vec![0.0; len * len * groups], vec![0.0; len * groups]);
        let moments = Moments {
            len,
            groups,
            rows: 0,
            quantized: matrix,
            cross: Vec::new(),
            sum_quantized: vector.clone(),
            sum_float: vector,
        };
        Some(Self { kind, len, groups, share, seen: 0, moments })
    }

    /// Takes in a batch of the layer's input, in the quantized network and, if it is another one, in
    /// the float network.
    ///
    /// # Shapes
    /// - both: `[batch, d1, d2, d3]`, as the layer's operation takes it
    pub fn observe(&mut self, quantized: &Tensor<4>, float: Option<&Tensor<4>>) {
        let dims = quantized.dims();
        let places = self.places(dims);
        self.moments.rows += places.len() as u64;
        let z = crate::graph::to_vec(quantized.clone());
        let x = float.map(|float| crate::graph::to_vec(float.clone()));
        if x.is_some() && self.moments.cross.is_empty() {
            self.moments.cross = vec![0.0; self.moments.quantized.len()];
        }
        let (len, square) = (self.len, self.len * self.len);
        let device = quantized.device();
        let kind = &self.kind;
        let moments = &mut self.moments;
        let mut crosses: Vec<&mut [f64]> = match x {
            Some(_) => moments.cross.chunks_mut(square).collect(),
            None => (0..self.groups).map(|_| Default::default()).collect(),
        };
        let sums = moments.sum_quantized.chunks_mut(len).zip(moments.sum_float.chunks_mut(len));
        moments
            .quantized
            .par_chunks_mut(square)
            .zip(crosses.par_iter_mut())
            .zip(sums.collect::<Vec<_>>())
            .enumerate()
            .for_each(|(group, ((second, cross), (sum_quantized, sum_float)))| {
                let z = rows(kind, &z, dims, len, group, &places);
                add_columns(&z, len, sum_quantized);
                match &x {
                    Some(x) => {
                        let x = rows(kind, x, dims, len, group, &places);
                        add_columns(&x, len, sum_float);
                        add_gram(&z, &x, len, cross, &device);
                    }
                    None => add_columns(&z, len, sum_float),
                }
                add_gram(&z, &z, len, second, &device);
            });
    }

    /// What was taken in.
    pub fn moments(self) -> Moments {
        self.moments
    }

    /// The rows of this batch that are taken, by number.
    fn places(&mut self, dims: [usize; 4]) -> Vec<usize> {
        let [batch, _, height, width] = dims;
        let count = match &self.kind {
            Kind::Linear => dims.iter().product::<usize>() / self.len,
            Kind::Affine => batch * height * width,
            Kind::Conv { window, .. } => {
                window.output([height, width]).map_or(0, |[h, w]| batch * h * w)
            }
        };
        let taken_before = |row: u64| (row as f64 * self.share) as u64;
        let first = self.seen;
        self.seen += count as u64;
        (0..count)
            .filter(|&row| taken_before(first + row as u64 + 1) > taken_before(first + row as u64))
            .collect()
    }
}

impl Moments {
    /// The quadratic form that a layer with float weights `weight` should minimize.
    ///
    /// The rounded layer should give on its quantized inputs `z` what the float layer gives on `x`:
    /// the least squares target is `w* = H^-1 E[z x^T] w`. `damping` times the mean of the diagonal
    /// pulls `w*` towards `w` and keeps `H` invertible. If the bias is fitted afterwards, means are
    /// no error: the moments are then taken about the means.
    ///
    /// What the rows do not show is taken for inputs that vary alike and independently, for which the
    /// nearest weights are best: where they do not vary about their means, and a share `doubt` of the
    /// whole, since few samples let features seem related that are not.
    pub fn quadratic(&self, weight: &Array, damping: f64, centred: bool, doubt: f64) -> Quadratic {
        let (len, square) = (self.len, self.len * self.len);
        let rows = self.rows.max(1) as f64;
        let per_group = weight.len() / self.groups;
        let solved: Vec<(Vec<f32>, Vec<f32>)> = (0..self.groups)
            .into_par_iter()
            .map(|group| {
                let means = |sums: &[f64]| -> Vec<f64> {
                    sums[group * len..][..len].iter().map(|sum| sum / rows).collect()
                };
                let (mean_z, mean_x) = (means(&self.sum_quantized), means(&self.sum_float));
                let moment = |sums: &[f64], left: &[f64], right: &[f64], i: usize, j: usize| {
                    let centre = if centred { left[i] * right[j] } else { 0.0 };
                    sums[group * square + i * len + j] / rows - centre
                };
                let mut hessian = vec![0.0; square];
                hessian.par_chunks_mut(len).enumerate().for_each(|(i, row)| {
                    for (j, x) in row.iter_mut().enumerate() {
                        *x = moment(&self.quantized, &mean_z, &mean_z, i, j);
                    }
                });
                let mean = |trace: f64| trace / len as f64;
                let mean_diagonal = mean(hessian.iter().step_by(len + 1).sum()).max(0.0);
                let second = |i: usize| self.quantized[group * square + i * len + i] / rows;
                let uncentred = mean((0..len).map(second).sum());
                let ridge = (damping * mean_diagonal).max(1e-6 * mean_diagonal);
                let ridge = ridge.max(NOISE * uncentred) + doubt * mean_diagonal;
                if !(ridge.is_normal() && hessian.par_iter().all(|x| x.is_finite())) {
                    // No input, or none that can be squared.
                    let mut identity = vec![0.0; square];
                    identity.iter_mut().step_by(len + 1).for_each(|x| *x = 1.0);
                    let weights = &weight.data[group * per_group..][..per_group];
                    return (identity, weights.to_vec());
                }
                // Gradients and errors in f32 want second moments that can be squared themselves. Where
                // they can, all groups keep one unit, so that their errors can be added.
                let usual = (1e-12..=1e12).contains(&mean_diagonal);
                let unit = if usual { 1.0 } else { f64::from(super::unit(ridge as f32)) };
                let (known, ridge) = ((1.0 - doubt) / unit, ridge / unit);
                hessian.par_iter_mut().for_each(|x| *x *= known);
                hessian.iter_mut().step_by(len + 1).for_each(|x| *x += ridge);
                let rounded = hessian.par_iter().map(|&x| x as f32).collect();
                let weights = &weight.data[group * per_group..][..per_group];
                if self.cross.is_empty() {
                    return (rounded, weights.to_vec());
                }
                let Some(factor) = Factor::new(hessian, len) else {
                    return (rounded, weights.to_vec());
                };
                // One column an output channel.
                let channels = per_group / len;
                let column = |i: usize| (0..channels).map(move |o| f64::from(weights[o * len + i]));
                let columns: Vec<f64> = (0..len).flat_map(column).collect();
                let mut values: Vec<f64> = columns.iter().map(|w| w * ridge).collect();
                let cross = |i, j| moment(&self.cross, &mean_z, &mean_x, i, j) * known;
                add_product(cross, len, &columns, channels, &mut values);
                factor.solve(&mut values, channels);
                let row = |o: usize| values.iter().skip(o).step_by(channels).map(|&x| x as f32);
                (rounded, (0..channels).flat_map(row).collect())
            })
            .collect();
        let (hessians, targets): (Vec<_>, Vec<_>) = solved.into_iter().unzip();
        Quadratic {
            len,
            groups: self.groups,
            hessians: hessians.concat(),
            target: Array::new(weight.shape.clone(), targets.concat()),
        }
    }

    /// The shift of each output channel's mean, rounded weights against float ones:
    /// `E[rounded . z] - E[weight . x]`, both `[out_channels, ..]`.
    pub fn mean_shift(&self, rounded: &Array, weight: &Array) -> Vec<f64> {
        let rows = self.rows.max(1) as f64;
        let per_group = weight.shape[0] / self.groups;
        let dot = |row: &[f32], sums: &[f64]| -> f64 {
            row.iter().zip(sums).map(|(&w, &sum)| f64::from(w) * sum).sum()
        };
        let pairs = rounded.rows().zip(weight.rows()).enumerate();
        pairs
            .map(|(o, (rounded, weight))| {
                let at = o / per_group * self.len;
                let z = dot(rounded, &self.sum_quantized[at..][..self.len]);
                (z - dot(weight, &self.sum_float[at..][..self.len])) / rows
            })
            .collect()
    }
}

impl Quadratic {
    /// The matrix of output channel `channel`.
    pub fn hessian(&self, channel: usize) -> &[f32] {
        let group = channel / (self.target.shape[0] / self.groups);
        &self.hessians[group * self.len * self.len..][..self.len * self.len]
    }

    /// The error of a weight row of output channel `channel`.
    pub fn error(&self, channel: usize, row: &[f32]) -> f64 {
        self.errors(channel, &[row.to_vec()]).into_iter().sum()
    }

    /// The errors of several weight rows of output channel `channel`.
    pub fn errors(&self, channel: usize, rows: &[Vec<f32>]) -> Vec<f64> {
        let target = &self.target.data[channel * self.len..][..self.len];
        let difference = |row: &Vec<f32>| row.iter().zip(target).map(|(w, t)| w - t).collect();
        let differences: Vec<Vec<f32>> = rows.iter().map(difference).collect();
        let products = products(self.hessian(channel), &differences);
        let errors = differences.iter().zip(&products).map(|(difference, product)| {
            let terms = difference.iter().zip(product);
            terms.map(|(&d, &p)| f64::from(d) * f64::from(p)).sum()
        });
        errors.collect()
    }
}

/// Rows this short are multiplied in place: handing them to a matrix product costs more.
const SHORT: usize = 16;

fn add_columns(rows: &[f32], len: usize, sums: &mut [f64]) {
    for row in rows.chunks_exact(len) {
        sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
}

/// Adds `a^T b` of two matrices of rows.
fn add_gram(a: &[f32], b: &[f32], len: usize, sums: &mut [f64], device: &burn::tensor::Device) {
    if len > SHORT {
        let matrix = |values: &[f32]| {
            let data = TensorData::new(values.to_vec(), [values.len() / len, len]);
            Tensor::<2>::from_data(data, device)
        };
        let product = matrix(a).transpose().matmul(matrix(b));
        let product = product.into_data().convert::<f32>().try_to_vec::<f32>();
        for (sum, x) in sums.iter_mut().zip(product.unwrap_or_default()) {
            *sum += f64::from(x);
        }
        return;
    }
    // Sums of a block stay in f32 for speed and are short enough to be exact to many digits.
    let mut block = vec![0.0_f32; len * len];
    for (a, b) in a.chunks(len * 256).zip(b.chunks(len * 256)) {
        block.fill(0.0);
        for (a, b) in a.chunks_exact(len).zip(b.chunks_exact(len)) {
            for (&x, sums) in a.iter().zip(block.chunks_exact_mut(len)) {
                for (sum, &y) in sums.iter_mut().zip(b) {
                    *sum += x * y;
                }
            }
        }
        for (sum, &x) in sums.iter_mut().zip(&block) {
            *sum += f64::from(x);
        }
    }
}

/// The rows of group `group` at `places`, each in the order of a weight row.
fn rows(
    kind: &Kind,
    values: &[f32],
    [_, channels, height, width]: [usize; 4],
    len: usize,
    group: usize,
    places: &[usize],
) -> Vec<f32> {
    let plane = height * width;
    match kind {
        Kind::Linear => places.iter().flat_map(|&r| &values[r * len..][..len]).copied().collect(),
        Kind::Affine => {
            let at = |r: usize| (r / plane * channels + group) * plane + r % plane;
            places.iter().map(|&r| values[at(r)]).collect()
        }
        Kind::Conv { window, per_group } => {
            let Ok([out_h, out_w]) = window.output([height, width]) else { return Vec::new() };
            let [kernel_h, kernel_w] = window.kernel;
            let mut rows = vec![0.0; places.len() * len];
            let inside = |axis: usize, out: usize, tap: usize, extent: usize| {
                let position = out * window.stride[axis] + tap * window.dilation[axis];
                position.checked_sub(window.begin[axis]).filter(|&p| p < extent)
            };
            for (row, &place) in rows.chunks_exact_mut(len).zip(places) {
                let (n, y, x) = (place / (out_h * out_w), place / out_w % out_h, place % out_w);
                for c in 0..*per_group {
                    let channel = n * channels + group * per_group + c;
                    let values = &values[channel * plane..][..plane];
                    for tap_y in 0..kernel_h {
                        let Some(input_y) = inside(0, y, tap_y, height) else { continue };
                        for tap_x in 0..kernel_w {
                            if let Some(input_x) = inside(1, x, tap_x, width) {
                                row[(c * kernel_h + tap_y) * kernel_w + tap_x] =
                                    values[input_y * width + input_x];
                            }
                        }
                    }
                }
            }
            rows
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::graph::Array;
    use crate::graph::ops::{Linear, Operator};

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0).collect()
    }

    /// The quadratic form of the Gram matrices equals the mean squared output of the layer itself.
    fn check(op: Op, input: [usize; 4]) {
        let device = Device::flex();
        let x = Tensor::<4>::from_data(
            TensorData::new(numbers(input.iter().product(), 3), input),
            &device,
        );
        let sample = [input[1], input[2], input[3]];
        let mut observer = MomentsObserver::new(&op, sample, 2 * input[0], usize::MAX).unwrap();
        observer.observe(&x, None);
        observer.observe(&x.clone().neg(), None);
        let moments = observer.moments();
        let (weight, bias) = op.weight_and_bias().unwrap();
        let quadratic = moments.quadratic(weight, 0.0, false, 0.0);
        let flat =
            |a: &Array| Tensor::from_data(TensorData::new(a.data.clone(), [a.len()]), &device);
        let y = op.operator().forward(&[x], &[flat(weight), flat(bias)]);
        let axis = if matches!(&op, Op::Linear(l) if l.axis == 1) { 2 } else { 1 };
        for (o, row) in weight.rows().enumerate() {
            let zero = Array::full(weight.shape.clone(), 0.0);
            let form = Quadratic { target: zero, ..quadratic.clone() }.error(o, row) as f32;
            let outputs = crate::graph::to_vec(y.clone().narrow(axis, o, 1));
            let mean = outputs.iter().map(|x| x * x).sum::<f32>() / outputs.len() as f32;
            assert!((form - mean).abs() <= 1e-4 * mean.max(1.0), "{o}: {form} against {mean}");
        }
    }

    #[test]
    fn gram_matrices_give_the_mean_squared_output_of_convolutions() {
        for (groups, pad, stride, dilation) in [(1, 0, 1, 1), (2, 1, 2, 1), (6, 1, 1, 2)] {
            let window = Window {
                begin: [pad, 0],
                end: [pad, 2 * pad],
                stride: [stride; 2],
                dilation: [dilation; 2],
                ..Window::new([3, 3])
            };
            let weight = Array::new([12, 6 / groups, 3, 3], numbers(12 * 6 / groups * 9, 5));
            let conv = Conv2d { weight, bias: Array::full([12], 0.0), window, groups };
            conv.infer_shape(&[&[6, 9, 8]]).unwrap();
            check(conv.into(), [2, 6, 9, 8]);
        }
    }

    #[test]
    fn gram_matrices_give_the_mean_squared_output_of_linear_layers() {
        for (axis, input) in [(0, [5, 20, 1, 1]), (1, [5, 3, 20, 1])] {
            let weight = Array::new([4, 20], numbers(80, 7));
            check(Linear { weight, bias: Array::full([4], 0.0), axis }.into(), input);
        }
    }
}
