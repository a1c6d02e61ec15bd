//! Work of operations that copy elements: as many calls of `memcpy` as there are runs of them.

use burn_ptq_kernels::reference::{MAX_AXES, Steps};

use super::counts::{Work, numbers};
use crate::movement::MoveAxis;
use crate::place::Placed;
use crate::program::{IntNode, Loop, TensorId};

/// Calls of `memcpy`: those of words, of a few bytes, and those whose ends are not aligned alike.
#[derive(Default)]
struct Copies {
    words: [f64; 5],
    short: [f64; 3],
    odd: [f64; 6],
}

/// Bytes that the C libraries copy at a time, and below which some do not look for words.
const CHUNK: usize = 64;
const LINE: usize = 16;
const WORD: usize = 4;

/// The times of each part of a copy of `bytes`: of chunks, lines, words and single bytes.
fn parts(bytes: usize) -> [f64; 4] {
    [bytes / CHUNK, bytes % CHUNK / LINE, bytes % LINE / WORD, bytes % WORD].map(|n| n as f64)
}

impl Copies {
    /// Adds `times` copies of `bytes` from `source` to `target`, of which what remains of words counts.
    fn add(&mut self, times: f64, bytes: usize, [source, target]: [usize; 2]) {
        if source % WORD != 0 || target % WORD != 0 {
            self.odd[0] += times;
            let head = target.next_multiple_of(WORD) - target;
            self.odd[1] += times * head as f64;
            for (sum, part) in self.odd.iter_mut().skip(2).zip(parts(bytes)) {
                *sum += times * part;
            }
        } else if bytes < LINE {
            self.short[0] += times;
            self.short[1] += times * (bytes / WORD) as f64;
            self.short[2] += times * (bytes % WORD) as f64;
        } else {
            self.words[0] += times;
            for (sum, part) in self.words.iter_mut().skip(1).zip(parts(bytes)) {
                *sum += times * part;
            }
        }
    }

    /// The work of `values` and of the copies.
    fn with(&self, values: &[usize]) -> Work {
        let mut work = numbers(values);
        work.0.extend(self.words.iter().chain(&self.short).chain(&self.odd));
        work
    }
}

/// Bytes of an element.
fn element(program: &Placed, id: TensorId) -> usize {
    program.tensors[id.0].dtype.bytes()
}

pub(super) fn concat(program: &Placed, node: &IntNode, outer: usize, chunks: &[usize]) -> Work {
    let size = element(program, node.output);
    let step = chunks.iter().sum::<usize>() * size;
    let mut target = program.offset(node.output);
    let mut copies = Copies::default();
    for (&chunk, &input) in chunks.iter().zip(&node.inputs) {
        let (bytes, source) = (chunk * size, program.offset(input));
        for i in 0..outer {
            copies.add(1.0, bytes, [source + i * bytes, target + i * step]);
        }
        target += bytes;
    }
    copies.with(&[chunks.len()])
}

pub(super) fn pad(
    program: &Placed,
    node: &IntNode,
    input: [usize; 3],
    [before, after]: [[usize; 3]; 2],
) -> Work {
    let size = element(program, node.output);
    let extent = [0, 1, 2].map(|axis| before[axis] + input[axis] + after[axis]);
    let [source, target] = [node.inputs[0], node.output].map(|id| program.offset(id));
    let bytes = input[2] * size;
    let mut copies = Copies::default();
    for pixel in 0..input[0] * input[1] {
        let (y, x) = (pixel / input[1] + before[0], pixel % input[1] + before[1]);
        let to = target + ((y * extent[1] + x) * extent[2] + before[2]) * size;
        copies.add(1.0, bytes, [source + pixel * bytes, to]);
    }
    copies.with(&[1, extent.iter().product(), input[0]])
}

/// Compilers copy constants up to this many bytes without a call.
const INLINE: usize = 64;

pub(super) fn constant(program: &Placed, node: &IntNode, bytes: usize) -> Work {
    let mut copies = Copies::default();
    let inline = if bytes <= INLINE { bytes } else { 0 };
    if bytes > INLINE {
        // Arrays begin at words.
        copies.add(1.0, bytes, [0, program.offset(node.output)]);
    }
    copies.with(&[1, inline / WORD, inline % WORD])
}

/// What is copied after the last node.
pub(super) fn states(program: &Placed) -> Work {
    copied(program, program.copied_states())
}

/// What is copied at the end of a step of a loop.
pub(super) fn carried(program: &Placed, own: &Loop) -> Work {
    copied(program, program.copied_carried(own))
}

/// Copies of whole activations, as constants are copied.
fn copied(program: &Placed, pairs: impl Iterator<Item = (TensorId, TensorId)>) -> Work {
    let mut copies = Copies::default();
    let (mut calls, mut inline) = (0, [0; 2]);
    for (from, to) in pairs {
        let bytes = program.tensors[from.0].bytes();
        calls += 1;
        if bytes <= INLINE {
            inline = [inline[0] + bytes / WORD, inline[1] + bytes % WORD];
        } else {
            copies.add(1.0, bytes, [program.offset(from), program.offset(to)]);
        }
    }
    copies.with(&[calls, inline[0], inline[1]])
}

/// One copy of a part of a sequence, where the first one lies.
pub(super) fn step(program: &Placed, node: &IntNode) -> Work {
    let [input, output] = [node.inputs[0], node.output];
    let bytes = program.tensors[input.0].bytes().min(program.tensors[output.0].bytes());
    let mut copies = Copies::default();
    let inline = if bytes <= INLINE { bytes } else { 0 };
    if bytes > INLINE {
        copies.add(1.0, bytes, [program.offset(input), program.offset(output)]);
    }
    copies.with(&[1, inline / WORD, inline % WORD])
}

pub(super) fn lookup(program: &Placed, node: &IntNode, width: usize) -> Work {
    let bytes = width * element(program, node.output);
    let rows = program.tensors[node.inputs[0].0].len();
    let target = program.offset(node.output);
    let mut copies = Copies::default();
    for row in 0..rows {
        // Any row of the table, of which one in so many begins at a word.
        let aligned = match bytes % WORD {
            0 => 1.0,
            2 => 0.5,
            _ => 0.25,
        };
        let to = target + row * bytes;
        copies.add(aligned, bytes, [0, to]);
        if aligned < 1.0 {
            copies.add(1.0 - aligned, bytes, [1, to]);
        }
    }
    copies.with(&[1, rows])
}

/// Whether the last axis of a movement follows the input, which makes it a copy.
pub(super) fn rearrange_way(axes: &[MoveAxis]) -> &'static str {
    match axes.last() {
        Some(MoveAxis::Even { step: 1, .. }) => "copy",
        Some(MoveAxis::Even { .. }) => "steps",
        Some(MoveAxis::Listed(_)) => "list",
        None => "steps",
    }
}

pub(super) fn rearrange(program: &Placed, node: &IntNode, first: usize, axes: &[MoveAxis]) -> Work {
    let size = element(program, node.output);
    let padded = MoveAxis::padded(axes);
    let counts: [usize; MAX_AXES] = padded.each_ref().map(|axis| match axis {
        Steps::Even { count, .. } => *count,
        Steps::Listed(places) => places.len(),
    });
    let mut values = vec![1];
    let (mut product, mut listed) = (1, 0);
    for (axis, count) in padded.iter().zip(counts).take(MAX_AXES - 1) {
        product *= count;
        values.push(product);
        listed += if matches!(axis, Steps::Listed(_)) { product } else { 0 };
    }
    let [runs, length] = [product, counts.last().copied().unwrap_or(1)];
    values.push(listed);
    let mut copies = Copies::default();
    if rearrange_way(axes) == "copy" {
        let [source, target] = [node.inputs[0], node.output].map(|id| program.offset(id));
        for run in 0..runs {
            let mut place = first as isize;
            let mut rest = run;
            for (axis, count) in padded.iter().zip(counts).take(MAX_AXES - 1).rev() {
                let index = rest % count.max(1);
                rest /= count.max(1);
                place += match axis {
                    Steps::Even { step, .. } => index as isize * step,
                    Steps::Listed(places) => places.get(index).map_or(0, |&at| at as isize),
                };
            }
            let from = source + usize::try_from(place).unwrap_or(0) * size;
            copies.add(1.0, length * size, [from, target + run * length * size]);
        }
    } else {
        values.push(runs * length);
    }
    copies.with(&values)
}
