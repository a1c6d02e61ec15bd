//! Integers of activations on their way through operators that move them, choose among them or bound them.

use std::ops::Range;
use std::rc::Rc;

use onnx_ir::NodeProto;

use super::super::constants::{Constant, Elements, Extent};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::super::options::Requantize;
use super::numbers::Quantization;
use crate::graph::{Op, ValueId};

/// Operators that give integers of the grid that they read, and the places of constants that are integers of that
/// grid too.
const KEEPS_GRID: &[(&str, Range<usize>)] = &[
    ("Clip", 1..3),
    ("Concat", 0..0),
    ("DepthToSpace", 0..0),
    ("Dropout", 0..0),
    ("Expand", 0..0),
    ("Flatten", 0..0),
    ("Gather", 0..0),
    ("GlobalMaxPool", 0..0),
    ("Identity", 0..0),
    ("MaxPool", 0..0),
    ("Pad", 2..3),
    ("ReduceMax", 0..0),
    ("ReduceMin", 0..0),
    ("Reshape", 0..0),
    ("Resize", 0..0),
    ("Slice", 0..0),
    ("SpaceToDepth", 0..0),
    ("Split", 0..0),
    ("Squeeze", 0..0),
    ("Tile", 0..0),
    ("Transpose", 0..0),
    ("Unsqueeze", 0..0),
];

impl Importer<'_> {
    /// The grid of the integers that `site` reads and gives, if it does; its constants become the real numbers
    /// that they stand for.
    ///
    /// # Errors
    /// If it computes with integers, or reads ones of several grids.
    pub(in super::super) fn integers_moved(
        &self,
        node: &NodeProto,
        site: &mut Site,
    ) -> Result<Option<Quantization>, Refusal> {
        let values = node.input.iter().zip(&site.inputs);
        let mut grids = values.filter_map(|(name, binding)| match binding {
            Some(Binding::Value(_)) => Some(self.quantized.get(name.as_str()).copied()),
            Some(Binding::Constant(_) | Binding::Unknown) | None => None,
        });
        let Some(first) = grids.next() else { return Ok(None) };
        let Some(quantization) = first else {
            return match grids.flatten().next() {
                None => Ok(None),
                Some(_) => Err(mixed()),
            };
        };
        let Some((_, places)) = KEEPS_GRID.iter().find(|(name, _)| *name == site.op) else {
            return Err(Refusal::new(
                "it computes with the integers of activations",
                "export the model with DequantizeLinear in front of it",
            ));
        };
        if grids.any(|other| other != Some(quantization)) {
            return Err(mixed());
        }
        if site.op == "Pad" && site.inputs.len() < 3 {
            // Where it is left out, the integer 0 is meant.
            site.inputs.resize(3, None);
        }
        for place in places.clone() {
            match site.inputs.get_mut(place) {
                Some(Some(Binding::Constant(constant))) => {
                    *constant = Rc::new(real(constant, quantization)?);
                }
                Some(input @ None) if site.op == "Pad" => {
                    let elements = Elements::Float(vec![quantization.real(0)]);
                    *input =
                        Some(Binding::Constant(Rc::new(Constant { shape: Vec::new(), elements })));
                }
                _ => {}
            }
        }
        Ok(Some(quantization))
    }

    /// What `Clip` of integers gives: where only it reads them, their grid is narrowed if that says all.
    pub(in super::super) fn clipped(
        &mut self,
        site: &Site,
        given: ValueId,
        quantization: Quantization,
    ) -> Result<(ValueId, Quantization), Refusal> {
        let bound = |place: usize| -> Result<Option<i64>, Refusal> {
            let constant = site.optional(place, "bound")?;
            let real = constant.map(|constant| constant.to_scalar()).transpose()?;
            Ok(real
                .map(|real| (real / quantization.scale).round() as i64)
                .map(|steps| steps.saturating_add(quantization.zero_point)))
        };
        let [low, high] = quantization.bounds;
        let (own_low, own_high) =
            (bound(1)?.unwrap_or(low).max(low), bound(2)?.unwrap_or(high).min(high));
        let input = site.value(0)?;
        let narrowed = narrow([own_low, own_high], quantization);
        if self.requantize == Some(Requantize::All) {
            return Ok((input, narrowed));
        }
        self.give(given, narrowed);
        let is_all = narrowed.bounds == [own_low, own_high];
        let producer =
            self.exclusive_producer(input).map(|node| matches!(node.op, Op::Requantize(_)));
        if producer == Some(true) {
            self.give(input, narrowed);
            if is_all {
                // The grid's ends are the bounds.
                return Ok((input, narrowed));
            }
        }
        Ok((given, narrowed))
    }
}

/// The grid with the least bits whose integers are those between the bounds, or one more below.
fn narrow([low, high]: [i64; 2], whole: Quantization) -> Quantization {
    let fits = |bounds: &[i64; 2]| {
        let count = (bounds[1] - bounds[0] + 1) as u64;
        count.is_power_of_two()
            && count >= 4
            && bounds[0] >= whole.bounds[0]
            && (bounds[0]..=bounds[1]).contains(&whole.zero_point)
    };
    let bounds = [[low, high], [low - 1, high]].into_iter().find(fits);
    Quantization { bounds: bounds.unwrap_or(whole.bounds), ..whole }
}

fn mixed() -> Refusal {
    Refusal::new(
        "it reads integers of different grids",
        "export the model with DequantizeLinear in front of it",
    )
}

/// The real number that a constant of one integer stands for.
fn real(constant: &Constant, quantization: Quantization) -> Result<Constant, Refusal> {
    match &constant.elements {
        Elements::Integer(integers) => {
            let real = |e: &Extent| e.known().map(|q| quantization.real(q));
            let elements = integers.iter().map(real).collect::<Result<_, _>>()?;
            Ok(Constant { shape: constant.shape.clone(), elements: Elements::Float(elements) })
        }
        Elements::Float(_) => Ok(constant.clone()),
    }
}
