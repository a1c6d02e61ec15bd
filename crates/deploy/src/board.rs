//! Boards that QEMU emulates, one for each target: what a bare-metal program must know of them.

use crate::target::Target;

/// An instruction takes 2 to this power virtual nanoseconds, which is more than one tick of every
/// board's counter: [`Board::instructions`] is right to one instruction.
pub const ICOUNT_SHIFT: u32 = 6;

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The first address.
    pub origin: u32,
    /// The size in bytes.
    pub length: u32,
}

/// A serial port of Arm's CMSDK, and the clock beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uart {
    /// Where its registers begin.
    pub address: u32,
    /// Ticks of SysTick in a microsecond.
    pub ticks_per_microsecond: u32,
}

/// An emulated board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Board {
    /// The name of its target.
    pub target: &'static str,
    /// QEMU's program.
    pub emulator: &'static str,
    /// QEMU's machine.
    pub machine: &'static str,
    /// Arguments of QEMU beyond the machine.
    pub arguments: &'static str,
    /// Where code and constants lie.
    pub flash: Memory,
    /// Where variables and the stack lie.
    pub ram: Memory,
    /// Instructions are ticks times the first over the second, at [`ICOUNT_SHIFT`].
    pub tick: [u64; 2],
    /// A serial port, where harnesses of benchmarks know it.
    pub uart: Option<Uart>,
    /// Flags of the compiler that choose a C library, where it has none by default.
    pub library: &'static str,
}

const fn arm(target: &'static str, machine: &'static str) -> Board {
    Board {
        target,
        emulator: "qemu-system-arm",
        machine,
        arguments: "",
        flash: Memory { origin: 0, length: 4 << 20 },
        ram: Memory { origin: 0x2000_0000, length: 4 << 20 },
        // 25 MHz.
        tick: [5, 8],
        uart: Some(Uart { address: 0x4000_4000, ticks_per_microsecond: 25 }),
        library: "",
    }
}

/// Every board.
///
/// QEMU's one machine with a Cortex-M0 has 16 KB of RAM. Every instruction of Armv6-M is one of
/// Armv7-M, with the same effect, so that a Cortex-M3 runs the same code in the same number of
/// instructions.
pub const BOARDS: &[Board] = &[
    arm("cortex-m0", "mps2-an385"),
    arm("cortex-m3", "mps2-an385"),
    arm("cortex-m4", "mps2-an386"),
    arm("cortex-m7", "mps2-an500"),
    Board {
        flash: Memory { origin: 0x1000_0000, length: 4 << 20 },
        ram: Memory { origin: 0x3800_0000, length: 4 << 20 },
        // 20 MHz.
        tick: [25, 32],
        uart: None,
        ..arm("cortex-m33", "mps2-an505")
    },
    Board {
        flash: Memory { origin: 0, length: 512 << 10 },
        ram: Memory { origin: 0x0100_0000, length: 2 << 20 },
        // 32 MHz.
        tick: [125, 256],
        uart: None,
        ..arm("cortex-m55", "mps3-an547")
    },
    Board {
        target: "rv32",
        emulator: "qemu-system-riscv32",
        machine: "virt",
        arguments: "-bios none",
        flash: Memory { origin: 0x8000_0000, length: 4 << 20 },
        ram: Memory { origin: 0x8040_0000, length: 4 << 20 },
        // QEMU lets minstret count virtual nanoseconds.
        tick: [1, 1 << ICOUNT_SHIFT],
        uart: None,
        library: "--specs=picolibc.specs",
    },
];

/// The board of `target`; none for the machine that compiles.
pub fn board(target: &Target) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.target == target.name)
}

impl Board {
    /// The instructions that passed in `ticks` of the counter in `firmware/counter.c`.
    pub const fn instructions(&self, ticks: u64) -> u64 {
        (ticks * self.tick[0] + self.tick[1] / 2) / self.tick[1]
    }

    /// Arguments of QEMU for a program that talks to standard output by semihosting.
    pub fn qemu_arguments(&self) -> Vec<String> {
        self.arguments_for(
            "-serial none -chardev stdio,id=host \
             -semihosting-config enable=on,target=native,chardev=host",
        )
    }

    /// Arguments of QEMU for a program whose serial port is standard input and output.
    pub fn serial_arguments(&self) -> Vec<String> {
        self.arguments_for("-serial stdio -semihosting-config enable=on,target=native")
    }

    fn arguments_for(&self, ends: &str) -> Vec<String> {
        let mut arguments = vec!["-M".to_owned(), self.machine.to_owned()];
        arguments.extend(self.arguments.split_whitespace().map(str::to_owned));
        let icount = format!("-icount shift={ICOUNT_SHIFT}");
        arguments.extend(icount.split_whitespace().map(str::to_owned));
        let rest = format!("-nographic -monitor none {ends}");
        arguments.extend(rest.split_whitespace().map(str::to_owned));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{HOST, TARGETS};

    #[test]
    fn every_target_but_the_host_has_a_board() {
        for target in TARGETS {
            assert_eq!(board(target).is_some(), *target != HOST, "{}", target.name);
        }
    }
}
