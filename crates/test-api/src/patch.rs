//! Merge patches: RFC 7396, and the part of Kubernetes' strategic merge that `kubectl` sends for
//! these kinds.

use serde_json::{Map, Value};

use super::Refusal;

/// The formats of a patch understood here; JSON Patch and server-side apply are not.
pub(crate) const ACCEPTED: &str =
    "application/merge-patch+json, application/strategic-merge-patch+json";

/// How lists are patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// RFC 7396: a list replaces a list.
    Merge,
    /// Lists with a merge key are merged element by element.
    Strategic,
}

impl Strategy {
    /// The strategy that a Content-Type names.
    pub(crate) fn of(media_type: &str) -> Result<Self, Refusal> {
        match media_type {
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            _ => Err(Refusal::UnsupportedMediaType { accepted: ACCEPTED }),
        }
    }

    /// Patches an object.
    pub(crate) fn apply(
        self,
        target: &mut Map<String, Value>,
        patch: Map<String, Value>,
    ) -> Result<(), Refusal> {
        match self {
            Self::Merge => {
                merge(target, patch);
                Ok(())
            }
            Self::Strategic => merge_strategically(target, patch),
        }
    }
}

fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.remove(&name);
            }
            Value::Object(patch) => merge(object_at(target, name), patch),
            value => {
                target.insert(name, value);
            }
        }
    }
}

/// The object under a name, which replaces anything else there.
fn object_at(target: &mut Map<String, Value>, name: String) -> &mut Map<String, Value> {
    let slot = target.entry(name).or_insert(Value::Null);
    if !slot.is_object() {
        *slot = Value::Object(Map::new());
    }
    match slot {
        Value::Object(object) => object,
        _ => unreachable!("made an object above"),
    }
}

/// The member that identifies an element of a list, by the name of the list: the `patchMergeKey`
/// of the kinds served here (staging/src/k8s.io/api/core/v1/types.go). Other lists are replaced.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "ports" => Some("port"),
        "conditions" | "addresses" => Some("type"),
        "ownerReferences" => Some("uid"),
        "containers" | "volumes" | "env" => Some("name"),
        _ => None,
    }
}

const SET_ORDER: &str = "$setElementOrder/";
const DELETE_PRIMITIVE: &str = "$deleteFromPrimitiveList/";

fn merge_strategically(
    target: &mut Map<String, Value>,
    mut patch: Map<String, Value>,
) -> Result<(), Refusal> {
    match patch.remove("$patch").as_ref().and_then(Value::as_str) {
        Some("replace") => {
            *target = patch;
            return Ok(());
        }
        Some("delete") => {
            target.clear();
            return Ok(());
        }
        _ => {}
    }
    if let Some(Value::Array(retained)) = patch.remove("$retainKeys") {
        target.retain(|name, _| retained.iter().any(|kept| kept.as_str() == Some(name)));
    }
    // Names are sorted and `$` sorts first, so directives are kept for the lists they are about.
    let mut orders = Vec::new();
    for (name, value) in patch {
        if let Some(list) = name.strip_prefix(SET_ORDER) {
            orders.push((list.to_owned(), value));
        } else if let Some(list) = name.strip_prefix(DELETE_PRIMITIVE) {
            if let (Some(Value::Array(target)), Value::Array(gone)) = (target.get_mut(list), value)
            {
                target.retain(|element| !gone.contains(element));
            }
        } else if name.starts_with('$') {
            return Err(Refusal::BadRequest(format!("directive {name} is not supported")));
        } else {
            match value {
                Value::Null => {
                    target.remove(&name);
                }
                Value::Object(patch) => merge_strategically(object_at(target, name), patch)?,
                Value::Array(patch) => {
                    let key = merge_key(&name).filter(|_| patch.iter().all(Value::is_object));
                    let list = target.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                    match (key, list) {
                        (Some(key), Value::Array(list)) => merge_list(list, patch, key)?,
                        (_, list) => *list = Value::Array(patch),
                    }
                }
                value => {
                    target.insert(name, value);
                }
            }
        }
    }
    for (list, order) in orders {
        if let (Some(Value::Array(elements)), Value::Array(order), Some(key)) =
            (target.get_mut(&list), order, merge_key(&list))
        {
            let place = |element: &Value| {
                order.iter().position(|o| o.get(key) == element.get(key)).unwrap_or(order.len())
            };
            elements.sort_by_key(place);
        }
    }
    Ok(())
}

fn merge_list(list: &mut Vec<Value>, patch: Vec<Value>, key: &str) -> Result<(), Refusal> {
    for element in patch {
        let Value::Object(element) = element else { continue };
        let at = list.iter().position(|old| old.get(key) == element.get(key));
        match (element.get("$patch").and_then(Value::as_str), at) {
            (Some("delete"), Some(at)) => {
                list.remove(at);
            }
            (Some("delete"), None) => {}
            (Some("replace"), _) => list.clear(),
            (_, Some(at)) => {
                if let Value::Object(old) = &mut list[at] {
                    merge_strategically(old, element)?;
                }
            }
            (_, None) => {
                let mut new = Map::new();
                merge_strategically(&mut new, element)?;
                list.push(Value::Object(new));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(strategy: Strategy, target: Value, patch: Value) -> Value {
        let (Value::Object(mut target), Value::Object(patch)) = (target, patch) else {
            panic!("not objects")
        };
        strategy.apply(&mut target, patch).unwrap();
        Value::Object(target)
    }

    #[test]
    fn a_merge_patch_is_that_of_the_rfc() {
        // RFC 7396, section 3 and appendix A.
        for (target, patch, result) in [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ] {
            assert_eq!(patched(Strategy::Merge, target, patch.clone()), result, "{patch}");
        }
    }

    #[test]
    fn ports_are_merged_by_number() {
        let target = json!({"ports": [
            {"port": 80, "name": "http", "targetPort": 80},
            {"port": 443, "name": "https"},
        ]});
        let patch = json!({
            "$setElementOrder/ports": [{"port": 8080}, {"port": 80}],
            "ports": [
                {"port": 80, "targetPort": 8000},
                {"port": 8080, "name": "alt"},
                {"port": 443, "$patch": "delete"},
            ],
        });
        assert_eq!(
            patched(Strategy::Strategic, target, patch),
            json!({"ports": [
                {"port": 8080, "name": "alt"},
                {"port": 80, "name": "http", "targetPort": 8000},
            ]})
        );
    }

    #[test]
    fn endpoints_are_replaced() {
        let target = json!({"endpoints": [{"addresses": ["10.0.0.1"]}]});
        let patch = json!({"endpoints": [{"addresses": ["10.0.0.2"]}]});
        assert_eq!(patched(Strategy::Strategic, target, patch.clone()), patch);
    }

    #[test]
    fn directives_never_reach_the_object() {
        let target = json!({"a": {"x": 1, "y": 2}, "finalizers": ["one", "two"], "b": {"x": 1}});
        let patch = json!({
            "a": {"$retainKeys": ["x"], "x": 3},
            "b": {"$patch": "replace", "z": 1},
            "$deleteFromPrimitiveList/finalizers": ["one"],
        });
        assert_eq!(
            patched(Strategy::Strategic, target, patch),
            json!({"a": {"x": 3}, "b": {"z": 1}, "finalizers": ["two"]})
        );
    }
}
