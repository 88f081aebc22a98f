//! The little HTTP/1.1 a load generator needs: prepared requests and answers with a length, over one connection.

use anyhow::{Context, Result, bail, ensure};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer that takes longer than this is an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bytes of a `POST` of JSON on a connection that stays open.
#[must_use]
pub fn post_json(path: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    head: usize,
    filled: usize,
}

impl Connection {
    /// Connects, without Nagle's delay.
    ///
    /// # Errors
    /// When nobody listens.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 64 * 1024], head: 0, filled: 0 })
    }

    /// Sends the prepared `request` and reads the whole answer; returns its status.
    ///
    /// # Errors
    /// A broken connection, no answer in ten seconds, or an answer without `Content-Length`. The connection is of no
    /// use afterwards.
    pub fn call(&mut self, request: &[u8]) -> Result<u16> {
        self.stream.write_all(request).context("cannot send")?;
        (self.head, self.filled) = (0, 0);
        let (status, length) = loop {
            let before = self.filled;
            self.read_more()?;
            // The blank line may straddle two reads.
            let from = before.saturating_sub(3);
            if let Some(at) = self.buffer[from..self.filled].windows(4).position(|w| w == b"\r\n\r\n") {
                self.head = from + at + 4;
                break parse_head(&self.buffer[..self.head])?;
            }
        };
        while self.filled < self.head + length {
            self.read_more()?;
        }
        ensure!(self.filled == self.head + length, "the answer is longer than its Content-Length of {length}");
        Ok(status)
    }

    /// The body of the last answer.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.buffer[self.head..self.filled]
    }

    /// A header of the last answer.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.buffer[..self.head], name)
    }

    fn read_more(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]).context("no answer")?;
        if read == 0 {
            bail!("the server closed the connection");
        }
        self.filled += read;
        Ok(())
    }
}

/// Status and length of the body.
fn parse_head(head: &[u8]) -> Result<(u16, usize)> {
    let status = head.get(9..12).and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok());
    let status = status.with_context(|| format!("no status in {:?}", String::from_utf8_lossy(head)))?;
    let length = header(head, "content-length").and_then(|v| v.parse().ok());
    Ok((status, length.with_context(|| format!("no Content-Length in {:?}", String::from_utf8_lossy(head)))?))
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|&b| b == b'\n')
        .find_map(|line| {
            let colon = line.iter().position(|&b| b == b':')?;
            line[..colon].eq_ignore_ascii_case(name.as_bytes()).then(|| std::str::from_utf8(&line[colon + 1..]).ok())?
        })
        .map(str::trim)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// A server that answers every request with what `answer` makes of its body, in pieces of `piece` bytes.
    pub(crate) fn serve(piece: usize, answer: fn(&[u8]) -> Vec<u8>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let address = listener.local_addr().expect("address");
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || -> std::io::Result<()> {
                    stream.set_nodelay(true)?;
                    let mut reader = BufReader::new(stream.try_clone()?);
                    let mut stream = stream;
                    loop {
                        let mut length = 0;
                        loop {
                            let mut line = String::new();
                            if reader.read_line(&mut line)? == 0 {
                                return Ok(());
                            }
                            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                                length = value.trim().parse().unwrap_or(0);
                            }
                            if line == "\r\n" {
                                break;
                            }
                        }
                        let mut body = vec![0; length];
                        reader.read_exact(&mut body)?;
                        for part in answer(&body).chunks(piece) {
                            stream.write_all(part)?;
                        }
                    }
                });
            }
        });
        address
    }

    pub(crate) fn echo(body: &[u8]) -> Vec<u8> {
        let mut out = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nX-Worker: 7\r\n\r\n", body.len()).into_bytes();
        out.extend_from_slice(body);
        out
    }

    #[test]
    fn answers_are_read_whole_however_they_are_cut() {
        for piece in [1, 5, 100_000] {
            let mut connection = Connection::open(serve(piece, echo)).expect("open");
            for body in ["", "{}", &"x".repeat(if piece == 1 { 300 } else { 200_000 })] {
                assert_eq!(connection.call(&post_json("/", body)).expect("answer"), 200);
                assert_eq!(connection.body(), body.as_bytes());
                assert_eq!(connection.header("x-worker"), Some("7"));
                assert_eq!(connection.header("x-nothing"), None);
            }
        }
    }

    #[test]
    fn what_is_not_an_answer_is_an_error() {
        for answer in [
            |_: &[u8]| b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
            |_: &[u8]| b"hello\r\n\r\n".to_vec(),
            |_: &[u8]| b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nabc".to_vec(),
        ] {
            let mut connection = Connection::open(serve(1000, answer)).expect("open");
            assert!(connection.call(&post_json("/", "{}")).is_err());
        }
    }
}
