//! Arrays in memory: labels, targets, groups.

use std::path::Path;

use super::DataError;
use super::npy::printable;

/// An array in memory, the last axis the fastest.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The extents of its axes.
    pub shape: Vec<usize>,
    /// Its elements.
    pub values: Values,
    /// Where the elements are indices of names that stood in the file: these names, in order.
    pub classes: Vec<String>,
}

/// The elements of an [`Array`].
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Integers, and truth values as 0 and 1.
    Integers(Vec<i64>),
    /// Floating-point elements.
    Floats(Vec<f64>),
}

impl Values {
    /// The number of elements.
    pub fn len(&self) -> usize {
        match self {
            Values::Integers(values) => values.len(),
            Values::Floats(values) => values.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Array {
    /// A vector of class indices with the names of the classes, which may be unknown.
    pub fn classes(indices: Vec<i64>, classes: Vec<String>) -> Self {
        Self { shape: vec![indices.len()], values: Values::Integers(indices), classes }
    }

    /// The same with indices into `known`, where names stood in the file `path` and the order of the
    /// classes is known.
    ///
    /// # Errors
    /// If a name is not among them.
    pub fn in_order_of(mut self, known: &[String], path: &Path) -> Result<Self, DataError> {
        if self.classes.is_empty() || known.is_empty() {
            return Ok(self);
        }
        let place = |name: &String| {
            known.iter().position(|class| class == name).ok_or_else(|| {
                let problem = format!(
                    "'{}' is not a class; the classes are {}",
                    printable(name),
                    known.join(", ")
                );
                DataError::format(path, problem)
            })
        };
        let places = self.classes.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        if let Values::Integers(values) = &mut self.values {
            for value in values {
                let index = usize::try_from(*value).unwrap_or_default();
                *value = places.get(index).map_or(*value, |&place| place as i64);
            }
        }
        self.classes = known.to_vec();
        Ok(self)
    }

    /// The same without its first label, and that one, if it is a heading: there is one label too many for
    /// `count` samples, and no other sample has the first name.
    pub(crate) fn without_heading(mut self, count: usize) -> (Self, Option<String>) {
        let Values::Integers(values) = &mut self.values else { return (self, None) };
        let is_alone = |first: &i64| values.iter().filter(|&value| value == first).count() == 1;
        let first = values.first().copied().filter(is_alone);
        let heading = first.and_then(|first| usize::try_from(first).ok()).filter(|&first| {
            self.shape == [count + 1] && first < self.classes.len() && self.classes.len() > 1
        });
        let Some(heading) = heading else { return (self, None) };
        values.remove(0);
        values.iter_mut().filter(|value| **value > heading as i64).for_each(|value| *value -= 1);
        self.shape = vec![count];
        let name = printable(&self.classes.remove(heading));
        (self, Some(name))
    }

    /// Every element as an integer, if every one is whole.
    pub fn integers(&self) -> Option<Vec<i64>> {
        // Up to here every integer is a float of its own.
        const EXACT: f64 = (1_i64 << 53) as f64;
        match &self.values {
            Values::Integers(values) => Some(values.clone()),
            Values::Floats(values) => values
                .iter()
                .map(|&x| (x.fract() == 0.0 && x.abs() <= EXACT).then_some(x as i64))
                .collect(),
        }
    }

    /// Every element as a float.
    pub fn floats(&self) -> Vec<f64> {
        match &self.values {
            Values::Integers(values) => values.iter().map(|&x| x as f64).collect(),
            Values::Floats(values) => values.clone(),
        }
    }
}
