//! Reads what a firmware takes out of GNU ld's map.

/// Bytes of a firmware, by who asked for them; the driver and the start-up code count nowhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Constants of the programs: weights, biases, multipliers, tables, parameters of operations.
    pub constants: usize,
    /// Code of the programs: one call for each node.
    pub calls: usize,
    /// Code and tables of the runtime's operations that the programs use.
    pub kernels: usize,
    /// Code of the C library and of the compiler's.
    pub library: usize,
    /// Arenas of the programs.
    pub arena: usize,
    /// Variables of the runtime.
    pub variables: usize,
}

impl Sizes {
    /// Bytes of flash.
    pub fn flash(&self) -> usize {
        self.constants + self.code()
    }

    /// Bytes of flash for code and for the operations' own tables.
    pub fn code(&self) -> usize {
        self.calls + self.kernels + self.library
    }

    /// Sums up a map.
    pub(crate) fn of_map(map: &str) -> Self {
        let mut sizes = Self::default();
        let linked = map.split_once("Linker script and memory map").map_or("", |(_, rest)| rest);
        let mut section = "";
        for line in linked.lines() {
            // ` .text.name  0xaddress  0xsize  file`, the name alone on its line where it is long.
            let mut words = line.split_whitespace().peekable();
            if line.starts_with(" .") || line.starts_with(" COMMON") {
                section = words.next().unwrap_or("");
            }
            let numbers = (words.next().and_then(hexadecimal), words.next().and_then(hexadecimal));
            if let ((Some(_), Some(size)), Some(file)) = (numbers, words.next()) {
                sizes.add(section, size, file);
                section = "";
            }
        }
        sizes
    }

    fn add(&mut self, section: &str, size: usize, file: &str) {
        let name = file.rsplit('/').next().unwrap_or(file);
        let kind = section.trim_start_matches('.').split('.').next().unwrap_or("");
        let variable = matches!(kind, "bss" | "data" | "sbss" | "sdata" | "COMMON");
        let constant = matches!(kind, "rodata" | "srodata");
        if !variable && !constant && kind != "text" {
            return;
        }
        let field = match name {
            "programs.o" if variable => &mut self.arena,
            "programs.o" if constant => &mut self.constants,
            "programs.o" => &mut self.calls,
            name if name.starts_with("bptq_") && variable => &mut self.variables,
            name if name.starts_with("bptq_") => &mut self.kernels,
            name if name.contains(".a(") && !variable => &mut self.library,
            _ => return,
        };
        *field += size;
    }
}

fn hexadecimal(word: &str) -> Option<usize> {
    usize::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_summed_by_who_asked_for_them() {
        let map = "\
Discarded input sections

 .text.bptq_pad_s8
                0x0000000000000000      0x100 /tmp/a/bptq_layout.o

Linker script and memory map

.text           0x0000000000000000      0x400
 *(.text .text.*)
 .text.run      0x0000000000000010       0x20 programs.o
 .text.bptq_conv2d_s8
                0x0000000000000030      0x200 /tmp/a/bptq_conv2d_s8.o
 .text.main     0x0000000000000230       0x40 driver.o
 .text.memcpy   0x0000000000000270       0x30 /usr/lib/libc.a(libc_a-memcpy.o)
 .rodata.w      0x0000000000000300      0x100 programs.o
.bss            0x0000000020000000       0x80
 .bss.arena     0x0000000020000000       0x80 programs.o
 .comment       0x0000000000000000       0x20 programs.o
";
        let expected = Sizes {
            constants: 0x100,
            calls: 0x20,
            kernels: 0x200,
            library: 0x30,
            arena: 0x80,
            variables: 0,
        };
        assert_eq!(Sizes::of_map(map), expected);
    }
}
