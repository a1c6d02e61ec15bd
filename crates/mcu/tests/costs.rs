//! Predicted costs are close to those of compiled and emulated programs that no table was fitted to.

#![allow(clippy::print_stderr, reason = "tests say what they skip")]

use burn_ptq_deploy::cost::costs;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::target;
use burn_ptq_mcu::samples::network;
use burn_ptq_mcu::{Toolchain, available};

/// Small networks of weights of 8, 4 and 2 bits, by seeds that no table was fitted to.
fn networks() -> Vec<Placed> {
    let of_bits = |bits: u8| {
        let seeds = (0..).map(move |seed| 7000 + 10 * seed + u32::from(bits));
        seeds.filter_map(move |seed| network(bits, Memory::Reduced, seed)).take(2)
    };
    [8, 4, 2].into_iter().flat_map(of_bits).collect()
}

#[test]
fn predictions_hold_for_networks_that_no_table_has_seen() {
    for name in ["cortex-m0", "cortex-m4", "cortex-m55", "rv32"] {
        let target = target(name).expect("known");
        if !available(target) {
            eprintln!("SKIPPED predicted costs on {name}: no cross compiler or no QEMU");
            continue;
        }
        let mut toolchain = Toolchain::new(target, "-O2").expect("a board");
        let mut off = Vec::new();
        for model in networks() {
            let model = model.place_again(target.kernels, Memory::Reduced).expect("valid");
            let predicted = costs(&model, target).expect("a table");
            let firmware = toolchain.build(&[&model]).expect("a firmware");
            let sizes = firmware.sizes().expect("a map");
            assert_eq!(predicted.arena_bytes, sizes.ram(), "{name}");
            assert_eq!(predicted.constant_bytes(), sizes.constants, "{name}");
            let flash = predicted.flash_bytes() as f64 / sizes.flash() as f64 - 1.0;
            assert!(flash.abs() < 0.03, "{name}: flash is {:.1} % off", 100.0 * flash);
            let input = vec![7; model.input_bytes()];
            let runs = firmware.run(&[&input]).expect("it runs");
            assert!(runs[0].stack_bytes as usize <= predicted.stack_bytes + 128, "{name}");
            let counted = runs[0].instructions() as f64;
            off.push(predicted.instructions().expect("measured kernels") / counted - 1.0);
        }
        let mean = off.iter().map(|error| error.abs()).sum::<f64>() / off.len() as f64;
        assert!(mean < 0.04, "{name}: instructions are {off:.3?} off");
        println!("{name}: instructions are {off:.3?} off");
    }
}
