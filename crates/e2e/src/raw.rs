//! HTTP by hand, for requests that no client library would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the server may be silent before the answer counts as complete.
const SILENCE: Duration = Duration::from_secs(10);

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
/// connection without a word.
pub async fn exchange(address: &str, request: &[u8]) -> std::io::Result<Option<Answer>> {
    let mut connection = TcpStream::connect(address).await?;
    // A server that has refused the request already may have closed its side.
    let sent = connection.write_all(request).await.is_ok();
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        match timeout(SILENCE, connection.read(&mut buffer)).await {
            Ok(Ok(read @ 1..)) => bytes.extend_from_slice(&buffer[..read]),
            Ok(Ok(_)) => break,
            Ok(Err(_)) if !bytes.is_empty() || !sent => break,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
        }
        if let Some(answer) = parse(&bytes)
            && is_complete(&answer, request)
        {
            return Ok(Some(answer));
        }
    }
    Ok(parse(&bytes))
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
