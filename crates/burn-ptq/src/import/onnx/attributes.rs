//! Attributes of nodes, with the types that the standard gives them.

use onnx_ir::{AttributeProto, AttributeType, NodeProto};

/// A node and how its form depends on the opset.
pub(super) struct NodeView<'a> {
    pub(super) proto: &'a NodeProto,
    pub(super) name: String,
    pub(super) opset: i64,
}

impl<'a> NodeView<'a> {
    /// The node; one without a name is called like its output.
    pub(super) fn new(proto: &'a NodeProto, opset: i64) -> Self {
        let output = proto.output.first().cloned().unwrap_or_default();
        let name = if proto.name.is_empty() { output } else { proto.name.clone() };
        Self { proto, name, opset }
    }

    /// The name of input `index`, unless it is left out.
    pub(super) fn input(&self, index: usize) -> Option<&'a str> {
        self.proto.input.get(index).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The name of the first output.
    pub(super) fn output(&self) -> Result<&'a str, String> {
        let output = self.proto.output.first().map(String::as_str).filter(|o| !o.is_empty());
        output.ok_or_else(|| "the node has no output".into())
    }

    fn find(&self, name: &str, kind: AttributeType) -> Result<Option<&'a AttributeProto>, String> {
        let Some(attribute) = self.proto.attribute.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        // Files of IR version 1 leave the type out.
        let found = attribute.type_.enum_value();
        if found == Ok(kind) || found == Ok(AttributeType::UNDEFINED) {
            Ok(Some(attribute))
        } else {
            Err(format!("attribute {name} is of another type: expected {kind:?}"))
        }
    }

    pub(super) fn int(&self, name: &str, default: i64) -> Result<i64, String> {
        Ok(self.find(name, AttributeType::INT)?.map_or(default, |a| a.i))
    }

    pub(super) fn float(&self, name: &str, default: f32) -> Result<f32, String> {
        let value = self.find(name, AttributeType::FLOAT)?.map_or(default, |a| a.f);
        if value.is_nan() {
            return Err(format!("attribute {name} is NaN"));
        }
        Ok(value)
    }

    pub(super) fn ints(&self, name: &str) -> Result<Option<Vec<i64>>, String> {
        Ok(self.find(name, AttributeType::INTS)?.map(|a| a.ints.clone()))
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<String>, String> {
        let attribute = self.find(name, AttributeType::STRING)?;
        Ok(attribute.map(|a| String::from_utf8_lossy(&a.s).into_owned()))
    }
}

/// The axis of a sample that `axis` means in a value with a batch and `rank` sample axes.
pub(super) fn sample_axis(axis: i64, rank: usize) -> Result<usize, String> {
    let full = rank as i64 + 1;
    let positive = if axis < 0 { axis.saturating_add(full) } else { axis };
    match positive {
        0 => Err(format!("axis {axis} is the batch: only axes of a sample can be used")),
        1.. if positive < full => Ok(positive as usize - 1),
        _ => Err(format!("axis {axis} is out of range for {full} axes")),
    }
}
