//! What a network keeps from one call to the next: pairs of an input and an output.

use super::Graph;

/// An input that is what an output was in the call before, and zero in the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatePair {
    /// The place of the input in [`Graph::inputs`].
    pub input: usize,
    /// The place of the output in [`Graph::outputs`].
    pub output: usize,
}

/// Why an input and an output cannot be a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is no such input or output.
    #[error(
        "the state `{state}`: the model has no {what} `{found}`; its {what}s are {}; write --state INPUT=OUTPUT",
        known.join(", ")
    )]
    Unknown {
        /// The pair as `INPUT=OUTPUT`.
        state: String,
        /// `input` or `output`.
        what: &'static str,
        /// The name.
        found: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// The input or the output is a state already.
    #[error(
        "the state `{state}`: the {what} `{name}` belongs to another state already; give it once"
    )]
    Twice {
        /// The pair.
        state: String,
        /// `input` or `output`.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// The shapes differ.
    #[error(
        "the state `{state}`: the input has the shape {input:?}, the output {output:?}; what a call leaves must be \
         what the next one takes"
    )]
    Shapes {
        /// The pair.
        state: String,
        /// The shape of the input.
        input: Vec<usize>,
        /// The shape of the output.
        output: Vec<usize>,
    },
    /// Nothing would be left to feed.
    #[error(
        "the state `{state}`: the model has no other input; a network takes something in each call"
    )]
    OnlyInput {
        /// The pair.
        state: String,
    },
}

impl Graph {
    /// Makes the input called `input` a state that becomes what the output called `output` was in the call
    /// before.
    ///
    /// # Errors
    /// If there are no such ends, one belongs to another state, their shapes differ, or no other input is left.
    pub fn declare_state(&mut self, input: &str, output: &str) -> Result<(), StateError> {
        let state = format!("{input}={output}");
        let names = |ids: &[super::ValueId]| -> Vec<String> {
            ids.iter().map(|&id| self.value(id).name.clone()).collect()
        };
        let place = |what: &'static str, name: &str, known: Vec<String>| {
            known.iter().position(|own| own == name).ok_or_else(|| StateError::Unknown {
                state: state.clone(),
                what,
                found: name.into(),
                known,
            })
        };
        let pair = StatePair {
            input: place("input", input, names(&self.inputs))?,
            output: place("output", output, names(&self.outputs))?,
        };
        let taken =
            |what, name: &str| StateError::Twice { state: state.clone(), what, name: name.into() };
        if self.is_state_input(pair.input) {
            return Err(taken("input", input));
        }
        if self.is_state_output(pair.output) {
            return Err(taken("output", output));
        }
        let shape = |id| self.value(id).shape.clone();
        let (held, left) = (shape(self.inputs[pair.input]), shape(self.outputs[pair.output]));
        if extents(&held) != extents(&left) {
            return Err(StateError::Shapes { state, input: held, output: left });
        }
        if self.states.len() + 1 == self.inputs.len() {
            return Err(StateError::OnlyInput { state });
        }
        self.states.push(pair);
        Ok(())
    }

    /// The states that names and shapes leave no doubt about, as names of inputs and outputs: an input and an
    /// output of the same shape, whose names differ in what says before and after (`h_in` and `h_out`, `h0` and
    /// `hn`, `state` and `new_state`), and no other is like them.
    pub fn likely_states(&self) -> Vec<(String, String)> {
        let name = |&id: &super::ValueId| self.value(id).name.as_str();
        let shape = |&id: &super::ValueId| extents(&self.value(id).shape);
        let alike = |input: &super::ValueId, output: &super::ValueId| {
            shape(input) == shape(output) && follows(name(input), name(output))
        };
        let mut found = Vec::new();
        for input in &self.inputs {
            let outputs: Vec<_> =
                self.outputs.iter().filter(|output| alike(input, output)).collect();
            let [output] = outputs[..] else { continue };
            if self.inputs.iter().filter(|other| alike(other, output)).count() == 1 {
                found.push((name(input).to_owned(), name(output).to_owned()));
            }
        }
        // A network takes something in each call.
        if found.len() == self.inputs.len() { Vec::new() } else { found }
    }

    /// Whether the input at a place is a state.
    pub fn is_state_input(&self, place: usize) -> bool {
        self.states.iter().any(|state| state.input == place)
    }

    /// Whether the output at a place is what a state becomes.
    pub fn is_state_output(&self, place: usize) -> bool {
        self.states.iter().any(|state| state.output == place)
    }

    /// The places of the inputs that the caller feeds.
    pub fn fed_inputs(&self) -> Vec<usize> {
        (0..self.inputs.len()).filter(|&place| !self.is_state_input(place)).collect()
    }

    /// The places of the outputs that the caller reads: those beside states, or all if there is none.
    pub fn read_outputs(&self) -> Vec<usize> {
        let all = 0..self.outputs.len();
        let own: Vec<usize> = all.clone().filter(|&place| !self.is_state_output(place)).collect();
        if own.is_empty() { all.collect() } else { own }
    }
}

/// The extents of a shape but 1: shapes with the same ones hold the same elements in the same order.
#[must_use]
pub fn extents(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&extent| extent != 1).collect()
}

/// Whether `after` is called as what `before` becomes.
fn follows(before: &str, after: &str) -> bool {
    const BEFORE: [&str; 6] = ["in", "prev", "previous", "old", "init", "0"];
    const AFTER: [&str; 6] = ["out", "next", "new", "n", "updated", "final"];
    let [before, after] = [before, after].map(str::to_lowercase);
    let stems = |name: &str, words: &[&str]| -> Vec<String> {
        let cut = |word: &&str| {
            let end = name.strip_suffix(*word).map(|stem| stem.trim_end_matches(['_', '.', '-']));
            let start =
                name.strip_prefix(*word).and_then(|stem| stem.strip_prefix(['_', '.', '-']));
            [end, start]
        };
        let cut = words.iter().flat_map(cut).flatten().filter(|stem| !stem.is_empty());
        cut.chain([name]).map(str::to_owned).collect()
    };
    let (befores, afters) = (stems(&before, &BEFORE), stems(&after, &AFTER));
    before != after && befores.iter().any(|stem| afters.contains(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_follows() {
        for (before, after) in [
            ("h_in", "h_out"),
            ("h0", "hn"),
            ("c_0", "c_n"),
            ("state", "new_state"),
            ("state", "state_out"),
            ("prev_h", "next_h"),
            ("H_prev", "h_new"),
            ("hidden.in", "hidden.out"),
        ] {
            assert!(follows(before, after), "{before} {after}");
        }
        for (before, after) in [
            ("x", "y"),
            ("h_in", "c_out"),
            ("h", "h"),
            ("input", "output"),
            ("in", "out"),
            ("x0", "y"),
        ] {
            assert!(!follows(before, after), "{before} {after}");
        }
    }

    /// A network of two inputs and two outputs, `x` and `h_in` to `h_out` and `y`.
    fn cell() -> Graph {
        let mut graph = Graph::new("cell", "x", vec![3]);
        let h = graph.add_input("h_in", vec![1, 4]);
        let (x, h) = (graph.inputs[0], h);
        graph.values[x.0].name = "x".into();
        graph.outputs = vec![h, x];
        graph
    }

    #[test]
    fn what_cannot_be_a_state_says_what_to_write() {
        let mut graph = cell();
        let unknown = graph.declare_state("h", "h_in").unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "the state `h=h_in`: the model has no input `h`; its inputs are x, h_in; write --state INPUT=OUTPUT"
        );
        let shapes = graph.declare_state("x", "h_in").unwrap_err();
        assert!(
            matches!(&shapes, StateError::Shapes { input, output, .. } if input == &[3] && output == &[1, 4])
        );
        graph.declare_state("h_in", "h_in").unwrap();
        let twice = graph.declare_state("h_in", "x").unwrap_err();
        assert!(matches!(twice, StateError::Twice { what: "input", .. }));
        let only = graph.declare_state("x", "x").unwrap_err();
        assert!(matches!(only, StateError::OnlyInput { .. }), "{only}");
        assert_eq!((graph.fed_inputs(), graph.read_outputs()), (vec![0], vec![1]));
    }
}
