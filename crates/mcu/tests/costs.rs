//! Predicted costs are close to those of compiled and emulated programs that no table was fitted to.

#![allow(clippy::print_stderr, reason = "tests say what they skip")]

use burn_ptq_deploy::cost::costs;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::size::size_report;
use burn_ptq_deploy::target::target;
use burn_ptq_mcu::samples::{KINDS, layer, network};
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

/// One layer of every variant of every kind, by seeds that no table was fitted to, with the node of the
/// operation.
fn layers() -> Vec<(String, usize, Placed)> {
    let variants = KINDS.iter().flat_map(|kind| kind.variants());
    let layers = variants.filter_map(|variant| {
        let model = (9000..9100).filter_map(|seed| layer(variant, seed)).find(is_small)?;
        Some((format!("{variant:?}"), variant.kind.node(), model))
    });
    layers.collect()
}

/// Many layers fit an image.
fn is_small(model: &Placed) -> bool {
    size_report(model).flash_bytes < 3000 && size_report(model).ram_bytes < 6000
}

#[test]
fn predictions_hold_for_layers_of_every_kind() {
    for name in ["cortex-m0", "cortex-m4", "cortex-m55", "rv32"] {
        let target = target(name).expect("known");
        if !available(target) {
            eprintln!("SKIPPED predicted costs of layers on {name}: no cross compiler or no QEMU");
            continue;
        }
        let mut layers = layers();
        for (_, _, model) in &mut layers {
            *model = model.place_again(target.kernels, Memory::Whole).expect("valid");
        }
        let models: Vec<&Placed> = layers.iter().map(|(_, _, model)| model).collect();
        let noise = |model: &&Placed| -> Vec<u8> {
            (0..model.input_bytes()).map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8).collect()
        };
        let inputs: Vec<Vec<u8>> = models.iter().map(noise).collect();
        let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
        let mut toolchain = Toolchain::new(target, "-O2").expect("a board");
        let firmware = toolchain.build(&models).expect("a firmware");
        let runs = firmware.run(&inputs).expect("it runs");
        let mut off = Vec::new();
        for ((layer, node, model), run) in layers.iter().zip(&runs) {
            let predicted = costs(model, target).expect("a table").nodes[*node];
            let predicted =
                predicted.unwrap_or_else(|| panic!("{layer} was not measured on {name}"));
            let counted = run.node_instructions[*node] as f64;
            // A few instructions more or less of a call say nothing.
            let error = ((predicted - counted).abs() - 60.0).max(0.0) / counted;
            assert!(error < 0.25, "{layer} on {name}: {predicted:.0} of {counted} instructions");
            off.push(error);
        }
        let mean = off.iter().sum::<f64>() / off.len() as f64;
        assert!(mean < 0.03, "{name}: {:.1} % off", 100.0 * mean);
        println!("{name}: {} layers are {:.1} % off", off.len(), 100.0 * mean);
    }
}
