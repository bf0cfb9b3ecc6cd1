//! Operations, laid out as messages.

use trimtab_core::{Frontend, RealServer, RealServerKey, VirtualServer};
use trimtab_netlink::Failure;

use crate::operation::OperationRef;
use crate::{Operation, SyncDaemon, SyncRole, Timeouts, wire};

/// Operations in the order in which the kernel shall do them. Each is written straight into one
/// buffer, without an allocation of its own; [`Client::apply`](crate::Client::apply) sends it.
///
/// Every method that adds an operation returns its index, by which a
/// [`Report`](crate::Report) names it.
///
/// ```
/// use trimtab_core::{Frontend, Protocol, RealServer, RealServerKey, Scheduler, VirtualServer};
///
/// let frontend = Frontend::new(Protocol::Tcp, "10.96.0.1".parse()?, 443);
/// let mut batch = trimtab_ipvs::Batch::new();
/// batch.add_virtual_server(&VirtualServer::new(frontend, Scheduler::RoundRobin));
/// let key = RealServerKey::new("10.244.0.5".parse()?, 6443);
/// let index = batch.add_real_server(&frontend, &RealServer::masqueraded(key));
/// assert_eq!(
///     batch.operation(index).unwrap().to_string(),
///     "add real server 10.244.0.5:6443 to TCP 10.96.0.1:443",
/// );
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(crate) messages: trimtab_netlink::Batch,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations it holds.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Empties it, keeping the memory for the next use.
    pub fn clear(&mut self) {
        self.messages.clear();
    }

    /// The netlink messages, complete but for the family's and their own numbers until they are
    /// sent.
    pub fn as_bytes(&self) -> &[u8] {
        self.messages.as_bytes()
    }

    /// Operation `index`, read back from its message; `None` if there is none, or if it asks for
    /// what the kernel has no words for and so refuses (mark 0, a prefix beyond the family's).
    pub fn operation(&self, index: usize) -> Option<Operation> {
        wire::decode_request(self.messages.payload(index)?).ok()?.ok()
    }

    /// A refusal in words: what was asked, what the kernel said, and what it means by that.
    ///
    /// ```text
    /// cannot add virtual server TCP 10.96.0.1:443 foo: No such file or directory (os error 2):
    /// this kernel has no scheduler foo (module ip_vs_foo)
    /// ```
    pub fn explain(&self, failure: &Failure) -> String {
        let Some(operation) = self.operation(failure.index) else {
            return format!("cannot do operation {}: {}", failure.index, failure.refusal);
        };
        match operation.reason(failure.refusal.errno) {
            Some(reason) => format!("cannot {operation}: {}: {reason}", failure.refusal),
            None => format!("cannot {operation}: {}", failure.refusal),
        }
    }

    /// Adds any operation.
    pub fn push(&mut self, operation: &Operation) -> usize {
        self.append(operation.borrowed())
    }

    /// Makes a virtual server. The kernel refuses one that exists (`EEXIST`) and a scheduler or
    /// persistence engine it has no module for (`ENOENT`).
    pub fn add_virtual_server(&mut self, server: &VirtualServer) -> usize {
        self.append(OperationRef::AddVirtualServer(server))
    }

    /// Gives a virtual server these options, all of them: flags that are not set are switched off.
    /// Its real servers and connections stay. The kernel refuses one that is not there (`ESRCH`).
    pub fn set_virtual_server(&mut self, server: &VirtualServer) -> usize {
        self.append(OperationRef::SetVirtualServer(server))
    }

    /// Takes a virtual server away, with its real servers. The kernel refuses one that is not
    /// there (`ESRCH`).
    pub fn delete_virtual_server(&mut self, frontend: &Frontend) -> usize {
        self.append(OperationRef::DeleteVirtualServer(frontend))
    }

    /// Adds a real server. The kernel refuses one that exists (`EEXIST`), one whose virtual server
    /// is not there (`ESRCH`), and an address that is not unicast (`EINVAL`).
    pub fn add_real_server(&mut self, frontend: &Frontend, server: &RealServer) -> usize {
        self.append(OperationRef::AddRealServer(frontend, server))
    }

    /// Gives a real server these options, all of them; its connections stay. The kernel refuses
    /// one that is not there (`ENOENT`, or `ESRCH` for its virtual server).
    pub fn set_real_server(&mut self, frontend: &Frontend, server: &RealServer) -> usize {
        self.append(OperationRef::SetRealServer(frontend, server))
    }

    /// Takes a real server away. The kernel refuses one that is not there (`ENOENT`, or `ESRCH`
    /// for its virtual server).
    pub fn delete_real_server(&mut self, frontend: &Frontend, key: &RealServerKey) -> usize {
        self.append(OperationRef::DeleteRealServer(frontend, key))
    }

    /// Sets the counters of a virtual server and its real servers to 0, or all there are.
    pub fn zero(&mut self, frontend: Option<&Frontend>) -> usize {
        self.append(OperationRef::Zero(frontend))
    }

    /// Takes every virtual server of this network namespace away, whoever made it.
    pub fn flush(&mut self) -> usize {
        self.append(OperationRef::Flush)
    }

    /// Changes timeouts.
    pub fn set_timeouts(&mut self, timeouts: &Timeouts) -> usize {
        self.append(OperationRef::SetTimeouts(timeouts))
    }

    /// Starts a sync daemon. The kernel refuses a second of its role (`EEXIST`), an interface that
    /// is not there (`ENODEV`), and any beside a real server of its virtual server's other family
    /// (`EINVAL`).
    pub fn start_sync_daemon(&mut self, daemon: &SyncDaemon) -> usize {
        self.append(OperationRef::StartSyncDaemon(daemon))
    }

    /// Stops the sync daemon of this role. The kernel refuses if there is none (`ESRCH`).
    pub fn stop_sync_daemon(&mut self, role: SyncRole) -> usize {
        self.append(OperationRef::StopSyncDaemon(role))
    }

    fn append(&mut self, operation: OperationRef<'_>) -> usize {
        let index = self.messages.len();
        wire::encode_request(&mut self.messages, operation);
        index
    }
}
