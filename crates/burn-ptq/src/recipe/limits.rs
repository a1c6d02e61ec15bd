//! Bounds of every number in a recipe.
//!
//! The numbers are found in the recipe's own serialized form, so that a new component has bounds
//! whether or not it is listed here: a number without a line of its own gets the bounds of its kind.

use serde_json::Value;

use super::{Recipe, RecipeError};

/// Bounds of the integers that have no line in [`INTEGERS`].
const ANY_INTEGER: [u64; 2] = [0, 10_000];
/// Bounds of the fractions that have no line in [`FRACTIONS`].
const ANY_FRACTION: [f64; 2] = [0.0, 1e3];

/// Samples are read from data, of which there may be any number.
const MANY: u64 = 1_000_000_000;

/// More bytes or instructions than any microcontroller has.
const MUCH: u64 = 1_000_000_000_000_000;

/// The smallest and the largest value of integers, by the end of their keys; the first match counts.
const INTEGERS: &[(&str, [u64; 2])] = &[
    // As far as TOML goes.
    ("seed", [0, i64::MAX as u64]),
    ("bits", [0, 255]),
    ("max_bits", [0, 255]),
    ("[].weights", [0, 255]),
    ("[].activations", [0, 255]),
    ("fit.weights[]", [0, 255]),
    ("fit.activations[]", [0, 255]),
    ("fit.flash", [1, MUCH]),
    ("fit.ram", [1, MUCH]),
    ("fit.instructions", [1, MUCH]),
    ("stream.chunk", [1, 1_000_000]),
    ("stream.time_axis", [0, 7]),
    ("calibration.samples", [1, MANY]),
    ("calibration.batch", [1, 65_536]),
    ("data-free.samples", [1, 65_536]),
    ("data-free.batch", [1, 4096]),
    ("data-free.steps", [0, 100_000]),
    ("layerwise.samples", [1, MANY]),
    ("layerwise.rows", [0, MANY]),
    ("reconstruction.samples", [1, MANY]),
    ("reconstruction.batch", [1, 65_536]),
    ("reconstruction.iterations", [0, 1_000_000]),
    ("correction.bias.samples", [0, MANY]),
    ("correction.affine.samples", [0, MANY]),
    ("lapq.samples", [0, MANY]),
    ("lapq.candidates", [0, 1000]),
    ("lapq.sweeps", [0, 1000]),
    ("lapq.evaluations", [0, 1000]),
    ("rounding.adaround.iterations", [0, 1_000_000]),
    ("rounding.adaquant.iterations", [0, 1_000_000]),
    ("rounding.flexround.iterations", [0, 1_000_000]),
    ("coordinate-descent.sweeps", [0, 1000]),
    ("coordinate-descent.refits", [0, 100]),
    ("coordinate-descent.starts", [0, 1000]),
    ("output-mse.steps", [1, 1000]),
    ("mse.steps", [1, 10_000]),
    ("kl.bins", [16, 65_536]),
];

/// The smallest and the largest value of fractions, by the end of their keys.
const FRACTIONS: &[(&str, [f64; 2])] = &[
    ("reconstruction.drop", [0.0, 1.0]),
    ("reconstruction.mixup", [0.0, 1.0]),
    ("reconstruction.validation", [0.0, 0.5]),
    ("adaround.warm_up", [0.0, 1.0]),
    ("coordinate-descent.narrowest", [0.01, 1.0]),
    ("percentile.percentile", [50.0, 100.0]),
    ("mse.exponent", [0.1, 10.0]),
    ("migrate.strength", [0.0, 1.0]),
    ("split-channels.expand", [0.0, 1.0]),
    ("equalize.limit", [1.0, 1e6]),
    ("temperature", [1e-3, 1e3]),
];

/// Checks every number of `recipe`.
///
/// # Errors
/// The first that is out of bounds, by its key.
pub(super) fn check(recipe: &Recipe) -> Result<(), RecipeError> {
    let whole = serde_json::to_value(recipe).expect("a recipe has string keys only");
    visit("", &whole)?;
    let rate = recipe.reconstruction.learning_rate;
    if rate > 0.0 {
        return Ok(());
    }
    Err(out_of_bounds("reconstruction.learning_rate", rate, "a positive number".into()))
}

fn visit(key: &str, value: &Value) -> Result<(), RecipeError> {
    match value {
        Value::Object(table) => table.iter().try_for_each(|(name, value)| {
            let dot = if key.is_empty() { "" } else { "." };
            visit(&format!("{key}{dot}{name}"), value)
        }),
        Value::Array(values) => {
            values.iter().try_for_each(|value| visit(&format!("{key}[]"), value))
        }
        // NaN and infinity are not JSON numbers. Options that are absent are left out.
        Value::Null => Err(out_of_bounds(key, "no finite number", bounds_of_fraction(key).1)),
        Value::Number(number) => match number.as_u64() {
            Some(found) => {
                let [low, high] = of(INTEGERS, key).unwrap_or(ANY_INTEGER);
                let expected = match low {
                    1 if found == 0 => "at least 1".into(),
                    _ => format!("{low} to {high}"),
                };
                let inside = (low..=high).contains(&found);
                if inside { Ok(()) } else { Err(out_of_bounds(key, found, expected)) }
            }
            None => {
                let found = number.as_f64().unwrap_or(f64::NAN);
                let ([low, high], expected) = bounds_of_fraction(key);
                // Decimals that f32 rounds lie within their bounds.
                let inside = (low - 1e-6..=high + 1e-6).contains(&found);
                if inside { Ok(()) } else { Err(out_of_bounds(key, found, expected)) }
            }
        },
        Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn bounds_of_fraction(key: &str) -> ([f64; 2], String) {
    let [low, high] = of(FRACTIONS, key).unwrap_or(ANY_FRACTION);
    ([low, high], format!("{low} to {high}"))
}

fn of<T: Copy>(table: &[(&str, T)], key: &str) -> Option<T> {
    let ends_in = |name: &str| {
        key.strip_suffix(name).is_some_and(|rest| {
            rest.is_empty() || rest.ends_with('.') || rest.ends_with("[]") || name.starts_with('[')
        })
    };
    table.iter().find(|(name, _)| ends_in(name)).map(|(_, bounds)| *bounds)
}

fn out_of_bounds(key: &str, found: impl ToString, expected: String) -> RecipeError {
    RecipeError::Value { key: key.into(), found: found.to_string(), expected }
}
