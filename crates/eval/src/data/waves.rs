//! Folders of WAV recordings.

use std::path::{Path, PathBuf};

use burn_ptq_deploy::preprocess::Element;
use hound::{SampleFormat, WavReader, WavSpec};

use super::DataError;
use super::location::open;

/// Recordings of one channel, rate and format.
#[derive(Debug)]
pub(super) struct Waves {
    files: Vec<PathBuf>,
    /// Samples in time of each file.
    pub lengths: Vec<usize>,
    spec: WavSpec,
}

impl Waves {
    /// Looks at the format and the length of every recording.
    ///
    /// # Errors
    /// If one cannot be read, has several channels, or differs from the others in rate or format.
    pub(super) fn open(files: Vec<PathBuf>) -> Result<Self, DataError> {
        let mut lengths = Vec::with_capacity(files.len());
        let mut first: Option<WavSpec> = None;
        for file in &files {
            let (_, bytes) = open(file)?;
            let reader = reader(file)?;
            let (spec, length) = (reader.spec(), reader.duration() as usize);
            if spec.channels != 1 {
                let problem = format!(
                    "has {} channels: expected one; mix them down, or save the channels as .npy",
                    spec.channels
                );
                return Err(DataError::format(file, problem));
            }
            let expected = first.get_or_insert(spec);
            let differs = |what: &str, found: String, expected: String| {
                let problem = format!(
                    "has {what} {found}, but {} has {expected}: convert all to that of training",
                    files[0].display()
                );
                Err(DataError::format(file, problem))
            };
            if spec.sample_rate != expected.sample_rate {
                let [found, expected] = [&spec, expected].map(|s| format!("{} Hz", s.sample_rate));
                return differs("a sample rate of", found, expected);
            }
            if spec != *expected {
                return differs("samples of", format_name(&spec), format_name(expected));
            }
            if length as u64 * u64::from(spec.bits_per_sample / 8) > bytes {
                return Err(DataError::format(file, "promises more samples than the file holds"));
            }
            lengths.push(length);
        }
        let spec = first.unwrap_or(WavSpec {
            channels: 1,
            sample_rate: 0,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        });
        Ok(Self { files, lengths, spec })
    }

    pub(super) fn file(&self, index: usize) -> &Path {
        &self.files[index]
    }

    pub(super) fn element(&self) -> Element {
        match (self.spec.sample_format, self.spec.bits_per_sample) {
            (SampleFormat::Float, _) => Element::F32,
            (SampleFormat::Int, ..=8) => Element::I8,
            (SampleFormat::Int, ..=16) => Element::I16,
            (SampleFormat::Int, _) => Element::I32,
        }
    }

    /// `count` samples in time of a recording, from `from` on: integers as they are stored.
    pub(super) fn read(
        &self,
        index: usize,
        from: usize,
        count: usize,
    ) -> Result<Vec<f32>, DataError> {
        let file = &self.files[index];
        let mut reader = reader(file)?;
        let start = u32::try_from(from).unwrap_or(u32::MAX);
        reader
            .seek(start)
            .map_err(|source| DataError::Unreadable { path: file.clone(), source })?;
        let wrong = |e| undecodable(file, &e);
        let values: Result<Vec<f32>, _> = match self.spec.sample_format {
            SampleFormat::Float => reader.samples::<f32>().take(count).collect(),
            SampleFormat::Int => {
                reader.samples::<i32>().take(count).map(|x| x.map(|x| x as f32)).collect()
            }
        };
        let values = values.map_err(wrong)?;
        if values.len() != count {
            return Err(DataError::format(file, "ends before its last sample"));
        }
        Ok(values)
    }
}

fn reader(file: &Path) -> Result<WavReader<std::io::BufReader<std::fs::File>>, DataError> {
    let (opened, _) = open(file)?;
    WavReader::new(std::io::BufReader::new(opened)).map_err(|e| undecodable(file, &e))
}

fn format_name(spec: &WavSpec) -> String {
    let kind = match spec.sample_format {
        SampleFormat::Float => "floats",
        SampleFormat::Int => "integers",
    };
    format!("{} bits, {kind}", spec.bits_per_sample)
}

fn undecodable(file: &Path, error: &hound::Error) -> DataError {
    DataError::format(file, format!("cannot be decoded as WAV: {error}"))
}
