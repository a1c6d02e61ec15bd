//! A network of streams whose strides leave a rest: the last rows of some outputs are never read.

use burn_ptq_deploy::export::SelfTest;
use burn_ptq_deploy::place::plan::plan;
use burn_ptq_deploy::place::rows::RowProgram;
use burn_ptq_deploy::place::{Placed, Stream};
use burn_ptq_deploy::program::{Border, DType, Input, IntOp, Output, TensorId};
use burn_ptq_deploy::target::Kernels;
use burn_ptq_kernels::geometry::{ConvGeometry, DepthwiseGeometry, PoolGeometry, Window};

use super::{BYTE, Builder};

/// Channels everywhere: as many as all kernels take.
const CHANNELS: usize = 4;

/// What reads the rows.
#[derive(Clone, Copy)]
enum Reader {
    Max,
    Average,
    Convolution,
    Depthwise,
}

/// A plane, its reader, and the kernel and the stride of that one's window along both axes.
type Branch = ([usize; 2], Reader, [usize; 2], [usize; 2]);

const BRANCHES: [Branch; 10] = [
    ([21, 6], Reader::Max, [2; 2], [2; 2]),
    ([20, 4], Reader::Max, [3; 2], [3; 2]),
    ([20, 5], Reader::Max, [3; 2], [2; 2]),
    ([29, 4], Reader::Max, [2; 2], [2; 2]),
    ([29, 4], Reader::Max, [3; 2], [3; 2]),
    ([29, 5], Reader::Average, [2; 2], [2; 2]),
    ([28, 4], Reader::Convolution, [1; 2], [2; 2]),
    ([22, 4], Reader::Depthwise, [3; 2], [4, 1]),
    ([128, 1], Reader::Max, [3, 1], [3, 1]),
    ([128, 1], Reader::Average, [5, 1], [5, 1]),
];

impl Builder {
    /// A convolution in a window, or a depthwise one.
    fn windowed(&mut self, from: TensorId, window: Window, depthwise: bool) -> TensorId {
        let [height, width, _] = self.program.tensors[from.0].shape;
        let (input, output) = ([height, width], extents([height, width], window));
        let [rows, columns] = window.kernel;
        let to = self.tensor([output[0], output[1], CHANNELS], DType::I8, 0.3, -5);
        let op = if depthwise {
            let weighted = self.weighted(&[rows, columns, CHANNELS], CHANNELS, 8, 0.004, BYTE);
            let (channels, multiplier) = (CHANNELS, 1);
            let geometry = DepthwiseGeometry { input, output, channels, multiplier, window };
            IntOp::DepthwiseConv2d { geometry, weighted }
        } else {
            let shape = [CHANNELS, rows, columns, CHANNELS];
            let weighted = self.weighted(&shape, CHANNELS, 8, 0.002, BYTE);
            let (in_channels, out_channels, groups) = (CHANNELS, CHANNELS, 1);
            let geometry =
                ConvGeometry { input, output, in_channels, out_channels, groups, window };
            IntOp::Conv2d { geometry, weighted }
        };
        self.node(&format!("layer{}", to.0), op, &[from], to);
        to
    }

    fn pooled(&mut self, from: TensorId, window: Window, average: bool) -> TensorId {
        let [height, width, channels] = self.program.tensors[from.0].shape;
        let (input, output) = ([height, width], extents([height, width], window));
        let geometry = PoolGeometry { input, output, channels, window };
        let grid = self.program.tensors[from.0].grid;
        let shape = [output[0], output[1], channels];
        let to = self.tensor(shape, DType::I8, grid.scale, grid.zero_point);
        let op = match average {
            true => IntOp::AveragePool { geometry, clamp: BYTE },
            false => IntOp::MaxPool { geometry, clamp: BYTE },
        };
        self.node(&format!("pool{}", to.0), op, &[from], to);
        to
    }
}

fn extents(input: [usize; 2], window: Window) -> [usize; 2] {
    [0, 1].map(|axis| {
        (input[axis] + 2 * window.pad[axis] - window.kernel[axis]) / window.stride[axis] + 1
    })
}

/// One stream for each branch, and a self-test on three samples. In each stream a convolution of 3x3 (of
/// 3x1 where columns are few) comes before one of 1x1, of which nodes that nobody reads come too.
pub(crate) fn uneven(kernels: Kernels) -> (Placed, SelfTest) {
    let mut b = Builder::new("net", [1, 1, 1]);
    (b.program.tensors, b.program.inputs, b.program.outputs) =
        (Vec::new(), Vec::new(), vec![Output::new("y", TensorId(0), Border::plain(&[1]))]);
    let (mut ends, mut firsts) = (Vec::new(), Vec::new());
    for ([height, width], reader, kernel, stride) in BRANCHES {
        firsts.push(b.program.nodes.len());
        let shape = [height, width, CHANNELS];
        let input = b.tensor(shape, DType::I8, 0.05, 3);
        b.program.inputs.push(Input::new(format!("x{}", input.0), input, Border::plain(&shape)));
        let plain = Window { kernel: [1; 2], stride: [1; 2], dilation: [1; 2], pad: [0; 2] };
        let wide = usize::from(width > 1);
        let three = Window { kernel: [3, 1 + 2 * wide], pad: [1, wide], ..plain };
        let first = b.windowed(input, three, false);
        b.windowed(first, plain, true);
        let second = b.windowed(first, plain, false);
        let window = Window { kernel, stride, ..plain };
        let end = match reader {
            Reader::Max => b.pooled(second, window, false),
            Reader::Average => b.pooled(second, window, true),
            Reader::Convolution => b.windowed(second, window, false),
            Reader::Depthwise => b.windowed(second, window, true),
        };
        let shape = b.program.tensors[end.0].shape;
        ends.push(Output::new(format!("y{}", end.0), end, Border::plain(&shape)));
    }
    b.program.outputs = ends;
    let streams = firsts.iter().map(|&first| {
        let stream = Stream { first, rows: vec![1; 4] };
        let rows = RowProgram::unlimited(&b.program, &stream).expect("layers that run by rows");
        Stream { first, rows: rows.capacities() }
    });
    let placement = plan(&b.program, streams.collect(), kernels);
    let placed = Placed::new(b.program.clone(), placement, kernels).expect("a valid program");
    let bytes = placed.input_bytes();
    let samples: Vec<Vec<u8>> =
        (0..3).map(|_| (0..bytes).map(|_| b.random(0, 255) as u8).collect()).collect();
    let self_test = SelfTest::new(&placed, &samples).expect("inputs of the right size");
    (placed, self_test)
}
