//! Folders of PNG and JPEG images.

use std::io::Read;
use std::path::{Path, PathBuf};

use burn_ptq_deploy::preprocess::{DataLayout, Element, Preprocessing};
use zune_core::bit_depth::BitDepth;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_png::PngDecoder;

use super::DataError;
use super::location::open;
use crate::input::ModelInput;

/// The largest extent of an image.
const MAX_EXTENT: usize = 1 << 14;
/// The largest file of an image.
const MAX_FILE: u64 = 256 << 20;

/// Images that become samples of one size, with their channels last.
#[derive(Debug)]
pub(super) struct Images {
    files: Vec<PathBuf>,
    /// What all of them have.
    size: (usize, usize),
    deep: bool,
    /// What samples have: 1 for shades of grey, 3 for red, green and blue.
    channels: usize,
}

/// What the beginning of a file says about an image.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Facts {
    /// Width and height.
    size: (usize, usize),
    /// Channels as stored: grey or three colours, each with transparency or without.
    channels: usize,
    /// Whether channels have 16 bits.
    deep: bool,
}

impl Facts {
    const fn has_color(self) -> bool {
        self.channels >= 3
    }

    const fn has_alpha(self) -> bool {
        self.channels.is_multiple_of(2)
    }
}

impl Images {
    /// Looks at the size and the depth of every image.
    ///
    /// # Errors
    /// If one cannot be read, or has another size than the model's input.
    pub(super) fn open(
        files: Vec<PathBuf>,
        folder: &Path,
        input: &ModelInput,
        notes: &mut Vec<String>,
    ) -> Result<Self, DataError> {
        let (size, channels) = target(folder, input, &files)?;
        let mut images = Self { files, size, channels, deep: false };
        let (mut grey, mut coloured, mut transparent) = (0, 0, 0);
        for (index, file) in images.files.iter().enumerate() {
            let facts = facts(file)?;
            if index == 0 {
                images.deep = facts.deep;
            } else if facts.deep != images.deep {
                let [bits, first] = [facts.deep, images.deep].map(|deep| if deep { 16 } else { 8 });
                let problem = format!(
                    "has {bits} bits per channel, but {} has {first}: save all alike",
                    images.files[0].display()
                );
                return Err(DataError::format(file, problem));
            }
            if facts.size != size {
                let problem = format!(
                    "has {} x {} pixels (width x height), but the model's input '{}' expects {} x {}; \
                     resize the images as for training",
                    facts.size.0, facts.size.1, input.name, size.0, size.1
                );
                return Err(DataError::format(file, problem));
            }
            grey += usize::from(channels == 3 && !facts.has_color());
            coloured += usize::from(channels == 1 && facts.has_color());
            transparent += usize::from(facts.has_alpha());
        }
        let mut note = |count: usize, what: &str| {
            if count > 0 {
                let of = images.files.len();
                notes.push(format!("{}: {count} of {of} images {what}", folder.display()));
            }
        };
        note(grey, "are grey: red, green and blue are the same");
        note(coloured, "are coloured: turned to grey by 0.299 R + 0.587 G + 0.114 B");
        note(transparent, "have transparency, which is left out");
        Ok(images)
    }

    pub(super) fn count(&self) -> usize {
        self.files.len()
    }

    pub(super) fn file(&self, index: usize) -> &Path {
        &self.files[index]
    }

    pub(super) fn element(&self) -> Element {
        if self.deep { Element::U16 } else { Element::U8 }
    }

    /// One image, its channels last.
    pub(super) fn read(&self, index: usize) -> Result<Vec<f32>, DataError> {
        let file = &self.files[index];
        let (facts, values) = decode(file)?;
        if (facts.size, facts.deep) != (self.size, self.deep) {
            return Err(DataError::format(file, "changed while it was used"));
        }
        let pixels = values.chunks_exact(facts.channels);
        let color = |pixel: &[u16]| [pixel[0], pixel[1], pixel[2]];
        Ok(match (self.channels, facts.has_color()) {
            (1, false) => pixels.map(|pixel| f32::from(pixel[0])).collect(),
            (1, true) => pixels.map(|pixel| grey(color(pixel))).collect(),
            (_, false) => pixels.flat_map(|pixel| [f32::from(pixel[0]); 3]).collect(),
            (_, true) => pixels.flat_map(|pixel| color(pixel).map(f32::from)).collect(),
        })
    }
}

/// How images lie where the model's input is theirs: always with the channels last.
pub(super) fn layout(input: &ModelInput) -> DataLayout {
    let Preprocessing { channel_axis, .. } = input.preprocessing;
    match input.shape[..] {
        [channels, _, _] if channel_axis == 0 && channels != 1 => DataLayout::ChannelsLast,
        _ => DataLayout::Model,
    }
}

/// The grey of a colour, as ITU-R 601 weighs it, in the integers that Pillow uses.
fn grey([red, green, blue]: [u16; 3]) -> f32 {
    let [red, green, blue] = [red, green, blue].map(u64::from);
    ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as f32
}

/// The size, width first, and the channels that the model's input asks for.
fn target(
    folder: &Path,
    input: &ModelInput,
    files: &[PathBuf],
) -> Result<((usize, usize), usize), DataError> {
    let wrong = || {
        let problem = format!(
            "holds images, but the model's input '{}' of shape {:?} is neither [1 or 3, height, \
             width] nor [height, width, 1 or 3]",
            input.name, input.shape
        );
        DataError::format(folder, problem)
    };
    if input.preprocessing.window_frames.is_some() {
        let problem = "contains images, which have no windows of frames";
        return Err(DataError::format(folder, problem));
    }
    let (height, width, channels) = match input.shape[..] {
        [height, width, channels] if input.preprocessing.channel_axis == 2 => {
            (height, width, channels)
        }
        [channels, height, width] => (height, width, channels),
        [height, width] => (height, width, 1),
        // Grey pixels in one row, as networks without convolutions read them.
        [len] => {
            let (width, height) = facts(&files[0])?.size;
            if width * height != len {
                return Err(wrong());
            }
            (height, width, 1)
        }
        _ => return Err(wrong()),
    };
    let fits = height <= MAX_EXTENT && width <= MAX_EXTENT && [1, 3].contains(&channels);
    if fits { Ok(((width, height), channels)) } else { Err(wrong()) }
}

fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_max_width(MAX_EXTENT)
        .set_max_height(MAX_EXTENT)
        .png_set_confirm_crc(true)
        .png_set_decode_animated(false)
        // Vector instructions may round otherwise, and pixels depend on no processor.
        .set_use_unsafe(false)
}

type Png<'a> = PngDecoder<ZCursor<&'a [u8]>>;
type Jpeg<'a> = JpegDecoder<ZCursor<&'a [u8]>>;

/// A decoder that has read the beginning of a file.
enum Decoder<'a> {
    Png(Box<Png<'a>>),
    Jpeg(Box<Jpeg<'a>>),
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8], file: &Path) -> Result<(Self, Facts), DataError> {
        if bytes.starts_with(b"\x89PNG") {
            let mut decoder = PngDecoder::new_with_options(ZCursor::new(bytes), options());
            decoder.decode_headers().map_err(|e| undecodable(file, &e))?;
            let facts = decoder.dimensions().zip(decoder.colorspace()).zip(decoder.depth()).map(
                |((size, color), depth)| Facts {
                    size,
                    channels: color.num_components(),
                    deep: depth == BitDepth::Sixteen,
                },
            );
            let facts = facts.ok_or_else(|| DataError::format(file, "has no PNG header"))?;
            return Ok((Self::Png(Box::new(decoder)), facts));
        }
        if bytes.starts_with(b"\xff\xd8") {
            let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options());
            decoder.decode_headers().map_err(|e| undecodable(file, &e))?;
            let info =
                decoder.info().ok_or_else(|| DataError::format(file, "has no JPEG header"))?;
            let color = match info.components {
                1 => ColorSpace::Luma,
                3 => ColorSpace::RGB,
                count => {
                    let problem = format!("has {count} colours, such as for print: save it as RGB");
                    return Err(DataError::format(file, problem));
                }
            };
            let size = (usize::from(info.width), usize::from(info.height));
            let facts = Facts { size, channels: color.num_components(), deep: false };
            decoder.set_options(options().jpeg_set_out_colorspace(color));
            return Ok((Self::Jpeg(Box::new(decoder)), facts));
        }
        Err(DataError::format(file, "is neither PNG nor JPEG, whatever its name says"))
    }
}

/// What the beginning of a file says.
fn facts(file: &Path) -> Result<Facts, DataError> {
    let bytes = bytes(file)?;
    Ok(Decoder::new(&bytes, file)?.1)
}

/// The values of all channels, pixel after pixel.
fn decode(file: &Path) -> Result<(Facts, Vec<u16>), DataError> {
    let bytes = bytes(file)?;
    let (decoder, facts) = Decoder::new(&bytes, file)?;
    let widen = |values: Vec<u8>| values.into_iter().map(u16::from).collect();
    let values: Vec<u16> = match decoder {
        Decoder::Png(mut decoder) => {
            let decoded = decoder.decode().map_err(|e| undecodable(file, &e))?;
            match decoded {
                zune_core::result::DecodingResult::U8(values) => widen(values),
                zune_core::result::DecodingResult::U16(values) => values,
                _ => return Err(DataError::format(file, "has neither 8 nor 16 bits per channel")),
            }
        }
        Decoder::Jpeg(mut decoder) => widen(decoder.decode().map_err(|e| undecodable(file, &e))?),
    };
    if values.len() != facts.size.0 * facts.size.1 * facts.channels {
        return Err(DataError::format(file, "holds other pixels than its header says"));
    }
    Ok((facts, values))
}

fn bytes(file: &Path) -> Result<Vec<u8>, DataError> {
    let (mut opened, length) = open(file)?;
    if length > MAX_FILE {
        let problem = format!("has {length} bytes, more than an image should");
        return Err(DataError::TooLarge { path: file.into(), problem });
    }
    let mut bytes = Vec::new();
    let read = Read::by_ref(&mut opened).take(MAX_FILE).read_to_end(&mut bytes);
    read.map_err(|source| DataError::Unreadable { path: file.into(), source })?;
    Ok(bytes)
}

fn undecodable(file: &Path, error: &dyn std::fmt::Debug) -> DataError {
    let text: String = format!("{error:?}").chars().take(120).collect();
    DataError::format(file, format!("cannot be decoded: {}", text.escape_debug()))
}
