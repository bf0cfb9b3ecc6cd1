//! The reference pages of the book, generated from the tables that the program itself uses.
//!
//! A test compares them with `docs/src/reference/`, and writes them there on request.

mod markdown;

use clap::{Arg, Command, CommandFactory as _};

use crate::cli::Cli;
use markdown::{code, table};
use trimtab_config::{Field, fields};
use trimtab_kube::objects::{Known, annotations, labels};
use trimtab_kube::warning::WarningReason;

const MADE: &str = "<!-- Generated from the program's source. Do not edit it by hand: change the \
    source, then run\n     TRIMTAB_WRITE_REFERENCE=1 cargo test -p trimtab --test reference \
                    -->\n";

/// Every page: the name of its file, and its text.
pub fn pages() -> [(&'static str, String); 4] {
    [
        ("configuration.md", configuration()),
        ("flags.md", flags()),
        ("annotations.md", objects()),
        ("metrics.md", metrics()),
    ]
}

fn page(title: &str, introduction: &str) -> String {
    format!("{MADE}\n# {title}\n\n{introduction}\n")
}

/// Text of one section: its heading, if there is one, and its table.
fn section(heading: &str, text: &str) -> String {
    if heading.is_empty() { format!("\n{text}") } else { format!("\n## {heading}\n\n{text}") }
}

fn configuration() -> String {
    let mut page = page(
        "Configuration",
        "The configuration file is kube-proxy's own, `KubeProxyConfiguration` of \
         `kubeproxy.config.k8s.io/v1alpha1`, in YAML or JSON, with a section `trimtab` for what \
         kube-proxy does not have. `trimtab run --config FILE` reads it; flags override it. A key that is missing, `null` or empty has its default value, as in the file that kubeadm writes. An unknown key is logged and ignored. If a value is invalid, the program exits and reports all errors at once.\n\n\
         `trimtab config validate FILE` checks a file, `trimtab run --write-config-to FILE` writes \
         one with all defaults, and a running Trimtab serves its configuration at \
         `127.0.0.1:10249/configz`.\n\n\
         Durations are written as in Go: `30s`, `1h30m`, `250ms`.",
    );
    let with_effect = || fields().iter().filter(|field| field.without_effect.is_none());
    let group = |field: &Field| {
        field.path.split_once('.').map(|(section, _)| section.to_owned()).unwrap_or_default()
    };
    let mut groups: Vec<String> = Vec::new();
    for field in with_effect() {
        if !groups.contains(&group(field)) {
            groups.push(group(field));
        }
    }
    for name in groups {
        let rows = with_effect().filter(|field| group(field) == name).map(|field| {
            let flag = field.flag.map(|flag| code(&dashed(flag))).unwrap_or_default();
            [code(&field.path), field.kind.to_owned(), default(field), flag, field.meaning.clone()]
        });
        page += &section(&name, &table(["key", "type", "default", "flag", "meaning"], rows));
    }
    let rows = fields().iter().filter_map(|field| {
        let why = field.without_effect?;
        let flag = field.flag.map(|flag| code(&dashed(flag))).unwrap_or_default();
        Some([code(&field.path), field.kind.to_owned(), flag, why.to_owned()])
    });
    let idle = "These keys of kube-proxy's are accepted and checked for their type. A value other \
                than kube-proxy's default is noted in the log.\n\n";
    page += &section(
        "Accepted without effect",
        &(idle.to_owned() + &table(["key", "type", "flag", "why"], rows)),
    );
    page
}

/// The default; formatted as code if it is a value.
fn default(field: &Field) -> String {
    if field.default.contains(' ') { field.default.to_owned() } else { code(field.default) }
}

fn dashed(flag: &str) -> String {
    if flag.len() == 1 { format!("-{flag}") } else { format!("--{flag}") }
}

fn flags() -> String {
    let mut page = page(
        "Commands and flags",
        "A flag is given as `--flag=value` or `--flag value`; a boolean flag is set with \
         `--flag`, and takes a value only as `--flag=value`. `trimtab run` also accepts every flag of \
         kube-proxy 1.36. kube-proxy ignores most flags once `--config` is given; here a flag always \
         overrides the file.",
    );
    let mut root = Cli::command();
    root.build();
    for (name, command) in commands(&root, "") {
        let about = command.get_about().map(|about| format!("{about}\n\n")).unwrap_or_default();
        let shown = |arg: &&Arg| !arg.is_hide_set() && arg.get_id() != "help";
        let rows = command
            .get_arguments()
            .filter(shown)
            .map(|arg| [code(&spelling(arg)), takes(arg), default_of(arg), meaning(arg)]);
        let mut text = about + &table(["flag", "value", "default", "meaning"], rows);
        if let Some(examples) = command.get_after_help() {
            text += "\n```text\n";
            text += examples.to_string().trim_end();
            text += "\n```\n";
        }
        page += &section(&code(&name), &text);
        let hidden: Vec<&Arg> = command.get_arguments().filter(|arg| arg.is_hide_set()).collect();
        if !hidden.is_empty() {
            let rows = hidden.iter().map(|arg| [code(&spelling(arg)), why_idle(arg)]);
            page += "\n### Accepted without effect\n\nThese flags of kube-proxy's are accepted, \
                so that existing command lines keep working. The log names each one that is given.\n\n";
            page += &table(["flag", "why"], rows);
        }
    }
    page
}

/// Every command that runs something, with its full name.
fn commands<'a>(command: &'a Command, before: &str) -> Vec<(String, &'a Command)> {
    let name = format!("{before}{}", command.get_name());
    let below = command.get_subcommands().filter(|command| command.get_name() != "help");
    let below: Vec<_> = below.flat_map(|command| commands(command, &format!("{name} "))).collect();
    if below.is_empty() { vec![(name, command)] } else { below }
}

fn spelling(arg: &Arg) -> String {
    let short = arg.get_short().map(|short| format!("-{short}"));
    let long = arg.get_long().map(|long| format!("--{long}"));
    match (short, long) {
        (Some(short), Some(long)) => format!("{short}, {long}"),
        (short, long) => short.or(long).unwrap_or_else(|| takes(arg)),
    }
}

/// The default of a flag: as declared with the flag, or with its field.
fn default_of(arg: &Arg) -> String {
    match arg.get_default_values() {
        [] => field_of(arg).map(default).unwrap_or_default(),
        values => values.iter().map(|text| code(&text.to_string_lossy())).collect(),
    }
}

fn field_of(arg: &Arg) -> Option<&'static Field> {
    let flag = arg.get_long()?;
    fields().iter().find(|field| field.flag == Some(flag))
}

/// The values of a flag: the possible words, or the name of its value.
fn takes(arg: &Arg) -> String {
    let possible = arg.get_possible_values();
    let words = possible.iter().filter(|value| !value.is_hide_set());
    let words: Vec<&str> = words.map(clap::builder::PossibleValue::get_name).collect();
    if !words.is_empty() {
        return words.join(", ");
    }
    if !arg.get_action().takes_values() {
        return String::new();
    }
    arg.get_value_names().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_long_help().or(arg.get_help());
    help.map(ToString::to_string)
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Why a flag has no effect: the reason of its field, or that it belongs to kube-proxy's own
/// logging.
fn why_idle(arg: &Arg) -> String {
    field_of(arg).and_then(|field| field.without_effect).map_or_else(
        || "it belongs to libraries that kube-proxy is built with".to_owned(),
        ToOwned::to_owned,
    )
}

fn objects() -> String {
    let mut page = page(
        "Annotations and labels",
        "Settings of single objects beyond their fields. A change takes effect at once and breaks \
         no open connection. An invalid value is ignored, with a \
         [warning](metrics.md#warnings).",
    );
    let row = |one: Known| {
        let on = one.on.join(", ");
        let default = one.default.to_owned();
        [code(one.key), on, one.value.to_owned(), default, one.meaning.to_owned()]
    };
    let columns = ["key", "on", "value", "default", "meaning"];
    page += &section("Annotations", &table(columns, annotations().into_iter().map(row)));
    page += &section("Labels", &table(columns, labels().into_iter().map(row)));
    page
}

fn metrics() -> String {
    let mut page = page(
        "Metrics and warnings",
        "Served at `metricsBindAddress`, `127.0.0.1:10249/metrics` by default, in the Prometheus \
         text format. Metrics that kube-proxy also has keep kube-proxy's names; all others begin with `trimtab_`. A series with labels appears when it is first counted.",
    );
    let rows = trimtab_metrics::all().map(|metric| {
        let labels: Vec<String> = metric.labels.iter().map(|label| code(label)).collect();
        let kind = metric.kind.as_str().to_owned();
        [code(metric.name), kind, labels.join(", "), metric.meaning.to_owned()]
    });
    page += &section("", &table(["name", "type", "labels", "meaning"], rows));
    let rows = WarningReason::ALL.iter().map(|reason| {
        let meaning = reason.meaning().to_owned();
        [code(reason.as_str()), code(reason.action()), meaning]
    });
    let warnings = "If something in an object cannot be applied, Trimtab warns: with a line in \
        the log, an Event of type `Warning` on the object, and the reason as label of `trimtab_problems` (current problems) and `trimtab_problems_total`.\n\n";
    page += &section(
        "Warnings",
        &(warnings.to_owned() + &table(["reason", "action", "meaning"], rows)),
    );
    page
}
