//! The keys of the configuration file. One table says how each key is read and what it means, so
//! the reference is generated from the code that reads the file.

use serde_json::Value;

use crate::Notes;
use crate::complaint::{Complaint, Origin, Wrong};
use crate::period::Period;
use trimtab_core::duration::parse_duration;

/// What the reference says of one key.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its path, such as `ipvs.syncPeriod`.
    pub path: String,
    /// What kind of value it has.
    pub kind: &'static str,
    /// The default; empty if there is none.
    pub default: &'static str,
    /// The flag for the same setting, without its dashes.
    pub flag: Option<&'static str>,
    /// Why it has no effect here, for those that have none.
    pub without_effect: Option<&'static str>,
    /// What it means.
    pub meaning: String,
}

/// What the table states about a key.
#[derive(Clone, Debug, Default)]
pub(crate) struct About {
    pub(crate) path: String,
    pub(crate) default: &'static str,
    pub(crate) flag: Option<&'static str>,
    pub(crate) without_effect: Option<&'static str>,
    pub(crate) doc: &'static [&'static str],
}

impl About {
    /// The path of a key below this one.
    pub(crate) fn below(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Notes made while a file was read.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) origin: Origin,
    pub(crate) notes: Notes,
}

impl Found {
    pub(crate) fn complain(&mut self, path: &str, message: String) {
        let complaint: Complaint = self.origin.complaint(Wrong::new(path, message));
        self.origin.complaints.push(complaint);
    }

    pub(crate) fn unknown(&mut self, path: &str) {
        let place = self.origin.place(path);
        self.notes.push(format!("{place}: unknown field, ignored"));
    }
}

/// What can stand at a key: a single value, or a section with further keys.
pub(crate) trait Key: Default {
    /// Reads it. A value that cannot be read is recorded as a complaint and left out.
    fn read(value: &Value, about: &About, found: &mut Found) -> Self;

    /// Adds what the reference says of it.
    fn list(about: &About, fields: &mut Vec<Field>);
}

/// A single value.
pub(crate) trait Leaf: Sized {
    /// The kind of value, for messages.
    const KIND: &'static str;

    /// Reads it; says what was expected if it is something else.
    fn take(value: &Value) -> Result<Self, String>;
}

impl<L: Leaf> Key for Option<L> {
    fn read(value: &Value, about: &About, found: &mut Found) -> Self {
        if value.is_null() {
            return None;
        }
        match L::take(value) {
            Ok(taken) => {
                if let Some(why) = about.without_effect
                    && !is_zero(value)
                    && !is_default(value, about.default)
                {
                    let place = found.origin.place(&about.path);
                    found.notes.push(format!("{place} has no effect: {why}"));
                }
                Some(taken)
            }
            Err(why) => {
                found.complain(&about.path, why);
                None
            }
        }
    }

    fn list(about: &About, fields: &mut Vec<Field>) {
        fields.push(Field {
            path: about.path.clone(),
            kind: L::KIND,
            default: about.default,
            flag: about.flag,
            without_effect: about.without_effect,
            meaning: about.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "),
        });
    }
}

/// Whether a value is Go's zero value for a field that is not set: kubeadm writes those out.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => {
            text.is_empty() || parse_duration(text).is_ok_and(|time| time.is_zero())
        }
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

fn is_default(value: &Value, default: &str) -> bool {
    match value {
        Value::String(text) if text == default => true,
        Value::String(text) => {
            parse_duration(text).is_ok_and(|time| parse_duration(default) == Ok(time))
        }
        Value::Bool(_) | Value::Number(_) => {
            let text = value.to_string();
            text == default
        }
        _ => false,
    }
}

fn expected<T>(what: &str, found: &Value) -> Result<T, String> {
    let found = match found {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a section".to_owned(),
        single => single.to_string(),
    };
    Err(format!("expected {what}, found {found}"))
}

/// A section as the keys that are set in it.
pub(crate) fn entries<'a>(
    value: &'a Value,
    about: &About,
    found: &mut Found,
) -> Option<&'a serde_json::Map<String, Value>> {
    match value {
        Value::Null => None,
        Value::Object(entries) => Some(entries),
        other => {
            let place = if about.path.is_empty() { "the file" } else { &about.path };
            if let Err(why) = expected::<()>("a section with keys", other) {
                found.complain(place, why);
            }
            None
        }
    }
}

impl Leaf for String {
    const KIND: &'static str = "text";

    /// Like Kubernetes' YAML reader, accepts a number or a boolean as text.
    fn take(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
            other => expected("text", other),
        }
    }
}

impl Leaf for bool {
    const KIND: &'static str = "true or false";

    fn take(value: &Value) -> Result<Self, String> {
        value.as_bool().map_or_else(|| expected(Self::KIND, value), Ok)
    }
}

impl Leaf for i64 {
    const KIND: &'static str = "integer";

    fn take(value: &Value) -> Result<Self, String> {
        value.as_i64().map_or_else(|| expected("an integer", value), Ok)
    }
}

impl Leaf for f64 {
    const KIND: &'static str = "number";

    fn take(value: &Value) -> Result<Self, String> {
        value.as_f64().map_or_else(|| expected("a number", value), Ok)
    }
}

impl Leaf for Period {
    const KIND: &'static str = "duration";

    fn take(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => {
                parse_duration(text).map(Self).map_err(|why| format!("{text:?}: {why}"))
            }
            Value::Number(zero) if zero.as_i64() == Some(0) => Ok(Self::default()),
            other => expected("a duration such as 30s, 5m or 1h30m", other),
        }
    }
}

impl Leaf for Vec<String> {
    const KIND: &'static str = "list of texts";

    fn take(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => items.iter().map(String::take).collect(),
            other => expected("a list", other),
        }
    }
}

/// Kinds of values that are checked and then have no effect.
macro_rules! ignored {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $fits:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl Leaf for $name {
            const KIND: &'static str = $kind;

            fn take(value: &Value) -> Result<Self, String> {
                let fits: fn(&Value) -> bool = $fits;
                if fits(value) { Ok(Self) } else { expected(concat!("a ", $kind), value) }
            }
        }
    )*};
}

ignored! {
    /// `logging.flushFrequency`, which is a number of nanoseconds in older files.
    FlushFrequency, "duration, or nanoseconds as an integer", |value| match value {
        Value::String(text) => parse_duration(text).is_ok(),
        other => other.is_i64() || other.is_u64(),
    };
    /// A quantity of bytes.
    Quantity, "quantity such as 64Ki", |value| value.is_string() || value.is_number();
    /// Feature gates by name.
    Gates, "section of names with true or false", |value| {
        value.as_object().is_some_and(|gates| gates.values().all(Value::is_boolean))
    };
    /// Verbosity by file.
    FilePatterns, "list of filePattern and verbosity", |value| {
        value.as_array().is_some_and(|list| list.iter().all(Value::is_object))
    };
}

/// A section of the file: a struct with a field for each key, and what the reference says of them.
///
/// `"key" field: Type = "default" <- "flag" ! "why it has no effect";` declares a single value,
/// where the flag and the reason are optional; `"key" field: Type;` declares a section in it.
macro_rules! section {
    (
        $(#[$doc:meta])*
        $name:ident {
            $(
                $(#[doc = $line:literal])+
                $key:literal $field:ident: $type:ty
                    $(= $default:literal $(<- $flag:literal)? $(! $why:literal)?)?;
            )*
        }
        $($(#[$more_doc:meta])* $more:ident: $more_type:ty;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            $($(#[doc = $line])+ pub $field: $type,)*
            $($(#[$more_doc])* pub $more: $more_type,)*
        }

        impl $name {
            /// What the table states about this key of the section at `about`.
            fn about(about: &$crate::key::About, key: &str) -> $crate::key::About {
                use $crate::key::About;
                match key {
                    $($key => {
                        let known = About {
                            path: about.below($key),
                            doc: &[$($line),+],
                            ..About::default()
                        };
                        $(
                            let known = About { default: $default, ..known };
                            $(let known = About { flag: Some($flag), ..known };)?
                            $(let known = About { without_effect: Some($why), ..known };)?
                        )?
                        known
                    })*
                    _ => About::default(),
                }
            }
        }

        impl $crate::key::Key for $name {
            fn read(
                value: &serde_json::Value,
                about: &$crate::key::About,
                found: &mut $crate::key::Found,
            ) -> Self {
                let mut section = Self::default();
                let Some(entries) = $crate::key::entries(value, about, found) else {
                    return section;
                };
                for (key, value) in entries {
                    match key.as_str() {
                        $($key => {
                            let about = Self::about(about, $key);
                            section.$field = $crate::key::Key::read(value, &about, found);
                        })*
                        _ => found.unknown(&about.below(key)),
                    }
                }
                section
            }

            fn list(
                about: &$crate::key::About,
                fields: &mut Vec<$crate::key::Field>,
            ) {
                $(<$type as $crate::key::Key>::list(&Self::about(about, $key), fields);)*
            }
        }
    };
}
pub(crate) use section;
