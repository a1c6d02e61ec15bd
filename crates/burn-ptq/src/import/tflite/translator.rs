//! The ONNX graph as it grows.

use std::cell::Cell;
use std::collections::HashMap;

use burn::tensor::TensorData;
use burn_ptq_deploy::tflite::Element;
use burn_ptq_deploy::tflite::file::{Graph, Names, Operator, Tensor};
use onnx_ir::{AttributeProto, GraphProto, NodeProto};

use super::constants::decode;
use super::values::{Held, Order, TO_FIRST, TO_LAST};
use crate::import::onnx::{Problem, data_type};
use crate::import::proto::{ints, tensor, typed_value};

/// The most elements of constants that are decoded, all together: those of the largest file, and then some.
const MOST_ELEMENTS: usize = 1 << 25;

/// Characters of a name that are kept.
const LONGEST_NAME: usize = 100;

/// Why an operator or tensor cannot be imported; the translator adds which one.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    problem: String,
    hint: String,
}

impl Refusal {
    pub(super) fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: hint.into() }
    }

    /// A file that contradicts itself.
    pub(super) fn invalid(problem: impl Into<String>) -> Self {
        Self::new(problem, "the file contradicts itself: convert the model again")
    }
}

/// What a node of ONNX does, with all that it reads.
pub(super) struct Call {
    pub(super) operator: &'static str,
    pub(super) inputs: Vec<String>,
    pub(super) attributes: Vec<AttributeProto>,
}

impl Call {
    pub(super) fn new(operator: &'static str, inputs: Vec<String>) -> Self {
        Self { operator, inputs, attributes: Vec::new() }
    }

    pub(super) fn with(mut self, attribute: AttributeProto) -> Self {
        self.attributes.push(attribute);
        self
    }
}

/// A graph of a file on its way to ONNX.
pub(super) struct Translator<'f> {
    file: &'f Graph<'f>,
    proto: GraphProto,
    /// What each tensor is called, no two alike.
    names: Vec<String>,
    /// The names that are taken, with how often each was asked for.
    taken: HashMap<String, usize>,
    /// How many elements of constants may still be decoded.
    left: Cell<usize>,
    /// The values of each tensor that was computed so far.
    held: Vec<Held>,
    /// The constants that tensors stand for.
    constants: HashMap<usize, usize>,
    /// What parts of the operator at hand are called.
    base: String,
}

impl<'f> Translator<'f> {
    /// # Errors
    /// If an input has elements that no model reads.
    pub(super) fn new(file: &'f Graph<'f>, names: &Names<'f>) -> Result<Self, Vec<Problem>> {
        let mut taken = HashMap::new();
        let mut ends: HashMap<usize, &str> = HashMap::new();
        for &(name, tensor) in names.inputs.iter().chain(&names.outputs) {
            if !name.is_empty() {
                ends.entry(tensor).or_insert(name);
            }
        }
        let names = file.tensors.iter().enumerate().map(|(at, tensor)| {
            let own = ends.get(&at).copied().unwrap_or_else(|| plain_name(tensor.name));
            unique(&mut taken, own)
        });
        let names: Vec<String> = names.collect();
        let mut new = Self {
            file,
            proto: GraphProto { name: file.name.into(), ..Default::default() },
            names,
            taken,
            left: Cell::new(MOST_ELEMENTS),
            held: vec![Held::default(); file.tensors.len()],
            constants: HashMap::new(),
            base: String::new(),
        };
        let problems: Vec<Problem> =
            file.inputs.iter().filter_map(|&at| new.declare_input(at).err()).collect();
        if problems.is_empty() { Ok(new) } else { Err(problems) }
    }

    fn declare_input(&mut self, at: usize) -> Result<(), Problem> {
        let own = self.tensor(at);
        let element = match own.element {
            Ok(element) if element.is_float() || !own.scales.is_empty() => data_type::FLOAT,
            Ok(Element::Int32) => data_type::INT32,
            Ok(Element::Int64) => data_type::INT64,
            Ok(Element::Int8) => data_type::INT8,
            Ok(Element::UInt8) => data_type::UINT8,
            Ok(Element::Int16) => data_type::INT16,
            Ok(Element::Bool) => data_type::BOOL,
            _ => {
                let problem = format!("it has elements of {}", own.element_name());
                let hint = "convert the model with inputs of float32, or of int32 for ids";
                return Err(self.problem(self.names[at].clone(), "input", problem, hint));
            }
        };
        let name = self.names[at].clone();
        self.proto.input.push(typed_value(&name, element, &own.shape));
        self.held[at] = Held::of(Order::Last, name);
        Ok(())
    }

    fn problem(
        &self,
        node: String,
        op: impl Into<String>,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        Problem { node, op: op.into(), problem: problem.into(), hint: hint.into(), blocks: 0 }
    }

    /// Begins an operator, after whose output `output` its parts are named.
    pub(super) fn begin(&mut self, output: usize) {
        self.base = self.names[output].clone();
    }

    /// The problem that the operator at hand, an `op`, is refused; what follows is looked at as if its `outputs`
    /// were there.
    pub(super) fn refused(&mut self, op: String, outputs: &[usize], refusal: Refusal) -> Problem {
        for &output in outputs {
            let name = self.names[output].clone();
            self.held[output] = Held::of(Order::Last, name);
        }
        self.problem(self.base.clone(), op, refusal.problem, refusal.hint)
    }

    /// The whole graph, after all operators, of which `problems` are those that cannot be imported.
    ///
    /// # Errors
    /// These, and the outputs that nothing gives.
    pub(super) fn finish(mut self, mut problems: Vec<Problem>) -> Result<GraphProto, Vec<Problem>> {
        for &output in &self.file.outputs {
            let name = self.names[output].clone();
            self.base = name.clone();
            let value = match self.value(output, Order::Last) {
                Ok(value) => value,
                Err(Refusal { problem, hint }) => {
                    problems.push(self.problem(name, "output", problem, hint));
                    continue;
                }
            };
            if value != name {
                self.push(Call::new("Identity", vec![value]), name.clone(), vec![name.clone()]);
            }
            let shape = &self.tensor(output).shape;
            self.proto.output.push(typed_value(&name, data_type::FLOAT, shape));
        }
        if problems.is_empty() { Ok(self.proto) } else { Err(problems) }
    }

    pub(super) fn tensor(&self, at: usize) -> &'f Tensor<'f> {
        &self.file.tensors[at]
    }

    /// The tensor at a place of an operator's inputs.
    pub(super) fn input(&self, operator: &Operator, place: usize) -> Result<usize, Refusal> {
        optional(operator, place)
            .ok_or_else(|| Refusal::invalid(format!("its input {place} is missing")))
    }

    pub(super) fn output(&self, operator: &Operator) -> Result<usize, Refusal> {
        let output = operator.outputs.first().copied();
        output.ok_or_else(|| Refusal::invalid("it writes no output"))
    }

    /// The constant that a tensor is, if it is one.
    pub(super) fn constant(&self, at: usize) -> Option<&'f Tensor<'f>> {
        let at = self.constants.get(&at).copied().unwrap_or(at);
        Some(self.tensor(at)).filter(|tensor| tensor.is_constant() || tensor.elements() == Some(0))
    }

    /// The elements of a constant.
    pub(super) fn data(&self, at: usize) -> Result<TensorData, Refusal> {
        let Some(constant) = self.constant(at) else {
            let problem = format!("'{}' is computed, expected a constant", self.names[at]);
            return Err(Refusal::new(
                problem,
                "convert a model whose weights and shapes are fixed",
            ));
        };
        let elements = constant.elements().unwrap_or(usize::MAX);
        let Some(left) = self.left.get().checked_sub(elements) else {
            let problem = format!("with it, constants have more than {MOST_ELEMENTS} elements");
            return Err(Refusal::new(problem, "models for microcontrollers are smaller"));
        };
        self.left.set(left);
        decode(constant)
            .map_err(|found| Refusal::new(format!("it reads {found}"), "convert it anew"))
    }

    /// The elements of a constant of real numbers, which may be quantized.
    pub(super) fn real(&self, at: usize) -> Result<TensorData, Refusal> {
        let data = self.data(at)?;
        if data.dtype().is_float() {
            return Ok(data);
        }
        let problem =
            format!("'{}' holds integers without scales, expected weights", self.names[at]);
        Err(Refusal::new(problem, "convert the model again"))
    }

    /// The value of a bias.
    pub(super) fn bias(&mut self, at: usize) -> Result<String, Refusal> {
        if self.constant(at).is_some() {
            self.real(at)?;
        }
        self.value(at, Order::Last)
    }

    /// The elements of a constant of integers.
    pub(super) fn integers_of(&self, at: usize) -> Result<Vec<i64>, Refusal> {
        let data = self.data(at)?;
        if data.dtype().is_float() {
            let problem = format!("'{}' holds real numbers, expected integers", self.names[at]);
            return Err(Refusal::invalid(problem));
        }
        Ok(data.iter::<i64>().collect())
    }

    /// Says that a tensor is the same as another one.
    pub(super) fn alias(&mut self, output: usize, input: usize) {
        match self.constant(input) {
            Some(_) => {
                let input = self.constants.get(&input).copied().unwrap_or(input);
                self.constants.insert(output, input);
            }
            None => self.held[output] = self.held[input].clone(),
        }
    }

    /// Whether a tensor is an image that is held with channels in front alone.
    pub(super) fn is_first(&self, at: usize) -> bool {
        let held = &self.held[at];
        self.tensor(at).shape.len() == 4
            && self.constant(at).is_none()
            && held.get(Order::Last).is_none()
            && held.get(Order::First).is_some()
    }

    /// The order in which operators on single elements best read these tensors.
    pub(super) fn order(&self, tensors: &[usize]) -> Order {
        let image = |&at: &usize| self.tensor(at).shape.len() == 4 || (self.constant(at).is_some());
        let first = tensors.iter().any(|&at| self.is_first(at)) && tensors.iter().all(image);
        if first { Order::First } else { Order::Last }
    }

    /// The value of a tensor in an order; only images have channels in front.
    pub(super) fn value(&mut self, at: usize, order: Order) -> Result<String, Refusal> {
        if let Some(value) = self.held[at].get(order) {
            return Ok(value.clone());
        }
        if self.constant(at).is_some() {
            let data = self.data(at)?;
            let data = match order {
                Order::Last => data,
                Order::First => permuted(&with_axes(data, 4), &TO_FIRST)?,
            };
            let name = self.fresh(&self.names[at].clone());
            self.proto.initializer.push(tensor(&name, &data));
            self.held[at].set(order, name.clone());
            return Ok(name);
        }
        let (other, axes) = match order {
            Order::Last => (Order::First, TO_LAST),
            Order::First => (Order::Last, TO_FIRST),
        };
        let Some(held) = self.held[at].get(other).cloned() else {
            let problem = format!("'{}' is read before it is computed", self.names[at]);
            return Err(Refusal::invalid(problem));
        };
        let shape = &self.tensor(at).shape;
        if shape.len() != 4 {
            let problem = format!("'{}' has {} axes, expected 4", self.names[at], shape.len());
            return Err(Refusal::invalid(problem));
        }
        // The name of an output is kept for the order of the file.
        let name = match order {
            Order::Last if self.file.outputs.contains(&at) => self.names[at].clone(),
            _ => self.fresh(&format!("{}.transposed", self.names[at])),
        };
        let call = Call::new("Transpose", vec![held]).with(ints("perm", axes));
        self.push(call, name.clone(), vec![name.clone()]);
        self.held[at].set(order, name.clone());
        Ok(name)
    }

    /// A constant of integers.
    pub(super) fn integers(&mut self, what: &str, values: &[i64]) -> String {
        self.store(what, &TensorData::new(values.to_vec(), [values.len()]))
    }

    /// A constant.
    pub(super) fn store(&mut self, what: &str, data: &TensorData) -> String {
        let name = self.fresh(&format!("{}.{what}", self.base));
        self.proto.initializer.push(tensor(&name, data));
        name
    }

    /// The value of a node that is a part of the operator at hand.
    pub(super) fn part(&mut self, what: &str, call: Call) -> String {
        let name = self.fresh(&format!("{}.{what}", self.base));
        self.push(call, name.clone(), vec![name.clone()]);
        name
    }

    /// Makes the value of `output` of a node.
    pub(super) fn set(&mut self, output: usize, order: Order, call: Call) {
        let node = self.base.clone();
        let value = self.value_name(output, order);
        self.push(call, node, vec![value]);
    }

    /// As [`Self::set`] for all outputs of a node.
    pub(super) fn set_all(&mut self, outputs: &[usize], order: Order, call: Call) {
        let node = self.base.clone();
        let values = outputs.iter().map(|&output| self.value_name(output, order)).collect();
        self.push(call, node, values);
    }

    /// Makes an existing value that of `output`.
    pub(super) fn is(&mut self, output: usize, order: Order, value: String) {
        self.held[output] = Held::of(order, value);
    }

    fn value_name(&mut self, output: usize, order: Order) -> String {
        let own = self.names[output].clone();
        let value = match order {
            Order::First if self.file.outputs.contains(&output) => {
                self.fresh(&format!("{own}.channels_first"))
            }
            _ => own,
        };
        self.held[output] = Held::of(order, value.clone());
        value
    }

    fn push(&mut self, call: Call, name: String, output: Vec<String>) {
        self.proto.node.push(NodeProto {
            op_type: call.operator.into(),
            name,
            input: call.inputs,
            output,
            attribute: call.attributes,
            ..Default::default()
        });
    }

    fn fresh(&mut self, name: &str) -> String {
        unique(&mut self.taken, name)
    }
}

/// The tensor at a place of an operator's inputs, if there is one.
pub(super) fn optional(operator: &Operator, place: usize) -> Option<usize> {
    operator.inputs.get(place).copied().flatten()
}

/// The elements of `data` with the axis `axes[i]` as its axis `i`.
///
/// # Errors
/// If it has not as many axes.
pub(super) fn permuted(data: &TensorData, axes: &[usize]) -> Result<TensorData, Refusal> {
    let shape: Vec<usize> = data.shape().iter().copied().collect();
    if shape.len() != axes.len() {
        let problem = format!("a constant of {} axes, expected {}", shape.len(), axes.len());
        return Err(Refusal::invalid(problem));
    }
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let turned: Vec<usize> = axes.iter().map(|&axis| shape[axis]).collect();
    let place = |mut at: usize| {
        let mut place = 0;
        for (&axis, &extent) in axes.iter().zip(&turned).rev() {
            place += at % extent * strides[axis];
            at /= extent;
        }
        place
    };
    let count = shape.iter().product();
    if data.dtype().is_float() {
        let values: Vec<f32> = data.iter::<f32>().collect();
        let values = (0..count).map(|at| values[place(at)]).collect::<Vec<f32>>();
        return Ok(TensorData::new(values, turned));
    }
    let values: Vec<i64> = data.iter::<i64>().collect();
    Ok(TensorData::new((0..count).map(|at| values[place(at)]).collect::<Vec<i64>>(), turned))
}

/// The same elements with axes of one in front, if there are fewer than `count`.
fn with_axes(data: TensorData, count: usize) -> TensorData {
    let mut shape: Vec<usize> = data.shape().iter().copied().collect();
    while shape.len() < count {
        shape.insert(0, 1);
    }
    if data.dtype().is_float() {
        return TensorData::new(data.iter::<f32>().collect::<Vec<f32>>(), shape);
    }
    TensorData::new(data.iter::<i64>().collect::<Vec<i64>>(), shape)
}

/// The first of the names that a converter joins, without what it puts around those of inputs.
fn plain_name(name: &str) -> &str {
    let name = name.split(';').next().unwrap_or(name);
    let name = name.strip_prefix("serving_default_").unwrap_or(name);
    let name = name.strip_suffix(":0").unwrap_or(name);
    if name.is_empty() { "tensor" } else { name }
}

/// A name that is not taken yet: this one, or with a number behind it.
fn unique(taken: &mut HashMap<String, usize>, name: &str) -> String {
    let name: String = name.chars().take(LONGEST_NAME).collect();
    let mut candidate = name.clone();
    loop {
        if !taken.contains_key(&candidate) {
            taken.insert(candidate.clone(), 1);
            return candidate;
        }
        let count = taken.entry(name.clone()).or_insert(1);
        *count += 1;
        candidate = format!("{name}_{count}");
    }
}
