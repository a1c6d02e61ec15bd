//! The model's input and output.

use std::collections::HashSet;

use onnx_ir::{GraphProto, ValueInfoProto};

use super::error::ImportError;
use super::tensor::data_type;

/// What the file says about the model's input and output.
pub(super) struct Interface<'m> {
    pub input: &'m str,
    pub output: &'m str,
    /// The shape of one sample of the input.
    pub sample: Vec<usize>,
    /// The extent of the batch axis where the file fixes it.
    pub batch: Option<usize>,
}

pub(super) fn read<'m>(graph: &'m GraphProto, file: &str) -> Result<Interface<'m>, ImportError> {
    // Files of IR version 3 list the initializers among the inputs.
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let inputs: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).collect();
    let input = only(&inputs, "input", file)?;
    let outputs: Vec<&ValueInfoProto> = graph.output.iter().collect();
    let output = only(&outputs, "output", file)?;
    let (batch, sample) = sample_shape(input, file)?;
    Ok(Interface { input: &input.name, output: &output.name, sample, batch })
}

fn only<'m>(
    values: &[&'m ValueInfoProto],
    kind: &str,
    file: &str,
) -> Result<&'m ValueInfoProto, ImportError> {
    match values {
        [value] => Ok(value),
        _ => {
            let names: Vec<&str> = values.iter().map(|v| v.name.as_str()).collect();
            Err(ImportError::Interface {
                name: file.into(),
                what: format!("the model's {kind}s"),
                expected: format!("exactly one {kind}"),
                found: format!("{}: {names:?}", values.len()),
                hint: format!(
                    "cut the model to one {kind}, for example with onnx.utils.extract_model"
                ),
            })
        }
    }
}

fn sample_shape(
    input: &ValueInfoProto,
    file: &str,
) -> Result<(Option<usize>, Vec<usize>), ImportError> {
    let error = |expected: &str, found: String, hint: &str| ImportError::Interface {
        name: file.into(),
        what: format!("input '{}'", input.name),
        expected: expected.into(),
        found,
        hint: hint.into(),
    };
    let kind = input.type_.tensor_type();
    if !data_type::is_float(kind.elem_type) {
        return Err(error(
            "a tensor of floats",
            data_type::name(kind.elem_type),
            "export the model with a float input; scale integer data before it",
        ));
    }
    let dims = &kind.shape.dim;
    let shown: Vec<String> = dims
        .iter()
        .map(|d| match (d.has_dim_value(), d.dim_param()) {
            (true, _) => d.dim_value().to_string(),
            (false, "") => "?".into(),
            (false, name) => name.into(),
        })
        .collect();
    let shown = format!("[{}]", shown.join(", "));
    if !(2..=4).contains(&dims.len()) {
        return Err(error(
            "a batch axis and one to three more",
            shown,
            "export the model with an input such as [batch, channels, height, width]",
        ));
    }
    let known = |d: &i64| (1..=super::MAX_VALUE_ELEMENTS as i64).contains(d);
    let sample: Option<Vec<usize>> = dims[1..]
        .iter()
        .map(|d| Some(d.dim_value()).filter(|v| d.has_dim_value() && known(v)).map(|v| v as usize))
        .collect();
    let elements = |s: &Vec<usize>| s.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    match sample.filter(|s| elements(s).is_some_and(|n| n <= super::MAX_VALUE_ELEMENTS)) {
        Some(sample) => {
            let batch = Some(dims[0].dim_value()).filter(|&b| dims[0].has_dim_value() && b > 0);
            Ok((batch.and_then(|b| usize::try_from(b).ok()), sample))
        }
        None => Err(error(
            &format!(
                "fixed extents behind the batch axis, at most {} elements",
                super::MAX_VALUE_ELEMENTS
            ),
            shown,
            "export the model with a fixed input size; only the batch may be symbolic",
        )),
    }
}
