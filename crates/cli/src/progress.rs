//! Progress: a bar on a terminal, plain lines otherwise; Ctrl-C asks the job to stop.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn_ptq::Event;
use burn_ptq_deploy::printable::line as printable;
use burn_ptq_study::StudyEvent;
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use crate::output::errln;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How long a job may take to stop after an interrupt.
const GRACE: Duration = Duration::from_secs(2);

/// Makes Ctrl-C and SIGTERM cancel the running job at its next batch.
///
/// If that takes longer than [`GRACE`], in a step that does not check or while waiting for a pipe, the
/// process exits: files are replaced atomically, so it can be killed at any moment. A second signal ends
/// it immediately.
pub(crate) fn handle_interrupts() {
    let installed = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            end();
        }
        std::thread::spawn(|| {
            std::thread::sleep(GRACE);
            errln!("interrupted");
            end();
        });
    });
    if let Err(error) = installed {
        errln!("warning: Ctrl-C will end the process immediately ({error})");
    }
}

fn end() -> ! {
    std::process::exit(i32::from(super::INTERRUPTED))
}

/// Whether to continue, that is, no signal has arrived.
pub(crate) fn proceed() -> bool {
    !INTERRUPTED.load(Ordering::SeqCst)
}

/// Shows the events of a job on standard error.
pub(crate) struct Reporter {
    terminal: bool,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    stage: String,
}

impl Reporter {
    /// A reporter for the standard error of this process.
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), state: RefCell::default() }
    }

    /// Shows one event; `false` after Ctrl-C.
    pub(crate) fn show(&self, event: Event) -> bool {
        let mut state = self.state.borrow_mut();
        match event {
            Event::Stage { stage } => {
                state.finish();
                state.stage = stage.into();
                if !self.terminal {
                    errln!("{stage} ...");
                }
            }
            Event::Progress { stage, done, total } if self.terminal => {
                let bar = state.bar.get_or_insert_with(|| bar(stage, total));
                bar.set_position(done as u64);
            }
            Event::Loss { stage, loss } => match &state.bar {
                Some(bar) => bar.set_message(format!("{} {loss:.4}", printable(stage))),
                None => errln!("{stage}: loss {loss:.4}"),
            },
            _ => {}
        }
        proceed()
    }
}

impl State {
    fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.state.borrow_mut().finish();
    }
}

fn bar(stage: &str, total: Option<usize>) -> ProgressBar {
    let bar = match total {
        Some(total) => ProgressBar::new(total as u64),
        None => ProgressBar::new_spinner(),
    };
    let template = "{msg:20} {wide_bar} {pos}/{len} {eta}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(printable(stage).into_owned())
}

/// Shows the progress of a study on standard error.
pub(crate) struct StudyReporter {
    terminal: bool,
    bar: ProgressBar,
}

impl StudyReporter {
    /// A reporter for the standard error of this process.
    pub(crate) fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, bar: if terminal { bar("runs", Some(0)) } else { ProgressBar::hidden() } }
    }

    /// Shows one event.
    pub(crate) fn show(&self, event: StudyEvent) {
        let (line, seconds) = match event {
            StudyEvent::Begin { finished, total, seconds } => {
                self.bar.set_length(total as u64);
                self.bar.set_position(finished as u64);
                (format!("{finished} of {total} runs finished before"), seconds)
            }
            StudyEvent::Finished { run, finished, seconds } => {
                self.bar.set_position(finished as u64);
                let outcome = match (&run.measured, &run.error) {
                    (Some(measured), _) => format!("{:.4}", measured.metric),
                    (None, error) => format!("FAILED: {}", error.as_deref().unwrap_or_default()),
                };
                (format!("{finished}: {} {} {outcome}", run.id, run.task), seconds)
            }
        };
        let left = HumanDuration(Duration::from_secs_f64(seconds.clamp(0.0, 1e9)));
        if self.terminal {
            self.bar.set_message(format!("about {left:#} left"));
            let failed = matches!(event, StudyEvent::Finished { run, .. } if run.error.is_some());
            if failed {
                self.bar.println(printable(&line));
            }
        } else {
            errln!("{line}; about {left:#} left");
        }
    }
}

impl Drop for StudyReporter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
