//! The configuration, for the commands that look at IPVS or change it once.

use std::path::Path;
use std::process::ExitCode;

use trimtab_config::{Config, Notes, Overrides};

use super::{invalid, read_config, resolve};

/// Reads and merges the configuration as if its mode was ipvs: these commands are about IPVS,
/// whatever mode the node uses now. If the configuration cannot be used, the reason goes to standard
/// error, and the exit status is returned.
pub(super) fn read_for_ipvs(
    command: &str,
    path: Option<&Path>,
    hostname: Option<&str>,
) -> Result<(Config, Notes), ExitCode> {
    let read = read_config(path).and_then(|(mut file, notes)| {
        file.mode = Some("ipvs".to_owned());
        let hostname = hostname.map(str::to_owned);
        resolve(&file, Overrides { hostname, ..Overrides::default() }, notes)
    });
    read.map_err(|error| invalid(command, &error))
}
