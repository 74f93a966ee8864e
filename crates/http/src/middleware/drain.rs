//! A request that was refused before its body was read.
//!
//! Closing the connection with bytes unread makes the kernel reset it, and the client may never see the answer. So what still comes
//! is read for a moment, beside the answer. Whoever sends more than that is cut off.

use std::time::Duration;

use futures::StreamExt as _;
use http::HeaderMap;
use http::header::EXPECT;

use crate::body::RequestBody;

const MOST_BYTES: u64 = 16 << 20;
const LONGEST: Duration = Duration::from_secs(1);

/// Takes what is left of a body, in the background.
pub(crate) fn behind(mut body: RequestBody, headers: &HeaderMap) {
    // A client that waits for `100 Continue` has sent nothing, and shall not be told to.
    let waits = headers.contains_key(EXPECT) && !body.is_touched();
    if body.is_over() || waits {
        return;
    }
    let end = body.received().saturating_add(MOST_BYTES);
    tokio::spawn(tokio::time::timeout(LONGEST, async move {
        while body.received() < end && matches!(body.next().await, Some(Ok(_))) {}
    }));
}
