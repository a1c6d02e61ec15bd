//! `src/io.rs`: from raw samples to the input, from the output to values and classes.

use super::rust_type;
use crate::export::shared::arrays::wrapped;
use crate::export::shared::samples::{
    Index, InputRule, Rules, Walk, is_vector, rule_text, source_walk, variable,
};
use crate::preprocess::Element;
use crate::program::Program;

/// The Rust type of raw elements.
pub(super) fn raw_type(element: Element) -> &'static str {
    match element {
        Element::U8 => "u8",
        Element::I8 => "i8",
        Element::U16 => "u16",
        Element::I16 => "i16",
        Element::I32 => "i32",
        Element::F32 => "f32",
    }
}

/// The file.
pub(super) fn source(program: &Program) -> String {
    let rule = InputRule::new(program, &program.inputs[0]);
    let raw = raw_type(rule.element);
    let [input, output] =
        [program.inputs[0].tensor, program.outputs[0].tensor].map(|id| &program.tensors[id.0]);
    let (input_type, output_type) = (rust_type(input.dtype), rust_type(output.dtype));
    let arithmetic = match rule.rules {
        Rules::Tables(_) => "Integer arithmetic: a table holds the result for each raw element.",
        Rules::Formula { .. } => "In floats, which processors without a unit for them emulate.",
    };
    let sources = [source_walk(&program.inputs[0].border), source_walk(&program.outputs[0].border)];
    let [input_walk, output_walk] = &sources;
    let (constants, statements) = raw_rule(&rule, input_type);
    let from_raw = loops(&rule.walk, "input.iter_mut()", &statements);
    let index = input_walk.expression(&input_walk.indices[0], "INPUT_PLACES");
    let from_values = loops(
        input_walk,
        "input.iter_mut()",
        &format!("*place = INPUT.quantize(at(values, {index})) as {input_type};\n"),
    );
    let index = output_walk.expression(&output_walk.indices[0], "OUTPUT_PLACES");
    let to_values = loops(
        output_walk,
        "output.iter()",
        &format!("set(values, {index}, OUTPUT.dequantize(i32::from(*place)));\n"),
    );
    let grids: String = [("INPUT", input.grid), ("OUTPUT", output.grid)]
        .map(|(role, grid)| {
            let value = format!(
                "Grid {{ scale: {role}_SCALE, zero_point: {role}_ZERO_POINT, min: {}, max: {} }};",
                grid.min, grid.max
            );
            assigned(&format!("const {role}: Grid"), &value)
        })
        .concat();
    let tables = table("INPUT_PLACES", &input_walk.indices[0])
        + &table("OUTPUT_PLACES", &output_walk.indices[0]);
    format!(
        "//! What the network reads and writes: raw samples, values and classes. Every result has the bits
//! that burn-ptq computed when it evaluated the network.

use burn_ptq_kernels::grid::Grid;

use super::{{
    INPUT_LENGTH, INPUT_SCALE, INPUT_ZERO_POINT, OUTPUT_LENGTH, OUTPUT_SCALE, OUTPUT_ZERO_POINT,
}};

{grids}{tables}{constants}
/// Fills the network's input from a raw sample, as the network was quantized:
/// {}.
///
/// {arithmetic}
pub fn quantize_input(raw: &[{raw}; INPUT_LENGTH], input: &mut [{input_type}; INPUT_LENGTH]) {{
{from_raw}}}

/// The same from values that are preprocessed already, in the order of the source model's input.
pub fn quantize_preprocessed(values: &[f32; INPUT_LENGTH], input: &mut [{input_type}; INPUT_LENGTH]) {{
{from_values}}}

/// Makes of the network's output the values of the source model's output, in its order.
pub fn dequantize_output(output: &[{output_type}; OUTPUT_LENGTH], values: &mut [f32; OUTPUT_LENGTH]) {{
{to_values}}}
{}{}
/// An element; the index is always inside.
#[inline(always)]
fn at<T: Copy + Default>(elements: &[T], index: usize) -> T {{
    elements.get(index).copied().unwrap_or_default()
}}

/// Sets an element; the index is always inside.
#[inline(always)]
fn set(values: &mut [f32], index: usize, value: f32) {{
    if let Some(place) = values.get_mut(index) {{
        *place = value;
    }}
}}
",
        rule_text(&program.inputs[0].preprocessing, raw),
        argmax(program, output_walk, output_type),
        classes(program),
    )
}

/// `{what} = {value}`, on two lines if one would be too long for rustfmt.
fn assigned(what: &str, value: &str) -> String {
    let line = format!("{what} = {value}\n");
    if line.len() <= 101 { line } else { format!("{what} =\n    {value}\n") }
}

/// Constants, and the statements that make an element of the input.
fn raw_rule(rule: &InputRule, input_type: &str) -> (String, String) {
    let walk = &rule.walk;
    let [raw_index, rule_index] = [&walk.indices[0], &walk.indices[1]];
    let raw = format!("at(raw, {})", walk.expression(raw_index, "RAW_PLACES"));
    let which = walk.expression(rule_index, "RULES");
    let mut constants = table("RAW_PLACES", raw_index) + &table("RULES", rule_index);
    match &rule.rules {
        Rules::Tables(tables) => {
            let byte = match rule.element {
                Element::I8 => "x as u8",
                _ => "x",
            };
            let rows: Vec<String> = tables
                .iter()
                .map(|table| {
                    let items: Vec<String> = table.iter().map(i32::to_string).collect();
                    format!("    [\n{}    ],\n", wrapped(&items, 8))
                })
                .collect();
            constants.push_str(&format!(
                "\n/// The input's element for each raw one.\n#[rustfmt::skip]\nstatic QUANTIZED: \
                 [[{input_type}; 256]; {}] = [\n{}];\n",
                tables.len(),
                rows.concat()
            ));
            constants.push_str(&format!(
                "\n#[inline(always)]\nfn quantized(rule: usize, byte: u8) -> {input_type} {{\n    \
                 QUANTIZED.get(rule).map_or(0, |table| table[usize::from(byte)])\n}}\n"
            ));
            (constants, format!("let x = {raw};\n*place = quantized({which}, {byte});\n"))
        }
        Rules::Formula { scale, mean, std } => {
            let single = mean.len() == 1;
            constants.push_str(&formula(*scale, mean, std));
            let x = if rule.element == Element::F32 { "x" } else { "x as f32" };
            let rule = if single { String::new() } else { format!(", {which}") };
            let value = format!("INPUT.quantize(preprocess({x}{rule})) as {input_type}");
            (constants, format!("let x = {raw};\n*place = {value};\n"))
        }
    }
}

/// A function of the preprocessing formula.
fn formula(scale: f32, mean: &[f32], std: &[f32]) -> String {
    let single = mean.len() == 1;
    let list = |name: &str, values: &[f32]| {
        let items: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
        match (&items[..], single) {
            ([one], true) => format!("const {name}: f32 = {one};\n"),
            _ => {
                let (length, lines) = (items.len(), wrapped(&items, 4));
                format!("#[rustfmt::skip]\nstatic {name}: [f32; {length}] = [\n{lines}];\n")
            }
        }
    };
    let of = |name: &str| {
        if single { name.to_owned() } else { format!("at(&{name}, channel)") }
    };
    let (mut constants, mut steps) = (String::new(), "raw".to_owned());
    if scale != 1.0 {
        steps = format!("{steps} * {scale:?}");
    }
    if mean.iter().any(|&mean| mean != 0.0) {
        constants.push_str(&list("MEAN", mean));
        steps = format!("{steps} - {}", of("MEAN"));
    }
    if std.iter().any(|&std| std != 1.0) {
        constants.push_str(&list("DEVIATION", std));
        let whole = if steps.contains(" - ") { format!("({steps})") } else { steps };
        steps = format!("{whole} / {}", of("DEVIATION"));
    }
    let parameters = if single { "raw: f32" } else { "raw: f32, channel: usize" };
    format!("{constants}\nfn preprocess({parameters}) -> f32 {{\n    {steps}\n}}\n")
}

/// The table of an index that needs one.
fn table(name: &str, index: &Index) -> String {
    let Index::Table(values) = index else { return String::new() };
    let items: Vec<String> = values.iter().map(usize::to_string).collect();
    let lines = wrapped(&items, 4);
    format!("#[rustfmt::skip]\nstatic {name}: [usize; {}] = [\n{lines}];\n", items.len())
}

/// Nested loops around `body` with the tensor's next element as `place`.
fn loops(walk: &Walk, elements: &str, body: &str) -> String {
    let depth = walk.extents.len();
    let mut text = format!("    let mut places = {elements};\n");
    for (depth, extent) in walk.extents.iter().enumerate() {
        // Loops whose variable no index reads.
        let used = walk.indices.iter().any(|index| match index {
            Index::Steps(steps) => steps[depth] != 0,
            Index::Table(_) => true,
        });
        let variable = if used { variable(depth) } else { "_".to_owned() };
        text.push_str(&format!("{}for {variable} in 0..{extent} {{\n", " ".repeat(4 * depth + 4)));
    }
    let indent = " ".repeat(4 * depth + 4);
    text.push_str(&format!("{indent}if let Some(place) = places.next() {{\n"));
    text.extend(body.lines().map(|line| format!("{indent}    {line}\n")));
    text.push_str(&format!("{indent}}}\n"));
    for depth in (0..depth).rev() {
        text.push_str(&format!("{}}}\n", " ".repeat(4 * depth + 4)));
    }
    text
}

fn argmax(program: &Program, walk: &Walk, output_type: &str) -> String {
    if !is_vector(&program.outputs[0]) {
        return String::new();
    }
    let index = walk.expression(&walk.indices[0], "OUTPUT_PLACES");
    let body = loops(
        walk,
        "output.iter()",
        &format!(
            "let index = {index};
let larger = |(x, i)| *place > x || (*place == x && index < i);
if best.is_none_or(larger) {{
    best = Some((*place, index));
}}
"
        ),
    );
    format!(
        "
/// The index of the output's largest element, the first of equals.
pub fn argmax(output: &[{output_type}; OUTPUT_LENGTH]) -> usize {{
    let mut best: Option<({output_type}, usize)> = None;
{body}    best.map_or(0, |(_, index)| index)
}}
"
    )
}

fn classes(program: &Program) -> String {
    if program.outputs[0].classes.is_empty() {
        return String::new();
    }
    let names: String =
        program.outputs[0].classes.iter().map(|class| format!("    {class:?},\n")).collect();
    let count = program.outputs[0].classes.len();
    format!(
        "
/// The names of the classes.
#[rustfmt::skip]
pub static CLASSES: [&str; {count}] = [
{names}];

/// The name of a class, if there is such a class.
pub fn class_name(index: usize) -> Option<&'static str> {{
    CLASSES.get(index).copied()
}}
"
    )
}
