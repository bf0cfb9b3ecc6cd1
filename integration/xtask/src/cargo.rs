//! Runs cargo and finds what it builds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// The environment variable with the path of the program `trimtab`, for tests and the demo.
pub(crate) const PROGRAM_VARIABLE: &str = "TRIMTAB_BIN";

/// Prefixes of the variables that cargo sets for a package that it runs.
const OF_THIS_PACKAGE: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

/// A program that cargo built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Executable {
    /// The target's name, such as `trimtab`.
    pub(crate) name: String,
    /// The target's root file.
    pub(crate) source: PathBuf,
    /// The folder of its package's Cargo.toml.
    pub(crate) package: PathBuf,
    /// The program.
    pub(crate) path: PathBuf,
    /// Whether it is a harness for tests.
    pub(crate) is_test: bool,
}

/// Runs cargo with its output shown; true if it succeeds.
pub(crate) fn succeeds(arguments: &[&str]) -> Result<bool> {
    Ok(command(arguments).status().context("cannot start cargo")?.success())
}

/// Builds what `arguments` select and returns the programs among it.
pub(crate) fn build(arguments: &[&str]) -> Result<Vec<Executable>> {
    build_with(arguments, &[])
}

/// As [`build`], with variables in cargo's environment.
pub(crate) fn build_with(
    arguments: &[&str],
    variables: &[(String, OsString)],
) -> Result<Vec<Executable>> {
    let mut command = command(&["build", "--message-format=json-render-diagnostics"]);
    let output = command
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo build {} failed", arguments.join(" "));
    let messages = String::from_utf8(output.stdout).context("cargo's messages are not UTF-8")?;
    executables(&messages)
}

/// Cargo's build folder, wherever it is.
pub(crate) fn target_folder() -> Result<PathBuf> {
    // This program is target/PROFILE/xtask.
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let target = program.ancestors().nth(2).context("this program is not in a target folder")?;
    Ok(target.to_owned())
}

/// The path of the program `name` among `executables`.
pub(crate) fn program<'a>(executables: &'a [Executable], name: &str) -> Result<&'a Path> {
    executables
        .iter()
        .find(|executable| executable.name == name && !executable.is_test)
        .map(|executable| executable.path.as_path())
        .with_context(|| format!("cargo built no program `{name}`"))
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments);
    // Cargo's variables about this program's own package would differ from those of an ordinary
    // build, so that other packages' build scripts would all run again.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| OF_THIS_PACKAGE.iter().any(|o| name.starts_with(o))) {
            command.env_remove(name);
        }
    }
    command
}

/// Reads cargo's messages, one JSON object a line.
fn executables(messages: &str) -> Result<Vec<Executable>> {
    let mut executables = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("cargo printed no JSON")?;
        if message["reason"] != "compiler-artifact" || message["executable"].is_null() {
            continue;
        }
        let text = |value: &Value| -> Result<String> {
            Ok(value.as_str().with_context(|| format!("an artifact without {value}"))?.to_owned())
        };
        let manifest = PathBuf::from(text(&message["manifest_path"])?);
        executables.push(Executable {
            name: text(&message["target"]["name"])?,
            source: text(&message["target"]["src_path"])?.into(),
            package: manifest.parent().context("a manifest is in a folder")?.to_owned(),
            path: text(&message["executable"])?.into(),
            is_test: message["profile"]["test"] == true,
        });
    }
    Ok(executables)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a","src_path":"/w/a/src/lib.rs"},"profile":{"test":false},"executable":null}
{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a","src_path":"/w/a/src/main.rs"},"profile":{"test":true},"executable":"/t/a-1"}
{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a","src_path":"/w/a/src/main.rs"},"profile":{"test":false},"executable":"/t/a"}
{"reason":"build-finished","success":true}"#;

    #[test]
    fn a_program_and_its_tests_are_told_apart() {
        let executables = executables(MESSAGES).unwrap();
        assert_eq!(executables.len(), 2, "a library is no program");
        assert_eq!(program(&executables, "a").unwrap(), Path::new("/t/a"));
        assert_eq!(executables[0].package, Path::new("/w/a"));
        assert!(executables[0].is_test);
    }

    #[test]
    fn a_program_that_was_not_built_is_an_error() {
        assert!(program(&executables(MESSAGES).unwrap(), "b").is_err());
        assert!(executables("warning: text").is_err());
    }
}
