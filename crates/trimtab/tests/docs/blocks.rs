//! Code blocks of README.md and the book, and whether each says that it was run.

use pulldown_cmark::{CodeBlockKind, Event, Tag, TagEnd};

use crate::pages::{self, Page};

/// The beginning of the note before commands that the project has not run.
const NOT_TRIED: &str = "Not tried";

/// A fenced code block.
pub(crate) struct Block {
    /// The page and the beginning of the block, for messages.
    pub(crate) place: String,
    /// Its language: `sh`, `yaml`, `text`.
    pub(crate) language: String,
    /// The words after the language and a comma.
    pub(crate) mark: String,
    /// What is in it.
    pub(crate) text: String,
    /// The paragraph before it.
    before: String,
}

/// The blocks of a page, in order. An indented block counts as one without a language.
pub(crate) fn of(page: &Page) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut paragraph = Vec::new();
    let mut open: Option<Block> = None;
    for event in page.events() {
        match event {
            Event::Start(Tag::Paragraph) => paragraph.clear(),
            Event::Start(Tag::CodeBlock(kind)) => {
                let info = match &kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                let (language, mark) = info.split_once(',').unwrap_or((&info, ""));
                open = Some(Block {
                    place: page.path.display().to_string(),
                    language: language.to_owned(),
                    mark: mark.to_owned(),
                    text: String::new(),
                    before: Page::plain(&paragraph),
                });
            }
            Event::End(TagEnd::CodeBlock) => blocks.extend(open.take().map(|mut block| {
                let first = block.text.lines().next().unwrap_or_default();
                block.place = format!("{}: {first:?}", block.place);
                block
            })),
            event => match (&mut open, event) {
                (Some(block), Event::Text(text)) => block.text.push_str(&text),
                (Some(_), _) => {}
                (None, event) => paragraph.push(event),
            },
        }
    }
    blocks
}

#[test]
fn commands_say_whether_they_were_run() {
    let mut wrong = Vec::new();
    for block in pages::all().iter().filter(|page| page.is_guide()).flat_map(of) {
        let noted = block.before.starts_with(NOT_TRIED);
        let fine = match (block.language.as_str(), block.mark.as_str()) {
            // The tests run it; a person has run it, on a machine or a cluster as the page says.
            ("sh", "run" | "tried") => !noted,
            ("sh", "untried") => noted,
            ("sh" | "", _) => false,
            _ => true,
        };
        if !fine {
            wrong.push(format!("{} ({},{})", block.place, block.language, block.mark));
        }
    }
    let rule = "a block of commands is `sh,run`, `sh,tried`, or `sh,untried` after a paragraph that \
                begins with `Not tried`; every block has a language";
    assert!(wrong.is_empty(), "{rule}:\n{}", wrong.join("\n"));
}
