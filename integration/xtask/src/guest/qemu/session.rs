//! One run of a machine: starts it, listens to all its lines, ends it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::channels::{self, UntilEnd};
use super::console::{Console, Sign};
use super::machine::Machine;
use super::watch::{End, Event, Watch};
use crate::guest::child::copy_live;
use crate::guest::{Output, Verdict};

/// Held while a machine is started: every program that is started then inherits the machine's ends
/// of its lines, and would keep them open after the machine.
static STARTING: Mutex<()> = Mutex::new(());

/// A machine to be run, and what to tell about it.
pub(super) struct Session<'a> {
    pub(super) machine: Machine<'a>,
    pub(super) version: &'a str,
    pub(super) limit: Duration,
    /// Takes the kernel's console and QEMU's complaints.
    pub(super) log: &'a Path,
}

impl Session<'_> {
    /// Runs the machine to its end.
    pub(super) fn run(&self, output: &mut Output<'_>) -> Result<End> {
        let mut log = File::create(self.log).context("cannot make the console's log")?;
        let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let (lines, far_ends) = channels::open()?;
        let started = Instant::now();
        let mut machine = self
            .machine
            .command(&far_ends.borrow())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.try_clone().context("cannot share the console's log")?)
            .spawn()
            .context("cannot start QEMU")?;
        drop((far_ends, starting));
        let stdin = matches!(output, Output::Inherit).then_some(lines.stdin);
        let (events, heard) = channel();
        let events = &events;
        let mut console = Console::default();
        let end = thread::scope(|scope| {
            let (console, log) = (&mut console, &mut log);
            scope.spawn(move || read_console(lines.console, console, log, events));
            scope.spawn(move || read_stream(lines.stdout, output, events));
            scope.spawn(move || read_stream(lines.stderr, &mut std::io::stderr(), events));
            scope.spawn(move || read_verdict(lines.verdict, events));
            let end = self.follow(&heard, started, stdin);
            // The threads end with their lines, which end with the machine.
            stop(&mut machine);
            end
        });
        Ok(match end {
            End::Verdict(Verdict::Died(reason)) => {
                eprintln!("guest: the last lines of its console:");
                console.tail().for_each(|line| eprintln!("    {line}"));
                End::Verdict(Verdict::Died(reason + &complaint(self.log)))
            }
            End::Unproven(reason) => End::Unproven(reason + &complaint(self.log)),
            end @ End::Verdict(_) => end,
        })
    }

    fn follow(
        &self,
        events: &Receiver<Event>,
        started: Instant,
        mut stdin: Option<UnixStream>,
    ) -> End {
        let mut watch = Watch::new(self.machine.accelerator, started, self.limit);
        loop {
            let left = watch.deadline().saturating_duration_since(Instant::now());
            let end = match events.recv_timeout(left) {
                Ok(event) => {
                    if event == Event::Up {
                        self.announce(started.elapsed());
                        if let Some(line) = stdin.take() {
                            forward_stdin(line);
                        }
                    }
                    watch.heard(Instant::now(), event)
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    Some(watch.silent())
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    fn announce(&self, after: Duration) {
        let (version, accelerator) = (self.version, self.machine.accelerator);
        let seconds = after.as_secs_f32();
        eprintln!("guest: Linux {version} on QEMU with {accelerator}, up in {seconds:.1} s");
    }
}

/// Kills the machine; there is nothing in it to be saved.
fn stop(machine: &mut Child) {
    // It may have ended by itself, and then there is nothing left to do.
    let _ = machine.kill();
    let _ = machine.wait();
}

fn read_console(
    mut line: UnixStream,
    console: &mut Console,
    log: &mut File,
    events: &Sender<Event>,
) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = line.read(&mut buffer) {
        let piece = &buffer[..length];
        // A full disk is no reason to miss a panic.
        let _ = log.write_all(piece);
        for sign in console.feed(piece) {
            let _ = events.send(match sign {
                Sign::Life => Event::Alive,
                Sign::Death(reason) => Event::Lost(reason),
            });
        }
    }
    let _ = events.send(Event::Gone);
}

/// Copies our input until either side ends; the guest sees the end when the line is dropped.
/// Nobody waits for this thread: a terminal may keep it for ever.
fn forward_stdin(mut line: UnixStream) {
    thread::spawn(move || copy_live(std::io::stdin(), &mut line));
}

fn read_stream(mut line: UnixStream, to: &mut impl Write, events: &Sender<Event>) {
    let mut until = UntilEnd::default();
    let (mut buffer, mut through) = ([0; 16 * 1024], Vec::new());
    while let Ok(length @ 1..) = line.read(&mut buffer) {
        through.clear();
        let ended = until.feed(&buffer[..length], &mut through);
        if to.write_all(&through).and_then(|()| to.flush()).is_err() {
            let _ = events.send(Event::Lost("nobody reads the command's output".to_owned()));
        }
        if ended {
            let _ = events.send(Event::StreamEnded);
        }
    }
}

fn read_verdict(line: UnixStream, events: &Sender<Event>) {
    for text in BufReader::new(line).lines().map_while(Result::ok) {
        let event = verdict_line(&text)
            .unwrap_or_else(|| Event::Lost(format!("its first process says `{text}`")));
        let _ = events.send(event);
    }
}

fn verdict_line(text: &str) -> Option<Event> {
    match text.split_once(' ') {
        None if text == "up" => Some(Event::Up),
        Some(("exit", status)) => Some(Event::Exit(status.parse().ok()?)),
        _ => None,
    }
}

/// What QEMU itself said first, which is in the log among the console's lines.
fn complaint(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix("qemu-system-x86_64: "));
    line.map(|line| format!(" ({line})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_well_formed_line_is_a_verdict() {
        assert_eq!(verdict_line("up"), Some(Event::Up));
        assert_eq!(verdict_line("exit 101"), Some(Event::Exit(101)));
        for text in ["", "exit", "exit 256", "exit -1", "exit 0 0", "UP", "up exit 0"] {
            assert_eq!(verdict_line(text), None, "{text}");
        }
    }
}
