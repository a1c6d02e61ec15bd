//! Gram matrices: second moments of what a layer's weights multiply.
//!
//! A layer's squared output error is a quadratic form in its weight error,
//! `|X dW|^2 = dW^T (X^T X) dW`. Once `X^T X` is accumulated, any number of candidate weights can be
//! judged without running a sample again.

use burn::tensor::{Tensor, TensorData};

use crate::graph::Op;
use crate::graph::ops::{Conv2d, Window};

/// The mean of `x x^T` over everything that a layer's weight rows were multiplied with.
#[derive(Clone, Debug, PartialEq)]
pub struct Gram {
    /// The length of a weight row.
    pub len: usize,
    /// Groups of output channels that see different inputs.
    pub groups: usize,
    /// One `len x len` matrix a group, row-major.
    pub matrices: Vec<f32>,
}

/// Accumulates the Gram matrices of one layer, in memory that does not grow with the samples.
#[derive(Clone, Debug)]
pub struct GramObserver {
    kind: Kind,
    len: usize,
    groups: usize,
    sums: Vec<f64>,
    count: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    Conv { window: Window, per_group: usize },
    Linear,
    Affine,
}

impl GramObserver {
    /// An observer for the inputs of `op`; `None` if it has no weights.
    pub fn new(op: &Op) -> Option<Self> {
        let (kind, len, groups) = match op {
            Op::Conv2d(Conv2d { weight, window, groups, .. }) => {
                let kind = Kind::Conv { window: *window, per_group: weight.shape[1] };
                (kind, weight.len() / weight.shape[0], *groups)
            }
            Op::Linear(linear) => (Kind::Linear, linear.weight.shape[1], 1),
            Op::ChannelAffine(affine) => (Kind::Affine, 1, affine.scale.len()),
            _ => return None,
        };
        Some(Self { kind, len, groups, sums: vec![0.0; len * len * groups], count: 0 })
    }

    /// Takes in a batch of the layer's input.
    ///
    /// # Shapes
    /// - input: `[batch, d1, d2, d3]`, as the layer's operation takes it
    pub fn observe(&mut self, input: &Tensor<4>) {
        let [batch, channels, height, width] = input.dims();
        let device = input.device();
        let values = crate::evaluate::to_vec(input.clone());
        let rows = match &self.kind {
            Kind::Linear => values.len() / self.len,
            Kind::Affine => batch * height * width,
            Kind::Conv { window, .. } => match window.output([height, width]) {
                Ok([h, w]) => batch * h * w,
                Err(_) => return,
            },
        };
        self.count += rows as u64;
        for group in 0..self.groups {
            let patches = match &self.kind {
                Kind::Linear => values.clone(),
                Kind::Affine => {
                    let plane = height * width;
                    let of = |n: usize| (n * channels + group) * plane;
                    (0..batch).flat_map(|n| values[of(n)..of(n) + plane].iter().copied()).collect()
                }
                Kind::Conv { window, per_group } => {
                    let channels_of = group * per_group..(group + 1) * per_group;
                    let sample = [channels, height, width];
                    patches(&values, batch, sample, channels_of, window)
                }
            };
            let sums = &mut self.sums[group * self.len * self.len..][..self.len * self.len];
            if self.len <= SMALL {
                accumulate(&patches, self.len, sums);
                continue;
            }
            let x = Tensor::<2>::from_data(TensorData::new(patches, [rows, self.len]), &device);
            let product = x.clone().transpose().matmul(x);
            let product = product.into_data().convert::<f32>().try_to_vec::<f32>();
            for (sum, x) in sums.iter_mut().zip(product.unwrap_or_default()) {
                *sum += f64::from(x);
            }
        }
    }

    /// The means of what was taken in.
    pub fn gram(&self) -> Gram {
        let scale = 1.0 / self.count.max(1) as f64;
        let matrices = self.sums.iter().map(|&x| (x * scale) as f32).collect();
        Gram { len: self.len, groups: self.groups, matrices }
    }
}

/// Rows this short are multiplied in place: handing them to a matrix product costs more.
const SMALL: usize = 16;

fn accumulate(patches: &[f32], len: usize, sums: &mut [f64]) {
    // Sums of a block stay in f32 for speed and are short enough to be exact to many digits.
    let mut block = vec![0.0_f32; len * len];
    for rows in patches.chunks(len * 256) {
        block.fill(0.0);
        for row in rows.chunks_exact(len) {
            for (&x, sums) in row.iter().zip(block.chunks_exact_mut(len)) {
                for (sum, &y) in sums.iter_mut().zip(row) {
                    *sum += x * y;
                }
            }
        }
        for (sum, &x) in sums.iter_mut().zip(&block) {
            *sum += f64::from(x);
        }
    }
}

/// The inputs of each output pixel, in the order of a weight row `[channels, kernel_h, kernel_w]`.
fn patches(
    values: &[f32],
    batch: usize,
    [all, height, width]: [usize; 3],
    channels: std::ops::Range<usize>,
    window: &Window,
) -> Vec<f32> {
    let Ok([out_h, out_w]) = window.output([height, width]) else { return Vec::new() };
    let [kernel_h, kernel_w] = window.kernel;
    let len = channels.len() * kernel_h * kernel_w;
    let mut patches = vec![0.0; batch * out_h * out_w * len];
    let mut rows = patches.chunks_exact_mut(len);
    let inside = |axis: usize, out: usize, tap: usize, extent: usize| {
        let position = out * window.stride[axis] + tap * window.dilation[axis];
        position.checked_sub(window.begin[axis]).filter(|&p| p < extent)
    };
    for n in 0..batch {
        for y in 0..out_h {
            for x in 0..out_w {
                let Some(row) = rows.next() else { return patches };
                for (c, channel) in channels.clone().enumerate() {
                    let plane = &values[(n * all + channel) * height * width..][..height * width];
                    for tap_y in 0..kernel_h {
                        let Some(input_y) = inside(0, y, tap_y, height) else { continue };
                        for tap_x in 0..kernel_w {
                            if let Some(input_x) = inside(1, x, tap_x, width) {
                                row[(c * kernel_h + tap_y) * kernel_w + tap_x] =
                                    plane[input_y * width + input_x];
                            }
                        }
                    }
                }
            }
        }
    }
    patches
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
        let mut observer = GramObserver::new(&op).unwrap();
        observer.observe(&x);
        observer.observe(&x.clone().neg());
        let gram = observer.gram();
        let (weight, bias) = op.weight_and_bias().unwrap();
        let flat =
            |a: &Array| Tensor::from_data(TensorData::new(a.data.clone(), [a.len()]), &device);
        let y = op.operator().forward(&[x], &[flat(weight), flat(bias)]);
        let axis = if matches!(&op, Op::Linear(l) if l.axis == 1) { 2 } else { 1 };
        for (o, row) in weight.rows().enumerate() {
            let group = o / (weight.shape[0] / gram.groups);
            let matrix = &gram.matrices[group * gram.len * gram.len..][..gram.len * gram.len];
            let mut form = 0.0;
            for (a, matrix) in row.iter().zip(matrix.chunks(gram.len)) {
                form += a * row.iter().zip(matrix).map(|(b, m)| b * m).sum::<f32>();
            }
            let outputs = crate::evaluate::to_vec(y.clone().narrow(axis, o, 1));
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
