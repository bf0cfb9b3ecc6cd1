//! What a path asks for.

use super::Resource;
use super::write::Half;

/// The thing behind a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    /// Objects, or one object.
    Objects { resource: Resource, namespace: Option<&'a str>, name: Option<&'a str>, half: Half },
    /// A document that says what is served.
    Discovery(Discovery<'a>),
    /// `/healthz` and its kin.
    Health,
    /// The fixture's own controls, by the rest of the path.
    Control(&'a str),
}

/// A discovery document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discovery<'a> {
    Version,
    CoreVersions,
    Groups,
    Group(&'a str),
    Resources { group: &'a str, version: &'a str },
    OpenApi,
    OpenApiOf { group: &'a str, version: &'a str },
}

impl<'a> Route<'a> {
    /// Reads a path; `None` if nothing is there.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        match segments.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => Some(Self::Health),
            ["_fixture", what] => Some(Self::Control(what)),
            ["version"] => Some(Self::Discovery(Discovery::Version)),
            ["api"] => Some(Self::Discovery(Discovery::CoreVersions)),
            ["apis"] => Some(Self::Discovery(Discovery::Groups)),
            ["apis", group] => Some(Self::Discovery(Discovery::Group(group))),
            ["openapi", "v3"] => Some(Self::Discovery(Discovery::OpenApi)),
            ["openapi", "v3", "api", version] => {
                Some(Self::Discovery(Discovery::OpenApiOf { group: "", version }))
            }
            ["openapi", "v3", "apis", group, version] => {
                Some(Self::Discovery(Discovery::OpenApiOf { group, version }))
            }
            ["api", version] => Some(Self::Discovery(Discovery::Resources { group: "", version })),
            ["apis", group, version] => {
                Some(Self::Discovery(Discovery::Resources { group, version }))
            }
            ["api", version, rest @ ..] => Self::objects("", version, rest),
            ["apis", group, version, rest @ ..] => Self::objects(group, version, rest),
            _ => None,
        }
    }

    fn objects(group: &str, version: &str, rest: &[&'a str]) -> Option<Self> {
        let find = |plural| Resource::find(group, version, plural);
        // A namespace has a status, and there is no kind of that name: the two forms differ.
        let (resource, namespace, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] if find(plural).is_some() => {
                (find(plural)?, Some(*namespace), rest)
            }
            [plural, rest @ ..] => (find(plural)?, None, rest),
            [] => return None,
        };
        let (name, half) = match rest {
            [] => (None, Half::Main),
            [name] => (Some(*name), Half::Main),
            [name, "status"] if resource.definition().has_status => (Some(*name), Half::Status),
            _ => return None,
        };
        let fits = match (resource.is_namespaced(), namespace, name) {
            (true, None, Some(_)) | (false, Some(_), _) => false,
            (true, Some(_), _) | (true, None, None) | (false, None, _) => true,
        };
        fits.then_some(Self::Objects { resource, namespace, name, half })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_objects() {
        use Resource::{EndpointSlices, Namespaces, Nodes, Services};
        let objects = |resource, namespace, name, half| {
            Some(Route::Objects { resource, namespace, name, half })
        };
        for (path, route) in [
            ("/api/v1/services", objects(Services, None, None, Half::Main)),
            ("/api/v1/namespaces/a/services", objects(Services, Some("a"), None, Half::Main)),
            (
                "/api/v1/namespaces/a/services/b/status",
                objects(Services, Some("a"), Some("b"), Half::Status),
            ),
            ("/api/v1/namespaces", objects(Namespaces, None, None, Half::Main)),
            ("/api/v1/namespaces/a", objects(Namespaces, None, Some("a"), Half::Main)),
            ("/api/v1/namespaces/a/status", objects(Namespaces, None, Some("a"), Half::Status)),
            ("/api/v1/nodes/n", objects(Nodes, None, Some("n"), Half::Main)),
            (
                "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/b",
                objects(EndpointSlices, Some("a"), Some("b"), Half::Main),
            ),
        ] {
            assert_eq!(Route::parse(path), route, "{path}");
        }
    }

    #[test]
    fn paths_that_no_server_has_lead_nowhere() {
        for path in [
            "/",
            "/api/v1/services/web",
            "/api/v1/namespaces/a/nodes",
            "/api/v1/namespaces/a/nodes/n",
            "/api/v1/namespaces/a/services/b/scale",
            "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/b/status",
            "/apis/discovery.k8s.io/v1beta1/endpointslices",
            "/api/v1/gadgets",
            "/openapi/v2",
        ] {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
