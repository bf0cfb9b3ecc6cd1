//! What the kernel says on its console.

use std::collections::VecDeque;

/// How many lines explain the end of a guest.
const TAIL: usize = 30;

/// Lines that mean that the kernel has failed. All but the last are followed by a panic anyway, but
/// the kernel that finds its processor stuck may not get that far.
const FATAL: [&str; 3] = ["BUG: soft lockup", "BUG: hard lockup", "Kernel panic - not syncing"];

/// What a piece of console output means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A kernel runs.
    Life,
    /// The kernel is lost, for this reason.
    Death(String),
}

/// Reads a console as it comes.
#[derive(Default)]
pub(super) struct Console {
    line: Vec<u8>,
    tail: VecDeque<String>,
}

impl Console {
    /// Takes a piece and reports what it shows, in order.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Vec<Sign> {
        let mut signs = Vec::new();
        for &byte in piece {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
            self.line.clear();
            // The first line of every kernel; firmware and boot loader speak before it.
            if line.contains("Linux version ") {
                signs.push(Sign::Life);
            }
            if let Some(at) = FATAL.iter().find_map(|fatal| line.find(fatal)) {
                signs.push(Sign::Death(line[at..].to_owned()));
            }
            if self.tail.len() == TAIL {
                self.tail.pop_front();
            }
            self.tail.push_back(line);
        }
        signs
    }

    /// The last lines, the unfinished one included.
    pub(super) fn tail(&self) -> impl Iterator<Item = String> {
        let unfinished = String::from_utf8_lossy(&self.line).trim_end().to_owned();
        let unfinished = (!unfinished.is_empty()).then_some(unfinished);
        self.tail.iter().cloned().chain(unfinished)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_loader_is_no_sign_of_life_and_a_kernel_is() {
        let mut console = Console::default();
        assert!(console.feed(b"Probing EDD (edd=off to disable)... ok\r\n").is_empty());
        assert!(console.feed(b"[    0.000000] Linux ver").is_empty());
        assert_eq!(console.feed(b"sion 6.1.0\r\n"), [Sign::Life]);
    }

    #[test]
    fn a_panic_is_told_without_its_time() {
        let mut console = Console::default();
        let signs =
            console.feed(b"[    1.5] Kernel panic - not syncing: Attempted to kill init!\r\n");
        let reason = "Kernel panic - not syncing: Attempted to kill init!";
        assert_eq!(signs, [Sign::Death(reason.to_owned())]);
        let lockup = console.feed(b"watchdog: BUG: soft lockup - CPU#0 stuck for 63s!\n");
        assert!(matches!(&lockup[..], [Sign::Death(reason)] if reason.starts_with("BUG: soft")));
    }

    #[test]
    fn the_tail_has_the_last_lines_only() {
        let mut console = Console::default();
        for n in 0..100 {
            console.feed(format!("line {n}\n").as_bytes());
        }
        console.feed(b"unfinished");
        let tail: Vec<_> = console.tail().collect();
        assert_eq!(
            (tail.len(), tail[0].as_str(), tail[30].as_str()),
            (31, "line 70", "unfinished")
        );
    }
}
