//! `QuantizeLinear` and `DequantizeLinear`.

use std::rc::Rc;

use onnx_ir::NodeProto;

use super::super::constants::{Constant, Elements, Extent};
use super::super::error::Refusal;
use super::super::growing::{Binding, Importer, Site};
use super::super::options::Requantize;
use super::super::tensor::data_type;
use super::numbers::{Quantization, Scales};
use crate::graph::Array;
use crate::graph::ValueId;
use crate::graph::ops::{self, ChannelAffine};
use crate::warning::Warning;

/// The type of integers where a node does not say it.
const USUAL: i32 = data_type::UINT8;

impl<'m> Importer<'m> {
    /// Binds what `QuantizeLinear` writes.
    pub(in super::super) fn quantize_linear(
        &mut self,
        node: &'m NodeProto,
        site: &Site,
    ) -> Result<(), Refusal> {
        let output = single_output(node)?;
        let stated = node.input.get(2).and_then(|name| self.kinds.get(name.as_str())).copied();
        let attribute = site.attributes.int("output_dtype", 0)?;
        let attribute = i32::try_from(attribute).ok().filter(|&kind| kind != 0);
        let kind = stated.or(attribute).unwrap_or(USUAL);
        let (scale, zero_point) = (site.constant(1, "scale")?, site.optional(2, "zero point")?);
        self.kinds.insert(output, kind);
        match site.inputs.first().cloned().flatten() {
            Some(Binding::Constant(constant)) => {
                let shape = Some(&constant.shape[..]);
                let scales = Scales::of(site.attributes, shape, &scale, zero_point.as_deref())?;
                let integers = self.quantized_constant(&constant, &scales, kind)?;
                self.bind(output, Binding::Constant(Rc::new(integers)), site.layout(0));
            }
            Some(Binding::Value(id)) => {
                let scales = Scales::of(site.attributes, None, &scale, zero_point.as_deref())?;
                let quantization = scales.single(kind)?;
                let written = match self.requantize {
                    Some(Requantize::All) => id,
                    None | Some(Requantize::Weights) => {
                        let written = self.push(site, ops::Requantize, &[id])?;
                        self.give(written, quantization);
                        written
                    }
                };
                self.quantized.insert(output, quantization);
                self.bind(output, Binding::Value(written), site.layout(0));
            }
            Some(Binding::Unknown) | None => {
                return Err(Refusal::invalid("input 0 is missing"));
            }
        }
        Ok(())
    }

    /// Binds what `DequantizeLinear` writes.
    pub(in super::super) fn dequantize_linear(
        &mut self,
        node: &'m NodeProto,
        site: &Site,
    ) -> Result<(), Refusal> {
        let output = single_output(node)?;
        let input = node.input.first().map_or("", String::as_str);
        let (scale, zero_point) = (site.constant(1, "scale")?, site.optional(2, "zero point")?);
        let stated = self.kinds.get(input).copied();
        match site.inputs.first().cloned().flatten() {
            Some(Binding::Constant(constant)) => {
                let shape = Some(&constant.shape[..]);
                let scales = Scales::of(site.attributes, shape, &scale, zero_point.as_deref())?;
                let reals = Rc::new(self.dequantized_constant(&constant, &scales)?);
                let is_narrow = stated.and_then(data_type::all_integers).is_some_and(|integers| {
                    integers.max <= u8::MAX.into() && integers.min >= i8::MIN.into()
                });
                if is_narrow && self.requantize.is_none() {
                    let steps = self.steps_of(&constant, &scales)?;
                    self.steps.insert(&reals, steps);
                }
                self.bind(output, Binding::Constant(reals), site.layout(0));
            }
            Some(Binding::Value(id)) => {
                let scales = Scales::of(site.attributes, None, &scale, zero_point.as_deref())?;
                let quantization = scales.single(stated.unwrap_or(USUAL))?;
                let real = match self.quantized.get(input) {
                    Some(own) if own.has_steps_of(quantization) => id,
                    Some(own) => {
                        return Err(Refusal::new(
                            format!(
                                "expected the scale and zero point with which the integers were made, {:?} and {}, \
                                 found {:?} and {}",
                                own.scale,
                                own.zero_point,
                                quantization.scale,
                                quantization.zero_point
                            ),
                            "export the model with one grid for a value",
                        ));
                    }
                    None if self.integers.contains(input) => {
                        self.real_input(site, id, quantization)?
                    }
                    None => {
                        return Err(Refusal::new(
                            "it reads integers that no QuantizeLinear wrote",
                            "quantize the model statically, with activations of 8 or 16 bits",
                        ));
                    }
                };
                self.bind(output, Binding::Value(real), site.layout(0));
            }
            Some(Binding::Unknown) | None => {
                return Err(Refusal::invalid("input 0 is missing"));
            }
        }
        Ok(())
    }

    /// Gives a value the grid of the file.
    pub(super) fn give(&mut self, id: ValueId, quantization: Quantization) {
        let (given, changed) = quantization.given();
        let value = &mut self.graph.values[id.0];
        value.given = Some(given);
        if changed {
            let message = format!(
                "'{}' has 16 bits with a zero point in the file, and the integer program has 16 bits around 0: its \
                 steps are {:?} times as wide",
                value.name,
                given.grid.scale / quantization.scale
            );
            let hint = "quantize activations of 16 bits symmetrically";
            self.graph.notes.push(Warning::new("grid-changed", message, hint));
        }
    }

    /// The real numbers of an input of integers.
    fn real_input(
        &mut self,
        site: &Site,
        id: ValueId,
        quantization: Quantization,
    ) -> Result<ValueId, Refusal> {
        let channels = self.shape(id)[0];
        let shift = quantization.real(0);
        let op = ChannelAffine {
            scale: Array::full([channels], quantization.scale),
            shift: Array::full([channels], shift),
        };
        let real = self.push(site, op, &[id])?;
        if self.requantize != Some(Requantize::All) {
            self.give(real, quantization);
        }
        Ok(real)
    }

    fn quantized_constant(
        &mut self,
        constant: &Constant,
        scales: &Scales,
        kind: i32,
    ) -> Result<Constant, Refusal> {
        let integers = data_type::all_integers(kind).ok_or_else(|| {
            Refusal::new(
                format!("it makes constants {}", data_type::name(kind)),
                "quantize the model to INT8",
            )
        })?;
        self.budget.allocate(&constant.shape, size_of::<Extent>())?;
        let element = |(index, x): (usize, &f32)| {
            let place = scales.place(index);
            // As the standard says it: ties go to the even one.
            let rounded = (x / scales.scales[place]).round_ties_even() as i64;
            let integer = rounded.saturating_add(scales.zero_points[place]);
            Extent::Known(integer.clamp(integers.min, integers.max))
        };
        let elements = constant.to_floats()?.iter().enumerate().map(element).collect();
        Ok(Constant { shape: constant.shape.clone(), elements: Elements::Integer(elements) })
    }

    fn dequantized_constant(
        &mut self,
        constant: &Constant,
        scales: &Scales,
    ) -> Result<Constant, Refusal> {
        let Elements::Integer(integers) = &constant.elements else {
            return Err(Refusal::new(
                "it reads floats: constants of 8-bit floats have no integer kernel",
                "quantize the model to INT8",
            ));
        };
        self.budget.allocate(&constant.shape, size_of::<f32>())?;
        let element = |(index, integer): (usize, &Extent)| {
            let place = scales.place(index);
            let distance = integer.known()?.saturating_sub(scales.zero_points[place]);
            Ok((distance as f64 * f64::from(scales.scales[place])) as f32)
        };
        let elements = integers.iter().enumerate().map(element).collect::<Result<_, Refusal>>()?;
        Ok(Constant { shape: constant.shape.clone(), elements: Elements::Float(elements) })
    }

    /// The scale of each element of a constant.
    fn steps_of(&mut self, constant: &Constant, scales: &Scales) -> Result<Constant, Refusal> {
        let count = self.budget.allocate(&constant.shape, size_of::<f32>())?;
        let steps = (0..count).map(|index| scales.scales[scales.place(index)]).collect();
        Ok(Constant { shape: constant.shape.clone(), elements: Elements::Float(steps) })
    }
}

/// The name of the only output.
fn single_output(node: &NodeProto) -> Result<&str, Refusal> {
    match &node.output[..] {
        [output] if !output.is_empty() => Ok(output),
        _ => Err(Refusal::invalid(format!("expected 1 output, found {}", node.output.len()))),
    }
}
