//! `burn-ptq boards`.

use std::path::Path;

use anyhow::ensure;
use burn_ptq_deploy::export::target;
use burn_ptq_eval::board::{Board, boards};
use burn_ptq_eval::costs::{Cost, predict};
use serde::Serialize;

use super::cost::{counted, fitting, notes};
use crate::args::Boards;
use crate::output::{self, outln};
use crate::table;
use burn_ptq_eval::program;

/// What `--json` prints.
#[derive(Serialize)]
struct Printed {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    boards: Vec<Row>,
}

/// A board, and what the model is predicted to cost on it.
#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    board: &'static Board,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted: Option<Cost>,
}

pub(crate) fn run(args: Boards) -> anyhow::Result<()> {
    let wanted = args.target.as_deref().map(target).transpose()?;
    let listed = boards().iter().filter(|board| wanted.is_none_or(|target| board.target == target));
    let listed: Vec<&'static Board> = listed.collect();
    if let Some(target) = wanted {
        ensure!(!listed.is_empty(), "no board has the processor {}", target.name);
    }
    let costs = match &args.model {
        Some(model) => Some(predicted(model, &listed)?),
        None => None,
    };
    if args.json {
        let costs =
            costs.map_or(vec![None; listed.len()], |costs| costs.into_iter().map(Some).collect());
        let row = |(board, predicted)| Row { board, predicted };
        return output::json(&Printed {
            model: args.model.map(|model| model.display().to_string()),
            boards: listed.into_iter().zip(costs).map(row).collect(),
        });
    }
    match costs {
        Some(costs) => on_boards(&costs),
        None => list(&listed),
    }
}

/// Prints the boards.
fn list(boards: &[&Board]) -> anyhow::Result<()> {
    let row = |board: &&Board| {
        vec![
            board.name.clone(),
            board.chip.clone(),
            board.core.clone(),
            board.target.name.to_owned(),
            table::capacity(board.flash_bytes),
            table::capacity(board.ram_bytes),
            board.clock_mhz.to_string(),
            board.title.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = boards.iter().map(row).collect();
    let header = ["name", "chip", "core", "target", "flash", "RAM", "MHz", "board"];
    output::print(table::render(&header, &rows))?;
    outln!(
        "\nRAM is the longest stretch on the chip, because the arena is one piece. --json has all names of the \
         boards, and the sources of the figures."
    )
}

/// What the model costs on each of the boards.
fn predicted(model: &Path, boards: &[&'static Board]) -> anyhow::Result<Vec<Cost>> {
    ensure!(
        program::is_program(model),
        "what fits is predicted of an integer program: quantize {} first, and give the model.bptq",
        model.display()
    );
    let model = program::read(model)?;
    let targets: Vec<_> = boards.iter().map(|board| board.target).collect();
    let predicted = predict(&model, &targets)?.into_iter().zip(boards);
    Ok(predicted.map(|(predicted, board)| predicted.cost.on(board)).collect())
}

/// Prints what a model costs on boards, and whether it fits.
fn on_boards(costs: &[Cost]) -> anyhow::Result<()> {
    let row = |cost: &Cost| {
        vec![
            cost.processor().to_owned(),
            cost.target.to_owned(),
            cost.flash_bytes.to_string(),
            cost.ram_bytes.to_string(),
            counted(cost.instructions),
            cost.milliseconds.map_or("?".into(), table::number),
            fitting(cost),
        ]
    };
    let rows: Vec<Vec<String>> = costs.iter().map(row).collect();
    let header = ["board", "target", "flash", "RAM", "instructions", "ms", "fits"];
    output::print(table::render(&header, &rows))?;
    let fits = costs.iter().filter(|cost| cost.fits == Some(true)).count();
    outln!("\nfits on {fits} of {} boards; predicted, in exported C at -O2", costs.len())?;
    notes(costs)
}
