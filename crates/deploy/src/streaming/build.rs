//! The streamed program, node by node.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::ends::{streamed_border, streamed_output};
use super::error::{self, StreamingError};
use super::layout::Layout;
use super::movement;
use super::operations::by_rows;
use super::rewritten::{ByRows, Operand, Rewritten};
use super::streamed::{Streamed, StreamedOutput};
use super::values::{Rows, Value};
use crate::op::IntOp;
use crate::program::{Input, IntNode, Program, TensorId};

/// The streamed form of a valid program without states and loops, with time along `axis` of its inputs.
pub(super) fn streamed(
    program: &Program,
    axis: usize,
    chunk: Option<usize>,
) -> Result<Streamed, StreamingError> {
    let layouts = input_layouts(program, axis)
        .ok_or_else(|| StreamingError::Axis { axis, inputs: error::inputs(program) })?;
    let multiple = multiple(program, &layouts);
    let chunk = chunk.unwrap_or(multiple);
    if chunk == 0 || !chunk.is_multiple_of(multiple) {
        return Err(StreamingError::Chunk { chunk, multiple });
    }
    // How far back the first row of what is computed as a whole lies depends on all of it.
    let begin = |span: usize| Builder::new(program, &layouts, Frames { chunk, multiple, span });
    let mut rehearsal = begin(0);
    rehearsal.nodes();
    let mut builder = begin(rehearsal.wanted_span.next_multiple_of(multiple));
    builder.nodes();
    builder.finished(axis)
}

/// Whether an operation pads, and that alone.
fn pads(node: &IntNode) -> bool {
    matches!(node.op, IntOp::Pad { .. })
}

/// Whether the node of that name pads, and that alone.
pub(super) fn only_pads(program: &Program, name: &str) -> bool {
    program.nodes.iter().any(|node| node.name == name && pads(node))
}

/// Whether operations slide along `axis` of the inputs.
pub(super) fn slides(program: &Program, axis: usize) -> bool {
    let Some(layouts) = input_layouts(program, axis) else { return false };
    let multiple = multiple(program, &layouts);
    let frames = Frames { chunk: multiple, multiple, span: 0 };
    let mut builder = Builder::new(program, &layouts, frames);
    builder.nodes();
    builder.slides
}

/// Where time lies in each input; `None` if one has no such axis or they have different frames.
fn input_layouts(program: &Program, axis: usize) -> Option<Vec<Layout>> {
    let layout = |input: &Input| Layout::of_border(&input.border, axis);
    let layouts: Vec<Layout> = program.inputs.iter().map(layout).collect::<Option<_>>()?;
    let frames = layouts.first()?.rows;
    (frames > 1 && layouts.iter().all(|layout| layout.rows == frames)).then_some(layouts)
}

/// The least number of frames that all strides divide.
fn multiple(program: &Program, layouts: &[Layout]) -> usize {
    let mut rates: BTreeMap<TensorId, (Layout, usize)> = BTreeMap::new();
    for (input, &layout) in program.inputs.iter().zip(layouts) {
        rates.insert(input.tensor, (layout, 1));
    }
    let mut multiple = 1;
    for node in &program.nodes {
        let operand = |id: &TensorId| match rates.get(id) {
            Some(&(layout, _)) => Operand::Rows(layout),
            None => Operand::Fixed,
        };
        let operands: Vec<Operand> = node.inputs.iter().map(operand).collect();
        let mut own = node.inputs.iter().filter_map(|id| rates.get(id)).map(|&(_, rate)| rate);
        let Some(rate) = own.next().filter(|rate| own.all(|other| other == *rate)) else {
            continue;
        };
        let Some(by_rows) = by_rows(program, node, &operands).filter(|own| own.output.rows > 1)
        else {
            continue;
        };
        let Some(rate) = rate.checked_mul(by_rows.stride) else { continue };
        rates.insert(node.output, (by_rows.output, rate));
        multiple = least_common_multiple(multiple, rate);
    }
    multiple
}

fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y > 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b)
}

/// The frames of calls.
#[derive(Clone, Copy)]
struct Frames {
    /// Frames of a call.
    chunk: usize,
    /// What divides them.
    multiple: usize,
    /// Frames from the first one of what is computed as a whole to the newest one.
    span: usize,
}

pub(super) struct Builder<'p> {
    pub(super) source: &'p Program,
    frames: Frames,
    pub(super) out: Program,
    values: Vec<Option<Value>>,
    /// Rows with those of earlier calls: by activation, how many earlier ones and what they hold at first.
    pub(super) histories: BTreeMap<(TensorId, usize, i32), TensorId>,
    /// Activations as a whole, or of them the rows from the first to before the second place.
    wholes: BTreeMap<(TensorId, usize, usize), TensorId>,
    /// Names of nodes that are taken.
    pub(super) names: BTreeSet<String>,
    /// The span that what is computed as a whole needs.
    wanted_span: usize,
    /// Whether windows over several rows or products of rows were met.
    slides: bool,
    padded: Vec<String>,
    whole: Vec<String>,
}

impl<'p> Builder<'p> {
    fn new(source: &'p Program, layouts: &[Layout], frames: Frames) -> Self {
        let out = Program {
            name: source.name.clone(),
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            states: Vec::new(),
            loops: Vec::new(),
            provenance: source.provenance.clone(),
        };
        let mut builder = Self {
            source,
            frames,
            out,
            values: vec![None; source.tensors.len()],
            histories: BTreeMap::new(),
            wholes: BTreeMap::new(),
            names: source.nodes.iter().map(|node| node.name.clone()).collect(),
            wanted_span: 0,
            slides: false,
            padded: Vec::new(),
            whole: Vec::new(),
        };
        for (input, &layout) in source.inputs.iter().zip(layouts) {
            builder.input(input, layout);
        }
        builder
    }

    fn input(&mut self, input: &Input, whole: Layout) {
        let chunk = self.frames.chunk;
        let layout = whole.with_rows(chunk);
        let id = self.rows_like(input.tensor, layout, whole.rows);
        let border = streamed_border(&input.border, whole, chunk);
        // Its layout was made of this border.
        let border = border.unwrap_or_else(|| input.border.clone());
        self.out.inputs.push(Input { tensor: id, border, ..input.clone() });
        self.values[input.tensor.0] = Some(Value::Rows(Rows {
            id,
            layout,
            time: whole.rows,
            rate: 1,
            delay: 0,
            padding: self.out.tensors[id.0].grid.zero_point,
            reach: chunk,
        }));
    }

    /// Builds all nodes.
    fn nodes(&mut self) {
        for node in &self.source.nodes {
            let value = self.node(node);
            self.values[node.output.0] = Some(value);
        }
    }

    fn value(&self, id: TensorId) -> Value {
        // Valid programs write before they read.
        self.values[id.0].unwrap_or(Value::Fixed(id))
    }

    fn node(&mut self, node: &IntNode) -> Value {
        let values: Vec<Value> = node.inputs.iter().map(|&id| self.value(id)).collect();
        let fixed = |value: &Value| matches!(value, Value::Fixed(_));
        if values.iter().all(fixed) {
            return Value::Fixed(self.as_it_is(node));
        }
        let rows: Vec<Rows> = values
            .iter()
            .filter_map(|value| match value {
                Value::Rows(rows) => Some(*rows),
                Value::Fixed(_) | Value::Whole(..) => None,
            })
            .collect();
        let operands: Option<Vec<Operand>> = values
            .iter()
            .map(|value| match value {
                Value::Rows(rows) => Some(Operand::Rows(rows.offline())),
                Value::Fixed(_) => Some(Operand::Fixed),
                Value::Whole(..) => None,
            })
            .collect();
        let alike = rows.iter().all(|own| own.rate == rows[0].rate);
        let found = operands.filter(|_| alike);
        let found = found.and_then(|operands| by_rows(self.source, node, &operands));
        match found.filter(|own| own.output.rows > 1 && self.divides(&rows, own)) {
            Some(own) => Value::Rows(self.by_rows(node, &values, &rows, &own)),
            None => self.as_a_whole(node),
        }
    }

    /// Whether the new rows of the output are whole ones.
    fn divides(&self, rows: &[Rows], own: &ByRows) -> bool {
        rows.first().is_some_and(|first| first.layout.rows.is_multiple_of(own.stride))
    }

    /// A node that does not depend on time.
    fn as_it_is(&mut self, node: &IntNode) -> TensorId {
        let inputs = node.inputs.iter().map(|&id| match self.value(id) {
            Value::Fixed(id) | Value::Whole(id, _) => id,
            Value::Rows(rows) => rows.id,
        });
        let inputs = inputs.collect();
        let output = self.tensor(self.source.tensors[node.output.0].clone());
        self.out.nodes.push(IntNode {
            name: node.name.clone(),
            op: node.op.clone(),
            inputs,
            output,
        });
        output
    }

    /// A node that is computed for all rows of the offline program.
    fn as_a_whole(&mut self, node: &IntNode) -> Value {
        let mut reach = 0;
        let mut inputs = Vec::new();
        let mut op = node.op.clone();
        for &id in &node.inputs {
            inputs.push(match self.value(id) {
                Value::Fixed(id) => id,
                Value::Whole(id, own) => {
                    reach = reach.max(own);
                    id
                }
                Value::Rows(rows) => {
                    let mut wanted = 0..rows.time;
                    // A movement may read a few rows, such as the last one.
                    if let IntOp::Rearrange { first, axes } = &node.op
                        && let Some(narrow) = movement::narrowed(*first, axes, rows.offline())
                    {
                        (wanted, op) = narrow;
                    }
                    let (whole, own) = self.whole_of(id, rows, wanted);
                    reach = reach.max(own);
                    whole
                }
            });
        }
        // Packed activations are written anew by whoever places the program.
        if matches!(node.op, IntOp::Pack | IntOp::Unpack) {
            return Value::Whole(inputs[0], reach);
        }
        let output = self.tensor(self.source.tensors[node.output.0].clone());
        self.whole.push(node.name.clone());
        self.out.nodes.push(IntNode { name: node.name.clone(), op, inputs, output });
        Value::Whole(output, reach)
    }

    /// The rows of `id` that the offline program has at the places `part`, of which there are new `rows`, and
    /// how many frames back they reach.
    fn whole_of(&mut self, id: TensorId, rows: Rows, part: Range<usize>) -> (TensorId, usize) {
        let late = part.end as isize + rows.delay;
        let wanted = usize::try_from(late).unwrap_or(0) * rows.rate;
        self.wanted_span = self.wanted_span.max(wanted);
        let span = self.frames.span.max(wanted).next_multiple_of(self.frames.multiple) / rows.rate;
        let earlier = span as isize - part.start as isize - rows.layout.rows as isize - rows.delay;
        let history = usize::try_from(earlier).unwrap_or(0);
        let start = usize::try_from(-earlier).unwrap_or(0);
        let reach = rows.reach + history * rows.rate;
        let key = (id, part.start, part.end);
        if let Some(&whole) = self.wholes.get(&key) {
            return (whole, reach);
        }
        let kept = self.with_history(rows, history, rows.padding);
        let all = rows.layout.with_rows(history + rows.layout.rows);
        let whole = match all.rows == part.len() {
            true => kept,
            false => {
                let name = self.source.tensors[id.0].name.clone();
                self.part(kept, all, start..start + part.len(), &format!("{name}/window"))
            }
        };
        self.wholes.insert(key, whole);
        (whole, reach)
    }

    /// A node that is computed for new rows.
    fn by_rows(&mut self, node: &IntNode, values: &[Value], rows: &[Rows], own: &ByRows) -> Rows {
        let (extent, stride) = (own.extent as isize, own.stride as isize);
        let first = rows[0];
        let mut delay = isize::MIN;
        for rows in rows {
            let complete = (extent + rows.delay - own.pad + stride - 1).div_euclid(stride) - 1;
            // Rows that come before the first one that is needed are not dropped.
            let needed = (rows.delay - own.pad + stride - 1).div_euclid(stride);
            delay = delay.max(complete).max(needed);
        }
        // Rows of padding are not known by themselves, unless they only move.
        let padding = own.padding.unwrap_or(first.padding);
        let keeps_padding =
            own.moves && rows.iter().all(|rows| rows.delay >= 0 || rows.padding == padding);
        if !keeps_padding {
            delay = delay.max(0);
        }
        let new_rows = first.layout.rows / own.stride;
        let (mut inputs, mut reach, mut read) = (Vec::new(), 0, 0);
        for (value, &id) in values.iter().zip(&node.inputs) {
            let Value::Rows(rows) = value else {
                inputs.push(match *value {
                    Value::Fixed(id) | Value::Whole(id, _) => id,
                    Value::Rows(rows) => rows.id,
                });
                continue;
            };
            let history = (delay * stride + own.pad - rows.delay).max(0) as usize;
            // What an explicit padding has written stays; windows bring their own.
            let before = match rows.delay < 0 || own.moves {
                true => rows.padding,
                false => own.padding.unwrap_or(rows.padding),
            };
            reach = reach.max(rows.reach + history * rows.rate);
            let kept = self.with_history(*rows, history, before);
            let all = rows.layout.with_rows(history + rows.layout.rows);
            let needed = (new_rows - 1) * own.stride + own.extent;
            let id_name = self.source.tensors[id.0].name.clone();
            let exact = match own.reads_more || all.rows == needed {
                true => kept,
                false => self.part(kept, all, 0..needed, &format!("{id_name}/delayed")),
            };
            read = if own.reads_more { all.rows } else { needed };
            inputs.push(exact);
        }
        self.slides |= own.extent > 1 || node.op.macs() > 0;
        if own.is_padded(first.time) && (!own.moves || pads(node)) {
            self.padded.push(node.name.clone());
        }
        let layout = own.output.with_rows(new_rows);
        let gone = matches!(own.op, Rewritten::Gone);
        let id = match (gone, inputs.first()) {
            (true, Some(&only)) if read == new_rows => only,
            (true, Some(&only)) => {
                let all = layout.with_rows(read);
                self.part(only, all, 0..new_rows, &format!("{}/rows", node.name))
            }
            _ => self.rewritten(node, own, inputs, layout, read),
        };
        Rows {
            id,
            layout,
            time: own.output.rows,
            rate: first.rate * own.stride,
            delay,
            padding: match own.moves {
                true => padding,
                false => self.out.tensors[id.0].grid.zero_point,
            },
            reach,
        }
    }

    /// The node's operation on new rows.
    fn rewritten(
        &mut self,
        node: &IntNode,
        own: &ByRows,
        inputs: Vec<TensorId>,
        layout: Layout,
        read: usize,
    ) -> TensorId {
        let output = self.rows_like(node.output, layout, own.output.rows);
        let op = match &own.op {
            Rewritten::Gone | Rewritten::Same => node.op.clone(),
            Rewritten::Made(op) => op(read, layout.rows),
        };
        self.out.nodes.push(IntNode { name: node.name.clone(), op, inputs, output });
        output
    }

    /// The program with its outputs.
    fn finished(mut self, axis: usize) -> Result<Streamed, StreamingError> {
        let Frames { chunk, span, .. } = self.frames;
        let frames = match self.values[self.source.inputs[0].tensor.0] {
            Some(Value::Rows(rows)) => rows.time,
            _ => chunk,
        };
        let layout = |input: &Input| {
            let bytes = self.source.tensors[input.tensor.0].dtype.bytes();
            match self.values[input.tensor.0] {
                Some(Value::Rows(rows)) => [rows.layout.outer, rows.layout.inner * bytes],
                _ => [1, bytes],
            }
        };
        let layouts = self.source.inputs.iter().map(layout).collect();
        let mut outputs = Vec::new();
        for output in &self.source.outputs {
            let value = self.value(output.tensor);
            let calls = |reach: usize| reach.div_ceil(chunk).saturating_sub(1);
            let name = output.name.clone();
            let (tensor, streamed) = match value {
                Value::Rows(rows) => {
                    let own = streamed_output(output, rows.offline(), rows.layout.rows)?;
                    self.out.outputs.push(own);
                    let (rate, delay) = (rows.rate, rows.delay);
                    let (rows, warm_up) = (Some(rows.layout.rows), calls(rows.reach));
                    (value_id(value), StreamedOutput { name, rows, rate, delay, warm_up })
                }
                Value::Fixed(_) | Value::Whole(..) => {
                    self.out.outputs.push(output.clone());
                    let reach = if let Value::Whole(_, reach) = value { reach } else { 0 };
                    let delay = span as isize - frames as isize;
                    let warm_up = calls(reach);
                    (value_id(value), StreamedOutput { name, rows: None, rate: 1, delay, warm_up })
                }
            };
            if let Some(last) = self.out.outputs.last_mut() {
                last.tensor = tensor;
            }
            outputs.push(streamed);
        }
        Ok(Streamed {
            program: self.out,
            axis,
            chunk,
            frames,
            layouts,
            outputs,
            padded: self.padded,
            differs: false,
            whole: self.whole,
        })
    }
}

fn value_id(value: Value) -> TensorId {
    match value {
        Value::Fixed(id) | Value::Whole(id, _) => id,
        Value::Rows(rows) => rows.id,
    }
}
