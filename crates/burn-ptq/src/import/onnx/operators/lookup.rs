//! Rows of constant tables by computed numbers: embeddings.

use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use crate::graph::ValueId;
use crate::graph::ops::{Lookup, MAX_ROWS, Reshape};

/// `Gather` of a constant table by an input of integers.
pub(super) fn gather(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let table = site.constant(0, "table of rows")?;
    let ids = site.value(1)?;
    let axis = site.attributes.int("axis", 0)?;
    if table.shape.len() != 2 || ![0, -2].contains(&axis) || table.shape[0] > MAX_ROWS {
        return Err(Refusal::new(
            format!("it takes elements along axis {axis} of {:?}", table.shape),
            format!("expected rows of a table [rows, elements] of at most {MAX_ROWS} rows"),
        ));
    }
    let table = importer.array(&table)?;
    let (width, op) = (table.shape[1], Lookup { table });
    if !site.layout(1).scalar {
        return importer.push(site, op, &[ids]);
    }
    // Ids without an axis of their own, such as a column of several: one row a sample.
    let row = importer.push_part(site, "row", op, &[ids])?;
    importer.push(site, Reshape { shape: vec![width] }, &[row])
}
