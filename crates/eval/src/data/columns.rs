//! Which columns of a table are inputs, and which hold labels.

use std::path::Path;

/// Names of columns that are labels and no input, in any case of letters.
pub(super) const LABELS: &[&str] = &["label", "labels", "class", "target"];

/// What the samples of a table are read for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// Elements of an input.
    pub elements: usize,
    /// The rows of which an input consists; `None` if a row is an input.
    pub window: Option<usize>,
    /// The column that holds labels, if it was named.
    pub labels: Option<&'a str>,
}

impl Wanted<'_> {
    /// The columns that a row must have, if rows can make an input.
    pub(super) fn columns(self) -> Option<usize> {
        let window = self.window.unwrap_or(1).max(1);
        self.elements.is_multiple_of(window).then(|| self.elements / window)
    }

    /// What to do with a table that has another number of columns.
    pub(super) fn advice(self, path: &Path, count: usize, names: &[String]) -> String {
        let (path, elements) = (path.display(), self.elements);
        let Some(needed) = self.columns() else {
            let window = self.window.unwrap_or(1);
            return format!(
                "windows of {window} rows cannot make the {elements} elements of the model's input: choose \
             --window-frames so that it divides them"
            );
        };
        let row = match self.window {
            None => format!("a row is a sample, and the model's input has {elements} elements"),
            Some(window) => format!(
                "a row is a frame, and {window} frames make the {elements} elements of the model's input: \
             {needed} columns"
            ),
        };
        let Some(more) = count.checked_sub(needed) else {
            // A row is a step in time where some whole number of rows makes an input.
            let labels = label_columns(names).len();
            let steps = [count, count - labels]
                .into_iter()
                .find(|&columns| columns > 0 && elements.is_multiple_of(columns));
            return match (self.window, steps) {
                (None, Some(columns)) => format!(
                    "{row}; if rows are steps in time of one recording, give --window-frames {}",
                    elements / columns
                ),
                _ => format!("{row}: columns are missing"),
            };
        };
        let pandas = names.first().is_some_and(String::is_empty);
        let hint = match pandas {
            true => {
                "; its first column has no name: pandas writes its index there, to_csv(index=False) does not"
            }
            false => "",
        };
        let (them, plural) = if more == 1 { ("it", "") } else { ("them", "s") };
        format!(
            "{row}, {more} column{plural} fewer{hint}. Leave {them} out; labels are told by a column named {}, or \
         by --labels {path}:NAME beside --eval",
            LABELS.join(", ")
        )
    }
}

/// The columns of a table by their places.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Columns {
    /// Those that are inputs.
    pub inputs: Vec<usize>,
    /// Those that are not, since their names say so.
    pub left_out: Vec<usize>,
    /// The one among these that holds the labels, if it is certain which.
    pub labels: Option<usize>,
}

impl Columns {
    fn without(count: usize, left_out: Vec<usize>, labels: Option<usize>) -> Self {
        let inputs = (0..count).filter(|column| !left_out.contains(column)).collect();
        Self { inputs, left_out, labels }
    }

    /// The columns that have the wanted number of inputs; `None` if no choice that names explain has it.
    ///
    /// Names count only where a table has more columns than the input needs.
    pub(super) fn choose(count: usize, names: &[String], wanted: Wanted) -> Option<Self> {
        let needed = wanted.columns()?;
        let surplus = count.checked_sub(needed)?;
        let said = label_columns(names);
        let named = wanted.labels.and_then(|label| names.iter().position(|name| name == label));
        if surplus == 0 {
            return Some(Self::without(count, Vec::new(), None));
        }
        if let Some(named) = named {
            let mut all: Vec<usize> = said.iter().copied().chain([named]).collect();
            all.sort_unstable();
            all.dedup();
            let chosen = [vec![named], all].into_iter().find(|left_out| left_out.len() == surplus);
            if let Some(left_out) = chosen {
                return Some(Self::without(count, left_out, Some(named)));
            }
        }
        if said.len() == surplus {
            let labels = (surplus == 1).then(|| said[0]);
            return Some(Self::without(count, said, labels));
        }
        let last = names.len().checked_sub(1)?;
        (surplus == 1 && said.is_empty() && is(&names[last], &["y"]))
            .then(|| Self::without(count, vec![last], Some(last)))
    }
}

/// The columns whose names say that they hold labels: `y` only in the last place, and not beside `x` or `z`,
/// since axes of sensors are called so, too.
pub(super) fn label_columns(names: &[String]) -> Vec<usize> {
    let said: Vec<usize> = (0..names.len()).filter(|&column| is(&names[column], LABELS)).collect();
    let are_axes = names.iter().any(|name| is(name, &["x", "z"]));
    match names.last() {
        Some(last) if said.is_empty() && !are_axes && is(last, &["y"]) => vec![names.len() - 1],
        _ => said,
    }
}

/// Whether a name is the heading of labels.
pub(super) fn is_heading(name: &str) -> bool {
    is(name, LABELS) || is(name, &["y"])
}

fn is(name: &str, known: &[&str]) -> bool {
    known.iter().any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(
        names: &str,
        elements: usize,
        window: Option<usize>,
        labels: Option<&str>,
    ) -> Option<String> {
        let names: Vec<String> = names.split(',').map(str::to_owned).collect();
        let found = Columns::choose(names.len(), &names, Wanted { elements, window, labels })?;
        let inputs: Vec<&str> = found.inputs.iter().map(|&column| names[column].as_str()).collect();
        let label = found.labels.map_or("", |column| names[column].as_str());
        Some(format!("{}:{label}", inputs.join(",")))
    }

    #[test]
    fn an_axis_called_y_is_an_input() {
        let text = |found: &str| Some(found.to_owned());
        assert_eq!(choose("x,y,z", 3, None, None), text("x,y,z:"));
        assert_eq!(choose("x,y,z,label", 3, None, None), text("x,y,z:label"));
        assert_eq!(choose("x,y,z", 96, Some(32), None), text("x,y,z:"));
        assert_eq!(choose("x,y,z,activity", 3, None, None), None);
        assert_eq!(choose("x,y,z,activity", 3, None, Some("activity")), text("x,y,z:activity"));
        assert_eq!(
            choose("x,y,z,activity", 96, Some(32), Some("activity")),
            text("x,y,z:activity")
        );
        // One feature and what belongs to it.
        assert_eq!(choose("x,y", 1, None, None), text("x:y"));
        assert_eq!(choose("x,y", 2, None, None), text("x,y:"));
        assert_eq!(choose("a,b,Y", 2, None, None), text("a,b:Y"));
    }

    #[test]
    fn several_columns_of_labels_are_left_out_together() {
        let text = |found: &str| Some(found.to_owned());
        assert_eq!(choose("a,label,class", 1, None, None), text("a:"));
        assert_eq!(choose("a,label,class", 1, None, Some("class")), text("a:class"));
        assert_eq!(choose("a,label,class", 2, None, Some("class")), text("a,label:class"));
        assert_eq!(choose("a,label,class", 2, None, None), None);
        assert_eq!(choose("a,b", 3, None, None), None);
        assert_eq!(choose("a,b", 3, Some(2), None), None);
    }

    #[test]
    fn names_of_labels_are_told_from_axes() {
        let columns =
            |names: &str| label_columns(&names.split(',').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(columns("x,y"), [0; 0]);
        assert_eq!(columns("y"), [0]);
        assert_eq!(columns("a,y"), [1]);
        assert_eq!(columns("y,a"), [0; 0]);
        assert_eq!(columns("x,y,Target"), [2]);
    }
}
