//! Random programs that keep something from one call to the next.

use burn_ptq_deploy::program::{Broadcast, DType, IntOp, TensorId};
use burn_ptq_kernels::params::{AddParams, Clamp};

use super::Problem;
use super::chain;
use super::draw::Draw;
use super::program::{Program, tensor};

/// One to three states of the shape of the input, of 8 or 16 bits; layers that read them and the inputs; what
/// the states become: an input, what another layer reads or the caller, functions of states or of something
/// else; layers that read states afterwards.
pub(super) fn states(draw: &mut Draw) -> Option<Problem> {
    let (wide, shape) = (draw.chance(40), draw.shape(5, 6));
    let mut program = Program::new(draw, wide, shape);
    if program.draw.chance(40) {
        program.add_input(!wide, shape);
    }
    let mut held = Vec::new();
    for _ in 0..1 + program.draw.below(3) {
        let inputs = program.inputs().to_vec();
        let like = program.draw.pick(&inputs);
        let like = match program.draw.chance(40) {
            true => program.tensor(like).clone(),
            false => {
                let is_wide = program.tensor(like).dtype == DType::I16;
                tensor(program.draw, is_wide, shape)
            }
        };
        held.push(program.add_held(like));
    }
    for _ in 0..program.draw.below(4) {
        read_any(&mut program)?;
    }
    for &held in &held {
        let next = match program.draw.chance(30) {
            // Written when nothing reads the state any more, unless something does later.
            true => {
                let read = program.scrambled(held);
                let like = program.tensor(held).clone();
                program.scrambled_to(read, like)
            }
            false => next(&mut program, held),
        };
        program.keep(held, next);
        if program.draw.chance(40) {
            read_any(&mut program)?;
        }
    }
    // Something reads states, whatever the draws were.
    for _ in 0..1 + program.draw.below(2) {
        let state = program.draw.below(held.len());
        let left = program.states().get(state).map(|state| state.output);
        let from = if program.draw.chance(50) { held.get(state).copied() } else { left };
        read(&mut program, from?)?;
    }
    let mut outputs = vec![*program.written().last()?];
    if program.draw.chance(60) {
        let left: Vec<TensorId> = program.states().iter().map(|state| state.output).collect();
        outputs.push(program.draw.pick(&left));
    }
    let turn = program.draw.below(outputs.len());
    outputs.rotate_left(turn);
    program.finish_with(&outputs)
}

fn read_any(program: &mut Program) -> Option<TensorId> {
    let from = TensorId(program.draw.below(program.len()));
    read(program, from)
}

/// Any layer that reads `from`.
fn read(program: &mut Program, from: TensorId) -> Option<TensorId> {
    if program.draw.chance(30) {
        return Some(program.scrambled(from));
    }
    let wide = program.tensor(from).dtype == DType::I16;
    let (op, inputs, output) = chain::layer(program, from, wide)?;
    Some(program.push(op, &inputs, output))
}

/// What the state `held` becomes.
fn next(program: &mut Program, held: TensorId) -> TensorId {
    let like = program.tensor(held).clone();
    let fits = |program: &Program, id: &TensorId| {
        let tensor = program.tensor(*id);
        (tensor.shape, tensor.dtype) == (like.shape, like.dtype)
    };
    // An activation that there is, if it is not held and no other state becomes it.
    let free = |program: &Program, id: &TensorId| {
        let tensor = program.tensor(*id);
        let alike = fits(program, id) && (tensor.bits, tensor.grid) == (like.bits, like.grid);
        let written = program.inputs().contains(id) || program.written().contains(id);
        alike && written && program.states().iter().all(|state| state.output != *id)
    };
    let all = (0..program.len()).map(TensorId);
    let there: Vec<TensorId> = all.clone().filter(|id| free(program, id)).collect();
    if !there.is_empty() && program.draw.chance(60) {
        return program.draw.pick(&there);
    }
    let others: Vec<TensorId> = all.filter(|id| fits(program, id)).collect();
    let from = program.draw.pick(&others);
    if program.draw.chance(50) {
        return program.scrambled_to(from, like);
    }
    let scales = [held, from].map(|id| program.tensor(id).grid.scale);
    let wide = like.dtype == DType::I16;
    let Some(params) = AddParams::new(scales[0], scales[1], like.grid.scale, wide) else {
        return program.scrambled_to(from, like);
    };
    let clamp = Clamp { min: like.grid.min, max: like.grid.max };
    let op = IntOp::Add { params, broadcast: Broadcast::None, clamp };
    program.push(op, &[held, from], like)
}
