//! Requests: operations to messages and back.

use netlink_packet_core::{DecodeError, NlasIterator};
use trimtab_core::{Frontend, RealServer};
use trimtab_netlink::flags;

use super::message::{Command, begin, split, value};
use super::{Decoded, config, constants as k, real_server, sync_daemon, virtual_server};
use crate::Operation;
use crate::operation::OperationRef;

/// Appends the message of an operation.
pub(crate) fn encode_request(batch: &mut trimtab_netlink::Batch, operation: OperationRef<'_>) {
    let mut message = begin(batch, command(operation), 0);
    let message = &mut message;
    match operation {
        OperationRef::AddVirtualServer(server) | OperationRef::SetVirtualServer(server) => {
            virtual_server::encode(message, server);
        }
        OperationRef::DeleteVirtualServer(frontend) | OperationRef::Zero(Some(frontend)) => {
            virtual_server::encode_frontend(message, frontend);
        }
        OperationRef::AddRealServer(frontend, server)
        | OperationRef::SetRealServer(frontend, server) => {
            virtual_server::encode_frontend(message, frontend);
            real_server::encode(message, server);
        }
        OperationRef::DeleteRealServer(frontend, key) => {
            virtual_server::encode_frontend(message, frontend);
            real_server::encode_key(message, key);
        }
        OperationRef::SetTimeouts(timeouts) => config::encode_timeouts(message, timeouts),
        OperationRef::StartSyncDaemon(daemon) => sync_daemon::encode(message, daemon),
        OperationRef::StopSyncDaemon(role) => sync_daemon::encode_role(message, role),
        OperationRef::Zero(None) | OperationRef::Flush => {}
    }
}

/// Appends a request to read: of one virtual server, or of its real servers, where a frontend is
/// given.
pub(crate) fn encode_read(
    batch: &mut trimtab_netlink::Batch,
    command: Command,
    frontend: Option<&Frontend>,
    dump: bool,
) {
    let mut message = begin(batch, command, if dump { flags::DUMP } else { 0 });
    if let Some(frontend) = frontend {
        virtual_server::encode_frontend(&mut message, frontend);
    }
}

const fn command(operation: OperationRef<'_>) -> Command {
    match operation {
        OperationRef::AddVirtualServer(_) => Command::NewVirtualServer,
        OperationRef::SetVirtualServer(_) => Command::SetVirtualServer,
        OperationRef::DeleteVirtualServer(_) => Command::DeleteVirtualServer,
        OperationRef::AddRealServer(..) => Command::NewRealServer,
        OperationRef::SetRealServer(..) => Command::SetRealServer,
        OperationRef::DeleteRealServer(..) => Command::DeleteRealServer,
        OperationRef::Zero(_) => Command::Zero,
        OperationRef::Flush => Command::Flush,
        OperationRef::SetTimeouts(_) => Command::SetConfig,
        OperationRef::StartSyncDaemon(_) => Command::NewSyncDaemon,
        OperationRef::StopSyncDaemon(_) => Command::DeleteSyncDaemon,
    }
}

/// Decodes a request, ours or another program's, to its operation.
///
/// # Errors
/// For bytes that are not an operation, such as a request to read.
pub fn decode_request(payload: &[u8]) -> Decoded<Operation> {
    let (command, attributes) = split(payload)?;
    let nests = Nests::find(attributes)?;
    Ok(match command {
        k::IPVS_CMD_NEW_SERVICE => virtual_server::decode(nests.service()?)?
            .map(|observed| Operation::AddVirtualServer(observed.server)),
        k::IPVS_CMD_SET_SERVICE => virtual_server::decode(nests.service()?)?
            .map(|observed| Operation::SetVirtualServer(observed.server)),
        k::IPVS_CMD_DEL_SERVICE => nests.frontend()?.map(Operation::DeleteVirtualServer),
        k::IPVS_CMD_NEW_DEST => nests.real_server(Operation::AddRealServer)?,
        k::IPVS_CMD_SET_DEST => nests.real_server(Operation::SetRealServer)?,
        k::IPVS_CMD_DEL_DEST => match nests.frontend()? {
            Ok(frontend) => real_server::decode_key(nests.destination()?, frontend.family())?
                .map(|key| Operation::DeleteRealServer(frontend, key)),
            Err(unsupported) => Err(unsupported),
        },
        k::IPVS_CMD_NEW_DAEMON => sync_daemon::decode(nests.daemon()?, Vec::new())?
            .map(|observed| Operation::StartSyncDaemon(observed.daemon)),
        k::IPVS_CMD_DEL_DAEMON => sync_daemon::decode(nests.daemon()?, Vec::new())?
            .map(|observed| Operation::StopSyncDaemon(observed.daemon.role)),
        k::IPVS_CMD_SET_CONFIG => Ok(Operation::SetTimeouts(config::parse_timeouts(attributes)?.0)),
        k::IPVS_CMD_ZERO if nests.service.is_none() => Ok(Operation::Zero(None)),
        k::IPVS_CMD_ZERO => nests.frontend()?.map(|frontend| Operation::Zero(Some(frontend))),
        k::IPVS_CMD_FLUSH => Ok(Operation::Flush),
        other => return Err(format!("command {other} changes nothing").into()),
    })
}

/// The objects of a request.
#[derive(Default)]
struct Nests<'a> {
    service: Option<&'a [u8]>,
    destination: Option<&'a [u8]>,
    daemon: Option<&'a [u8]>,
}

impl<'a> Nests<'a> {
    fn find(attributes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut nests = Self::default();
        for attribute in NlasIterator::new(attributes) {
            let attribute = attribute?;
            match attribute.kind() {
                k::IPVS_CMD_ATTR_SERVICE => nests.service = Some(value(attribute)),
                k::IPVS_CMD_ATTR_DEST => nests.destination = Some(value(attribute)),
                k::IPVS_CMD_ATTR_DAEMON => nests.daemon = Some(value(attribute)),
                _ => {}
            }
        }
        Ok(nests)
    }

    fn service(&self) -> Result<&'a [u8], DecodeError> {
        self.service.ok_or_else(|| "IPVS_CMD_ATTR_SERVICE is missing".into())
    }

    fn destination(&self) -> Result<&'a [u8], DecodeError> {
        self.destination.ok_or_else(|| "IPVS_CMD_ATTR_DEST is missing".into())
    }

    fn daemon(&self) -> Result<&'a [u8], DecodeError> {
        self.daemon.ok_or_else(|| "IPVS_CMD_ATTR_DAEMON is missing".into())
    }

    fn frontend(&self) -> Decoded<Frontend> {
        virtual_server::decode_frontend(self.service()?)
    }

    fn real_server(&self, operation: fn(Frontend, RealServer) -> Operation) -> Decoded<Operation> {
        let frontend = match self.frontend()? {
            Ok(frontend) => frontend,
            Err(unsupported) => return Ok(Err(unsupported)),
        };
        let decoded = real_server::decode(self.destination()?, frontend.family(), Vec::new())?;
        Ok(decoded.map(|observed| operation(frontend, observed.server)))
    }
}
