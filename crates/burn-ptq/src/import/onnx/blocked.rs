//! How many nodes wait for what cannot be imported.

use std::collections::HashSet;

use onnx_ir::NodeProto;

use super::error::Problem;
use super::order::reads;

/// Causes whose nodes are counted.
const MOST: usize = 64;

/// Says of each problem how many nodes depend on what its cause keeps from being computed; `nodes` are
/// in the order in which they run, and `written` are the names that each problem is about.
pub(super) fn count(nodes: &[&NodeProto], problems: &mut [Problem], written: &[Vec<&str>]) {
    let mut counted: Vec<usize> = Vec::new();
    for first in 0..problems.len() {
        if counted.iter().any(|&other| problems[other].has_cause_of(&problems[first])) {
            continue;
        }
        if counted.len() == MOST {
            break;
        }
        counted.push(first);
        let alike: Vec<usize> = (first..problems.len())
            .filter(|&i| problems[first].has_cause_of(&problems[i]))
            .collect();
        let names = alike.iter().filter_map(|&i| written.get(i)).flatten();
        let mut missing: HashSet<&str> = names.copied().collect();
        let mut blocked = 0;
        for node in nodes {
            if reads(node).iter().any(|name| missing.contains(name)) {
                blocked += 1;
                missing.extend(node.output.iter().map(String::as_str));
            }
        }
        alike.into_iter().for_each(|i| problems[i].blocks = blocked);
    }
}
