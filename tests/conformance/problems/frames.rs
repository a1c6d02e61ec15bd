//! Networks that take recordings frame by frame.

use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::streaming::Streaming;
use burn_ptq_deploy::target::Kernels;
use burn_ptq_mcu::sequences::SEQUENCES;

use super::Problem;

/// Frames that the networks take offline.
const FRAMES: usize = 49;

/// Calls after those whose outputs are incomplete.
const CALLS: usize = 6;

/// Each network with weights of 8, 4 and 2 bits, some frames a call, on a recording as long as it takes for
/// outputs to be complete.
pub(super) fn frames() -> Vec<Problem> {
    let mut problems = Vec::new();
    for sequence in SEQUENCES {
        for (bits, chunk) in [(8, 2), (4, 4), (2, 6), (8, 16)] {
            let streaming = Streaming { axis: Some(0), chunk: Some(chunk) };
            let program = sequence.program(bits, FRAMES);
            let streamed = program.streamed(&streaming).expect("its strides divide these");
            let calls = streamed.outputs[0].warm_up + CALLS;
            let program = streamed.program.place(Kernels::Portable, Memory::Whole);
            problems.push(Problem {
                name: format!("{} W{bits}, {chunk} frames a call", sequence.name()),
                program: program.expect("valid"),
                input: sequence.recording(calls * chunk),
                recordings: 1,
            });
        }
    }
    problems
}
