//! What one node adds to the network's source file: its constants and its calls.

mod binary;
mod weighted;

use burn_ptq_kernels::geometry::{PoolGeometry, Window};
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, GateFunction, GateParams, Strides};

use binary::sum_fields;

use super::data::{array, c_type, int32, multiplier};
use super::{movement, rows};
use crate::export::shared::packing::{pack_dsp, pack_mve, pack_quads, pack_scalar, pack_tiles};
use crate::movement::MoveAxis;
use crate::op::{BinaryFunction, Broadcast, DType, IntOp, Weighted};
use crate::place::Placed;
use crate::place::kernels::{MVE_PADDING, biases, chosen, packed_bits};
use crate::place::sums::{WideSum, wide_sum};
use crate::program::{IntNode, IntTensor, TensorId};
use crate::run::tensor_integers;
use crate::target::Kernels;

/// A pointer to the tensor's first element, where `arena` points to the arena.
pub(super) fn place(program: &Placed, id: TensorId) -> String {
    let dtype = program.tensors[id.0].dtype;
    format!("arena->{} + {}", suffix(dtype), program.offset(id) / dtype.bytes())
}

pub(super) fn suffix(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 | DType::I4 => "s8",
        DType::I16 => "s16",
    }
}

/// What one node adds to the file.
pub(super) struct Printed {
    pub(super) constants: String,
    pub(super) calls: String,
}

/// The constants of a layer, for one kernel.
struct Layer {
    /// The array's definition.
    weights: String,
    /// Bits of a weight in that array.
    bits: u8,
    /// The kernel's name, without the suffix of its activations.
    kernel: String,
    biases: Vec<i32>,
    multipliers: Vec<Multiplier>,
}

/// Prints one node.
pub(super) struct Printer<'a> {
    pub(super) program: &'a Placed,
    pub(super) index: usize,
    pub(super) node: &'a IntNode,
    pub(super) id: &'a str,
    /// The macro before constants.
    pub(super) constant: &'a str,
    /// Whether the calls are inside a function that computes one row.
    pub(super) by_rows: bool,
}

impl Printer<'_> {
    pub(super) fn print(&self) -> Printed {
        match &self.node.op {
            IntOp::Conv2d { geometry: g, weighted } => {
                let fields = [
                    window_field(g.window, g.input, g.output),
                    field("input_channels", g.in_channels),
                    field("output_channels", g.out_channels),
                    field("groups", g.groups),
                ];
                self.weighted("bptq_conv2d", &fields, weighted)
            }
            IntOp::TransposeConv2d { geometry: g, weighted } => {
                let fields = [
                    window_field(g.window, g.input, g.output),
                    field("input_channels", g.in_channels),
                    field("output_channels", g.out_channels),
                    field("groups", g.groups),
                ];
                self.weighted("bptq_transpose_conv2d", &fields, weighted)
            }
            IntOp::DepthwiseConv2d { geometry: g, weighted } => {
                let fields = [
                    window_field(g.window, g.input, g.output),
                    field("channels", g.channels),
                    field("multiplier", g.multiplier),
                ];
                self.weighted("bptq_depthwise", &fields, weighted)
            }
            IntOp::FullyConnected { rows, in_features, out_features, weighted } => {
                let fields = [
                    field("rows", rows),
                    field("in_features", in_features),
                    field("out_features", out_features),
                ];
                self.weighted("bptq_fully_connected", &fields, weighted)
            }
            IntOp::Add { params, broadcast, clamp } => {
                let function = match self.kernels() {
                    Kernels::Mve => "bptq_mve_add",
                    Kernels::Tiles => "bptq_tile_add",
                    Kernels::Scalar => "bptq_scalar_add",
                    Kernels::Portable | Kernels::Dsp | Kernels::Quads => {
                        match wide_sum(params, *broadcast, *clamp, true) {
                            Some(WideSum::Same) => "bptq_add_same",
                            Some(WideSum::Plain) => "bptq_add_plain",
                            None => "bptq_add",
                        }
                    }
                };
                self.elementwise((function, false), &sum_fields(*params), *broadcast, *clamp)
            }
            IntOp::Mul { multiplier: factor, broadcast, clamp } => {
                let fields = [field("output", multiplier(*factor))];
                // `bptq_mul_s16_s8` has another output.
                let function = match self.input(0).dtype == self.output().dtype {
                    true => "bptq_mul",
                    false => "bptq_mul_s16",
                };
                self.elementwise((function, false), &fields, *broadcast, *clamp)
            }
            IntOp::Binary { function, broadcast, clamp } => {
                self.binary(*function, *broadcast, *clamp)
            }
            IntOp::AveragePool { geometry, clamp } => {
                let function = match self.kernels() {
                    Kernels::Mve => "bptq_mve_average_pool",
                    Kernels::Portable
                    | Kernels::Scalar
                    | Kernels::Dsp
                    | Kernels::Tiles
                    | Kernels::Quads => "bptq_average_pool",
                };
                self.pool(function, geometry, *clamp)
            }
            IntOp::MaxPool { geometry, clamp } => self.pool("bptq_max_pool", geometry, *clamp),
            IntOp::Table8 { table } => self.table(self.array("int8_t", &self.name("table"), table)),
            IntOp::Table16 { table } => {
                self.table(self.array("int16_t", &self.name("table"), table))
            }
            IntOp::Gate { params } => self.gate(*params),
            IntOp::Softmax { rows, depth, input_multiplier, diff_min } => {
                let fields = [
                    field("rows", rows),
                    field("depth", depth),
                    field("input", multiplier(*input_multiplier)),
                    field("diff_min", int32(*diff_min)),
                ];
                self.plain("bptq_softmax", "bptq_softmax", &fields)
            }
            IntOp::LogSoftmax { rows, depth, exponentials, input_multiplier } => {
                let table = self.name("exponentials");
                let fields = [
                    field("rows", rows),
                    field("depth", depth),
                    field("input", multiplier(*input_multiplier)),
                    field("integer_bits", self.output().log_softmax_integer_bits()),
                    field("exponentials", &table),
                ];
                let mut printed = self.plain("bptq_log_softmax", "bptq_log_softmax", &fields);
                printed.constants.insert_str(0, &self.array("uint32_t", &table, exponentials));
                printed
            }
            IntOp::Requantize { multiplier: factor, clamp } => self.requantize(*factor, *clamp),
            IntOp::Concat { outer, chunks } => self.concat(*outer, chunks),
            IntOp::Pad { input, before, after, value } => {
                let fields = [
                    field("input", extents(*input)),
                    field("before", extents(*before)),
                    field("after", extents(*after)),
                    field("value", value),
                ];
                self.plain("bptq_pad", "bptq_pad", &fields)
            }
            IntOp::Transpose { input, axes } => {
                let fields = [field("input", extents(*input)), field("axes", extents(*axes))];
                self.plain("bptq_transpose", "bptq_transpose", &fields)
            }
            IntOp::Rearrange { first, axes } => self.rearrange(*first, axes),
            IntOp::ResizeLinear { input, rows, columns } => {
                let [row_table, column_table] = ["rows", "columns"].map(|what| self.name(what));
                let fields = [
                    field("input", extents(*input)),
                    field("output_height", rows.len()),
                    field("output_width", columns.len()),
                    field("rows", &row_table),
                    field("columns", &column_table),
                ];
                let mut printed = self.plain("bptq_resize_linear", "bptq_resize_linear", &fields);
                let tables = [(row_table, rows), (column_table, columns)]
                    .map(|(name, positions)| self.array("int32_t", &name, positions));
                printed.constants.insert_str(0, &tables.concat());
                printed
            }
            IntOp::Pack => self.packing("bptq_pack_s8"),
            IntOp::Unpack => self.packing("bptq_unpack_s8"),
            IntOp::BatchMatMul { geometry, multiplier, clamp } => {
                self.batch_matmul(geometry, *multiplier, *clamp)
            }
            IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp } => {
                self.reduce(*reduction, [*outer, *reduced, *inner], *multiplier, *clamp)
            }
            IntOp::Lookup8 { width, table } => {
                let array = self.array("int8_t", &self.name("table"), table);
                self.lookup(*width, table.len() / width, *width, array)
            }
            IntOp::Lookup16 { width, table } => {
                let array = self.array("int16_t", &self.name("table"), table);
                self.lookup(*width, table.len() / width, 2 * width, array)
            }
            IntOp::TopK { selection, rows, depth, k } => {
                self.top_k(*selection, [*rows, *depth, *k])
            }
            IntOp::Normalize { geometry, params, affine, clamp } => {
                self.normalize(geometry, params, affine.as_ref(), *clamp)
            }
            IntOp::Constant { data } => self.constant(data),
            IntOp::Step { .. } => self.step(),
        }
    }

    /// The function that computes one row by `calls`; `arena_type` is that of the arena.
    pub(super) fn row_function(&self, arena_type: &str, calls: &str) -> String {
        let arena = match calls.contains("arena->") {
            true => format!("    {arena_type} *const arena = ({arena_type} *)row->arena;\n"),
            false => String::new(),
        };
        let narrowed = rows::windowed(&self.node.op).map_or(String::new(), |c_type| {
            let whole = self.name("op");
            format!("    {c_type} op = {whole};\n    bptq_row_window(&op.window, row);\n")
        });
        let name = self.name("row");
        format!("\nstatic void {name}(const bptq_row *row)\n{{\n{arena}{narrowed}{calls}}}\n")
    }

    /// A pointer to the parameters.
    pub(super) fn op(&self) -> String {
        match rows::windowed(&self.node.op) {
            Some(_) if self.by_rows => "&op".to_owned(),
            _ => format!("&{}", self.name("op")),
        }
    }

    /// A pointer to the first element that is read of an input.
    pub(super) fn source(&self, index: usize) -> String {
        if self.by_rows && index < self.node.op.inputs_by_rows() {
            return format!("row->input[{index}]");
        }
        if let IntOp::Step { put: false, reverse } = self.node.op {
            return self.part(self.node.inputs[index], reverse);
        }
        place(self.program, self.node.inputs[index])
    }

    /// A pointer to the first element that is written.
    pub(super) fn target(&self) -> String {
        if let IntOp::Step { put: true, reverse } = self.node.op {
            return self.part(self.node.output, reverse);
        }
        if self.by_rows { "row->output".to_owned() } else { place(self.program, self.node.output) }
    }

    /// A pointer to the part of a sequence that belongs to a step.
    fn part(&self, sequence: TensorId, reverse: bool) -> String {
        let steps = self.program.runs(self.index);
        let length = self.program.tensors[sequence.0].len() / steps;
        let step = if reverse { format!("({} - step)", steps - 1) } else { "step".to_owned() };
        format!("{} + {step} * {length}", place(self.program, sequence))
    }

    /// A copy between a sequence and an activation that holds a part of it.
    fn step(&self) -> Printed {
        let (source, target, bytes) = (self.source(0), self.target(), self.written_bytes());
        let calls = format!("    memcpy({target}, {source}, {bytes});\n");
        Printed { constants: String::new(), calls }
    }

    /// The bytes that the calls write: all of the output, a row, or a step.
    pub(super) fn written_bytes(&self) -> usize {
        if let IntOp::Step { put: true, .. } = self.node.op {
            return self.input(0).bytes();
        }
        if self.by_rows { self.output().row_bytes() } else { self.output().bytes() }
    }

    /// The number of elements that are written.
    fn length(&self) -> usize {
        let [height, width, channels] = self.output().shape;
        width * channels * if self.by_rows { 1 } else { height }
    }

    fn packing(&self, function: &str) -> Printed {
        let (length, input, output) = (self.length(), self.source(0), self.target());
        let calls = format!("    {function}({length}, {input}, {output});\n");
        Printed { constants: String::new(), calls }
    }

    fn constant(&self, data: &[u8]) -> Printed {
        let (values, output) = (self.name("values"), self.output());
        let constants = self.array(c_type(output.dtype), &values, tensor_integers(output, data));
        let calls = format!("    memcpy({}, {values}, sizeof {values});\n", self.target());
        Printed { constants, calls }
    }

    /// The kernels that the node runs on.
    fn kernels(&self) -> Kernels {
        chosen(self.program, self.node, self.program.kernels())
    }

    pub(super) fn input(&self, index: usize) -> &IntTensor {
        &self.program.tensors[self.node.inputs[index].0]
    }

    pub(super) fn output(&self) -> &IntTensor {
        &self.program.tensors[self.node.output.0]
    }

    pub(super) fn name(&self, what: &str) -> String {
        format!("{}_{what}", self.id)
    }

    /// The definition of a constant array.
    pub(super) fn array<T: ToString>(
        &self,
        c_type: &str,
        name: &str,
        items: impl IntoIterator<Item = T>,
    ) -> String {
        array(self.constant, c_type, name, items)
    }

    /// `static NAME_CONST {c_type} {id}_op = {...};`
    pub(super) fn parameters(&self, c_type: &str, fields: &[String]) -> String {
        let mut out = format!("static {} {c_type} {} = {{\n", self.constant, self.name("op"));
        for line in fields.iter().flat_map(|field| field.lines()) {
            out.push_str(&format!("    {line}\n"));
        }
        out.push_str("};\n");
        out
    }

    /// `    {function}_{suffix of the output}({arguments});`
    pub(super) fn call(&self, function: &str, arguments: &[String]) -> String {
        let suffix = suffix(self.output().dtype);
        format!("    {function}_{suffix}({});\n", arguments.join(", "))
    }

    /// An operation from one input to one output, with parameters only.
    pub(super) fn plain(&self, c_type: &str, function: &str, fields: &[String]) -> Printed {
        let arguments = [self.op(), self.source(0), self.target()];
        Printed {
            constants: self.parameters(c_type, fields),
            calls: self.call(function, &arguments),
        }
    }

    fn pool(&self, function: &str, geometry: &PoolGeometry, clamp: Clamp) -> Printed {
        let fields = [
            window_field(geometry.window, geometry.input, geometry.output),
            field("channels", geometry.channels),
            clamp_field(clamp),
        ];
        self.plain("bptq_pool", function, &fields)
    }

    fn table(&self, constants: String) -> Printed {
        let length = self.length().to_string();
        let arguments = [self.name("table"), length, self.source(0), self.target()];
        Printed { constants, calls: self.call("bptq_table", &arguments) }
    }

    fn gate(&self, params: GateParams) -> Printed {
        let function = match params.function {
            GateFunction::Sigmoid => "bptq_sigmoid",
            GateFunction::Tanh => "bptq_tanh",
        };
        let numbers = [params.multiplier.to_string(), params.shift.to_string()];
        let [multiplier, shift] = numbers;
        let length = self.length().to_string();
        let arguments = [multiplier, shift, length, self.source(0), self.target()];
        Printed { constants: String::new(), calls: self.call(function, &arguments) }
    }

    /// A lookup in `table`, the definition of an array of `rows` rows of `row_bytes` each.
    fn lookup(&self, width: usize, rows: usize, row_bytes: usize, table: String) -> Printed {
        let fields = [
            field("table", self.name("table")),
            field("rows", rows),
            field("row_bytes", row_bytes),
            field("length", self.output().len() / width),
            field("zero_point", self.input(0).grid.zero_point),
        ];
        let constants = table + &self.parameters("bptq_lookup", &fields);
        let function = format!("bptq_lookup_{}", suffix(self.input(0).dtype));
        let arguments = [self.op(), self.source(0), self.target()].join(", ");
        Printed { constants, calls: format!("    {function}({arguments});\n") }
    }

    fn requantize(&self, factor: Multiplier, clamp: Clamp) -> Printed {
        let (input, output) = (self.input(0), self.output());
        let fields = [
            field("length", self.length()),
            field("input_zero_point", input.grid.zero_point),
            field("output_zero_point", output.grid.zero_point),
            field("multiplier", multiplier(factor)),
            clamp_field(clamp),
        ];
        let function = if input.dtype == output.dtype {
            "bptq_requantize".to_owned()
        } else {
            format!("bptq_requantize_{}", suffix(input.dtype))
        };
        self.plain("bptq_requantize", &function, &fields)
    }

    fn rearrange(&self, first: usize, axes: &[MoveAxis]) -> Printed {
        let (lists, axes) = movement::axes(self.constant, self.id, axes);
        let mut printed =
            self.plain("bptq_rearrange", "bptq_rearrange", &[field("first", first), axes]);
        printed.constants.insert_str(0, &lists);
        printed
    }

    fn concat(&self, outer: usize, chunks: &[usize]) -> Printed {
        let size = self.output().dtype.bytes();
        let step = chunks.iter().sum::<usize>() * size;
        let mut start = self.program.offset(self.node.output);
        let mut calls = String::new();
        for (index, chunk) in chunks.iter().enumerate() {
            let bytes = chunk * size;
            let source = self.program.offset(self.node.inputs[index]);
            calls.push_str(&format!(
                "    bptq_concat({outer}, {bytes}, {step}, arena->s8 + {source}, \
                 arena->s8 + {start});\n"
            ));
            start += bytes;
        }
        Printed { constants: String::new(), calls }
    }
}

/// `.name = value,`
pub(super) fn field(name: &str, value: impl ToString) -> String {
    format!(".{name} = {},", value.to_string())
}

/// `.name = {...},` over several lines.
fn group(name: &str, fields: &[String]) -> String {
    let lines: String =
        fields.iter().flat_map(|f| f.lines()).map(|line| format!("    {line}\n")).collect();
    format!(".{name} = {{\n{lines}}},")
}

pub(super) fn clamp_field(clamp: Clamp) -> String {
    field("clamp", format!("{{{}, {}}}", int32(clamp.min), int32(clamp.max)))
}

pub(super) fn extents(extents: [usize; 3]) -> String {
    let [a, b, c] = extents;
    format!("{{{a}, {b}, {c}}}")
}

fn window_field(window: Window, input: [usize; 2], output: [usize; 2]) -> String {
    let pairs = [
        ("input", input),
        ("output", output),
        ("kernel", window.kernel),
        ("stride", window.stride),
        ("dilation", window.dilation),
        ("pad", window.pad),
    ];
    let lines = pairs.map(|(name, [height, width])| {
        format!(".{name}_height = {height}, .{name}_width = {width},")
    });
    group("window", &lines)
}
