//! Names as numbers, so that a hundred thousand endpoints do not each keep a copy of a node's name.

use hashbrown::HashMap;

use crate::stable_hash::StableHash;

/// A name that was seen; equal names have equal symbols. The number comes from the name, not from
/// the order in which names were seen: where two statements about an endpoint differ in nothing
/// else, it decides, and must decide alike every time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(u32);

impl Symbol {
    /// Stands for "no name".
    pub(crate) const NONE: Self = Self(0);
}

/// The names seen so far. Names are never forgotten: there are as many as nodes were ever seen.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    names: HashMap<Symbol, Box<str>>,
}

impl Symbols {
    /// The name that a symbol stands for.
    pub(crate) fn name(&self, symbol: Symbol) -> Option<&str> {
        self.names.get(&symbol).map(|name| &**name)
    }

    /// The symbol of `name`.
    pub(crate) fn intern(&mut self, name: &str) -> Symbol {
        let mut symbol = Symbol(StableHash::new().take(name.as_bytes()).finish_u32());
        loop {
            if symbol != Symbol::NONE {
                match self.names.get(&symbol) {
                    Some(known) if **known == *name => return symbol,
                    Some(_) => {}
                    None => {
                        self.names.insert(symbol, name.into());
                        return symbol;
                    }
                }
            }
            symbol.0 = symbol.0.wrapping_add(1);
        }
    }
}
