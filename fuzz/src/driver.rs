//! Runs a target on many damaged inputs, and counts what became of them.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use peak_alloc::PeakAlloc;

use crate::Target;
use crate::mutate::Random;

/// The most memory that an input may cost.
pub const MAX_BYTES: usize = 1 << 30;

/// The most time that an input may cost.
pub const MAX_TIME: Duration = Duration::from_secs(2);

/// How often an input that takes more time than [`MAX_TIME`] is tried.
const TRIES: usize = 8;

/// An input that has not ended after this time is saved, and ends the process.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a run is made of.
pub struct Options<'a> {
    /// The first input's number.
    pub first: u64,
    /// How many inputs.
    pub count: u64,
    /// Inputs follow from it and their number.
    pub seed: u64,
    /// Seeds besides the target's own.
    pub corpus: &'a [Vec<u8>],
    /// Where inputs that fail are saved, if anywhere.
    pub out: Option<&'a Path>,
    /// The allocator of the process, which counts.
    pub allocator: &'static PeakAlloc,
}

/// What became of the inputs of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Inputs that were run.
    pub inputs: u64,
    /// Inputs that are valid.
    pub accepted: u64,
    /// Numbers of inputs that panicked.
    pub panics: Vec<u64>,
    /// Numbers of inputs that took more memory than [`MAX_BYTES`].
    pub large: Vec<u64>,
    /// Numbers of inputs that took more time than [`MAX_TIME`], whenever they were tried.
    pub slow: Vec<u64>,
    /// The most bytes that an input took.
    pub most_bytes: usize,
    /// The most time that an input took.
    pub most_time: Duration,
}

impl Outcome {
    /// Whether no input failed.
    pub fn is_good(&self) -> bool {
        self.panics.is_empty() && self.large.is_empty() && self.slow.is_empty()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} inputs: {} accepted, {} refused, {} panics, {} above 1 GiB, {} above 2 s; at most {} KiB \
             and {:.3} s",
            self.inputs,
            self.accepted,
            self.inputs - self.accepted - self.panics.len() as u64,
            self.panics.len(),
            self.large.len(),
            self.slow.len(),
            self.most_bytes >> 10,
            self.most_time.as_secs_f64()
        )
    }
}

/// Input `number` of a target.
pub fn input(target: &Target, seeds: &[Vec<u8>], seed: u64, number: u64) -> Vec<u8> {
    let mut random = Random::new(seed ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03));
    (target.mutate)(&mut random, seeds)
}

/// Runs a target; `tell` is told after every thousandth input.
pub fn run(target: &'static Target, options: &Options, tell: &dyn Fn(&Outcome)) -> Outcome {
    let mut seeds = (target.seeds)();
    for seed in &seeds {
        assert!(
            (target.run)(seed),
            "a seed of {} is refused: {}",
            target.name,
            seed.escape_ascii()
        );
    }
    seeds.extend_from_slice(options.corpus);
    let watched = Watched::start(target.name, options.out.map(Into::into));
    let mut outcome = Outcome::default();
    for number in options.first..options.first + options.count {
        let input = input(target, &seeds, options.seed, number);
        watched.begin(number, &input);
        let before = options.allocator.current_usage();
        options.allocator.reset_peak_usage();
        let clock = Instant::now();
        let accepted = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
        let mut time = clock.elapsed();
        let bytes = options.allocator.peak_usage().saturating_sub(before);
        // A busy machine makes any input slow now and then.
        for _ in 1..TRIES {
            if time > MAX_TIME && accepted.is_ok() {
                watched.begin(number, &input);
                let clock = Instant::now();
                let _ = catch_unwind(AssertUnwindSafe(|| (target.run)(&input)));
                time = time.min(clock.elapsed());
            }
        }
        watched.end();
        outcome.inputs += 1;
        let failed = |what: &str, numbers: &mut Vec<u64>| {
            numbers.push(number);
            save(options.out, target.name, what, number, &input);
        };
        match accepted {
            Ok(accepted) => outcome.accepted += u64::from(accepted),
            Err(_) => failed("panic", &mut outcome.panics),
        }
        if bytes > MAX_BYTES {
            failed("large", &mut outcome.large);
        }
        if time > MAX_TIME {
            failed("slow", &mut outcome.slow);
        }
        outcome.most_bytes = outcome.most_bytes.max(bytes);
        outcome.most_time = outcome.most_time.max(time);
        if outcome.inputs.is_multiple_of(1000) {
            tell(&outcome);
        }
    }
    outcome
}

fn save(out: Option<&Path>, target: &str, what: &str, number: u64, input: &[u8]) {
    let Some(out) = out else { return };
    let path = out.join(format!("{target}-{what}-{number}"));
    if let Err(error) = std::fs::create_dir_all(out).and_then(|()| std::fs::write(&path, input)) {
        eprintln!("cannot write {}: {error}", path.display());
    }
}

/// The input that is under way, and a thread that watches over it.
struct Watched(Arc<Mutex<Option<Input>>>);

/// An input's number, its bytes, and when it began.
type Input = (u64, Vec<u8>, Instant);

impl Watched {
    fn start(target: &'static str, out: Option<PathBuf>) -> Self {
        let watched = Self(Arc::default());
        let weak = Arc::downgrade(&watched.0);
        thread::spawn(move || {
            while let Some(under_way) = weak.upgrade() {
                let held = under_way.lock().unwrap_or_else(PoisonError::into_inner).clone();
                drop(under_way);
                if let Some((number, input, begun)) = held
                    && begun.elapsed() > PATIENCE
                {
                    save(out.as_deref(), target, "endless", number, &input);
                    eprintln!("{target}: input {number} does not end");
                    std::process::exit(1);
                }
                thread::sleep(PATIENCE / 60);
            }
        });
        watched
    }

    fn begin(&self, number: u64, input: &[u8]) {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *under_way = Some((number, input.to_vec(), Instant::now()));
    }

    fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
