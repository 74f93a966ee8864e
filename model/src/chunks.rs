//! One upload session: chunks that race, the end of it, and its sweep.
//!
//! `registry/src/upload.rs` and `store/src/write/`. A chunk is told by its id, and bytes by the chunks that they are made of. A small
//! chunk becomes a piece, which takes in the piece before it; a large one becomes a part, which takes in all pieces. Two requests that
//! send a part of the same number write over each other, as they do in S3; a part has a tag, and a completion names tags.

use crate::actors::{Faults, Id, Io, Protocol, Run, System};
use crate::scenario::{Scenario, Size};

/// A step done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // their names say it
pub enum Broken {
    /// A session is written without its condition.
    Unconditional,
    /// A chunk that lost drops what it wrote though the session names it now.
    CurrentNotSpared,
    /// A chunk whose swap was not answered drops what it wrote.
    UnknownDropped,
    /// A chunk that lost to the end of the session drops what it wrote though it may serve.
    EndedNotSpared,
    /// Parts are completed by their numbers alone.
    TagsIgnored,
    /// An expired session is swept once only, before a request that is under way notices.
    SweptOnce,
    /// A session that ended is swept without a look at what serves.
    ServedSwept,
}

impl Broken {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Unconditional,
        Self::CurrentNotSpared,
        Self::UnknownDropped,
        Self::EndedNotSpared,
        Self::TagsIgnored,
        Self::SweptOnce,
        Self::ServedSwept,
    ];
}

/// Bytes, by the chunks that they are made of.
type Bytes = Vec<Id>;

/// What a session has written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Written {
    /// The multipart upload, and the tags of its parts.
    upload: Option<(Id, Vec<Id>)>,
    pieces: Vec<Id>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum State {
    Absent,
    Open(Written),
    Closing(Written),
    Done(Id),
    Expired,
}

/// The session. `hashed` are the chunks that went into the running hash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Session {
    nonce: Id,
    hashed: Bytes,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Store {
    session: Session,
    objects: Vec<(Id, Bytes)>,
    /// Uploads in parts: the tag and the bytes of each.
    uploads: Vec<(Id, Vec<(Id, Bytes)>)>,
    /// Only to check by: chunks that were acknowledged, with their offsets.
    acknowledged: Vec<(usize, Id)>,
    /// Only to check by: the session was swept for the last time, and something was written after that.
    swept: bool,
    outlived: bool,
}

/// Calls name values of the store by actor-local tables, so that a call stays small: see [`Value`].
#[derive(Clone, Copy, Debug)]
enum Call {
    Session,
    /// Swaps the session that has the nonce.
    Swap(Id, Value),
    DeleteSession,
    Object(Id),
    PutObject(Id, Few),
    DeleteObject(Id),
    Start(Id),
    /// Upload, number, tag, bytes.
    PutPart(Id, u8, Id, Few),
    Complete(Id, Few, bool),
    Abort(Id),
    /// All that the session wrote; for its last sweep or the one before.
    Everything(bool),
    Acknowledge(u8, Id),
}

/// Up to four ids.
#[derive(Clone, Copy, Debug, Default)]
struct Few {
    len: u8,
    ids: [Id; 4],
}

impl From<&[Id]> for Few {
    fn from(list: &[Id]) -> Self {
        let mut few = Self::default();
        for id in list {
            few.ids[usize::from(few.len)] = *id;
            few.len += 1;
        }
        few
    }
}

impl Few {
    fn list(self) -> Vec<Id> {
        self.ids[..usize::from(self.len)].to_vec()
    }
}

/// A session as a small value.
#[derive(Clone, Copy, Debug)]
struct Value {
    nonce: Id,
    hashed: Few,
    kind: u8,
    upload: Option<(Id, Few)>,
    pieces: Few,
}

impl From<&Session> for Value {
    fn from(session: &Session) -> Self {
        let (kind, written) = match &session.state {
            State::Absent => (0, Written::default()),
            State::Open(written) => (1, written.clone()),
            State::Closing(written) => (2, written.clone()),
            State::Done(id) => (3, Written { upload: None, pieces: vec![*id] }),
            State::Expired => (4, Written::default()),
        };
        Self {
            nonce: session.nonce,
            hashed: session.hashed.as_slice().into(),
            kind,
            upload: written.upload.as_ref().map(|(id, tags)| (*id, tags.as_slice().into())),
            pieces: written.pieces.as_slice().into(),
        }
    }
}

impl From<Value> for Session {
    fn from(value: Value) -> Self {
        let written = Written { upload: value.upload.map(|(id, tags)| (id, tags.list())), pieces: value.pieces.list() };
        let state = match value.kind {
            0 => State::Absent,
            1 => State::Open(written),
            2 => State::Closing(written),
            3 => State::Done(value.pieces.ids[0]),
            _ => State::Expired,
        };
        Self { nonce: value.nonce, hashed: value.hashed.list(), state }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Done,
    Lost,
    Refused,
    Session(Session),
    Object(Option<Bytes>),
    /// Uploads in parts, and objects.
    Everything(Vec<Id>, Vec<Id>),
}

/// What an actor does.
#[derive(Clone, Copy, Debug)]
enum Op {
    /// Sends a chunk at an offset: small, or large.
    Append { at: u8, large: bool },
    /// Ends the session.
    Finish,
    /// A collector looks at the session, whose time is over.
    Collect,
}

#[derive(Clone, Debug)]
struct Chunks {
    store: Store,
    actors: Vec<Vec<Op>>,
    broken: Option<Broken>,
}

type Wire<'a, 'b> = &'a mut Io<'b, Call, Answer>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Swap {
    Done,
    Lost,
    Unknown,
}

impl Chunks {
    fn breaks(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    fn session(&self, io: Wire<'_, '_>) -> Run<Session, Call> {
        match io.call(Call::Session)? {
            Ok(Answer::Session(session)) => Ok(session),
            other => panic!("{other:?}"),
        }
    }

    fn swap(&self, io: Wire<'_, '_>, known: &Session, hashed: &[Id], state: State) -> Run<(Swap, Session), Call> {
        let nonce = io.id();
        let wanted = Session { nonce, hashed: hashed.to_vec(), state };
        let condition = if self.breaks(Broken::Unconditional) { self.session(io)?.nonce } else { known.nonce };
        let answer = io.call(Call::Swap(condition, (&wanted).into()))?;
        if answer == Ok(Answer::Done) {
            return Ok((Swap::Done, wanted));
        }
        let now = self.session(io)?;
        let swap = match answer {
            _ if now.nonce == nonce => Swap::Done,
            Err(_) if now.nonce == known.nonce => Swap::Unknown,
            _ => Swap::Lost,
        };
        Ok((swap, wanted))
    }

    /// The bytes of these pieces.
    fn read(&self, io: Wire<'_, '_>, pieces: &[Id]) -> Run<Option<Bytes>, Call> {
        let mut bytes = Vec::new();
        for piece in pieces {
            match io.call(Call::Object(*piece))? {
                Ok(Answer::Object(Some(more))) => bytes.extend(more),
                _ => return Ok(None),
            }
        }
        Ok(Some(bytes))
    }

    /// Sends these bytes as the next part.
    fn send_part(&self, io: Wire<'_, '_>, written: &mut Written, bytes: &[Id]) -> Run<bool, Call> {
        let (upload, mut tags) = match written.upload.clone() {
            Some(upload) => upload,
            None => {
                let upload = io.id();
                if io.call(Call::Start(upload))?.is_err() {
                    return Ok(false);
                }
                (upload, Vec::new())
            }
        };
        let tag = io.id();
        #[allow(clippy::cast_possible_truncation)] // a few
        let part = Call::PutPart(upload, tags.len() as u8, tag, bytes.into());
        let is_sent = io.call(part)? == Ok(Answer::Done);
        tags.push(tag);
        written.upload = Some((upload, tags));
        Ok(is_sent)
    }

    fn put_piece(&self, io: Wire<'_, '_>, written: &mut Written, bytes: &[Id]) -> Run<bool, Call> {
        let piece = io.id();
        written.pieces = vec![piece];
        Ok(io.call(Call::PutObject(piece, bytes.into()))?.is_ok())
    }

    fn append(&self, io: Wire<'_, '_>, at: u8, large: bool) -> Run<bool, Call> {
        let chunk = io.id();
        let open = self.session(io)?;
        let State::Open(base) = &open.state else { return Ok(false) };
        if open.hashed.len() != usize::from(at) {
            return Ok(false);
        }
        let Some(mut bytes) = self.read(io, &base.pieces)? else { return Ok(false) };
        bytes.push(chunk);
        let mut written = base.clone();
        written.pieces.clear();
        let is_written = match large {
            true => self.send_part(io, &mut written, &bytes)?,
            false => self.put_piece(io, &mut written, &bytes)?,
        };
        if !is_written {
            return Ok(false);
        }
        let hashed: Bytes = open.hashed.iter().copied().chain([chunk]).collect();
        match self.swap(io, &open, &hashed, State::Open(written.clone()))?.0 {
            Swap::Done => {
                let _ = io.call(Call::Acknowledge(at, chunk))?;
                Ok(true)
            }
            Swap::Unknown if !self.breaks(Broken::UnknownDropped) => Ok(false),
            _ => self.discard(io, base, &written),
        }
    }

    /// Drops what a request wrote that lost its swap, but for what it went on from and what the session names now.
    fn discard(&self, io: Wire<'_, '_>, base: &Written, written: &Written) -> Run<bool, Call> {
        let current = match self.session(io)?.state {
            State::Open(current) | State::Closing(current) => current,
            State::Done(_) if !self.breaks(Broken::EndedNotSpared) => return Ok(false),
            State::Absent => return Ok(false),
            State::Done(_) | State::Expired => Written::default(),
        };
        let mut others = vec![base];
        if !self.breaks(Broken::CurrentNotSpared) {
            others.push(&current);
        }
        for piece in written.pieces.iter().filter(|piece| !others.iter().any(|other| other.pieces.contains(piece))) {
            if io.call(Call::DeleteObject(*piece))?.is_err() {
                return Ok(false);
            }
        }
        if let Some((upload, _)) = &written.upload
            && others.iter().all(|other| other.upload.as_ref().is_none_or(|(id, _)| id != upload))
        {
            let _ = io.call(Call::Abort(*upload))?;
        }
        Ok(false)
    }

    fn finish(&self, io: Wire<'_, '_>) -> Run<bool, Call> {
        let session = self.session(io)?;
        let (base, mut written) = match &session.state {
            State::Open(written) => (written.clone(), written.clone()),
            // Another request was at it: go on with what it wrote.
            State::Closing(written) => (written.clone(), written.clone()),
            State::Done(_) => return Ok(true),
            State::Absent | State::Expired => return Ok(false),
        };
        let is_open = matches!(session.state, State::Open(_));
        let is_whole = written.upload.is_none() && written.pieces.len() == 1;
        if is_open && !is_whole && (written.upload.is_none() || !written.pieces.is_empty()) {
            let Some(bytes) = self.read(io, &written.pieces)? else { return Ok(false) };
            written.pieces.clear();
            let is_written = match written.upload {
                Some(_) => self.send_part(io, &mut written, &bytes)?,
                None => self.put_piece(io, &mut written, &bytes)?,
            };
            if !is_written {
                return Ok(false);
            }
        }
        let (swap, closing) = self.swap(io, &session, &session.hashed, State::Closing(written.clone()))?;
        match swap {
            Swap::Done => {}
            Swap::Unknown => return Ok(false),
            Swap::Lost if is_open => return self.discard(io, &base, &written),
            Swap::Lost => return Ok(false),
        }
        let generation = match (&written.upload, written.pieces.as_slice()) {
            (None, [whole]) => *whole,
            (Some((upload, tags)), _) => {
                let ignored = self.breaks(Broken::TagsIgnored);
                match io.call(Call::Complete(*upload, tags.as_slice().into(), ignored))? {
                    Ok(Answer::Done) => *upload,
                    Ok(_) => {
                        // Another request wrote over a part: nothing can be made of it.
                        self.swap(io, &closing, &[], State::Expired)?;
                        return Ok(false);
                    }
                    Err(_) => return Ok(false),
                }
            }
            other => panic!("{other:?}"),
        };
        let swap = self.swap(io, &closing, &session.hashed, State::Done(generation))?.0;
        Ok(swap == Swap::Done)
    }

    fn collect(&self, io: Wire<'_, '_>) -> Run<bool, Call> {
        let session = self.session(io)?;
        let (keep, expires) = match session.state {
            State::Absent => return Ok(true),
            State::Open(_) | State::Closing(_) => (None, true),
            State::Done(generation) => (Some(generation), false),
            State::Expired => (None, false),
        };
        if expires && self.swap(io, &session, &[], State::Expired)?.0 != Swap::Done {
            return Ok(true);
        }
        let Ok(Answer::Everything(uploads, objects)) = io.call(Call::Everything(!expires))? else { return Ok(true) };
        for upload in uploads {
            if io.call(Call::Abort(upload))?.is_err() {
                return Ok(true);
            }
        }
        for object in objects.into_iter().filter(|id| Some(*id) != keep || self.breaks(Broken::ServedSwept)) {
            if io.call(Call::DeleteObject(object))?.is_err() {
                return Ok(true);
            }
        }
        if !expires || self.breaks(Broken::SweptOnce) {
            let _ = io.call(Call::DeleteSession)?;
        }
        Ok(true)
    }
}

impl Protocol for Chunks {
    type Store = Store;
    type Call = Call;
    type Answer = Answer;

    fn store(&self) -> Store {
        self.store.clone()
    }

    fn programs(&self) -> Vec<usize> {
        self.actors.iter().map(Vec::len).collect()
    }

    fn run(&self, actor: usize, at: usize, io: &mut Io<'_, Call, Answer>) -> Run<bool, Call> {
        match self.actors[actor][at] {
            Op::Append { at, large } => self.append(io, at, large),
            Op::Finish => self.finish(io),
            Op::Collect => self.collect(io),
        }
    }

    fn apply(&self, store: &mut Store, call: Call) -> Answer {
        store.apply(call)
    }

    fn is_write(&self, call: Call) -> bool {
        !matches!(call, Call::Session | Call::Object(_) | Call::Everything(_) | Call::Acknowledge(..))
    }

    fn check(&self, store: &Store) -> Result<(), String> {
        store.check()
    }

    fn check_rest(&self, store: &Store, faults: Faults) -> Result<(), String> {
        let mut store = store.clone();
        let serves = match store.session.state {
            State::Done(generation) => Some(generation),
            _ => None,
        };
        let system = System { protocol: self.clone(), most: Faults::default() };
        for _ in 0..3 {
            system.alone(&mut store, |io| self.collect(io));
        }
        let left = store.objects.iter().filter(|(id, _)| Some(*id) != serves && store.session.state != State::Absent);
        if left.count() + store.uploads.len() > 0 && !store.outlived && faults.losses == 0 {
            return Err("P5: bytes of an upload are left".into());
        }
        match serves {
            Some(generation) if !store.objects.iter().any(|(id, _)| *id == generation) => {
                Err("P1: the bytes that serve were swept".into())
            }
            _ => Ok(()),
        }
    }
}

impl Store {
    fn apply(&mut self, call: Call) -> Answer {
        if matches!(call, Call::PutObject(..) | Call::PutPart(..) | Call::Start(_) | Call::Complete(..)) {
            self.outlived |= self.swept;
        }
        match call {
            Call::Session => return Answer::Session(self.session.clone()),
            Call::Swap(known, value) if self.session.nonce == known => self.session = value.into(),
            Call::Swap(..) => return Answer::Lost,
            Call::DeleteSession => self.session = Session { nonce: 255, hashed: Vec::new(), state: State::Absent },
            Call::Object(id) => {
                return Answer::Object(self.objects.iter().find(|(i, _)| *i == id).map(|(_, b)| b.clone()));
            }
            Call::PutObject(id, bytes) => put(&mut self.objects, id, bytes.list()),
            Call::DeleteObject(id) => self.objects.retain(|(i, _)| *i != id),
            Call::Start(id) => put(&mut self.uploads, id, Vec::new()),
            Call::PutPart(id, number, tag, bytes) => return self.put_part(id, usize::from(number), tag, bytes),
            Call::Complete(id, tags, ignored) => return self.complete(id, &tags.list(), ignored),
            Call::Abort(id) => self.uploads.retain(|(i, _)| *i != id),
            Call::Everything(is_last) => {
                self.swept |= is_last;
                let uploads = self.uploads.iter().map(|(id, _)| *id).collect();
                return Answer::Everything(uploads, self.objects.iter().map(|(id, _)| *id).collect());
            }
            Call::Acknowledge(at, chunk) => {
                self.acknowledged.push((usize::from(at), chunk));
                self.acknowledged.sort_unstable();
            }
        }
        Answer::Done
    }

    fn put_part(&mut self, id: Id, number: usize, tag: Id, bytes: Few) -> Answer {
        let Some((_, parts)) = self.uploads.iter_mut().find(|(i, _)| *i == id) else { return Answer::Refused };
        match parts.get_mut(number) {
            Some(part) => *part = (tag, bytes.list()),
            None => parts.push((tag, bytes.list())),
        }
        Answer::Done
    }

    /// Doing it again succeeds.
    fn complete(&mut self, id: Id, tags: &[Id], ignored: bool) -> Answer {
        if self.objects.iter().any(|(i, _)| *i == id) {
            return Answer::Done;
        }
        let Some(at) = self.uploads.iter().position(|(i, _)| *i == id) else { return Answer::Refused };
        let parts = &self.uploads[at].1;
        let is_there = |(n, tag): (usize, &Id)| parts.get(n).is_some_and(|part| part.0 == *tag || ignored);
        if !tags.iter().enumerate().all(is_there) {
            return Answer::Refused;
        }
        let bytes = parts[..tags.len()].iter().flat_map(|part| part.1.clone()).collect();
        self.uploads.remove(at);
        put(&mut self.objects, id, bytes);
        Answer::Done
    }

    fn check(&self) -> Result<(), String> {
        let has = |id: &Id| self.objects.iter().any(|(i, _)| i == id);
        match &self.session.state {
            State::Open(written) | State::Closing(written) => {
                if !written.pieces.iter().all(has) {
                    return Err("P4: the session names a piece that is gone".into());
                }
                if let Some((upload, _)) = &written.upload
                    && !self.uploads.iter().any(|(id, _)| id == upload)
                    && !has(upload)
                {
                    return Err("P4: the session names an upload that is gone".into());
                }
            }
            State::Done(generation) => match self.objects.iter().find(|(id, _)| id == generation) {
                None => return Err("P1: the bytes that serve are gone".into()),
                Some((_, bytes)) if *bytes != self.session.hashed => {
                    return Err(format!("P3: the blob is {bytes:?}, and its digest that of {:?}", self.session.hashed));
                }
                Some(_) => {}
            },
            State::Absent | State::Expired => return Ok(()),
        }
        match self.acknowledged.iter().find(|(at, chunk)| self.session.hashed.get(*at) != Some(chunk)) {
            Some((at, chunk)) => Err(format!("P3: chunk {chunk} was acknowledged at {at}, and is not there")),
            None => Ok(()),
        }
    }
}

fn put<T>(list: &mut Vec<(Id, T)>, id: Id, item: T) {
    list.retain(|(i, _)| *i != id);
    let at = list.partition_point(|(i, _)| *i < id);
    list.insert(at, (id, item));
}

fn scenario(name: &'static str, size: Size, actors: &[&[Op]], faults: (u8, u8)) -> Scenario {
    let session = Session { nonce: 0, hashed: Vec::new(), state: State::Open(Written::default()) };
    let store = Store {
        session,
        objects: Vec::new(),
        uploads: Vec::new(),
        acknowledged: Vec::new(),
        swept: false,
        outlived: false,
    };
    let actors: Vec<Vec<Op>> = actors.iter().map(|ops| ops.to_vec()).collect();
    let most = Faults { crashes: faults.0, losses: faults.1 };
    let chunks = Chunks { store, actors, broken: None };
    Scenario::new(name, size, move |broken: Option<Broken>| System {
        protocol: Chunks { broken, ..chunks.clone() },
        most,
    })
}

/// All of them.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    use Op::{Collect, Finish};
    use Size::{Large, Small};
    let small = |at| Op::Append { at, large: false };
    let large = |at| Op::Append { at, large: true };
    vec![
        scenario("chunks: one and its end, a lost answer", Small, &[&[small(0)], &[Finish]], (0, 1)),
        scenario(
            "chunks: two small ones race, a lost answer",
            Small,
            &[&[small(0), Finish], &[small(0), Finish]],
            (0, 1),
        ),
        scenario(
            "chunks: a small and a large one race, a crash",
            Small,
            &[&[small(0), large(1), Finish], &[large(0), Finish]],
            (1, 0),
        ),
        scenario(
            "chunks: large ones race behind a part",
            Small,
            &[&[large(0), large(1), Finish], &[large(1), Finish]],
            (0, 0),
        ),
        scenario(
            "chunks: small ones race behind a piece, a lost answer",
            Small,
            &[&[small(0), small(1)], &[small(1), Finish]],
            (0, 1),
        ),
        scenario(
            "chunks: one, its end twice, a collector",
            Small,
            &[&[small(0), Finish], &[Finish], &[Collect, Collect]],
            (1, 0),
        ),
        scenario(
            "chunks: a large one and its end, a collector, a lost answer",
            Small,
            &[&[large(0), Finish], &[Collect, Collect]],
            (0, 1),
        ),
        scenario(
            "chunks: mixed ones race, a lost answer",
            Large,
            &[&[small(0), large(1), Finish], &[large(0), small(1), Finish]],
            (0, 1),
        ),
        scenario(
            "chunks: large ones race behind a part, a lost answer",
            Large,
            &[&[large(0), large(1), Finish], &[large(1), Finish]],
            (0, 1),
        ),
        scenario(
            "chunks: three race, a crash",
            Large,
            &[&[small(0), Finish], &[large(0), Finish], &[small(1), Finish]],
            (1, 0),
        ),
        scenario(
            "chunks: two race, a collector, a crash",
            Large,
            &[&[small(0), Finish], &[small(0), large(1)], &[Collect, Collect]],
            (1, 0),
        ),
    ]
}
