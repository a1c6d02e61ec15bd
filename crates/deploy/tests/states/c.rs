//! Exported C on this machine and on boards.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use burn_ptq_deploy::board::board;
use burn_ptq_deploy::export::{SelfTest, exporter, target};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::{HOST, Target};

use crate::stateful::{every_kind, placed, samples, with_and_without_reset};

const STRICT: &str =
    "-std=c99 -O2 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror";
const SANITIZED: &str =
    "-std=c99 -O1 -g -Wall -Werror -fsanitize=address,undefined -fno-sanitize-recover=all";

/// Streams `samples.bin` three times, with a reset before the first two: in the static arena, then in one that
/// held something else before, beside one that is reset before every sample.
const TWICE: &str = "
#include <stdio.h>
#include <string.h>
#include \"net.h\"

static net_arena arenas[2];
static int8_t x[NET_INPUT_X_BYTES];
static int16_t w[NET_INPUT_W_BYTES / 2];
static int8_t y[NET_OUTPUT_Y_BYTES];
static int8_t next[NET_OUTPUT_NEXT_BYTES];
static int16_t last[NET_OUTPUT_LAST_BYTES / 2];

static int pass(FILE *source, int own)
{
    rewind(source);
    while (fread(x, 1, sizeof x, source) == sizeof x && fread(w, 1, sizeof w, source) == sizeof w) {
        if (own) {
            net_infer(x, w, y, next, last);
        } else {
            net_arena_reset(&arenas[1]);
            net_arena_infer(&arenas[1], x, w, y, next, last);
            net_arena_infer(&arenas[0], x, w, y, next, last);
        }
        if (fwrite(y, 1, sizeof y, stdout) != sizeof y ||
            fwrite(next, 1, sizeof next, stdout) != sizeof next ||
            fwrite(last, 1, sizeof last, stdout) != sizeof last) {
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    FILE *source = argc == 2 ? fopen(argv[1], \"rb\") : NULL;

    if (source == NULL || NET_STATE_BYTES > NET_ARENA_BYTES) {
        return 1;
    }
    memset(arenas, 0x55, sizeof arenas);
    for (int own = 0; own < 2; own++) {
        for (int time = 0; time < 3; time++) {
            if (time < 2) {
                own ? net_reset() : net_arena_reset(&arenas[0]);
            }
            if (pass(source, own)) {
                return 1;
            }
        }
    }
    return 0;
}
";

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = command.status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED states with {program}: not installed");
    }
    found
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(output: &Output) {
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{stdout}{stderr}");
}

/// The program and its export, with a self-test of five samples and the samples of a longer sequence.
fn exported(target: &Target, folder: &Path) -> (Placed, Vec<u8>) {
    let model = placed(every_kind());
    let model = model.place_again(target.kernels, Memory::Reduced).expect("a valid program");
    let samples = samples(&model, 20);
    let tested: Vec<_> = samples.chunks(model.input_bytes()).take(5).map(<[u8]>::to_vec).collect();
    let self_test = SelfTest::new(&model, &tested).expect("samples");
    exporter("c").expect("known").export(&model, &self_test, target, folder).expect("an export");
    fs::write(folder.join("samples.bin"), &samples).expect("written");
    (model, samples)
}

#[test]
fn a_sequence_gives_the_interpreters_bytes_and_the_same_again_after_a_reset_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (model, samples) = exported(&HOST, folder.path());
    let [sequence, unreset] = with_and_without_reset(&model, &samples);
    let expected = [&sequence[..], &sequence, &unreset].concat();
    fs::write(folder.path().join("twice.c"), TWICE).expect("written");
    let runtime = fs::read_dir(folder.path().join("runtime")).expect("there").flatten();
    let runtime: Vec<_> = runtime.map(|entry| entry.path()).collect();
    let sources = || runtime.iter().filter(|path| path.extension().is_some_and(|e| e == "c"));
    for compiler in ["gcc", "clang"].into_iter().filter(|compiler| runs(compiler)) {
        let builds = if compiler == "gcc" { &[STRICT, SANITIZED][..] } else { &[STRICT] };
        for build in builds {
            let mut command = Command::new(compiler);
            command.current_dir(folder.path()).args(build.split_whitespace());
            command.args(["-Iruntime", "-o", "twice", "twice.c", "net.c"]).args(sources());
            succeeds(&command.output().expect("the compiler runs"));
            let output = Command::new(folder.path().join("twice"))
                .arg(folder.path().join("samples.bin"))
                .output()
                .expect("it runs");
            succeeds(&output);
            assert_eq!(output.stdout, [&expected[..], &expected].concat(), "{compiler} {build}");
        }
    }
}

#[test]
fn self_test_and_example_run_their_samples_as_sequences() {
    if !(runs("make") && runs("cc")) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (model, samples) = exported(&HOST, folder.path());
    let make = |goal: &str| {
        let mut make = Command::new("make");
        make.current_dir(folder.path()).args(["CFLAGS=-O2 -Werror", goal]);
        make.output().expect("make runs")
    };
    let tested = make("test");
    succeeds(&tested);
    assert!(text(&tested.stdout).contains("self-test: 5 samples, 0 differing bytes\n"));
    succeeds(&make("all"));
    let streamed = Command::new(folder.path().join("build/net"))
        .arg(folder.path().join("samples.bin"))
        .output()
        .expect("it runs");
    assert_eq!(streamed.stdout, with_and_without_reset(&model, &samples)[0]);
    // A state that a reset does not set is one that the self-test misses.
    let network = folder.path().join("net.c");
    let source = fs::read_to_string(&network).expect("readable");
    let line = source.lines().find(|line| line.contains("= -300;")).expect("the wide state");
    fs::write(&network, source.replace(line, "        (void)arena;")).expect("written");
    let tested = make("test");
    assert!(!tested.status.success());
    let found = text(&tested.stdout);
    assert!(found.contains("first wrong: sample 0, operation 3, total (Add)\n"), "{found}");
}

#[test]
fn readme_and_header_say_what_is_kept_and_when_to_reset() {
    let folder = tempfile::tempdir().expect("a folder");
    exported(&HOST, folder.path());
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect("readable");
    let (readme, header) = (read("README.md"), read("net.h"));
    for line in [
        "net_reset(); /* where a sequence begins */",
        "net_arena_reset(&first); /* where a sequence begins */",
        "Each call finds 38 bytes of the arena (`NET_STATE_BYTES`) as the call before it left them:",
        "| `wide` | [1, 1, 5] int16_t | 10 | -300 |",
    ] {
        assert!(readme.contains(line), "{line} in {readme}");
    }
    for line in [
        "#define NET_STATE_BYTES 38\n",
        "void net_reset(void);\n",
        "void net_arena_reset(net_arena *arena);\n",
        "in an arena of the caller's, which needs a reset first. Instances",
    ] {
        assert!(header.contains(line), "{line} in {header}");
    }
}

#[test]
fn firmware_resets_before_its_self_test_and_before_it_counts() {
    for name in ["cortex-m0", "cortex-m4", "cortex-m55", "rv32"] {
        let target = target(name).expect("known");
        let emulator = board(target).expect("a board").emulator;
        if !(runs("make") && runs(target.compiler) && runs(emulator)) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        exported(target, folder.path());
        let mut make = Command::new("make");
        make.current_dir(folder.path().join("firmware")).args(["CFLAGS=-O2 -Werror", "count"]);
        let output = make.output().expect("make runs");
        let found = text(&output.stdout);
        assert!(output.status.success(), "{name}: {found}{}", text(&output.stderr));
        assert!(found.contains("self-test: 5 samples, 0 differing bytes\n"), "{name}: {found}");
    }
}
