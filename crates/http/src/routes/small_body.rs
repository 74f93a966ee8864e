//! Bodies that are read whole, because they are small.

use bytes::BytesMut;
use futures::StreamExt as _;
use wharf_registry::Error;

use crate::body::RequestBody;
use crate::error::WireError;

/// Reads a body of at most so many bytes.
pub(crate) async fn read(body: &mut RequestBody, most: usize) -> Result<BytesMut, WireError> {
    let mut all = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(Error::Body)?;
        if all.len() + piece.len() > most {
            return Err(WireError::body_too_large(most));
        }
        all.extend_from_slice(&piece);
    }
    Ok(all)
}
