//! Asking the daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};

use crate::{
    Complaint, EXPLANATION, Explanation, SERVICES, SUMMARY, Selection, Service, ServicePage,
    Summary,
};

/// The longest time for an answer. The daemon answers within milliseconds unless it reads the whole
/// kernel, as it does when it starts.
const PATIENCE: Duration = Duration::from_secs(30);
/// No answer is longer: a row has some hundred bytes.
const LONGEST: usize = 16 << 20;

/// Why the daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No daemon listens there.
    #[error("no Trimtab listens on {path}: {source}")]
    NoDaemon {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The socket could not be used.
    #[error("cannot connect to {path}: {source}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The connection ended within a question or an answer.
    #[error("no answer to {path}: {message}")]
    NoAnswer {
        /// What was asked.
        path: String,
        /// What happened.
        message: String,
    },
    /// The daemon does not answer the question.
    #[error("{path}: {status}: {message}")]
    Refused {
        /// What was asked.
        path: String,
        /// The HTTP status.
        status: StatusCode,
        /// The daemon's words.
        message: String,
    },
    /// The answer is not what this version expects.
    #[error("the answer to {path} is not understood: {source}")]
    Answer {
        /// What was asked.
        path: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Error {
    /// Whether there is no daemon, so that only the kernel can tell what is programmed.
    pub const fn is_no_daemon(&self) -> bool {
        matches!(self, Self::NoDaemon { .. })
    }
}

/// A connection to the daemon. It blocks.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    runtime: Runtime,
    sender: http1::SendRequest<Empty<Bytes>>,
}

impl Client {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`Error::NoDaemon`] if there is no socket or nobody listens on it, [`Error::Connect`] if it may
    /// not be used.
    pub fn connect(path: &Path) -> Result<Self, Error> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let failed = |source: io::Error| {
            let path = path.to_owned();
            match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    Error::NoDaemon { path, source }
                }
                _ => Error::Connect { path, source },
            }
        };
        let runtime = runtime.map_err(failed)?;
        let sender = runtime.block_on(open(path)).map_err(failed)?;
        Ok(Self { path: path.to_owned(), runtime, sender })
    }

    /// The daemon as a whole.
    ///
    /// # Errors
    /// Any but [`Error::NoDaemon`] and [`Error::Connect`].
    pub fn summary(&mut self) -> Result<Summary, Error> {
        self.get(SUMMARY)
    }

    /// One page of what is programmed.
    ///
    /// # Errors
    /// Any but [`Error::NoDaemon`] and [`Error::Connect`].
    pub fn page(&mut self, selection: &Selection) -> Result<ServicePage, Error> {
        self.get(&format!("{SERVICES}?{}", selection.to_query()))
    }

    /// What is programmed, from the selection's page to the last one: `visit` gets each Service once,
    /// as a whole, in order of name.
    ///
    /// # Errors
    /// As [`Client::page`]; earlier visits are not undone.
    pub fn services(
        &mut self,
        selection: &Selection,
        mut visit: impl FnMut(Service),
    ) -> Result<(), Error> {
        let mut selection = selection.clone();
        let mut begun: Option<Service> = None;
        loop {
            let page = self.page(&selection)?;
            for service in page.services {
                let is_same = |it: &&mut Service| {
                    (&it.namespace, &it.name) == (&service.namespace, &service.name)
                };
                if let Some(known) = begun.as_mut().filter(is_same) {
                    known.join(service);
                } else if let Some(whole) = begun.replace(service) {
                    visit(whole);
                }
            }
            match page.next {
                Some(next) => selection.from = Some(next),
                None => break,
            }
        }
        begun.into_iter().for_each(visit);
        Ok(())
    }

    /// Why a Service is programmed as it is: all parts of the explanation.
    ///
    /// # Errors
    /// As [`Client::page`]; [`Error::Refused`] with status 404 if there is no such Service.
    pub fn explanation(&mut self, namespace: &str, name: &str) -> Result<Explanation, Error> {
        let mut selection = Selection {
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..Selection::default()
        };
        let mut part = |selection: &Selection| -> Result<Explanation, Error> {
            self.get(&format!("{EXPLANATION}?{}", selection.to_query()))
        };
        let mut whole = part(&selection)?;
        while let Some(next) = whole.next {
            selection.from = Some(next.to_string());
            whole.join(part(&selection)?);
        }
        Ok(whole)
    }

    /// Asks for a path with its query. Connects again if the daemon has closed the connection, as it
    /// does after a while without questions and at its end.
    ///
    /// # Errors
    /// Any; [`Error::NoDaemon`] and [`Error::Connect`] if it has to connect again.
    pub fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T, Error> {
        let asked = match self.ask(path) {
            Err(Failed::Closed(_)) => {
                *self = Self::connect(&self.path)?;
                self.ask(path)
            }
            asked => asked,
        };
        let (status, body) = asked.map_err(|failed| {
            let message = match failed {
                Failed::Closed(error) => error.to_string(),
                Failed::Otherwise(message) => message,
            };
            Error::NoAnswer { path: path.to_owned(), message }
        })?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body)
                .map_err(|source| Error::Answer { path: path.to_owned(), source });
        }
        let complaint = serde_json::from_slice::<Complaint>(&body);
        let message = complaint.map(|complaint| complaint.error).unwrap_or_default();
        Err(Error::Refused { path: path.to_owned(), status, message })
    }

    fn ask(&mut self, path: &str) -> Result<(StatusCode, Bytes), Failed> {
        let Self { runtime, sender, .. } = self;
        let in_time = async { tokio::time::timeout(PATIENCE, ask(sender, path)).await };
        let late = || Failed::Otherwise(format!("nothing within {} s", PATIENCE.as_secs()));
        runtime.block_on(in_time).unwrap_or_else(|_| Err(late()))
    }
}

/// Why a question has no answer.
enum Failed {
    /// The connection was closed before the answer began.
    Closed(hyper::Error),
    /// Anything else, in words.
    Otherwise(String),
}

async fn open(path: &Path) -> io::Result<http1::SendRequest<Empty<Bytes>>> {
    let stream = UnixStream::connect(path).await?;
    let (sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask(
    sender: &mut http1::SendRequest<Empty<Bytes>>,
    path: &str,
) -> Result<(StatusCode, Bytes), Failed> {
    let words = |error: &dyn std::fmt::Display| Failed::Otherwise(error.to_string());
    let request = Request::get(path).header(HOST, "trimtab").body(Empty::new());
    let request = request.map_err(|error| words(&error))?;
    let response = sender.send_request(request).await.map_err(Failed::Closed)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), LONGEST).collect().await;
    Ok((status, body.map_err(|error| words(&error))?.to_bytes()))
}
