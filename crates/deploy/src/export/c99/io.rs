//! `{id}_io.h` and `{id}_io.c`: from raw samples to the input, from the output to values and classes.

use super::data::{array, c_type, constant, raw_type};
use super::ends::raw_name;
use crate::export::ExportError;
use crate::export::shared::arrays::wrapped;
use crate::export::shared::ends::{End, inputs, outputs};
use crate::export::shared::samples::{
    Index, InputRule, Rules, Walk, is_vector, rule_text, source_walk, variable,
};
use crate::export::shared::template::Values;
use crate::op::DType;
use crate::preprocess::Element;
use crate::program::{Input, Output, Program};

/// The part of the file for one input.
const INPUT: &str = include_str!("../../../c/template/io_input.c");
/// The part of the file for one output.
const OUTPUT: &str = include_str!("../../../c/template/io_output.c");

/// The values of the placeholders in the templates.
///
/// # Errors
/// If a template has a placeholder for which nothing stands.
pub(super) fn values(
    program: &Program,
    id: &str,
) -> Result<[(&'static str, String); 2], ExportError> {
    let (ins, outs) = (inputs(program), outputs(program));
    let mut parts = Vec::new();
    for end in &ins {
        let values = input_values(program, end, id);
        parts.push(values.fill(INPUT)?);
        values.all_used()?;
    }
    for end in &outs {
        let values = output_values(program, end, id);
        parts.push(values.fill(OUTPUT)?.trim_end().to_owned() + "\n");
        values.all_used()?;
    }
    let defined = parts.join("\n");
    Ok([("IO_DECLARED", declared(program, id, &ins, &outs)), ("IO_DEFINED", defined)])
}

fn input_values(program: &Program, end: &End, id: &str) -> Values {
    let input = &program.inputs[end.index];
    let rule = InputRule::new(program, input);
    Values::from([
        ("NAME", id.to_owned()),
        ("PREFIX", id.to_ascii_uppercase()),
        ("SUFFIX", end.suffix.clone()),
        ("INPUT", end.upper()),
        ("INPUT_TYPE", c_type(end.tensor.dtype).to_owned()),
        ("INPUT_MIN", parenthesized(end.tensor.grid.min)),
        ("INPUT_MAX", parenthesized(end.tensor.grid.max)),
        ("QUANTIZE_INPUT", quantize_input(end, &rule, id)),
        ("QUANTIZE_PREPROCESSED", quantize_preprocessed(input, end, id)),
    ])
}

fn output_values(program: &Program, end: &End, id: &str) -> Values {
    let output = &program.outputs[end.index];
    Values::from([
        ("NAME", id.to_owned()),
        ("OUTPUT", end.lower()),
        ("OUTPUT_TYPE", c_type(end.tensor.dtype).to_owned()),
        ("DEQUANTIZE_OUTPUT", dequantize_output(output, end, id)),
        ("DEFINITIONS", definitions(output, end, id)),
    ])
}

/// Lengths and functions, in `{id}_io.h`.
fn declared(program: &Program, id: &str, ins: &[End], outs: &[End]) -> String {
    let prefix = id.to_ascii_uppercase();
    let mut text = String::new();
    for end in ins {
        let what = match end.suffix.is_empty() {
            true => "the source model's input".to_owned(),
            false => format!("{} of the source model", end.words()),
        };
        let (name, length) = (raw_name(end), end.tensor.len());
        text.push_str(&format!(
            "/* Elements of a raw sample, and of {what}. */\n#define {prefix}_{name}_LENGTH {length}\n"
        ));
    }
    for end in outs {
        let (words, name, length) = (end.words(), end.upper(), end.tensor.len());
        text.push_str(&format!(
            "/* Elements of {words}. */\n#define {prefix}_{name}_LENGTH {length}\n"
        ));
    }
    for end in ins {
        let input = &program.inputs[end.index];
        let rule = InputRule::new(program, input);
        let arithmetic = match rule.rules {
            Rules::Tables(_) => {
                "Integer arithmetic: the table holds the result for each raw element."
            }
            Rules::Formula { .. } => {
                "In floats of single precision, without a unit for them in software."
            }
        };
        let (raw, element) = (raw_type(rule.element), c_type(end.tensor.dtype));
        let (own, suffix) = (end.lower(), &end.suffix);
        let formula = rule_text(&input.preprocessing, raw);
        text.push_str(&format!(
            "
/*
 * Fills {id}_{own}() from a raw sample, as the network was quantized:
 * {formula}.
 * {arithmetic}
 */
void {id}_quantize_{own}(const {raw} *raw, {element} *input);

/* The same from values that are preprocessed already, in the order of the source model's input. */
void {id}_quantize_preprocessed{suffix}(const float *values, {element} *input);
"
        ));
    }
    for end in outs {
        let (own, element) = (end.lower(), c_type(end.tensor.dtype));
        text.push_str(&format!(
            "
/* Makes of {id}_{own}() the values of the source model's output, in its order. */
void {id}_dequantize_{own}(const {element} *output, float *values);
"
        ));
        text.push_str(&declarations(&program.outputs[end.index], end, id));
    }
    text + "\n"
}

fn parenthesized(value: i32) -> String {
    if value < 0 { format!("({value})") } else { value.to_string() }
}

/// Nested loops around `body`, whose lines have no indentation.
fn loops(walk: &Walk, body: &str) -> String {
    let mut text = String::new();
    for (depth, extent) in walk.extents.iter().enumerate() {
        let (indent, i) = (" ".repeat(4 * (depth + 1)), variable(depth));
        text.push_str(&format!("{indent}for (size_t {i} = 0; {i} < {extent}u; {i}++) {{\n"));
    }
    let indent = " ".repeat(4 * (walk.extents.len() + 1));
    for line in body.lines() {
        let indent = if line.is_empty() { "" } else { &indent };
        text.push_str(&format!("{indent}{line}\n"));
    }
    for depth in (0..walk.extents.len()).rev() {
        text.push_str(&format!("{}}}\n", " ".repeat(4 * (depth + 1))));
    }
    text
}

/// The table of an index that needs one.
fn table(constant: &str, name: &str, index: &Index) -> String {
    match index {
        Index::Steps(_) => String::new(),
        Index::Table(values) => array(constant, "uint32_t", name, values),
    }
}

pub(super) fn quantize_input(end: &End, rule: &InputRule, id: &str) -> String {
    let (walk, input) = (&rule.walk, c_type(end.tensor.dtype));
    let suffix = &end.suffix;
    let [raw_places, rules] = ["raw_places", "rules"].map(|name| format!("{name}{suffix}"));
    let [raw_index, rule_index] = [&walk.indices[0], &walk.indices[1]];
    let raw = format!("raw[{}]", walk.expression(raw_index, &raw_places));
    let which = walk.expression(rule_index, &rules);
    let constant = constant(id);
    let mut text = table(&constant, &raw_places, raw_index) + &table(&constant, &rules, rule_index);
    let value = match &rule.rules {
        Rules::Tables(tables) => {
            let rows: String = tables
                .iter()
                .map(|table| {
                    let items: Vec<String> = table.iter().map(i32::to_string).collect();
                    format!("    {{\n{}    }},\n", wrapped(&items, 8))
                })
                .collect();
            text.push_str(&format!(
                "/* The input's element for each raw one. */\nstatic {constant} {input} \
                 quantized{suffix}[{}][256] = {{\n{rows}}};\n\n",
                tables.len()
            ));
            let byte = if rule.element == Element::I8 { format!("(uint8_t){raw}") } else { raw };
            format!("quantized{suffix}[{which}][{byte}]")
        }
        Rules::Formula { scale, mean, std } => {
            text.push_str(&formula(*scale, mean, std, suffix));
            let raw = if rule.element == Element::F32 { raw } else { format!("(float){raw}") };
            let single = mean.len() == 1;
            format!(
                "quantize{suffix}(preprocess{suffix}({raw}{}))",
                if single { String::new() } else { format!(", {which}") }
            )
        }
    };
    let body = loops(walk, &format!("input[next++] = {value};\n"));
    let (raw_type, own) = (raw_type(rule.element), end.lower());
    text + &format!(
        "void {id}_quantize_{own}(const {raw_type} *raw, {input} *input)\n{{\n    size_t next = \
         0;\n\n{body}}}\n"
    )
}

/// A function of the preprocessing formula.
fn formula(scale: f32, mean: &[f32], std: &[f32], suffix: &str) -> String {
    let single = mean.len() == 1;
    let list = |name: &str, values: &[f32]| {
        let items: Vec<String> = values.iter().map(|value| format!("{value:?}f")).collect();
        match (&items[..], single) {
            ([one], true) => format!("    const float {name} = {one};\n"),
            _ => {
                let lines = wrapped(&items, 8);
                format!("    static const float {name}[{}] = {{\n{lines}    }};\n", items.len())
            }
        }
    };
    let at = if single { "" } else { "[channel]" };
    let (mut constants, mut steps) = (String::new(), String::new());
    if scale != 1.0 {
        steps.push_str(&format!("    value = value * {scale:?}f;\n"));
    }
    if mean.iter().any(|&mean| mean != 0.0) {
        constants.push_str(&list("mean", mean));
        steps.push_str(&format!("    value = value - mean{at};\n"));
    }
    if std.iter().any(|&std| std != 1.0) {
        constants.push_str(&list("deviation", std));
        steps.push_str(&format!("    value = value / deviation{at};\n"));
    }
    let parameters = if single { "float raw" } else { "float raw, size_t channel" };
    format!(
        "static float preprocess{suffix}({parameters})\n{{\n{constants}    volatile float value = \
         raw;\n\n{steps}    return value;\n}}\n\n"
    )
}

fn quantize_preprocessed(input: &Input, end: &End, id: &str) -> String {
    let walk = source_walk(&input.border);
    let index = walk.expression(&walk.indices[0], "places");
    let table = local(&table(&constant(id), "places", &walk.indices[0]));
    let suffix = &end.suffix;
    let body = loops(&walk, &format!("input[next++] = quantize{suffix}(values[{index}]);\n"));
    format!("{table}    size_t next = 0;\n\n{body}")
}

fn dequantize_output(output: &Output, end: &End, id: &str) -> String {
    let walk = source_walk(&output.border);
    let index = walk.expression(&walk.indices[0], "places");
    let table = local(&table(&constant(id), "places", &walk.indices[0]));
    let name = format!("{}_{}", id.to_ascii_uppercase(), end.upper());
    let body =
        format!("values[{index}] = (float)(output[next++] - {name}_ZERO_POINT) * {name}_SCALE;\n");
    format!("{table}    size_t next = 0;\n\n{}", loops(&walk, &body))
}

/// A definition inside a function.
fn local(definition: &str) -> String {
    definition.lines().map(|line| format!("    {line}\n")).collect()
}

fn declarations(end_of: &Output, end: &End, id: &str) -> String {
    let (output, suffix) = (c_type(end.tensor.dtype), &end.suffix);
    let prefix = id.to_ascii_uppercase();
    let mut text = String::new();
    if is_vector(end_of) {
        text.push_str(&format!(
            "\n/* The index of the output's largest element, the first of equals. */\nsize_t \
             {id}_argmax{suffix}(const {output} *output);\n"
        ));
    }
    if !end_of.classes.is_empty() {
        let count = end_of.classes.len();
        text.push_str(&format!(
            "\n#define {prefix}_CLASSES{} {count}\n/* The name of a class; NULL beyond the last one. \
             */\nconst char *{id}_class_name{suffix}(size_t index);\n",
            suffix.to_ascii_uppercase()
        ));
    }
    text
}

fn definitions(end_of: &Output, end: &End, id: &str) -> String {
    let (tensor, suffix) = (end.tensor, &end.suffix);
    let output = c_type(tensor.dtype);
    let mut text = String::new();
    if is_vector(end_of) {
        let walk = source_walk(&end_of.border);
        let index = walk.expression(&walk.indices[0], "places");
        let table = local(&table(&constant(id), "places", &walk.indices[0]));
        let lowest = match tensor.dtype {
            DType::I16 => "-32768",
            DType::I8 | DType::I4 => "-128",
        };
        let body = loops(
            &walk,
            &format!(
                "const size_t place = {index};\nconst int element = output[next++];\n\nif (element > \
                 largest || (element == largest && place < best)) {{\n    largest = element;\n    \
                 best = place;\n}}\n"
            ),
        );
        text.push_str(&format!(
            "\nsize_t {id}_argmax{suffix}(const {output} *output)\n{{\n{table}    size_t next = 0;\n    size_t \
             best = {};\n    int largest = {lowest} - 1;\n\n{body}    return best;\n}}\n",
            tensor.len()
        ));
    }
    if !end_of.classes.is_empty() {
        let names: String =
            end_of.classes.iter().map(|class| format!("        {},\n", literal(class))).collect();
        let count = end_of.classes.len();
        text.push_str(&format!(
            "\nconst char *{id}_class_name{suffix}(size_t index)\n{{\n    static const char *const \
             names[{count}] = {{\n{names}    }};\n\n    return index < {count}u ? names[index] : \
             NULL;\n}}\n"
        ));
    }
    text.trim_end().to_owned()
}

/// A string literal in C: bytes other than plain ASCII are octal escapes.
fn literal(text: &str) -> String {
    let escaped: String = text
        .bytes()
        .map(|byte| match byte {
            // A question mark could begin a trigraph.
            b'"' | b'\\' | b'?' => format!("\\{}", char::from(byte)),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\{byte:03o}"),
        })
        .collect();
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_hold_any_text() {
        assert_eq!(literal("a \"b\" ??/ \n\u{fc}"), r#""a \"b\" \?\?/ \012\303\274""#);
    }
}
