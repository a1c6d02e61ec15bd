//! Every example runs to its end, and says what it claims.

use std::process::Command;

fn run(program: &str, folder: &std::path::Path) -> String {
    let output = Command::new(program).current_dir(folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}:\n{text}\n{errors}");
    println!("{text}");
    text
}

macro_rules! examples {
    ($($name:ident => $says:literal,)*) => {$(
        #[test]
        fn $name() {
            let folder = tempfile::tempdir().unwrap();
            let text = run(env!(concat!("CARGO_BIN_EXE_", stringify!($name))), folder.path());
            assert!(text.contains($says), "expected {:?} in:\n{text}", $says);
        }
    )*};
}

examples! {
    train_then_quantize => "W2A2, network fine-tuned",
    wrap_training_loop => "W2A2, fine-tuned",
    burn_onnx_build => "W4A8 integer program",
    custom_observer => "sample filter",
    custom_rounding => "steepest steps",
    recurrent_digits => "W4A8:",
}
