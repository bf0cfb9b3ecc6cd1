//! The outcome of decoding one object.

use trimtab_core::objects::ObjectName;

/// One object as it was decoded.
#[derive(Clone, Debug)]
pub struct Decoded<T> {
    /// `namespace/name`.
    pub name: ObjectName,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// The value, unless there is nothing in it for a service proxy.
    pub value: Option<T>,
    /// What could not be used.
    pub problems: Vec<FieldProblem>,
}

/// Something in an object that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is, such as `spec.ports[1].port`.
    pub field: String,
    /// What is wrong and what is done about it.
    pub message: String,
}

/// How bad a [`FieldProblem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The object is not for a service proxy; worth a note where somebody asks about it.
    Skipped,
    /// A wish that is not granted; everything else of the object is.
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

/// A value as it appears in a message: quoted, and cut where it is long.
pub(super) fn quoted(value: &str) -> String {
    const LONGEST: usize = 60;
    match value.char_indices().nth(LONGEST) {
        None => format!("{value:?}"),
        Some((cut, _)) => format!("{:?}… ({} characters)", &value[..cut], value.chars().count()),
    }
}
