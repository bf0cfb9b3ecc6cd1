//! What was asked of the server and what it sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Resource;

/// What a request does, in the words of RBAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Reads one object.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection, or one object.
    Watch,
    /// Adds an object.
    Create,
    /// Replaces an object.
    Update,
    /// Changes an object in part.
    Patch,
    /// Removes an object.
    Delete,
    /// Removes a collection.
    DeleteCollection,
}

/// A snapshot of the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    tallies: BTreeMap<Resource, Tally>,
    connections: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    requests: BTreeMap<Verb, u64>,
    watches_open: usize,
    events_sent: u64,
    bookmarks_sent: u64,
}

impl Counters {
    /// Requests so far, those answered by a fault included.
    pub fn requests(&self, verb: Verb, resource: Resource) -> u64 {
        self.tally(resource).and_then(|tally| tally.requests.get(&verb)).copied().unwrap_or(0)
    }

    /// Watches that are open now.
    pub fn watches_open(&self, resource: Resource) -> usize {
        self.tally(resource).map_or(0, |tally| tally.watches_open)
    }

    /// Events sent to all watches so far, without bookmarks and errors.
    pub fn events_sent(&self, resource: Resource) -> u64 {
        self.tally(resource).map_or(0, |tally| tally.events_sent)
    }

    /// Bookmarks sent to all watches so far.
    pub fn bookmarks_sent(&self, resource: Resource) -> u64 {
        self.tally(resource).map_or(0, |tally| tally.bookmarks_sent)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.connections
    }

    pub(crate) fn connected(&mut self) {
        self.connections += 1;
    }

    pub(crate) fn requested(&mut self, verb: Verb, resource: Resource) {
        *self.tallies.entry(resource).or_default().requests.entry(verb).or_default() += 1;
    }

    pub(crate) fn watch_opened(&mut self, resource: Resource) {
        self.tallies.entry(resource).or_default().watches_open += 1;
    }

    pub(crate) fn watch_closed(&mut self, resource: Resource) {
        self.tallies.entry(resource).or_default().watches_open -= 1;
    }

    pub(crate) fn sent(&mut self, resource: Resource, events: u64, bookmarks: u64) {
        let tally = self.tallies.entry(resource).or_default();
        tally.events_sent += events;
        tally.bookmarks_sent += bookmarks;
    }

    /// As served at `/_fixture/counters`.
    pub(crate) fn to_json(&self) -> Value {
        let mut resources = serde_json::Map::new();
        for (resource, tally) in &self.tallies {
            resources.insert(
                resource.qualified(),
                json!({
                    "requests": tally.requests,
                    "watchesOpen": tally.watches_open,
                    "eventsSent": tally.events_sent,
                    "bookmarksSent": tally.bookmarks_sent,
                }),
            );
        }
        json!({"connections": self.connections, "resources": resources})
    }

    fn tally(&self, resource: Resource) -> Option<&Tally> {
        self.tallies.get(&resource)
    }
}
