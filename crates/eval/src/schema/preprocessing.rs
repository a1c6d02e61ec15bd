//! The schema of preprocessing, whose crate builds without schemas.

use burn_ptq_deploy::preprocess::Preprocessing;
use schemars::{Schema, SchemaGenerator, json_schema};

/// The schema of [`Preprocessing`].
pub(crate) fn schema(_: &mut SchemaGenerator) -> Schema {
    let defaults = serde_json::to_value(Preprocessing::default()).unwrap_or_default();
    let numbers = json_schema!({ "type": "array", "items": { "type": "number" } });
    json_schema!({
        "description": "How raw samples become inputs.",
        "type": "object",
        "properties": {
            "element": { "enum": ["u8", "i8", "u16", "i16", "i32", "f32"] },
            "scale": { "type": "number" },
            "mean": numbers,
            "std": numbers,
            "channel_axis": { "type": "integer", "minimum": 0 },
            "layout": { "enum": ["model", "channels-last", "channels-first"] },
            "window_frames": { "type": ["integer", "null"], "minimum": 1 },
        },
        "additionalProperties": false,
        "default": defaults,
    })
}

#[cfg(test)]
mod tests {
    use burn_ptq_deploy::preprocess::{DataLayout, Element};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_schema_of_preprocessing_is_that_of_its_type() {
        let schema = Value::from(schema(&mut SchemaGenerator::default()));
        let keys = |value: &Value| -> Vec<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(keys(&schema["properties"]), keys(&schema["default"]));
        let elements =
            [Element::U8, Element::I8, Element::U16, Element::I16, Element::I32, Element::F32];
        assert_eq!(schema["properties"]["element"]["enum"], json!(elements));
        let layouts = [DataLayout::Model, DataLayout::ChannelsLast, DataLayout::ChannelsFirst];
        assert_eq!(schema["properties"]["layout"]["enum"], json!(layouts));
    }
}
