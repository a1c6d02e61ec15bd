//! Layers in exported Rust on emulated cores: the bytes of the interpreter, without a panic path.

use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::run::{Path, run_sequence};
use burn_ptq_deploy::target::{HOST, TARGETS, Target};
use burn_ptq_mcu::layers::{LAYERS, Layer};
use burn_ptq_mcu::{RustToolchain, rust_available};

/// The targets that can be compiled for and emulated here.
fn targets() -> Vec<&'static Target> {
    let (present, absent): (Vec<&Target>, Vec<&Target>) =
        TARGETS.iter().filter(|target| **target != HOST).partition(|target| rust_available(target));
    for target in absent {
        let script = "scripts/install-rust-mcu.sh";
        eprintln!("SKIPPED Rust on {}: run {script}; it also needs ld and QEMU", target.name);
    }
    present
}

#[test]
fn every_layer_and_width_gives_the_bytes_of_the_interpreter() {
    let layers = LAYERS.iter().flat_map(|layer| [8, 4, 3, 2].map(|bits| (layer, bits)));
    let programs: Vec<(Placed, Vec<u8>)> = layers
        .map(|(layer, bits): (&Layer, u8)| {
            let model = layer.program(bits);
            let sample = layer.sample(&model);
            (model, sample)
        })
        .collect();
    let models: Vec<&Placed> = programs.iter().map(|(model, _)| model).collect();
    let inputs: Vec<&[u8]> = programs.iter().map(|(_, sample)| sample.as_slice()).collect();
    for target in targets() {
        let firmware = RustToolchain::new(target, "3").unwrap().build(&models).unwrap();
        for (run, (model, sample)) in firmware.run(&inputs).unwrap().iter().zip(&programs) {
            let expected = run_sequence(model, Path::Reference, sample).unwrap();
            let nodes = &model.nodes;
            assert_eq!(run.outputs, expected, "{}: {:?}", target.name, nodes[0].op.name());
            assert!(run.instructions() > 0 && run.stack_bytes < 4096, "{run:?}");
        }
    }
}
