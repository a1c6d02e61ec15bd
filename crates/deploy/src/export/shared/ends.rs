//! What exported code calls the inputs and outputs of a program.

use std::collections::HashSet;

use super::describe::layout;
use super::names::identifier;
use crate::op::DType;
use crate::place::Placed;
use crate::program::{IntTensor, Program, TensorId};

/// An input or an output of a program, as exported code names it.
#[derive(Clone, Debug)]
pub(crate) struct End<'a> {
    /// `input` or `output`.
    pub role: &'static str,
    /// Its place among the inputs, or among the outputs.
    pub index: usize,
    /// What follows the role in a name: nothing for an only one, else `_` and an identifier.
    pub suffix: String,
    /// What the source model calls it.
    pub name: &'a str,
    /// The activation.
    pub id: TensorId,
    /// The activation.
    pub tensor: &'a IntTensor,
    /// Where its bytes begin among those of all inputs, or of all outputs, of a sample.
    pub start: usize,
}

impl End<'_> {
    /// Its bytes among those of all inputs, or of all outputs, of a sample.
    pub(crate) fn bytes(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.tensor.bytes()
    }

    /// `input` or `input_image`: the end of a function's name.
    pub(crate) fn lower(&self) -> String {
        format!("{}{}", self.role, self.suffix)
    }

    /// `INPUT` or `INPUT_IMAGE`: the beginning of a constant's name.
    pub(crate) fn upper(&self) -> String {
        self.lower().to_ascii_uppercase()
    }

    /// What comments call it: `the input`, or `the input 'image'`.
    pub(crate) fn words(&self) -> String {
        match self.suffix.is_empty() {
            true => format!("the {}", self.role),
            false => format!("the {} '{}'", self.role, super::names::comment(self.name)),
        }
    }

    /// Shape and type in words; `name_of` names element types.
    pub(crate) fn layout(&self, name_of: impl Fn(DType) -> &'static str) -> String {
        layout(self.tensor, name_of(self.tensor.dtype))
    }
}

/// What exported code calls the inputs and the outputs of `program`, each in their order: `input`, or
/// `input_image` if there are several. Functions end in these words, constants begin with them in
/// capitals.
pub fn end_names(program: &Placed) -> [Vec<String>; 2] {
    [inputs(program), outputs(program)].map(|ends| ends.iter().map(End::lower).collect())
}

/// The inputs of a program.
pub(crate) fn inputs(program: &Program) -> Vec<End<'_>> {
    let inputs = program.inputs.iter().map(|input| (input.name.as_str(), input.tensor));
    ends(program, "input", inputs.collect())
}

/// The outputs of a program.
pub(crate) fn outputs(program: &Program) -> Vec<End<'_>> {
    let outputs = program.outputs.iter().map(|output| (output.name.as_str(), output.tensor));
    ends(program, "output", outputs.collect())
}

fn ends<'a>(
    program: &'a Program,
    role: &'static str,
    list: Vec<(&'a str, TensorId)>,
) -> Vec<End<'a>> {
    let single = list.len() == 1;
    let (mut used, mut start) = (HashSet::new(), 0);
    list.into_iter()
        .enumerate()
        .map(|(index, (name, id))| {
            let suffix =
                if single { String::new() } else { format!("_{}", unique(name, &mut used)) };
            let tensor = &program.tensors[id.0];
            let own = start;
            start += tensor.bytes();
            End { role, index, suffix, name, id, tensor, start: own }
        })
        .collect()
}

/// An identifier that no other one equals in any case of letters: constants are in capitals.
fn unique(name: &str, used: &mut HashSet<String>) -> String {
    let base = identifier(name, "x").to_ascii_lowercase();
    let mut candidate = base.clone();
    let mut number = 2;
    while !used.insert(candidate.clone()) {
        candidate = format!("{base}_{number}");
        number += 1;
    }
    candidate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_case_or_signs_alone_get_numbers() {
        let mut used = HashSet::new();
        let found = ["Image", "image", "im/age:0", "", "int"].map(|name| unique(name, &mut used));
        assert_eq!(found, ["image", "image_2", "im_age_0", "x", "x_int"]);
    }
}
