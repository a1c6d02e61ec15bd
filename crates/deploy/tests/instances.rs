//! Exported C in memory of the caller's: several instances, sections for arena and constants, and what
//! says which network it is.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use burn_ptq_deploy::export::exporter;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::{HOST, Kernels};
use network::proven;

mod network;

const STRICT: &str = "-O2 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Werror";

/// A compiler in the exported folder; `None` if it is not installed.
fn compile(compiler: &str, folder: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(compiler);
    command.current_dir(folder).args(["-I.", "-Iruntime"]).args(arguments);
    let output = command.output().ok();
    if output.is_none() {
        eprintln!("SKIPPED instances with {compiler}: not installed");
    }
    output
}

fn succeeds(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.is_empty(), "{text}");
}

fn exported(model: &Placed) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, self_test) = proven("net");
    let c = exporter("c").expect("known");
    c.export(model, &self_test, &HOST, folder.path()).expect("an export");
    folder
}

fn streamed() -> Placed {
    let (model, _) = proven("net");
    let model = model.place_again(Kernels::Portable, Memory::Reduced).expect("a valid program");
    assert!(!model.streams().is_empty());
    model
}

/// The C files of the network and the runtime.
fn sources(folder: &Path) -> Vec<String> {
    let runtime = fs::read_dir(folder.join("runtime")).expect("there").flatten();
    let names = runtime.map(|entry| entry.file_name().into_string().expect("ASCII"));
    let mut sources: Vec<String> =
        names.filter(|name| name.ends_with(".c")).map(|name| format!("runtime/{name}")).collect();
    sources.push("net.c".into());
    sources
}

const INTERLEAVED: &str = "
#include <string.h>
#include \"net.h\"
#include \"samples.h\"

static net_arena arenas[SAMPLES];

int main(void)
{
    int8_t output[NET_OUTPUT_BYTES];
    int failed = 0;

    /* Every instance gets its input before any runs, and all run before any is read. */
    for (int i = 0; i < SAMPLES; i++) {
        memcpy(net_arena_input(&arenas[i]), inputs[i], NET_INPUT_BYTES);
    }
    memcpy(net_input(), inputs[0], NET_INPUT_BYTES);
    for (int i = 0; i < SAMPLES; i++) {
        net_arena_run(&arenas[i]);
    }
    net_run();
    for (int i = 0; i < SAMPLES; i++) {
        failed |= memcmp(net_arena_output(&arenas[i]), expected[i], NET_OUTPUT_BYTES) != 0;
        net_arena_infer(&arenas[0], inputs[i], output);
        failed |= memcmp(output, expected[i], NET_OUTPUT_BYTES) != 0;
    }
    failed |= memcmp(net_output(), expected[0], NET_OUTPUT_BYTES) != 0;
    return failed | (checksums[0][0] == 0);
}
";

#[test]
fn instances_in_arenas_of_their_own_run_beside_each_other() {
    for model in [proven("net").0, streamed()] {
        let folder = exported(&model);
        fs::write(folder.path().join("main.c"), INTERLEAVED).expect("written");
        let sources = sources(folder.path());
        // The standard's version decides whether the static assertions are compiled.
        for (compiler, standard) in [("gcc", "-std=c11"), ("clang", "-std=c99")] {
            let mut arguments: Vec<&str> = STRICT.split_whitespace().collect();
            arguments.extend([standard, "-o", "instances", "main.c"]);
            arguments.extend(sources.iter().map(String::as_str));
            let Some(output) = compile(compiler, folder.path(), &arguments) else { continue };
            succeeds(&output);
            let status = Command::new(folder.path().join("instances")).status();
            assert!(status.expect("it runs").success(), "{compiler}: an instance differs");
        }
    }
}

/// The sections of an object file with more than no bytes, as `size -A` lists them.
fn sections(object: &Path) -> Vec<(String, usize)> {
    let output = Command::new("size").arg("-A").arg(object).output().expect("binutils");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let section = |line: &str| {
        let mut words = line.split_whitespace();
        let section = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        (section.1 > 0).then_some(section)
    };
    text.lines().filter_map(section).collect()
}

#[test]
fn builds_say_where_arena_and_constants_lie() {
    let model = streamed();
    let folder = exported(&model);
    let plain = ["-std=c99", "-c", "-o", "net.o", "net.c"];
    let Some(output) = compile("gcc", folder.path(), &plain) else { return };
    succeeds(&output);
    let object = folder.path().join("net.o");
    let names: Vec<String> = sections(&object).into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().any(|name| name == ".bss"), "{names:?}");
    let placed = [
        "-DNET_ARENA_ATTRIBUTE=__attribute__((section(\".bss.fast\")))",
        "-DNET_CONST=const __attribute__((section(\".flash\")))",
        "-Wall",
        "-Wextra",
        "-Werror",
    ];
    succeeds(&compile("gcc", folder.path(), &[&placed[..], &plain].concat()).expect("gcc"));
    let sections = sections(&object);
    let bytes = |name: &str| sections.iter().find(|s| s.0 == name).map_or(0, |s| s.1);
    assert!(bytes(".bss.fast") >= model.arena_bytes(), "{sections:?}");
    assert!(bytes(".flash") > 643, "{sections:?}");
    assert_eq!((bytes(".bss"), bytes(".rodata")), (0, 0), "{sections:?}");
}

#[test]
fn headers_that_do_not_fit_the_network_do_not_compile() {
    let folder = exported(&streamed());
    let header = folder.path().join("net.h");
    let text = fs::read_to_string(&header).expect("readable");
    let build = ["-std=c11", "-c", "-o", "net.o", "net.c"];
    let complaint = |from: &str, to: &str, file: &Path| {
        let text = fs::read_to_string(file).expect("readable");
        assert!(text.contains(from), "{from}");
        fs::write(file, text.replace(from, to)).expect("written");
        let output = compile("gcc", folder.path(), &build)?;
        fs::write(file, text).expect("written");
        assert!(!output.status.success());
        Some(String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(text.contains("#define NET_INPUT_BYTES 108\n"));
    let Some(found) = complaint("NET_INPUT_BYTES 108", "NET_INPUT_BYTES 109", &header) else {
        return;
    };
    assert!(found.contains("elements and bytes"), "{found}");
    let runtime = folder.path().join("runtime/bptq.h");
    let found = complaint("BPTQ_VERSION ", "BPTQ_VERSION 9", &runtime).expect("gcc");
    assert!(found.contains("another version of burn-ptq"), "{found}");
}

#[test]
fn exports_say_which_network_they_are() {
    let text = |model: &Placed, name: &str, file: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let (_, self_test) = proven("net");
        let exporter = exporter(name).expect("known");
        exporter.export(model, &self_test, &HOST, folder.path()).expect("an export");
        fs::read_to_string(folder.path().join(file)).expect("readable")
    };
    let hash = |text: &str| {
        let (_, rest) = text.split_once("HASH \"").or(text.split_once("HASH: &str = \""))?;
        rest.split_once('"').map(|(hash, _)| hash.to_owned())
    };
    let (mut program, placement) = proven("net").0.into_parts();
    program.provenance.model_hash = "ab\"c\\d".into();
    let model = Placed::new(program, placement, Kernels::Portable).expect("valid");
    let header = text(&model, "c", "net.h");
    assert!(header.contains("#define NET_VERSION \"0.1.0\"\n"), "{header}");
    assert_eq!(hash(&header).as_deref(), Some("ab?c?d"));
    let own = |text: &str| {
        let marker = if text.contains("NET_HASH \"") { "NET_HASH \"" } else { " HASH: &str = \"" };
        text.split_once(marker).map(|(_, rest)| rest[..64].to_owned()).expect("a hash")
    };
    let library = text(&model, "rust", "src/lib.rs");
    assert_eq!(own(&header), own(&library));
    assert!(header.contains(&format!("#define NET_HASH_32 0x{}u\n", &own(&header)[..8])));
    let (mut program, placement) = model.into_parts();
    program.outputs[0].classes = vec!["other".into()];
    let other = Placed::new(program, placement, Kernels::Portable).expect("valid");
    assert_ne!(own(&text(&other, "c", "net.h")), own(&header));
}
