//! Which Services a question is about.

use std::net::IpAddr;

use form_urlencoded::Serializer;

/// Which Services a question is about: all of them unless something else is said. `name` needs a
/// `namespace`; an `address` excludes both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of this namespace.
    pub namespace: Option<String>,
    /// The one of this name.
    pub name: Option<String>,
    /// Those that ask for a frontend at this address.
    pub address: Option<IpAddr>,
    /// With an address: at this port.
    pub port: Option<u16>,
    /// The `next` of the page before; the first page if there is none.
    pub from: Option<String>,
    /// The most rows of a page, 3 to 1000; 500 if nothing is said. Each Service, each frontend and each
    /// real server is one.
    pub limit: Option<usize>,
}

/// The most rows of a page.
const MOST_ROWS: usize = 1000;
/// The rows of a page if nothing is said.
const USUAL_ROWS: usize = 500;

impl Selection {
    /// As the query of a URL.
    pub fn to_query(&self) -> String {
        let mut query = Serializer::new(String::new());
        let mut add = |key: &str, value: Option<String>| {
            if let Some(value) = value {
                query.append_pair(key, &value);
            }
        };
        add("namespace", self.namespace.clone());
        add("name", self.name.clone());
        add("address", self.address.map(|address| address.to_string()));
        add("port", self.port.map(|port| port.to_string()));
        add("from", self.from.clone());
        add("limit", self.limit.map(|limit| limit.to_string()));
        query.finish()
    }

    /// From the query of a URL.
    ///
    /// # Errors
    /// Which parameter is wrong, in words.
    pub fn of_query(query: &str) -> Result<Self, String> {
        let mut selection = Self::default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let wrong = |expected: &str| format!("{key}: expected {expected}, found {value:?}");
            match &*key {
                "namespace" => selection.namespace = Some(value.into_owned()),
                "name" => selection.name = Some(value.into_owned()),
                "address" => {
                    let address = value.parse().map_err(|_| wrong("an IP address"))?;
                    selection.address = Some(address);
                }
                "port" => selection.port = Some(value.parse().map_err(|_| wrong("a port"))?),
                "from" => selection.from = Some(value.into_owned()),
                "limit" => {
                    let limit = value.parse().map_err(|_| wrong("a number of rows"))?;
                    selection.limit = Some(limit);
                }
                _ => return Err(format!("unknown parameter {key:?}")),
            }
        }
        if selection.name.is_some() && selection.namespace.is_none() {
            return Err("name: needs a namespace".to_owned());
        }
        if selection.port.is_some() && selection.address.is_none() {
            return Err("port: needs an address".to_owned());
        }
        if selection.address.is_some() && selection.namespace.is_some() {
            return Err("address: excludes a namespace".to_owned());
        }
        Ok(selection)
    }

    /// The rows of a page.
    pub fn rows(&self) -> usize {
        self.limit.unwrap_or(USUAL_ROWS).min(MOST_ROWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_the_same_after_a_url() {
        let one = Selection {
            namespace: Some("a&b =".to_owned()),
            name: Some("größer/\n".to_owned()),
            from: Some("1.2/a/b".to_owned()),
            limit: Some(7),
            ..Selection::default()
        };
        let other = Selection {
            address: Some("fd00::1".parse().unwrap()),
            port: Some(80),
            ..Selection::default()
        };
        for selection in [Selection::default(), one, other] {
            assert_eq!(Selection::of_query(&selection.to_query()), Ok(selection));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, why) in [
            ("address=10.0.0", "address: expected an IP address, found \"10.0.0\""),
            ("address=10.0.0.1&port=65536", "port: expected a port, found \"65536\""),
            ("limit=-1", "limit: expected a number of rows, found \"-1\""),
            ("name=web", "name: needs a namespace"),
            ("port=80", "port: needs an address"),
            ("address=10.0.0.1&namespace=n", "address: excludes a namespace"),
            ("colour=%1b", "unknown parameter \"colour\""),
        ] {
            assert_eq!(Selection::of_query(query), Err(why.to_owned()));
        }
    }

    #[test]
    fn no_page_has_more_rows_than_the_daemon_has_time_for() {
        let rows = |limit| Selection { limit, ..Selection::default() }.rows();
        assert_eq!([None, Some(7), Some(1_000_000)].map(rows), [USUAL_ROWS, 7, MOST_ROWS]);
    }
}
