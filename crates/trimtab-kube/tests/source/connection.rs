//! The connection to an API server, and what it asks of its clients.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Response;
use http_body_util::Full;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;
use trimtab_kube::contact::Contact;
use trimtab_kube::watch::{self, Role, Timing};

#[tokio::test]
async fn every_request_says_which_program_in_which_version_does_what() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    for (role, word) in [(Role::NodeProxy, "node-proxy"), (Role::Diff, "diff")] {
        let folder = std::env::temp_dir().join(format!("trimtab-agent-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let kubeconfig = folder.join("kubeconfig");
        std::fs::write(
            &kubeconfig,
            format!(
                "clusters: [{{name: c, cluster: {{server: '{url}'}}}}]\n\
                 contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
                 users: [{{name: u, user: {{}}}}]\ncurrent-context: c\n"
            ),
        )
        .unwrap();
        let client = watch::connect(Some(&kubeconfig), None, role).await.unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        let request = http::Request::get("/version").body(kube::client::Body::empty()).unwrap();
        let request = tokio::spawn(async move { client.send(request).await.map(drop) });
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = String::new();
        while !head.contains("\r\n\r\n") {
            let mut bytes = [0; 1024];
            let count = stream.read(&mut bytes).await.unwrap();
            assert_ne!(count, 0, "{head}");
            head.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        request.abort();
        let wanted = format!("trimtab/{} (linux) {word}", env!("CARGO_PKG_VERSION"));
        let agents: Vec<_> =
            head.lines().filter_map(|line| line.strip_prefix("user-agent: ")).collect();
        assert_eq!(agents, [wanted], "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_overloaded_is_left_alone_for_as_long_as_it_asks() {
    const WAIT: u64 = 7;
    let asked = Arc::<Mutex<Vec<Instant>>>::default();
    let record = Arc::clone(&asked);
    let answer = move |_: http::Request<kube::client::Body>| {
        record.lock().unwrap().push(Instant::now());
        let response = Response::builder().status(429).header("Retry-After", WAIT.to_string());
        std::future::ready(Ok::<_, Infallible>(
            response.body(Full::new(bytes::Bytes::new())).unwrap(),
        ))
    };
    let client = kube::Client::new(tower::service_fn(answer), "default");
    let (sender, _changes) = mpsc::channel(1);
    let watches = tokio::spawn(async move {
        watch::watch_node_weights(client, sender, &Contact::default(), &Timing::default()).await;
    });
    tokio::time::sleep(Duration::from_secs(100)).await;
    watches.abort();
    let asked = asked.lock().unwrap();
    assert!(asked.len() > 2, "{asked:?}");
    let pauses: Vec<_> = asked.windows(2).map(|two| two[1] - two[0]).collect();
    // The back-off comes on top, and differs from node to node.
    assert!(pauses.iter().all(|pause| *pause > Duration::from_secs(WAIT)), "{pauses:?}");
}
