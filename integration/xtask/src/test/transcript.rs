//! What the driver and libtest print in one guest, understood.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use super::queue::Numbered;

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It ran and passed.
    Passed,
    /// It ran and did not, in these words.
    Failed(String),
    /// Its guest ended before it did.
    Unfinished,
    /// It was never started.
    NotRun,
}

/// A test that came to an end, or will come to none.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) number: usize,
    pub(super) outcome: Outcome,
    /// From the start of its process to the end of it.
    pub(super) took: Duration,
    /// All that it printed.
    pub(super) output: String,
}

/// Reads what a guest prints and reports each test when it ends.
pub(super) struct Transcript<'a, F> {
    batch: &'a [Numbered],
    report: F,
    line: Vec<u8>,
    /// How many tests of the batch have been reported.
    reported: usize,
    running: Option<(Instant, String)>,
}

impl<'a, F: FnMut(Report)> Transcript<'a, F> {
    /// The driver runs `batch`, in this order.
    pub(super) fn new(batch: &'a [Numbered], report: F) -> Self {
        Self { batch, report, line: Vec::new(), reported: 0, running: None }
    }

    /// The guest has ended: reports the tests that it did not get to.
    pub(super) fn end(mut self) {
        let rest = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if let Some((_, output)) = &mut self.running {
            output.push_str(&rest);
            self.finish(Outcome::Unfinished);
        }
        while self.reported < self.batch.len() {
            self.running = Some((Instant::now(), String::new()));
            self.finish(Outcome::NotRun);
        }
    }

    fn understand(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("=== run ") {
            let expected = self.batch.get(self.reported).map(|(number, _)| number.to_string());
            if self.running.is_none() && expected.as_deref() == Some(number) {
                self.running = Some((Instant::now(), String::new()));
            }
            return;
        }
        let Some((_, output)) = &mut self.running else { return };
        match line.strip_prefix("=== exit ") {
            Some(status) => {
                let outcome = judge(status, output);
                self.finish(outcome);
            }
            None => {
                let _ = writeln!(output, "{line}");
            }
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        if let Some((started, output)) = self.running.take() {
            let (number, _) = self.batch[self.reported];
            self.reported += 1;
            (self.report)(Report { number, outcome, took: started.elapsed(), output });
        }
    }
}

impl<F: FnMut(Report)> Write for Transcript<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
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
        Ok(())
    }
}

/// A test has passed if libtest says that this one test did, and its process then ends well.
fn judge(status: &str, output: &str) -> Outcome {
    let results: Vec<_> = output.lines().filter_map(counts).collect();
    match (status, &results[..]) {
        ("0", [(1, 0)]) => Outcome::Passed,
        ("124", _) => Outcome::Failed("stopped at its time limit".to_owned()),
        ("101", [(0, 1)]) => Outcome::Failed("it says why below".to_owned()),
        (_, []) => Outcome::Failed(format!("it ended early, with exit status {status}")),
        (_, [(0, 0)]) => Outcome::Failed("its binary does not know it".to_owned()),
        _ => Outcome::Failed(format!("exit status {status}")),
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

#[cfg(test)]
mod tests {
    use super::super::suite::Test;
    use super::*;

    /// The outcomes of the tests 5 and 6 when their guest printed `text`.
    fn outcomes(text: &str) -> Vec<(usize, Outcome)> {
        let batch = [(5, Test::named("a.rs", "x")), (6, Test::named("a.rs", "y"))];
        let mut outcomes = Vec::new();
        let mut transcript = Transcript::new(&batch, |report: Report| {
            outcomes.push((report.number, report.outcome));
        });
        for piece in text.as_bytes().chunks(7) {
            transcript.write_all(piece).unwrap();
        }
        transcript.end();
        outcomes
    }

    fn ran(number: usize, passed: usize, failed: usize, status: u8) -> String {
        format!(
            "\n=== run {number}\n\nrunning 1 test\ntest x ... ok\ntest result: ok. {passed} passed; \
             {failed} failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.00s\n\
             \n=== exit {status}\n"
        )
    }

    fn says(outcome: &Outcome, words: &str) -> bool {
        matches!(outcome, Outcome::Failed(why) if why.contains(words))
    }

    #[test]
    fn tests_that_pass_are_told_one_by_one() {
        let all = outcomes(&(ran(5, 1, 0, 0) + &ran(6, 1, 0, 0)));
        assert_eq!(all, [(5, Outcome::Passed), (6, Outcome::Passed)]);
    }

    #[test]
    fn a_test_that_did_not_run_or_end_is_told_as_such() {
        assert_eq!(outcomes(""), [(5, Outcome::NotRun), (6, Outcome::NotRun)]);
        let all = outcomes("\n=== run 5\ntest x ... ");
        assert_eq!(all, [(5, Outcome::Unfinished), (6, Outcome::NotRun)]);
    }

    #[test]
    fn a_failure_a_crash_and_a_timeout_fail_one_test_only() {
        let crash = "\n=== run 5\ntest x ... \n=== exit 134\n".to_owned();
        for (text, words) in [
            (ran(5, 0, 1, 101), "below"),
            (crash, "ended early, with exit status 134"),
            ("\n=== run 5\ntest x ... \n=== exit 124\n".to_owned(), "time limit"),
            (ran(5, 1, 0, 139), "exit status 139"),
        ] {
            let all = outcomes(&(text + &ran(6, 1, 0, 0)));
            assert!(says(&all[0].1, words), "{all:?}");
            assert_eq!(all[1], (6, Outcome::Passed));
        }
    }

    #[test]
    fn a_run_of_no_test_has_passed_none() {
        let all = outcomes(&(ran(5, 0, 0, 0) + "=== run 6\n=== exit 0\n"));
        assert!(says(&all[0].1, "does not know it") && says(&all[1].1, "ended early"), "{all:?}");
    }

    #[test]
    fn a_line_for_another_test_is_not_believed() {
        let all = outcomes(&ran(6, 1, 0, 0));
        assert_eq!(all, [(5, Outcome::NotRun), (6, Outcome::NotRun)]);
    }
}
