//! What `cargo test` says: its counts, what failed and why, and the tests that skipped themselves.

use std::ops::AddAssign;

/// Sums over any number of test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub passed: usize,
    pub failed: usize,
    pub ignored: usize,
    /// Lines that begin with `SKIPPED`, each once.
    pub skipped: Vec<String>,
    /// What each failed test printed, beginning with its name and bounded in length.
    pub failures: Vec<String>,
}

/// Lines of a failed test's output that a summary repeats: the first and the last.
const FIRST_LINES: usize = 20;
const LAST_LINES: usize = 20;

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        for line in other.skipped {
            self.skip(line);
        }
        self.failures.extend(other.failures);
    }
}

impl Outcome {
    fn skip(&mut self, line: String) {
        if !self.skipped.contains(&line) {
            self.skipped.push(line);
        }
    }
}

/// Reads the output of `cargo test -- --show-output` line by line.
#[derive(Default)]
pub(crate) struct Reader {
    pub outcome: Outcome,
    /// Within the list of successes that `--show-output` repeats.
    repeating: bool,
    /// Between the heading of failures and the list of their names.
    failing: bool,
    /// The output of the failed test that is being read.
    failure: Vec<String>,
}

impl Reader {
    /// Reads one line and returns whether to show it.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if let Some((passed, failed, ignored)) = counts(line) {
            self.outcome.passed += passed;
            self.outcome.failed += failed;
            self.outcome.ignored += ignored;
        }
        let trimmed = line.trim();
        if trimmed.starts_with("SKIPPED ") {
            self.outcome.skip(trimmed.to_owned());
        }
        self.read_failure(line);
        if line == "successes:" {
            self.repeating = true;
            return false;
        }
        // The list directly follows its heading; the output of a test follows an empty line.
        self.repeating &= line.is_empty() || line.starts_with("    ");
        !self.repeating
    }

    /// Outputs of failed tests stand between a line `failures:` and a second one, which heads the list
    /// of names. Each begins with `---- NAME stdout ----`.
    fn read_failure(&mut self, line: &str) {
        let heading = line == "failures:";
        let name = line.strip_prefix("---- ").and_then(|line| line.strip_suffix(" stdout ----"));
        if heading || name.is_some() {
            self.end_failure();
        }
        if heading {
            self.failing = !self.failing;
        } else if line.starts_with("test result: ") {
            self.end_failure();
            self.failing = false;
        } else if self.failing {
            self.failure.push(name.unwrap_or(line).to_owned());
        }
    }

    fn end_failure(&mut self) {
        let mut lines = std::mem::take(&mut self.failure);
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        if lines.iter().all(String::is_empty) {
            return;
        }
        let between = lines.len().saturating_sub(FIRST_LINES + LAST_LINES);
        if between > 0 {
            let note = format!("[{between} lines are not repeated here]");
            lines.splice(FIRST_LINES..FIRST_LINES + between, [note]);
        }
        self.outcome.failures.push(lines.join("\n"));
    }
}

/// Passed, failed and ignored of a line like
/// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.1s`.
fn counts(line: &str) -> Option<(usize, usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |name: &str| {
        let entry = counts.split(';').find_map(|entry| entry.trim().strip_suffix(name))?;
        entry.trim().parse().ok()
    };
    Some((count("passed")?, count("failed")?, count("ignored")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
     Running tests/conformance/main.rs (target/debug/deps/conformance-0)

running 2 tests
test adds ... ok
test equals ... ok

successes:

---- equals stdout ----
SKIPPED equals: no Python

successes:
    adds
    equals

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

failures:

---- shifts stdout ----
assertion failed: 1 is 2

---- moves stdout ----
line 0
line 1

failures:
    shifts
    moves

test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.10s
";

    #[test]
    fn counts_are_summed_over_test_programs() {
        let mut reader = Reader::default();
        OUTPUT.lines().for_each(|line| {
            reader.line(line);
        });
        let skipped = vec!["SKIPPED equals: no Python".to_owned()];
        let failures =
            vec!["shifts\nassertion failed: 1 is 2".into(), "moves\nline 0\nline 1".into()];
        assert_eq!(reader.outcome, Outcome { passed: 5, failed: 4, ignored: 1, skipped, failures });
    }

    #[test]
    fn a_long_failure_is_repeated_without_its_middle() {
        let mut reader = Reader::default();
        reader.line("failures:");
        reader.line("---- long stdout ----");
        for line in 0..1000 {
            reader.line(&format!("line {line}"));
        }
        reader.line("failures:");
        let failure = &reader.outcome.failures[0];
        assert!(
            failure.starts_with("long\nline 0\n") && failure.ends_with("line 999"),
            "{failure}"
        );
        assert!(failure.contains("lines are not repeated here"));
        assert_eq!(failure.lines().count(), FIRST_LINES + LAST_LINES + 1);
    }

    #[test]
    fn the_list_of_successes_is_hidden_and_nothing_else() {
        let mut reader = Reader::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| reader.line(line)).collect();
        assert!(shown.contains(&"---- equals stdout ----"));
        assert!(shown.contains(&"SKIPPED equals: no Python"));
        assert!(shown.contains(&"test adds ... ok"));
        assert!(!shown.contains(&"    adds") && !shown.contains(&"    equals"));
        assert_eq!(shown.iter().filter(|line| line.starts_with("test result")).count(), 2);
    }

    #[test]
    fn lines_that_only_resemble_a_result_are_not_counted() {
        for line in
            ["test result: ok", "result: ok. 1 passed; 0 failed; 0 ignored", "test result: "]
        {
            assert_eq!(counts(line), None, "{line}");
        }
    }

    #[test]
    fn a_skip_is_reported_once() {
        let mut sum = Outcome::default();
        for _ in 0..2 {
            sum += Outcome { skipped: vec!["SKIPPED a: b".into()], ..Outcome::default() };
        }
        assert_eq!(sum.skipped, ["SKIPPED a: b"]);
    }
}
