//! `metadata` of a list.

use serde::Deserialize;

use crate::protobuf::{Malformed, Message, Value};

/// `metadata` of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::watch) struct ListMetadata {
    pub(in crate::watch) resource_version: String,
    /// The token for the rest of the list, if this was a part of it.
    #[serde(rename = "continue")]
    pub(in crate::watch) next: Option<String>,
}

impl<'a> Message<'a> for ListMetadata {
    fn take(&mut self, number: u64, value: Value<'a>) -> Result<(), Malformed> {
        match number {
            2 => value.text()?.clone_into(&mut self.resource_version),
            3 => self.next = value.set_text()?.map(str::to_owned),
            _ => {}
        }
        Ok(())
    }
}
