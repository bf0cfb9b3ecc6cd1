//! One scalar out of a JSON text, without parsing the rest into values.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The text, number or truth value at a path of member names, as text; `None` if there is nothing.
pub(crate) fn scalar(json: &[u8], path: &[&str]) -> Option<String> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Scalar { path }.deserialize(&mut deserializer).ok().flatten()
}

#[derive(Clone, Copy)]
struct Scalar<'p> {
    path: &'p [&'p str],
}

impl Scalar<'_> {
    fn found(self, text: &impl ToString) -> Option<String> {
        self.path.is_empty().then(|| text.to_string())
    }
}

impl<'de> DeserializeSeed<'de> for Scalar<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar<'_> {
    type Value = Option<String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let (first, rest) = match self.path.split_first() {
            Some((first, rest)) => (Some(*first), rest),
            None => (None, self.path),
        };
        while let Some(is_next) = map.next_key_seed(Is(first))? {
            if is_next {
                found = map.next_value_seed(Scalar { path: rest })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(self.found(&text))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.found(&value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.found(&value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.found(&value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(self.found(&value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Compares a member name without keeping it.
struct Is<'p>(Option<&'p str>);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::scalar;

    #[test]
    fn scalars_are_found_at_any_depth() {
        let json = br#"{"a":{"b":[1,{"c":2}],"c":"x","d":{"e":true,"f":7}},"c":null,"g":"\u0041"}"#;
        let at = |path: &str| scalar(json, &path.split('.').collect::<Vec<_>>());
        assert_eq!(at("a.c").as_deref(), Some("x"));
        assert_eq!(at("a.d.e").as_deref(), Some("true"));
        assert_eq!(at("a.d.f").as_deref(), Some("7"));
        assert_eq!(at("g").as_deref(), Some("A"));
        for nothing in ["a", "a.b", "a.b.c", "c", "missing", "a.c.x", "a.d.missing"] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
    }
}
