//! Rows of tables by their numbers.

use burn_ptq_deploy::program::IntOp;

use super::Problem;
use super::draw::Draw;
use super::program::{Program, tensor};

/// Ids of 8 or 16 bits with any zero point, many of them beyond the table, and a table of few rows.
fn lookup(draw: &mut Draw, wide: bool) -> Option<Problem> {
    let of_words = draw.chance(40);
    let (rows, width) = (1 + draw.below(12), 1 + draw.below(9));
    let shape = [1, 1, 4 + draw.below(20)];
    let mut program = Program::new(draw, of_words, shape);
    program.set_input_scale(1.0);
    let x = program.input();
    let output = tensor(program.draw, wide, [1, shape[2], width]);
    let (min, max) = (output.grid.min, output.grid.max);
    let table: Vec<i32> = (0..rows * width).map(|_| program.draw.within(min, max)).collect();
    let op = match wide {
        false => IntOp::Lookup8 { width, table: table.iter().map(|&x| x as i8).collect() },
        true => IntOp::Lookup16 { width, table: table.iter().map(|&x| x as i16).collect() },
    };
    program.finish(op, &[x], output)
}

pub(super) fn lookup8(draw: &mut Draw) -> Option<Problem> {
    lookup(draw, false)
}

pub(super) fn lookup16(draw: &mut Draw) -> Option<Problem> {
    lookup(draw, true)
}
