//! What an integer program is predicted to cost, for the commands that print it.

use anyhow::Context;
use burn_ptq_deploy::cost::{Costs, costs};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::Target;
use burn_ptq_eval::board::{Board, Missing};
use serde::Serialize;

use crate::output::outln;
use crate::table;

/// What a program is predicted to cost on a processor, in exported C at -O2.
#[derive(Clone, Serialize)]
pub(super) struct Cost {
    /// The board that the processor is on, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<&'static str>,
    pub target: &'static str,
    pub flash_bytes: usize,
    /// Of these, code.
    pub code_bytes: usize,
    pub ram_bytes: usize,
    /// Of these, the arena; the rest is stack.
    pub arena_bytes: usize,
    /// None if some layer's kernel was never measured.
    pub instructions: Option<u64>,
    /// At one instruction a cycle of the clock that was given, or of the board's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<f64>,
    /// Whether the board has enough flash and RAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// What it lacks of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

impl Cost {
    /// Of a processor whose clock is not known.
    pub(super) fn new(target: &'static Target, predicted: &Costs) -> Self {
        Self {
            board: None,
            target: target.name,
            flash_bytes: predicted.flash_bytes(),
            code_bytes: predicted.code_bytes,
            ram_bytes: predicted.ram_bytes(),
            arena_bytes: predicted.arena_bytes,
            instructions: predicted.instructions().map(|count| count as u64),
            milliseconds: None,
            fits: None,
            missing: None,
        }
    }

    /// Of the same processor on a board.
    pub(super) fn on(self, board: &'static Board) -> Self {
        let missing = board.missing(self.flash_bytes, self.ram_bytes);
        let fits = Some(missing.is_nothing());
        let on_board = Self { board: Some(&board.name), fits, missing: Some(missing), ..self };
        on_board.at(board.clock_mhz)
    }

    /// Of the same processor at a clock.
    pub(super) fn at(self, mhz: f64) -> Self {
        let milliseconds = self.instructions.map(|count| count as f64 / mhz / 1000.0);
        Self { milliseconds, ..self }
    }

    /// The board, or else the target.
    pub(super) fn processor(&self) -> &'static str {
        self.board.unwrap_or(self.target)
    }

    /// Whether it fits, or what is missing, in words.
    pub(super) fn fitting(&self) -> String {
        let Some(missing) = self.missing else { return "-".into() };
        let short = |bytes: usize, of: &str| {
            (bytes > 0).then(|| format!("{} of {of}", table::bytes(bytes)))
        };
        let parts = [short(missing.flash_bytes, "flash"), short(missing.ram_bytes, "RAM")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => "yes".into(),
            false => format!("no, {} short", parts.join(" and ")),
        }
    }
}

/// The form of `model` for `target`, and what that costs.
///
/// # Errors
/// If nothing is known of the target.
pub(super) fn predict(model: &Placed, target: &Target) -> anyhow::Result<(Placed, Costs)> {
    let placed = model.place_again(target.kernels, Memory::Reduced)?;
    let predicted = costs(&placed, target).with_context(|| {
        format!("nothing is predicted for {}: name a microcontroller", target.name)
    })?;
    Ok((placed, predicted))
}

/// A number of instructions, or that it is not known.
pub(super) fn counted(instructions: Option<u64>) -> String {
    instructions.map_or("?".into(), |count| count.to_string())
}

/// Prints what is to be known about such figures.
pub(super) fn notes(costs: &[Cost]) -> anyhow::Result<()> {
    if costs.iter().any(|cost| cost.instructions.is_none()) {
        outln!(
            "\n? some kernel was never measured: `make count` in the export for that processor counts \
             instructions on QEMU"
        )?;
    }
    if costs.iter().any(|cost| cost.milliseconds.is_some()) {
        outln!(
            "\nMilliseconds are an estimate at one instruction a cycle: wait states of flash and loads add to it."
        )?;
    }
    if costs.iter().any(|cost| cost.missing.is_some()) {
        outln!(
            "\nWhat fits has all of a board's flash and RAM to itself: the rest of the firmware needs its share."
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use burn_ptq_deploy::target::target;
    use burn_ptq_eval::board::board;

    use super::*;

    fn cost(flash_bytes: usize, ram_bytes: usize) -> Cost {
        let costs = Costs {
            constants: vec![flash_bytes],
            code_bytes: 0,
            arena_bytes: ram_bytes,
            stack_bytes: 0,
            nodes: vec![Some(3.2e6)],
            functions: vec![Vec::new()],
        };
        Cost::new(target("cortex-m0").expect("a target"), &costs)
    }

    #[test]
    fn what_does_not_fit_says_how_much_is_short() {
        let board = board("stm32l053").expect("a board");
        let (flash, ram) = (board.flash_bytes, board.ram_bytes);
        assert_eq!(cost(flash, ram).fitting(), "-");
        let fits = cost(flash, ram).on(board);
        assert_eq!((fits.fitting().as_str(), fits.fits), ("yes", Some(true)));
        assert_eq!(fits.processor(), "stm32l053");
        assert_eq!(fits.milliseconds, Some(100.0));
        assert_eq!(fits.at(64.0).milliseconds, Some(50.0));
        for (flash, ram, words) in [
            (flash + 1, ram, "no, 1 B of flash short"),
            (flash, ram + 20480, "no, 20.0 KiB of RAM short"),
            (flash + 2, ram + 3, "no, 2 B of flash and 3 B of RAM short"),
        ] {
            let cost = cost(flash, ram).on(board);
            assert_eq!((cost.fitting().as_str(), cost.fits), (words, Some(false)));
        }
    }

    #[test]
    fn what_was_never_measured_has_no_time() {
        let unknown = Cost { instructions: None, ..cost(1, 1) };
        assert_eq!(unknown.on(board("pico").expect("a board")).milliseconds, None);
    }
}
