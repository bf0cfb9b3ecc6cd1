//! What a run of kernel tests came to, in words.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::suite::Test;
use super::transcript::{Outcome, Report};

/// So many of the slowest tests are named.
const SLOWEST: usize = 10;

/// A line for a test that came to an end, and what it printed if it has not passed.
pub(super) fn line(guest: usize, test: &Test, report: &Report) -> String {
    let (seconds, suite, name) = (report.took.as_secs_f32(), &test.suite.label, &test.name);
    let verdict = match &report.outcome {
        Outcome::Passed => return format!("guest {guest}: {seconds:6.1} s  ok  {suite}: {name}\n"),
        Outcome::Failed(why) => format!("FAILED, {why}"),
        Outcome::Unfinished => "FAILED, its guest ended before it did".to_owned(),
        Outcome::NotRun => return format!("guest {guest}: NOT RUN  {suite}: {name}\n"),
    };
    let mut block = format!("guest {guest}: {seconds:6.1} s  {suite}: {name}: {verdict}\n");
    for line in report.output.lines() {
        let _ = writeln!(block, "    {line}");
    }
    block
}

/// Tables of the slowest tests, of the suites and of the failures, and whether every test has run
/// and passed. `tests` are in the order of their numbers; `flaky` are the numbers of those that have
/// passed only at the second try.
pub(super) fn summary(tests: &[Test], reports: &[Report], flaky: &[usize]) -> (String, bool) {
    let mut text = slowest(tests, reports);
    // Of each suite, how many tests there are and how many of them have passed.
    let mut suites: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut failures = String::new();
    for (number, test) in tests.iter().enumerate() {
        let (all, passed) = suites.entry(&test.suite.label).or_default();
        *all += 1;
        let report = reports.iter().find(|report| report.number == number);
        let verdict = match report.map(|report| &report.outcome) {
            Some(Outcome::Passed) => {
                *passed += 1;
                continue;
            }
            Some(Outcome::Failed(_) | Outcome::Unfinished) => "failed",
            Some(Outcome::NotRun) | None => "not run",
        };
        let _ = writeln!(failures, "  {}: {}: {verdict}", test.suite.label, test.name);
        let _ = writeln!(failures, "    look inside: {}", test.look_inside());
    }
    text.push_str("kernel tests:\n");
    for (suite, (all, passed)) in &suites {
        let _ = match all - passed {
            0 => writeln!(text, "  {suite}: {all} tests, ok"),
            missing => writeln!(text, "  {suite}: {all} tests, {missing} FAILED"),
        };
    }
    text.push_str(&failures);
    for Test { suite, name } in flaky.iter().map(|number| &tests[*number]) {
        let _ = writeln!(text, "  {}: {name}: FLAKY, passed only at the second try", suite.label);
    }
    let passed: usize = suites.values().map(|(_, passed)| passed).sum();
    let _ = write!(text, "{passed} passed, {} failed", tests.len() - passed);
    if !flaky.is_empty() {
        let _ = write!(text, ", {} of the passed flaky", flaky.len());
    }
    (text, !tests.is_empty() && passed == tests.len())
}

fn slowest(tests: &[Test], reports: &[Report]) -> String {
    let mut ran: Vec<_> =
        reports.iter().filter(|report| report.outcome != Outcome::NotRun).collect();
    ran.sort_by_key(|report| Reverse(report.took));
    let line = |report: &&Report| {
        let (seconds, Test { suite, name }) = (report.took.as_secs_f32(), &tests[report.number]);
        format!("  {seconds:6.1} s  {}: {name}\n", suite.label)
    };
    std::iter::once("slowest tests:\n".to_owned())
        .chain(ran.iter().take(SLOWEST).map(line))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(number: usize, seconds: u64, outcome: Outcome) -> Report {
        let output = "said\n".to_owned();
        Report { number, outcome, took: Duration::from_secs(seconds), output }
    }

    fn judged(outcomes: &[Outcome]) -> (String, bool) {
        let tests = [("a.rs", "x"), ("a.rs", "y"), ("b.rs", "z")];
        let tests = tests.map(|(label, name)| Test::named(label, name));
        let reports: Vec<_> = (0..)
            .zip(1..)
            .zip(outcomes)
            .map(|((number, seconds), outcome)| report(number, seconds, outcome.clone()))
            .collect();
        summary(&tests, &reports, &[])
    }

    #[test]
    fn all_is_good_only_if_every_test_has_passed() {
        let (text, is_good) = judged(&[Outcome::Passed, Outcome::Passed, Outcome::Passed]);
        assert!(is_good && text.ends_with("b.rs: 1 tests, ok\n3 passed, 0 failed"), "{text}");
        let bad = [Outcome::Failed("why".into()), Outcome::Unfinished, Outcome::NotRun];
        for outcome in bad {
            let (text, is_good) = judged(&[Outcome::Passed, outcome, Outcome::Passed]);
            assert!(!is_good && text.contains("a.rs: 2 tests, 1 FAILED"), "{text}");
            assert!(text.contains("a.rs: y: ") && text.contains("--exact y"), "{text}");
            assert!(text.ends_with("2 passed, 1 failed"), "{text}");
        }
    }

    #[test]
    fn a_test_that_nobody_heard_of_has_failed() {
        let (text, is_good) = judged(&[Outcome::Passed, Outcome::Passed]);
        assert!(!is_good && text.contains("b.rs: z: not run"), "{text}");
    }

    #[test]
    fn what_passed_only_at_the_second_try_is_named() {
        let tests = [Test::named("a.rs", "x")];
        let (text, is_good) = summary(&tests, &[report(0, 1, Outcome::Passed)], &[0]);
        assert!(is_good && text.contains("a.rs: x: FLAKY"), "{text}");
        assert!(text.ends_with("1 passed, 0 failed, 1 of the passed flaky"), "{text}");
    }

    #[test]
    fn nothing_run_is_nothing_passed() {
        assert!(!summary(&[], &[], &[]).1);
    }

    #[test]
    fn the_slowest_come_first() {
        let (text, _) = judged(&[Outcome::Passed, Outcome::Passed, Outcome::Passed]);
        let order = ["b.rs: z", "a.rs: y", "a.rs: x"].map(|test| text.find(test).unwrap());
        assert!(order.is_sorted(), "{text}");
    }

    #[test]
    fn only_what_a_test_that_failed_has_printed_is_shown() {
        let test = Test::named("a.rs", "x");
        let passed = line(1, &test, &report(0, 2, Outcome::Passed));
        assert_eq!(passed, "guest 1:    2.0 s  ok  a.rs: x\n");
        let failed = line(2, &test, &report(0, 2, Outcome::Failed("why".into())));
        assert_eq!(failed, "guest 2:    2.0 s  a.rs: x: FAILED, why\n    said\n");
    }
}
