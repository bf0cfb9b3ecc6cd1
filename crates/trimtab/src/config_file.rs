//! The configuration file, which is read once: when it changes, the program exits, to be restarted
//! with it.

use std::path::Path;

use anyhow::Context as _;

use trimtab_kube::folder::Watch;

/// Returns when the file's content changes, also in a mounted `ConfigMap`.
///
/// # Errors
/// When its folder cannot be watched.
pub(crate) fn until_changed(file: &Path) -> anyhow::Result<impl Future<Output = ()> + use<>> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut watch = Watch::new(folder)
        .with_context(|| format!("cannot watch the folder {}", folder.display()))?;
    let before = std::fs::read(file).ok();
    let file = file.to_owned();
    Ok(async move {
        while watch.changed().await {
            // A missing file is not a change yet: it is about to be replaced.
            let now = std::fs::read(&file).ok();
            if now.is_some() && now != before {
                return;
            }
        }
        // The watch has ended, so no change will be noticed any more.
        std::future::pending::<()>().await;
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn other_content_is_a_change_and_the_same_again_is_none() {
        let folder = std::env::temp_dir().join(format!("trimtab-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("config.yaml");
        std::fs::write(&file, "mode: ipvs\n").unwrap();
        let mut waiting = tokio::spawn(until_changed(&file).unwrap());
        for _ in 0..3 {
            std::fs::write(&file, "mode: ipvs\n").unwrap();
            let ended = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
            assert!(ended.is_err(), "{ended:?}");
        }
        std::fs::write(folder.join("next"), "mode: ipvs\nclusterCIDR: 10.0.0.0/8\n").unwrap();
        std::fs::rename(folder.join("next"), &file).unwrap();
        tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
