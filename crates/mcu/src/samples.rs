//! Programs of random shapes, to fit costs on: layers by themselves, and small networks.

mod maker;
mod moves;
mod values;
mod weights;

use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{DType, IntOp, TensorId};
use burn_ptq_kernels::geometry::{PoolGeometry, Window};
use burn_ptq_kernels::params::Clamp;

pub(crate) use maker::Maker;

use crate::layers::Random;

/// Bounds that 8 bits have anyway, as behind a ReLU.
const FULL: Clamp = Clamp { min: -128, max: 127 };

/// Bounds of 16 bits.
const WIDE: Clamp = Clamp { min: -32768, max: 32767 };

/// Declares the kinds and their list.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a layer's operation is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        /// Every kind.
        pub const KINDS: &[Kind] = &[$(Kind::$name,)*];
    };
}

kinds! {
    /// A convolution.
    Conv,
    /// A depthwise convolution.
    Depthwise,
    /// A fully connected layer.
    FullyConnected,
    /// A sum of two inputs.
    Add,
    /// A product of two inputs.
    Mul,
    /// The mean of a window.
    AveragePool,
    /// The largest element of a window.
    MaxPool,
    /// A softmax.
    Softmax,
    /// A table of all values.
    Table,
    /// Another grid.
    Requantize,
    /// A border of a constant.
    Pad,
    /// Two inputs one after the other.
    Concat,
    /// Two elements of 4 bits to a byte.
    Pack,
    /// The same back.
    Unpack,
    /// A transposed convolution.
    TransposeConv,
    /// The logarithm of a softmax.
    LogSoftmax,
    /// A difference of two inputs.
    Sub,
    /// A quotient of two inputs.
    Div,
    /// The smaller of two inputs.
    Minimum,
    /// The larger of two inputs.
    Maximum,
    /// A rectifier with slopes.
    Prelu,
    /// Other axes first.
    Transpose,
    /// Products of matrices.
    BatchMatMul,
    /// One element of many.
    Reduce,
    /// Normalized groups of elements.
    Normalize,
    /// The largest elements of rows.
    TopK,
    /// Elements from anywhere.
    Rearrange,
    /// Linear interpolation.
    Resize,
    /// Rows of a table.
    Lookup,
    /// Elements from flash.
    Constant,
    /// A fully connected layer with outputs of 16 bits of 8-bit inputs.
    WideSums,
    /// A product in 8 bits of two inputs of 16.
    NarrowProduct,
    /// Sigmoid or hyperbolic tangent of 16 bits.
    Gate,
}

/// How a layer differs from those that most networks have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twist {
    /// Not at all.
    Plain,
    /// Groups of channels, kernels that are not square, inputs that repeat, outputs of another width.
    Unusual,
    /// Sums, or windows, too large for all but the portable kernels.
    Large,
}

/// A kind of layers on one type of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The operation.
    pub kind: Kind,
    /// The elements of its first input.
    pub dtype: DType,
    /// Bits of weights; 8 for an operation without.
    pub bits: u8,
    /// How it differs from others.
    pub twist: Twist,
}

impl Kind {
    /// The node of the operation: what is packed is unpacked again.
    pub fn node(self) -> usize {
        usize::from(self == Kind::Unpack)
    }

    /// Whether the operation has weights.
    pub fn has_weights(self) -> bool {
        matches!(
            self,
            Kind::Conv
                | Kind::Depthwise
                | Kind::FullyConnected
                | Kind::TransposeConv
                | Kind::WideSums
        )
    }

    /// Every variant of the kind; the plain ones of 8 bits first.
    pub fn variants(self) -> Vec<Variant> {
        use Twist::{Large, Plain, Unusual};
        const NARROW: &[DType] = &[DType::I8];
        const BOTH: &[DType] = &[DType::I8, DType::I16];
        const WIDE: &[DType] = &[DType::I16];
        let (dtypes, twists): (_, &[Twist]) = match self {
            Kind::Conv | Kind::Depthwise => (BOTH, &[Plain, Unusual, Large]),
            Kind::FullyConnected | Kind::AveragePool => (BOTH, &[Plain, Large]),
            Kind::WideSums => (NARROW, &[Plain, Large]),
            Kind::Add
            | Kind::Mul
            | Kind::Requantize
            | Kind::Sub
            | Kind::Div
            | Kind::Minimum
            | Kind::Maximum
            | Kind::Prelu => (BOTH, &[Plain, Unusual]),
            Kind::Softmax | Kind::LogSoftmax | Kind::Pack | Kind::Unpack => (NARROW, &[Plain]),
            Kind::NarrowProduct | Kind::Gate => (WIDE, &[Plain]),
            Kind::MaxPool
            | Kind::Table
            | Kind::Pad
            | Kind::Concat
            | Kind::TransposeConv
            | Kind::Transpose
            | Kind::BatchMatMul
            | Kind::Reduce
            | Kind::Normalize
            | Kind::TopK
            | Kind::Rearrange
            | Kind::Resize
            | Kind::Lookup
            | Kind::Constant => (BOTH, &[Plain]),
        };
        let bits: &[u8] = if self.has_weights() { &[8, 4, 3, 2] } else { &[8] };
        let mut variants = Vec::new();
        for &twist in twists {
            // All kernels of 16 bits are portable.
            let dtypes = dtypes.iter().filter(|&&dtype| twist != Large || dtype == DType::I8);
            for &dtype in dtypes {
                let of_bits = |&bits: &u8| Variant { kind: self, dtype, bits, twist };
                variants.extend(bits.iter().map(of_bits));
            }
        }
        variants
    }
}

/// A program of one layer, seeded. `None` if that seed gives a layer that is too large.
pub fn layer(variant: Variant, seed: u32) -> Option<Placed> {
    let mut random = Random::new(seed);
    let random = &mut random;
    let plane = plane(random);
    // Kernels that suit most layers do not take all of them.
    let clamp = if random.chance(60) { FULL } else { Clamp { min: -120, max: 110 } };
    let channels = channels(random);
    let zero_point = if random.chance(85) { -128 } else { -3 };
    let ends = Ends {
        shape: [plane[0], plane[1], channels],
        clamp: if variant.dtype == DType::I16 { WIDE } else { clamp },
        zero_point,
    };
    let maker = match variant.kind {
        Kind::Conv
        | Kind::Depthwise
        | Kind::FullyConnected
        | Kind::TransposeConv
        | Kind::WideSums => weights::layer(variant, random, ends),
        Kind::Pad
        | Kind::Concat
        | Kind::Pack
        | Kind::Unpack
        | Kind::Transpose
        | Kind::Rearrange
        | Kind::Lookup
        | Kind::Constant => moves::layer(variant, random, ends),
        Kind::Add
        | Kind::Mul
        | Kind::Sub
        | Kind::Div
        | Kind::Minimum
        | Kind::Maximum
        | Kind::Prelu
        | Kind::AveragePool
        | Kind::MaxPool
        | Kind::Softmax
        | Kind::LogSoftmax
        | Kind::Table
        | Kind::Requantize
        | Kind::BatchMatMul
        | Kind::Reduce
        | Kind::Normalize
        | Kind::TopK
        | Kind::NarrowProduct
        | Kind::Gate
        | Kind::Resize => values::layer(variant, random, ends),
    };
    maker?.finish(Memory::Whole)
}

/// The shape of a layer's input, and the bounds and the zero point of its output.
#[derive(Clone, Copy)]
struct Ends {
    shape: [usize; 3],
    clamp: Clamp,
    zero_point: i32,
}

/// A network of some convolutions with weights of `bits` and a fully connected layer, seeded.
pub fn network(bits: u8, memory: Memory, seed: u32) -> Option<Placed> {
    let mut random = Random::new(seed);
    let random = &mut random;
    let mut maker = Maker::default();
    let side = random.pick(&[12, 16, 20, 24]);
    let mut at = maker.tensor([side, side, random.pick(&[1, 3, 4])], -128);
    maker.inputs.push(at);
    let form = weights::Form { bits, clamp: FULL, zero_point: -128, twist: Twist::Plain };
    for layer in 0..random.within(3, 8) {
        let stride = if random.chance(30) { 2 } else { 1 };
        let window = |kernel: usize| Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            dilation: [1; 2],
            pad: [kernel / 2; 2],
        };
        let width = maker.tensors[at.0].shape[2];
        let (kind, few, more) =
            (random.within(0, 2), random.pick(&[4, 8, 16]), random.pick(&[8, 16, 24]));
        at = match kind {
            0 if layer > 0 && width.is_multiple_of(4) => {
                weights::depthwise(&mut maker, random, (at, window(3), 1), form)?
            }
            1 => weights::conv(&mut maker, random, (at, window(1), more, 1), form)?,
            _ => weights::conv(&mut maker, random, (at, window(3), few, 1), form)?,
        };
    }
    let [height, width, channels] = maker.tensors[at.0].shape;
    let plane = [height, width];
    let window = Window { kernel: plane, stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
    let geometry = PoolGeometry { input: plane, output: [1; 2], channels, window };
    let pooled = maker.tensor([1, 1, channels], -128);
    maker.node(IntOp::AveragePool { geometry, clamp: FULL }, &[at], pooled);
    weights::fully_connected(&mut maker, random, (pooled, 1, [channels, 10]), form)?;
    maker.finish(memory)
}

fn plane(random: &mut Random) -> [usize; 2] {
    let height = if random.chance(30) { 1 } else { random.within(2, 20) as usize };
    [height, random.pick(&[1, 2, 3, 5, 6, 7, 8, 10, 12, 15, 16, 20, 25, 32])]
}

fn channels(random: &mut Random) -> usize {
    random.pick(&[
        1, 2, 3, 3, 4, 5, 10, 14, 6, 8, 8, 12, 16, 16, 20, 24, 32, 32, 40, 48, 64, 64, 96, 128,
    ])
}

fn window(random: &mut Random, sides: &[usize]) -> Window {
    let kernel = random.pick(sides);
    let stride = random.pick(&[1, 1, 2]);
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        pad: [random.pick(&[kernel / 2, kernel / 2, 0]); 2],
    }
}

/// The output of a window that pads as much after as before; `None` if there is none.
fn extents(input: [usize; 2], window: &Window) -> Option<[usize; 2]> {
    let of = |axis: usize| {
        let padded = input[axis] + 2 * window.pad[axis];
        let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        Some(padded.checked_sub(reach)? / window.stride[axis] + 1)
    };
    Some([of(0)?, of(1)?])
}

/// The shape of a tensor in the making.
fn shape(maker: &Maker, id: TensorId) -> [usize; 3] {
    maker.tensors[id.0].shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_layers_and_networks_are_valid() {
        for variant in KINDS.iter().flat_map(|kind| kind.variants()) {
            let layers = (0..60).filter_map(|seed| layer(variant, seed)).count();
            assert!(layers >= 10, "{variant:?}: {layers}");
        }
        for memory in [Memory::Whole, Memory::Reduced] {
            assert!((0..20).filter_map(|seed| network(4, memory, seed)).count() >= 10);
        }
    }
}
