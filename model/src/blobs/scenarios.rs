//! Small cases, each explored wholly.

use super::store::{BlobState, Due, Store};
use super::{Blobs, Broken, Op};
use crate::actors::{Faults, System};
use crate::scenario::{Scenario, Size};

/// One digest; no session.
fn leased() -> Store {
    Store::new([false; 2]).with_blob(BlobState::Live).with_lease(0)
}

fn held() -> Store {
    Store::new([false; 2]).with_blob(BlobState::Live).with_manifest(0)
}

fn scenario(
    name: &'static str,
    size: Size,
    store: Store,
    actors: &[&[Op]],
    faults: (u8, u8),
    patient: bool,
) -> Scenario {
    let actors: Vec<Vec<Op>> = actors.iter().map(|ops| ops.to_vec()).collect();
    let most = Faults { crashes: faults.0, losses: faults.1 };
    let blobs = Blobs { store, actors, patient, broken: None };
    Scenario::new(name, size, move |broken: Option<Broken>| System {
        protocol: Blobs { broken, ..blobs.clone() },
        most,
    })
}

/// All of them.
#[must_use]
pub fn scenarios() -> Vec<Scenario> {
    use Op::{Collect, Delete, DeleteBlob, Finish, Mount, Push};
    use Size::{Large, Small};
    let gone = || Store::new([true, false]).with_blob(BlobState::Gone);
    let over = || Store::new([true, false]).with_blob(BlobState::Live).with_due(248, Due::Blob);
    let both = || held().with_due(248, Due::Blob);
    vec![
        scenario("a push, a collector", Small, leased(), &[&[Push(0)], &[Collect, Collect]], (1, 0), true),
        scenario(
            "a push, a collector, a lost answer",
            Small,
            leased(),
            &[&[Push(0)], &[Collect, Collect]],
            (0, 1),
            false,
        ),
        scenario(
            "a push, two collectors",
            Large,
            leased(),
            &[&[Push(0)], &[Collect, Collect], &[Collect]],
            (0, 0),
            true,
        ),
        scenario(
            "two pushes, a collector",
            Large,
            leased(),
            &[&[Push(0)], &[Push(0)], &[Collect, Collect]],
            (0, 0),
            false,
        ),
        scenario("a deletion, a collector", Small, both(), &[&[Delete(0)], &[Collect, Collect]], (1, 0), false),
        scenario(
            "a deletion, a collector, a lost answer",
            Small,
            both(),
            &[&[Delete(0)], &[Collect, Collect]],
            (0, 1),
            false,
        ),
        scenario(
            "a deletion, a collector of three entries",
            Small,
            held(),
            &[&[Delete(0)], &[Collect, Collect, Collect]],
            (0, 0),
            true,
        ),
        scenario(
            "a deletion, a push, a collector",
            Large,
            held().with_lease(0),
            &[&[Delete(0)], &[Push(0)], &[Collect, Collect]],
            (0, 0),
            false,
        ),
        scenario(
            "two deletions, a collector",
            Large,
            both(),
            &[&[Delete(0)], &[Delete(0)], &[Collect, Collect]],
            (0, 0),
            false,
        ),
        scenario(
            "a mount and a push, a deletion, a collector",
            Large,
            both(),
            &[&[Mount(1, 0), Push(1)], &[Delete(0)], &[Collect, Collect]],
            (0, 0),
            false,
        ),
        scenario(
            "a mount, a collector",
            Small,
            leased(),
            &[&[Mount(1, 0), Push(1)], &[Collect, Collect]],
            (0, 0),
            false,
        ),
        scenario(
            "leases taken, a push, a collector",
            Small,
            leased(),
            &[&[DeleteBlob(0)], &[Push(0)], &[Collect]],
            (1, 0),
            false,
        ),
        scenario(
            "an upload, a collector",
            Small,
            Store::new([true, false]),
            &[&[Finish(0, 0)], &[Collect, Collect]],
            (1, 0),
            false,
        ),
        scenario(
            "an upload, a collector, a lost answer",
            Small,
            Store::new([true, false]),
            &[&[Finish(0, 0)], &[Collect, Collect]],
            (0, 1),
            false,
        ),
        scenario(
            "an upload and its push, a collector",
            Small,
            Store::new([true, false]),
            &[&[Finish(0, 0), Push(0)], &[Collect, Collect]],
            (0, 0),
            true,
        ),
        scenario(
            "an upload over a gone blob, a collector",
            Small,
            gone(),
            &[&[Finish(0, 0)], &[Collect, Collect]],
            (1, 0),
            false,
        ),
        scenario(
            "an upload of a blob nobody holds, a collector",
            Small,
            over(),
            &[&[Finish(0, 0), Push(0)], &[Collect, Collect]],
            (1, 0),
            false,
        ),
        scenario(
            "an upload ended twice, a collector",
            Small,
            Store::new([true, false]),
            &[&[Finish(0, 0)], &[Finish(0, 0)], &[Collect]],
            (0, 0),
            false,
        ),
        scenario(
            "two uploads, a collector",
            Large,
            Store::new([true, true]),
            &[&[Finish(0, 0)], &[Finish(1, 1)], &[Collect, Collect]],
            (0, 0),
            false,
        ),
        scenario(
            "two uploads over a gone blob, a collector",
            Large,
            Store::new([true, true]).with_blob(BlobState::Gone),
            &[&[Finish(0, 0)], &[Finish(0, 1)], &[Collect]],
            (0, 0),
            false,
        ),
        scenario(
            "an upload, two collectors",
            Large,
            Store::new([true, false]),
            &[&[Finish(0, 0)], &[Collect, Collect], &[Collect, Collect]],
            (0, 0),
            false,
        ),
        scenario(
            "an upload ended twice and a crash, a collector",
            Large,
            Store::new([true, false]),
            &[&[Finish(0, 0)], &[Finish(0, 0)], &[Collect, Collect]],
            (1, 0),
            false,
        ),
        scenario(
            "a push, a collector, a crash and a lost answer",
            Large,
            leased(),
            &[&[Push(0)], &[Collect, Collect]],
            (1, 1),
            true,
        ),
        scenario(
            "an upload and its push, a collector, a crash and a lost answer",
            Large,
            Store::new([true, false]),
            &[&[Finish(0, 0), Push(0)], &[Collect, Collect]],
            (1, 1),
            false,
        ),
    ]
}
