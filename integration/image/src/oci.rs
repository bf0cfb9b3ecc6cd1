//! Layers as an image: an OCI layout in a tar archive.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md>

use anyhow::Result;
use serde_json::{Value, json};
use tar::{Builder, EntryType};

use crate::contents::PROGRAM;
use crate::digest::sha256;
use crate::elf::Architecture;
use crate::layer::{Layer, header};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// The image's name in a container engine that loads the archive, without the version.
const NAME: &str = "ghcr.io/trimtab/trimtab";

/// What an image says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description<'a> {
    pub(crate) architecture: Architecture,
    /// When it was made, in seconds since 1970.
    pub(crate) epoch: u64,
    pub(crate) version: &'a str,
    /// The commit.
    pub(crate) revision: &'a str,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archive {
    /// The archive.
    pub(crate) bytes: Vec<u8>,
    /// The digest of the image's manifest, which registries know it by.
    pub(crate) digest: String,
}

/// Makes the archive.
pub(crate) fn archive(about: &Description<'_>, layers: &[Layer]) -> Result<Archive> {
    let config = serde_json::to_vec(&config(about, layers))?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config),
        "layers": layers
            .iter()
            .map(|layer| descriptor(LAYER, &layer.compressed))
            .collect::<Vec<_>>(),
        "annotations": labels(about),
    });
    let manifest = serde_json::to_vec(&manifest)?;
    let digest = sha256(&manifest);
    let mut entry = descriptor(MANIFEST, &manifest);
    entry["platform"] = json!({"architecture": about.architecture.name(), "os": "linux"});
    // containerd takes the first name, podman and skopeo the second; both keep a whole name.
    let name = format!("{NAME}:{}", about.version);
    entry["annotations"] =
        json!({"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});

    let mut builder = Builder::new(Vec::new());
    let mut add = |path: &str, content: &[u8]| -> Result<()> {
        let mut header = header(EntryType::Regular, 0o644, about.epoch);
        header.set_size(content.len() as u64);
        Ok(builder.append_data(&mut header, path, content)?)
    };
    add("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    add("index.json", &serde_json::to_vec(&index)?)?;
    let compressed = layers.iter().map(|layer| layer.compressed.as_slice());
    for blob in [manifest.as_slice(), config.as_slice()].into_iter().chain(compressed) {
        add(&format!("blobs/{}", sha256(blob).replace(':', "/")), blob)?;
    }
    Ok(Archive { bytes: builder.into_inner()?, digest })
}

/// <https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md>
fn config(about: &Description<'_>, layers: &[Layer]) -> Value {
    json!({
        "architecture": about.architecture.name(),
        "os": "linux",
        "config": {
            "Entrypoint": [format!("/{PROGRAM}")],
            "Env": ["PATH=/usr/sbin:/usr/bin"],
            "Labels": labels(about),
            // Capabilities that a pod adds reach root alone: a container's runtime puts them in
            // the ambient set of nobody else.
            "User": "0:0",
            "WorkingDir": "/",
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>(),
        },
    })
}

/// <https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md>
fn labels(about: &Description<'_>) -> Value {
    json!({
        "org.opencontainers.image.title": "trimtab",
        "org.opencontainers.image.description":
            "A Kubernetes service proxy that programs the Linux IPVS load balancer",
        "org.opencontainers.image.version": about.version,
        "org.opencontainers.image.revision": about.revision,
        "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
        "org.opencontainers.image.url": env!("CARGO_PKG_REPOSITORY"),
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
    })
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({"mediaType": media_type, "digest": sha256(content), "size": content.len()})
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;
    use crate::tree::Tree;

    const ABOUT: Description<'_> = Description {
        architecture: Architecture::Arm64,
        epoch: 1_700_000_000,
        version: "1.2.3",
        revision: "abc",
    };

    fn image() -> Archive {
        let mut tree = Tree::default();
        tree.file("usr/bin/trimtab", 0o755, "program");
        archive(&ABOUT, &[Layer::pack(&tree, ABOUT.epoch, "program").unwrap()]).unwrap()
    }

    fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn assembled_twice_it_has_one_digest() {
        assert_eq!(image(), image());
    }

    #[test]
    fn every_digest_leads_to_a_blob_of_that_digest_and_size() {
        let image = image();
        let files = files(&image.bytes);
        let json = |content: &[u8]| serde_json::from_slice::<Value>(content).unwrap();
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let content = &files[&format!("blobs/{}", digest.replace(':', "/"))];
            assert_eq!(sha256(content), digest);
            assert_eq!(content.len() as u64, descriptor["size"]);
            content
        };
        let index = json(&files["index.json"]);
        assert_eq!(index["manifests"][0]["digest"], image.digest);
        let manifest = json(blob(&index["manifests"][0]));
        let config = json(blob(&manifest["config"]));
        assert_eq!(config["architecture"], "arm64");
        assert_eq!(config["config"]["Entrypoint"], json!(["/usr/bin/trimtab"]));
        let mut layer = Vec::new();
        let compressed = blob(&manifest["layers"][0]).as_slice();
        flate2::read::GzDecoder::new(compressed).read_to_end(&mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!([sha256(&layer)]));
        assert_eq!(files.len(), 5, "and nothing else is in it");
    }

    #[test]
    fn a_digest_is_the_one_that_everybody_computes() {
        // FIPS 180-4's example.
        let expected = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), expected);
    }
}
