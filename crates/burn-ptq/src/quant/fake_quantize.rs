//! Quantize-dequantize on Burn tensors, bit for bit what the kernels do.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_ptq_kernels::grid::Grid;
use rayon::prelude::*;

use crate::graph::to_vec;

/// Elements that are one piece of work for a thread.
const PIECE: usize = 1 << 14;

/// Rounds a tensor to a grid and back to floats, with straight-through gradients.
#[derive(Module, Debug)]
pub struct FakeQuantize {
    #[module(skip)]
    grid: Grid,
}

impl FakeQuantize {
    /// A fake quantizer of `grid`.
    pub fn new(grid: Grid) -> Self {
        Self { grid }
    }

    /// The grid.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// `dequantize(quantize(x))`, element by element.
    ///
    /// The gradient is 1 where `x` lies within the grid and 0 where it saturates.
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let Grid { scale, zero_point, min, max } = self.grid;
        if !x.device().is_autodiff() {
            return self.round_trip(x);
        }
        let low = (min - zero_point) as f32 * scale;
        let high = (max - zero_point) as f32 * scale;
        let inside = x.clamp(low, high);
        let error = (self.round_trip(inside.clone()) - inside.clone()).detach();
        inside + error
    }

    fn round_trip<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let device = x.device();
        match device == Device::flex() && !device.is_autodiff() {
            true => self.on_host(x, &device),
            false => self.by_tensors(x),
        }
    }

    /// The round trip in one pass over memory, where tensors are the host's.
    fn on_host<const D: usize>(&self, x: Tensor<D>, device: &Device) -> Tensor<D> {
        let shape = x.shape();
        let mut values = to_vec(x);
        let grid = self.grid;
        values.par_chunks_mut(PIECE).for_each(|piece| {
            for x in piece {
                // NaN stays what it is, as on other devices: it must not be taken for a number.
                *x = if x.is_nan() { *x } else { grid.fake_quantize(*x) };
            }
        });
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    /// The round trip wherever tensors are.
    fn by_tensors<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let Grid { scale, zero_point, min, max } = self.grid;
        let levels = round_half_away(x / scale);
        levels.clamp((min - zero_point) as f32, (max - zero_point) as f32) * scale
    }
}

/// Rounds as the kernels do, ties away from zero; Burn rounds them to even.
pub(crate) fn round_half_away<const D: usize>(t: Tensor<D>) -> Tensor<D> {
    let even = t.clone().round();
    let tie = (t.clone() - even.clone()).abs().equal_elem(0.5);
    let away = t.clone() + t.sign() * 0.5;
    even.mask_where(tie, away)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(grid: Grid, values: Vec<f32>) {
        let n = values.len();
        let x = Tensor::<1>::from_data(TensorData::new(values.clone(), [n]), &Device::flex());
        let quantize = FakeQuantize::new(grid);
        for y in [quantize.forward(x.clone()), quantize.by_tensors(x)].map(to_vec) {
            for (&x, y) in values.iter().zip(y) {
                let expected = grid.fake_quantize(x);
                assert!(expected == y, "{x} on {grid:?}: kernels {expected}, Burn {y}");
            }
        }
    }

    proptest! {
        #[test]
        fn fake_quantize_equals_the_kernels_bit_for_bit(
            scale in prop_oneof![1e-6f32..10.0, (-12i32..6).prop_map(|e| (e as f32).exp2())],
            bits in prop_oneof![2u8..=8, Just(16u8)],
            zero in 0.0f64..=1.0,
            steps in prop::collection::vec(-70000i32..70000, 64),
            reals in prop::collection::vec(-1e4f32..1e4, 64),
        ) {
            let (min, max) = burn_ptq_kernels::grid::signed_range(bits, false);
            let zero_point = min + (zero * f64::from(max - min)) as i32;
            let grid = Grid { scale, zero_point, min, max };
            // Multiples of half a step hit exact ties wherever the scale is a power of two.
            let ties = steps.iter().map(|&s| s as f32 * 0.5 * scale);
            check(grid, ties.chain(reals.iter().map(|x| x * scale)).collect());
        }
    }

    #[test]
    fn gradients_pass_inside_the_grid_and_stop_outside() {
        let grid = Grid { scale: 0.5, zero_point: 0, min: -8, max: 7 };
        let device = Device::flex().autodiff();
        let x = Tensor::<1>::from_floats([-9.0, -1.3, 0.2, 3.4, 9.0], &device).require_grad();
        let y = FakeQuantize::new(grid).forward(x.clone());
        let gradients = y.sum().backward();
        let gradient: Vec<f32> = x.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
        assert_eq!(gradient, [0.0, 1.0, 1.0, 1.0, 0.0]);
    }
}
