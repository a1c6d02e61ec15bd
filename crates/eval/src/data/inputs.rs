//! Samples of models with any number of inputs: the data of each input, read side by side.
//!
//! With several inputs the data are `NAME=PATH` for each of them, in any form that a single input takes;
//! or one .npz file with an array of each input's name; or one folder with a file or folder of each
//! name; or one table whose columns are named `NAME` for an input of one element, and `NAME.0`, `NAME.1`,
//! .. for others.

use std::path::{Path, PathBuf};

use burn_ptq::graph::{Batch, interleaved};
use burn_ptq_deploy::preprocess::Preprocessing;
use sha2::{Digest, Sha256};

use super::location::{Form, Location};
use super::npy::printable;
use super::{Array, DataError, Samples, npz};
use crate::input::ModelInput;

/// Where samples lie: a path, or one for each input as `NAME=PATH`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SamplePaths(pub Vec<PathBuf>);

impl SamplePaths {
    /// What messages call them.
    pub fn shown(&self) -> PathBuf {
        let paths: Vec<String> = self.0.iter().map(|path| path.display().to_string()).collect();
        paths.join(", ").into()
    }

    /// The path, if there is but one and it names no input.
    pub fn single(&self) -> Option<&Path> {
        match &self.0[..] {
            [only] => Some(only),
            _ => None,
        }
    }
}

impl<P: Into<PathBuf>> From<P> for SamplePaths {
    fn from(path: P) -> Self {
        Self(vec![path.into()])
    }
}

/// The inputs with the column that `labels` names, if they lie in one of a table: samples in tables leave it
/// out.
pub(crate) fn with_label_column(inputs: &[ModelInput], labels: Option<&Path>) -> Vec<ModelInput> {
    let location = labels.map(Location::of);
    let column = location.as_ref().and_then(Location::column);
    let named = |input: &ModelInput| ModelInput {
        label_column: column.map(str::to_owned),
        ..input.clone()
    };
    inputs.iter().map(named).collect()
}

/// Samples as a model with these inputs reads them; see [`Samples`].
#[derive(Debug)]
pub struct Inputs {
    paths: SamplePaths,
    /// One for each input of the model.
    parts: Vec<Samples>,
    notes: Vec<String>,
}

impl Inputs {
    /// Opens the samples for `inputs`, all inputs of a model.
    ///
    /// # Errors
    /// If data of an input are missing, cannot be read or do not fit it, or inputs have different
    /// numbers of samples.
    pub fn open(paths: &SamplePaths, inputs: &[ModelInput]) -> Result<Self, DataError> {
        let mut notes = Vec::new();
        let locations = locate(paths, inputs, &mut notes)?;
        let mut parts: Vec<Samples> = Vec::new();
        for (input, (shown, location)) in inputs.iter().zip(locations) {
            if inputs.len() > 1 && input.preprocessing.window_frames.is_some() {
                let problem = format!(
                    "windows of recordings are for models with one input, but this has {}; cut the \
                     windows and give them as arrays",
                    inputs.len()
                );
                return Err(DataError::format(&shown, problem));
            }
            let part = Samples::open_at(&shown, &location, input)?;
            if let Some(first) = parts.first()
                && first.count() != part.count()
            {
                let (one, other) = (&inputs[0].name, &input.name);
                let problem = format!(
                    "holds {} samples for the input '{other}', but there are {} for '{one}'",
                    part.count(),
                    first.count()
                );
                return Err(DataError::format(&shown, problem));
            }
            parts.push(part);
        }
        Ok(Self { paths: paths.clone(), parts, notes })
    }

    /// The data of each input.
    pub fn parts(&self) -> &[Samples] {
        &self.parts
    }

    /// Makes every window of recordings a sample by itself; nothing changes without windows.
    #[must_use]
    pub fn into_windows(mut self) -> Self {
        self.parts = self.parts.into_iter().map(Samples::into_windows).collect();
        self
    }

    /// Whether a sample is a recording, whose windows come together.
    pub fn holds_recordings(&self) -> bool {
        self.parts.iter().any(Samples::holds_recordings)
    }

    /// The paths as given by the user, in words.
    pub fn path(&self) -> PathBuf {
        self.paths.shown()
    }

    /// The number of samples, or of recordings.
    pub fn count(&self) -> usize {
        self.parts[0].count()
    }

    /// The inputs that sample `index` consists of: 1, or the windows of a recording.
    pub fn windows(&self, index: usize) -> usize {
        self.parts[0].windows(index)
    }

    /// The first input, with what the data say themselves: the names of classes, too.
    pub fn input(&self) -> &ModelInput {
        let named = self.parts.iter().find(|part| !part.input().classes.is_empty());
        named.unwrap_or(&self.parts[0]).input()
    }

    /// The shape of one sample of the first input.
    pub fn shape(&self) -> &[usize] {
        &self.parts[0].input().shape
    }

    /// How raw elements become each input.
    pub fn preprocessings(&self) -> Vec<Preprocessing> {
        self.parts.iter().map(|part| part.preprocessing().clone()).collect()
    }

    /// Notes where raw elements have other types than `calibrated` ones; see
    /// [`Samples::element_note`].
    pub fn element_notes<'a>(
        &self,
        calibrated: impl IntoIterator<Item = &'a Preprocessing>,
    ) -> Vec<String> {
        let pairs = self.parts.iter().zip(calibrated);
        pairs.filter_map(|(part, calibrated)| part.element_note(calibrated)).collect()
    }

    /// Labels that the data hold themselves.
    pub fn labels(&self) -> Option<&Array> {
        self.parts.iter().find_map(Samples::labels)
    }

    /// Notes on how the data were read.
    pub fn notes(&self) -> impl Iterator<Item = &String> {
        self.notes.iter().chain(self.parts.iter().flat_map(Samples::notes))
    }

    /// Streams at most `limit` samples in batches of `batch`; of each sample all inputs, one after the
    /// other.
    ///
    /// # Errors
    /// As [`Samples::batches`].
    pub fn batches(
        &self,
        batch: usize,
        limit: Option<usize>,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch, DataError>> + '_>, DataError> {
        let mut streams = Vec::new();
        for part in &self.parts {
            streams.push(part.batches(batch, limit)?);
        }
        Ok(side_by_side(streams))
    }

    /// Streams the samples at `indices`, in batches of `batch`, as [`batches`](Self::batches) does.
    ///
    /// # Errors
    /// Likewise.
    pub fn chosen<'a>(
        &'a self,
        indices: &'a [usize],
        batch: usize,
    ) -> Result<Box<dyn Iterator<Item = Result<Batch, DataError>> + 'a>, DataError> {
        let mut streams = Vec::new();
        for part in &self.parts {
            streams.push(part.chosen(indices, batch)?);
        }
        Ok(side_by_side(streams))
    }

    /// The SHA-256 of the data, as hexadecimal digits: for one input that of [`Samples::hash`].
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn hash(&self) -> Result<String, DataError> {
        if let [only] = &self.parts[..] {
            return only.hash();
        }
        let mut hasher = Sha256::new();
        for part in &self.parts {
            hasher.update(format!("{} {}\n", part.hash()?, part.input().name));
        }
        Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
    }
}

/// The batches of several streams as one.
fn side_by_side<'a>(
    mut streams: Vec<impl Iterator<Item = Result<Batch, DataError>> + 'a>,
) -> Box<dyn Iterator<Item = Result<Batch, DataError>> + 'a> {
    if streams.len() == 1 {
        return Box::new(streams.remove(0));
    }
    Box::new(std::iter::from_fn(move || {
        let batches: Option<Vec<_>> = streams.iter_mut().map(Iterator::next).collect();
        let batches: Result<Vec<Batch>, DataError> = batches?.into_iter().collect();
        Some(batches.map(|batches| {
            let count = batches.first().map_or(0, |batch| batch.count);
            let parts: Vec<Vec<f32>> = batches.into_iter().map(|batch| batch.values).collect();
            Batch { values: interleaved(&parts, count), count }
        }))
    }))
}

/// Where the data of each input lie, with what messages call the place.
fn locate(
    paths: &SamplePaths,
    inputs: &[ModelInput],
    notes: &mut Vec<String>,
) -> Result<Vec<(PathBuf, Location)>, DataError> {
    let mut found: Vec<Option<(PathBuf, Location)>> = vec![None; inputs.len()];
    let mut unnamed: Vec<&PathBuf> = Vec::new();
    let known = || inputs.iter().map(described).collect::<Vec<_>>().join(", ");
    for path in &paths.0 {
        let Some((name, file)) = named(path, inputs) else {
            unnamed.push(path);
            continue;
        };
        let index = inputs.iter().position(|input| input.name == name);
        let Some(index) = index else {
            let problem = format!(
                "'{}' is not an input of the model: its inputs are {}",
                printable(name),
                known()
            );
            return Err(DataError::format(path, problem));
        };
        if found[index].is_some() {
            let problem = format!("data for the input '{}' are given twice", printable(name));
            return Err(DataError::format(path, problem));
        }
        found[index] = Some((file.into(), Location::of(Path::new(file))));
    }
    match (&unnamed[..], inputs) {
        ([], _) => {}
        ([path], [only]) if found[0].is_none() => {
            let location = in_archive(path, only)?;
            found[0] = Some(((*path).clone(), location));
        }
        ([path], _) if found.iter().all(Option::is_none) => {
            found = spread(path, inputs, notes)?.into_iter().map(Some).collect();
        }
        ([path, ..], _) => {
            let problem = format!(
                "it is not said for which input it is: write NAME=PATH; the model's inputs are {}",
                known()
            );
            return Err(DataError::format(path, problem));
        }
    }
    let missing: Vec<String> = (inputs.iter().zip(&found))
        .filter(|(_, found)| found.is_none())
        .map(|(input, _)| described(input))
        .collect();
    if !missing.is_empty() {
        let problem = format!(
            "there are no samples for the input{} {}: give NAME=PATH for each{}",
            if missing.len() == 1 { "" } else { "s" },
            missing.join(", "),
            perhaps_states(inputs)
        );
        return Err(DataError::format(&paths.shown(), problem));
    }
    Ok(found.into_iter().flatten().collect())
}

/// What to do if an input is what an output was in the step before.
fn perhaps_states(inputs: &[ModelInput]) -> String {
    let pair = |input: &ModelInput| {
        let output = input.maybe_state.as_ref()?;
        Some((printable(&input.name).to_string(), printable(output).to_string()))
    };
    match inputs.iter().find_map(pair) {
        Some((input, output)) => format!(
            "; if '{input}' is what '{output}' was in the step before, give --state {input}={output}"
        ),
        None => String::new(),
    }
}

/// An input in messages.
fn described(input: &ModelInput) -> String {
    format!("'{}' {:?}", printable(&input.name), input.shape)
}

/// Splits `NAME=PATH`, unless a file of the whole name exists or nothing looks like a name.
fn named<'a>(path: &'a Path, inputs: &[ModelInput]) -> Option<(&'a str, &'a str)> {
    let text = path.to_str()?;
    // Names may hold the sign too.
    let own = inputs.iter().find_map(|input| {
        let rest = text.strip_prefix(input.name.as_str())?.strip_prefix('=')?;
        Some((&text[..input.name.len()], rest))
    });
    if own.is_some() {
        return own;
    }
    let (name, file) = text.split_once('=')?;
    let is_name = !name.is_empty() && !name.contains(['/', '\\']) && !path.exists();
    is_name.then_some((name, file))
}

/// The array of an archive that has the input's name, if it has one; else what a path alone means.
fn in_archive(path: &Path, input: &ModelInput) -> Result<Location, DataError> {
    let location = Location::of(path);
    let is_archive = location.name.is_none() && matches!(location.form(), Ok(Form::Npz));
    if is_archive && npz::names(&location.path)?.contains(&input.name) {
        return Ok(Location { name: Some(input.name.clone()), ..location });
    }
    Ok(location)
}

/// The data of several inputs that one path holds.
fn spread(
    path: &Path,
    inputs: &[ModelInput],
    notes: &mut Vec<String>,
) -> Result<Vec<(PathBuf, Location)>, DataError> {
    let location = Location::of(path);
    let known = || inputs.iter().map(described).collect::<Vec<_>>().join(", ");
    let each = format!(
        "give NAME=PATH for each, or an .npz file with one array of each name{}",
        perhaps_states(inputs)
    );
    match location.form()? {
        Form::Npz if location.name.is_none() => {
            let names = npz::names(path)?;
            let missing: Vec<String> =
                inputs.iter().filter(|i| !names.contains(&i.name)).map(described).collect();
            if !missing.is_empty() {
                let found: Vec<String> =
                    names.iter().take(8).map(|name| format!("'{}'", printable(name))).collect();
                let problem = format!(
                    "holds no array for the input{} {}; its arrays are {}",
                    if missing.len() == 1 { "" } else { "s" },
                    missing.join(", "),
                    found.join(", ")
                );
                return Err(DataError::format(path, problem));
            }
            let unused = names.iter().filter(|name| inputs.iter().all(|i| i.name != **name));
            for name in unused {
                let name = printable(name);
                notes.push(format!("{}: the array '{name}' is not an input", path.display()));
            }
            let at = |input: &ModelInput| {
                let name = Some(input.name.clone());
                let shown = format!("{}:{}", path.display(), input.name).into();
                (shown, Location { path: path.into(), name })
            };
            Ok(inputs.iter().map(at).collect())
        }
        Form::Folder => inputs.iter().map(|input| in_folder(path, input)).collect(),
        Form::Table => {
            let at = |input: &ModelInput| {
                let name = Some(input.name.clone());
                (path.to_path_buf(), Location { path: path.into(), name })
            };
            Ok(inputs.iter().map(at).collect())
        }
        _ => {
            let problem = format!(
                "is one array, but the model has {} inputs, {}; {each}",
                inputs.len(),
                known()
            );
            Err(DataError::format(path, problem))
        }
    }
}

/// The file or folder of an input's name.
fn in_folder(folder: &Path, input: &ModelInput) -> Result<(PathBuf, Location), DataError> {
    // Names of files cannot hold everything that names of inputs can.
    let plain: String =
        input.name.chars().map(|c| if matches!(c, '/' | '\\' | ':') { '_' } else { c }).collect();
    let candidates = ["npy", "npz", "csv", "tsv"].map(|e| folder.join(format!("{plain}.{e}")));
    let file = candidates.into_iter().find(|path| path.is_file());
    let found = file.or_else(|| Some(folder.join(&plain)).filter(|path| path.is_dir()));
    match found {
        Some(path) => Ok((path.clone(), Location::of(&path))),
        None => Err(DataError::format(
            folder,
            format!(
                "holds neither {plain}.npy, .npz, .csv or .tsv nor a folder {plain} for the input {}",
                described(input)
            ),
        )),
    }
}
