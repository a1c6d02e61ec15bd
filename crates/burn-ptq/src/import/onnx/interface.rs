//! The model's inputs and outputs.

use std::collections::{HashMap, HashSet};

use burn_ptq_deploy::program::MAX_ENDS;
use onnx_ir::{GraphProto, TensorShapeProto, ValueInfoProto};

use super::MAX_VALUE_ELEMENTS;
use super::error::{Problem, Refusal, Source};
use super::options::{InputShape, Options};
use super::tensor::data_type;
use crate::graph::Integers;
use crate::graph::MAX_AXES;

/// What the file says about the model's inputs and outputs.
pub(super) struct Interface<'m> {
    pub inputs: Vec<Input<'m>>,
    /// The names of the outputs, none twice.
    pub outputs: Vec<&'m str>,
    /// The extent of the batch axis where the file fixes it.
    pub batch: Option<usize>,
}

/// An input that is not a constant.
pub(super) struct Input<'m> {
    pub name: &'m str,
    /// The shape of one sample; `None` where it is not known, which is a problem.
    pub sample: Option<Vec<usize>>,
    /// The whole numbers of its type, if it is one of integers.
    pub integers: Option<Integers>,
    /// Whether the first axis is the batch; otherwise the model is one for single samples.
    pub has_batch: bool,
}

/// Reads inputs and outputs; inputs that `reads` does not hold are left out.
pub(super) fn read<'m>(
    graph: &'m GraphProto,
    options: &Options,
    reads: &HashSet<&str>,
    source: Source,
) -> (Interface<'m>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut refuse = |refusal: Refusal, names: &[&str], kind: &str| {
        problems.push(refusal.of(names.join("', '"), kind, source));
    };
    // Files of IR version 3 list the initializers among the inputs.
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    let all: Vec<&ValueInfoProto> =
        graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).collect();
    let names: Vec<&str> = all.iter().map(|i| i.name.as_str()).collect();
    for unknown in options.shapes.iter().filter_map(|s| s.input.as_deref()) {
        if !names.contains(&unknown) {
            let problem = format!("--shape names it, but the model's inputs are {names:?}");
            refuse(Refusal::new(problem, "name one of the model's inputs"), &[unknown], "input");
        }
    }

    let mut inputs: Vec<Input> = Vec::new();
    let mut batch: Option<(Option<usize>, &str)> = None;
    let is_read = |i: &&&ValueInfoProto| reads.contains(i.name.as_str());
    for input in all.iter().filter(is_read) {
        if inputs.iter().any(|other| other.name == input.name) {
            refuse(Refusal::invalid("two inputs have this name"), &[&input.name], "input");
            continue;
        }
        let given = options.shapes.iter().find(|shape| match &shape.input {
            Some(name) => *name == input.name,
            None => names.len() == 1,
        });
        let shape = &input.type_.tensor_type().shape;
        // Of several inputs it isn't known which the samples are for.
        let samples = options.sample.as_deref().filter(|_| all.iter().filter(is_read).count() == 1);
        let sample = match sample_shape(input, given, samples, source) {
            Ok((extent, sample)) => {
                let first = *batch.get_or_insert((extent, input.name.as_str()));
                match (first, extent) {
                    ((Some(one), name), Some(other)) if one != other => {
                        let problem = format!(
                            "its batch is {other}, but that of the input '{name}' is {one}"
                        );
                        let hint = "export the model with one batch, the first axis of every input";
                        refuse(Refusal::new(problem, hint), &[&input.name], "input");
                    }
                    ((None, _), Some(_)) => batch = Some((extent, &input.name)),
                    _ => {}
                }
                Some(sample)
            }
            Err(refusal) => {
                refuse(refusal, &[&input.name], "input");
                None
            }
        };
        let integers = data_type::integers(input.type_.tensor_type().elem_type);
        inputs.push(Input { name: &input.name, sample, integers, has_batch: shape.dim.len() != 1 });
    }
    let mut outputs: Vec<&str> = Vec::new();
    for output in &graph.output {
        if !outputs.contains(&output.name.as_str()) {
            outputs.push(&output.name);
        }
    }
    if outputs.is_empty() {
        refuse(Refusal::invalid("expected an output, found none"), &["outputs"], "model");
    }
    for (what, count) in [("inputs", inputs.len()), ("outputs", outputs.len())] {
        if count > MAX_ENDS {
            let problem = format!("expected at most {MAX_ENDS}, found {count}");
            refuse(
                Refusal::new(problem, "models for microcontrollers have fewer"),
                &[what],
                "model",
            );
        }
    }
    (Interface { inputs, outputs, batch: batch.and_then(|(extent, _)| extent) }, problems)
}

/// The shapes of one sample that the file states for values, the batch left out.
pub(super) fn stated_shapes(graph: &GraphProto) -> HashMap<&str, Vec<usize>> {
    let mut shapes = HashMap::new();
    for info in graph.value_info.iter().chain(&graph.output) {
        let dims = &info.type_.tensor_type().shape;
        let Some((_, sample)) = extents(dims).split_first().map(|(b, s)| (*b, s.to_vec())) else {
            continue;
        };
        let sample: Option<Vec<usize>> = sample.into_iter().collect();
        if let Some(sample) = sample.filter(|s| (1..=MAX_AXES).contains(&s.len()) && is_bounded(s))
        {
            shapes.insert(info.name.as_str(), sample);
        }
    }
    shapes
}

/// The extents of a shape that are numbers of at least 1.
fn extents(shape: &TensorShapeProto) -> Vec<Option<usize>> {
    let known = |value: i64| usize::try_from(value).ok().filter(|&v| v > 0);
    shape.dim.iter().map(|d| d.has_dim_value().then(|| d.dim_value()).and_then(known)).collect()
}

fn is_bounded(shape: &[usize]) -> bool {
    let elements = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    elements.is_some_and(|n| n <= MAX_VALUE_ELEMENTS)
}

/// A shape as written in text: `[N, 3, 32, 32]`.
fn shown(shape: &TensorShapeProto) -> String {
    let dims: Vec<String> = shape
        .dim
        .iter()
        .map(|d| match (d.has_dim_value(), d.dim_param()) {
            (true, _) => d.dim_value().to_string(),
            (false, "") => "?".into(),
            (false, name) => name.into(),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}

/// The batch, if it is fixed, and the shape of one sample.
fn sample_shape(
    input: &ValueInfoProto,
    given: Option<&InputShape>,
    samples: Option<&[usize]>,
    source: Source,
) -> Result<(Option<usize>, Vec<usize>), Refusal> {
    let kind = input.type_.tensor_type();
    if !data_type::is_float(kind.elem_type) && data_type::integers(kind.elem_type).is_none() {
        return Err(Refusal::new(
            format!("expected a tensor of numbers, found {}", data_type::name(kind.elem_type)),
            "export the model with an input of floats or integers",
        ));
    }
    let (file, shown) = (extents(&kind.shape), shown(&kind.shape));
    // Files may hold models of single vectors; modules are captured with a batch.
    let fewest = if source == Source::File { 1 } else { 2 };
    if !(fewest..=4).contains(&file.len()) {
        return Err(Refusal::new(
            format!("expected a batch axis and one to three more, found {shown}"),
            "export the model with an input such as [batch, channels, height, width]",
        ));
    }
    let has_batch = file.len() > 1;
    let (batch, mut sample) = match file.split_first() {
        Some((batch, sample)) if has_batch => (*batch, sample.to_vec()),
        _ => (None, file.clone()),
    };
    if let Some(InputShape { shape, .. }) = given {
        let own = shape.get(usize::from(has_batch)..).unwrap_or_default();
        let contradicts = |(file, own): (&Option<usize>, &usize)| file.is_some_and(|f| f != *own);
        if shape.len() != file.len() || sample.iter().zip(own).any(contradicts) {
            return Err(Refusal::new(
                format!("--shape says {shape:?}, but the file says {shown}"),
                "give every extent, the batch first, and leave those that the file fixes as they are",
            ));
        }
        sample = own.iter().map(|&extent| Some(extent)).collect();
    }
    if let Some(own) = samples.filter(|own| own.len() == sample.len()) {
        // Samples may have their channels last where the model has them first.
        let mut turned = own.to_vec();
        turned.rotate_right(1);
        let fits = |own: &[usize]| sample.iter().zip(own).all(|(f, o)| f.is_none_or(|f| f == *o));
        if let Some(own) = [own, &turned].into_iter().find(|own| fits(own)) {
            sample = own.iter().map(|&extent| Some(extent)).collect();
        }
    }
    let sample: Option<Vec<usize>> = sample.into_iter().collect();
    let Some(sample) = sample else {
        let example: Vec<String> = (file.iter().enumerate())
            .map(|(axis, extent)| match extent {
                Some(extent) => extent.to_string(),
                None if axis == 0 => "1".into(),
                None => "96".into(),
            })
            .collect();
        return Err(Refusal::new(
            format!("expected fixed extents behind the batch, found {shown}"),
            format!(
                "fix them with --shape '{}={}', or calibrate with samples of the right shape",
                input.name,
                example.join("x")
            ),
        ));
    };
    if !is_bounded(&sample) {
        return Err(Refusal::new(
            format!("a sample of {sample:?} has more than {MAX_VALUE_ELEMENTS} elements"),
            "models for microcontrollers are smaller",
        ));
    }
    Ok((batch, sample))
}
