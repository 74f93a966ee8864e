//! The note of how far a walk is.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wharf_registry::fsck::{Phase, State};

/// Where the note of an interrupted walk goes, if no file was named.
const DEFAULT: &str = "wharf-fsck.state";
/// The layout of the note.
const FORMAT: u32 = 1;
/// How often it is written.
const BEAT: Duration = Duration::from_secs(1);

/// Why the note is of no use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResumeError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path} is no note of a walk that this version can go on with: {source}")]
    Unreadable { path: PathBuf, source: serde_json::Error },
    #[error("{path} is the note of a walk over {noted}, not over {place}: remove it, or name another file")]
    OtherPlace { path: PathBuf, noted: String, place: String },
}

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    format: u32,
    place: String,
    scrub: bool,
    state: State,
}

/// A walk that can go on later.
#[derive(Debug)]
pub(super) struct Resume {
    /// The file, if one was named.
    named: Option<PathBuf>,
    note: Note,
    is_begun: bool,
    written: Option<Instant>,
}

impl Resume {
    /// Takes the note up, if there is one. A walk that was begun with a scrub goes on with it.
    pub(super) fn open(path: Option<&Path>, place: &str, scrub: bool) -> Result<Self, ResumeError> {
        let fresh = Note { format: FORMAT, place: place.to_owned(), scrub, state: State::default() };
        let noted = path.map(|path| read(path, place)).transpose()?.flatten();
        let is_begun = noted.is_some();
        let mut note = noted.unwrap_or(fresh);
        note.scrub |= scrub;
        Ok(Self { named: path.map(Path::to_owned), note, is_begun, written: None })
    }

    pub(super) fn state(&self) -> State {
        self.note.state.clone()
    }

    pub(super) const fn scrub(&self) -> bool {
        self.note.scrub
    }

    /// The phase that it goes on in, if it was begun before.
    pub(super) fn goes_on_in(&self) -> Option<Phase> {
        self.is_begun.then_some(self.note.state.phase)
    }

    /// Takes in a newer state. Where a file was named, it is written down now and then.
    pub(super) fn note(&mut self, state: State) -> Result<(), ResumeError> {
        self.note.state = state;
        let is_due = self.written.is_none_or(|written| written.elapsed() >= BEAT);
        if let Some(path) = self.named.clone().filter(|_| is_due) {
            self.write(&path)?;
        }
        Ok(())
    }

    /// The walk was interrupted: writes down where it stands, and answers the file.
    pub(super) fn keep(&mut self) -> Result<Option<PathBuf>, ResumeError> {
        let has_moved = self.is_begun || !self.note.state.is_fresh();
        let path = self.named.clone().unwrap_or_else(|| DEFAULT.into());
        if has_moved {
            self.write(&path)?;
        }
        Ok(has_moved.then_some(path))
    }

    /// The walk is over.
    pub(super) fn forget(&self) -> Result<(), ResumeError> {
        match self.named.as_ref().map(|path| (path, std::fs::remove_file(path))) {
            Some((path, Err(source))) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(ResumeError::File { path: path.clone(), source })
            }
            _ => Ok(()),
        }
    }

    /// Into a new file that then takes the place of the old one, so that there is always a whole one.
    fn write(&mut self, path: &Path) -> Result<(), ResumeError> {
        let failed = |source| ResumeError::File { path: path.to_owned(), source };
        let text = serde_json::to_vec(&self.note)
            .map_err(|source| ResumeError::Unreadable { path: path.to_owned(), source })?;
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(".new");
        let mut file = std::fs::File::create(&fresh).map_err(failed)?;
        file.write_all(&text).map_err(failed)?;
        std::fs::rename(&fresh, path).map_err(failed)?;
        self.written = Some(Instant::now());
        Ok(())
    }
}

fn read(path: &Path, place: &str) -> Result<Option<Note>, ResumeError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(ResumeError::File { path: path.to_owned(), source }),
    };
    let note: Note = serde_json::from_slice(&text)
        .and_then(|note: Note| match note.format {
            FORMAT => Ok(note),
            other => Err(serde::de::Error::custom(format_args!("format {other}"))),
        })
        .map_err(|source| ResumeError::Unreadable { path: path.to_owned(), source })?;
    if note.place != place {
        let (noted, place) = (note.place, place.to_owned());
        return Err(ResumeError::OtherPlace { path: path.to_owned(), noted, place });
    }
    Ok(Some(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_taken_up_again_for_the_same_place_only() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("note");
        let mut resume = Resume::open(Some(&path), "here", true).expect("a new one");
        assert_eq!(resume.goes_on_in(), None);
        let state: State = serde_json::from_value(serde_json::json!({
            "phase": "blobs", "after": "blob/sha256-00", "open": [], "repositories": 1, "walked": 1, "suspects": [],
            "summary": {"checked": {"blobs": 7}, "findings": {}, "lost": 0, "bytes": 0, "skipped": 0},
        }))
        .expect("a state");
        resume.note(state).expect("a write");
        let again = Resume::open(Some(&path), "here", false).expect("the note");
        assert_eq!((again.goes_on_in(), again.scrub()), (Some(Phase::Blobs), true));
        assert!(matches!(Resume::open(Some(&path), "there", true), Err(ResumeError::OtherPlace { .. })));
        again.forget().expect("removed");
        again.forget().expect("removed before");
        assert_eq!(Resume::open(Some(&path), "here", false).expect("a new one").goes_on_in(), None);
        std::fs::write(&path, "nonsense").expect("a write");
        assert!(matches!(Resume::open(Some(&path), "here", true), Err(ResumeError::Unreadable { .. })));
    }
}
