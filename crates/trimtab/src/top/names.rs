//! Asks the daemon which Service port has a virtual server.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Duration;

use trimtab_admin::{Client, Error, Selection};
use trimtab_core::Printable;

use super::ports::{Names, PortName};
use crate::status::connections::key;
use crate::status::protocol;

/// How often the daemon is asked.
const INTERVAL: Duration = Duration::from_secs(10);

/// What the daemon tells, or, where there is none or it does not answer any more, why.
pub(crate) type Told = Result<Names, String>;

/// Asks for the names and, from now on, again every ten seconds on a thread of its own.
///
/// # Errors
/// If there is a daemon that cannot be asked.
pub(crate) fn follow(socket: PathBuf) -> Result<(Told, Receiver<Told>), Error> {
    let first = match ask(&socket) {
        Err(error) if error.is_no_daemon() => Err(words(&error)),
        Err(error) => return Err(error),
        Ok(names) => Ok(names),
    };
    let (sender, receiver) = sync_channel(1);
    // It ends with the program, or when nobody listens any more.
    thread::spawn(move || {
        loop {
            thread::sleep(INTERVAL);
            let told = ask(&socket).map_err(|error| words(&error));
            if sender.send(told).is_err() {
                return;
            }
        }
    });
    Ok((first, receiver))
}

fn words(error: &Error) -> String {
    let then = if error.is_no_daemon() {
        "; virtual servers without a name are shown by address"
    } else {
        ""
    };
    format!("{error}{then}")
}

fn ask(socket: &Path) -> Result<Names, Error> {
    let mut names = Names::new();
    Client::connect(socket)?.services(&Selection::default(), |service| {
        let full = format!("{}/{}", service.namespace, service.name);
        let full = Printable(&full).to_string();
        // Another Service serves a frontend that is held.
        for frontend in service.frontends.iter().filter(|it| it.held_by.is_none()) {
            let Some(key) = key(frontend) else { continue };
            let port =
                format!("{} {}", Printable(&frontend.port_name), protocol(frontend.protocol));
            let port = port.trim_start().to_owned();
            names.insert(key, Arc::new(PortName { service: full.clone(), port }));
        }
    })?;
    Ok(names)
}
