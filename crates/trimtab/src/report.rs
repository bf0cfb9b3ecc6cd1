//! `trimtab report`: what a bug report needs, as one archive of text files. Its size is bounded, and
//! what looks like a secret is removed from every file.

pub(crate) mod daemon;
pub(crate) mod kernel;
pub(crate) mod log;
mod redact;
pub(crate) mod system;
mod text;

use std::fmt::Write as _;
use std::io;

use flate2::Compression;
use flate2::write::GzEncoder;

use redact::redacted;
pub(crate) use text::Text;

/// The largest file in the archive.
const FILE_BYTES: usize = 8 << 20;
/// All files together, before compression.
const ALL_BYTES: usize = 48 << 20;

/// What a report consists of: the names of its files, and what is in them.
pub(crate) const PARTS: [(&str, &str); 14] = [
    ("version.txt", "versions of Trimtab, the kernel and the distribution; CPUs and memory"),
    ("configuration.yaml", "the configuration with all defaults; of the kubeconfig only its path"),
    ("check.txt", "what `trimtab check` finds"),
    (
        "ipvs.txt",
        "IPVS's version, table size and timeouts, and all virtual and real servers, as `ipvsadm -Sn` prints them",
    ),
    ("ipvs-counters.txt", "connections, packets and bytes of each virtual and real server"),
    ("sets.txt", "the ipsets of Trimtab and kube-proxy, with their elements"),
    (
        "rules.txt",
        "the chains and rules of Trimtab, kube-proxy and the kubelet in each kind of iptables, and how many rules others have",
    ),
    ("sysctls.txt", "the settings of IPVS, connection tracking and forwarding"),
    ("modules.txt", "the kernel modules of IPVS, ipset and the packet filter"),
    ("addresses.txt", "the node's own addresses, and the VIPs that are bound to it"),
    ("metrics.txt", "what the running Trimtab answers to `/metrics`"),
    ("health.txt", "what it answers to `/healthz`, `/livez` and `/readyz`"),
    ("admin.txt", "what it answers on its admin socket: the summary, then a line for each Service"),
    ("log.txt", "its last 5,000 lines in the journal, or the end of the file given by `--log`"),
];

/// The files of a report.
#[derive(Debug)]
pub(crate) struct Report {
    files: Vec<(&'static str, String)>,
    bytes: usize,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { files: Vec::new(), bytes: 0 }
    }

    /// How much the next file may have.
    pub(crate) fn room(&self) -> usize {
        FILE_BYTES.min(ALL_BYTES.saturating_sub(self.bytes))
    }

    /// Adds a file, or why there is none.
    pub(crate) fn add(&mut self, name: &'static str, found: anyhow::Result<Text>) {
        let text = match found {
            Ok(text) => redacted(&text.finish()),
            Err(error) => redacted(&format!("not available: {error:#}\n")),
        };
        self.bytes += text.len();
        self.files.push((name, text));
    }

    /// What is in the archive, and how large it is.
    fn contents(&self) -> String {
        let mut contents = String::from(
            "A report by `trimtab report`. Tokens, passwords, keys and the credentials of the kubeconfig\n\
             are left out. Addresses and the names of this node's Services are not: read it before you\n\
             publish it.\n\n",
        );
        for (name, text) in &self.files {
            let about = PARTS.iter().find(|(part, _)| part == name).map_or("", |(_, about)| about);
            let _ = writeln!(contents, "{:>9} bytes  {name}: {about}", text.len());
        }
        contents
    }

    /// Writes everything as a tar archive, compressed by gzip.
    ///
    /// # Errors
    /// What the writer refuses.
    pub(crate) fn write<W: io::Write>(&self, folder: &str, seconds: u64, to: W) -> io::Result<W> {
        let mut archive = tar::Builder::new(GzEncoder::new(to, Compression::default()));
        let mut append = |name: &str, text: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(seconds);
            archive.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes())
        };
        append("README.txt", &self.contents())?;
        for (name, text) in &self.files {
            append(name, text)?;
        }
        archive.into_inner()?.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn text(content: &str) -> Text {
        let mut text = Text::new(FILE_BYTES);
        text.push_str(content);
        text
    }

    #[test]
    fn an_archive_has_a_list_of_its_files_and_no_secrets() {
        let mut report = Report::new();
        report.add("version.txt", Ok(text("trimtab 1\n")));
        report.add("log.txt", Ok(text("Authorization: Bearer abc.def\n")));
        report.add("health.txt", Err(anyhow::anyhow!("token=abc")));
        let archive = report.write("r", 1, Vec::new()).unwrap();
        let mut files = std::collections::BTreeMap::new();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), content);
        }
        assert_eq!(files.len(), 4, "{files:?}");
        assert!(files["r/README.txt"].contains("10 bytes  version.txt: versions of"), "{files:?}");
        assert_eq!(files["r/version.txt"], "trimtab 1\n");
        assert!(files.values().all(|content| !content.contains("abc")), "{files:?}");
    }

    #[test]
    fn the_book_lists_every_file() {
        let page = include_str!("../../../docs/src/operate/inspect.md");
        for (name, about) in PARTS {
            assert!(page.contains(&format!("| `{name}` | {about} |")), "{name}");
        }
    }
}
