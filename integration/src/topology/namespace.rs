//! A network namespace, and how to do something inside.
//!
//! Entering takes a thread, not a process: processes are expensive on emulated machines. A thread's
//! children and sockets are in its namespace, and so are the settings it sees in /proc/sys/net;
//! only /sys stays that of the process.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::{panic, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::Error;

/// A named network namespace, as `ip netns` makes them.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: Arc<str>,
    /// The mount in /run/netns.
    handle: Arc<File>,
}

impl Namespace {
    /// A namespace that exists.
    ///
    /// # Errors
    ///
    /// If there is none of this name.
    pub fn open(name: &str) -> Result<Self, Error> {
        let handle = File::open(format!("/run/netns/{name}"))
            .map_err(|source| Error::Enter { namespace: name.to_owned(), source })?;
        Ok(Self { name: name.into(), handle: Arc::new(handle) })
    }

    /// As `ip netns list` has it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread inside; sockets created there stay in the namespace. Panics if
    /// `work` does.
    ///
    /// # Errors
    ///
    /// If the namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        let inside = || self.enter().map(|()| work());
        thread::scope(|scope| scope.spawn(inside).join())
            .unwrap_or_else(|payload| panic::resume_unwind(payload))
    }

    /// Moves the calling thread in, for good.
    pub(super) fn enter(&self) -> Result<(), Error> {
        move_into_link_name_space(self.handle.as_fd(), Some(LinkNameSpaceType::Network)).map_err(
            |errno| Error::Enter { namespace: self.name().to_owned(), source: errno.into() },
        )
    }

    /// Runs a program inside and returns what it prints.
    ///
    /// # Errors
    ///
    /// If it cannot be started or fails, with its error output.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, Error> {
        let mut command = Command::new(program);
        command.args(arguments);
        self.checked(&mut command, "")
    }

    /// Runs a program inside with `input`, and returns what it prints.
    ///
    /// # Errors
    ///
    /// As for [`Namespace::command`].
    pub fn command_with_input<S: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
        input: &str,
    ) -> Result<String, Error> {
        let mut command = Command::new(program);
        command.args(arguments);
        self.checked(&mut command, input)
    }

    /// Starts a program inside and leaves it running. Its streams are as `command` says.
    ///
    /// # Errors
    ///
    /// If it cannot be started.
    pub fn spawn(&self, command: &mut Command) -> Result<Child, Error> {
        let program = command.get_program().display().to_string();
        self.run(|| command.spawn())?.map_err(|source| Error::Start { program, source })
    }

    /// Runs many command lines in one `ip` process, each without the word `ip` in front.
    ///
    /// # Errors
    ///
    /// At the first line that fails; the rest is not run.
    pub fn ip_batch<S: AsRef<str>>(&self, lines: &[S]) -> Result<(), Error> {
        self.command_with_input("ip", ["-batch", "-"], &joined(lines)).map(drop)
    }

    /// Sets a kernel setting of this namespace: `net/ipv4/ip_forward`.
    ///
    /// # Errors
    ///
    /// If the kernel does not have it or does not accept the value.
    pub fn set_sysctl(&self, name: &str, value: &str) -> Result<(), Error> {
        self.run(|| std::fs::write(format!("/proc/sys/{name}"), value))?.map_err(|source| {
            let (name, value) = (name.to_owned(), value.to_owned());
            Error::Sysctl { name, value, namespace: self.name().to_owned(), source }
        })
    }

    fn checked(&self, command: &mut Command, input: &str) -> Result<String, Error> {
        self.run(|| checked(command, input, self.name()))?
    }
}

/// Namespaces that exist until this is dropped.
#[derive(Debug)]
pub(super) struct Created {
    names: Vec<String>,
    namespaces: Vec<Namespace>,
}

impl Created {
    pub(super) fn new(names: &[String]) -> Result<Self, Error> {
        // From here on, every namespace that is created is also removed.
        let mut created = Self { names: names.to_owned(), namespaces: Vec::new() };
        let lines: Vec<_> = names.iter().map(|name| format!("netns add {name}")).collect();
        let mut ip = Command::new("ip");
        checked(ip.args(["-batch", "-"]), &joined(&lines), "the outer namespace")?;
        created.namespaces =
            names.iter().map(|name| Namespace::open(name)).collect::<Result<_, _>>()?;
        Ok(created)
    }

    pub(super) fn namespaces(&self) -> &[Namespace] {
        &self.namespaces
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        let lines: Vec<_> = self.names.iter().map(|name| format!("netns del {name}")).collect();
        let mut ip = Command::new("ip");
        // Deleting one that was never created fails, and -force continues with the next.
        let _ = output(ip.args(["-force", "-batch", "-"]), &joined(&lines));
    }
}

/// Has bridged packets pass iptables: the module br_netfilter, where it is not built in.
pub(super) fn load_bridge_filter() -> Result<(), Error> {
    if std::path::Path::new("/proc/sys/net/bridge").exists() {
        return Ok(());
    }
    checked(Command::new("modprobe").arg("br_netfilter"), "", "the outer namespace").map(drop)
}

fn joined<S: AsRef<str>>(lines: &[S]) -> String {
    lines.iter().flat_map(|line| [line.as_ref(), "\n"]).collect()
}

fn checked(command: &mut Command, input: &str, namespace: &str) -> Result<String, Error> {
    let program = command.get_program().display().to_string();
    let output = output(command, input).map_err(|source| Error::Start { program, source })?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    Err(Error::Failed {
        program: words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "),
        namespace: namespace.to_owned(),
        status: output.status,
        stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Runs a program that reads all its input before it prints more than a pipe holds.
fn output(command: &mut Command, input: &str) -> std::io::Result<Output> {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stdin = child.stdin.take();
    // If it ends early, with its input unread, its exit status says why.
    let _ = stdin.map(|mut stdin| stdin.write_all(input.as_bytes()));
    child.wait_with_output()
}
