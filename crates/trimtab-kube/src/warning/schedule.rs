//! Decides when to send which Event: pure code, time is an argument.
//!
//! Thousands of nodes find the same problem in the same object, within the same second. Each waits
//! for its own part of [`SPREAD`]. The first creates the Event, and the others get "already
//! exists", which writes nothing. The node that created the Event repeats it while the problem
//! lasts; the others try again less and less often, so that an Event outlives the node that created
//! it.
//!
//! However many problems there are, all nodes together must not overload the API server: a node
//! begins at its own part of [`SPREAD`], and halves its rate after each request that was useless
//! because another node had been first or because the API server refused it.

use std::time::Duration;

use hashbrown::HashMap;

use super::Warning;
use super::bucket::Bucket;
use super::event::EventKey;

/// The time over which nodes spread the first Event of a problem.
const SPREAD: Duration = Duration::from_secs(60);
/// A delay before that, to collect other findings for the same warning.
const DELAY: Duration = Duration::from_secs(1);
/// API servers delete an Event an hour after its last write; it is repeated after half of that.
const REPEAT: Duration = Duration::from_secs(30 * 60);
/// The Event of a problem that comes and goes is not repeated sooner than this.
const LEAST_REPEAT: Duration = Duration::from_secs(5 * 60);
/// The first and the longest time until a node tries again whether another node's Event still
/// exists.
const ASK_AGAIN: Duration = Duration::from_secs(60 * 60);
const MOST_DOUBLINGS: u32 = 3;
/// The first and the longest pause after a failure.
const RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(10 * 60);
/// Requests of one node: a burst of these, then two a minute.
const BURST: u32 = 10;
const PERIOD: Duration = Duration::from_secs(30);
/// The longest interval that useless requests lead to.
const LONGEST_PERIOD: Duration = Duration::from_secs(10 * 60);

/// The Events of one node.
#[derive(Debug)]
pub(super) struct Schedule {
    node: String,
    entries: HashMap<EventKey, Entry>,
    bucket: Bucket,
    /// Nothing is sent before this time: this node's part of [`SPREAD`].
    gate: Duration,
}

#[derive(Debug)]
struct Entry {
    warning: Warning,
    state: State,
    /// Whether the problem exists now.
    stands: bool,
    /// When to send next.
    due: Option<Duration>,
    /// When it was last written, by any node.
    said: Option<Duration>,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not created, or deleted by the API server.
    Unsaid,
    /// Created by this node and sent this many times.
    Ours(u32),
    /// Created by another node; tried this many times.
    Theirs(u32),
}

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EventRequest {
    /// A new Event.
    Create(EventKey, Warning),
    /// An Event again, for the time given.
    Repeat(EventKey, Warning, u32),
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is there.
    Said,
    /// Another node has created it.
    Known,
    /// The API server has deleted it.
    Forgotten,
    /// It could not be sent, or was refused.
    Failed,
}

impl Schedule {
    pub(super) fn new(node: &str) -> Self {
        Self {
            node: node.to_owned(),
            entries: HashMap::new(),
            bucket: Bucket::new(BURST, PERIOD..=LONGEST_PERIOD),
            gate: Duration::ZERO,
        }
    }

    /// A problem begins.
    pub(super) fn begin(&mut self, key: EventKey, warning: Warning, now: Duration) {
        let spread = DELAY + SPREAD.mul_f64(key.fraction(&self.node, 0));
        if self.entries.values().all(|entry| entry.due.is_none()) {
            // This may be the first of thousands of problems, which every node finds now: spread
            // them.
            self.gate = now + spread;
        }
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            warning,
            state: State::Unsaid,
            stands: false,
            due: None,
            said: None,
            failures: 0,
        });
        if entry.stands {
            return;
        }
        entry.stands = true;
        entry.due = Some(match (entry.state, entry.said) {
            (State::Unsaid, _) | (_, None) => now + spread,
            (State::Ours(_), Some(said)) => now.max(said + LEAST_REPEAT),
            (State::Theirs(_), Some(said)) => now.max(said + ASK_AGAIN),
        });
    }

    /// A problem is over. Its Event stays until the API server deletes it.
    pub(super) fn end(&mut self, key: EventKey, now: Duration) {
        self.entries.retain(|_, entry| {
            entry.stands || entry.said.is_some_and(|said| said + ASK_AGAIN > now)
        });
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.stands = false;
            entry.due = None;
            if entry.said.is_none() {
                self.entries.remove(&key);
            }
        }
    }

    /// What to send now, or when to send next.
    pub(super) fn next(&mut self, now: Duration) -> Result<EventRequest, Option<Duration>> {
        let first = self.entries.iter().filter_map(|(key, entry)| Some((entry.due?, *key))).min();
        let Some((due, key)) = first else { return Err(None) };
        let due = due.max(self.gate);
        if due > now {
            return Err(Some(due));
        }
        self.bucket.take(now).map_err(Some)?;
        let Some(entry) = self.entries.get_mut(&key) else { return Err(None) };
        // Nothing else is sent for it until the outcome is known.
        entry.due = None;
        let warning = entry.warning.clone();
        Ok(match entry.state {
            State::Ours(times) => EventRequest::Repeat(key, warning, times.saturating_add(1)),
            State::Unsaid | State::Theirs(_) => EventRequest::Create(key, warning),
        })
    }

    /// Records the outcome of a request.
    pub(super) fn settle(&mut self, key: EventKey, outcome: Outcome, now: Duration) {
        match outcome {
            Outcome::Said => self.bucket.speed_up(),
            Outcome::Known | Outcome::Failed => {
                let part = key.fraction(&self.node, now.as_secs());
                self.bucket.slow_down(now, part);
            }
            Outcome::Forgotten => {}
        }
        let Some(entry) = self.entries.get_mut(&key) else { return };
        let pause = match outcome {
            Outcome::Said => {
                let times = if let State::Ours(times) = entry.state { times } else { 0 };
                entry.state = State::Ours(times.saturating_add(1));
                REPEAT
            }
            Outcome::Known => {
                let times = if let State::Theirs(times) = entry.state { times } else { 0 };
                entry.state = State::Theirs(times.saturating_add(1));
                let pause = ASK_AGAIN * (1 << times.min(MOST_DOUBLINGS));
                // Wide enough that nodes that began together do not keep sending together.
                pause.mul_f64(0.5 + 1.5 * key.fraction(&self.node, u64::from(times) + 1))
            }
            Outcome::Forgotten => {
                entry.state = State::Unsaid;
                Duration::ZERO
            }
            Outcome::Failed => {
                let pause = RETRY * (1 << entry.failures.min(10));
                entry.failures += 1;
                let fraction = key.fraction(&self.node, u64::from(entry.failures));
                pause.min(LONGEST_RETRY).mul_f64(1.0 + fraction)
            }
        };
        if matches!(outcome, Outcome::Said | Outcome::Known) {
            entry.said = Some(now);
            entry.failures = 0;
        }
        entry.due = entry.stands.then_some(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warning::{ObjectKind, Regarding, WarningReason};
    use trimtab_core::objects::ObjectName;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);

    fn warning(number: u32, reason: WarningReason) -> (EventKey, Warning) {
        let name = ObjectName::new("n", &format!("web-{number}"));
        let regarding = Regarding { kind: ObjectKind::Service, name, uid: "".into() };
        let warning = Warning { regarding, reason, note: "wrong".to_owned() };
        (EventKey::of(&warning), warning)
    }

    /// What is sent until `end` if each request has this `outcome`.
    fn sent(
        schedule: &mut Schedule,
        end: Duration,
        outcome: Outcome,
    ) -> Vec<(Duration, EventRequest)> {
        let mut now = Duration::ZERO;
        let mut all = Vec::new();
        while now < end {
            match schedule.next(now) {
                Ok(send) => {
                    let (EventRequest::Create(key, _) | EventRequest::Repeat(key, ..)) = &send;
                    schedule.settle(*key, outcome, now);
                    all.push((now, send));
                }
                Err(Some(next)) => now = next.max(now),
                Err(None) => break,
            }
        }
        all
    }

    #[test]
    fn a_thousand_problems_are_a_burst_and_then_two_a_minute() {
        let mut schedule = Schedule::new("node");
        for number in 0..1000 {
            let (key, warning) = warning(number, WarningReason::HealthCheckPort);
            schedule.begin(key, warning, Duration::ZERO);
        }
        let all = sent(&mut schedule, 20 * MINUTE, Outcome::Said);
        let within = |end: Duration| all.iter().filter(|(time, _)| *time < end).count();
        let begun = all[0].0;
        assert!(begun <= DELAY + SPREAD, "{begun:?}");
        assert!((10..=12).contains(&within(begun + SPREAD / 4)), "{}", within(begun + SPREAD / 4));
        assert!(
            (28..=32).contains(&within(begun + 10 * MINUTE)),
            "{}",
            within(begun + 10 * MINUTE)
        );
    }

    #[test]
    fn however_much_is_wrong_all_nodes_together_ask_little() {
        // A tenth of a large cluster, so a tenth of the load on its API server.
        const NODES: usize = 500;
        let mut told = hashbrown::HashSet::new();
        let mut nodes: Vec<Schedule> =
            (0..NODES).map(|node| Schedule::new(&format!("node-{node}"))).collect();
        let mut wakes = std::collections::BTreeSet::new();
        for (number, node) in nodes.iter_mut().enumerate() {
            for problem in 0..100 {
                let (key, warning) = warning(problem, WarningReason::InvalidAnnotation);
                node.begin(key, warning, Duration::ZERO);
            }
            wakes.insert((Duration::ZERO, number));
        }
        let mut by_minute = [0_u32; 60];
        let mut all_told = None;
        while let Some((now, node)) = wakes.pop_first() {
            if now >= HOUR {
                break;
            }
            match nodes[node].next(now) {
                Ok(EventRequest::Create(key, _)) => {
                    by_minute[usize::try_from(now.as_secs() / 60).unwrap()] += 1;
                    let is_new = told.insert(key);
                    let outcome = if is_new { Outcome::Said } else { Outcome::Known };
                    nodes[node].settle(key, outcome, now);
                    wakes.insert((now, node));
                    if told.len() == 100 {
                        all_told.get_or_insert(now);
                    }
                }
                Ok(EventRequest::Repeat(key, ..)) => {
                    by_minute[usize::try_from(now.as_secs() / 60).unwrap()] += 1;
                    nodes[node].settle(key, Outcome::Said, now);
                    wakes.insert((now, node));
                }
                Err(next) => drop(next.map(|next| wakes.insert((next, node)))),
            }
        }
        // Ten requests a second in any minute, a hundred in a cluster of 5,000; one a second later.
        assert!(by_minute.iter().all(|count| *count <= 60 * 15), "{by_minute:?}");
        assert!(by_minute[30..].iter().all(|count| *count <= 60 * 2), "{by_minute:?}");
        assert!(all_told.is_some_and(|when| when < 10 * MINUTE), "{all_told:?} {}", told.len());
    }

    #[test]
    fn nodes_spread_what_all_of_them_find_over_a_minute() {
        let (key, warning) = warning(1, WarningReason::InvalidValue);
        let mut times: Vec<Duration> = (0..1000)
            .map(|node| {
                let mut schedule = Schedule::new(&format!("node-{node}"));
                schedule.begin(key, warning.clone(), Duration::ZERO);
                schedule.next(Duration::ZERO).expect_err("not at once").expect("some time")
            })
            .collect();
        times.sort_unstable();
        assert!(times[0] < DELAY + MINUTE / 100 && times[999] <= DELAY + MINUTE);
        for part in times.chunks(100).zip(1u32..) {
            let middle = part.0[50];
            assert!(middle < DELAY + MINUTE * part.1 / 8, "{middle:?} in the tenth {}", part.1);
        }
    }

    #[test]
    fn whoever_made_an_event_repeats_it_and_others_ask_ever_more_rarely() {
        let times = |outcome| {
            let mut schedule = Schedule::new("node");
            let (key, warning) = warning(1, WarningReason::InvalidValue);
            schedule.begin(key, warning, Duration::ZERO);
            sent(&mut schedule, 24 * HOUR, outcome)
        };
        let ours = times(Outcome::Said);
        assert_eq!(ours.len(), 48);
        assert!(matches!(&ours[0].1, EventRequest::Create(..)));
        assert!(matches!(&ours[1].1, EventRequest::Repeat(_, _, 2)));
        assert!(matches!(&ours[47].1, EventRequest::Repeat(_, _, 48)));
        let theirs = times(Outcome::Known);
        assert!((4..=7).contains(&theirs.len()), "{}", theirs.len());
        assert!(theirs.iter().all(|(_, send)| matches!(send, EventRequest::Create(..))));
    }

    #[test]
    fn a_problem_that_comes_and_goes_is_repeated_and_not_said_anew() {
        let mut schedule = Schedule::new("node");
        let (key, warning) = warning(1, WarningReason::HealthCheckPort);
        schedule.begin(key, warning.clone(), Duration::ZERO);
        let said = schedule.next(Duration::ZERO).expect_err("not at once").expect("some time");
        assert!(matches!(schedule.next(said), Ok(EventRequest::Create(..))));
        schedule.settle(key, Outcome::Said, said);
        let again = said + LEAST_REPEAT;
        for second in 1..60 {
            let now = said + Duration::from_secs(second);
            schedule.end(key, now);
            assert_eq!(schedule.next(now), Err(None));
            schedule.begin(key, warning.clone(), now);
            assert_eq!(schedule.next(now), Err(Some(again)));
        }
        assert!(matches!(schedule.next(again), Ok(EventRequest::Repeat(_, _, 2))));
        // The Event was deleted, or expired after an hour: it is created again.
        schedule.settle(key, Outcome::Forgotten, again);
        assert!(matches!(schedule.next(again), Ok(EventRequest::Create(..))));
    }

    #[test]
    fn what_is_over_before_it_was_said_is_never_said() {
        let mut schedule = Schedule::new("node");
        let (key, warning) = warning(1, WarningReason::InvalidValue);
        schedule.begin(key, warning, Duration::ZERO);
        schedule.end(key, Duration::ZERO);
        assert!(sent(&mut schedule, HOUR, Outcome::Said).is_empty());
        assert!(schedule.entries.is_empty());
    }

    #[test]
    fn failures_are_retried_with_growing_pauses() {
        let mut schedule = Schedule::new("node");
        let (key, warning) = warning(1, WarningReason::HealthCheckPort);
        schedule.begin(key, warning, Duration::ZERO);
        let all = sent(&mut schedule, HOUR, Outcome::Failed);
        assert!((5..12).contains(&all.len()), "{}", all.len());
    }

    /// An API server with one Event, which it deletes an hour after the last write.
    #[derive(Default)]
    struct Server {
        last_write: Option<Duration>,
        writes: u32,
        refused: u32,
        by_second: HashMap<u64, u32>,
        /// The longest time without the Event after it was first created.
        longest_gap: Duration,
    }

    impl Server {
        fn answer(&mut self, send: &EventRequest, now: Duration) -> Outcome {
            *self.by_second.entry(now.as_secs()).or_default() += 1;
            let is_there = self.last_write.is_some_and(|last| last + HOUR > now);
            let outcome = match send {
                EventRequest::Create(..) if is_there => Outcome::Known,
                EventRequest::Repeat(..) if !is_there => Outcome::Forgotten,
                _ => Outcome::Said,
            };
            if outcome != Outcome::Said {
                self.refused += 1;
                return outcome;
            }
            if let Some(last) = self.last_write.filter(|_| !is_there) {
                self.longest_gap = self.longest_gap.max(now.saturating_sub(last + HOUR));
            }
            self.last_write = Some(now);
            self.writes += 1;
            outcome
        }
    }

    #[test]
    fn five_thousand_nodes_with_one_problem_for_a_day_write_little() {
        let (key, warning) = warning(1, WarningReason::InvalidValue);
        let mut server = Server::default();
        let mut nodes: Vec<Schedule> =
            (0..5000).map(|node| Schedule::new(&format!("node-{node}"))).collect();
        let mut wakes: std::collections::BTreeSet<(Duration, usize)> = (0..nodes.len())
            .map(|node| {
                nodes[node].begin(key, warning.clone(), Duration::ZERO);
                (Duration::ZERO, node)
            })
            .collect();
        let mut maker = None;
        while let Some((now, node)) = wakes.pop_first() {
            // The node that created the Event fails in the morning.
            if now > 24 * HOUR || (now > 6 * HOUR && maker == Some(node)) {
                continue;
            }
            match nodes[node].next(now) {
                Ok(send) => {
                    let outcome = server.answer(&send, now);
                    if outcome == Outcome::Said {
                        maker.get_or_insert(node);
                    }
                    nodes[node].settle(key, outcome, now);
                    wakes.insert((now, node));
                }
                Err(next) => drop(next.map(|next| wakes.insert((next, node)))),
            }
        }
        let busiest = server.by_second.values().max().copied().unwrap_or_default();
        // A write every half hour, and about 100 requests a second in the first minute.
        assert!((45..=50).contains(&server.writes), "{}", server.writes);
        assert!(server.refused < 5000 * 7, "{}", server.refused);
        assert!(busiest < 130, "{busiest}");
        let later = server.by_second.iter().filter(|(second, _)| **second > 120);
        let busiest = later.map(|(_, count)| *count).max().unwrap_or_default();
        assert!(busiest < 15, "{busiest}");
        assert!(server.longest_gap < MINUTE, "{:?}", server.longest_gap);
    }
}
