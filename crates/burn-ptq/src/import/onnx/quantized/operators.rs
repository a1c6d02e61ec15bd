//! Operators on integers, of the standard and of ONNX Runtime, as ones on floats between `DequantizeLinear` and
//! `QuantizeLinear`.

use onnx_ir::{AttributeProto, AttributeType, GraphProto, NodeProto};

use super::super::domain::is_standard_domain;
use super::{DEQUANTIZE, QUANTIZE};

/// How an operator lists what it reads.
#[derive(Clone, Copy)]
enum Form {
    /// The operands with scale and zero point each, then scale and zero point of the output; `weight` is the axis
    /// along which the second may have several scales.
    Operands { count: usize, weight: Option<i64> },
    /// Two operands, a bias of 32 bits, and the output's grid: `QGemm`.
    Gemm,
    /// Two operands, the output's grid, and a bias of 32 bits: `QLinearConv`.
    Conv,
    /// The output's grid, then any number of operands.
    Concat,
}

/// Operators on integers, the same on floats, and how they list what they read.
const OPERATORS: &[(&str, &str, Form)] = &[
    ("QLinearConv", "Conv", Form::Conv),
    ("QLinearMatMul", "MatMul", Form::Operands { count: 2, weight: Some(-1) }),
    ("QGemm", "Gemm", Form::Gemm),
    ("QLinearAdd", "Add", Form::Operands { count: 2, weight: None }),
    ("QLinearMul", "Mul", Form::Operands { count: 2, weight: None }),
    ("QLinearSigmoid", "Sigmoid", Form::Operands { count: 1, weight: None }),
    ("QLinearLeakyRelu", "LeakyRelu", Form::Operands { count: 1, weight: None }),
    ("QLinearSoftmax", "Softmax", Form::Operands { count: 1, weight: None }),
    ("QLinearAveragePool", "AveragePool", Form::Operands { count: 1, weight: None }),
    ("QLinearGlobalAveragePool", "GlobalAveragePool", Form::Operands { count: 1, weight: None }),
    ("QLinearReduceMean", "ReduceMean", Form::Operands { count: 1, weight: None }),
    ("QLinearConcat", "Concat", Form::Concat),
];

/// Attributes of ONNX Runtime's operators that those of the standard do not have.
const EXTRA: [&str; 2] = ["channels_last", "opset"];

/// The domain of ONNX Runtime's own operators.
const RUNTIME: &str = "com.microsoft";

/// Says all operators on integers by ones on floats; what lacks operands is left to be refused.
pub(in super::super) fn express(graph: &mut GraphProto) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for mut node in std::mem::take(&mut graph.node) {
        if node.domain == RUNTIME && [QUANTIZE, DEQUANTIZE].contains(&node.op_type.as_str()) {
            node.domain.clear();
        }
        let known = is_standard_domain(&node.domain) || node.domain == RUNTIME;
        let form = OPERATORS.iter().find(|(name, ..)| known && *name == node.op_type);
        let written = form.and_then(|(_, float, form)| Expression::of(&node, float).write(*form));
        match written {
            Some(written) => nodes.extend(written),
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
}

/// Whether a node quantizes activations.
pub(in super::super) fn quantizes(node: &NodeProto) -> bool {
    let name = node.op_type.as_str();
    let is_own = OPERATORS.iter().any(|(own, ..)| *own == name) || name == QUANTIZE;
    is_own && (is_standard_domain(&node.domain) || node.domain == RUNTIME)
}

/// The scale and the zero point of an operand, by name.
#[derive(Clone, Copy)]
struct Grid<'a>(&'a str, &'a str);

/// A node that is being written.
struct Expression<'a> {
    node: &'a NodeProto,
    float: &'static str,
    /// What nodes and values are called after.
    base: &'a str,
    nodes: Vec<NodeProto>,
}

impl<'a> Expression<'a> {
    fn of(node: &'a NodeProto, float: &'static str) -> Self {
        let output = node.output.first().map_or("", String::as_str);
        let base = if node.name.is_empty() { output } else { &node.name };
        Self { node, float, base, nodes: Vec::new() }
    }

    /// The nodes; `None` if it is not as the operator's definition says.
    fn write(mut self, form: Form) -> Option<Vec<NodeProto>> {
        let attributes = &self.node.attribute;
        let is_last = |a: &&AttributeProto| a.name == "channels_last" && a.i != 0;
        if self.node.output.len() != 1 || attributes.iter().any(|a| is_last(&a)) {
            return None;
        }
        let (operands, output) = match form {
            Form::Operands { count, weight } => {
                let axis = |index: usize| weight.filter(|_| index == 1);
                let operands = (0..count)
                    .map(|index| self.operand(3 * index, axis(index)))
                    .collect::<Option<Vec<_>>>()?;
                (operands, self.grid(3 * count))
            }
            Form::Gemm => {
                let turned = attributes.iter().any(|a| a.name == "transB" && a.i != 0);
                let axis = if turned { 0 } else { 1 };
                let mut operands = vec![self.operand(0, None)?, self.operand(3, Some(axis))?];
                operands.extend(self.bias(6, self.grid(1)?, self.grid(4)?));
                (operands, self.grid(7))
            }
            Form::Conv => {
                let mut operands = vec![self.operand(0, None)?, self.operand(3, Some(0))?];
                operands.extend(self.bias(8, self.grid(1)?, self.grid(4)?));
                (operands, self.grid(6))
            }
            Form::Concat => {
                let count = self.node.input.len().checked_sub(2)?;
                if !count.is_multiple_of(3) {
                    return None;
                }
                let operands = (0..count / 3)
                    .map(|index| self.operand(2 + 3 * index, None))
                    .collect::<Option<Vec<_>>>()?;
                (operands, self.grid(0))
            }
        };
        // Without a grid of its own, the output is of floats.
        if output.is_none() && !matches!(form, Form::Gemm) {
            return None;
        }
        let written = self.node.output[0].clone();
        let value = match output {
            Some(_) => format!("{}/float", self.base),
            None => written.clone(),
        };
        let attribute = attributes.iter().filter(|a| !EXTRA.contains(&a.name.as_str()));
        self.nodes.push(NodeProto {
            op_type: self.float.into(),
            name: self.base.into(),
            input: operands,
            output: vec![value.clone()],
            attribute: attribute.cloned().collect(),
            ..Default::default()
        });
        if let Some(grid) = output {
            let name = format!("{}/quantize", self.base);
            self.nodes.push(linear(QUANTIZE, name, &value, grid, written, None));
        }
        Some(self.nodes)
    }

    /// The input at a place, unless it is left out.
    fn input(&self, place: usize) -> Option<&'a str> {
        self.node.input.get(place).map(String::as_str).filter(|name| !name.is_empty())
    }

    fn grid(&self, place: usize) -> Option<Grid<'a>> {
        Some(Grid(self.input(place)?, self.input(place + 1).unwrap_or("")))
    }

    /// The float of the integers at a place, whose grid follows them.
    fn operand(&mut self, place: usize, axis: Option<i64>) -> Option<String> {
        let (integers, grid) = (self.input(place)?, self.grid(place + 1)?);
        let value = format!("{}/input{place}", self.base);
        let name = format!("{value}/dequantize");
        self.nodes.push(linear(DEQUANTIZE, name, integers, grid, value.clone(), axis));
        Some(value)
    }

    /// The float of a bias of 32 bits, if there is one: its scale is the product of the operands'.
    fn bias(&mut self, place: usize, first: Grid, second: Grid) -> Option<String> {
        let bias = self.input(place)?;
        let [scale, value] = ["bias_scale", "bias"].map(|what| format!("{}/{what}", self.base));
        self.nodes.push(NodeProto {
            op_type: "Mul".into(),
            name: scale.clone(),
            input: vec![first.0.into(), second.0.into()],
            output: vec![scale.clone()],
            ..Default::default()
        });
        let name = format!("{value}/dequantize");
        let grid = Grid(&scale, "");
        self.nodes.push(linear(DEQUANTIZE, name, bias, grid, value.clone(), Some(0)));
        Some(value)
    }
}

/// `QuantizeLinear` or `DequantizeLinear`.
fn linear(
    operator: &str,
    name: String,
    input: &str,
    Grid(scale, zero_point): Grid,
    output: String,
    axis: Option<i64>,
) -> NodeProto {
    let mut node = NodeProto {
        op_type: operator.into(),
        name,
        input: vec![input.into(), scale.into()],
        output: vec![output],
        ..Default::default()
    };
    if !zero_point.is_empty() {
        node.input.push(zero_point.into());
    }
    node.attribute.extend(axis.map(|axis| AttributeProto {
        name: "axis".into(),
        i: axis,
        type_: AttributeType::INT.into(),
        ..Default::default()
    }));
    node
}
