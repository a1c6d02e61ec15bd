//! Processors that programs are exported for.
//!
//! Every target computes the same bytes; they differ in the kernels that do it and in the order in
//! which weights are stored for them. To add one, list it in [`TARGETS`].

/// The instructions that kernels may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// Portable C99; Rust without intrinsics.
    Portable,
    /// Cores without SIMD instructions, in C: more sums at a time, two products in one multiplication.
    /// Layers that do not meet their conditions run on those of [`Portable`](Self::Portable).
    Scalar,
    /// The DSP extension of Armv7E-M and Armv8-M: pairs of 16-bit products (SMLAD).
    Dsp,
    /// The DSP extension in tiles, in C: layers that do not meet their conditions run on those of
    /// [`Dsp`](Self::Dsp).
    Tiles,
    /// The M-profile vector extension (Helium).
    Mve,
    /// The vector extension, four channels of two pixels at a time, in C: layers that do not meet the
    /// conditions run on the kernels of [`Mve`](Self::Mve).
    Quads,
}

/// A processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name that selects it on the command line.
    pub name: &'static str,
    /// What it is, in one line.
    pub description: &'static str,
    /// The kernels that run on it.
    pub kernels: Kernels,
    /// The compiler of the generated Makefile.
    pub compiler: &'static str,
    /// The compiler's flags that choose the processor.
    pub flags: &'static str,
    /// The target of rustc; empty for the machine that compiles.
    pub rust: &'static str,
}

/// The machine that compiles, with portable kernels.
pub const HOST: Target = Target {
    name: "host",
    description: "the machine that compiles, or any other with a C99 compiler",
    kernels: Kernels::Portable,
    compiler: "cc",
    flags: "",
    rust: "",
};

const ARM: &str = "arm-none-eabi-gcc";

/// Every target.
pub const TARGETS: &[Target] = &[
    HOST,
    Target {
        name: "cortex-m0",
        description: "Arm Cortex-M0 and M0+",
        kernels: Kernels::Scalar,
        compiler: ARM,
        flags: "-mcpu=cortex-m0 -mthumb",
        rust: "thumbv6m-none-eabi",
    },
    Target {
        name: "cortex-m3",
        description: "Arm Cortex-M3",
        kernels: Kernels::Scalar,
        compiler: ARM,
        flags: "-mcpu=cortex-m3 -mthumb",
        rust: "thumbv7m-none-eabi",
    },
    Target {
        name: "cortex-m4",
        description: "Arm Cortex-M4 and M4F",
        kernels: Kernels::Tiles,
        compiler: ARM,
        flags: "-mcpu=cortex-m4 -mthumb",
        rust: "thumbv7em-none-eabi",
    },
    Target {
        name: "cortex-m7",
        description: "Arm Cortex-M7",
        kernels: Kernels::Tiles,
        compiler: ARM,
        flags: "-mcpu=cortex-m7 -mthumb",
        rust: "thumbv7em-none-eabi",
    },
    Target {
        name: "cortex-m33",
        description: "Arm Cortex-M33 with the DSP extension",
        kernels: Kernels::Tiles,
        compiler: ARM,
        flags: "-mcpu=cortex-m33 -mthumb -mfloat-abi=soft",
        rust: "thumbv8m.main-none-eabi",
    },
    Target {
        name: "cortex-m55",
        description: "Arm Cortex-M55 with Helium",
        kernels: Kernels::Quads,
        compiler: ARM,
        flags: "-mcpu=cortex-m55 -mthumb -mfloat-abi=hard",
        rust: "thumbv8m.main-none-eabihf",
    },
    Target {
        name: "rv32",
        description: "RISC-V, rv32imac",
        kernels: Kernels::Scalar,
        compiler: "riscv64-unknown-elf-gcc",
        flags: "-march=rv32imac -mabi=ilp32",
        rust: "riscv32imac-unknown-none-elf",
    },
];

/// The target called `name`, which may leave out `cortex-`.
pub fn target(name: &str) -> Option<&'static Target> {
    let called =
        |target: &&Target| target.name == name || target.name.strip_prefix("cortex-") == Some(name);
    TARGETS.iter().find(called)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_found_by_either_name() {
        assert_eq!(target("m4"), target("cortex-m4"));
        assert_eq!(target("rv32").unwrap().name, "rv32");
        assert!(target("cortex-").is_none() && target("z80").is_none());
    }
}
