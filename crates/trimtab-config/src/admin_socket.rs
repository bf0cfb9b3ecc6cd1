//! `trimtab.adminSocket`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::complaint::Wrong;
use crate::file::ConfigFile;

/// Where commands look for it.
const USUAL: &str = "/run/trimtab/trimtab.sock";
/// `sun_path` has 108 bytes, the last of them zero (include/uapi/linux/un.h).
const LONGEST: usize = 107;

pub(super) fn admin_socket(file: &ConfigFile) -> Result<Option<PathBuf>, Wrong> {
    let given = file.trimtab.admin_socket.as_deref().map_or(USUAL, str::trim);
    if given.is_empty() {
        return Ok(None);
    }
    let path = PathBuf::from(given);
    let wrong = |message: String| Err(Wrong::new("trimtab.adminSocket", message));
    if !path.is_absolute() {
        return wrong(format!("{given:?} is not an absolute path"));
    }
    if path.as_os_str().as_bytes().len() > LONGEST {
        return wrong(format!("{given:?} is longer than {LONGEST} bytes"));
    }
    Ok(Some(path))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn resolved(yaml: &str) -> Result<Option<PathBuf>, String> {
        let (file, _) = crate::parse(Path::new("config.yaml"), yaml).unwrap();
        admin_socket(&file).map_err(|wrong| format!("{wrong:?}"))
    }

    #[test]
    fn an_empty_path_is_none_and_a_missing_one_the_usual() {
        let own = |path: &str| resolved(&format!("trimtab: {{adminSocket: '{path}'}}"));
        assert_eq!(resolved("mode: ipvs"), Ok(Some(USUAL.into())));
        assert_eq!(own(""), Ok(None));
        assert_eq!(own("/tmp/s"), Ok(Some("/tmp/s".into())));
        assert!(own("tmp/s").unwrap_err().contains("not an absolute path"));
        assert!(own(&format!("/{}", "s".repeat(LONGEST))).unwrap_err().contains("longer than 107"));
    }
}
