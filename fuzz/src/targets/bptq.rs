//! Integer programs. What the verifier accepts must run, on both paths with the same bytes.

use burn_ptq_deploy::file::{from_bytes, to_bytes};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::run::{Interpreter, Path};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_deploy::verify::work;

use crate::mutate::{Random, damage, sealed};
use crate::{Target, damaged};

#[path = "../../../crates/deploy/tests/programs/mod.rs"]
#[allow(missing_docs, dead_code)]
mod programs;

/// Bytes of the header, which the payload follows.
const HEADER: usize = 20;

/// Programs of at most this many steps are run.
const MAX_STEPS: u64 = 1 << 22;

/// Programs whose streams have at most this many rows are searched for a smaller arena.
const MAX_HEIGHT: usize = 256;

/// See the module.
pub const TARGET: Target = Target { name: "bptq", seeds, mutate, run };

fn seeds() -> Vec<Vec<u8>> {
    let models = programs::valid_programs();
    models.iter().map(|model| to_bytes(model).expect("it can be encoded")).collect()
}

/// One input in eight is damaged as a whole; the others have a header that fits what it is followed by.
fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    if random.below(8) == 0 {
        return damaged(random, seeds, damage);
    }
    let payloads = |random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]| {
        let mut payload = bytes.get(HEADER..).unwrap_or_default().to_vec();
        if !payload.is_empty() {
            damage(random, &mut payload, other.get(HEADER..).unwrap_or_default());
        }
        // What is too short for a header is damaged as a whole.
        if bytes.len() >= HEADER {
            *bytes = sealed(&payload, bytes);
        }
    };
    damaged(random, seeds, payloads)
}

fn run(input: &[u8]) -> bool {
    let Ok(model) = from_bytes(input) else { return false };
    run_both(&model);
    true
}

/// Runs a program on both paths, and in less memory.
pub(super) fn run_both(model: &Placed) {
    size_report(model);
    if work::steps(model) > MAX_STEPS {
        return;
    }
    let expected = outputs(model, Path::Reference);
    assert_eq!(outputs(model, Path::Fast), expected, "the fast kernels give other bytes");
    if model.tensors.iter().all(|tensor| tensor.shape[0] <= MAX_HEIGHT) {
        let reduced = model.place_again(Kernels::Portable, Memory::Reduced);
        let reduced = reduced.expect("a program in less memory is valid");
        assert_eq!(outputs(&reduced, Path::Fast), expected, "less memory gives other bytes");
    }
}

/// The outputs for inputs of all values of their grids.
fn outputs(model: &Placed, path: Path) -> Vec<u8> {
    let mut input: Vec<u8> = Vec::new();
    for end in &model.inputs {
        let tensor = &model.tensors[end.tensor.0];
        let span = i64::from(tensor.grid.max) - i64::from(tensor.grid.min) + 1;
        let value = |i: usize| i64::from(tensor.grid.min) + (i as i64 * 7919) % span;
        let bytes = |i: usize| value(i).to_le_bytes().into_iter().take(tensor.dtype.bytes());
        input.extend((0..tensor.len()).flat_map(bytes));
    }
    let mut interpreter = Interpreter::new(model, path);
    interpreter.run(&input).expect("an input of the right size").to_vec()
}
