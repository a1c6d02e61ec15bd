//! A bounded part of what the driver runs: whatever a file holds, reading it ends without a panic and
//! in little memory. `BURN_PTQ_FUZZ_INPUTS` sets the number of inputs for each target.

use burn_ptq_fuzz::TARGETS;
use burn_ptq_fuzz::driver::{Options, run};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

#[test]
fn damaged_inputs_neither_panic_nor_hang_nor_take_memory() {
    let count =
        std::env::var("BURN_PTQ_FUZZ_INPUTS").map_or(2000, |n| n.parse().expect("a number"));
    for target in TARGETS {
        let options =
            Options { first: 0, count, seed: 0, corpus: &[], out: None, allocator: &ALLOCATOR };
        let outcome = run(target, &options, &|_| {});
        println!("{}: {outcome}", target.name);
        // How long an input takes depends on the machine: the driver ends one that hangs.
        let good = outcome.panics.is_empty() && outcome.large.is_empty();
        assert!(good, "{}: {outcome:?}", target.name);
        // Damage is worth something only if inputs get far, and if it does harm.
        let share = outcome.accepted as f64 / count as f64;
        assert!((0.01..0.99).contains(&share), "{}: {share} are accepted", target.name);
    }
}
