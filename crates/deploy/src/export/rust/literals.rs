//! Values as Rust writes them.

use burn_ptq_kernels::geometry::Window;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::Clamp;

use crate::export::shared::arrays::wrapped;
use crate::op::DType;

/// `[{rust_type}; {len}] = [...];` and a newline.
pub(super) fn array_literal<T: ToString>(rust_type: &str, items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("[{rust_type}; {}] = [\n{}];\n", items.len(), wrapped(&items, 4))
}

pub(super) fn array<T: ToString>(name: &str, rust_type: &str, items: &[T]) -> String {
    format!("pub static {name}: {}", array_literal(rust_type, items))
}

pub(super) fn geometry(name: &str, fields: &[String]) -> String {
    let lines: String = fields.iter().map(|field| format!("    {field}\n")).collect();
    let path = format!("burn_ptq_kernels::geometry::{name}");
    format!("pub static GEOMETRY: {path} = {path} {{\n{lines}}};\n")
}

/// `name: value,`
pub(super) fn field(name: &str, value: impl ToString) -> String {
    format!("{name}: {},", value.to_string())
}

pub(super) fn pair(pair: [usize; 2]) -> String {
    format!("{pair:?}")
}

pub(super) fn window_field(window: Window) -> String {
    let Window { kernel, stride, dilation, pad } = window;
    format!(
        "window: burn_ptq_kernels::geometry::Window {{\n        kernel: {kernel:?},\n        \
         stride: {stride:?},\n        dilation: {dilation:?},\n        pad: {pad:?},\n    }},"
    )
}

pub(super) fn short_multiplier(multiplier: Multiplier) -> String {
    format!("factor({}, {})", multiplier.quantized, multiplier.exponent)
}

pub(super) fn multiplier(multiplier: Multiplier) -> String {
    format!(
        "burn_ptq_kernels::multiplier::Multiplier {{ quantized: {}, exponent: {} }}",
        multiplier.quantized, multiplier.exponent
    )
}

pub(super) fn full_clamp(clamp: Clamp) -> String {
    format!("burn_ptq_kernels::params::Clamp {{ min: {}, max: {} }}", clamp.min, clamp.max)
}

/// A row of 32-bit patterns.
pub(super) fn patterns(row: &[u32]) -> String {
    let items: Vec<String> = row.iter().map(|item| format!("0x{item:08x}")).collect();
    format!("    [\n{}    ],\n", wrapped(&items, 8))
}

/// `text` with every line that is not empty moved to the right.
pub(super) fn indented(text: &str, columns: usize) -> String {
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("{}{line}\n", " ".repeat(columns))
            }
        })
        .collect()
}

/// The Rust type of an element.
pub(super) fn rust_type(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 | DType::I4 => "i8",
        DType::I16 => "i16",
    }
}
