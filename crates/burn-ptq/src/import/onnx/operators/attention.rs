//! `Attention` of the standard: products of matrices around a softmax, which it becomes.

use std::rc::Rc;

use super::super::constants::{Constant, Elements};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site, sample_shape};
use super::activation::finite;
use super::arithmetic::uniform;
use crate::graph::ops::{Add, MatMul, Permute, Rearrange, Reshape, Softmax, Unary, UnaryFunction};
use crate::graph::{Op, ValueId};

/// What is added to the scores of keys that a query does not see: finite, because an integer grid holds
/// no infinity, and so low that nothing is left of them.
const CLOSED: f32 = -1e9;

/// Heads, steps and elements of one of the three inputs.
#[derive(Clone, Copy)]
struct Extents {
    heads: usize,
    steps: usize,
    width: usize,
}

pub(super) fn attention(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    check_form(site)?;
    let [query, key, value] = [0, 1, 2].map(|index| site.value(index));
    let [query, key, value] = [query?, key?, value?];
    // Without an axis of heads, they are side by side.
    let joined = importer.shape(query).len() == 2;
    let q = extents(importer, site, query, "q_num_heads")?;
    let k = extents(importer, site, key, "kv_num_heads")?;
    let v = extents(importer, site, value, "kv_num_heads")?;
    let fits = q.width == k.width && [k.heads, k.steps] == [v.heads, v.steps];
    if !fits || !q.heads.is_multiple_of(k.heads) {
        let shapes = [query, key, value].map(|id| importer.shape(id).to_vec());
        let [query, key, value] = shapes;
        return Err(Refusal::invalid(format!(
            "queries of {query:?}, keys of {key:?} and values of {value:?} with {} and {} heads \
             do not fit",
            q.heads, k.heads
        )));
    }
    let scale = match site.attributes.has("scale") {
        true => finite(site, "scale", 1.0)?,
        false => (q.width as f64).sqrt().recip() as f32,
    };
    if scale <= 0.0 {
        return Err(Refusal::new(
            format!("attribute 'scale': expected a positive number, found {scale}"),
            "train or export the model again",
        ));
    }
    let mask = mask(importer, site, [q.heads, q.steps, k.steps])?;
    let queries = heads(importer, site, "queries", query, q)?;
    let keys = heads(importer, site, "keys", key, k)?;
    let keys = repeated(importer, site, "keys", keys, k, q.heads)?;
    let turned =
        importer.push_part(site, "keys.turned", Permute { axes: vec![0, 2, 1] }, &[keys])?;
    let product = MatMul { axes: 3, inner: q.width, factor: scale };
    let mut scores = importer.push_part(site, "scores", product, &[queries, turned])?;
    let softcap = finite(site, "softcap", 0.0)?;
    if softcap != 0.0 {
        scores = capped(importer, site, scores, softcap, mask.is_some())?;
    }
    if let Some(mask) = mask {
        let mask = importer.push_constant(site, &mask, 3)?;
        scores = importer.push_part(site, "masked", Add, &[scores, mask])?;
    }
    let weights = importer.push_part(site, "weights", Softmax { axis: 2 }, &[scores])?;
    let values = heads(importer, site, "values", value, v)?;
    let values = repeated(importer, site, "values", values, v, q.heads)?;
    let product = Op::from(MatMul { axes: 3, inner: k.steps, factor: 1.0 });
    if !joined {
        return importer.push(site, product, &[weights, values]);
    }
    let seen = importer.push_part(site, "seen", product, &[weights, values])?;
    let rows = importer.push_part(site, "rows", Permute { axes: vec![1, 0, 2] }, &[seen])?;
    importer.push(site, Reshape { shape: vec![q.steps, q.heads * v.width] }, &[rows])
}

/// Refuses what is more than one pass over all keys.
fn check_form(site: &Site) -> Result<(), Refusal> {
    let given = |index: usize| site.inputs.get(index).is_some_and(Option::is_some);
    if given(4) || given(5) {
        return Err(Refusal::new(
            "it continues with keys and values of an earlier call (past_key, past_value)",
            "export the model without a cache, over the whole sequence",
        ));
    }
    if given(6) {
        return Err(Refusal::new(
            "the number of its keys is an input (nonpad_kv_seqlen)",
            "export the model without a cache, over the whole sequence",
        ));
    }
    for side in ["left_window_size", "right_window_size"] {
        if site.attributes.int(side, -1)? != -1 {
            return Err(Refusal::new(
                format!("attribute '{side}': windows over keys are not supported"),
                "export the model with the window as a constant attn_mask",
            ));
        }
    }
    Ok(())
}

/// The extents of an input, whose heads are an axis of their own or counted by attribute `count`.
fn extents(
    importer: &Importer,
    site: &Site,
    input: ValueId,
    count: &str,
) -> Result<Extents, Refusal> {
    match *importer.shape(input) {
        [heads, steps, width] => Ok(Extents { heads, steps, width }),
        [steps, elements] => {
            let heads = usize::try_from(site.attributes.int(count, 0)?).unwrap_or(0);
            if heads == 0 || !elements.is_multiple_of(heads) {
                return Err(Refusal::invalid(format!(
                    "attribute '{count}': expected a divisor of {elements}, found {heads}"
                )));
            }
            Ok(Extents { heads, steps, width: elements / heads })
        }
        ref other => Err(Refusal::invalid(format!(
            "expected samples [steps, elements] or [heads, steps, elements], found {other:?}"
        ))),
    }
}

/// The input with its heads in front.
fn heads(
    importer: &mut Importer,
    site: &Site,
    part: &str,
    input: ValueId,
    extents: Extents,
) -> Result<ValueId, Refusal> {
    if importer.shape(input).len() == 3 {
        return Ok(input);
    }
    let Extents { heads, steps, width } = extents;
    let shape = vec![steps, heads, width];
    let split = importer.push_part(site, &format!("{part}.split"), Reshape { shape }, &[input])?;
    importer.push_part(site, part, Permute { axes: vec![1, 0, 2] }, &[split])
}

/// Every head as often as queries share it.
fn repeated(
    importer: &mut Importer,
    site: &Site,
    part: &str,
    input: ValueId,
    extents: Extents,
    heads: usize,
) -> Result<ValueId, Refusal> {
    if extents.heads == heads {
        return Ok(input);
    }
    let shared = heads / extents.heads;
    let indices = [
        (0..heads).map(|head| head / shared).collect(),
        (0..extents.steps).collect(),
        (0..extents.width).collect(),
    ];
    let sample = importer.shape(input).to_vec();
    let op = Rearrange::at(site.op, &sample, &indices);
    importer.push_part(site, &format!("{part}.repeated"), op, &[input])
}

/// `softcap * tanh(scores / softcap)`.
fn capped(
    importer: &mut Importer,
    site: &Site,
    scores: ValueId,
    softcap: f32,
    masked: bool,
) -> Result<ValueId, Refusal> {
    if masked {
        return Err(Refusal::new(
            "it has both softcap and a mask, whose order differs between versions of the standard",
            "export the model with Div, Tanh and Mul in place of softcap, or without a mask",
        ));
    }
    if softcap < 0.0 || !softcap.recip().is_finite() {
        return Err(Refusal::invalid(format!(
            "attribute 'softcap': expected a positive number, found {softcap}"
        )));
    }
    let op = uniform(importer, scores, softcap.recip(), 0.0)?;
    let small = importer.push_part(site, "small", op, &[scores])?;
    let bent = Unary { function: UnaryFunction::Tanh };
    let bent = importer.push_part(site, "bent", bent, &[small])?;
    let op = uniform(importer, bent, softcap, 0.0)?;
    importer.push_part(site, "capped", op, &[bent])
}

/// What is added to scores of [heads, queries, keys], if anything is.
fn mask(
    importer: &mut Importer,
    site: &Site,
    [heads, queries, keys]: [usize; 3],
) -> Result<Option<Constant>, Refusal> {
    let causal = site.attributes.flag("is_causal", false)?;
    let given = match site.inputs.get(3).and_then(Option::as_ref) {
        None => None,
        Some(Binding::Constant(mask)) => Some(additive(importer, mask)?),
        Some(_) => {
            return Err(Refusal::new(
                "its attn_mask is computed at run time, expected a constant",
                "export the model with a fixed mask, or write the mask's Add in front of a Softmax",
            ));
        }
    };
    let shape = match &given {
        None if !causal => return Ok(None),
        None => vec![1, 1, 1],
        Some(mask) => sample_shape(mask, 3)?,
    };
    let fits = shape.iter().zip([heads, queries, keys]).all(|(&own, all)| own == 1 || own == all);
    if shape.len() != 3 || !fits {
        return Err(Refusal::invalid(format!(
            "a mask of {shape:?} does not fit scores of {:?}",
            [heads, queries, keys]
        )));
    }
    let own = match &given {
        Some(Constant { elements: Elements::Float(data), .. }) => data.clone(),
        _ => vec![0.0],
    };
    let [rows, columns] = if causal { [queries, keys] } else { [shape[1], shape[2]] };
    let whole = vec![shape[0], rows, columns];
    importer.budget.allocate(&whole, size_of::<f32>())?;
    let mut data = Vec::with_capacity(whole.iter().product());
    for head in 0..shape[0] {
        for row in 0..rows {
            for column in 0..columns {
                let [r, c] = [row.min(shape[1] - 1), column.min(shape[2] - 1)];
                let bias = own[(head * shape[1] + r) * shape[2] + c];
                data.push(if causal && column > row { CLOSED } else { bias });
            }
        }
    }
    // The standard gives zeros there, a softmax means.
    if data.chunks(columns).any(|row| row.iter().all(|bias| *bias <= CLOSED)) {
        return Err(Refusal::new(
            "its mask hides all keys from a query",
            "export the model with a mask that lets every query see a key",
        ));
    }
    Ok(Some(Constant { shape: whole, elements: Elements::Float(data) }))
}

/// A mask as what is added: one of truths lets keys be seen or not.
fn additive(importer: &mut Importer, mask: &Rc<Constant>) -> Result<Constant, Refusal> {
    importer.budget.allocate(&mask.shape, size_of::<f32>())?;
    let floats = mask.to_floats()?;
    let truths = matches!(mask.elements, Elements::Integer(_));
    let bias = |x: f32| match truths {
        true if x == 0.0 => CLOSED,
        true => 0.0,
        false => x.max(CLOSED),
    };
    if let Some(x) = floats.iter().find(|x| x.is_nan() || **x == f32::INFINITY) {
        return Err(Refusal::new(format!("its mask holds {x}"), "train or export the model again"));
    }
    let elements = Elements::Float(floats.into_iter().map(bias).collect());
    Ok(Constant { shape: mask.shape.clone(), elements })
}
