//! What the driver and libtest print, shown as it comes and understood.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::suite::Suite;

/// What one test binary came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SuiteResult {
    label: String,
    passed: usize,
    failed: usize,
    /// None while it runs, and for ever if the guest died then.
    status: Option<u8>,
}

/// Passes everything on to `shown` and collects results.
pub(super) struct Transcript<W> {
    shown: W,
    line: Vec<u8>,
    results: Vec<SuiteResult>,
}

impl<W: Write> Transcript<W> {
    /// Nothing so far.
    pub(super) fn new(shown: W) -> Self {
        Self { shown, line: Vec::new(), results: Vec::new() }
    }

    /// What was understood, in the order of the runs.
    pub(super) fn results(self) -> Vec<SuiteResult> {
        self.results
    }

    fn understand(&mut self, line: &str) {
        if let Some(label) = line.strip_prefix("=== run ") {
            self.results.push(SuiteResult { label: label.to_owned(), ..SuiteResult::default() });
        }
        let Some(result) = self.results.last_mut() else { return };
        if let Some((passed, failed)) = counts(line) {
            (result.passed, result.failed) = (passed, failed);
        }
        if let Some(status) = line.strip_prefix("=== exit ") {
            result.status = status.split(' ').next().and_then(|status| status.parse().ok());
        }
    }
}

impl<W: Write> Write for Transcript<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.shown.write_all(bytes)?;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.understand(String::from_utf8_lossy(&line).trim_end());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shown.flush()
    }
}

/// Reads `test result: ok. 3 passed; 0 failed; ...`.
fn counts(line: &str) -> Option<(usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count = |what| {
        let count = counts.split(';').find_map(|count| count.trim().strip_suffix(what))?;
        count.trim().parse().ok()
    };
    Some((count("passed")?, count("failed")?))
}

/// A table of the suites, and whether every test of every suite has run and passed.
pub(super) fn summary(suites: &[Suite], results: &[SuiteResult]) -> (String, bool) {
    let (mut table, mut passed, mut failed) = ("kernel tests:\n".to_owned(), 0, 0);
    let mut is_good = !suites.is_empty();
    for suite in suites {
        let tests = suite.tests;
        let result = results.iter().find(|result| result.label == suite.label);
        let (is_ok, word) = judge(tests, result);
        let good = result.map_or(0, |result| result.passed.min(tests));
        passed += good;
        failed += tests - good;
        is_good &= is_ok;
        let _ = writeln!(table, "  {}: {tests} tests, {word}", suite.label);
        if !is_ok {
            let _ = writeln!(table, "    look inside: {}", suite.look_inside());
        }
    }
    let _ = writeln!(table, "{passed} passed, {failed} failed");
    (table, is_good)
}

/// Whether all of a suite's tests have passed, and in words what happened.
fn judge(tests: usize, result: Option<&SuiteResult>) -> (bool, String) {
    let Some(&SuiteResult { passed, failed, status, .. }) = result else {
        return (false, "not run".to_owned());
    };
    match status {
        None => (false, "did not end".to_owned()),
        Some(0) if (passed, failed) == (tests, 0) => (true, "ok".to_owned()),
        Some(status) => {
            let missing = tests.saturating_sub(passed + failed);
            (false, format!("FAILED: {failed} of {tests}, {missing} not run, exit {status}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge_output(output: &str) -> (String, bool) {
        let mut transcript = Transcript::new(Vec::new());
        for piece in output.as_bytes().chunks(7) {
            transcript.write_all(piece).unwrap();
        }
        assert_eq!(transcript.shown, output.as_bytes());
        summary(&[Suite::named("a.rs", 2), Suite::named("b.rs", 1)], &transcript.results())
    }

    fn ended(label: &str, passed: usize, failed: usize, status: u8) -> String {
        format!(
            "\n=== run {label}\n\nrunning 2 tests\ntest x ... ok\ntest result: ok. {passed} passed; \
             {failed} failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s\n\
             \n=== exit {status} {label}\n"
        )
    }

    #[test]
    fn all_is_good_only_if_every_test_of_every_suite_passed() {
        let (table, is_good) = judge_output(&(ended("a.rs", 2, 0, 0) + &ended("b.rs", 1, 0, 0)));
        assert!(is_good && table.ends_with("\n3 passed, 0 failed\n"), "{table}");
    }

    #[test]
    fn a_suite_that_did_not_run_or_end_has_failed() {
        let (table, is_good) = judge_output(&ended("a.rs", 2, 0, 0));
        assert!(!is_good && table.contains("b.rs: 1 tests, not run"), "{table}");
        let (table, is_good) =
            judge_output(&(ended("b.rs", 1, 0, 0) + "\n=== run a.rs\ntest x ... "));
        assert!(!is_good && table.contains("a.rs: 2 tests, did not end"), "{table}");
    }

    #[test]
    fn a_crash_and_a_test_left_out_have_failed() {
        let crash = ended("b.rs", 1, 0, 0) + "\n=== run a.rs\ntest x ... \n=== exit 134 a.rs\n";
        let (table, is_good) = judge_output(&crash);
        assert!(!is_good && table.contains("0 of 2, 2 not run, exit 134"), "{table}");
        let (table, is_good) = judge_output(&(ended("a.rs", 1, 0, 0) + &ended("b.rs", 1, 0, 0)));
        assert!(!is_good && table.ends_with("\n2 passed, 1 failed\n"), "{table}");
    }

    #[test]
    fn a_failed_test_is_counted() {
        let (table, is_good) = judge_output(&(ended("a.rs", 1, 1, 101) + &ended("b.rs", 1, 0, 0)));
        assert!(!is_good && table.contains("1 of 2, 0 not run, exit 101"), "{table}");
    }

    #[test]
    fn a_binary_that_fails_after_its_tests_has_failed() {
        let (table, is_good) = judge_output(&(ended("a.rs", 2, 0, 139) + &ended("b.rs", 1, 0, 0)));
        assert!(!is_good && table.contains("a.rs: 2 tests, FAILED: 0 of 2, 0 not run, exit 139"));
    }

    #[test]
    fn nothing_run_is_nothing_passed() {
        assert!(!summary(&[], &[]).1);
    }
}
