//! TensorFlow Lite Micro as the oracle of single operations.
//!
//! An operation is written down as a model for `oracles/tflm.py`. Only scales, shapes, weights and
//! biases go into it; TensorFlow Lite Micro derives multipliers, bounds and padding itself, so that
//! these are compared too. An operation whose multipliers do not follow from the scales, or whose
//! bounds no fused activation gives, cannot be asked for.

mod movement;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::program::{
    BinaryFunction, Broadcast, DType, IntNode, IntOp, IntTensor, Output, TensorId, Weighted,
};
use burn_ptq_deploy::run::tensor_integers;
use burn_ptq_kernels::geometry::{MatMulGeometry, Window};
use burn_ptq_kernels::grid::Grid;
use burn_ptq_kernels::multiplier::Multiplier;
use burn_ptq_kernels::params::{AddParams, Clamp, PreluParams, Reduction};
use burn_ptq_kernels::reference::{Alignment, resize_position, softmax_params};
use serde_json::{Value, json};

use super::{Agreement, Executor};
use crate::problems::Problem;

/// The interpreter in the `tflite-micro` wheel.
pub(super) struct TensorFlowLiteMicro;

/// `BURN_PTQ_PYTHON`, else the Python of `scripts/install-oracles.sh`.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("BURN_PTQ_PYTHON").map_or_else(|| root.join(".venv/bin/python"), PathBuf::from)
}

impl Executor for TensorFlowLiteMicro {
    fn name(&self) -> &'static str {
        "TFLite Micro"
    }

    fn agreement(&self) -> Agreement {
        Agreement::Exact
    }

    fn available(&self) -> Result<(), String> {
        let python = python();
        if python.exists() {
            return Ok(());
        }
        Err(format!(
            "no Python at {}; run scripts/install-oracles.sh, or set BURN_PTQ_PYTHON to a Python \
             with the packages of scripts/requirements.txt",
            python.display()
        ))
    }

    fn supports(&self, problem: &Problem) -> Result<(), String> {
        describe(problem).map(|_| ())
    }

    /// Runs the nodes that write outputs on the inputs that the reference interpreter feeds them.
    fn run(&mut self, problems: &[&Problem]) -> Result<Vec<Vec<u8>>, String> {
        let sources = problems.iter().map(|problem| describe(problem));
        let sources = sources.collect::<Result<Vec<Vec<Source>>, String>>()?;
        let models: Vec<&Value> = sources.iter().flatten().filter_map(Source::model).collect();
        let answers = answers(&models)?;
        let mut answers = answers.iter();
        let mut bytes = |tensor: &IntTensor, source: &Source| match source {
            Source::Input(bytes) => Ok(bytes.clone()),
            Source::Model(_) => of_answer(tensor, answers.next().ok_or("too few answers")?),
        };
        let mut outputs = |(problem, sources): (&&Problem, &Vec<Source>)| {
            let pairs = problem.program.output_tensors().zip(sources);
            let outputs: Result<Vec<_>, _> = pairs.map(|(tensor, of)| bytes(tensor, of)).collect();
            let outputs = outputs.map_err(|error| format!("{}: {error}", problem.name))?;
            Ok(outputs.concat())
        };
        problems.iter().zip(&sources).map(&mut outputs).collect()
    }
}

/// Where the bytes of an output come from.
enum Source {
    /// A model of the node that writes it.
    Model(Value),
    /// No node: the output is an input.
    Input(Vec<u8>),
}

impl Source {
    fn model(&self) -> Option<&Value> {
        match self {
            Source::Model(model) => Some(model),
            Source::Input(_) => None,
        }
    }
}

/// The bytes of an output that a model gave.
fn of_answer(tensor: &IntTensor, answer: &Value) -> Result<Vec<u8>, String> {
    if let Some(refusal) = answer.get("error") {
        return Err(format!("refused, {refusal}"));
    }
    let values: Vec<i32> =
        serde_json::from_value(answer["outputs"][0].clone()).map_err(|error| error.to_string())?;
    Ok(to_bytes(tensor.dtype, &values))
}

fn to_bytes(dtype: DType, values: &[i32]) -> Vec<u8> {
    match dtype {
        DType::I8 | DType::I4 => values.iter().map(|&value| value as u8).collect(),
        DType::I16 => values.iter().flat_map(|&value| (value as i16).to_le_bytes()).collect(),
    }
}

/// What `tflm.py` says of each model.
fn answers(models: &[&Value]) -> Result<Vec<Value>, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("oracles/tflm.py");
    let mut child = Command::new(python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("Python does not start: {error}"))?;
    let request = serde_json::to_vec(models).map_err(|error| error.to_string())?;
    let mut stdin = child.stdin.take().ok_or("stdin is not a pipe")?;
    // The script reads everything before it writes.
    let written = stdin.write_all(&request);
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || written.is_err() {
        return Err(format!("tflm.py failed, {}:\n{complaint}", output.status));
    }
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("tflm.py wrote no JSON: {error}\n{complaint}"))?;
    if answers.len() != models.len() {
        return Err(format!("{} answers to {} models:\n{complaint}", answers.len(), models.len()));
    }
    Ok(answers)
}

/// What each output comes from.
fn describe(problem: &Problem) -> Result<Vec<Source>, String> {
    let program = &problem.program;
    let contents = problem.contents();
    let source = |output: &Output| {
        let writes = |node: &&IntNode| node.output == output.tensor;
        match program.nodes.iter().find(writes) {
            Some(node) => describe_model(program, node, &contents).map(Source::Model),
            None => Ok(Source::Input(contents[output.tensor.0].clone())),
        }
    };
    program.outputs.iter().map(source).collect()
}

/// A node of the program as a model for `tflm.py`, with the inputs that the node gets; `contents` are
/// the bytes of all tensors.
fn describe_model(program: &Placed, node: &IntNode, contents: &[Vec<u8>]) -> Result<Value, String> {
    let tensor = |id: TensorId| &program.tensors[id.0];
    let inputs: Vec<&IntTensor> = node.inputs.iter().map(|&id| tensor(id)).collect();
    let mut file = File::default();
    let output = describe_node(&mut file, node, &inputs, tensor(node.output))?;
    let values = |id: &TensorId| tensor_integers(tensor(*id), &contents[id.0]).collect();
    let samples: Vec<Vec<i32>> = node.inputs.iter().map(values).collect();
    if let (IntOp::Binary { function: BinaryFunction::Div(_), .. }, [_, divisors]) =
        (&node.op, &samples[..])
        && divisors.contains(&inputs[1].grid.zero_point)
    {
        return Err("DIV by 0 is undefined".into());
    }
    Ok(json!({
        "tensors": file.tensors,
        "operators": file.operators,
        "inputs": file.inputs,
        "output": output,
        "samples": [samples],
    }))
}

/// Tensors and operators of a model under construction.
#[derive(Default)]
struct File {
    tensors: Vec<Value>,
    operators: Vec<Value>,
    inputs: Vec<usize>,
}

impl File {
    fn push(&mut self, tensor: Value) -> usize {
        self.tensors.push(tensor);
        self.tensors.len() - 1
    }

    fn activation(&mut self, tensor: &IntTensor, shape: &[usize]) -> usize {
        self.push(json!({
            "shape": shape,
            "type": type_name(tensor.dtype),
            "scales": [tensor.grid.scale],
            "zero_points": [tensor.grid.zero_point],
        }))
    }

    fn input(&mut self, tensor: &IntTensor, shape: &[usize]) -> usize {
        let id = self.activation(tensor, shape);
        self.inputs.push(id);
        id
    }

    fn constant(&mut self, kind: &str, shape: &[usize], data: &[i32]) -> usize {
        self.push(json!({ "shape": shape, "type": kind, "data": data }))
    }

    /// Weights of `shape` with output channels along `axis`, then biases.
    fn weights(
        &mut self,
        weighted: &Weighted,
        shape: &[usize],
        axis: usize,
        input: &IntTensor,
    ) -> [usize; 2] {
        let weights = &weighted.weights;
        let zeros = vec![0; weights.scales.len()];
        let filter = self.push(json!({
            "shape": shape,
            "type": "INT8",
            "scales": weights.scales,
            "zero_points": zeros,
            "axis": axis,
            "data": weights.unpack(),
        }));
        let scales: Vec<f32> = weights.scales.iter().map(|s| input.grid.scale * s).collect();
        let bias = self.push(json!({
            "shape": [weighted.bias.len()],
            "type": if input.dtype == DType::I16 { "INT64" } else { "INT32" },
            "scales": scales,
            "zero_points": zeros,
            "data": weighted.bias,
        }));
        [filter, bias]
    }

    fn operator(
        &mut self,
        (builtin, version): (&str, i32),
        options_type: &str,
        options: Value,
        inputs: &[usize],
        output: usize,
    ) {
        let mut operator = json!({
            "builtin": builtin,
            "version": version,
            "inputs": inputs,
            "outputs": [output],
        });
        // Some operators have no options.
        if !options_type.is_empty() {
            operator["options_type"] = options_type.into();
            operator["options"] = options;
        }
        self.operators.push(operator);
    }
}

fn describe_node(
    file: &mut File,
    node: &IntNode,
    inputs: &[&IntTensor],
    output: &IntTensor,
) -> Result<usize, String> {
    let Some(&input) = inputs.first() else { return Err("constants are not an operation".into()) };
    match &node.op {
        IntOp::Conv2d { geometry: g, weighted } => {
            ensure_multipliers(weighted, input, output)?;
            let x = file.input(input, &[1, g.input[0], g.input[1], g.in_channels]);
            let (x, padding) =
                pad_explicitly(file, x, &g.window, g.input, g.output, g.in_channels, input)?;
            let [height, width] = g.window.kernel;
            let shape = [g.out_channels, height, width, g.in_channels / g.groups];
            let [filter, bias] = file.weights(weighted, &shape, 0, input);
            let y = file.activation(output, &[1, g.output[0], g.output[1], g.out_channels]);
            let options = json!({
                "padding": padding,
                "strideH": g.window.stride[0],
                "strideW": g.window.stride[1],
                "dilationHFactor": g.window.dilation[0],
                "dilationWFactor": g.window.dilation[1],
                "fusedActivationFunction": activation(weighted.clamp, output)?,
            });
            file.operator(("CONV_2D", 3), "Conv2DOptions", options, &[x, filter, bias], y);
            Ok(y)
        }
        IntOp::DepthwiseConv2d { geometry: g, weighted } => {
            ensure_multipliers(weighted, input, output)?;
            let x = file.input(input, &[1, g.input[0], g.input[1], g.channels]);
            let (x, padding) =
                pad_explicitly(file, x, &g.window, g.input, g.output, g.channels, input)?;
            let [height, width] = g.window.kernel;
            let channels = g.out_channels();
            let [filter, bias] = file.weights(weighted, &[1, height, width, channels], 3, input);
            let y = file.activation(output, &[1, g.output[0], g.output[1], channels]);
            let options = json!({
                "padding": padding,
                "strideH": g.window.stride[0],
                "strideW": g.window.stride[1],
                "dilationHFactor": g.window.dilation[0],
                "dilationWFactor": g.window.dilation[1],
                "depthMultiplier": g.multiplier,
                "fusedActivationFunction": activation(weighted.clamp, output)?,
            });
            let inputs = [x, filter, bias];
            file.operator(("DEPTHWISE_CONV_2D", 3), "DepthwiseConv2DOptions", options, &inputs, y);
            Ok(y)
        }
        IntOp::TransposeConv2d { geometry: g, weighted } => {
            ensure_multipliers(weighted, input, output)?;
            if g.groups != 1 {
                return Err("transposed convolutions have no groups".into());
            }
            if g.window.dilation != [1, 1] {
                return Err("transposed convolutions have no dilation".into());
            }
            let padding = transposed_padding(&g.window, g.output)
                .ok_or("the padding of a transposed convolution is neither SAME nor VALID")?;
            let shape = [1, g.output[0], g.output[1], g.out_channels];
            let extents = file.constant("INT32", &[4], &shape.map(|extent| extent as i32));
            let [height, width] = g.window.kernel;
            let kernel = [g.out_channels, height, width, g.in_channels];
            let [filter, bias] = file.weights(weighted, &kernel, 0, input);
            let x = file.input(input, &[1, g.input[0], g.input[1], g.in_channels]);
            let y = file.activation(output, &shape);
            let options = json!({
                "padding": padding,
                "strideH": g.window.stride[0],
                "strideW": g.window.stride[1],
                "fusedActivationFunction": activation(weighted.clamp, output)?,
            });
            let inputs = [extents, filter, x, bias];
            file.operator(("TRANSPOSE_CONV", 4), "TransposeConvOptions", options, &inputs, y);
            Ok(y)
        }
        IntOp::FullyConnected { rows, in_features, out_features, weighted } => {
            ensure_multipliers(weighted, input, output)?;
            let x = file.input(input, &[*rows, *in_features]);
            let [filter, bias] = file.weights(weighted, &[*out_features, *in_features], 0, input);
            let y = file.activation(output, &[*rows, *out_features]);
            let options = json!({ "fusedActivationFunction": activation(weighted.clamp, output)? });
            let inputs = [x, filter, bias];
            file.operator(("FULLY_CONNECTED", 4), "FullyConnectedOptions", options, &inputs, y);
            Ok(y)
        }
        IntOp::Add { params, broadcast, clamp } => {
            let wide = output.dtype == DType::I16;
            let [a, b, y] = [input, inputs[1], output].map(|tensor| tensor.grid.scale);
            if AddParams::new(a, b, y, wide) != Some(*params) {
                return Err(NOT_DERIVED.into());
            }
            let (pair, y) = describe_pair(file, *broadcast, inputs, output);
            let options = json!({ "fusedActivationFunction": activation(*clamp, output)? });
            file.operator(("ADD", 2), "AddOptions", options, &pair, y);
            Ok(y)
        }
        IntOp::Mul { multiplier, broadcast, clamp } => {
            let [a, b, y] = [input, inputs[1], output].map(|tensor| tensor.grid.scale);
            ensure_derived(&[*multiplier], Multiplier::of_scales(a, b, y))?;
            let (pair, y) = describe_pair(file, *broadcast, inputs, output);
            let options = json!({ "fusedActivationFunction": activation(*clamp, output)? });
            file.operator(("MUL", 2), "MulOptions", options, &pair, y);
            Ok(y)
        }
        IntOp::Binary { function, broadcast, clamp } => {
            let scales = [input, inputs[1], output].map(|tensor| tensor.grid.scale);
            let operator = describe_function(*function, scales, *clamp, output)?;
            let (pair, y) = describe_pair(file, *broadcast, inputs, output);
            let (builtin, options_type, options) = operator;
            file.operator(builtin, options_type, options, &pair, y);
            Ok(y)
        }
        IntOp::AveragePool { geometry: g, clamp } | IntOp::MaxPool { geometry: g, clamp } => {
            if g.window.dilation != [1, 1] {
                return Err("pools have no dilation".into());
            }
            let padding = padding(&g.window, g.input, g.output)
                .ok_or("the padding of a pool is neither SAME nor VALID")?;
            let x = file.input(input, &[1, g.input[0], g.input[1], g.channels]);
            let y = file.activation(output, &[1, g.output[0], g.output[1], g.channels]);
            let options = json!({
                "padding": padding,
                "strideH": g.window.stride[0],
                "strideW": g.window.stride[1],
                "filterHeight": g.window.kernel[0],
                "filterWidth": g.window.kernel[1],
                "fusedActivationFunction": activation(*clamp, output)?,
            });
            let builtin = match &node.op {
                IntOp::AveragePool { .. } => ("AVERAGE_POOL_2D", 2),
                _ => ("MAX_POOL_2D", 2),
            };
            file.operator(builtin, "Pool2DOptions", options, &[x], y);
            Ok(y)
        }
        IntOp::Softmax { rows, depth, input_multiplier, diff_min } => {
            if softmax_params(input.grid.scale) != Some((*input_multiplier, *diff_min)) {
                return Err(NOT_DERIVED.into());
            }
            if *depth >= 512 {
                return Err("flat rows of 512 elements abort it".into());
            }
            let x = file.input(input, &[*rows, *depth]);
            let y = file.activation(output, &[*rows, *depth]);
            file.operator(("SOFTMAX", 2), "SoftmaxOptions", json!({ "beta": 1.0 }), &[x], y);
            Ok(y)
        }
        IntOp::Requantize { multiplier, clamp } => {
            let ratio = f64::from(input.grid.scale) / f64::from(output.grid.scale);
            ensure_derived(&[*multiplier], Multiplier::from_real(ratio))?;
            if activation(*clamp, output)? != NONE {
                return Err("QUANTIZE has no fused activation".into());
            }
            let x = file.input(input, &[input.len()]);
            let y = file.activation(output, &[output.len()]);
            file.operator(("QUANTIZE", 1), "QuantizeOptions", json!({}), &[x], y);
            Ok(y)
        }
        IntOp::Concat { outer, chunks } => {
            let parts: Vec<usize> = inputs
                .iter()
                .zip(chunks)
                .map(|(input, &chunk)| file.input(input, &[*outer, chunk]))
                .collect();
            let y = file.activation(output, &[*outer, chunks.iter().sum()]);
            let options = json!({ "axis": 1, "fusedActivationFunction": NONE });
            file.operator(("CONCATENATION", 2), "ConcatenationOptions", options, &parts, y);
            Ok(y)
        }
        IntOp::Pad { input: shape, before, after, value } => {
            let x = file.input(input, &with_batch(*shape));
            let padded = [0, 1, 2].map(|axis| before[axis] + shape[axis] + after[axis]);
            let y = file.activation(output, &with_batch(padded));
            let paddings = paddings(file, *before, *after);
            let value = file.push(json!({
                "shape": [1],
                "type": type_name(output.dtype),
                "scales": [output.grid.scale],
                "zero_points": [output.grid.zero_point],
                "data": [value],
            }));
            file.operator(("PADV2", 2), "PadV2Options", json!({}), &[x, paddings, value], y);
            Ok(y)
        }
        IntOp::Transpose { input: shape, axes } => {
            let x = file.input(input, shape);
            let y = file.activation(output, &axes.map(|axis| shape[axis]));
            let order = file.constant("INT32", &[3], &axes.map(|axis| axis as i32));
            file.operator(("TRANSPOSE", 2), "TransposeOptions", json!({}), &[x, order], y);
            Ok(y)
        }
        IntOp::BatchMatMul { geometry, multiplier, clamp } => {
            let [a, b, y] = [input, inputs[1], output].map(|tensor| tensor.grid.scale);
            ensure_derived(&[*multiplier], Multiplier::of_product(a, b, y))?;
            if activation(*clamp, output)? != NONE {
                return Err("BATCH_MATMUL has no fused activation".into());
            }
            Ok(describe_matmul(file, geometry, inputs, output))
        }
        IntOp::Reduce { reduction, outer, reduced, inner, multiplier, clamp } => {
            let ratio = f64::from(input.grid.scale) / f64::from(output.grid.scale);
            let ratio = Multiplier::from_real(ratio).ok_or(NOT_DERIVED)?;
            let builtin = match reduction {
                Reduction::Max if input.dtype != DType::I8 => {
                    return Err("REDUCE_MAX takes 8 bits".into());
                }
                Reduction::Max => "REDUCE_MAX",
                Reduction::Min => return Err("it has no REDUCE_MIN".into()),
                Reduction::Sum if *multiplier == ratio => "SUM",
                Reduction::Sum if *multiplier == ratio.divided_by(*reduced as u32) => "MEAN",
                Reduction::Sum => return Err(NOT_DERIVED.into()),
                Reduction::SumOfMagnitudes | Reduction::SumOfSquares | Reduction::RootOfSquares => {
                    return Err("it has no reductions of magnitudes and squares".into());
                }
            };
            if activation(*clamp, output)? != NONE {
                return Err("reductions have no fused activation".into());
            }
            let x = file.input(input, &[*outer, *reduced, *inner]);
            let axis = file.constant("INT32", &[1], &[1]);
            let y = file.activation(output, &[*outer, *inner]);
            let options = json!({ "keepDims": false });
            file.operator((builtin, 2), "ReducerOptions", options, &[x, axis], y);
            Ok(y)
        }
        IntOp::Normalize { geometry: g, params, affine, .. } => {
            let grid = output.grid;
            let own = (grid.scale, grid.zero_point, output.bits) == (1.0 / 128.0, 0, 8);
            let rows = g.outer == 1 && g.steps[0] == g.inner && g.steps[2] == 1;
            if !own || !rows || params.center || params.epsilon != 0 || affine.is_some() {
                return Err("only the L2 normalization of rows to a grid of 1/128 exists".into());
            }
            ensure_derived(&[params.multiplier], Multiplier::from_real(128.0))?;
            let x = file.input(input, &[g.groups, g.inner]);
            let y = file.activation(output, &[g.groups, g.inner]);
            file.operator(("L2_NORMALIZATION", 2), "L2NormOptions", json!({}), &[x], y);
            Ok(y)
        }
        IntOp::Lookup8 { .. } | IntOp::Lookup16 { .. } => {
            Err("GATHER takes ids of 32 bits, none of them negative or too large".into())
        }
        IntOp::TopK { selection, rows, depth, k } => {
            if !selection.indices || *k != 1 || selection.last {
                return Err("only the places of first extremes exist".into());
            }
            if input.dtype != DType::I8 {
                return Err("extremes are searched for in 8 bits".into());
            }
            let builtin = if selection.smallest { "ARG_MIN" } else { "ARG_MAX" };
            let options = if selection.smallest { "ArgMinOptions" } else { "ArgMaxOptions" };
            let x = file.input(input, &[*rows, *depth]);
            let axis = file.constant("INT32", &[1], &[1]);
            let y = file.push(json!({ "shape": [*rows], "type": "INT32" }));
            // `TensorType` of the schema: INT32.
            file.operator((builtin, 2), options, json!({ "outputType": 2 }), &[x, axis], y);
            Ok(y)
        }
        IntOp::ResizeLinear { input: shape, rows, columns } => {
            if input.dtype == DType::I16 {
                return Err("RESIZE_BILINEAR takes no 16-bit activations".into());
            }
            let alignment = [Alignment::Start, Alignment::HalfPixel, Alignment::Corners]
                .into_iter()
                .find(|&alignment| {
                    [rows, columns].into_iter().zip(shape).all(|(positions, &extent)| {
                        let derived = (0..positions.len())
                            .map(|i| resize_position(alignment, i, extent, positions.len()));
                        derived.eq(positions.iter().copied())
                    })
                })
                .ok_or("RESIZE_BILINEAR has no such positions")?;
            let x = file.input(input, &with_batch(*shape));
            let extents = [rows.len() as i32, columns.len() as i32];
            let size = file.constant("INT32", &[2], &extents);
            let y = file.activation(output, &[1, rows.len(), columns.len(), shape[2]]);
            let options = json!({
                "alignCorners": alignment == Alignment::Corners,
                "halfPixelCenters": alignment == Alignment::HalfPixel,
            });
            file.operator(("RESIZE_BILINEAR", 3), "ResizeBilinearOptions", options, &[x, size], y);
            Ok(y)
        }
        IntOp::Table8 { .. } | IntOp::Table16 { .. } => Err("there are no tables".into()),
        IntOp::Rearrange { first, axes } => movement::describe(file, *first, axes, input, output),
        IntOp::Pack | IntOp::Unpack => Err("activations are not packed".into()),
        IntOp::Constant { .. } => Err("constants are not an operation".into()),
        IntOp::LogSoftmax { .. } => Err("LOG_SOFTMAX approximates the logarithm otherwise".into()),
    }
}

/// The operator of a function of two values, of the scales of both and of the output.
fn describe_function(
    function: BinaryFunction,
    [a, b, y]: [f32; 3],
    clamp: Clamp,
    output: &IntTensor,
) -> Result<((&'static str, i32), &'static str, Value), String> {
    let wide = output.dtype == DType::I16;
    let narrow = |what: &str| if wide { Err(format!("{what} is 8-bit only")) } else { Ok(()) };
    let unbounded = || match activation(clamp, output)? {
        NONE => Ok(()),
        _ => Err("it has no fused activation".to_owned()),
    };
    let fused =
        || Ok::<_, String>(json!({ "fusedActivationFunction": activation(clamp, output)? }));
    Ok(match function {
        BinaryFunction::Sub(params) => {
            if AddParams::new(a, b, y, wide) != Some(params) {
                return Err(NOT_DERIVED.into());
            }
            (("SUB", 2), "SubOptions", fused()?)
        }
        BinaryFunction::Div(multiplier) => {
            narrow("DIV")?;
            let real = f64::from(a) / (f64::from(b) * f64::from(y));
            ensure_derived(&[multiplier], Multiplier::from_real(real))?;
            // It shifts by what it finds, and by 32 and more the result is undefined.
            if multiplier.exponent < 8 {
                return Err("DIV of small quotients shifts by more than 31".into());
            }
            (("DIV", 2), "DivOptions", fused()?)
        }
        BinaryFunction::Prelu(params) => {
            narrow("PRELU")?;
            unbounded()?;
            if PreluParams::new(a, b, y) != Some(params) {
                return Err(NOT_DERIVED.into());
            }
            (("PRELU", 1), "", json!({}))
        }
        // They know no narrower grids, but the bytes stay within the inputs'.
        BinaryFunction::Minimum => (("MINIMUM", 2), "MaximumMinimumOptions", json!({})),
        BinaryFunction::Maximum => (("MAXIMUM", 2), "MaximumMinimumOptions", json!({})),
    })
}

/// Both inputs and the output of an element-wise operation.
fn describe_pair(
    file: &mut File,
    broadcast: Broadcast,
    inputs: &[&IntTensor],
    output: &IntTensor,
) -> ([usize; 2], usize) {
    let first = with_batch(inputs[0].shape);
    let (first, second) = match broadcast {
        Broadcast::None => (first, first),
        Broadcast::Channels => (first, [1, 1, 1, first[3]]),
        Broadcast::Scalar => (first, [1; 4]),
        Broadcast::Shapes { a, b } => (with_batch(a), with_batch(b)),
    };
    let pair = [file.input(inputs[0], &first), file.input(inputs[1], &second)];
    let larger: Vec<usize> = first.iter().zip(second).map(|(&a, b)| a.max(b)).collect();
    (pair, file.activation(output, &larger))
}

/// A product of matrices whose axes are put in order first, and the product's afterwards.
fn describe_matmul(
    file: &mut File,
    g: &MatMulGeometry,
    inputs: &[&IntTensor],
    output: &IntTensor,
) -> usize {
    // The axes from the outermost in memory to the innermost; an axis without a step has one element.
    let stored = |extents: [usize; 3], strides: [usize; 3]| {
        let mut order = [0, 1, 2];
        order.sort_by_key(|&axis| std::cmp::Reverse((strides[axis].max(1), extents[axis])));
        let extents = [0, 1, 2].map(|axis| if strides[axis] == 0 { 1 } else { extents[axis] });
        // An axis of step 0 goes to the front.
        order.sort_by_key(|&axis| strides[axis] != 0);
        (order, extents)
    };
    let place = |order: [usize; 3], axis: usize| {
        order.iter().position(|&a| a == axis).expect("a permutation") as i32
    };
    let transposed = |file: &mut File, x: usize, axes: [i32; 3], y: usize| {
        let order = file.constant("INT32", &[3], &axes);
        file.operator(("TRANSPOSE", 2), "TransposeOptions", json!({}), &[x, order], y);
        y
    };
    let extents = [[g.batch, g.rows, g.inner], [g.batch, g.inner, g.columns]];
    let mut adjoint = [false; 2];
    let mut operands = [0; 2];
    for (side, strides) in [g.a, g.b].into_iter().enumerate() {
        let (order, extents) = stored(extents[side], strides);
        let shape = order.map(|axis| extents[axis]);
        let x = file.input(inputs[side], &shape);
        adjoint[side] = order == [0, 2, 1];
        operands[side] = if order == [0, 1, 2] || adjoint[side] {
            x
        } else {
            let y = file.activation(inputs[side], &extents);
            transposed(file, x, [0, 1, 2].map(|axis| place(order, axis)), y)
        };
    }
    let options = json!({ "adjX": adjoint[0], "adjY": adjoint[1] });
    let product = file.activation(output, &[g.batch, g.rows, g.columns]);
    file.operator(("BATCH_MATMUL", 4), "BatchMatMulOptions", options, &operands, product);
    let (order, extents) = stored([g.batch, g.rows, g.columns], g.output);
    if order == [0, 1, 2] {
        return product;
    }
    let y = file.activation(output, &order.map(|axis| extents[axis]));
    transposed(file, product, order.map(|axis| axis as i32), y)
}

fn type_name(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 | DType::I4 => "INT8",
        DType::I16 => "INT16",
    }
}

fn with_batch(shape: [usize; 3]) -> [usize; 4] {
    [1, shape[0], shape[1], shape[2]]
}

const NOT_DERIVED: &str = "the multipliers do not follow from the scales";

/// `ActivationFunctionType` of the schema.
const NONE: u8 = 0;

/// The fused activation that leads to `clamp`.
fn activation(clamp: Clamp, output: &IntTensor) -> Result<u8, String> {
    let (min, max) = match output.dtype {
        DType::I8 | DType::I4 => (i32::from(i8::MIN), i32::from(i8::MAX)),
        DType::I16 => (i32::from(i16::MIN), i32::from(i16::MAX)),
    };
    let grid = Grid { min, max, ..output.grid };
    let quantize = |x| grid.quantize(x);
    let bounds = [
        (min, max),
        (quantize(0.0), max),
        (quantize(-1.0), quantize(1.0)),
        (quantize(0.0), quantize(6.0)),
    ];
    let function = bounds.iter().position(|&bounds| bounds == (clamp.min, clamp.max));
    function
        .map(|function| function as u8)
        .ok_or_else(|| "no fused activation gives these bounds".to_string())
}

fn ensure_derived(found: &[Multiplier], derived: Option<Multiplier>) -> Result<(), String> {
    if found.iter().all(|&multiplier| Some(multiplier) == derived) {
        Ok(())
    } else {
        Err(NOT_DERIVED.into())
    }
}

fn ensure_multipliers(
    weighted: &Weighted,
    input: &IntTensor,
    output: &IntTensor,
) -> Result<(), String> {
    let Weighted { weights, bias, multipliers, .. } = weighted;
    for channel in 0..bias.len() {
        let scale = weights.scales[if weights.scales.len() == 1 { 0 } else { channel }];
        let multiplier = multipliers[if multipliers.len() == 1 { 0 } else { channel }];
        let derived = Multiplier::of_scales(input.grid.scale, scale, output.grid.scale);
        ensure_derived(&[multiplier], derived)?;
    }
    Ok(())
}

/// `Padding` of the schema.
const SAME: u8 = 0;
const VALID: u8 = 1;

/// The padding that gives the window's start and the output's extents, if one does.
fn padding(window: &Window, input: [usize; 2], output: [usize; 2]) -> Option<u8> {
    let fits = |padding: u8| {
        (0..2).all(|axis| {
            let stride = window.stride[axis];
            let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
            let (extent, total) = if padding == SAME {
                let extent = input[axis].div_ceil(stride);
                (extent, ((extent - 1) * stride + reach).saturating_sub(input[axis]))
            } else {
                ((input[axis] + stride).saturating_sub(reach) / stride, 0)
            };
            (output[axis], window.pad[axis]) == (extent, total / 2)
        })
    };
    [VALID, SAME].into_iter().find(|&padding| fits(padding))
}

/// The padding of the convolution over the output that gives the start of its windows, if one does.
fn transposed_padding(window: &Window, output: [usize; 2]) -> Option<u8> {
    if window.pad == [0, 0] {
        return Some(VALID);
    }
    let same = (0..2).all(|axis| {
        let windows = output[axis].div_ceil(window.stride[axis]);
        let covered = (windows - 1) * window.stride[axis] + window.kernel[axis];
        window.pad[axis] == covered.saturating_sub(output[axis]) / 2
    });
    same.then_some(SAME)
}

/// The tensor for a convolution to read and its padding: `x` itself, or the result of a `PAD` with
/// the zero point if the convolution's own padding cannot do it.
fn pad_explicitly(
    file: &mut File,
    x: usize,
    window: &Window,
    input: [usize; 2],
    output: [usize; 2],
    channels: usize,
    tensor: &IntTensor,
) -> Result<(usize, u8), String> {
    if let Some(padding) = padding(window, input, output) {
        return Ok((x, padding));
    }
    let mut padded = input;
    let mut after = [0; 3];
    for axis in 0..2 {
        let reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1;
        let end = (output[axis] - 1) * window.stride[axis] + reach;
        padded[axis] = (window.pad[axis] + input[axis]).max(end);
        after[axis] = padded[axis] - window.pad[axis] - input[axis];
    }
    let unpadded = Window { pad: [0, 0], ..*window };
    if padding(&unpadded, padded, output) != Some(VALID) {
        return Err("the output ends before the padded input does".into());
    }
    let y = file.activation(tensor, &[1, padded[0], padded[1], channels]);
    let paddings = paddings(file, [window.pad[0], window.pad[1], 0], after);
    file.operator(("PAD", 2), "PadOptions", json!({}), &[x, paddings], y);
    Ok((y, VALID))
}

fn paddings(file: &mut File, before: [usize; 3], after: [usize; 3]) -> usize {
    let mut pairs = vec![0; 2];
    for axis in 0..3 {
        pairs.extend([before[axis] as i32, after[axis] as i32]);
    }
    file.constant("INT32", &[4, 2], &pairs)
}
