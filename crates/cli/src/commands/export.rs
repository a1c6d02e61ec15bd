//! `burn-ptq export`.

use burn_ptq_deploy::cost;
use burn_ptq_deploy::export::{
    Exporter, Kept, Options, Rendered, Rust, SelfTest, check_folder, exporter, shared_kernels,
    stage_folder,
};
use burn_ptq_deploy::harness::Harness;
use burn_ptq_deploy::output::Transaction;
use burn_ptq_deploy::place::{Memory, Placed};
use burn_ptq_deploy::program::{IntTensor, Program};
use burn_ptq_deploy::size::ram_bytes;
use burn_ptq_deploy::streaming::{Streamed, Streaming};
use burn_ptq_deploy::target::{HOST, Kernels};
use burn_ptq_eval::report::StreamReport;

use super::{processor, stream};
use crate::args::Export;
use crate::output::outln;
use crate::table;
use burn_ptq_eval::program;

/// Samples of the self-test.
const SAMPLES: usize = 4;

/// The name of the file that holds the model frame by frame.
const STREAMED: &str = "streamed.bptq";

pub(crate) fn run(args: Export) -> anyhow::Result<()> {
    let exporters = args.to.iter().map(|name| exporter(name)).collect::<Result<Vec<_>, _>>()?;
    let (_, target) = processor(args.board.as_deref(), args.target.as_deref())?;
    let target = target.unwrap_or(&HOST);
    let mut model = program::read(&args.model)?;
    let streamed = match args.stream {
        true => Some(streamed(&args, &model)?),
        false => None,
    };
    let mut samples = patterns(&model);
    let mut heads = Vec::new();
    if let Some(streamed) = &streamed {
        let recordings = samples.iter().flat_map(|recording| streamed.calls(recording));
        samples = recordings.take(streamed.calls_of_self_test()).collect();
        let measured: Vec<_> = match cost::table(target) {
            Some(_) => vec![target],
            None => cost::targets().collect(),
        };
        let report = StreamReport::new(streamed, &measured)?;
        heads = stream::lines(&report, &model, &measured)?;
        model = streamed.program.clone().place(Kernels::Portable, Memory::Whole)?;
    }
    let self_test = SelfTest::new(&model, &samples)?;
    let kernels = match &args.kernels {
        Some(folder) => Some(shared_kernels(&args.out.join(Rust.name()), folder)?),
        None => None,
    };
    let harness = |name: &String| {
        let (model_name, features) =
            (args.harness_model.as_deref(), args.harness_features.as_deref());
        Harness::new(name, model_name, features, &model)
    };
    let harness = args.harness.as_ref().map(harness).transpose()?;
    let options =
        Options { target, name: args.name.as_deref(), kernels: kernels.as_deref(), harness };
    for exporter in &exporters {
        check_folder(&args.out.join(exporter.name()))?;
    }
    let mut transaction = Transaction::begin(&args.out)?;
    if let Some(streamed) = &streamed {
        transaction.write(STREAMED, &streamed.to_bytes()?)?;
    }
    let mut lines = heads;
    for exporter in exporters {
        let kernels = exporter.kernels(target);
        let memory = if args.whole_layers { Memory::Whole } else { Memory::Reduced };
        let program = model.place_again(kernels, memory)?;
        let rendered = exporter.render(&program, &self_test, &options)?;
        let Rendered { files, figures } = rendered;
        let written = stage_folder(&mut transaction, exporter.name(), exporter.name(), &files)?;
        let streamed = if program.streams().is_empty() {
            String::new()
        } else {
            saved(&model.place_again(kernels, Memory::Whole)?, &program, figures.ram_bytes)
        };
        lines.push(format!(
            "{}: {} files, {}{} of constants (plus code), RAM {}{}{streamed}",
            args.out.join(exporter.name()).display(),
            files.len(),
            if figures.flash_is_upper_bound { "at most " } else { "" },
            table::bytes(figures.flash_constant_bytes),
            if figures.ram_is_lower_bound { "at least " } else { "" },
            table::bytes(figures.ram_bytes)
        ));
        lines.extend(written.kept.iter().map(note));
    }
    transaction.commit()?;
    for line in lines {
        outln!("{line}")?;
    }
    Ok(())
}

/// The model frame by frame, as the flags say.
fn streamed(args: &Export, model: &Placed) -> anyhow::Result<Streamed> {
    let streaming = Streaming { chunk: args.chunk, axis: args.time_axis };
    Ok(model.program().streamed(&streaming)?)
}

/// A note about a file that is kept.
fn note(kept: &Kept) -> String {
    let path = kept.path.display();
    match kept.outdated {
        true => format!(
            "kept {path}, which was changed by hand; its exported version has changed too: compare it \
             with an export to an empty folder"
        ),
        false => format!("kept {path}, which was changed by hand"),
    }
}

/// What running row by row does to the RAM of a program, which takes `exported` bytes in all.
fn saved(whole: &Placed, program: &Placed, exported: usize) -> String {
    // What an export takes beside the arena, it takes either way.
    let beside = exported.saturating_sub(ram_bytes(program));
    let before = table::bytes(ram_bytes(whole) + beside);
    let operations: usize = program.streams().iter().map(|stream| stream.rows.len()).sum();
    format!(" ({before} with whole layers; {operations} operations run row by row)")
}

/// Input bytes that reach all values of the inputs' grids; a model file carries no real samples.
fn patterns(program: &Program) -> Vec<Vec<u8>> {
    let input = |tensor: &IntTensor, seed: usize| -> Vec<u8> {
        let span = i64::from(tensor.grid.max) - i64::from(tensor.grid.min) + 1;
        (0..tensor.len())
            .flat_map(|i| {
                let mixed = (i + 1).wrapping_mul(40_503).wrapping_add(seed * 7919);
                let q = i64::from(tensor.grid.min) + (mixed >> 3) as i64 % span;
                let bytes = (q as i16).to_le_bytes();
                bytes.into_iter().take(tensor.dtype.bytes())
            })
            .collect()
    };
    let sample =
        |seed: usize| program.input_tensors().flat_map(|tensor| input(tensor, seed)).collect();
    (0..SAMPLES).map(sample).collect()
}
