//! Exported Rust on this machine.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use burn_ptq_deploy::export::{SelfTest, exporter};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::target::HOST;

use crate::stateful::{delay_line, every_kind, placed, samples, with_and_without_reset};

fn export(model: &Placed, samples: &[u8], folder: &Path) {
    let tested = samples.chunks(model.input_bytes()).take(5).map(<[u8]>::to_vec);
    let self_test = SelfTest::new(model, &tested.collect::<Vec<_>>()).expect("samples");
    exporter("rust").expect("known").export(model, &self_test, &HOST, folder).expect("an export");
    fs::write(folder.join("samples.bin"), samples).expect("written");
}

fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(folder)
        .args(arguments)
        .arg("--offline")
        .env("RUSTFLAGS", "-Dwarnings")
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()
        .expect("cargo runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    output
}

/// Streams `samples.bin` three times, with a reset before the second.
const TWICE: &str = "
use std::io::{Read, Write, stdout};

use net::Model;

fn read<const N: usize, const BYTES: usize>(bytes: &mut &[u8]) -> [[u8; BYTES]; N] {
    [(); N].map(|()| {
        let mut element = [0; BYTES];
        bytes.read_exact(&mut element).expect(\"a sample\");
        element
    })
}

fn main() {
    let samples = std::fs::read(\"samples.bin\").expect(\"samples\");
    let mut model = Model::new();
    let mut output = stdout().lock();
    for time in 0..3 {
        if time == 1 {
            model.reset();
        }
        let mut rest = &samples[..];
        while !rest.is_empty() {
            let x = read(&mut rest).map(i8::from_le_bytes);
            let w = read(&mut rest).map(i16::from_le_bytes);
            model.infer(&x, &w);
            for x in model.output_y().iter().chain(model.output_next()) {
                output.write_all(&x.to_le_bytes()).expect(\"written\");
            }
            for x in model.output_last() {
                output.write_all(&x.to_le_bytes()).expect(\"written\");
            }
        }
    }
}
";

#[test]
fn a_new_model_and_a_reset_one_give_the_interpreters_bytes() {
    let model = placed(every_kind());
    let samples = samples(&model, 20);
    let [sequence, unreset] = with_and_without_reset(&model, &samples);
    let folder = tempfile::tempdir().expect("a folder");
    export(&model, &samples, folder.path());
    fs::write(folder.path().join("examples/twice.rs"), TWICE).expect("written");
    // Debug builds, in which arithmetic that overflows panics; the self-test among them.
    cargo(folder.path(), &["test", "--quiet"]);
    let output = cargo(folder.path(), &["run", "--quiet", "--example", "twice"]);
    assert_eq!(output.stdout, [&sequence[..], &sequence, &unreset].concat());
    let streamed = cargo(folder.path(), &["run", "--quiet", "--example", "stream", "samples.bin"]);
    assert_eq!(streamed.stdout, sequence);
    let readme = fs::read_to_string(folder.path().join("README.md")).expect("readable");
    assert!(readme.contains("Each run finds 38 bytes of the `Model` (`STATE_BYTES`)"), "{readme}");
    assert!(readme.contains("| `wide` | [1, 1, 5] i16 | 10 | -300 |"), "{readme}");
}

#[test]
fn a_state_of_zeros_needs_no_flag() {
    let mut program = delay_line(1);
    program.states[0].initial = 0;
    let model = placed(program);
    let folder = tempfile::tempdir().expect("a folder");
    export(&model, &samples(&model, 5), folder.path());
    let interface = fs::read_to_string(folder.path().join("src/lib.rs")).expect("readable");
    assert!(interface.contains("pub fn reset(") && !interface.contains("is_reset"), "{interface}");
    cargo(folder.path(), &["test", "--quiet"]);
}
