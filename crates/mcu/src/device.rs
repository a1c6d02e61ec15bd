//! The host's side of MLPerf Tiny's protocol: commands to a device over a pipe, and its answers.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::error::McuError;

/// The most bytes of a sample in one command.
const BYTES_PER_COMMAND: usize = 31;

/// A running device: an emulator, or the harness compiled for this machine.
#[derive(Debug)]
pub struct Device {
    program: String,
    child: Child,
    /// None once it is closed.
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    patience: Duration,
    greeting: Vec<String>,
}

/// What a device answered to `infer`.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// Its line of results.
    pub line: String,
    /// The numbers in it.
    pub results: Vec<f32>,
    /// Microseconds of all inferences by its clock.
    pub microseconds: u64,
}

impl Device {
    /// Starts a device and waits until it is ready; every answer may take as long as `patience`.
    ///
    /// # Errors
    /// If it does not start or answer.
    pub fn start(command: &mut Command, patience: Duration) -> Result<Self, McuError> {
        let program = command.get_program().to_string_lossy().into_owned();
        let start = |source| McuError::Start { program: program.clone(), source };
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().map_err(start)?;
        let pipes = (child.stdin.take(), child.stdout.take());
        let (Some(commands), Some(answers)) = pipes else {
            return Err(start(std::io::ErrorKind::BrokenPipe.into()));
        };
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(answers).lines().map_while(Result::ok) {
                if sender.send(line.trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let mut device = Self {
            program,
            child,
            commands: Some(commands),
            lines,
            patience,
            greeting: Vec::new(),
        };
        device.greeting = device.answer("its start")?;
        Ok(device)
    }

    /// What it said before it was ready.
    pub fn greeting(&self) -> &[String] {
        &self.greeting
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// If the device has ended.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), McuError> {
        let sent = match &mut self.commands {
            Some(pipe) => pipe.write_all(bytes).and_then(|()| pipe.flush()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        sent.map_err(|source| McuError::Start { program: self.program.clone(), source })
    }

    /// Sends a command and returns the lines of its answer.
    ///
    /// # Errors
    /// If the device does not answer.
    pub fn send(&mut self, command: &str) -> Result<Vec<String>, McuError> {
        self.write(format!("{command}%").as_bytes())?;
        self.answer(command)
    }

    /// The lines up to the one that says that the device is ready for a command.
    ///
    /// # Errors
    /// If it does not come.
    pub fn answer(&mut self, command: &str) -> Result<Vec<String>, McuError> {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(self.patience) {
                Ok(line) if line == "m-ready" => return Ok(lines),
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = self.patience.as_secs();
                    return Err(self.problem(command, format!("no answer within {seconds} s")));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.problem(command, format!("it ended after {lines:?}")));
                }
            }
        }
    }

    /// Sends a sample.
    ///
    /// # Errors
    /// If the device does not take it.
    pub fn load(&mut self, sample: &[u8]) -> Result<(), McuError> {
        let mut last = self.send(&format!("db load {}", sample.len()))?;
        for part in sample.chunks(BYTES_PER_COMMAND) {
            let digits: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            last = self.send(&format!("db {digits}"))?;
        }
        match &last[..] {
            [line] if line == "m-load-done" => Ok(()),
            _ => Err(self.problem("db", format!("expected m-load-done, found {last:?}"))),
        }
    }

    /// Runs the sample that was sent: `iterations` timed inferences after `warmups` other ones.
    ///
    /// # Errors
    /// If the answer is not what the protocol says.
    pub fn infer(&mut self, iterations: usize, warmups: usize) -> Result<Inference, McuError> {
        let lines = self.send(&format!("infer {iterations} {warmups}"))?;
        let after = |prefix: &str| {
            lines.iter().filter_map(|line| line.strip_prefix(prefix)).collect::<Vec<_>>()
        };
        let times: Option<Vec<u64>> =
            after("m-lap-us-").into_iter().map(|time| time.parse().ok()).collect();
        let results = after("m-results-[");
        let parsed = results.first().and_then(|numbers| {
            let numbers = numbers.strip_suffix(']')?.split(',');
            numbers.map(|number| number.parse().ok()).collect::<Option<Vec<f32>>>()
        });
        match (parsed, times.as_deref(), &results[..]) {
            (Some(parsed), Some([start, end]), [line]) => Ok(Inference {
                line: format!("m-results-[{line}"),
                results: parsed,
                microseconds: end.saturating_sub(*start),
            }),
            _ => Err(self.problem("infer", format!("two times and results expected: {lines:?}"))),
        }
    }

    /// Closes the device's input and returns the lines that it still says.
    pub fn finish(mut self) -> Vec<String> {
        self.commands = None;
        let mut lines = Vec::new();
        while let Ok(line) = self.lines.recv_timeout(self.patience) {
            lines.push(line);
        }
        lines
    }

    fn problem(&self, command: &str, problem: String) -> McuError {
        let command = command.chars().take(100).collect();
        McuError::Device { program: self.program.clone(), command, problem }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
