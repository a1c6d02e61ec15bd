//! Pieces of recipes as TOML: taking one apart, setting one key, naming a value.

use burn_ptq::Recipe;
use burn_ptq::recipe::catalogue::is_section;
use toml::{Table, Value};

/// The keys that [`overlay`](burn_ptq::recipe::overlay) would replace, each with a table that has only
/// this one.
pub(super) fn pieces(over: &Table) -> Vec<(String, Table)> {
    let only = |key: &str, value: &Value| Table::from_iter([(key.to_string(), value.clone())]);
    let piece = |(key, value): (&String, &Value)| match value {
        Value::Table(section) if is_section(key) => (section.iter())
            .map(|(inner, value)| {
                (format!("{key}.{inner}"), only(key, &Value::Table(only(inner, value))))
            })
            .collect(),
        _ => vec![(key.clone(), only(key, value))],
    };
    over.iter().flat_map(piece).collect()
}

/// Sets the key at a dotted path, such as `weights.range.percentile.percentile`.
///
/// Below a choice, the component on the path becomes the choice.
pub(super) fn set(recipe: &mut Table, path: &str, value: &Value) {
    let mut parts: Vec<&str> = path.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut table = recipe;
    let mut below_choice = false;
    for (depth, part) in parts.iter().enumerate() {
        if below_choice {
            // A choice has one component.
            table.retain(|key, _| key == *part);
        }
        let entry = table.entry(*part).or_insert_with(|| Value::Table(Table::new()));
        if !entry.is_table() {
            *entry = Value::Table(Table::new());
        }
        let Value::Table(next) = entry else { return };
        table = next;
        let section = depth == 0 && is_section(part);
        below_choice = !(below_choice || section);
    }
    if below_choice {
        table.clear();
    }
    table.insert(last.into(), value.clone());
}

/// A recipe as TOML without what is a default: it parses to the same recipe.
pub(super) fn essentials(recipe: &Recipe) -> String {
    let table = |recipe: &Recipe| recipe.to_toml().parse::<Table>().unwrap_or_default();
    let (mut found, default) = (table(recipe), table(&Recipe::default()));
    found.retain(|key, value| match (value, default.get(key)) {
        (Value::Table(section), Some(Value::Table(default))) if is_section(key) => {
            section.retain(|key, value| default.get(key) != Some(value));
            !section.is_empty()
        }
        (value, default) => default != Some(value),
    });
    found.to_string()
}

/// A value in human-readable form, for tables.
pub(super) fn label(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Boolean(true) => "yes".into(),
        Value::Boolean(false) => "no".into(),
        Value::Array(parts) if parts.is_empty() => "none".into(),
        Value::Array(parts) => parts.iter().map(label).collect::<Vec<_>>().join(" + "),
        Value::Table(table) => {
            let part = |(key, value): (&String, &Value)| match value {
                Value::Table(inner) if inner.is_empty() => key.clone(),
                Value::Table(_) => format!("{key} ({})", label(value)),
                _ => format!("{key} {}", label(value)),
            };
            table.iter().map(part).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

/// A value as a number, if it is one.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_may_lead_into_a_choice() {
        let mut recipe = table("rounding = 'nearest'\n[activations]\nrange = { mse = {} }");
        set(&mut recipe, "rounding.adaround.iterations", &Value::Integer(5));
        set(&mut recipe, "activations.range.percentile.percentile", &Value::Float(99.0));
        set(&mut recipe, "weights.bits", &Value::Integer(3));
        let expected = "rounding = { adaround = { iterations = 5 } }\n[weights]\nbits = 3\n\
                        [activations]\nrange = { percentile = { percentile = 99.0 } }";
        assert_eq!(recipe, table(expected));
        set(&mut recipe, "rounding", &Value::String("obq".into()));
        assert_eq!(recipe["rounding"].as_str(), Some("obq"));
    }

    #[test]
    fn a_recipe_is_its_essentials() {
        for (name, text) in burn_ptq::recipe::PRESETS {
            let recipe = Recipe::parse(text, name).unwrap();
            let short = essentials(&recipe);
            assert!(short.len() < recipe.to_toml().len() / 2, "{short}");
            assert_eq!(Recipe::parse(&short, "short").unwrap(), recipe);
        }
        assert_eq!(essentials(&Recipe::default()), "");
    }

    #[test]
    fn values_have_readable_names() {
        for (text, expected) in [
            ("x = 'mse'", "mse"),
            ("x = []", "none"),
            ("x = ['equalize', 'absorb-bias']", "equalize + absorb-bias"),
            ("x = { percentile = { percentile = 99.9 } }", "percentile (percentile 99.9)"),
            ("x = { mse = {} }", "mse"),
            ("x = 4", "4"),
        ] {
            assert_eq!(label(&table(text)["x"]), expected);
        }
    }
}
