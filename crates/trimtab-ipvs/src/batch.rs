//! Operations, encoded as messages.

use trimtab_core::{Frontend, RealServer, RealServerKey, VirtualServer};
use trimtab_netlink::Failure;

use crate::operation::OperationRef;
use crate::{Operation, SyncDaemon, SyncRole, Timeouts, wire};

/// Operations in the order in which the kernel executes them. Each is encoded directly into one
/// buffer, without an allocation of its own; [`Client::apply`](crate::Client::apply) sends it.
///
/// Every method that adds an operation returns its index; a [`Report`](crate::Report) refers to
/// operations by index.
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

    /// The netlink messages; the family's number and the sequence numbers are filled in when they
    /// are sent.
    pub fn as_bytes(&self) -> &[u8] {
        self.messages.as_bytes()
    }

    /// Operation `index`, decoded from its message; `None` if there is none, or if it cannot be
    /// expressed in the kernel's interface and is therefore refused (mark 0, a prefix longer than
    /// the family's).
    pub fn operation(&self, index: usize) -> Option<Operation> {
        wire::decode_request(self.messages.payload(index)?).ok()?.ok()
    }

    /// The text of a refusal: the operation, the kernel's error, and its meaning for this
    /// operation.
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

    /// Adds a virtual server. The kernel refuses it if it exists (`EEXIST`) or if there is no
    /// module for its scheduler or persistence engine (`ENOENT`).
    pub fn add_virtual_server(&mut self, server: &VirtualServer) -> usize {
        self.append(OperationRef::AddVirtualServer(server))
    }

    /// Replaces all options of a virtual server: flags that are not set are switched off. Its real
    /// servers and connections stay. The kernel refuses it if the virtual server does not exist
    /// (`ESRCH`).
    pub fn set_virtual_server(&mut self, server: &VirtualServer) -> usize {
        self.append(OperationRef::SetVirtualServer(server))
    }

    /// Deletes a virtual server, with its real servers. The kernel refuses it if the virtual server
    /// does not exist (`ESRCH`).
    pub fn delete_virtual_server(&mut self, frontend: &Frontend) -> usize {
        self.append(OperationRef::DeleteVirtualServer(frontend))
    }

    /// Adds a real server. The kernel refuses it if it exists (`EEXIST`), if its virtual server
    /// does not exist (`ESRCH`), or if its address is not unicast (`EINVAL`).
    pub fn add_real_server(&mut self, frontend: &Frontend, server: &RealServer) -> usize {
        self.append(OperationRef::AddRealServer(frontend, server))
    }

    /// Replaces all options of a real server; its connections stay. The kernel refuses it if the
    /// real server does not exist (`ENOENT`; `ESRCH` for its virtual server).
    pub fn set_real_server(&mut self, frontend: &Frontend, server: &RealServer) -> usize {
        self.append(OperationRef::SetRealServer(frontend, server))
    }

    /// Deletes a real server. The kernel refuses it if the real server does not exist (`ENOENT`;
    /// `ESRCH` for its virtual server).
    pub fn delete_real_server(&mut self, frontend: &Frontend, key: &RealServerKey) -> usize {
        self.append(OperationRef::DeleteRealServer(frontend, key))
    }

    /// Resets the counters of a virtual server and its real servers, or all counters, to 0.
    pub fn zero(&mut self, frontend: Option<&Frontend>) -> usize {
        self.append(OperationRef::Zero(frontend))
    }

    /// Deletes every virtual server of this network namespace, whoever created it.
    pub fn flush(&mut self) -> usize {
        self.append(OperationRef::Flush)
    }

    /// Changes timeouts.
    pub fn set_timeouts(&mut self, timeouts: &Timeouts) -> usize {
        self.append(OperationRef::SetTimeouts(timeouts))
    }

    /// Starts a sync daemon. The kernel refuses it if one with this role is running (`EEXIST`), if
    /// the interface does not exist (`ENODEV`), or if there is a real server of another family than
    /// its virtual server (`EINVAL`).
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
