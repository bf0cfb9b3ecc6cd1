//! Serves a fixture Kubernetes API by hand.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use test_api::{ApiServer, Cluster, Config};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// A Kubernetes API server in memory, for tests: Services, EndpointSlices, Nodes and a few more.
#[derive(Debug, Parser)]
#[command(name = "fixture-api", version)]
struct Arguments {
    /// Address to listen on; port 0 takes any.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// YAML or JSON files, or directories of them, to start with.
    #[arg(long, value_name = "PATH", num_args = 1..)]
    manifests: Vec<PathBuf>,
    /// Add so many synthetic Services.
    #[arg(long, value_name = "SERVICES", default_value_t = 0)]
    synthetic: usize,
    /// Endpoints of each synthetic Service.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    endpoints: usize,
    /// Nodes that synthetic pods are spread over.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    nodes: usize,
    /// Give synthetic Services both address families.
    #[arg(long)]
    dual_stack: bool,
    /// Seconds between bookmarks.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    bookmark_interval: u64,
    /// Write a kubeconfig for this server.
    #[arg(long, value_name = "PATH")]
    write_kubeconfig: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let api = ApiServer::start(Config {
        listen: arguments.listen,
        bookmark_interval: Some(Duration::from_secs(arguments.bookmark_interval.max(1))),
        ..Config::default()
    })
    .await?;
    let loaded = api.load_manifests(&arguments.manifests)?;
    for skipped in &loaded.skipped {
        tracing::warn!("{skipped}: a kind that this server does not have");
    }
    if arguments.synthetic > 0 {
        let mut cluster = Cluster::synthetic(arguments.synthetic, arguments.endpoints, 1)
            .on_nodes(arguments.nodes);
        if arguments.dual_stack {
            cluster = cluster.dual_stack();
        }
        api.load(&cluster);
    }
    if let Some(path) = &arguments.write_kubeconfig {
        api.write_kubeconfig(path)?;
    }
    println!("{}", api.url());
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.context("cannot wait for SIGINT")?,
        _ = terminate.recv() => {}
    }
    api.stop().await;
    Ok(())
}
