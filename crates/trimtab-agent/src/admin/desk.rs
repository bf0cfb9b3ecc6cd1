//! The paths and their answers.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use trimtab_admin::{Complaint, EXPLANATION, SERVICES, SUMMARY, Selection, ServicePage};
use trimtab_config::Config;
use trimtab_core::objects::ObjectName;
use trimtab_kube::warning::Warnings;

use super::explanation::explanation;
use super::told::{Clock, WRONG_FROM, place, query, service, summary, to_milliseconds};
use crate::health::Health;
use crate::questions::{Asker, Part, Unanswered};

/// Answers questions about this daemon.
#[derive(Debug)]
pub struct Desk {
    asker: Asker,
    health: Arc<Health>,
    warnings: Arc<Warnings>,
    config: Arc<Config>,
    started: Timestamp,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// JSON.
    pub(super) body: String,
}

impl Reply {
    fn ok(answer: &impl Serialize) -> Self {
        match serde_json::to_string(answer) {
            Ok(body) => Self { status: StatusCode::OK, body },
            Err(error) => Self::complaint(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }

    fn complaint(status: StatusCode, error: &str) -> Self {
        let complaint = Complaint { error: error.to_owned() };
        Self { status, body: serde_json::to_string(&complaint).unwrap_or_default() }
    }

    /// A parameter is wrong.
    fn wrong(error: &str) -> Self {
        Self::complaint(StatusCode::BAD_REQUEST, error)
    }

    /// For others than root.
    pub(super) fn forbidden() -> Self {
        Self::complaint(StatusCode::FORBIDDEN, "only root may ask")
    }

    fn unanswered(_: Unanswered) -> Self {
        let error = "the daemon is busy with the kernel; ask again";
        Self::complaint(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

impl Desk {
    /// For a daemon that has just started.
    pub fn new(
        asker: Asker,
        health: Arc<Health>,
        warnings: Arc<Warnings>,
        config: Arc<Config>,
    ) -> Self {
        Self { asker, health, warnings, config, started: to_milliseconds(Timestamp::now()) }
    }

    /// Answers one question.
    pub(super) async fn answer(&self, method: &Method, path: &str, query: &str) -> Reply {
        if method != Method::GET {
            return Reply::complaint(StatusCode::METHOD_NOT_ALLOWED, "only GET is served");
        }
        let selection = || Selection::of_query(query).map_err(|error| Reply::wrong(&error));
        let answered = match path {
            SUMMARY => self.summary().await,
            SERVICES => match selection() {
                Ok(selection) => self.services(&selection).await,
                Err(wrong) => return wrong,
            },
            EXPLANATION => match selection() {
                Ok(selection) => self.explanation(&selection).await,
                Err(wrong) => return wrong,
            },
            _ => return Reply::complaint(StatusCode::NOT_FOUND, "no such path"),
        };
        answered.unwrap_or_else(Reply::unanswered)
    }

    async fn explanation(&self, selection: &Selection) -> Result<Reply, Unanswered> {
        let (Some(namespace), Some(name)) = (&selection.namespace, &selection.name) else {
            return Ok(Reply::wrong("namespace and name: both are needed"));
        };
        let from = selection.from.as_deref().map_or(Ok(0), str::parse);
        let Ok(from) = from else { return Ok(Reply::wrong(WRONG_FROM)) };
        let (service, limit) = (ObjectName::new(namespace, name), selection.rows());
        let told = self.asker.explanation(Part { service, from, limit }).await?;
        Ok(match told {
            Some(told) => Reply::ok(&explanation(told)),
            None => Reply::complaint(StatusCode::NOT_FOUND, "no such Service is proxied"),
        })
    }

    async fn summary(&self) -> Result<Reply, Unanswered> {
        let state = self.asker.state().await?;
        let warnings = self.warnings.count();
        Ok(Reply::ok(&summary(&state, &self.health, warnings, &self.config, self.started)))
    }

    async fn services(&self, selection: &Selection) -> Result<Reply, Unanswered> {
        let query = match query(selection) {
            Ok(query) => query,
            Err(error) => return Ok(Reply::wrong(&error)),
        };
        let told = self.asker.programmed(query).await?;
        let clock = Clock::at(told.now, Timestamp::now());
        let names: Vec<ObjectName> =
            told.answer.services.iter().map(|status| status.service.clone()).collect();
        let about = self.warnings.about(&names);
        let services = told.answer.services.into_iter().zip(about);
        Ok(Reply::ok(&ServicePage {
            services: services.map(|(status, about)| service(status, about, clock)).collect(),
            next: told.answer.next.as_ref().and_then(place),
        }))
    }
}
