//! Which functions of the runtime a program calls.

use super::source::Printer;
use crate::place::Placed;

/// For each node of a program, the functions of the runtime that its calls name, each once, in the order of
/// their names.
///
/// They are read from the code that the exporter prints: nothing else decides which kernel a node runs on.
pub fn runtime_functions(program: &Placed) -> Vec<Vec<String>> {
    let streams: Vec<_> = program.streams().iter().map(|stream| stream.nodes()).collect();
    let of_node = |index: usize| {
        let by_rows = streams.iter().any(|nodes| nodes.contains(&index));
        let node = &program.nodes[index];
        let printer = Printer { program, index, node, id: "node", constant: "const", by_rows };
        let mut calls = printer.print().calls;
        if by_rows {
            calls = printer.row_function("arena", &calls);
        }
        if streams.iter().any(|nodes| nodes.start == index) {
            calls.push_str("bptq_stream_run(");
        }
        called(&calls)
    };
    (0..program.nodes.len()).map(of_node).collect()
}

/// The functions whose names, followed by `(`, stand in C code.
fn called(code: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before_parenthesis = code.match_indices('(').map(|(at, _)| {
        let start = code[..at].rfind(|c| !is_part(c)).map_or(0, |before| before + 1);
        &code[start..at]
    });
    let mut names: Vec<String> = before_parenthesis
        .filter(|name| name.starts_with("bptq_") || *name == "memcpy")
        .map(str::to_owned)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_of_the_runtime_are_found_in_calls() {
        let code = "static void node_row(const bptq_row *row)\n{\n    bptq_row_window(&op.window, row);\n    \
                    bptq_conv2d_s8(&op, (int8_t *)x);\n    bptq_conv2d_s8(y);\n    memcpy(a, b, 3);\n}\n";
        assert_eq!(called(code), ["bptq_conv2d_s8", "bptq_row_window", "memcpy"]);
    }
}
