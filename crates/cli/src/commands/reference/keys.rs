//! The page of a recipe's keys, from its JSON schema: what the documentation of each field says.

use std::fmt::Write as _;

use serde_json::Value;

/// Every key of a recipe, section after section, then the parameters of every component.
pub(super) fn recipe_keys() -> String {
    let schema = Schema(Value::from(burn_ptq::schema::recipe()));
    let mut text = super::head("Keys of a recipe");
    text.push_str(
        "Every key with its values, its default and what it means. Keys that are left out have their \
         defaults;\nunknown keys are errors. `burn-ptq schema recipe` prints the JSON schema that this \
         page is made of, for editors\nthat complete and check recipes.\n\n## Top level\n\n",
    );
    let (mut sections, mut components) = (String::new(), String::new());
    let plain = schema.properties(&schema.0).filter(|(key, property)| {
        let Some(heading) = schema.section(key, property) else { return true };
        let _ = write!(sections, "\n## `{heading}`\n\n{}\n\n", description(property));
        sections.push_str(&schema.table(
            schema.fields(property),
            &format!("{key}."),
            &mut components,
        ));
        false
    });
    let plain: Vec<_> = plain.collect();
    text.push_str(&schema.table(&plain, "", &mut components));
    text + &sections + "\n## Parameters of components\n" + &components
}

type Property<'a> = (&'a str, &'a Value);

/// A JSON schema with its definitions.
struct Schema(Value);

impl Schema {
    /// What a schema refers to, through references and optional values.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        if let Some(path) = schema["$ref"].as_str() {
            let name = path.rsplit('/').next().unwrap_or_default();
            return self.resolved(&self.0["$defs"][name]);
        }
        let alternatives = schema["anyOf"].as_array().or(schema["allOf"].as_array());
        let found = alternatives.and_then(|all| all.iter().find(|s| s["type"] != "null"));
        found.map_or(schema, |found| self.resolved(found))
    }

    fn properties<'a>(&'a self, schema: &'a Value) -> impl Iterator<Item = Property<'a>> {
        let properties = self.resolved(schema)["properties"].as_object();
        properties.into_iter().flatten().map(|(key, property)| (key.as_str(), property))
    }

    /// The heading of a property that is a table, or a list of tables.
    fn section(&self, key: &str, property: &Value) -> Option<String> {
        let is_table = |schema: &Value| self.resolved(schema)["properties"].is_object();
        match self.resolved(property)["items"] {
            ref items if is_table(items) => Some(format!("[[{key}]]")),
            _ => is_table(property).then(|| format!("[{key}]")),
        }
    }

    /// The fields of a table, or of the tables of a list.
    fn fields<'a>(&'a self, property: &'a Value) -> Vec<Property<'a>> {
        let items = &self.resolved(property)["items"];
        self.properties(if items.is_object() { items } else { property }).collect()
    }

    /// A table of keys. The parameters of components that they choose from go to `components`.
    fn table<'a>(
        &self,
        keys: impl AsRef<[Property<'a>]>,
        prefix: &str,
        components: &mut String,
    ) -> String {
        let mut text = String::from("| key | values | default | meaning |\n|---|---|---|---|\n");
        for (key, property) in keys.as_ref() {
            let _ = writeln!(
                text,
                "| `{key}` | {} | {} | {} |",
                self.values(property),
                default(property),
                description(property)
            );
            self.parameters(&format!("{prefix}{key}"), property, components);
        }
        text
    }

    /// What a property may be.
    fn values(&self, property: &Value) -> String {
        let schema = self.resolved(property);
        if let Some(forms) = schema["oneOf"].as_array() {
            let names = forms.iter().filter_map(|form| form["const"].as_str());
            return names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        }
        if let Some(names) = schema["enum"].as_array() {
            let names = names.iter().filter_map(Value::as_str);
            return names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        }
        if schema["items"].is_object() {
            return format!("list of {}", self.values(&schema["items"]));
        }
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null"),
            kind => Some(kind),
        };
        kind.and_then(Value::as_str).unwrap_or_default().into()
    }

    /// The parameters of every component that a key chooses from.
    fn parameters(&self, key: &str, property: &Value, text: &mut String) {
        let schema = self.resolved(property);
        let choice = if schema["items"].is_object() { &schema["items"] } else { property };
        let forms = self.resolved(choice)["oneOf"].as_array();
        for form in forms.into_iter().flatten() {
            let Some(name) = form["required"][0].as_str() else { continue };
            let fields: Vec<_> = self.properties(&form["properties"][name]).collect();
            if !fields.is_empty() {
                let _ = write!(text, "\n### `{key}`: `{name}`\n\n");
                text.push_str(&self.table(&fields, "", &mut String::new()));
            }
        }
    }
}

/// The documentation of a property, in one line.
fn description(property: &Value) -> String {
    let text = property["description"].as_str().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The default of a property; of a component, its name.
fn default(property: &Value) -> String {
    match &property["default"] {
        Value::Null => String::new(),
        Value::Object(component) if component.len() == 1 => {
            component.keys().map(|name| format!("`{name}`")).collect()
        }
        Value::Number(number) => match number.as_f64() {
            // Numbers of 32 bits have no more digits than these.
            Some(x) if number.is_f64() => format!("`{}`", x as f32),
            _ => format!("`{number}`"),
        },
        value => format!("`{value}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_components_and_their_parameters_have_their_defaults_and_meaning() {
        let text = recipe_keys();
        for part in [
            "| `seed` | integer | `0` | ",
            "## `[weights]`",
            "## `[[layer]]`",
            "| `bits` | integer | `8` | ",
            "### `rounding`: `adaround`",
            "| `iterations` | integer | ",
        ] {
            assert!(text.contains(part), "no {part:?} in:\n{text}");
        }
        let undocumented: Vec<&str> = text.lines().filter(|line| line.ends_with("|  |")).collect();
        assert!(undocumented.is_empty(), "keys without a meaning: {undocumented:?}");
    }
}
