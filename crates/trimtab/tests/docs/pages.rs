//! The Markdown files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser};

/// Where the book's pages are, from the repository's root.
pub(crate) const BOOK: &str = "docs/src";

/// A Markdown file.
pub(crate) struct Page {
    /// Its path from the repository's root.
    pub(crate) path: PathBuf,
    /// What is in it.
    pub(crate) text: String,
}

impl Page {
    /// Its parts, in order.
    pub(crate) fn events(&self) -> Parser<'_> {
        Parser::new_ext(&self.text, Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES)
    }

    /// Whether it tells users what to do: README.md and the book.
    pub(crate) fn is_guide(&self) -> bool {
        self.path == Path::new("README.md") || self.in_book()
    }

    /// Whether it is a page of the book.
    pub(crate) fn in_book(&self) -> bool {
        self.path.starts_with(BOOK)
    }

    /// All text of a stretch of events, without its marks.
    pub(crate) fn plain(events: &[Event<'_>]) -> String {
        let text = |event: &Event<'_>| match event {
            Event::Text(text) | Event::Code(text) => text.to_string(),
            Event::SoftBreak | Event::HardBreak => " ".to_owned(),
            _ => String::new(),
        };
        events.iter().map(text).collect()
    }
}

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Folders that are not the project's own text.
const OTHERS: [&str; 3] = ["target", ".git", "node_modules"];

/// Every Markdown file of the repository.
pub(crate) fn all() -> Vec<Page> {
    let mut pages = Vec::new();
    read_folder(Path::new(""), &mut pages);
    assert!(pages.iter().any(Page::in_book) && pages.iter().any(|page| !page.in_book()));
    pages
}

/// Reads what is below `folder`, a path from the repository's root.
fn read_folder(folder: &Path, pages: &mut Vec<Page>) {
    let shown = folder.display();
    for entry in fs::read_dir(root().join(folder)).unwrap_or_else(|e| panic!("{shown}: {e}")) {
        let entry = entry.expect("a folder's entry");
        let path = folder.join(entry.file_name());
        let kind = entry.file_type().expect("an entry's type");
        if kind.is_dir() && !OTHERS.iter().any(|other| entry.file_name() == *other) {
            read_folder(&path, pages);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(root().join(&path));
            let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            pages.push(Page { path, text });
        }
    }
}
