//! The configuration as kube-proxy and the installers of Kubernetes write it.

mod complaints;
mod defaults;
mod installers;

use std::path::Path;

use trimtab_config::{Config, Error, Notes, Overrides, parse, resolve};

/// The configuration from a file's text on the host `node-a`, with the notes.
fn read(text: &str) -> Result<(Config, Notes), Error> {
    let (file, mut notes) = parse(Path::new("config.yaml"), text)?;
    let overrides = Overrides { host: "node-a".to_owned(), ..Overrides::default() };
    let (config, more) = resolve(&file, &overrides)?;
    notes.extend(more);
    Ok((config, notes))
}
