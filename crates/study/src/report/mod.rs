//! Reports of studies: one self-contained HTML file, Markdown, CSV and JSON.
//!
//! `content` and `costs` say what a report says, section by section, as a `document`; `html` and
//! `markdown` print that, [`burn_ptq_eval::plot`] draws, `tables` writes the numbers for programs.

mod content;
mod costs;
mod document;
mod html;
mod markdown;
mod tables;
mod words;

use std::path::{Path, PathBuf};

use burn_ptq_deploy::output::write_atomically;

use super::analysis::Analysis;
use super::file::StudyError;
use super::results::Results;

/// The files of a report, by name.
pub const FILES: [&str; 5] = ["report.html", "report.md", "cells.csv", "runs.csv", "report.json"];

/// Analyzes results and writes the report into `folder`, each file in one step.
///
/// # Errors
/// If the results hold no study or are damaged, or a file cannot be written.
pub fn write(results: &Results, folder: &Path) -> Result<Vec<PathBuf>, StudyError> {
    let analysis = Analysis::new(results)?;
    let sections = content::sections(&analysis);
    let json = serde_json::to_string_pretty(&analysis)
        .map_err(|e| StudyError::Io { path: folder.join("report.json"), source: e.into() })?;
    let texts = [
        html::render(&analysis.name, &sections),
        markdown::render(&analysis.name, &sections),
        tables::cells(&analysis),
        tables::runs(results),
        json,
    ];
    FILES.iter().zip(texts).map(|(name, text)| replace(folder, name, &text)).collect()
}

fn replace(folder: &Path, name: &str, text: &str) -> Result<PathBuf, StudyError> {
    let path = folder.join(name);
    match write_atomically(&path, text.as_bytes()) {
        Ok(()) => Ok(path),
        Err(source) => Err(StudyError::Io { path, source }),
    }
}
