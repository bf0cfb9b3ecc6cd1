//! A second try for tests that failed, so that one flaky test among hundreds does not hide whether
//! the rest is good. What passes only then is named as flaky: a fault of the test or of the program,
//! to be mended, and never counted among the tests that simply passed.

use super::suite::Test;
use super::transcript::{Outcome, Report};

/// If more tests than this fail, nothing is tried again: that is no flakiness.
const MOST: usize = 3;

/// The numbers of the tests that get a second try, in order; none if too many failed.
pub(super) fn numbers(tests: &[Test], reports: &[Report]) -> Vec<usize> {
    let has_passed = |number: &usize| {
        reports.iter().any(|it| it.number == *number && it.outcome == Outcome::Passed)
    };
    let failed: Vec<usize> = (0..tests.len()).filter(|number| !has_passed(number)).collect();
    if failed.len() > MOST { Vec::new() } else { failed }
}

/// Replaces the reports of the tests that have passed at the second try; returns their numbers.
/// `second` has the reports of that try, numbered by their place in `numbers`.
pub(super) fn merge(reports: &mut [Report], numbers: &[usize], second: Vec<Report>) -> Vec<usize> {
    let mut flaky = Vec::new();
    for mut report in second {
        report.number = numbers[report.number];
        let first = reports.iter_mut().find(|it| it.number == report.number);
        if let (Some(first), Outcome::Passed) = (first, &report.outcome) {
            flaky.push(report.number);
            *first = report;
        }
    }
    flaky
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(number: usize, outcome: Outcome) -> Report {
        Report { number, outcome, took: Duration::ZERO, output: String::new() }
    }

    fn tests(count: usize) -> Vec<Test> {
        (0..count).map(|number| Test::named("a.rs", &number.to_string())).collect()
    }

    #[test]
    fn what_failed_or_never_ran_is_tried_again_unless_it_is_too_much() {
        let failed = || Outcome::Failed("why".into());
        let reports = [report(0, Outcome::Passed), report(1, failed()), report(3, failed())];
        assert_eq!(numbers(&tests(4), &reports), [1, 2, 3]);
        assert_eq!(numbers(&tests(5), &reports), [0; 0]);
        assert_eq!(numbers(&tests(1), &reports), [0; 0]);
    }

    #[test]
    fn only_what_passes_the_second_time_is_flaky() {
        let failed = || Outcome::Failed("why".into());
        let mut reports = [report(0, Outcome::Passed), report(1, failed()), report(2, failed())];
        let second = vec![report(0, Outcome::Passed), report(1, failed())];
        assert_eq!(merge(&mut reports, &[1, 2], second), [1]);
        assert_eq!(reports[1].outcome, Outcome::Passed);
        assert_eq!(reports[2].outcome, failed());
    }
}
