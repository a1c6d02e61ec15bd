//! Small ONNX models, built without Python; together they hold every operator that is read.

use onnx_ir::{AttributeProto, AttributeType, Message, ModelProto, NodeProto, TensorProto};

/// A model of opset 13 with the input `x` of `[N, sample]` and the output `y`.
pub(crate) fn model(
    sample: &[i64],
    nodes: Vec<NodeProto>,
    tensors: Vec<TensorProto>,
) -> ModelProto {
    let mut model = ModelProto::new();
    model.ir_version = 8;
    model.opset_import.push(Default::default());
    model.opset_import[0].version = 13;
    let graph = model.graph.mut_or_insert_default();
    graph.name = "small".into();
    graph.node = nodes;
    graph.initializer = tensors;
    for values in [&mut graph.input, &mut graph.output] {
        values.push(Default::default());
    }
    graph.output[0].name = "y".into();
    graph.input[0].name = "x".into();
    let kind = graph.input[0].type_.mut_or_insert_default().mut_tensor_type();
    kind.elem_type = 1;
    let shape = kind.shape.mut_or_insert_default();
    shape.dim.resize(sample.len() + 1, Default::default());
    shape.dim[0].set_dim_param("N".into());
    for (dim, &extent) in shape.dim[1..].iter_mut().zip(sample) {
        dim.set_dim_value(extent);
    }
    model
}

pub(crate) fn bytes(model: &ModelProto) -> Vec<u8> {
    model.write_to_bytes().expect("a built model can be written")
}

/// A node called after its operator and its first output.
pub(crate) fn node(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: Vec<AttributeProto>,
) -> NodeProto {
    NodeProto {
        op_type: op.into(),
        name: format!("{op}_{}", outputs[0]),
        input: inputs.iter().map(|&i| i.into()).collect(),
        output: outputs.iter().map(|&o| o.into()).collect(),
        attribute: attributes,
        ..Default::default()
    }
}

pub(crate) fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::INTS.into(),
        ints: values.to_vec(),
        ..Default::default()
    }
}

pub(crate) fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::INT.into(),
        i: value,
        ..Default::default()
    }
}

pub(crate) fn string(name: &str, value: &str) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::STRING.into(),
        s: value.as_bytes().to_vec().into(),
        ..Default::default()
    }
}

pub(crate) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        type_: AttributeType::FLOAT.into(),
        f: value,
        ..Default::default()
    }
}

/// Weights of alternating sign.
pub(crate) fn weights(name: &str, dims: &[i64]) -> TensorProto {
    let elements = dims.iter().product::<i64>();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: 1,
        float_data: (0..elements).map(|i| 0.1 * (1 - 2 * (i % 2)) as f32).collect(),
        ..Default::default()
    }
}

/// Ones.
pub(crate) fn ones(name: &str, dims: &[i64]) -> TensorProto {
    let mut tensor = weights(name, dims);
    tensor.float_data.fill(1.0);
    tensor
}

/// A list of integers, raw as exporters write it.
pub(crate) fn list(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: 7,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into(),
        ..Default::default()
    }
}

/// An image classifier with a folded shape in front of its last layer.
pub(crate) fn image_model() -> ModelProto {
    let same = vec![ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])];
    let depthwise = vec![int("group", 4), ints("dilations", &[2, 2])];
    let nodes = vec![
        node("Conv", &["x", "w1", "b1"], &["c1"], same),
        node("BatchNormalization", &["c1", "g", "b", "m", "v"], &["n1"], vec![]),
        node("Relu", &["n1"], &["r1"], vec![]),
        node("Conv", &["r1", "w2"], &["c2"], depthwise),
        node("Clip", &["c2", "", "six"], &["r2"], vec![]),
        node("MaxPool", &["r2"], &["p1"], vec![ints("kernel_shape", &[2, 2])]),
        node(
            "AveragePool",
            &["p1"],
            &["p2"],
            vec![ints("kernel_shape", &[2, 1]), int("ceil_mode", 1)],
        ),
        node("Shape", &["p2"], &["s"], vec![]),
        node("Gather", &["s", "zero"], &["n"], vec![]),
        node("Concat", &["n", "rest"], &["t"], vec![int("axis", 0)]),
        node("Reshape", &["p2", "t"], &["f"], vec![]),
        node("Gemm", &["f", "w3", "b3"], &["l"], vec![int("transB", 1), float("alpha", 0.5)]),
        node("Softmax", &["l"], &["y"], vec![]),
    ];
    let tensors = vec![
        weights("w1", &[4, 3, 3, 3]),
        weights("b1", &[4]),
        weights("g", &[4]),
        weights("b", &[4]),
        weights("m", &[4]),
        ones("v", &[4]),
        weights("w2", &[4, 1, 3, 3]),
        ones("six", &[]),
        list("zero", &[0]),
        list("rest", &[-1]),
        weights("w3", &[5, 24]),
        weights("b3", &[5]),
    ];
    model(&[3, 16, 16], nodes, tensors)
}

/// A network over sequences with the other families of operators.
pub(crate) fn sequence_model() -> ModelProto {
    let nodes = vec![
        node("Transpose", &["x"], &["a"], vec![ints("perm", &[0, 2, 1])]),
        node("Pad", &["a", "pads"], &["b"], vec![]),
        node("Conv", &["b", "w1"], &["c"], vec![ints("kernel_shape", &[3])]),
        node("LeakyRelu", &["c"], &["d"], vec![float("alpha", 0.1)]),
        node("Sigmoid", &["c"], &["e"], vec![]),
        node("Mul", &["d", "e"], &["g"], vec![]),
        node("Concat", &["g", "d"], &["h"], vec![int("axis", 1)]),
        node("Add", &["h", "shift"], &["i"], vec![]),
        node("Unsqueeze", &["i", "last"], &["j"], vec![]),
        node("Squeeze", &["j", "last"], &["k"], vec![]),
        node("ReduceMean", &["k"], &["l"], vec![ints("axes", &[2]), int("keepdims", 0)]),
        node("Slice", &["w2", "from", "to"], &["w"], vec![]),
        node("Expand", &["bias", "four"], &["o"], vec![]),
        node("MatMul", &["l", "w"], &["p"], vec![]),
        node("Add", &["p", "o"], &["q"], vec![]),
        node("LogSoftmax", &["q"], &["y"], vec![]),
    ];
    let tensors = vec![
        list("pads", &[0, 0, 1, 0, 0, 2]),
        weights("w1", &[3, 4, 3]),
        weights("shift", &[6, 1]),
        list("last", &[3]),
        weights("w2", &[8, 4]),
        list("from", &[1]),
        list("to", &[-1]),
        weights("bias", &[1]),
        list("four", &[4]),
    ];
    model(&[12, 4], nodes, tensors)
}

/// The operators that make images larger, and pools of norms.
pub(crate) fn upsampling_model() -> ModelProto {
    let spread = vec![
        ints("strides", &[2, 2]),
        ints("pads", &[1, 1, 1, 1]),
        ints("output_padding", &[1, 1]),
    ];
    let grouped = vec![int("group", 2), ints("strides", &[1, 3]), ints("dilations", &[2, 1])];
    let norms = vec![ints("kernel_shape", &[2, 3]), ints("strides", &[2, 3]), int("p", 1)];
    let nodes = vec![
        node("ConvTranspose", &["x", "w1", "b1"], &["a"], spread),
        node("Relu", &["a"], &["b"], vec![]),
        node("Resize", &["b", "", "scales"], &["c"], vec![string("mode", "linear")]),
        node("ConvTranspose", &["c", "w2"], &["d"], grouped),
        node("LpPool", &["d"], &["e"], norms),
        node("GlobalLpPool", &["e"], &["y"], vec![int("p", 2)]),
    ];
    let scales = TensorProto {
        name: "scales".into(),
        dims: vec![4],
        data_type: 1,
        float_data: vec![1.0, 1.0, 0.5, 1.7],
        ..Default::default()
    };
    let tensors = vec![
        weights("w1", &[3, 4, 3, 3]),
        weights("b1", &[4]),
        weights("w2", &[4, 2, 2, 2]),
        scales,
    ];
    model(&[3, 6, 6], nodes, tensors)
}

/// The operators that copy some elements of a value, perhaps several times.
pub(crate) fn movement_model() -> ModelProto {
    let mode = string("mode", "reflect");
    let block = || vec![int("blocksize", 2)];
    let along = |axis| vec![int("axis", axis)];
    let nodes = vec![
        node("Pad", &["x", "pads"], &["a"], vec![mode]),
        node("Slice", &["a", "from", "to", "height", "back"], &["b"], vec![]),
        node("Conv", &["b", "w1"], &["c"], vec![]),
        node("DepthToSpace", &["c"], &["d"], block()),
        node("SpaceToDepth", &["d"], &["e"], block()),
        node("Split", &["e", "parts"], &["f", "g"], along(1)),
        node("Tanh", &["g"], &["h"], vec![]),
        node("Concat", &["h", "f"], &["i"], along(1)),
        node("Reshape", &["i", "groups"], &["j"], vec![]),
        node("Transpose", &["j"], &["k"], vec![ints("perm", &[0, 2, 1, 3, 4])]),
        node("Reshape", &["k", "together"], &["l"], vec![]),
        node("Gather", &["l", "channels"], &["m"], along(1)),
        node("Resize", &["m", "", "scales"], &["n"], vec![]),
        node("GlobalMaxPool", &["n"], &["o"], vec![]),
        node("Expand", &["o", "image"], &["p"], vec![]),
        node("Add", &["n", "p"], &["q"], vec![]),
        node("Tile", &["q", "twice"], &["y"], vec![]),
    ];
    let scales = TensorProto {
        name: "scales".into(),
        dims: vec![4],
        data_type: 1,
        float_data: vec![1.0, 1.0, 2.0, 0.5],
        ..Default::default()
    };
    let tensors = vec![
        list("pads", &[0, 0, 1, 2, 0, 0, 2, -1]),
        list("from", &[-1]),
        list("to", &[0]),
        list("height", &[2]),
        list("back", &[-2]),
        weights("w1", &[8, 3, 1, 1]),
        list("parts", &[3, 5]),
        list("groups", &[0, 2, 4, 4, 7]),
        list("together", &[0, 8, 4, 7]),
        list("channels", &[7, 0, -2]),
        scales,
        list("image", &[1, 3, 8, 3]),
        list("twice", &[1, 2, 1, 1]),
    ];
    model(&[3, 6, 6], nodes, tensors)
}

/// Products of values, reductions, normalizations and selections.
pub(crate) fn groups_model() -> ModelProto {
    let equation = AttributeProto {
        name: "equation".into(),
        type_: AttributeType::STRING.into(),
        s: b"nij,jk->nik".to_vec().into(),
        ..Default::default()
    };
    let nodes = vec![
        node("LayerNormalization", &["x", "s8", "b8"], &["a"], vec![]),
        node("Transpose", &["a"], &["t"], vec![ints("perm", &[0, 2, 1])]),
        node("MatMul", &["a", "t"], &["p"], vec![]),
        node("Softmax", &["p"], &["q"], vec![int("axis", 2)]),
        node("MatMul", &["q", "a"], &["c"], vec![]),
        node("Einsum", &["c", "w"], &["e"], vec![equation]),
        node("InstanceNormalization", &["e", "s6", "b6"], &["i"], vec![]),
        node("ReduceL2", &["i"], &["l"], vec![ints("axes", &[2])]),
        node("Div", &["i", "l"], &["n"], vec![]),
        node("Reshape", &["n", "heads"], &["r"], vec![]),
        node("MatMul", &["r", "wh"], &["h"], vec![]),
        node("ReduceMax", &["h"], &["m"], vec![ints("axes", &[1]), int("keepdims", 0)]),
        node("TopK", &["m", "k"], &["v", "places"], vec![int("axis", 1)]),
        node("LpNormalization", &["v"], &["u"], vec![int("axis", 2)]),
        node("GroupNormalization", &["u", "s2", "b2"], &["y"], vec![int("num_groups", 2)]),
    ];
    let tensors = vec![
        weights("s8", &[8]),
        weights("b8", &[8]),
        weights("w", &[8, 4]),
        weights("s6", &[6]),
        weights("b6", &[6]),
        list("heads", &[0, 2, 3, 4]),
        weights("wh", &[2, 4, 4]),
        list("k", &[2]),
        weights("s2", &[2]),
        weights("b2", &[2]),
    ];
    model(&[6, 8], nodes, tensors)
}

/// The element-wise and constant operators that the other models leave out.
pub(crate) fn elementwise_model() -> ModelProto {
    let value = |tensor: TensorProto| AttributeProto {
        name: "value".into(),
        type_: AttributeType::TENSOR.into(),
        t: Some(tensor).into(),
        ..Default::default()
    };
    let axis = || vec![int("axis", 0)];
    let nodes = vec![
        // Constants: a shape out of the input's, and a scale out of roots and powers.
        node("Shape", &["x"], &["s"], vec![]),
        node("Slice", &["s", "one", "four"], &["sample"], vec![]),
        node("ReduceProd", &["sample"], &["len"], vec![]),
        node("Constant", &[], &["batch"], vec![ints("value_ints", &[-1])]),
        node("Equal", &["batch", "batch"], &["same"], vec![]),
        node("Where", &["same", "batch", "one"], &["first"], vec![]),
        node("Concat", &["first", "len"], &["flat"], axis()),
        node("ConstantOfShape", &["one"], &["half"], vec![value(ones("", &[1]))]),
        node("Exp", &["half"], &["k1"], vec![]),
        node("Sqrt", &["k1"], &["k2"], vec![]),
        node("Pow", &["k2", "half"], &["k3"], vec![]),
        node("Reciprocal", &["k3"], &["k4"], vec![]),
        node("Abs", &["k4"], &["k5"], vec![]),
        node("Ceil", &["k5"], &["k6"], vec![]),
        node("Floor", &["k6"], &["k7"], vec![]),
        node("Cast", &["k7"], &["k8"], vec![int("to", 7)]),
        node("Cast", &["k8"], &["scale"], vec![int("to", 1)]),
        node("Transpose", &["w"], &["wt"], vec![]),
        // Values.
        node("Identity", &["x"], &["a"], vec![]),
        node("HardSigmoid", &["a"], &["b"], vec![float("alpha", 0.3)]),
        node("Tanh", &["a"], &["c"], vec![]),
        node("Sub", &["b", "c"], &["d"], vec![]),
        node("Div", &["d", "scale"], &["e"], vec![]),
        node("Neg", &["e"], &["f"], vec![]),
        node("Max", &["f", "low"], &["g"], vec![]),
        node("Min", &["g", "high"], &["h"], vec![]),
        node("GlobalMaxPool", &["h"], &["i"], vec![]),
        node("GlobalAveragePool", &["h"], &["j"], vec![]),
        node("Mul", &["i", "j"], &["k"], vec![]),
        node("Add", &["h", "k"], &["l"], vec![]),
        node("Dropout", &["l"], &["m"], vec![]),
        node("Cast", &["m"], &["n"], vec![int("to", 1)]),
        node("HardSwish", &["n"], &["o"], vec![]),
        node("Flatten", &["o"], &["p"], vec![]),
        node("Reshape", &["p", "flat"], &["q"], vec![]),
        node("Gemm", &["q", "wt"], &["y"], vec![]),
    ];
    let tensors = vec![
        list("one", &[1]),
        list("four", &[4]),
        weights("low", &[]),
        ones("high", &[]),
        weights("w", &[3, 40]),
    ];
    let mut model = model(&[2, 5, 4], nodes, tensors);
    model.opset_import[0].version = 17;
    model
}
