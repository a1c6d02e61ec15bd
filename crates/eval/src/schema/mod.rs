//! JSON schemas of `task.toml` and `report.json`. Only with the feature `schema`.

pub(crate) mod preprocessing;

use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

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
