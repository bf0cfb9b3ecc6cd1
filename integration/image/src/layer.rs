//! Files as a compressed archive that depends on nothing but the files.

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::digest::sha256;
use crate::tree::{Entry, Tree};

/// A layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// The compressed archive.
    pub(crate) compressed: Vec<u8>,
    /// The digest of the archive before it was compressed, which OCI calls the diff ID.
    pub(crate) diff_id: String,
    /// What is in it, for people.
    pub(crate) title: &'static str,
}

impl Layer {
    /// Packs files, all root's and with one time.
    pub(crate) fn pack(tree: &Tree, epoch: u64, title: &'static str) -> Result<Self> {
        let archive = archive(tree, epoch)?;
        // Without a time or a name in its header; 255 stands for an unknown system, RFC 1952.
        let mut gzip =
            GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::best());
        std::io::Write::write_all(&mut gzip, &archive)?;
        Ok(Self { compressed: gzip.finish()?, diff_id: sha256(&archive), title })
    }
}

/// The tar archive of a tree.
fn archive(tree: &Tree, epoch: u64) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, entry) in tree.iter() {
        let (kind, mode, content): (_, _, &[u8]) = match entry {
            Entry::Directory(mode) => (EntryType::Directory, *mode, &[]),
            Entry::File(mode, content) => (EntryType::Regular, *mode, content),
            Entry::Link(_) => (EntryType::Symlink, 0o777, &[]),
        };
        let mut header = header(kind, mode, epoch);
        header.set_size(content.len() as u64);
        match entry {
            Entry::Link(target) => builder.append_link(&mut header, path, target)?,
            _ => builder.append_data(&mut header, path, content)?,
        }
    }
    Ok(builder.into_inner()?)
}

/// A header that tells nothing of who made the archive, and when.
pub(crate) fn header(kind: EntryType, mode: u32, epoch: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(epoch);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.file("usr/bin/a", 0o755, vec![b'a'; 100_000]);
        tree.link("bin", "usr/bin");
        tree.directory("tmp", 0o1777);
        tree
    }

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let pack = |tree: &Tree, epoch| Layer::pack(tree, epoch, "").unwrap();
        let first = pack(&tree(), 1_700_000_000);
        assert_eq!(pack(&tree(), 1_700_000_000), first);
        assert_ne!(pack(&tree(), 1_700_000_001).diff_id, first.diff_id);
        let mut more = tree();
        more.file("etc/x", 0o600, "");
        assert_ne!(pack(&more, 1_700_000_000).diff_id, first.diff_id);
    }

    #[test]
    fn what_is_packed_is_what_was_there() {
        let archive = archive(&tree(), 17).unwrap();
        let mut archive = tar::Archive::new(&archive[..]);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            let path = entry.path().unwrap().display().to_string();
            let owner = (header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap());
            assert_eq!(owner, (0, 0, 17), "{path}");
            (path, header.mode().unwrap(), header.size().unwrap())
        });
        let expected = [
            ("bin", 0o777, 0),
            ("tmp", 0o1777, 0),
            ("usr", 0o755, 0),
            ("usr/bin", 0o755, 0),
            ("usr/bin/a", 0o755, 100_000),
        ];
        let expected = expected.map(|(path, mode, size)| (path.to_owned(), mode, size));
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }
}
