//! What holds truths and other whole numbers that are computed: casts leave them as they are.

use onnx_ir::NodeProto;

use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use super::super::operators::is_not_zero;
use super::super::tensor::data_type;
use crate::graph::ValueId;

/// Operators whose outputs hold elements of their first input.
pub(super) const MOVE: &str = "Concat Dropout Expand Flatten Identity Reshape Slice Split Squeeze Tile \
                               Transpose Unsqueeze";

/// Operators whose outputs are truths.
const TRUTHS: &str = "And Equal Greater GreaterOrEqual Less LessOrEqual Not Or Xor";

fn lists(names: &str, op: &str) -> bool {
    names.split(' ').any(|name| name == op)
}

/// Whether a node that reads integers gives some: what moves them does; they are computed with as floats
/// alone, and compared.
pub(super) fn integers_given(site: &Site) -> Result<bool, Refusal> {
    match site.op {
        "Gather" => Ok(false),
        "Cast" => {
            let to = target(site)?;
            Ok(data_type::integers(to).is_some())
        }
        op if lists(TRUTHS, op) => Ok(false),
        op if lists(MOVE, op) => Ok(true),
        _ => Err(Refusal::new(
            "it computes with integers",
            "cast them to floats in front of it, or feed floats",
        )),
    }
}

/// The type that a cast gives; 0, which is none, where it is out of range.
fn target(site: &Site) -> Result<i32, Refusal> {
    Ok(i32::try_from(site.attributes.int("to", 0)?).unwrap_or_default())
}

impl<'m> Importer<'m> {
    /// Whether a node reads integers of the model's inputs.
    pub(super) fn reads_integers(&self, node: &NodeProto) -> bool {
        // The condition of a choice is none of the chosen.
        let inputs = match node.op_type.as_str() {
            "Where" => node.input.get(1..).unwrap_or_default(),
            _ => &node.input,
        };
        inputs.iter().any(|name| self.integers.contains(name.as_str()))
    }

    /// What a cast of whole numbers or to truths gives; `None` for all other nodes.
    pub(super) fn cast_whole(
        &mut self,
        node: &NodeProto,
        site: &Site,
    ) -> Result<Option<ValueId>, Refusal> {
        let Some(name) = node.input.first().filter(|_| site.op == "Cast") else { return Ok(None) };
        let (name, to) = (name.as_str(), target(site)?);
        if self.truths.contains(name) {
            return site.value(0).map(Some);
        }
        if to == data_type::BOOL {
            return is_not_zero(self, site).map(Some);
        }
        let whole = self.integers.contains(name)
            || (self.places.contains(name) && data_type::integers(to).is_some());
        // Whole numbers are the same as floats.
        if whole { site.value(0).map(Some) } else { Ok(None) }
    }

    /// Remembers which outputs of a node are truths or other whole numbers.
    pub(super) fn keep_whole(&mut self, node: &'m NodeProto, site: &Site) -> Result<(), Refusal> {
        let reads = |index: usize| {
            let name = node.input.get(index).map_or("", String::as_str);
            (self.truths.contains(name), self.places.contains(name))
        };
        let outputs = node.output.iter().map(String::as_str);
        let (truths, places) = match site.op {
            op if lists(TRUTHS, op) => (true, false),
            op if lists(MOVE, op) || op == "Gather" => reads(0),
            "Where" => (reads(1).0 || reads(2).0, false),
            "ArgMax" | "ArgMin" => (false, true),
            "TopK" => {
                self.places.extend(outputs.skip(1));
                return Ok(());
            }
            "Cast" => {
                let (to, (truth, place)) = (target(site)?, reads(0));
                let integers = data_type::integers(to).is_some() && to != data_type::BOOL;
                (to == data_type::BOOL, integers && (truth || place))
            }
            _ => return Ok(()),
        };
        if truths {
            self.truths.extend(outputs.clone());
        }
        if places {
            self.places.extend(outputs);
        }
        Ok(())
    }
}
