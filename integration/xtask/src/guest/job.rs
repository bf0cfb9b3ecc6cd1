//! A command with its surroundings, and the shell script that restores them elsewhere.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where an unprivileged user's PATH may not lead, and where the programs of root are.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// What belongs to a shell itself, or to the choice of this guest.
const LEFT_BEHIND: [&str; 5] = ["_", "SHLVL", "PWD", "OLDPWD", super::prefix::VARIABLE];

/// A command, its environment and the directory it starts in.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(super) command: Vec<OsString>,
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) directory: PathBuf,
}

impl Job {
    /// `command` with this process's environment and directory, and root's programs in its PATH.
    pub(crate) fn here(command: Vec<OsString>) -> Result<Self> {
        let mut environment: BTreeMap<_, _> = std::env::vars_os()
            .filter(|(name, _)| !LEFT_BEHIND.iter().any(|l| l == name))
            .collect();
        let mut path = environment.remove(OsStr::new("PATH")).unwrap_or_else(|| "/usr/bin".into());
        path.push(":");
        path.push(SYSTEM_PATH);
        environment.insert("PATH".into(), path);
        let directory = std::env::current_dir().context("cannot tell the current directory")?;
        Ok(Self { command, environment, directory })
    }

    /// Sets a variable for the command.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// A script for `/bin/sh` that restores the environment and then executes the command.
    ///
    /// Variables whose names are not valid in a shell are left out.
    pub(super) fn script(&self) -> Result<Vec<u8>> {
        let mut script = Vec::new();
        for (name, value) in &self.environment {
            if is_shell_name(name.as_bytes()) {
                script.extend_from_slice(b"export ");
                script.extend_from_slice(name.as_bytes());
                script.push(b'=');
                script.extend_from_slice(&quoted(value)?);
                script.push(b'\n');
            }
        }
        script.extend_from_slice(b"cd ");
        script.extend_from_slice(&quoted(self.directory.as_os_str())?);
        script.extend_from_slice(b" && exec");
        for word in &self.command {
            script.push(b' ');
            script.extend_from_slice(&quoted(word)?);
        }
        script.push(b'\n');
        Ok(script)
    }
}

fn quoted(word: &OsStr) -> Result<Vec<u8>> {
    let quoted = shlex::bytes::try_quote(word.as_bytes())
        .with_context(|| format!("cannot hand {} to a shell", word.display()))?;
    Ok(quoted.into_owned())
}

fn is_shell_name(name: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    name.first().is_some_and(is_letter)
        && name.iter().all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_gives_the_command_exactly_what_was_given() {
        let odd = "it's $HOME \"and\" `more`\n\\ é *";
        let job = Job {
            command: ["sh", "-c", "printf '%s|%s|%s' \"$ODD\" \"$1\" \"$PWD\"", "sh", odd]
                .map(OsString::from)
                .to_vec(),
            environment: [("ODD".into(), odd.into()), ("not a name".into(), "x".into())].into(),
            directory: "/usr".into(),
        };
        let shell = Command::new("/bin/sh")
            .arg("-c")
            .arg(OsStr::from_bytes(&job.script().unwrap()))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&shell.stdout), format!("{odd}|{odd}|/usr"));
    }

    #[test]
    fn a_word_that_no_shell_can_hold_is_refused() {
        let job = Job {
            command: vec!["a\0b".into()],
            environment: BTreeMap::new(),
            directory: "/".into(),
        };
        assert!(job.script().is_err());
    }
}
