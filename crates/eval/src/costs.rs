//! What a model costs, as tables and JSON have it: predictions for exported C on a microcontroller, and
//! bytes of float parameters.

use std::sync::Arc;

use burn_ptq::graph::Node;
use burn_ptq_deploy::cost::{Costs, costs};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::Target;
use burn_ptq_deploy::verify::VerifyError;
use serde::Serialize;

use crate::board::{Board, Missing, milliseconds};

/// What a program takes on a processor, predicted for exported C at -O2.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cost {
    /// The board that the processor is on, if one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub board: Option<&'static str>,
    /// The processor.
    pub target: &'static str,
    /// Bytes of flash: constants and code.
    pub flash_bytes: usize,
    /// Of these, weights, biases, multipliers, tables and parameters.
    pub constant_bytes: usize,
    /// Of these, code.
    pub code_bytes: usize,
    /// Bytes of RAM: the arena and the stack.
    pub ram_bytes: usize,
    /// Of these, the arena.
    pub arena_bytes: usize,
    /// Of these, the stack of the deepest call.
    pub stack_bytes: usize,
    /// Instructions of one inference; null if the kernel of some layer was never measured.
    pub instructions: Option<u64>,
    /// Milliseconds at one instruction a cycle of the clock that was given, or of the board's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<f64>,
    /// Whether the board has enough flash and RAM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fits: Option<bool>,
    /// What it lacks of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

/// A program as it runs on a processor, and what it takes there.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// What it takes.
    pub cost: Cost,
    /// Instructions of each operation of the program that was given: packing and unpacking count with the
    /// operation before.
    pub nodes: Vec<Option<f64>>,
    /// The program in its places.
    pub placed: Arc<Placed>,
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
    fn new(target: &'static Target, predicted: &Costs) -> Self {
        Self {
            board: None,
            target: target.name,
            flash_bytes: predicted.flash_bytes(),
            constant_bytes: predicted.constant_bytes(),
            code_bytes: predicted.code_bytes,
            ram_bytes: predicted.ram_bytes(),
            arena_bytes: predicted.arena_bytes,
            stack_bytes: predicted.stack_bytes,
            instructions: predicted.instructions().map(|count| count.ceil() as u64),
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
        let milliseconds = self.instructions.map(|count| milliseconds(count as f64, mhz));
        Self { milliseconds, ..self }
    }

    /// The board, or else the target.
    pub fn processor(&self) -> &'static str {
        self.board.unwrap_or(self.target)
    }
}

/// What `program` takes on each of `targets`.
///
/// # Errors
/// If nothing is known of what a target takes, or the arena that its kernels need is too large.
pub fn predict(program: &Placed, targets: &[&'static Target]) -> Result<Vec<Predicted>, CostError> {
    // Processors with the same kernels run the same form of the program.
    let mut forms: Vec<Arc<Placed>> = Vec::new();
    let mut predicted = Vec::new();
    for &target in targets {
        let placed = match forms.iter().find(|form| form.kernels() == target.kernels) {
            Some(form) => Arc::clone(form),
            None => {
                let form = Arc::new(program.place_again(target.kernels, Memory::Reduced)?);
                forms.push(Arc::clone(&form));
                form
            }
        };
        let costs = costs(&placed, target).ok_or(CostError::NoTable { target: target.name })?;
        let nodes = instructions_of(program, &placed, &costs);
        predicted.push(Predicted { cost: Cost::new(target, &costs), nodes, placed });
    }
    Ok(predicted)
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
