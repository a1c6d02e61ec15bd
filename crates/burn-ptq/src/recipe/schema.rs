//! JSON schemas, for editors that complete and check recipes. Only with the feature `schema`.

use schemars::{Schema, schema_for};
use serde_json::{Value, json};

use super::{PRESETS, Recipe};

/// The schema of recipes.
///
/// ```
/// let schema = burn_ptq::schema::recipe();
/// assert!(schema.as_value()["properties"]["rounding"].is_object());
/// ```
pub fn recipe() -> Schema {
    let mut schema = schema_for!(Recipe);
    let presets: Vec<&str> = PRESETS.iter().map(|preset| preset.0).collect();
    let extends = json!({
        "description": "The preset that gives every key that is not set here.",
        "enum": presets,
    });
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("extends".into(), extends);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::stages;
    use super::*;
    use crate::round::RoundingChoice;

    /// The names that a choice accepts, alone and as tables.
    fn names(schema: &Value, choice: &str) -> [Vec<String>; 2] {
        let forms = schema["$defs"][choice]["oneOf"].as_array().expect("a list of forms");
        let alone = forms.iter().filter_map(|form| form["const"].as_str());
        let tables = forms.iter().filter_map(|form| form["required"][0].as_str());
        [alone.map(String::from).collect(), tables.map(String::from).collect()]
    }

    #[test]
    fn the_schema_knows_every_component_and_every_section() {
        let schema = Value::from(recipe());
        assert_eq!(schema["properties"]["extends"]["enum"][0], PRESETS[0].0);
        let [alone, tables] = names(&schema, "RoundingChoice");
        assert_eq!(alone, RoundingChoice::NAMES);
        assert_eq!(tables, RoundingChoice::NAMES);
        for stage in stages() {
            let key = stage.key.split('.').next().expect("a key");
            assert!(schema["properties"][key].is_object(), "no property '{key}'");
        }
    }

    #[test]
    fn unknown_keys_are_refused_as_the_parser_refuses_them() {
        let schema = Value::from(recipe());
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["$defs"]["WeightRecipe"]["additionalProperties"], false);
    }
}
