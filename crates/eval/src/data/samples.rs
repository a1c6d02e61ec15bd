//! Samples as a model reads them, whatever form they are stored in, streamed.

use std::path::{Path, PathBuf};

use burn_ptq::graph::Batch;
use burn_ptq_deploy::preprocess::{DataLayout, Element, Preprocessing};
use sha2::{Digest, Sha256};

use super::columns::Wanted;
use super::dense::{Dense, DenseReader};
use super::fit::fit;
use super::folder::{self, Listing};
use super::images::{self, Images};
use super::location::{Form, Location};
use super::notes::rounded;
use super::waves::Waves;
use super::{Array, DataError, hash_file, table};
use crate::input::ModelInput;

/// The most elements of the windows of one recording, which are evaluated together.
const MAX_CLIP: usize = 1 << 28;

/// Samples in a file or a folder, as inputs of a model.
///
/// With [`window_frames`](Preprocessing::window_frames) the file holds recordings: each is an item by
/// itself, whose windows come together, until [`into_windows`](Self::into_windows) makes every window
/// a sample.
#[derive(Debug)]
pub struct Samples {
    path: PathBuf,
    source: Source,
    input: ModelInput,
    /// The place in a raw sample of each element of an input, unless they are in order.
    places: Option<Vec<usize>>,
    recordings: Option<Recordings>,
    items: usize,
    /// Labels that the data hold themselves.
    labels: Option<Array>,
    notes: Vec<String>,
}

#[derive(Debug)]
enum Source {
    Dense(Dense),
    Images(Images),
    Waves(Waves),
}

/// Recordings, of which consecutive frames are inputs.
#[derive(Debug)]
struct Recordings {
    /// Frames of each recording, or of all if there is one entry.
    frames: Vec<usize>,
    /// Elements of a frame.
    features: usize,
    window: usize,
    step: usize,
    /// Where each recording's windows begin to be counted, if every window is a sample.
    begins: Option<Vec<usize>>,
}

impl Recordings {
    fn frames(&self, item: usize) -> usize {
        self.frames.get(item).copied().unwrap_or(self.frames[0])
    }

    fn windows(&self, item: usize) -> usize {
        (self.frames(item) - self.window) / self.step + 1
    }
}

/// The shape of one sample as a .npy or .npz file stores it; `None` for other forms of data.
///
/// # Errors
/// If the file cannot be read.
pub fn stored_sample_shape(path: &Path) -> Result<Option<Vec<usize>>, DataError> {
    let location = Location::of(path);
    match location.form()? {
        form @ (Form::Npy | Form::Npz) => {
            let shape = Dense::open(&location, form)?.shape;
            Ok(shape.split_first().map(|(_, sample)| sample.to_vec()))
        }
        _ => Ok(None),
    }
}

impl Samples {
    /// Opens samples for `input`: a .npy file, an array of a .npz file (`file.npz:x`), a table
    /// (.csv, .tsv, .txt), or a folder of images or recordings.
    ///
    /// # Errors
    /// If the data cannot be read, or do not fit the input.
    pub fn open(path: &Path, input: &ModelInput) -> Result<Self, DataError> {
        Self::open_at(path, &Location::of(path), input)
    }

    /// The same at a location that messages call `path`. In a table its name is that of an input whose
    /// columns are taken.
    pub(super) fn open_at(
        path: &Path,
        location: &Location,
        input: &ModelInput,
    ) -> Result<Self, DataError> {
        let mut input = input.clone();
        let mut notes = Vec::new();
        let window = input.preprocessing.window_frames;
        let len: usize = input.shape.iter().product();
        let (source, items, recordings, labels) = match location.form()? {
            form @ (Form::Npy | Form::Npz) => {
                let dense = Dense::open(location, form)?;
                Self::dense(dense, location, &mut input, &mut notes)?
            }
            Form::Table => {
                let rows = match &location.name {
                    Some(name) if *name == input.name => table::columns_of(location, name, len)?,
                    _ => {
                        let labels = input.label_column.as_deref();
                        table::rows(location, Wanted { elements: len, window, labels })?
                    }
                };
                notes.extend(rows.notes.iter().cloned());
                let labels = rows.labels.clone();
                let labels = labels.map(|l| l.in_order_of(&input.classes, path)).transpose()?;
                if rows.rows == 0 {
                    let shape = vec![0, rows.columns];
                    return Err(DataError::Empty { path: path.into(), shape });
                }
                let dense = Dense::of_rows(rows, &location.path);
                let (source, items, recordings, _) =
                    Self::dense(dense, location, &mut input, &mut Vec::new())?;
                // Labels of single frames are none of windows.
                (source, items, recordings, labels.filter(|_| window.is_none()))
            }
            form => {
                let listing = match form {
                    Form::Folder => folder::list(&location.path, &input.classes)?,
                    _ => Listing {
                        form,
                        files: vec![location.path.clone()],
                        labels: None,
                        notes: Vec::new(),
                    },
                };
                notes.extend(listing.notes.iter().cloned());
                Self::files(listing, &location.path, &mut input, &mut notes)?
            }
        };
        if let (Some(labels), true) = (&labels, input.classes.is_empty()) {
            input.classes.clone_from(&labels.classes);
        }
        let places = match input.preprocessing.layout {
            DataLayout::Model => None,
            _ => {
                let place = |place| input.preprocessing.raw_place(&input.shape, place);
                Some((0..len).map(place).collect())
            }
        };
        let path = path.into();
        Ok(Self { path, source, input, places, recordings, items, labels, notes })
    }

    #[allow(clippy::type_complexity)]
    fn dense(
        dense: Dense,
        location: &Location,
        input: &mut ModelInput,
        notes: &mut Vec<String>,
    ) -> Result<(Source, usize, Option<Recordings>, Option<Array>), DataError> {
        let fit = fit(&location.path, &dense.shape, input)?;
        notes.extend(fit.note);
        input.preprocessing.element = dense.storage().kind.element();
        if input.whole && input.preprocessing.element == Element::F32 {
            if dense.storage().is_float() {
                notes.push(format!(
                    "{}: the input '{}' takes whole numbers: fractions of the floats would be dropped",
                    location.path.display(),
                    input.name
                ));
            }
            input.preprocessing.element = Element::I32;
        }
        if let Some(found) = dense.first_inexact()? {
            notes.push(rounded(&location.path.display().to_string(), &found.to_string()));
        }
        let recordings = fit.frames.map(|(frames, features)| Recordings {
            frames: vec![frames],
            features,
            window: input.preprocessing.window_frames.unwrap_or(1),
            step: input.window_step,
            begins: None,
        });
        Ok((Source::Dense(dense), fit.items, recordings, None))
    }

    #[allow(clippy::type_complexity)]
    fn files(
        listing: Listing,
        path: &Path,
        input: &mut ModelInput,
        notes: &mut Vec<String>,
    ) -> Result<(Source, usize, Option<Recordings>, Option<Array>), DataError> {
        let Listing { form, files, labels, .. } = listing;
        if form == Form::Image {
            let images = Images::open(files, path, input, notes)?;
            input.preprocessing.element = images.element();
            input.preprocessing.layout = images::layout(input);
            let count = images.count();
            return Ok((Source::Images(images), count, None, labels));
        }
        let waves = Waves::open(files)?;
        input.preprocessing.element = waves.element();
        let len: usize = input.shape.iter().product();
        let items = waves.lengths.len();
        let window = input.preprocessing.window_frames;
        let wanted = window.unwrap_or(len);
        for (index, &length) in waves.lengths.iter().enumerate() {
            let problem = if wanted != len {
                format!(
                    "has one value a sample in time: --window-frames must be {len}, what the model's \
                     input '{}' of shape {:?} holds",
                    input.name, input.shape
                )
            } else if window.is_some() && length < wanted {
                format!("has {length} samples in time, fewer than the {wanted} of one window")
            } else if window.is_none() && length != len {
                format!(
                    "has {length} samples in time, but the model's input '{}' of shape {:?} has \
                     {len}; cut or pad the recordings; for calibration, and for the metrics auc and \
                     reconstruction, --window-frames {len} and --window-step N take windows of each",
                    input.name, input.shape
                )
            } else {
                continue;
            };
            return Err(DataError::format(waves.file(index), problem));
        }
        let recordings = window.map(|window| Recordings {
            frames: waves.lengths.clone(),
            features: 1,
            window,
            step: input.window_step,
            begins: None,
        });
        Ok((Source::Waves(waves), items, recordings, labels))
    }

    /// Makes every window of the recordings a sample by itself; nothing changes without windows.
    #[must_use]
    pub fn into_windows(mut self) -> Self {
        if let Some(recordings) = &mut self.recordings {
            let mut begins = Vec::with_capacity(self.items + 1);
            let mut total = 0;
            for item in 0..self.items {
                begins.push(total);
                total += recordings.windows(item);
            }
            begins.push(total);
            recordings.begins = Some(begins);
            self.labels = None;
        }
        self
    }

    /// Whether a sample is a recording, whose windows come together.
    pub fn holds_recordings(&self) -> bool {
        self.recordings.as_ref().is_some_and(|recordings| recordings.begins.is_none())
    }

    /// The path as given by the user.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The number of samples, or of recordings.
    pub fn count(&self) -> usize {
        let begins = self.recordings.as_ref().and_then(|r| r.begins.as_ref());
        begins.and_then(|begins| begins.last().copied()).unwrap_or(self.items)
    }

    /// The inputs that sample `index` consists of: 1, or the windows of a recording.
    pub fn windows(&self, index: usize) -> usize {
        match &self.recordings {
            Some(recordings) if recordings.begins.is_none() => recordings.windows(index),
            _ => 1,
        }
    }

    /// The input that samples were opened for, with what the data say themselves: the type of raw
    /// elements, the layout of images, and the names of classes.
    pub fn input(&self) -> &ModelInput {
        &self.input
    }

    /// How raw elements become inputs.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.input.preprocessing
    }

    /// A note if the raw elements have another type than those that the model was
    /// calibrated with, and both are scaled alike: bytes and floats of one image rarely are.
    pub fn element_note(&self, calibrated: &Preprocessing) -> Option<String> {
        let own = &self.input.preprocessing;
        let formula = |p: &Preprocessing| (p.scale, p.mean.clone(), p.std.clone());
        let alike = formula(own) == formula(calibrated);
        let neutral = formula(own) == formula(&Preprocessing::default());
        if own.element == calibrated.element || neutral || !alike {
            return None;
        }
        Some(format!(
            "{}: its elements are {}, the model was calibrated with {}; both are scaled alike (by {}), \
             check that they mean the same",
            self.path.display(),
            own.element.name(),
            calibrated.element.name(),
            own.scale
        ))
    }

    /// Labels that the data hold themselves: a column of a table, or the folders of files.
    pub fn labels(&self) -> Option<&Array> {
        self.labels.as_ref()
    }

    /// Notes on how the data were read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Streams at most `limit` samples in batches of `batch`, preprocessed and in the order of the
    /// model's input.
    ///
    /// # Errors
    /// If the file cannot be opened again; items fail on short files, NaN and infinity.
    pub fn batches(
        &self,
        batch: usize,
        limit: Option<usize>,
    ) -> Result<impl Iterator<Item = Result<Batch, DataError>> + use<'_>, DataError> {
        let total = limit.unwrap_or(usize::MAX).min(self.count());
        let batch = batch.max(1);
        let mut reader = self.reader()?;
        Ok((0..total).step_by(batch).map(move |start| {
            self.read_batch(&mut reader, start..total.min(start.saturating_add(batch)))
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
    ) -> Result<impl Iterator<Item = Result<Batch, DataError>> + use<'a>, DataError> {
        let mut reader = self.reader()?;
        Ok(indices
            .chunks(batch.max(1))
            .map(move |chunk| self.read_batch(&mut reader, chunk.iter().copied())))
    }

    fn reader(&self) -> Result<Option<DenseReader<'_>>, DataError> {
        match &self.source {
            Source::Dense(dense) => dense.reader().map(Some),
            Source::Images(_) | Source::Waves(_) => Ok(None),
        }
    }

    fn read_batch(
        &self,
        reader: &mut Option<DenseReader>,
        indices: impl Iterator<Item = usize>,
    ) -> Result<Batch, DataError> {
        let mut inputs = Vec::new();
        for index in indices {
            self.read_sample(reader, index, &mut inputs)?;
        }
        Ok(Batch::new(inputs, self.input.shape.iter().product()))
    }

    /// Appends the inputs of one sample.
    fn read_sample(
        &self,
        reader: &mut Option<DenseReader>,
        index: usize,
        inputs: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        let len: usize = self.input.shape.iter().product();
        let Some(recordings) = &self.recordings else {
            let raw = self.read_raw(reader, index, len, 0, len)?;
            self.check_finite(index, &raw)?;
            self.append(&raw, inputs);
            return Ok(());
        };
        let Recordings { features, step, .. } = *recordings;
        if let Some(begins) = &recordings.begins {
            let item = begins.partition_point(|&begin| begin <= index) - 1;
            let from = (index - begins[item]) * step * features;
            let raw = self.read_raw(reader, item, recordings.frames(item) * features, from, len)?;
            self.check_finite(index, &raw)?;
            self.append(&raw, inputs);
            return Ok(());
        }
        let windows = recordings.windows(index);
        if windows.saturating_mul(len) > MAX_CLIP {
            let problem = format!(
                "recording {index} has {windows} windows of {len} elements, too many to evaluate \
                 together: give --window-step N for windows that begin every N frames"
            );
            return Err(DataError::TooLarge { path: self.path.clone(), problem });
        }
        let all = recordings.frames(index) * features;
        let raw = self.read_raw(reader, index, all, 0, all)?;
        self.check_finite(index, &raw)?;
        inputs.reserve(windows * len);
        for window in 0..windows {
            let from = window * step * features;
            self.append(&raw[from..from + len], inputs);
        }
        Ok(())
    }

    /// `count` raw elements of item `item`, which has `item_len`, from `from` on.
    fn read_raw(
        &self,
        reader: &mut Option<DenseReader>,
        item: usize,
        item_len: usize,
        from: usize,
        count: usize,
    ) -> Result<Vec<f32>, DataError> {
        match (&self.source, reader) {
            (Source::Dense(_), Some(reader)) => reader.read(item * item_len + from, count),
            (Source::Dense(dense), None) => dense.reader()?.read(item * item_len + from, count),
            (Source::Images(images), _) => images.read(item),
            (Source::Waves(waves), _) => waves.read(item, from, count),
        }
    }

    /// Appends an input: its elements in the model's order, preprocessed.
    fn append(&self, raw: &[f32], inputs: &mut Vec<f32>) {
        let begin = inputs.len();
        match &self.places {
            None => inputs.extend(raw),
            Some(places) => inputs.extend(places.iter().map(|&place| raw[place])),
        }
        if self.input.whole {
            inputs[begin..].iter_mut().for_each(|x| *x = x.trunc());
        }
        self.input.preprocessing.apply(&mut inputs[begin..], &self.input.shape);
    }

    fn check_finite(&self, sample: usize, values: &[f32]) -> Result<(), DataError> {
        match values.iter().filter(|x| !x.is_finite()).count() {
            0 => Ok(()),
            count => Err(DataError::NotFinite { path: self.path.clone(), sample, count }),
        }
    }

    /// The SHA-256 of the file, or of the names and contents of all files of a folder, as hexadecimal
    /// digits.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn hash(&self) -> Result<String, DataError> {
        let location = Location::of(&self.path);
        let files = match &self.source {
            Source::Images(images) => (0..images.count()).map(|i| images.file(i)).collect(),
            Source::Waves(waves) => (0..waves.lengths.len()).map(|i| waves.file(i)).collect(),
            Source::Dense(_) => Vec::new(),
        };
        if files.is_empty() || files == [location.path.as_path()] {
            return hash_file(&location.path);
        }
        let mut hasher = Sha256::new();
        for file in files {
            let name = file.strip_prefix(&location.path).unwrap_or(file).to_string_lossy();
            hasher.update(format!("{} {name}\n", hash_file(file)?));
        }
        Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}
