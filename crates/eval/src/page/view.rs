//! The report as the page reads it.
//!
//! The page is made of the JSON alone, so that it can show nothing else. A number carries the place that it
//! has there, as a JSON pointer, and its value.

use std::borrow::Cow;

use maud::{Markup, html};
use serde_json::Value;

use super::number::{Unit, text};
use crate::plot::shown;

/// A value of the report and its place.
#[derive(Clone, Debug)]
pub(super) struct View<'a> {
    value: &'a Value,
    at: String,
}

impl<'a> View<'a> {
    /// The whole report.
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, at: String::new() }
    }

    /// The value of a key; `None` if it is absent or null.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Self { value, at: format!("{}/{key}", self.at) })
    }

    /// The first of these keys that there is.
    pub(super) fn any(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// The items of a list; none of anything else.
    pub(super) fn items(&self) -> Vec<Self> {
        let items = self.value.as_array().map_or(&[][..], Vec::as_slice);
        let item = |(at, value)| Self { value, at: format!("{}/{at}", self.at) };
        items.iter().enumerate().map(item).collect()
    }

    /// The items of a key's list.
    pub(super) fn list(&self, key: &str) -> Vec<Self> {
        self.get(key).map_or_else(Vec::new, |list| list.items())
    }

    /// A text, with invisible characters made visible; empty if this is none.
    pub(super) fn text(&self) -> Cow<'a, str> {
        shown(self.value.as_str().unwrap_or_default())
    }

    /// The text of a key; empty if there is none.
    pub(super) fn text_of(&self, key: &str) -> Cow<'a, str> {
        self.get(key).map_or(Cow::Borrowed(""), |value| value.text())
    }

    /// A number, if this is one.
    pub(super) fn number(&self) -> Option<f64> {
        self.value.as_f64()
    }

    /// The number of a key.
    pub(super) fn number_of(&self, key: &str) -> Option<f64> {
        self.get(key)?.number()
    }

    /// The whole number of a key.
    pub(super) fn index_of(&self, key: &str) -> Option<usize> {
        self.get(key)?.value.as_u64().and_then(|index| usize::try_from(index).ok())
    }

    /// The number as the page shows it; a dash if there is none.
    pub(super) fn show(&self, unit: Unit) -> Markup {
        match self.number() {
            Some(value) => html! {
                data value=(self.value) data-at=(self.at) { (text(value, unit)) }
            },
            None => html! { "–" },
        }
    }

    /// The number of a key as the page shows it; a dash if there is none.
    pub(super) fn show_of(&self, key: &str, unit: Unit) -> Markup {
        self.get(key).map_or_else(|| html! { "–" }, |value| value.show(unit))
    }

    /// The number as figures show it.
    pub(super) fn draw(&self, unit: Unit) -> Markup {
        match self.number() {
            Some(value) => html! {
                tspan data-value=(self.value) data-at=(self.at) { (text(value, unit)) }
            },
            None => html! {},
        }
    }
}
