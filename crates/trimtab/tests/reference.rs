//! The reference pages of the book are up to date.

use std::path::Path;

/// If this variable is set, the test writes the pages instead of comparing them.
const WRITE: &str = "TRIMTAB_WRITE_REFERENCE";

#[test]
fn the_pages_are_what_the_program_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/src/reference");
    for (name, text) in trimtab::reference::pages() {
        let path = folder.join(name);
        if std::env::var_os(WRITE).is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(path, text).unwrap();
            continue;
        }
        let page = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let differs = page.lines().zip(text.lines()).find(|(page, text)| page != text);
        assert!(
            page == text,
            "docs/src/reference/{name} is not what the program says; write it anew with\n  {WRITE}=1 \
             cargo test -p trimtab --test reference\n{differs:#?}"
        );
    }
}
