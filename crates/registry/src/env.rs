//! Time and chance, which the registry is given so that a simulation can decide both.

use std::fmt;

use time::OffsetDateTime;

/// Where the registry takes the time and its random ids from.
///
/// Safety never rests on the clock: it decides only how long things without a claim are kept.
pub trait Env: Send + Sync + fmt::Debug {
    /// The time of day.
    fn now(&self) -> OffsetDateTime;

    /// Random bits from a source that no client can predict.
    fn random(&self) -> u128;
}

/// The system's clock and random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv;

impl Env for SystemEnv {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn random(&self) -> u128 {
        rand::random()
    }
}

/// Seconds since 1970, as they stand in keys and records.
pub(crate) type Seconds = u64;

/// The time of day in whole seconds since 1970.
pub(crate) fn seconds(env: &dyn Env) -> Seconds {
    u64::try_from(env.now().unix_timestamp()).unwrap_or(0)
}
