//! The graph of a file under construction.

use std::collections::BTreeMap;

use super::flatbuffer::Table;
use super::model::{Operator, Quantization, Tensor, variable};
use super::options;
use crate::op::DType;
use crate::program::{IntTensor, Program, TensorId};
use crate::tflite::schema::{Activation, Builtin, Element, MAXIMUM, MINIMUM, RESHAPE, VAR_HANDLE};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::params::Clamp;

/// Operators that take arrays of any form only along so many axes.
const MOST_AXES: usize = 4;

/// Tensors and operators so far.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub program: &'a Program,
    pub tensors: Vec<Tensor>,
    pub operators: Vec<Operator>,
    /// Bytes of constants; the first are none.
    pub buffers: Vec<Vec<u8>>,
    /// The tensor that holds each of the program's, once it is written.
    values: BTreeMap<TensorId, usize>,
    /// The tensors of the same elements in other shapes.
    reshaped: BTreeMap<(usize, Vec<usize>), usize>,
    /// The node being written.
    pub node: String,
}

impl<'a> Graph<'a> {
    /// A graph of the program's inputs.
    pub(super) fn new(program: &'a Program) -> Self {
        let mut graph = Self {
            program,
            tensors: Vec::new(),
            operators: Vec::new(),
            buffers: vec![Vec::new()],
            values: BTreeMap::new(),
            reshaped: BTreeMap::new(),
            node: String::new(),
        };
        for input in &program.inputs {
            let shape = natural(program.input_tensor(input));
            graph.write(input.tensor, &shape);
        }
        graph
    }

    /// The program's tensor.
    pub(super) fn of(&self, id: TensorId) -> &'a IntTensor {
        &self.program.tensors[id.0]
    }

    fn push(&mut self, tensor: Tensor) -> usize {
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    /// A tensor on the grid of `like` that is none of the program's.
    pub(super) fn temporary(&mut self, like: &IntTensor, shape: &[usize]) -> usize {
        self.push(Tensor {
            name: self.node.clone(),
            shape: shape.to_vec(),
            element: element(like.dtype),
            quantization: Some(quantization(like)),
            buffer: 0,
        })
    }

    /// A tensor of plain integers, which have no scale.
    pub(super) fn numbers(&mut self, shape: &[usize]) -> usize {
        let (name, shape) = (self.node.clone(), shape.to_vec());
        self.push(Tensor { name, shape, element: Element::Int32, quantization: None, buffer: 0 })
    }

    /// The tensor that holds the program's tensor `id`, which a node is about to write.
    pub(super) fn write(&mut self, id: TensorId, shape: &[usize]) -> usize {
        let tensor = self.of(id);
        let at = self.push(Tensor {
            name: tensor.name.clone(),
            shape: shape.to_vec(),
            element: element(tensor.dtype),
            quantization: Some(quantization(tensor)),
            buffer: 0,
        });
        self.values.insert(id, at);
        at
    }

    /// Lets `id` be what `other` is.
    pub(super) fn alias(&mut self, id: TensorId, other: TensorId) {
        let at = self.any(other);
        self.values.insert(id, at);
    }

    /// The program's tensor `id`, in whatever shape it was written.
    pub(super) fn any(&self, id: TensorId) -> usize {
        self.values.get(&id).copied().unwrap_or(0)
    }

    /// The shape of a tensor of the file.
    pub(super) fn shape(&self, at: usize) -> Vec<usize> {
        self.tensors.get(at).map(|tensor| tensor.shape.clone()).unwrap_or_default()
    }

    /// The program's tensor `id` in the shape in which it was written, if that has few enough axes for
    /// every operator.
    pub(super) fn flat(&mut self, id: TensorId) -> usize {
        let at = self.any(id);
        if self.shape(at).len() <= MOST_AXES {
            return at;
        }
        let shape = natural(self.of(id));
        self.read(id, &shape)
    }

    /// The program's tensor `id` in the shape `shape`.
    pub(super) fn read(&mut self, id: TensorId, shape: &[usize]) -> usize {
        let at = self.any(id);
        let Some(tensor) = self.tensors.get(at).cloned() else { return at };
        if tensor.shape == shape {
            return at;
        }
        let key = (at, shape.to_vec());
        if let Some(&known) = self.reshaped.get(&key) {
            return known;
        }
        let constant = tensor.buffer != 0;
        let y = self.push(Tensor { shape: shape.to_vec(), ..tensor });
        // A constant needs no operator to have another shape.
        if !constant {
            let extents: Vec<i32> = shape.iter().map(|&extent| extent as i32).collect();
            let extents = self.integers(&[shape.len()], &extents);
            self.operator(RESHAPE, options::reshape(shape), &[at, extents], y);
        }
        self.reshaped.insert(key, y);
        y
    }

    /// A constant.
    pub(super) fn constant(
        &mut self,
        shape: &[usize],
        element: Element,
        quantization: Option<Quantization>,
        data: Vec<u8>,
    ) -> usize {
        self.buffers.push(data);
        self.push(Tensor {
            name: self.node.clone(),
            shape: shape.to_vec(),
            element,
            quantization,
            buffer: self.buffers.len() - 1,
        })
    }

    /// A constant of 32-bit integers.
    pub(super) fn integers(&mut self, shape: &[usize], numbers: &[i32]) -> usize {
        let data = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.constant(shape, Element::Int32, None, data)
    }

    /// A constant element on the grid of `like`.
    pub(super) fn element(&mut self, like: &IntTensor, value: i32) -> usize {
        let data = value.to_le_bytes().into_iter().take(like.dtype.bytes()).collect();
        self.constant(&[1], element(like.dtype), Some(quantization(like)), data)
    }

    /// Makes the program's tensor `id` a constant.
    pub(super) fn define(&mut self, id: TensorId, data: &[u8]) {
        let tensor = self.of(id);
        let (shape, kind) = (natural(tensor), element(tensor.dtype));
        let at = self.constant(&shape, kind, Some(quantization(tensor)), data.to_vec());
        self.values.insert(id, at);
    }

    /// The bytes of the program's tensor `id`, if it is a constant.
    pub(super) fn constant_bytes(&self, id: TensorId) -> Option<&[u8]> {
        let buffer = self.tensors.get(self.any(id))?.buffer;
        if buffer == 0 { None } else { self.buffers.get(buffer).map(Vec::as_slice) }
    }

    /// Adds an operator.
    pub(super) fn operator(
        &mut self,
        builtin: Builtin,
        options: Table,
        inputs: &[usize],
        output: usize,
    ) {
        self.effect(builtin, options, inputs, Some(output));
    }

    /// Adds an operator that is there for what it does beside its output, if it has one.
    pub(super) fn effect(
        &mut self,
        builtin: Builtin,
        options: Table,
        inputs: &[usize],
        output: Option<usize>,
    ) {
        self.operators.push(Operator { builtin, options, inputs: inputs.to_vec(), output });
    }

    /// The handle of a variable, which an operator gives.
    pub(super) fn handle(&mut self, name: &str) -> usize {
        let handle = self.push(variable(name));
        self.effect(VAR_HANDLE, options::variable(name), &[], Some(handle));
        handle
    }

    /// Lets `operator` write the program's tensor `id` within the bounds `clamp`: it gets the fused
    /// activation and the tensor to write. Where no activation gives the bounds, other operators do.
    pub(super) fn bounded(
        &mut self,
        id: TensorId,
        shape: &[usize],
        clamp: Clamp,
        fused: bool,
        operator: impl FnOnce(&mut Self, Activation, usize),
    ) {
        let output = self.of(id);
        let activation = activation(clamp, output);
        match activation.filter(|&activation| fused || activation == Activation::None) {
            Some(activation) => {
                let y = self.write(id, shape);
                operator(self, activation, y);
            }
            None => {
                let free = self.temporary(output, shape);
                operator(self, Activation::None, free);
                self.limit(free, shape, clamp, id);
            }
        }
    }

    /// Writes `free` within bounds to the program's tensor `id`.
    fn limit(&mut self, free: usize, shape: &[usize], clamp: Clamp, id: TensorId) {
        let output = self.of(id);
        let (min, max) = range(output.dtype);
        let limits = [(MAXIMUM, clamp.min, min), (MINIMUM, clamp.max, max)];
        let acting: Vec<(Builtin, i32)> = limits
            .into_iter()
            .filter(|(_, limit, reached)| limit != reached)
            .map(|(builtin, limit, _)| (builtin, limit))
            .collect();
        let mut x = free;
        for (index, &(builtin, limit)) in acting.iter().enumerate() {
            let last = index + 1 == acting.len();
            let y = if last { self.write(id, shape) } else { self.temporary(output, shape) };
            let limit = self.element(output, limit);
            self.operator(builtin, options::none(), &[x, limit], y);
            x = y;
        }
    }
}

/// The shape in which the ends of a file have a tensor: a batch of one, and no axes of extent 1 around a
/// vector.
pub(super) fn natural(tensor: &IntTensor) -> Vec<usize> {
    match tensor.shape {
        [1, 1, features] => vec![1, features],
        shape => with_batch(shape).to_vec(),
    }
}

pub(super) fn with_batch(shape: [usize; 3]) -> [usize; 4] {
    let [height, width, channels] = shape;
    [1, height, width, channels]
}

pub(super) fn element(dtype: DType) -> Element {
    match dtype {
        DType::I8 | DType::I4 => Element::Int8,
        DType::I16 => Element::Int16,
    }
}

pub(super) fn quantization(tensor: &IntTensor) -> Quantization {
    let Grid { scale, zero_point, .. } = tensor.grid;
    Quantization { scales: vec![scale], zero_points: vec![i64::from(zero_point)], axis: 0 }
}

/// The smallest and largest element that a tensor's type holds.
fn range(dtype: DType) -> (i32, i32) {
    match dtype {
        DType::I8 | DType::I4 => (i32::from(i8::MIN), i32::from(i8::MAX)),
        DType::I16 => (i32::from(i16::MIN), i32::from(i16::MAX)),
    }
}

/// The fused activation that leads to `clamp`.
fn activation(clamp: Clamp, output: &IntTensor) -> Option<Activation> {
    let (min, max) = range(output.dtype);
    let grid = Grid { min, max, ..output.grid };
    Activation::ALL.into_iter().find(|activation| activation.bounds(grid) == clamp)
}
