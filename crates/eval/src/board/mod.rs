//! Common microcontroller boards: the core, flash, RAM and clock of each, with where the figures are found.
//!
//! `boards.toml` beside this file is the list. It says how flash and RAM are counted.

use std::sync::LazyLock;

use burn_ptq::recipe::choice::nearest;
use burn_ptq_deploy::target::{Target, target};
use serde::{Deserialize, Serialize, Serializer};

/// A microcontroller board.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Board {
    /// The name that selects it, in lower case.
    pub name: String,
    /// Other names: of its chip, and of boards with the same memory.
    pub aliases: Vec<String>,
    /// What it is sold as, and where its flash is if that is not on the chip.
    pub title: String,
    /// The microcontroller.
    pub chip: String,
    /// The core, as it is sold.
    pub core: String,
    /// The target whose exports run on it.
    #[serde(serialize_with = "name_of")]
    pub target: &'static Target,
    /// Bytes of flash for code and constants.
    pub flash_bytes: usize,
    /// Bytes of the longest stretch of RAM on the chip.
    pub ram_bytes: usize,
    /// The highest clock of the core, in MHz.
    pub clock_mhz: f64,
    /// The address of the document with these figures.
    pub source: String,
}

fn name_of<S: Serializer>(target: &Target, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(target.name)
}

/// What a network needs and a board does not have; 0 where there is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Missing {
    /// Bytes of flash.
    pub flash_bytes: usize,
    /// Bytes of RAM.
    pub ram_bytes: usize,
}

impl Missing {
    /// Whether nothing is missing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Board {
    /// What a network lacks that takes so many bytes of flash and of RAM, with nothing else on the board.
    pub fn missing(&self, flash_bytes: usize, ram_bytes: usize) -> Missing {
        Missing {
            flash_bytes: flash_bytes.saturating_sub(self.flash_bytes),
            ram_bytes: ram_bytes.saturating_sub(self.ram_bytes),
        }
    }

    /// Milliseconds that so many instructions take at the highest clock, at one instruction a cycle.
    pub fn milliseconds(&self, instructions: f64) -> f64 {
        milliseconds(instructions, self.clock_mhz)
    }

    fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// Milliseconds that so many instructions take at a clock, at one instruction a cycle.
pub(crate) fn milliseconds(instructions: f64, mhz: f64) -> f64 {
    instructions / mhz / 1000.0
}

/// Why there is no such board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BoardError {
    /// No board has this name.
    #[error(
        "there is no board '{found}': `burn-ptq boards` lists them, and --target with --flash and --ram \
         describes any other{}",
        nearest.map_or(String::new(), |name| format!("; did you mean '{name}'?"))
    )]
    Unknown {
        /// The name asked for.
        found: String,
        /// The name most like it, if any is close.
        nearest: Option<&'static str>,
    },
    /// The board is known, and nothing is exported for it.
    #[error("the board {name} is not supported: it {reason}")]
    Unsupported {
        /// Its name.
        name: &'static str,
        /// What about it, as the rest of a sentence.
        reason: &'static str,
    },
    /// The board has another target than the one that was asked for.
    #[error(
        "the board {board} has a {core}, whose target is {expected}, but the target that was given is \
         {found}; leave one of them out"
    )]
    Target {
        /// The board.
        board: &'static str,
        /// Its core.
        core: &'static str,
        /// Its target.
        expected: &'static str,
        /// The target that was given.
        found: &'static str,
    },
}

/// The text of the list.
const TEXT: &str = include_str!("boards.toml");

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    board: Vec<Entry>,
    unsupported: Vec<Unsupported>,
}

/// A board as the file has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    title: String,
    chip: String,
    core: String,
    target: String,
    flash_kib: usize,
    ram_kib: usize,
    clock_mhz: f64,
    source: String,
}

impl Entry {
    /// None if there is no such target.
    fn board(self) -> Option<Board> {
        Some(Board {
            target: target(&self.target)?,
            name: self.name,
            aliases: self.aliases,
            title: self.title,
            chip: self.chip,
            core: self.core,
            flash_bytes: self.flash_kib * 1024,
            ram_bytes: self.ram_kib * 1024,
            clock_mhz: self.clock_mhz,
            source: self.source,
        })
    }
}

/// Boards that have no target.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unsupported {
    names: Vec<String>,
    reason: String,
}

struct List {
    boards: Vec<Board>,
    unsupported: Vec<Unsupported>,
}

static LIST: LazyLock<List> = LazyLock::new(|| {
    // Tests read the file and find every target.
    let File { board, unsupported } = toml::from_str(TEXT).unwrap_or_default();
    List { boards: board.into_iter().filter_map(Entry::board).collect(), unsupported }
});

/// Every board, by name.
pub fn boards() -> &'static [Board] {
    &LIST.boards
}

/// The board called `name`, in upper or lower case, with hyphens or underscores.
///
/// # Errors
/// If there is none, with the name most like it, or with the reason if the board has no target.
pub fn board(name: &str) -> Result<&'static Board, BoardError> {
    let folded = name.trim().to_lowercase().replace(['_', ' '], "-");
    if let Some(board) = boards().iter().find(|board| board.is_called(&folded)) {
        return Ok(board);
    }
    for Unsupported { names, reason } in &LIST.unsupported {
        if let Some(name) = names.iter().find(|name| **name == folded) {
            return Err(BoardError::Unsupported { name, reason });
        }
    }
    let all = boards().iter().flat_map(|board| board.aliases.iter().chain([&board.name]));
    let mut names: Vec<&'static str> = all.map(String::as_str).collect();
    // Of names that are equally like it, `nearest` takes the last: numbers of chips differ at their ends.
    names
        .sort_by_key(|known| known.bytes().zip(folded.bytes()).take_while(|(a, b)| a == b).count());
    Err(BoardError::Unknown { found: name.to_owned(), nearest: nearest(&folded, &names) })
}

/// The board called `name`, if the target that is asked for beside it is its own.
///
/// # Errors
/// As [`board`], and if `wanted` is another target.
pub fn board_with_target(
    name: &str,
    wanted: Option<&Target>,
) -> Result<&'static Board, BoardError> {
    let board = board(name)?;
    // Every target has its place in a list: names tell them apart.
    match wanted.and_then(|wanted| target(wanted.name)) {
        Some(other) if other != board.target => Err(BoardError::Target {
            board: &board.name,
            core: &board.core,
            expected: board.target.name,
            found: other.name,
        }),
        _ => Ok(board),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use burn_ptq_deploy::cost::table;

    use super::*;

    #[test]
    fn the_file_reads_and_every_entry_is_a_board_with_a_table_of_costs() {
        let file: File = toml::from_str(TEXT).expect("a list of boards");
        assert!(file.board.len() >= 45, "only {} boards", file.board.len());
        for entry in file.board {
            let name = entry.name.clone();
            let board = entry.board().unwrap_or_else(|| panic!("{name} has an unknown target"));
            assert!(
                table(board.target).is_some(),
                "{name}: nothing is known of its target's costs"
            );
        }
    }

    #[test]
    fn every_target_with_a_table_has_a_board() {
        for target in burn_ptq_deploy::cost::targets() {
            let found = boards().iter().any(|board| board.target == target);
            assert!(found, "no board has the target {}", target.name);
        }
    }

    #[test]
    fn cores_have_the_targets_that_run_on_them() {
        for board in boards() {
            let expected = match board.core.as_str() {
                "Cortex-M0" | "Cortex-M0+" | "Cortex-M23" => "cortex-m0",
                "Cortex-M3" => "cortex-m3",
                "Cortex-M4" => "cortex-m4",
                "Cortex-M7" => "cortex-m7",
                "Cortex-M33" => "cortex-m33",
                "Cortex-M55" | "Cortex-M85" => "cortex-m55",
                "RV32IMC" | "RV32IMAC" | "RV32IMAFC" => "rv32",
                other => panic!("{}: the core {other} is not known to run any target", board.name),
            };
            assert_eq!(board.target.name, expected, "{}", board.name);
        }
    }

    #[test]
    fn names_are_sorted_unique_and_as_they_are_looked_up() {
        let names: Vec<&String> = boards().iter().map(|board| &board.name).collect();
        assert!(names.is_sorted(), "{names:?}");
        let mut seen = BTreeSet::new();
        let known = boards().iter().flat_map(|board| board.aliases.iter().chain([&board.name]));
        for name in known.chain(LIST.unsupported.iter().flat_map(|each| &each.names)) {
            assert!(seen.insert(name), "{name} stands twice");
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
            assert!(name.chars().all(plain), "{name} is not plain lower case");
        }
        for board in boards() {
            for name in board.aliases.iter().chain([&board.name]) {
                assert_eq!(super::board(name), Ok(board));
            }
        }
    }

    #[test]
    fn figures_are_plausible_and_have_sources() {
        for board in boards() {
            let name = &board.name;
            assert!((8 << 10..=64 << 20).contains(&board.flash_bytes), "{name}: flash");
            assert!((2 << 10..=16 << 20).contains(&board.ram_bytes), "{name}: RAM");
            assert!((8.0..=1000.0).contains(&board.clock_mhz), "{name}: clock");
            assert!(board.source.starts_with("https://"), "{name}: {}", board.source);
            assert!(!board.source.contains(char::is_whitespace), "{name}: {}", board.source);
            assert!(!board.title.is_empty() && !board.chip.is_empty(), "{name}");
            // More flash than chips have must be said to be outside of them.
            let outside = ["external", "in the module", "in the package"];
            let said = outside.iter().any(|words| board.title.contains(words));
            assert!(said || board.flash_bytes <= 5632 << 10, "{name}: where is its flash?");
        }
    }

    #[test]
    fn boards_are_found_in_any_case_and_by_their_other_names() {
        for (name, expected) in [
            ("STM32F411", "stm32f411"),
            ("nucleo_l4r5zi", "stm32l4r5"),
            ("Nano33BLE", "nrf52840"),
            ("pico", "rp2040"),
            ("Pico 2", "rp2350"),
            ("ESP32-C3", "esp32-c3"),
        ] {
            assert_eq!(board(name).expect(name).name, expected);
        }
    }

    #[test]
    fn unknown_names_give_the_nearest_and_unsupported_boards_the_reason() {
        for (name, nearest) in [("stm32f412", "stm32f411"), ("nrf52841", "nrf52840")] {
            let error = board(name).expect_err(name);
            let found = BoardError::Unknown { found: name.into(), nearest: Some(nearest) };
            assert_eq!(error, found);
            assert!(error.to_string().contains(nearest), "{error}");
        }
        let error = board("zzz").expect_err("no board");
        assert_eq!(error, BoardError::Unknown { found: "zzz".into(), nearest: None });
        for (name, word) in [("esp32", "Xtensa"), ("ESP32-S3", "Xtensa"), ("uno", "AVR")] {
            let text = board(name).expect_err(name).to_string();
            assert!(text.contains(word) && text.contains(&name.to_lowercase()), "{text}");
        }
    }

    #[test]
    fn another_target_than_the_boards_own_is_an_error() {
        let m4 = target("cortex-m4");
        assert!(board_with_target("pico", None).is_ok());
        assert!(board_with_target("stm32f411", m4).is_ok());
        let error = board_with_target("pico", m4).expect_err("another target").to_string();
        for words in ["rp2040", "Cortex-M0+", "cortex-m0", "cortex-m4"] {
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn what_is_missing_is_what_a_network_takes_beyond_the_board() {
        let board = board("stm32f411").expect("a board");
        let (flash, ram) = (512 << 10, 128 << 10);
        assert!(board.missing(flash, ram).is_nothing());
        let missing = board.missing(flash + 1, ram + 2);
        assert_eq!(missing, Missing { flash_bytes: 1, ram_bytes: 2 });
        assert!(!missing.is_nothing());
        assert!((board.milliseconds(1e6) - 10.0).abs() < 1e-9);
    }
}
