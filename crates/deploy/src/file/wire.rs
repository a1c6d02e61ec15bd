//! The layout of a program and its places in a `.bptq` file.
//!
//! Postcard writes fields one after the other without their names: the order of fields and variants
//! here, in [`op`](crate::op) and in the types of the kernels is the format.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use burn_ptq_kernels::grid::Grid;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::border::Border;
use crate::op::{DType, IntOp};
use crate::place::{Placed, Placement, Region, Stream};
use crate::preprocess::Preprocessing;
use crate::program::{
    Input, IntNode, IntTensor, Loop, MAX_NODES, Output, Program, Provenance, State, TensorId,
};

/// A program with places beside what they are for.
#[derive(Serialize, Deserialize)]
pub(super) struct Wire<'a> {
    name: Cow<'a, str>,
    #[serde(deserialize_with = "few")]
    tensors: Vec<WireTensor<'a>>,
    #[serde(deserialize_with = "few")]
    nodes: Vec<WireNode<'a>>,
    #[serde(deserialize_with = "few")]
    inputs: Vec<WireInput<'a>>,
    #[serde(deserialize_with = "few")]
    outputs: Vec<WireOutput<'a>>,
    arena_bytes: usize,
    provenance: Cow<'a, Provenance>,
    #[serde(deserialize_with = "few")]
    streams: Vec<Cow<'a, Stream>>,
}

/// What a program keeps, after the rest of it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct WireStates<'a> {
    #[serde(deserialize_with = "few")]
    states: Vec<Cow<'a, State>>,
}

impl<'a> WireStates<'a> {
    /// What a file of `placed` holds.
    pub(super) fn of(placed: &'a Placed) -> Self {
        Self { states: placed.states.iter().map(Cow::Borrowed).collect() }
    }
}

/// What a program runs once for each step of a sequence, after its states.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct WireLoops<'a> {
    #[serde(deserialize_with = "few")]
    loops: Vec<Cow<'a, Loop>>,
}

impl<'a> WireLoops<'a> {
    /// What a file of `placed` holds.
    pub(super) fn of(placed: &'a Placed) -> Self {
        Self { loops: placed.loops.iter().map(Cow::Borrowed).collect() }
    }
}

#[derive(Serialize, Deserialize)]
struct WireInput<'a> {
    name: Cow<'a, str>,
    tensor: TensorId,
    border: Cow<'a, Border>,
    preprocessing: Cow<'a, Preprocessing>,
}

#[derive(Serialize, Deserialize)]
struct WireOutput<'a> {
    name: Cow<'a, str>,
    tensor: TensorId,
    border: Cow<'a, Border>,
    #[serde(deserialize_with = "few")]
    classes: Vec<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct WireTensor<'a> {
    name: Cow<'a, str>,
    shape: [usize; 3],
    dtype: DType,
    bits: u8,
    grid: Grid,
    offset: usize,
}

#[derive(Serialize, Deserialize)]
struct WireNode<'a> {
    name: Cow<'a, str>,
    op: Cow<'a, IntOp>,
    inputs: Cow<'a, [TensorId]>,
    output: TensorId,
    scratch: Region,
}

impl<'a> Wire<'a> {
    /// What a file of `placed` holds.
    pub(super) fn of(placed: &'a Placed) -> Self {
        let (program, placement) = (placed.program(), placed.placement());
        let tensor = |(tensor, &offset): (&'a IntTensor, &usize)| WireTensor {
            name: Cow::Borrowed(&tensor.name),
            shape: tensor.shape,
            dtype: tensor.dtype,
            bits: tensor.bits,
            grid: tensor.grid,
            offset,
        };
        let node = |(node, &scratch): (&'a IntNode, &Region)| WireNode {
            name: Cow::Borrowed(&node.name),
            op: Cow::Borrowed(&node.op),
            inputs: Cow::Borrowed(&node.inputs),
            output: node.output,
            scratch,
        };
        let input = |input: &'a Input| WireInput {
            name: Cow::Borrowed(&input.name),
            tensor: input.tensor,
            border: Cow::Borrowed(&input.border),
            preprocessing: Cow::Borrowed(&input.preprocessing),
        };
        let output = |output: &'a Output| WireOutput {
            name: Cow::Borrowed(&output.name),
            tensor: output.tensor,
            border: Cow::Borrowed(&output.border),
            classes: output.classes.iter().map(|class| Cow::Borrowed(class.as_str())).collect(),
        };
        Self {
            name: Cow::Borrowed(&program.name),
            tensors: program.tensors.iter().zip(&placement.offsets).map(tensor).collect(),
            nodes: program.nodes.iter().zip(&placement.scratch).map(node).collect(),
            inputs: program.inputs.iter().map(input).collect(),
            outputs: program.outputs.iter().map(output).collect(),
            arena_bytes: placement.arena_bytes,
            provenance: Cow::Borrowed(&program.provenance),
            streams: placement.streams.iter().map(Cow::Borrowed).collect(),
        }
    }

    /// The program and its places, which nobody has verified.
    pub(super) fn into_parts(self, states: WireStates, loops: WireLoops) -> (Program, Placement) {
        let mut placement = Placement {
            arena_bytes: self.arena_bytes,
            offsets: self.tensors.iter().map(|tensor| tensor.offset).collect(),
            scratch: self.nodes.iter().map(|node| node.scratch).collect(),
            streams: Vec::new(),
        };
        placement.streams.extend(self.streams.into_iter().map(Cow::into_owned));
        let tensor = |tensor: WireTensor| IntTensor {
            name: tensor.name.into_owned(),
            shape: tensor.shape,
            dtype: tensor.dtype,
            bits: tensor.bits,
            grid: tensor.grid,
        };
        let node = |node: WireNode| IntNode {
            name: node.name.into_owned(),
            op: node.op.into_owned(),
            inputs: node.inputs.into_owned(),
            output: node.output,
        };
        let input = |input: WireInput| Input {
            name: input.name.into_owned(),
            tensor: input.tensor,
            border: input.border.into_owned(),
            preprocessing: input.preprocessing.into_owned(),
        };
        let output = |output: WireOutput| Output {
            name: output.name.into_owned(),
            tensor: output.tensor,
            border: output.border.into_owned(),
            classes: output.classes.into_iter().map(Cow::into_owned).collect(),
        };
        let program = Program {
            name: self.name.into_owned(),
            tensors: self.tensors.into_iter().map(tensor).collect(),
            nodes: self.nodes.into_iter().map(node).collect(),
            inputs: self.inputs.into_iter().map(input).collect(),
            outputs: self.outputs.into_iter().map(output).collect(),
            states: states.states.into_iter().map(Cow::into_owned).collect(),
            loops: loops.loops.into_iter().map(Cow::into_owned).collect(),
            provenance: self.provenance.into_owned(),
        };
        (program, placement)
    }
}

/// Reads a list of at most [`MAX_NODES`] elements: in memory they take many times the bytes that they
/// may have in a file.
fn few<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Few<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Few<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "a list of at most {MAX_NODES} elements")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = list.next_element()? {
                if elements.len() == MAX_NODES {
                    return Err(A::Error::invalid_length(MAX_NODES + 1, &self));
                }
                elements.push(element);
            }
            Ok(elements)
        }
    }

    deserializer.deserialize_seq(Few(PhantomData))
}
