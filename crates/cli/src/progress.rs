//! Progress: a bar on a terminal, plain lines otherwise; Ctrl-C asks the job to stop.

use std::cell::RefCell;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};

use burn_ptq::pipeline::Event;
use indicatif::{ProgressBar, ProgressStyle};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C cancel the running job at its next batch; a second one ends the process at once.
pub fn handle_interrupts() {
    let installed = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(i32::from(super::INTERRUPTED));
        }
    });
    if let Err(error) = installed {
        eprintln!("warning: Ctrl-C will end the process at once ({error})");
    }
}

/// Shows the events of a job on standard error.
pub struct Reporter {
    terminal: bool,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    stage: String,
}

impl Reporter {
    /// A reporter for the standard error that this process has.
    pub fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), state: RefCell::default() }
    }

    /// Shows one event; `false` after Ctrl-C.
    pub fn show(&self, event: Event) -> bool {
        let mut state = self.state.borrow_mut();
        match event {
            Event::Stage { stage } => {
                state.finish();
                state.stage = stage.into();
                if !self.terminal {
                    eprintln!("{stage} ...");
                }
            }
            Event::Progress { stage, done, total } if self.terminal => {
                let bar = state.bar.get_or_insert_with(|| bar(stage, total));
                bar.set_position(done as u64);
            }
            Event::Loss { stage, loss } => match &state.bar {
                Some(bar) => bar.set_message(format!("{stage} {loss:.4}")),
                None => eprintln!("{stage}: loss {loss:.4}"),
            },
            Event::Progress { .. } => {}
        }
        !INTERRUPTED.load(Ordering::SeqCst)
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
    bar.with_message(stage.to_owned())
}
