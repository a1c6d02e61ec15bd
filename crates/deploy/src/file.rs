//! The `.bptq` file: an integer program on disk.
//!
//! | bytes | content |
//! |---|---|
//! | 0..4 | `BPTQ` |
//! | 4..8 | format version, u32 little endian |
//! | 8..16 | length of the payload, u64 little endian |
//! | 16..20 | CRC-32 (IEEE) of the payload, u32 little endian |
//! | 20.. | payload: the program and its places in postcard's encoding |
//!
//! The payload holds, one after the other: the name; the tensors (name, shape, type, bits, grid, offset
//! in the arena); the nodes (name, operation, the tensors that it reads and the one that it writes,
//! scratch); the inputs (name, tensor, border, preprocessing); the outputs (name, tensor, border, names
//! of classes); the bytes of the arena; the provenance; the streams. Postcard writes the length before
//! each list and each text, integers in as few bytes as they need and floats in four.
//!
//! Version 6 is version 5 with a list more at its end: the states (name, the tensor that a call finds, the
//! one that it leaves, the initial value). Version 7 is version 6 with one more: the loops (the first node, the
//! number of nodes, the steps, and of all that is carried the tensor that a step finds and the one that it
//! leaves). A program without loops is written in version 6, one without states too in version 5, but in version 7
//! if it has what came with that: gates, fully connected layers of 8 bits in and 16 out, or products of 16 bits
//! in and 8 out.
//!
//! The bytes depend on the program alone. Readers accept the versions that they know and refuse
//! newer ones; any change of that layout or of what its fields mean is a new version.

mod wire;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use thiserror::Error;

use crate::bounded;
use crate::op::{ElementTypes, IntOp};
use crate::output::{IoError, failed, write_atomically};
use crate::place::Placed;
use crate::program::{IntNode, MAX_NODES, Program, TensorId};
use crate::target::Kernels;
use crate::verify::VerifyError;
use wire::{Wire, WireLoops, WireStates};

/// The newest version that this crate writes and reads.
pub const FORMAT_VERSION: u32 = 7;

/// The version of programs with states but no loops.
const LOOPLESS_VERSION: u32 = 6;

/// The version of programs that have no loops and keep nothing from one call to the next, and the oldest that is read.
const STATELESS_VERSION: u32 = 5;

/// The largest file that is read: 64 MiB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

const MAGIC: [u8; 4] = *b"BPTQ";
const HEADER_BYTES: usize = 20;

/// Why a `.bptq` file cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The file does not begin as a `.bptq` file does.
    #[error(
        "not a .bptq file: expected it to begin with \"BPTQ\", found {found:?}; \
         make one with `burn-ptq quantize`"
    )]
    NotBptq {
        /// The first bytes.
        found: String,
    },
    /// The file comes from another version of burn-ptq.
    #[error(
        "the file has format version {found}, this burn-ptq reads up to {FORMAT_VERSION}; {}",
        if *found > FORMAT_VERSION { "update burn-ptq" } else { "quantize the model again" }
    )]
    Version {
        /// The file's version.
        found: u32,
    },
    /// The file's length is not the one that follows from its header.
    #[error(
        "the file is {}: expected {expected} bytes, found {found}; copy it again",
        if *found < *expected { "truncated" } else { "too long" }
    )]
    Length {
        /// Header and payload.
        expected: u64,
        /// What there is; [`read`] stops at one more than expected.
        found: u64,
    },
    /// The payload is not the one that was written.
    #[error(
        "the file is damaged: expected checksum {expected:08x}, found {found:08x}; copy it again"
    )]
    Checksum {
        /// The header's checksum.
        expected: u32,
        /// The payload's.
        found: u32,
    },
    /// The payload does not encode a program.
    #[error("the file does not hold an integer program: {0}; quantize the model again")]
    Malformed(String),
    /// The program breaks an invariant.
    #[error("the integer program is invalid: {0}; quantize the model again")]
    Invalid(#[from] VerifyError),
}

/// Reads and verifies the program at `path`.
pub fn read(path: &Path) -> Result<Placed, FileError> {
    let io_error = |source| FileError::from(IoError { action: "read", path: path.into(), source });
    let file = File::open(path).map_err(io_error)?;
    let mut bytes = Vec::new();
    // The header first: a file that is not a .bptq file is not loaded.
    (&file).take(HEADER_BYTES as u64).read_to_end(&mut bytes).map_err(io_error)?;
    let header = Header::parse(&bytes)?;
    if header.length > MAX_FILE_BYTES {
        return Err(io_error(bounded::too_large(MAX_FILE_BYTES)));
    }
    file.take(header.length + 1).read_to_end(&mut bytes).map_err(io_error)?;
    from_bytes(&bytes)
}

/// Writes the program to `path`, which holds either the old file or the whole new one at any time;
/// makes the folder that it lies in.
pub fn write(path: &Path, program: &Placed) -> Result<(), FileError> {
    let bytes = to_bytes(program)?;
    Ok(write_atomically(path, &bytes).map_err(failed("write", path))?)
}

/// The bytes of a `.bptq` file.
pub fn to_bytes(program: &Placed) -> Result<Vec<u8>, FileError> {
    let mut payload = postcard::to_stdvec(&Wire::of(program)).map_err(malformed)?;
    let version = version_of(program);
    if version > STATELESS_VERSION {
        payload.extend(postcard::to_stdvec(&WireStates::of(program)).map_err(malformed)?);
    }
    if version > LOOPLESS_VERSION {
        payload.extend(postcard::to_stdvec(&WireLoops::of(program)).map_err(malformed)?);
    }
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    bytes.extend_from_slice(&payload);
    Ok(bytes)
}

/// The oldest version that can hold a program.
fn version_of(program: &Program) -> u32 {
    let dtype = |id: TensorId| program.tensors[id.0].dtype;
    let is_new = |node: &IntNode| match node.op.element_types() {
        ElementTypes::SameOrWider | ElementTypes::SameOrNarrower => {
            node.inputs.iter().any(|&id| dtype(id) != dtype(node.output))
        }
        ElementTypes::Same
        | ElementTypes::Only(_)
        | ElementTypes::Any
        | ElementTypes::To(_)
        | ElementTypes::Nibbles(..) => matches!(node.op, IntOp::Gate { .. }),
    };
    match program {
        _ if !program.loops.is_empty() || program.nodes.iter().any(is_new) => FORMAT_VERSION,
        _ if !program.states.is_empty() => LOOPLESS_VERSION,
        _ => STATELESS_VERSION,
    }
}

/// Decodes and verifies the bytes of a `.bptq` file, which has places for the portable kernels.
///
/// Allocates in proportion to `bytes`, whatever lengths they claim.
pub fn from_bytes(bytes: &[u8]) -> Result<Placed, FileError> {
    let header = Header::parse(bytes)?;
    let payload = &bytes[HEADER_BYTES..];
    let expected = header.length.saturating_add(HEADER_BYTES as u64);
    if bytes.len() as u64 != expected {
        return Err(FileError::Length { expected, found: bytes.len() as u64 });
    }
    let found = crc32fast::hash(payload);
    if found != header.checksum {
        return Err(FileError::Checksum { expected: header.checksum, found });
    }
    let (wire, mut rest): (Wire, _) = postcard::take_from_bytes(payload).map_err(malformed)?;
    let mut states = WireStates::default();
    if header.version > STATELESS_VERSION {
        (states, rest) = postcard::take_from_bytes(rest).map_err(malformed)?;
    }
    let mut loops = WireLoops::default();
    if header.version > LOOPLESS_VERSION {
        (loops, rest) = postcard::take_from_bytes(rest).map_err(malformed)?;
    }
    if !rest.is_empty() {
        return Err(FileError::Malformed(format!("{} bytes follow the program", rest.len())));
    }
    let (program, placement) = wire.into_parts(states, loops);
    let placed = Placed::new(program, placement, Kernels::Portable)?;
    let needed = version_of(&placed);
    if needed > header.version {
        let text = format!("it has operations of version {needed} in version {}", header.version);
        return Err(FileError::Malformed(text));
    }
    Ok(placed)
}

fn malformed(error: postcard::Error) -> FileError {
    FileError::Malformed(match error {
        // Postcard drops the text of such an error.
        postcard::Error::SerdeDeCustom => format!(
            "a value is out of its bounds (of operations, tensors, streams and classes there are at \
             most {MAX_NODES} each)"
        ),
        other => other.to_string(),
    })
}

/// What the header says of the payload.
struct Header {
    version: u32,
    length: u64,
    checksum: u32,
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, FileError> {
        if !bytes.starts_with(&MAGIC) {
            let begin = &bytes[..bytes.len().min(MAGIC.len())];
            return Err(FileError::NotBptq { found: begin.escape_ascii().to_string() });
        }
        let too_short =
            FileError::Length { expected: HEADER_BYTES as u64, found: bytes.len() as u64 };
        let Some(version) = bytes[4..].first_chunk() else { return Err(too_short) };
        let version = u32::from_le_bytes(*version);
        if !(STATELESS_VERSION..=FORMAT_VERSION).contains(&version) {
            return Err(FileError::Version { found: version });
        }
        let Some(length) = bytes[8..].first_chunk() else { return Err(too_short) };
        let Some(checksum) = bytes[16..].first_chunk() else { return Err(too_short) };
        let (length, checksum) = (u64::from_le_bytes(*length), u32::from_le_bytes(*checksum));
        Ok(Self { version, length, checksum })
    }
}
