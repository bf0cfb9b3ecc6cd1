//! Tests that need a kernel with IPVS. `cargo xtask test` runs these in a guest.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

#[path = "kernel/access.rs"]
mod access;
#[path = "kernel/affinity.rs"]
mod affinity;
#[path = "kernel/agreement.rs"]
mod agreement;
#[path = "kernel/bad_input.rs"]
mod bad_input;
#[path = "kernel/check.rs"]
mod check;
#[path = "kernel/cleanup.rs"]
mod cleanup;
#[path = "kernel/counts.rs"]
mod counts;
#[path = "kernel/deletion.rs"]
mod deletion;
#[path = "kernel/diff.rs"]
mod diff;
#[path = "kernel/drain.rs"]
mod drain;
#[path = "kernel/drain_datagrams.rs"]
mod drain_datagrams;
#[path = "kernel/external_vips.rs"]
mod external_vips;
#[path = "kernel/health_check.rs"]
mod health_check;
#[path = "kernel/kernel_limits.rs"]
mod kernel_limits;
#[path = "kernel/live_changes.rs"]
mod live_changes;
#[path = "kernel/masquerade.rs"]
mod masquerade;
#[path = "kernel/node_ports.rs"]
mod node_ports;
#[path = "kernel/node_weights.rs"]
mod node_weights;
#[path = "kernel/observability.rs"]
mod observability;
#[path = "kernel/once.rs"]
mod once;
#[path = "kernel/other_modes.rs"]
mod other_modes;
#[path = "kernel/privileges.rs"]
mod privileges;
#[path = "kernel/repair.rs"]
mod repair;
#[path = "kernel/report.rs"]
mod report;
#[path = "kernel/restart.rs"]
mod restart;
#[path = "kernel/service_kinds.rs"]
mod service_kinds;
#[path = "kernel/source_ranges.rs"]
mod source_ranges;
#[path = "kernel/sources.rs"]
mod sources;
#[path = "kernel/status.rs"]
mod status;
#[path = "kernel/sysctls.rs"]
mod sysctls;
#[path = "kernel/takeover.rs"]
mod takeover;
#[path = "kernel/top.rs"]
mod top;
#[path = "kernel/topology.rs"]
mod topology;
#[path = "kernel/topology_hints.rs"]
mod topology_hints;
#[path = "kernel/trace.rs"]
mod trace;
#[path = "kernel/tracer.rs"]
mod tracer;
#[path = "kernel/traffic.rs"]
mod traffic;
#[path = "kernel/traffic_metrics.rs"]
mod traffic_metrics;
#[path = "kernel/traffic_policies.rs"]
mod traffic_policies;
#[path = "kernel/tuning.rs"]
mod tuning;
#[path = "kernel/views.rs"]
mod views;
#[path = "kernel/vip_binding.rs"]
mod vip_binding;
#[path = "kernel/waiting.rs"]
mod waiting;
#[path = "kernel/weights.rs"]
mod weights;
#[path = "kernel/who_answers.rs"]
mod who_answers;
