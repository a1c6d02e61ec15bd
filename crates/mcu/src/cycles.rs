//! Estimates of cycles: how often each instruction of an image is executed, times what the manual of the
//! Cortex-M4 says that it takes.
//!
//! Arm's technical reference manual of the Cortex-M4 (DDI 0439, table 3-1) gives the cycles without wait
//! states. Stalls that depend on what instructions compute are not in it, and neither is the flash, which
//! most parts put wait states or a cache before. The Cortex-M33 has no such table; that of the Cortex-M4
//! stands in for it.

use std::collections::HashMap;
use std::fs;
use std::process::Command;

use burn_ptq_deploy::target::Target;

use crate::error::{McuError, failed};
use crate::firmware::Firmware;
use crate::map::network_ranges;
use crate::toolchain::{output_of, runs, write};

const PLUGIN: &str = include_str!("../c/executed.c");

/// Cycles to fill the pipeline after a branch: 1 to 3 by the manual.
const REFILL: u64 = 2;

/// Cycles of a division: 2 to 12 by the manual.
const DIVISION: u64 = 8;

/// Cores whose instructions the table stands for.
const CORES: [&str; 2] = ["cortex-m4", "cortex-m33"];

/// What the functions of the programs and of the runtime have executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Instructions, counted.
    pub instructions: u64,
    /// Cycles, estimated.
    pub cycles: u64,
}

/// Whether cycles can be estimated for `target` here: a compiler for this machine, and a QEMU that takes
/// plugins.
pub fn estimates_cycles(target: &Target) -> bool {
    let Some(board) = burn_ptq_deploy::board::board(target) else { return false };
    let help = || Command::new(board.emulator).arg("--help").output();
    let takes_plugins =
        || help().is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("\n-plugin"));
    CORES.contains(&target.name) && runs("cc") && runs(&disassembler(target)) && takes_plugins()
}

fn disassembler(target: &Target) -> String {
    target.compiler.replace("gcc", "objdump")
}

impl Firmware {
    /// Runs every program on its samples, as [`run`](Self::run), and estimates the cycles that all of them
    /// take together, without those of the driver.
    ///
    /// # Errors
    /// If a tool is missing that [`estimates_cycles`] asks for, or fails.
    pub fn estimate(&self, target: &Target, inputs: &[&[u8]]) -> Result<Estimate, McuError> {
        write(self.folder(), "executed.c", PLUGIN.as_bytes())?;
        let mut build = Command::new("cc");
        build.args(["-O2", "-shared", "-fPIC", "-o", "executed.so", "executed.c"]);
        output_of(build.current_dir(self.folder()))?;
        self.feed(inputs, &vec![1; inputs.len()])?;
        self.emulate(&["-plugin", "./executed.so,out=executed"])?;
        let path = self.folder().join("executed");
        let counts = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let program = disassembler(target);
        let listing = Command::new(&program)
            .args(["-d", "--no-show-raw-insn", "firmware.elf"])
            .current_dir(self.folder())
            .output()
            .map_err(|source| McuError::Start { program, source })?;
        let listing = String::from_utf8_lossy(&listing.stdout);
        let ranges = network_ranges(&self.map()?);
        let of_network =
            |address: u64| ranges.iter().any(|range| range.contains(&(address as usize)));
        Ok(estimate(&instructions(&listing), &executed(&counts), of_network))
    }
}

/// An instruction of the image.
#[derive(Debug)]
struct Instruction<'a> {
    address: u64,
    /// Without the suffix of its width.
    operation: &'a str,
    operands: &'a str,
}

impl Instruction<'_> {
    fn is_load(&self) -> bool {
        self.operation.starts_with("ldr") && self.operation != "ldrd"
    }

    fn is_store(&self) -> bool {
        self.operation.starts_with("str") && self.operation != "strd"
    }

    /// The registers of a list in braces.
    fn registers(&self) -> u64 {
        let list = self.operands.split_once('{').map_or("", |(_, list)| list);
        let list = list.split_once('}').map_or("", |(list, _)| list);
        let number = |register: &str| register.trim().trim_start_matches('r').parse::<u64>().ok();
        let each = list.split(',').map(|entry| match entry.split_once('-') {
            Some((from, to)) => match (number(from), number(to)) {
                (Some(from), Some(to)) => to.saturating_sub(from) + 1,
                _ => 1,
            },
            None => 1,
        });
        each.sum()
    }

    /// Whether it loads the program counter.
    fn jumps(&self) -> bool {
        let first = self.operands.split(',').next().unwrap_or("");
        match self.operands.split_once('{') {
            Some((_, list)) => list.contains("pc"),
            None => first.trim() == "pc",
        }
    }

    fn is_conditional_branch(&self) -> bool {
        const CONDITIONS: [&str; 16] = [
            "eq", "ne", "cs", "cc", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt",
            "gt", "le",
        ];
        let condition = self.operation.strip_prefix('b');
        matches!(self.operation, "cbz" | "cbnz")
            || condition.is_some_and(|condition| CONDITIONS.contains(&condition))
    }
}

/// The instructions of a listing by objdump, in the order of addresses.
fn instructions(listing: &str) -> Vec<Instruction<'_>> {
    let parsed = listing.lines().filter_map(|line| {
        let (address, text) = line.split_once(":\t")?;
        let address = u64::from_str_radix(address.trim(), 16).ok()?;
        let (operation, operands) = text.split_once('\t').unwrap_or((text, ""));
        let operation = operation.trim();
        let operation = operation.split_once('.').map_or(operation, |(operation, _)| operation);
        Some(Instruction { address, operation, operands })
    });
    parsed.collect()
}

/// How often each address was executed.
fn executed(counts: &str) -> HashMap<u64, u64> {
    let parsed = counts.lines().filter_map(|line| {
        let (address, count) = line.split_once(' ')?;
        Some((u64::from_str_radix(address, 16).ok()?, count.parse().ok()?))
    });
    parsed.collect()
}

/// Sums up the instructions whose addresses are `of_network`.
fn estimate(
    all: &[Instruction<'_>],
    executed: &HashMap<u64, u64>,
    of_network: impl Fn(u64) -> bool,
) -> Estimate {
    let count = |at: &Instruction<'_>| executed.get(&at.address).copied().unwrap_or(0);
    let mut sum = Estimate::default();
    for (index, at) in all.iter().enumerate() {
        let times = count(at);
        if times == 0 || !of_network(at.address) {
            continue;
        }
        let next = all.get(index + 1);
        // What does not continue with the next instruction has branched. Where others lead there as well, fewer
        // are counted than have.
        let taken = times.saturating_sub(next.map_or(0, count));
        sum.instructions += times;
        sum.cycles += cycles(at, next, times, taken);
    }
    sum
}

/// The cycles of an instruction that is executed `times` times and leaves the order of addresses in
/// `taken` of them.
fn cycles(at: &Instruction<'_>, next: Option<&Instruction<'_>>, times: u64, taken: u64) -> u64 {
    let jump = if at.jumps() { REFILL } else { 0 };
    let each = if at.is_load() {
        // The address phase of a load or store that follows overlaps.
        let overlapped = next.is_some_and(|next| next.is_load() || next.is_store());
        if jump > 0 { 2 + jump } else { 2 - u64::from(overlapped) }
    } else if at.is_conditional_branch() {
        return times + REFILL * taken;
    } else {
        match at.operation {
            "ldrd" | "strd" => 3,
            "pop" | "push" => 1 + at.registers() + jump,
            multiple if multiple.starts_with("ldm") || multiple.starts_with("stm") => {
                1 + at.registers() + jump
            }
            "b" | "bl" | "bx" | "blx" => 1 + REFILL,
            "tbb" | "tbh" => 2 + REFILL,
            "sdiv" | "udiv" => DIVISION,
            _ => 1 + jump,
        }
    };
    each * times
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "
firmware.elf:     file format elf32-littlearm

00000100 <p0_run>:
     100:\tpush\t{r4, r5, lr}
     102:\tldr\tr0, [pc, #16]\t; (114)
     104:\tldrsb.w\tr1, [r0]
     108:\tsmlad\tr2, r1, r1, r2
     10c:\tsubs\tr3, #1
     10e:\tbne.n\t104 <p0_run+0x4>
     110:\tldmia.w\tr0!, {r4-r7}
     112:\tpop\t{r4, r5, pc}

00000200 <main>:
     200:\tbl\t100 <p0_run>
";

    #[test]
    fn cycles_are_those_of_the_manual() {
        let all = instructions(LISTING);
        let operations: Vec<&str> = all.iter().map(|at| at.operation).collect();
        let expected = ["push", "ldr", "ldrsb", "smlad", "subs", "bne", "ldmia", "pop", "bl"];
        assert_eq!(operations, expected);
        let counts =
            executed("100 1\n102 1\n104 10\n108 10\n10c 10\n10e 10\n110 1\n112 1\n200 1\n");
        let found = estimate(&all, &counts, |address| address < 0x200);
        // push 4; a load before a load 1; ten loads 2 each; ten products and ten differences; ten
        // branches, nine of them taken; four registers 5; three with the program counter 6.
        let cycles = 4 + 1 + 20 + 20 + (10 + 9 * 2) + 5 + 6;
        assert_eq!(found, Estimate { instructions: 44, cycles });
    }
}
