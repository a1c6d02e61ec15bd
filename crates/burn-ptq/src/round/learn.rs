//! What the learned roundings share: the layer's problem as tensors, and the training.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Tensor, TensorData};

use super::{GoOn, Rounded, RoundingProblem};

/// A layer's problem on an autodiff device. Tensors are `[groups, out_channels / groups, len]`.
#[derive(Debug)]
pub(super) struct Problem<'a> {
    pub(super) target: Tensor<3>,
    /// `[groups, out_channels / groups, 1]`.
    pub(super) scale: Tensor<3>,
    /// `[groups, len, len]`.
    pub(super) hessian: Tensor<3>,
    pub(super) bounds: [f32; 2],
    per_tensor: bool,
    go_on: GoOn<'a>,
}

/// Variables that stand for rounded weights.
pub(super) trait Learned: Module {
    /// The integers, or what stands for them while training.
    fn integers(&self) -> Tensor<3>;

    /// The scales, one per output channel.
    fn scale(&self) -> Tensor<3>;

    /// What is added to the error, after `progress` (0 to 1) of the training.
    fn penalty(&self, _progress: f64) -> Option<Tensor<1>> {
        None
    }

    /// The integers at the end.
    fn hardened(&self) -> Tensor<3> {
        self.integers()
    }
}

impl<'a> Problem<'a> {
    pub(super) fn new(problem: &RoundingProblem<'a>) -> Self {
        let quadratic = problem.quadratic();
        let device = problem.device.clone().autodiff();
        let (groups, len) = (quadratic.groups, quadratic.len);
        let channels = quadratic.target.shape[0];
        let tensor = |data: Vec<f32>, shape: [usize; 3]| {
            Tensor::<3>::from_data(TensorData::new(data, shape), &device)
        };
        let grid = problem.qparams.grid(0);
        let scales = (0..channels).map(|o| problem.qparams.grid(o).scale).collect();
        Self {
            target: tensor(quadratic.target.data.clone(), [groups, channels / groups, len]),
            scale: tensor(scales, [groups, channels / groups, 1]),
            hessian: tensor(quadratic.hessians.clone(), [groups, len, len]),
            bounds: [grid.min as f32, grid.max as f32],
            per_tensor: problem.qparams.scales.len() == 1,
            go_on: problem.go_on,
        }
    }

    /// The layer's squared output error.
    fn error(&self, weights: Tensor<3>) -> Tensor<1> {
        let difference = weights - self.target.clone();
        (difference.clone().matmul(self.hessian.clone()) * difference).sum()
    }
}

/// How often the integers are judged while training.
const CHECKS: usize = 20;

/// Trains `module` by Adam, the learning rate falling along a cosine, and returns the best of the
/// integers that it stood for on the way, rounding to nearest among them.
pub(super) fn train<M: Learned>(
    module: M,
    problem: &Problem,
    iterations: usize,
    learning_rate: f64,
) -> Rounded {
    train_module(module, problem, iterations, learning_rate).1
}

/// As [`train`], with the module at the end.
pub(super) fn train_module<M: Learned>(
    mut module: M,
    problem: &Problem,
    iterations: usize,
    learning_rate: f64,
) -> (M, Rounded) {
    let nearest = (problem.target.clone() / problem.scale.clone())
        .round()
        .clamp(problem.bounds[0], problem.bounds[1]);
    let error = |integers: &Tensor<3>, scale: &Tensor<3>| {
        problem.error(integers.clone() * scale.clone()).into_scalar::<f32>()
    };
    let mut best = (error(&nearest, &problem.scale), nearest, problem.scale.clone());
    let unit = if best.0 > 0.0 { 1.0 / best.0 } else { 1.0 };
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    for iteration in 0..iterations {
        if !problem.go_on.ask() {
            break;
        }
        let progress = iteration as f64 / iterations as f64;
        let mut loss = problem.error(module.integers() * module.scale()) * unit;
        if let Some(penalty) = module.penalty(progress) {
            loss = loss + penalty;
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &module);
        // Falls to a third: what is undecided at the end must still move.
        let rate = learning_rate * (0.65 + 0.35 * (std::f64::consts::PI * progress).cos());
        module = adam.step(rate, module, gradients);
        if (iteration + 1) % iterations.div_ceil(CHECKS) == 0 || iteration + 1 == iterations {
            let (integers, scale) = (module.hardened(), module.scale());
            let found = error(&integers, &scale);
            if found < best.0 {
                best = (found, integers, scale);
            }
        }
    }
    let host = |tensor: Tensor<3>| {
        tensor.into_data().convert::<f32>().try_to_vec::<f32>().expect("a float tensor")
    };
    let (_, integers, scale) = best;
    let mut scales = host(scale);
    if problem.per_tensor {
        scales.truncate(1);
    }
    let values = host(integers).into_iter().map(|q| q as i8).collect();
    (module, Rounded { values, scales })
}

/// Rounds with a gradient of one.
pub(crate) fn round_ste<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    x.clone() + (x.clone().round() - x).detach()
}
