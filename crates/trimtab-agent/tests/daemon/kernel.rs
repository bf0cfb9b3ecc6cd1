//! A fake kernel, shared by the daemon and the test.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use hashbrown::HashSet;
use trimtab_core::{
    Counters, Family, Frontend, RealServer, RealServerKey, SetElement, SetId, VirtualServer,
};
use trimtab_reconcile::ports::{
    Auditing, DataPlane, HostCheck, Metering, Observer, PortError, RealServerCounters,
};
use trimtab_reconcile::{Action, Kernel, KernelState, Phase, Refused, VirtualServerState};

/// What the auditor or the loop reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Elements(SetId),
    Addresses,
    Connections,
}

/// IPVS's module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Module {
    /// It is as it was.
    #[default]
    Same,
    /// It was loaded again, and nobody knows.
    LoadedAgain,
    /// An operation has found that out.
    FoundAgain,
}

/// The state of the fake kernel, and the requests it has received.
#[derive(Default)]
pub(crate) struct Inside {
    pub(crate) state: KernelState,
    /// Operations applied, as text.
    pub(crate) log: Vec<String>,
    /// Operations whose text contains this are refused.
    pub(crate) refuse: Option<String>,
    /// A scheduler that it lacks.
    pub(crate) lacks: Option<String>,
    /// VIPs that an earlier configuration bound another way.
    pub(crate) bound_otherwise: Vec<IpAddr>,
    /// Connections of every real server.
    pub(crate) connections: u64,
    /// Whether reads of the loop are logged, too.
    pub(crate) log_questions: bool,
    /// How often the auditor checked what does not depend on Services.
    pub(crate) host_checks: u32,
    /// How often it checked only the dummy interface, and only the rules.
    pub(crate) interface_checks: u32,
    pub(crate) rule_checks: u32,
    /// Whether sets must be created again.
    pub(crate) sets_are_gone: bool,
    /// How often the elements of all sets were read, and the VIPs.
    pub(crate) element_reads: u32,
    pub(crate) address_reads: u32,
    /// The CPU time that reading has taken, and how much reading the real servers of one virtual
    /// server takes.
    pub(crate) cpu_time: Duration,
    pub(crate) read_cost: Duration,
    /// What each real server counts, for every virtual server that it is behind.
    pub(crate) counters: Counters,
    /// Requests for counters: of all virtual servers, and of the real servers of one.
    pub(crate) counter_reads: (u32, u32),
    /// The processor time that reading the counters of all virtual servers takes.
    pub(crate) counter_cost: Duration,
    /// Whether something that does not depend on Services cannot be repaired.
    pub(crate) host_fails: bool,
    /// How many more times preparing the host fails.
    pub(crate) unprepared: u32,
    /// What became of IPVS's module.
    pub(crate) module: Module,
    /// A hook that runs after something has been read and before it is returned.
    pub(crate) meanwhile: Option<(Read, Box<dyn FnOnce() + Send>)>,
}

impl std::fmt::Debug for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inside").field("state", &self.state).finish_non_exhaustive()
    }
}

/// A handle to it; clones share the kernel.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeKernel(Arc<Mutex<Inside>>);

impl FakeKernel {
    pub(crate) fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    /// For comparisons.
    pub(crate) fn reader(&self) -> FakeReader {
        FakeReader(self.clone())
    }

    /// What has been done since the last call.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.inside().log)
    }

    fn has_read(&self, read: Read) {
        let meanwhile = self.inside().meanwhile.take_if(|(when, _)| *when == read);
        if let Some((_, happen)) = meanwhile {
            happen();
        }
    }
}

impl Kernel for FakeKernel {
    fn apply(&mut self, _phase: Phase, actions: &[&Action]) -> Vec<(usize, Refused)> {
        let mut inside = self.inside();
        if inside.module == Module::LoadedAgain {
            inside.module = Module::FoundAgain;
        }
        let mut refused = Vec::new();
        for (position, action) in actions.iter().enumerate() {
            let words = action.to_string();
            if inside.lacks.as_ref().is_some_and(|name| words.ends_with(&format!("({name})"))) {
                refused.push((position, Refused::NoScheduler("no such scheduler".into())));
            } else if inside.refuse.as_ref().is_some_and(|part| words.contains(part)) {
                refused.push((position, Refused::Other("no".into())));
            } else if let Err(why) = inside.state.act(action) {
                refused.push((position, why));
            } else {
                inside.log.push(words);
            }
        }
        refused
    }
}

impl Observer for FakeKernel {
    fn elements(&mut self, set: SetId) -> Result<Vec<SetElement>, PortError> {
        let inside = self.inside();
        Ok(inside.state.elements.iter().filter(|(s, _)| *s == set).map(|(_, e)| *e).collect())
    }

    fn addresses(&mut self) -> Result<Vec<IpAddr>, PortError> {
        Ok(self.inside().state.addresses.iter().copied().collect())
    }

    fn virtual_servers(&mut self) -> Result<Vec<VirtualServer>, PortError> {
        Ok(self.inside().state.virtual_servers.values().map(|s| s.server.clone()).collect())
    }

    fn real_servers(&mut self, frontend: &Frontend) -> Result<Vec<RealServer>, PortError> {
        let inside = self.inside();
        let server = inside.state.virtual_servers.get(frontend);
        Ok(server.into_iter().flat_map(|s| s.real_servers.values().copied()).collect())
    }
}

impl DataPlane for FakeKernel {
    fn prepare(&mut self) -> Result<(), PortError> {
        let mut inside = self.inside();
        if let Some(fewer) = inside.unprepared.checked_sub(1) {
            inside.unprepared = fewer;
            return Err("the lock is held".into());
        }
        inside.log.push("prepare".to_owned());
        Ok(())
    }

    fn take_renewed(&mut self) -> bool {
        let mut inside = self.inside();
        let found = inside.module == Module::FoundAgain;
        if found {
            inside.module = Module::Same;
        }
        found
    }

    fn retire_other_binding(&mut self, keep: &HashSet<IpAddr>) -> Result<usize, PortError> {
        let mut inside = self.inside();
        let before = inside.bound_otherwise.len();
        inside.bound_otherwise.retain(|vip| keep.contains(vip));
        Ok(before - inside.bound_otherwise.len())
    }

    fn virtual_server(&mut self, frontend: &Frontend) -> Result<Option<VirtualServer>, PortError> {
        Ok(self.inside().state.virtual_servers.get(frontend).map(|s| s.server.clone()))
    }

    fn forget_unserved(
        &mut self,
        family: Family,
        frontends: &[Frontend],
    ) -> Result<usize, PortError> {
        let own = frontends.iter().filter(|frontend| frontend.family() == family);
        let words = own.map(|frontend| format!("forget flows to {frontend}"));
        self.inside().log.extend(words);
        Ok(0)
    }

    fn connections(&mut self, frontend: &Frontend) -> Result<Vec<(RealServerKey, u64)>, PortError> {
        let connections = self.inside().connections;
        if self.inside().log_questions {
            self.inside().log.push("ask for connections".to_owned());
        }
        self.has_read(Read::Connections);
        Ok(self
            .real_servers(frontend)?
            .into_iter()
            .map(|server| (server.key, connections))
            .collect())
    }
}

/// The fake kernel as a comparison reads it.
#[derive(Debug)]
pub(crate) struct FakeReader(FakeKernel);

impl Observer for FakeReader {
    fn elements(&mut self, set: SetId) -> Result<Vec<SetElement>, PortError> {
        let elements = self.0.elements(set);
        self.0.inside().element_reads += u32::from(Some(set) == SetId::all().next());
        self.0.has_read(Read::Elements(set));
        elements
    }

    fn addresses(&mut self) -> Result<Vec<IpAddr>, PortError> {
        let addresses = self.0.addresses();
        self.0.inside().address_reads += 1;
        self.0.has_read(Read::Addresses);
        addresses
    }

    fn virtual_servers(&mut self) -> Result<Vec<VirtualServer>, PortError> {
        self.0.virtual_servers()
    }

    fn real_servers(&mut self, frontend: &Frontend) -> Result<Vec<RealServer>, PortError> {
        let mut inside = self.0.inside();
        let cost = inside.read_cost;
        inside.cpu_time += cost;
        drop(inside);
        self.0.real_servers(frontend)
    }
}

impl Auditing for FakeReader {
    fn check_host(&mut self) -> HostCheck {
        let mut inside = self.0.inside();
        inside.host_checks += 1;
        let failed = inside.host_fails.then(|| "cannot repair the host".into());
        HostCheck { failed: failed.into_iter().collect(), ..HostCheck::default() }
    }

    fn check_interface(&mut self) -> HostCheck {
        self.0.inside().interface_checks += 1;
        HostCheck::default()
    }

    fn check_rules(&mut self) -> HostCheck {
        let mut inside = self.0.inside();
        inside.rule_checks += 1;
        let made_sets = std::mem::take(&mut inside.sets_are_gone);
        HostCheck { made_sets, ..HostCheck::default() }
    }

    fn virtual_server_count(&mut self) -> Option<usize> {
        Some(self.0.inside().state.virtual_servers.len())
    }

    fn cpu_time(&self) -> Duration {
        self.0.inside().cpu_time
    }
}

impl Metering for FakeReader {
    fn virtual_server_counters(&mut self) -> Result<Vec<(Frontend, Counters)>, PortError> {
        let mut inside = self.0.inside();
        inside.counter_reads.0 += 1;
        let cost = inside.counter_cost;
        inside.cpu_time += cost;
        let counted = |server: &VirtualServerState| {
            let mut sum = Counters::default();
            (0..server.real_servers.len()).for_each(|_| sum += inside.counters);
            sum
        };
        let servers = inside.state.virtual_servers.iter();
        Ok(servers.map(|(frontend, server)| (*frontend, counted(server))).collect())
    }

    fn real_server_counters(
        &mut self,
        frontend: &Frontend,
    ) -> Result<Vec<RealServerCounters>, PortError> {
        let servers = self.0.real_servers(frontend)?;
        let mut inside = self.0.inside();
        inside.counter_reads.1 += 1;
        let cost = inside.read_cost;
        inside.cpu_time += cost;
        let counters = inside.counters;
        let counted = |key| RealServerCounters { key, counters, active: 2, inactive: 1 };
        Ok(servers.into_iter().map(|server| counted(server.key)).collect())
    }

    fn cpu_time(&self) -> Duration {
        self.0.inside().cpu_time
    }
}
