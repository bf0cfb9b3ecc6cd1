//! `metadata`: the fields that are used.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use trimtab_core::objects::ObjectName;

use super::text::Text;
use crate::protobuf::{Malformed, Message, Value};

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
pub(super) struct Metadata<'a> {
    #[serde(borrow)]
    pub(super) name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) namespace: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) uid: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) resource_version: Option<Text<'a>>,
    pub(super) creation_timestamp: Option<Time>,
    pub(super) deletion_timestamp: Option<Time>,
    #[serde(borrow)]
    pub(super) labels: Entries<'a>,
    #[serde(borrow)]
    pub(super) annotations: Entries<'a>,
}

impl Metadata<'_> {
    /// `namespace/name`; an object without a namespace is in `default`, as in kubectl.
    pub(super) fn object_name(&self) -> ObjectName {
        let namespace = self.namespace.as_deref().unwrap_or("default");
        ObjectName::new(namespace, self.name.as_deref().unwrap_or_default())
    }

    /// `creationTimestamp` in seconds since 1970; an object without one counts as the youngest.
    pub(super) fn created(&self) -> i64 {
        self.creation_timestamp.as_ref().and_then(|time| time.0).unwrap_or(i64::MAX)
    }

    /// `resourceVersion`, where a watch continues after this object.
    pub(super) fn take_revision(&mut self) -> Option<String> {
        self.resource_version.take().map(Into::into)
    }
}

impl<'a> Message<'a> for Metadata<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        let text = || Ok(value.set_text()?.map(Text::from));
        match number {
            1 => self.name = text()?,
            3 => self.namespace = text()?,
            5 => self.uid = text()?,
            6 => self.resource_version = text()?,
            8 => self.creation_timestamp = Time::set(value)?,
            9 => self.deletion_timestamp = Time::set(value)?,
            11 => self.labels.take(&value.message()?),
            12 => self.annotations.take(&value.message()?),
            _ => {}
        }
        Ok(())
    }
}

/// A time in seconds since 1970; `None` if it is not one.
#[derive(Clone, Debug, Default)]
pub(super) struct Time(Option<i64>);

impl Time {
    /// A time that is not null.
    fn set(value: Value<'_>) -> Result<Option<Self>, Malformed> {
        if value.bytes()?.is_empty() { Ok(None) } else { value.message().map(Some) }
    }
}

impl<'a> Message<'a> for Time {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        if number == 1 {
            self.0 = Some(value.integer()?);
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        Ok(Self(text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)))
    }
}

/// The labels or annotations that matter.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries<'a>(Vec<(Text<'a>, Text<'a>)>);

impl<'a> Entries<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(found, value)| (found == key).then_some(value))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (&**key, &**value))
    }

    fn take(&mut self, entry: &Entry<'a>) {
        if is_kept(entry.key) {
            self.0.push((entry.key.into(), entry.value.into()));
        }
    }
}

fn is_kept(key: &str) -> bool {
    KEPT.iter().any(|prefix| key.starts_with(prefix))
}

/// An entry of a map in protobuf.
#[derive(Debug, Default)]
struct Entry<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Message<'a> for Entry<'a> {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            1 => self.key = value.text()?,
            2 => self.value = value.text()?,
            _ => {}
        }
        Ok(())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_option(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of strings")
    }

    fn visit_none<E>(self) -> Result<Entries<'de>, E> {
        Ok(Entries::default())
    }

    fn visit_unit<E>(self) -> Result<Entries<'de>, E> {
        Ok(Entries::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Entries<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries<'de>, M::Error> {
        let mut kept = Vec::new();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            if is_kept(&key) {
                kept.push((key, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Entries(kept))
    }
}
