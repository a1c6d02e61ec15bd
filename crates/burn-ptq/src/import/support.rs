//! The page of what can be imported, from the registries of operators and operations.

use std::fmt::Write;

use super::onnx::{MAX_NODES, MAX_VALUE_ELEMENTS, OPSETS, supported_operators};
use super::supported_operations;

/// What can be imported, with its conditions, as a page in Markdown: `docs/operators.md`.
pub fn supported_markdown() -> String {
    let mut text = format!(
        "# Operators that can be imported\n\n\
         Written by `burn-ptq operators`. Models have one input and one output of floats, with samples of one to\n\
         three axes behind the batch, which stays in front; at most {MAX_NODES} nodes that compute, and values of\n\
         at most {MAX_VALUE_ELEMENTS} elements a sample. What is not listed is refused by name, with what to do\n\
         instead, all of a model at once.\n\n\
         ## ONNX\n\n\
         Opset {} to {}; \"on constants and shapes only\" means that the result is computed at import. The version\n\
         is the newest definition of the operator that is known.\n\n\
         | operator | version | condition |\n|---|---|---|\n",
        OPSETS.start(),
        OPSETS.end()
    );
    for operator in supported_operators() {
        let condition = shown(operator.condition);
        let _ = writeln!(text, "| {} | {} | {condition} |", operator.name, operator.version);
    }
    text.push_str(
        "\n## Burn\n\n\
         Modules are captured by what their `forward` does. The condition of the ONNX operator holds too.\n\n\
         | Burn | as ONNX's | condition |\n|---|---|---|\n",
    );
    for operation in supported_operations() {
        let condition = shown(operation.condition);
        let _ = writeln!(text, "| {} | {} | {condition} |", operation.burn, operation.onnx);
    }
    text
}

fn shown(condition: &str) -> &str {
    if condition == "any" { "" } else { condition }
}
