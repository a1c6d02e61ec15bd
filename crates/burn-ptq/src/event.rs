//! What a running job reports, and how it is cancelled.

/// What a long job reports while it runs.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A stage has begun.
    Stage {
        /// Its name.
        stage: &'a str,
    },
    /// A stage has come this far.
    Progress {
        /// Its name.
        stage: &'a str,
        /// Samples done.
        done: usize,
        /// Samples in all, if known.
        total: Option<usize>,
    },
    /// A stage that learns has reached this loss.
    Loss {
        /// Its name.
        stage: &'a str,
        /// The loss on held-out samples.
        loss: f64,
    },
}

/// Receives events; returning `false` cancels the job.
pub type Progress<'a> = &'a dyn Fn(Event) -> bool;

/// A [`Progress`] callback cancelled the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Cancelled;

impl Event<'_> {
    /// Reports this event.
    ///
    /// # Errors
    /// If `progress` cancels the job.
    pub fn tell(self, progress: Progress) -> Result<(), Cancelled> {
        if progress(self) { Ok(()) } else { Err(Cancelled) }
    }
}
