//! Which libraries a program needs, and in which versions.

use anyhow::{Context as _, Result, ensure};
use object::Endianness;
use object::elf::{DT_NEEDED, EM_AARCH64, EM_X86_64, VER_FLG_BASE};
use object::read::elf::{ElfFile64, FileHeader as _};

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

/// A version of the interface of a library, such as `GLIBC_2.34` of `libc.so.6`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version {
    /// The library, by its file name.
    pub(crate) library: String,
    /// The version.
    pub(crate) name: String,
}

/// What a program or library needs from others, and what it offers them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Linkage {
    /// File names of libraries that it needs.
    pub(crate) libraries: Vec<String>,
    /// What these must offer.
    pub(crate) needs: Vec<Version>,
    /// What it offers.
    pub(crate) offers: Vec<Version>,
}

/// Reads the linkage of a file; `None` if it is no program and no library at all.
pub(crate) fn linkage(content: &[u8], architecture: Architecture) -> Result<Option<Linkage>> {
    if !content.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    let file = ElfFile64::<Endianness>::parse(content).context("not a 64-bit ELF file")?;
    let machine = file.elf_header().e_machine(file.endian());
    ensure!(machine == architecture.machine(), "it is not for {}", architecture.name());
    let mut libraries = Vec::new();
    let table = file.elf_dynamic_table().context("its dynamic section")?;
    for entry in table.iter().filter(|entry| entry.tag == DT_NEEDED) {
        libraries.push(text(table.string(entry).context("a library without a name")?)?);
    }
    let needs = needs(&file, content).context("the versions that it needs")?;
    let offers = offers(&file, content).context("the versions that it offers")?;
    Ok(Some(Linkage { libraries, needs, offers }))
}

fn needs(file: &ElfFile64<'_>, content: &[u8]) -> Result<Vec<Version>> {
    let mut needs = Vec::new();
    let (endian, sections) = (file.endian(), file.elf_section_table());
    let Some((mut of_libraries, names)) = sections.gnu_verneed(endian, content)? else {
        return Ok(needs);
    };
    let names = sections.strings(endian, content, names)?;
    while let Some((library, mut versions)) = of_libraries.next()? {
        let library = text(library.file(endian, names)?)?;
        while let Some(version) = versions.next()? {
            let name = text(version.name(endian, names)?)?;
            needs.push(Version { library: library.clone(), name });
        }
    }
    Ok(needs)
}

fn offers(file: &ElfFile64<'_>, content: &[u8]) -> Result<Vec<Version>> {
    let mut offers = Vec::new();
    let (endian, sections) = (file.endian(), file.elf_section_table());
    let Some((mut definitions, names)) = sections.gnu_verdef(endian, content)? else {
        return Ok(offers);
    };
    let names = sections.strings(endian, content, names)?;
    let mut library = String::new();
    while let Some((definition, mut versions)) = definitions.next()? {
        // Its first name is its own; others are of the versions that it continues.
        let Some(version) = versions.next()? else { continue };
        let name = text(version.name(endian, names)?)?;
        if definition.vd_flags.get(endian) & VER_FLG_BASE == 0 {
            offers.push(Version { library: library.clone(), name });
        } else {
            // The first of all, which has the name of the library.
            library = name;
        }
    }
    Ok(offers)
}

fn text(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).context("a name that is no UTF-8")
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
        let found = linkage(&program, own).unwrap().unwrap();
        assert!(found.libraries.contains(&"libc.so.6".to_owned()), "{found:?}");
        let is_glibc = |v: &Version| v.library == "libc.so.6" && v.name.starts_with("GLIBC_2.");
        assert!(found.needs.iter().any(is_glibc), "{found:?}");
        assert!(linkage(&program, other).is_err());
    }

    #[test]
    fn a_library_offers_versions_under_its_own_name() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let path = maps.split_whitespace().find(|word| word.ends_with("/libc.so.6")).unwrap();
        let library = std::fs::read(path).unwrap();
        let own =
            if cfg!(target_arch = "x86_64") { Architecture::Amd64 } else { Architecture::Arm64 };
        let found = linkage(&library, own).unwrap().unwrap();
        assert!(found.offers.iter().all(|version| version.library == "libc.so.6"), "{found:?}");
        assert!(found.offers.iter().any(|version| version.name == "GLIBC_2.34"), "{found:?}");
        assert!(found.needs.iter().all(|version| version.library != "libc.so.6"), "{found:?}");
    }

    #[test]
    fn a_script_needs_no_library() {
        assert_eq!(linkage(b"#!/bin/sh\n", Architecture::Amd64).unwrap(), None);
    }
}
