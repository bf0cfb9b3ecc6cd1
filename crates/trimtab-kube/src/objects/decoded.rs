//! The outcome of decoding one object.

use trimtab_core::objects::ObjectName;

/// One decoded object.
#[derive(Clone, Debug)]
pub struct Decoded<T> {
    /// `namespace/name`.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// The value, unless the object does not concern a service proxy.
    pub value: Option<T>,
    /// Values that could not be used.
    pub problems: Vec<FieldProblem>,
}

/// A value in an object that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The severity.
    pub severity: Severity,
    /// The field, such as `spec.ports[1].port`.
    pub field: String,
    /// What is wrong, and how it is handled.
    pub message: String,
}

/// The severity of a [`FieldProblem`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The object does not concern a service proxy; shown only on request.
    Skipped,
    /// A setting that is ignored; the rest of the object is used.
    Ignored,
    /// A value that the API does not allow.
    Invalid,
}

impl std::fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Collects problems while an object is decoded.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<FieldProblem>);

impl Problems {
    pub(super) fn add(&mut self, severity: Severity, field: impl Into<String>, message: String) {
        self.0.push(FieldProblem { severity, field: field.into(), message });
    }

    pub(super) fn invalid(&mut self, field: impl Into<String>, message: String) {
        self.add(Severity::Invalid, field, message);
    }

    pub(super) fn into_inner(self) -> Vec<FieldProblem> {
        self.0
    }
}

/// A value for a message: quoted, and truncated if it is long.
pub(super) fn quoted(value: &str) -> String {
    const LONGEST: usize = 60;
    match value.char_indices().nth(LONGEST) {
        None => format!("{value:?}"),
        Some((cut, _)) => format!("{:?}… ({} characters)", &value[..cut], value.chars().count()),
    }
}
