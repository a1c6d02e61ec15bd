//! Templates: text with `@NAME@` where something stands.

use std::cell::Cell;
use std::collections::BTreeMap;

use crate::export::ExportError;

/// What stands for each placeholder, and whether it has been used.
#[derive(Debug, Default)]
pub(crate) struct Values(BTreeMap<String, (String, Cell<bool>)>);

impl Values {
    /// Adds what stands for `@name@`.
    pub(crate) fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), (value.into(), Cell::new(false)));
    }

    /// `template` with every placeholder replaced, each once, so that values are never searched.
    ///
    /// # Errors
    /// If nothing stands for a placeholder.
    pub(crate) fn fill(&self, template: &str) -> Result<String, ExportError> {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find('@') {
            let (before, after) = rest.split_at(start);
            out.push_str(before);
            let placeholder = after[1..].split_once('@').filter(|(name, _)| is_name(name));
            // Makefiles have such signs too.
            let Some((name, tail)) = placeholder else {
                out.push('@');
                rest = &after[1..];
                continue;
            };
            let Some((value, used)) = self.0.get(name) else {
                return Err(ExportError::Template { name: name.to_owned(), problem: "unknown" });
            };
            used.set(true);
            out.push_str(value);
            rest = tail;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// Checks that every value has been used.
    ///
    /// # Errors
    /// If a placeholder was not used.
    pub(crate) fn all_used(&self) -> Result<(), ExportError> {
        match self.0.iter().find(|(_, (_, used))| !used.get()) {
            Some((name, _)) => Err(ExportError::Template { name: name.clone(), problem: "unused" }),
            None => Ok(()),
        }
    }
}

impl<N: Into<String>, V: Into<String>> Extend<(N, V)> for Values {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, values: I) {
        values.into_iter().for_each(|(name, value)| self.set(name, value));
    }
}

impl<N: Into<String>, V: Into<String>, const COUNT: usize> From<[(N, V); COUNT]> for Values {
    fn from(list: [(N, V); COUNT]) -> Self {
        let mut values = Self::default();
        values.extend(list);
        values
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_values_are_not_searched() {
        let values = Values::from([("A", "@B@"), ("B", "b")]);
        assert_eq!(values.fill("@A@ $@ @B@@B@ a@c").expect("known"), "@B@ $@ bb a@c");
        values.all_used().expect("both are used");
    }

    #[test]
    fn unknown_placeholders_and_unused_values_are_refused() {
        let values = Values::from([("A", "a"), ("SPARE", "b")]);
        let error = values.fill("@A@ @MISSING@").expect_err("unknown").to_string();
        assert!(error.starts_with("unknown placeholder @MISSING@"), "{error}");
        let error = values.all_used().expect_err("unused").to_string();
        assert!(error.starts_with("unused placeholder @SPARE@"), "{error}");
    }
}
