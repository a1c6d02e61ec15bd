//! Burn's recurrent layers over the steps of a sequence: as often the operations of a step, which become the one
//! node that ONNX has for them.

use std::collections::HashMap;
use std::ops::Range;

use burn::backend::capture::CapturedGraph;
use burn::backend::ir::{BaseOperationIr as Base, OperationIr, TensorId, TensorIr};
use burn::tensor::TensorData;

use super::translate::name_of;

/// The kinds of layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Gru,
    Lstm,
    Rnn,
}

impl Kind {
    /// What ONNX calls it.
    pub(super) fn onnx(self) -> &'static str {
        match self {
            Kind::Gru => "GRU",
            Kind::Lstm => "LSTM",
            Kind::Rnn => "RNN",
        }
    }

    /// Its gates, in the order of ONNX.
    pub(super) fn gates(self) -> &'static [&'static str] {
        match self {
            Kind::Gru => &["update_gate", "reset_gate", "new_gate"],
            Kind::Lstm => &["input_gate", "output_gate", "forget_gate", "cell_gate"],
            Kind::Rnn => &["gate"],
        }
    }

    /// How often a step computes what tells the usual activation functions from others.
    fn functions(self) -> &'static [(&'static str, usize)] {
        match self {
            Kind::Gru => &[("Sigmoid", 2), ("Tanh", 1), ("Mul", 3), ("Neg", 1)],
            Kind::Lstm => &[("Sigmoid", 3), ("Tanh", 2), ("Mul", 3), ("Neg", 0)],
            Kind::Rnn => &[("Sigmoid", 0), ("Tanh", 1), ("Mul", 0), ("Neg", 0)],
        }
    }
}

/// A parameter of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    /// The layer's path in the module.
    layer: String,
    kind: Kind,
    /// The gate's place among [`Kind::gates`].
    gate: usize,
    /// Whether it is applied to the state, not to the input.
    of_state: bool,
    is_bias: bool,
}

/// The parameter of a recurrent layer at a path, if it is one: `names` are the path's names, and `containers` the
/// types of which each is a field, such as `Struct:Linear`.
pub(super) fn parameter(names: &[String], containers: &[String]) -> Option<Parameter> {
    let kind = |container: &String| match container.as_str() {
        "Struct:Gru" => Some(Kind::Gru),
        "Struct:Lstm" => Some(Kind::Lstm),
        "Struct:Rnn" => Some(Kind::Rnn),
        _ => None,
    };
    let (depth, kind) =
        containers.iter().enumerate().find_map(|(depth, found)| Some((depth, kind(found)?)))?;
    let gate = kind.gates().iter().position(|gate| names.get(depth).is_some_and(|n| n == gate))?;
    let part = |part: &str| names[depth..].iter().any(|name| name == part);
    let of_state = part("hidden_transform");
    (of_state || part("input_transform")).then(|| Parameter {
        layer: names[..depth].join("."),
        kind,
        gate,
        of_state,
        is_bias: part("bias"),
    })
}

/// A layer that runs over a sequence.
#[derive(Clone, Debug)]
pub(super) struct Call<'c> {
    /// Its operations.
    pub operations: Range<usize>,
    /// The layer's path in the module.
    pub layer: String,
    pub kind: Kind,
    /// The sequences, `[batch, steps, features]`.
    pub x: &'c TensorIr,
    /// Whether the last step comes first.
    pub reverse: bool,
    /// Of a GRU, whether the reset gate is applied after the weights.
    pub reset_after: bool,
    /// What it finds at first, `[batch, hidden]` each: the state, and the cell of an LSTM.
    pub initial: Vec<&'c TensorIr>,
    /// What it gives in all steps, `[batch, steps, hidden]`.
    pub sequence: &'c TensorIr,
    /// What it leaves after the last one: the state, and the cell.
    pub last: Vec<&'c TensorIr>,
}

/// What is known of the operations of a capture.
struct Operations<'c> {
    all: &'c [OperationIr],
    writers: HashMap<TensorId, usize>,
    parameters: &'c HashMap<TensorId, Parameter>,
}

/// The calls of recurrent layers that compute what ONNX's do, in the order of execution.
pub(super) fn recurrent_calls<'c>(
    captured: &'c CapturedGraph,
    parameters: &'c HashMap<TensorId, Parameter>,
) -> Vec<Call<'c>> {
    let all = &captured.graph.operations[..];
    let mut writers = HashMap::new();
    for (index, operation) in all.iter().enumerate() {
        operation.outputs().for_each(|output| {
            writers.insert(output.id, index);
        });
    }
    let operations = Operations { all, writers, parameters };
    let mut calls: Vec<Call> = Vec::new();
    for chain in operations.chains() {
        let after = calls.last().map_or(0, |call| call.operations.end);
        calls.extend(operations.call(&chain, after));
    }
    calls
}

impl<'c> Operations<'c> {
    /// Operations that write one step after the other into a sequence, by index.
    fn chains(&self) -> Vec<Vec<usize>> {
        let mut chains: Vec<Vec<usize>> = Vec::new();
        for (index, operation) in self.all.iter().enumerate() {
            let OperationIr::BaseFloat(Base::SliceAssign(assign)) = operation else { continue };
            let before = self.writers.get(&assign.tensor.id);
            match chains.last_mut().filter(|chain| chain.last() == before) {
                Some(chain) => chain.push(index),
                None => chains.push(vec![index]),
            }
        }
        chains
    }

    /// The parameter that an operation reads.
    fn parameter(&self, index: usize) -> Option<&'c Parameter> {
        self.all[index].inputs().find_map(|input| self.parameters.get(&input.id))
    }

    /// What an operation reads beside parameters.
    fn data(&self, index: usize) -> Option<&'c TensorIr> {
        self.all[index].inputs().find(|input| !self.parameters.contains_key(&input.id))
    }

    /// The operation that wrote a tensor, before it got other shapes.
    fn behind_reshapes(&self, mut id: TensorId) -> Option<usize> {
        loop {
            let index = *self.writers.get(&id)?;
            match &self.all[index] {
                OperationIr::BaseFloat(Base::Reshape(o)) => id = o.input.id,
                _ => return Some(index),
            }
        }
    }

    /// The call whose steps end in `chain`, behind the operation `after`.
    fn call(&self, chain: &[usize], after: usize) -> Option<Call<'c>> {
        let (end, steps) = (*chain.last()? + 1, chain.len());
        let own =
            self.parameter((chain[0]..end).find(|&index| self.parameter(index).is_some())?)?;
        let reads = |index: &usize| self.parameter(*index);
        let is_own = |p: &Parameter| p.layer == own.layer;
        let first = (after..chain[0]).find(|index| reads(index).is_some_and(is_own))?;
        // Products with a weight, in the order of execution.
        let products: Vec<(usize, &Parameter)> = (first..end)
            .filter_map(|index| Some((index, self.parameter(index)?)))
            .filter(|(_, parameter)| !parameter.is_bias)
            .collect();
        let gates = own.kind.gates().len();
        let alone = (first..end).filter_map(|index| self.parameter(index)).all(is_own);
        if !alone || products.len() != 2 * gates * steps {
            return None;
        }
        let product = |gate: usize, of_state: bool| {
            products.iter().find(|(_, p)| p.gate == gate && p.of_state == of_state)
        };
        let begin = self.behind_reshapes(self.data(product(0, false)?.0)?.id)?;
        let OperationIr::BaseFloat(Base::Slice(slice)) = &self.all[begin] else { return None };
        let (x, start) = (&slice.tensor, slice.ranges.get(1)?.start);
        let reverse = start != 0;
        let expected = if reverse { steps as isize - 1 } else { 0 };
        if x.shape.to_vec().get(1) != Some(&steps) || start != expected {
            return None;
        }
        let operations = begin.min(first)..end;
        for &(name, times) in own.kind.functions() {
            let found = self.all[operations.clone()].iter().filter(|o| name_of(o) == name).count();
            if found != times * steps {
                return None;
            }
        }
        const KNOWN: &str = "Slice Reshape Matmul Linear Add AddScalar Mul Neg Sigmoid Tanh SliceAssign Drop Expand";
        let is_known = |o: &OperationIr| KNOWN.split(' ').any(|name| name == name_of(o));
        if let Some(other) = self.all[operations.clone()].iter().find(|o| !is_known(o)) {
            tracing::debug!(layer = own.layer, operation = name_of(other), "an unusual layer");
            return None;
        }
        let state = self.data(product(0, true)?.0)?;
        let reset_after = own.kind != Kind::Gru || self.data(product(2, true)?.0)?.id == state.id;
        let OperationIr::BaseFloat(Base::SliceAssign(assign)) = &self.all[end - 1] else {
            return None;
        };
        let left = self.behind_reshapes(assign.value.id)?;
        let mut initial = vec![state];
        let mut last = vec![self.all[left].outputs().next()?];
        if own.kind == Kind::Lstm {
            let named = |name: &'static str| {
                let all = &self.all[operations.clone()];
                all.iter().filter(move |operation| name_of(operation) == name)
            };
            // Burn computes the input gate, the forget gate and the output gate, and the product with the cell.
            let forget = named("Sigmoid").nth(1)?.outputs().next()?;
            let kept = named("Mul").find(|o| o.inputs().any(|input| input.id == forget.id))?;
            initial.push(kept.inputs().find(|input| input.id != forget.id)?);
            last.push(named("Tanh").next_back()?.inputs().next()?);
        }
        Some(Call {
            operations,
            layer: own.layer.clone(),
            kind: own.kind,
            x,
            reverse,
            reset_after,
            initial,
            sequence: &assign.out,
            last,
        })
    }
}

impl Call<'_> {
    /// The weights of the input and of the state, `[1, gates * hidden, ..]`, and all biases, in the order of ONNX.
    pub(super) fn constants(
        &self,
        captured: &CapturedGraph,
        parameters: &HashMap<TensorId, Parameter>,
    ) -> Option<[TensorData; 3]> {
        let hidden = self.sequence.shape.to_vec()[2];
        let features = self.x.shape.to_vec()[2];
        let gates = self.kind.gates().len();
        let find = |gate: usize, of_state: bool, is_bias: bool| {
            let wanted =
                Parameter { layer: self.layer.clone(), kind: self.kind, gate, of_state, is_bias };
            let (id, _) = parameters.iter().find(|(_, parameter)| **parameter == wanted)?;
            captured.values.get(id).map(|data| data.iter::<f32>().collect::<Vec<f32>>())
        };
        let weights = |of_state: bool, columns: usize| -> Option<TensorData> {
            let mut all = Vec::new();
            for gate in 0..gates {
                // Burn's are [inputs, outputs].
                let own =
                    find(gate, of_state, false).filter(|own| own.len() == columns * hidden)?;
                all.extend((0..hidden * columns).map(|i| own[i % columns * hidden + i / columns]));
            }
            Some(TensorData::new(all, [1, gates * hidden, columns]))
        };
        let mut biases = Vec::new();
        for of_state in [false, true] {
            for gate in 0..gates {
                biases.extend(find(gate, of_state, true).unwrap_or_else(|| vec![0.0; hidden]));
            }
        }
        let biases = TensorData::new(biases, [1, 2 * gates * hidden]);
        Some([weights(false, features)?, weights(true, hidden)?, biases])
    }
}
