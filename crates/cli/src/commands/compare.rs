//! `burn-ptq compare`.

use anyhow::ensure;
use burn_ptq::backend::device;
use burn_ptq_deploy::printable;
use burn_ptq_eval::compare::{
    CompareError, Compared, ComparedCost, ComparedLayer, ComparedMetric, ComparedModel,
    LayerOfModel, MetricOfModel, Sameness, Setting, StatedMetric, compare,
};
use burn_ptq_eval::metric::{Interval, Metric};
use burn_ptq_eval::statistics::{Claim, Verdict};

use super::task;
use crate::args::Compare;
use crate::output::{self, errln, outln};
use crate::progress::Reporter;
use crate::table;

/// What stands for something that is not known, or is not there.
const NONE: &str = "-";

/// Characters of a setting that a table shows.
const WIDEST: usize = 40;

pub(crate) fn run(args: Compare) -> anyhow::Result<()> {
    let device = device(&args.backend.backend)?;
    if let Some(flag) = args.data.without_samples() {
        anyhow::bail!(
            "{flag} says how models are evaluated, but there are no samples: add --eval X.npy or --task DIR"
        );
    }
    let task = task(&args.data, args.models.first(), &[])?;
    ensure!(
        args.data.task.is_none() || task.evaluation.is_some(),
        "no evaluation data in the folder of --task: add eval_x.npy and eval_y.npy to it, or leave it out"
    );
    let reporter = Reporter::new();
    let show = |event: burn_ptq::Event| reporter.show(event);
    let compared = compare(&args.models, &task, &args.target, &device, &show).map_err(plain)?;
    drop(reporter);
    for note in &compared.notes {
        errln!("note: {}", printable::line(note));
    }
    if args.json {
        return output::json(&compared);
    }
    output::print(models(&compared.models))?;
    output::print(metrics(&compared))?;
    output::print(costs(&compared))?;
    output::print(layers(&compared, args.all))?;
    output::print(settings(&compared))?;
    for warning in &compared.warnings {
        outln!("warning: {}", printable::line(&warning.to_string()))?;
    }
    Ok(())
}

/// An error of the comparison as the other commands have it, so that an interruption is told as one.
fn plain(error: CompareError) -> anyhow::Error {
    match error {
        CompareError::Evaluate(error) => error.into(),
        error => error.into(),
    }
}

/// A value, or what stands for none.
fn or_none<T: ToString>(value: Option<T>) -> String {
    value.map_or(NONE.into(), |value| value.to_string())
}

/// Which letter is which model, and which programs are the same.
fn models(models: &[ComparedModel]) -> String {
    let row = |model: &ComparedModel| {
        let kind = [Some(model.kind.to_owned()), model.label.clone()];
        let kind = kind.into_iter().flatten().collect::<Vec<_>>().join(" ");
        vec![model.letter.clone(), kind, model.path.clone()]
    };
    let mut text =
        table::render(&["", "model", "file"], &models.iter().map(row).collect::<Vec<_>>());
    for ComparedModel { letter, program, .. } in models {
        text.push_str(&match program {
            Some(Sameness::Same) => format!("{letter} is the same program as A\n"),
            Some(Sameness::SameButProvenance) => {
                format!("{letter} is the same program as A, except for its name and provenance\n")
            }
            Some(Sameness::Differs) | None => continue,
        });
    }
    text
}

/// The metrics, with what may be claimed of their differences.
fn metrics(compared: &Compared) -> String {
    let letters: Vec<&str> = compared.models.iter().map(|model| model.letter.as_str()).collect();
    let metrics = compared.metrics.iter();
    let tests = metrics.clone().flat_map(claims).filter(|claim| claim.verdict.tested()).count();
    let mut text: String = metrics.map(|metric| judged(metric, &letters, tests > 1)).collect();
    if tests > 1 {
        text.push_str(&format!("p is adjusted for {tests} comparisons (false discovery rate)\n"));
    }
    if compared.metrics.is_empty() {
        text.push_str(&stated(compared));
    }
    text
}

/// The differences that are tested.
fn claims(metric: &ComparedMetric) -> impl Iterator<Item = &Claim> {
    let differences = metric.models.iter().filter_map(|model| model.against_first.as_ref());
    differences.filter_map(|difference| difference.test.as_ref())
}

/// A metric on the same samples; `adjusted` if p-values are.
fn judged(compared: &ComparedMetric, letters: &[&str], adjusted: bool) -> String {
    let ComparedMetric { output, metric, samples, .. } = compared;
    let differences = || compared.models.iter().filter_map(|model| model.against_first.as_ref());
    let tests = claims(compared).next().is_some();
    let classes = differences().any(|difference| difference.agreement.is_some());
    let correct = differences().any(|difference| difference.only_this_right.is_some());
    let mut header = vec!["", metric.name(), "difference from A"];
    header.extend(tests.then_some(if adjusted { "adjusted p" } else { "p" }));
    header.extend(classes.then_some("same class"));
    if correct {
        header.extend(["only A right", "only this right"]);
    }
    header.extend(tests.then_some("verdict"));
    let row = |(letter, model): (&&str, &MetricOfModel)| {
        let mut row = vec![(*letter).to_owned(), metric.text(model.value, model.ci)];
        let Some(found) = &model.against_first else {
            row.resize(header.len(), String::new());
            return row;
        };
        let interval = found.test.map(|test| test.interval);
        row.push(signed(*metric, found.difference, interval));
        if tests {
            row.push(or_none(found.test.map(|test| table::number(test.adjusted_p))));
        }
        if classes {
            row.push(or_none(found.agreement.map(|share| format!("{:.1} %", 100.0 * share))));
        }
        if correct {
            row.extend([or_none(found.only_first_right), or_none(found.only_this_right)]);
        }
        if tests {
            row.push(found.test.map_or(NONE, |test| verdict(test.verdict)).into());
        }
        row
    };
    let rows: Vec<Vec<String>> = letters.iter().zip(&compared.models).map(row).collect();
    let plural = if *samples == 1 { "" } else { "s" };
    let mut text = format!(
        "\n{metric} of the output '{}' on {samples} sample{plural}, with 95 % confidence intervals:\n\n",
        printable::line(output)
    );
    text.push_str(&table::render(&header, &rows));
    let notes: Vec<Option<&String>> =
        compared.models.iter().map(|model| model.note.as_ref()).collect();
    let same = notes.windows(2).all(|pair| pair[0] == pair[1]);
    for (letter, note) in letters.iter().zip(notes).take(if same { 1 } else { letters.len() }) {
        let who = if same { String::new() } else { format!("{letter}: ") };
        text.push_str(&note.map_or(String::new(), |note| format!("{who}{note}\n")));
    }
    if let Some(reason) = &compared.no_test {
        text.push_str(&format!("no test: {reason}\n"));
    }
    text
}

/// A difference of the metric, with its sign.
fn signed(metric: Metric, difference: f64, interval: Option<Interval>) -> String {
    let sign = if difference > 0.0 { "+" } else { "" };
    format!("{sign}{}", metric.text(difference, interval))
}

/// A verdict in words.
fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::NoDifferenceShown => "no significant difference",
        verdict => verdict.text(),
    }
}

/// What reports state of metrics, where nothing was evaluated.
fn stated(compared: &Compared) -> String {
    let mut text = String::from("\n");
    if !compared.stated.is_empty() {
        let value = |value: Option<f64>, interval: Option<Interval>, metric: &str| {
            let known = metric.parse::<Metric>().ok();
            or_none(value.map(|value| match known {
                Some(metric) => metric.text(value, interval),
                None => table::number(value),
            }))
        };
        let row = |(model, stated): (&ComparedModel, &Option<StatedMetric>)| {
            let mut row = vec![model.letter.clone()];
            match stated {
                Some(stated) => row.extend([
                    stated.metric.clone(),
                    or_none(stated.samples),
                    value(stated.integer, stated.integer_ci, &stated.metric),
                    value(stated.float, stated.float_ci, &stated.metric),
                ]),
                None => row.extend([NONE; 4].map(String::from)),
            }
            row
        };
        let rows: Vec<Vec<String>> =
            compared.models.iter().zip(&compared.stated).map(row).collect();
        text.push_str("as reports state it:\n\n");
        text.push_str(&table::render(&["", "metric", "samples", "integer", "float"], &rows));
    }
    text.push_str(
        "no paired test: that takes what the models do on the same samples; add --task DIR, or --eval X.npy \
         --labels Y.npy\n",
    );
    text
}

/// What a cost is called in tables.
fn name_of(cost: &ComparedCost) -> String {
    let name = match (cost.target, cost.what) {
        (None, "exported_flash_bytes") => "constants, exported",
        (None, "exported_ram_bytes") => "arena, exported",
        (None, "flash_bytes") => "constants, as in the file",
        (None, "ram_bytes") => "arena, as in the file",
        (None, "macs") => "MACs",
        (Some(_), "flash_bytes") => "flash",
        (Some(_), "code_bytes") => "of it code",
        (Some(_), "ram_bytes") => "RAM",
        (Some(_), "arena_bytes") => "of it arena",
        (_, what) => what,
    };
    match cost.target {
        Some(target) => format!("{target}: {name}"),
        None => name.into(),
    }
}

/// The costs, with changes in percent.
fn costs(compared: &Compared) -> String {
    let row = |cost: &ComparedCost| {
        let values = cost.values.iter().zip(&cost.percent).enumerate();
        let cells = values.map(|(index, (value, percent))| match (value, percent) {
            (Some(value), Some(percent)) if index > 0 && *percent != 0.0 => {
                format!("{value} ({percent:+.1} %)")
            }
            (value, _) => or_none(*value),
        });
        [name_of(cost)].into_iter().chain(cells).collect()
    };
    let mut header = vec!["cost"];
    header.extend(compared.models.iter().map(|model| model.letter.as_str()));
    let rows: Vec<Vec<String>> = compared.costs.iter().map(row).collect();
    let mut text = format!("\n{}", table::render(&header, &rows));
    if compared.costs.iter().any(|cost| cost.target.is_some()) {
        text.push_str("predicted on targets: exported C at -O2\n");
    }
    text
}

/// Values side by side: one if they are the same.
fn side_by_side(mut values: Vec<String>) -> String {
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        values.truncate(1);
    }
    values.join(" / ")
}

/// The values of a layer in all models.
fn values(layer: &ComparedLayer, of: impl Fn(&LayerOfModel) -> String) -> String {
    let of = |model: &Option<LayerOfModel>| model.as_ref().map_or(NONE.into(), &of);
    side_by_side(layer.models.iter().map(of).collect())
}

/// The layers that differ, or all of them.
fn layers(compared: &Compared, all: bool) -> String {
    let count = compared.layers.len();
    if count == 0 {
        return "\nlayers are not known\n".into();
    }
    let differing = compared.layers.iter().filter(|layer| layer.differs).count();
    let mut text = match differing {
        0 => format!("\nnone of {count} layers differs\n"),
        _ => format!("\n{differing} of {count} layers differ"),
    };
    if differing > 0 {
        let letters: Vec<&str> =
            compared.models.iter().map(|model| model.letter.as_str()).collect();
        text.push_str(&format!("; {} where values do:\n\n", letters.join(" / ")));
    }
    let shown: Vec<&ComparedLayer> =
        compared.layers.iter().filter(|layer| all || layer.differs).collect();
    if shown.is_empty() {
        return text;
    }
    let of_layers = || compared.layers.iter().flat_map(|layer| layer.models.iter().flatten());
    let ratios = of_layers().any(|layer| layer.sqnr_db.is_some());
    let integers = of_layers().any(|layer| layer.integers.is_some());
    let mut header = vec!["layer", "op", "W", "A", "bytes", "MACs"];
    header.extend(ratios.then_some("dB"));
    header.extend(integers.then_some("integers"));
    let row = |layer: &&ComparedLayer| {
        let mut row = vec![
            layer.name.clone(),
            values(layer, |own| or_none(own.op.as_ref())),
            values(layer, |own| or_none(own.weight_bits)),
            values(layer, |own| or_none(own.activation_bits)),
            values(layer, |own| or_none(own.bytes)),
            values(layer, |own| or_none(own.macs)),
        ];
        if ratios {
            row.push(values(layer, |own| or_none(own.sqnr_db.map(|ratio| format!("{ratio:.1}")))));
        }
        if integers {
            let others = layer.models.iter().skip(1);
            let others = others
                .map(|own| own.as_ref()?.integers.as_ref())
                .map(|difference| difference.map_or(NONE.into(), |difference| difference.text()));
            row.push(side_by_side(others.collect()));
        }
        row
    };
    text.push_str(&table::render(&header, &shown.iter().map(row).collect::<Vec<_>>()));
    text
}

/// What models were made of, where that differs.
fn settings(compared: &Compared) -> String {
    if compared.settings.is_empty() {
        return String::new();
    }
    let mut header = vec!["made with"];
    header.extend(compared.models.iter().map(|model| model.letter.as_str()));
    let shown = |setting: &Setting, value: &Option<String>| match value {
        // The first digits tell hashes apart.
        Some(hash) if setting.name.ends_with("_sha256") => hash.chars().take(12).collect(),
        Some(text) if text.chars().count() > WIDEST => {
            text.chars().take(WIDEST).chain("..".chars()).collect()
        }
        value => or_none(value.as_ref()),
    };
    let rows = compared.settings.iter().map(|setting| {
        let values = setting.values.iter().map(|value| shown(setting, value));
        [setting.name.clone()].into_iter().chain(values).collect()
    });
    format!("\n{}", table::render(&header, &rows.collect::<Vec<Vec<String>>>()))
}
