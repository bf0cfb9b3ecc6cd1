//! The Services that are asked for.

use std::net::{IpAddr, SocketAddr};

use trimtab_admin::{Frontend, Selection};

/// What is shown: everything, a Service, or who has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// All Services, or those of a namespace.
    All(Option<String>),
    /// A Service: namespace and name.
    Service(String, String),
    /// A VIP or an address of the node, and perhaps a port.
    Address(IpAddr, Option<u16>),
}

impl Target {
    /// From the arguments: `-n NAMESPACE` and `SERVICE`, `NAMESPACE/SERVICE`, `VIP` or `VIP:PORT`.
    ///
    /// # Errors
    /// If they contradict each other.
    pub(crate) fn new(namespace: Option<&str>, text: Option<&str>) -> Result<Self, String> {
        let Some(text) = text else { return Ok(Self::All(namespace.map(ToOwned::to_owned))) };
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let address = match (bare.parse::<IpAddr>(), text.parse::<SocketAddr>()) {
            (Ok(address), _) => Some(Self::Address(address, None)),
            (_, Ok(socket)) => Some(Self::Address(socket.ip(), Some(socket.port()))),
            _ => None,
        };
        match (address, namespace, text.split_once('/')) {
            (Some(_), Some(_), _) => Err(format!("{text}: an address has no namespace")),
            (Some(address), None, _) => Ok(address),
            (None, Some(other), Some((namespace, _))) if other != namespace => {
                Err(format!("{text}: is not in the namespace {other}"))
            }
            (None, _, Some((namespace, name))) => {
                Ok(Self::Service(namespace.to_owned(), name.to_owned()))
            }
            // As kubectl.
            (None, _, None) => {
                Ok(Self::Service(namespace.unwrap_or("default").to_owned(), text.to_owned()))
            }
        }
    }

    pub(crate) fn selection(&self) -> Selection {
        match self.clone() {
            Self::All(namespace) => Selection { namespace, ..Selection::default() },
            Self::Service(namespace, name) => {
                let (namespace, name) = (Some(namespace), Some(name));
                Selection { namespace, name, ..Selection::default() }
            }
            Self::Address(address, port) => {
                Selection { address: Some(address), port, ..Selection::default() }
            }
        }
    }

    /// Of a Service's frontends, leaves those that are asked for, and what clients inside get instead.
    pub(crate) fn keep(&self, frontends: &mut Vec<Frontend>) {
        let Self::Address(address, port) = self else { return };
        let is_asked = |it: &Frontend| {
            it.address == Some(*address) && port.is_none_or(|port| it.port == Some(port))
        };
        let asked = frontends.iter().filter(|it| is_asked(it));
        let marks: Vec<(u32, bool)> =
            asked.filter_map(|it| Some((it.inside_mark?, it.ipv6))).collect();
        let is_inside =
            |it: &Frontend| it.mark.is_some_and(|mark| marks.contains(&(mark, it.ipv6)));
        frontends.retain(|it| is_asked(it) || is_inside(it));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_an_address_or_a_service() {
        let target = |namespace, text| Target::new(namespace, Some(text));
        let service =
            |namespace: &str, name: &str| Ok(Target::Service(namespace.into(), name.into()));
        let address = |text: &str, port| Ok(Target::Address(text.parse().unwrap(), port));
        assert_eq!(target(None, "web"), service("default", "web"));
        assert_eq!(target(Some("shop"), "web"), service("shop", "web"));
        assert_eq!(target(None, "shop/web"), service("shop", "web"));
        assert_eq!(target(Some("shop"), "shop/web"), service("shop", "web"));
        assert!(target(Some("n"), "shop/web").is_err());
        assert_eq!(target(None, "10.96.0.1"), address("10.96.0.1", None));
        assert_eq!(target(None, "10.96.0.1:80"), address("10.96.0.1", Some(80)));
        assert_eq!(target(None, "fd00::1"), address("fd00::1", None));
        assert_eq!(target(None, "[fd00::1]"), address("fd00::1", None));
        assert_eq!(target(None, "[fd00::1]:80"), address("fd00::1", Some(80)));
        assert!(target(Some("n"), "10.96.0.1").is_err());
        assert_eq!(Target::new(Some("n"), None), Ok(Target::All(Some("n".to_owned()))));
    }
}
