//! What is shown and what the keys do, without a terminal, a kernel or a clock.

use std::sync::Arc;

use hashbrown::HashMap;
use ratatui::crossterm::event::KeyCode;
use trimtab_core::Frontend;
use trimtab_linux::CountedRealServer;

use super::SortKey;
use super::ports::{Names, Open, Port, PortName, Ports, Sample};

/// To sort by active connections, those of every Service port that ever had one are counted, but no
/// more than these at a time: each takes a request to the kernel for each virtual server.
const COUNTED_AT_ONCE: usize = 500;

/// A Service port whose real servers are shown.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) name: Arc<PortName>,
    pub(super) servers: Vec<(Frontend, Vec<CountedRealServer>)>,
    /// The first line that is shown.
    pub(super) top: usize,
}

/// What keys do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They move and sort.
    Keys,
    /// The same, with a line that says so.
    Help,
    /// They are the text to search for.
    Search,
}

/// What is to be done after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Draw,
    Quit,
}

/// What is shown.
#[derive(Debug)]
pub(crate) struct App {
    pub(super) ports: Ports,
    /// Why there are no names, or no new ones.
    pub(super) note: Option<String>,
    pub(super) key: SortKey,
    pub(super) is_reversed: bool,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) opened: Option<Opened>,
    pub(super) has_colours: bool,
    /// Places of those that the filter leaves, in order.
    order: Vec<usize>,
    selected: usize,
    /// The first one that is shown, and how many have room.
    top: usize,
    page: usize,
    /// Where counting for the order by active connections goes on.
    next_counted: usize,
}

impl App {
    /// `page` is the number of rows until the first drawing says it.
    pub(crate) fn new(key: SortKey, page: usize, has_colours: bool) -> Self {
        Self {
            ports: Ports::default(),
            note: None,
            key,
            is_reversed: false,
            filter: String::new(),
            mode: Mode::Keys,
            opened: None,
            has_colours,
            order: Vec::new(),
            selected: 0,
            top: 0,
            page,
            next_counted: 0,
        }
    }

    /// What the daemon told, or why it did not.
    pub(crate) fn told(&mut self, names: Result<Names, String>) {
        match names {
            Ok(names) => {
                self.ports.rename(names);
                self.note = None;
            }
            Err(why) => self.note = Some(why),
        }
    }

    /// What the kernel counted. Sorting is done here, and not for each frame.
    pub(crate) fn take(&mut self, sample: &Sample) {
        let selected = self.selected_name();
        self.ports.take(sample);
        if self.opened.as_ref().is_some_and(|it| self.ports.place(&it.name).is_none()) {
            self.opened = None;
        }
        self.sort(selected);
    }

    /// The frontends whose real servers should be read: those of the Service port that is open, or
    /// of those on the screen; with `more`, also what it takes to sort by active connections.
    pub(crate) fn wanted(&mut self, more: bool) -> Vec<Frontend> {
        let all = self.ports.all();
        let opened = self.opened.as_ref().and_then(|it| self.ports.place(&it.name));
        let mut places: Vec<usize> = match opened {
            Some(place) => vec![place],
            None => self.order.iter().skip(self.top).take(self.page).copied().collect(),
        };
        if more && self.key == SortKey::Active && !all.is_empty() {
            let start = self.next_counted % all.len();
            let round = (start..all.len()).chain(0..start);
            let some = round.filter(|place| all[*place].total.connections > 0);
            let some: Vec<_> = some.take(COUNTED_AT_ONCE).collect();
            self.next_counted = some.last().map_or(0, |last| last + 1);
            places.extend(some);
            places.sort_unstable();
            places.dedup();
        }
        places.into_iter().flat_map(|place| all[place].frontends.iter().copied()).collect()
    }

    /// The real servers of what [`App::wanted`] asked for.
    pub(crate) fn counted(&mut self, found: Vec<(Frontend, Vec<CountedRealServer>)>) {
        let mut sums: HashMap<usize, Open> = HashMap::new();
        let opened = self.opened.as_ref().and_then(|it| self.ports.place(&it.name));
        let mut servers = Vec::new();
        for (frontend, real_servers) in found {
            let Some(place) = self.ports.place_of(&frontend) else { continue };
            let sum = sums.entry(place).or_default();
            for real in &real_servers {
                sum.active += u64::from(real.active);
                sum.inactive += u64::from(real.inactive);
            }
            if Some(place) == opened {
                servers.push((frontend, real_servers));
            }
        }
        servers.sort_unstable_by_key(|(frontend, _)| *frontend);
        if let Some(opened) = &mut self.opened {
            opened.servers = servers;
        }
        for (place, sum) in sums {
            if let Some(port) = self.ports.at_mut(place) {
                port.open = Some(sum);
            }
        }
        if self.key == SortKey::Active {
            self.sort(self.selected_name());
        }
    }

    /// What a key does.
    pub(crate) fn on_key(&mut self, key: KeyCode) -> Then {
        match (self.mode, key) {
            (Mode::Search, key) => self.on_search_key(key),
            (_, KeyCode::Char('q')) => return Then::Quit,
            (_, KeyCode::Esc) => {
                if self.opened.take().is_none() {
                    if self.filter.is_empty() {
                        return Then::Quit;
                    }
                    self.filter.clear();
                    self.sort(self.selected_name());
                }
            }
            (Mode::Help, KeyCode::Char('?')) => self.mode = Mode::Keys,
            (_, KeyCode::Char('?')) => self.mode = Mode::Help,
            (_, KeyCode::Char('/')) => {
                (self.opened, self.mode) = (None, Mode::Search);
            }
            (_, KeyCode::Char('s')) => self.sort_by(self.key.next()),
            (_, KeyCode::Char('c')) => self.sort_by(SortKey::Connections),
            (_, KeyCode::Char('b')) => self.sort_by(SortKey::Bytes),
            (_, KeyCode::Char('a')) => self.sort_by(SortKey::Active),
            (_, KeyCode::Char('r')) => {
                self.is_reversed = !self.is_reversed;
                self.sort(None);
            }
            (_, KeyCode::Enter) if self.opened.is_none() => {
                let open = |name| Opened { name, servers: Vec::new(), top: 0 };
                self.opened = self.name_at(self.selected).map(open);
            }
            (_, key) => self.go(key),
        }
        Then::Draw
    }

    fn on_search_key(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.mode = Mode::Keys,
            KeyCode::Esc => {
                self.mode = Mode::Keys;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(character) if !character.is_control() => self.filter.push(character),
            _ => return,
        }
        self.sort(None);
    }

    fn go(&mut self, key: KeyCode) {
        let page = self.page.max(1);
        let at = match &mut self.opened {
            Some(opened) => &mut opened.top,
            None => &mut self.selected,
        };
        *at = match key {
            KeyCode::Up => at.saturating_sub(1),
            KeyCode::Down => at.saturating_add(1),
            KeyCode::PageUp => at.saturating_sub(page),
            KeyCode::PageDown => at.saturating_add(page),
            KeyCode::Home => 0,
            KeyCode::End => usize::MAX,
            _ => return,
        };
        self.fit();
    }

    fn sort_by(&mut self, key: SortKey) {
        self.key = key;
        self.sort(None);
    }

    /// Filters and sorts. The selection stays with a name; without one it goes to the first row.
    fn sort(&mut self, selected: Option<Arc<PortName>>) {
        let all = self.ports.all();
        let filter = self.filter.to_lowercase();
        let is_shown = |port: &Port| {
            filter.is_empty()
                || [&port.name.service, &port.name.port]
                    .iter()
                    .any(|text| text.to_lowercase().contains(&filter))
        };
        self.order = (0..all.len()).filter(|place| is_shown(&all[*place])).collect();
        let key = self.key;
        self.order.sort_unstable_by(|one, other| key.compare(&all[*one], &all[*other]));
        if self.is_reversed {
            self.order.reverse();
        }
        let found = selected.and_then(|name| {
            let place = self.ports.place(&name)?;
            self.order.iter().position(|it| *it == place)
        });
        self.selected = found.unwrap_or(0);
        self.fit();
    }

    /// Nothing while the first row is selected: then that row is always the one with the most.
    fn selected_name(&self) -> Option<Arc<PortName>> {
        if self.selected == 0 { None } else { self.name_at(self.selected) }
    }

    fn name_at(&self, row: usize) -> Option<Arc<PortName>> {
        Some(Arc::clone(&self.ports.all()[*self.order.get(row)?].name))
    }

    /// How many rows have room.
    pub(super) fn set_page(&mut self, page: usize) {
        self.page = page;
        self.fit();
    }

    /// The selection exists and is on the screen.
    fn fit(&mut self) {
        self.selected = self.selected.min(self.order.len().saturating_sub(1));
        let lowest = (self.selected + 1).saturating_sub(self.page.max(1));
        self.top = self.top.clamp(lowest, self.selected);
    }

    /// How many the filter leaves.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// The rows that have room, each with whether it is selected.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&Port, bool)> {
        let all = self.ports.all();
        let rows = self.order.iter().enumerate().skip(self.top).take(self.page);
        rows.map(|(row, place)| (&all[*place], row == self.selected))
    }
}
