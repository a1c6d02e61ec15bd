//! Random programs of several inputs and outputs.

use burn_ptq_deploy::program::{DType, IntOp, TensorId};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Selection;

use super::Problem;
use super::chain::{self, Layer};
use super::draw::Draw;
use super::lookup::lookup_of;
use super::program::{Program, clamp, tensor};

/// Two inputs, one of 8 bits and one of 16, or three with ids of table rows; some layers, and two or
/// three outputs out of all that they write. Other layers read some of the outputs, some are an input,
/// and some are the same tensor.
pub(super) fn several(draw: &mut Draw) -> Option<Problem> {
    let (wide, shape) = (draw.chance(50), draw.shape(6, 6));
    let mut program = Program::new(draw, wide, shape);
    let other = if program.draw.chance(50) { shape } else { program.draw.shape(6, 6) };
    program.add_input(!wide, other);
    if program.draw.chance(40) {
        let (of_words, count) = (program.draw.chance(60), 1 + program.draw.below(9));
        let ids = program.add_input(of_words, [1, 1, count]);
        program.set_scale(ids, 1.0);
    }
    for input in program.inputs().to_vec() {
        grow(&mut program, input)?;
    }
    for _ in 0..program.draw.below(5) {
        let from = TensorId(program.draw.below(program.len()));
        grow(&mut program, from)?;
    }
    let written = program.written();
    let mut outputs = vec![*written.last()?];
    for _ in 0..1 + program.draw.below(2) {
        let (inputs, others) = (program.inputs().to_vec(), outputs.clone());
        outputs.push(match program.draw.below(10) {
            0 => program.draw.pick(&inputs),
            1 => program.draw.pick(&others),
            _ => program.draw.pick(&written),
        });
    }
    let turn = program.draw.below(outputs.len());
    outputs.rotate_left(turn);
    program.finish_with(&outputs)
}

fn grow(program: &mut Program, from: TensorId) -> Option<TensorId> {
    let (op, inputs, output) = layer(program, from)?;
    Some(program.push(op, &inputs, output))
}

/// Any layer that reads `from`.
fn layer(program: &mut Program, from: TensorId) -> Option<Layer> {
    let read = program.tensor(from).clone();
    let wide = read.dtype == DType::I16;
    let [height, width, channels] = read.shape;
    // Ids: an input of them, or places.
    if read.grid.scale == 1.0 && program.draw.chance(80) {
        let (of_words, row) = (program.draw.chance(50), 1 + program.draw.below(5));
        let output = tensor(program.draw, of_words, [height * width, channels, row]);
        let rows = 1 + program.draw.below(12);
        return Some((lookup_of(program.draw, rows, &output), vec![from], output));
    }
    match program.draw.below(8) {
        0 => {
            let mut output = tensor(program.draw, !wide, read.shape);
            let steps =
                (read.grid.max - read.grid.min) as f32 / (output.grid.max - output.grid.min) as f32;
            output.grid.scale = read.grid.scale * steps * program.draw.scale(0.5, 2.0);
            let real = f64::from(read.grid.scale) / f64::from(output.grid.scale);
            let multiplier = Multiplier::from_real(real)?;
            let clamp = clamp(program.draw, output.grid);
            Some((IntOp::Requantize { multiplier, clamp }, vec![from], output))
        }
        1 => {
            let k = 1 + program.draw.below(channels);
            let selection = Selection {
                smallest: program.draw.chance(50),
                last: program.draw.chance(50),
                indices: true,
            };
            let mut output = tensor(program.draw, true, [height, width, k]);
            output.grid.scale = 1.0;
            let op = IntOp::TopK { selection, rows: height * width, depth: channels, k };
            Some((op, vec![from], output))
        }
        _ => chain::layer(program, from, wide),
    }
}
