//! Tables in text: CSV with commas, semicolons or tabs, a header or none, and labels one per line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, Trim};
use tempfile::NamedTempFile;

use super::columns::{Columns, Wanted, is_heading, label_columns};
use super::location::{Location, open};
use super::notes::rounded;
use super::npy::{MAGIC, printable};
use super::{Array, DataError, Values};

/// The most bytes of one record.
const MAX_RECORD: usize = 64 << 20;
/// The first bytes, out of which the delimiter is found.
const SNIFFED: u64 = 1 << 20;
/// The most columns that a message lists.
const LISTED: usize = 8;

/// A table while it is read.
struct Table<'a> {
    path: &'a Path,
    reader: csv::Reader<Bounded>,
    /// The names of the columns, if the first row holds names.
    header: Option<Vec<String>>,
    columns: usize,
    /// The first row, if it holds numbers.
    first: Option<ByteRecord>,
    record: ByteRecord,
}

/// A file from which no record may be larger than [`MAX_RECORD`].
struct Bounded {
    file: File,
    since_record: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since_record > MAX_RECORD {
            return Err(std::io::Error::other(format!(
                "one of its rows is longer than {MAX_RECORD} bytes"
            )));
        }
        let count = self.file.read(buffer)?;
        self.since_record += count;
        Ok(count)
    }
}

/// The samples of a table: its rows, or of a recording its steps in time.
#[derive(Debug)]
pub(super) struct Rows {
    /// All of its numbers but the labels, as f32.
    pub numbers: NamedTempFile,
    pub rows: usize,
    pub columns: usize,
    /// The column that is not an input.
    pub labels: Option<Array>,
    pub notes: Vec<String>,
}

impl<'a> Table<'a> {
    fn open(path: &'a Path) -> Result<Self, DataError> {
        let unreadable = |source| DataError::Unreadable { path: path.into(), source };
        let (mut file, _) = open(path)?;
        let mut begin = Vec::new();
        Read::by_ref(&mut file).take(SNIFFED).read_to_end(&mut begin).map_err(unreadable)?;
        if begin.starts_with(MAGIC) || begin.contains(&0) {
            return Err(DataError::format(path, "is not text; expected a table of numbers"));
        }
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter(&begin))
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(Trim::All)
            .from_reader(Bounded { file, since_record: 0 });
        let mut first = ByteRecord::new();
        if !reader.read_byte_record(&mut first).map_err(|e| broken(path, e))? {
            return Err(DataError::Empty { path: path.into(), shape: vec![0] });
        }
        let columns = first.len();
        let numbers = first.iter().all(|field| number(field).is_some());
        // What pandas writes for a table without names: 0, 1, 2, ..
        let counted = columns > 2
            && first.iter().enumerate().all(|(i, field)| field == i.to_string().as_bytes());
        let header = (!numbers || counted).then(|| first.iter().map(text).collect());
        let first = header.is_none().then_some(first);
        Ok(Self { path, reader, header, columns, first, record: ByteRecord::new() })
    }

    /// The next row with its line; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, &ByteRecord)>, DataError> {
        if let Some(first) = self.first.take() {
            self.record = first;
        } else {
            self.reader.get_mut().since_record = 0;
            let more = self.reader.read_byte_record(&mut self.record);
            if !more.map_err(|e| broken(self.path, e))? {
                return Ok(None);
            }
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        if self.record.len() != self.columns {
            let (found, columns) = (self.record.len(), self.columns);
            let plural = if found == 1 { "" } else { "s" };
            let problem =
                format!("line {line} has {found} column{plural}, but the first row has {columns}");
            return Err(DataError::format(self.path, problem));
        }
        Ok(Some((line, &self.record)))
    }

    /// What messages call a column.
    fn column_name(&self, column: usize) -> String {
        match self.header.as_ref().and_then(|names| names.get(column)) {
            Some(name) if !name.is_empty() => format!("'{}'", printable(name)),
            _ => (column + 1).to_string(),
        }
    }

    /// The column of this name.
    fn column(&self, name: &str) -> Result<usize, DataError> {
        let names = self.header.as_deref().unwrap_or_default();
        if let Some(column) = names.iter().position(|n| n == name) {
            return Ok(column);
        }
        let advice = match names {
            [] => "its first row is numbers, not the names of its columns".into(),
            _ => format!("none is called '{}'", printable(name)),
        };
        Err(DataError::Choice { path: self.path.into(), found: self.list(), advice })
    }

    /// The columns whose names say that they are labels.
    fn label_columns(&self) -> Vec<usize> {
        label_columns(self.header.as_deref().unwrap_or_default())
    }

    /// The columns, for messages.
    fn list(&self) -> String {
        let plural = if self.columns == 1 { "" } else { "s" };
        let count = format!("{} column{plural}", self.columns);
        match &self.header {
            None => count,
            Some(names) => {
                let shown = names.iter().take(LISTED).map(|name| format!("'{}'", printable(name)));
                let more = if names.len() > LISTED { ", .." } else { "" };
                format!("{count} ({}{more})", shown.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn cell(&self, line: u64, column: usize, field: &[u8]) -> DataError {
        let found = printable(&text(field));
        let comma = field.iter().filter(|&&byte| byte == b',').count() == 1
            && number(&field.iter().map(|&b| if b == b',' { b'.' } else { b }).collect::<Vec<_>>())
                .is_some();
        let problem = match found.as_str() {
            "" => "the cell is empty; fill it or leave the row out".into(),
            _ if comma => format!("'{found}' has a decimal comma; write a point"),
            _ => format!(
                "'{found}' is not a number; leave the column out, or name it 'label' if it is one"
            ),
        };
        let (path, column) = (self.path.into(), self.column_name(column));
        DataError::Cell { path, line, column, problem }
    }
}

/// Reads labels, targets or groups: the named column, the only one, the one whose name says so, or
/// all of them.
pub(super) fn labels(location: &Location) -> Result<Array, DataError> {
    let mut table = Table::open(&location.path)?;
    let columns: Vec<usize> = match (&location.name, table.label_columns().as_slice()) {
        (Some(name), _) => vec![table.column(name)?],
        (None, [only]) => vec![*only],
        (None, []) => (0..table.columns).collect(),
        (None, _) => {
            let advice = format!("name the one to take: {}:NAME", location.path.display());
            return Err(DataError::Choice {
                path: location.path.clone(),
                found: table.list(),
                advice,
            });
        }
    };
    // A single name above numbers is told apart by what follows.
    let mut fields = Fields::default();
    let mut numbers = Vec::new();
    while let Some((line, record)) = table.next()? {
        if let [column] = columns[..] {
            fields.push(&record[column]);
            continue;
        }
        for &column in &columns {
            match number(&record[column]) {
                Some(x) => numbers.push(x),
                None => {
                    let field = record[column].to_vec();
                    return Err(table.cell(line, column, &field));
                }
            }
        }
    }
    let shape = |count: usize| vec![count / columns.len().max(1), columns.len()];
    let array = match columns[..] {
        [_] if table.columns == 1 && fields.are_names() && location.name.is_none() => {
            // Names without a header: what looked like one is the first label.
            let first = table.header.take().filter(|names| table_has_no_header(names, &fields));
            fields.with_first(first.and_then(|names| names.into_iter().next())).array()
        }
        [_] => fields.array(),
        _ => Array { shape: shape(numbers.len()), values: whole(numbers), classes: Vec::new() },
    };
    if array.values.is_empty() {
        return Err(DataError::Empty { path: location.path.clone(), shape: array.shape });
    }
    Ok(array)
}

/// Whether the first line of a file with one column is a label like the others, and no heading.
fn table_has_no_header(names: &[String], fields: &Fields) -> bool {
    names.len() == 1 && !is_heading(&names[0]) && !fields.0.is_empty()
}

/// The fields of a column of labels.
#[derive(Default)]
struct Fields(Vec<String>);

impl Fields {
    fn push(&mut self, field: &[u8]) {
        self.0.push(text(field));
    }

    fn are_names(&self) -> bool {
        self.0.iter().any(|field| number(field.as_bytes()).is_none())
    }

    fn with_first(mut self, first: Option<String>) -> Self {
        self.0.splice(0..0, first);
        self
    }

    /// Numbers if all are, otherwise the indices of sorted names.
    fn array(self) -> Array {
        let numbers: Option<Vec<f64>> =
            self.0.iter().map(|field| number(field.as_bytes())).collect();
        if let Some(numbers) = numbers {
            return Array {
                shape: vec![numbers.len()],
                values: whole(numbers),
                classes: Vec::new(),
            };
        }
        let mut classes = self.0.clone();
        classes.sort_unstable();
        classes.dedup();
        let index = |name: &String| classes.binary_search(name).unwrap_or_default() as i64;
        Array::classes(self.0.iter().map(index).collect(), classes)
    }
}

/// Reads the numbers of a table: all columns but those of labels.
pub(super) fn rows(location: &Location, wanted: Wanted) -> Result<Rows, DataError> {
    let path = &location.path;
    if let Some(name) = &location.name {
        let problem = format!(
            "a sample is a whole row; write {} without :{}, and --labels {0}:{1} for labels",
            path.display(),
            printable(name)
        );
        return Err(DataError::format(path, problem));
    }
    let table = Table::open(path)?;
    let names = table.header.as_deref().unwrap_or_default();
    let Some(columns) = Columns::choose(table.columns, names, wanted) else {
        let advice = wanted.advice(path, table.columns, names);
        return Err(DataError::Choice { path: path.clone(), found: table.list(), advice });
    };
    let mut notes = Vec::new();
    let left_out: Vec<String> =
        columns.left_out.iter().map(|&column| table.column_name(column)).collect();
    match (&left_out[..], columns.labels) {
        ([], _) => {}
        ([name], Some(_)) => {
            notes.push(format!(
                "{}: column {name} is taken as labels, not as input",
                path.display()
            ));
        }
        (names, labels) => notes.push(format!(
            "{}: columns {} are not taken as input{}",
            path.display(),
            names.join(" and "),
            labels.map_or(String::new(), |column| format!(
                "; {} holds the labels",
                table.column_name(column)
            ))
        )),
    }
    read_columns(table, &columns.inputs, columns.labels, notes)
}

/// Reads the columns of the input called `name`, of `elements` elements: one of its name, or those whose
/// names are that and a number (`NAME.0`, `NAME_0`, `NAME[0]`), in the order of the numbers.
pub(super) fn columns_of(
    location: &Location,
    name: &str,
    elements: usize,
) -> Result<Rows, DataError> {
    let table = Table::open(&location.path)?;
    let names = table.header.as_deref().unwrap_or_default();
    let number_of = |column: &str| -> Option<usize> {
        let rest = column.strip_prefix(name)?;
        let digits = rest.strip_prefix(['.', '_', '['])?;
        digits.strip_suffix(']').unwrap_or(digits).parse().ok()
    };
    let mut own: Vec<(usize, usize)> = names
        .iter()
        .enumerate()
        .filter_map(|(column, text)| {
            let number = if text == name && elements == 1 { Some(0) } else { number_of(text) };
            Some((number?, column))
        })
        .collect();
    own.sort_unstable();
    if own.len() != elements || own.iter().enumerate().any(|(i, (number, _))| i != *number) {
        let found = table.list();
        let advice = format!(
            "the input '{}' has {elements} elements: its columns are called {}",
            printable(name),
            match elements {
                1 => printable(name),
                _ => format!("{0}.0 to {0}.{1}", printable(name), elements - 1),
            }
        );
        return Err(DataError::Choice { path: location.path.clone(), found, advice });
    }
    let label = match table.label_columns()[..] {
        [label] if own.iter().all(|(_, column)| *column != label) => Some(label),
        _ => None,
    };
    let columns: Vec<usize> = own.into_iter().map(|(_, column)| column).collect();
    read_columns(table, &columns, label, Vec::new())
}

/// Reads `columns` as numbers, in this order, and the column of labels.
fn read_columns(
    mut table: Table,
    columns: &[usize],
    label: Option<usize>,
    mut notes: Vec<String>,
) -> Result<Rows, DataError> {
    let path = &table.path.to_path_buf();
    let unreadable = |source| DataError::Unreadable { path: path.clone(), source };
    let mut numbers = NamedTempFile::new().map_err(unreadable)?;
    let (mut rows, mut fields) = (0, Fields::default());
    let mut inexact = BTreeMap::new();
    {
        let mut out = std::io::BufWriter::new(&mut numbers);
        while let Some((line, record)) = table.next()? {
            let mut wrong = None;
            if let Some(label) = label {
                fields.push(&record[label]);
            }
            for &column in columns {
                let field = &record[column];
                let Some(exact) = number(field) else {
                    wrong = Some((column, field.to_vec()));
                    break;
                };
                // Directly, since rounding twice is not rounding once.
                let value: f32 = text(field).parse().unwrap_or(f32::NAN);
                if value.is_infinite() && exact.is_finite() {
                    return Err(DataError::OutOfRange { path: path.clone(), value: exact });
                }
                if let Some(whole) = whole_number(field).filter(|&x| x != value as i128) {
                    inexact.entry(column).or_insert(whole);
                }
                out.write_all(&value.to_le_bytes()).map_err(unreadable)?;
            }
            if let Some((column, field)) = wrong {
                return Err(table.cell(line, column, &field));
            }
            rows += 1;
        }
        out.flush().map_err(unreadable)?;
    }
    for (column, number) in inexact {
        let place = format!("{}, column {}", path.display(), table.column_name(column));
        notes.push(rounded(&place, &number.to_string()));
    }
    let labels = label.map(|_| fields.array());
    Ok(Rows { numbers, rows, columns: columns.len(), labels, notes })
}

/// The delimiter that the first line has most of; spaces only between numbers.
fn delimiter(begin: &[u8]) -> u8 {
    let line = BufReader::new(begin).split(b'\n').map_while(Result::ok).find(|line| {
        let line = line.trim_ascii();
        !line.is_empty() && !line.starts_with(b"#")
    });
    let line = line.unwrap_or_default();
    let count = |delimiter: u8| {
        let mut quoted = false;
        line.iter()
            .filter(|&&byte| {
                quoted ^= byte == b'"';
                byte == delimiter && !quoted
            })
            .count()
    };
    // The first of equals.
    let best = [b'\t', b';', b','].into_iter().rev().max_by_key(|&delimiter| count(delimiter));
    let best = best.unwrap_or(b',');
    if count(best) > 0 {
        return best;
    }
    let line = String::from_utf8_lossy(&line);
    let mut words = line.split_whitespace();
    let several = words.clone().count() > 1;
    if several && words.all(|word| number(word.as_bytes()).is_some()) { b' ' } else { b',' }
}

fn number(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

/// The number of a field that is written without a point or an exponent.
fn whole_number(field: &[u8]) -> Option<i128> {
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).trim().to_owned()
}

/// Integers if all are whole.
fn whole(numbers: Vec<f64>) -> Values {
    let array = Array { shape: Vec::new(), values: Values::Floats(numbers), classes: Vec::new() };
    match (array.integers(), array.values) {
        (Some(integers), _) => Values::Integers(integers),
        (None, floats) => floats,
    }
}

fn broken(path: &Path, error: csv::Error) -> DataError {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => DataError::Unreadable { path: path.into(), source },
        kind => DataError::format(path, format!("is not a valid table: {kind:?}")),
    }
}
