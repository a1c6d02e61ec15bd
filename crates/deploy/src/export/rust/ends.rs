//! The parts of the interface that there are for each input and output: constants, methods, the self-test,
//! and what READMEs say of them.

use super::io::raw_type;
use super::literals::rust_type;
use super::states;
use crate::export::shared::arrays::{integers, wrapped};
use crate::export::shared::ends::{End, inputs, outputs};
use crate::export::shared::names::comment;
use crate::export::shared::template::Values;
use crate::export::{ExportError, SelfTest};
use crate::op::DType;
use crate::place::Placed;

/// Arguments beyond which clippy complains of a function.
const MANY_ARGUMENTS: usize = 6;

/// The values of the placeholders in every export's templates.
pub(super) fn values(
    program: &Placed,
    self_test: &SelfTest,
    crate_name: &str,
) -> Result<[(&'static str, String); 12], ExportError> {
    let (ins, outs) = (inputs(program), outputs(program));
    let single = is_single(&ins, &outs);
    let each =
        |text: &dyn Fn(&End) -> String| ins.iter().chain(&outs).map(text).collect::<String>();
    Ok([
        ("LAYOUTS", each(&layout_line)),
        ("END_CONSTANTS", each(&constants)),
        ("USAGE", usage(&ins, &outs, single)),
        ("IO_USAGE", io_usage(program, &ins, &outs, crate_name, single)),
        ("END_ROWS", each(&row)),
        ("STREAM_USE", stream_use(&ins, &outs, crate_name)),
        ("SAMPLE_BYTES", if ins.len() == 1 { "INPUT_BYTES" } else { "SAMPLE_BYTES" }.to_owned()),
        ("STREAM_SAMPLE", stream_sample(&ins, &outs)),
        ("SAMPLES_DEFINED", samples(self_test, &ins, &outs, single)),
        ("FILLED", filled(&ins, single)),
        ("DIFFERING", differing(&outs, single)),
        ("MODEL", model(program, &ins, &outs)?),
    ])
}

fn is_single(ins: &[End], outs: &[End]) -> bool {
    ins.len() == 1 && outs.len() == 1
}

fn array(end: &End) -> String {
    format!("[{}; {}_LENGTH]", rust_type(end.tensor.dtype), end.upper())
}

fn layout_line(end: &End) -> String {
    let layout = end.layout(rust_type);
    let role = if end.role == "input" { "Input" } else { "Output" };
    match end.suffix.is_empty() {
        true => format!("//! - {role}: `{layout}`\n"),
        false => format!("//! - {role} `{}`: `{layout}`\n", comment(end.name).replace('`', "?")),
    }
}

fn constants(end: &End) -> String {
    let (name, words, grid) = (end.upper(), end.words(), end.tensor.grid);
    let [height, width, channels] = end.tensor.shape;
    let words = words.replace('`', "?");
    format!(
        "/// Rows of {words}.
pub const {name}_HEIGHT: usize = {height};
/// Columns of {words}.
pub const {name}_WIDTH: usize = {width};
/// Channels of {words}.
pub const {name}_CHANNELS: usize = {channels};
/// Elements of {words}.
{}
/// Bytes of {words}.
pub const {name}_BYTES: usize = {};
/// What a step of {words} means.
pub const {name}_SCALE: f32 = {:?};
/// What stands for 0.0 in {words}.
pub const {name}_ZERO_POINT: i32 = {};

",
        length(&name),
        end.tensor.bytes(),
        grid.scale,
        grid.zero_point
    )
}

/// The product of the extents, on two lines if one would be too long for rustfmt.
fn length(name: &str) -> String {
    let product = format!("{name}_HEIGHT * {name}_WIDTH * {name}_CHANNELS;");
    let line = format!("pub const {name}_LENGTH: usize = {product}");
    match line.len() <= 100 {
        true => line,
        false => format!("pub const {name}_LENGTH: usize =\n    {product}"),
    }
}

fn row(end: &End) -> String {
    let role = match end.suffix.is_empty() {
        true => end.role.to_owned(),
        false => format!("{} `{}`", end.role, comment(end.name).replace(['|', '`'], "?")),
    };
    format!(
        "| {role} | {} | {} | {:?} | {} |\n",
        end.layout(rust_type),
        end.tensor.bytes(),
        end.tensor.grid.scale,
        end.tensor.grid.zero_point
    )
}

fn usage(ins: &[End], outs: &[End], single: bool) -> String {
    if single {
        let [input, output] = [ins, outs].map(|ends| rust_type(ends[0].tensor.dtype));
        return format!(
            "let output = model.infer(&input);        // &[{input}; INPUT_LENGTH] to &[{output}; \
             OUTPUT_LENGTH]"
        );
    }
    let arguments: Vec<String> = ins.iter().map(|end| format!("&{}", end.lower())).collect();
    let mut text = format!("model.infer({});\n", arguments.join(", "));
    for end in ins {
        text.push_str(&format!("// {}: {}\n", end.lower(), array(end)));
    }
    for end in outs {
        let own = end.lower();
        text.push_str(&format!("let {own} = model.{own}(); // &{}\n", array(end)));
    }
    text.trim_end().to_owned()
}

fn io_usage(program: &Placed, ins: &[End], outs: &[End], crate_name: &str, single: bool) -> String {
    let raw = |end: &End| raw_type(program.inputs[end.index].preprocessing.element);
    if single {
        return format!(
            "let mut input = [0; {crate_name}::INPUT_LENGTH];
io::quantize_input(&raw, &mut input);              // raw: [{}; INPUT_LENGTH]
let output = model.infer(&input);
io::dequantize_output(output, &mut values);        // values: [f32; OUTPUT_LENGTH]",
            raw(&ins[0])
        );
    }
    let mut text = String::new();
    for end in ins {
        let (own, upper) = (end.lower(), end.upper());
        text.push_str(&format!(
            "let mut {own} = [0; {crate_name}::{upper}_LENGTH];\nio::quantize_{own}(&raw, &mut {own}); // \
             raw: [{}; {upper}_LENGTH]\n",
            raw(end)
        ));
    }
    let arguments: Vec<String> = ins.iter().map(|end| format!("&{}", end.lower())).collect();
    text.push_str(&format!("model.infer({});\n", arguments.join(", ")));
    for end in outs {
        let (own, upper) = (end.lower(), end.upper());
        text.push_str(&format!(
            "io::dequantize_{own}(model.{own}(), &mut values); // values: [f32; {upper}_LENGTH]\n"
        ));
    }
    text.trim_end().to_owned()
}

fn stream_use(ins: &[End], outs: &[End], crate_name: &str) -> String {
    if is_single(ins, outs) {
        return format!("use {crate_name}::{{INPUT_BYTES, INPUT_LENGTH, Model}};");
    }
    let mut text = format!("use {crate_name}::*;\n");
    if ins.len() > 1 {
        let bytes: Vec<String> = ins.iter().map(|end| format!("{}_BYTES", end.upper())).collect();
        let sum = bytes.join(" + ");
        text.push_str(&format!(
            "\n/// Bytes of a sample: those of all inputs, one input after the other.\n#[rustfmt::skip]\nconst \
             SAMPLE_BYTES: usize = {sum};\n"
        ));
    }
    text.trim_end().to_owned()
}

fn stream_sample(ins: &[End], outs: &[End]) -> String {
    let element = |end: &End| rust_type(end.tensor.dtype);
    if is_single(ins, outs) {
        return format!(
            "        let mut input = [0; INPUT_LENGTH];
        let elements = sample.as_chunks().0.iter().map(|&bytes| {}::from_le_bytes(bytes));
        input.iter_mut().zip(elements).for_each(|(place, x)| *place = x);
        for x in model.infer(&input) {{
            output.write_all(&x.to_le_bytes())?;
        }}
",
            element(&ins[0])
        );
    }
    let mut text = String::new();
    if ins.len() > 1 {
        text.push_str("        let mut rest = sample;\n");
    }
    for end in ins {
        let (own, upper, element) = (end.lower(), end.upper(), element(end));
        let source = match ins.len() {
            1 => "sample".to_owned(),
            _ => {
                text.push_str(&format!(
                    "        let (bytes, others) = rest.split_at({upper}_BYTES);\n        rest = others;\n"
                ));
                "bytes".to_owned()
            }
        };
        text.push_str(&format!(
            "        let mut {own} = [0; {upper}_LENGTH];
        let elements = {source}.as_chunks().0.iter().map(|&bytes| {element}::from_le_bytes(bytes));
        {own}.iter_mut().zip(elements).for_each(|(place, x)| *place = x);
"
        ));
    }
    if ins.len() > 1 {
        text.push_str("        debug_assert!(rest.is_empty());\n");
    }
    let arguments: Vec<String> = ins.iter().map(|end| format!("&{}", end.lower())).collect();
    text.push_str(&format!("        model.infer({});\n", arguments.join(", ")));
    for end in outs {
        text.push_str(&format!(
            "        for x in model.{}() {{\n            output.write_all(&x.to_le_bytes())?;\n        }}\n",
            end.lower()
        ));
    }
    text
}

/// The definition of the samples.
fn samples(self_test: &SelfTest, ins: &[End], outs: &[End], single: bool) -> String {
    let count = self_test.samples.len();
    let elements = |bytes: &[u8], dtype: DType| wrapped(&integers(bytes, dtype), 12);
    if single {
        let pair = |(input, output): &(Vec<u8>, Vec<u8>)| {
            let [input, output] = [(input, &ins[0]), (output, &outs[0])].map(|(bytes, end)| {
                format!("        [\n{}        ],\n", elements(bytes, end.tensor.dtype))
            });
            format!("    (\n{input}{output}    ),\n")
        };
        let rows: String = self_test.samples.iter().map(pair).collect();
        let [input, output] = [&ins[0], &outs[0]]
            .map(|end| format!("[{}; {}]", rust_type(end.tensor.dtype), end.tensor.len()));
        return format!(
            "pub type Sample = ({input}, {output});\n\n#[rustfmt::skip]\npub static SAMPLES: [Sample; {count}] = \
             [\n{rows}];\n"
        );
    }
    let field = |end: &End| {
        let (own, element, len) = (end.lower(), rust_type(end.tensor.dtype), end.tensor.len());
        format!("    pub {own}: [{element}; {len}],\n")
    };
    let fields: String = ins.iter().chain(outs).map(field).collect();
    let value = |end: &End, (input, output): &(Vec<u8>, Vec<u8>)| {
        let bytes = if end.role == "input" { input } else { output };
        let elements = elements(&bytes[end.bytes()], end.tensor.dtype);
        format!("        {}: [\n{elements}        ],\n", end.lower())
    };
    let one = |sample: &(Vec<u8>, Vec<u8>)| {
        let values: String = ins.iter().chain(outs).map(|end| value(end, sample)).collect();
        format!("    Sample {{\n{values}    }},\n")
    };
    let rows: String = self_test.samples.iter().map(one).collect();
    format!(
        "pub struct Sample {{\n{fields}}}\n\n#[rustfmt::skip]\npub static SAMPLES: [Sample; {count}] = \
         [\n{rows}];\n"
    )
}

/// The statements that fill the inputs from a sample of the self-test.
fn filled(ins: &[End], single: bool) -> String {
    let fill = |end: &End| {
        let own = end.lower();
        let source = if single { "sample.0".to_owned() } else { format!("sample.{own}") };
        match end.tensor.dtype {
            DType::I16 => format!("        model.set_{own}(&{source});\n"),
            DType::I8 | DType::I4 => format!("        *model.{own}() = {source};\n"),
        }
    };
    ins.iter().map(fill).collect()
}

/// The sum of the bytes in which outputs differ from a sample of the self-test.
fn differing(outs: &[End], single: bool) -> String {
    let one = |end: &End| {
        let own = end.lower();
        let expected = if single { "sample.1".to_owned() } else { format!("sample.{own}") };
        format!("bytes(model.{own}(), &{expected})")
    };
    outs.iter().map(one).collect::<Vec<_>>().join("\n        + ")
}

/// The struct with its methods.
fn model(program: &Placed, ins: &[End], outs: &[End]) -> Result<String, ExportError> {
    let wide = |end: &&End| end.tensor.dtype == DType::I16;
    let fields: String = outs
        .iter()
        .filter(wide)
        .map(|end| format!("\n    {}: {},", end.lower(), array(end)))
        .collect();
    let initial: String = outs
        .iter()
        .filter(wide)
        .map(|end| format!(", {}: [0; {}_LENGTH]", end.lower(), end.upper()))
        .collect();
    let finish: String = outs
        .iter()
        .filter(wide)
        .map(|end| {
            let (own, upper, offset) = (end.lower(), end.upper(), program.offset(end.id));
            format!(
                "
        let bytes = network::section::<{offset}, {upper}_BYTES>(&self.arena);
        for (place, &[low, high]) in self.{own}.iter_mut().zip(bytes.as_chunks().0) {{
            *place = i16::from_le_bytes([low as u8, high as u8]);
        }}"
            )
        })
        .collect();
    let input_methods: Vec<String> = ins.iter().map(|end| input_method(program, end)).collect();
    let output_methods: Vec<String> = outs.iter().map(|end| output_method(program, end)).collect();
    let values = Values::from([
        ("FIELDS", fields + states::field(program)),
        ("INITIAL", initial + states::initial(program)),
        ("RESET_METHOD", states::method(program)),
        ("START", states::start(program).to_owned()),
        ("INFER", infer(ins, outs)),
        ("INPUTS", input_methods.join("\n\n")),
        (
            "WHAT_IS_THERE",
            match ins.len() {
                1 => "the input that is there",
                _ => "the inputs that are there",
            }
            .to_owned(),
        ),
        ("FINISH", finish),
        ("OUTPUTS", output_methods.join("\n\n")),
    ]);
    let filled = values.fill(include_str!("../../../rust/template/model.rs.in"))?;
    values.all_used()?;
    Ok(filled.trim_end().to_owned())
}

fn infer(ins: &[End], outs: &[End]) -> String {
    let fill = |end: &End| {
        let own = end.lower();
        match end.tensor.dtype {
            DType::I16 => format!("        self.set_{own}({own});\n"),
            DType::I8 | DType::I4 => format!("        *self.{own}() = *{own};\n"),
        }
    };
    let fills: String = ins.iter().map(fill).collect();
    if is_single(ins, outs) {
        return format!(
            "    /// Runs the network on `input`.
    #[inline]
    pub fn infer(&mut self, input: &{}) -> &{} {{
{fills}        self.run();
        self.output()
    }}",
            array(&ins[0]),
            array(&outs[0])
        );
    }
    let parameters: String =
        ins.iter().map(|end| format!("        {}: &{},\n", end.lower(), array(end))).collect();
    let many = match ins.len() > MANY_ARGUMENTS {
        true => "    #[allow(clippy::too_many_arguments)]\n",
        false => "",
    };
    let (returns, last) = match outs {
        [only] => (format!(" -> &{}", array(only)), "        self.output()\n"),
        _ => (String::new(), ""),
    };
    format!(
        "    /// Runs the network on its inputs.
    #[inline]
    #[rustfmt::skip]
{many}    pub fn infer(
        &mut self,
{parameters}    ){returns} {{
{fills}        self.run();
{last}    }}"
    )
}

fn input_method(program: &Placed, end: &End) -> String {
    let (own, upper, offset) = (end.lower(), end.upper(), program.offset(end.id));
    let which = match end.suffix.is_empty() {
        true => "the next input".to_owned(),
        false => format!("the next {}", end.words().trim_start_matches("the ").replace('`', "?")),
    };
    match end.tensor.dtype {
        DType::I8 | DType::I4 => format!(
            "    /// Where {which} goes. [`run`](Self::run) overwrites it.
    #[inline]
    pub fn {own}(&mut self) -> &mut [i8; {upper}_LENGTH] {{
        network::section_mut::<{offset}, {upper}_LENGTH>(&mut self.arena)
    }}"
        ),
        DType::I16 => format!(
            "    /// Takes {which}. [`run`](Self::run) overwrites it.
    pub fn set_{own}(&mut self, input: &[i16; {upper}_LENGTH]) {{
        let bytes = network::section_mut::<{offset}, {upper}_BYTES>(&mut self.arena);
        for (place, x) in bytes.as_chunks_mut().0.iter_mut().zip(input) {{
            *place = x.to_le_bytes().map(|byte| byte as i8);
        }}
    }}"
        ),
    }
}

fn output_method(program: &Placed, end: &End) -> String {
    let (own, upper, offset) = (end.lower(), end.upper(), program.offset(end.id));
    let words = end.words().replace('`', "?");
    let words = format!("{}{}", words[..1].to_uppercase(), &words[1..]);
    let value = match end.tensor.dtype {
        DType::I8 | DType::I4 => {
            format!("network::section::<{offset}, {upper}_LENGTH>(&self.arena)")
        }
        DType::I16 => format!("&self.{own}"),
    };
    format!(
        "    /// {words} of the last run, until the next input.
    #[inline]
    pub fn {own}(&self) -> &{} {{
        {value}
    }}",
        array(end)
    )
}
