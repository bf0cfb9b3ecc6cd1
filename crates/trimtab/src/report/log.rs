//! The daemon's log.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::Text;

/// The unit in `deploy/systemd`.
const UNIT: &str = "trimtab.service";
const LINES: &str = "5000";

/// The last lines in the journal of systemd.
pub(crate) fn of_journal(room: usize) -> anyhow::Result<Text> {
    let pod = "; in a pod, add the output of `kubectl logs`, or give a file with --log";
    let output = Command::new("journalctl")
        .args(["--unit", UNIT, "--lines", LINES, "--no-pager", "--output", "short-iso", "--quiet"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("journalctl cannot be run{pod}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "journalctl: {}{pod}", said.trim());
    anyhow::ensure!(!output.stdout.is_empty(), "the journal has nothing of {UNIT}{pod}");
    let mut text = Text::new(room);
    text.push_str(&String::from_utf8_lossy(&output.stdout));
    Ok(text)
}

/// The end of a file.
pub(crate) fn of_file(path: &Path, room: usize) -> anyhow::Result<Text> {
    let read = || {
        let mut file = File::open(path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(length.saturating_sub(room as u64)))?;
        let mut bytes = Vec::new();
        file.take(room as u64).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    let bytes = read().with_context(|| format!("cannot read {}", path.display()))?;
    let mut text = Text::new(room);
    text.push_str(&String::from_utf8_lossy(&bytes));
    Ok(text)
}
