//! The kernel proper in a bzImage.
//!
//! A bzImage unpacks itself, which takes an emulated processor several seconds. QEMU starts an
//! unpacked kernel too, by its PVH entry point, and this machine unpacks in less than one.
//! Offsets and versions: Documentation/arch/x86/boot.rst.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::guest::cache;

/// The kernel's parameter that says whether it has that entry point.
const PVH: &str = "CONFIG_PVH=y";

/// The unpacked kernel of `image`, or `image` itself if that is the only way to start it.
pub(super) fn bootable(image: &Path, config: &Path) -> Result<PathBuf> {
    let has_pvh = std::fs::read_to_string(config).is_ok_and(|text| text.lines().any(|l| l == PVH));
    if !has_pvh {
        return Ok(image.to_owned());
    }
    let age = image.metadata().with_context(|| format!("no {}", image.display()))?.mtime();
    let name = image.file_name().context("an image has a name")?.display().to_string();
    let folder = cache::folder("image")?;
    let unpacked = folder.join(format!("{name}-{age}"));
    if !unpacked.exists() {
        let content = std::fs::read(image).with_context(|| format!("no {}", image.display()))?;
        let Some((tool, packed)) = payload(&content) else { return Ok(image.to_owned()) };
        // It appears complete or not at all: another run may look for it at the same time.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&unpack(tool, packed).with_context(|| format!("in {}", image.display()))?)?;
        file.persist(&unpacked).context("cannot keep an unpacked kernel")?;
    }
    Ok(unpacked)
}

/// What is packed in a bzImage, and the program that unpacks it; `None` for what is of another
/// version or packed in another way.
fn payload(image: &[u8]) -> Option<(&'static str, &[u8])> {
    let word = |at: usize| Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?));
    let version = word(0x206)? & 0xffff;
    if image.get(0x202..0x206)? != b"HdrS" || version < 0x208 {
        return None;
    }
    let setup = (usize::from(*image.get(0x1f1)?) + 1) * 512;
    let start = setup + usize::try_from(word(0x248)?).ok()?;
    let payload = image.get(start..)?.get(..usize::try_from(word(0x24c)?).ok()?)?;
    // The size that follows is part of gzip's format and put there by the kernel's build for others.
    let without_size = payload.get(..payload.len().checked_sub(4)?)?;
    match payload {
        [0x1f, 0x8b, ..] => Some(("gzip", payload)),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(("xz", without_size)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(("zstd", without_size)),
        _ => None,
    }
}

/// Unpacks with `tool`, which reads from its standard input.
fn unpack(tool: &str, packed: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new(tool)
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {tool}"))?;
    let mut stdin = child.stdin.take().context("a pipe was asked for")?;
    let output = std::thread::scope(|scope| {
        // If the tool stops reading, its status tells why.
        scope.spawn(move || stdin.write_all(packed));
        child.wait_with_output()
    })?;
    ensure!(output.status.success(), "{tool} cannot unpack the kernel");
    if !output.stdout.starts_with(b"\x7fELF") {
        bail!("{tool} unpacked no kernel");
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage with one sector of setup and `payload` 16 bytes after it.
    fn image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 2 * 512 + 16];
        image[0x1f1] = 1;
        image[0x202..0x208].copy_from_slice(b"HdrS\x0f\x02");
        image[0x248] = 16;
        image[0x24c] = u8::try_from(payload.len()).unwrap();
        image.extend_from_slice(payload);
        image.extend_from_slice(b"what follows");
        image
    }

    #[test]
    fn a_payload_is_found_and_its_size_left_off_where_it_is_no_part_of_the_format() {
        let xz = b"\xfd7zXZ\0packed";
        assert_eq!(payload(&image(&[&xz[..], b"size"].concat())), Some(("xz", &xz[..])));
        let gzip = b"\x1f\x8bpackedsize";
        assert_eq!(payload(&image(gzip)), Some(("gzip", &gzip[..])));
    }

    #[test]
    fn what_cannot_be_unpacked_is_left_as_it_is() {
        assert_eq!(payload(&image(b"\x02\x21\x4c\x18lz4, say")), None);
        assert_eq!(payload(&image(b"")), None);
        assert_eq!(payload(b"too short"), None);
        let mut old = image(b"\x1f\x8bpackedsize");
        old[0x206..0x208].copy_from_slice(b"\x07\x02");
        assert_eq!(payload(&old), None);
    }

    #[test]
    fn what_is_unpacked_must_be_a_kernel() {
        let packed = |content: &[u8]| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), content).unwrap();
            Command::new("gzip").arg("-c").arg(file.path()).output().unwrap().stdout
        };
        assert_eq!(unpack("gzip", &packed(b"\x7fELF kernel")).unwrap(), b"\x7fELF kernel");
        assert!(unpack("gzip", &packed(b"text")).is_err());
        assert!(unpack("gzip", b"\x1f\x8bnonsense").is_err());
    }
}
