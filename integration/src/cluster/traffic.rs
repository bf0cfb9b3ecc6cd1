//! Who answers at a VIP, and waiting until that is so.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use trimtab_core::Protocol;

use super::eventually;
use crate::topology::{Answer, Host, Unanswered};

/// The number of requests: enough for every real server of a small Service to have its turn.
const TURNS: usize = 6;
/// [`soon`] on an idle machine.
const SOON: Duration = Duration::from_millis(300);
/// The maximum of [`soon`].
const LATE: Duration = Duration::from_secs(5);
/// For refusals, which take up to a second: TCP reacts to an ICMP error only at its second attempt.
const REFUSAL: Duration = Duration::from_secs(3);

/// How long to wait for answers that must not arrive: they would arrive within a thirtieth of this.
/// On a slow or busy machine it is longer, because it is derived from the time that an answer takes
/// there at that moment.
///
/// # Panics
/// If there is no loopback device.
pub fn soon() -> Duration {
    (0..3).map(|_| answer_time() * 30).max().unwrap_or(SOON).clamp(SOON, LATE)
}

/// For refusals; as [`soon`], it depends on the machine.
pub fn refusal() -> Duration {
    REFUSAL + soon()
}

/// The time of a request and its answer, with a new thread at either end.
fn answer_time() -> Duration {
    let started = Instant::now();
    let ask = || -> std::io::Result<()> {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let to = server.local_addr()?;
        thread::scope(|scope| {
            let answer = scope.spawn(move || server.accept()?.0.write_all(b"!"));
            TcpStream::connect(to)?.read_exact(&mut [0])?;
            answer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    };
    ask().unwrap_or_else(|error| panic!("asking on the loopback device: {error}"));
    started.elapsed()
}

/// Names of hosts.
pub type Names = BTreeSet<String>;

/// Names as they are compared with [`answers`].
pub fn names<const COUNT: usize>(all: [&str; COUNT]) -> Names {
    all.iter().map(|name| (*name).to_owned()).collect()
}

/// Asks several times, each on a connection of its own, and returns who answered.
///
/// # Errors
/// When something other than an answer arrived.
pub fn answers(from: &Host, protocol: Protocol, to: SocketAddr) -> Result<Names, Unanswered> {
    (0..TURNS).map(|_| Ok(from.ask(protocol, to)?.name)).collect()
}

/// Who asks, how, and where.
pub type Question<'a> = (&'a Host, Protocol, SocketAddr);

/// Sends all requests at once, so that it waits for missing answers only once.
pub fn ask_all(questions: &[Question<'_>], timeout: Duration) -> Vec<Result<Answer, Unanswered>> {
    let ask = |(from, protocol, to): Question<'_>| from.ask_within(protocol, to, timeout);
    thread::scope(|scope| {
        let asked: Vec<_> =
            questions.iter().map(|question| scope.spawn(move || ask(*question))).collect();
        let answer = |asked: thread::ScopedJoinHandle<'_, _>| match asked.join() {
            Ok(answer) => answer,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        asked.into_iter().map(answer).collect()
    })
}

/// Waits until all of these answer, and nobody else.
///
/// # Errors
/// When that is not so within five minutes, with what was had last.
pub fn until_answered_by(
    from: &Host,
    protocol: Protocol,
    to: SocketAddr,
    wanted: &Names,
) -> anyhow::Result<()> {
    let mut last = None;
    eventually(format!("{wanted:?} behind {protocol} {to} from {}", from.name()), || {
        let patience = soon();
        let attempts = (0..TURNS).map(|_| Ok(from.ask_within(protocol, to, patience)?.name));
        let found: Result<Names, Unanswered> = attempts.collect();
        let right = found.as_ref() == Ok(wanted);
        last = Some(found);
        Ok(right.then_some(()))
    })
    .with_context(|| format!("the last was {last:?}"))
}

/// Waits until a connection is not answered, in this way. SCTP is never refused by a virtual server
/// without real servers: an ICMP error is no more than a hint to it.
///
/// # Errors
/// When that is not so within five minutes.
pub fn until_unanswered(
    from: &Host,
    protocol: Protocol,
    to: SocketAddr,
    how: &Unanswered,
) -> anyhow::Result<()> {
    eventually(format!("{how} at {protocol} {to} from {}", from.name()), || {
        let patience = if *how == Unanswered::TimedOut { soon() } else { refusal() };
        let answer = from.ask_within(protocol, to, patience);
        Ok((answer.as_ref() == Err(how)).then_some(()))
    })
}
