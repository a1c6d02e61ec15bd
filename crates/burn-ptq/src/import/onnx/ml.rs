//! Operators of the domain `ai.onnx.ml` that the standard ones express: `Scaler`, which scikit-learn's
//! exporter writes for a StandardScaler or MinMaxScaler in front of a network.

use onnx_ir::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::tensor::data_type;

/// Writes each scaler as a difference and a product; what lacks their numbers is left to be refused.
pub(super) fn express(graph: &mut GraphProto) {
    let mut nodes = Vec::with_capacity(graph.node.len());
    for (index, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        match scaler(&node) {
            Some([offset, scale]) => {
                let names = ["offset", "scale"].map(|what| format!("{}/{index}/{what}", node.name));
                for (name, numbers) in names.iter().zip([offset, scale]) {
                    graph.initializer.push(tensor(name, &numbers));
                }
                let [offset, scale] = names;
                let moved = format!("{}/{index}/moved", node.name);
                let step = |op: &str, name: String, inputs: [&str; 2], output: &str| NodeProto {
                    op_type: op.into(),
                    name,
                    input: inputs.map(String::from).to_vec(),
                    output: vec![output.into()],
                    ..Default::default()
                };
                let [input, output] = [&node.input[0], &node.output[0]];
                nodes.push(step("Sub", format!("{}/offset", node.name), [input, &offset], &moved));
                nodes.push(step("Mul", node.name.clone(), [&moved, &scale], output));
            }
            None => nodes.push(node),
        }
    }
    graph.node = nodes;
}

/// The offset and the scale of a scaler, one a feature or one in all.
fn scaler(node: &NodeProto) -> Option<[Vec<f32>; 2]> {
    let is_scaler = node.domain == "ai.onnx.ml" && node.op_type == "Scaler";
    if !is_scaler || node.input.len() != 1 || node.output.len() != 1 {
        return None;
    }
    let numbers = |name: &str| {
        let found = node.attribute.iter().find(|attribute| attribute.name == name);
        found
            .map(|AttributeProto { floats, .. }| floats.clone())
            .filter(|floats| !floats.is_empty())
    };
    Some([numbers("offset")?, numbers("scale")?])
}

fn tensor(name: &str, numbers: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![numbers.len() as i64],
        data_type: data_type::FLOAT,
        float_data: numbers.to_vec(),
        ..Default::default()
    }
}
