//! Links inside the repository: the file is there, and the heading.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Tag, TagEnd};

use crate::pages::{self, BOOK, Page};

/// How a page of the book links to a file outside the book: by URL, because the book is also
/// published.
const REPOSITORY: [&str; 2] = [
    "https://github.com/trimtab/trimtab/blob/main/",
    "https://github.com/trimtab/trimtab/tree/main/",
];

/// The anchors of a page: its headings as GitHub and mdBook spell them.
fn anchors(page: &Page) -> HashSet<String> {
    let mut anchors = HashSet::new();
    let mut seen: HashMap<String, u32> = HashMap::new();
    let mut heading: Option<Vec<Event<'_>>> = None;
    for event in page.events() {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(Vec::new()),
            Event::End(TagEnd::Heading(_)) => {
                let slug = slug(&Page::plain(&heading.take().unwrap_or_default()));
                let count = seen.entry(slug.clone()).or_default();
                anchors.insert(if *count == 0 { slug } else { format!("{slug}-{count}") });
                *count += 1;
            }
            event => {
                if let Some(heading) = &mut heading {
                    heading.push(event);
                }
            }
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// The destinations of a page's links and images.
fn destinations(page: &Page) -> Vec<String> {
    let destination = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.to_string())
        }
        _ => None,
    };
    page.events().filter_map(destination).collect()
}

/// `a/b/../c` as `a/c`; nothing for a path that leaves the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !parts.pop() {
                    return None;
                }
            }
            part => parts.push(part),
        }
    }
    Some(parts)
}

/// The error in a link, if there is one.
fn complaint(
    page: &Page,
    link: &str,
    known: &HashMap<PathBuf, HashSet<String>>,
) -> Option<&'static str> {
    let inside = REPOSITORY.iter().find_map(|prefix| link.strip_prefix(prefix));
    if inside.is_none() && (link.contains("://") || link.starts_with("mailto:")) {
        return None;
    }
    let (path, anchor) = inside.unwrap_or(link).split_once('#').unwrap_or((link, ""));
    let path = inside.map_or(path, |inside| inside.split('#').next().unwrap_or(inside));
    let folder = page.path.parent().unwrap_or(Path::new(""));
    let target = match (inside, path) {
        (_, "") => Some(page.path.clone()),
        (Some(_), path) => normal(Path::new(path)),
        (None, path) => normal(&folder.join(path)),
    };
    let Some(target) = target else { return Some("leaves the repository") };
    if inside.is_none() && page.in_book() && !target.starts_with(BOOK) {
        return Some("leaves the book: give the address at github.com");
    }
    if !pages::root().join(&target).exists() {
        return Some("there is no such file");
    }
    if !anchor.is_empty() && !known.get(&target).is_some_and(|anchors| anchors.contains(anchor)) {
        return Some("there is no such heading");
    }
    None
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages::all();
    let known: HashMap<_, _> = pages.iter().map(|p| (p.path.clone(), anchors(p))).collect();
    let mut wrong = Vec::new();
    let mut links = 0;
    for page in &pages {
        for link in destinations(page) {
            links += 1;
            if let Some(why) = complaint(page, &link, &known) {
                wrong.push(format!("{}: {link}: {why}", page.path.display()));
            }
        }
    }
    assert!(links > 20, "{links} links were found");
    assert!(wrong.is_empty(), "broken links:\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let pages = pages::all();
    let summary = Path::new(BOOK).join("SUMMARY.md");
    let contents = pages.iter().find(|page| page.path == summary).expect("a table of contents");
    let listed: HashSet<_> =
        destinations(contents).iter().map(|link| Path::new(BOOK).join(link)).collect();
    let missing: Vec<_> = pages
        .iter()
        .filter(|page| page.in_book() && page.path != summary && !listed.contains(&page.path))
        .map(|page| page.path.display().to_string())
        .collect();
    assert!(missing.is_empty(), "not in SUMMARY.md: {missing:?}");
}

#[test]
fn a_broken_link_is_found() {
    let page = |path: &str, text: &str| Page { path: path.into(), text: text.to_owned() };
    let book = page("docs/src/install.md", "# Install it\n\n## Two\n\n## Two\n");
    let known = HashMap::from([(book.path.clone(), anchors(&book))]);
    for (from, link, expected) in [
        ("README.md", "docs/src/nosuch.md", Some("there is no such file")),
        ("README.md", "docs/src/install.md#nosuch", Some("there is no such heading")),
        ("README.md", "../LICENSE", Some("leaves the repository")),
        (
            "docs/src/install.md",
            "../../LICENSE",
            Some("leaves the book: give the address at github.com"),
        ),
        ("docs/src/install.md", "#two-1", None),
        ("docs/src/install.md", "#install-it", None),
        ("docs/src/install.md", "#two-2", Some("there is no such heading")),
        ("docs/src/install.md", "https://github.com/trimtab/trimtab/blob/main/LICENSE", None),
        (
            "docs/src/install.md",
            "https://github.com/trimtab/trimtab/blob/main/LICENCE",
            Some("there is no such file"),
        ),
        ("README.md", "https://example.com/nosuch", None),
    ] {
        assert_eq!(complaint(&page(from, ""), link, &known), expected, "{from}: {link}");
    }
}
