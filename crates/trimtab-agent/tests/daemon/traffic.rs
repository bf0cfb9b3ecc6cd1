//! The traffic of Services: what is shown, and what reading it costs, with time paused.

use std::time::Duration;

use trimtab_core::Counters;

use crate::kernel::FakeKernel;
use crate::rig::{Rig, service, slice};

const PORT: &str = r#"service_namespace="n",service_name="web",service_port="http",protocol="TCP""#;

fn counters(connections: u64) -> Counters {
    Counters { connections, bytes_in: connections * 100, ..Counters::default() }
}

/// The value of a series.
fn value(rig: &Rig, series: &str) -> Option<f64> {
    let text = rig.traffic.text();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok())
}

fn of_web(metric: &str) -> String {
    format!("trimtab_service_{metric}{{{PORT}}}")
}

fn annotated(name: &str, ip: &str, value: &str) -> String {
    let annotations =
        format!("namespace: n, annotations: {{trimtab.dev/traffic-metrics: {value}}}");
    service(name, ip).replace("namespace: n", &annotations)
}

/// Many Services, each with one endpoint.
fn many(count: u32, service: impl Fn(&str, &str) -> String) -> String {
    let one = |number: u32| {
        let name = format!("web-{number}");
        let (high, low) = (number / 250, number % 250 + 1);
        let objects = service(&name, &format!("10.96.{high}.{low}"));
        objects + &slice(&name, &[&format!("10.244.{high}.{low}")])
    };
    (0..count).map(one).collect()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_asks_for_it_is_shown_with_its_endpoints() {
    let rig = Rig::start(FakeKernel::default(), "trimtab: {traffic: {top: 0}}");
    rig.kernel.inside().counters = counters(7);
    let pods = ["10.244.0.1", "10.244.0.2"];
    rig.list(&(service("web", "10.96.0.1") + &slice("web", &pods))).await;
    rig.wait(60).await;
    assert_eq!(value(&rig, "trimtab_node_connections_total"), Some(14.0));
    assert_eq!(value(&rig, &of_web("connections_total")), None);
    assert_eq!(rig.kernel.inside().counter_reads.1, 0, "real servers are not read for nothing");

    rig.apply(&annotated("web", "10.96.0.1", "service")).await;
    rig.wait(60).await;
    assert_eq!(value(&rig, &of_web("connections_total")), Some(14.0));
    assert_eq!(value(&rig, &of_web("incoming_bytes_total")), Some(1400.0));
    assert_eq!(value(&rig, &of_web("active_connections")), Some(4.0));
    assert_eq!(value(&rig, &of_web("inactive_connections")), Some(2.0));
    assert!(!rig.traffic.text().contains("trimtab_endpoint_"));

    rig.apply(&annotated("web", "10.96.0.1", "endpoints")).await;
    rig.wait(60).await;
    for pod in pods {
        let labels = format!("{{{PORT},endpoint_address=\"{pod}:8080\"}}");
        let of_pod = |metric: &str| value(&rig, &format!("trimtab_endpoint_{metric}{labels}"));
        assert_eq!(of_pod("connections_total"), Some(7.0));
        assert_eq!(of_pod("active_connections"), Some(2.0));
    }
    rig.apply(&annotated("web", "10.96.0.1", "off")).await;
    rig.wait(60).await;
    assert!(!rig.traffic.text().contains(PORT));
}

#[tokio::test(start_paused = true)]
async fn counters_never_go_back_when_a_service_or_virtual_server_is_made_again() {
    let rig =
        Rig::start(FakeKernel::default(), "trimtab: {traffic: {namespaces: [n], endpoints: true}}");
    rig.kernel.inside().counters = counters(7);
    let objects = service("web", "10.96.0.1") + &slice("web", &["10.244.0.1"]);
    rig.list(&objects).await;
    rig.wait(60).await;
    assert_eq!(value(&rig, &of_web("connections_total")), Some(7.0));
    // Another program deletes the virtual server, the audit makes it again.
    rig.kernel.inside().counters = counters(3);
    rig.wait(60).await;
    assert_eq!(value(&rig, &of_web("connections_total")), Some(10.0));
    // The Service is deleted and created again.
    let web = trimtab_core::objects::ObjectName::new("n", "web");
    rig.send(trimtab_kube::Change::ServiceGone(web)).await;
    rig.wait(60).await;
    assert_eq!(value(&rig, &of_web("connections_total")), None);
    rig.kernel.inside().counters = counters(1);
    rig.apply(&objects).await;
    rig.wait(60).await;
    assert_eq!(value(&rig, &of_web("connections_total")), Some(11.0));
    let of_endpoint = format!(
        "trimtab_endpoint_connections_total{{{PORT},endpoint_address=\"10.244.0.1:8080\"}}"
    );
    assert_eq!(value(&rig, &of_endpoint), Some(11.0));
}

#[tokio::test(start_paused = true)]
async fn all_virtual_servers_take_one_request_an_interval() {
    let rig = Rig::start(FakeKernel::default(), "trimtab: {traffic: {interval: 10s}}");
    rig.kernel.inside().counters = counters(1);
    rig.list(&many(100, service)).await;
    rig.wait(5).await;
    let before = rig.kernel.inside().counter_reads;
    rig.wait(100).await;
    let after = rig.kernel.inside().counter_reads;
    // Of the hundred Services, the ten with the most traffic are shown.
    assert_eq!((after.0 - before.0, after.1 - before.1), (10, 100));
    assert_eq!(value(&rig, "trimtab_traffic_service_ports"), Some(100.0));
    assert_eq!(value(&rig, "trimtab_traffic_shown_service_ports"), Some(10.0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_if_it_is_off() {
    let rig = Rig::start(FakeKernel::default(), "trimtab: {traffic: {enabled: false}}");
    rig.list(&many(10, |name, ip| annotated(name, ip, "endpoints"))).await;
    rig.wait(300).await;
    // The rig always starts a meter, which the program does not: it knows of no Service.
    assert_eq!(value(&rig, "trimtab_traffic_service_ports"), Some(0.0));
    assert_eq!(rig.kernel.inside().counter_reads.1, 0);
}

#[tokio::test(start_paused = true)]
async fn the_number_of_series_is_bounded() {
    let config = "trimtab: {traffic: {namespaces: ['*'], endpoints: true, \
                  maxServicePorts: 20, maxEndpoints: 5}}";
    let rig = Rig::start(FakeKernel::default(), config);
    rig.kernel.inside().counters = counters(1);
    rig.list(&many(100, service)).await;
    rig.wait(90).await;
    let text = rig.traffic.text();
    assert_eq!(text.matches("\ntrimtab_service_connections_total{").count(), 20);
    assert_eq!(text.matches("\ntrimtab_endpoint_connections_total{").count(), 5);
    assert_eq!(value(&rig, "trimtab_traffic_left_out_service_ports"), Some(80.0));
    assert_eq!(value(&rig, "trimtab_traffic_left_out_endpoints"), Some(15.0));
}

#[tokio::test(start_paused = true)]
async fn reading_takes_less_than_one_percent_of_a_processor() {
    let rig = Rig::start(FakeKernel::default(), "trimtab: {traffic: {namespaces: ['*']}}");
    {
        let mut inside = rig.kernel.inside();
        inside.counters = counters(1);
        // A slow kernel: 20,000 times what one takes.
        inside.counter_cost = Duration::from_secs(1);
        inside.read_cost = Duration::from_millis(20);
    }
    rig.list(&many(64, service)).await;
    rig.wait(60).await;
    let hours = 3;
    let before = value(&rig, "trimtab_traffic_readings_total").unwrap();
    let reads = rig.kernel.inside().counter_reads;
    rig.wait(hours * 3600).await;
    let inside = rig.kernel.inside();
    let (all, single) = (inside.counter_reads.0 - reads.0, inside.counter_reads.1 - reads.1);
    drop(inside);
    let took = Duration::from_secs(1) * all + Duration::from_millis(20) * single;
    assert!(took < Duration::from_secs(hours * 36), "{took:?} for {all} and {single} requests");
    assert!(single >= 64 * 20, "all have their turn: {single}");
    assert!(value(&rig, "trimtab_traffic_readings_total").unwrap() > before);
}
