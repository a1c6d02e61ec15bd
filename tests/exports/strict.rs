//! Exports of every target under every warning that they promise to be free of, by GCC and by clang,
//! optimized for size and for speed.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn_ptq_deploy::board::board;
use burn_ptq_deploy::export::{SelfTest, exporter};
use burn_ptq_deploy::target::{TARGETS, Target};
use burn_ptq_mcu::clang_flags;
use network::proven;

#[path = "../../crates/deploy/tests/network/mod.rs"]
mod network;
#[allow(dead_code)]
#[path = "../../crates/deploy/tests/programs/mod.rs"]
mod programs;
#[allow(dead_code)]
#[path = "../../crates/deploy/tests/stateful/mod.rs"]
mod stateful;

const WARNINGS: &[&str] = &[
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wsign-conversion",
    "-Wshadow",
    "-Wundef",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-Wold-style-definition",
    "-Werror",
];

const OPTIMIZATIONS: [&str; 2] = ["-Os", "-O3"];

/// A compiler for a target.
struct Compiler {
    program: &'static str,
    flags: Vec<String>,
}

fn compilers(target: &Target) -> [Compiler; 2] {
    let library = board(target).map_or("", |board| board.library);
    let words = target.flags.split_whitespace().chain(library.split_whitespace());
    let flags = words.map(str::to_owned).collect();
    [
        Compiler { program: target.compiler, flags },
        Compiler { program: "clang", flags: clang_flags(target) },
    ]
}

fn available(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Every C file below `folder`, but those of `src`, which include the others.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).expect("an export").flatten() {
        let path = entry.path();
        if path.ends_with("src") {
            continue;
        }
        if path.is_dir() {
            sources.extend(self::sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "c") {
            sources.push(path);
        }
    }
    sources.sort();
    sources
}

/// What a compiler reads of a source and of the exported headers that it includes.
fn read(folder: &Path, source: &Path, seen: &mut Vec<PathBuf>) -> String {
    let text = fs::read_to_string(source).expect("readable");
    let mut all = text.clone();
    for line in text.lines() {
        let Some(name) = line.trim().strip_prefix("#include \"") else { continue };
        let name = name.trim_end_matches('"');
        let places = ["runtime", "firmware", "."].map(|place| folder.join(place).join(name));
        for header in places.into_iter().filter(|header| header.is_file()) {
            if !seen.contains(&header) {
                seen.push(header.clone());
                all += &read(folder, &header, seen);
            }
        }
    }
    all
}

/// What a compiler says of `sources` in a folder, if anything.
fn complaints(
    folder: &Path,
    sources: &[PathBuf],
    compiler: &Compiler,
    optimization: &str,
) -> String {
    // Clang 14's assembler for RISC-V stops where functions are aligned.
    let riscv = compiler.flags.iter().any(|flag| flag.contains("riscv"));
    let form = if riscv { "-S" } else { "-c" };
    let mut complaints = String::new();
    for source in sources {
        let output = Command::new(compiler.program)
            .args(WARNINGS)
            .args(&compiler.flags)
            .args([optimization, "-DBPTQ_COUNT", "-I.", "-Iruntime", "-Ifirmware"])
            .args([form, "-o", "/dev/null"])
            .arg(source)
            .current_dir(folder)
            .output()
            .expect("the compiler runs");
        complaints.push_str(&String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            complaints.push_str("it failed\n");
        }
    }
    complaints
}

#[test]
fn exports_of_all_targets_compile_without_warnings() {
    let (plain, plain_test) = proven("net");
    let kept = stateful::placed(stateful::every_kind());
    let kept_test = SelfTest::new(&kept, &[stateful::samples(&kept, 1)]).expect("a sample");
    // Cores of one family differ in few files of the runtime: a compiler reads each of the others once.
    let mut compiled = HashSet::new();
    for target in TARGETS {
        let (present, absent): (Vec<_>, Vec<_>) = (compilers(target).into_iter())
            .partition(|compiler| available(compiler.program) && available(target.compiler));
        for compiler in absent {
            eprintln!("SKIPPED {} for {}: not installed", compiler.program, target.name);
        }
        for (model, self_test) in [(&plain, &plain_test), (&kept, &kept_test)] {
            let folder = tempfile::tempdir().expect("a folder");
            let export = exporter("c").expect("known");
            export.export(model, self_test, target, folder.path()).expect("an export");
            let mut sources = sources(folder.path());
            assert!(sources.len() > 10);
            let new = |source: &PathBuf| {
                let text = read(folder.path(), source, &mut Vec::new());
                let of_runtime = source.starts_with(folder.path().join("runtime"));
                compiled.insert((target.compiler, text)) || !of_runtime
            };
            sources.retain(new);
            std::thread::scope(|scope| {
                for optimization in OPTIMIZATIONS {
                    let (present, sources, folder) = (&present, &sources, folder.path());
                    scope.spawn(move || {
                        for compiler in present {
                            let complaints = complaints(folder, sources, compiler, optimization);
                            let Compiler { program, flags } = compiler;
                            assert_eq!(complaints, "", "{program} {flags:?} {optimization}");
                        }
                    });
                }
            });
        }
    }
}
