//! Users of an htpasswd file.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::hmac;
use quick_cache::sync::Cache;

use crate::caller::Password;
use crate::hasher::{Busy, Hash, Hasher};
use crate::secret;

/// How many passwords are remembered as right.
const REMEMBERED: usize = 4096;
/// The largest file.
const MAX_BYTES: u64 = 16 << 20;

/// The file, as it was last read.
#[derive(Debug)]
pub struct Htpasswd {
    path: PathBuf,
    hasher: Hasher,
    users: RwLock<Users>,
    /// Marks of name, hash and password that belong together, under a key of this process alone. A user who is gone, or whose hash
    /// is another one, has no mark here that could be looked up.
    verified: Cache<[u8; 32], ()>,
    key: hmac::Key,
}

#[derive(Debug, Default)]
struct Users {
    hashes: HashMap<String, Hash>,
    /// The hash that takes longest: an unknown name takes as long.
    slowest: Option<Hash>,
    state: Option<State>,
}

/// What a file looks like from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Htpasswd {
    /// Reads the file.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let hasher = Hasher::default();
        let users = RwLock::new(read(path)?);
        let verified = Cache::new(REMEMBERED);
        Ok(Self { path: path.to_owned(), hasher, users, verified, key: secret::fresh_key() })
    }

    /// Reads the file again if it has changed. One that cannot be read leaves the users as they were, and a line in the log.
    pub(crate) async fn refresh(self: &Arc<Self>) {
        let this = self.clone();
        let work = tokio::task::spawn_blocking(move || this.refresh_now());
        match work.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(path = %self.path.display(), %error, "the users stay as they were: the file cannot be read");
            }
            Err(error) => tracing::error!(%error, "the file of users was not read again"),
        }
    }

    fn refresh_now(&self) -> io::Result<()> {
        let state = state(&self.path)?;
        if self.read_users().state == Some(state) {
            return Ok(());
        }
        let users = read(&self.path)?;
        tracing::info!(path = %self.path.display(), users = users.hashes.len(), "the users were read again");
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = users;
        self.verified.clear();
        Ok(())
    }

    fn read_users(&self) -> std::sync::RwLockReadGuard<'_, Users> {
        self.users.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is such a user.
    pub(crate) fn knows(&self, user: &str) -> bool {
        self.read_users().hashes.contains_key(user)
    }

    /// What names the present password of a user, for who has the key; `None` where there is no such user.
    pub(crate) fn fingerprint(&self, user: &str, key: &hmac::Key) -> Option<String> {
        let hash = self.read_users().hashes.get(user).cloned()?;
        Some(secret::short_mark(key, &[user.as_bytes(), hash.as_str().as_bytes()]))
    }

    /// Whether this user has this password. An unknown name takes as long as a wrong password, if `hide` says so.
    pub(crate) async fn verify(&self, user: &str, password: &Password, hide: bool) -> Result<bool, Busy> {
        let (hash, stand_in) = {
            let users = self.read_users();
            (users.hashes.get(user).cloned(), users.slowest.clone())
        };
        let Some(hash) = hash else {
            if let Some(hash) = stand_in.filter(|_| hide) {
                self.hasher.verify(hash, password.clone(), || false).await?;
            }
            return Ok(false);
        };
        let mark = secret::mark(&self.key, &[user.as_bytes(), hash.as_str().as_bytes(), password.as_bytes()]);
        let known = || self.verified.get(&mark).is_some();
        if known() {
            return Ok(true);
        }
        let matches = self.hasher.verify(hash.clone(), password.clone(), known).await?;
        // The file may have been read again meanwhile.
        let stands = matches && self.read_users().hashes.get(user) == Some(&hash);
        if stands {
            self.verified.insert(mark, ());
        }
        Ok(stands)
    }
}

fn state(path: &Path) -> io::Result<State> {
    let metadata = std::fs::metadata(path)?;
    if metadata.len() > MAX_BYTES {
        return Err(io::Error::other(format!("it has more than {MAX_BYTES} bytes")));
    }
    Ok(State { inode: metadata.ino(), size: metadata.len(), modified: (metadata.mtime(), metadata.mtime_nsec()) })
}

fn read(path: &Path) -> io::Result<Users> {
    // Before the text: a change in between is seen the next time.
    let state = state(path)?;
    let text = std::fs::read_to_string(path)?;
    let mut users = Users { state: Some(state), ..Users::default() };
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = line.split_once(':').filter(|(user, _)| !user.is_empty());
        match entry.and_then(|(user, hash)| Some((user, Hash::new(hash)?))) {
            Some((user, hash)) => {
                users.hashes.insert(user.to_owned(), hash);
            }
            None => tracing::warn!(
                path = %path.display(),
                line = number,
                "this user cannot log in: only bcrypt (htpasswd -B), SHA-256 and SHA-512 crypt hashes are accepted"
            ),
        }
    }
    users.slowest = users.hashes.values().max_by_key(|hash| hash.cost()).cloned();
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(password: &str) -> String {
        bcrypt::hash(password, 4).unwrap()
    }

    fn open(text: &str) -> (tempfile::TempDir, Arc<Htpasswd>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("htpasswd");
        std::fs::write(&path, text).unwrap();
        let users = Htpasswd::open(&path).unwrap();
        (directory, Arc::new(users))
    }

    async fn verify(users: &Htpasswd, user: &str, password: &str) -> bool {
        users.verify(user, &Password::new(password.as_bytes()), true).await.unwrap()
    }

    #[tokio::test]
    async fn only_the_right_password_is_right() {
        let text = format!("# users\n\nalice:{}\nbob:{}\nold:$apr1$x$y\nnothing\n", hash("a"), hash("b"));
        let (_directory, users) = open(&text);
        for (user, password, right) in [
            ("alice", "a", true),
            ("alice", "a", true),
            ("alice", "b", false),
            ("alice", "", false),
            ("bob", "b", true),
            ("old", "y", false),
            ("nobody", "a", false),
            ("", "", false),
        ] {
            assert_eq!(verify(&users, user, password).await, right, "{user} {password}");
        }
        assert_eq!(users.verified.len(), 2);
    }

    #[tokio::test]
    async fn a_user_who_is_removed_is_refused_although_remembered() {
        let (directory, users) = open(&format!("alice:{}\nbob:{}\n", hash("a"), hash("b")));
        let key = secret::fresh_key();
        let before = users.fingerprint("bob", &key);
        assert!(verify(&users, "alice", "a").await && verify(&users, "bob", "b").await);
        // As editors and Kubernetes replace files: another file under the same name.
        let next = directory.path().join("next");
        std::fs::write(&next, format!("bob:{}\n", hash("new"))).unwrap();
        std::fs::rename(&next, directory.path().join("htpasswd")).unwrap();
        users.refresh().await;
        assert!(!verify(&users, "alice", "a").await && !verify(&users, "bob", "b").await);
        assert!(verify(&users, "bob", "new").await);
        assert_ne!(users.fingerprint("bob", &key), before);
        assert_eq!(users.fingerprint("alice", &key), None);
        std::fs::remove_file(directory.path().join("htpasswd")).unwrap();
        users.refresh().await;
        assert!(verify(&users, "bob", "new").await, "a file that is gone for a moment locks nobody out");
    }
}
