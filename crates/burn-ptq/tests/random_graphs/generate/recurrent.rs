//! Recurrent layers, of which each row of a sample is a step.

use super::{Builder, Named};
use crate::build::{int, ints, node, string};

impl Builder {
    /// A layer over the rows of a value of two axes: what it gives in all of them, or what it keeps.
    pub(super) fn recurrent(&mut self, (x, shape): Named) -> Named {
        let (steps, features) = (shape[0], shape[1]);
        let (op, gates) = *self.random.pick(&[("GRU", 3), ("LSTM", 4), ("RNN", 1)]);
        let direction = *self.random.pick(&["forward", "forward", "reverse", "bidirectional"]);
        let directions = if direction == "bidirectional" { 2 } else { 1 };
        let hidden = self.random.within(1, 6);
        let rows = gates * hidden;
        let scale = *self.random.pick(&[1.0, 1.0, 3.0, 0.3]);
        let w = self.floats(&[directions, rows, features], scale * (3.0 / features as f32).sqrt());
        let r = self.floats(&[directions, rows, hidden], scale * (3.0 / hidden as f32).sqrt());
        let b = self.floats(&[directions, 2 * rows], 0.5);
        let mut attributes =
            vec![int("hidden_size", hidden as i64), string("direction", direction)];
        if op == "GRU" {
            let before = i64::from(self.random.once_in(2));
            attributes.push(int("linear_before_reset", before));
        }
        let (front, _) = self.push("Transpose", &[&x], vec![ints("perm", &[1, 0, 2])], shape);
        let outputs = if op == "LSTM" { 3 } else { 2 };
        let names: Vec<String> = (0..outputs).map(|_| self.name()).collect();
        let read = self.random.below(outputs);
        // Outputs that nobody reads are left out.
        let given: Vec<&str> = names
            .iter()
            .enumerate()
            .map(|(i, n)| if i == read { n.as_str() } else { "" })
            .collect();
        let mut layer = node(op, &[&front, &w, &r, &b], &given[..=read], attributes);
        layer.name = format!("{op}_{}", names[read]);
        self.nodes.push(layer);
        let (perm, target, out): (&[i64], &[i64], _) = match read {
            0 => (&[2, 0, 1, 3], &[0, 0, -1], vec![steps, directions * hidden]),
            _ => (&[1, 0, 2], &[0, -1], vec![directions * hidden]),
        };
        let (back, _) =
            self.push("Transpose", &[&names[read]], vec![ints("perm", perm)], Vec::new());
        let target = self.list(target);
        self.push("Reshape", &[&back, &target], vec![], out)
    }
}
