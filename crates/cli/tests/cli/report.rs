//! `report.html`, and the fields of `report.json` that it is drawn from.

use std::path::Path;

use serde_json::Value;

use crate::support::{demo, f32_bytes, run, stderr, stdout, write_npy};

/// The JSON and the page that a command wrote.
struct Written {
    json: Value,
    page: String,
}

impl Written {
    #[track_caller]
    fn by(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let output = run(&[arguments, &["--out", &out.display().to_string()]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        assert!(stdout(&output).contains("report.html"), "{}", stdout(&output));
        let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
        Self {
            json: serde_json::from_str(&read("report.json")).unwrap(),
            page: read("report.html"),
        }
    }

    /// Checks every number of the page, and that all of these are among them.
    #[track_caller]
    fn shows(&self, places: &[&str]) {
        check(&self.json, &self.page, places);
    }
}

/// Checks that each number of a page is that of the JSON, that some are there, and that the page needs
/// only itself.
#[track_caller]
fn check(json: &Value, page: &str, places: &[&str]) {
    let mut seen = Vec::new();
    for part in page.split('<').filter(|part| part.contains(" data-at=\"")) {
        let (tag, text) = part.split_once('>').unwrap();
        let attribute = |name: &str| tag.split_once(name)?.1.split('"').next();
        let place = attribute(" data-at=\"").unwrap();
        let value = attribute("value=\"").unwrap();
        let expected = json.pointer(place).unwrap_or_else(|| panic!("no {place}"));
        assert_eq!(value.parse::<f64>().ok(), expected.as_f64(), "{place}");
        assert!(text.starts_with(|c: char| c.is_ascii_digit() || c == '-'), "{place}: {text}");
        seen.push(place);
    }
    for place in places {
        assert!(seen.contains(place), "{place} is not among {seen:?}");
    }
    let page = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "src=", "<script", "<link", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn the_page_of_a_quantization_shows_the_numbers_of_its_report() {
    let task = demo().display().to_string();
    let written = Written::by(&["quantize", "--task", &task, "--weights", "3", "--explain"]);
    let report = &written.json;
    written.shows(&[
        "/integer",
        "/float_ci/0",
        "/costs/0/flash_bytes",
        "/costs/6/ram_bytes",
        "/layers/0/bytes",
        "/layers/1/instructions",
        "/layers/1/time_share",
        "/layers/1/sqnr_db",
        "/layers/1/weight_histogram/smallest",
        "/layers/1/output_histogram/grid/scale",
        "/explain/layers/0/loss",
        "/arena/bytes",
        "/confusion/integer/3/3",
        "/exported/flash_bytes",
        "/outputs/0/bits",
    ]);
    for id in ["headline", "warnings", "layers", "arena", "network", "histograms", "provenance"] {
        assert!(written.page.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    assert_eq!(report["target"], "cortex-m4");
    let layers = report["layers"].as_array().unwrap();
    let shares = layers.iter().map(|layer| layer["time_share"].as_f64().unwrap());
    assert!((shares.sum::<f64>() - 1.0).abs() < 1e-6);
    // Each layer reads what comes before it, and the last one is the output's.
    for (at, layer) in layers.iter().enumerate() {
        for source in layer["inputs"].as_array().unwrap() {
            let before = source["layer"].as_u64().is_none_or(|layer| layer < at as u64);
            assert!(before, "{layer}");
        }
    }
    assert_eq!(report["outputs"][0]["from"]["layer"], layers.len() as u64 - 1);
    assert_eq!(layers[0]["inputs"][0]["input"], 0);
    // All weights are counted, and all outputs of all samples.
    let sum = |histogram: &Value| -> u64 {
        let counts = histogram["counts"].as_array().unwrap().iter();
        let within: u64 = counts.map(|count| count.as_u64().unwrap()).sum();
        within + histogram["below"].as_u64().unwrap() + histogram["above"].as_u64().unwrap()
    };
    let weights: u64 = layers
        .iter()
        .map(|layer| &layer["weight_histogram"])
        .filter(|h| !h.is_null())
        .map(sum)
        .sum();
    assert_eq!(weights, report["weights"].as_u64().unwrap());
    let samples = report["sqnr_samples"].as_u64().unwrap();
    let last = sum(&layers[layers.len() - 1]["output_histogram"]);
    assert_eq!(last, samples * 10);
}

#[test]
fn the_arena_of_a_report_holds_each_tensor_apart_from_those_that_live_with_it() {
    let task = demo().display().to_string();
    let written = Written::by(&["quantize", "--task", &task, "--samples", "32"]);
    let arena = &written.json["arena"];
    let number = |value: &Value, key: &str| value[key].as_u64().unwrap();
    let bytes = number(arena, "bytes");
    let cost = written.json["costs"].as_array().unwrap().iter();
    let cost = cost.clone().find(|cost| cost["target"] == arena["target"]).unwrap();
    assert_eq!(number(cost, "arena_bytes"), bytes);
    let steps = arena["steps"].as_array().unwrap();
    let most = steps.iter().map(|step| number(step, "live_bytes")).max();
    assert_eq!(Some(number(arena, "peak_bytes")), most);
    assert_eq!(number(&steps[number(arena, "peak") as usize], "live_bytes"), most.unwrap());
    let tensors = arena["tensors"].as_array().unwrap();
    for tensor in tensors {
        assert!(number(tensor, "offset") + number(tensor, "bytes") <= bytes, "{tensor}");
        assert!(number(tensor, "first") <= number(tensor, "last"), "{tensor}");
    }
    // Summed up step by step, what lives at the peak is what the report says: nothing works in place there.
    let peak = number(arena, "peak");
    let alive = tensors.iter().filter(|t| number(t, "first") <= peak && peak <= number(t, "last"));
    assert!(alive.map(|t| number(t, "bytes")).sum::<u64>() >= number(arena, "peak_bytes"));
}

#[test]
fn the_page_of_a_fit_shows_what_the_network_takes_of_its_budgets() {
    let task = demo().display().to_string();
    let arguments = ["--target", "m33", "--flash", "20k", "--instructions", "2M"];
    let written = Written::by(&[&["fit", "--task", &task][..], &arguments].concat());
    written.shows(&[
        "/budgets/flash/budget",
        "/budgets/flash/share",
        "/budgets/instructions/share",
    ]);
    let budgets = &written.json["budgets"];
    assert_eq!(
        (&budgets["target"], &written.json["target"]),
        (&"cortex-m33".into(), &"cortex-m33".into())
    );
    assert_eq!(budgets["flash"]["budget"], 20 * 1024);
    assert!(budgets["flash"]["share"].as_f64().unwrap() <= 1.0);
    assert!(budgets.get("ram").is_none(), "{budgets}");
}

#[test]
fn scores_have_roc_curves_and_targets_have_scatter_plots() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let numbers = |samples: usize, seed: usize| -> Vec<f32> {
        (0..samples * 3).map(|i| ((i * 37 + seed * 11) % 41) as f32 / 20.0 - 1.0).collect()
    };
    for (seed, name) in ["features", "meta"].into_iter().enumerate() {
        let bytes = f32_bytes(&numbers(400, seed));
        write_npy(Path::new(&path(&format!("{name}.npy"))), "<f4", false, &[400, 3], &bytes);
    }
    write_npy(Path::new(&path("y.npy")), "<f4", false, &[400, 3], &f32_bytes(&numbers(400, 5)));
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    let model = models.join("ends.onnx").display().to_string();
    let samples = folder.path().display().to_string();
    let y = path("y.npy");
    let files = ["quantize", &model, "--calib", &samples, "--eval", &samples, "--labels", &y];
    let written = Written::by(&[&files[..], &["--output", "sum", "--metric", "mae"]].concat());
    let pairs = written.json["scatter"]["integer"].as_array().unwrap();
    assert!((250..=500).contains(&pairs.len()), "{}", pairs.len());
    assert!(written.json.get("confusion").is_none() && written.json.get("roc").is_none());
    assert!(written.page.contains("outputs of the integer network against targets"));
    // Two inputs, two outputs, and what each layer reads of them.
    written.shows(&["/outputs/1/bits", "/inputs/1/shape/0", "/integer"]);
}

#[test]
fn inspected_models_have_pages_of_what_is_known_without_data() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (task, out) = (demo().display().to_string(), path("out"));
    assert!(run(&["quantize", "--task", &task, "--samples", "32", "--out", &out]).status.success());
    let page = path("page.html");
    let inspect = |model: &str, flags: &[&str]| -> (Value, String) {
        let output = run(&[&["inspect", model, "--html", &page, "--json"], flags].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        (serde_json::from_str(&stdout(&output)).unwrap(), std::fs::read_to_string(&page).unwrap())
    };
    let bptq = path("out/model.bptq");
    let (json, text) = inspect(&bptq, &[]);
    let always = ["/layers/1/bytes", "/macs", "/layers/1/weight_histogram/smallest"];
    let costs = ["/arena/peak_bytes", "/costs/0/flash_bytes", "/layers/1/time_share"];
    check(
        &json,
        &text,
        &[&always[..], &costs, &["/costs/6/instructions", "/layers/1/instructions/0"]].concat(),
    );
    assert_eq!(json["costs"][0]["target"], "cortex-m4");
    let (json, text) = inspect(&bptq, &["--target", "rv32", "--clock", "100"]);
    check(&json, &text, &costs);
    assert_eq!(
        (json["costs"].as_array().unwrap().len(), &json["arena"]["target"]),
        (1, &"rv32".into())
    );
    let model = demo().join("model.onnx").display().to_string();
    let (json, text) = inspect(&model, &[]);
    check(&json, &text, &always);
    for id in ["layers", "network", "histograms"] {
        assert!(text.contains(&format!("<section id=\"{id}\">")), "{id}");
    }
    // A page that cannot be written is an error, and so is a model that cannot be read, which writes none.
    let output = run(&["inspect", &model, "--html", &format!("{bptq}/page.html")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot write"), "{}", stderr(&output));
    let output = run(&["inspect", &path("none.bptq"), "--html", &path("other.html")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(!folder.path().join("other.html").exists());
    let output = run(&["inspect", &bptq, "--html", &page]);
    assert!(stdout(&output).ends_with(&format!("written to {page}\n")), "{}", stdout(&output));
}

#[test]
fn names_with_markup_stay_text_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let model = std::fs::read(demo().join("model.onnx")).unwrap();
    // The name of the input, and of whatever else is called like it, in as many bytes.
    let at: Vec<usize> =
        (0..model.len()).filter(|&i| model[i..].starts_with(b"\x05image")).collect();
    let mut hostile = model.clone();
    at.iter().for_each(|&i| hostile[i..i + 6].copy_from_slice(b"\x05<b>&\x1b"));
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("model.onnx"), hostile).unwrap();
    let page = path("page.html");
    let output = run(&["inspect", &path("model.onnx"), "--html", &page]);
    assert!(output.status.success() && !at.is_empty(), "{}", stderr(&output));
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(!text.contains("<b>&") && !text.contains('\x1b'));
    assert!(text.contains("&lt;b&gt;&amp;\\u{1b}"), "{text}");
}
