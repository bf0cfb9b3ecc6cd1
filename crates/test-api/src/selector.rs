//! Label and field selectors: their text, and whether an object is chosen.

use super::field;
use super::object::Object;
use super::{Refusal, Resource};

/// Which objects of one kind a list or watch is about.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) namespace: Option<String>,
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
}

impl Filter {
    /// Whether an object under `key` is chosen.
    pub(crate) fn matches(&self, key: &str, object: &Object) -> bool {
        let (namespace, name) = key.split_once('/').unwrap_or(("", key));
        self.namespace.as_ref().is_none_or(|wanted| wanted == namespace)
            && self.labels.matches(object)
            && self.fields.matches(namespace, name, object)
    }

    /// Whether only the namespace chooses, so that what is left of a list can be counted.
    pub(crate) fn is_unselective(&self) -> bool {
        self.labels.0.is_empty() && self.fields.0.is_empty()
    }
}

/// `app=web,tier in (a,b),!legacy`: all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    demand: Demand,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Demand {
    Exists,
    Absent,
    In(Vec<String>),
    /// Also met by an object without the label.
    NotIn(Vec<String>),
}

impl LabelSelector {
    /// Reads the grammar of `labels.Parse` in apimachinery, without `<` and `>`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        split_outside_parentheses(text).map(Requirement::parse).collect::<Result<_, _>>().map(Self)
    }

    fn matches(&self, object: &Object) -> bool {
        self.0.iter().all(|requirement| {
            let value = object.labels().find(|(key, _)| *key == requirement.key).map(|(_, v)| v);
            let is_in = |values: &[String]| value.is_some_and(|v| values.iter().any(|w| w == v));
            match &requirement.demand {
                Demand::Exists => value.is_some(),
                Demand::Absent => value.is_none(),
                Demand::In(values) => is_in(values),
                Demand::NotIn(values) => !is_in(values),
            }
        })
    }
}

impl Requirement {
    fn parse(text: &str) -> Result<Self, Refusal> {
        let text = text.trim();
        let (key, demand) = if let Some(key) = text.strip_prefix('!') {
            (key, Demand::Absent)
        } else if let Some((key, value)) = text.split_once("!=") {
            (key, Demand::NotIn(vec![value.trim().to_owned()]))
        } else if let Some((key, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (key, Demand::In(vec![value.trim().to_owned()]))
        } else if let Some((key, set)) = text.split_once('(') {
            let Some(set) = set.strip_suffix(')') else { return Err(unreadable(text)) };
            let values = set.split(',').map(|value| value.trim().to_owned()).collect();
            match key.trim().rsplit_once(char::is_whitespace) {
                Some((key, "in")) => (key, Demand::In(values)),
                Some((key, "notin")) => (key, Demand::NotIn(values)),
                _ => return Err(unreadable(text)),
            }
        } else {
            (text, Demand::Exists)
        };
        let key = key.trim();
        let is_key_byte =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        if key.is_empty() || !key.bytes().all(is_key_byte) {
            return Err(unreadable(text));
        }
        Ok(Self { key: key.to_owned(), demand })
    }
}

fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.split(move |c| {
        match c {
            '(' => inside = true,
            ')' => inside = false,
            _ => {}
        }
        c == ',' && !inside
    })
}

fn unreadable(text: &str) -> Refusal {
    Refusal::BadRequest(format!("unable to parse requirement: {text:?}"))
}

/// `spec.clusterIP!=None,metadata.name=web`: all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<FieldRequirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    path: String,
    equal: bool,
    value: String,
    /// What an object has that does not say.
    default: &'static str,
}

impl FieldSelector {
    /// Reads the grammar of `fields.ParseSelector`; only the fields that an API server offers for
    /// this kind are understood.
    pub(crate) fn parse(resource: Resource, text: &str) -> Result<Self, Refusal> {
        text.split(',')
            .filter(|part| !part.trim().is_empty())
            .map(|part| FieldRequirement::parse(resource, part.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The selector for one name.
    pub(crate) fn name(name: &str) -> Self {
        Self(vec![FieldRequirement {
            path: "metadata.name".into(),
            equal: true,
            value: name.to_owned(),
            default: "",
        }])
    }

    fn matches(&self, namespace: &str, name: &str, object: &Object) -> bool {
        self.0.iter().all(|requirement| {
            let is_equal = match requirement.path.as_str() {
                "metadata.name" => name == requirement.value,
                "metadata.namespace" => namespace == requirement.value,
                path => {
                    let path: Vec<&str> = path.split('.').collect();
                    field::scalar(object.json(), &path).as_deref().unwrap_or(requirement.default)
                        == requirement.value
                }
            };
            is_equal == requirement.equal
        })
    }
}

impl FieldRequirement {
    fn parse(resource: Resource, text: &str) -> Result<Self, Refusal> {
        let (path, value, equal) = if let Some((path, value)) = text.split_once("!=") {
            (path, value, false)
        } else if let Some((path, value)) = text.split_once("==").or_else(|| text.split_once('=')) {
            (path, value, true)
        } else {
            return Err(Refusal::BadRequest(format!(
                "invalid selector: {text:?}; can't understand it"
            )));
        };
        let default = match path {
            "metadata.name" | "metadata.namespace" => "",
            _ => {
                let known = resource.definition().fields.iter().find(|(label, _)| *label == path);
                let Some((_, default)) = known else {
                    return Err(Refusal::BadRequest(format!(
                        "field label not supported: {path} (kind {})",
                        resource.kind()
                    )));
                };
                default
            }
        };
        Ok(Self { path: path.to_owned(), equal, value: value.to_owned(), default })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(labels: &Value, cluster_ip: &str) -> Object {
        let value = json!({"metadata": {"labels": labels}, "spec": {"clusterIP": cluster_ip}});
        let Value::Object(map) = value else { panic!("not an object") };
        Object::encode(Resource::Services, 1, map)
    }

    #[test]
    fn labels_choose_as_in_kubernetes() {
        let web = service(&json!({"app": "web", "tier": "front", "empty": ""}), "10.96.0.1");
        for (text, chosen) in [
            ("", true),
            ("app", true),
            ("!app", false),
            ("!service.kubernetes.io/headless", true),
            ("app=web", true),
            ("app==web", true),
            ("app = web , tier=front", true),
            ("app!=web", false),
            ("missing!=web", true),
            ("app=db", false),
            ("app in (db, web)", true),
            ("app in (db,cache),tier", false),
            ("app notin (db,cache)", true),
            ("missing notin (a)", true),
            ("tier in (front),app notin (web)", false),
            ("empty=", true),
            ("app=", false),
        ] {
            let selector = LabelSelector::parse(text).unwrap();
            assert_eq!(selector.matches(&web), chosen, "{text}");
        }
    }

    #[test]
    fn unreadable_selectors_are_refused() {
        for text in ["app in web", "app in (web", "=web", "a b", "!", "app>1", "app,,tier"] {
            assert_eq!(LabelSelector::parse(text).unwrap_err().code(), 400, "{text}");
        }
        for text in ["spec.clusterIP", "spec.ports=1"] {
            let parsed = FieldSelector::parse(Resource::Services, text);
            assert_eq!(parsed.unwrap_err().code(), 400, "{text}");
        }
    }

    #[test]
    fn fields_choose_by_key_and_by_content() {
        let headless = service(&json!({}), "None");
        for (text, chosen) in [
            ("metadata.name=web", true),
            ("metadata.name=db", false),
            ("metadata.namespace!=prod", false),
            ("spec.clusterIP!=None", false),
            ("spec.clusterIP=None,metadata.namespace=prod", true),
            ("spec.type=ClusterIP", true),
        ] {
            let selector = FieldSelector::parse(Resource::Services, text).unwrap();
            let filter = Filter { fields: selector, ..Filter::default() };
            assert_eq!(filter.matches("prod/web", &headless), chosen, "{text}");
        }
    }
}
