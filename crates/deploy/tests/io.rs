//! Exported functions for input and output, in C and in Rust: the bits of the host's, from raw samples
//! of every type, with ties, saturation and values that are not numbers.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn_ptq_deploy::export::{Exporter, Options, Rust, SelfTest, exporter};
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::preprocess::{DataLayout, Element, Preprocessing};
use burn_ptq_deploy::program::{DType, Program};
use burn_ptq_deploy::run::{dequantize_outputs, preprocess, quantize_inputs, tensor_integers};
use burn_ptq_deploy::target::{HOST, Kernels};
use network::{channels_first, placed, proven, several};

mod network;
#[allow(dead_code)]
mod programs;

const SAMPLES: usize = 50;

/// A program under a name, with everything that is fed to it.
struct Case {
    name: String,
    model: Placed,
    self_test: SelfTest,
    /// Raw samples as the device holds them, low byte first, and as the host reads them.
    raw: (Vec<u8>, Vec<f32>),
    /// Values of the source model's input.
    values: Vec<f32>,
    /// Bytes of the program's output.
    outputs: Vec<u8>,
}

struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // The high bits are the random ones.
        self.0.rotate_left(16)
    }

    /// A float that the grid may find difficult.
    fn float(&mut self, scale: f32) -> f32 {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40, 3e38, -3e38, 2e9];
        let step = (self.next() % 400) as f32 - 200.0;
        match self.next() % 8 {
            0 => special[self.next() as usize % special.len()],
            1 => (step + 0.5) * scale,
            2 => step * scale,
            _ => (self.next() as f32 / u32::MAX as f32 - 0.5) * 400.0 * scale,
        }
    }

    fn raw(&mut self, element: Element, scale: f32) -> (Vec<u8>, f32) {
        let bits = self.next();
        // Small numbers too, which do not saturate.
        let few = if self.next().is_multiple_of(2) { bits as i32 } else { bits as i32 >> 18 };
        match element {
            Element::U8 => (vec![bits as u8], f32::from(bits as u8)),
            Element::I8 => (vec![bits as u8], f32::from(bits as u8 as i8)),
            Element::U16 => ((few as u16).to_le_bytes().into(), f32::from(few as u16)),
            Element::I16 => ((few as i16).to_le_bytes().into(), f32::from(few as i16)),
            Element::I32 => (few.to_le_bytes().into(), few as f32),
            Element::F32 => {
                let x = self.float(scale);
                (x.to_le_bytes().into(), x)
            }
        }
    }
}

fn case(name: &str, model: Placed, self_test: SelfTest) -> Case {
    let mut random =
        Random(name.bytes().fold(7, |sum: u32, byte| sum.wrapping_mul(31) ^ u32::from(byte)));
    let [input, output] =
        [model.inputs[0].tensor, model.outputs[0].tensor].map(|id| &model.tensors[id.0]);
    let (element, scale) = (model.inputs[0].preprocessing.element, input.grid.scale);
    let elements = SAMPLES * input.len();
    let (bytes, floats): (Vec<_>, Vec<_>) =
        (0..elements).map(|_| random.raw(element, scale)).unzip();
    let values = (0..elements).map(|_| random.float(scale)).collect();
    // Few values, so that the largest occurs twice.
    let outputs = (0..SAMPLES * output.bytes()).map(|_| (random.next() % 5) as u8).collect();
    let raw = (bytes.concat(), floats);
    Case { name: name.to_owned(), model, self_test, raw, values, outputs }
}

/// The network as a program to change, and its self-test.
fn changeable() -> (Program, SelfTest) {
    let (network, self_test) = proven("net");
    (network.program().clone(), self_test)
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let elements = [
        ("u8", Element::U8),
        ("i8", Element::I8),
        ("u16", Element::U16),
        ("i16", Element::I16),
        ("i32", Element::I32),
        ("f32", Element::F32),
    ];
    for (text, element) in elements {
        let (mut model, self_test) = changeable();
        model.inputs[0].preprocessing =
            Preprocessing { element, scale: 0.013, ..Preprocessing::default() };
        model.outputs[0].classes = vec!["one".into(), "a \"b\" ??/ \u{fc}\\n".into()];
        cases.push(case(&format!("plain_{text}"), placed(model), self_test));

        let (mut model, self_test) = changeable();
        channels_first(&mut model);
        model.inputs[0].preprocessing = Preprocessing {
            element,
            scale: 1.0 / 255.0,
            mean: vec![0.485, 0.456, -0.406],
            std: vec![0.229, 0.224, 0.225],
            ..Preprocessing::default()
        };
        cases.push(case(&format!("channels_{text}"), placed(model), self_test));

        let (mut model, self_test) = changeable();
        channels_first(&mut model);
        // Steps of a power of two: many raw elements lie between two integers.
        let input = model.inputs[0].tensor.0;
        model.tensors[input].grid.scale = 0.25;
        model.inputs[0].preprocessing = Preprocessing {
            element,
            scale: 0.125,
            mean: vec![0.5],
            layout: DataLayout::ChannelsLast,
            ..Preprocessing::default()
        };
        cases.push(case(&format!("ties_{text}"), placed(model), self_test));

        let mut model = programs::table16();
        model.inputs[0].preprocessing = Preprocessing {
            element,
            scale: 0.0007,
            mean: (0..8).map(|i| i as f32 * 0.1).collect(),
            std: vec![0.3],
            channel_axis: 2,
            ..Preprocessing::default()
        };
        let model = placed(model);
        let self_test = SelfTest::new(&model, &[vec![0; 16]]).expect("it runs");
        cases.push(case(&format!("wide_{text}"), model, self_test));
    }
    // A rule for each of 20 channels, too many for tables.
    let mut model = programs::table8();
    model.tensors.iter_mut().for_each(|tensor| tensor.shape = [1, 1, 20]);
    for border in [&mut model.inputs[0].border, &mut model.outputs[0].border] {
        *border = programs::border([1, 1, 20]);
    }
    model.inputs[0].preprocessing = Preprocessing {
        element: Element::U8,
        mean: (0..20).map(|i| i as f32).collect(),
        channel_axis: 2,
        ..Preprocessing::default()
    };
    let model = placed(model);
    let self_test = SelfTest::new(&model, &[vec![0; 20]]).expect("it runs");
    cases.push(case("many", model, self_test));
    cases
}

/// What the program does with `raw`, `values` and `outputs`: input bytes, input bytes, floats and the
/// largest element's index.
fn expected(case: &Case) -> [Vec<u8>; 3] {
    let Case { model, .. } = case;
    let quantized = quantize_inputs(model, &preprocess(model, &case.raw.1));
    let of_values = quantize_inputs(model, &case.values);
    let floats = dequantize_outputs(model, &case.outputs);
    let length = model.tensors[model.outputs[0].tensor.0].len();
    let mut decoded = Vec::new();
    for sample in floats.chunks(length) {
        decoded.extend(sample.iter().flat_map(|x| x.to_le_bytes()));
        let largest = sample.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let first = sample.iter().position(|&x| x == largest).expect("it exists");
        decoded.extend((first as u32).to_le_bytes());
    }
    // The test would prove little if outputs had no equal elements.
    let tensor = &model.tensors[model.outputs[0].tensor.0];
    assert_eq!(tensor_integers(tensor, &case.outputs).count(), SAMPLES * length);
    [quantized, of_values, decoded]
}

fn fed(case: &Case) -> [Vec<u8>; 3] {
    let values = case.values.iter().flat_map(|x| x.to_le_bytes()).collect();
    [case.raw.0.clone(), values, case.outputs.clone()]
}

fn run(program: &Path, mode: &str, input: &[u8], folder: &Path) -> Vec<u8> {
    let path = folder.join("fed");
    fs::write(&path, input).expect("written");
    let output = Command::new(program)
        .arg(mode)
        .stdin(File::open(&path).expect("it exists"))
        .stderr(Stdio::inherit())
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{} {mode}", program.display());
    output.stdout
}

const MODES: [&str; 3] = ["raw", "values", "outputs"];

fn check(name: &str, case: &Case, program: &Path, folder: &Path) {
    for ((mode, input), expected) in MODES.iter().zip(fed(case)).zip(expected(case)) {
        let found = run(program, mode, &input, folder);
        let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
        assert_eq!(
            (found.len(), differing),
            (expected.len(), 0),
            "{name}: {mode} of {}",
            case.name
        );
    }
}

fn c_types(model: &Placed) -> [&'static str; 3] {
    let of = |dtype| if dtype == DType::I16 { "int16_t" } else { "int8_t" };
    let raw = match model.inputs[0].preprocessing.element {
        Element::U8 => "uint8_t",
        Element::I8 => "int8_t",
        Element::U16 => "uint16_t",
        Element::I16 => "int16_t",
        Element::I32 => "int32_t",
        Element::F32 => "float",
    };
    let [input, output] =
        [model.inputs[0].tensor, model.outputs[0].tensor].map(|id| model.tensors[id.0].dtype);
    [raw, of(input), of(output)]
}

fn c_driver(case: &Case) -> String {
    let (name, prefix) = (&case.name, case.name.to_ascii_uppercase());
    let [raw, input, output] = c_types(&case.model);
    format!(
        "#include <stdio.h>
#include <string.h>
#include \"{name}_io.h\"
int main(int argc, char **argv)
{{
    static {raw} raw[{prefix}_RAW_LENGTH];
    static float values[{prefix}_RAW_LENGTH > {prefix}_OUTPUT_LENGTH ? {prefix}_RAW_LENGTH
                                                                     : {prefix}_OUTPUT_LENGTH];
    static {input} input[{prefix}_RAW_LENGTH];
    static {output} output[{prefix}_OUTPUT_LENGTH];
    const char *mode = argc > 1 ? argv[1] : \"\";
    if (strcmp(mode, \"raw\") == 0) {{
        while (fread(raw, sizeof raw, 1, stdin) == 1) {{
            {name}_quantize_input(raw, input);
            fwrite(input, sizeof input, 1, stdout);
        }}
    }} else if (strcmp(mode, \"values\") == 0) {{
        while (fread(values, sizeof(float), {prefix}_RAW_LENGTH, stdin) == {prefix}_RAW_LENGTH) {{
            {name}_quantize_preprocessed(values, input);
            fwrite(input, sizeof input, 1, stdout);
        }}
    }} else {{
        while (fread(output, sizeof output, 1, stdin) == 1) {{
            uint32_t largest = (uint32_t){name}_argmax(output);
            {name}_dequantize_output(output, values);
            fwrite(values, sizeof(float), {prefix}_OUTPUT_LENGTH, stdout);
            fwrite(&largest, sizeof largest, 1, stdout);
        }}
    }}
    return 0;
}}
"
    )
}

fn available(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED io with {program}: not installed (Debian: apt install {program})");
    }
    found
}

fn export_c(case: &Case, dir: &Path) {
    let options = Options { name: Some(&case.name), ..Options::new(&HOST) };
    let c = exporter("c").expect("known");
    let rendered = c.render(&case.model, &case.self_test, &options).expect("an export");
    burn_ptq_deploy::export::write_folder(dir, "c", &rendered.files).expect("written");
}

#[test]
fn exported_c_gives_the_bits_of_the_host() {
    // Compilers that may join a product and a sum into one operation, where the machine has one.
    let flags = ["-O1", "-O3 -march=native -ffp-contract=fast"];
    let strict = "-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow \
                  -Wstrict-prototypes -Wmissing-prototypes -Werror";
    for case in cases() {
        let folder = tempfile::tempdir().expect("a folder");
        export_c(&case, folder.path());
        fs::write(folder.path().join("driver.c"), c_driver(&case)).expect("written");
        for compiler in ["gcc", "clang"].into_iter().filter(|compiler| available(compiler)) {
            for flags in flags {
                let program = folder.path().join("driver");
                let output = Command::new(compiler)
                    .current_dir(folder.path())
                    .args(strict.split_whitespace().chain(flags.split_whitespace()))
                    .args(["-I.", "-o", "driver", "driver.c", &format!("{}_io.c", case.name)])
                    .output()
                    .expect("the compiler runs");
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{}: {errors}", case.name);
                check(&format!("{compiler} {flags}"), &case, &program, folder.path());
            }
        }
    }
}

#[test]
fn class_names_survive_in_c() {
    let Some(compiler) = ["gcc", "clang"].into_iter().find(|compiler| available(compiler)) else {
        return;
    };
    let case = cases().swap_remove(0);
    let folder = tempfile::tempdir().expect("a folder");
    export_c(&case, folder.path());
    let name = &case.name;
    let driver = format!(
        "#include <stdio.h>
#include \"{name}_io.h\"
int main(void)
{{
    for (size_t i = 0; {name}_class_name(i) != NULL; i++) {{
        puts({name}_class_name(i));
    }}
    return 0;
}}
"
    );
    fs::write(folder.path().join("driver.c"), driver).expect("written");
    let status = Command::new(compiler)
        .current_dir(folder.path())
        .args(["-std=c99", "-I.", "-o", "driver", "driver.c", &format!("{name}_io.c")])
        .status();
    assert!(status.is_ok_and(|status| status.success()));
    let found = run(&folder.path().join("driver"), "", &[], folder.path());
    let expected: String =
        case.model.outputs[0].classes.iter().map(|class| format!("{class}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&found), expected);
}

#[test]
fn exported_rust_gives_the_bits_of_the_host() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |path: PathBuf, text: &[u8]| {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    };
    let (mut modules, mut arms) = (String::new(), String::new());
    let cases = cases();
    for (index, case) in cases.iter().enumerate() {
        let rendered = Rust.render(&case.model, &case.self_test, &Options::new(&HOST));
        for file in rendered.expect("an export").files {
            if let Some(name) = file.path.strip_prefix("src/") {
                let name = if name == "lib.rs" { "mod.rs" } else { name };
                let text = String::from_utf8_lossy(&file.contents).replace("#![no_std]\n", "");
                write(folder.path().join(format!("src/p{index}/{name}")), text.as_bytes());
            } else if index == 0 && file.path.starts_with("kernels/") {
                write(folder.path().join(&file.path), &file.contents);
            }
        }
        let [raw, input, output] = c_types(&case.model).map(|name| match name {
            "uint8_t" => "u8",
            "int8_t" => "i8",
            "uint16_t" => "u16",
            "int16_t" => "i16",
            "int32_t" => "i32",
            _ => "f32",
        });
        modules.push_str(&format!("#[allow(dead_code)]\nmod p{index};\n"));
        arms.push_str(&format!("        \"{index}\" => stream!(p{index}, {raw}, {input}, {output}, mode, bytes, out),\n"));
    }
    let main = format!(
        "use std::io::{{Read, Write, stdin, stdout}};
macro_rules! stream {{
    ($program:ident, $raw:ty, $input:ty, $output:ty, $mode:ident, $bytes:ident, $out:ident) => {{{{
        let (mode, bytes, out) = (&$mode, &$bytes, &mut $out);
        let elements = |bytes: &[u8]| -> Vec<Vec<u8>> {{ bytes.chunks(size_of::<$raw>()).map(<[u8]>::to_vec).collect() }};
        let mut input = [0; $program::INPUT_LENGTH];
        let mut values = [0.0_f32; $program::OUTPUT_LENGTH];
        match mode.as_str() {{
            \"raw\" => for sample in bytes.chunks($program::INPUT_LENGTH * size_of::<$raw>()) {{
                let all: Vec<$raw> = elements(sample).iter().map(|b| <$raw>::from_le_bytes(b[..].try_into().unwrap())).collect();
                $program::io::quantize_input(all[..].try_into().unwrap(), &mut input);
                out.extend(input.iter().flat_map(|x: &$input| x.to_le_bytes()));
            }},
            \"values\" => for sample in bytes.chunks($program::INPUT_LENGTH * 4) {{
                let all: Vec<f32> = sample.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
                $program::io::quantize_preprocessed(all[..].try_into().unwrap(), &mut input);
                out.extend(input.iter().flat_map(|x: &$input| x.to_le_bytes()));
            }},
            _ => for sample in bytes.chunks($program::OUTPUT_BYTES) {{
                let all: Vec<$output> = sample.chunks(size_of::<$output>()).map(|b| <$output>::from_le_bytes(b.try_into().unwrap())).collect();
                let output = all[..].try_into().unwrap();
                $program::io::dequantize_output(output, &mut values);
                out.extend(values.iter().flat_map(|x| x.to_le_bytes()));
                out.extend(($program::io::argmax(output) as u32).to_le_bytes());
            }},
        }}
    }}}};
}}
{modules}
fn main() {{
    let mode = std::env::args().nth(1).unwrap();
    let (which, mode) = mode.split_once(' ').unwrap();
    let mode = mode.to_owned();
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes).unwrap();
    let mut out: Vec<u8> = Vec::new();
    match which {{
{arms}        other => panic!(\"{{other}}\"),
    }}
    stdout().write_all(&out).unwrap();
}}
"
    );
    write(folder.path().join("src/main.rs"), main.as_bytes());
    let manifest = "[package]\nname = \"bundle\"\nedition = \"2024\"\npublish = false\n\n\
                    [dependencies]\nburn-ptq-kernels = { path = \"kernels\" }\n\n\
                    [features]\nself-test = []\n\n\
                    [profile.release]\ndebug = false\n\n[workspace]\nexclude = [\"kernels\"]\n";
    write(folder.path().join("Cargo.toml"), manifest.as_bytes());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(folder.path())
        .args(["build", "--quiet", "--release", "--offline"])
        .env("CARGO_TARGET_DIR", folder.path().join("target"))
        .env("RUSTFLAGS", "-Dwarnings -Ctarget-cpu=native")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let program = folder.path().join("target/release/bundle");
    for (index, case) in cases.iter().enumerate() {
        for ((mode, input), expected) in MODES.iter().zip(fed(case)).zip(expected(case)) {
            let found = run(&program, &format!("{index} {mode}"), &input, folder.path());
            let differing = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
            assert_eq!((found.len(), differing), (expected.len(), 0), "{mode} of {}", case.name);
        }
    }
}

#[test]
fn preprocessing_that_no_code_can_state_is_refused() {
    let fails = |change: fn(&mut Preprocessing), expected: &str| {
        let (mut program, _) = changeable();
        channels_first(&mut program);
        change(&mut program.inputs[0].preprocessing);
        let placed = program.place(Kernels::Portable, Memory::Whole);
        let error = placed.expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    };
    fails(
        |rule| rule.scale = f32::NAN,
        "a preprocessing that fits its input, found the input scale is NaN",
    );
    fails(|rule| rule.mean = vec![f32::INFINITY], "the input mean holds [inf]");
    fails(|rule| rule.std = vec![1.0, 0.0, 1.0], "expected positive finite numbers");
    fails(|rule| rule.mean = vec![1.0; 2], "the input mean has 2 values");
}

#[test]
fn readmes_say_where_elements_lie() {
    let (mut model, self_test) = changeable();
    channels_first(&mut model);
    model.inputs[0].preprocessing.element = Element::I16;
    model.inputs[0].preprocessing.layout = DataLayout::ChannelsLast;
    let model = placed(model);
    for name in ["c", "rust"] {
        let exporter = exporter(name).expect("known");
        let rendered = exporter.render(&model, &self_test, &Options::new(&HOST)).expect("rendered");
        let readme = rendered.files.iter().find(|file| file.path == "README.md").expect("there");
        let text = String::from_utf8_lossy(&readme.contents);
        let input = "- Element `[i, j, k]` of the source model's input, `[3, 6, 6]`, is element \
                     `j * 18 + k * 3 + i` of the input.";
        assert!(text.contains(input), "{text}");
        let raw = "- A raw sample has its channels last: element `[i, j, k]` is its element \
                   `j * 18 + k * 3 + i`.";
        assert!(text.contains(raw), "{text}");
        assert!(!text.contains('@'), "{text}");
    }
}

/// Reads raw samples of all inputs, then bytes of all outputs; writes input bytes, then values.
const SEVERAL: &str = "#include <stdio.h>
#include \"net_io.h\"
static uint8_t image[NET_RAW_IMAGE_LENGTH];
static int16_t meta[NET_RAW_META_IN_0_LENGTH];
static float passed[NET_RAW_IMAGE_2_LENGTH];
static float values[NET_OUTPUT_MAP_LENGTH];
static int8_t s8[NET_OUTPUT_MAP_LENGTH];
static int16_t s16[NET_OUTPUT_X_INT_LENGTH];
int main(void)
{
    static int8_t in_image[NET_RAW_IMAGE_LENGTH], in_passed[NET_RAW_IMAGE_2_LENGTH];
    static int16_t in_meta[NET_RAW_META_IN_0_LENGTH];
    if (fread(image, sizeof image, 1, stdin) + fread(meta, sizeof meta, 1, stdin)
        + fread(passed, sizeof passed, 1, stdin) != 3) {
        return 1;
    }
    net_quantize_input_image(image, in_image);
    net_quantize_input_meta_in_0(meta, in_meta);
    net_quantize_input_image_2(passed, in_passed);
    fwrite(in_image, sizeof in_image, 1, stdout);
    fwrite(in_meta, sizeof in_meta, 1, stdout);
    fwrite(in_passed, sizeof in_passed, 1, stdout);
    if (fread(s8, 1, 288, stdin) + fread(s16, 2, 45, stdin) != 333) {
        return 1;
    }
    net_dequantize_output_map(s8, values);
    fwrite(values, sizeof(float), 288, stdout);
    net_dequantize_output_x_int(s16, values);
    fwrite(values, sizeof(float), 45, stdout);
    if (fread(s8, 1, 7, stdin) != 7) {
        return 1;
    }
    net_dequantize_output_x(s8, values);
    fwrite(values, sizeof(float), 7, stdout);
    if (net_argmax_x(s8) >= 7 || net_class_name_x(6) == NULL || net_class_name_x(7) != NULL) {
        return 1;
    }
    if (fread(s8, 1, 4, stdin) != 4) {
        return 1;
    }
    net_dequantize_output_passed(s8, values);
    fwrite(values, sizeof(float), 4, stdout);
    if (fread(s8, 1, 288, stdin) != 288) {
        return 1;
    }
    net_dequantize_output_map_flat(s8, values);
    fwrite(values, sizeof(float), 288, stdout);
    return 0;
}
";

#[test]
fn every_one_of_several_inputs_and_outputs_means_what_it_does_on_the_host() {
    let Some(compiler) = ["gcc", "clang"].into_iter().find(|compiler| available(compiler)) else {
        return;
    };
    let (model, self_test) = several("net");
    let mut random = Random(5);
    let elements = [(108, Element::U8), (45, Element::I16), (4, Element::F32)];
    let (bytes, floats): (Vec<_>, Vec<_>) = elements
        .into_iter()
        .flat_map(|(count, element)| vec![element; count])
        .map(|element| random.raw(element, 0.5))
        .unzip();
    let outputs = &self_test.samples[0].1;
    let mut expected = quantize_inputs(&model, &preprocess(&model, &floats));
    expected.extend(dequantize_outputs(&model, outputs).iter().flat_map(|x| x.to_le_bytes()));

    let folder = tempfile::tempdir().expect("a folder");
    let rendered = exporter("c").expect("known");
    let rendered = rendered.render(&model, &self_test, &Options::new(&HOST)).expect("an export");
    burn_ptq_deploy::export::write_folder(folder.path(), "c", &rendered.files).expect("written");
    fs::write(folder.path().join("driver.c"), SEVERAL).expect("written");
    let output = Command::new(compiler)
        .current_dir(folder.path())
        .args(["-std=c99", "-Wall", "-Werror", "-I.", "-o", "driver", "driver.c", "net_io.c"])
        .output()
        .expect("the compiler runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let fed = [&bytes.concat()[..], outputs].concat();
    let found = run(&folder.path().join("driver"), "", &fed, folder.path());
    assert_eq!(found, expected);
}
