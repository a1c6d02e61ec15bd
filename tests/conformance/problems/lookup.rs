//! Rows of tables by their numbers.

use burn_ptq_deploy::program::{DType, IntOp, IntTensor, TensorId};

use super::Problem;
use super::draw::Draw;
use super::program::{Program, tensor};

/// Ids of 8 or 16 bits with any zero point, many of them beyond the table, and a table of few rows.
fn lookup(draw: &mut Draw, wide: bool) -> Option<Problem> {
    let of_words = draw.chance(40);
    let (rows, width) = (1 + draw.below(12), 1 + draw.below(9));
    let shape = [1, 1, 4 + draw.below(20)];
    let mut program = Program::new(draw, of_words, shape);
    program.set_scale(TensorId(0), 1.0);
    let x = program.input();
    let output = tensor(program.draw, wide, [1, shape[2], width]);
    let op = lookup_of(program.draw, rows, &output);
    program.finish(op, &[x], output)
}

/// A random table whose rows have as many elements as `output` has channels.
pub(super) fn lookup_of(draw: &mut Draw, rows: usize, output: &IntTensor) -> IntOp {
    let (width, grid) = (output.shape[2], output.grid);
    let table: Vec<i32> = (0..rows * width).map(|_| draw.within(grid.min, grid.max)).collect();
    match output.dtype {
        DType::I8 | DType::I4 => {
            IntOp::Lookup8 { width, table: table.iter().map(|&x| x as i8).collect() }
        }
        DType::I16 => IntOp::Lookup16 { width, table: table.iter().map(|&x| x as i16).collect() },
    }
}

pub(super) fn lookup8(draw: &mut Draw) -> Option<Problem> {
    lookup(draw, false)
}

pub(super) fn lookup16(draw: &mut Draw) -> Option<Problem> {
    lookup(draw, true)
}
