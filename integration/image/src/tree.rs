//! The files of an image, by path.

use std::collections::BTreeMap;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A directory with these permissions.
    Directory(u32),
    /// A file with these permissions and this content.
    File(u32, Vec<u8>),
    /// A symbolic link to this target.
    Link(String),
}

/// Paths without a slash in front, sorted, with what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<String, Entry>);

impl Tree {
    /// Adds a file.
    pub(crate) fn file(&mut self, path: &str, mode: u32, content: impl Into<Vec<u8>>) {
        self.insert(path, Entry::File(mode, content.into()));
    }

    /// Adds a symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.insert(path, Entry::Link(target.to_owned()));
    }

    /// Adds a directory.
    pub(crate) fn directory(&mut self, path: &str, mode: u32) {
        self.insert(path, Entry::Directory(mode));
    }

    /// Adds something in place of what is there, and the directories that lead to it.
    pub(crate) fn insert(&mut self, path: &str, entry: Entry) {
        for (slash, _) in path.match_indices('/') {
            self.0.entry(path[..slash].to_owned()).or_insert(Entry::Directory(0o755));
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// What is at a path, which no symbolic link is followed for.
    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(path)
    }

    /// All paths in order: a directory comes before what is in it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_come_before_what_is_in_them() {
        let mut tree = Tree::default();
        tree.file("a/b/c", 0o644, "x");
        tree.link("a/a", "b/c");
        let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, ["a", "a/a", "a/b", "a/b/c"]);
    }
}
