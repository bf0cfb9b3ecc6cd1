//! The query of a request (`metav1.ListOptions` and the options of writes).

use std::time::Duration;

use super::selector::{FieldSelector, Filter, LabelSelector};
use super::table::Include;
use super::{Refusal, Resource, StreamingLists};

/// What the query says, before it is known what it is asked of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) watch: bool,
    pub(crate) allow_bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) include: Include,
    limit: Option<usize>,
    continue_token: Option<String>,
    resource_version: Option<u64>,
    version_match: Option<VersionMatch>,
    label_selector: String,
    field_selector: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VersionMatch {
    Exact,
    NotOlderThan,
}

/// Which moment a list shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Now.
    Latest,
    /// Now, which must not be before this revision.
    NotOlderThan(u64),
    /// That revision.
    Exactly(u64),
    /// The moment of an earlier page, from where it ended.
    Continued(Token),
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) moment: Moment,
    /// The most objects on it.
    pub(crate) limit: Option<usize>,
}

/// Where a watch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// With all objects, as if just added.
    State {
        /// The state must not be before this revision.
        not_before: u64,
        /// Whether a bookmark says where the state ends.
        is_marked: bool,
    },
    /// With the writes after a revision.
    After(u64),
    /// With the writes to come.
    Now,
}

/// Says where the next page of a list starts. Clients hand it back as they got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) revision: u64,
    /// Objects left, where that can be counted.
    pub(crate) remaining: Option<usize>,
    /// The last key of the page before.
    pub(crate) after: String,
}

impl Token {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let revision = parts.next()?.parse().ok()?;
        let remaining = parts.next()?;
        let remaining = if remaining.is_empty() { None } else { Some(remaining.parse().ok()?) };
        Some(Self { revision, remaining, after: parts.next()?.to_owned() })
    }

    /// The text of the token.
    pub(crate) fn text(&self) -> String {
        let remaining = self.remaining.map(|n| n.to_string()).unwrap_or_default();
        format!("{}:{remaining}:{}", self.revision, self.after)
    }
}

impl Options {
    /// Reads a query; parameters that change nothing here (`pretty`, `fieldManager`) are ignored.
    pub(crate) fn parse(query: &str) -> Result<Self, Refusal> {
        let mut options = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = &*value;
            match &*name {
                "watch" => options.watch = truth(&name, value)?,
                "allowWatchBookmarks" => options.allow_bookmarks = truth(&name, value)?,
                "sendInitialEvents" => options.send_initial_events = Some(truth(&name, value)?),
                "limit" => {
                    let limit: i64 = number(&name, value)?;
                    options.limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
                }
                "continue" => options.continue_token = Some(value.to_owned()),
                "resourceVersion" if !value.is_empty() => {
                    options.resource_version = Some(number(&name, value)?);
                }
                "resourceVersionMatch" => {
                    options.version_match = match value {
                        "" => None,
                        "Exact" => Some(VersionMatch::Exact),
                        "NotOlderThan" => Some(VersionMatch::NotOlderThan),
                        _ => {
                            return Err(Refusal::Invalid(format!(
                                "resourceVersionMatch: Unsupported value: {value:?}"
                            )));
                        }
                    }
                }
                "timeoutSeconds" => {
                    let seconds: u64 = number(&name, value)?;
                    options.timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
                }
                "labelSelector" => value.clone_into(&mut options.label_selector),
                "fieldSelector" => value.clone_into(&mut options.field_selector),
                "includeObject" => options.include = Include::parse(value)?,
                "dryRun" => {
                    return Err(Refusal::BadRequest(
                        "dryRun is not implemented by this server, and nothing was done".into(),
                    ));
                }
                _ => {}
            }
        }
        options.continue_token.take_if(|token| token.is_empty());
        Ok(options)
    }

    /// Which objects are meant.
    pub(crate) fn filter(
        &self,
        resource: Resource,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Result<Filter, Refusal> {
        let fields = match name {
            Some(name) => FieldSelector::name(name),
            None => FieldSelector::parse(resource, &self.field_selector)?,
        };
        Ok(Filter {
            namespace: namespace.map(str::to_owned),
            labels: LabelSelector::parse(&self.label_selector)?,
            fields,
        })
    }

    /// The revision below which a single object must not be read.
    pub(crate) fn not_before(&self) -> u64 {
        self.resource_version.unwrap_or(0)
    }

    /// What a list shows; the table of "Resource versions" in the Kubernetes API concepts.
    pub(crate) fn page(&self) -> Result<Page, Refusal> {
        let limit = self.limit;
        if self.send_initial_events.is_some() {
            return Err(forbidden("sendInitialEvents is forbidden for list"));
        }
        if let Some(text) = &self.continue_token {
            if self.version_match.is_some() {
                return Err(forbidden("resourceVersionMatch is forbidden with continue"));
            }
            if self.resource_version.is_some_and(|version| version != 0) {
                return Err(Refusal::BadRequest(
                    "specifying resource version is not allowed when using continue".into(),
                ));
            }
            let token = Token::parse(text).ok_or_else(|| {
                Refusal::BadRequest(format!("continue key is not valid: {text:?}"))
            })?;
            return Ok(Page { moment: Moment::Continued(token), limit });
        }
        let moment = match (self.version_match, self.resource_version) {
            (None, None) => Moment::Latest,
            // The watch cache, which answers this, knows no pages: all objects come at once.
            (None | Some(VersionMatch::NotOlderThan), Some(0)) => {
                return Ok(Page { moment: Moment::NotOlderThan(0), limit: None });
            }
            (None, Some(revision)) if limit.is_some() => Moment::Exactly(revision),
            (None | Some(VersionMatch::NotOlderThan), Some(revision)) => {
                Moment::NotOlderThan(revision)
            }
            (Some(VersionMatch::Exact), Some(revision)) if revision != 0 => {
                Moment::Exactly(revision)
            }
            (Some(_), _) => {
                return Err(forbidden(
                    "resourceVersionMatch is forbidden unless resourceVersion is provided",
                ));
            }
        };
        Ok(Page { moment, limit })
    }

    /// Where a watch begins; `streaming` says how this server answers `sendInitialEvents`.
    pub(crate) fn beginning(&self, streaming: StreamingLists) -> Result<Beginning, Refusal> {
        if let Some(send) = self.send_initial_events {
            let message = "sendInitialEvents is forbidden for watch unless the WatchList feature \
                           gate is enabled";
            match streaming {
                StreamingLists::Served => {}
                StreamingLists::Refused(422) => return Err(forbidden(message)),
                StreamingLists::Refused(code) => {
                    let message = message.to_owned();
                    return Err(Refusal::Injected { code, message, retry_after: None });
                }
                StreamingLists::Unmarked => {
                    return Ok(Beginning::State {
                        not_before: self.not_before(),
                        is_marked: false,
                    });
                }
            }
            if self.version_match != Some(VersionMatch::NotOlderThan) {
                return Err(forbidden(
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
            if send {
                return Ok(Beginning::State { not_before: self.not_before(), is_marked: true });
            }
        } else if self.version_match.is_some() {
            return Err(forbidden(
                "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        Ok(match (self.resource_version, self.send_initial_events) {
            (None | Some(0), Some(false)) => Beginning::Now,
            (None | Some(0), _) => Beginning::State { not_before: 0, is_marked: false },
            (Some(revision), _) => Beginning::After(revision),
        })
    }
}

fn forbidden(what: &str) -> Refusal {
    Refusal::Invalid(format!("ListOptions.meta.k8s.io \"\" is invalid: {what}"))
}

fn truth(name: &str, value: &str) -> Result<bool, Refusal> {
    match value {
        "" | "0" | "f" | "false" | "False" | "FALSE" => Ok(false),
        "1" | "t" | "true" | "True" | "TRUE" => Ok(true),
        _ => Err(Refusal::BadRequest(format!("{name}: {value:?} is not a truth value"))),
    }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, Refusal> {
    value
        .parse()
        .map_err(|_| Refusal::BadRequest(format!("{name}: Invalid value: {value:?}: not a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> Result<Page, u16> {
        Options::parse(query).and_then(|options| options.page()).map_err(|refusal| refusal.code())
    }

    #[test]
    fn lists_follow_the_table_of_the_api_concepts() {
        use Moment::{Continued, Exactly, Latest, NotOlderThan};
        let token = Token { revision: 5, remaining: Some(2), after: "a:b/c".into() };
        let continued = format!("limit=3&continue={}", token.text().replace('/', "%2F"));
        for (query, moment, limit) in [
            ("", Latest, None),
            ("limit=0&continue=&resourceVersion=", Latest, None),
            ("limit=3", Latest, Some(3)),
            ("resourceVersion=0", NotOlderThan(0), None),
            ("resourceVersion=0&limit=3", NotOlderThan(0), None),
            ("resourceVersion=0&resourceVersionMatch=NotOlderThan", NotOlderThan(0), None),
            ("resourceVersion=7", NotOlderThan(7), None),
            ("resourceVersion=7&limit=3", Exactly(7), Some(3)),
            (
                "resourceVersion=7&limit=3&resourceVersionMatch=NotOlderThan",
                NotOlderThan(7),
                Some(3),
            ),
            ("resourceVersion=7&resourceVersionMatch=Exact", Exactly(7), None),
            (&*continued, Continued(token), Some(3)),
        ] {
            assert_eq!(page(query), Ok(Page { moment, limit }), "{query}");
        }
        for (query, code) in [
            ("resourceVersionMatch=Exact", 422),
            ("resourceVersion=0&resourceVersionMatch=Exact", 422),
            ("resourceVersionMatch=NotOlderThan", 422),
            ("resourceVersion=7&resourceVersionMatch=Sometimes", 422),
            ("continue=5::a&resourceVersion=7", 400),
            ("continue=nonsense", 400),
            ("resourceVersion=x", 400),
            ("limit=x", 400),
            ("dryRun=All", 400),
        ] {
            assert_eq!(page(query), Err(code), "{query}");
        }
    }

    #[test]
    fn watches_begin_where_the_api_concepts_say() {
        let beginning = |query: &str, streaming| {
            let options = Options::parse(query).map_err(|refusal| refusal.code())?;
            options.beginning(streaming).map_err(|refusal| refusal.code())
        };
        let state = |not_before, is_marked| Ok(Beginning::State { not_before, is_marked });
        let streamed = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        for (query, expected) in [
            ("", state(0, false)),
            ("resourceVersion=0", state(0, false)),
            ("resourceVersion=7", Ok(Beginning::After(7))),
            (streamed, state(0, true)),
            (&format!("{streamed}&resourceVersion=7"), state(7, true)),
            ("sendInitialEvents=false&resourceVersionMatch=NotOlderThan", Ok(Beginning::Now)),
            ("sendInitialEvents=true", Err(422)),
            ("resourceVersionMatch=NotOlderThan", Err(422)),
        ] {
            assert_eq!(beginning(query, StreamingLists::Served), expected, "{query}");
        }
        assert_eq!(beginning(streamed, StreamingLists::Refused(422)), Err(422));
        assert_eq!(beginning(streamed, StreamingLists::Refused(400)), Err(400));
        assert_eq!(beginning(streamed, StreamingLists::Unmarked), state(0, false));
    }
}
