//! Reading files without trusting their size: what has no end, such as `/dev/zero`, or is larger than
//! anything of its kind is refused before it fills the memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The bytes of the file at `path`, of which there are at most `most`. Pipes are read like files.
///
/// # Errors
/// If it cannot be read, or is larger ([`io::ErrorKind::FileTooLarge`]).
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // Devices and pipes have no size; a file that has one is refused before it is read.
    if file.metadata()?.len() > most {
        return Err(too_large(most));
    }
    read_from(file, most)
}

/// The text of the file at `path`, of which there are at most `most` bytes.
///
/// # Errors
/// As [`read`], and if it is not UTF-8.
pub fn read_to_string(path: &Path, most: u64) -> io::Result<String> {
    let invalid = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8");
    String::from_utf8(read(path, most)?).map_err(invalid)
}

/// What `source` holds, at most `most` bytes.
///
/// # Errors
/// As [`read`].
pub fn read_from(source: impl Read, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large(most)) } else { Ok(bytes) }
}

/// The error for what holds more than `most` bytes.
pub fn too_large(most: u64) -> io::Error {
    let (size, unit) = match most {
        0..0x10_0000 => (most >> 10, "KiB"),
        _ => (most >> 20, "MiB"),
    };
    let text = format!("it holds more than {size} {unit}, the most that such a file may have");
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "four").unwrap();
        assert_eq!(read_to_string(file.path(), 4).unwrap(), "four");
        assert_eq!(read(file.path(), 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::write(file.path(), b"\xff").unwrap();
        assert!(read_to_string(file.path(), 4).unwrap_err().to_string().contains("UTF-8"));
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let error = read_from(io::repeat(0), 2 << 20).unwrap_err().to_string();
        assert_eq!(error, "it holds more than 2 MiB, the most that such a file may have");
    }
}
