//! The parts of the interface that there are for each input and output: constants, functions, and what
//! READMEs say of them.

use super::data::{c_type, raw_type};
use super::states;
use crate::export::shared::ends::{End, inputs, outputs};
use crate::export::shared::names::comment;
use crate::place::Placed;
use crate::program::Program;

/// The values of the placeholders in every export's templates, for a program called `id`.
pub(super) fn values(program: &Placed, id: &str) -> [(&'static str, String); 12] {
    let (ins, outs) = (inputs(program), outputs(program));
    let prefix = id.to_ascii_uppercase();
    let each =
        |text: &dyn Fn(&End) -> String| ins.iter().chain(&outs).map(text).collect::<String>();
    [
        ("LAYOUTS", layouts(&ins, &outs)),
        ("END_MACROS", each(&|end| macros(end, &prefix))),
        ("INFER", infer(id, &prefix, &ins, &outs)),
        ("ACCESSORS", accessors(id, &ins, &outs)),
        (
            "ARENA_FUNCTIONS",
            states::arena_declared(program, id) + &arena_functions(id, &ins, &outs),
        ),
        (
            "ARENA_USAGE",
            states::arena_usage(program, id)
                + &format!("{id}_arena_infer(&first, {});", parameters(&ins, &outs)),
        ),
        ("USAGE", states::usage(program, id) + &usage(id, &prefix, &ins, &outs)),
        ("INFER_CALL", format!("{id}_infer({})", parameters(&ins, &outs))),
        ("IO_USAGE", io_usage(program, id, &prefix, &ins, &outs)),
        ("END_ROWS", each(&row)),
        ("OUTPUT_BUFFERS", buffers(&outs)),
        ("COMPARED", compare(id, &prefix, &ins, &outs)),
    ]
}

/// The values of the placeholders in programs for a machine with an operating system.
pub(super) fn hosted_values(program: &Program, id: &str) -> [(&'static str, String); 5] {
    let (ins, outs) = (inputs(program), outputs(program));
    let prefix = id.to_ascii_uppercase();
    let (function, read, bytes) = match &ins[..] {
        [_] => {
            let bytes = format!("{prefix}_INPUT_BYTES");
            (String::new(), format!("fread({id}_input(), 1, {bytes}, source)"), bytes)
        }
        _ => {
            let function = read_sample(id, &prefix, &ins);
            (function, "read_sample(source)".to_owned(), "SAMPLE_BYTES".to_owned())
        }
    };
    [
        ("MAIN_BYTES", main_bytes(&prefix, &ins, &outs)),
        ("READ_SAMPLE", function),
        ("READ", read),
        ("SAMPLE_BYTES", bytes),
        ("WRITE_FAILED", write_failed(id, &prefix, &outs)),
    ]
}

/// The statements that fill the inputs from a sample of the self-test, in firmware.
pub(super) fn filled(program: &Program, id: &str) -> String {
    let prefix = id.to_ascii_uppercase();
    let fill = |end: &End| {
        let (own, bytes) = (end.lower(), format!("{prefix}_{}_BYTES", end.upper()));
        format!("        memcpy({id}_{own}(), {}[sample], {bytes});\n", arrays(end))
    };
    inputs(program).iter().map(fill).collect()
}

fn is_single(ins: &[End], outs: &[End]) -> bool {
    ins.len() == 1 && outs.len() == 1
}

/// The definitions of the functions that give the buffers of an arena; `place` says where one begins.
pub(super) fn buffers_of_arena(
    program: &Program,
    id: &str,
    place: impl Fn(&End) -> String,
) -> String {
    let define = |end: End| {
        let (element, function, place) = (c_type(end.tensor.dtype), end.lower(), place(&end));
        let qualifier = if end.role == "input" { "" } else { "const " };
        format!(
            "{qualifier}{element} *{id}_arena_{function}({qualifier}{id}_arena *arena)\n{{\n    return \
             {place};\n}}\n\n"
        )
    };
    inputs(program).into_iter().chain(outputs(program)).map(define).collect()
}

/// The definitions of the function that copies, and of all functions without an arena, with the one that
/// they use.
pub(super) fn own_defined(program: &Placed, id: &str) -> String {
    let (ins, outs) = (inputs(program), outputs(program));
    let prefix = id.to_ascii_uppercase();
    let copy = |to: &str, from: &str, end: &End| {
        format!("    memcpy({to}, {from}, {prefix}_{}_BYTES);\n", end.upper())
    };
    let of_arena = |end: &End| format!("{id}_arena_{}(arena)", end.lower());
    let mut copies: String =
        ins.iter().map(|end| copy(&of_arena(end), &end.lower(), end)).collect();
    copies.push_str(&format!("    {id}_arena_run(arena);\n"));
    copies.extend(outs.iter().map(|end| copy(&end.lower(), &of_arena(end), end)));
    let (declared, parameters) = (declared(&ins, &outs), parameters(&ins, &outs));
    let buffers: String = ins
        .iter()
        .chain(&outs)
        .map(|end| {
            let (element, function) = (c_type(end.tensor.dtype), end.lower());
            let qualifier = if end.role == "input" { "" } else { "const " };
            format!(
                "{qualifier}{element} *{id}_{function}(void)\n{{\n    return \
                 {id}_arena_{function}(&{id}_own_arena);\n}}\n\n"
            )
        })
        .collect();
    let reset = states::own_defined(program, id);
    format!(
        "void {id}_arena_infer({id}_arena *arena, {declared})
{{
{copies}}}

/* The arena of the functions below. */
static {id}_arena {id}_own_arena {prefix}_ARENA_ATTRIBUTE;

{buffers}{reset}void {id}_run(void)
{{
    {id}_arena_run(&{id}_own_arena);
}}

void {id}_infer({declared})
{{
    {id}_arena_infer(&{id}_own_arena, {parameters});
}}
"
    )
}

/// `const int8_t *input, int8_t *output`.
fn declared(ins: &[End], outs: &[End]) -> String {
    let ins = ins.iter().map(|end| format!("const {} *{}", c_type(end.tensor.dtype), end.lower()));
    let outs = outs.iter().map(|end| format!("{} *{}", c_type(end.tensor.dtype), end.lower()));
    ins.chain(outs).collect::<Vec<_>>().join(", ")
}

/// `input, output`.
fn parameters(ins: &[End], outs: &[End]) -> String {
    ins.iter().chain(outs).map(End::lower).collect::<Vec<_>>().join(", ")
}

fn layouts(ins: &[End], outs: &[End]) -> String {
    let line = |end: &End| {
        let layout = end.layout(c_type);
        match (end.role, end.suffix.is_empty()) {
            ("input", true) => format!(" * Input:  {layout}\n"),
            (_, true) => format!(" * Output: {layout}\n"),
            ("input", false) => format!(" * Input '{}': {layout}\n", comment(end.name)),
            (_, false) => format!(" * Output '{}': {layout}\n", comment(end.name)),
        }
    };
    ins.iter().chain(outs).map(line).collect()
}

fn macros(end: &End, prefix: &str) -> String {
    let [height, width, channels] = end.tensor.shape;
    let (name, grid) = (format!("{prefix}_{}", end.upper()), end.tensor.grid);
    let comment = match end.suffix.is_empty() {
        true => String::new(),
        false => format!("/* {}{} */\n", end.words()[..1].to_uppercase(), &end.words()[1..]),
    };
    format!(
        "{comment}#define {name}_HEIGHT {height}\n#define {name}_WIDTH {width}\n#define \
         {name}_CHANNELS {channels}\n#define {name}_BYTES {}\n#define {name}_SCALE {:?}f\n#define \
         {name}_ZERO_POINT ({})\n\n",
        end.tensor.bytes(),
        grid.scale,
        grid.zero_point
    )
}

fn infer(id: &str, prefix: &str, ins: &[End], outs: &[End]) -> String {
    let what = match is_single(ins, outs) {
        true => format!(
            "/* Runs the network on {prefix}_INPUT_BYTES at `input`; writes {prefix}_OUTPUT_BYTES. */\n"
        ),
        false => {
            "/* Runs the network on copies of the inputs and copies the outputs; the constants above say \
             how many\n * bytes each of them has. */\n"
                .to_owned()
        }
    };
    format!("{what}void {id}_infer({});\n", declared(ins, outs))
}

fn accessors(id: &str, ins: &[End], outs: &[End]) -> String {
    let mut text = match is_single(ins, outs) {
        true => format!(
            "/*\n * The same without copies: fill the buffer at {id}_input(), run, read at {id}_output(). \
             Running\n * overwrites the input; the output holds until the input is filled again.\n */\n"
        ),
        false => "/*\n * The same without copies: fill the buffers of all inputs, run, read those of the \
                  outputs. Running\n * overwrites inputs; outputs hold until an input is filled again.\n */\n"
            .to_owned(),
    };
    for end in ins {
        text.push_str(&format!("{} *{id}_{}(void);\n", c_type(end.tensor.dtype), end.lower()));
    }
    text.push_str(&format!("void {id}_run(void);\n"));
    for end in outs {
        text.push_str(&format!(
            "const {} *{id}_{}(void);\n",
            c_type(end.tensor.dtype),
            end.lower()
        ));
    }
    text
}

/// The declarations of the functions that take an arena.
fn arena_functions(id: &str, ins: &[End], outs: &[End]) -> String {
    let mut text = String::new();
    for end in ins {
        let element = c_type(end.tensor.dtype);
        text.push_str(&format!("{element} *{id}_arena_{}({id}_arena *arena);\n", end.lower()));
    }
    text.push_str(&format!("void {id}_arena_run({id}_arena *arena);\n"));
    for end in outs {
        let (element, own) = (c_type(end.tensor.dtype), end.lower());
        text.push_str(&format!("const {element} *{id}_arena_{own}(const {id}_arena *arena);\n"));
    }
    text + &format!("void {id}_arena_infer({id}_arena *arena, {});", declared(ins, outs))
}

fn usage(id: &str, prefix: &str, ins: &[End], outs: &[End]) -> String {
    let aligned = |code: String, column: usize, note: String| {
        let gap = column.saturating_sub(code.len()).max(1);
        format!("{code}{}/* {note} */\n", " ".repeat(gap))
    };
    let mut text = String::new();
    for end in ins {
        let (own, element) = (end.lower(), c_type(end.tensor.dtype));
        let code = format!("{element} *{own} = {id}_{own}();");
        // The comments of a single input and output stand where they always stood.
        let column = code.len() + if end.suffix.is_empty() { 15 } else { 1 };
        text += &aligned(code, column, format!("fill {prefix}_{}_BYTES bytes", end.upper()));
    }
    text.push_str(&format!("{id}_run();\n"));
    for end in outs {
        let (own, element) = (end.lower(), c_type(end.tensor.dtype));
        let code = format!("const {element} *{own} = {id}_{own}();");
        let column = code.len() + if end.suffix.is_empty() { 6 } else { 1 };
        text += &aligned(code, column, format!("read {prefix}_{}_BYTES bytes", end.upper()));
    }
    text.trim_end().to_owned()
}

fn io_usage(program: &Program, id: &str, prefix: &str, ins: &[End], outs: &[End]) -> String {
    let mut text = String::new();
    for end in ins {
        let raw = raw_type(program.inputs[end.index].preprocessing.element);
        let (own, upper) = (end.lower(), raw_name(end));
        let gap = if end.suffix.is_empty() { 13 } else { 1 };
        text.push_str(&format!(
            "{id}_quantize_{own}(raw, {id}_{own}());{}/* const {raw} raw[{prefix}_{upper}_LENGTH] */\n",
            " ".repeat(gap)
        ));
    }
    text.push_str(&format!("{id}_run();\n"));
    for end in outs {
        let (own, upper) = (end.lower(), end.upper());
        let gap = if end.suffix.is_empty() { 6 } else { 1 };
        text.push_str(&format!(
            "{id}_dequantize_{own}({id}_{own}(), values);{}/* float values[{prefix}_{upper}_LENGTH] */\n",
            " ".repeat(gap)
        ));
    }
    text.trim_end().to_owned()
}

/// `RAW` or `RAW_IMAGE`.
pub(super) fn raw_name(end: &End) -> String {
    format!("RAW{}", end.suffix.to_ascii_uppercase())
}

fn row(end: &End) -> String {
    let role = match end.suffix.is_empty() {
        true => end.role.to_owned(),
        false => format!("{} `{}`", end.role, comment(end.name).replace(['|', '`'], "?")),
    };
    format!(
        "| {role} | {} | {} | {:?}f | {} |\n",
        end.layout(c_type),
        end.tensor.bytes(),
        end.tensor.grid.scale,
        end.tensor.grid.zero_point
    )
}

/// What the comment of `main.c` says of its bytes.
fn main_bytes(prefix: &str, ins: &[End], outs: &[End]) -> String {
    if is_single(ins, outs) {
        return format!(
            " * Runs the network on raw samples: {prefix}_INPUT_BYTES each, back to back, from the file \
             named on\n * the command line or from standard input. Writes {prefix}_OUTPUT_BYTES a sample to \
             standard output."
        );
    }
    let list = |ends: &[End]| ends.iter().map(End::lower).collect::<Vec<_>>().join(", ");
    format!(
        " * Runs the network on raw samples, back to back, from the file named on the command line or \
         from\n * standard input: of each sample the bytes of {}. Writes of each sample\n * the bytes of {} to \
         standard output.",
        list(ins),
        list(outs)
    )
}

/// A function of `main.c` that reads a sample of several inputs.
fn read_sample(id: &str, prefix: &str, ins: &[End]) -> String {
    let sum: Vec<String> =
        ins.iter().map(|end| format!("{prefix}_{}_BYTES", end.upper())).collect();
    let mut text = format!(
        "#define SAMPLE_BYTES ({})\n\n/* Reads a sample; returns how many bytes of it there were. */\nstatic \
         size_t read_sample(FILE *source)\n{{\n    size_t got = 0;\n\n",
        sum.join(" + ")
    );
    for (index, end) in ins.iter().enumerate() {
        let read = format!("fread({id}_{}(), 1, {}, source)", end.lower(), sum[index]);
        if index > 0 {
            let before = sum[..index].join(" + ");
            text.push_str(&format!(
                "    if (got == {before}) {{\n        got += {read};\n    }}\n"
            ));
        } else {
            text.push_str(&format!("    got += {read};\n"));
        }
    }
    text + "    return got;\n}\n\n"
}

/// The condition under which writing a sample's outputs failed.
fn write_failed(id: &str, prefix: &str, outs: &[End]) -> String {
    let one = |end: &End| {
        let bytes = format!("{prefix}_{}_BYTES", end.upper());
        format!("fwrite({id}_{}(), 1, {bytes}, stdout) != {bytes}", end.lower())
    };
    outs.iter().map(one).collect::<Vec<_>>().join("\n            || ")
}

/// Buffers of the self-test.
fn buffers(outs: &[End]) -> String {
    let one = |end: &End| {
        format!("    static {} {}[{}];\n", c_type(end.tensor.dtype), end.lower(), end.tensor.len())
    };
    outs.iter().map(one).collect()
}

/// The names of the arrays in `samples.h`.
fn arrays(end: &End) -> String {
    match end.role {
        "input" => format!("inputs{}", end.suffix),
        _ => format!("expected{}", end.suffix),
    }
}

/// One sample of the self-test.
fn compare(id: &str, prefix: &str, ins: &[End], outs: &[End]) -> String {
    let ins = ins.iter().map(|end| format!("{}[sample]", arrays(end)));
    let arguments: Vec<String> = ins.chain(outs.iter().map(End::lower)).collect();
    let mut text = format!("        {id}_infer({});\n", arguments.join(", "));
    for end in outs {
        text.push_str(&format!(
            "        result.differing += differing_bytes({}, {}[sample], {prefix}_{}_BYTES);\n",
            end.lower(),
            arrays(end),
            end.upper()
        ));
    }
    text
}

/// The arrays of `samples.h`, of which `rows` prints the elements of one end.
pub(super) fn sample_arrays(program: &Program, rows: impl Fn(&End) -> String) -> String {
    let (ins, outs) = (inputs(program), outputs(program));
    let one = |end: &End| {
        format!(
            "static const {} {}[SAMPLES][{}] = {{\n{}}};\n",
            c_type(end.tensor.dtype),
            arrays(end),
            end.tensor.len(),
            rows(end)
        )
    };
    ins.iter().chain(&outs).map(one).collect::<Vec<_>>().join("\n")
}
