//! `mlperf-tiny/`: the device side of a benchmark.

use super::data::{c_type, constant, raw_type};
use super::io::quantize_input;
use crate::board::{Board, Uart};
use crate::export::shared::ends::{inputs, outputs};
use crate::export::shared::samples::InputRule;
use crate::export::shared::template::Values;
use crate::export::{ExportError, ExportFile};
use crate::harness::{Benchmark, Harness, HarnessError, expect_no_states};
use crate::program::Program;
use crate::target::Target;

const FOLDER: &str = "mlperf-tiny";
const PORT_HOST: &str = include_str!("../../../c/harness/port_host.c");
const PORT_CMSDK: &str = include_str!("../../../c/harness/port_cmsdk.c");
const TEMPLATES: &[(&str, &str)] = &[
    ("Makefile", include_str!("../../../c/harness/Makefile")),
    ("commands.c", include_str!("../../../c/harness/commands.c")),
    ("harness.h", include_str!("../../../c/harness/harness.h")),
    ("main.c", include_str!("../../../c/harness/main.c")),
    ("port.h", include_str!("../../../c/harness/port.h")),
    ("submitter.c", include_str!("../../../c/harness/submitter.c")),
];

const HOST_RULES: &str = "
harness: $(SOURCES) $(HEADERS)
\t$(CC) $(FLAGS) -Wl,--gc-sections -o $@ $(SOURCES)

run: harness
\t./harness
";

/// The files; `values` are those of the export.
pub(super) fn files(
    harness: &Harness,
    program: &Program,
    id: &str,
    (target, board): (&Target, Option<&Board>),
    export: &mut Values,
) -> Result<Vec<ExportFile>, ExportError> {
    expect_no_states(program)?;
    let port = match board {
        None => PORT_HOST,
        Some(board) => {
            let uart = uart(target, board)?;
            export.set("SERIAL_ADDRESS", format!("{:08x}", uart.address));
            export.set("TICKS_PER_MICROSECOND", uart.ticks_per_microsecond.to_string());
            PORT_CMSDK
        }
    };
    let benchmark = harness.benchmark();
    let [input, output] = [inputs(program), outputs(program)].map(|mut ends| ends.swap_remove(0));
    export.extend([
        ("MODEL", benchmark.name().to_owned()),
        ("SAMPLE_LAYOUT", benchmark.sample_layout().to_owned()),
        ("SAMPLE_BYTES", benchmark.sample_bytes().to_string()),
        ("INPUT_TYPE", c_type(input.tensor.dtype).to_owned()),
        ("OUTPUT_TYPE", c_type(output.tensor.dtype).to_owned()),
        ("QUANTIZER", quantizer(harness, program, id)),
        ("RESULTS", results(benchmark, id)),
        ("PORT", board.map_or("a machine with an operating system", |b| b.machine).to_owned()),
        ("HARNESS_PROGRAM", board.map_or("harness", |_| "harness.elf").to_owned()),
        ("HARNESS_RULES", board.map_or_else(|| HOST_RULES.to_owned(), board_rules)),
    ]);
    let mut files = Vec::new();
    for (name, template) in TEMPLATES.iter().chain(&[("port.c", port)]) {
        files.push(ExportFile::text(format!("{FOLDER}/{name}"), export.fill(template)?));
    }
    Ok(files)
}

fn uart(target: &Target, board: &Board) -> Result<Uart, HarnessError> {
    board.uart.ok_or_else(|| {
        let known = crate::board::BOARDS.iter().filter(|board| board.uart.is_some());
        let known: Vec<_> = known.map(|board| board.target).collect();
        HarnessError::Unsupported {
            found: target.name.to_owned(),
            known: format!("host, {}", known.join(", ")),
        }
    })
}

fn board_rules(board: &Board) -> String {
    format!(
        "
LIBRARY ?= {}
# Instructions take 64 ns each.
QEMU ?= {}
QEMU_FLAGS = {}
BOARD = ../firmware/start.c ../firmware/semihosting.c
LINK = -nostartfiles -T ../firmware/link.ld -Wl,--gc-sections

harness.elf: $(SOURCES) $(BOARD) $(HEADERS) ../firmware/link.ld
\t$(CC) $(FLAGS) -I../firmware $(LIBRARY) $(LINK) -o $@ $(SOURCES) $(BOARD)

run: harness.elf
\t$(QEMU) $(QEMU_FLAGS) -kernel $<
",
        board.library,
        board.emulator,
        board.serial_arguments().join(" ")
    )
}

/// The function that fills the network's input from a sample, with its tables.
fn quantizer(harness: &Harness, program: &Program, id: &str) -> String {
    let prefix = id.to_ascii_uppercase();
    match harness.benchmark() {
        Benchmark::Ad01 => format!(
            "static float window[{prefix}_RAW_LENGTH];

static void load(const uint8_t *bytes)
{{
    for (size_t i = 0; i < {prefix}_RAW_LENGTH; i++) {{
        const uint8_t *b = bytes + 4u * i;
        const uint32_t bits = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;

        memcpy(&window[i], &bits, sizeof bits);
    }}
    {id}_quantize_input(window, tensor);
}}
"
        ),
        Benchmark::Ic01 | Benchmark::Kws01 | Benchmark::Vww01 => {
            let own = &program.inputs[0];
            let rule = harness.preprocessing(own);
            let rule = InputRule::of_bytes(program, own, &rule, &|byte| harness.real(byte));
            let element = raw_type(rule.element);
            let input = &inputs(program)[0];
            let text = quantize_input(input, &rule, "sample");
            // The network's own macro says where constants lie.
            let text = text.replace(&constant("sample"), &constant(id));
            let text = text.replace("void sample_", "static void sample_");
            format!(
                "{text}
static void load(const uint8_t *bytes)
{{
    sample_quantize_input((const {element} *)bytes, tensor);
}}
"
            )
        }
    }
}

/// The statements that print the results between brackets.
fn results(benchmark: Benchmark, id: &str) -> String {
    let prefix = id.to_ascii_uppercase();
    match benchmark {
        Benchmark::Ic01 | Benchmark::Kws01 | Benchmark::Vww01 => format!(
            "    for (size_t i = 0; i < {prefix}_OUTPUT_LENGTH; i++) {{
        th_printf(\"%s\", i == 0 ? \"\" : \",\");
        print_value(values[i]);
    }}
"
        ),
        Benchmark::Ad01 => format!(
            "    {{
        /* Volatile: no product and sum are rounded as one. */
        volatile float sum = 0.0f;

        for (size_t i = 0; i < {prefix}_OUTPUT_LENGTH; i++) {{
            const volatile float difference = window[i] - values[i];
            const volatile float square = difference * difference;

            sum = sum + square;
        }}
        print_value(sum / (float){prefix}_OUTPUT_LENGTH);
    }}
"
        ),
    }
}
