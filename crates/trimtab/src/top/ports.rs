//! What the kernel counted, as rates and history of each Service port.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use trimtab_core::{Counters, Frontend};

/// So many points of the history of a Service port are kept. One that had no traffic in all of them
/// has no history, so that memory depends on traffic: at most 16 bytes for each point.
pub(super) const HISTORY: usize = 60;

/// What a row is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PortName {
    /// Namespace and name of the Service; for a virtual server that is of no known Service, the
    /// frontend.
    pub(crate) service: String,
    /// Name of the port, if it has one, and protocol.
    pub(crate) port: String,
}

/// Which Service port has a frontend.
pub(crate) type Names = HashMap<Frontend, Arc<PortName>>;

/// What the kernel had counted at some moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Time since the program began.
    pub(crate) at: Duration,
    /// The counters of every virtual server.
    pub(crate) counters: Vec<(Frontend, Counters)>,
}

/// Amounts a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) connections: f64,
    pub(crate) bytes_in: f64,
    pub(crate) bytes_out: f64,
}

/// What was counted between two samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) connections: u64,
    pub(super) bytes: u64,
}

/// Connections that the kernel has at present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Open {
    pub(crate) active: u64,
    pub(crate) inactive: u64,
}

/// One row.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(super) name: Arc<PortName>,
    pub(super) frontends: Vec<Frontend>,
    /// Since its virtual servers were made.
    pub(super) total: Counters,
    /// Absent after the first sample.
    pub(super) rates: Option<Rates>,
    /// Absent until they were counted.
    pub(super) open: Option<Open>,
    pub(super) history: VecDeque<Point>,
    new: Counters,
}

impl Port {
    fn new(name: Arc<PortName>) -> Self {
        Self {
            name,
            frontends: Vec::new(),
            total: Counters::default(),
            rates: None,
            open: None,
            history: VecDeque::new(),
            new: Counters::default(),
        }
    }

    fn begin(&mut self) {
        self.frontends.clear();
        (self.total, self.new) = (Counters::default(), Counters::default());
    }

    #[expect(clippy::cast_precision_loss, reason = "rates are shown with three digits at most")]
    fn finish(&mut self, seconds: Option<f64>) {
        let new = self.new;
        self.rates = seconds.map(|seconds| Rates {
            connections: new.connections as f64 / seconds,
            bytes_in: new.bytes_in as f64 / seconds,
            bytes_out: new.bytes_out as f64 / seconds,
        });
        let point = Point { connections: new.connections, bytes: new.bytes() };
        let is_idle = |point: &Point| point.connections == 0 && point.bytes == 0;
        if seconds.is_none() || (self.history.is_empty() && is_idle(&point)) {
            return;
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(point);
        if self.history.iter().all(is_idle) {
            self.history = VecDeque::new();
        }
    }
}

/// All Service ports that have virtual servers.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    names: Names,
    last: HashMap<Frontend, Counters>,
    all: Vec<Port>,
    by_name: HashMap<Arc<PortName>, usize>,
    at: Option<Duration>,
}

impl Ports {
    /// In no particular order; a place in it is good until the next sample.
    pub(super) fn all(&self) -> &[Port] {
        &self.all
    }

    pub(super) fn at_mut(&mut self, place: usize) -> Option<&mut Port> {
        self.all.get_mut(place)
    }

    pub(super) fn place(&self, name: &PortName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn place_of(&self, frontend: &Frontend) -> Option<usize> {
        self.place(&self.name_of(*frontend))
    }

    /// The names that count from the next sample on.
    pub(super) fn rename(&mut self, names: Names) {
        self.names = names;
    }

    /// Works out rates. A counter that went back began again at zero, and so did one that is new,
    /// except those of the first sample.
    pub(super) fn take(&mut self, sample: &Sample) {
        let before = self.at.replace(sample.at);
        let seconds = before.map(|before| sample.at.saturating_sub(before).as_secs_f64());
        self.all.iter_mut().for_each(Port::begin);
        let mut last = HashMap::with_capacity(sample.counters.len());
        for (frontend, counters) in &sample.counters {
            let earlier = self.last.get(frontend).copied().unwrap_or_default();
            last.insert(*frontend, *counters);
            let port = self.port_of(*frontend);
            port.frontends.push(*frontend);
            port.total += *counters;
            port.new += counters.since(earlier);
        }
        self.last = last;
        let known = self.all.len();
        self.all.retain(|port| !port.frontends.is_empty());
        if self.all.len() < known {
            let places = self.all.iter().enumerate();
            self.by_name = places.map(|(place, port)| (Arc::clone(&port.name), place)).collect();
        }
        let seconds = seconds.filter(|seconds| *seconds > 0.0);
        self.all.iter_mut().for_each(|port| port.finish(seconds));
    }

    fn name_of(&self, frontend: Frontend) -> Arc<PortName> {
        let unnamed = || PortName { service: frontend.to_string(), port: String::new() };
        self.names.get(&frontend).cloned().unwrap_or_else(|| Arc::new(unnamed()))
    }

    fn port_of(&mut self, frontend: Frontend) -> &mut Port {
        let name = self.name_of(frontend);
        let place = *self.by_name.entry(name).or_insert_with_key(|name| {
            self.all.push(Port::new(Arc::clone(name)));
            self.all.len() - 1
        });
        &mut self.all[place]
    }

    /// Of all together; absent after the first sample.
    pub(super) fn sum(&self) -> Option<Rates> {
        let rates = self.all.iter().filter_map(|port| port.rates);
        rates.reduce(|sum, it| Rates {
            connections: sum.connections + it.connections,
            bytes_in: sum.bytes_in + it.bytes_in,
            bytes_out: sum.bytes_out + it.bytes_out,
        })
    }
}

#[cfg(test)]
mod tests {
    use trimtab_core::Protocol;

    use super::*;

    fn frontend(number: u8) -> Frontend {
        Frontend::new(Protocol::Tcp, [10, 96, 0, number].into(), 80)
    }

    fn sample(seconds: u64, counters: &[(u8, u64)]) -> Sample {
        let counted = |connections| Counters {
            connections,
            bytes_in: connections * 100,
            bytes_out: connections * 1000,
            ..Counters::default()
        };
        let all = counters.iter().map(|(number, count)| (frontend(*number), counted(*count)));
        Sample { at: Duration::from_secs(seconds), counters: all.collect() }
    }

    fn name(service: &str) -> Arc<PortName> {
        Arc::new(PortName { service: service.to_owned(), port: "http TCP".to_owned() })
    }

    #[test]
    fn the_virtual_servers_of_a_port_are_added_up_and_rates_are_by_the_second() {
        let mut ports = Ports::default();
        ports.rename([(frontend(1), name("shop/web")), (frontend(2), name("shop/web"))].into());
        ports.take(&sample(10, &[(1, 1000), (2, 500), (3, 7)]));
        assert_eq!(ports.all().iter().map(|port| port.rates).collect::<Vec<_>>(), [None, None]);
        ports.take(&sample(12, &[(1, 1010), (2, 504), (3, 7), (4, 6)]));
        let web = &ports.all()[ports.place(&name("shop/web")).unwrap()];
        let wanted = Rates { connections: 7.0, bytes_in: 700.0, bytes_out: 7000.0 };
        assert_eq!((web.rates, web.total.connections), (Some(wanted), 1514));
        // What is new has counted since it was made.
        let names: Vec<_> = ports.all().iter().map(|port| port.name.service.as_str()).collect();
        assert_eq!(names, ["shop/web", "TCP 10.96.0.3:80", "TCP 10.96.0.4:80"]);
        let new = Rates { connections: 3.0, bytes_in: 300.0, bytes_out: 3000.0 };
        assert_eq!(ports.all()[2].rates, Some(new));
        let sum = Rates { connections: 10.0, bytes_in: 1000.0, bytes_out: 10_000.0 };
        assert_eq!(ports.sum(), Some(sum));
    }

    #[test]
    fn a_counter_that_goes_back_began_again() {
        let mut ports = Ports::default();
        ports.take(&sample(0, &[(1, 1000)]));
        ports.take(&sample(1, &[(1, 5)]));
        let since = Rates { connections: 5.0, bytes_in: 500.0, bytes_out: 5000.0 };
        assert_eq!(ports.all()[0].rates, Some(since));
        // The same moment again: no rate, and no division by zero.
        ports.take(&sample(1, &[(1, 5)]));
        assert_eq!(ports.all()[0].rates, None);
    }

    #[test]
    fn history_is_bounded_and_goes_with_traffic_and_with_the_port() {
        let mut ports = Ports::default();
        for second in 0..200 {
            ports.take(&sample(second, &[(1, second), (2, 9)]));
        }
        let lengths: Vec<_> = ports.all().iter().map(|port| port.history.len()).collect();
        assert_eq!(lengths, [HISTORY, 0]);
        for second in 200..260 {
            assert_eq!(ports.all()[0].history.len(), HISTORY);
            ports.take(&sample(second, &[(1, 199), (2, 9)]));
        }
        assert_eq!(ports.all()[0].history.capacity(), 0);
        ports.take(&sample(261, &[(2, 9)]));
        assert_eq!((ports.all().len(), ports.by_name.len(), ports.last.len()), (1, 1, 1));
        assert_eq!(ports.place(&ports.all()[0].name), Some(0));
    }
}
