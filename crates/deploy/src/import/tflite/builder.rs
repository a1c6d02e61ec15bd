//! The program under construction, and what became of each tensor of the file.

use std::collections::HashSet;

use burn_ptq_kernels::grid::{Grid, signed_range};
use burn_ptq_kernels::multiplier::Multiplier;

use super::budget::Budget;
use super::error::{Problem, Refusal, TfliteImportError};
use super::shapes::three_axes;
use super::values::{End, Value, Variable};
use crate::op::{DType, IntOp};
use crate::program::{Input, IntNode, IntTensor, Output, Program, Provenance, State, TensorId};
use crate::tflite::Element;
use crate::tflite::bytes::Numbers;
use crate::tflite::file::{Graph, MOST_OPERANDS, Operator, Tensor, TfliteFile};
use crate::tflite::schema::Activation;
use crate::verify::LISTED;

/// A program under construction.
pub(super) struct Builder<'a> {
    pub file: &'a TfliteFile<'a>,
    pub graph: &'a Graph<'a>,
    pub budget: Budget,
    pub tensors: Vec<IntTensor>,
    pub nodes: Vec<IntNode>,
    pub inputs: Vec<End>,
    pub variables: Vec<Variable>,
    /// Whether a graph was read that says what variables begin with.
    pub initialized: bool,
    values: Vec<Option<Value>>,
    /// What tensors are called so far.
    named: HashSet<&'a str>,
    problems: Vec<Problem>,
    /// All problems, listed or not.
    count: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(file: &'a TfliteFile<'a>, graph: &'a Graph<'a>) -> Self {
        Self {
            file,
            graph,
            budget: Budget::new(),
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            variables: Vec::new(),
            initialized: false,
            values: vec![None; graph.tensors.len()],
            named: HashSet::new(),
            problems: Vec::new(),
            count: 0,
        }
    }

    /// The program, unless there are problems.
    pub(super) fn finish(
        self,
        inputs: Vec<Input>,
        outputs: Vec<Output>,
        states: Vec<State>,
        provenance: Provenance,
    ) -> Result<Program, TfliteImportError> {
        if self.count > 0 {
            return Err(TfliteImportError::Unsupported {
                problems: self.problems,
                count: self.count,
            });
        }
        Ok(Program {
            name: self.graph.name.to_owned(),
            tensors: self.tensors,
            nodes: self.nodes,
            inputs,
            outputs,
            states,
            loops: Vec::new(),
            provenance,
        })
    }

    /// Adds a problem to the list; what follows from another one is none.
    pub(super) fn note(
        &mut self,
        operator: Option<usize>,
        kind: String,
        name: &str,
        refusal: Refusal,
    ) {
        let Refusal { reason, remedy } = refusal;
        if reason.is_empty() {
            return;
        }
        self.count += 1;
        if self.problems.len() < LISTED {
            let name = crate::printable::clip(name).into_owned();
            let reason = reason.into_owned();
            self.problems.push(Problem { operator, kind, name, reason, remedy });
        }
    }

    /// Notes why the operator at `index` is refused, and lets those after it be looked at too.
    pub(super) fn refuse(&mut self, index: usize, operator: &Operator, refusal: Refusal) {
        let written = operator.outputs.first().map_or("", |&at| self.graph.tensors[at].name);
        self.note(Some(index), operator.name(), written, refusal);
        for &at in &operator.outputs {
            if self.values[at].is_none() && self.write(at).is_err() {
                self.values[at] = Some(Value::Refused);
            }
        }
    }

    /// The tensor of the file at `at`.
    pub(super) fn tensor(&self, at: usize) -> &'a Tensor<'a> {
        &self.graph.tensors[at]
    }

    /// The extents of a tensor of the file.
    pub(super) fn shape(&self, at: usize) -> &'a [usize] {
        &self.graph.tensors[at].shape
    }

    /// The tensor that an operator reads at a place.
    pub(super) fn input(&self, operator: &Operator, place: usize) -> Result<usize, Refusal> {
        self.optional(operator, place)
            .ok_or_else(|| Refusal::new(format!("expected an input at place {place}, found none")))
    }

    /// The same of an input that may be missing.
    pub(super) fn optional(&self, operator: &Operator, place: usize) -> Option<usize> {
        operator.inputs.get(place).copied().flatten()
    }

    /// The only tensor that an operator writes.
    pub(super) fn output(&self, operator: &Operator) -> Result<usize, Refusal> {
        match operator.outputs[..] {
            [output] => Ok(output),
            _ => Err(Refusal::new(format!("expected 1 output, found {}", operator.outputs.len()))),
        }
    }

    /// What a tensor became.
    pub(super) fn value(&self, at: usize) -> Option<&Value> {
        self.values[at].as_ref()
    }

    /// Says what a tensor becomes, once.
    pub(super) fn set(&mut self, at: usize, value: Value) -> Result<(), Refusal> {
        if self.values[at].is_some() || self.tensor(at).is_constant() {
            return Err(Refusal::new("it writes a tensor that is there already"));
        }
        self.values[at] = Some(value);
        Ok(())
    }

    /// The activation that a tensor is: a constant becomes one.
    pub(super) fn activation(&mut self, at: usize) -> Result<TensorId, Refusal> {
        let tensor = self.tensor(at);
        match &self.values[at] {
            Some(Value::Activation(id)) => return Ok(*id),
            Some(Value::Refused) => return Err(follows()),
            Some(Value::Outside(_) | Value::Outward(_)) => {
                return Err(Refusal::lasting(format!(
                    "it reads {} elements, expected int8 or int16: only QUANTIZE and DEQUANTIZE at the ends of \
                     a model may meet them",
                    tensor.element_name()
                )));
            }
            Some(Value::Sequence(_) | Value::Variable(_) | Value::Extents) => {
                return Err(Refusal::lasting(format!(
                    "it reads {} elements without a scale, expected quantized int8 or int16",
                    tensor.element_name()
                )));
            }
            None if !tensor.is_constant() => {
                return Err(Refusal::new("it reads a tensor that no operator before it writes"));
            }
            None => {}
        }
        let own = self.activation_like(at)?;
        let data = self.whole_constant(at)?.to_vec();
        let id = self.add(own);
        self.values[at] = Some(Value::Activation(id));
        let name = self.tensors[id.0].name.clone();
        self.nodes.push(IntNode {
            name,
            op: IntOp::Constant { data },
            inputs: Vec::new(),
            output: id,
        });
        Ok(id)
    }

    /// The bytes of a constant whose elements take whole bytes, all of them.
    pub(super) fn whole_constant(&mut self, at: usize) -> Result<&'a [u8], Refusal> {
        let tensor = self.tensor(at);
        let width = match tensor.element {
            Ok(Element::Int8 | Element::UInt8 | Element::Bool) => 1,
            Ok(Element::Int16) => 2,
            Ok(Element::Int32) => 4,
            Ok(Element::Int64) => 8,
            _ => {
                return Err(Refusal::lasting(format!(
                    "its constant has {} elements",
                    tensor.element_name()
                )));
            }
        };
        let expected = tensor.elements().and_then(|count| count.checked_mul(width));
        if tensor.is_partial || expected != Some(tensor.data.len()) {
            return Err(Refusal::new(format!(
                "its constant has {} bytes in the file, expected all {} elements of shape {:?}",
                tensor.data.len(),
                tensor.element_name(),
                tensor.shape
            )));
        }
        self.budget.take(tensor.data.len())?;
        Ok(tensor.data)
    }

    /// The integers of a constant, at most [`MOST_OPERANDS`].
    pub(super) fn integers(&mut self, at: usize) -> Result<Vec<i64>, Refusal> {
        let tensor = self.tensor(at);
        if !tensor.is_constant() && tensor.elements() == Some(0) {
            return Ok(Vec::new());
        }
        if !tensor.is_constant() {
            return Err(Refusal::lasting(format!(
                "expected constant integers in \"{}\", found computed ones",
                crate::printable::name(tensor.name)
            )));
        }
        let data = self.whole_constant(at)?;
        let numbers: Vec<i64> = match tensor.element {
            Ok(Element::Int32) if data.len() <= 4 * MOST_OPERANDS => {
                Numbers::<i32>::of(data).iter().map(i64::from).collect()
            }
            Ok(Element::Int64) if data.len() <= 8 * MOST_OPERANDS => {
                Numbers::<i64>::of(data).iter().collect()
            }
            _ => {
                return Err(Refusal::lasting(format!(
                    "expected at most {MOST_OPERANDS} integers of 32 or 64 bits, found {} bytes of {}",
                    data.len(),
                    tensor.element_name()
                )));
            }
        };
        Ok(numbers)
    }

    /// An activation with the elements and the grid of a tensor of the file.
    pub(super) fn activation_like(&mut self, at: usize) -> Result<IntTensor, Refusal> {
        let tensor = self.tensor(at);
        let (dtype, bits) = match tensor.element {
            Ok(Element::Int8) => (DType::I8, 8),
            Ok(Element::Int16) => (DType::I16, 16),
            Ok(Element::UInt8) => {
                return Err(Refusal::new(
                    "expected int8 or int16 activations, found uint8 of an older quantization",
                ));
            }
            _ => {
                return Err(Refusal::lasting(format!(
                    "expected int8 or int16 activations, found {}",
                    tensor.element_name()
                )));
            }
        };
        let (scale, zero_point) = self.single_grid(at)?;
        let (min, max) = signed_range(bits, false);
        let zero_point = i32::try_from(zero_point).ok().filter(|point| (min..=max).contains(point));
        let zero_point = zero_point.ok_or_else(|| {
            Refusal::new(format!(
                "expected a zero point from {min} to {max} in \"{}\"",
                self.shown(at)
            ))
        })?;
        let grid = Grid { scale, zero_point, min, max };
        Ok(IntTensor { name: self.name(at)?, shape: three_axes(&tensor.shape)?, dtype, bits, grid })
    }

    /// The only scale and zero point of a tensor.
    pub(super) fn single_grid(&self, at: usize) -> Result<(f32, i64), Refusal> {
        let tensor = self.tensor(at);
        let scale = tensor.scales.get(0).filter(|scale| scale.is_finite() && *scale > 0.0);
        match scale {
            Some(scale) if tensor.scales.len() == 1 => {
                Ok((scale, tensor.zero_points.get(0).unwrap_or(0)))
            }
            _ => Err(Refusal::new(format!(
                "expected one positive scale for \"{}\", found {:?}{}",
                self.shown(at),
                tensor.scales.iter().take(4).collect::<Vec<_>>(),
                if tensor.scales.len() > 4 { " and more" } else { "" }
            ))),
        }
    }

    /// The name of a tensor of the file, for a message.
    pub(super) fn shown(&self, at: usize) -> String {
        crate::printable::name(self.graph.tensors[at].name).into_owned()
    }

    /// The name of a tensor of the file, for the program: the first of those that converters join where they fuse
    /// operators, unless another tensor is called so.
    fn name(&mut self, at: usize) -> Result<String, Refusal> {
        let whole = self.tensor(at).name;
        let first = whole.split_once(';').map_or(whole, |(first, _)| first);
        let name = if self.named.insert(first) { first } else { whole };
        self.budget.take(name.len())?;
        Ok(if name.is_empty() { format!("tensor_{at}") } else { name.to_owned() })
    }

    /// The activation that an operator is about to write.
    pub(super) fn write(&mut self, at: usize) -> Result<TensorId, Refusal> {
        let own = self.activation_like(at)?;
        let id = TensorId(self.tensors.len());
        self.set(at, Value::Activation(id))?;
        Ok(self.add(own))
    }

    /// A further activation.
    pub(super) fn add(&mut self, tensor: IntTensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() - 1)
    }

    /// The activation of an id.
    pub(super) fn of(&self, id: TensorId) -> &IntTensor {
        &self.tensors[id.0]
    }

    /// A node that writes `output`, by the name of that.
    pub(super) fn push(&mut self, op: IntOp, inputs: &[TensorId], output: TensorId) {
        let name = self.tensors[output.0].name.clone();
        self.nodes.push(IntNode { name, op, inputs: inputs.to_vec(), output });
    }

    /// An operator from one activation to another of the file, and both.
    pub(super) fn unary(&mut self, operator: &Operator) -> Result<[TensorId; 2], Refusal> {
        let x = self.activation(self.input(operator, 0)?)?;
        Ok([x, self.write(self.output(operator)?)?])
    }

    /// Checks that a tensor of the file has the shape that an operator gives it.
    pub(super) fn expect_shape(&self, at: usize, shape: &[usize]) -> Result<(), Refusal> {
        match self.shape(at) == shape {
            true => Ok(()),
            false => Err(Refusal::new(format!(
                "expected an output of shape {shape:?}, found {:?}",
                self.shape(at)
            ))),
        }
    }

    /// Checks that two activations have the same type and grid.
    pub(super) fn same_grid(&self, x: TensorId, y: TensorId) -> Result<(), Refusal> {
        let [x, y] = [x, y].map(|id| self.of(id));
        match (x.dtype, x.grid) == (y.dtype, y.grid) {
            true => Ok(()),
            false => Err(Refusal::new(format!(
                "expected one type and grid for its input and output, found {:?} of scale {:?} and zero point {} \
                 and {:?} of {:?} and {}",
                x.dtype, x.grid.scale, x.grid.zero_point, y.dtype, y.grid.scale, y.grid.zero_point
            ))),
        }
    }

    /// Checks that two activations have the same type.
    pub(super) fn same_type(&self, x: TensorId, y: TensorId) -> Result<(), Refusal> {
        match self.of(x).dtype == self.of(y).dtype {
            true => Ok(()),
            false => Err(Refusal::lasting(
                "expected inputs and output of one type, found int8 and int16",
            )),
        }
    }

    /// Checks that an activation has 8 bits.
    pub(super) fn narrow(&self, x: TensorId) -> Result<(), Refusal> {
        match self.of(x).dtype {
            DType::I8 => Ok(()),
            DType::I16 | DType::I4 => {
                Err(Refusal::lasting("expected int8 activations, found int16"))
            }
        }
    }

    /// The bounds of the activation that an operator's options name at `place`.
    pub(super) fn bounds(
        &self,
        operator: &Operator,
        place: usize,
        output: TensorId,
    ) -> Result<burn_ptq_kernels::params::Clamp, Refusal> {
        let code = operator.options.map_or(Ok(0), |options| options.byte(place))?;
        let activation = Activation::of_code(code).ok_or_else(|| {
            Refusal::lasting(format!("expected a fused activation of code 0 to 3, found {code}"))
        })?;
        Ok(activation.bounds(self.of(output).grid))
    }
}

/// The refusal of what follows from another refusal.
pub(super) fn follows() -> Refusal {
    Refusal::new("")
}

/// A multiplier, or the refusal of scales that give none.
pub(super) fn expressible(multiplier: Option<Multiplier>) -> Result<Multiplier, Refusal> {
    multiplier.ok_or_else(|| {
        Refusal::new("its scales are so far apart that no multiplier says their ratio")
    })
}
