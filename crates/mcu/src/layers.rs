//! Programs of one layer each, to time kernels on.

use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{IntOp, Program, Weighted, Weights};
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, Window};
use burn_ptq_kernels::grid::weight_range;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::packing::{pack, packed_len, storage_bits};
use burn_ptq_kernels::params::Clamp;

use crate::samples::Maker;

/// The shape of a layer on 8-bit activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// A convolution that keeps the plane.
    Conv {
        /// Height and width of the kernel.
        kernel: usize,
        /// Channels of the input and the output.
        channels: [usize; 2],
        /// Height and width of the plane.
        plane: usize,
    },
    /// A 3x3 depthwise convolution that keeps the plane.
    Depthwise {
        /// The number of channels.
        channels: usize,
        /// Height and width of the plane.
        plane: usize,
    },
    /// A fully connected layer.
    FullyConnected {
        /// Elements of the input and the output.
        features: [usize; 2],
    },
}

/// The layers that kernels are compared on.
pub const LAYERS: &[Layer] = &[
    Layer::Conv { kernel: 3, channels: [16, 16], plane: 32 },
    Layer::Conv { kernel: 3, channels: [3, 16], plane: 32 },
    Layer::Conv { kernel: 3, channels: [32, 32], plane: 16 },
    Layer::Conv { kernel: 1, channels: [16, 32], plane: 32 },
    Layer::Conv { kernel: 1, channels: [64, 64], plane: 16 },
    Layer::Depthwise { channels: 16, plane: 32 },
    Layer::Depthwise { channels: 64, plane: 16 },
    Layer::FullyConnected { features: [256, 64] },
    Layer::FullyConnected { features: [576, 16] },
];

impl Layer {
    /// The layer in a few words.
    pub fn name(&self) -> String {
        match self {
            Layer::Conv { kernel, channels: [input, output], plane } => {
                format!("conv{kernel}x{kernel} {input}->{output} {plane}x{plane}")
            }
            Layer::Depthwise { channels, plane } => format!("dw3x3 C{channels} {plane}x{plane}"),
            Layer::FullyConnected { features: [input, output] } => format!("FC {input}->{output}"),
        }
    }

    /// The layer as a program, with seeded random weights of `bits`.
    ///
    /// The input lies on a grid that begins at 0, as behind a ReLU, and so does the output, of which
    /// about half the elements are above it.
    pub fn program(&self, bits: u8) -> Placed {
        let mut random = Random::new(u32::from(bits));
        let clamp = Clamp { min: -128, max: 127 };
        let (input, output, op) = match *self {
            Layer::Conv { kernel, channels: [input, output], plane } => {
                let geometry = ConvGeometry {
                    input: [plane; 2],
                    output: [plane; 2],
                    in_channels: input,
                    out_channels: output,
                    groups: 1,
                    window: window(kernel),
                };
                let shape = [output, kernel, kernel, input];
                let weighted = random.weighted(&shape, output, bits, clamp);
                let op = IntOp::Conv2d { geometry, weighted };
                ([plane, plane, input], [plane, plane, output], op)
            }
            Layer::Depthwise { channels, plane } => {
                let geometry = DepthwiseGeometry {
                    input: [plane; 2],
                    output: [plane; 2],
                    channels,
                    multiplier: 1,
                    window: window(3),
                };
                let weighted = random.weighted(&[3, 3, channels], channels, bits, clamp);
                let op = IntOp::DepthwiseConv2d { geometry, weighted };
                ([plane, plane, channels], [plane, plane, channels], op)
            }
            Layer::FullyConnected { features: [input, output] } => {
                let weighted = random.weighted(&[output, input], output, bits, clamp);
                let op = IntOp::FullyConnected {
                    rows: 1,
                    in_features: input,
                    out_features: output,
                    weighted,
                };
                ([1, 1, input], [1, 1, output], op)
            }
        };
        single(input, output, op)
    }

    /// One seeded random sample for its program.
    pub fn sample(&self, program: &Program) -> Vec<u8> {
        let mut random = Random::new(99);
        (0..program.input_bytes()).map(|_| random.within(0, 255) as u8).collect()
    }
}

fn window(kernel: usize) -> Window {
    Window { kernel: [kernel; 2], stride: [1; 2], dilation: [1; 2], pad: [kernel / 2; 2] }
}

fn single(input: [usize; 3], output: [usize; 3], op: IntOp) -> Placed {
    let mut maker = Maker::default();
    let x = maker.tensor(input, -128);
    maker.inputs.push(x);
    let y = maker.tensor(output, -128);
    maker.node(op, &[x], y);
    maker.finish(Memory::Whole).expect("every layer is a valid program")
}

/// A linear congruential generator: the same programs on every machine.
pub(crate) struct Random(u32);

impl Random {
    pub(crate) fn new(seed: u32) -> Self {
        Self(seed.wrapping_mul(2_654_435_761).wrapping_add(12345))
    }

    pub(crate) fn within(&mut self, low: i32, high: i32) -> i32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        low + ((self.0 >> 8) % (high - low + 1) as u32) as i32
    }

    /// One of a list.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.within(0, list.len() as i32 - 1) as usize]
    }

    /// True in so many of a hundred cases.
    pub(crate) fn chance(&mut self, percent: i32) -> bool {
        self.within(0, 99) < percent
    }

    pub(crate) fn weighted(
        &mut self,
        shape: &[usize],
        channels: usize,
        bits: u8,
        clamp: Clamp,
    ) -> Weighted {
        let (low, high) = weight_range(bits);
        let len: usize = shape.iter().product();
        let values: Vec<i8> = (0..len).map(|_| self.within(low, high) as i8).collect();
        let storage = storage_bits(bits);
        let mut data = vec![0; packed_len(len, storage)];
        pack(&values, storage, &mut data);
        // Inputs of 0..=255 have a root mean square of 148; the outputs get one of about 60.
        let squares: f64 = values.iter().map(|&w| f64::from(w) * f64::from(w)).sum();
        let spread = 148.0 * (squares / channels as f64).sqrt();
        let multipliers = (0..channels)
            .map(|c| Multiplier::from_real(60.0 / spread * (1.0 + c as f64 / 100.0)))
            .map(|multiplier| multiplier.expect("far from both ends of what is representable"))
            .collect();
        Weighted {
            weights: Weights {
                shape: shape.to_vec(),
                bits,
                storage,
                data,
                scales: vec![0.01; channels],
            },
            bias: (0..channels).map(|_| self.within(-2000, 2000)).collect(),
            multipliers,
            clamp,
        }
    }
}
