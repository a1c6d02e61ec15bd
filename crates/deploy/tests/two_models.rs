//! Two networks in one program, in C and in Rust: each gives its own bytes, and they share one runtime.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use burn_ptq_deploy::export::{
    C99, Exporter, Options, Rust, SelfTest, check_name, shared_kernels, write_folder,
};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::{HOST, Kernels};
use network::proven;

mod network;
#[allow(dead_code)]
mod programs;

/// Two programs that are called the same, with nodes that are called the same.
fn models() -> [(Placed, SelfTest); 2] {
    let (first, first_test) = proven("net");
    let mut second = programs::conv();
    second.name = "net".into();
    second.nodes[0].name = "conv".into();
    let second = programs::placed(second);
    let input = vec![7; second.input_bytes()];
    let second_test = SelfTest::new(&second, &[input]).expect("it runs");
    let first = first.place_again(Kernels::Portable, Memory::Reduced).expect("a valid program");
    [(first, first_test), (second, second_test)]
}

const NAMES: [&str; 2] = ["wake_word", "gesture"];

fn export(exporter: &dyn Exporter, index: usize, kernels: Option<&str>, dir: &Path) {
    let (model, self_test) = &models()[index];
    let options = Options { name: Some(NAMES[index]), kernels, ..Options::new(&HOST) };
    let rendered = exporter.render(model, self_test, &options).expect("rendered");
    write_folder(dir, exporter.name(), &rendered.files).expect("written");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(output: &Output) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{stdout}{stderr}");
}

/// The first sample of each self-test: input and output as the elements of an array.
fn samples() -> [[String; 2]; 2] {
    models().map(|(_, self_test)| {
        let (input, output) = &self_test.samples[0];
        [input, output].map(|bytes| {
            let elements = bytes.iter().map(|&byte| (byte as i8).to_string());
            elements.collect::<Vec<_>>().join(", ")
        })
    })
}

#[test]
fn two_networks_link_into_one_c_program_with_one_runtime() {
    let compilers = ["gcc", "clang"].into_iter().filter(|compiler| {
        let mut command = Command::new(compiler);
        command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
        let found = command.status().is_ok_and(|status| status.success());
        if !found {
            eprintln!("SKIPPED two models with {compiler}: not installed");
        }
        found
    });
    let folder = tempfile::tempdir().expect("a folder");
    for (index, name) in NAMES.iter().enumerate() {
        export(&C99, index, None, &folder.path().join(name));
    }
    // Both exports bring the same runtime, of which one is compiled.
    for entry in fs::read_dir(folder.path().join("wake_word/runtime")).expect("there").flatten() {
        let other = folder.path().join("gesture/runtime").join(entry.file_name());
        assert_eq!(fs::read(entry.path()).expect("readable"), fs::read(other).expect("there too"));
    }
    let checks: String = NAMES
        .iter()
        .zip(samples())
        .map(|(name, [input, output])| {
            format!(
                "    {{
        static const int8_t input[] = {{{input}}}, expected[] = {{{output}}};
        static int8_t output[sizeof expected];
        {name}_infer(input, output);
        failed |= memcmp(output, expected, sizeof expected) != 0;
    }}
"
            )
        })
        .collect();
    let main = format!(
        "#include <string.h>
#include \"gesture.h\"
#include \"gesture_io.h\"
#include \"wake_word.h\"
#include \"wake_word_io.h\"
int main(void)
{{
    int failed = 0;
{checks}    return failed;
}}
"
    );
    fs::write(folder.path().join("main.c"), main).expect("written");
    for compiler in compilers {
        let build = "-std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -Iwake_word \
                     -Igesture -Iwake_word/runtime -o both main.c wake_word/wake_word.c \
                     wake_word/wake_word_io.c gesture/gesture.c gesture/gesture_io.c";
        let runtime = fs::read_dir(folder.path().join("wake_word/runtime")).expect("there");
        let runtime = runtime.flatten().map(|entry| entry.path());
        let sources = runtime.filter(|path| path.extension().is_some_and(|e| e == "c"));
        let output = Command::new(compiler)
            .current_dir(folder.path())
            .args(build.split_whitespace())
            .args(sources)
            .output();
        succeeds(&output.expect("the compiler runs"));
        let status = Command::new(folder.path().join("both")).status().expect("it runs");
        assert!(status.success(), "{compiler}: a network gives other bytes");
    }
}

#[test]
fn two_networks_link_into_one_rust_program_with_one_package_of_kernels() {
    let folder = tempfile::tempdir().expect("a folder");
    let [first, second] = NAMES.map(|name| folder.path().join(name));
    export(&Rust, 0, None, &first);
    let kernels = shared_kernels(&second, &first.join("kernels")).expect("kernels to share");
    assert_eq!(kernels, "../wake_word/kernels");
    export(&Rust, 1, Some(&kernels), &second);
    assert!(!second.join("kernels").exists());
    let manifest = "[package]\nname = \"both\"\nedition = \"2024\"\npublish = false\n\n[dependencies]\n\
                    wake_word = { path = \"../wake_word\" }\ngesture = { path = \"../gesture\" }\n\n\
                    [workspace]\n";
    let checks: String = NAMES
        .iter()
        .zip(samples())
        .map(|(name, [input, output])| {
            format!(
                "    assert_eq!({name}::Model::new().infer(&[{input}]), &[{output}], \"{name}\");\n"
            )
        })
        .collect();
    fs::create_dir_all(folder.path().join("both/src")).expect("made");
    fs::write(folder.path().join("both/Cargo.toml"), manifest).expect("written");
    let main = format!("fn main() {{\n{checks}}}\n");
    fs::write(folder.path().join("both/src/main.rs"), main).expect("written");
    // The firmware, and the second crate by itself.
    for (dir, arguments) in [("both", &["run", "--quiet"][..]), ("gesture", &["test", "--quiet"])] {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .current_dir(folder.path().join(dir))
            .args(arguments)
            .arg("--offline")
            .env("RUSTFLAGS", "-Dwarnings")
            .env("CARGO_TARGET_DIR", folder.path().join("target"))
            .output();
        succeeds(&output.expect("cargo runs"));
    }
}

#[test]
fn names_and_kernels_that_do_not_fit_are_refused_with_what_would() {
    let error = check_name("8 bit").expect_err("refused").to_string();
    assert!(error.contains("\"8 bit\"") && error.contains("\"model_8_bit\""), "{error}");
    check_name("kws_2").expect("a name");
    let folder = tempfile::tempdir().expect("a folder");
    let [crate_dir, kernels] = ["b", "a/kernels"].map(|name| folder.path().join(name));
    let error = shared_kernels(&crate_dir, &kernels).expect_err("there are none").to_string();
    assert!(error.contains("holds no kernels to share: Cargo.toml"), "{error}");
    export(&Rust, 0, None, &folder.path().join("a"));
    assert_eq!(shared_kernels(&crate_dir, &kernels).expect("kernels"), "../a/kernels");
    fs::write(kernels.join("src/rows.rs"), "// changed\n").expect("written");
    let error = shared_kernels(&crate_dir, &kernels).expect_err("others").to_string();
    assert!(error.contains("its src/rows.rs is of another version"), "{error}");
}
