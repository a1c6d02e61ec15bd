//! What goes in and out of a program, in the form in which code and READMEs say it.

use super::names::comment;
use crate::border::Border;
use crate::preprocess::{DataLayout, Element, Preprocessing};
use crate::program::{Input, Output, Program};

/// Tables of 256 elements that an export has at most; more channels with rules of their own compute
/// in floats.
const MOST_TABLES: usize = 16;

/// How the elements of a tensor are walked, in order, with an index into other arrays for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// The extents of nested loops, the outermost first.
    pub extents: Vec<usize>,
    /// The indices.
    pub indices: Vec<Index>,
}

/// An index as a function of the loops' variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// The sum of each variable times its step.
    Steps(Vec<usize>),
    /// The element of this table at the variable of the only loop.
    Table(Vec<usize>),
}

impl Walk {
    /// Finds loops in which all of `lists`, which have one index for each element of a tensor, are sums
    /// of steps; without, their indices are tables.
    pub(crate) fn new(lists: &[Vec<usize>]) -> Self {
        let length = lists.first().map_or(0, Vec::len);
        Self::nested(lists, length).unwrap_or_else(|| {
            let is_plain = |list: &[usize]| list.iter().enumerate().all(|(i, &index)| i == index);
            let index = |list: &Vec<usize>| {
                if is_plain(list) { Index::Steps(vec![1]) } else { Index::Table(list.clone()) }
            };
            Self { extents: vec![length], indices: lists.iter().map(index).collect() }
        })
    }

    fn nested(lists: &[Vec<usize>], length: usize) -> Option<Self> {
        // The fastest loop first: its extent, and a step for each list.
        let mut loops: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut block = 1;
        while block < length {
            let steps: Vec<usize> = lists.iter().map(|list| list[block]).collect();
            let continues = |i: &usize| {
                let place = i * block;
                place < length
                    && lists.iter().zip(&steps).all(|(list, step)| list[place] == i * step)
            };
            let extent = (1..).take_while(continues).count() + 1;
            loops.push((extent, steps));
            block *= extent;
        }
        if loops.is_empty() {
            loops.push((length, vec![0; lists.len()]));
        }
        loops.reverse();
        let walk = Self {
            extents: loops.iter().map(|(extent, _)| *extent).collect(),
            indices: (0..lists.len())
                .map(|list| Index::Steps(loops.iter().map(|(_, steps)| steps[list]).collect()))
                .collect(),
        };
        let gives = |(index, list): (&Index, &Vec<usize>)| walk.values(index) == *list;
        (block == length && walk.indices.iter().zip(lists).all(gives)).then_some(walk)
    }

    /// The values of an index, for each element in order.
    fn values(&self, index: &Index) -> Vec<usize> {
        let steps = match index {
            Index::Table(table) => return table.clone(),
            Index::Steps(steps) => steps,
        };
        let mut values = vec![0];
        for (&extent, &step) in self.extents.iter().zip(steps) {
            values = values.iter().flat_map(|v| (0..extent).map(move |i| v + i * step)).collect();
        }
        values
    }

    /// The index as an expression in C and Rust of the loops' variables; `table` names its table.
    pub(crate) fn expression(&self, index: &Index, table: &str) -> String {
        let steps = match index {
            Index::Table(_) => return format!("{table}[{}]", variable(0)),
            Index::Steps(steps) => steps,
        };
        let term = |(depth, &step): (usize, &usize)| match step {
            0 => None,
            1 => Some(variable(depth)),
            _ => Some(format!("{} * {step}", variable(depth))),
        };
        let terms: Vec<String> = steps.iter().enumerate().filter_map(term).collect();
        if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") }
    }
}

/// The name of the loop's variable at a depth.
pub(crate) fn variable(depth: usize) -> String {
    format!("i{depth}")
}

/// How raw samples become the program's input.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InputRule {
    /// The type of raw elements.
    pub element: Element,
    /// The elements of the input: indices of the raw element, and of the rule, which is that of its
    /// channel.
    pub walk: Walk,
    /// What becomes of a raw element.
    pub rules: Rules,
}

/// What becomes of raw elements, by the index of the rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rules {
    /// For each rule, the input's element for each raw byte, whose sign is ignored in its place.
    Tables(Vec<Vec<i32>>),
    /// `(x * scale - mean) / std`, then the input's grid; a mean and a deviation for each rule.
    Formula {
        /// The factor.
        scale: f32,
        /// The means to subtract.
        mean: Vec<f32>,
        /// Standard deviations.
        std: Vec<f32>,
    },
}

impl InputRule {
    /// The rule that a program records for an input.
    pub(crate) fn new(program: &Program, input: &Input) -> Self {
        let rule = &input.preprocessing;
        Self::of_bytes(program, input, rule, &|byte| match rule.element {
            Element::U8 => Some(f32::from(byte)),
            Element::I8 => Some(f32::from(byte as i8)),
            Element::U16 | Element::I16 | Element::I32 | Element::F32 => None,
        })
    }

    /// That of another preprocessing, which applies to the number that `real` says a byte is, if raw
    /// elements are bytes.
    pub(crate) fn of_bytes(
        program: &Program,
        input: &Input,
        rule: &Preprocessing,
        real: &dyn Fn(u8) -> Option<f32>,
    ) -> Self {
        let shape = &input.border.source_shape;
        let grid = program.input_tensor(input).grid;
        let places = input.border.places();
        let channels: Vec<usize> = match rule.mean.len().max(rule.std.len()) {
            0 | 1 => vec![0; places.len()],
            _ => places.iter().map(|&place| rule.channel(shape, place)).collect(),
        };
        let raw = places.iter().map(|&place| rule.raw_place(shape, place)).collect();
        let count = channels.iter().max().map_or(1, |&last| last + 1);
        let table = |channel: usize| -> Option<Vec<i32>> {
            let quantized = |byte| Some(grid.quantize(rule.element(real(byte)?, channel)));
            (0..=u8::MAX).map(quantized).collect()
        };
        // Channels of one rule share a table.
        let mut tables: Vec<Vec<i32>> = Vec::new();
        let mut table_of = Vec::with_capacity(count);
        for table in (0..count).map_while(table) {
            let known = tables.iter().position(|other| *other == table);
            table_of.push(known.unwrap_or(tables.len()));
            if known.is_none() {
                tables.push(table);
            }
        }
        if table_of.len() == count && tables.len() <= MOST_TABLES {
            let chosen = channels.iter().map(|&channel| table_of[channel]).collect();
            let walk = Walk::new(&[raw, chosen]);
            return Self { element: rule.element, walk, rules: Rules::Tables(tables) };
        }
        let each = |values: &[f32], default: f32| match values {
            [] => vec![default; count],
            [one] => vec![*one; count],
            many => (0..count).map(|c| many.get(c).copied().unwrap_or(default)).collect(),
        };
        let (mean, std) = (each(&rule.mean, 0.0), each(&rule.std, 1.0));
        let rules = Rules::Formula { scale: rule.scale, mean, std };
        Self { element: rule.element, walk: Walk::new(&[raw, channels]), rules }
    }
}

/// How the elements of one side of the program are walked, with an index into a sample of the source
/// program.
pub(crate) fn source_walk(border: &Border) -> Walk {
    Walk::new(&[border.places()])
}

/// Whether an output is a vector, whose largest element may name a class.
pub(crate) fn is_vector(output: &Output) -> bool {
    let shape = &output.border.source_shape;
    shape.iter().filter(|&&extent| extent > 1).count() == 1
}

/// What a README says of where elements lie: in raw samples, in the program's inputs and in its outputs;
/// `raw_type` names types of raw elements.
pub(crate) fn layout_text(program: &Program, raw_type: impl Fn(Element) -> &'static str) -> String {
    let mut text = String::from("Where elements lie, counted from 0:\n\n");
    let (single_input, single_output) = (program.inputs.len() == 1, program.outputs.len() == 1);
    let called = |single: bool, role: &str, name: &str| match single {
        true => role.to_owned(),
        false => format!("{role} `{}`", comment(name).replace('`', "?")),
    };
    let mut rules = Vec::new();
    for input in &program.inputs {
        let (rule, shape) = (&input.preprocessing, &input.border.source_shape);
        let own = called(single_input, "input", &input.name);
        let raw_places: Vec<usize> = {
            let elements: usize = shape.iter().product();
            (0..elements).map(|place| rule.raw_place(shape, place)).collect()
        };
        let what = format!("the source model's {own}");
        text.push_str(&side(&what, shape, &inverse(&input.border.places()), "input"));
        let sample = match single_input {
            true => "raw sample".to_owned(),
            false => format!("raw sample of {own}"),
        };
        if let (Some(index), false) =
            (formula(shape, &raw_places), rule.layout == DataLayout::Model)
        {
            let order = match rule.layout {
                DataLayout::ChannelsLast => "channels last",
                _ => "channels first",
            };
            let names = indices(shape).join(", ");
            text.push_str(&format!(
                "- A {sample} has its {order}: element `[{names}]` is its element `{index}`.\n"
            ));
        }
        if let Some(frames) = rule.window_frames {
            text.push_str(&format!(
                "- A {sample} is a window of {frames} frames of a recording, the oldest first.\n"
            ));
        }
        let of = if single_input { String::new() } else { format!(" of {own}") };
        rules.push(format!("- Preprocessing{of}: `{}`", rule_text(rule, raw_type(rule.element))));
    }
    for output in &program.outputs {
        let own = called(single_output, "output", &output.name);
        text.push_str(&side(
            &format!("the source model's {own}"),
            &output.border.source_shape,
            &inverse(&output.border.places()),
            "output",
        ));
    }
    text.push_str(&rules.join("\n"));
    text
}

/// The preprocessing as a formula.
pub(crate) fn rule_text(rule: &Preprocessing, raw_type: &str) -> String {
    let list = |values: &[f32]| match values {
        [one] => format!("{one:?}"),
        many => format!("{many:?}[channel]"),
    };
    let mut text = format!("x of type {raw_type}");
    if rule.scale != 1.0 {
        text = format!("{text}, times {:?}", rule.scale);
    }
    if rule.mean.iter().any(|&mean| mean != 0.0) {
        text = format!("{text}, less {}", list(&rule.mean));
    }
    if rule.std.iter().any(|&std| std != 1.0) {
        text = format!("{text}, divided by {}", list(&rule.std));
    }
    comment(&text)
}

/// A line on one side of the program.
fn side(what: &str, shape: &[usize], stored: &[usize], role: &str) -> String {
    let names = indices(shape).join(", ");
    let own: Vec<usize> = (0..stored.len()).collect();
    match formula(shape, stored) {
        Some(index) if own == stored => format!(
            "- Element `[{names}]` of {what}, `{shape:?}`, is element `{index}` of the {role}: the \
             order is the same.\n"
        ),
        Some(index) => format!(
            "- Element `[{names}]` of {what}, `{shape:?}`, is element `{index}` of the {role}.\n"
        ),
        None => format!(
            "- The elements of {what}, `{shape:?}`, lie in the {role} in another order, which the \
             functions for input and output follow.\n"
        ),
    }
}

/// The names of a sample's indices.
fn indices(shape: &[usize]) -> Vec<String> {
    (0..shape.len().max(1))
        .map(|axis| match "ijklmnop".get(axis..=axis) {
            Some(name) => name.to_owned(),
            None => format!("i{axis}"),
        })
        .collect()
}

/// `places` of a sample's elements as a formula of its indices, if they are a sum of steps.
fn formula(shape: &[usize], places: &[usize]) -> Option<String> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let steps: Vec<usize> = shape
        .iter()
        .zip(&strides)
        .map(|(&extent, &stride)| if extent > 1 { places.get(stride).copied() } else { Some(0) })
        .collect::<Option<_>>()?;
    let at = |element: usize| -> usize {
        let axes = shape.iter().zip(&strides).zip(&steps);
        axes.map(|((&extent, &stride), &step)| element / stride % extent * step).sum()
    };
    if (0..places.len()).any(|element| at(element) != places[element]) {
        return None;
    }
    let names = indices(shape);
    let mut terms: Vec<(usize, String)> = steps
        .iter()
        .zip(names)
        .filter(|(step, _)| **step > 0)
        .map(|(&step, name)| (step, if step == 1 { name } else { format!("{name} * {step}") }))
        .collect();
    terms.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
    let terms: Vec<String> = terms.into_iter().map(|(_, term)| term).collect();
    Some(if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") })
}

/// For each element of a sample its place in the tensor.
fn inverse(places: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; places.len()];
    for (stored, &place) in places.iter().enumerate() {
        inverse[place] = stored;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_are_loops_where_there_are_steps() {
        // [2, 1, 3] with channels first, in a tensor with channels last; the channel beside it.
        let walk = Walk::new(&[vec![0, 3, 1, 4, 2, 5], vec![0, 1, 0, 1, 0, 1]]);
        assert_eq!(walk.extents, [3, 2]);
        assert_eq!(walk.indices, [Index::Steps(vec![1, 3]), Index::Steps(vec![0, 1])]);
        assert_eq!(walk.expression(&walk.indices[0], ""), "i0 + i1 * 3");
        let plain = Walk::new(&[(0..12).collect(), vec![0; 12]]);
        assert_eq!((plain.extents.as_slice(), plain.indices.len()), (&[12][..], 2));
        assert_eq!(plain.expression(&plain.indices[1], ""), "0");
        let odd = Walk::new(&[vec![0, 2, 1], vec![0, 1, 2]]);
        assert_eq!(odd.indices, [Index::Table(vec![0, 2, 1]), Index::Steps(vec![1])]);
        assert_eq!(odd.expression(&odd.indices[0], "places"), "places[i0]");
        assert_eq!(Walk::new(&[vec![0]]).extents, [1]);
    }

    #[test]
    fn places_are_said_as_formulas_of_indices() {
        assert_eq!(formula(&[3, 128], &(0..384).collect::<Vec<_>>()).expect("one"), "i * 128 + j");
        let stored = inverse(&Border::permuted(&[3, 4], [1, 2, 0]).places());
        assert_eq!(formula(&[3, 4], &stored).expect("one"), "j * 3 + i");
        assert_eq!(formula(&[5], &[0, 1, 2, 4, 3]), None);
        assert_eq!(formula(&[], &[0]).expect("one"), "0");
    }
}
