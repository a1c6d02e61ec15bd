//! What the network takes on microcontrollers, and what of it budgets allow.

use std::sync::Arc;

use burn_ptq_deploy::cost::costs;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::target::{TARGETS, Target};
use burn_ptq_deploy::verify::VerifyError;
use serde::Serialize;

use crate::fit::Budgets;

/// What a program takes on a processor, predicted for exported C at -O2.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CostReport {
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
    /// Milliseconds at one instruction a cycle; absent unless a clock was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub milliseconds: Option<f64>,
}

/// A program as it runs on a processor, and what it takes there.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// What it takes.
    pub cost: CostReport,
    /// Instructions of each operation of the program that was given: packing and unpacking count with the
    /// operation before.
    pub nodes: Vec<Option<f64>>,
    /// The program in its places.
    pub placed: Arc<Placed>,
}

/// The processors that costs can be predicted for.
pub fn predictable() -> Vec<&'static Target> {
    TARGETS.iter().filter(|target| burn_ptq_deploy::cost::table(target).is_some()).collect()
}

/// What `program` takes on each of `targets`; `None` for those without a table of costs.
///
/// # Errors
/// If the arena that a processor's kernels need is too large.
pub fn predict(
    program: &Placed,
    targets: &[&Target],
) -> Result<Vec<Option<Predicted>>, VerifyError> {
    // Processors with the same kernels run the same form of the program.
    let mut forms: Vec<Arc<Placed>> = Vec::new();
    let mut predicted = Vec::new();
    for target in targets {
        let placed = match forms.iter().find(|form| form.kernels() == target.kernels) {
            Some(form) => Arc::clone(form),
            None => {
                let form = Arc::new(program.place_again(target.kernels, Memory::Reduced)?);
                forms.push(Arc::clone(&form));
                form
            }
        };
        let Some(costs) = costs(&placed, target) else {
            predicted.push(None);
            continue;
        };
        let cost = CostReport {
            target: target.name,
            flash_bytes: costs.flash_bytes(),
            constant_bytes: costs.constant_bytes(),
            code_bytes: costs.code_bytes,
            ram_bytes: costs.ram_bytes(),
            arena_bytes: costs.arena_bytes,
            stack_bytes: costs.stack_bytes,
            instructions: costs.instructions().map(|count| count.ceil() as u64),
            milliseconds: None,
        };
        let nodes = of_nodes(program, &placed, &costs.nodes);
        predicted.push(Some(Predicted { cost, nodes, placed }));
    }
    Ok(predicted)
}

/// The instructions of each node of `program`, of which `placed` is a form with packed activations.
fn of_nodes(program: &Placed, placed: &Placed, costs: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut counts = vec![Some(0.0); program.nodes.len()];
    let mut at = 0;
    for (node, cost) in placed.nodes.iter().zip(costs) {
        at = program.nodes.iter().position(|own| own.name == node.name).unwrap_or(at);
        if let Some(count) = counts.get_mut(at) {
            *count = count.zip(*cost).map(|(sum, cost)| sum + cost);
        }
    }
    counts
}

/// What the network may take on a microcontroller, and what it takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetReport {
    /// The processor.
    pub target: &'static str,
    /// Bytes of flash, for constants and code; absent without such a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash: Option<BudgetUse>,
    /// Bytes of RAM, for the arena and the stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ram: Option<BudgetUse>,
    /// Instructions of one inference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<BudgetUse>,
}

/// A budget, and what is taken of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetUse {
    /// The most that may be taken.
    pub budget: u64,
    /// What is taken.
    pub taken: u64,
    /// The share of the budget that is taken; above 1 if it is too much.
    pub share: f64,
}

impl BudgetReport {
    /// What `cost` takes of `budgets`; `None` without any.
    pub fn new(budgets: &Budgets, cost: &CostReport) -> Option<Self> {
        let used = |budget: Option<u64>, taken: Option<u64>| {
            let (budget, taken) = budget.zip(taken)?;
            Some(BudgetUse { budget, taken, share: taken as f64 / budget.max(1) as f64 })
        };
        let bytes = |count: usize| Some(count as u64);
        let flash = used(budgets.flash.and_then(bytes), bytes(cost.flash_bytes));
        let ram = used(budgets.ram.and_then(bytes), bytes(cost.ram_bytes));
        let instructions = used(budgets.instructions, cost.instructions);
        let any = flash.is_some() || ram.is_some() || instructions.is_some();
        any.then_some(Self { target: cost.target, flash, ram, instructions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_microcontroller_can_be_predicted() {
        let names: Vec<&str> = predictable().iter().map(|target| target.name).collect();
        assert_eq!(names.len() + 1, TARGETS.len(), "{names:?}");
        assert!(!names.contains(&"host"));
    }

    #[test]
    fn budgets_say_which_share_is_taken() {
        let cost = CostReport {
            target: "cortex-m4",
            flash_bytes: 30,
            constant_bytes: 20,
            code_bytes: 10,
            ram_bytes: 12,
            arena_bytes: 8,
            stack_bytes: 4,
            instructions: None,
            milliseconds: None,
        };
        let budgets = Budgets { flash: Some(60), ram: Some(8), instructions: Some(9) };
        let found = BudgetReport::new(&budgets, &cost).unwrap();
        assert_eq!(found.flash, Some(BudgetUse { budget: 60, taken: 30, share: 0.5 }));
        assert_eq!(found.ram.map(|ram| ram.share), Some(1.5));
        assert_eq!(found.instructions, None);
        assert_eq!(BudgetReport::new(&Budgets::default(), &cost), None);
    }
}
