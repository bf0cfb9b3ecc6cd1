//! kube-proxy's flags that have no effect in Trimtab.

use clap::Args;

macro_rules! flags {
    ($($field:ident $flag:literal $(or $alias:literal)?;)*) => {
        /// Accepted, so that existing command lines keep working; the log names each one that is
        /// given. Flags with an underscore are klog's own, from earlier releases; k3s and RKE2
        /// still pass them.
        #[derive(Debug, Default, Args)]
        pub(crate) struct WithoutEffect {
            $(
                #[arg(
                    long = $flag,
                    $(alias = $alias,)?
                    hide = true,
                    num_args = 0..=1,
                    default_missing_value = "true"
                )]
                $field: Option<String>,
            )*
        }

        impl WithoutEffect {
            /// The names of the flags that are given.
            pub(crate) fn given(&self) -> impl Iterator<Item = &'static str> {
                [$(self.$field.is_some().then_some(concat!("--", $flag)),)*].into_iter().flatten()
            }
        }
    };
}

flags! {
    add_dir_header "add-dir-header" or "add_dir_header";
    alsologtostderr "alsologtostderr";
    boot_id_file "boot-id-file" or "boot_id_file";
    config_sync_period "config-sync-period";
    feature_gates "feature-gates";
    iptables_localhost_nodeports "iptables-localhost-nodeports";
    iptables_min_sync_period "iptables-min-sync-period";
    iptables_sync_period "iptables-sync-period";
    kube_api_burst "kube-api-burst";
    kube_api_content_type "kube-api-content-type";
    kube_api_qps "kube-api-qps";
    log_backtrace_at "log-backtrace-at" or "log_backtrace_at";
    log_dir "log-dir" or "log_dir";
    log_file "log-file" or "log_file";
    log_file_max_size "log-file-max-size" or "log_file_max_size";
    log_flush_frequency "log-flush-frequency";
    log_json_info_buffer_size "log-json-info-buffer-size";
    log_json_split_stream "log-json-split-stream";
    log_text_info_buffer_size "log-text-info-buffer-size";
    log_text_split_stream "log-text-split-stream";
    logtostderr "logtostderr";
    machine_id_file "machine-id-file" or "machine_id_file";
    one_output "one-output" or "one_output";
    show_hidden_metrics_for_version "show-hidden-metrics-for-version";
    skip_headers "skip-headers" or "skip_headers";
    skip_log_headers "skip-log-headers" or "skip_log_headers";
    stderrthreshold "stderrthreshold";
    vmodule "vmodule";
}
