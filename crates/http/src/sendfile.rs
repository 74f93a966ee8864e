//! Sending bytes of a file without reading them: the kernel takes them from the file (see [`wharf_filebytes`]).

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::net::TcpStream;
use wharf_filebytes::Place;

/// Less than this is copied: the frames of HTTP/2 are small, and a call of its own for each would cost more.
const WORTH_IT: usize = 64 << 10;

/// Sends the first of these buffers from its file; `None` where it is none of a file's. The others are for the next call.
pub(crate) fn poll_send(
    stream: &TcpStream,
    cx: &mut Context<'_>,
    buffers: &[IoSlice<'_>],
) -> Option<Poll<io::Result<usize>>> {
    let first = buffers.iter().find(|buffer| !buffer.is_empty())?;
    if first.len() < WORTH_IT {
        return None;
    }
    let place = wharf_filebytes::place_of(first)?;
    Some(poll_from(stream, cx, &place, first.len()))
}

/// How many of these buffers may be copied together: those before the first that is worth sending from its file.
pub(crate) fn copied(buffers: &[IoSlice<'_>]) -> usize {
    let is_file = |buffer: &IoSlice<'_>| buffer.len() >= WORTH_IT && wharf_filebytes::place_of(buffer).is_some();
    buffers.iter().position(is_file).unwrap_or(buffers.len())
}

fn poll_from(stream: &TcpStream, cx: &mut Context<'_>, place: &Place, len: usize) -> Poll<io::Result<usize>> {
    loop {
        ready!(stream.poll_write_ready(cx))?;
        let mut offset = place.offset;
        let send = || Ok(rustix::fs::sendfile(stream, &place.file, Some(&mut offset), len)?);
        match stream.try_io(Interest::WRITABLE, send) {
            Ok(0) => return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter"))),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            sent => return Poll::Ready(sent),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write as _;
    use std::sync::Arc;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// More than the buffers of a connection take at once.
    const SIZE: usize = 20 << 20;

    #[tokio::test]
    async fn a_socket_gets_the_bytes_of_the_file() {
        let content: Vec<u8> = (0..SIZE).map(|n| (n % 251) as u8).collect();
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&content).expect("written");
        let mapped = wharf_filebytes::map(&Arc::new(file), 1000, SIZE - 1000).expect("mapped");

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let receiver = tokio::spawn(async move {
            let mut received = Vec::new();
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.read_to_end(&mut received).await.expect("received");
            received
        });
        let (stream, _) = listener.accept().await.expect("accepted");
        let mut rest = mapped;
        while rest.len() >= WORTH_IT {
            let buffers = [IoSlice::new(b""), IoSlice::new(&rest)];
            let sent = poll_fn(|cx| poll_send(&stream, cx, &buffers).expect("bytes of a file")).await.expect("sent");
            rest = rest.slice(sent..);
        }
        drop(stream);
        let received = receiver.await.expect("received");
        assert_eq!(received, content[1000..SIZE - rest.len()]);
    }

    #[test]
    fn what_comes_before_a_file_is_copied() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&[1; 2 * WORTH_IT]).expect("written");
        let mapped = wharf_filebytes::map(&Arc::new(file), 0, 2 * WORTH_IT).expect("mapped");
        let head = [0; WORTH_IT];
        let buffers = [IoSlice::new(&head), IoSlice::new(&mapped), IoSlice::new(&head)];
        assert_eq!(copied(&buffers), 1);
        assert_eq!(copied(&buffers[1..]), 0);
        assert_eq!(copied(&[IoSlice::new(&mapped[..10]), IoSlice::new(&head)]), 2);
    }
}
