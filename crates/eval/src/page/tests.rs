//! The page shows the JSON's numbers and no others, and texts stay texts.

use serde_json::{Value, json};

use super::render;

/// A report that has every section; its texts hold no digits.
fn report() -> Value {
    let histogram = |unit: &str, scale: f64| {
        json!({
            "unit": unit, "low": -2.5 * scale, "high": 2.0 * scale, "counts": [1, 0, 12, 900, 3],
            "below": 2, "above": 31, "smallest": -2.75 * scale, "largest": 4.0 * scale,
            "grid": { "scale": scale, "zero_point": 0, "min": -2, "max": 1 },
        })
    };
    let layer = |name: &str, inputs: Value, sqnr: f64| {
        json!({
            "name": name, "op": "FullyConnected", "bits": 2, "activation_bits": 8, "sqnr_db": sqnr,
            "weight_sqnr_db": 9.125, "bytes": 12_345, "macs": 640, "inputs": inputs,
            "instructions": 345_678, "time_share": 0.4375, "weight_histogram": histogram("steps", 1.0),
            "output_histogram": histogram("real", 0.375),
        })
    };
    let curve = json!([[0.0, 0.0], [0.25, 0.75], [1.0, 1.0]]);
    let cost = |target: &str, instructions: Value| {
        json!({
            "target": target, "flash_bytes": 54_321, "constant_bytes": 43_210, "code_bytes": 11_111,
            "ram_bytes": 9_876, "arena_bytes": 8_765, "stack_bytes": 1_111, "instructions": instructions,
        })
    };
    let judged = json!({
        "task": "task", "model": "model.onnx", "label": "mixed", "model_sha256": "abc",
        "calibration_sha256": "def", "version": "dev", "recipe": "name = \"mixed\"\n", "seed": 17,
        "calibration": "data", "calibration_samples": 256, "metric": "auc", "samples": 120,
        "metric_note": "the score is the mean", "float": 0.875, "float_ci": [0.8125, 0.9375],
        "simulated": 0.8625, "simulated_ci": [0.8, 0.92], "integer": 0.8601, "integer_ci": [0.79, 0.91],
        "figures": [{ "name": "f", "float": 0.5, "float_ci": [0.4, 0.6], "integer": 0.45 }],
        "confusion": { "classes": ["yes", "no"], "float": [[40, 2], [3, 50]], "integer": [[39, 3], [7, 46]] },
        "roc": [{
            "group": 4, "float_auc": 0.9125, "integer_auc": 0.8875, "float": curve, "integer": curve,
        }],
        "further": [{
            "output": "angle", "metric": "mae", "float": 0.0123, "simulated": 0.0125, "integer": 0.0131,
            "integer_ci": [0.011, 0.015],
            "scatter": { "float": [[0.5, 0.25], [1.5, 1.75]], "integer": [[0.5, 0.75], [1.5, 1.25]] },
        }]
    });
    let sizes = json!({
        "exported": { "flash_bytes": 40_000, "ram_bytes": 8_000, "row_by_row": 3 },
        "flash_bytes": 41_000, "ram_bytes": 16_000, "macs": 2_500_000, "weights": 99_000,
        "kept_weights": 98_000, "target": "cortex", "outputs": [
            { "name": "score", "shape": [2], "bits": 8, "from": { "layer": 1 }, "sqnr_db": 21.5 },
        ],
        "inputs": [{ "name": "image", "shape": [3, 8], "preprocessing": {
            "element": "float", "scale": 0.0625, "mean": [0.5], "std": [0.25], "window_frames": 5,
        } }],
        "costs": [cost("cortex", json!(56_789_000)), cost("other", Value::Null)],
        "budgets": {
            "target": "cortex",
            "flash": { "budget": 65_536, "taken": 54_321, "share": 0.8289 },
            "ram": { "budget": 8_192, "taken": 9_876, "share": 1.2056 },
            "instructions": { "budget": 60_000_000, "taken": 56_789_000, "share": 0.9465 },
        },
        "arena": {
            "target": "cortex", "bytes": 8_765, "peak": 1, "peak_bytes": 8_192,
            "steps": [
                { "name": "first", "op": "FullyConnected", "live_bytes": 5_000 },
                { "name": "second", "op": "FullyConnected", "live_bytes": 8_192 },
            ],
            "tensors": [
                { "name": "image", "role": "input", "offset": 0, "bytes": 4_096, "first": 0, "last": 0 },
                {
                    "name": "first", "role": "activation", "offset": 4_096, "bytes": 904,
                    "first": 0, "last": 1,
                },
                { "name": "second", "role": "output", "offset": 0, "bytes": 4_000, "first": 1, "last": 1 },
                {
                    "name": "second", "role": "scratch", "offset": 5_120, "bytes": 3_288,
                    "first": 1, "last": 1,
                },
            ],
        }
    });
    let rest = json!({
        "layers": [
            layer("first", json!([{ "input": 0 }]), 31.25),
            layer("second", json!([{ "layer": 0 }, { "input": 0 }]), 18.75),
        ],
        "sqnr_on": "held-out", "sqnr_samples": 64, "notes": ["read as floats"],
        "explain": { "loss": "kl-divergence", "layers": [
            { "name": "second", "loss": 0.0375, "loss_error": 0.001 },
            { "name": "first", "loss": 0.0125, "loss_error": 0.001 },
        ] },
        "warnings": [{ "kind": "few", "message": "few samples", "hint": "take more" }],
        "seconds": { "import": 123.456 },
    });
    let parts = [judged, sizes, rest].map(|part| part.as_object().cloned().unwrap_or_default());
    Value::Object(parts.into_iter().flatten().collect())
}

/// The numbers of a page: the place, the exact value, and the text.
fn numbers(page: &str) -> Vec<(&str, &str, &str)> {
    let attribute = |tag: &'static str, of: &'_ str| -> Option<(usize, usize)> {
        let start = of.find(tag)? + tag.len();
        Some((start, start + of[start..].find('"')?))
    };
    let found = page.match_indices(" data-at=\"").map(|(at, _)| {
        let start = page[..at].rfind('<').expect("a tag");
        let end = at + page[at..].find('>').expect("the tag's end");
        let tag = &page[start..end];
        let place = attribute("data-at=\"", tag).expect("a place");
        let value = attribute("value=\"", tag).expect("a value");
        let text = &page[end + 1..end + page[end..].find('<').expect("a closing tag")];
        (&tag[place.0..place.1], &tag[value.0..value.1], text)
    });
    found.collect()
}

/// What a number on the page says, and how far from it a number may be that is rounded to it.
fn read(text: &str) -> (f64, f64) {
    let (number, unit) = text.split_once('\u{a0}').unwrap_or((text, ""));
    let factor = match unit {
        "" | "B" => 1.0,
        "%" => 0.01,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        other => panic!("'{text}' has the unit '{other}'"),
    };
    let (mantissa, exponent) = number.split_once('e').unwrap_or((number, "0"));
    let power = 10_f64.powi(exponent.parse().expect("an exponent"));
    let digits = mantissa.split_once('.').map_or(0, |(_, digits)| digits.len());
    let value: f64 = mantissa.parse().unwrap_or_else(|_| panic!("'{text}' is not a number"));
    let step = power * factor * 0.1_f64.powi(i32::try_from(digits).expect("few digits"));
    (value * power * factor, 0.5001 * step)
}

#[test]
fn every_number_of_the_page_is_the_one_of_the_json_at_its_place() {
    let report = report();
    let page = render(&report);
    let found = numbers(&page);
    assert!(found.len() > 100, "{}", found.len());
    for (place, value, text) in &found {
        let expected = report.pointer(place).unwrap_or_else(|| panic!("no {place}"));
        assert_eq!(*value, expected.to_string(), "{place}");
        let (said, tolerance) = read(text);
        // Numbers with three digits may have lost zeros at their end.
        let expected = expected.as_f64().expect("a number");
        let least = 0.005 * expected.abs();
        assert!((said - expected).abs() <= tolerance.max(least), "{place}: {text} for {expected}");
    }
}

#[test]
fn the_page_shows_what_the_report_knows() {
    let report = report();
    let page = render(&report);
    let found = numbers(&page);
    let places: Vec<&str> = found.iter().map(|(place, ..)| *place).collect();
    for place in [
        "/float",
        "/simulated",
        "/integer",
        "/float_ci/0",
        "/integer_ci/1",
        "/figures/0/integer",
        "/further/0/integer",
        "/costs/0/flash_bytes",
        "/costs/1/ram_bytes",
        "/costs/0/instructions",
        "/budgets/flash/budget",
        "/budgets/ram/share",
        "/budgets/instructions/share",
        "/exported/flash_bytes",
        "/macs",
        "/layers/0/bits",
        "/layers/1/activation_bits",
        "/layers/0/bytes",
        "/layers/0/instructions",
        "/layers/1/time_share",
        "/layers/1/sqnr_db",
        "/layers/1/weight_sqnr_db",
        "/explain/layers/0/loss",
        "/arena/bytes",
        "/arena/peak_bytes",
        "/arena/tensors/3/bytes",
        "/arena/steps/0/live_bytes",
        "/layers/0/output_histogram/grid/scale",
        "/layers/0/weight_histogram/smallest",
        "/confusion/integer/1/0",
        "/roc/0/integer_auc",
        "/seed",
        "/inputs/0/preprocessing/scale",
        "/outputs/0/sqnr_db",
    ] {
        assert!(places.contains(&place), "{place} is not on the page");
    }
    for text in ["few samples", "take more", "name = &quot;mixed&quot;", "abc", "read as floats"] {
        assert!(page.contains(text), "{text} is not on the page");
    }
    // The times of a run are not: they differ from run to run.
    assert!(!page.contains("123.456") && !places.iter().any(|place| place.contains("seconds")));
    // The layer whose quantization alone changes most is marked, once in the table.
    let (_, row) = page.split_once("<tr class=\"worst\" id=\"").expect("a marked layer");
    assert!(row.starts_with("l2\""), "{}", &row[..40]);
    let figures = page.matches("role=\"img\"").count();
    assert_eq!(page.matches("aria-label=\"").count(), figures);
    assert!(figures >= 10, "{figures}");
}

/// The page without tags, without the numbers of the JSON, and without those of axes and rows.
fn rest(page: &str) -> String {
    let (_, body) = page.split_once("<body>").expect("a body");
    let mut rest = String::new();
    for part in body.split('<').skip(1) {
        let (tag, text) = part.split_once('>').expect("a tag");
        let counted = ["data-at=", "class=\"mark\"", "class=\"order\""];
        if !counted.iter().any(|kind| tag.contains(kind)) {
            rest.push_str(text);
            rest.push('\n');
        }
    }
    for fixed in ["SHA-256", "-O2", "95 %"] {
        rest = rest.replace(fixed, "");
    }
    rest
}

#[test]
fn the_page_holds_no_number_that_is_not_the_json_s() {
    let rest = rest(&render(&report()));
    let found: Vec<&str> =
        rest.lines().filter(|line| line.contains(|c: char| c.is_ascii_digit())).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// The report with all names, and all other texts, replaced.
fn with_texts(value: &mut Value, text: &str) {
    // These decide what is drawn.
    const FIXED: [&str; 5] = ["metric", "unit", "role", "calibration", "target"];
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| with_texts(item, text)),
        Value::Object(keys) => {
            for (_, value) in keys.iter_mut().filter(|(key, _)| !FIXED.contains(&key.as_str())) {
                match value {
                    Value::String(own) => *own = text.to_owned(),
                    other => with_texts(other, text),
                }
            }
        }
        Value::String(own) => *own = text.to_owned(),
        _ => {}
    }
}

#[test]
fn texts_make_no_markup() {
    let plain = render(&report());
    let tags = |page: &str| {
        page.split('<').skip(1).map(|part| part.split('>').next().map(String::from)).collect()
    };
    for hostile in [
        "<script>alert('x')</script>",
        "\"><img src=x onerror=alert(x)>",
        "</style></svg></title><b>&amp;",
        "' onclick='x' \"x",
        "]]>--><!--",
        "\u{1b}[2J\u{202e}\u{0}",
    ] {
        let mut report = report();
        with_texts(&mut report, hostile);
        let page = render(&report);
        for wrong in ["<script", "<img", "<b>&amp;", "<!--", "\u{1b}", "\u{202e}", "\u{0}"] {
            assert!(!page.contains(wrong), "{wrong:?} for {hostile:?}");
        }
        // As many tags of each name as with other texts.
        let names = |page: &str| -> Vec<String> {
            let tags: Vec<Option<String>> = tags(page);
            let name = |tag: Option<String>| {
                let tag = tag.unwrap_or_default();
                tag.split([' ', '/']).find(|word| !word.is_empty()).unwrap_or_default().to_owned()
            };
            let mut names: Vec<String> = tags.into_iter().map(name).collect();
            names.sort();
            names
        };
        assert_eq!(names(&page), names(&plain), "{hostile:?}");
        let found = numbers(&page).len();
        assert_eq!(found, numbers(&plain).len());
    }
}

#[test]
fn long_names_are_whole_in_tables_and_short_in_figures() {
    let mut report = report();
    let long = "layer_".repeat(500);
    report["layers"][0]["name"] = json!(long);
    report["arena"]["steps"][0]["name"] = json!(long);
    let page = render(&report);
    assert!(page.contains(&format!("<span class=\"name\">{long}</span>")));
    for (at, _) in page.match_indices("<text ") {
        let text = page[at..].split_once('>').and_then(|(_, rest)| rest.split_once('<'));
        let (text, _) = text.expect("a text");
        assert!(text.chars().count() < 60, "{text}");
    }
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let page = render(&report());
    let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for outside in
        ["http:", "https:", "//", "src=", "url(", "@import", "<link", "<script", "<iframe"]
    {
        assert!(!page.contains(outside), "{outside}");
    }
    for (at, _) in page.match_indices("href=\"") {
        assert!(page[at..].starts_with("href=\"#"), "{}", &page[at..at + 40]);
    }
}

#[test]
fn what_is_not_known_is_left_out() {
    for report in
        [json!({}), json!(null), json!([1]), json!({ "layers": [], "arena": {}, "costs": [] })]
    {
        let page = render(&report);
        assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"), "{page}");
    }
    // A program without data: no metric, no noise, no warnings.
    let mut report = report();
    let fields = report.as_object_mut().expect("an object");
    for key in ["metric", "explain", "warnings", "confusion", "roc", "further", "version", "label"]
    {
        fields.remove(key);
    }
    for layer in report["layers"].as_array_mut().expect("layers") {
        layer.as_object_mut().expect("a layer").remove("sqnr_db");
    }
    let page = render(&report);
    for absent in ["id=\"warnings\"", "id=\"judged\"", "noise, dB", "class=\"worst\" id=\"l"] {
        assert!(!page.contains(absent), "{absent}");
    }
    for present in ["id=\"layers\"", "id=\"arena\"", "id=\"network\"", "id=\"histograms\""] {
        assert!(page.contains(present), "{present}");
    }
    // Numbers of the wrong kind are not numbers.
    let mut report = self::report();
    report["layers"][0]["inputs"] = json!([{ "layer": 99 }, { "layer": -1 }, "x"]);
    report["arena"]["tensors"][0]["offset"] = json!("x");
    report["arena"]["peak"] = json!(99);
    render(&report);
}

#[test]
fn large_networks_are_drawn_with_a_box_for_a_chain() {
    let mut report = report();
    let layer = |at: usize| {
        let source = if at == 0 { json!({ "input": 0 }) } else { json!({ "layer": at - 1 }) };
        // Every tenth layer is read by the one ten after it, too.
        let skip = (at.is_multiple_of(10) && at > 0).then(|| json!({ "layer": at - 10 }));
        let inputs: Vec<Value> = [Some(source), skip].into_iter().flatten().collect();
        json!({ "name": format!("layer {at}"), "op": "Add", "activation_bits": 8, "inputs": inputs })
    };
    let boxes = |report: &Value| render(report).matches("class=\"box\"").count();
    report["layers"] = (0..40).map(layer).collect();
    report["outputs"][0]["from"] = json!({ "layer": 39 });
    assert_eq!(boxes(&report), 42);
    report["layers"] = (0..200).map(layer).collect();
    report["outputs"][0]["from"] = json!({ "layer": 199 });
    // Of each ten layers one joins and nine are a chain, except of the last ten; with both ends.
    assert_eq!(boxes(&report), 2 * 19 + 1 + 2);
    report["layers"] = (0..5000).map(layer).collect();
    assert!(render(&report).contains("too large to be drawn"));
}
