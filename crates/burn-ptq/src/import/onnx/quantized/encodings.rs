//! AIMET's `.encodings`: grids beside a float model, as `QuantizeLinear` and `DequantizeLinear` in it.
//!
//! Versions 0.6.1 and 1.0.0 count integers from 0 and call the negated zero point an offset; version 2.0.0 speaks as
//! ONNX does.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use burn_ptq_deploy::bounded;
use onnx_ir::{AttributeProto, GraphProto, NodeProto, TensorProto};
use serde::Deserialize;
use serde_json::Value;

use super::super::super::proto::int;
use super::super::tensor::data_type;
use super::{DEQUANTIZE, QUANTIZE};
use crate::warning::Warning;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 20;

/// Grids of tensors, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encodings {
    tensors: BTreeMap<String, Encoding>,
}

/// What is wrong with a file of encodings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingsError {
    /// It cannot be read.
    #[error("cannot read '{}': {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// It is not JSON, or not AIMET's.
    #[error(
        "'{name}' is not a file of AIMET's encodings: {problem}; export it with version 0.6.1, 1.0.0 or 2.0.0"
    )]
    Form {
        /// The file.
        name: String,
        /// What was found, and what was expected.
        problem: String,
    },
}

/// The grid of a tensor.
#[derive(Clone, Debug, PartialEq)]
struct Encoding {
    /// The element type of its integers.
    kind: i32,
    scales: Vec<f32>,
    zero_points: Vec<i64>,
    /// The axis along which there are several, if the file says it.
    axis: Option<i64>,
    block: Option<i64>,
}

/// One encoding of version 0.6.1.
#[derive(Deserialize)]
struct Legacy {
    bitwidth: u32,
    #[serde(default)]
    dtype: Option<String>,
    #[serde(default)]
    offset: f64,
    #[serde(default)]
    scale: f64,
}

/// An encoding of version 1.0.0.
#[derive(Deserialize)]
struct First {
    name: String,
    #[serde(default)]
    dtype: Option<String>,
    bw: u32,
    #[serde(default)]
    enc_type: Option<String>,
    #[serde(default)]
    scale: Vec<f64>,
    #[serde(default)]
    offset: Vec<f64>,
    #[serde(default)]
    block_size: Option<i64>,
}

/// An encoding of version 2.0.0.
#[derive(Deserialize)]
struct Second {
    name: String,
    output_dtype: Option<String>,
    #[serde(default)]
    y_scale: Option<Value>,
    #[serde(default)]
    y_zero_point: Option<Value>,
    #[serde(default)]
    axis: Option<i64>,
    #[serde(default)]
    block_size: Option<i64>,
}

impl Encodings {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, or is not one of AIMET's encodings.
    pub fn read(path: &Path) -> Result<Self, EncodingsError> {
        let text = bounded::read_to_string(path, MAX_BYTES)
            .map_err(|source| EncodingsError::Read { path: path.into(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of a file, which errors call `name`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str, name: &str) -> Result<Self, EncodingsError> {
        let file = serde_json::from_str(text).map_err(|error| error.to_string());
        let tensors = file.and_then(|file: Value| tensors(&file));
        tensors
            .map(|tensors| Self { tensors })
            .map_err(|problem| EncodingsError::Form { name: name.into(), problem })
    }

    /// What identifies them, for digests.
    pub(in super::super) fn identity(&self) -> String {
        format!("{:?}", self.tensors)
    }

    /// Writes them into a graph; says which of them are about nothing in it.
    pub(in super::super) fn apply(&self, graph: &mut GraphProto) -> Vec<Warning> {
        let mut rest: HashSet<&str> = self.tensors.keys().map(String::as_str).collect();
        let constants: Vec<String> =
            graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
        for name in &constants {
            if let Some(encoding) = self.tensors.get(name) {
                let axis = encoding.axis.or_else(|| weight_axis(graph, name));
                encoding.write(graph, name, axis, Side::Behind);
                rest.remove(name.as_str());
            }
        }
        let inputs: Vec<String> = graph.input.iter().map(|input| input.name.clone()).collect();
        for name in inputs.iter().filter(|name| !constants.contains(name)) {
            if let Some(encoding) = self.tensors.get(name) {
                encoding.write(graph, name, None, Side::Behind);
                rest.remove(name.as_str());
            }
        }
        let written: Vec<String> =
            graph.node.iter().flat_map(|node| node.output.iter().cloned()).collect();
        for name in &written {
            if rest.remove(name.as_str())
                && let Some(encoding) = self.tensors.get(name)
            {
                encoding.write(graph, name, None, Side::Before);
            }
        }
        let mut rest: Vec<&str> = rest.into_iter().collect();
        rest.sort_unstable();
        let Some(first) = rest.first() else { return Vec::new() };
        let message = format!(
            "{} of {} encodings are about tensors that the model does not have, such as '{first}'",
            rest.len(),
            self.tensors.len()
        );
        let hint = "give the model that was exported with the encodings";
        vec![Warning::new("encodings-unused", message, hint)]
    }
}

/// Where the two operators go.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// Between a tensor and its readers.
    Behind,
    /// Between what writes a tensor and the tensor, whose name stays that of the result.
    Before,
}

impl Encoding {
    fn write(&self, graph: &mut GraphProto, name: &str, axis: Option<i64>, side: Side) {
        let [scale, zero, integers, other] = ["scale", "zero_point", "integers", "dequantized"]
            .map(|what| format!("{name}/encoding/{what}"));
        let (from, to) = match side {
            Side::Behind => {
                let readers = graph.node.iter_mut().flat_map(|node| node.input.iter_mut());
                readers.filter(|input| *input == name).for_each(|input| input.clone_from(&other));
                (name.to_owned(), other)
            }
            Side::Before => {
                let writers = graph.node.iter_mut().flat_map(|node| node.output.iter_mut());
                writers
                    .filter(|output| *output == name)
                    .for_each(|output| output.clone_from(&other));
                (other, name.to_owned())
            }
        };
        let dims = if self.scales.len() == 1 { Vec::new() } else { vec![self.scales.len() as i64] };
        graph.initializer.push(TensorProto {
            name: scale.clone(),
            dims: dims.clone(),
            data_type: data_type::FLOAT,
            float_data: self.scales.clone(),
            ..Default::default()
        });
        graph.initializer.push(TensorProto {
            name: zero.clone(),
            dims,
            data_type: self.kind,
            ..integers_of(self.kind, &self.zero_points)
        });
        let mut attribute: Vec<AttributeProto> = Vec::new();
        if self.scales.len() > 1 {
            attribute.push(AttributeProto { i: axis.unwrap_or(0), ..int("axis", 0) });
            attribute.extend(
                self.block.map(|block| AttributeProto { i: block, ..int("block_size", 0) }),
            );
        }
        let node = |operator: &str, what: &str, input: &str, output: String| NodeProto {
            op_type: operator.into(),
            name: format!("{name}/{what}"),
            input: vec![input.into(), scale.clone(), zero.clone()],
            output: vec![output],
            attribute: attribute.clone(),
            ..Default::default()
        };
        graph.node.push(node(QUANTIZE, "quantize", &from, integers.clone()));
        graph.node.push(node(DEQUANTIZE, "dequantize", &integers, to));
    }
}

/// Integers of a type in the field that holds them.
fn integers_of(kind: i32, integers: &[i64]) -> TensorProto {
    let int32_data = match data_type::packed_bits(kind) {
        Some(bits) => {
            let held = (8 / bits) as usize;
            let byte = |chunk: &[i64]| {
                let field = |(place, q): (usize, &i64)| {
                    ((*q & ((1 << bits) - 1)) as i32) << (place as u32 * bits)
                };
                chunk.iter().enumerate().map(field).sum()
            };
            integers.chunks(held).map(byte).collect()
        }
        None => integers.iter().map(|&q| q as i32).collect(),
    };
    TensorProto { int32_data, ..Default::default() }
}

/// The axis of the output channels of the layer that has a constant as weights.
fn weight_axis(graph: &GraphProto, name: &str) -> Option<i64> {
    let reader =
        graph.node.iter().find(|node| node.input.get(1).is_some_and(|input| input == name))?;
    let turned = reader.attribute.iter().any(|a| a.name == "transB" && a.i != 0);
    match reader.op_type.as_str() {
        "ConvTranspose" => Some(1),
        "MatMul" => Some(-1),
        "Gemm" if !turned => Some(1),
        _ => Some(0),
    }
}

/// The tensors of a file of any version.
fn tensors(file: &Value) -> Result<BTreeMap<String, Encoding>, String> {
    let version = file.get("version").and_then(Value::as_str);
    let mut tensors = BTreeMap::new();
    let mut keep = |name: &str, encoding: Option<Encoding>| {
        tensors.extend(encoding.map(|encoding| (name.to_owned(), encoding)));
    };
    if let Some(list) = file.get("encodings") {
        for own in parsed::<Vec<Second>>(list)? {
            keep(&own.name, second(&own)?);
        }
        return Ok(tensors);
    }
    let mut found = false;
    for section in ["activation_encodings", "param_encodings"] {
        match file.get(section) {
            None => continue,
            Some(Value::Array(_)) => {
                for own in parsed::<Vec<First>>(&file[section])? {
                    keep(&own.name, first(&own)?);
                }
            }
            Some(list) => {
                for (name, own) in parsed::<BTreeMap<String, Vec<Legacy>>>(list)? {
                    keep(&name, legacy(&name, &own)?);
                }
            }
        }
        found = true;
    }
    if found {
        return Ok(tensors);
    }
    let version = version.map_or(String::new(), |version| format!(" of version {version}"));
    Err(format!(
        "expected 'encodings', or 'activation_encodings' and 'param_encodings', found none{version}"
    ))
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

/// The type of integers from 0.
fn unsigned(bits: u32, name: &str) -> Result<i32, String> {
    match bits {
        2 => Ok(data_type::UINT2),
        4 => Ok(data_type::UINT4),
        8 => Ok(data_type::UINT8),
        16 => Ok(data_type::UINT16),
        found => Err(format!("'{name}': expected 2, 4, 8, 16 or 32 bits, found {found}")),
    }
}

/// Whether an encoding is one of integers that are quantized here: floats, and biases of 32 bits, are not.
fn is_integer(dtype: Option<&str>, bits: u32) -> bool {
    dtype.is_none_or(|dtype| dtype.eq_ignore_ascii_case("int")) && bits < 32
}

fn legacy(name: &str, list: &[Legacy]) -> Result<Option<Encoding>, String> {
    let Some(head) = list.first() else { return Ok(None) };
    if !is_integer(head.dtype.as_deref(), head.bitwidth) {
        return Ok(None);
    }
    Ok(Some(Encoding {
        kind: unsigned(head.bitwidth, name)?,
        scales: list.iter().map(|own| own.scale as f32).collect(),
        zero_points: list.iter().map(|own| (-own.offset).round() as i64).collect(),
        axis: None,
        block: None,
    }))
}

fn first(own: &First) -> Result<Option<Encoding>, String> {
    if !is_integer(own.dtype.as_deref(), own.bw) {
        return Ok(None);
    }
    match own.enc_type.as_deref() {
        None | Some("PER_TENSOR" | "PER_CHANNEL") => {}
        Some(other) => {
            return Err(format!(
                "'{}': expected PER_TENSOR or PER_CHANNEL, found {other}",
                own.name
            ));
        }
    }
    if own.scale.is_empty() || own.offset.len() != own.scale.len() {
        return Err(format!(
            "'{}': expected an offset for each scale, found {} and {}",
            own.name,
            own.offset.len(),
            own.scale.len()
        ));
    }
    Ok(Some(Encoding {
        kind: unsigned(own.bw, &own.name)?,
        scales: own.scale.iter().map(|&scale| scale as f32).collect(),
        zero_points: own.offset.iter().map(|offset| (-offset).round() as i64).collect(),
        axis: None,
        block: own.block_size,
    }))
}

fn second(own: &Second) -> Result<Option<Encoding>, String> {
    let name = &own.name;
    let kind = match own.output_dtype.as_deref() {
        Some("int2") => data_type::INT2,
        Some("uint2") => data_type::UINT2,
        Some("int4") => data_type::INT4,
        Some("uint4") => data_type::UINT4,
        Some("int8") => data_type::INT8,
        Some("uint8") => data_type::UINT8,
        Some("int16") => data_type::INT16,
        Some("uint16") => data_type::UINT16,
        Some(other) if other.starts_with("float") || other.ends_with("int32") => return Ok(None),
        other => {
            return Err(format!(
                "'{name}': expected integers of 2, 4, 8, 16 or 32 bits, found {other:?}"
            ));
        }
    };
    let mut scales = Vec::new();
    match &own.y_scale {
        Some(scale) => flatten(scale, &mut scales, name)?,
        None => return Err(format!("'{name}': expected y_scale, found none")),
    }
    let mut zero_points = Vec::new();
    match &own.y_zero_point {
        Some(zero_point) => flatten(zero_point, &mut zero_points, name)?,
        None => zero_points = vec![0.0; scales.len()],
    }
    if zero_points.len() != scales.len() {
        return Err(format!("'{name}': expected a zero point for each scale, or none"));
    }
    Ok(Some(Encoding {
        kind,
        scales: scales.iter().map(|&scale| scale as f32).collect(),
        zero_points: zero_points.iter().map(|zero| zero.round() as i64).collect(),
        axis: own.axis,
        block: own.block_size,
    }))
}

/// The numbers of nested lists, in order.
fn flatten(value: &Value, numbers: &mut Vec<f64>, name: &str) -> Result<(), String> {
    match value {
        Value::Array(list) => list.iter().try_for_each(|value| flatten(value, numbers, name)),
        value => {
            let number = value.as_f64();
            numbers
                .push(number.ok_or_else(|| format!("'{name}': expected numbers, found {value}"))?);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_say_the_same() {
        let legacy = r#"{"version": "0.6.1", "activation_encodings": {"y": [{"bitwidth": 8, "dtype": "int",
            "is_symmetric": "False", "max": 1.0, "min": -1.0, "offset": -100, "scale": 0.5}]},
            "param_encodings": {"w": [{"bitwidth": 4, "offset": -8, "scale": 0.25}, {"bitwidth": 4, "offset": -8,
            "scale": 0.5}], "b": [{"bitwidth": 32, "dtype": "int", "offset": 0, "scale": 0.1}]}}"#;
        let first = r#"{"version": "1.0.0", "activation_encodings": [{"name": "y", "dtype": "INT", "bw": 8,
            "enc_type": "PER_TENSOR", "is_sym": false, "scale": [0.5], "offset": [-100]}], "param_encodings": [{"name":
            "w", "dtype": "INT", "bw": 4, "enc_type": "PER_CHANNEL", "is_sym": true, "scale": [0.25, 0.5], "offset":
            [-8, -8]}]}"#;
        let second = r#"{"version": "2.0.0", "encodings": [{"name": "y", "output_dtype": "uint8", "y_scale": 0.5,
            "y_zero_point": 100}, {"name": "w", "output_dtype": "uint4", "y_scale": [0.25, 0.5], "y_zero_point": [8, 8]}]}"#;
        let parse = |text| Encodings::parse(text, "test").unwrap();
        assert_eq!(parse(legacy), parse(first));
        assert_eq!(parse(first), parse(second));
        assert_eq!(parse(second).tensors["y"].zero_points, [100]);
    }

    #[test]
    fn what_is_not_an_encoding_is_refused() {
        let says = |text: &str, part: &str| {
            let error = Encodings::parse(text, "test").unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        says("{", "not a file of AIMET's encodings");
        says("{}", "expected 'encodings'");
        says(r#"{"encodings": [{"name": "w", "output_dtype": "int8"}]}"#, "y_scale");
        says(r#"{"param_encodings": {"w": [{"bitwidth": 5, "scale": 1.0}]}}"#, "found 5");
        says(
            r#"{"param_encodings": [{"name": "w", "bw": 8, "enc_type": "LPBQ", "scale": [1.0], "offset": [0]}]}"#,
            "LPBQ",
        );
    }

    #[test]
    fn integers_of_few_bits_share_bytes() {
        assert_eq!(integers_of(data_type::UINT4, &[8, 1, 15]).int32_data, [0x18, 0x0f]);
        assert_eq!(integers_of(data_type::UINT8, &[8, 1]).int32_data, [8, 1]);
    }
}
