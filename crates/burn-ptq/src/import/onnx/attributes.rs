//! A node's attributes, by name and with the type that the standard gives them.

use onnx_ir::{AttributeProto, AttributeType, TensorProto};

use super::error::Refusal;

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(super) struct Attributes<'a>(pub &'a [AttributeProto]);

impl<'a> Attributes<'a> {
    /// The attribute `name` if the node has it; its type must be `expected`.
    fn get(
        self,
        name: &str,
        expected: AttributeType,
    ) -> Result<Option<&'a AttributeProto>, Refusal> {
        let Some(attribute) = self.0.iter().find(|a| a.name == name) else {
            return Ok(None);
        };
        if attribute.type_.enum_value() == Ok(expected) {
            return Ok(Some(attribute));
        }
        Err(Refusal::invalid(format!(
            "attribute '{name}': expected type {expected:?}, found {:?}",
            attribute.type_
        )))
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.0.iter().any(|a| a.name == name)
    }

    pub(super) fn int(self, name: &str, default: i64) -> Result<i64, Refusal> {
        Ok(self.get(name, AttributeType::INT)?.map_or(default, |a| a.i))
    }

    pub(super) fn flag(self, name: &str, default: bool) -> Result<bool, Refusal> {
        Ok(self.int(name, default.into())? != 0)
    }

    pub(super) fn float(self, name: &str, default: f32) -> Result<f32, Refusal> {
        Ok(self.get(name, AttributeType::FLOAT)?.map_or(default, |a| a.f))
    }

    pub(super) fn ints(self, name: &str) -> Result<Option<&'a [i64]>, Refusal> {
        Ok(self.get(name, AttributeType::INTS)?.map(|a| a.ints.as_slice()))
    }

    pub(super) fn floats(self, name: &str) -> Result<Option<&'a [f32]>, Refusal> {
        Ok(self.get(name, AttributeType::FLOATS)?.map(|a| a.floats.as_slice()))
    }

    pub(super) fn tensor(self, name: &str) -> Result<Option<&'a TensorProto>, Refusal> {
        Ok(self.get(name, AttributeType::TENSOR)?.and_then(|a| a.t.as_ref()))
    }

    pub(super) fn strings(self, name: &str) -> Result<Option<Vec<&'a str>>, Refusal> {
        let Some(attribute) = self.get(name, AttributeType::STRINGS)? else { return Ok(None) };
        let texts = attribute.strings.iter().map(|bytes| std::str::from_utf8(bytes));
        let texts: Result<_, _> = texts.collect();
        texts.map(Some).map_err(|_| Refusal::invalid(format!("attribute '{name}' is not UTF-8")))
    }

    pub(super) fn string(self, name: &str, default: &'a str) -> Result<&'a str, Refusal> {
        match self.get(name, AttributeType::STRING)? {
            None => Ok(default),
            Some(a) => std::str::from_utf8(&a.s)
                .map_err(|_| Refusal::invalid(format!("attribute '{name}' is not UTF-8"))),
        }
    }
}
