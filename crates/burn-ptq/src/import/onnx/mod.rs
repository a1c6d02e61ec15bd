//! Import of ONNX models.
//!
//! Works on the protobuf itself, because names and the standard's defaults must be kept. Weights and
//! shapes fold to constants; everything else becomes a node of the float graph. All problems of a
//! file are listed at once.

mod attributes;
mod constant;
mod elementwise;
mod error;
mod layout;
mod linear;
mod pooling;

use std::collections::{HashMap, HashSet};
use std::path::Path;

use onnx_ir::{GraphProto, Message, ModelProto, NodeProto};

use attributes::NodeView;
use constant::{Constant, constant_node, fold};
pub use error::{ImportError, Problem};

use crate::graph::{Array, Graph, GraphError, Op, ValueId};

/// The opsets that can be read.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=24;
/// The IR versions that can be read.
const IR_VERSIONS: std::ops::RangeInclusive<i64> = 3..=14;
/// No activation of a microcontroller's network has more elements.
const MAX_ELEMENTS: usize = 1 << 26;

/// Reads an ONNX file; the graph is named after it.
///
/// # Errors
/// If the file is no ONNX model that can be imported; all problems are listed.
pub fn read(path: &Path) -> Result<Graph, ImportError> {
    let bytes = std::fs::read(path)
        .map_err(|source| ImportError::Unreadable { path: path.into(), source })?;
    let name = path.file_stem().map_or("model".into(), |s| s.to_string_lossy().into_owned());
    let file = path.display().to_string();
    parse_as(&bytes, &name, &file)
}

/// Parses the bytes of an ONNX file; `name` names the graph.
///
/// # Errors
/// If the bytes are no ONNX model that can be imported; all problems are listed.
pub fn parse(bytes: &[u8], name: &str) -> Result<Graph, ImportError> {
    parse_as(bytes, name, name)
}

fn parse_as(bytes: &[u8], name: &str, file: &str) -> Result<Graph, ImportError> {
    let not_onnx = |problem: String| ImportError::NotOnnx { model: file.into(), problem };
    if bytes.is_empty() {
        return Err(not_onnx("the file is empty".into()));
    }
    let model = ModelProto::parse_from_bytes(bytes)
        .map_err(|e| not_onnx(format!("it is truncated or of another format ({e})")))?;
    let graph = model.graph.as_ref().filter(|g| !g.node.is_empty());
    let graph = graph.ok_or_else(|| not_onnx("it holds no graph with nodes".into()))?;
    let version = |what, found, expected, hint| {
        Err(ImportError::Version { model: file.into(), what, found, expected, hint })
    };
    if !IR_VERSIONS.contains(&model.ir_version) {
        let hint = "save it again with a current version of the onnx package";
        return version("IR version", model.ir_version, "3 to 14", hint);
    }
    let standard = model.opset_import.iter().find(|o| is_standard(&o.domain));
    let opset = standard.map_or(1, |o| o.version);
    if !OPSETS.contains(&opset) {
        let hint = "convert it with onnx.version_converter.convert_version(model, 17)";
        return version("opset", opset, "7 to 24", hint);
    }
    Importer::new(graph, name, opset)
        .run(graph)
        .map_err(|problems| ImportError::Unsupported { model: file.into(), problems })
}

fn is_standard(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

/// What a name in the file stands for.
#[derive(Clone, Debug)]
enum Entry {
    Value(ValueId),
    Constant(Constant),
    /// Written by a node with a problem: its readers have none of their own.
    Broken,
}

struct Importer<'a> {
    graph: Graph,
    entries: HashMap<&'a str, Entry>,
    /// How often each name is read.
    reads: HashMap<&'a str, usize>,
    /// The batch size that the file fixes, if it does.
    batch: Option<i64>,
    opset: i64,
    problems: Vec<Problem>,
}

/// What an operation contributes: the entry of its first output.
type Imported = Result<Entry, String>;

impl<'a> Importer<'a> {
    fn new(proto: &'a GraphProto, name: &str, opset: i64) -> Self {
        let mut reads: HashMap<&str, usize> = HashMap::new();
        let names =
            proto.node.iter().flat_map(|n| &n.input).chain(proto.output.iter().map(|o| &o.name));
        for name in names {
            *reads.entry(name).or_default() += 1;
        }
        Self {
            graph: Graph::new(name, "", Vec::new()),
            entries: HashMap::new(),
            reads,
            batch: None,
            opset,
            problems: Vec::new(),
        }
    }

    fn run(mut self, proto: &'a GraphProto) -> Result<Graph, Vec<Problem>> {
        for initializer in &proto.initializer {
            match Constant::from_proto(initializer) {
                Ok(constant) => {
                    self.entries.insert(&initializer.name, Entry::Constant(constant));
                }
                Err(problem) => {
                    self.problem(&initializer.name, "initializer", problem);
                    self.entries.insert(&initializer.name, Entry::Broken);
                }
            }
        }
        if !proto.sparse_initializer.is_empty() {
            self.problem("graph", "initializer", "sparse initializers are not supported".into());
        }
        self.input(proto);
        match sorted(&proto.node) {
            Ok(nodes) => nodes.into_iter().for_each(|node| self.node(node)),
            Err(problem) => self.problems.push(problem),
        }
        self.output(proto);
        if self.problems.is_empty() { Ok(self.graph) } else { Err(self.problems) }
    }

    fn problem(&mut self, node: &str, op: &str, problem: String) {
        self.problems.push(Problem { node: node.into(), op: op.into(), problem });
    }

    fn input(&mut self, proto: &'a GraphProto) {
        let inputs: Vec<_> =
            proto.input.iter().filter(|i| !self.entries.contains_key(i.name.as_str())).collect();
        let [input] = inputs.as_slice() else {
            let names: Vec<&str> = inputs.iter().map(|i| i.name.as_str()).collect();
            let problem =
                format!("expected one input, found {}: {}", names.len(), names.join(", "));
            return self.problem("graph", "inputs", problem);
        };
        let name = input.name.as_str();
        let dims: Option<Vec<Option<i64>>> = input.type_.as_ref().and_then(|t| {
            let tensor = t.has_tensor_type().then(|| t.tensor_type())?;
            let shape = tensor.shape.as_ref()?;
            Some(shape.dim.iter().map(|d| d.has_dim_value().then(|| d.dim_value())).collect())
        });
        let sample = match dims.as_deref() {
            None => Err("the shape of the input is missing".to_string()),
            Some([]) | Some([_]) => {
                Err("expected a batch axis and one to three axes of a sample".into())
            }
            Some([batch, sample @ ..]) => {
                self.batch = batch.filter(|&b| b > 0);
                sample_shape(sample)
            }
        };
        match sample {
            Ok(shape) => {
                self.graph.values[0].name = name.into();
                self.graph.values[0].shape = shape;
                self.entries.insert(name, Entry::Value(self.graph.input));
            }
            Err(problem) => {
                self.problem(name, "input", problem);
                self.entries.insert(name, Entry::Broken);
            }
        }
    }

    fn output(&mut self, proto: &'a GraphProto) {
        let [output] = proto.output.as_slice() else {
            let names: Vec<&str> = proto.output.iter().map(|o| o.name.as_str()).collect();
            let problem = format!(
                "expected one output, found {}: {}; cut the others off with \
                 onnx.utils.extract_model",
                names.len(),
                names.join(", ")
            );
            return self.problem("graph", "outputs", problem);
        };
        let problem = match self.entries.get(output.name.as_str()) {
            Some(Entry::Value(id)) => {
                self.graph.output = *id;
                return;
            }
            Some(Entry::Broken) => return,
            Some(Entry::Constant(_)) => "the output does not depend on the input",
            None => "no node writes the output",
        };
        // A missing output is only worth telling when nothing else explains it.
        if self.problems.is_empty() {
            self.problem(&output.name, "output", problem.into());
        }
    }

    fn node(&mut self, proto: &'a NodeProto) {
        let node = NodeView::new(proto, self.opset);
        let mut broken = false;
        for (i, name) in proto.input.iter().enumerate() {
            match self.entries.get(name.as_str()) {
                Some(Entry::Broken) => broken = true,
                None if !name.is_empty() => {
                    let problem = format!("reads '{name}' as input {i}, which nothing writes");
                    self.problem(&node.name, &proto.op_type, problem);
                    broken = true;
                }
                _ => {}
            }
        }
        let entry = if broken && is_known(&proto.op_type) && is_standard(&proto.domain) {
            Entry::Broken
        } else {
            self.import(&node).unwrap_or_else(|problem| {
                self.problem(&node.name, &proto.op_type, problem);
                Entry::Broken
            })
        };
        for (i, name) in proto.output.iter().enumerate() {
            if i > 0 && self.reads.contains_key(name.as_str()) && !matches!(entry, Entry::Broken) {
                let problem = format!("only its first output is supported, but '{name}' is read");
                self.problem(&node.name, &proto.op_type, problem);
            }
            let entry = if i == 0 { entry.clone() } else { Entry::Broken };
            self.entries.insert(name, entry);
        }
    }

    fn import(&mut self, node: &NodeView<'a>) -> Imported {
        let op = node.proto.op_type.as_str();
        if !is_standard(&node.proto.domain) {
            return Err(format!(
                "operators of domain '{}' are not supported; export with standard operators",
                node.proto.domain
            ));
        }
        node.output()?;
        if op == "Constant" {
            return constant_node(node).map(Entry::Constant);
        }
        let constants: Option<Vec<&Constant>> = (node.proto.input.iter())
            .filter(|name| !name.is_empty())
            .map(|name| match self.entries.get(name.as_str()) {
                Some(Entry::Constant(constant)) => Some(constant),
                _ => None,
            })
            .collect();
        if let Some(folded) = constants.as_deref().and_then(|inputs| fold(node, inputs)) {
            return folded.map(Entry::Constant);
        }
        if let Some((_, import)) = OPERATORS.iter().find(|o| o.0 == op) {
            return import(self, node);
        }
        let names: Vec<&str> = OPERATORS.iter().map(|o| o.0).collect();
        let hint = crate::choice::nearest(op, &names);
        let hint = hint.map_or(String::new(), |n| format!(" (the nearest is {n})"));
        Err(format!(
            "this operator is not supported{hint}; replace it before the export, or cut it off and \
             do it outside the model"
        ))
    }

    /// The value that input `index` names.
    fn value(&self, node: &NodeView, index: usize) -> Result<ValueId, String> {
        let name = node.input(index).ok_or_else(|| format!("input {index} is missing"))?;
        match self.entries.get(name) {
            Some(Entry::Value(id)) => Ok(*id),
            _ => Err(format!("input '{name}' must depend on the model's input")),
        }
    }

    /// The constant that input `index` names, if it is there.
    fn constant(&self, node: &NodeView, index: usize) -> Result<Option<&Constant>, String> {
        let Some(name) = node.input(index) else { return Ok(None) };
        match self.entries.get(name) {
            Some(Entry::Constant(constant)) => Ok(Some(constant)),
            _ => Err(format!("input '{name}' must be a constant")),
        }
    }

    /// A constant of floats that must be there.
    fn array(&self, node: &NodeView, index: usize) -> Result<Array, String> {
        let constant = self.constant(node, index)?;
        let constant = constant.ok_or_else(|| format!("input {index} is missing"))?;
        let data = constant.floats()?;
        if data.iter().any(|x| !x.is_finite()) {
            return Err(format!("constant input {index} holds NaN or infinity"));
        }
        Ok(Array::new(constant.dims.clone(), data))
    }

    fn shape(&self, value: ValueId) -> &[usize] {
        &self.graph.value(value).shape
    }

    /// Appends an operation called like the node.
    fn push(&mut self, node: &NodeView, op: impl Into<Op>, inputs: &[ValueId]) -> Imported {
        let output = node.output()?;
        self.append(&node.name, op, inputs, output).map(Entry::Value)
    }

    /// Appends an operation that is one of several that a node becomes; `part` tells it apart.
    fn push_part(
        &mut self,
        node: &NodeView,
        part: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<ValueId, String> {
        let output = format!("{}.{part}", node.output()?);
        self.append(&format!("{}.{part}", node.name), op, inputs, &output)
    }

    fn append(
        &mut self,
        name: &str,
        op: impl Into<Op>,
        inputs: &[ValueId],
        output: &str,
    ) -> Result<ValueId, String> {
        let id = self.graph.push(name, op, inputs, output).map_err(|e| match e {
            GraphError::Shape { problem, .. } => problem,
            other => other.to_string(),
        })?;
        let shape = self.shape(id);
        let len = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        if len.is_none_or(|len| len > MAX_ELEMENTS) {
            return Err(format!("its output of shape {shape:?} is too large"));
        }
        Ok(id)
    }
}

type Import = for<'a, 'b, 'c> fn(&'b mut Importer<'a>, &'c NodeView<'a>) -> Imported;

/// The operators that become nodes, by name.
const OPERATORS: &[(&str, Import)] = &[
    ("Conv", linear::conv),
    ("Gemm", linear::gemm),
    ("MatMul", linear::mat_mul),
    ("BatchNormalization", linear::batch_normalization),
    ("Relu", elementwise::relu),
    ("Clip", elementwise::clip),
    ("LeakyRelu", elementwise::unary),
    ("Sigmoid", elementwise::unary),
    ("Tanh", elementwise::unary),
    ("HardSwish", elementwise::unary),
    ("HardSigmoid", elementwise::unary),
    ("Add", elementwise::binary),
    ("Sub", elementwise::binary),
    ("Mul", elementwise::binary),
    ("Div", elementwise::binary),
    ("Softmax", elementwise::softmax),
    ("LogSoftmax", elementwise::softmax),
    ("AveragePool", pooling::average_pool),
    ("MaxPool", pooling::max_pool),
    ("GlobalAveragePool", pooling::global_average_pool),
    ("ReduceMean", pooling::reduce_mean),
    ("Flatten", layout::flatten),
    ("Reshape", layout::reshape),
    ("Squeeze", layout::squeeze),
    ("Unsqueeze", layout::unsqueeze),
    ("Transpose", layout::transpose),
    ("Concat", layout::concat),
    ("Pad", layout::pad),
    ("Identity", layout::identity),
    ("Dropout", layout::identity),
    ("Cast", layout::cast),
    ("Shape", layout::shape),
];

fn is_known(op: &str) -> bool {
    op == "Constant" || OPERATORS.iter().any(|o| o.0 == op)
}

/// Checks the extents of a sample.
fn sample_shape(dims: &[Option<i64>]) -> Result<Vec<usize>, String> {
    if dims.len() > 3 {
        return Err(format!("a sample of {} axes is not supported: one to three are", dims.len()));
    }
    let mut shape = Vec::with_capacity(dims.len());
    let mut len = 1_usize;
    for (i, dim) in dims.iter().enumerate() {
        let Some(dim) = dim else {
            return Err(format!(
                "axis {} has no fixed extent: only the batch may be symbolic; fix it with \
                 onnx.tools.update_model_dims or at the export",
                i + 1
            ));
        };
        let extent = usize::try_from(*dim).ok().filter(|&d| d > 0);
        let extent = extent.ok_or_else(|| format!("axis {} has extent {dim}", i + 1))?;
        let product = len.checked_mul(extent).filter(|&n| n <= MAX_ELEMENTS);
        len = product.ok_or("a sample is too large")?;
        shape.push(extent);
    }
    Ok(shape)
}

/// The nodes in an order in which every name is written before it is read; the file's own order
/// where it is one.
fn sorted(nodes: &[NodeProto]) -> Result<Vec<&NodeProto>, Problem> {
    let mut unwritten: HashSet<&str> =
        nodes.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    let mut order = Vec::with_capacity(nodes.len());
    let mut waiting: Vec<&NodeProto> = nodes.iter().collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain(|node| {
            let ready = !node.input.iter().any(|name| unwritten.contains(name.as_str()));
            if ready {
                node.output.iter().for_each(|name| {
                    unwritten.remove(name.as_str());
                });
                order.push(*node);
            }
            !ready
        });
        if waiting.len() == before {
            let node = NodeView::new(waiting[0], 0);
            return Err(Problem {
                node: node.name,
                op: waiting[0].op_type.clone(),
                problem: "the nodes form a cycle".into(),
            });
        }
    }
    Ok(order)
}
