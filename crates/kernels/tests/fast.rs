//! The kernels of hosts against the reference, with every set of instructions that the processor has.

use burn_ptq_kernels::fast::{self, Channels, Instructions, Points, Scratch, ScratchLen, Weights};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{PackedWeights, pack, packed_len};
use burn_ptq_kernels::params::{AddParams, Clamp, Requantize};
use burn_ptq_kernels::reference;
use proptest::prelude::*;

/// Working memory full of what earlier calls left.
#[derive(Default)]
struct Buffers {
    bytes: Vec<u8>,
    halves: Vec<i16>,
    sums: Vec<i32>,
    places: Vec<usize>,
}

impl Buffers {
    fn of(&mut self, len: ScratchLen) -> Scratch<'_> {
        self.bytes = vec![0xA5; len.bytes];
        self.halves = vec![-12345; len.halves];
        self.sums = vec![i32::MIN; len.sums];
        self.places = vec![usize::MAX; len.places];
        Scratch {
            bytes: &mut self.bytes,
            halves: &mut self.halves,
            sums: &mut self.sums,
            places: &mut self.places,
        }
    }
}

/// Numbers that follow from a seed; a quarter of them are the ends of their range.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, low: i32, high: i32) -> i32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = (self.0 >> 33) as i64;
        let range = i64::from(high) - i64::from(low) + 1;
        match drawn % 8 {
            0 => low,
            1 => high,
            _ => (i64::from(low) + drawn / 8 % range) as i32,
        }
    }

    fn bytes(&mut self, len: usize, low: i32) -> Vec<i8> {
        (0..len).map(|_| self.next(low, 127) as i8).collect()
    }

    fn clamp(&mut self) -> Clamp {
        let min = self.next(-128, 127);
        Clamp { min, max: self.next(min, 127) }
    }

    /// Any that the verifier accepts, with small exponents most often.
    fn multiplier(&mut self) -> Multiplier {
        let exponent = if self.next(0, 7) == 3 { self.next(-31, 6) } else { self.next(-10, 1) };
        match self.next(0, 9) {
            4 => Multiplier::ZERO,
            5 => Multiplier { quantized: self.next(0, 1 << 30), exponent: 0 },
            _ => Multiplier { quantized: self.next(1 << 30, i32::MAX), exponent },
        }
    }
}

/// The parameters of a layer.
struct Layer {
    unpacked: Vec<i8>,
    packed: Vec<u8>,
    storage: u8,
    bias: Vec<i32>,
    multipliers: Vec<Multiplier>,
    points: Points,
}

impl Layer {
    fn new(numbers: &mut Numbers, weights: usize, channels: usize) -> Self {
        let storage = [2, 3, 4, 8][numbers.next(0, 3) as usize];
        let half = 1 << (storage - 1);
        let weights: Vec<i8> = (0..weights)
            .map(|_| numbers.next(-half + i32::from(storage == 8), half - 1) as i8)
            .collect();
        let mut packed = vec![0; packed_len(weights.len(), storage)];
        pack(&weights, storage, &mut packed);
        let own = if numbers.next(0, 3) == 0 { 1 } else { channels };
        let reach = [100, 1 << 15, 1 << 24][numbers.next(0, 2) as usize];
        Self {
            unpacked: weights,
            packed,
            storage,
            bias: (0..channels).map(|_| numbers.next(-reach, reach)).collect(),
            multipliers: (0..own).map(|_| numbers.multiplier()).collect(),
            points: Points {
                input_zero_point: numbers.next(-128, 127),
                output_zero_point: numbers.next(-128, 127),
                clamp: numbers.clamp(),
            },
        }
    }

    fn weights(&self) -> PackedWeights<'_> {
        PackedWeights { bytes: &self.packed, storage: self.storage }
    }

    fn requantize(&self) -> Requantize<'_> {
        Requantize {
            input_zero_point: self.points.input_zero_point,
            output_zero_point: self.points.output_zero_point,
            bias: &self.bias,
            multipliers: &self.multipliers,
            clamp: self.points.clamp,
        }
    }
}

fn lines((lines, channels): (usize, usize)) -> (Vec<Weights>, Vec<Channels>) {
    (vec![Weights([[-1; 2]; fast::LANES]); lines], vec![Channels::NONE; channels])
}

/// The input's extent along an axis that leads to `output` steps, with padding on both sides.
fn extent(numbers: &mut Numbers, window: &Window, axis: usize, output: usize) -> usize {
    let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
    let covered = (output - 1) * window.stride[axis] + reach;
    let after = numbers.next(0, window.kernel[axis] as i32) as usize;
    (covered - window.pad[axis].min(covered - 1)).saturating_sub(after).max(1) + after / 3
}

fn windows() -> impl Strategy<Value = Window> {
    let kernels = prop_oneof![Just([1, 1]), Just([3, 3]), [1_usize..6, 1_usize..6]];
    (kernels, [1_usize..4, 1_usize..4], [1_usize..3, 1_usize..3], [0_usize..3, 0_usize..3])
        .prop_map(|(kernel, stride, dilation, pad)| {
            let pad = [pad[0].min(kernel[0] - 1), pad[1].min(kernel[1] - 1)];
            Window { kernel, stride, dilation, pad }
        })
}

/// Most channels fill lines, or lack or exceed them by a few.
fn channels() -> impl Strategy<Value = usize> {
    prop_oneof![1_usize..20, Just(16), Just(32), 30_usize..36, 60_usize..70]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn convolutions_are_those_of_the_reference(
        window in windows(), output in [1_usize..8, 1_usize..8], groups in 1_usize..4,
        inputs in channels(), filters in channels(), seed in any::<u64>(),
    ) {
        let mut numbers = Numbers(seed);
        let groups = if numbers.next(0, 2) == 0 { groups } else { 1 };
        let input = [0, 1].map(|axis| extent(&mut numbers, &window, axis, output[axis]));
        let [in_channels, out_channels] = [inputs, filters].map(|per_group| per_group * groups);
        let g = ConvGeometry { input, output, in_channels, out_channels, groups, window };
        let layer = Layer::new(&mut numbers, out_channels * g.weights_per_channel(), out_channels);
        let values = numbers.bytes(input[0] * input[1] * in_channels, -128);
        let mut expected = vec![0_i8; output[0] * output[1] * out_channels];
        reference::conv2d(&g, &values, layer.weights(), &layer.requantize(), &mut expected);
        for own in Instructions::available() {
            let (mut weights, mut channels) = lines(fast::conv2d_lines(own, &g));
            let requantize = layer.requantize();
            fast::prepare_conv2d(own, &g, &layer.unpacked, &requantize, &mut weights, &mut channels);
            let mut found = vec![55; expected.len()];
            let mut buffers = Buffers::default();
            let scratch = buffers.of(fast::conv2d_scratch(own, &g));
            fast::conv2d(own, &g, &values, &weights, &channels, layer.points, scratch, &mut found);
            prop_assert_eq!(&found, &expected, "{}", own.name());
        }
    }

    #[test]
    fn fully_connected_layers_are_those_of_the_reference(
        rows in 1_usize..30, features in 1_usize..300, out in 1_usize..150, seed in any::<u64>(),
    ) {
        let mut numbers = Numbers(seed);
        let mut layer = Layer::new(&mut numbers, out * features, out);
        layer.points.clamp = Clamp { min: -20_000, max: 30_000 };
        let values = numbers.bytes(rows * features, -128);
        let mut expected = vec![0_i16; rows * out];
        let requantize = layer.requantize();
        reference::fully_connected(features, out, &values, layer.weights(), &requantize, &mut expected);
        for own in Instructions::available() {
            let g = fast::as_convolution(1, features, out);
            let (mut weights, mut channels) = lines(fast::conv2d_lines(own, &g));
            fast::prepare_conv2d(own, &g, &layer.unpacked, &requantize, &mut weights, &mut channels);
            let g = fast::as_convolution(rows, features, out);
            let mut found = vec![55; expected.len()];
            let mut buffers = Buffers::default();
            let scratch = buffers.of(fast::conv2d_scratch(own, &g));
            fast::conv2d(own, &g, &values, &weights, &channels, layer.points, scratch, &mut found);
            prop_assert_eq!(&found, &expected, "{}", own.name());
        }
    }

    #[test]
    fn depthwise_convolutions_are_those_of_the_reference(
        window in windows(), output in [1_usize..8, 1_usize..8], channels in channels(),
        multiplier in 1_usize..4, seed in any::<u64>(),
    ) {
        let mut numbers = Numbers(seed);
        let input = [0, 1].map(|axis| extent(&mut numbers, &window, axis, output[axis]));
        let g = DepthwiseGeometry { input, output, channels, multiplier, window };
        let taps = window.kernel[0] * window.kernel[1];
        let layer = Layer::new(&mut numbers, taps * g.out_channels(), g.out_channels());
        let values = numbers.bytes(input[0] * input[1] * channels, -128);
        let mut expected = vec![0_i8; output[0] * output[1] * g.out_channels()];
        reference::depthwise_conv2d(&g, &values, layer.weights(), &layer.requantize(), &mut expected);
        for own in Instructions::available() {
            let (mut weights, mut prepared) = lines(fast::depthwise_conv2d_lines(&g));
            let requantize = layer.requantize();
            fast::prepare_depthwise_conv2d(
                own, &g, &layer.unpacked, &requantize, &mut weights, &mut prepared,
            );
            let mut found = vec![55; expected.len()];
            let mut buffers = Buffers::default();
            let scratch = buffers.of(fast::depthwise_conv2d_scratch(&g));
            fast::depthwise_conv2d(
                own, &g, &values, &weights, &prepared, layer.points, scratch, &mut found,
            );
            prop_assert_eq!(&found, &expected, "{}", own.name());
        }
    }

    #[test]
    fn pools_are_those_of_the_reference(
        window in windows(), output in [1_usize..6, 1_usize..6], channels in channels(),
        seed in any::<u64>(),
    ) {
        let mut numbers = Numbers(seed);
        // Every window holds an element that is not padding.
        let window = Window { dilation: [1, 1], ..window };
        let input = [0, 1].map(|axis| (output[axis] - 1) * window.stride[axis] + window.kernel[axis]);
        let g = PoolGeometry { input, output, channels, window };
        let (clamp, len) = (numbers.clamp(), output[0] * output[1] * channels);
        let values = numbers.bytes(input[0] * input[1] * channels, -128);
        let [mut averages, mut largest, mut found] = [0, 0, 55].map(|x| vec![x; len]);
        reference::average_pool(&g, clamp, &values, &mut averages);
        reference::max_pool(&g, clamp, &values, &mut largest);
        for own in Instructions::available() {
            let mut buffers = Buffers::default();
            fast::average_pool(own, &g, clamp, &values, buffers.of(fast::pool_scratch(&g)), &mut found);
            prop_assert_eq!(&found, &averages, "{}", own.name());
            fast::max_pool(own, &g, clamp, &values, buffers.of(fast::pool_scratch(&g)), &mut found);
            prop_assert_eq!(&found, &largest, "{}", own.name());
        }
    }

    #[test]
    fn values_are_quantized_as_by_the_grid(
        scale in 1e-6_f32..1e3, zero_point in -128_i32..=127, seed in any::<u64>(), len in 1_usize..100,
    ) {
        let mut numbers = Numbers(seed);
        let grid = Grid { scale, zero_point, min: numbers.next(-128, zero_point), max: 127 };
        let values: Vec<f32> = (0..len)
            .map(|i| match i % 4 {
                0 => f32::from_bits(numbers.next(i32::MIN, i32::MAX) as u32),
                1 => (numbers.next(-300, 300) as f32 + 0.5) * scale,
                2 => [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0][i / 4 % 4],
                _ => numbers.next(-20_000, 20_000) as f32 / 100.0 * scale,
            })
            .collect();
        let expected: Vec<i8> = values.iter().map(|&x| grid.quantize(x) as i8).collect();
        for own in Instructions::available() {
            let mut found = vec![55; len];
            fast::quantize(own, grid, &values, &mut found);
            prop_assert_eq!(&found, &expected, "{}", own.name());
        }
    }

    #[test]
    fn sums_and_products_are_those_of_the_reference(
        rows in 1_usize..5, len in channels(), broadcast in 0_usize..3, seed in any::<u64>(),
        scales in [1e-3_f32..1.0, 1e-3_f32..1.0, 1e-3_f32..1.0],
    ) {
        let mut numbers = Numbers(seed);
        let a = numbers.bytes(rows * len, -128);
        let b = numbers.bytes([1, len, rows * len][broadcast], -128);
        let points = [(); 3].map(|()| numbers.next(-128, 127));
        let (clamp, multiplier) = (numbers.clamp(), numbers.multiplier());
        let [x, y, z] = scales;
        let params = AddParams::new(x, y, z, false).expect("usual scales");
        let [mut sums, mut products, mut moved, mut found] = [0, 0, 0, 55].map(|x| vec![x; a.len()]);
        reference::add(&params, points, clamp, &a, &b, &mut sums);
        reference::mul(multiplier, points, clamp, &a, &b, &mut products);
        reference::requantize(multiplier, [points[0], points[1]], clamp, &a, &mut moved);
        for own in Instructions::available() {
            fast::add(own, &params, points, clamp, &a, &b, &mut found);
            prop_assert_eq!(&found, &sums, "{}", own.name());
            fast::mul(own, multiplier, points, clamp, &a, &b, &mut found);
            prop_assert_eq!(&found, &products, "{}", own.name());
            fast::requantize(own, multiplier, [points[0], points[1]], clamp, &a, &mut found);
            prop_assert_eq!(&found, &moved, "{}", own.name());
        }
    }
}
