//! The numbers for programs: a row per cell, and a row per run.

use burn_ptq_deploy::printable;

use crate::Results;
use crate::analysis::Analysis;

/// All cells as CSV.
pub(super) fn cells(analysis: &Analysis) -> String {
    let header = "question,task,setting,recipe,runs,lacking,mean,deviation,float,difference,low,high,\
                  p,adjusted_p,verdict,float_difference,float_low,float_high,float_p,float_adjusted_p,\
                  float_verdict,flash_bytes,ram_bytes,macs,\
                  bit_operations,seconds";
    let mut text = format!("{header}\n");
    for experiment in &analysis.experiments {
        for cell in &experiment.cells {
            let optional = |x: Option<f64>| x.map_or(String::new(), |x| x.to_string());
            let against = cell.against;
            let row = [
                quoted(&experiment.question),
                quoted(&analysis.tasks[cell.task].name),
                quoted(&super::words::levels(experiment, &cell.levels, &[])),
                quoted(&cell.recipe),
                cell.runs.to_string(),
                cell.lacking.to_string(),
                optional((cell.runs > 0).then_some(cell.mean)),
                optional(cell.deviation),
                analysis.tasks[cell.task].float.to_string(),
                optional(against.map(|c| c.difference)),
                optional(against.map(|c| c.interval.0)),
                optional(against.map(|c| c.interval.1)),
                optional(against.map(|c| c.p)),
                optional(against.map(|c| c.adjusted_p)),
                match against {
                    Some(claim) => claim.verdict.text().into(),
                    None if cell.levels == cell.reference => "reference".into(),
                    None => String::new(),
                },
                optional(cell.float.map(|c| c.difference)),
                optional(cell.float.map(|c| c.interval.0)),
                optional(cell.float.map(|c| c.interval.1)),
                optional(cell.float.map(|c| c.p)),
                optional(cell.float.map(|c| c.adjusted_p)),
                cell.float.map_or("", |c| c.verdict.text()).into(),
                cell.flash_bytes.to_string(),
                cell.ram_bytes.to_string(),
                cell.macs.to_string(),
                cell.bit_operations.to_string(),
                cell.seconds.to_string(),
            ];
            text.push_str(&row.join(","));
            text.push('\n');
        }
    }
    text
}

/// All runs as CSV.
pub(super) fn runs(results: &Results) -> String {
    let mut text =
        "id,task,version,backend,draw,samples,metric,flash_bytes,ram_bytes,macs,bit_operations,calibrate_s,\
                    quantize_s,evaluate_s,recipe,error\n"
            .to_string();
    for run in &results.runs {
        let measured = |value: &dyn Fn(&crate::Measured) -> String| {
            run.measured.as_ref().map_or(String::new(), value)
        };
        let seconds = |stage: &str| run.seconds.get(stage).map_or(String::new(), f64::to_string);
        let row = [
            plain(&run.id),
            quoted(&run.task),
            quoted(&run.version),
            plain(&run.backend),
            run.draw.to_string(),
            run.samples.to_string(),
            measured(&|m| m.metric.to_string()),
            measured(&|m| m.flash_bytes.to_string()),
            measured(&|m| m.ram_bytes.to_string()),
            measured(&|m| m.macs.to_string()),
            measured(&|m| m.bit_operations.to_string()),
            seconds("calibrate"),
            seconds("quantize"),
            seconds("evaluate"),
            quoted(&run.recipe.replace('\n', "; ")),
            quoted(run.error.as_deref().unwrap_or_default()),
        ];
        text.push_str(&row.join(","));
        text.push('\n');
    }
    text
}

/// A text as a field of CSV. One that a spreadsheet would take for a formula gets an apostrophe in
/// front, which it takes for the sign of a text.
fn quoted(text: &str) -> String {
    let text = text.replace('\n', " ");
    let formula = text.trim_start().starts_with(['=', '+', '-', '@']);
    let mark = if formula { "'" } else { "" };
    format!("\"{mark}{}\"", printable::line(&text).replace('"', "\"\""))
}

/// A name as a field of CSV, quoted where it must be.
fn plain(name: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name.chars().all(harmless) && !name.starts_with('-') {
        true => name.into(),
        false => quoted(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_a_formula_or_leaves_its_cell() {
        assert_eq!(quoted("W4A8, \"best\""), "\"W4A8, \"\"best\"\"\"");
        for text in ["=1+1", "+1", "-1+cmd", "@sum", "\t=1", "\r@x"] {
            assert!(quoted(text).starts_with("\"'"), "{text}");
        }
        assert_eq!(plain("0f3a"), "0f3a");
        assert_eq!(plain("=1,\n2"), "\"'=1, 2\"");
    }
}
