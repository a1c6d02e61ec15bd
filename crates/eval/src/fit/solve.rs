//! The choice of a width for every layer, as an integer linear program.
//!
//! Layers choose one of their widths; what a width costs adds up, except for code, which layers of the same
//! kernel share. `good_lp` states the program and microlp, a solver in Rust, finds its exact optimum by branch
//! and bound: with tens of layers and three or four widths, in milliseconds.

use good_lp::{
    Expression, ProblemVariables, Solution, SolverModel, Variable, constraint, microlp, variable,
};

/// One width of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    pub bits: u8,
    /// How much the network's predictions change.
    pub loss: f64,
    /// Bytes of constants.
    pub constants: f64,
    pub instructions: f64,
    /// Bytes of RAM in use while it runs.
    pub ram: f64,
    /// Indices of the pieces of code that its kernel needs.
    pub pieces: Vec<usize>,
}

/// A network whose layers choose.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Instance {
    pub layers: Vec<Vec<Choice>>,
    /// Bytes of each piece of code.
    pub pieces: Vec<f64>,
    /// What does not depend on the choices.
    pub constants: f64,
    pub instructions: f64,
    pub ram: f64,
    pub needed: Vec<usize>,
}

/// Upper bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Limits {
    pub flash: Option<f64>,
    pub ram: Option<f64>,
    pub instructions: Option<f64>,
}

/// What is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Loss,
    Flash,
    Instructions,
}

impl Instance {
    /// Bytes of flash of a choice for each layer.
    pub(super) fn flash(&self, chosen: &[usize]) -> f64 {
        let mut needed = vec![false; self.pieces.len()];
        let mut bytes = self.constants;
        let choices = || self.layers.iter().zip(chosen).map(|(layer, &choice)| &layer[choice]);
        for &piece in self.needed.iter().chain(choices().flat_map(|choice| &choice.pieces)) {
            needed[piece] = true;
        }
        bytes += choices().map(|choice| choice.constants).sum::<f64>();
        bytes + self.pieces.iter().zip(needed).map(|(b, n)| if n { *b } else { 0.0 }).sum::<f64>()
    }

    /// Instructions of a choice for each layer.
    pub(super) fn instructions(&self, chosen: &[usize]) -> f64 {
        let of = |(layer, &choice): (&Vec<Choice>, &usize)| layer[choice].instructions;
        self.instructions + self.layers.iter().zip(chosen).map(of).sum::<f64>()
    }

    /// Bytes of RAM of a choice for each layer, if what lies in memory beside a layer does not depend on the
    /// choices of others.
    pub(super) fn ram(&self, chosen: &[usize]) -> f64 {
        let choices = self.layers.iter().zip(chosen).map(|(layer, &choice)| layer[choice].ram);
        choices.fold(self.ram, f64::max)
    }

    /// The sum of the losses of a choice for each layer.
    pub(super) fn loss(&self, chosen: &[usize]) -> f64 {
        self.layers.iter().zip(chosen).map(|(layer, &choice)| layer[choice].loss).sum()
    }

    /// The choice for each layer that is best and within `limits`; `None` if there is none.
    pub(super) fn solve(&self, limits: &Limits, goal: Goal) -> Option<Vec<usize>> {
        let mut variables = ProblemVariables::new();
        let takes: Vec<Vec<Variable>> = (self.layers.iter())
            .map(|layer| layer.iter().map(|_| variables.add(variable().binary())).collect())
            .collect();
        // They are whole wherever less is better, without being asked to be.
        let brings: Vec<Variable> =
            self.pieces.iter().map(|_| variables.add(variable().min(0.0).max(1.0))).collect();
        let sum = |value: fn(&Choice) -> f64, scale: f64| -> Expression {
            let terms = self.layers.iter().zip(&takes).flat_map(|(layer, takes)| {
                layer.iter().zip(takes).map(move |(choice, &take)| value(choice) * scale * take)
            });
            terms.sum()
        };
        // Numbers near 1 suit the solver's tolerances.
        let unit = |value: fn(&Choice) -> f64| {
            let most = self.layers.iter().flatten().map(value).fold(0.0, f64::max);
            if most > 0.0 { 1.0 / most } else { 1.0 }
        };
        let flash_unit = unit(|choice| choice.constants);
        let time_unit = unit(|choice| choice.instructions);
        let code: Expression =
            self.pieces.iter().zip(&brings).map(|(&bytes, &y)| bytes * flash_unit * y).sum();
        let flash = sum(|choice| choice.constants, flash_unit) + code + self.constants * flash_unit;
        let time = sum(|choice| choice.instructions, time_unit) + self.instructions * time_unit;
        let objective = match goal {
            Goal::Loss => sum(|choice| choice.loss, unit(|choice| choice.loss)),
            Goal::Flash => flash.clone(),
            Goal::Instructions => time.clone(),
        };
        let mut model = variables.minimise(objective).using(microlp);
        for takes in &takes {
            let one: Expression = takes.iter().sum();
            model = model.with(constraint!(one == 1.0));
        }
        for (layer, takes) in self.layers.iter().zip(&takes) {
            for (choice, &take) in layer.iter().zip(takes) {
                for &piece in &choice.pieces {
                    model = model.with(constraint!(brings[piece] >= take));
                }
            }
        }
        for &piece in &self.needed {
            model = model.with(constraint!(brings[piece] >= 1.0));
        }
        if let Some(limit) = limits.ram {
            let all = self.layers.iter().flatten().zip(takes.iter().flatten());
            for (_, &take) in all.filter(|(choice, _)| choice.ram > limit) {
                model = model.with(constraint!(take <= 0.0));
            }
        }
        if let Some(limit) = limits.flash {
            model = model.with(constraint!(flash <= limit * flash_unit));
        }
        if let Some(limit) = limits.instructions {
            model = model.with(constraint!(time <= limit * time_unit));
        }
        let solution = model.solve().ok()?;
        let chosen =
            takes.iter().map(|takes| takes.iter().position(|&take| solution.value(take) > 0.5));
        let chosen: Vec<usize> = chosen.collect::<Option<_>>()?;
        // What the solver's tolerance lets through is not within the limits.
        let within = |limit: Option<f64>, value: f64| limit.is_none_or(|limit| value <= limit);
        (within(limits.flash, self.flash(&chosen))
            && within(limits.ram, self.ram(&chosen))
            && within(limits.instructions, self.instructions(&chosen)))
        .then_some(chosen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(bits: u8, loss: f64, constants: f64, instructions: f64, pieces: &[usize]) -> Choice {
        let ram = constants / 2.0;
        Choice { bits, loss, constants, instructions, ram, pieces: pieces.to_vec() }
    }

    /// Three layers of two or three widths.
    fn instance() -> Instance {
        let layer = |size: f64, weight: f64| {
            vec![
                choice(8, 0.0, size, size, &[0]),
                choice(4, weight, size / 2.0, size * 1.2, &[1]),
                choice(2, weight * 5.0, size / 4.0, size * 1.5, &[2]),
            ]
        };
        Instance {
            layers: vec![layer(1000.0, 0.1), layer(400.0, 1.0), layer(4000.0, 0.2)],
            pieces: vec![300.0, 500.0, 700.0, 50.0],
            constants: 100.0,
            instructions: 70.0,
            ram: 600.0,
            needed: vec![3],
        }
    }

    /// Every choice within the limits, and the best value among them.
    fn by_trial(instance: &Instance, limits: &Limits, goal: Goal) -> Option<f64> {
        let mut best: Option<f64> = None;
        for index in 0..27_usize {
            let chosen = [index % 3, index / 3 % 3, index / 9];
            let (flash, time) = (instance.flash(&chosen), instance.instructions(&chosen));
            let fits = limits.flash.is_none_or(|limit| flash <= limit)
                && limits.ram.is_none_or(|limit| instance.ram(&chosen) <= limit)
                && limits.instructions.is_none_or(|limit| time <= limit);
            let value = match goal {
                Goal::Loss => instance.loss(&chosen),
                Goal::Flash => flash,
                Goal::Instructions => time,
            };
            if fits && best.is_none_or(|best| value < best) {
                best = Some(value);
            }
        }
        best
    }

    #[test]
    fn the_choice_is_the_best_of_all() {
        let instance = instance();
        for goal in [Goal::Loss, Goal::Flash, Goal::Instructions] {
            for flash in (2000..7000).step_by(170) {
                for (instructions, ram) in [
                    (None, None),
                    (Some(6000.0), None),
                    (Some(6700.0), None),
                    (None, Some(900.0)),
                    (Some(6700.0), Some(2500.0)),
                ] {
                    let limits = Limits { flash: Some(f64::from(flash)), ram, instructions };
                    let found = instance.solve(&limits, goal).map(|chosen| match goal {
                        Goal::Loss => instance.loss(&chosen),
                        Goal::Flash => instance.flash(&chosen),
                        Goal::Instructions => instance.instructions(&chosen),
                    });
                    let expected = by_trial(&instance, &limits, goal);
                    match (found, expected) {
                        (Some(found), Some(expected)) => {
                            assert!((found - expected).abs() < 1e-6, "{limits:?} {goal:?}");
                        }
                        (found, expected) => assert_eq!(found, expected, "{limits:?} {goal:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_budget_that_is_met_exactly_is_met() {
        let instance = instance();
        let least = instance.solve(&Limits::default(), Goal::Flash).expect("a choice");
        let flash = instance.flash(&least);
        let at = |flash| Limits { flash: Some(flash), ..Limits::default() };
        assert!(instance.solve(&at(flash), Goal::Loss).is_some());
        assert!(instance.solve(&at(flash - 1.0), Goal::Loss).is_none());
    }
}
