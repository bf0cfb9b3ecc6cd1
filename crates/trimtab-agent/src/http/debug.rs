//! `/debug`, served with `enableProfiling`: what the threads do, and the verbosity of the log.

use std::fmt;
use std::sync::Arc;

use hyper::{Method, StatusCode};

use super::serve::{Ask, Reply};
use crate::process;

const TEXT: &str = "text/plain; charset=utf-8";
/// The paths, for `/debug` and `/statusz`.
pub(super) const PATHS: [&str; 2] = ["/debug/flags/v", "/debug/threads"];

/// Sets the verbosity of the log, or says why it cannot.
#[derive(Clone)]
pub struct SetVerbosity(Arc<dyn Fn(u8) -> Result<(), String> + Send + Sync>);

impl SetVerbosity {
    /// By this function.
    pub fn new(set: impl Fn(u8) -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(set))
    }
}

impl fmt::Debug for SetVerbosity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetVerbosity").finish_non_exhaustive()
    }
}

pub(super) fn answer(ask: &Ask<'_>, verbosity: &SetVerbosity) -> Reply {
    match ask.path {
        "/debug" | "/debug/" => text(StatusCode::OK, PATHS.join("\n") + "\n"),
        "/debug/threads" => text(StatusCode::OK, process::threads()),
        "/debug/flags/v" if *ask.method == Method::PUT => set_verbosity(ask.body, verbosity),
        "/debug/flags/v" => text(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("unsupported http method {}: PUT the verbosity\n", ask.method),
        ),
        _ => Reply::not_found(),
    }
}

/// In kube-proxy's words, which scripts may look for.
fn set_verbosity(body: &[u8], verbosity: &SetVerbosity) -> Reply {
    let given = String::from_utf8_lossy(body);
    let level: Result<u8, _> = given.trim().parse();
    let outcome = level.map_err(|_| "expected a number from 0 to 255".to_owned());
    match outcome.and_then(|level| (verbosity.0)(level).map(|()| level)) {
        Ok(level) => {
            text(StatusCode::OK, format!("successfully set klog.logging.verbosity to {level}"))
        }
        Err(why) => {
            let given = trimtab_core::Printable(given.trim());
            text(StatusCode::BAD_REQUEST, format!("cannot set verbosity {given}: {why}\n"))
        }
    }
}

fn text(status: StatusCode, body: String) -> Reply {
    Reply::new(status, TEXT, body)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    #[test]
    fn the_verbosity_is_set_by_put_only() {
        let level = Arc::new(AtomicU8::new(0));
        let set = Arc::clone(&level);
        let verbosity = SetVerbosity::new(move |to| {
            set.store(to, Ordering::Relaxed);
            if to > 10 { Err("too high".to_owned()) } else { Ok(()) }
        });
        let ask = |method: Method, path, body| {
            let reply = answer(&Ask { method: &method, path, body }, &verbosity);
            (reply.status.as_u16(), reply.body)
        };
        let put = |body| ask(Method::PUT, "/debug/flags/v", body);
        assert_eq!(put(b"5\n"), (200, "successfully set klog.logging.verbosity to 5".to_owned()));
        assert_eq!(level.load(Ordering::Relaxed), 5);
        assert_eq!(put(b"x\x1b").0, 400);
        assert!(put(b"x\x1b").1.contains("x\\u{1b}: expected a number"));
        assert_eq!(put(b"11"), (400, "cannot set verbosity 11: too high\n".to_owned()));
        assert_eq!(ask(Method::GET, "/debug/flags/v", b"").0, 405);
        assert!(ask(Method::GET, "/debug", b"").1.contains("/debug/threads\n"));
        assert!(ask(Method::GET, "/debug/threads", b"").1.starts_with("THREAD"));
        assert_eq!(ask(Method::GET, "/debug/pprof/", b"").0, 404);
    }
}
