//! The files of the data, without any waiting for one another. Everything here may wait for the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::dirs::SharedSync;
use crate::{Generation, StoredData};

/// How many buffers the system takes in one call.
const MOST_SLICES: usize = 1024;

/// The directories of a store.
#[derive(Debug)]
pub(super) struct Files {
    durable: bool,
    temp: PathBuf,
    temp_number: AtomicU64,
    uploads: SharedSync,
    /// One for each value of the first byte of an id.
    data: Vec<SharedSync>,
}

impl Files {
    /// Makes the directories that are missing and clears away what an earlier process left half done.
    pub(super) fn open(root: &Path, durable: bool) -> io::Result<Self> {
        let (data, temp, uploads) = (root.join("data"), root.join("temp"), root.join("uploads"));
        match fs::remove_dir_all(&temp) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        for directory in [&data, &temp, &uploads] {
            make_directory(directory)?;
        }
        let data: Vec<_> = (0..=u8::MAX).map(|first| SharedSync::new(data.join(format!("{first:02x}")))).collect();
        for directory in &data {
            make_directory(directory.directory())?;
        }
        let files = Self { durable, temp, temp_number: AtomicU64::new(0), uploads: SharedSync::new(uploads), data };
        if durable {
            File::open(root.join("data"))?.sync_all()?;
            File::open(root)?.sync_all()?;
        }
        Ok(files)
    }

    /// Stores data whole.
    pub(super) fn put(&self, generation: &Generation, chunks: &[Bytes]) -> io::Result<()> {
        let number = self.temp_number.fetch_add(1, Ordering::Relaxed);
        let temp = self.temp.join(format!("{generation}.{number}"));
        let written = self.write_new(&temp, chunks).and_then(|()| self.publish(&temp, generation));
        if written.is_err() {
            // It is cleared away when the store is opened, if not now.
            let _ = fs::remove_file(&temp);
        }
        written
    }

    fn write_new(&self, path: &Path, chunks: &[Bytes]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        write_vectored_at(&file, chunks, 0)?;
        self.sync_file(&file)
    }

    /// Moves a file, which is durable, to where data are read.
    fn publish(&self, from: &Path, generation: &Generation) -> io::Result<()> {
        let directory = self.directory_of(generation);
        fs::rename(from, directory.directory().join(generation.as_str()))?;
        self.sync_directory(directory)
    }

    /// Makes the file of an upload.
    pub(super) fn start(&self, generation: &Generation) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(self.upload_path(generation))
    }

    /// The file of an upload.
    pub(super) fn open_upload(&self, generation: &Generation) -> io::Result<Option<File>> {
        existing(OpenOptions::new().read(true).write(true).open(self.upload_path(generation)))
    }

    /// Makes an upload durable, and that there is one.
    pub(super) fn sync_upload(&self, file: &File) -> io::Result<()> {
        self.sync_file(file)?;
        self.sync_directory(&self.uploads)
    }

    /// Makes data of an upload, which has the right size and is durable.
    pub(super) fn publish_upload(&self, generation: &Generation) -> io::Result<()> {
        self.publish(&self.upload_path(generation), generation)
    }

    /// Makes durable that data are there.
    pub(super) fn sync_entry(&self, generation: &Generation) -> io::Result<()> {
        self.sync_directory(self.directory_of(generation))
    }

    pub(super) fn remove_upload(&self, generation: &Generation) -> io::Result<()> {
        existing(fs::remove_file(self.upload_path(generation))).map(|_| ())
    }

    pub(super) fn remove_data(&self, generation: &Generation) -> io::Result<()> {
        existing(fs::remove_file(self.data_path(generation))).map(|_| ())
    }

    pub(super) fn open_data(&self, generation: &Generation) -> io::Result<Option<File>> {
        existing(File::open(self.data_path(generation)))
    }

    pub(super) fn size(&self, generation: &Generation) -> io::Result<Option<u64>> {
        Ok(existing(fs::metadata(self.data_path(generation)))?.map(|metadata| metadata.len()))
    }

    /// The ids of all uploads that begin with `prefix`, in order.
    pub(super) fn uploads(&self, prefix: &str) -> io::Result<Vec<Generation>> {
        generations(self.uploads.directory(), prefix)
    }

    /// Up to `limit` data that begin with `prefix` and come after `after`, in order.
    pub(super) fn list(&self, prefix: &str, after: Option<&Generation>, limit: usize) -> io::Result<Vec<StoredData>> {
        let mut found = Vec::new();
        let first = prefix.get(..2).unwrap_or(prefix);
        let skipped = after.map_or(0, index_of);
        let wanted = |directory: &&SharedSync| {
            directory.directory().file_name().is_some_and(|name| name.to_string_lossy().starts_with(first))
        };
        for directory in self.data.iter().skip(skipped).filter(wanted) {
            for generation in generations(directory.directory(), prefix)? {
                if after.is_some_and(|after| generation <= *after) {
                    continue;
                }
                if found.len() >= limit {
                    return Ok(found);
                }
                // It may have been deleted meanwhile.
                if let Some(size) = self.size(&generation)? {
                    found.push(StoredData { generation, size });
                }
            }
        }
        Ok(found)
    }

    pub(super) fn sync_file(&self, file: &File) -> io::Result<()> {
        if self.durable { file.sync_data() } else { Ok(()) }
    }

    fn sync_directory(&self, directory: &SharedSync) -> io::Result<()> {
        if self.durable { directory.sync() } else { Ok(()) }
    }

    fn upload_path(&self, generation: &Generation) -> PathBuf {
        self.uploads.directory().join(generation.as_str())
    }

    fn data_path(&self, generation: &Generation) -> PathBuf {
        self.directory_of(generation).directory().join(generation.as_str())
    }

    fn directory_of(&self, generation: &Generation) -> &SharedSync {
        &self.data[index_of(generation)]
    }
}

/// The first byte of an id, which is at least 32 hexadecimal digits.
fn index_of(generation: &Generation) -> usize {
    generation.as_str().get(..2).and_then(|first| u8::from_str_radix(first, 16).ok()).map_or(0, usize::from)
}

/// The ids in a directory that begin with `prefix`, in order.
fn generations(directory: &Path, prefix: &str) -> io::Result<Vec<Generation>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) else { continue };
        // Whatever else lies here is not ours.
        found.extend(name.parse::<Generation>().ok());
    }
    found.sort_unstable();
    Ok(found)
}

/// `None` for what is not there.
fn existing<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

/// Writes all chunks from `offset` on.
pub(super) fn write_vectored_at(file: &File, chunks: &[Bytes], mut offset: u64) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().filter(|c| !c.is_empty()).map(|c| IoSlice::new(c)).collect();
    let mut rest = slices.as_mut_slice();
    while !rest.is_empty() {
        let some = &rest[..rest.len().min(MOST_SLICES)];
        match rustix::io::pwritev(file, some, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(())
}
