//! Compiles programs into a bare-metal image.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn_ptq_deploy::board::{Board, board};
use burn_ptq_deploy::export::{
    C99, ExportError, ExportFile, Exporter, Options, SelfTest, end_names,
};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::target::Target;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::error::{McuError, failed};
use crate::firmware::{Firmware, Shape};
use crate::runtime::{self, Runtime};

/// What the exported C promises to compile under.
const STRICT: &str = "-std=c99 -Wall -Wextra -Wconversion -Wpedantic -Werror \
                      -ffunction-sections -fdata-sections";

/// Nodes of the driver's table of counts; more than any program here has.
const MIN_NODES: usize = 8;

const DRIVER: &str = include_str!("../c/driver.c");
const DRIVER_HEADER: &str = include_str!("../c/driver.h");

/// Parts of an exported firmware that the driver builds on; it brings a `main` of its own.
const FIRMWARE: &[&str] =
    &["start.c", "semihosting.c", "semihosting.h", "counter.c", "counter.h", "link.ld"];

/// Whether the compiler and the emulator of `target` are installed.
pub fn available(target: &Target) -> bool {
    board(target).is_some_and(|board| runs(target.compiler) && runs(board.emulator))
}

/// Flags with which clang compiles what the compiler of `target` links; none for the machine that
/// compiles.
pub fn clang_flags(target: &Target) -> Vec<String> {
    let kind = match target.name {
        "cortex-m0" => "--target=thumbv6m-none-eabi",
        "cortex-m3" => "--target=thumbv7m-none-eabi",
        "cortex-m4" | "cortex-m7" => "--target=thumbv7em-none-eabi",
        "cortex-m33" => "--target=thumbv8m.main-none-eabi",
        "cortex-m55" => "--target=thumbv8.1m.main-none-eabihf",
        "rv32" => "--target=riscv32-none-elf",
        _ => return Vec::new(),
    };
    let library = board(target).map_or("", |board| board.library);
    let words = kind.split_whitespace().chain(target.flags.split_whitespace());
    words.map(str::to_owned).chain(headers(target.compiler, library)).collect()
}

/// Where the C library of a cross compiler has its headers; clang brings those of the compiler.
fn headers(compiler: &str, library: &str) -> Vec<String> {
    let output = Command::new(compiler)
        .args(library.split_whitespace())
        .args(["-x", "c", "-E", "-v", "/dev/null"])
        .output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stderr).into_owned());
    let text = text.unwrap_or_default();
    let (_, list) = text.split_once("#include <...> search starts here:").unwrap_or_default();
    let folders = list.lines().map(str::trim).take_while(|line| !line.starts_with("End of"));
    let has_string = |folder: &&str| Path::new(folder).join("string.h").is_file();
    folders.filter(has_string).flat_map(|folder| ["-isystem".into(), folder.into()]).collect()
}

/// Whether a program is installed.
pub(crate) fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A compiler with its flags. The objects of the runtime, which all programs of a target share, are
/// compiled once.
#[derive(Debug)]
pub struct Toolchain {
    target: &'static Target,
    board: &'static Board,
    flags: String,
    /// Compile with clang; the target's own compiler links.
    clang: bool,
    runtime: Option<Runtime>,
}

impl Toolchain {
    /// Compiles for `target` with `flags`, such as `-O2`.
    ///
    /// # Errors
    /// If no board is known for the target.
    pub fn new(target: &'static Target, flags: &str) -> Result<Self, McuError> {
        let board = board(target).ok_or(McuError::NoBoard { target: target.name })?;
        Ok(Self { target, board, flags: flags.to_owned(), clang: false, runtime: None })
    }

    /// The same with clang, which leaves linking to the target's compiler.
    ///
    /// # Errors
    /// If no board is known for the target.
    pub fn with_clang(target: &'static Target, flags: &str) -> Result<Self, McuError> {
        Ok(Self { clang: true, ..Self::new(target, flags)? })
    }

    /// The board that its firmware runs on.
    pub fn board(&self) -> &'static Board {
        self.board
    }

    /// One firmware with all of `models`, which must fit the board's memory together.
    pub fn build(&mut self, models: &[&Placed]) -> Result<Firmware, McuError> {
        let folder = new_folder()?;
        let mut unit = String::new();
        for (index, model) in models.iter().enumerate() {
            let files = render(index, model, self.target)?;
            if self.runtime.is_none() {
                self.runtime = Some(self.runtime(&files)?);
            }
            for name in [format!("p{index}.c"), format!("p{index}.h")] {
                if let Some(file) = files.iter().find(|file| file.path == name) {
                    write(folder.path(), &name, &file.contents)?;
                }
            }
            let _ = writeln!(unit, "#include \"p{index}.c\"");
        }
        let nodes = models.iter().map(|model| model.nodes.len()).max().unwrap_or(0).max(MIN_NODES);
        write(folder.path(), "programs.c", unit.as_bytes())?;
        write(folder.path(), "table.c", table(models).as_bytes())?;
        write(folder.path(), "driver.c", DRIVER.as_bytes())?;
        write(folder.path(), "driver.h", DRIVER_HEADER.as_bytes())?;
        let Some(runtime) = &self.runtime else {
            return Err(McuError::Mismatch { what: "programs", expected: 1, found: 0 });
        };
        let includes = format!("-DDRIVER_NODES={nodes} -I. -I{}", runtime.path().display());
        self.compile(folder.path(), &includes, &["programs.c", "table.c", "driver.c"])?;
        self.link(folder.path(), runtime.path())?;
        let shapes = models.iter().map(|model| Shape::of(model)).collect();
        Ok(Firmware::new(folder, self.board, shapes))
    }

    /// The runtime among `files`, compiled now or before.
    fn runtime(&self, files: &[ExportFile]) -> Result<Runtime, McuError> {
        let part = |file: &'_ ExportFile| -> Option<String> {
            match file.path.split_once('/')? {
                ("runtime", name) => Some(name.to_owned()),
                ("firmware", name) if FIRMWARE.contains(&name) => Some(name.to_owned()),
                _ => None,
            }
        };
        let parts: Vec<(String, &[u8])> =
            files.iter().filter_map(|file| Some((part(file)?, file.contents.as_slice()))).collect();
        runtime::kept(&self.fingerprint(&parts), |folder| {
            let mut sources = Vec::new();
            for (name, contents) in &parts {
                write(folder, name, contents)?;
                sources.extend(name.ends_with(".c").then_some(name.as_str()));
            }
            self.compile(folder, "-I.", &sources)
        })
    }

    /// What the objects of `parts` depend on.
    fn fingerprint(&self, parts: &[(String, &[u8])]) -> String {
        let command = self.compiler(Path::new("."));
        let version = Command::new(command.get_program()).arg("--version").output();
        let version = version.map(|output| output.stdout).unwrap_or_default();
        let call = format!("{command:?} {STRICT}");
        let files = parts.iter().flat_map(|(name, contents)| [name.as_bytes(), contents]);
        let pieces = [version.as_slice(), call.as_bytes()].into_iter().chain(files);
        let mut hash = Sha256::new();
        for piece in pieces {
            hash.update(piece.len().to_le_bytes());
            hash.update(piece);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn compiler(&self, folder: &Path) -> Command {
        if self.clang { self.clang(folder) } else { self.command(folder) }
    }

    fn compile(&self, folder: &Path, includes: &str, sources: &[&str]) -> Result<(), McuError> {
        let mut command = self.compiler(folder);
        command.args(STRICT.split_whitespace()).arg("-DBPTQ_COUNT").arg("-c");
        command.args(includes.split_whitespace()).args(sources);
        output_of(&mut command)
    }

    fn link(&self, folder: &Path, runtime: &Path) -> Result<(), McuError> {
        let mut command = self.command(folder);
        command.args(["-nostartfiles", "-Wl,--gc-sections", "-Wl,-Map,firmware.map"]);
        command.arg("-T").arg(runtime.join("link.ld")).args(["-o", "firmware.elf"]);
        command.args(objects(folder)?).args(objects(runtime)?);
        output_of(&mut command)
    }

    fn clang(&self, folder: &Path) -> Command {
        let mut command = Command::new("clang");
        command.current_dir(folder).stdin(Stdio::null());
        command.args(clang_flags(self.target)).args(self.flags.split_whitespace());
        command
    }

    /// The compiler with the flags that compiling and linking share.
    fn command(&self, folder: &Path) -> Command {
        let mut command = Command::new(self.target.compiler);
        command.current_dir(folder).stdin(Stdio::null());
        for flags in [self.target.flags, self.board.library, &self.flags] {
            command.args(flags.split_whitespace());
        }
        command
    }
}

pub(crate) fn new_folder() -> Result<TempDir, McuError> {
    tempfile::tempdir().map_err(failed("create a folder in", &std::env::temp_dir()))
}

/// Writes a file, in folders that may be new.
pub(crate) fn write(folder: &Path, name: &str, contents: &[u8]) -> Result<(), McuError> {
    let path = folder.join(name);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(failed("create", parent))?;
    fs::write(&path, contents).map_err(failed("write", &path))
}

/// The object files of a folder, sorted, so that every link is the same.
fn objects(folder: &Path) -> Result<Vec<PathBuf>, McuError> {
    let entries = fs::read_dir(folder).map_err(failed("read", folder))?;
    let mut objects: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "o"))
        .collect();
    objects.sort();
    Ok(objects)
}

pub(crate) fn output_of(command: &mut Command) -> Result<(), McuError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|source| McuError::Start { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(McuError::Failed { program, status: output.status.to_string(), output: text })
}

/// The export of one program, under names that no other program has.
fn render(index: usize, placed: &Placed, target: &Target) -> Result<Vec<ExportFile>, McuError> {
    let (mut program, placement) = placed.clone().into_parts();
    program.name = format!("p{index}");
    for (position, node) in program.nodes.iter_mut().enumerate() {
        node.name = format!("p{index}n{position}");
    }
    let program = Placed::new(program, placement, placed.kernels()).map_err(ExportError::from)?;
    // The caller compares: the embedded self-test is not compiled.
    let sample = (vec![0; program.input_bytes()], vec![0; program.output_bytes()]);
    let self_test = SelfTest { samples: vec![sample] };
    Ok(C99.render(&program, &self_test, &Options::new(target))?.files)
}

/// The driver's table of programs.
fn table(models: &[&Placed]) -> String {
    let (mut functions, mut rows) = (String::new(), String::new());
    for (index, model) in models.iter().enumerate() {
        let nodes = model.nodes.len();
        let moves = |function: &str, names: &[String]| {
            let each = names.iter().map(|name| {
                let bytes = format!("P{index}_{}_BYTES", name.to_ascii_uppercase());
                format!("{function}(file, p{index}_{name}(), {bytes})")
            });
            each.collect::<Vec<_>>().join(" &&\n           ")
        };
        let [inputs, outputs] = end_names(model);
        let _ = write!(
            functions,
            "#include \"p{index}.h\"
static int read_{index}(int32_t file)
{{
    return {};
}}
static int write_{index}(int32_t file)
{{
    return {};
}}
",
            moves("host_read", &inputs),
            moves("host_write", &outputs)
        );
        let reset = match model.states.is_empty() {
            true => "NULL".to_owned(),
            false => format!("p{index}_reset"),
        };
        let functions = format!("read_{index}, write_{index}, p{index}_run, {reset}");
        let _ = writeln!(rows, "    {{{functions}, {nodes}}},");
    }
    format!(
        "#include \"driver.h\"
#include \"semihosting.h\"
{functions}
const driver_program driver_programs[] = {{
{rows}}};
const uint32_t driver_program_count = {};
",
        models.len()
    )
}
