//! Which libraries a program needs.

use anyhow::{Context as _, Result, ensure};
use object::Endianness;
use object::elf::{DT_NEEDED, EM_AARCH64, EM_X86_64};
use object::read::elf::{ElfFile64, FileHeader as _, SectionHeader as _};

/// What everything in an image runs on.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// As OCI and Debian name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// The directory below `usr/lib` that Debian has its libraries in.
    pub(crate) const fn libraries(self) -> &'static str {
        match self {
            Self::Amd64 => "usr/lib/x86_64-linux-gnu",
            Self::Arm64 => "usr/lib/aarch64-linux-gnu",
        }
    }

    /// Where programs expect their dynamic loader.
    pub(crate) const fn loader(self) -> &'static str {
        match self {
            Self::Amd64 => "usr/lib64/ld-linux-x86-64.so.2",
            Self::Arm64 => "usr/lib/ld-linux-aarch64.so.1",
        }
    }

    const fn machine(self) -> u16 {
        match self {
            Self::Amd64 => EM_X86_64,
            Self::Arm64 => EM_AARCH64,
        }
    }
}

/// What a program or library needs from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// File names of libraries.
    pub(crate) libraries: Vec<String>,
    /// The versions of glibc's interface, such as `GLIBC_2.34`. In glibc itself: those it offers.
    pub(crate) glibc: Vec<String>,
}

/// Reads the needs of a file; `None` if it is no program and no library at all.
pub(crate) fn needs(content: &[u8], architecture: Architecture) -> Result<Option<Needs>> {
    if !content.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let file = ElfFile64::<Endianness>::parse(content).context("not a 64-bit ELF file")?;
    let machine = file.elf_header().e_machine(file.endian());
    ensure!(machine == architecture.machine(), "it is not for {}", architecture.name());
    let mut needs = Needs::default();
    let table = file.elf_dynamic_table().context("its dynamic section")?;
    for entry in table.iter().filter(|entry| entry.tag == DT_NEEDED) {
        let name = table.string(entry).context("a library without a name")?;
        needs.libraries.push(String::from_utf8(name.to_vec())?);
    }
    let sections = file.elf_section_table();
    let (_, names) = sections.section_by_name(file.endian(), b".dynstr").context("no .dynstr")?;
    let names = names.data(file.endian(), content)?.split(|byte| *byte == 0);
    let names = names.filter_map(|name| std::str::from_utf8(name).ok());
    needs.glibc = names.filter(|name| name.starts_with("GLIBC_2.")).map(str::to_owned).collect();
    Ok(Some(needs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_program_needs_the_c_library_of_its_own_architecture() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let (own, other) = if cfg!(target_arch = "x86_64") {
            (Architecture::Amd64, Architecture::Arm64)
        } else {
            (Architecture::Arm64, Architecture::Amd64)
        };
        let needs = super::needs(&program, own).unwrap().unwrap();
        assert!(needs.libraries.contains(&"libc.so.6".to_owned()), "{needs:?}");
        assert!(needs.glibc.iter().any(|version| version.starts_with("GLIBC_2.")), "{needs:?}");
        assert!(super::needs(&program, other).is_err());
    }

    #[test]
    fn a_script_needs_no_library() {
        assert_eq!(needs(b"#!/bin/sh\n", Architecture::Amd64).unwrap(), None);
    }
}
