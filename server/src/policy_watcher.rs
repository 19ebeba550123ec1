//! Reloads the policy file when it changes.
//!
//! The file is polled. File events often miss a change of mounted configuration, which replaces symbolic links.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tagledger_policy::Policy;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Time between two polls.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The last valid policy of the file. A file that cannot be loaded does not replace it.
#[derive(Debug)]
pub struct PolicyWatcher {
    path: Option<PathBuf>,
    current: RwLock<LoadedPolicy>,
}

#[derive(Debug, Clone)]
struct LoadedPolicy {
    policy: Option<Arc<Policy>>,
    /// Why the current file cannot be loaded.
    fault: Option<String>,
    text: Option<String>,
}

impl PolicyWatcher {
    /// Reads the file. An unreadable file is not an error here: every answer about the policy reports it.
    pub fn open(path: Option<&Path>) -> Self {
        let empty = LoadedPolicy { policy: None, fault: None, text: None };
        let file = Self { path: path.map(Path::to_owned), current: RwLock::new(empty) };
        file.reload();
        file
    }

    /// The folder of the file; none without a file.
    pub(crate) fn folder(&self) -> Option<&Path> {
        let folder = self.path.as_deref()?.parent()?;
        Some(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
    }

    /// The policy, and the error if the current file cannot be loaded.
    pub fn get(&self) -> (Option<Arc<Policy>>, Option<String>) {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        (current.policy.clone(), current.fault.clone())
    }

    /// A digest of what [`PolicyWatcher::get`] returns. It does not depend on the path of the file unless loading failed.
    pub(crate) fn content(&self) -> String {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let digest = current.policy.as_ref().map_or("none", |policy| policy.digest());
        format!("{digest} {}", current.fault.as_deref().unwrap_or_default())
    }

    /// Reads the file again if it has changed.
    pub fn reload(&self) {
        let Some(path) = &self.path else { return };
        let before = self.current.read().unwrap_or_else(PoisonError::into_inner).clone();
        let after = match std::fs::read_to_string(path) {
            Ok(text) if before.text.as_ref() == Some(&text) => return,
            Ok(text) => parsed(path, before.policy, text),
            Err(error) => {
                let fault = format!("{} cannot be read: {error}", path.display());
                if before.fault.as_ref() == Some(&fault) {
                    return;
                }
                warn!(policy.path = %path.display(), "the policy file cannot be read: {error}");
                LoadedPolicy { policy: before.policy, fault: Some(fault), text: None }
            }
        };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = after;
    }

    /// Polls the file until `end` is cancelled.
    pub async fn follow(self: Arc<Self>, end: CancellationToken) {
        while tokio::time::timeout(POLL_INTERVAL, end.cancelled()).await.is_err() {
            self.reload();
        }
    }
}

fn parsed(path: &Path, before: Option<Arc<Policy>>, text: String) -> LoadedPolicy {
    match Policy::parse(&text) {
        Ok(policy) => {
            info!(policy.version = policy.version(), policy.digest = policy.digest(), "policy loaded");
            LoadedPolicy { policy: Some(Arc::new(policy)), fault: None, text: Some(text) }
        }
        Err(faults) => {
            let path = path.display();
            warn!(policy.path = %path, "the policy file is invalid, the previous policy stays in force: {faults}");
            let fault = format!("{path} does not load; `tagledger policy check {path}` says why");
            LoadedPolicy { policy: before, fault: Some(fault), text: Some(text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reload replaces the policy only by a valid one. After an invalid file the last valid policy stays in use, and
    /// the error names `tagledger policy check`; a deleted file is reported as unreadable.
    #[test]
    fn invalid_file_keeps_last_valid_policy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.json");
        let good =
            r#"{"version": "1.0", "last_updated": "2026-01-01T00:00:00Z", "required_tags": [{"name": "Owner"}]}"#;
        std::fs::write(&path, good).unwrap();
        let file = PolicyWatcher::open(Some(&path));
        std::fs::write(&path, good.replace("1.0", "2.0")).unwrap();
        file.reload();
        assert_eq!(file.get().0.unwrap().version(), "2.0");
        std::fs::write(&path, "{").unwrap();
        file.reload();
        let (policy, fault) = file.get();
        assert_eq!(policy.unwrap().version(), "2.0");
        assert!(fault.unwrap().contains("tagledger policy check"));
        std::fs::remove_file(&path).unwrap();
        file.reload();
        assert!(file.get().1.unwrap().contains("cannot be read"));
    }
}
