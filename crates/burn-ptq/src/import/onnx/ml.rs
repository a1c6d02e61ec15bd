//! Operators of the domain `ai.onnx.ml` that the standard ones express: `Scaler`, which scikit-learn's
//! exporter writes for a StandardScaler or MinMaxScaler in front of a network, and `ArrayFeatureExtractor`
//! where it names the classes behind one 0, 1, 2 and so on.

use onnx_ir::{AttributeProto, AttributeType, GraphProto, NodeProto, TensorProto};

use super::fuse::Pieces;
use super::tensor::data_type;

/// Writes each scaler as a difference and a product, and places that are named by themselves as they are;
/// what lacks their numbers, or has other names, is left to be refused.
pub(super) fn express(graph: &mut GraphProto, opset: i64) {
    let pieces = Pieces::new(graph, opset);
    let named: Vec<(usize, NodeProto)> = (graph.node.iter().enumerate())
        .filter_map(|(index, node)| Some((index, places(&pieces, node)?)))
        .collect();
    for (index, node) in named {
        graph.node[index] = node;
    }
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

/// What gives the places that a classifier finds, of `node` that names place `i` the number `i`: a row of
/// the column that `ArgMax` gives.
fn places(pieces: &Pieces, node: &NodeProto) -> Option<NodeProto> {
    let [labels, place] = &node.input[..] else { return None };
    if node.domain != "ai.onnx.ml" || node.op_type != "ArrayFeatureExtractor" {
        return None;
    }
    let labels = pieces.integers(labels)?;
    let (_, choice) = pieces.writer(place)?;
    let keeps_axes = choice.attribute.iter().all(|a| a.name != "keepdims" || a.i != 0);
    let of_matrix = choice.attribute.iter().any(|a| a.name == "axis" && a.i == 1);
    let plain = labels.iter().copied().eq(0..labels.len() as i64);
    if !plain || choice.op_type != "ArgMax" || !keeps_axes || !of_matrix {
        return None;
    }
    let turn = AttributeProto {
        name: "perm".into(),
        type_: AttributeType::INTS.into(),
        ints: vec![1, 0],
        ..Default::default()
    };
    Some(NodeProto {
        op_type: "Transpose".into(),
        name: node.name.clone(),
        input: vec![place.clone()],
        output: node.output.clone(),
        attribute: vec![turn],
        ..Default::default()
    })
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
