//! JSON schemas of `task.toml` and `report.json`. Only with the feature `schema`.

use std::borrow::Cow;

use burn_ptq_deploy::preprocess::Preprocessing;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema, schema_for};

use crate::metric::Metric;
use crate::report::Report;
use crate::task::TaskFile;

/// The schema of `task.toml`.
pub fn task() -> Schema {
    schema_for!(TaskFile)
}

/// The schema of `report.json`.
pub fn report() -> Schema {
    SchemaGenerator::new(schemars::generate::SchemaSettings::draft2020_12().for_serialize())
        .into_root_schema_for::<Report>()
}

impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let named = Self::ALL.iter().filter(|metric| !matches!(metric, Self::TopK(_)));
        let mut forms: Vec<Schema> = named
            .map(|metric| json_schema!({ "const": metric.name(), "description": metric.summary() }))
            .collect();
        let summary = Self::TopK(5).summary();
        // Two to a hundred.
        let pattern = "^top([2-9]|[1-9][0-9]|100)$";
        forms.push(json_schema!({ "type": "string", "pattern": pattern, "description": summary }));
        json_schema!({ "oneOf": forms })
    }
}

/// The schema of [`Preprocessing`], whose crate builds without schemas.
pub(crate) fn preprocessing(_: &mut SchemaGenerator) -> Schema {
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
        let schema = Value::from(preprocessing(&mut SchemaGenerator::default()));
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

    #[test]
    fn tasks_and_reports_have_their_keys() {
        let (task, report) = (Value::from(task()), Value::from(report()));
        assert_eq!(task["required"], json!(["metric"]));
        assert!(task["properties"]["input_scale"].is_object());
        for key in ["schema_version", "recipe", "integer", "layers", "warnings"] {
            assert!(report["properties"][key].is_object(), "no property '{key}'");
        }
        // What is left out where there is nothing to say is not required.
        let required = report["required"].as_array().expect("a list");
        assert!(required.contains(&json!("recipe")) && !required.contains(&json!("integer")));
    }
}
