//! The exported self-test names the operation that goes wrong, on the host and on boards, and costs
//! nothing where it is not compiled.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use burn_ptq_deploy::board::board;
use burn_ptq_deploy::export::{SelfTest, exporter, target};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::{HOST, Target};
use network::uneven::uneven;
use network::{proven, several};

mod network;

/// The network, whole and with operations that run row by row.
fn placements(target: &Target) -> [Placed; 2] {
    let (model, _) = proven("net");
    [Memory::Whole, Memory::Reduced]
        .map(|memory| model.place_again(target.kernels, memory).expect("a valid program"))
}

fn export(name: &str, model: &Placed, self_test: &SelfTest, target: &Target, dir: &Path) {
    let exporter = exporter(name).expect("known");
    exporter.export(model, self_test, target, dir).expect("an export");
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    let found = command.status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED the self-test with {program}: not installed");
    }
    found
}

fn make(folder: &Path, goal: &str) -> Output {
    let mut make = Command::new("make");
    make.current_dir(folder).args(["CFLAGS=-O2 -Werror", goal]).output().expect("make runs")
}

fn cargo_test(folder: &Path) -> Output {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut test = Command::new(cargo);
    test.current_dir(folder).args(["test", "--offline"]);
    test.env("CARGO_TARGET_DIR", folder.join("target")).output().expect("cargo runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Adds to the first element of the array of 32-bit numbers whose definition begins with `start`.
fn damage(file: &Path, start: &str) {
    let source = fs::read_to_string(file).expect("readable");
    let at = source.find(start).unwrap_or_else(|| panic!("no {start}"));
    let first = at + source[at..].find('\n').expect("elements") + 1;
    let end = first + source[first..].find(',').expect("an element");
    let element = source[first..end].trim();
    let changed = match element.strip_prefix("0x") {
        Some(word) => {
            let word = u32::from_str_radix(word, 16).expect("a word");
            format!("{:#010x}", word.wrapping_add(40_000))
        }
        None => (element.parse::<i64>().expect("a number") + 40_000).to_string(),
    };
    fs::write(file, format!("{}{changed}{}", &source[..first], &source[end..])).expect("written");
}

/// What a board or the host prints of a network whose biases were changed.
const WRONG: &str = "first wrong: sample 0, operation 1, conv (DepthwiseConv2d)\n";

#[test]
fn the_first_operation_that_goes_wrong_is_named_in_c() {
    if !(runs("make") && runs("cc")) {
        return;
    }
    for model in placements(&HOST) {
        let folder = tempfile::tempdir().expect("a folder");
        export("c", &model, &proven("net").1, &HOST, folder.path());
        damage(&folder.path().join("net.c"), "int32_t conv_2_bias[");
        let output = make(folder.path(), "test");
        assert!(!output.status.success());
        let found = text(&output.stdout);
        assert!(found.contains(WRONG), "{found}{}", text(&output.stderr));
    }
}

#[test]
fn rows_that_no_window_reads_are_not_expected() {
    let (model, self_test) = uneven(HOST.kernels);
    assert_eq!(model.streams().len(), 10);
    for (stream, rows) in model.row_programs() {
        let heights = model.nodes[stream.nodes()].iter().map(|node| {
            let shape = model.tensors[node.output.0].shape;
            shape[0]
        });
        let heights: Vec<usize> = heights.collect();
        let computed = rows.computed();
        // What the last node reads, in which rows are left; before it a node that nobody reads.
        assert!(computed[2] < heights[2], "{computed:?} of {heights:?}");
        assert_eq!((computed[1], computed[3]), (0, heights[3]));
    }
    if !(runs("make") && runs("cc")) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    export("c", &model, &self_test, &HOST, folder.path());
    let output = make(folder.path(), "test");
    let found = text(&output.stdout);
    assert!(output.status.success(), "{found}{}", text(&output.stderr));
    // What is expected of the rows that are computed still names what goes wrong.
    damage(&folder.path().join("net.c"), "int32_t layer18_bias[");
    let output = make(folder.path(), "test");
    let found = text(&output.stdout);
    assert!(!output.status.success());
    assert!(found.contains("first wrong: sample 0, operation 14, layer18 (Conv2d)"), "{found}");
}

#[test]
fn rows_that_no_window_reads_are_not_expected_in_rust() {
    let (model, self_test) = uneven(HOST.kernels);
    let folder = tempfile::tempdir().expect("a folder");
    export("rust", &model, &self_test, &HOST, folder.path());
    let output = cargo_test(folder.path());
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn outputs_of_both_widths_are_compared_on_the_way() {
    if !(runs("make") && runs("cc")) {
        return;
    }
    let (model, self_test) = several("net");
    let folder = tempfile::tempdir().expect("a folder");
    export("c", &model, &self_test, &HOST, folder.path());
    damage(&folder.path().join("net.c"), "int32_t features_bias[");
    let found = text(&make(folder.path(), "test").stdout);
    assert!(found.contains("first wrong: sample 0, operation 3, features (Conv2d)\n"), "{found}");
}

#[test]
fn samples_that_are_wrong_themselves_name_no_operation() {
    if !(runs("make") && runs("cc")) {
        return;
    }
    let (model, mut self_test) = proven("net");
    self_test.samples[3].1[2] ^= 1;
    let folder = tempfile::tempdir().expect("a folder");
    export("c", &model, &self_test, &HOST, folder.path());
    let found = text(&make(folder.path(), "test").stdout);
    assert!(found.contains("1 differing bytes\nfirst wrong: sample 3\n"), "{found}");
}

#[test]
fn the_first_operation_that_goes_wrong_is_named_on_boards() {
    for name in ["cortex-m0", "cortex-m55"] {
        let target = target(name).expect("known");
        let emulator = board(target).expect("a board").emulator;
        if !(runs(target.compiler) && runs(emulator)) {
            continue;
        }
        for model in placements(target) {
            let folder = tempfile::tempdir().expect("a folder");
            export("c", &model, &proven("net").1, target, folder.path());
            // The kernels of both have a channel's bias before its weights.
            damage(&folder.path().join("net.c"), "uint32_t conv_2_weights[");
            let output = make(&folder.path().join("firmware"), "run");
            let found = text(&output.stdout);
            assert!(found.ends_with(WRONG), "{name}: {found}{}", text(&output.stderr));
        }
    }
}

#[test]
fn a_network_without_the_hook_holds_no_names() {
    if !runs("cc") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (model, self_test) = proven("net");
    export("c", &model, &self_test, &HOST, folder.path());
    let object = |flags: &[&str]| {
        let mut cc = Command::new("cc");
        cc.current_dir(folder.path()).args(["-O2", "-Iruntime", "-c", "-o", "net.o", "net.c"]);
        let output = cc.args(flags).output().expect("it runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        fs::read(folder.path().join("net.o")).expect("an object file")
    };
    let holds_names = |object: &[u8]| text(object).contains("fully connected (FullyConnected)");
    assert!(!holds_names(&object(&[])));
    assert!(holds_names(&object(&["-DNET_NODE_HOOK=my_timer"])));
}

#[test]
fn the_first_operation_that_goes_wrong_is_named_in_rust() {
    for model in placements(&HOST) {
        let folder = tempfile::tempdir().expect("a folder");
        export("rust", &model, &proven("net").1, &HOST, folder.path());
        let network = folder.path().join("src/network.rs");
        let source = fs::read_to_string(&network).expect("readable");
        let module = source.find("pub mod conv_2 {").expect("the node's constants");
        let (before, own) = source.split_at(module);
        fs::write(&network, own).expect("written");
        damage(&network, "static BIAS: ");
        let own = fs::read_to_string(&network).expect("readable");
        fs::write(&network, format!("{before}{own}")).expect("written");
        let output = cargo_test(folder.path());
        assert!(!output.status.success());
        let found = text(&output.stdout);
        let wrong = "Difference { sample: 0, node: Some((1, \"conv (DepthwiseConv2d)\")) }";
        assert!(found.contains(wrong), "{found}{}", text(&output.stderr));
    }
}
