//! What a layer knows of a call.

use crate::{Changed, DataPage, DataStream, ETag, ListPage, Put, Record, UnfinishedUpload};

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The kinds of calls.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($(#[$doc])* $name,)*
        }

        impl Operation {
            /// All of them.
            pub const ALL: [Self; [$($text),*].len()] = [$(Self::$name),*];

            /// The name, as it stands in metrics and errors.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

operations! {
    /// [`crate::Records::get`]
    Get = "get",
    /// [`crate::Records::get_if_changed`]
    GetIfChanged = "get_if_changed",
    /// [`crate::Records::put`]
    Put = "put",
    /// [`crate::Records::put_if_absent`]
    PutIfAbsent = "put_if_absent",
    /// [`crate::Records::put_if_match`]
    PutIfMatch = "put_if_match",
    /// [`crate::Records::delete`]
    Delete = "delete",
    /// [`crate::Records::list`]
    List = "list",
    /// [`crate::Data::put`]
    DataPut = "data_put",
    /// [`crate::Data::start`]
    Start = "start",
    /// [`crate::Data::put_part`]
    PutPart = "put_part",
    /// [`crate::Data::sync`]
    Sync = "sync",
    /// [`crate::Data::complete`]
    Complete = "complete",
    /// [`crate::Data::abort`]
    Abort = "abort",
    /// [`crate::Data::read`]
    Read = "read",
    /// [`crate::Data::size`]
    Size = "size",
    /// [`crate::Data::presign`]
    Presign = "presign",
    /// [`crate::Data::delete`]
    DataDelete = "data_delete",
    /// [`crate::Data::list`]
    DataList = "data_list",
    /// [`crate::Data::unfinished`]
    Unfinished = "unfinished",
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) operation: Operation,
    /// The key, id or prefix.
    pub(super) what: &'a str,
    /// How many bytes of content go to the store.
    pub(super) sent: u64,
}

impl<'a> Call<'a> {
    pub(super) const fn new(operation: Operation, what: &'a str) -> Self {
        Self { operation, what, sent: 0 }
    }

    pub(super) const fn sending(self, sent: u64) -> Self {
        Self { sent, ..self }
    }
}

/// What a call answers.
pub(super) trait Answer: Send + 'static {
    /// How many bytes of content came from the store with it.
    fn received(&self) -> u64 {
        0
    }
}

impl Answer for Option<Record> {
    fn received(&self) -> u64 {
        self.as_ref().map_or(0, |record| record.value.len() as u64)
    }
}

impl Answer for Changed {
    fn received(&self) -> u64 {
        match self {
            Self::Same => 0,
            Self::Now(record) => record.received(),
        }
    }
}

macro_rules! answers_without_content {
    ($($type:ty),* $(,)?) => { $(impl Answer for $type {})* };
}

answers_without_content!(
    (),
    DataPage,
    DataStream,
    ETag,
    ListPage,
    Option<String>,
    Option<u64>,
    Put,
    String,
    Vec<UnfinishedUpload>,
);
