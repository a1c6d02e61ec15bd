//! The model's inputs and outputs.

use std::collections::{HashMap, HashSet};

use burn_ptq_deploy::program::MAX_ENDS;
use onnx_ir::{GraphProto, TensorShapeProto, ValueInfoProto};

use super::error::{Problem, Refusal, Source};
use super::layout::{Batch, Layout};
use super::limits::MAX_VALUE_ELEMENTS;
use super::options::{InputShape, Options};
use super::tensor::data_type;
use crate::graph::{Integers, MAX_AXES};

/// What the file says about the model's inputs and outputs.
pub(super) struct Interface<'m> {
    pub inputs: Vec<Input<'m>>,
    /// The names of the outputs, none twice.
    pub outputs: Vec<&'m str>,
    /// The extent of the batch axis where the file fixes it; 1 where values are single samples.
    pub batch: Option<usize>,
}

/// Where the batch is among the axes of the inputs. The file does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// At this axis of every input that has it and another one.
    Axis(usize),
    /// Nowhere: inputs are single samples.
    Absent,
}

/// An input that is not a constant.
pub(super) struct Input<'m> {
    pub name: &'m str,
    /// The shape of one sample; `None` where it is not known, which is a problem.
    pub sample: Option<Vec<usize>>,
    /// The whole numbers of its type, if it is one of integers.
    pub integers: Option<Integers>,
    /// Where the batch is in the file.
    pub layout: Layout,
}

/// The inputs that are not constants: files of IR version 3 list the initializers among them.
fn fed(graph: &GraphProto) -> Vec<&ValueInfoProto> {
    let constants: HashSet<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
    graph.input.iter().filter(|i| !constants.contains(i.name.as_str())).collect()
}

/// Where the batch may be, the likeliest first.
pub(super) fn places(graph: &GraphProto, options: &Options, source: Source) -> Vec<Place> {
    // Modules are captured with the batch in front.
    if source == Source::Module {
        return vec![Place::Axis(0)];
    }
    let inputs = fed(graph);
    let shapes: Vec<&TensorShapeProto> =
        inputs.iter().map(|input| &*input.type_.tensor_type().shape).collect();
    let batched: Vec<Vec<Option<usize>>> =
        shapes.iter().map(|shape| extents(shape)).filter(|extents| extents.len() > 1).collect();
    let named = shapes.iter().filter(|shape| shape.dim.len() > 1).find_map(|shape| {
        shape.dim.iter().position(|dim| {
            let name = dim.dim_param().to_lowercase();
            name.contains("batch") || name == "n"
        })
    });
    let mut places = Vec::new();
    places.extend(named.map(Place::Axis));
    // One axis is open in all inputs, behind others that are fixed.
    let open = batched.first().and_then(|extents| extents.iter().position(Option::is_none));
    if let Some(axis) = open
        && batched.iter().all(|extents| {
            extents.get(axis) == Some(&None)
                && extents.iter().flatten().count() + 1 == extents.len()
        })
        && batched.iter().all(|extents| extents[0] != Some(1))
    {
        places.push(Place::Axis(axis));
    }
    places.push(Place::Axis(0));
    // Recurrent networks have it second.
    let second = |fits: &dyn Fn(usize) -> bool| {
        let fixed =
            |extents: &Vec<Option<usize>>| extents.get(1).copied().flatten().is_some_and(fits);
        !batched.is_empty() && batched.iter().all(|e| e.len() > 2 && fixed(e))
    };
    let is_one = |extent: usize| extent == 1;
    if second(&is_one) {
        places.push(Place::Axis(1));
    }
    // A batch of 1 is told apart from single samples by what reads it.
    let is_fixed = |extents: &Vec<Option<usize>>| extents.iter().all(Option::is_some);
    let is_batch_of_one = batched.iter().all(|extents| extents[0] == Some(1));
    if batched.iter().all(is_fixed) && !is_batch_of_one {
        places.push(Place::Absent);
    }
    if batched.iter().all(is_fixed) && second(&|extent| extent > 1) {
        places.push(Place::Axis(1));
    }
    let mut distinct: Vec<Place> = Vec::new();
    for place in places {
        if !distinct.contains(&place) {
            distinct.push(place);
        }
    }
    // The samples of a single input may say it.
    if let (Some(own), [extents]) = (&options.sample, &batched[..])
        && inputs.len() == 1
    {
        let fits = |place: &Place| {
            let mut sample = extents.clone();
            if let Place::Axis(axis) = *place {
                sample.remove(axis);
            }
            let same = |(file, own): (&Option<usize>, &usize)| file.is_none_or(|f| f == *own);
            sample.len() == own.len() && sample.iter().zip(own).all(same)
        };
        if Place::Axis(0) != distinct[0] || !fits(&Place::Axis(0)) {
            if is_fixed(extents) && !distinct.contains(&Place::Absent) {
                distinct.push(Place::Absent);
            }
            distinct.sort_by_key(|place| !fits(place));
        }
    }
    distinct
}

/// The place of the batch in an input of these extents.
fn layout_of(
    shape: &TensorShapeProto,
    place: Place,
    batch: Option<usize>,
    symbol: Option<&str>,
) -> Layout {
    let (rank, extents) = (shape.dim.len(), extents(shape));
    let Place::Axis(axis) = place else {
        return Layout { scalar: rank == 0, ..Layout::ABSENT };
    };
    // One number a sample, beside inputs of more.
    if rank == 1 && symbol.is_some_and(|name| shape.dim[0].dim_param() == name) {
        return Layout { scalar: true, ..Layout::FIRST };
    }
    if let Some(other) = batch_by_name(shape, axis, symbol) {
        return Layout::axis(other);
    }
    // An input with another extent there is the same for every sample.
    let differs = |extent: usize| batch.is_some_and(|batch| batch != extent);
    if rank < 2 || axis >= rank || extents[axis].is_some_and(differs) {
        return Layout { scalar: rank == 0, ..Layout::ABSENT };
    }
    Layout::axis(axis)
}

/// The name of the batch where it is the only axis of all inputs: one number a sample, such as an id.
fn alone<'m>(shapes: Vec<&'m TensorShapeProto>, options: &Options) -> Option<&'m str> {
    let is_batch = |shape: &&'m TensorShapeProto| match &shape.dim[..] {
        [only] => only.dim_param().to_lowercase().contains("batch"),
        _ => false,
    };
    // A caller who says a shape means a sample of more.
    let one = |sample: &Vec<usize>| sample.iter().all(|&extent| extent == 1);
    let said = !options.shapes.is_empty() || !options.sample.as_ref().is_none_or(one);
    let (first, _) = shapes.split_first()?;
    (!said && shapes.iter().all(is_batch)).then(|| first.dim[0].dim_param())
}

/// The axis that has the name of the batch, if it is not `axis`, where other inputs have it: states of recurrent layers
/// have it second.
fn batch_by_name(shape: &TensorShapeProto, axis: usize, symbol: Option<&str>) -> Option<usize> {
    let named = |dim: usize| symbol.is_some_and(|name| shape.dim[dim].dim_param() == name);
    let mut found = (0..shape.dim.len()).filter(|&dim| named(dim));
    match (found.next(), found.next()) {
        (Some(only), None) if only != axis && shape.dim.len() > 1 => Some(only),
        _ => None,
    }
}

/// Reads inputs and outputs; inputs that `reads` does not hold are left out.
pub(super) fn read<'m>(
    graph: &'m GraphProto,
    options: &Options,
    reads: &HashSet<&str>,
    source: Source,
    place: Place,
) -> (Interface<'m>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut refuse = |refusal: Refusal, names: &[&str], kind: &str| {
        problems.push(refusal.of(names.join("', '"), kind, source));
    };
    let all = fed(graph);
    let names: Vec<&str> = all.iter().map(|i| i.name.as_str()).collect();
    for unknown in options.shapes.iter().filter_map(|s| s.input.as_deref()) {
        if !names.contains(&unknown) {
            let problem = format!("--shape names it, but the model's inputs are {names:?}");
            refuse(Refusal::new(problem, "name one of the model's inputs"), &[unknown], "input");
        }
    }

    let mut inputs: Vec<Input> = Vec::new();
    let is_read = |i: &&&ValueInfoProto| reads.contains(i.name.as_str());
    let shapes = || all.iter().filter(is_read).map(|input| &*input.type_.tensor_type().shape);
    let (mut batch, mut symbol) = (None, None);
    if let Place::Axis(axis) = place {
        let names = shapes().filter(|shape| shape.dim.len() > axis.max(1));
        symbol = names.map(|shape| shape.dim[axis].dim_param()).find(|name| !name.is_empty());
        symbol = symbol.or_else(|| alone(shapes().collect(), options));
        // The largest batch that an input fixes: others may have 1 there.
        let here = shapes().filter(|shape| batch_by_name(shape, axis, symbol).is_none());
        let fixed = here.filter(|shape| shape.dim.len() > axis.max(1));
        batch = fixed.filter_map(|shape| extents(shape)[axis]).max();
    }
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
        let layout = layout_of(shape, place, batch, symbol);
        let sample = match sample_shape(input, layout, given, samples, source) {
            Ok(sample) => Some(sample),
            Err(refusal) => {
                refuse(refusal, &[&input.name], "input");
                None
            }
        };
        let integers = data_type::integers(input.type_.tensor_type().elem_type);
        inputs.push(Input { name: &input.name, sample, integers, layout });
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
    // Without a batch axis anywhere, values are single samples.
    if inputs.iter().all(|input| input.layout.batch == Batch::Absent) {
        batch = Some(1);
    }
    (Interface { inputs, outputs, batch }, problems)
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

/// The shape of one sample.
fn sample_shape(
    input: &ValueInfoProto,
    layout: Layout,
    given: Option<&InputShape>,
    samples: Option<&[usize]>,
    source: Source,
) -> Result<Vec<usize>, Refusal> {
    let kind = input.type_.tensor_type();
    if !data_type::is_float(kind.elem_type) && data_type::integers(kind.elem_type).is_none() {
        return Err(Refusal::new(
            format!("expected a tensor of numbers, found {}", data_type::name(kind.elem_type)),
            "export the model with an input of floats or integers",
        ));
    }
    let (file, shown) = (extents(&kind.shape), shown(&kind.shape));
    let batch = layout.batch_axis();
    let own = file.len() - usize::from(batch.is_some());
    // Files may hold models of single samples; modules are captured with a batch.
    let is_module = source == Source::Module && batch.is_none();
    if own > MAX_AXES || is_module {
        return Err(Refusal::new(
            format!("expected a batch axis and one to {MAX_AXES} more, found {shown}"),
            "export the model with an input such as [batch, channels, height, width]",
        ));
    }
    if layout.scalar {
        return Ok(vec![1]);
    }
    let behind = |shape: &[Option<usize>]| {
        let mut sample = shape.to_vec();
        if let Some(axis) = batch {
            sample.remove(axis);
        }
        sample
    };
    let mut sample = behind(&file);
    if let Some(InputShape { shape, .. }) = given {
        let whole: Vec<Option<usize>> = shape.iter().map(|&extent| Some(extent)).collect();
        let contradicts =
            |(file, own): (&Option<usize>, &Option<usize>)| file.is_some() && file != own;
        let fits = whole.len() == file.len();
        let own = if fits { behind(&whole) } else { Vec::new() };
        if !fits || sample.iter().zip(&own).any(contradicts) {
            return Err(Refusal::new(
                format!("--shape says {shape:?}, but the file says {shown}"),
                "give every extent, the batch first, and leave those that the file fixes as they are",
            ));
        }
        sample = own;
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
                None if batch == Some(axis) => "1".into(),
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
    Ok(sample)
}
