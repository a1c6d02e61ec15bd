//! The driver: damaged inputs for one target or all, with counts of what became of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use burn_ptq_fuzz::driver::{self, Options};
use burn_ptq_fuzz::{TARGETS, Target, target};
use clap::Parser;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Runs what burn-ptq reads on damaged inputs.
#[derive(Parser)]
struct Arguments {
    /// The target, or `all`.
    target: String,
    /// Damaged inputs.
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// The number of the first one: 0 and a count of 10 are the same as 0 with 5 and 5 with 5.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Inputs follow from it and their number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A folder with more files to damage.
    #[arg(long)]
    corpus: Option<PathBuf>,
    /// Where inputs that panic, take more than 1 GiB or more than 2 s are saved.
    #[arg(long, default_value = "fuzz-failures")]
    out: PathBuf,
    /// Run this input alone, as it is.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Print the message of every panic.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<&'static Target> = match arguments.target.as_str() {
        "all" => TARGETS.iter().collect(),
        name => target(name).into_iter().collect(),
    };
    if chosen.is_empty() {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("unknown target '{}': expected all, {}", arguments.target, names.join(", "));
        return ExitCode::from(2);
    }
    if let Some(path) = &arguments.input {
        let input = match std::fs::read(path) {
            Ok(input) => input,
            Err(error) => {
                eprintln!("cannot read {}: {error}", path.display());
                return ExitCode::from(2);
            }
        };
        for target in chosen {
            println!(
                "{}: {}",
                target.name,
                if (target.run)(&input) { "accepted" } else { "refused" }
            );
        }
        return ExitCode::SUCCESS;
    }
    let corpus = match arguments.corpus.as_deref().map_or(Ok(Vec::new()), files) {
        Ok(corpus) => corpus,
        Err(error) => {
            eprintln!("cannot read the corpus: {error}");
            return ExitCode::from(2);
        }
    };
    if !arguments.verbose {
        std::panic::set_hook(Box::new(|_| {}));
    }
    let options = Options {
        first: arguments.first,
        count: arguments.count,
        seed: arguments.seed,
        corpus: &corpus,
        out: Some(&arguments.out),
        allocator: &ALLOCATOR,
    };
    let mut good = true;
    for target in chosen {
        let name = target.name;
        let every = (arguments.count / 20).max(1000);
        let tell = |outcome: &driver::Outcome| {
            if outcome.inputs.is_multiple_of(every / 1000 * 1000) {
                eprintln!("{name}: {outcome}");
            }
        };
        let outcome = driver::run(target, &options, &tell);
        println!("{name}: {outcome}");
        good &= outcome.is_good();
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<std::io::Result<Vec<PathBuf>>>()?;
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(std::fs::read).collect()
}
