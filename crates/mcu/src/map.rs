//! Reads what a firmware takes out of GNU ld's map.

use std::ops::Range;

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
    /// What the linker put in between to align them.
    pub padding: usize,
    /// Arenas of the programs.
    pub arena: usize,
    /// Variables of the runtime.
    pub variables: usize,
}

/// Bytes of the output section `.text`, code and constants; `None` if the map has none.
pub(crate) fn text_bytes(map: &str) -> Option<usize> {
    // Input sections are indented.
    let section = |line: &str| hexadecimal(line.strip_prefix(".text ")?.split_whitespace().nth(1)?);
    map.lines().find_map(section)
}

impl Sizes {
    /// Bytes of flash.
    pub fn flash(&self) -> usize {
        self.constants + self.code()
    }

    /// Bytes of flash for code and for the operations' own tables.
    pub fn code(&self) -> usize {
        self.calls + self.kernels + self.library + self.padding
    }

    /// Bytes of RAM without the stack.
    pub fn ram(&self) -> usize {
        self.arena + self.variables
    }

    /// Sums up a map.
    pub(crate) fn of_map(map: &str) -> Self {
        let mut sizes = Self::default();
        let mut in_flash = false;
        for section in sections(map) {
            if section.name == "*fill*" {
                sizes.padding += if in_flash { section.bytes } else { 0 };
            } else {
                in_flash = sizes.add(&section);
            }
        }
        sizes
    }

    /// Counts a section; returns whether it was, as bytes of flash.
    fn add(&mut self, section: &Section) -> bool {
        let variable = matches!(section.kind(), "bss" | "data" | "sbss" | "sdata" | "COMMON");
        let constant = matches!(section.kind(), "rodata" | "srodata");
        if !variable && !constant && section.kind() != "text" {
            return false;
        }
        let field = match section.file() {
            "programs.o" if variable => &mut self.arena,
            "programs.o" if constant => &mut self.constants,
            "programs.o" => &mut self.calls,
            name if name.starts_with("bptq_") && variable => &mut self.variables,
            name if name.starts_with("bptq_") => &mut self.kernels,
            name if name.contains(".a(") && !variable => &mut self.library,
            _ => return false,
        };
        *field += section.bytes;
        !variable
    }
}

/// The addresses of the code of programs, of the runtime and of libraries.
pub(crate) fn network_ranges(map: &str) -> Vec<Range<usize>> {
    let of_network =
        |file: &str| file == "programs.o" || file.starts_with("bptq_") || file.contains(".a(");
    let code =
        sections(map).filter(|section| section.kind() == "text" && of_network(section.file()));
    code.map(|section| section.address..section.address + section.bytes).collect()
}

/// Bytes of an image in Rust, of which the compiler has made one object file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RustSizes {
    /// Constants of the programs.
    pub constants: usize,
    /// Everything else in flash: code of the programs, of the kernels, of the driver and of the
    /// start-up code, and padding.
    pub code: usize,
    /// The programs' models.
    pub models: usize,
}

impl RustSizes {
    /// Sums up a map.
    pub(crate) fn of_map(map: &str) -> Self {
        let mut sizes = Self::default();
        let mut in_flash = true;
        for section in sections(map) {
            // Mangled names hold those of the modules.
            let of_network = section.name.contains("7network5nodes");
            match section.kind() {
                "rodata" | "srodata" if of_network => sizes.constants += section.bytes,
                "text" | "rodata" | "srodata" | "start" => sizes.code += section.bytes,
                "*fill*" if in_flash => sizes.code += section.bytes,
                "bss" if section.name.ends_with(".MODEL") => sizes.models += section.bytes,
                _ => {}
            }
            in_flash =
                !matches!(section.kind(), "bss" | "data") && (in_flash || section.kind() == "text");
        }
        sizes
    }
}

/// A piece of code, or of constants, that calls of the runtime bring into an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    /// Its object file and its section.
    pub name: String,
    /// Its size in bytes.
    pub bytes: usize,
}

/// The pieces of the runtime and of libraries in a firmware, each once.
pub(crate) fn pieces(map: &str) -> Vec<Piece> {
    let in_flash = |section: &Section| matches!(section.kind(), "text" | "rodata" | "srodata");
    let of_runtime = |file: &str| file.starts_with("bptq_") || file.contains(".a(");
    let mut pieces: Vec<Piece> = sections(map)
        .filter(|section| in_flash(section) && of_runtime(section.file()) && section.bytes > 0)
        .map(|section| Piece {
            name: format!("{}:{}", section.file(), section.name),
            bytes: section.bytes,
        })
        .collect();
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

/// A function of the runtime, or a table of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeFunction {
    /// Its file, without an extension.
    pub file: String,
    /// The function's name; those that the compiler copied into it count here.
    pub name: String,
    /// Bytes of code.
    pub bytes: usize,
}

/// The functions of the runtime that a firmware holds, in the order of the map.
pub(crate) fn runtime_functions(map: &str) -> Vec<RuntimeFunction> {
    let functions =
        sections(map).filter(|section| section.kind() == "text").filter_map(|section| {
            let file = section.file().strip_suffix(".o")?;
            let name = section.name.strip_prefix(".text.")?;
            let own = file.starts_with("bptq_");
            own.then(|| RuntimeFunction {
                file: file.into(),
                name: name.into(),
                bytes: section.bytes,
            })
        });
    functions.collect()
}

/// A piece of an object file in the image, or `*fill*` between two.
struct Section<'a> {
    name: &'a str,
    address: usize,
    bytes: usize,
    path: &'a str,
}

impl Section<'_> {
    /// `text` of `.text.name`.
    fn kind(&self) -> &str {
        self.name.trim_start_matches('.').split('.').next().unwrap_or("")
    }

    fn file(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(self.path)
    }
}

/// What was linked, in the order of addresses.
fn sections(map: &str) -> impl Iterator<Item = Section<'_>> {
    let linked = map.split_once("Linker script and memory map").map_or("", |(_, rest)| rest);
    let mut name = "";
    linked.lines().filter_map(move |line| {
        // ` .text.name  0xaddress  0xsize  file`, the name alone on its line where it is long.
        let mut words = line.split_whitespace().peekable();
        if [" .", " COMMON", " *fill*"].iter().any(|start| line.starts_with(start)) {
            name = words.next().unwrap_or("");
        }
        let numbers = (words.next().and_then(hexadecimal), words.next().and_then(hexadecimal));
        let (Some(address), Some(bytes)) = numbers else { return None };
        let path = words.next().unwrap_or("");
        let known = name == "*fill*" || !path.is_empty();
        known.then(|| Section { name: std::mem::take(&mut name), address, bytes, path })
    })
}

fn hexadecimal(word: &str) -> Option<usize> {
    usize::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
Discarded input sections

 .text.bptq_pad_s8
                0x0000000000000000      0x100 /tmp/a/bptq_layout.o

Linker script and memory map

.text           0x0000000000000000      0x400
 *(.text .text.*)
 .text.run      0x0000000000000010       0x20 programs.o
                0x0000000000000010                run
 .text.bptq_conv2d_s8
                0x0000000000000030      0x200 /tmp/a/bptq_conv2d_s8.o
                0x0000000000000030                bptq_conv2d_s8
 .text.main     0x0000000000000230       0x40 driver.o
 *fill*         0x0000000000000270        0x8 
 .text.memcpy   0x0000000000000278       0x2e /usr/lib/libc.a(libc_a-memcpy.o)
 *fill*         0x00000000000002a6        0x2 
 .rodata.w      0x0000000000000300      0x100 programs.o
.bss            0x0000000020000000       0x80
 .bss.arena     0x0000000020000000       0x80 programs.o
 .comment       0x0000000000000000       0x20 programs.o
";

    #[test]
    fn code_and_constants_of_an_image_are_its_output_section() {
        assert_eq!(text_bytes(MAP), Some(0x400));
        assert_eq!(text_bytes(" .text.run      0x0000000000000010       0x20 programs.o"), None);
    }

    #[test]
    fn sections_are_summed_by_who_asked_for_them() {
        let expected = Sizes {
            constants: 0x100,
            calls: 0x20,
            kernels: 0x200,
            library: 0x2e,
            padding: 2,
            arena: 0x80,
            variables: 0,
        };
        assert_eq!(Sizes::of_map(MAP), expected);
    }

    #[test]
    fn code_of_a_network_is_that_of_programs_runtime_and_libraries() {
        assert_eq!(network_ranges(MAP), [0x10..0x30, 0x30..0x230, 0x278..0x2a6]);
    }

    #[test]
    fn functions_of_the_runtime_that_were_linked_are_listed() {
        let expected = RuntimeFunction {
            file: "bptq_conv2d_s8".into(),
            name: "bptq_conv2d_s8".into(),
            bytes: 0x200,
        };
        assert_eq!(runtime_functions(MAP), [expected]);
    }
}
