//! Samples from .npy and .npz files, streamed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use npyz::{DType, NpyFile, Order, TypeChar};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

/// What is wrong with a data file.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; expected a .npy file, or a .npz file with one array")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An .npz file with no array or several.
    #[error("{path} holds {found} arrays: expected exactly one")]
    Arrays {
        /// The file.
        path: PathBuf,
        /// How many it holds.
        found: usize,
    },
    /// The elements have a type that is not supported here.
    #[error("{path} holds elements of type {found}: expected {expected}")]
    Type {
        /// The file.
        path: PathBuf,
        /// The type found, as NumPy writes it.
        found: String,
        /// The types that can be read.
        expected: &'static str,
    },
    /// The array is stored column first.
    #[error("{path} is in Fortran order: save it with numpy.ascontiguousarray")]
    FortranOrder {
        /// The file.
        path: PathBuf,
    },
    /// The array has no samples.
    #[error("{path} holds no samples (its shape is {shape:?})")]
    Empty {
        /// The file.
        path: PathBuf,
        /// Its shape.
        shape: Vec<usize>,
    },
    /// The samples do not fit the model.
    #[error(
        "{path}: samples have shape {found:?}, but the model's input '{input}' expects {expected:?}{hint}"
    )]
    SampleShape {
        /// The file.
        path: PathBuf,
        /// The model's input.
        input: String,
        /// The shape of its samples.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
        /// What to do.
        hint: &'static str,
    },
    /// A sample holds NaN or infinity.
    #[error(
        "{path}: sample {sample} holds {count} values that are NaN or infinite; clean the data first"
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The first such sample.
        sample: usize,
        /// How many of its values.
        count: usize,
    },
    /// Labels and samples differ in number.
    #[error(
        "{labels} holds labels of {found} samples{shape}, but {samples} holds {expected} samples"
    )]
    LabelCount {
        /// The file of labels.
        labels: PathBuf,
        /// The file of samples.
        samples: PathBuf,
        /// Samples that labels were found for.
        found: usize,
        /// Samples found.
        expected: usize,
        /// The shape of the labels, and what to do.
        shape: String,
    },
}

/// How raw elements become model inputs: `(x * scale - mean[c]) / std[c]`, where `c` runs over a
/// sample's first axis.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preprocessing {
    /// The factor.
    pub scale: f32,
    /// One mean for all channels, one a channel, or none.
    pub mean: Vec<f32>,
    /// One standard deviation for all channels, one a channel, or none.
    pub std: Vec<f32>,
}

impl Default for Preprocessing {
    fn default() -> Self {
        Self { scale: 1.0, mean: Vec::new(), std: Vec::new() }
    }
}

impl Preprocessing {
    /// Applies the formula to one sample of `channels` channels.
    pub fn apply(&self, sample: &mut [f32], channels: usize) {
        let plane = (sample.len() / channels.max(1)).max(1);
        let pick = |values: &[f32], c: usize, default: f32| match values {
            [] => default,
            [one] => *one,
            many => many.get(c).copied().unwrap_or(default),
        };
        for (c, values) in sample.chunks_mut(plane).enumerate() {
            let (mean, std) = (pick(&self.mean, c, 0.0), pick(&self.std, c, 1.0));
            // The division is left out where it would do nothing, so that pixels stay exact.
            for x in values {
                *x *= self.scale;
                if mean != 0.0 || std != 1.0 {
                    *x = (*x - mean) / std;
                }
            }
        }
    }
}

/// An array of samples in a file; the first axis counts the samples.
#[derive(Debug)]
pub struct Samples {
    path: PathBuf,
    /// The array of an .npz file, unpacked: archives cannot be streamed twice.
    unpacked: Option<NamedTempFile>,
    shape: Vec<usize>,
    element: Element,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Element {
    U8,
    F32,
}

impl Element {
    const fn bytes(self) -> usize {
        match self {
            Element::U8 => 1,
            Element::F32 => 4,
        }
    }
}

impl Samples {
    /// Opens a .npy or .npz file of u8 or f32 samples.
    ///
    /// # Errors
    /// If it cannot be read, has another type, or no samples.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let unpacked = unpack(path)?;
        let file = open_npy(path, unpacked.as_ref())?;
        let element = match type_char(&file) {
            Some((TypeChar::Uint, 1)) => Element::U8,
            Some((TypeChar::Float, 4)) => Element::F32,
            _ => {
                return Err(DataError::Type {
                    path: path.into(),
                    found: file.dtype().descr(),
                    expected: "u8 ('|u1') or f32 ('<f4'); convert with numpy's astype",
                });
            }
        };
        let shape: Vec<usize> = file.shape().iter().map(|&d| d as usize).collect();
        if shape.iter().product::<usize>() == 0 || shape.is_empty() {
            return Err(DataError::Empty { path: path.into(), shape });
        }
        Ok(Self { path: path.into(), unpacked, shape, element })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of samples.
    pub fn count(&self) -> usize {
        self.shape[0]
    }

    /// The shape of one sample.
    pub fn sample_shape(&self) -> &[usize] {
        &self.shape[1..]
    }

    /// Checks that samples have the shape that the model's input expects.
    ///
    /// # Errors
    /// If not.
    pub fn expect_shape(&self, input: &str, expected: &[usize]) -> Result<(), DataError> {
        let found = self.sample_shape();
        if found == expected {
            return Ok(());
        }
        let last_first = |s: &[usize]| s.len() == 3 && [s[2], s[0], s[1]] == *expected;
        let hint = if last_first(found) {
            "; the file is NHWC: transpose it to NCHW with numpy.transpose(x, (0, 3, 1, 2))"
        } else if found.len() != expected.len() {
            "; the first axis of the file counts the samples"
        } else {
            ""
        };
        Err(DataError::SampleShape {
            path: self.path.clone(),
            input: input.into(),
            expected: expected.into(),
            found: found.into(),
            hint,
        })
    }

    /// Streams at most `limit` samples in batches of `batch`, preprocessed; every item is the
    /// samples of one batch, one after the other.
    ///
    /// # Errors
    /// If the file cannot be opened again; items fail on short files, NaN and infinity.
    pub fn batches<'a>(
        &'a self,
        batch: usize,
        limit: Option<usize>,
        preprocessing: &'a Preprocessing,
    ) -> Result<impl Iterator<Item = Result<Vec<f32>, DataError>> + use<'a>, DataError> {
        let file = open_npy(&self.path, self.unpacked.as_ref())?;
        let total = limit.unwrap_or(usize::MAX).min(self.count());
        let (batch, sample) = (batch.max(1), self.sample_shape().iter().product::<usize>());
        let channels = self.sample_shape().first().copied().unwrap_or(1);
        let mut reader = file.into_inner();
        Ok((0..total).step_by(batch).map(move |start| {
            let count = batch.min(total - start);
            let mut values = read_elements(&mut reader, self.element, count * sample)
                .map_err(|source| DataError::Unreadable { path: self.path.clone(), source })?;
            for (i, values) in values.chunks_mut(sample).enumerate() {
                self.check_finite(start + i, values)?;
                preprocessing.apply(values, channels);
            }
            Ok(values)
        }))
    }

    /// Streams the samples at `indices`, which are below [`count`](Self::count), in batches of
    /// `batch`, as [`batches`](Self::batches) does.
    ///
    /// # Errors
    /// Likewise.
    pub fn chosen<'a>(
        &'a self,
        indices: &'a [usize],
        batch: usize,
        preprocessing: &'a Preprocessing,
    ) -> Result<impl Iterator<Item = Result<Vec<f32>, DataError>> + use<'a>, DataError> {
        let file = open_npy(&self.path, self.unpacked.as_ref())?;
        let sample = self.sample_shape().iter().product::<usize>();
        let channels = self.sample_shape().first().copied().unwrap_or(1);
        let bytes = (sample * self.element.bytes()) as i64;
        let (mut reader, mut at) = (file.into_inner(), 0);
        Ok(indices.chunks(batch.max(1)).map(move |chunk| {
            let mut batch = Vec::with_capacity(chunk.len() * sample);
            for &index in chunk {
                let unreadable = |source| DataError::Unreadable { path: self.path.clone(), source };
                reader.seek_relative((index as i64 - at) * bytes).map_err(unreadable)?;
                let mut values =
                    read_elements(&mut reader, self.element, sample).map_err(unreadable)?;
                at = index as i64 + 1;
                self.check_finite(index, &values)?;
                preprocessing.apply(&mut values, channels);
                batch.append(&mut values);
            }
            Ok(batch)
        }))
    }

    fn check_finite(&self, sample: usize, values: &[f32]) -> Result<(), DataError> {
        match values.iter().filter(|x| !x.is_finite()).count() {
            0 => Ok(()),
            count => Err(DataError::NotFinite { path: self.path.clone(), sample, count }),
        }
    }

    /// The SHA-256 of the file, as hexadecimal digits.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn hash(&self) -> Result<String, DataError> {
        hash_file(&self.path)
    }
}

/// Reads an array of numbers into memory: its shape and its elements.
///
/// # Errors
/// If the file cannot be read or holds no numbers.
pub fn read_array(path: &Path) -> Result<(Vec<usize>, Vec<f64>), DataError> {
    let unpacked = unpack(path)?;
    let file = open_npy(path, unpacked.as_ref())?;
    let shape = file.shape().iter().map(|&d| d as usize).collect();
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    macro_rules! read {
        ($t:ty) => {
            file.into_vec::<$t>().map_err(unreadable)?.into_iter().map(|x| x as f64).collect()
        };
    }
    let values = match type_char(&file) {
        Some((TypeChar::Int, 8)) => read!(i64),
        Some((TypeChar::Int, 4)) => read!(i32),
        Some((TypeChar::Int, 2)) => read!(i16),
        Some((TypeChar::Int, 1)) => read!(i8),
        Some((TypeChar::Uint, 1)) => read!(u8),
        Some((TypeChar::Uint, 2)) => read!(u16),
        Some((TypeChar::Uint, 4)) => read!(u32),
        Some((TypeChar::Uint, 8)) => read!(u64),
        Some((TypeChar::Float, 4)) => read!(f32),
        Some((TypeChar::Float, 8)) => read!(f64),
        Some((TypeChar::Bool, 1)) => {
            let values = file.into_vec::<bool>().map_err(unreadable)?;
            values.into_iter().map(|x| f64::from(u8::from(x))).collect()
        }
        _ => {
            return Err(DataError::Type {
                path: path.into(),
                found: file.dtype().descr(),
                expected: "numbers, one label a sample",
            });
        }
    };
    Ok((shape, values))
}

/// The SHA-256 of a file, as hexadecimal digits.
///
/// # Errors
/// If the file cannot be read.
pub fn hash_file(path: &Path) -> Result<String, DataError> {
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// Unpacks the one array of an .npz file.
fn unpack(path: &Path) -> Result<Option<NamedTempFile>, DataError> {
    if path.extension().is_none_or(|e| !e.eq_ignore_ascii_case("npz")) {
        return Ok(None);
    }
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    let mut archive = npyz::npz::NpzArchive::open(path).map_err(unreadable)?;
    let names: Vec<String> = archive.array_names().map(String::from).collect();
    let [name] = names.as_slice() else {
        return Err(DataError::Arrays { path: path.into(), found: names.len() });
    };
    let mut temporary = NamedTempFile::new().map_err(unreadable)?;
    let entry = npyz::npz::file_name_from_array_name(name);
    let mut file = archive.zip_archive().by_name(&entry).map_err(|e| unreadable(e.into()))?;
    std::io::copy(&mut file, &mut temporary).map_err(unreadable)?;
    Ok(Some(temporary))
}

fn open_npy(
    path: &Path,
    unpacked: Option<&NamedTempFile>,
) -> Result<NpyFile<BufReader<File>>, DataError> {
    let unreadable = |source| DataError::Unreadable { path: path.into(), source };
    let file = File::open(unpacked.map_or(path, NamedTempFile::path)).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let file = NpyFile::new(BufReader::with_capacity(1 << 18, file)).map_err(unreadable)?;
    if file.order() == Order::Fortran && file.shape().len() > 1 {
        return Err(DataError::FortranOrder { path: path.into() });
    }
    let elements = file.shape().iter().try_fold(1_u64, |n, &d| n.checked_mul(d));
    let size = type_char(&file).map_or(1, |(_, size)| size);
    if elements.and_then(|n| n.checked_mul(size)).is_none_or(|bytes| bytes > length) {
        let problem = format!("its header promises {:?}, more than the file holds", file.shape());
        return Err(unreadable(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, problem)));
    }
    Ok(file)
}

fn type_char<R: Read>(file: &NpyFile<R>) -> Option<(TypeChar, u64)> {
    match file.dtype() {
        DType::Plain(plain) if plain.endianness() != npyz::Endianness::Big => {
            Some((plain.type_char(), plain.size_field()))
        }
        _ => None,
    }
}

fn read_elements(
    reader: &mut impl Read,
    element: Element,
    count: usize,
) -> std::io::Result<Vec<f32>> {
    match element {
        Element::U8 => {
            let mut bytes = vec![0; count];
            reader.read_exact(&mut bytes)?;
            Ok(bytes.into_iter().map(f32::from).collect())
        }
        Element::F32 => {
            let mut bytes = vec![0; count * 4];
            reader.read_exact(&mut bytes)?;
            let floats = bytes.chunks_exact(4);
            Ok(floats.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
        }
    }
}
