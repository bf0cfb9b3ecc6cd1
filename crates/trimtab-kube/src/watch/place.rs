//! How far a kind of objects is known, and what is requested next. Pure: no requests, no clock.

use super::encoding::Accepted;
use super::ended::Ended;
use crate::failure::Failure;

/// Attempts of a stream that break before the state is complete, after which a list is requested.
const BROKEN_STREAMS: u32 = 3;
/// Refusals of a revision as unknown, after which another state is accepted: the API server's data
/// was replaced by a backup.
const UNKNOWN_REVISIONS: u32 = 3;

/// How far a kind is known.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The newest revision up to which everything was known once.
    revision: Option<String>,
    /// Whether everything is known up to there, so that a watch can continue.
    is_listed: bool,
    /// Whether the next state is requested as a list, not as a stream.
    by_list: bool,
    broken_streams: u32,
    unknown_revisions: u32,
    accepted: Accepted,
}

/// The next request. All of them are answered from the API server's watch cache, never from etcd:
/// any state will do at the start (resource version 0), and later any that is not older than what
/// was known ("Resource versions" in the Kubernetes API concepts).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A watch that begins with the state (`sendInitialEvents`).
    Stream {
        /// The oldest revision that will do.
        not_before: &'a str,
    },
    /// A list.
    List {
        /// The oldest revision that will do.
        not_before: &'a str,
    },
    /// A watch of the changes after a revision.
    Watch {
        /// The revision.
        after: &'a str,
    },
}

/// What to do after a request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Nobody wants changes any more.
    Stop,
    /// The next request at once.
    Continue,
    /// The next request after a pause: this happens, and is no failure of the API server.
    Pause,
    /// The next request after a pause, and the failure is reported.
    Fail,
}

impl Place {
    /// The next request.
    pub(super) fn next(&self) -> Step<'_> {
        let not_before = self.revision.as_deref().unwrap_or("0");
        match (self.is_listed, self.by_list) {
            (true, _) => Step::Watch { after: not_before },
            (false, false) => Step::Stream { not_before },
            (false, true) => Step::List { not_before },
        }
    }

    /// Whether everything is known up to a revision.
    pub(super) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// In which encodings the next answer may come.
    pub(super) fn accepted(&self) -> Accepted {
        self.accepted
    }

    /// The state is complete, at this revision.
    pub(super) fn listed(&mut self, revision: String) {
        let accepted = self.accepted;
        *self = Self { revision: Some(revision), is_listed: true, accepted, ..Self::default() };
    }

    /// A watch has come to this revision.
    pub(super) fn reached(&mut self, revision: String) {
        self.revision = Some(revision);
    }

    /// Reacts to the end of a request. `has_lived`: a watch that had worked for a while.
    pub(super) fn react(&mut self, ended: &Ended, has_lived: bool) -> Reaction {
        if matches!(ended, Ended::Failed(Failure::Unreadable(_))) && self.accepted == Accepted::Both
        {
            // Perhaps something between here and the API server only knows JSON.
            self.accepted = Accepted::Json;
            self.is_listed = false;
            return Reaction::Fail;
        }
        match ended {
            Ended::NotWanted => Reaction::Stop,
            _ if self.is_listed => self.react_to_watch(ended, has_lived),
            _ if self.by_list => self.react_to_list(ended),
            _ => self.react_to_stream(ended),
        }
    }

    fn react_to_watch(&mut self, ended: &Ended, has_lived: bool) -> Reaction {
        match ended {
            Ended::Over if has_lived => Reaction::Continue,
            // As an API server that restarts does.
            Ended::Cut if has_lived => Reaction::Pause,
            Ended::Failed(failure) if !is_resumable(failure) => {
                self.is_listed = false;
                if failure.is_expired() { Reaction::Pause } else { Reaction::Fail }
            }
            _ => Reaction::Fail,
        }
    }

    fn react_to_list(&mut self, ended: &Ended) -> Reaction {
        self.count_unknown_revisions(ended);
        match ended {
            // A page has expired.
            Ended::Failed(failure) if failure.is_expired() => Reaction::Pause,
            _ => Reaction::Fail,
        }
    }

    fn react_to_stream(&mut self, ended: &Ended) -> Reaction {
        self.count_unknown_revisions(ended);
        match ended {
            // Servers before Kubernetes 1.27, and those that ignore the parameter or have the
            // feature disabled.
            Ended::Failed(Failure::Refused { code: 400 | 422, .. }) | Ended::Unmarked => {
                self.by_list = true;
                Reaction::Continue
            }
            // The server may be busy or starting.
            Ended::Failed(Failure::Refused { .. } | Failure::Unreachable(_)) => Reaction::Fail,
            Ended::Cut => {
                self.broken_streams += 1;
                self.by_list = self.broken_streams >= BROKEN_STREAMS;
                Reaction::Fail
            }
            // It may be the stream that does not work, for example through a proxy that collects
            // whole answers.
            _ => {
                self.by_list = true;
                Reaction::Fail
            }
        }
    }

    fn count_unknown_revisions(&mut self, ended: &Ended) {
        // "Too large resource version" is a 504: a server whose cache is behind, or with other data.
        if matches!(ended, Ended::Failed(Failure::Refused { code: 410 | 504, .. })) {
            self.unknown_revisions += 1;
            if self.unknown_revisions >= UNKNOWN_REVISIONS {
                self.unknown_revisions = 0;
                self.revision = None;
            }
        }
    }
}

/// Whether a watch can continue from its revision after this failure; otherwise the state is needed
/// again.
fn is_resumable(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable(_) | Failure::Silent(_) | Failure::Brief => true,
        Failure::Refused { code, .. } => matches!(code, 401 | 403 | 408 | 429 | 500..),
        Failure::Unreadable(_) | Failure::TooLong(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refused(code: u16) -> Ended {
        Ended::Failed(Failure::Refused { code, message: String::new(), retry_after: None })
    }

    fn listed(revision: &str) -> Place {
        let mut place = Place::default();
        place.listed(revision.to_owned());
        place
    }

    #[test]
    fn the_state_comes_as_a_stream_and_changes_continue_from_it() {
        let mut place = Place::default();
        assert_eq!(place.next(), Step::Stream { not_before: "0" });
        place.listed("7".to_owned());
        assert_eq!(place.next(), Step::Watch { after: "7" });
        place.reached("9".to_owned());
        assert_eq!(place.react(&Ended::Over, true), Reaction::Continue);
        assert_eq!(place.next(), Step::Watch { after: "9" });
    }

    #[test]
    fn servers_that_do_not_stream_the_state_are_asked_for_a_list_at_once() {
        for ended in [refused(400), refused(422), Ended::Unmarked] {
            let mut place = Place::default();
            assert_eq!(place.react(&ended, false), Reaction::Continue, "{ended:?}");
            assert_eq!(place.next(), Step::List { not_before: "0" }, "{ended:?}");
        }
    }

    #[test]
    fn a_server_that_is_busy_is_asked_for_the_same_again() {
        for code in [401, 403, 429, 500, 503] {
            let mut place = Place::default();
            assert_eq!(place.react(&refused(code), false), Reaction::Fail, "{code}");
            assert_eq!(place.next(), Step::Stream { not_before: "0" }, "{code}");
        }
    }

    #[test]
    fn a_stream_that_never_gets_to_its_end_is_given_up() {
        for (ended, attempts) in [
            (Ended::Cut, BROKEN_STREAMS),
            (Ended::Over, 1),
            (Ended::Failed(Failure::Silent(Duration::ZERO)), 1),
            (Ended::Failed(Failure::TooLong(1)), 1),
        ] {
            let mut place = Place::default();
            for _ in 0..attempts {
                assert_eq!(place.next(), Step::Stream { not_before: "0" }, "{ended:?}");
                assert_eq!(place.react(&ended, false), Reaction::Fail, "{ended:?}");
            }
            assert_eq!(place.next(), Step::List { not_before: "0" }, "{ended:?}");
            // The next time, a stream is tried again.
            place.listed("7".to_owned());
            place.react(&refused(410), true);
            assert_eq!(place.next(), Step::Stream { not_before: "7" }, "{ended:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_asked_for_in_json_from_then_on() {
        let mut place = Place::default();
        assert_eq!(place.accepted(), Accepted::Both);
        place.react(&refused(500), false);
        assert_eq!(place.accepted(), Accepted::Both);
        let unreadable = Ended::Failed(Failure::Unreadable(String::new()));
        assert_eq!(place.react(&unreadable, false), Reaction::Fail);
        assert_eq!(place.accepted(), Accepted::Json);
        assert_eq!(place.next(), Step::Stream { not_before: "0" });
        // JSON cannot be read either.
        assert_eq!(place.react(&unreadable, false), Reaction::Fail);
        assert_eq!(place.next(), Step::List { not_before: "0" });
        place.listed("7".to_owned());
        assert_eq!(place.accepted(), Accepted::Json);
    }

    #[test]
    fn a_watch_resumes_from_its_revision_unless_that_has_expired() {
        for (ended, reaction) in [
            (Ended::Cut, Reaction::Fail),
            (Ended::Over, Reaction::Fail),
            (refused(429), Reaction::Fail),
            (refused(504), Reaction::Fail),
        ] {
            let mut place = listed("7");
            assert_eq!(place.react(&ended, false), reaction, "{ended:?}");
            assert_eq!(place.next(), Step::Watch { after: "7" }, "{ended:?}");
        }
        let mut place = listed("7");
        assert_eq!(place.react(&Ended::Cut, true), Reaction::Pause);
        assert_eq!(place.next(), Step::Watch { after: "7" });
        assert_eq!(place.react(&refused(410), true), Reaction::Pause);
        assert_eq!(place.next(), Step::Stream { not_before: "7" });
    }

    #[test]
    fn a_state_is_never_older_than_what_was_known_unless_the_server_has_lost_it() {
        let mut place = listed("7");
        place.react(&refused(410), true);
        for _ in 1..UNKNOWN_REVISIONS {
            place.react(&refused(504), false);
            assert_eq!(place.next(), Step::Stream { not_before: "7" });
        }
        place.react(&refused(504), false);
        assert_eq!(place.next(), Step::Stream { not_before: "0" });
    }
}
