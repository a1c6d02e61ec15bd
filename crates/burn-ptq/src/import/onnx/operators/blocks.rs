//! Blocks of an image out of its channels, and the other way round.

use super::super::error::Refusal;
use super::super::growing::{Importer, Site};
use crate::graph::ValueId;
use crate::graph::ops::Rearrange;

pub(super) fn depth_to_space(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (input, [channels, height, width], block) = image(importer, site)?;
    let crd = channels_first(site)?;
    if !channels.is_multiple_of(block * block) {
        return Err(Refusal::invalid(format!(
            "{channels} channels are not a multiple of the {} places in a block",
            block * block
        )));
    }
    let depth = channels / (block * block);
    let plane = height * width;
    // The distance between channels of one place in the block, and between places.
    let [of_channel, of_place] = if crd { [block * block, 1] } else { [1, depth] };
    let row = |y: usize| y / block * width + y % block * block * of_place * plane;
    let column = |x: usize| x / block + x % block * of_place * plane;
    let places = vec![
        (0..depth).map(|c| c * of_channel * plane).collect(),
        (0..height * block).map(row).collect(),
        (0..width * block).map(column).collect(),
    ];
    push(importer, site, input, [channels, height, width], places)
}

pub(super) fn space_to_depth(importer: &mut Importer, site: &Site) -> Result<ValueId, Refusal> {
    let (input, [channels, height, width], block) = image(importer, site)?;
    if !(height.is_multiple_of(block) && width.is_multiple_of(block)) {
        return Err(Refusal::invalid(format!(
            "blocks of {block} by {block} do not divide an image of {height} by {width}"
        )));
    }
    let crd = channels_first(site)?;
    let channel = |c: usize| {
        let places = block * block;
        let (c, place) = if crd { (c / places, c % places) } else { (c % channels, c / channels) };
        (c * height + place / block) * width + place % block
    };
    let places = vec![
        (0..channels * block * block).map(channel).collect(),
        (0..height / block).map(|y| y * block * width).collect(),
        (0..width / block).map(|x| x * block).collect(),
    ];
    push(importer, site, input, [channels, height, width], places)
}

/// Whether the places of a block are side by side in the channels, for each channel of the image.
fn channels_first(site: &Site) -> Result<bool, Refusal> {
    match site.attributes.string("mode", "DCR")? {
        "DCR" => Ok(false),
        "CRD" => Ok(true),
        mode => Err(Refusal::invalid(format!("mode '{mode}' is neither 'DCR' nor 'CRD'"))),
    }
}

/// The image that the node reads, with its shape, and the side of a block.
fn image(importer: &Importer, site: &Site) -> Result<(ValueId, [usize; 3], usize), Refusal> {
    let input = site.value(0)?;
    let block = site.attributes.int("blocksize", 0)?;
    let shape = <[usize; 3]>::try_from(importer.shape(input)).map_err(|_| {
        let problem = format!("expected samples of 3 axes, found {:?}", importer.shape(input));
        Refusal::new(problem, "check the shapes in front of the node")
    })?;
    // A block has at most as many places as the image has elements.
    let largest = shape.iter().product::<usize>() as i64;
    match usize::try_from(block).ok().filter(|_| (1..=largest).contains(&block)) {
        Some(block) => Ok((input, shape, block)),
        None => Err(Refusal::invalid(format!(
            "attribute 'blocksize': expected 1 to {largest}, found {block}"
        ))),
    }
}

fn push(
    importer: &mut Importer,
    site: &Site,
    input: ValueId,
    shape: [usize; 3],
    places: Vec<Vec<usize>>,
) -> Result<ValueId, Refusal> {
    let op = Rearrange { name: site.op, input: shape.to_vec(), places };
    importer.push(site, op, &[input])
}
