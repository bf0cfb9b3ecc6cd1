//! Names as numbers, so that a hundred thousand endpoints do not each keep a copy of a node's name.

use hashbrown::{HashMap, HashSet};

use trimtab_core::StableHash;

/// A name that was seen; equal names have equal symbols. The number comes from the name, not from
/// the order in which names were seen: where two statements about an endpoint differ in nothing
/// else, it decides, and must decide alike every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(u32);

impl Symbol {
    /// Stands for "no name".
    pub(crate) const NONE: Self = Self(0);

    /// Where a name goes whose number another has.
    fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(1))
    }
}

/// The names seen and not forgotten.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    names: HashMap<Symbol, Box<str>>,
    crowd: Crowd,
}

impl Symbols {
    /// The name that a symbol stands for.
    pub(crate) fn name(&self, symbol: Symbol) -> Option<&str> {
        self.names.get(&symbol).map(|name| &**name)
    }

    /// The symbol of `name`.
    pub(crate) fn intern(&mut self, name: &str) -> Symbol {
        let mut symbol = Symbol(StableHash::new().take(name.as_bytes()).finish_u32());
        if symbol == Symbol::NONE {
            symbol = symbol.next();
        }
        loop {
            match self.names.get(&symbol) {
                Some(known) if **known == *name => return symbol,
                Some(_) => symbol = symbol.next(),
                None => {
                    self.names.insert(symbol, name.into());
                    return symbol;
                }
            }
        }
    }

    /// Whether there are so many that it is time to look which are still used.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowd.is_at(self.names.len())
    }

    /// Forgets names that are not used.
    pub(crate) fn keep_only(&mut self, used: &HashSet<Symbol>) {
        let all: HashSet<Symbol> = self.names.keys().copied().collect();
        // The next number may be of a name that had to give way to this one, and would be looked for
        // in vain from here on.
        self.names.retain(|symbol, _| used.contains(symbol) || all.contains(&symbol.next()));
        self.crowd = Crowd::after(self.names.len());
    }
}

/// How many names there may be before those that nobody uses are looked for: twice as many as there
/// were last time, so that the search costs each new name little.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd(usize);

impl Default for Crowd {
    fn default() -> Self {
        Self::after(0)
    }
}

impl Crowd {
    const LEAST: usize = 256;

    pub(crate) fn after(left: usize) -> Self {
        Self((2 * left).max(Self::LEAST))
    }

    pub(crate) const fn is_at(self, count: usize) -> bool {
        count > self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_forgotten_has_the_same_number_when_it_comes_back() {
        let mut symbols = Symbols::default();
        let (a, b) = (symbols.intern("a"), symbols.intern("b"));
        symbols.keep_only(&HashSet::from_iter([b]));
        assert_eq!((symbols.name(a), symbols.name(b)), (None, Some("b")));
        assert_eq!(symbols.intern("a"), a);
    }

    #[test]
    fn a_name_that_another_gave_way_to_is_kept_as_long_as_that_one() {
        let mut symbols = Symbols::default();
        let a = symbols.intern("a");
        // As if its hash were that of `a`.
        symbols.names.insert(a.next(), "second".into());
        symbols.keep_only(&HashSet::from_iter([a.next()]));
        assert_eq!(symbols.name(a), Some("a"));
        symbols.keep_only(&HashSet::new());
        symbols.keep_only(&HashSet::new());
        assert!(symbols.names.is_empty());
    }
}
