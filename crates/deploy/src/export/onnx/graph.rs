//! The graph of a file under construction.
//!
//! Every activation of the program is a value of integers, which `QuantizeLinear` or an operator on
//! integers writes; operators on floats read it through `DequantizeLinear`.

use std::collections::BTreeMap;

use burn_ptq_kernels::grid::{Grid, signed_range};
use burn_ptq_kernels::params::Clamp;

use super::form::{Form, Move};
use super::names::Names;
use super::schema::{Attribute, Element, Node, Tensor, integer, integers};
use crate::op::{DType, IntOp};
use crate::program::{IntTensor, Program, TensorId};
use crate::run::tensor_integers;

/// Operators and constants so far.
#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub program: &'a Program,
    pub nodes: Vec<Node>,
    pub constants: Vec<Tensor>,
    /// The node of the program that is being written.
    pub node: String,
    /// Names of values and constants.
    values: Names,
    /// Names of operators.
    operators: Names,
    /// The value of integers that holds each activation, once it is written, and its form.
    held: BTreeMap<TensorId, (String, Form)>,
    /// The same in other forms.
    moved: BTreeMap<(TensorId, Form), String>,
    /// The same as floats.
    floats: BTreeMap<String, String>,
    /// The names of scales and zero points.
    grids: BTreeMap<TensorId, [String; 2]>,
    /// Whether there are constants of 2 bits.
    pub needs_int2: bool,
    /// The names of constants that are extents.
    extents: BTreeMap<Vec<usize>, String>,
}

impl<'a> Graph<'a> {
    /// An empty graph, in which no value is called as one of `ends`.
    pub(super) fn new(program: &'a Program, ends: Names) -> Self {
        Self {
            program,
            nodes: Vec::new(),
            constants: Vec::new(),
            node: String::new(),
            values: ends,
            operators: Names::default(),
            held: BTreeMap::new(),
            moved: BTreeMap::new(),
            floats: BTreeMap::new(),
            grids: BTreeMap::new(),
            needs_int2: false,
            extents: BTreeMap::new(),
        }
    }

    /// The program's tensor.
    pub(super) fn of(&self, id: TensorId) -> &'a IntTensor {
        &self.program.tensors[id.0]
    }

    /// The bytes of an activation that is a constant.
    pub(super) fn constant_bytes(&self, id: TensorId) -> Option<&'a [u8]> {
        self.program.nodes.iter().filter(|node| node.output == id).find_map(|node| match &node.op {
            IntOp::Constant { data } => Some(data.as_slice()),
            _ => None,
        })
    }

    /// A name of a value that no other has.
    fn value(&mut self, wanted: &str) -> String {
        self.values.unique(wanted)
    }

    /// Adds an operator with the outputs `outputs`, called as `name` if that is free.
    fn push(
        &mut self,
        name: &str,
        operator: &'static str,
        inputs: Vec<String>,
        outputs: Vec<String>,
        attributes: Vec<Attribute>,
    ) {
        let name = self.operators.unique(name);
        self.nodes.push(Node { name, operator, inputs, outputs, attributes });
    }

    /// Adds an operator; its output's name. The first operator of a node has the node's name.
    pub(super) fn operator(
        &mut self,
        operator: &'static str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let node = self.node.clone();
        let taken = node.is_empty() || self.operators.contains(&node);
        let name = if taken { format!("{node}_{operator}") } else { node };
        let output = self.value(&format!("{name}_output"));
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.push(&name, operator, inputs, vec![output.clone()], attributes);
        output
    }

    /// Adds an operator that prepares what the node reads, called after what it gives.
    pub(super) fn helper(
        &mut self,
        operator: &'static str,
        what: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        let output = self.value(&format!("{}_{what}", self.node));
        let inputs = inputs.iter().map(|&input| input.to_owned()).collect();
        self.push(
            &format!("{output}_{operator}"),
            operator,
            inputs,
            vec![output.clone()],
            attributes,
        );
        output
    }

    /// Lets the last operator have another output before or behind its own.
    pub(super) fn spare_output(&mut self, before: bool) {
        let output = self.value(&format!("{}_unread", self.node));
        if let Some(last) = self.nodes.last_mut() {
            last.outputs.insert(if before { 0 } else { last.outputs.len() }, output);
        }
    }

    /// Lets the last operator call its output, which `value` is, as `wanted` if that is free.
    fn rename(&mut self, value: String, wanted: &str) -> String {
        let Some(last) = self.nodes.last_mut() else { return value };
        let Some(output) = last.outputs.iter_mut().find(|output| **output == value) else {
            return value;
        };
        self.values.remove(&value);
        let name = self.values.unique(wanted);
        output.clone_from(&name);
        name
    }

    /// Adds a constant.
    pub(super) fn constant(
        &mut self,
        name: &str,
        element: Element,
        shape: &[usize],
        data: Vec<u8>,
    ) -> String {
        let name = self.value(name);
        self.constants.push(Tensor { name: name.clone(), element, shape: shape.to_vec(), data });
        name
    }

    /// Adds a constant of the node, called after what it is.
    pub(super) fn own_constant(
        &mut self,
        what: &str,
        element: Element,
        shape: &[usize],
        data: Vec<u8>,
    ) -> String {
        let name = format!("{}_{what}", self.node);
        self.constant(&name, element, shape, data)
    }

    /// Adds floats.
    pub(super) fn reals(&mut self, what: &str, shape: &[usize], values: &[f32]) -> String {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.own_constant(what, Element::Float, shape, data)
    }

    /// Adds one float.
    pub(super) fn real(&mut self, what: &str, value: f32) -> String {
        self.reals(what, &[], &[value])
    }

    /// Adds a list of integers, as operators take extents and axes.
    pub(super) fn list(&mut self, what: &str, values: &[i64]) -> String {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.own_constant(what, Element::Int64, &[values.len()], data)
    }

    /// Adds one 32-bit integer.
    pub(super) fn number(&mut self, what: &str, value: i32) -> String {
        self.own_constant(what, Element::Int32, &[], value.to_le_bytes().to_vec())
    }

    /// Adds one element of the type of `like`.
    pub(super) fn element(&mut self, what: &str, like: &IntTensor, value: i32) -> String {
        let data = value.to_le_bytes().into_iter().take(like.dtype.bytes()).collect();
        self.own_constant(what, element(like.dtype), &[], data)
    }

    /// The names of the scale and the zero point of an activation.
    pub(super) fn grid(&mut self, id: TensorId) -> [String; 2] {
        let tensor = self.of(id);
        if let Some(known) = self.grids.get(&id) {
            return known.clone();
        }
        let Grid { scale, zero_point, .. } = tensor.grid;
        let name = |what: &str| format!("{}_{what}", tensor.name);
        let bytes = zero_point.to_le_bytes().into_iter().take(tensor.dtype.bytes()).collect();
        let names = [
            self.constant(&name("scale"), Element::Float, &[], scale.to_le_bytes().to_vec()),
            self.constant(&name("zero_point"), element(tensor.dtype), &[], bytes),
        ];
        self.grids.insert(id, names.clone());
        names
    }

    /// The form in which an activation is there.
    pub(super) fn form(&self, id: TensorId) -> Form {
        let tensor = self.of(id);
        let held = self.held.get(&id).map(|(_, form)| form.clone());
        // Rows may be samples.
        held.filter(|form| form.len() == tensor.len()).unwrap_or_else(|| Form::of(tensor))
    }

    /// Lets a value of integers be the activation.
    pub(super) fn hold(&mut self, id: TensorId, value: String, form: Form) {
        self.held.insert(id, (value, form));
    }

    /// Lets `id` be what `other` is, in the form that `form` makes of its own.
    pub(super) fn alias(&mut self, id: TensorId, other: TensorId, form: impl FnOnce(Form) -> Form) {
        if let Some((value, own)) = self.held.get(&other).cloned() {
            self.held.insert(id, (value, form(own)));
        }
    }

    /// The activation as integers.
    pub(super) fn integers(&mut self, id: TensorId, form: &Form) -> String {
        let Some((value, own)) = self.held.get(&id).cloned() else { return String::new() };
        let moves = own.moves(form);
        if moves.is_empty() {
            return value;
        }
        let key = (id, form.clone());
        if let Some(known) = self.moved.get(&key) {
            return known.clone();
        }
        let moved = self.moved(value, &moves);
        self.moved.insert(key, moved.clone());
        moved
    }

    /// `value`, moved.
    pub(super) fn moved(&mut self, value: String, moves: &[Move]) -> String {
        let mut moved = value.clone();
        for own in moves {
            let output = self.value(&format!("{value}_moved"));
            let (operator, inputs, attributes) = match own {
                Move::Reshape(shape) => {
                    let shape = self.extents(shape);
                    ("Reshape", vec![moved, shape], Vec::new())
                }
                Move::Transpose(axes) => {
                    let axes = std::iter::once(0).chain(axes.iter().map(|axis| axis + 1));
                    ("Transpose", vec![moved], vec![integers("perm", axes)])
                }
            };
            let name = format!("{value}_{operator}");
            self.push(&name, operator, inputs, vec![output.clone()], attributes);
            moved = output;
        }
        moved
    }

    /// The constant of extents behind the batch axis.
    fn extents(&mut self, shape: &[usize]) -> String {
        if let Some(known) = self.extents.get(shape) {
            return known.clone();
        }
        let data = std::iter::once(-1).chain(shape.iter().map(|&axis| axis as i64));
        let data = data.flat_map(|extent: i64| extent.to_le_bytes()).collect();
        let words: Vec<String> = shape.iter().map(usize::to_string).collect();
        let name = format!("shape_{}", words.join("x"));
        let name = self.constant(&name, Element::Int64, &[shape.len() + 1], data);
        self.extents.insert(shape.to_vec(), name.clone());
        name
    }

    /// The activation as floats.
    pub(super) fn float(&mut self, id: TensorId, form: &Form) -> String {
        if let Some(float) = self.float_of_constant(id, form) {
            return float;
        }
        let value = self.integers(id, form);
        self.dequantized(id, value)
    }

    /// A constant activation as floats: ONNX Runtime's optimizer fails where several operators read what
    /// `DequantizeLinear` makes of a constant (1.32, with `session.x64quantprecision`).
    fn float_of_constant(&mut self, id: TensorId, form: &Form) -> Option<String> {
        let (value, own) = self.held.get(&id).cloned()?;
        let key = format!("{value} as {form:?}");
        if let Some(known) = self.floats.get(&key) {
            return Some(known.clone());
        }
        let constant = self.constants.iter().find(|constant| constant.name == value)?;
        let (shape, data) = (constant.shape.clone(), constant.data.clone());
        let tensor = self.of(id);
        let reals = tensor_integers(tensor, &data).map(|q| tensor.grid.dequantize(q));
        let reals = reals.flat_map(f32::to_le_bytes).collect();
        let stem = value.strip_suffix(QUANTIZED).unwrap_or(&value).to_owned();
        let float = self.constant(&format!("{stem}_float"), Element::Float, &shape, reals);
        let float = self.moved(float, &own.moves(form));
        self.floats.insert(key, float.clone());
        Some(float)
    }

    /// Integers on the grid of `id`, surrounded by copies of `around`, as floats; `pads` are of all axes before
    /// them, then behind them.
    pub(super) fn padded(
        &mut self,
        id: TensorId,
        value: String,
        pads: &[i64; 8],
        around: i32,
    ) -> String {
        let tensor = self.of(id);
        let pads = self.list("pads", pads);
        if tensor.dtype == DType::I16 {
            // ONNX Runtime has no such operator on them.
            let value = self.dequantized(id, value);
            let around = self.real("around", tensor.grid.dequantize(around));
            return self.helper("Pad", "padded", &[&value, &pads, &around], Vec::new());
        }
        let around = self.element("around", tensor, around);
        let value = self.helper("Pad", "padded", &[&value, &pads, &around], Vec::new());
        self.dequantized(id, value)
    }

    /// Integers on the grid of `id` as floats.
    pub(super) fn dequantized(&mut self, id: TensorId, value: String) -> String {
        if let Some(known) = self.floats.get(&value) {
            return known.clone();
        }
        let stem = value.strip_suffix(QUANTIZED).unwrap_or(&value).to_owned();
        let output = self.value(&format!("{stem}_dequantized"));
        self.dequantize(id, value.clone(), output.clone());
        self.floats.insert(value, output.clone());
        output
    }

    /// Writes integers on the grid of `id` as floats to `output`.
    pub(super) fn dequantize(&mut self, id: TensorId, value: String, output: String) {
        let [scale, zero_point] = self.grid(id);
        let (name, inputs) = (format!("{output}_DequantizeLinear"), vec![value, scale, zero_point]);
        self.push(&name, "DequantizeLinear", inputs, vec![output], Vec::new());
    }

    /// Constant integers with scales along an axis, as floats; with zero points of 8 bits if `zeros`.
    pub(super) fn dequantized_constant(
        &mut self,
        what: &str,
        value: String,
        scales: &[f32],
        axis: usize,
        zeros: bool,
    ) -> String {
        let data = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let (shape, attributes): (&[usize], _) = match scales {
            [_] => (&[], Vec::new()),
            _ => (&[scales.len()], vec![integer("axis", axis as i64)]),
        };
        let mut inputs = vec![value];
        inputs.push(self.own_constant(&format!("{what}_scale"), Element::Float, shape, data));
        if zeros {
            // ONNX Runtime takes no others where it moves both sides of a product to unsigned bytes.
            let (name, data) = (format!("{what}_zero_point"), vec![0; scales.len()]);
            inputs.push(self.own_constant(&name, Element::Int8, shape, data));
        }
        let output = self.value(&format!("{}_{what}_dequantized", self.node));
        let name = format!("{output}_DequantizeLinear");
        self.push(&name, "DequantizeLinear", inputs, vec![output.clone()], attributes);
        output
    }

    /// Lets floats be the program's tensor `id`, within `clamp`.
    pub(super) fn write(&mut self, id: TensorId, value: String, form: Form, clamp: Clamp) {
        let tensor = self.of(id);
        let value = self.rename(value, &tensor.name);
        let value = self.limited(tensor, value, clamp);
        let output = self.quantized(id, value);
        self.hold(id, output, form);
    }

    /// The same of a value on the grid of `id`, with the bounds behind `QuantizeLinear` where it gives 8 bits:
    /// ONNX Runtime mistakes types where it moves that over operators that only move elements.
    pub(super) fn write_moved(&mut self, id: TensorId, value: String, form: Form, clamp: Clamp) {
        let tensor = self.of(id);
        if tensor.dtype == DType::I16 {
            return self.write(id, value, form, clamp);
        }
        let value = self.rename(value, &tensor.name);
        let value = self.quantized(id, value);
        if clamp == whole(tensor) {
            self.hold(id, value, form);
        } else {
            self.write_limited(id, value, form, clamp);
        }
    }

    /// Floats as integers on the grid of `id`.
    fn quantized(&mut self, id: TensorId, value: String) -> String {
        let tensor = self.of(id);
        let [scale, zero_point] = self.grid(id);
        let output = self.value(&format!("{}{QUANTIZED}", tensor.name));
        let name = format!("{}_QuantizeLinear", tensor.name);
        let inputs = vec![value, scale, zero_point];
        self.push(&name, "QuantizeLinear", inputs, vec![output.clone()], Vec::new());
        output
    }

    /// Lets integers that saturate at the ends of their type be the program's tensor `id`, within `clamp`.
    pub(super) fn write_limited(&mut self, id: TensorId, value: String, form: Form, clamp: Clamp) {
        let tensor = self.of(id);
        let mut value = value;
        if clamp != whole(tensor) {
            let [low, high] = [("lowest", clamp.min), ("highest", clamp.max)]
                .map(|(what, limit)| self.element(what, tensor, limit));
            value = self.operator("Clip", &[&value, &low, &high], Vec::new());
        }
        self.write_integers(id, value, form);
    }

    /// Lets integers be the program's tensor `id`.
    pub(super) fn write_integers(&mut self, id: TensorId, value: String, form: Form) {
        let wanted = format!("{}{QUANTIZED}", self.of(id).name);
        let value = self.rename(value, &wanted);
        self.hold(id, value, form);
    }

    /// Floats within bounds, where these are narrower than what saturates anyway.
    fn limited(&mut self, tensor: &IntTensor, value: String, clamp: Clamp) -> String {
        let whole = whole(tensor);
        if clamp == whole {
            return value;
        }
        let name = format!("{}_limited", tensor.name);
        if clamp.max == whole.max && clamp.min == tensor.grid.zero_point {
            let output = self.value(&name);
            self.push(&name, "Relu", vec![value], vec![output.clone()], Vec::new());
            return output;
        }
        let [low, high] = [("lowest", clamp.min), ("highest", clamp.max)].map(|(what, limit)| {
            let data = tensor.grid.dequantize(limit).to_le_bytes().to_vec();
            self.constant(&format!("{}_{what}", tensor.name), Element::Float, &[], data)
        });
        let output = self.value(&name);
        self.push(&name, "Clip", vec![value, low, high], vec![output.clone()], Vec::new());
        output
    }
}

/// What the values of integers are called behind the names of activations.
const QUANTIZED: &str = "_quantized";

/// The range of a tensor's type, at whose ends `QuantizeLinear` saturates.
pub(super) fn whole(tensor: &IntTensor) -> Clamp {
    let (min, max) = signed_range(8 * tensor.dtype.bytes() as u8, false);
    Clamp { min, max }
}

pub(super) const fn element(dtype: DType) -> Element {
    match dtype {
        DType::I8 | DType::I4 => Element::Int8,
        DType::I16 => Element::Int16,
    }
}
