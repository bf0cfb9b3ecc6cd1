//! `metadata`: the fields that are used.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use trimtab_core::objects::ObjectName;

/// Labels and annotations whose keys start with one of these are kept; an object may carry many
/// kilobytes of others.
const KEPT: [&str; 6] = [
    "trimtab.dev/",
    "kubernetes.io/service-name",
    "service.kubernetes.io/headless",
    "service.kubernetes.io/service-proxy-name",
    "topology.kubernetes.io/zone",
    "endpoints.kubernetes.io/last-change-trigger-time",
];

/// `metadata` of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<String>,
    pub(super) deletion_timestamp: Option<String>,
    pub(super) labels: Entries,
    pub(super) annotations: Entries,
}

impl Metadata {
    /// `namespace/name`; an object without a namespace is in `default`, as in kubectl.
    pub(super) fn object_name(&self) -> ObjectName {
        let namespace = self.namespace.as_deref().unwrap_or("default");
        ObjectName::new(namespace, self.name.as_deref().unwrap_or_default())
    }

    /// `creationTimestamp` in seconds since 1970; an object without one counts as the youngest.
    pub(super) fn created(&self) -> i64 {
        self.creation_timestamp
            .as_deref()
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
            .map_or(i64::MAX, jiff::Timestamp::as_second)
    }
}

/// The labels or annotations that matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries(BTreeMap<String, String>);

impl Entries {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_none<E>(self) -> Result<Entries, E> {
        Ok(Entries::default())
    }

    fn visit_unit<E>(self) -> Result<Entries, E> {
        Ok(Entries::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entries, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries, M::Error> {
        let mut kept = BTreeMap::new();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if KEPT.iter().any(|prefix| key.starts_with(prefix)) {
                kept.insert(key.into_owned(), map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Entries(kept))
    }
}
