//! Functions of the model, put in place of the nodes that call them.

use std::collections::{HashMap, HashSet};

use onnx_ir::{AttributeProto, GraphProto, ModelProto, NodeProto};

use super::order::display_name;

/// How deep functions may call functions.
const MAX_DEPTH: usize = 16;
/// The most nodes that calls may become.
const MAX_NODES: usize = 1 << 16;

/// A function of the model.
struct Function {
    inputs: Vec<String>,
    outputs: Vec<String>,
    /// Attributes with a value that calls may leave out.
    defaults: Vec<AttributeProto>,
    nodes: Vec<NodeProto>,
}

/// The domain, the name and the overload of a function.
type Key = (String, String, String);

/// Replaces the nodes of `graph` that call functions of `model`.
///
/// # Errors
/// If functions call each other without end, or become too many nodes.
pub(super) fn inline(model: &mut ModelProto, graph: &mut GraphProto) -> Result<(), String> {
    if model.functions.is_empty() {
        return Ok(());
    }
    let functions: HashMap<Key, Function> = std::mem::take(&mut model.functions)
        .into_iter()
        .map(|f| {
            let key = (f.domain, f.name, f.overload);
            let (inputs, outputs) = (f.input, f.output);
            (key, Function { inputs, outputs, defaults: f.attribute_proto, nodes: f.node })
        })
        .collect();
    let mut inliner = Inliner { functions, names: HashSet::new(), left: MAX_NODES };
    inliner.gather(graph);
    let nodes = std::mem::take(&mut graph.node);
    inliner.nodes(nodes, 0, &mut graph.node)
}

struct Inliner {
    functions: HashMap<Key, Function>,
    /// The names of values that are taken.
    names: HashSet<String>,
    /// The nodes that may still be made.
    left: usize,
}

impl Inliner {
    fn gather(&mut self, graph: &GraphProto) {
        let inputs = graph.input.iter().map(|value| &value.name);
        let constants = graph.initializer.iter().map(|tensor| &tensor.name);
        let written = graph.node.iter().flat_map(|node| &node.output);
        self.names.extend(inputs.chain(constants).chain(written).cloned());
    }

    fn nodes(
        &mut self,
        nodes: Vec<NodeProto>,
        depth: usize,
        into: &mut Vec<NodeProto>,
    ) -> Result<(), String> {
        for mut node in nodes {
            let key = (node.domain.clone(), node.op_type.clone(), node.overload.clone());
            if self.functions.contains_key(&key) {
                if depth == MAX_DEPTH {
                    return Err(format!("functions call each other more than {MAX_DEPTH} deep"));
                }
                let body = self.body(&node, &key)?;
                self.nodes(body, depth + 1, into)?;
                continue;
            }
            for graph in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
                if depth < MAX_DEPTH {
                    let inner = std::mem::take(&mut graph.node);
                    self.nodes(inner, depth + 1, &mut graph.node)?;
                }
            }
            into.push(node);
        }
        Ok(())
    }

    /// The nodes of a function as `call` wants them.
    fn body(&mut self, call: &NodeProto, key: &Key) -> Result<Vec<NodeProto>, String> {
        let function = &self.functions[key];
        let too_many = || format!("its functions have more than {MAX_NODES} nodes");
        self.left = self.left.checked_sub(function.nodes.len()).ok_or_else(too_many)?;
        let mut outer: HashMap<String, String> = HashMap::new();
        for (index, input) in function.inputs.iter().enumerate() {
            outer.insert(input.clone(), call.input.get(index).cloned().unwrap_or_default());
        }
        for (index, output) in function.outputs.iter().enumerate() {
            if let Some(name) = call.output.get(index).filter(|name| !name.is_empty()) {
                // A function may give an input back.
                outer.entry(output.clone()).or_insert_with(|| name.clone());
            }
        }
        let prefix = display_name(call);
        let mut nodes = function.nodes.clone();
        for node in &mut nodes {
            for output in node.output.iter().filter(|output| !output.is_empty()) {
                if outer.contains_key(output) {
                    continue;
                }
                let mut name = format!("{prefix}/{output}");
                while !self.names.insert(name.clone()) {
                    name.push('_');
                }
                outer.insert(output.clone(), name);
            }
            let inner = if node.name.is_empty() { display_name(node) } else { node.name.clone() };
            node.name = format!("{prefix}/{inner}");
        }
        let attributes = |attribute: &AttributeProto| {
            let named = |list: &[AttributeProto]| {
                list.iter().find(|a| a.name == attribute.ref_attr_name).cloned()
            };
            let found = named(&call.attribute).or_else(|| named(&function.defaults));
            found.map(|found| AttributeProto { name: attribute.name.clone(), ..found })
        };
        for node in &mut nodes {
            rename(node, &outer, &attributes);
        }
        // Outputs that are inputs need a node that says so.
        for (index, output) in function.outputs.iter().enumerate() {
            let name = call.output.get(index).filter(|name| !name.is_empty());
            if let Some(name) = name.filter(|name| outer.get(output) != Some(name)) {
                nodes.push(NodeProto {
                    name: format!("{prefix}/{output}"),
                    op_type: "Identity".into(),
                    input: vec![outer.get(output).cloned().unwrap_or_default()],
                    output: vec![name.clone()],
                    ..Default::default()
                });
            }
        }
        Ok(nodes)
    }
}

/// Gives the values of a function's node the names of a call, and its attributes those of the call.
fn rename(
    node: &mut NodeProto,
    outer: &HashMap<String, String>,
    attributes: &dyn Fn(&AttributeProto) -> Option<AttributeProto>,
) {
    for name in node.input.iter_mut().chain(&mut node.output) {
        if let Some(renamed) = outer.get(name.as_str()) {
            name.clone_from(renamed);
        }
    }
    let given = std::mem::take(&mut node.attribute);
    for attribute in given {
        if attribute.ref_attr_name.is_empty() {
            node.attribute.push(attribute);
        } else {
            node.attribute.extend(attributes(&attribute));
        }
    }
    for graph in node.attribute.iter_mut().filter_map(|attribute| attribute.g.as_mut()) {
        for inner in &mut graph.node {
            rename(inner, outer, attributes);
        }
        for output in &mut graph.output {
            if let Some(renamed) = outer.get(output.name.as_str()) {
                output.name.clone_from(renamed);
            }
        }
    }
}
