//! What one node adds to the network's source file: its constants and its calls.

mod tables;
mod weighted;

use burn_ptq_kernels::geometry::PoolGeometry;
use burn_ptq_kernels::params::{AddParams, Clamp, Selection, Strides};

use super::literals::{
    array, array_literal, field, full_clamp, geometry, multiplier, pair, short_multiplier,
    window_field,
};
use super::movement;
use crate::export::shared::packing::pack_dsp;
use crate::movement::MoveAxis;
use crate::op::{BinaryFunction, Broadcast, DType, IntOp, Weighted};
use crate::place::kernels::{biases, chosen, packed_bits};
use crate::place::{Placed, Region};
use crate::program::{IntNode, IntTensor, TensorId};
use crate::target::Kernels;

/// What one node adds to the file.
pub(super) struct Printed {
    pub(super) constants: String,
    pub(super) calls: String,
}

/// Prints one node.
pub(super) struct Printer<'a> {
    pub(super) program: &'a Placed,
    pub(super) index: usize,
    pub(super) node: &'a IntNode,
    pub(super) id: &'a str,
    /// Whether a call computes the row that `step` says.
    pub(super) by_rows: bool,
}

/// What a call reads or writes.
#[derive(Clone, Copy)]
enum Place {
    Input(usize),
    Output,
    Scratch,
}

impl Printer<'_> {
    pub(super) fn print(&self) -> Printed {
        let zero_points = || self.zero_points();
        match &self.node.op {
            IntOp::Conv2d { geometry: g, weighted } => {
                let fields = [
                    field("input", pair(g.input)),
                    field("output", pair(g.output)),
                    field("in_channels", g.in_channels),
                    field("out_channels", g.out_channels),
                    field("groups", g.groups),
                    window_field(g.window),
                ];
                self.layer("conv2d", Some(("ConvGeometry", &fields)), &self.geometry(), weighted)
            }
            IntOp::TransposeConv2d { geometry: g, weighted } => {
                let fields = [
                    field("input", pair(g.input)),
                    field("output", pair(g.output)),
                    field("in_channels", g.in_channels),
                    field("out_channels", g.out_channels),
                    field("groups", g.groups),
                    window_field(g.window),
                ];
                let geometry = Some(("TransposeConvGeometry", &fields[..]));
                self.layer("transpose_conv2d", geometry, &self.geometry(), weighted)
            }
            IntOp::DepthwiseConv2d { geometry: g, weighted } => {
                let fields = [
                    field("input", pair(g.input)),
                    field("output", pair(g.output)),
                    field("channels", g.channels),
                    field("multiplier", g.multiplier),
                    window_field(g.window),
                ];
                let geometry = Some(("DepthwiseGeometry", &fields[..]));
                self.layer("depthwise_conv2d", geometry, &self.geometry(), weighted)
            }
            IntOp::FullyConnected { in_features, out_features, weighted, .. } => {
                let extents = format!("{in_features}, {out_features}");
                self.layer("fully_connected", None, &extents, weighted)
            }
            IntOp::Add { params, broadcast, clamp } => {
                let clamp = full_clamp(*clamp);
                let own = format!("&nodes::{}::ADD, {}, {clamp}", self.id, zero_points());
                let constants = sum_parameters("ADD", *params);
                match broadcast {
                    Broadcast::Shapes { .. } => {
                        self.strided("add_strided", Some(&own), constants, *broadcast)
                    }
                    _ => self.binary("add", &own, constants),
                }
            }
            IntOp::Mul { multiplier: factor, broadcast, clamp } => {
                let clamp = full_clamp(*clamp);
                let own = format!("{}, {}, {clamp}", multiplier(*factor), zero_points());
                match broadcast {
                    Broadcast::Shapes { .. } => {
                        self.strided("mul_strided", Some(&own), String::new(), *broadcast)
                    }
                    _ => self.binary("mul", &own, String::new()),
                }
            }
            IntOp::Binary { function, broadcast, clamp } => {
                let own = |parameters: &str| {
                    let clamp = full_clamp(*clamp);
                    format!("{parameters}, {}, {clamp}", zero_points())
                };
                let id = self.id;
                let (name, own, constants) = match function {
                    BinaryFunction::Sub(params) => {
                        let own = own(&format!("&nodes::{id}::SUB"));
                        ("sub", Some(own), sum_parameters("SUB", *params))
                    }
                    BinaryFunction::Div(factor) => {
                        ("div", Some(own(&multiplier(*factor))), String::new())
                    }
                    BinaryFunction::Prelu(params) => {
                        let own = own(&format!("&nodes::{id}::PRELU"));
                        let path = "burn_ptq_kernels::params::PreluParams";
                        let constants = format!(
                            "pub static PRELU: {path} = {path} {{\n    positive: {},\n    \
                             negative: {},\n}};\n",
                            multiplier(params.positive),
                            multiplier(params.negative)
                        );
                        ("prelu", Some(own), constants)
                    }
                    BinaryFunction::Minimum => ("minimum", None, String::new()),
                    BinaryFunction::Maximum => ("maximum", None, String::new()),
                };
                self.strided(name, own.as_deref(), constants, *broadcast)
            }
            IntOp::AveragePool { geometry, clamp } => self.pool("average_pool", geometry, *clamp),
            IntOp::MaxPool { geometry, clamp } => self.pool("max_pool", geometry, *clamp),
            IntOp::Table8 { table } => self.table("table_lookup8", "i8", table),
            IntOp::Table16 { table } => self.table("table_lookup16", "i16", table),
            IntOp::Gate { params } => {
                let own = format!(
                    "burn_ptq_kernels::params::GateParams {{ function: \
                     burn_ptq_kernels::params::GateFunction::{:?}, multiplier: {}, shift: {} }}",
                    params.function, params.multiplier, params.shift
                );
                self.replacing("gate16", &own, String::new())
            }
            IntOp::Softmax { depth, input_multiplier, diff_min, .. } => {
                let own = format!("{depth}, {}, {diff_min}", multiplier(*input_multiplier));
                self.unary("softmax", &own, String::new())
            }
            IntOp::LogSoftmax { depth, exponentials, input_multiplier, .. } => {
                let constants = array("EXPONENTIALS", "u32", exponentials);
                let own = format!(
                    "{depth}, &nodes::{}::EXPONENTIALS, {}, {}",
                    self.id,
                    multiplier(*input_multiplier),
                    self.output().log_softmax_integer_bits()
                );
                self.unary("log_softmax", &own, constants)
            }
            IntOp::Requantize { multiplier: factor, clamp } => {
                let own =
                    format!("{}, {}, {}", multiplier(*factor), zero_points(), full_clamp(*clamp));
                self.replacing("requantize", &own, String::new())
            }
            IntOp::Concat { chunks, .. } => self.concat(chunks),
            IntOp::Pad { input, before, after, value } => {
                let value = match self.output().dtype {
                    DType::I8 | DType::I4 => value.to_string(),
                    DType::I16 => {
                        let [low, high] = (*value as i16).to_le_bytes().map(|byte| byte as i8);
                        format!("[{low}, {high}]")
                    }
                };
                let own = format!("{input:?}, {before:?}, {after:?}, {value}");
                self.unary("pad", &own, String::new())
            }
            IntOp::Transpose { input, axes } => {
                self.unary("transpose", &format!("{input:?}, {axes:?}"), String::new())
            }
            IntOp::Rearrange { first, axes } => self.rearrange(*first, axes),
            IntOp::ResizeLinear { input, rows, columns } => {
                let constants = array("ROWS", "u32", rows) + &array("COLUMNS", "u32", columns);
                let own = format!("{input:?}, &nodes::{0}::ROWS, &nodes::{0}::COLUMNS", self.id);
                self.unary("resize_linear", &own, constants)
            }
            IntOp::Pack => self.unary("pack_nibbles", "", String::new()),
            IntOp::Unpack => self.unary("unpack_nibbles", "", String::new()),
            IntOp::BatchMatMul { geometry, multiplier, clamp } => {
                self.batch_matmul(geometry, *multiplier, *clamp)
            }
            IntOp::Reduce { reduction, reduced, inner, multiplier: factor, clamp, .. } => {
                let own = format!(
                    "burn_ptq_kernels::params::Reduction::{reduction:?}, [{reduced}, {inner}], {}, \
                     {}, {}",
                    multiplier(*factor),
                    zero_points(),
                    full_clamp(*clamp)
                );
                self.unary("reduce", &own, String::new())
            }
            IntOp::Normalize { geometry: g, params, affine, clamp } => {
                self.normalize(g, params, affine.as_ref(), *clamp)
            }
            IntOp::Lookup8 { width, table } => self.lookup(*width, "i8", table),
            IntOp::Lookup16 { width, table } => self.lookup(*width, "i16", table),
            IntOp::TopK { selection, depth, k, .. } => {
                let Selection { smallest, last, indices } = selection;
                let own = format!(
                    "burn_ptq_kernels::params::Selection {{ smallest: {smallest}, last: {last}, \
                     indices: {indices} }}, {depth}, {k}"
                );
                self.unary("top_k", &own, String::new())
            }
            IntOp::Constant { data } => self.constant(data),
            IntOp::Step { put, reverse } => self.step(*put, *reverse),
        }
    }

    fn input(&self, index: usize) -> &IntTensor {
        &self.program.tensors[self.node.inputs[index].0]
    }

    fn output(&self) -> &IntTensor {
        &self.program.tensors[self.node.output.0]
    }

    /// Those of all inputs and of the output.
    pub(super) fn zero_points(&self) -> String {
        let ids = self.node.inputs.iter().chain([&self.node.output]);
        let points: Vec<i32> = ids.map(|id| self.program.tensors[id.0].grid.zero_point).collect();
        format!("{points:?}")
    }

    /// A reference to the shapes.
    pub(super) fn geometry(&self) -> String {
        let row = if self.by_rows { ".row(step.inputs[0])" } else { "" };
        format!("&nodes::{}::GEOMETRY{row}", self.id)
    }

    /// Whether the output overwrites the first input.
    fn in_place(&self) -> bool {
        let Some(&input) = self.node.inputs.first() else { return false };
        !self.by_rows && self.program.offset(self.node.output) == self.program.offset(input)
    }

    /// First byte and end of `place`, as an expression.
    fn range(&self, place: Place) -> String {
        let whole = |Region { offset, bytes }| format!("[{offset}, {}]", offset + bytes);
        let tensor = |id: TensorId| {
            let range = self.program.range(id);
            whole(Region { offset: range.start, bytes: range.len() })
        };
        let rows = |rows: &str, id: TensorId| {
            let bytes = self.program.tensors[id.0].row_bytes();
            format!("rows({rows}, {}, {bytes})", self.program.offset(id))
        };
        match place {
            Place::Input(index) if self.by_rows && index < self.node.op.inputs_by_rows() => {
                rows(&format!("step.inputs[{index}]"), self.node.inputs[index])
            }
            Place::Input(index) => tensor(self.node.inputs[index]),
            Place::Output if self.by_rows => rows("step.output()", self.node.output),
            Place::Output => tensor(self.node.output),
            Place::Scratch => whole(self.program.scratch(self.index)),
        }
    }

    /// `let [...] = parts(...);` for parts of the arena by name.
    fn parts(&self, parts: &[(&str, Place)]) -> String {
        let names: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        let places: Vec<String> = parts.iter().map(|&(_, place)| self.range(place)).collect();
        let (names, places) = (names.join(", "), places.join(", "));
        match self.by_rows {
            true => format!("let [{names}] = parts(arena, [{places}]);\n"),
            false => {
                format!("let [{names}] = parts(arena, const {{ disjoint([{places}]) }});\n")
            }
        }
    }

    /// A call of the reference kernel `function` from one input to the output.
    pub(super) fn unary(&self, function: &str, own: &str, constants: String) -> Printed {
        let parts = self.parts(&[("x", Place::Input(0)), ("y", Place::Output)]);
        let (x, y) = (elements("x", self.input(0)), elements("y", self.output()));
        let arguments = [own, &x, &y];
        let arguments = &arguments[usize::from(own.is_empty())..];
        let call = call(&format!("reference::{function}"), arguments);
        Printed { constants, calls: parts + &call }
    }

    /// The same for an operation that may write over its input.
    fn replacing(&self, function: &str, own: &str, constants: String) -> Printed {
        if !self.in_place() {
            return self.unary(function, own, constants);
        }
        let parts = self.parts(&[("y", Place::Output)]);
        let y = elements("y", self.output());
        let call = call(&format!("reference::{function}_in_place"), &[own, &y]);
        Printed { constants, calls: parts + &call }
    }

    /// The same for two inputs, of which either may repeat.
    fn strided(
        &self,
        function: &str,
        own: Option<&str>,
        constants: String,
        broadcast: Broadcast,
    ) -> Printed {
        let [height, width, channels] = self.output().shape;
        let length = width * channels * if self.by_rows { 1 } else { height };
        let Strides { extents, a, b } = broadcast.strides(length, self.input(1).len());
        let path = "burn_ptq_kernels::params::Strides";
        let strides = format!(
            "pub static STRIDES: {path} = {path} {{\n    extents: {extents:?},\n    a: {a:?},\n    \
             b: {b:?},\n}};\n"
        );
        let reference = format!("&nodes::{}::STRIDES", self.id);
        let own = own.map_or(reference.clone(), |own| format!("{own}, {reference}"));
        self.binary(function, &own, constants + &strides)
    }

    /// The same for two inputs.
    pub(super) fn binary(&self, function: &str, own: &str, constants: String) -> Printed {
        let (a, b, y) = (self.input(0), self.input(1), self.output());
        let kernel = format!("reference::{function}");
        let elements_of = [("a", a), ("b", b), ("y", y)].map(|(name, x)| elements(name, x));
        let [of_a, of_b, of_y] = elements_of.each_ref().map(String::as_str);
        let calls = if self.in_place() {
            self.parts(&[("b", Place::Input(1)), ("y", Place::Output)])
                + &call(&(kernel + "_in_place"), &[own, of_y, of_b])
        } else if self.node.inputs[0] == self.node.inputs[1] {
            self.parts(&[("a", Place::Input(0)), ("y", Place::Output)])
                + &format!("let a = &*{of_a};\n")
                + &call(&kernel, &[own, "a", "a", of_y])
        } else {
            self.parts(&[("a", Place::Input(0)), ("b", Place::Input(1)), ("y", Place::Output)])
                + &call(&kernel, &[own, of_a, of_b, of_y])
        };
        Printed { constants, calls }
    }

    fn rearrange(&self, first: usize, axes: &[MoveAxis]) -> Printed {
        let own = format!("{first}, &nodes::{}::AXES", self.id);
        self.unary("rearrange", &own, movement::axes(axes))
    }

    fn pool(&self, function: &str, shape: &PoolGeometry, clamp: Clamp) -> Printed {
        let fields = [
            field("input", pair(shape.input)),
            field("output", pair(shape.output)),
            field("channels", shape.channels),
            window_field(shape.window),
        ];
        let own = format!("{}, {}", self.geometry(), full_clamp(clamp));
        self.unary(function, &own, geometry("PoolGeometry", &fields))
    }
}

/// `pub static {name}: AddParams = {...};`
fn sum_parameters(name: &str, params: AddParams) -> String {
    let parameters = format!(
        "burn_ptq_kernels::params::AddParams {{\n    left_shift: {},\n    a: {},\n    \
         b: {},\n    output: {},\n}}",
        params.left_shift,
        multiplier(params.a),
        multiplier(params.b),
        multiplier(params.output)
    );
    format!("pub static {name}: burn_ptq_kernels::params::AddParams = {parameters};\n")
}

/// The part `name` as elements of the tensor's type.
fn elements(name: &str, tensor: &IntTensor) -> String {
    match tensor.dtype {
        DType::I8 | DType::I4 => name.to_owned(),
        DType::I16 => format!("wide({name})"),
    }
}

fn call(function: &str, arguments: &[&str]) -> String {
    let lines: String = arguments.iter().map(|argument| format!("    {argument},\n")).collect();
    format!("burn_ptq_kernels::{function}(\n{lines});\n")
}
