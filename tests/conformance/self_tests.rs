//! The self-tests of exports that run row by row: every operation gives what its checksum says, whatever rows
//! its readers leave.

use burn_ptq_deploy::place::Placed;

use crate::problems::{self, Problem};
use crate::states::compared;
use crate::{executors, is_chosen};

/// One in so many problems of other tests.
const STEP: usize = 6;

#[test]
fn every_operation_of_a_stream_gives_what_the_self_test_expects() {
    let others = problems::streamed().into_iter().chain(problems::with_states_by_rows());
    let others = others.chain(problems::with_loops_by_rows()).step_by(STEP);
    let problems: Vec<Problem> =
        problems::uneven().into_iter().chain(others).map(|(problem, _)| problem).collect();
    let unread = problems.iter().filter(|problem| leaves_rows(&problem.program)).count();
    assert!(unread >= 48, "rows are left in {unread} of {} programs", problems.len());
    let mut failures = Vec::new();
    for mut executor in executors::running_programs().into_iter().filter(|e| is_chosen(e.name())) {
        let name = executor.name();
        if let Err(how_to_install) = executor.available() {
            eprintln!("SKIPPED self-tests on {name}: {how_to_install}");
            continue;
        }
        // As of outputs, builds that run the same code share the problems.
        let own: Vec<&Problem> = problems
            .iter()
            .enumerate()
            .filter(|(index, problem)| crate::falls_to(executor.as_ref(), problem, *index))
            .map(|(_, problem)| problem)
            .filter(|problem| executor.supports(problem).is_ok())
            .collect();
        match executor.self_tests(&own) {
            None => {}
            Some(Ok(found)) => {
                println!("{name}: {} self-tests, {} fail", own.len(), found.len());
                failures.extend(found.into_iter().map(|line| format!("{name}, {line}")));
            }
            Some(Err(error)) => failures.push(format!("{name} does not run: {error}")),
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn strides_that_leave_rows_agree_on_every_executor() {
    let (problems, whole): (Vec<_>, Vec<_>) = problems::uneven().into_iter().unzip();
    compared(&problems, &whole);
}

/// Whether some rows of an output are never computed.
fn leaves_rows(program: &Placed) -> bool {
    program.row_programs().any(|(stream, rows)| {
        let heights = program.nodes[stream.nodes()].iter().map(|node| {
            let [height, ..] = program.tensors[node.output.0].shape;
            height
        });
        rows.computed().into_iter().zip(heights).any(|(computed, height)| computed < height)
    })
}
