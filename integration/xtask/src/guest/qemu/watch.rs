//! Decides how a session ends, from the guest's events and their times.

use std::time::{Duration, Instant};

use super::accelerator::Accelerator;
use crate::guest::Verdict;

/// Under KVM the first line comes within a second; a hanging one never prints it.
const KVM_LIFE: Duration = Duration::from_secs(5);
/// From there the boot takes seconds with KVM.
const KVM_UP: Duration = Duration::from_secs(40);
/// An emulated boot takes 3 s on a machine of two cores, and was seen to take two minutes where
/// twenty others wanted to run.
const TCG_UP: Duration = Duration::from_secs(600);
/// After a panic the kernel still prints where it was.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The kernel's first line.
    Alive,
    /// The guest is ready and starts the command.
    Up,
    /// The kernel is lost.
    Lost(String),
    /// One of the command's two output streams is complete.
    StreamEnded,
    /// The command's status.
    Exit(u8),
    /// The machine is gone.
    Gone,
}

/// How a session ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With what the caller wants to know.
    Verdict(Verdict),
    /// The accelerator shows no sign of working.
    Unproven(String),
}

/// Follows one session.
pub(super) struct Watch {
    accelerator: Accelerator,
    started: Instant,
    limit: Duration,
    alive: bool,
    up: bool,
    lost: Option<(Instant, String)>,
    streams_ended: u8,
    exit: Option<u8>,
}

impl Watch {
    /// A session that started now and may last for `limit`.
    pub(super) fn new(accelerator: Accelerator, now: Instant, limit: Duration) -> Self {
        Self {
            accelerator,
            started: now,
            limit,
            alive: false,
            up: false,
            lost: None,
            streams_ended: 0,
            exit: None,
        }
    }

    /// Processes an event; returns the end of the session if it was the last.
    pub(super) fn heard(&mut self, now: Instant, event: Event) -> Option<End> {
        match event {
            Event::Alive => self.alive = true,
            Event::Up => self.up = true,
            Event::Lost(reason) => {
                self.lost.get_or_insert((now, reason));
            }
            Event::StreamEnded => self.streams_ended += 1,
            Event::Exit(status) => self.exit = Some(status),
            Event::Gone => {
                let reason = self.lost.take().map(|(_, reason)| reason);
                return Some(self.broken(&reason.unwrap_or_else(|| "the machine stopped".into())));
            }
        }
        match self.exit {
            Some(status) if self.streams_ended == 2 => Some(End::Verdict(Verdict::Exited(status))),
            _ => None,
        }
    }

    /// The deadline for the next event.
    pub(super) fn deadline(&self) -> Instant {
        let patience = match (self.accelerator, self.alive, self.up) {
            (_, _, true) => self.limit,
            (Accelerator::Kvm, false, _) => KVM_LIFE.min(self.limit),
            (Accelerator::Kvm, true, _) => KVM_UP.min(self.limit),
            (Accelerator::Tcg, ..) => TCG_UP.min(self.limit),
        };
        let deadline = self.started + patience;
        self.lost.as_ref().map_or(deadline, |(when, _)| deadline.min(*when + LAST_WORDS))
    }

    /// How the session ends if there was no event until the deadline.
    pub(super) fn silent(&mut self) -> End {
        match self.lost.take() {
            Some((_, reason)) => self.broken(&reason),
            None if self.up => End::Verdict(Verdict::TimedOut),
            None if !self.alive => self.broken("its kernel says nothing"),
            None => self.broken("its kernel starts and does not get to the command"),
        }
    }

    fn broken(&self, reason: &str) -> End {
        match self.accelerator {
            Accelerator::Kvm if !self.up => End::Unproven(reason.to_owned()),
            _ => End::Verdict(Verdict::Died(reason.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(600);

    fn died(reason: &str) -> End {
        End::Verdict(Verdict::Died(reason.to_owned()))
    }

    #[test]
    fn a_status_counts_once_all_output_is_there() {
        let now = Instant::now();
        let mut watch = Watch::new(Accelerator::Tcg, now, LIMIT);
        for event in [Event::Alive, Event::Up, Event::StreamEnded, Event::Exit(3)] {
            assert_eq!(watch.heard(now, event), None);
        }
        let end = watch.heard(now, Event::StreamEnded);
        assert_eq!(end, Some(End::Verdict(Verdict::Exited(3))));
    }

    #[test]
    fn a_silent_kvm_is_given_up_within_seconds_and_a_silent_tcg_is_an_error() {
        let now = Instant::now();
        let mut kvm = Watch::new(Accelerator::Kvm, now, LIMIT);
        assert!(kvm.deadline() <= now + Duration::from_secs(5));
        assert_eq!(kvm.silent(), End::Unproven("its kernel says nothing".to_owned()));
        let mut tcg = Watch::new(Accelerator::Tcg, now, LIMIT);
        assert_eq!(tcg.silent(), died("its kernel says nothing"));
    }

    #[test]
    fn a_machine_that_stops_before_the_verdict_has_died() {
        let now = Instant::now();
        let mut watch = Watch::new(Accelerator::Kvm, now, LIMIT);
        watch.heard(now, Event::Alive);
        watch.heard(now, Event::Up);
        watch.heard(now, Event::Exit(0));
        assert_eq!(watch.heard(now, Event::Gone), Some(died("the machine stopped")));
    }

    #[test]
    fn a_panic_ends_a_session_at_once_even_if_the_machine_stays() {
        let now = Instant::now();
        let mut watch = Watch::new(Accelerator::Tcg, now, LIMIT);
        watch.heard(now, Event::Up);
        assert_eq!(watch.deadline(), now + LIMIT);
        assert_eq!(watch.heard(now, Event::Lost("panic".to_owned())), None);
        assert_eq!(watch.deadline(), now + LAST_WORDS);
        assert_eq!(watch.silent(), died("panic"));
    }

    #[test]
    fn a_command_that_does_not_end_times_out() {
        let now = Instant::now();
        let mut watch = Watch::new(Accelerator::Tcg, now, LIMIT);
        watch.heard(now, Event::Up);
        assert_eq!(watch.silent(), End::Verdict(Verdict::TimedOut));
    }

    #[test]
    fn the_callers_limit_holds_for_the_boot_as_well() {
        let now = Instant::now();
        let watch = Watch::new(Accelerator::Tcg, now, Duration::from_secs(2));
        assert_eq!(watch.deadline(), now + Duration::from_secs(2));
    }
}
