//! What a model costs, as tables and JSON have it: predictions for exported C on a microcontroller, and
//! bytes of float parameters.

use burn_ptq::graph::Node;
use burn_ptq_deploy::cost::{Costs, costs};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::Target;
use burn_ptq_deploy::verify::VerifyError;
use serde::Serialize;

use crate::board::{Board, Missing};

/// What a program is predicted to cost on a processor, in exported C at -O2.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// The board that the processor is on, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<&'static str>,
    /// The processor.
    pub target: &'static str,
    /// Bytes of flash.
    pub flash_bytes: usize,
    /// Of these, code.
    pub code_bytes: usize,
    /// Bytes of RAM.
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

/// Why nothing can be predicted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CostError {
    /// The program cannot be placed for the target.
    #[error(transparent)]
    Place(#[from] VerifyError),
    /// The target has no table of costs.
    #[error("nothing is predicted for {target}: name a microcontroller")]
    NoTable {
        /// The target.
        target: &'static str,
    },
}

impl Cost {
    /// What `model` costs on `target`, and the instructions of each of its nodes.
    ///
    /// # Errors
    /// If nothing is known of what the target takes.
    pub fn predict(
        model: &Placed,
        target: &'static Target,
    ) -> Result<(Self, Vec<Option<f64>>), CostError> {
        let placed = model.place_again(target.kernels, Memory::Reduced)?;
        let predicted = costs(&placed, target).ok_or(CostError::NoTable { target: target.name })?;
        Ok((Self::new(target, &predicted), instructions_of(model, &placed, &predicted)))
    }

    fn new(target: &'static Target, predicted: &Costs) -> Self {
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

    /// The same on a board that has the processor.
    pub fn on(self, board: &'static Board) -> Self {
        let missing = board.missing(self.flash_bytes, self.ram_bytes);
        let fits = Some(missing.is_nothing());
        let on_board = Self { board: Some(&board.name), fits, missing: Some(missing), ..self };
        on_board.at(board.clock_mhz)
    }

    /// The same at a clock.
    pub fn at(self, mhz: f64) -> Self {
        let milliseconds = self.instructions.map(|count| count as f64 / mhz / 1000.0);
        Self { milliseconds, ..self }
    }

    /// The board, or else the target.
    pub fn processor(&self) -> &'static str {
        self.board.unwrap_or(self.target)
    }
}

/// The instructions of each node of `model`, of which `placed` is a form with packed activations: packing and
/// unpacking count with the node before.
fn instructions_of(model: &Placed, placed: &Placed, costs: &Costs) -> Vec<Option<f64>> {
    let mut counts = vec![Some(0.0); model.nodes.len()];
    let mut at = 0;
    for (node, cost) in placed.nodes.iter().zip(&costs.nodes) {
        at = model.nodes.iter().position(|own| own.name == node.name).unwrap_or(at);
        if let Some(count) = counts.get_mut(at) {
            *count = count.zip(*cost).map(|(sum, cost)| sum + cost);
        }
    }
    counts
}

/// Bytes of the parameters of a float node, four each.
pub fn float_bytes(node: &Node) -> usize {
    node.op.parameters().iter().map(|parameter| parameter.len() * 4).sum()
}

#[cfg(test)]
mod tests {
    use burn_ptq_deploy::target::target;

    use super::*;
    use crate::board::board;

    #[test]
    fn boards_say_what_is_missing_and_how_long_it_takes() {
        let costs = |flash_bytes: usize, nodes: Option<f64>| Costs {
            constants: vec![flash_bytes],
            code_bytes: 0,
            arena_bytes: 1,
            stack_bytes: 0,
            nodes: vec![nodes],
            functions: vec![Vec::new()],
        };
        let board = board("stm32l053").expect("a board");
        let cost = |flash: usize, nodes| {
            Cost::new(target("cortex-m0").expect("a target"), &costs(flash, nodes))
        };
        let fits = cost(board.flash_bytes, Some(3.2e6)).on(board);
        assert_eq!((fits.fits, fits.processor()), (Some(true), "stm32l053"));
        assert_eq!(fits.milliseconds, Some(100.0));
        assert_eq!(fits.at(64.0).milliseconds, Some(50.0));
        let large = cost(board.flash_bytes + 1, None).on(board);
        assert_eq!((large.fits, large.milliseconds), (Some(false), None));
        assert_eq!(large.missing.map(|missing| missing.flash_bytes), Some(1));
    }
}
