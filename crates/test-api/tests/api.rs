//! The fixture API server, seen through HTTP, through kube-rs and through `kubectl`.

#[path = "api/client.rs"]
mod client;
#[path = "api/faults.rs"]
mod faults;
#[path = "api/formats.rs"]
mod formats;
#[path = "api/kube_rs.rs"]
mod kube_rs;
#[path = "api/kubectl.rs"]
mod kubectl;
#[path = "api/lists.rs"]
mod lists;
#[path = "api/scale.rs"]
mod scale;
#[path = "api/watches.rs"]
mod watches;
#[path = "api/writes.rs"]
mod writes;
