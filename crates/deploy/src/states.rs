//! Inputs and outputs that become states.

use burn_ptq_kernels::reference::MAX_AXES;

use crate::movement::MoveAxis;
use crate::op::IntOp;
use crate::program::{IntNode, IntTensor, Program, State, TensorId};

impl Program {
    /// The program whose inputs at some places are what its outputs at others were in the call before: each
    /// pair is a place in `inputs` and one in `outputs`, and no place is in two pairs. Both hold the same
    /// elements of the source model, on the same grid; at first they are 0.
    ///
    /// What only a state was, the caller neither fills nor reads any more. A program keeps at least one output.
    #[must_use]
    pub fn with_states(mut self, pairs: &[(usize, usize)]) -> Self {
        for &(input, output) in pairs {
            let (given, left) = (self.inputs[input].clone(), self.outputs[output].clone());
            let held = self.tensors[given.tensor.0].clone();
            let next =
                self.arranged_as(&given.border.places(), &held, left.tensor, &left.border.places());
            self.states.push(State {
                name: given.name,
                input: given.tensor,
                output: next,
                initial: held.grid.quantize(0.0),
            });
        }
        let taken = |place: usize, of: fn(&(usize, usize)) -> usize| {
            pairs.iter().any(|pair| of(pair) == place)
        };
        let mut place = 0;
        self.inputs.retain(|_| {
            place += 1;
            !taken(place - 1, |pair| pair.0)
        });
        let mut place = 0;
        let only = self.outputs.len() == pairs.len();
        self.outputs.retain(|_| {
            place += 1;
            only || !taken(place - 1, |pair| pair.1)
        });
        // What a state holds becomes something else after the call: the caller reads a copy.
        for place in 0..self.outputs.len() {
            let output = self.outputs[place].tensor;
            if self.states.iter().any(|state| state.input == output) {
                self.outputs[place].tensor = self.copy(output, &self.outputs[place].name.clone());
            }
        }
        self
    }

    /// A copy of an activation.
    fn copy(&mut self, from: TensorId, name: &str) -> TensorId {
        let like = self.tensors[from.0].clone();
        let axes = vec![MoveAxis::Even { count: like.len(), step: 1 }];
        self.rearranged(from, IntTensor { name: name.to_owned(), ..like }, 0, axes)
    }

    /// `tensor`, written by a node of its name from the elements of `from` that the axes visit.
    fn rearranged(
        &mut self,
        from: TensorId,
        tensor: IntTensor,
        first: usize,
        axes: Vec<MoveAxis>,
    ) -> TensorId {
        let name = tensor.name.clone();
        self.tensors.push(tensor);
        let output = TensorId(self.tensors.len() - 1);
        let op = IntOp::Rearrange { first, axes };
        self.nodes.push(IntNode { name, op, inputs: vec![from], output });
        output
    }

    /// A tensor like `held` with the elements of `from`: element `i` of `held` is element `wanted[i]` of the
    /// source model's sample, and element `i` of `from` is its element `found[i]`.
    fn arranged_as(
        &mut self,
        wanted: &[usize],
        held: &IntTensor,
        from: TensorId,
        found: &[usize],
    ) -> TensorId {
        let tensor = &self.tensors[from.0];
        let written = self.nodes.iter().any(|node| node.output == from);
        let taken = self.states.iter().any(|state| [state.input, state.output].contains(&from));
        if wanted == found && tensor.shape == held.shape && written && !taken {
            return from;
        }
        let mut at = vec![0; found.len()];
        for (place, &element) in found.iter().enumerate() {
            at[element] = place;
        }
        let places: Vec<usize> = wanted.iter().map(|&element| at[element]).collect();
        let few = MoveAxis::through(&places).filter(|axes| axes.len() <= MAX_AXES);
        // Any order is a list of places behind the first element.
        let (first, axes) = match few {
            Some(axes) => (places[0], axes),
            None => (0, vec![MoveAxis::Listed(places.iter().map(|&place| place as u32).collect())]),
        };
        let name = format!("{}.next", held.name);
        self.rearranged(from, IntTensor { name, ..held.clone() }, first, axes)
    }
}
