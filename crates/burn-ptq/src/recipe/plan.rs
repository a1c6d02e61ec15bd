//! From a recipe and a prepared graph to what each stage is told.

use super::{CalibrationRecipe, LayerOverride, Recipe, Source};
use crate::bits::BitPlan;
use crate::condition::ConditioningChoice;
use crate::graph::ops::OutputGrid;
use crate::graph::{Graph, Node};
use crate::reconstruct::Reconstruction;

/// The names of the layers that `first_last_bits` is about.
#[derive(Default)]
struct Ends<'a> {
    /// Layers whose weights have these bits.
    weights: Vec<&'a str>,
    /// Layers whose outputs have these bits.
    outputs: Vec<&'a str>,
}

impl<'a> Ends<'a> {
    fn of(graph: &'a Graph) -> Self {
        let mut weighted = graph.nodes.iter().filter(|n| n.op.weight_and_bias().is_some());
        let Some(first) = weighted.next() else { return Self::default() };
        let last = weighted.next_back().unwrap_or(first);
        let before = graph.producer(last.inputs[0]).map(|n| graph.nodes[n].name.as_str());
        let outputs = [Some(first.name.as_str()), before].into_iter().flatten().collect();
        Self { weights: vec![&first.name, &last.name], outputs }
    }
}

/// The parts of a recipe that calibration depends on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MadeBy {
    batch: usize,
    source: Source,
    conditioning: Vec<ConditioningChoice>,
    /// The seed, if samples are random.
    seed: Option<u64>,
}

impl MadeBy {
    pub(crate) fn new(recipe: &Recipe) -> Self {
        let CalibrationRecipe { batch, source, .. } = recipe.calibration.clone();
        let seed = source.component().is_random().then_some(recipe.seed);
        Self { batch, source, conditioning: recipe.conditioning.clone(), seed }
    }

    /// The first part that differs from `other`'s.
    pub(crate) fn difference(&self, other: &Self) -> Option<&'static str> {
        let parts = [
            ("calibration.batch", self.batch == other.batch),
            ("calibration.source", self.source == other.source),
            ("conditioning", self.conditioning == other.conditioning),
            ("seed", self.seed == other.seed),
        ];
        parts.into_iter().find(|part| !part.1).map(|part| part.0)
    }
}

impl Recipe {
    /// The bits of every weight and value of `graph`, a prepared graph: explicit exceptions for
    /// layers win over `first_last_bits`, which win over the bits of all.
    ///
    /// Softmax reads and writes 8 bits; the model's inputs and outputs, and the logits that a softmax
    /// at its end reads, have `border_bits`.
    pub(crate) fn bit_plan(&self, graph: &Graph) -> BitPlan {
        let ends = self.first_last_bits.map(|_| Ends::of(graph)).unwrap_or_default();
        let at_end = |names: &[&str], node: &Node| {
            self.first_last_bits.filter(|_| names.contains(&node.name.as_str()))
        };
        let exception = |node: &Node, bits: fn(&LayerOverride) -> Option<u8>| {
            self.layers.iter().rev().filter(|l| l.matches(&node.name)).find_map(bits)
        };
        let of_weights = |node: &Node| {
            let (_, bias) = node.op.weight_and_bias()?;
            let bits = exception(node, |l| l.weights)
                .or_else(|| at_end(&ends.weights, node))
                .unwrap_or(self.weights.bits);
            Some((node.name.clone(), vec![bits; bias.len()]))
        };
        let mut values = vec![self.activations.bits; graph.values.len()];
        for node in &graph.nodes {
            values[node.output.0] = match node.op.operator().class_axis() {
                Some(_) => 8,
                None => exception(node, |l| l.activations)
                    .or_else(|| at_end(&ends.outputs, node))
                    .unwrap_or(match graph.value(node.output).gate {
                        Some(_) => self.activations.gate_bits,
                        None => self.activations.bits,
                    }),
            };
        }
        // Elements are stored in whole bytes: those of a constant with a grid of its own use them.
        let groups = graph.grid_groups();
        for node in graph.nodes.iter().filter(|n| n.inputs.is_empty()) {
            let alone = (0..groups.len()).filter(|&v| groups[v] == groups[node.output.0]).count();
            if alone == 1 && exception(node, |l| l.activations).is_none() {
                values[node.output.0] = values[node.output.0].max(8);
            }
        }
        // The logits are the model's output as much as the softmax that it ends in.
        let logits = graph.final_softmaxes().map(|index| graph.nodes[index].inputs[0]);
        let borders = graph.inputs.iter().chain(&graph.outputs).copied();
        for border in borders.chain(logits) {
            values[border.0] = self.activations.border_bits;
        }
        for node in &graph.nodes {
            if node.op.operator().class_axis().is_some() && !graph.is_output(node.output) {
                values[node.output.0] = 8;
            }
        }
        let mut groups = None;
        for node in &graph.nodes {
            if node.op.operator().output_grid() == OutputGrid::Places {
                // Whatever moves them keeps them whole numbers.
                let groups = groups.get_or_insert_with(|| graph.grid_groups());
                let members = (0..values.len()).filter(|&v| groups[v] == groups[node.output.0]);
                members.for_each(|v| values[v] = 16);
            }
        }
        for &input in &graph.inputs {
            if let Some((bits, _)) = graph.integer_grid(input) {
                values[input.0] = bits;
            }
        }
        // What a file gives stays.
        for (bits, value) in values.iter_mut().zip(&graph.values) {
            *bits = value.given.map_or(*bits, |given| given.bits);
        }
        let of_weights = |node: &Node| {
            let (name, bits) = of_weights(node)?;
            let given = node.given.as_ref().map(|given| vec![given.bits; bits.len()]);
            Some((name, given.unwrap_or(bits)))
        };
        BitPlan {
            weights: graph.nodes.iter().filter_map(of_weights).collect(),
            values,
            granularity: self.weights.granularity,
            power_of_two_weights: self.weights.power_of_two,
            power_of_two_activations: self.activations.power_of_two,
        }
    }

    /// Reconstruction as it runs: learned scales would not be powers of two.
    pub(crate) fn reconstruction_in_effect(&self) -> Reconstruction {
        let how = &self.reconstruction;
        Reconstruction {
            learn_weight_scales: how.learn_weight_scales && !self.weights.power_of_two,
            learn_activation_scales: how.learn_activation_scales && !self.activations.power_of_two,
            ..how.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::ops::{Linear, Softmax};
    use crate::graph::{Array, ValueId};

    /// Three linear layers and a softmax.
    fn graph() -> Graph {
        let mut graph = Graph::new("net", "x", vec![4]);
        let mut value = graph.input();
        for name in ["first", "middle", "last"] {
            let layer =
                Linear { weight: Array::full([4, 4], 0.5), bias: Array::full([4], 0.0), axis: 0 };
            value = graph.push(name, layer, &[value], name).unwrap();
        }
        graph.push("softmax", Softmax { axis: 0 }, &[value], "p").unwrap();
        graph
    }

    fn plan(recipe: &str) -> BitPlan {
        Recipe::parse(recipe, "test").unwrap().bit_plan(&graph())
    }

    fn weights(plan: &BitPlan) -> [u8; 3] {
        ["first", "middle", "last"].map(|name| {
            assert_eq!(plan.weights[name].len(), 4, "one width an output channel");
            plan.weights[name][0]
        })
    }

    #[test]
    fn borders_logits_and_softmax_have_widths_of_their_own() {
        let text = "weights.bits = 3\n[activations]\nbits = 4\nborder_bits = 16";
        let plan = plan(text);
        assert_eq!(weights(&plan), [3, 3, 3]);
        // Input, first, middle, logits, probabilities.
        assert_eq!(plan.values, [16, 4, 4, 16, 16]);
    }

    #[test]
    fn a_softmax_inside_the_network_writes_8_bits_whatever_the_layers_exception_says() {
        let mut graph = graph();
        let p = graph.output();
        let layer =
            Linear { weight: Array::full([4, 4], 0.5), bias: Array::full([4], 0.0), axis: 0 };
        graph.push("behind", layer, &[p], "y").unwrap();
        let text = "activations.bits = 4\n[[layer]]\nname = 'softmax'\nactivations = 16";
        let plan = Recipe::parse(text, "test").unwrap().bit_plan(&graph);
        assert_eq!(plan.value(p), 8);
    }

    #[test]
    fn first_and_last_layers_differ_and_exceptions_win_over_them() {
        let text = "first_last_bits = 8\nweights.bits = 2\nactivations.bits = 4\n";
        let ends = plan(text);
        assert_eq!(weights(&ends), [8, 2, 8]);
        assert_eq!(ends.values, [8, 8, 8, 8, 8], "what the last layer takes has its bits too");
        let layers = "[[layer]]\nname = '*'\nweights = 3\n[[layer]]\nname = 'la*'\nweights = 5\n\
                      [[layer]]\nname = 'mid*'\nactivations = 6\n";
        let excepted = plan(&format!("{text}{layers}"));
        assert_eq!(weights(&excepted), [3, 3, 5]);
        assert_eq!(excepted.value(ValueId(2)), 6);
    }

    #[test]
    fn schemes_have_the_bits_of_the_plan() {
        let plan = plan("weights.bits = 3\nweights.power_of_two = true\nactivations.bits = 4");
        let graph = graph();
        let scheme = plan.weight_scheme(&graph.nodes[0]).unwrap();
        assert_eq!((scheme.bits, scheme.power_of_two), (3, true));
        let scheme = plan.value_scheme(graph.nodes[0].output).unwrap();
        assert_eq!((scheme.bits, scheme.power_of_two), (4, false));
    }

    #[test]
    fn calibrations_differ_where_recipes_calibrate_otherwise() {
        let made_by = |text: &str| MadeBy::new(&Recipe::parse(text, "test").unwrap());
        let plain = made_by("");
        // A seed matters to made samples only; weights never do.
        assert_eq!(plain.difference(&made_by("seed = 1\nweights.bits = 2")), None);
        let free = "calibration.source = 'data-free'\n";
        for (one, other, key) in [
            (plain.clone(), "conditioning = ['migrate']", "conditioning"),
            (plain.clone(), "calibration.batch = 8", "calibration.batch"),
            (plain, free, "calibration.source"),
            (made_by(free), "calibration.source = 'data-free'\nseed = 1", "seed"),
        ] {
            assert_eq!(one.difference(&made_by(other)), Some(key));
        }
    }

    #[test]
    fn powers_of_two_are_not_learned() {
        let recipe = Recipe::parse("weights.power_of_two = true", "test").unwrap();
        let how = recipe.reconstruction_in_effect();
        assert_eq!((how.learn_weight_scales, how.learn_activation_scales), (false, true));
    }
}
