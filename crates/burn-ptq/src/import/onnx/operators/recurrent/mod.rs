//! Recurrent layers: one step of them, or a loop over the steps of a sequence, in one direction or in both.

mod cells;
mod layer;

use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use crate::graph::ValueId;

pub(super) fn gru(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    layer::import(importer, site, cells::Kind::Gru)
}

pub(super) fn lstm(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    layer::import(importer, site, cells::Kind::Lstm)
}

pub(super) fn rnn(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    layer::import(importer, site, cells::Kind::Rnn)
}
