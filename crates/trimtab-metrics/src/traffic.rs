//! The metrics of traffic. Their series come and go with Services, so they are written as text.

use std::fmt::Display;

use trimtab_core::Counters;

use crate::exposition::Exposition;
use crate::table::{Kind, Metric};

/// The metrics of one Service port, of one of its endpoints, or of the node: five counters.
type Counted = [Metric; 5];

const NODE: &[&str] = &[];
const PORT: &[&str] = &["service_namespace", "service_name", "service_port", "protocol"];
const ENDPOINT: &[&str] =
    &["service_namespace", "service_name", "service_port", "protocol", "endpoint_address"];

macro_rules! metric {
    ($kind:ident $name:literal $labels:ident $meaning:literal) => {
        Metric { name: $name, kind: Kind::$kind, labels: $labels, meaning: $meaning }
    };
}

const OF_NODE: Counted = [
    metric!(Counter "trimtab_node_connections_total" NODE
        "Connections to all Services through this node"),
    metric!(Counter "trimtab_node_incoming_packets_total" NODE
        "Packets from clients to all Services through this node"),
    metric!(Counter "trimtab_node_outgoing_packets_total" NODE
        "Packets to clients from all Services through this node"),
    metric!(Counter "trimtab_node_incoming_bytes_total" NODE
        "Bytes from clients to all Services through this node"),
    metric!(Counter "trimtab_node_outgoing_bytes_total" NODE
        "Bytes to clients from all Services through this node"),
];
const OF_PORT: Counted = [
    metric!(Counter "trimtab_service_connections_total" PORT
        "Connections to a Service port through this node"),
    metric!(Counter "trimtab_service_incoming_packets_total" PORT
        "Packets from clients to a Service port through this node"),
    metric!(Counter "trimtab_service_outgoing_packets_total" PORT
        "Packets to clients from a Service port through this node"),
    metric!(Counter "trimtab_service_incoming_bytes_total" PORT
        "Bytes from clients to a Service port through this node"),
    metric!(Counter "trimtab_service_outgoing_bytes_total" PORT
        "Bytes to clients from a Service port through this node"),
];
const OF_ENDPOINT: Counted = [
    metric!(Counter "trimtab_endpoint_connections_total" ENDPOINT
        "Connections to an endpoint of a Service port through this node"),
    metric!(Counter "trimtab_endpoint_incoming_packets_total" ENDPOINT
        "Packets from clients to an endpoint of a Service port through this node"),
    metric!(Counter "trimtab_endpoint_outgoing_packets_total" ENDPOINT
        "Packets to clients from an endpoint of a Service port through this node"),
    metric!(Counter "trimtab_endpoint_incoming_bytes_total" ENDPOINT
        "Bytes from clients to an endpoint of a Service port through this node"),
    metric!(Counter "trimtab_endpoint_outgoing_bytes_total" ENDPOINT
        "Bytes to clients from an endpoint of a Service port through this node"),
];
const PORT_ACTIVE: Metric = metric!(Gauge "trimtab_service_active_connections" PORT
    "Connections of a Service port in IPVS's established state");
const PORT_INACTIVE: Metric = metric!(Gauge "trimtab_service_inactive_connections" PORT
    "Connections of a Service port in any other state, such as TIME_WAIT");
const ENDPOINT_ACTIVE: Metric = metric!(Gauge "trimtab_endpoint_active_connections" ENDPOINT
    "Connections of an endpoint of a Service port in IPVS's established state");
const ENDPOINT_INACTIVE: Metric = metric!(Gauge "trimtab_endpoint_inactive_connections" ENDPOINT
    "Connections of an endpoint of a Service port in any other state, such as TIME_WAIT");
const READINGS: Metric = metric!(Counter "trimtab_traffic_readings_total" NODE
    "Readings of the counters of all virtual servers");
const REQUESTS: Metric = metric!(Counter "trimtab_traffic_requests_total" NODE
    "Requests to IPVS for counters: one for each reading, and one for each virtual server whose connections are shown");
const CPU: Metric = metric!(Counter "trimtab_traffic_cpu_seconds_total" NODE
    "Processor time of reading counters, in seconds");
const READ_AT: Metric = metric!(Gauge "trimtab_traffic_last_reading_timestamp_seconds" NODE
    "When the counters of all virtual servers were last read, Unix seconds");
const KNOWN: Metric = metric!(Gauge "trimtab_traffic_service_ports" NODE
    "Service ports whose traffic is counted, shown or not");
const SHOWN: Metric = metric!(Gauge "trimtab_traffic_shown_service_ports" NODE
    "Service ports whose traffic is shown");
const LEFT_OUT: Metric = metric!(Gauge "trimtab_traffic_left_out_service_ports" NODE
    "Service ports whose traffic should be shown and is not, because of trimtab.traffic.maxServicePorts");
const ENDPOINTS_LEFT_OUT: Metric = metric!(Gauge "trimtab_traffic_left_out_endpoints" NODE
    "Endpoints whose traffic should be shown and is not, because of trimtab.traffic.maxEndpoints");

/// All of them.
pub(crate) const TRAFFIC: &[Metric] = &{
    let [a, b, c, d, e] = OF_NODE;
    let [f, g, h, i, j] = OF_PORT;
    let [k, l, m, n, o] = OF_ENDPOINT;
    [
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        PORT_ACTIVE,
        PORT_INACTIVE,
        k,
        l,
        m,
        n,
        o,
        ENDPOINT_ACTIVE,
        ENDPOINT_INACTIVE,
        READINGS,
        REQUESTS,
        CPU,
        READ_AT,
        KNOWN,
        SHOWN,
        LEFT_OUT,
        ENDPOINTS_LEFT_OUT,
    ]
};

/// The labels of a Service port: namespace, Service, port and protocol.
pub type PortLabels<'a> = [&'a dyn Display; 4];

/// Traffic and open connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Since the program started to count, or since the virtual servers were made.
    pub counters: Counters,
    /// Active and inactive connections, if they have been read.
    pub open: Option<(u64, u64)>,
}

/// One Service port.
#[derive(Clone, Copy)]
pub struct PortTraffic<'a> {
    /// Its labels.
    pub labels: PortLabels<'a>,
    /// What is counted of it.
    pub traffic: Traffic,
}

/// One endpoint of a Service port.
#[derive(Clone, Copy)]
pub struct EndpointTraffic<'a> {
    /// The Service port's labels.
    pub labels: PortLabels<'a>,
    /// Its address and port.
    pub address: &'a dyn Display,
    /// What is counted of it.
    pub traffic: Traffic,
}

/// What is told of the reading itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading {
    /// How often all virtual servers were read.
    pub readings: u64,
    /// How many requests were sent.
    pub requests: u64,
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// When all virtual servers were last read, Unix seconds.
    pub at: f64,
    /// How many Service ports are known.
    pub service_ports: usize,
    /// How many should be shown and are not.
    pub left_out: usize,
    /// How many endpoints should be shown and are not.
    pub endpoints_left_out: usize,
}

/// The metrics of traffic in the Prometheus text format.
pub fn write(
    node: &Counters,
    ports: &[PortTraffic<'_>],
    endpoints: &[EndpointTraffic<'_>],
    reading: &Reading,
) -> String {
    let mut text = Exposition::new();
    for (metric, count) in OF_NODE.iter().zip(counts(node)) {
        text.family(metric);
        text.sample(metric, &[], count);
    }
    let rows: Vec<(&[&dyn Display], Traffic)> =
        ports.iter().map(|port| (&port.labels[..], port.traffic)).collect();
    family(&mut text, &OF_PORT, [&PORT_ACTIVE, &PORT_INACTIVE], &rows);
    let labels: Vec<[&dyn Display; 5]> = endpoints
        .iter()
        .map(|endpoint| {
            let [namespace, service, port, protocol] = endpoint.labels;
            [namespace, service, port, protocol, endpoint.address]
        })
        .collect();
    let traffic = endpoints.iter().map(|endpoint| endpoint.traffic);
    let rows: Vec<(&[&dyn Display], Traffic)> =
        labels.iter().map(|labels| &labels[..]).zip(traffic).collect();
    family(&mut text, &OF_ENDPOINT, [&ENDPOINT_ACTIVE, &ENDPOINT_INACTIVE], &rows);
    let mut single = |metric: &Metric, value: &dyn Display| {
        text.family(metric);
        text.sample(metric, &[], value);
    };
    single(&READINGS, &reading.readings);
    single(&REQUESTS, &reading.requests);
    single(&CPU, &reading.cpu_seconds);
    single(&READ_AT, &reading.at);
    single(&KNOWN, &reading.service_ports);
    single(&SHOWN, &ports.len());
    single(&LEFT_OUT, &reading.left_out);
    single(&ENDPOINTS_LEFT_OUT, &reading.endpoints_left_out);
    text.finish()
}

fn family(
    text: &mut Exposition,
    counters: &Counted,
    open: [&Metric; 2],
    rows: &[(&[&dyn Display], Traffic)],
) {
    if rows.is_empty() {
        return;
    }
    for (place, metric) in counters.iter().enumerate() {
        text.family(metric);
        for (labels, traffic) in rows {
            text.sample(metric, labels, counts(&traffic.counters)[place]);
        }
    }
    for (place, metric) in open.into_iter().enumerate() {
        text.family(metric);
        for (labels, traffic) in rows {
            if let Some((active, inactive)) = traffic.open {
                text.sample(metric, labels, [active, inactive][place]);
            }
        }
    }
}

/// In the order of [`Counted`].
const fn counts(counters: &Counters) -> [u64; 5] {
    let Counters { connections, packets_in, packets_out, bytes_in, bytes_out } = *counters;
    [connections, packets_in, packets_out, bytes_in, bytes_out]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_traffic_is_written_with_its_help_type_and_labels() {
        let counters =
            Counters { connections: 1, packets_in: 2, packets_out: 3, bytes_in: 4, bytes_out: 5 };
        let traffic = Traffic { counters, open: Some((6, 7)) };
        let labels: PortLabels<'_> = [&"shop", &"web", &"http", &"TCP"];
        let text = write(
            &counters,
            &[PortTraffic { labels, traffic }],
            &[EndpointTraffic { labels, address: &"10.0.0.1:80", traffic }],
            &Reading::default(),
        );
        for metric in TRAFFIC {
            let head = format!(
                "# HELP {0} {1}\n# TYPE {0} {2}\n{0}",
                metric.name,
                metric.meaning,
                metric.kind.as_str()
            );
            assert_eq!(text.matches(&head).count(), 1, "{head}\n{text}");
        }
        let port =
            r#"service_namespace="shop",service_name="web",service_port="http",protocol="TCP""#;
        for line in [
            "trimtab_node_outgoing_packets_total 3".to_owned(),
            format!("trimtab_service_connections_total{{{port}}} 1"),
            format!("trimtab_service_outgoing_bytes_total{{{port}}} 5"),
            format!("trimtab_service_inactive_connections{{{port}}} 7"),
            format!(
                "trimtab_endpoint_active_connections{{{port},endpoint_address=\"10.0.0.1:80\"}} 6"
            ),
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let without = write(&counters, &[], &[], &Reading::default());
        assert!(!without.contains("trimtab_service_connections_total"), "{without}");
    }
}
