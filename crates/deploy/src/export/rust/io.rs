//! `src/io.rs`: from raw samples to the input, from the output to values and classes.

use super::literals::rust_type;
use crate::export::shared::arrays::wrapped;
use crate::export::shared::ends::{End, inputs, outputs};
use crate::export::shared::samples::{
    Index, InputRule, Rules, Walk, is_vector, rule_text, source_walk, variable,
};
use crate::preprocess::Element;
use crate::program::{Output, Program};

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
    let (ins, outs) = (inputs(program), outputs(program));
    let all = || ins.iter().chain(&outs);
    let parts = ["LENGTH", "SCALE", "ZERO_POINT"];
    let constants: Vec<String> =
        all().flat_map(|end| parts.map(|part| format!("{}_{part}", end.upper()))).collect();
    let grids: String = all()
        .map(|end| {
            let (role, grid) = (end.upper(), end.tensor.grid);
            let value = format!(
                "Grid {{ scale: {role}_SCALE, zero_point: {role}_ZERO_POINT, min: {}, max: {} }};",
                grid.min, grid.max
            );
            assigned(&format!("const {role}: Grid"), &value)
        })
        .collect();
    let places: String =
        all().map(|end| table(&places_name(end), &walk_of(program, end).indices[0])).collect();
    let of_inputs: Vec<(String, String)> =
        ins.iter().map(|end| input_functions(program, end)).collect();
    let rules: String = of_inputs.iter().map(|(constants, _)| constants.as_str()).collect();
    let fill: String = of_inputs.iter().map(|(_, functions)| functions.as_str()).collect();
    let read: String = outs.iter().map(|end| output_functions(program, end)).collect();
    format!(
        "//! What the network reads and writes: raw samples, values and classes. Every result has the bits
//! that burn-ptq computed when it evaluated the network.

use burn_ptq_kernels::grid::Grid;

{}

{grids}{places}{rules}{fill}{read}
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
        imported(&constants)
    )
}

/// The `use` of constants, broken as rustfmt does.
fn imported(constants: &[String]) -> String {
    let mut sorted = constants.to_vec();
    sorted.sort();
    let mut lines = vec![String::new()];
    for name in sorted {
        let last = lines.last_mut().expect("there is a line");
        if !last.is_empty() && 4 + last.len() + 1 + name.len() + 1 > 100 {
            lines.push(format!("{name},"));
        } else {
            let gap = if last.is_empty() { "" } else { " " };
            last.push_str(&format!("{gap}{name},"));
        }
    }
    let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
    format!("use super::{{\n{lines}}};")
}

/// The name of the table of an end's places, if it needs one.
fn places_name(end: &End) -> String {
    format!("{}_PLACES", end.upper())
}

fn walk_of(program: &Program, end: &End) -> Walk {
    source_walk(match end.role {
        "input" => &program.inputs[end.index].border,
        _ => &program.outputs[end.index].border,
    })
}

/// Constants and functions for an input.
fn input_functions(program: &Program, end: &End) -> (String, String) {
    let input = &program.inputs[end.index];
    let rule = InputRule::new(program, input);
    let (raw, element) = (raw_type(rule.element), rust_type(end.tensor.dtype));
    let arithmetic = match rule.rules {
        Rules::Tables(_) => "Integer arithmetic: a table holds the result for each raw element.",
        Rules::Formula { .. } => "In floats, which processors without a unit for them emulate.",
    };
    let (own, suffix, upper) = (end.lower(), &end.suffix, end.upper());
    let (constants, statements) = raw_rule(&rule, end);
    let from_raw = loops(&rule.walk, "input.iter_mut()", &statements);
    let walk = walk_of(program, end);
    let index = walk.expression(&walk.indices[0], &places_name(end));
    let from_values = loops(
        &walk,
        "input.iter_mut()",
        &format!("*place = {upper}.quantize(at(values, {index})) as {element};\n"),
    );
    let formula = rule_text(&input.preprocessing, raw);
    let what = match end.suffix.is_empty() {
        true => "the network's input".to_owned(),
        false => end.words().replace('`', "?"),
    };
    let functions = format!(
        "
/// Fills {what} from a raw sample, as the network was quantized:
/// {formula}.
///
/// {arithmetic}
pub fn quantize_{own}(raw: &[{raw}; {upper}_LENGTH], input: &mut [{element}; {upper}_LENGTH]) {{
{from_raw}}}

/// The same from values that are preprocessed already, in the order of the source model's input.
pub fn quantize_preprocessed{suffix}(values: &[f32; {upper}_LENGTH], input: &mut [{element}; {upper}_LENGTH]) {{
{from_values}}}
"
    );
    (constants, functions)
}

/// Functions for an output.
fn output_functions(program: &Program, end: &End) -> String {
    let output = &program.outputs[end.index];
    let walk = walk_of(program, end);
    let (own, upper, element) = (end.lower(), end.upper(), rust_type(end.tensor.dtype));
    let index = walk.expression(&walk.indices[0], &places_name(end));
    let to_values = loops(
        &walk,
        "output.iter()",
        &format!("set(values, {index}, {upper}.dequantize(i32::from(*place)));\n"),
    );
    let what = match end.suffix.is_empty() {
        true => "the network's output".to_owned(),
        false => end.words().replace('`', "?"),
    };
    format!(
        "
/// Makes of {what} the values of the source model's output, in its order.
pub fn dequantize_{own}(output: &[{element}; {upper}_LENGTH], values: &mut [f32; {upper}_LENGTH]) {{
{to_values}}}
{}{}",
        argmax(output, end, &walk, element),
        classes(output, end),
    )
}

/// `{what} = {value}`, on two lines if one would be too long for rustfmt.
fn assigned(what: &str, value: &str) -> String {
    let line = format!("{what} = {value}\n");
    if line.len() <= 101 { line } else { format!("{what} =\n    {value}\n") }
}

/// Constants, and the statements that make an element of the input.
fn raw_rule(rule: &InputRule, end: &End) -> (String, String) {
    let (walk, input_type) = (&rule.walk, rust_type(end.tensor.dtype));
    let (suffix, capitals) = (&end.suffix, end.suffix.to_ascii_uppercase());
    let [raw_places, rules] = ["RAW_PLACES", "RULES"].map(|name| format!("{name}{capitals}"));
    let [raw_index, rule_index] = [&walk.indices[0], &walk.indices[1]];
    let raw = format!("at(raw, {})", walk.expression(raw_index, &raw_places));
    let which = walk.expression(rule_index, &rules);
    let mut constants = table(&raw_places, raw_index) + &table(&rules, rule_index);
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
                "\n/// The input's element for each raw one.\n#[rustfmt::skip]\nstatic QUANTIZED{capitals}: \
                 [[{input_type}; 256]; {}] = [\n{}];\n",
                tables.len(),
                rows.concat()
            ));
            constants.push_str(&format!(
                "\n#[inline(always)]\nfn quantized{suffix}(rule: usize, byte: u8) -> {input_type} {{\n    \
                 QUANTIZED{capitals}.get(rule).map_or(0, |table| table[usize::from(byte)])\n}}\n"
            ));
            (constants, format!("let x = {raw};\n*place = quantized{suffix}({which}, {byte});\n"))
        }
        Rules::Formula { scale, mean, std } => {
            let single = mean.len() == 1;
            constants.push_str(&formula(*scale, mean, std, suffix));
            let x = if rule.element == Element::F32 { "x" } else { "x as f32" };
            let rule = if single { String::new() } else { format!(", {which}") };
            let grid = end.upper();
            let value = format!("{grid}.quantize(preprocess{suffix}({x}{rule})) as {input_type}");
            (constants, format!("let x = {raw};\n*place = {value};\n"))
        }
    }
}

/// A function of the preprocessing formula.
fn formula(scale: f32, mean: &[f32], std: &[f32], suffix: &str) -> String {
    let [of_mean, of_std] =
        ["MEAN", "DEVIATION"].map(|name| format!("{name}{}", suffix.to_ascii_uppercase()));
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
        constants.push_str(&list(&of_mean, mean));
        steps = format!("{steps} - {}", of(&of_mean));
    }
    if std.iter().any(|&std| std != 1.0) {
        constants.push_str(&list(&of_std, std));
        let whole = if steps.contains(" - ") { format!("({steps})") } else { steps };
        steps = format!("{whole} / {}", of(&of_std));
    }
    let parameters = if single { "raw: f32" } else { "raw: f32, channel: usize" };
    format!("{constants}\nfn preprocess{suffix}({parameters}) -> f32 {{\n    {steps}\n}}\n")
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

fn argmax(output: &Output, end: &End, walk: &Walk, output_type: &str) -> String {
    if !is_vector(output) {
        return String::new();
    }
    let index = walk.expression(&walk.indices[0], &places_name(end));
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
    let (suffix, upper) = (&end.suffix, end.upper());
    format!(
        "
/// The index of the output's largest element, the first of equals.
pub fn argmax{suffix}(output: &[{output_type}; {upper}_LENGTH]) -> usize {{
    let mut best: Option<({output_type}, usize)> = None;
{body}    best.map_or(0, |(_, index)| index)
}}
"
    )
}

fn classes(output: &Output, end: &End) -> String {
    if output.classes.is_empty() {
        return String::new();
    }
    let names: String = output.classes.iter().map(|class| format!("    {class:?},\n")).collect();
    let count = output.classes.len();
    let (suffix, capitals) = (&end.suffix, end.suffix.to_ascii_uppercase());
    format!(
        "
/// The names of the classes.
#[rustfmt::skip]
pub static CLASSES{capitals}: [&str; {count}] = [
{names}];

/// The name of a class, if there is such a class.
pub fn class_name{suffix}(index: usize) -> Option<&'static str> {{
    CLASSES{capitals}.get(index).copied()
}}
"
    )
}
