//! Running `iptables-save` and `iptables-restore`.

use std::ffi::OsString;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Output, Stdio};

use trimtab_core::Family;

use super::{Backend, RuleSet};
use crate::Error;
use crate::capability::Capability;

/// How long to wait for the lock that legacy iptables programs share.
const LOCK_SECONDS: u32 = 5;

/// The packet filter of one family, by way of its two programs.
#[derive(Clone, Debug)]
pub struct PacketFilter {
    save: OsString,
    restore: OsString,
}

impl PacketFilter {
    /// The system's default programs, `iptables-save` and so on.
    pub fn new(family: Family) -> Self {
        match family {
            Family::V4 => Self::with_programs("iptables-save", "iptables-restore"),
            Family::V6 => Self::with_programs("ip6tables-save", "ip6tables-restore"),
        }
    }

    /// The programs of a certain kind, such as `iptables-nft-save`, or those of [`PacketFilter::new`].
    pub fn of(backend: Option<Backend>, family: Family) -> Self {
        let Some(backend) = backend else { return Self::new(family) };
        let iptables = match family {
            Family::V4 => "iptables",
            Family::V6 => "ip6tables",
        };
        let program = |what: &str| format!("{iptables}-{backend}-{what}");
        Self::with_programs(program("save"), program("restore"))
    }

    /// Other programs, such as `iptables-legacy-save` and `iptables-legacy-restore`.
    pub fn with_programs(save: impl Into<OsString>, restore: impl Into<OsString>) -> Self {
        Self { save: save.into(), restore: restore.into() }
    }

    /// Updates our part of the packet filter if it differs: one run of `iptables-save` and at most
    /// one of `iptables-restore`. Returns whether anything was changed. The ipsets that the rules
    /// match must exist.
    ///
    /// # Errors
    /// [`Error::Program`], [`Error::ProgramFailed`], [`Error::Locked`]. Each table is changed as a
    /// whole or not at all.
    pub fn ensure(&self, rules: &RuleSet) -> Result<bool, Error> {
        self.ensure_beside(rules, &self.save()?)
    }

    /// As [`PacketFilter::ensure`], with what [`PacketFilter::save`] has just returned.
    ///
    /// # Errors
    /// As [`PacketFilter::ensure`].
    pub fn ensure_beside(&self, rules: &RuleSet, saved: &str) -> Result<bool, Error> {
        let input = rules.difference(saved);
        input.map_or(Ok(false), |input| self.restore(&input).map(|()| true))
    }

    /// Removes our part of the packet filter. Returns whether there was any.
    ///
    /// # Errors
    /// As [`PacketFilter::ensure`].
    pub fn remove(&self, rules: &RuleSet) -> Result<bool, Error> {
        let input = rules.removal(&self.save()?);
        input.map_or(Ok(false), |input| self.restore(&input).map(|()| true))
    }

    /// The existing rules, as text.
    ///
    /// # Errors
    /// [`Error::Program`], [`Error::ProgramFailed`].
    pub fn save(&self) -> Result<String, Error> {
        let output = Self::run(&self.save, &[], "")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Applies restore input; touches only what the input names.
    ///
    /// # Errors
    /// As [`PacketFilter::ensure`].
    pub fn restore(&self, input: &str) -> Result<(), Error> {
        let wait = LOCK_SECONDS.to_string();
        Self::run(&self.restore, &["-w", &wait, "--noflush"], input).map(|_| ())
    }

    fn run(program: &OsString, arguments: &[&str], input: &str) -> Result<Output, Error> {
        let name = || program.to_string_lossy().into();
        let failed = |source| Error::Program { program: name(), source };
        let mut child = Command::new(program)
            .args(arguments)
            // The messages are parsed for the lock and for line numbers.
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // These programs read their input before they print more than a pipe holds. One that ends
            // without reading says why below.
            match stdin.write_all(input.as_bytes()) {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(failed(error)),
                _ => {}
            }
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(output);
        }
        let message = String::from_utf8_lossy(&output.stderr);
        if message.contains("xtables lock") {
            return Err(Error::Locked { program: name(), seconds: LOCK_SECONDS });
        }
        if let Some(capability) = Capability::missing_for(&message) {
            let message = message.into();
            return Err(Error::ProgramCapability { program: name(), capability, message });
        }
        Err(Error::ProgramFailed {
            program: name(),
            status: output.status.to_string().into(),
            line: failing_line(&message, input).map(Into::into),
            message: message.into(),
        })
    }
}

/// The line of the input that a message names by number: `line 4: RULE_APPEND failed`, `Error
/// occurred at line: 4` or `line 4 failed`, as the variants put it.
fn failing_line<'a>(message: &str, input: &'a str) -> Option<&'a str> {
    message
        .match_indices("line")
        .filter_map(|(at, word)| {
            let rest = message[at + word.len()..].trim_start_matches([':', ' ']);
            let digits = rest.split(|char: char| !char.is_ascii_digit()).next()?;
            digits.parse::<usize>().ok()?.checked_sub(1)
        })
        .find_map(|index| input.lines().nth(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_a_message_names_is_found() {
        let input = "*nat\n:A - [0:0]\n-A A -j B\nCOMMIT\n";
        for message in [
            "iptables-restore v1.8.9 (nf_tables): \nline 3: RULE_APPEND failed (No such file)",
            "iptables-restore v1.8.9 (legacy): Set S doesn't exist.\n\nError occurred at line: 3\n",
            "iptables-restore: line 3 failed\n",
        ] {
            assert_eq!(failing_line(message, input), Some("-A A -j B"), "{message}");
        }
        assert_eq!(failing_line("no lines here", input), None);
        assert_eq!(failing_line("line 99 failed", input), None);
    }

    #[test]
    fn a_program_that_is_missing_is_named_with_the_remedy() {
        let filter = PacketFilter::with_programs("/no/such/iptables-save", "/no/such/restore");
        let error = filter.save().unwrap_err().to_string();
        assert!(error.contains("/no/such/iptables-save"), "{error}");
        assert!(error.contains("install the package iptables"), "{error}");
    }

    #[test]
    fn a_program_that_fails_or_finds_the_lock_taken_is_told_apart() {
        let script = |text: &str| {
            let directory = std::env::temp_dir();
            let path =
                directory.join(format!("trimtab-host-{}-{}", std::process::id(), text.len()));
            std::fs::write(&path, format!("#!/bin/sh\n{text}\nexit 4\n")).unwrap();
            let mut permissions = std::fs::metadata(&path).unwrap().permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
            std::fs::set_permissions(&path, permissions).unwrap();
            path
        };
        let locked = script("echo 'Another app is currently holding the xtables lock' >&2");
        let filter = PacketFilter::with_programs("true", &locked);
        assert!(matches!(filter.restore("*nat\nCOMMIT\n"), Err(Error::Locked { seconds: 5, .. })));
        let broken = script("echo 'line 1 failed' >&2");
        let filter = PacketFilter::with_programs("true", &broken);
        let error = filter.restore("*nat\nCOMMIT\n").unwrap_err().to_string();
        assert!(error.contains("\"*nat\"") && error.contains("exit status: 4"), "{error}");
        for path in [locked, broken] {
            std::fs::remove_file(path).unwrap();
        }
    }
}
