//! Random programs that go through a `.tflite` file: exported, and imported again.

use burn_ptq_deploy::export::{TfLiteOptions, tflite_model};
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::program::{IntOp, Program};
use burn_ptq_deploy::run::{Interpreter, Path};
use burn_ptq_deploy::target::Kernels;

use crate::problems::{self, Problem};

/// What became of the programs of one kind.
#[derive(Default)]
struct Tally {
    /// Those that a file can hold.
    exported: usize,
    /// Those that the file gives back operation by operation.
    same: usize,
    /// Those whose file is written again byte by byte.
    same_file: usize,
    differing: Vec<String>,
}

/// The outputs of all samples, which are one sequence.
fn outputs(program: Program, input: &[u8]) -> Result<Vec<u8>, String> {
    let placed = program.place(Kernels::Portable, Memory::Whole).map_err(|e| e.to_string())?;
    let mut interpreter = Interpreter::new(&placed, Path::Fast);
    let mut all = Vec::new();
    for sample in input.chunks(placed.input_bytes().max(1)) {
        all.extend_from_slice(interpreter.run(sample).map_err(|error| error.to_string())?);
    }
    Ok(all)
}

/// The operations, in which names do not matter.
fn operations(program: &Program) -> Vec<&IntOp> {
    program.nodes.iter().map(|node| &node.op).collect()
}

fn go_through(problem: &Problem, tally: &mut Tally) {
    let program = problem.program.program();
    let chosen = TfLiteOptions { divisors_are_not_zero: true, ..TfLiteOptions::default() };
    let Ok(file) = tflite_model(program, chosen) else { return };
    tally.exported += 1;
    let imported = match Program::from_tflite(&file) {
        Ok(imported) => imported,
        Err(error) => return tally.differing.push(format!("{}: {error}", problem.name)),
    };
    assert_eq!(imported.provenance, program.provenance, "{}", problem.name);
    tally.same += usize::from(operations(program) == operations(&imported));
    let again = tflite_model(&imported, chosen);
    tally.same_file += usize::from(again.is_ok_and(|again| again == file));
    let expected = outputs(program.clone(), &problem.input).expect("a valid program");
    match outputs(imported, &problem.input) {
        Ok(found) if found == expected => {}
        Ok(_) => tally.differing.push(format!("{}: other bytes", problem.name)),
        Err(error) => tally.differing.push(format!("{}: {error}", problem.name)),
    }
}

#[test]
fn programs_come_back_from_tflite_files_with_the_same_outputs() {
    let kinds = [
        ("operations", problems::all()),
        ("several layers", problems::chains()),
        ("constants", problems::with_constants()),
        ("numbers at their edges", problems::at_their_edges().0),
    ];
    let mut failures = Vec::new();
    for (kind, problems) in kinds {
        let mut tally = Tally::default();
        problems.iter().for_each(|problem| go_through(problem, &mut tally));
        let Tally { exported, same, same_file, differing } = tally;
        println!(
            "{kind}: {} programs, {exported} in files, {same} with the same operations, {same_file} with the same \
             file again, {} differing",
            problems.len(),
            differing.len()
        );
        assert!(exported * 5 > problems.len(), "{exported} of {}", problems.len());
        failures.extend(differing);
    }
    let shown: Vec<&String> = failures.iter().take(40).collect();
    assert!(failures.is_empty(), "{} failures: {shown:#?}", failures.len());
}
