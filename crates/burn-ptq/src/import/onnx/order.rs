//! Which nodes a model needs, and in which order.

use std::collections::{HashMap, HashSet};

use onnx_ir::NodeProto;

use super::error::{Problem, Refusal, Source};

/// What a node is called in reports: its name, or its first output's.
pub(super) fn display_name(node: &NodeProto) -> String {
    let output = node.output.iter().find(|o| !o.is_empty());
    match (node.name.as_str(), output) {
        ("", Some(output)) => output.clone(),
        ("", None) => "(unnamed)".into(),
        (name, _) => name.into(),
    }
}

/// The names that a node reads, those in the graphs of its branches too.
pub(super) fn reads(node: &NodeProto) -> Vec<&str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).collect();
    // Only control flow has graphs.
    for graph in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
        let own: HashSet<&str> = (graph.node.iter())
            .flat_map(|node| node.output.iter().map(String::as_str))
            .chain(graph.initializer.iter().map(|tensor| tensor.name.as_str()))
            .chain(graph.input.iter().map(|value| value.name.as_str()))
            .collect();
        let outputs = graph.output.iter().map(|output| output.name.as_str());
        let inner = graph.node.iter().flat_map(reads).chain(outputs);
        names.extend(inner.filter(|name| !own.contains(name)));
    }
    names
}

/// The nodes that `outputs` depend on, every node after those that it reads. The standard wants
/// files sorted; files that are not are sorted here.
///
/// # Errors
/// The nodes of a cycle, and names that are written twice.
pub(super) fn needed_nodes<'m>(
    nodes: &'m [NodeProto],
    outputs: &[&str],
    source: Source,
) -> Result<Vec<&'m NodeProto>, Vec<Problem>> {
    let mut writers: HashMap<&str, usize> = HashMap::new();
    let mut problems = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        for name in node.output.iter().filter(|o| !o.is_empty()) {
            if writers.insert(name, index).is_some() {
                let refusal = Refusal::invalid(format!("'{name}' is written by two nodes"));
                problems.push(refusal.of(display_name(node), &node.op_type, source));
            }
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }

    let read: Vec<Vec<&str>> = nodes.iter().map(reads).collect();
    let mut sorted = Vec::new();
    let mut visited = HashSet::new();
    let mut open = HashSet::new();
    // A depth-first walk with its own stack, because a file may chain any number of nodes. The
    // second field counts the inputs that were looked at.
    let mut stack: Vec<(usize, usize)> = Vec::new();
    for writer in outputs.iter().filter_map(|output| writers.get(output)) {
        if !visited.contains(writer) {
            open.insert(*writer);
            stack.push((*writer, 0));
        }
        while let Some((index, next)) = stack.pop() {
            let node = &nodes[index];
            let Some(&input) = read[index].get(next) else {
                open.remove(&index);
                visited.insert(index);
                sorted.push(index);
                continue;
            };
            stack.push((index, next + 1));
            let Some(&writer) = writers.get(input).filter(|w| !visited.contains(*w)) else {
                continue;
            };
            if !open.insert(writer) {
                let refusal =
                    Refusal::invalid(format!("it depends on its own output through '{input}'"));
                return Err(vec![refusal.of(display_name(node), &node.op_type, source)]);
            }
            stack.push((writer, 0));
        }
    }

    // Reports list the nodes as the file does where that is an order of execution.
    let mut in_file = sorted.clone();
    in_file.sort_unstable();
    let mut place = vec![0; nodes.len()];
    in_file.iter().enumerate().for_each(|(i, &index)| place[index] = i);
    let written_before = |index: usize| {
        let writer = |input: &&str| writers.get(input).copied();
        read[index].iter().filter_map(writer).all(|w| place[w] < place[index])
    };
    let order = if in_file.iter().all(|&i| written_before(i)) { in_file } else { sorted };
    Ok(order.into_iter().map(|i| &nodes[i]).collect())
}
