//! The metrics of the process itself, with the names that every client library of Prometheus gives
//! them. Processor time is a fraction of seconds, which the recorder's counters cannot hold, so they
//! are written as text.

use crate::exposition::Exposition;
use crate::table::{Kind, Metric};

const fn metric(name: &'static str, kind: Kind, meaning: &'static str) -> Metric {
    Metric { name, kind, labels: &[], meaning }
}

/// All of them, in the order of [`Process::values`].
pub(crate) const PROCESS: &[Metric] = &[
    metric(
        "process_cpu_seconds_total",
        Kind::Counter,
        "Processor time of the program, user and system, in seconds",
    ),
    metric(
        "process_resident_memory_bytes",
        Kind::Gauge,
        "Memory of the program that is resident, in bytes",
    ),
    metric("process_virtual_memory_bytes", Kind::Gauge, "Virtual memory of the program, in bytes"),
    metric("process_open_fds", Kind::Gauge, "Open file descriptors"),
    metric("process_max_fds", Kind::Gauge, "The limit of open file descriptors"),
    metric("process_threads", Kind::Gauge, "Threads of the program"),
    metric("process_start_time_seconds", Kind::Gauge, "When the program started, Unix seconds"),
];

/// What the system says of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Processor time, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory, in bytes.
    pub resident: u64,
    /// Virtual memory, in bytes.
    pub virtual_memory: u64,
    /// Open file descriptors.
    pub open_descriptors: u64,
    /// The limit of those; infinite if there is none.
    pub descriptor_limit: f64,
    /// Threads.
    pub threads: u64,
    /// When it started, Unix seconds.
    pub start: f64,
}

impl Process {
    fn values(&self) -> [String; 7] {
        [
            self.cpu_seconds.to_string(),
            self.resident.to_string(),
            self.virtual_memory.to_string(),
            self.open_descriptors.to_string(),
            if self.descriptor_limit.is_finite() {
                self.descriptor_limit.to_string()
            } else {
                "+Inf".to_owned()
            },
            self.threads.to_string(),
            self.start.to_string(),
        ]
    }

    /// The metrics in the Prometheus text format.
    pub fn write(&self) -> String {
        let mut text = Exposition::new();
        for (metric, value) in PROCESS.iter().zip(self.values()) {
            text.family(metric);
            text.sample(metric, &[], value);
        }
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_process_is_written() {
        let process =
            Process { cpu_seconds: 1.5, descriptor_limit: f64::INFINITY, ..Process::default() };
        let text = process.write();
        for metric in PROCESS {
            assert!(text.contains(&format!("# TYPE {} {}\n", metric.name, metric.kind.as_str())));
        }
        assert!(text.contains("\nprocess_cpu_seconds_total 1.5\n"), "{text}");
        assert!(text.contains("\nprocess_max_fds +Inf\n"), "{text}");
    }
}
