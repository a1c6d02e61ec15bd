//! Every form of data, as files that the tests write.

use std::io::Write;
use std::path::{Path, PathBuf};

use burn_ptq::graph::Batch;
use burn_ptq_deploy::preprocess::{DataLayout, Element};
use tempfile::TempDir;
use zip::CompressionMethod::{Deflated, Stored};
use zune_core::bit_depth::BitDepth;
use zune_core::colorspace::ColorSpace;
use zune_core::options::EncoderOptions;

use super::{Array, DataError, Samples, Values, read_array};
use crate::input::ModelInput;

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn npy(&self, name: &str, descr: &str, shape: &[usize], data: &[u8]) -> PathBuf {
        self.write(name, npy(descr, false, shape, data))
    }
}

fn header(descr: &str, fortran: bool, shape: &[usize]) -> String {
    let dims: Vec<String> = shape.iter().map(|d| format!("{d},")).collect();
    let order = if fortran { "True" } else { "False" };
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({}), }}", dims.concat())
}

fn npy_of(version: u8, header: &str, data: &[u8]) -> Vec<u8> {
    let mut file = b"\x93NUMPY".to_vec();
    file.extend([version, 0]);
    match version {
        1 => file.extend((header.len() as u16).to_le_bytes()),
        _ => file.extend((header.len() as u32).to_le_bytes()),
    }
    file.extend(header.as_bytes());
    file.extend(data);
    file
}

fn npy(descr: &str, fortran: bool, shape: &[usize], data: &[u8]) -> Vec<u8> {
    npy_of(1, &header(descr, fortran, shape), data)
}

fn f32_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn npz(entries: &[(&str, Vec<u8>)], method: zip::CompressionMethod) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = zip::write::FileOptions::default().compression_method(method);
        archive.start_file(format!("{name}.npy"), options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// The elements of all samples.
fn values(batches: impl Iterator<Item = Result<Batch, DataError>>) -> Vec<f32> {
    batches.flat_map(|batch| batch.unwrap().values).collect()
}

/// All samples, one after the other.
#[track_caller]
fn read(path: &Path, input: &ModelInput) -> Vec<f32> {
    let samples = Samples::open(path, input).unwrap();
    let batches = samples.batches(2, None).unwrap();
    let all = values(batches);
    // Any sample by itself is the same.
    let len = all.len() / samples.count();
    let last = samples.count() - 1;
    let chosen = [last, 0];
    let again = values(samples.chosen(&chosen, 1).unwrap());
    assert_eq!(again, [&all[last * len..], &all[..len]].concat());
    all
}

#[track_caller]
fn problem(path: &Path, input: &ModelInput) -> String {
    let read = |samples: Samples| {
        samples.batches(2, None)?.collect::<Result<Vec<_>, _>>().map(|_| samples.count())
    };
    let result: Result<usize, DataError> = Samples::open(path, input).and_then(read);
    result.unwrap_err().to_string()
}

fn input(shape: &[usize]) -> ModelInput {
    ModelInput::new("x", shape)
}

#[test]
fn every_plain_type_in_both_byte_orders_gives_the_same_samples() {
    let place = Place::new();
    let integers = [0, 1, 2, 100, 7, 3, 50, 127];
    let expected: Vec<f32> = integers.iter().map(|&x| x as f32).collect();
    macro_rules! check {
        ($($t:ty: $descr:literal),*) => {$(
            let little: Vec<u8> = integers.iter().flat_map(|&x| (x as $t).to_le_bytes()).collect();
            let path = place.npy("x.npy", concat!("<", $descr), &[4, 2], &little);
            assert_eq!(read(&path, &input(&[2])), expected, $descr);
            let big: Vec<u8> = integers.iter().flat_map(|&x| (x as $t).to_be_bytes()).collect();
            let path = place.npy("x.npy", concat!(">", $descr), &[4, 2], &big);
            assert_eq!(read(&path, &input(&[2])), expected, $descr);
            let labels = read_array(&path).unwrap();
            assert_eq!(labels.integers().unwrap(), integers.map(i64::from));
            assert_eq!(labels.shape, [4, 2]);
        )*};
    }
    check!(i8: "i1", u8: "u1", i16: "i2", u16: "u2", i32: "i4", u32: "u4", i64: "i8", u64: "u8",
        f32: "f4", f64: "f8");
    let halves: Vec<u8> =
        expected.iter().flat_map(|&x| half::f16::from_f32(x).to_be_bytes()).collect();
    let path = place.npy("x.npy", ">f2", &[4, 2], &halves);
    assert_eq!(read(&path, &input(&[2])), expected);
    let path = place.npy("x.npy", "|b1", &[2, 2], &[0, 1, 1, 0]);
    assert_eq!(read(&path, &input(&[2])), [0.0, 1.0, 1.0, 0.0]);
    assert_eq!(read_array(&path).unwrap().values, Values::Integers(vec![0, 1, 1, 0]));
}

#[test]
fn whole_numbers_that_samples_hold_only_rounded_are_named() {
    let place = Place::new();
    let notes = |path: &Path| Samples::open(path, &input(&[2])).unwrap().notes().to_vec();
    let of = |descr: &str, bytes: Vec<u8>| {
        let path = place.npy("x.npy", descr, &[2, 2], &bytes);
        notes(&path)
    };
    let wide = |last: i64| [1, -16_777_217, 5, last].iter().flat_map(|x| x.to_le_bytes()).collect();
    let [note] = &of("<i8", wide(7))[..] else { panic!("one note") };
    assert!(note.contains("x.npy") && note.contains("such as -16777217"), "{note}");
    // Integers that floats represent exactly need no note, nor do floats.
    let exact = [1 << 24, 1 << 40, -3, i64::MIN].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(of("<i8", exact), [""; 0]);
    let floats = [0.1_f64, 16_777_217.0, 1.0, 2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(of("<f8", floats), [""; 0]);
    let unsigned = [u64::MAX, 0, 1, 2].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert!(of("<u8", unsigned)[0].contains("such as 18446744073709551615"));

    let table = place.write("x.csv", "time,level\n16777216,0.1\n16777217,16777217.0\n");
    let [note] = &notes(&table)[..] else { panic!("one note") };
    assert!(note.contains("column 'time'") && note.contains("such as 16777217,"), "{note}");

    // Labels stay as they are.
    let path = place.npy("y.npy", "<i8", &[2, 2], &wide(i64::MAX));
    assert_eq!(read_array(&path).unwrap().integers().unwrap(), [1, -16_777_217, 5, i64::MAX]);
}

#[test]
fn raw_elements_are_known_by_their_type() {
    let place = Place::new();
    for (descr, bytes, element) in [
        ("|u1", 1, Element::U8),
        ("|b1", 1, Element::U8),
        ("|i1", 1, Element::I8),
        ("<u2", 2, Element::U16),
        (">i2", 2, Element::I16),
        ("<i4", 4, Element::I32),
        ("<i8", 8, Element::F32),
        ("<f8", 8, Element::F32),
    ] {
        let path = place.npy("x.npy", descr, &[1, 2], &vec![0; 2 * bytes]);
        let samples = Samples::open(&path, &input(&[2])).unwrap();
        assert_eq!(samples.preprocessing().element, element, "{descr}");
    }
}

#[test]
fn arrays_with_the_first_axis_fastest_are_transposed() {
    let place = Place::new();
    let shape = [3, 2, 4];
    let values: Vec<f32> = (0..24).map(|x| x as f32).collect();
    let mut stored = Vec::new();
    for k in 0..4 {
        for j in 0..2 {
            stored.extend((0..3).map(|i| values[(i * 2 + j) * 4 + k]));
        }
    }
    let path = place.write("f.npy", npy("<f4", true, &shape, &f32_bytes(&stored)));
    assert_eq!(read(&path, &input(&[2, 4])), values);
    let array = read_array(&path).unwrap();
    assert_eq!(array.floats(), values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
    // One axis has no order.
    let path = place.write("f.npy", npy("<f4", true, &[3], &f32_bytes(&[1.0, 2.0, 3.0])));
    assert_eq!(read(&path, &input(&[1])), [1.0, 2.0, 3.0]);
}

#[test]
fn headers_of_every_version_are_read_and_nothing_else() {
    let place = Place::new();
    let good = header("|u1", false, &[2, 2]);
    for version in 1..=3 {
        let path = place.write("x.npy", npy_of(version, &good, &[1, 2, 3, 4]));
        assert_eq!(read(&path, &input(&[2])), [1.0, 2.0, 3.0, 4.0]);
    }
    let nested =
        format!("{{'descr': {}, 'fortran_order': False, 'shape': (1,)}}", "[".repeat(60000));
    let huge = header("<f8", false, &[1 << 20, 1 << 20]);
    let overflow = header("<f8", false, &[usize::MAX, 2]);
    for (header, message) in [
        (nested.as_str(), "ends within a list"),
        (&huge, "more than the file holds"),
        (&overflow, "more than the file holds"),
        ("{'descr': '|u1', 'fortran_order': False}", "lacks 'shape'"),
        ("{'descr': '|u1', 'descr': '|u1', 'shape': ()}", "'descr' twice"),
        ("{'descr': '|u1', 'fortran_order': 0, 'shape': (1,)}", "neither True nor False"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-1,)}", "not a tuple of extents"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)} x", "follows the dictionary"),
        ("{'descr': '|u1', 'order': 1, 'shape': (1,)}", "unknown key 'order'"),
        ("", "lacks a '{'"),
    ] {
        let found = problem(&place.write("x.npy", npy_of(2, header, &[0; 4])), &input(&[2]));
        assert!(found.contains(message), "{header:.60}: {found}");
    }
    let mut bytes = npy("|u1", false, &[2, 2], &[1, 2, 3, 4]);
    for cut in 0..bytes.len() {
        problem(&place.write("x.npy", &bytes[..cut]), &input(&[2]));
    }
    bytes[6] = 9;
    let found = problem(&place.write("x.npy", bytes), &input(&[2]));
    assert!(found.contains("version is 9"), "{found}");
}

#[test]
fn types_that_are_no_numbers_say_what_to_do() {
    let place = Place::new();
    for (descr, message) in [
        ("|O", "numpy.stack"),
        ("<U3", "numpy.unique"),
        ("<c8", "real and imaginary"),
        ("<M8[ns]", "times"),
        ("<f16", "astype"),
    ] {
        let found = problem(&place.npy("x.npy", descr, &[1], &[0; 16]), &input(&[1]));
        assert!(found.contains(message) && found.contains(descr), "{found}");
    }
    for (name, message) in [
        ("x.pkl", "pickle"),
        ("x.mat", "MATLAB"),
        ("x.bin", "without type and shape"),
        ("x", "not read here"),
    ] {
        let found = problem(&place.write(name, "data"), &input(&[1]));
        assert!(found.contains(message) && found.contains("numpy.save"), "{found}");
    }
    let found = problem(&place.at("absent.npy"), &input(&[1]));
    assert!(found.contains("absent.npy"), "{found}");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("/dev/zero", place.at("endless.npy")).unwrap();
        let found = problem(&place.at("endless.npy"), &input(&[1]));
        assert!(found.contains("not a regular file"), "{found}");
    }
}

#[test]
fn values_beyond_f32_and_nan_are_told_apart() {
    let place = Place::new();
    let doubles = |values: &[f64]| values.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
    let found = problem(&place.npy("x.npy", "<f8", &[2, 1], &doubles(&[1.0, 1e300])), &input(&[1]));
    assert!(found.contains("1e300") && found.contains("f32"), "{found}");
    let found =
        problem(&place.npy("x.npy", "<f8", &[2, 1], &doubles(&[1.0, f64::NAN])), &input(&[1]));
    assert!(found.contains("sample 1 holds 1 value that is NaN"), "{found}");
    let found = problem(&place.write("x.csv", "1\n1e300\n"), &input(&[1]));
    assert!(found.contains("1e300"), "{found}");
}

#[test]
fn archives_give_the_array_that_is_meant() {
    let place = Place::new();
    let x = || npy("|u1", false, &[2, 2], &[1, 2, 3, 4]);
    let y = || npy("<i8", false, &[2], &[[7_i64, 8].map(i64::to_le_bytes).concat()].concat());
    for method in [Stored, Deflated] {
        let path = place.write("two.npz", npz(&[("x", x()), ("y", y())], method));
        assert_eq!(read(&path, &input(&[2])), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(read_array(&path).unwrap().values, Values::Integers(vec![7, 8]));
    }
    let path = place.write("odd.npz", npz(&[("a", x()), ("b", y())], Stored));
    let found = problem(&path, &input(&[2]));
    assert!(found.contains("2 arrays ('a', 'b')") && found.contains("odd.npz:a"), "{found}");
    assert_eq!(read(&place.at("odd.npz:a"), &input(&[2])), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(read_array(&place.at("odd.npz:b")).unwrap().integers(), Some(vec![7, 8]));
    let found = problem(&place.at("odd.npz:c"), &input(&[2]));
    assert!(found.contains("none is called 'c'"), "{found}");
    let path = place.write("one.npz", npz(&[("anything", x())], Stored));
    assert_eq!(read(&path, &input(&[2])), [1.0, 2.0, 3.0, 4.0]);
    problem(&place.write("none.npz", npz(&[], Stored)), &input(&[2]));
    problem(&place.write("broken.npz", "PK not an archive"), &input(&[2]));
}

#[test]
fn archives_that_unpack_to_far_more_than_they_are_stay_packed() {
    let place = Place::new();
    let zeros = npy("|u1", false, &[128 << 20, 1], &vec![0; 128 << 20]);
    let packed = npz(&[("x", zeros)], Deflated);
    assert!(packed.len() < 1 << 20);
    let found = problem(&place.write("bomb.npz", packed), &input(&[1]));
    assert!(found.contains("would unpack from"), "{found}");
}

#[test]
fn tables_are_read_with_any_delimiter_and_with_or_without_names() {
    let place = Place::new();
    let expected = [1.5, -2.0, 3.0, 0.25];
    for text in [
        "1.5,-2\n3,0.25\n",
        "a,b\n1.5,-2\n3,0.25",
        "1.5;-2\r\n3;0.25\r\n",
        "\"a\";\"b, c\"\n1.5;-2\n3;0.25\n",
        "a\tb\n1.5\t-2\n3\t0.25\n",
        "# made by savetxt\n1.5 -2\n3 0.25\n",
        "\u{feff}a,b\n1.5, -2\n3, 2.5e-1\n",
    ] {
        assert_eq!(read(&place.write("x.csv", text), &input(&[2])), expected, "{text:?}");
        assert_eq!(read(&place.at("x.csv"), &input(&[1, 2, 1])), expected, "{text:?}");
    }
    // The names that pandas makes up.
    let text = "0,1,2\n5,6,7\n";
    assert_eq!(read(&place.write("x.csv", text), &input(&[3])), [5.0, 6.0, 7.0]);
}

#[test]
fn a_column_of_labels_is_no_input_and_gives_the_labels() {
    let place = Place::new();
    let path = place.write("x.csv", "ax,Label,ay\n1,4,2\n3,5,4\n");
    let samples = Samples::open(&path, &input(&[2])).unwrap();
    assert_eq!(read(&path, &input(&[2])), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(samples.labels().unwrap().integers(), Some(vec![4, 5]));
    assert!(samples.notes()[0].contains("'Label' is taken as labels"), "{:?}", samples.notes());
    // Where all columns are inputs, so is that one.
    let samples = Samples::open(&path, &input(&[3])).unwrap();
    assert!(samples.labels().is_none() && samples.notes().is_empty());
    assert_eq!(read_array(&path).unwrap().integers(), Some(vec![4, 5]));
    assert_eq!(read_array(&place.at("x.csv:ay")).unwrap().integers(), Some(vec![2, 4]));
    let named = place.write("n.csv", "ax,class\n1,dog\n2,cat\n3,dog\n");
    let samples = Samples::open(&named, &input(&[1])).unwrap();
    let classes = vec!["cat".to_string(), "dog".into()];
    assert_eq!(*samples.labels().unwrap(), Array::classes(vec![1, 0, 1], classes));
    assert_eq!(samples.input().classes, ["cat", "dog"]);
}

#[test]
fn wrong_tables_say_where_and_what() {
    let place = Place::new();
    for (text, message) in [
        ("a,b\n1,2\n3,x\n", "line 3, column 'b': 'x' is not a number"),
        ("1,2\n3,\n", "line 2, column 2: the cell is empty"),
        ("a;b\n1,5;2\n", "'1,5' has a decimal comma"),
        ("1,2\n3\n", "line 2 has 1 column, but the first row has 2"),
        ("a,b,c\n1,2,3\n", "3 columns ('a', 'b', 'c')"),
        (",a,b\n0,1,2\n", "index=False"),
        ("a,b\n", "no samples"),
        ("", "no samples"),
        ("1,nan\n", "NaN"),
        ("a\0b", "not text"),
    ] {
        let found = problem(&place.write("x.csv", text), &input(&[2]));
        assert!(found.contains(message), "{text:?}: {found}");
    }
    let found = problem(&place.at("x.csv:a"), &input(&[2]));
    assert!(found.contains("a sample is a whole row"), "{found}");
}

#[test]
fn labels_come_from_text_too() {
    let place = Place::new();
    let integers = |text: &str| read_array(&place.write("y.txt", text)).unwrap().integers();
    assert_eq!(integers("3\n1\n2\n"), Some(vec![3, 1, 2]));
    assert_eq!(integers("label\n3\n1\n"), Some(vec![3, 1]));
    assert_eq!(integers("3.0\n1.0"), Some(vec![3, 1]));
    assert_eq!(integers("0.5\n1.0"), None);
    // Names without a heading, and with one.
    let names = read_array(&place.write("y.txt", "dog\ncat\ndog\n")).unwrap();
    assert_eq!((names.integers(), names.classes.len()), (Some(vec![1, 0, 1]), 2));
    let names = read_array(&place.write("y.csv", "class\ndog\ncat\n")).unwrap();
    assert_eq!((names.integers(), names.classes.len()), (Some(vec![1, 0]), 2));
    // Targets of a regression.
    let targets = read_array(&place.write("t.csv", "a,b\n0.5,1\n2,3\n")).unwrap();
    assert_eq!(
        (targets.shape.as_slice(), targets.floats()),
        (&[2, 2][..], vec![0.5, 1.0, 2.0, 3.0])
    );
}

#[test]
fn an_axis_called_y_is_no_label() {
    let place = Place::new();
    let path = place.write("imu.csv", "x,y,z,activity\n1,2,3,sit\n4,5,6,run\n");
    // Of three inputs and four columns, nothing says which one is left out.
    let found = problem(&path, &input(&[3]));
    assert!(found.contains("1 column fewer") && found.contains("--labels"), "{found}");
    let named = ModelInput { label_column: Some("activity".into()), ..input(&[3]) };
    assert_eq!(read(&path, &named), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let path = place.write("xyz.csv", "x,y,z\n1,2,3\n4,5,6\n");
    assert_eq!(read(&path, &input(&[3])), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let mut windows = input(&[2, 3]);
    windows.preprocessing.window_frames = Some(2);
    assert_eq!(read(&path, &windows), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    windows.preprocessing.window_frames = Some(3);
    let found = problem(&path, &windows);
    assert!(
        found.contains("3 frames make the 6 elements") && found.contains("2 columns"),
        "{found}"
    );
    // Two targets of a regression.
    let path = place.write("t.csv", "x,y\n0.5,1\n2,3\n");
    assert_eq!(read_array(&path).unwrap().shape, [2, 2]);
    // A table of steps in time says so where the numbers fit.
    let found = problem(&place.at("xyz.csv"), &input(&[6]));
    assert!(found.contains("--window-frames 2"), "{found}");
}

#[test]
fn a_heading_above_names_is_told_by_their_count() {
    let place = Place::new();
    let labels = || read_array(&place.write("y.txt", "activity\nrun\nsit\nrun\n")).unwrap();
    let (array, heading) = labels().without_heading(3);
    assert_eq!((array.integers(), heading.as_deref()), (Some(vec![0, 1, 0]), Some("activity")));
    assert_eq!(array.classes, ["run", "sit"]);
    let (array, heading) = labels().without_heading(4);
    assert_eq!((array.shape, heading), (vec![4], None));
}

#[test]
fn samples_are_reshaped_where_only_one_reading_is_possible() {
    let place = Place::new();
    let values: Vec<f32> = (0..24).map(|x| x as f32).collect();
    for shape in [&[2, 3, 2, 2][..], &[2, 12], &[2, 1, 3, 2, 2], &[2, 3, 2, 2, 1]] {
        let path = place.npy("x.npy", "<f4", shape, &f32_bytes(&values));
        assert_eq!(read(&path, &input(&[3, 2, 2])), values, "{shape:?}");
        let notes = Samples::open(&path, &input(&[3, 2, 2])).unwrap().notes().len();
        assert_eq!(notes, usize::from(shape != [2, 3, 2, 2]), "{shape:?}");
    }
    let path = place.npy("x.npy", "<f4", &[3, 2, 4], &f32_bytes(&values));
    let samples = Samples::open(&path, &input(&[3, 2, 4])).unwrap();
    assert_eq!(samples.count(), 1);
    assert!(samples.notes()[0].contains("one sample"), "{:?}", samples.notes());
    for (shape, message) in [
        (&[2, 2, 2, 3][..], "--layout nhwc"),
        (&[2, 4, 3], "expects [3, 2, 2]"),
        (&[24], "first axis of the file counts the samples"),
    ] {
        let path = place.npy("x.npy", "<f4", shape, &f32_bytes(&values));
        let found = problem(&path, &input(&[3, 2, 2]));
        assert!(found.contains(message), "{shape:?}: {found}");
    }
}

#[test]
fn samples_with_channels_last_are_transposed_when_asked() {
    let place = Place::new();
    // Two pixels of three channels.
    let path = place.npy("x.npy", "|u1", &[1, 1, 2, 3], &[1, 2, 3, 4, 5, 6]);
    let mut nhwc = input(&[3, 1, 2]);
    nhwc.preprocessing.layout = DataLayout::ChannelsLast;
    nhwc.preprocessing.mean = vec![1.0, 2.0, 3.0];
    assert_eq!(read(&path, &nhwc), [0.0, 3.0, 0.0, 3.0, 0.0, 3.0]);
    let flat = place.write("x.csv", "1,2,3,4,5,6\n");
    assert_eq!(read(&flat, &nhwc), [0.0, 3.0, 0.0, 3.0, 0.0, 3.0]);
    let mut nchw = input(&[1, 2, 3]);
    nchw.preprocessing.channel_axis = 2;
    nchw.preprocessing.layout = DataLayout::ChannelsFirst;
    let path = place.npy("x.npy", "|u1", &[1, 3, 1, 2], &[1, 4, 2, 5, 3, 6]);
    assert_eq!(read(&path, &nchw), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
}

#[test]
fn windows_of_recordings_are_samples_or_come_together() {
    let place = Place::new();
    let text = "t,v\n1,10\n2,20\n3,30\n4,40\n";
    let path = place.write("x.csv", text);
    let mut windows = input(&[2, 2]);
    windows.preprocessing.window_frames = Some(2);
    let all = [1.0, 10.0, 2.0, 20.0, 2.0, 20.0, 3.0, 30.0, 3.0, 30.0, 4.0, 40.0];
    let together = Samples::open(&path, &windows).unwrap();
    assert_eq!((together.count(), together.windows(0)), (1, 3));
    assert!(together.holds_recordings());
    assert_eq!(values(together.batches(1, None).unwrap()), all);
    let samples = together.into_windows();
    assert_eq!((samples.count(), samples.holds_recordings()), (3, false));
    let read = values(samples.batches(2, None).unwrap());
    assert_eq!(read, all);
    let chosen = values(samples.chosen(&[2, 0], 1).unwrap());
    assert_eq!(chosen, [&all[8..], &all[..4]].concat());
    windows.window_step = 2;
    let stepped = Samples::open(&path, &windows).unwrap().into_windows();
    assert_eq!(stepped.count(), 2);
    // Steps in time along the second axis of the input.
    windows.preprocessing.layout = DataLayout::ChannelsLast;
    let first = Samples::open(&path, &windows).unwrap().into_windows();
    let first = values(first.batches(1, Some(1)).unwrap());
    assert_eq!(first, [1.0, 2.0, 10.0, 20.0]);
    // Several recordings, and windows that were cut already.
    let data: Vec<f32> = (0..12).map(|x| x as f32).collect();
    let clips = place.npy("x.npy", "<f4", &[2, 3, 2], &f32_bytes(&data));
    windows.preprocessing.layout = DataLayout::Model;
    windows.window_step = 1;
    let clips = Samples::open(&clips, &windows).unwrap();
    assert_eq!((clips.count(), clips.windows(0)), (2, 2));
    assert_eq!(clips.into_windows().count(), 4);
    let cut = place.npy("x.npy", "<f4", &[3, 4], &f32_bytes(&data));
    assert_eq!(Samples::open(&cut, &windows).unwrap().into_windows().count(), 3);
    let short = place.npy("x.npy", "<f4", &[12, 1, 1], &f32_bytes(&data));
    assert!(problem(&short, &windows).contains("windows of 2 frames need"));
    // Frames hold their features last, and they are never silently taken for channels first.
    let frames = place.npy("x.npy", "<f4", &[4, 3], &f32_bytes(&data));
    let mut first = input(&[3, 2]);
    first.preprocessing.window_frames = Some(2);
    assert!(problem(&frames, &first).contains("give --layout nhwc"));
    first.preprocessing.layout = DataLayout::ChannelsLast;
    let read = |input: &ModelInput| {
        let samples = Samples::open(&frames, input).unwrap().into_windows();
        values(samples.batches(1, Some(1)).unwrap())
    };
    assert_eq!(read(&first), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    for shape in [&[6][..], &[2, 3], &[1, 2, 3]] {
        let mut last = input(shape);
        last.preprocessing.window_frames = Some(2);
        assert_eq!(read(&last), data[..6], "{shape:?}");
    }
}

/// Writes a PNG file of these channels.
fn save(path: &Path, size: (usize, usize), color: ColorSpace, data: &[u8]) {
    let options = EncoderOptions::default()
        .set_width(size.0)
        .set_height(size.1)
        .set_colorspace(color)
        .set_depth(BitDepth::Eight);
    let mut bytes = Vec::new();
    zune_png::PngEncoder::new(data, options).encode(&mut bytes).unwrap();
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

fn image(place: &Place, name: &str, size: (usize, usize), color: [u8; 3]) -> PathBuf {
    let path = place.at(name);
    save(&path, size, ColorSpace::RGB, &color.repeat(size.0 * size.1));
    path
}

#[test]
fn folders_of_images_follow_the_channels_of_the_model() {
    let place = Place::new();
    for (class, value) in [("dog", 10), ("cat", 20)] {
        for index in 0..2 {
            image(&place, &format!("all/{class}/{index}.png"), (2, 1), [value, 0, 200]);
        }
    }
    let all = place.at("all");
    let planes = |r: f32| [r, r, 0.0, 0.0, 200.0, 200.0];
    let first = [planes(20.0), planes(20.0), planes(10.0), planes(10.0)].concat();
    assert_eq!(read(&all, &input(&[3, 1, 2])), first);
    let samples = Samples::open(&all, &input(&[3, 1, 2])).unwrap();
    let classes = vec!["cat".to_string(), "dog".into()];
    assert_eq!(*samples.labels().unwrap(), Array::classes(vec![0, 0, 1, 1], classes));
    let preprocessing = samples.preprocessing();
    assert_eq!(preprocessing.layout, DataLayout::ChannelsLast);
    assert_eq!(preprocessing.element, Element::U8);
    // The model's classes in another order, and with one that the folder lacks.
    let mut known = input(&[3, 1, 2]);
    known.classes = ["dog", "bird", "cat"].map(String::from).to_vec();
    let samples = Samples::open(&all, &known).unwrap();
    assert_eq!(samples.labels().unwrap().integers(), Some(vec![2, 2, 0, 0]));
    known.classes.pop();
    assert!(problem(&all, &known).contains("'cat' is not a class; the classes are dog, bird"));
    // Channels last.
    let mut last = input(&[1, 2, 3]);
    last.preprocessing.channel_axis = 2;
    assert_eq!(read(&all, &last)[..6], [20.0, 0.0, 200.0, 20.0, 0.0, 200.0]);
    // Grey, as Pillow computes it: (20 * 19595 + 200 * 7471 + 0x8000) >> 16.
    assert_eq!(read(&all, &input(&[1, 1, 2]))[..2], [29.0, 29.0]);
    assert_eq!(read(&all, &input(&[2]))[..2], [29.0, 29.0]);
    let notes = Samples::open(&all, &input(&[1, 1, 2])).unwrap().notes().concat();
    assert!(notes.contains("4 of 4 images are coloured"), "{notes}");
}

#[test]
fn images_of_another_size_or_form_are_refused() {
    let place = Place::new();
    image(&place, "flat/a.png", (4, 4), [8, 8, 8]);
    let odd = image(&place, "flat/b.png", (6, 2), [8, 8, 8]);
    let found = problem(&place.at("flat"), &input(&[3, 4, 4]));
    assert!(found.contains("b.png: has 6 x 2 pixels (width x height)"), "{found}");
    assert!(found.contains("expects 4 x 4") && found.contains("resize the images"), "{found}");
    assert_eq!(read(&odd, &input(&[3, 2, 6])), [8.0; 36]);
    let found = problem(&place.at("flat"), &input(&[2, 4, 4]));
    assert!(found.contains("neither [1 or 3, height, width]"), "{found}");
    let good = std::fs::read(&odd).unwrap();
    for cut in [0, 8, 30, good.len() / 2] {
        place.write("flat/b.png", &good[..cut]);
        assert!(problem(&place.at("flat"), &input(&[3, 4, 4])).contains("b.png"));
    }
}

#[test]
fn images_of_every_kind_of_pixel_are_read() {
    let place = Place::new();
    let grey = place.at("grey/a.png");
    save(&grey, (2, 1), ColorSpace::Luma, &[7, 9]);
    assert_eq!(read(&place.at("grey"), &input(&[1, 1, 2])), [7.0, 9.0]);
    assert_eq!(read(&place.at("grey"), &input(&[3, 1, 2])), [7.0, 9.0, 7.0, 9.0, 7.0, 9.0]);
    let clear = place.at("clear/a.png");
    save(&clear, (1, 1), ColorSpace::RGBA, &[1, 2, 3, 4]);
    assert_eq!(read(&place.at("clear"), &input(&[3, 1, 1])), [1.0, 2.0, 3.0]);
    let notes = Samples::open(&clear, &input(&[3, 1, 1])).unwrap().notes().concat();
    assert!(notes.contains("1 of 1 images have transparency"), "{notes}");
    place.write("deep/a.png", bytes(DEEP));
    assert_eq!(read(&place.at("deep"), &input(&[1, 1, 2])), [40_000.0, 3.0]);
    let samples = Samples::open(&place.at("deep"), &input(&[1, 1, 2])).unwrap();
    assert_eq!(samples.preprocessing().element, Element::U16);
    image(&place, "deep/b.png", (2, 1), [1, 2, 3]);
    assert!(problem(&place.at("deep"), &input(&[1, 1, 2])).contains("has 8 bits per channel"));
}

/// What Pillow writes for two grey pixels of 16 bits, 40000 and 3.
const DEEP: &str = "89504e470d0a1a0a0000000d494844520000000200000001100000000081d9fc150000000d49444154789c63\
     98e3c0c00c00033800e08a9a4afd0000000049454e44ae426082";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |i: usize| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap();
    (0..hex.len() / 2).map(digit).collect()
}

/// What Pillow writes for 8 x 8 pixels (200, 100, 50), and for grey of 90.
const JPEGS: [&str; 2] = [
    "ffd8ffe000104a46494600010100000100010000ffdb00430002010101010102010101020202020204030202\
     02020504040304060506060605060606070908060709070606080b08090a0a0a0a0a06080b0c0b0a0c090a0a\
     0affdb004301020202020202050303050a0706070a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\
     0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0affc000110800080008030122000211010311\
     01ffc4001500010100000000000000000000000000000005ffc4001410010000000000000000000000000000\
     0000ffc40014010100000000000000000000000000000008ffc4001411010000000000000000000000000000\
     0000ffda000c03010002110311003f009e00ae6c3fffd9",
    "ffd8ffe000104a46494600010100000100010000ffdb00430002010101010102010101020202020204030202\
     02020504040304060506060605060606070908060709070606080b08090a0a0a0a0a06080b0c0b0a0c090a0a\
     0affc0000b080008000801011100ffc40014000100000000000000000000000000000008ffc4001410010000\
     0000000000000000000000000000ffda0008010100003f0033bfffd9",
];

#[test]
fn jpeg_images_are_decoded() {
    let place = Place::new();
    place.write("color/a.jpg", bytes(JPEGS[0]));
    let color = read(&place.at("color"), &input(&[3, 8, 8]));
    for (plane, expected) in color.chunks(64).zip([200.0, 100.0, 50.0]) {
        assert!(plane.iter().all(|x: &f32| (x - expected).abs() <= 2.0), "{plane:?}");
    }
    place.write("grey/a.jpeg", bytes(JPEGS[1]));
    assert_eq!(read(&place.at("grey"), &input(&[1, 8, 8])), [90.0; 64]);
    place.write("grey/b.jpg", &bytes(JPEGS[1])[..100]);
    assert!(problem(&place.at("grey"), &input(&[1, 8, 8])).contains("b.jpg"));
}

#[test]
fn folders_that_are_no_samples_are_refused() {
    let place = Place::new();
    std::fs::create_dir(place.at("empty")).unwrap();
    assert!(problem(&place.at("empty"), &input(&[1])).contains("holds no .png, .jpg or .wav"));
    image(&place, "mixed/a.png", (1, 1), [0; 3]);
    image(&place, "mixed/cat/b.png", (1, 1), [0; 3]);
    assert!(problem(&place.at("mixed"), &input(&[1])).contains("samples beside folders"));
    image(&place, "deep/a/b/c.png", (1, 1), [0; 3]);
    assert!(problem(&place.at("deep"), &input(&[1])).contains("folders in folders"));
    image(&place, "noted/a.png", (1, 1), [7; 3]);
    place.write("noted/README.txt", "about the images");
    let samples = Samples::open(&place.at("noted"), &input(&[1, 1, 1])).unwrap();
    assert!(samples.notes()[0].contains("README.txt"), "{:?}", samples.notes());
    let found = read_array(&place.at("noted")).unwrap_err().to_string();
    assert!(found.contains("leave --labels out"), "{found}");
}

fn wave(place: &Place, name: &str, rate: u32, bits: u16, values: &[i32]) -> PathBuf {
    let path = place.write(name, "");
    let sample_format = hound::SampleFormat::Int;
    let spec =
        hound::WavSpec { channels: 1, sample_rate: rate, bits_per_sample: bits, sample_format };
    let mut writer = hound::WavWriter::create(&path, spec).unwrap();
    values.iter().for_each(|&x| writer.write_sample(x).unwrap());
    writer.finalize().unwrap();
    path
}

#[test]
fn folders_of_recordings_are_read_as_they_are_stored() {
    let place = Place::new();
    for (bits, element) in [(8, Element::I8), (16, Element::I16), (24, Element::I32)] {
        let folder = format!("{bits}");
        wave(&place, &format!("{folder}/no/a.wav"), 16_000, bits, &[1, -2, 3]);
        wave(&place, &format!("{folder}/yes/b.wav"), 16_000, bits, &[4, 5, -6]);
        assert_eq!(read(&place.at(&folder), &input(&[1, 3])), [1.0, -2.0, 3.0, 4.0, 5.0, -6.0]);
        let samples = Samples::open(&place.at(&folder), &input(&[1, 3])).unwrap();
        assert_eq!(samples.preprocessing().element, element);
        assert_eq!(samples.labels().unwrap().classes, ["no", "yes"]);
    }
    let found = problem(&place.at("16"), &input(&[2]));
    assert!(
        found.contains("has 3 samples in time") && found.contains("--window-frames 2"),
        "{found}"
    );
    let mut windows = input(&[2]);
    windows.preprocessing.window_frames = Some(2);
    let samples = Samples::open(&place.at("16"), &windows).unwrap().into_windows();
    let all = values(samples.batches(3, None).unwrap());
    assert_eq!(all, [1.0, -2.0, -2.0, 3.0, 4.0, 5.0, 5.0, -6.0]);
    wave(&place, "16/yes/c.wav", 8_000, 16, &[1, 2, 3]);
    let found = problem(&place.at("16"), &input(&[3]));
    assert!(found.contains("c.wav") && found.contains("8000 Hz"), "{found}");
    assert!(found.contains("16000 Hz"), "{found}");
}

#[test]
fn labels_and_samples_of_the_same_archive_do_not_mix() {
    let place = Place::new();
    let y = npy("|u1", false, &[2], &[7, 8]);
    let x = npy("|u1", false, &[2, 2], &[1, 2, 3, 4]);
    let entries = [("y", y), ("x", x)];
    let path = place.write("d.npz", npz(&entries, Stored));
    assert_eq!(read(&path, &input(&[2])), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(read_array(&path).unwrap().shape, [2]);
}
