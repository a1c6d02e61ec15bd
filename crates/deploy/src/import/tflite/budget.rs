//! How much memory a file may take: small files can name the same bytes thousands of times.

use super::error::Refusal;

/// The largest file that is read: 64 MiB.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// What is left of the memory that copies of constants, names and lists may take.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub(super) const fn new() -> Self {
        Self(MAX_FILE_BYTES as usize)
    }

    /// Takes `bytes`, before they are allocated.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        match self.0.checked_sub(bytes) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => {
                // What follows is refused too, and cheaply.
                self.0 = 0;
                Err(Refusal::lasting(format!(
                    "the constants of the model take more than {MAX_FILE_BYTES} bytes"
                )))
            }
        }
    }
}
