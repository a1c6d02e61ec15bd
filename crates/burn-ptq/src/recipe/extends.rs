//! Recipes that extend a preset.

use serde::Deserialize;
use toml::{Spanned, Table, Value};

use super::catalogue::is_section;
use super::{Recipe, RecipeError, suggest};

/// What of a recipe's text is read before the rest.
#[derive(Deserialize)]
struct Head {
    /// The preset, and where it stands.
    extends: Option<Spanned<String>>,
}

impl Recipe {
    /// Reads a recipe and lays it over the preset that it extends.
    pub(super) fn read(text: &str, origin: &str) -> Result<Self, RecipeError> {
        let error = |e: toml::de::Error| RecipeError::Parse {
            origin: origin.into(),
            message: suggest(&e.to_string()),
        };
        let Head { extends: Some(preset) } = toml::from_str(text).map_err(error)? else {
            return toml::from_str(text).map_err(error);
        };
        // Read by itself first, so that messages name lines of this text.
        let own_text = without(text, preset.span());
        let own: Self = toml::from_str(&own_text).map_err(error)?;
        let base = Self::preset(preset.get_ref())?;
        let mut table: Table = toml::from_str(&base.to_toml()).map_err(error)?;
        overlay(&mut table, &toml::from_str(&own_text).map_err(error)?);
        table.insert("name".into(), Value::String(own.name));
        table.try_into().map_err(error)
    }
}

/// `text` without the key whose value stands at `span`, everything else in its place.
fn without(text: &str, span: std::ops::Range<usize>) -> String {
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let blank: String =
        text[start..span.end].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
    [&text[..start], &blank, &text[span.end..]].concat()
}

/// Lays `over` over `recipe`: keys of sections one by one, every other key as a whole.
pub fn overlay(recipe: &mut Table, over: &Table) {
    for (key, value) in over {
        match (recipe.get_mut(key), value) {
            (Some(Value::Table(section)), Value::Table(over)) if is_section(key) => {
                section.extend(over.clone());
            }
            _ => {
                recipe.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_that_extends_a_preset_differs_by_what_it_says() {
        let text = "# mine\nextends = 'w4a8' # the usual\nrounding = 'gptq'\n[weights]\nbits = 5\n\
                    [[layer]]\nname = 'x'\nweights = 8\n";
        let found = Recipe::parse(text, "mine").unwrap();
        let mut expected = Recipe::preset("w4a8").unwrap();
        let plain = Recipe::parse(&text.replace("extends", "name"), "plain").unwrap();
        expected.name = "custom".into();
        expected.rounding = plain.rounding;
        expected.weights.bits = 5;
        expected.layers = plain.layers;
        assert_eq!(found, expected);
        assert_eq!(Recipe::parse(&found.to_toml(), "again").unwrap(), found);
    }

    #[test]
    fn sections_merge_and_choices_are_replaced() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let mut recipe = table("rounding = 'gptq'\n[weights]\nbits = 4\nrange = { mse = {} }");
        overlay(&mut recipe, &table("rounding = { adaround = {} }\nweights.range = 'octav'"));
        let expected = "rounding = { adaround = {} }\n[weights]\nbits = 4\nrange = 'octav'";
        assert_eq!(recipe, table(expected));
    }

    #[test]
    fn errors_name_the_lines_of_the_text() {
        let error = |text: &str| Recipe::parse(text, "r.toml").unwrap_err().to_string();
        let found = error("extends = 'w4a8'\n[weights]\nbitz = 4");
        assert!(found.contains("line 3, column 1") && found.contains("`bits`"), "{found}");
        let found = error("extends = '''\nw4a8'''\n[weights]\nbitz = 4");
        assert!(found.contains("line 4, column 1"), "{found}");
        assert!(error("extends = 'w4a9'").contains("did you mean 'w4a"));
        assert!(error("extends = 4").contains("line 1, column 11"));
        assert!(error("extends = 'w4a8'\nweights.bits = 9").contains("cannot have 9 bits"));
    }
}
