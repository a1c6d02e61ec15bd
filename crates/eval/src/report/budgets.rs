//! What of a microcontroller budgets allow, and what the network takes of that.

use serde::Serialize;

use crate::costs::Cost;
use crate::fit::Budgets;

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
    pub fn new(budgets: &Budgets, cost: &Cost) -> Option<Self> {
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
    fn budgets_say_which_share_is_taken() {
        let cost = Cost {
            board: None,
            target: "cortex-m4",
            flash_bytes: 30,
            constant_bytes: 20,
            code_bytes: 10,
            ram_bytes: 12,
            arena_bytes: 8,
            stack_bytes: 4,
            instructions: None,
            milliseconds: None,
            fits: None,
            missing: None,
        };
        let budgets = Budgets { flash: Some(60), ram: Some(8), instructions: Some(9) };
        let found = BudgetReport::new(&budgets, &cost).unwrap();
        assert_eq!(found.flash, Some(BudgetUse { budget: 60, taken: 30, share: 0.5 }));
        assert_eq!(found.ram.map(|ram| ram.share), Some(1.5));
        assert_eq!(found.instructions, None);
        assert_eq!(BudgetReport::new(&Budgets::default(), &cost), None);
    }
}
