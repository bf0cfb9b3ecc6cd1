//! podman with images and a state of its own.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::eventually;
use crate::topology::Host;

/// Where `cargo xtask test` says the image is.
const IMAGE: &str = "TRIMTAB_IMAGE";

/// The program of the container that only holds a pod together: podman's package recommends it.
const PAUSE: [&str; 2] = ["/usr/bin/catatonit", "/usr/libexec/podman/catatonit"];
const PAUSE_IMAGE: &str = "localhost/pause:1";

/// What a machine without systemd and without a network needs.
const CONFIG: &str = r#"
[containers]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
infra_image = "localhost/pause:1"
runtime = "runc"
"#;

/// podman, with the image loaded.
#[derive(Debug)]
pub struct Engine {
    folder: TempDir,
}

impl Engine {
    /// Loads the images. All is kept in memory: overlay file systems do not mount on one another,
    /// and the root of a guest is one.
    ///
    /// # Errors
    /// If podman cannot be had to do it.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("trimtab-pods-").tempdir()?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "mode=755", "pods"]).arg(folder.path());
        checked(&mut mount)?;
        if !Path::new("/sys/fs/cgroup/cgroup.procs").exists() {
            checked(Command::new("mount").args(["-t", "cgroup2", "cgroup", "/sys/fs/cgroup"]))?;
        }
        std::fs::write(folder.path().join("containers.conf"), CONFIG)?;
        let engine = Self { folder };
        engine.load_pause()?;
        let image = std::env::var_os(IMAGE)
            .with_context(|| format!("{IMAGE} must hold the path of the image"))?;
        checked(engine.podman(["load", "--quiet", "--input"]).arg(image))?;
        Ok(engine)
    }

    fn load_pause(&self) -> anyhow::Result<()> {
        let pause = PAUSE.into_iter().find(|path| Path::new(path).exists());
        let pause = pause.context("no catatonit: install the package of that name")?;
        let archive = self.path("pause.tar");
        let (folder, name) = pause.rsplit_once('/').context("a path")?;
        checked(Command::new("tar").arg("-cf").arg(&archive).args(["-C", folder, name]))?;
        let entry = r#"ENTRYPOINT ["/catatonit", "-P"]"#;
        let mut import = self.podman(["import", "--quiet", "--change", entry]);
        checked(import.arg(&archive).arg(PAUSE_IMAGE)).map(drop)
    }

    /// A path for a file or folder that goes with the engine.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a program of an image in the network of a node, with these capabilities and no others;
    /// what it printed.
    ///
    /// # Errors
    /// If it fails, with its words.
    pub fn run(
        &self,
        node: &Host,
        image: &str,
        program: &str,
        capabilities: &[&str],
    ) -> anyhow::Result<String> {
        let mut run = self.podman(["run", "--rm", "--read-only", "--network=host"]);
        run.args(["--cap-drop=ALL", "--entrypoint", program]);
        run.args(capabilities.iter().map(|name| format!("--cap-add={name}")));
        node.namespace().run(|| checked(run.arg(image)))?
    }

    /// Starts a pod, with the ConfigMaps that it mounts, in the network of a node.
    ///
    /// # Errors
    /// If a container cannot be started, or an init container fails: with its words.
    pub fn play(&self, node: &Host, objects: &[Value]) -> anyhow::Result<RunningPod<'_>> {
        let mut text = String::new();
        for object in objects {
            // JSON is YAML.
            writeln!(text, "---\n{object}")?;
        }
        let file = self.path("pod.yaml");
        std::fs::write(&file, text)?;
        // From here on, whatever was made of it is also removed.
        let pod = RunningPod { engine: self, node: node.clone() };
        let mut play = self.podman(["kube", "play", "--start=false"]);
        pod.inside(play.arg(&file))?;
        pod.forget_device_rules()?;
        pod.inside(&mut self.podman(["pod", "start", POD])).with_context(|| pod.logs())?;
        Ok(pod)
    }

    fn podman<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new("podman");
        command
            .env("CONTAINERS_CONF", self.path("containers.conf"))
            .arg("--root")
            .arg(self.path("root"))
            .arg("--runroot")
            .arg(self.path("run"))
            .arg("--tmpdir")
            .arg(self.path("tmp"))
            .args(["--storage-driver", "overlay"])
            .args(arguments);
        command
    }
}

/// The name of every pod here: there is one at a time.
const POD: &str = "trimtab";

/// A pod with its containers; removed when dropped.
#[derive(Debug)]
pub struct RunningPod<'a> {
    engine: &'a Engine,
    node: Host,
}

impl RunningPod<'_> {
    /// What a container has printed.
    ///
    /// # Errors
    /// If there is no such container.
    pub fn log(&self, container: &str) -> anyhow::Result<String> {
        let output = self.engine.podman(["logs"]).arg(name(container)).output()?;
        ensure!(output.status.success(), "{}", text(&output));
        Ok(text(&output))
    }

    /// Waits until a container's log has this in it.
    ///
    /// # Errors
    /// If that does not come; the log.
    pub fn wait_for(&self, container: &str, words: &str) -> anyhow::Result<()> {
        eventually(words, || Ok(self.log(container)?.contains(words).then_some(())))
            .with_context(|| self.log(container).unwrap_or_default())
    }

    /// What runc was told to make of a container: its `config.json`.
    /// <https://github.com/opencontainers/runtime-spec/blob/v1.1.0/config.md>
    ///
    /// # Errors
    /// If there is no such container.
    pub fn runtime_config(&self, container: &str) -> anyhow::Result<Value> {
        let format = "{{.OCIConfigPath}}";
        let path =
            checked(self.engine.podman(["inspect", "--format", format]).arg(name(container)))?;
        let config = std::fs::read(path.trim()).context("the configuration of runc")?;
        Ok(serde_json::from_slice(&config)?)
    }

    /// podman 4 makes the pod's control group with rules that forbid every device, even /dev/null,
    /// to all containers in it, and runc 1.1 then fails. A kubelet's has none. They end with the
    /// group, and runc makes it again.
    fn forget_device_rules(&self) -> anyhow::Result<()> {
        let format = "{{.CgroupPath}}";
        let path = checked(&mut self.engine.podman(["pod", "inspect", "--format", format, POD]))?;
        let group = Path::new("/sys/fs/cgroup").join(path.trim().trim_start_matches('/'));
        ensure!(path.trim().len() > 1 && group.is_dir(), "no control group: {}", group.display());
        std::fs::remove_dir(&group).with_context(|| group.display().to_string())
    }

    fn inside(&self, command: &mut Command) -> anyhow::Result<String> {
        self.node.namespace().run(|| checked(command))?
    }

    fn logs(&self) -> String {
        let format = "{{.Names}}";
        let listed = self.engine.podman(["ps", "--all", "--format", format]).output();
        let names = listed.map(|output| text(&output)).unwrap_or_default();
        let mut logs = String::new();
        for name in names.lines() {
            let log = self.engine.podman(["logs"]).arg(name).output();
            let log = log.map(|output| text(&output)).unwrap_or_default();
            let _ = writeln!(logs, "--- log of {name}\n{log}");
        }
        logs
    }
}

impl Drop for RunningPod<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        // One that is just being restarted stays in the way of this.
        for _ in 0..10 {
            let output = self.engine.podman(["pod", "rm", "--force", "--time=0", POD]).output();
            let is_left = self.engine.podman(["pod", "exists", POD]).status();
            if output.is_err() || is_left.is_ok_and(|status| !status.success()) {
                return;
            }
        }
    }
}

/// podman's name of a container of the pod.
fn name(container: &str) -> String {
    format!("{POD}-{container}")
}

fn checked(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let words: Vec<_> = std::iter::once(command.get_program()).chain(command.get_args()).collect();
    let words = words.join(OsStr::new(" "));
    let output = output.with_context(|| format!("cannot start {}", words.display()))?;
    let said = text(&output);
    ensure!(output.status.success(), "{}: {}: {said}", words.display(), output.status);
    Ok(String::from_utf8(output.stdout)?)
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}
