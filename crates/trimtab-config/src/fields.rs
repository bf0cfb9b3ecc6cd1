//! All keys of the configuration file.

use std::sync::LazyLock;

use crate::file::ConfigFile;
use crate::key::{About, Field, Key as _};

/// Every key of the file, in its order.
pub fn fields() -> &'static [Field] {
    static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
        let mut fields = Vec::new();
        ConfigFile::list(&About::default(), &mut fields);
        fields
    });
    &FIELDS
}

impl ConfigFile {
    /// The value of this field comes from its flag, which is declared with the field.
    ///
    /// # Panics
    /// If the field is unknown, or has no flag.
    pub fn set_by_flag(&mut self, field: &str) {
        let field = fields().iter().find(|one| one.path == field);
        let (path, flag) = field
            .and_then(|one| Some((one.path.as_str(), one.flag?)))
            .expect("a field with a flag");
        self.origin.set_by(path, flag);
    }
}
