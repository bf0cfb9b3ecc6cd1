//! Errors in single fields, and where their values come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::lines::Lines;

/// One field or flag whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The flag, or the file, the line, if the file has the field, and the field's path.
    pub place: String,
    /// What is wrong with the value.
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Every complaint about a configuration: never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaints(pub Vec<Complaint>);

impl fmt::Display for Complaints {
    /// A single complaint is printed as it is, several on one line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.0.as_slice() {
            return only.fmt(f);
        }
        f.write_str("the configuration cannot be used:")?;
        self.0.iter().try_for_each(|complaint| write!(f, "\n  {complaint}"))
    }
}

/// An invalid value, before it is known whether it came from the file or a flag.
#[derive(Debug)]
pub(super) struct Wrong {
    /// Path of the field.
    pub(super) field: String,
    /// What is wrong with it.
    pub(super) message: String,
}

impl Wrong {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Where the values of a configuration come from, and the errors found while reading them.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The file; `None` if there are flags only.
    pub(super) file: Option<PathBuf>,
    /// In which line of it each key is.
    pub(super) lines: Lines,
    pub(super) complaints: Vec<Complaint>,
    /// The flag that set a field's value, by the field's path.
    pub(super) flags: BTreeMap<&'static str, &'static str>,
}

impl Origin {
    /// The value of this field comes from a flag other than its own.
    pub fn set_by(&mut self, field: &'static str, flag: &'static str) {
        self.flags.insert(field, flag);
    }

    /// The fields whose values come from flags.
    pub fn fields_set_by_flags(&self) -> impl Iterator<Item = &'static str> {
        self.flags.keys().copied()
    }

    /// Whether the value of this field comes from a flag.
    pub(super) fn is_by_flag(&self, field: &str) -> bool {
        self.flags.contains_key(field)
    }

    /// Where the user finds the field: `--ipvs-scheduler` or `config.yaml:4: ipvs.scheduler`.
    pub(super) fn place(&self, field: &str) -> String {
        // An element of a list comes from the same place as the list.
        let list = field.split('[').next().unwrap_or(field);
        if let Some(flag) = self.flags.get(list) {
            return format!("--{flag}");
        }
        match &self.file {
            Some(file) => {
                let line = self.lines.line(field).or_else(|| self.lines.line(list));
                let line = line.map_or_else(String::new, |line| format!(":{line}"));
                format!("{}{line}: {field}", file.display())
            }
            None => field.to_owned(),
        }
    }

    pub(super) fn complaint(&self, wrong: Wrong) -> Complaint {
        Complaint { place: self.place(&wrong.field), message: wrong.message }
    }
}
