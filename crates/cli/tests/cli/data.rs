//! Data in common formats: each form gives the same integers as the arrays of the demo.

use std::path::{Path, PathBuf};

use burn_ptq_deploy::file;
use burn_ptq_deploy::place::{Placed, Placement};
use burn_ptq_deploy::preprocess::{DataLayout, Element, Preprocessing};
use burn_ptq_deploy::program::Program;

use zune_core::bit_depth::BitDepth;
use zune_core::colorspace::ColorSpace;
use zune_core::options::EncoderOptions;

use crate::support::{demo, f32_bytes, run, stderr, stdout, write_npy};

/// Samples that are used.
const COUNT: usize = 24;
/// Elements of a sample: one channel of 8 x 8 pixels.
const LEN: usize = 64;

/// The first samples of one of the demo's arrays of bytes.
fn pixels(name: &str) -> Vec<u8> {
    let file = std::fs::read(demo().join(name)).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    file[start..start + COUNT * LEN].to_vec()
}

fn labels() -> Vec<u8> {
    let file = std::fs::read(demo().join("eval_y.npy")).unwrap();
    let start = 10 + usize::from(u16::from_le_bytes([file[8], file[9]]));
    let size = (file.len() - start) / 500;
    (0..COUNT).map(|i| file[start + i * size]).collect()
}

/// Quantizes the demo's network with other calibration samples.
fn quantize(calib: &Path, arguments: &[&str]) -> (Placed, String) {
    let out = tempfile::tempdir().unwrap();
    let [model, calib, folder] =
        [&demo().join("model.onnx"), calib, out.path()].map(|path| path.display().to_string());
    let fixed = ["quantize", &model, "--calib", &calib, "--out", &folder, "--preset", "w4a8"];
    let output = run(&[&fixed, arguments].concat());
    assert!(output.status.success(), "{calib}: {}", stderr(&output));
    let program = file::read(&out.path().join("model.bptq")).unwrap();
    (program, stdout(&output))
}

/// The program alone, without what was said about the data.
fn integers(program: &Placed) -> (Program, Placement) {
    let (mut program, placement) = program.clone().into_parts();
    program.provenance = Default::default();
    program.inputs[0].preprocessing = Preprocessing::default();
    program.outputs[0].classes = Vec::new();
    (program, placement)
}

/// Rows of numbers with commas.
fn csv(values: &[u8]) -> String {
    let row = |row: &[u8]| row.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    values.chunks(LEN).map(|values| row(values) + "\n").collect()
}

fn save_png(path: &Path, pixels: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let options = EncoderOptions::default().set_width(8).set_height(8);
    let options = options.set_colorspace(ColorSpace::Luma).set_depth(BitDepth::Eight);
    let mut bytes = Vec::new();
    zune_png::PngEncoder::new(pixels, options).encode(&mut bytes).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn every_form_of_the_same_samples_gives_the_same_integers() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let values = pixels("calib_x.npy");
    let shape = [COUNT, 1, 8, 8];
    write_npy(&at("u1.npy"), "|u1", false, &shape, &values);
    let scale = ["--input-scale", "0.0625"];
    let (expected, _) = quantize(&at("u1.npy"), &scale);
    assert_eq!(expected.inputs[0].preprocessing.element, Element::U8);
    assert_eq!(expected.inputs[0].preprocessing.scale, 0.0625);
    let bytes = |f: fn(u8) -> Vec<u8>| values.iter().flat_map(|&x| f(x)).collect::<Vec<u8>>();
    let write = |name: &str, descr: &str, shape: &[usize], data: Vec<u8>| {
        write_npy(&at(name), descr, false, shape, &data);
    };
    write("i1.npy", "|i1", &shape, values.clone());
    write("i2.npy", "<i2", &shape, bytes(|x| i16::from(x).to_le_bytes().into()));
    write("u2.npy", ">u2", &shape, bytes(|x| u16::from(x).to_be_bytes().into()));
    write("i4.npy", "<i4", &shape, bytes(|x| i32::from(x).to_le_bytes().into()));
    write("i8.npy", "<i8", &shape, bytes(|x| i64::from(x).to_le_bytes().into()));
    write("f4.npy", ">f4", &shape, bytes(|x| f32::from(x).to_be_bytes().into()));
    write("f8.npy", "<f8", &shape, bytes(|x| f64::from(x).to_le_bytes().into()));
    write("flat.npy", "|u1", &[COUNT, LEN], values.clone());
    write("kept.npy", "|u1", &[COUNT, 1, 1, 8, 8], values.clone());
    write("last.npy", "|u1", &[COUNT, 8, 8, 1], values.clone());
    let fortran: Vec<u8> =
        (0..LEN).flat_map(|i| values.chunks(LEN).map(move |sample| sample[i])).collect();
    // Rows and columns change places too.
    let transposed: Vec<u8> = (0..8)
        .flat_map(|column| (0..8).map(move |row| row * 8 + column))
        .flat_map(|place| fortran[place * COUNT..(place + 1) * COUNT].to_vec())
        .collect();
    write_npy(&at("fortran.npy"), "|u1", true, &shape, &transposed);
    std::fs::write(at("x.csv"), csv(&values)).unwrap();
    for (index, sample) in values.chunks(LEN).enumerate() {
        save_png(&at("images").join(format!("{index:03}.png")), sample);
    }
    let element = [
        ("i1.npy", Element::I8),
        ("i2.npy", Element::I16),
        ("u2.npy", Element::U16),
        ("i4.npy", Element::I32),
        ("i8.npy", Element::F32),
        ("f4.npy", Element::F32),
        ("f8.npy", Element::F32),
        ("flat.npy", Element::U8),
        ("kept.npy", Element::U8),
        ("last.npy", Element::U8),
        ("fortran.npy", Element::U8),
        ("x.csv", Element::F32),
        ("images", Element::U8),
    ];
    for (name, element) in element {
        let (program, text) = quantize(&at(name), &scale);
        assert!(integers(&program) == integers(&expected), "{name} gives other integers");
        assert_eq!(program.inputs[0].preprocessing.element, element, "{name}");
        let reshaped = ["flat.npy", "kept.npy", "last.npy", "x.csv"].contains(&name);
        assert!(!reshaped || name == "x.csv" || text.contains("are read as [1, 8, 8]"), "{text}");
    }
}

#[test]
fn a_model_remembers_how_samples_become_its_input() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).display().to_string();
    let task = demo().display().to_string();
    let out = text("out");
    let output = run(&["quantize", "--task", &task, "--samples", "64", "--out", &out, "--json"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["preprocessing"]["scale"], 0.0625);
    assert_eq!(report["preprocessing"]["element"], "u8");
    let bptq = format!("{out}/model.bptq");
    let eval = [format!("{task}/eval_x.npy"), format!("{task}/eval_y.npy")];
    let evaluate = |more: &[&str]| {
        let fixed = ["evaluate", &bptq, "--eval", &eval[0], "--labels", &eval[1], "--json"];
        let output = run(&[&fixed, more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let result: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        (result["value"].clone(), stderr(&output))
    };
    let (value, text) = evaluate(&[]);
    assert_eq!(value, report["integer"]);
    assert!(!text.contains("warning"), "{text}");
    let (value, text) = evaluate(&["--input-scale", "0.0625"]);
    assert!(value == report["integer"] && !text.contains("warning"), "{text}");
    // The same numbers as floats are scaled alike, which may be right or not.
    let bytes = pixels("eval_x.npy");
    let floats: Vec<f32> = bytes.iter().map(|&x| f32::from(x)).collect();
    write_npy(&folder.path().join("f4.npy"), "<f4", false, &[COUNT, 1, 8, 8], &f32_bytes(&floats));
    write_npy(&folder.path().join("y.npy"), "|u1", false, &[COUNT], &labels());
    let [floats, y] =
        ["f4.npy", "y.npy"].map(|name| folder.path().join(name).display().to_string());
    let output = run(&["evaluate", &bptq, "--eval", &floats, "--labels", &y]);
    let text = stderr(&output);
    assert!(text.contains("its elements are f32, the model was calibrated with u8"), "{text}");
    let (value, text) = evaluate(&["--input-scale", "1"]);
    assert!(value != report["integer"], "another scale gives another metric");
    assert!(
        text.contains("the input scale is 1, but the model was calibrated with 0.0625"),
        "{text}"
    );
}

#[test]
fn folders_of_classes_bring_their_labels_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let samples = pixels("eval_x.npy");
    for (index, (sample, label)) in samples.chunks(LEN).zip(labels()).enumerate() {
        save_png(&at("eval").join(names[usize::from(label)]).join(format!("{index}.png")), sample);
    }
    let [eval, out] = [at("eval"), at("out")].map(|path| path.display().to_string());
    let (model, calib) = (demo().join("model.onnx"), demo().join("calib_x.npy"));
    let [model, calib] = [model, calib].map(|path| path.display().to_string());
    let classes = names.join(",");
    let fixed =
        ["quantize", &model, "--calib", &calib, "--input-scale", "0.0625", "--samples", "64"];
    let output =
        run(&[&fixed[..], &["--eval", &eval, "--classes", &classes, "--out", &out, "--json"]]
            .concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["samples"], COUNT);
    assert!(report["float"].as_f64().unwrap() > 0.9, "{}", report["float"]);
    assert_eq!(report["classes"][1], "one");
    let program = file::read(&at("out/model.bptq")).unwrap();
    assert_eq!(program.outputs[0].classes, names);
    // The model knows the order of its classes.
    let bptq = format!("{out}/model.bptq");
    let output = run(&["evaluate", &bptq, "--eval", &eval, "--json"]);
    let result: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(result["value"], report["integer"]);
    let output = run(&[&fixed[..], &["--classes", "a,b,c", "--out", &out]].concat());
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("3 class names were given"), "{}", stderr(&output));
}

#[test]
fn tables_bring_their_labels() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let names: Vec<String> = (0..LEN).map(|i| format!("p{i}")).collect();
    let samples = pixels("eval_x.npy");
    let labels = labels();
    let rows = csv(&samples);
    let rows = rows.lines().zip(&labels).map(|(row, label)| format!("{row},{label}\n"));
    let table = format!("{},label\n{}", names.join(","), rows.collect::<String>());
    std::fs::write(at("x.csv"), table).unwrap();
    let column: String = labels.iter().map(|label| format!("{label}\n")).collect();
    std::fs::write(at("y.txt"), column).unwrap();
    let model = demo().join("model.onnx").display().to_string();
    let evaluate = |eval: PathBuf, more: &[&str]| {
        let eval = eval.display().to_string();
        let fixed = ["evaluate", &model, "--eval", &eval, "--input-scale", "0.0625", "--json"];
        let output = run(&[&fixed, more].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let result: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
        (result["value"].as_f64().unwrap(), stderr(&output))
    };
    let (value, text) = evaluate(at("x.csv"), &[]);
    assert!(value > 0.9 && text.contains("column 'label' is taken as labels"), "{value}: {text}");
    let y = at("y.txt").display().to_string();
    write_npy(&at("x.npy"), "|u1", false, &[COUNT, 1, 8, 8], &samples);
    assert_eq!(evaluate(at("x.npy"), &["--labels", &y]).0, value);
    let column = format!("{}:label", at("x.csv").display());
    assert_eq!(evaluate(at("x.npy"), &["--labels", &column]).0, value);
}

/// Numbers of classes by their names hold only where every class is named.
#[test]
fn names_of_some_classes_are_not_numbered() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    write_npy(&folder.path().join("x.npy"), "|u1", false, &[COUNT, 1, 8, 8], &pixels("eval_x.npy"));
    let digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
    let names = |labels: &[u8]| -> String {
        labels.iter().map(|&label| format!("{}\n", digits[usize::from(label)])).collect()
    };
    let (x, y, model) = (at("x.npy"), at("y.txt"), demo().join("model.onnx").display().to_string());
    let fixed =
        ["evaluate", &model, "--eval", &x, "--labels", &y, "--input-scale", "0.0625", "--json"];
    let mut some = labels();
    some.iter_mut().filter(|label| **label == 9).for_each(|label| *label = 8);
    std::fs::write(&y, names(&some)).unwrap();
    let output = run(&fixed);
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    assert!(text.contains("names (") && text.contains("give --classes"), "{text}");
    std::fs::write(&y, format!("digit\n{}", names(&labels()))).unwrap();
    let all = digits.join(",");
    let output = run(&[&fixed[..], &["--classes", &all]].concat());
    let text = stderr(&output);
    assert!(output.status.success() && text.contains("'digit' is taken as a heading"), "{text}");
    let result: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(result["value"].as_f64().unwrap() > 0.9, "{result}");
}

#[test]
fn more_samples_than_there_are_give_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    write_npy(&path, "|u1", false, &[COUNT, 1, 8, 8], &pixels("calib_x.npy"));
    let (_, text) = quantize(&path, &["--input-scale", "0.0625", "--samples", "100"]);
    assert!(text.contains("100 calibration samples were asked for, but there are 24"), "{text}");
}

#[test]
fn the_layout_of_the_data_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.npy");
    write_npy(&path, "|u1", false, &[COUNT, 1, 8, 8], &pixels("calib_x.npy"));
    let (program, text) = quantize(&path, &["--input-scale", "0.0625", "--layout", "nchw"]);
    assert_eq!(program.inputs[0].preprocessing.layout, DataLayout::Model);
    assert!(text.contains("input: u8 elements, x * 0.0625"), "{text}");
}
