//! Products of matrices: by a constant, by one constant matrix a head, and of two computed values.

use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::linear::{checked, matrix, transposed, unbiased};
use crate::graph::ops::{Conv2d, MatMul, Permute, Reshape, Window};
use crate::graph::{Array, Op, ValueId};

/// A factor of a product: a computed value or a constant.
pub(super) enum Factor {
    Value(ValueId),
    Constant(Array),
}

impl From<ValueId> for Factor {
    fn from(id: ValueId) -> Self {
        Self::Value(id)
    }
}

pub(super) fn matmul(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let pair = site.pair()?;
    let mut factor = |binding: &Binding| match binding {
        Binding::Value(id) => Ok(Factor::Value(*id)),
        Binding::Constant(constant) => importer.array(constant).map(Factor::Constant),
        Binding::Unknown => Err(Refusal::invalid("an input is missing")),
    };
    let factors = [factor(pair.0)?, factor(pair.1)?];
    product(importer, site, "", factors)
}

/// The product of two factors as the value of `site`, or of its part if that is named.
pub(super) fn product(
    importer: &mut Importer,
    site: &Site,
    part: &str,
    factors: [Factor; 2],
) -> Result<ValueId, Refusal> {
    let last = Last { part };
    match factors {
        [Factor::Value(input), Factor::Constant(operand)] => {
            let operand = without_leading_ones(operand);
            if operand.shape.len() == 3 {
                return right_heads(importer, site, last, input, operand);
            }
            let weight = transposed(matrix(operand)?)?;
            let axis = importer.shape(input).len() - 1;
            last.push(importer, site, unbiased(weight, axis), input)
        }
        [Factor::Constant(operand), Factor::Value(input)] => {
            let operand = without_leading_ones(operand);
            if operand.shape.len() == 3 {
                return left_heads(importer, site, last, input, operand);
            }
            let weight = checked(matrix(operand)?)?;
            let rank = importer.shape(input).len();
            if rank < 2 {
                return Err(Refusal::new(
                    "a constant left operand contracts over the batch axis",
                    "export the layer with the weight on the right",
                ));
            }
            // W x is the transpose of the transpose of x times the transpose of W.
            let mut axes: Vec<usize> = (0..rank).collect();
            axes.swap(rank - 2, rank - 1);
            let swap = Permute { axes };
            let columns = importer.push_part(site, "transposed", swap.clone(), &[input])?;
            let product =
                importer.push_part(site, "columns", unbiased(weight, rank - 1), &[columns])?;
            last.push(importer, site, swap, product)
        }
        [Factor::Value(a), Factor::Value(b)] => of_values(importer, site, last, [a, b]),
        _ => Err(Refusal::invalid("expected a computed value among the inputs")),
    }
}

/// Under which name the last node of a product is appended: the site's, or that of a part.
#[derive(Clone, Copy)]
struct Last<'a> {
    part: &'a str,
}

impl Last<'_> {
    fn push(
        self,
        importer: &mut Importer,
        site: &Site,
        op: impl Into<Op>,
        input: ValueId,
    ) -> Result<ValueId, Refusal> {
        self.push_all(importer, site, op, &[input])
    }

    fn push_all(
        self,
        importer: &mut Importer,
        site: &Site,
        op: impl Into<Op>,
        inputs: &[ValueId],
    ) -> Result<ValueId, Refusal> {
        match self.part {
            "" => importer.push(site, op, inputs),
            part => importer.push_part(site, part, op, inputs),
        }
    }
}

/// The product of two computed values.
fn of_values(
    importer: &mut Importer,
    site: &Site,
    last: Last,
    operands: [ValueId; 2],
) -> Result<ValueId, Refusal> {
    let [a, b] = operands.map(|v| importer.shape(v).to_vec());
    if a.len() < 2 || b.len() < 2 {
        return Err(Refusal::new(
            format!("a product of samples of {a:?} and {b:?} contracts over the batch axis"),
            "express it by Mul and ReduceSum, or give the vectors an axis of 1",
        ));
    }
    // The shorter one has leading axes of 1.
    let axes = a.len().max(b.len());
    let mut inputs = operands;
    for (input, shape) in inputs.iter_mut().zip([&a, &b]) {
        if shape.len() < axes {
            let shape = [&vec![1; axes - shape.len()], shape.as_slice()].concat();
            *input = importer.push_part(site, "matrices", Reshape { shape }, &[*input])?;
        }
    }
    let inner = a[a.len() - 1];
    last.push_all(importer, site, MatMul { axes, inner, factor: 1.0 }, &inputs)
}

/// Drops axes of 1 in front of the matrices of an operand, which broadcast.
fn without_leading_ones(mut operand: Array) -> Array {
    while operand.shape.len() > 2 && operand.shape[0] == 1 {
        operand.shape.remove(0);
    }
    operand
}

/// `x W` with one matrix a head, `[heads, inner, columns]`: a grouped convolution over rows, whose
/// channels are the heads' columns.
fn right_heads(
    importer: &mut Importer,
    site: &Site,
    last: Last,
    input: ValueId,
    weight: Array,
) -> Result<ValueId, Refusal> {
    let [heads, inner, columns] = [0, 1, 2].map(|axis| weight.shape[axis]);
    let (shared, rows) = match importer.shape(input)[..] {
        [1, rows, k] if k == inner => (true, rows),
        [h, rows, k] if k == inner && h == heads => (false, rows),
        _ => return Err(no_heads(importer, input, &weight)),
    };
    let element = |o: usize, k: usize| {
        let (head, column) = (o / columns, o % columns);
        weight.data[(head * inner + k) * columns + column]
    };
    let data: Vec<f32> = (0..heads * columns)
        .flat_map(|o| (0..inner).map(move |k| (o, k)))
        .map(|(o, k)| element(o, k))
        .collect();
    let part =
        |importer: &mut Importer, name, op: Permute, x| importer.push_part(site, name, op, &[x]);
    if shared {
        // The heads' columns side by side are those of one layer.
        let layer = unbiased(Array::new([heads * columns, inner], data), 1);
        let matrix =
            importer.push_part(site, "rows", Reshape { shape: vec![rows, inner] }, &[input])?;
        let product = importer.push_part(site, "columns", layer, &[matrix])?;
        let shape = vec![rows, heads, columns];
        let split = importer.push_part(site, "heads", Reshape { shape }, &[product])?;
        return last.push(importer, site, Permute { axes: vec![1, 0, 2] }, split);
    }
    let swap = Permute { axes: vec![0, 2, 1] };
    let turned = part(importer, "turned", swap.clone(), input)?;
    let shape = vec![heads * inner, rows];
    let flat = importer.push_part(site, "channels", Reshape { shape }, &[turned])?;
    let product = grouped(importer, site, flat, heads, [heads * columns, inner], data)?;
    let shape = vec![heads, columns, rows];
    let split = importer.push_part(site, "heads", Reshape { shape }, &[product])?;
    last.push(importer, site, swap, split)
}

/// `W x` with one matrix a head, `[heads, rows, inner]`: a grouped convolution over columns.
fn left_heads(
    importer: &mut Importer,
    site: &Site,
    last: Last,
    input: ValueId,
    weight: Array,
) -> Result<ValueId, Refusal> {
    let [heads, rows, inner] = [0, 1, 2].map(|axis| weight.shape[axis]);
    let (groups, columns) = match importer.shape(input)[..] {
        [1, k, columns] if k == inner => (1, columns),
        [h, k, columns] if k == inner && h == heads => (heads, columns),
        _ => return Err(no_heads(importer, input, &weight)),
    };
    let shape = vec![groups * inner, columns];
    let flat = importer.push_part(site, "channels", Reshape { shape }, &[input])?;
    let product = grouped(importer, site, flat, groups, [heads * rows, inner], weight.data)?;
    last.push(importer, site, Reshape { shape: vec![heads, rows, columns] }, product)
}

/// A convolution of extent 1 with weights of `[filters, inner]`.
fn grouped(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    groups: usize,
    [filters, inner]: [usize; 2],
    weight: Vec<f32>,
) -> Result<ValueId, Refusal> {
    let op = Conv2d {
        weight: Array::new([filters, inner, 1, 1], weight),
        bias: Array::full([filters], 0.0),
        window: Window::new([1, 1]),
        groups,
    };
    importer.push_part(site, "grouped", op, &[input])
}

fn no_heads(importer: &Importer, input: ValueId, weight: &Array) -> Refusal {
    Refusal::new(
        format!(
            "samples of {:?} meet a constant of shape {:?}, whose first axis is neither that of the \
             samples nor 1",
            importer.shape(input),
            weight.shape
        ),
        "export the layer with one matrix for each step of the samples' first axis of three, or one \
         for all",
    )
}
