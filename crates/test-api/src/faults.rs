//! Faults on demand.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Refusal, Resource, Verb};

/// Injected faults: requests that get a wrong answer.
///
/// ```
/// use test_api::{Fault, Resource, Verb};
///
/// // The next three lists of Services fail.
/// let fault = Fault::status(500).on(Verb::List).of(Resource::Services).times(3);
/// ```
///
/// In JSON, as [`PUT /_fixture/faults`](super#over-http) takes it:
/// `{"verb":"list","resource":"services","times":3,"effect":{"status":{"code":500}}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Only requests with this verb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verb: Option<Verb>,
    /// Only requests for this resource, by its name in paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// Only requests whose path begins so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// How many requests; without it, all until the faults are cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    times: Option<u32>,
    /// Waits this long first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delay_ms: Option<u64>,
    /// What happens instead of the answer, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<Effect>,
}

/// What happens instead of the right answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Effect {
    /// An HTTP status, with a `Status` object.
    #[serde(rename_all = "camelCase")]
    Status {
        /// The HTTP status.
        code: u16,
        /// Seconds in `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// The connection is closed without an answer.
    Reset,
    /// A watch is answered with 200 and an `ERROR` event that holds a 410; other requests with the
    /// status 410.
    Gone,
    /// A watch is cut in the middle of an event; other requests are not affected.
    #[serde(rename_all = "camelCase")]
    Truncate {
        /// How many events are sent whole before.
        after_events: u64,
        /// How the stream ends.
        cut: Cut,
    },
}

/// How a stream ends before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// As if it were complete.
    Clean,
    /// The connection breaks.
    Abort,
}

/// How a watch learns that its resourceVersion is too old.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gone {
    /// By an `ERROR` event in a stream that begins with status 200, as from the watch cache.
    #[default]
    Event,
    /// By the HTTP status 410.
    Status,
}

impl Fault {
    /// Answers with an HTTP status.
    pub fn status(code: u16) -> Self {
        Self::with(Some(Effect::Status { code, retry_after: None }))
    }

    /// Answers late.
    pub fn delay(delay: Duration) -> Self {
        Self::with(None).after(delay)
    }

    /// Closes the connection without an answer.
    pub fn reset() -> Self {
        Self::with(Some(Effect::Reset))
    }

    /// Tells watches that their resourceVersion is too old, by an `ERROR` event; for a 410 as HTTP
    /// status use [`Fault::status`].
    pub fn gone() -> Self {
        Self::with(Some(Effect::Gone)).on(Verb::Watch)
    }

    /// Sends this many events of a watch and half of the next, then nothing.
    pub fn truncate(after_events: u64, cut: Cut) -> Self {
        Self::with(Some(Effect::Truncate { after_events, cut })).on(Verb::Watch)
    }

    /// Only for requests with this verb.
    #[must_use]
    pub fn on(mut self, verb: Verb) -> Self {
        self.verb = Some(verb);
        self
    }

    /// Only for requests for this resource.
    #[must_use]
    pub fn of(mut self, resource: Resource) -> Self {
        self.resource = Some(resource.plural().to_owned());
        self
    }

    /// Only for paths that begin so.
    #[must_use]
    pub fn under(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Only this many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Only after a delay.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay_ms = Some(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX));
        self
    }

    fn with(effect: Option<Effect>) -> Self {
        Self { verb: None, resource: None, path: None, times: None, delay_ms: None, effect }
    }

    fn meets(&self, request: &Occasion<'_>) -> bool {
        let plural = request.resource.map(Resource::plural);
        self.verb.is_none_or(|verb| verb == request.verb)
            && self.resource.as_deref().is_none_or(|wanted| Some(wanted) == plural)
            && self.path.as_deref().is_none_or(|prefix| request.path.starts_with(prefix))
    }
}

/// What is known of a request when faults are looked up.
#[derive(Debug)]
pub(crate) struct Occasion<'a> {
    pub(crate) verb: Verb,
    pub(crate) resource: Option<Resource>,
    pub(crate) path: &'a str,
}

/// The faults in force.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct Faults {
    faults: Vec<Fault>,
    pub(crate) stale_watches: Gone,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// The delay and effect of the first fault that a request meets, which is used up once.
    pub(crate) fn meet(&mut self, request: &Occasion<'_>) -> (Duration, Option<Effect>) {
        let is_met = |fault: &Fault| fault.times != Some(0) && fault.meets(request);
        let Some(at) = self.faults.iter().position(is_met) else {
            return (Duration::ZERO, None);
        };
        let fault = &mut self.faults[at];
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        let delay = Duration::from_millis(fault.delay_ms.unwrap_or(0));
        let effect = fault.effect.clone();
        self.faults.retain(|fault| fault.times != Some(0));
        (delay, effect)
    }
}

/// The answer that [`Effect::Status`] gives.
pub(crate) fn injected(code: u16, retry_after: Option<u32>) -> Refusal {
    if code == 410 {
        return Refusal::Expired { wanted: 0, oldest: 0 };
    }
    Refusal::Injected { code, message: format!("a fault of {code} was asked for"), retry_after }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(path: &str) -> Occasion<'_> {
        Occasion { verb: Verb::List, resource: Some(Resource::Services), path }
    }

    #[test]
    fn a_fault_is_used_up_by_the_requests_it_is_for() {
        let mut faults = Faults::default();
        faults.add(Fault::status(500).on(Verb::List).of(Resource::Services).times(2));
        faults.add(Fault::reset().under("/api/v1/nodes").after(Duration::from_millis(5)));
        let watch = Occasion { verb: Verb::Watch, ..list("/api/v1/services") };
        assert_eq!(faults.meet(&watch), (Duration::ZERO, None));
        for _ in 0..2 {
            let (_, effect) = faults.meet(&list("/api/v1/services"));
            assert_eq!(effect, Some(Effect::Status { code: 500, retry_after: None }));
        }
        assert_eq!(faults.meet(&list("/api/v1/services")).1, None);
        let nodes = Occasion { verb: Verb::Get, resource: None, path: "/api/v1/nodes/a" };
        assert_eq!(faults.meet(&nodes), (Duration::from_millis(5), Some(Effect::Reset)));
    }

    #[test]
    fn faults_read_as_they_are_written() {
        let text = r#"{"faults":[
            {"verb":"watch","resource":"endpointslices","times":1,
             "effect":{"truncate":{"afterEvents":2,"cut":"abort"}}},
            {"path":"/version","delayMs":50},
            {"effect":{"status":{"code":429,"retryAfter":1}}},
            {"effect":"reset"}
        ],"staleWatches":"status"}"#;
        let faults: Faults = serde_json::from_str(text).unwrap();
        let expected = Fault::truncate(2, Cut::Abort).of(Resource::EndpointSlices).times(1);
        assert_eq!(faults.faults[0], expected);
        let again = serde_json::to_string(&faults).unwrap();
        assert_eq!(serde_json::from_str::<Faults>(&again).unwrap().faults, faults.faults);
        assert!(serde_json::from_str::<Faults>(r#"{"faults":[{"verbs":"watch"}]}"#).is_err());
    }
}
