//! The tests that wait for a guest.

use super::suite::Test;

/// A guest costs seconds to boot, so the last ones take no fewer tests than this.
const FEWEST: usize = 4;

/// A test, with its place in the order of all.
pub(super) type Numbered = (usize, Test);

/// Tests in the order in which they run, taken in batches: one batch is what one guest runs.
///
/// A free guest takes the next batch, and batches get smaller, so that all guests are done at about
/// the same time however long each test takes. What is in a batch depends on nothing but the order
/// and the number of guests: the same order is the same run.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: std::vec::IntoIter<Numbered>,
    guests: usize,
}

impl Queue {
    /// All of `tests`, for this number of guests at once.
    pub(super) fn new(tests: Vec<Test>, guests: usize) -> Self {
        let numbered: Vec<_> = tests.into_iter().enumerate().collect();
        Self { waiting: numbered.into_iter(), guests }
    }

    /// The tests for the next guest; none are left if it is empty.
    pub(super) fn next_batch(&mut self) -> Vec<Numbered> {
        let left = self.waiting.len();
        let share = match self.guests {
            0 | 1 => left,
            guests => left.div_ceil(2 * guests).max(FEWEST),
        };
        self.waiting.by_ref().take(share).collect()
    }

    /// Nobody gets any more.
    pub(super) fn close(&mut self) {
        self.waiting = Vec::new().into_iter();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(tests: usize, guests: usize) -> Vec<usize> {
        let tests = (0..tests).map(|number| Test::named("a.rs", &number.to_string())).collect();
        let mut queue = Queue::new(tests, guests);
        let mut next = 0;
        let mut batches = Vec::new();
        loop {
            let batch = queue.next_batch();
            if batch.is_empty() {
                return batches;
            }
            for (number, test) in &batch {
                assert_eq!((*number, &test.name), (next, &next.to_string()));
                next += 1;
            }
            batches.push(batch.len());
        }
    }

    #[test]
    fn batches_get_smaller_and_leave_nothing() {
        assert_eq!(sizes(40, 2), [10, 8, 6, 4, 4, 4, 4]);
        for (tests, guests) in [(1, 2), (7, 4), (133, 2), (133, 64)] {
            assert_eq!(sizes(tests, guests).iter().sum::<usize>(), tests, "{tests} {guests}");
        }
    }

    #[test]
    fn one_guest_boots_once() {
        assert_eq!(sizes(40, 1), [40]);
        assert_eq!(sizes(0, 1), [0; 0]);
    }

    #[test]
    fn a_closed_queue_is_empty() {
        let mut queue = Queue::new(vec![Test::named("a.rs", "x")], 1);
        queue.close();
        assert_eq!(queue.next_batch(), []);
    }
}
