//! HTTP by hand, for requests that no client library would send.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the server may be silent before the client closes its side.
const PATIENCE: Duration = Duration::from_millis(500);

/// How long the server may take to close the connection after that.
const SILENCE: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header lines, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, or as much of it as came.
    pub body: Vec<u8>,
}

impl Answer {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Sends these bytes over a connection of their own, and answers what came; `None` when the server closed the
/// connection without a word. A request that is not complete is ended by closing the client's side.
pub async fn exchange(address: &str, request: &[u8]) -> io::Result<Option<Answer>> {
    let mut connection = TcpStream::connect(address).await?;
    // A server that refuses a request early may close before it has all of it; its answer counts.
    let _ = timeout(SILENCE, connection.write_all(request)).await;
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    let mut open = true;
    loop {
        let patience = if open { PATIENCE } else { SILENCE };
        match timeout(patience, connection.read(&mut buffer)).await {
            Ok(Ok(read @ 1..)) => bytes.extend_from_slice(&buffer[..read]),
            Ok(_) => return Ok(parse(&bytes)),
            Err(_) if open => {
                open = false;
                let _ = connection.shutdown().await;
            }
            Err(_) => return Err(io::ErrorKind::TimedOut.into()),
        }
        if let Some(answer) = parse(&bytes)
            && is_complete(&answer, request)
        {
            return Ok(Some(answer));
        }
    }
}

/// Parses the head of an answer and takes the rest as its body; interim answers (1xx) are passed over.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    if (100..200).contains(&status) {
        return parse(&bytes[end + 4..]);
    }
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    Some(Answer { status, headers, body: bytes[end + 4..].to_vec() })
}

fn is_complete(answer: &Answer, request: &[u8]) -> bool {
    let bodiless = request.starts_with(b"HEAD ") || answer.status == 204 || answer.status == 304;
    let length = answer.header("content-length").and_then(|value| value.parse::<usize>().ok());
    bodiless || length.is_some_and(|length| answer.body.len() >= length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interim_answer_is_passed_over() {
        let answer = parse(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nA: b\r\n\r\nxy").unwrap();
        assert_eq!((answer.status, answer.header("a"), answer.body.as_slice()), (404, Some("b"), b"xy".as_slice()));
        assert_eq!(parse(b"HTTP/1.1 404 Not Found\r\n"), None);
    }
}
