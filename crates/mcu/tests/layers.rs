//! Layers on emulated cores: the bytes of the interpreter, and counts that can be relied on.

use burn_ptq_deploy::export::{SelfTest, exporter};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::run::{Path, run_sequence};
use burn_ptq_deploy::target::{HOST, TARGETS, Target};
use burn_ptq_mcu::layers::{LAYERS, Layer};
use burn_ptq_mcu::{McuError, Toolchain, available};

/// The targets that can be compiled for and emulated here.
fn targets() -> Vec<&'static Target> {
    let (present, absent): (Vec<&Target>, Vec<&Target>) =
        TARGETS.iter().filter(|target| **target != HOST).partition(|target| available(target));
    for target in absent {
        eprintln!("SKIPPED layers on {}: no cross compiler or no QEMU", target.name);
    }
    present
}

const SMALL: [Layer; 2] =
    [Layer::FullyConnected { features: [64, 16] }, Layer::Depthwise { channels: 8, plane: 8 }];

#[test]
fn every_layer_and_width_gives_the_bytes_of_the_interpreter() {
    let layers = LAYERS.iter().flat_map(|layer| [8, 4, 3, 2].map(|bits| (layer, bits)));
    let programs: Vec<(Placed, Vec<u8>)> = layers
        .map(|(layer, bits)| {
            let model = layer.program(bits);
            let sample = layer.sample(&model);
            (model, sample)
        })
        .collect();
    let models: Vec<&Placed> = programs.iter().map(|(model, _)| model).collect();
    let inputs: Vec<&[u8]> = programs.iter().map(|(_, sample)| sample.as_slice()).collect();
    for target in targets() {
        let firmware = Toolchain::new(target, "-O2").unwrap().build(&models).unwrap();
        for (run, (model, sample)) in firmware.run(&inputs).unwrap().iter().zip(&programs) {
            let expected = run_sequence(model, Path::Reference, sample).unwrap();
            let nodes = &model.nodes;
            assert_eq!(run.outputs, expected, "{}: {:?}", target.name, nodes[0].op.name());
        }
    }
}

#[test]
fn a_program_costs_the_same_in_every_run_and_beside_others() {
    let models = SMALL.map(|layer| layer.program(4));
    let samples = [SMALL[0].sample(&models[0]), SMALL[1].sample(&models[1])];
    for target in targets() {
        let mut toolchain = Toolchain::new(target, "-O2").unwrap();
        let both = toolchain.build(&[&models[0], &models[1]]).unwrap();
        let first = both.run(&[&samples[0], &samples[1]]).unwrap();
        assert_eq!(first, both.run(&[&samples[0], &samples[1]]).unwrap(), "{}", target.name);
        let alone = toolchain.build(&[&models[1]]).unwrap().run(&[&samples[1]]).unwrap();
        // Both ends of a span of ticks are rounded.
        let difference = alone[0].instructions().abs_diff(first[1].instructions());
        assert!(difference <= 16, "{}: {difference}", target.name);
    }
}

#[test]
fn counts_of_two_samples_are_those_of_one_twice() {
    let model = SMALL[0].program(8);
    let sample = SMALL[0].sample(&model);
    let twice = [sample.as_slice(), &sample].concat();
    for target in targets() {
        let firmware = Toolchain::new(target, "-O2").unwrap().build(&[&model]).unwrap();
        let one = firmware.run(&[&sample]).unwrap()[0].instructions();
        let two = firmware.run(&[&twice]).unwrap()[0].instructions();
        assert!(one > 64 * 16 / 4 && one.abs_diff(two) <= 16, "{}: {one}, {two}", target.name);
    }
}

#[test]
fn constants_and_arena_in_the_map_are_what_the_export_reports() {
    let layers = LAYERS.iter().flat_map(|layer| [8, 4, 3, 2].map(|bits| (layer, bits)));
    let programs: Vec<(&Layer, Placed, SelfTest)> = layers
        .step_by(4)
        .map(|(layer, bits)| {
            let model = layer.program(bits);
            let self_test = SelfTest::new(&model, &[layer.sample(&model)]).unwrap();
            (layer, model, self_test)
        })
        .collect();
    for target in targets() {
        let mut toolchain = Toolchain::new(target, "-Os").unwrap();
        for (layer, model, self_test) in &programs {
            let folder = tempfile::tempdir().unwrap();
            let exporter = exporter("c").unwrap();
            let exported = exporter.export(model, self_test, target, folder.path()).unwrap();
            let sizes = toolchain.build(&[model]).unwrap().sizes().unwrap();
            let reported = (exported.figures.flash_constant_bytes, exported.figures.ram_bytes);
            let found = (sizes.constants, sizes.ram());
            assert_eq!(reported, found, "{} {}", layer.name(), target.name);
            assert!(sizes.kernels > 100 && sizes.calls > 4, "{sizes:?}");
        }
    }
}

#[test]
fn partial_samples_and_the_host_are_refused() {
    let message = |error: McuError| error.to_string();
    let error = Toolchain::new(&HOST, "-O2").map(drop).map_err(message);
    assert_eq!(
        error.unwrap_err(),
        "no board is known for the target host; choose a microcontroller"
    );
    let Some(target) = targets().into_iter().next() else { return };
    let model = SMALL[0].program(8);
    let firmware = Toolchain::new(target, "-O2").unwrap().build(&[&model]).unwrap();
    let error = firmware.run(&[&[0; 65]]).map_err(message).unwrap_err();
    assert_eq!(error, "bytes of samples: expected 64, found 65");
    let error = firmware.run(&[]).map_err(message).unwrap_err();
    assert_eq!(error, "programs with inputs: expected 1, found 0");
}
