//! Names as numbers, so that a hundred thousand endpoints do not each keep a copy of a node's name.

use hashbrown::HashMap;

/// A name that was seen; equal names have equal symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(u32);

impl Symbol {
    /// Stands for "no name".
    pub(crate) const NONE: Self = Self(0);
}

/// The names seen so far. Names are never forgotten: there are as many as nodes were ever seen.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    numbers: HashMap<Box<str>, Symbol>,
}

impl Symbols {
    /// The symbol of `name`.
    pub(crate) fn intern(&mut self, name: &str) -> Symbol {
        if let Some(symbol) = self.numbers.get(name) {
            return *symbol;
        }
        let symbol = Symbol(u32::try_from(self.numbers.len() + 1).unwrap_or(u32::MAX));
        self.numbers.insert(name.into(), symbol);
        symbol
    }
}
