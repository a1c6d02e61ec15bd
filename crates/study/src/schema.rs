//! JSON schemas of studies and of the lines of their result files. Only with the feature `schema`.

use schemars::{Schema, schema_for};

use crate::file::Study;
use crate::record::Record;

/// The schema of study files.
pub fn study() -> Schema {
    schema_for!(Study)
}

/// The schema of a line of a result file.
pub fn result_line() -> Schema {
    schema_for!(Record)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn studies_have_their_keys_and_recipes_their_schema() {
        let schema = Value::from(study());
        assert_eq!(schema["required"], json!(["name", "task", "experiment"]));
        assert!(schema["$defs"]["Recipe"]["properties"]["rounding"].is_object());
    }

    #[test]
    fn lines_are_told_apart_by_their_kind() {
        let schema = Value::from(result_line());
        let kinds = schema["oneOf"].as_array().expect("a list of kinds").iter();
        let kinds: Vec<&Value> = kinds.map(|kind| &kind["properties"]["kind"]["const"]).collect();
        assert_eq!(kinds, [&json!("study"), &json!("task"), &json!("run")]);
    }
}
