//! What the tests compare with: C compilers, and Python packages. Installs what is missing where
//! that is allowed, and says what to do where it is not.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::root;

/// A program that tests run, from a Debian package.
struct Tool {
    /// What is missing when it is.
    name: &'static str,
    present: fn() -> bool,
    package: fn() -> String,
}

const TOOLS: &[Tool] = &[
    Tool { name: "gcc", present: || runs("gcc", &["--version"]), package: || "gcc".into() },
    Tool { name: "clang", present: || runs("clang", &["--version"]), package: || "clang".into() },
    Tool { name: "make", present: || runs("make", &["--version"]), package: || "make".into() },
    Tool { name: "cmake", present: || runs("cmake", &["--version"]), package: || "cmake".into() },
    Tool {
        name: "the C library's headers",
        present: || !compiler_stands("gcc") || compiles("gcc", &[]),
        package: || "libc6-dev".into(),
    },
    Tool {
        name: "clang's sanitizers",
        present: || !compiler_stands("clang") || compiles("clang", SANITIZERS),
        package: sanitizer_package,
    },
    Tool {
        name: "GNU parallel",
        present: || runs("parallel", &["--will-cite", "--version"]),
        package: || "parallel".into(),
    },
    Tool {
        name: "Python 3 with venv",
        present: || python().is_some() || runs("python3", &["-c", "import ensurepip, venv"]),
        package: || "python3-venv".into(),
    },
];

/// What programs for microcontrollers are compiled and run with.
const MCU_TOOLS: &[Tool] = &[
    Tool {
        name: "arm-none-eabi-gcc",
        present: || runs("arm-none-eabi-gcc", &["--version"]),
        package: || "gcc-arm-none-eabi".into(),
    },
    Tool {
        name: "newlib for Arm",
        present: || compiles("arm-none-eabi-gcc", &["--specs=nosys.specs"]),
        package: || "libnewlib-arm-none-eabi".into(),
    },
    Tool {
        name: "qemu-system-arm",
        present: || runs("qemu-system-arm", &["--version"]),
        package: || "qemu-system-arm".into(),
    },
    Tool {
        name: "riscv64-unknown-elf-gcc",
        present: || runs("riscv64-unknown-elf-gcc", &["--version"]),
        package: || "gcc-riscv64-unknown-elf".into(),
    },
    Tool {
        name: "picolibc for RISC-V",
        present: || compiles("riscv64-unknown-elf-gcc", &["--specs=picolibc.specs"]),
        package: || "picolibc-riscv64-unknown-elf".into(),
    },
    Tool {
        name: "qemu-system-riscv32",
        present: || runs("qemu-system-riscv32", &["--version"]),
        package: || "qemu-system-misc".into(),
    },
];

const SANITIZERS: &[&str] = &["-fsanitize=address,undefined"];

/// Looks for everything, installs what is missing when `install` and when it may. Returns what is
/// still missing, each with what to do.
pub(crate) fn provide(install: bool) -> Vec<String> {
    let mut missing = provide_tools(TOOLS, install);
    if install && std::env::var_os("BURN_PTQ_PYTHON").is_none() {
        // The script is silent when there is nothing to do, and says itself what it misses.
        let script =
            Command::new("sh").arg("scripts/install-oracles.sh").current_dir(root()).status();
        if !script.is_ok_and(|status| status.success()) {
            missing.push(
                "Python oracles of scripts/requirements.txt (run scripts/install-oracles.sh)"
                    .into(),
            );
        }
    } else if python().is_none() {
        missing.push(
            "Python oracles (run scripts/install-oracles.sh, or set BURN_PTQ_PYTHON to a Python that \
             has them)"
                .into(),
        );
    }
    missing
}

/// The same for what programs for microcontrollers need.
pub(crate) fn provide_mcu(install: bool) -> Vec<String> {
    let mut missing = provide_tools(MCU_TOOLS, install);
    let mut script = Command::new("sh");
    script.arg("scripts/install-rust-mcu.sh").current_dir(root()).stdin(Stdio::null());
    if !install {
        script.arg("--check").stderr(Stdio::null());
    }
    // Silent when there is nothing to do.
    if !script.status().is_ok_and(|status| status.success()) {
        missing.push(
            "Rust's core library for microcontrollers (run scripts/install-rust-mcu.sh)".into(),
        );
    }
    missing
}

fn provide_tools(tools: &'static [Tool], install: bool) -> Vec<String> {
    // Twice, because what a compiler comes without shows only when there is the compiler.
    if install && is_root() && runs("apt-get", &["--version"]) {
        for _ in 0..2 {
            let packages: Vec<String> = absent(tools).map(|tool| (tool.package)()).collect();
            if packages.is_empty() || !apt_install(&packages) {
                break;
            }
        }
    }
    absent(tools)
        .map(|tool| format!("{} (as root: apt-get install {})", tool.name, (tool.package)()))
        .collect()
}

/// The Python that has the oracles: `BURN_PTQ_PYTHON`, else the one of `.venv`.
pub(crate) fn python() -> Option<PathBuf> {
    let chosen = std::env::var_os("BURN_PTQ_PYTHON").map(PathBuf::from);
    let path = chosen.unwrap_or_else(|| root().join(".venv/bin/python"));
    path.is_file().then_some(path)
}

/// The Vulkan device, after installing Mesa's software one where there is none and it may.
pub(crate) fn vulkan() -> String {
    let found = || {
        let output = Command::new("vulkaninfo").arg("--summary").output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let name = text.lines().find_map(|line| line.trim().strip_prefix("deviceName"))?;
        Some(name.trim_start_matches([' ', '=']).to_string())
    };
    if found().is_none() && is_root() && runs("apt-get", &["--version"]) {
        apt_install(&["mesa-vulkan-drivers".into(), "vulkan-tools".into()]);
    }
    found().unwrap_or_else(|| "unknown (install mesa-vulkan-drivers and vulkan-tools)".into())
}

fn absent(tools: &'static [Tool]) -> impl Iterator<Item = &'static Tool> {
    tools.iter().filter(|tool| !(tool.present)())
}

fn quiet(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    quiet(program).args(arguments).status().is_ok_and(|status| status.success())
}

fn compiler_stands(compiler: &str) -> bool {
    runs(compiler, &["--version"])
}

/// Compiles and links a program that includes a header of the C library.
fn compiles(compiler: &str, flags: &[&str]) -> bool {
    let mut command = quiet("sh");
    let line = "printf '#include <stdio.h>\\nint main(void) { return 0; }\\n' | \"$0\" -x c \"$@\" - -o /dev/null";
    command.args(["-c", line, compiler]).args(flags);
    command.status().is_ok_and(|status| status.success())
}

/// The sanitizers' package carries clang's major version.
fn sanitizer_package() -> String {
    let version = Command::new("clang").arg("-dumpversion").output();
    let version = version.map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    let major = version.ok().and_then(|v| v.split('.').next().map(|m| m.trim().to_owned()));
    format!("libclang-rt-{}-dev", major.filter(|m| !m.is_empty()).unwrap_or_else(|| "14".into()))
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

fn apt_install(packages: &[String]) -> bool {
    println!("installing with apt-get: {}", packages.join(" "));
    let apt = |arguments: &[&str], packages: &[String]| {
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(arguments)
            .args(packages)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    apt(&["update", "-q"], &[])
        && apt(&["install", "-q", "-y", "--no-install-recommends"], packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_missing() {
        assert!(!runs("there-is-no-such-program", &["--version"]));
        assert!(!compiles("there-is-no-such-program", &[]));
        assert!(runs("sh", &["-c", "exit 0"]));
        assert!(!runs("sh", &["-c", "exit 1"]));
    }
}
