//! A kubeconfig for the server.

/// The text, for a server at `url`. There are no credentials, as none are asked for.
pub(crate) fn text(url: &str) -> String {
    format!(
        "apiVersion: v1
kind: Config
clusters:
- name: fixture
  cluster:
    server: {url}
users:
- name: fixture
  user: {{}}
contexts:
- name: fixture
  context:
    cluster: fixture
    user: fixture
current-context: fixture
"
    )
}
