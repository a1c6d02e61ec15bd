//! What `cargo test` says: its counts, and the tests that skipped themselves.

use std::ops::AddAssign;

/// Sums over any number of test programs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub passed: usize,
    pub failed: usize,
    pub ignored: usize,
    /// Lines that begin with `SKIPPED`, each once.
    pub skipped: Vec<String>,
}

impl AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        for line in other.skipped {
            self.skip(line);
        }
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
        if line == "successes:" {
            self.repeating = true;
            return false;
        }
        // The list directly follows its heading; the output of a test follows an empty line.
        self.repeating &= line.is_empty() || line.starts_with("    ");
        !self.repeating
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

test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.10s
";

    #[test]
    fn counts_are_summed_over_test_programs() {
        let mut reader = Reader::default();
        OUTPUT.lines().for_each(|line| {
            reader.line(line);
        });
        let skipped = vec!["SKIPPED equals: no Python".to_owned()];
        assert_eq!(reader.outcome, Outcome { passed: 5, failed: 4, ignored: 1, skipped });
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
