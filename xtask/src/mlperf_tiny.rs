//! `cargo xtask mlperf-tiny`: a program as a device of MLPerf Tiny, on an emulated microcontroller.

mod npy;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use burn_ptq_deploy::board::board;
use burn_ptq_deploy::export::{C99, Exporter, Options, SelfTest, target, write_folder};
use burn_ptq_deploy::file;
use burn_ptq_deploy::harness::{Benchmark, Features, Harness, MLPERF_TINY};
use burn_ptq_deploy::place::Placed;
use burn_ptq_deploy::run::{Interpreter, Path as Kernels, dequantize_outputs};
use burn_ptq_mcu::Device;

use npy::Array;

/// How long the device may take for an answer.
const PATIENCE: Duration = Duration::from_secs(300);

/// Frames in a window of a recording.
const WINDOW_FRAMES: usize = 5;

/// Run a program as a device of MLPerf Tiny, on an emulated microcontroller, and compute its accuracy.
///
/// Speaks the benchmark's protocol over the serial port, and compares every line of results with what the
/// interpreter computes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The program, as NAME.bptq.
    program: PathBuf,
    /// A folder with evaluation samples in eval_x.npy, and what they are in eval_y.npy; for recordings,
    /// their machines in eval_machine.npy.
    #[arg(long, value_name = "DIR")]
    task: PathBuf,
    /// The microcontroller, or host.
    #[arg(long, value_name = "NAME", default_value = "cortex-m4")]
    target: String,
    /// Samples to run, the first ones; of ad01, recordings, evenly over all.
    #[arg(long, value_name = "N", default_value = "100")]
    samples: NonZeroUsize,
    /// Windows to run of each recording of ad01, evenly over it, instead of all.
    #[arg(long, value_name = "N")]
    windows: Option<NonZeroUsize>,
    /// The benchmark's model, instead of the one that has the program's shapes.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// For kws01, what the bytes are that the benchmark sends: (byte - ZERO_POINT) * SCALE.
    #[arg(long, value_name = "SCALE,ZERO_POINT", allow_hyphen_values = true)]
    features: Option<String>,
}

/// One sample for the device.
struct Sample {
    bytes: Vec<u8>,
    /// What it is a sample of: an image, or a recording.
    index: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let path = &arguments.program;
    let program = file::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (model, features) = (arguments.model.as_deref(), arguments.features.as_deref());
    let harness = Harness::new(MLPERF_TINY, model, features, &program)?;
    let samples = samples(arguments, harness)?;
    let labels = npy::read(&arguments.task.join("eval_y.npy"))?.values;
    let folder = tempfile::tempdir().context("cannot create a folder")?;
    let mut device = device(&arguments.target, &program, harness, folder.path())?;
    println!("{} on {}: {}", harness.benchmark().name(), arguments.target, path.display());
    for line in ["name", "profile"].map(|command| device.send(command)) {
        println!("{}", line?.join("\n"));
    }
    let begun = Instant::now();
    let (mut differing, mut microseconds) = (0, 0);
    let mut results: BTreeMap<usize, Vec<Vec<f32>>> = BTreeMap::new();
    let mut interpreter = Interpreter::new(&program, Kernels::Fast);
    for sample in &samples {
        device.load(&sample.bytes)?;
        let inference = device.infer(1, 0)?;
        let input = harness.input(&program, &sample.bytes).context("a sample of another size")?;
        let outputs = dequantize_outputs(&program, interpreter.run(&input)?);
        let expected = Harness::results_line(&harness.results(&sample.bytes, &outputs));
        if inference.line != expected {
            differing += 1;
            println!("sample {}: expected {expected}, found {}", sample.index, inference.line);
        }
        microseconds += inference.microseconds;
        results.entry(sample.index).or_default().push(inference.results);
    }
    let (value, metric) = metric(arguments, harness.benchmark(), &results, &labels)?;
    let target = harness.benchmark().quality_target();
    let verdict = verdict(value, target);
    println!(
        "{} inferences in {:.0} s, {differing} lines differ from the interpreter's\n{metric}\nquality target of \
         {}: {target}: {verdict}\n{} us an inference by the device's clock, which says nothing of a board on QEMU",
        samples.len(),
        begun.elapsed().as_secs_f64(),
        harness.benchmark().name(),
        microseconds / samples.len().max(1) as u64
    );
    Ok(if differing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Exports, compiles and starts the device.
fn device(name: &str, program: &Placed, harness: Harness, folder: &Path) -> Result<Device> {
    let target = target(name)?;
    let self_test = SelfTest::new(program, &[vec![0; program.input_bytes()]])?;
    let options = Options { harness: Some(harness), ..Options::new(target) };
    let rendered = C99.render(program, &self_test, &options)?;
    write_folder(folder, C99.name(), &rendered.files)?;
    let folder = folder.join("mlperf-tiny");
    let output = Command::new("make").current_dir(&folder).output().context("cannot start make")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the harness does not compile:\n{errors}");
    let mut command = match board(target) {
        None => Command::new(folder.join("harness")),
        Some(board) => {
            let mut command = Command::new(board.emulator);
            command.args(board.serial_arguments()).arg("-kernel").arg(folder.join("harness.elf"));
            command
        }
    };
    Ok(Device::start(&mut command, PATIENCE)?)
}

/// The samples as the benchmark's runner sends them.
fn samples(arguments: &Arguments, harness: Harness) -> Result<Vec<Sample>> {
    let path = arguments.task.join("eval_x.npy");
    let count = arguments.samples.get();
    match harness.benchmark() {
        Benchmark::Ic01 | Benchmark::Vww01 => {
            let array = npy::read(&path)?;
            let images = array.shape.first().copied().unwrap_or(0).min(count);
            (0..images).map(|index| Ok(Sample { bytes: pixels(&array, index)?, index })).collect()
        }
        Benchmark::Kws01 => {
            let rows = npy::read(&path)?.values;
            let rows = rows.chunks_exact(490).take(count).enumerate();
            rows.map(|(index, row)| Ok(Sample { bytes: features(row, harness.features())?, index }))
                .collect()
        }
        Benchmark::Ad01 => {
            windows(&npy::read(&path)?, count, arguments.windows.map(NonZeroUsize::get))
        }
    }
}

/// An image with its channels last.
fn pixels(array: &Array<u8>, index: usize) -> Result<Vec<u8>> {
    let bytes = &array.values;
    let [_, a, b, c] = array.shape[..] else { bail!("images are expected: {:?}", array.shape) };
    let image = &bytes[index * a * b * c..][..a * b * c];
    Ok(match a {
        3 => (0..b * c).flat_map(|place| (0..3).map(move |k| image[k * b * c + place])).collect(),
        _ => image.to_vec(),
    })
}

/// The bytes of features, which must be numbers that bytes stand for.
fn features(row: &[f32], grid: Option<Features>) -> Result<Vec<u8>> {
    let Features { scale, zero_point } = grid.unwrap_or(Features { scale: 1.0, zero_point: 0 });
    let real = |byte: i8| (i32::from(byte) - zero_point) as f32 * scale;
    let nearest = |x: f32| {
        let distance = |byte: &i8| (real(*byte) - x).abs();
        (i8::MIN..=i8::MAX)
            .min_by(|a, b| distance(a).partial_cmp(&distance(b)).unwrap_or(Ordering::Equal))
    };
    row.iter()
        .map(|&x| {
            let byte = nearest(x).context("no byte is near")?;
            let close = (real(byte) - x).abs() < 1e-3 * scale;
            ensure!(close, "{x} is not a feature of the benchmark: the nearest is {}", real(byte));
            Ok(byte as u8)
        })
        .collect()
}

/// `count` of `all`, evenly.
fn evenly(all: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(all);
    (0..count).map(move |i| i * all / count)
}

/// Windows of recordings `[frames, features]`.
fn windows(array: &Array<f32>, count: usize, of_each: Option<usize>) -> Result<Vec<Sample>> {
    let values = &array.values;
    let [recordings, frames, features] = array.shape[..] else {
        bail!("recordings of frames are expected: {:?}", array.shape)
    };
    ensure!(frames >= WINDOW_FRAMES, "recordings of {frames} frames have no window");
    let all = frames - WINDOW_FRAMES + 1;
    let mut samples = Vec::new();
    for index in evenly(recordings, count) {
        for window in evenly(all, of_each.unwrap_or(all)) {
            let start = (index * frames + window) * features;
            let window = &values[start..start + WINDOW_FRAMES * features];
            let bytes = window.iter().flat_map(|value| value.to_le_bytes()).collect();
            samples.push(Sample { bytes, index });
        }
    }
    Ok(samples)
}

/// The benchmark's metric of what the device answered, in words.
fn metric(
    arguments: &Arguments,
    benchmark: Benchmark,
    results: &BTreeMap<usize, Vec<Vec<f32>>>,
    labels: &[i64],
) -> Result<(f64, String)> {
    let label = |index: usize| labels.get(index).copied().context("eval_y.npy is too short");
    match benchmark {
        Benchmark::Ic01 | Benchmark::Kws01 | Benchmark::Vww01 => {
            let mut right = 0;
            for (&index, lines) in results {
                right += usize::from(largest(&lines[0]) as i64 == label(index)?);
            }
            let share = right as f64 / results.len().max(1) as f64;
            Ok((share, format!("top-1 {share:.4}: {right} of {}", results.len())))
        }
        Benchmark::Ad01 => {
            let machines = npy::read(&arguments.task.join("eval_machine.npy"))?.values;
            let mut scores: BTreeMap<i64, Vec<(f64, bool)>> = BTreeMap::new();
            for (&index, lines) in results {
                let sum: f64 = lines.iter().map(|line| f64::from(line[0])).sum();
                let machine = machines.get(index).context("eval_machine.npy is too short")?;
                let score = (sum / lines.len() as f64, label(index)? != 0);
                scores.entry(*machine).or_default().push(score);
            }
            let areas: Option<Vec<f64>> = scores.values().map(|scores| area(scores)).collect();
            let areas =
                areas.context("a machine has no normal or no abnormal recording: run more")?;
            let mean = areas.iter().sum::<f64>() / areas.len().max(1) as f64;
            Ok((mean, format!("AUC {mean:.4}: the mean of {} machines, {areas:.4?}", areas.len())))
        }
    }
}

/// Whether a metric reaches the benchmark's target.
fn verdict(value: f64, target: f64) -> &'static str {
    if value >= target { "pass" } else { "fail" }
}

/// The place of the largest number, the first of equals.
fn largest(numbers: &[f32]) -> usize {
    let better = |best: usize, i: usize| if numbers[i] > numbers[best] { i } else { best };
    (1..numbers.len()).fold(0, better)
}

/// The area under the curve: how often an abnormal score is above a normal one; equal ones count half.
fn area(scores: &[(f64, bool)]) -> Option<f64> {
    let of = |kind: bool| scores.iter().filter(move |(_, k)| *k == kind).map(|(score, _)| *score);
    let pairs = of(true).count() * of(false).count();
    let wins: f64 = of(true)
        .flat_map(|abnormal| of(false).map(move |normal| abnormal.partial_cmp(&normal)))
        .map(|order| match order {
            Some(Ordering::Greater) => 1.0,
            Some(Ordering::Equal) => 0.5,
            Some(Ordering::Less) | None => 0.0,
        })
        .sum();
    (pairs > 0).then(|| wins / pairs as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_met_exactly_is_met() {
        assert_eq!(
            [0.8501, 0.85, 0.8499].map(|value| verdict(value, 0.85)),
            ["pass", "pass", "fail"]
        );
    }

    #[test]
    fn areas_are_those_of_counted_pairs() {
        let scores = [(0.1, false), (0.4, false), (0.4, true), (0.9, true)];
        assert_eq!(area(&scores), Some(3.5 / 4.0));
        assert_eq!(area(&scores[..2]), None);
    }

    #[test]
    fn features_are_the_bytes_that_stand_for_them() {
        let grid = Some(Features { scale: 0.5, zero_point: 83 });
        let reals: Vec<f32> = [-128, 0, 127].map(|byte| (byte as f32 - 83.0) * 0.5).to_vec();
        assert_eq!(features(&reals, grid).expect("exact"), [128, 0, 127]);
        assert!(features(&[0.2], grid).is_err());
    }

    #[test]
    fn images_are_sent_with_their_channels_last() {
        let array = Array { shape: vec![1, 3, 1, 2], values: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(pixels(&array, 0).expect("an image"), [1, 3, 5, 2, 4, 6]);
    }
}
