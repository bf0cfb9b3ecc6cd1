//! The archive format of an initramfs: cpio "newc", Documentation/driver-api/early-userspace/
//! buffer-format.rst of the kernel.

use std::io::{self, Write};

/// File types as in stat(2).
const DIRECTORY: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const REGULAR: u32 = 0o100_000;
const SYMBOLIC_LINK: u32 = 0o120_000;

/// The name of the entry that ends an archive.
const TRAILER: &str = "TRAILER!!!";

/// An archive being written. Everything in it belongs to root and has no date.
pub(super) struct Archive<W> {
    to: W,
    inode: u32,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub(super) fn new(to: W) -> Self {
        Self { to, inode: 0 }
    }

    /// Adds a directory; its parent must be there.
    pub(super) fn directory(&mut self, path: &str) -> io::Result<()> {
        self.entry(path, DIRECTORY | 0o755, (0, 0), &[])
    }

    /// Adds a file, with its permissions.
    pub(super) fn file(&mut self, path: &str, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.entry(path, REGULAR | permissions, (0, 0), content)
    }

    /// Adds a symbolic link.
    pub(super) fn link(&mut self, path: &str, target: &str) -> io::Result<()> {
        self.entry(path, SYMBOLIC_LINK | 0o777, (0, 0), target.as_bytes())
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        self.entry(path, CHARACTER_DEVICE | 0o600, (major, minor), &[])
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry(TRAILER, 0, (0, 0), &[])?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn entry(
        &mut self,
        path: &str,
        mode: u32,
        (major, minor): (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len()).map_err(io::Error::other)?;
        let name_size = u32::try_from(path.len() + 1).map_err(io::Error::other)?;
        write!(self.to, "070701")?;
        // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        for field in [self.inode, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name_size, 0] {
            write!(self.to, "{field:08x}")?;
        }
        self.to.write_all(path.as_bytes())?;
        // The name ends in one zero at least, and the name and the content at a multiple of four.
        let header = 110 + path.len();
        self.to.write_all(&[0; 4][..4 - header % 4])?;
        self.to.write_all(content)?;
        self.to.write_all(&[0; 3][..content.len().wrapping_neg() % 4])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.directory("dev").unwrap();
        archive.device("dev/console", 5, 1).unwrap();
        for length in 0..9_usize {
            let name = format!("file-{}", "x".repeat(length));
            archive.file(&name, 0o750, &vec![b'0'; length]).unwrap();
        }
        archive.finish().unwrap()
    }

    #[test]
    fn every_entry_starts_at_a_multiple_of_four() {
        let archive = archive();
        let magic: Vec<usize> = archive
            .windows(6)
            .enumerate()
            .filter(|(_, w)| w == b"070701")
            .map(|(n, _)| n)
            .collect();
        assert_eq!(magic.len(), 12);
        assert!(magic.iter().all(|at| at % 4 == 0), "{magic:?}");
    }

    #[test]
    fn a_header_holds_what_the_format_says() {
        let mut archive = Archive::new(Vec::new());
        archive.device("null", 1, 3).unwrap();
        let text = String::from_utf8(archive.finish().unwrap()).unwrap();
        let fields: Vec<&str> = (0..13).map(|n| &text[6 + 8 * n..][..8]).collect();
        assert_eq!(fields[1], "00002180", "a character device with mode 600");
        assert_eq!(fields[9..12], ["00000001", "00000003", "00000005"]);
    }
}
