//! A guest run by an external command: a command prefix in the environment.
//!
//! The prefix is split as a shell would, and the command is appended. A prefix that ends in `--`
//! understands the options of `cargo xtask guest`: those given are inserted before the `--`.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::child;
use super::{Job, Options, Output, Verdict};

/// The environment variable that holds the prefix.
pub(super) const VARIABLE: &str = "TRIMTAB_GUEST";

/// The runner has a time limit of its own; it gets this much longer to enforce it.
const GRACE: Duration = Duration::from_secs(15);

/// The words of the prefix; `None` where the variable is unset or empty.
pub(super) fn from_environment() -> Result<Option<Vec<OsString>>> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(None) };
    let text = text.into_string().ok().with_context(|| format!("{VARIABLE} is not UTF-8"))?;
    let words = shlex::split(&text).with_context(|| format!("{VARIABLE} has an open quote"))?;
    Ok((!words.is_empty()).then(|| words.into_iter().map(OsString::from).collect()))
}

pub(super) fn run(
    prefix: Vec<OsString>,
    options: &Options,
    job: &Job,
    output: Output<'_>,
) -> Result<Verdict> {
    let words = words(prefix, options, &job.command)?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(&job.directory).env_clear().envs(&job.environment);
    eprintln!("guest: run by {VARIABLE}");
    child::run(command, options.limit() + GRACE, output)
}

/// The whole command line.
fn words(
    mut prefix: Vec<OsString>,
    options: &Options,
    command: &[OsString],
) -> Result<Vec<OsString>> {
    let given = [
        ("--mem", options.mem.as_ref().map(OsString::from)),
        ("--cpus", options.cpus.map(|cpus| cpus.to_string().into())),
        ("--out", options.out.as_ref().map(OsString::from)),
    ];
    if prefix.last().is_some_and(|word| word == "--") {
        prefix.pop();
        prefix.extend(["--timeout".into(), options.limit().as_secs().to_string().into()]);
        for (name, value) in given {
            prefix.extend(value.into_iter().flat_map(|value| [name.into(), value]));
        }
        prefix.push("--".into());
    } else if let Some((name, _)) = given.iter().find(|(_, value)| value.is_some()) {
        bail!("{VARIABLE} does not end in `--`, so {name} cannot be handed to it");
    }
    prefix.extend_from_slice(command);
    Ok(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::Kind;

    fn options(out: Option<&str>) -> Options {
        Options {
            kernel: Kind::Auto,
            mem: None,
            cpus: Some(2),
            timeout: Some(60),
            out: out.map(Into::into),
        }
    }

    fn words_of(prefix: &[&str], options: &Options) -> Result<Vec<OsString>> {
        words(prefix.iter().map(OsString::from).collect(), options, &["true".into()])
    }

    #[test]
    fn options_go_before_the_dashes_that_end_a_prefix() {
        let words = words_of(&["run", "--mem", "1G", "--"], &options(Some("/o"))).unwrap();
        let expected =
            ["run", "--mem", "1G", "--timeout", "60", "--cpus", "2", "--out", "/o", "--", "true"];
        assert_eq!(words, expected);
    }

    #[test]
    fn a_prefix_without_dashes_is_left_as_it_is_or_refused() {
        let plain = Options { cpus: None, ..options(None) };
        assert_eq!(words_of(&["ssh", "vm"], &plain).unwrap(), ["ssh", "vm", "true"]);
        let error = words_of(&["ssh", "vm"], &options(Some("/o"))).unwrap_err();
        assert!(error.to_string().contains("--cpus"), "{error}");
    }
}
