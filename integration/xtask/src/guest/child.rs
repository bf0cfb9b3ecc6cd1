//! A process with a time limit.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::{Output, Verdict};

/// Runs `command`; at `limit` it is killed with all that it started.
pub(super) fn run(
    mut command: Command,
    limit: Duration,
    mut output: Output<'_>,
) -> Result<Verdict> {
    command.stdin(output.stdin()).stdout(output.stdout());
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let pid = Pid::from_child(&child);
    let stdout = child.stdout.take();
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        scope.spawn(move || sender.send(child.wait()));
        let copy = scope.spawn(move || match stdout {
            Some(stdout) => copy_live(stdout, &mut output),
            None => Ok(()),
        });
        let verdict = if let Ok(status) = receiver.recv_timeout(limit) {
            verdict(status.context("cannot wait for the guest")?)
        } else {
            kill_tree(pid);
            Verdict::TimedOut
        };
        copy.join().expect("copying does not panic").context("cannot pass output on")?;
        Ok(verdict)
    })
}

fn verdict(status: ExitStatus) -> Verdict {
    match (status.code().and_then(|code| u8::try_from(code).ok()), status.signal()) {
        (Some(code), _) => Verdict::Exited(code),
        (None, signal) => Verdict::Died(format!("its runner was ended by signal {signal:?}")),
    }
}

/// Copies data as it arrives; `io::copy` would delay data that does not fill its buffer.
pub(super) fn copy_live(mut from: impl Read, to: &mut impl io::Write) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                to.write_all(&buffer[..length])?;
                to.flush()?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Kills `pid` and its descendants: a runner that is killed alone would leave its guest behind.
fn kill_tree(pid: Pid) {
    let children = format!("/proc/{pid}/task/{pid}/children");
    // A process that has already ended has no children.
    let children = std::fs::read_to_string(children).unwrap_or_default();
    // The parent first: one that sees its child die might start another.
    let _ = kill_process(pid, Signal::KILL);
    children
        .split_whitespace()
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .for_each(kill_tree);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_status_and_the_output_of_a_command_pass_through() {
        let mut out = Vec::new();
        let verdict =
            run(shell("echo one; exit 7"), Duration::from_secs(60), Output::To(&mut out)).unwrap();
        assert_eq!((verdict, out.as_slice()), (Verdict::Exited(7), b"one\n".as_slice()));
    }

    #[test]
    fn at_the_limit_grandchildren_end_too() {
        let mut out = Vec::new();
        // A surviving grandchild would hold the pipe open, and its output would appear at the end.
        let command = shell("echo early; (sh -c 'sleep 60; echo late'; true); true");
        let verdict = run(command, Duration::from_millis(500), Output::To(&mut out)).unwrap();
        assert_eq!((verdict, out.as_slice()), (Verdict::TimedOut, b"early\n".as_slice()));
    }
}
