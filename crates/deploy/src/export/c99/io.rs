//! `{id}_io.h` and `{id}_io.c`: from raw samples to the input, from the output to values and classes.

use super::data::{array, c_type};
use crate::export::shared::arrays::wrapped;
use crate::export::shared::samples::{
    Index, InputRule, Rules, Walk, is_vector, rule_text, source_walk, variable,
};
use crate::op::DType;
use crate::preprocess::Element;
use crate::program::Program;

/// The C type of raw elements.
pub(super) fn raw_type(element: Element) -> &'static str {
    match element {
        Element::U8 => "uint8_t",
        Element::I8 => "int8_t",
        Element::U16 => "uint16_t",
        Element::I16 => "int16_t",
        Element::I32 => "int32_t",
        Element::F32 => "float",
    }
}

/// The values of the placeholders in the templates.
pub(super) fn values(program: &Program, id: &str) -> [(&'static str, String); 10] {
    let rule = InputRule::new(program, &program.inputs[0]);
    let input = program.input_tensor(&program.inputs[0]);
    let arithmetic = match rule.rules {
        Rules::Tables(_) => "Integer arithmetic: the table holds the result for each raw element.",
        Rules::Formula { .. } => {
            "In floats of single precision, without a unit for them in software."
        }
    };
    [
        ("RULE", rule_text(&program.inputs[0].preprocessing, raw_type(rule.element))),
        ("RULE_ARITHMETIC", arithmetic.to_owned()),
        ("RAW_TYPE", raw_type(rule.element).to_owned()),
        ("INPUT_MIN", parenthesized(input.grid.min)),
        ("INPUT_MAX", parenthesized(input.grid.max)),
        ("QUANTIZE_INPUT", quantize_input(program, &rule, id)),
        ("QUANTIZE_PREPROCESSED", quantize_preprocessed(program)),
        ("DEQUANTIZE_OUTPUT", dequantize_output(program, id)),
        ("DECLARATIONS", declarations(program, id)),
        ("DEFINITIONS", definitions(program, id)),
    ]
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
fn table(name: &str, index: &Index) -> String {
    match index {
        Index::Steps(_) => String::new(),
        Index::Table(values) => array("uint32_t", name, values),
    }
}

fn quantize_input(program: &Program, rule: &InputRule, id: &str) -> String {
    let (walk, input) = (&rule.walk, c_type(program.input_tensor(&program.inputs[0]).dtype));
    let [raw_index, rule_index] = [&walk.indices[0], &walk.indices[1]];
    let raw = format!("raw[{}]", walk.expression(raw_index, "raw_places"));
    let which = walk.expression(rule_index, "rules");
    let mut text = table("raw_places", raw_index) + &table("rules", rule_index);
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
                "/* The input's element for each raw one. */\nstatic const {input} \
                 quantized[{}][256] = {{\n{rows}}};\n\n",
                tables.len()
            ));
            let byte = if rule.element == Element::I8 { format!("(uint8_t){raw}") } else { raw };
            format!("quantized[{which}][{byte}]")
        }
        Rules::Formula { scale, mean, std } => {
            text.push_str(&formula(*scale, mean, std));
            let raw = if rule.element == Element::F32 { raw } else { format!("(float){raw}") };
            let single = mean.len() == 1;
            format!(
                "quantize(preprocess({raw}{}))",
                if single { String::new() } else { format!(", {which}") }
            )
        }
    };
    let body = loops(walk, &format!("input[next++] = {value};\n"));
    let raw_type = raw_type(rule.element);
    text + &format!(
        "void {id}_quantize_input(const {raw_type} *raw, {input} *input)\n{{\n    size_t next = \
         0;\n\n{body}}}\n"
    )
}

/// A function of the preprocessing formula.
fn formula(scale: f32, mean: &[f32], std: &[f32]) -> String {
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
        "static float preprocess({parameters})\n{{\n{constants}    volatile float value = \
         raw;\n\n{steps}    return value;\n}}\n\n"
    )
}

fn quantize_preprocessed(program: &Program) -> String {
    let walk = source_walk(&program.inputs[0].border);
    let index = walk.expression(&walk.indices[0], "places");
    let table = local(&table("places", &walk.indices[0]));
    let body = loops(&walk, &format!("input[next++] = quantize(values[{index}]);\n"));
    format!("{table}    size_t next = 0;\n\n{body}")
}

fn dequantize_output(program: &Program, id: &str) -> String {
    let walk = source_walk(&program.outputs[0].border);
    let index = walk.expression(&walk.indices[0], "places");
    let table = local(&table("places", &walk.indices[0]));
    let prefix = id.to_ascii_uppercase();
    let body = format!(
        "values[{index}] = (float)(output[next++] - {prefix}_OUTPUT_ZERO_POINT) * \
         {prefix}_OUTPUT_SCALE;\n"
    );
    format!("{table}    size_t next = 0;\n\n{}", loops(&walk, &body))
}

/// A definition inside a function.
fn local(definition: &str) -> String {
    definition.lines().map(|line| format!("    {line}\n")).collect()
}

fn declarations(program: &Program, id: &str) -> String {
    let output = c_type(program.output_tensor(&program.outputs[0]).dtype);
    let prefix = id.to_ascii_uppercase();
    let mut text = String::new();
    if is_vector(&program.outputs[0]) {
        text.push_str(&format!(
            "\n/* The index of the output's largest element, the first of equals. */\nsize_t \
             {id}_argmax(const {output} *output);\n"
        ));
    }
    if !program.outputs[0].classes.is_empty() {
        let count = program.outputs[0].classes.len();
        text.push_str(&format!(
            "\n#define {prefix}_CLASSES {count}\n/* The name of a class; NULL beyond the last one. \
             */\nconst char *{id}_class_name(size_t index);\n"
        ));
    }
    text
}

fn definitions(program: &Program, id: &str) -> String {
    let tensor = program.output_tensor(&program.outputs[0]);
    let output = c_type(tensor.dtype);
    let mut text = String::new();
    if is_vector(&program.outputs[0]) {
        let walk = source_walk(&program.outputs[0].border);
        let index = walk.expression(&walk.indices[0], "places");
        let table = local(&table("places", &walk.indices[0]));
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
            "\nsize_t {id}_argmax(const {output} *output)\n{{\n{table}    size_t next = 0;\n    size_t \
             best = {};\n    int largest = {lowest} - 1;\n\n{body}    return best;\n}}\n",
            tensor.len()
        ));
    }
    if !program.outputs[0].classes.is_empty() {
        let names: String = program.outputs[0]
            .classes
            .iter()
            .map(|class| format!("        {},\n", literal(class)))
            .collect();
        let count = program.outputs[0].classes.len();
        text.push_str(&format!(
            "\nconst char *{id}_class_name(size_t index)\n{{\n    static const char *const \
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
