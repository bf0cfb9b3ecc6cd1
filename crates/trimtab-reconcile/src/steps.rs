//! How much is looked at to find something, counted in this crate's own tests: what one Service costs
//! must not grow faster than what it asks for.

/// Notes that so many entries were looked at.
#[cfg(not(test))]
pub(crate) const fn count(_entries: usize) {}

#[cfg(test)]
thread_local! {
    static COUNTED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
pub(crate) fn count(entries: usize) {
    COUNTED.set(COUNTED.get() + entries);
}

/// The entries that this thread looked at since the last call.
#[cfg(test)]
pub(crate) fn take() -> usize {
    COUNTED.replace(0)
}
