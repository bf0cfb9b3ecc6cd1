//! Network namespaces, and programs run in them.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

/// A network namespace, gone when dropped.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new namespace with its loopback device up.
    pub(crate) fn new(what: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("trimtab-{}-{number}-{what}", std::process::id());
        run(&format!("ip netns add {name}"));
        run(&format!("ip -n {name} link set lo up"));
        Self { name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs `body` in this namespace and returns what it does; a panic goes on to the caller.
    pub(crate) fn run<T: Send + 'static>(&self, body: impl FnOnce() -> T + Send + 'static) -> T {
        self.spawn(body).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Starts a thread in this namespace. The programs that it runs are there too.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> thread::JoinHandle<T> {
        let path = format!("/run/netns/{}", self.name);
        thread::spawn(move || {
            let namespace = File::open(path).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            body()
        })
    }

    /// Runs a shell command in this namespace, as [`run`] does.
    pub(crate) fn sh(&self, command: &str) -> String {
        run(&format!("ip netns exec {} {command}", self.name))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

/// Runs a test in a namespace of its own.
pub(crate) fn isolated(body: impl FnOnce() + Send + 'static) {
    Namespace::new("test").run(body);
}

/// What a shell command prints; it must succeed.
#[track_caller]
pub(crate) fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command}: {}\n{stdout}{stderr}", output.status);
    stdout.into_owned()
}

/// What a program that can print JSON prints.
#[track_caller]
pub(crate) fn json(command: &str) -> Value {
    let text = run(command);
    serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).unwrap()
}
