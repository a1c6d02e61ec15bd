//! Which nodes a model needs, and in which order.

use std::collections::{HashMap, HashSet};

use onnx_ir::NodeProto;

use super::error::{Problem, Refusal};

/// What a node is called in reports: its name, or its first output's.
pub(super) fn display_name(node: &NodeProto) -> String {
    let output = node.output.iter().find(|o| !o.is_empty());
    match (node.name.as_str(), output) {
        ("", Some(output)) => output.clone(),
        ("", None) => "(unnamed)".into(),
        (name, _) => name.into(),
    }
}

/// The nodes that `output` depends on, every node after those that it reads. The standard wants
/// files sorted; files that are not are sorted here.
///
/// # Errors
/// The nodes of a cycle, and names that are written twice.
pub(super) fn needed_nodes<'m>(
    nodes: &'m [NodeProto],
    output: &str,
) -> Result<Vec<&'m NodeProto>, Vec<Problem>> {
    let mut writers: HashMap<&str, usize> = HashMap::new();
    let mut problems = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|o| !o.is_empty()) {
            if writers.insert(name, index).is_some() {
                let refusal = Refusal::invalid(format!("'{name}' is written by two nodes"));
                problems.push(refusal.of(display_name(node), &node.op_type));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }

    let mut order = Vec::new();
    let mut done = HashSet::new();
    let mut open = HashSet::new();
    // A depth-first walk with its own stack, because a file may chain any number of nodes. The
    // second field counts the inputs that were looked at.
    let mut stack: Vec<(usize, usize)> = writers.get(output).map(|&n| (n, 0)).into_iter().collect();
    open.extend(stack.first().map(|s| s.0));
    while let Some((index, next)) = stack.pop() {
        let node = &nodes[index];
        let Some(input) = node.input.get(next) else {
            open.remove(&index);
            done.insert(index);
            order.push(node);
            continue;
        };
        stack.push((index, next + 1));
        let Some(&writer) = writers.get(input.as_str()) else {
            continue;
        };
        if done.contains(&writer) {
            continue;
        }
        if !open.insert(writer) {
            let refusal =
                Refusal::invalid(format!("it depends on its own output through '{input}'"));
            return Err(vec![refusal.of(display_name(node), &node.op_type)]);
        }
        stack.push((writer, 0));
    }
    // Stable towards the file: reports list nodes as the file does where the order is free.
    if is_sorted(&order, nodes, &done) {
        order = done_in_file_order(nodes, &done);
    }
    Ok(order)
}

/// Whether the file lists the needed nodes in an order that can be executed.
fn is_sorted(order: &[&NodeProto], nodes: &[NodeProto], needed: &HashSet<usize>) -> bool {
    let written_later: HashSet<&str> =
        order.iter().flat_map(|n| &n.output).map(String::as_str).collect();
    let mut written = HashSet::new();
    for node in done_in_file_order(nodes, needed) {
        let ready =
            |i: &String| !written_later.contains(i.as_str()) || written.contains(i.as_str());
        if !node.input.iter().all(ready) {
            return false;
        }
        written.extend(node.output.iter().map(String::as_str));
    }
    true
}

fn done_in_file_order<'m>(nodes: &'m [NodeProto], needed: &HashSet<usize>) -> Vec<&'m NodeProto> {
    let mut indices: Vec<usize> = needed.iter().copied().collect();
    indices.sort_unstable();
    indices.into_iter().map(|i| &nodes[i]).collect()
}
