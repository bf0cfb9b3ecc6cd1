//! A statically linked busybox: the only program in the guest before this host's files are there.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{cache, fetch};

/// The host's, where it is static; else the package's, unpacked and not installed, since the
/// packages busybox and busybox-static exclude each other.
pub(super) fn find_or_fetch() -> Result<PathBuf> {
    let installed = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    let folder = cache::folder("tools")?.join("busybox-static");
    let fetched = ["bin/busybox", "usr/bin/busybox"].map(|path| folder.join(path));
    let known = || installed.iter().chain(&fetched).find(|path| is_static(path)).cloned();
    if let Some(path) = known() {
        return Ok(path);
    }
    fetch::unpack(&["busybox-static".to_owned()], &folder)?;
    known().context("the package busybox-static has no static busybox")
}

fn is_static(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|elf| is_static_elf(&elf).unwrap_or(false))
}

/// Whether a little-endian ELF64 file asks for no interpreter. Offsets as in elf.h, `Elf64_Ehdr`
/// and `Elf64_Phdr`.
fn is_static_elf(elf: &[u8]) -> Option<bool> {
    const PT_INTERP: u32 = 3;
    let half = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    if !elf.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let headers = u64::from_le_bytes(elf.get(32..40)?.try_into().ok()?);
    let (size, count) = (usize::from(half(54)?), usize::from(half(56)?));
    let headers = elf.get(usize::try_from(headers).ok()?..)?;
    let mut headers = headers.chunks(size.max(1)).take(count);
    Some(!headers.any(|header| header.starts_with(&PT_INTERP.to_le_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_an_interpreter_is_not_static() {
        let this = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(is_static_elf(&this), Some(cfg!(target_feature = "crt-static")));
    }

    #[test]
    fn what_is_no_elf_file_is_no_program() {
        assert_eq!(is_static_elf(b"#!/bin/sh\n"), None);
        assert_eq!(is_static_elf(b"\x7fELF\x02\x01"), None);
    }
}
