//! One request and its answer over a blocking stream, bounded in bytes and in time: what verbs and
//! notifications ask with.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// Bytes of one read.
const CHUNK: usize = 16 << 10;

/// When an exchange has to be over.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    end: Instant,
    patience: Duration,
}

impl Deadline {
    /// So long from now.
    pub fn from_now(patience: Duration) -> Self {
        Self {
            end: Instant::now() + patience,
            patience,
        }
    }

    /// How long it is until then; never nothing, which sockets take for no limit at all.
    pub fn time_left(&self) -> Duration {
        self.end
            .saturating_duration_since(Instant::now())
            .max(Duration::from_millis(1))
    }
}

/// A connection to `HOST` or `HOST:PORT`, with as much time for each step as the exchange has.
///
/// # Errors
/// Where the name has no address, or nobody answers there in time.
pub fn connect_to(host: &str, default_port: u16, deadline: &Deadline) -> io::Result<TcpStream> {
    let has_port = host.contains(':') && !host.ends_with(']');
    let named = if has_port {
        host.to_owned()
    } else {
        format!("{host}:{default_port}")
    };
    let address = named.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let stream = TcpStream::connect_timeout(&address, deadline.time_left())?;
    stream.set_read_timeout(Some(deadline.patience))?;
    stream.set_write_timeout(Some(deadline.patience))?;
    Ok(stream)
}

/// What went wrong with a stream, for a person.
pub(super) fn in_words(error: io::Error) -> String {
    match error.kind() {
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "no answer in time".to_owned(),
        _ => error.to_string(),
    }
}

/// Sends a request of HTTP/1.0 and reads the answer, which is whole when the connection ends. It is
/// bounded in bytes and in time, also where it comes a byte at a time.
///
/// # Errors
/// In words.
pub fn read_answer(
    mut stream: impl Read + Write,
    request: &[u8],
    most: usize,
    deadline: &Deadline,
) -> Result<Vec<u8>, String> {
    stream.write_all(request).map_err(in_words)?;
    stream.flush().map_err(in_words)?;

    let (mut answer, mut chunk) = (Vec::new(), vec![0; CHUNK]);
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return Ok(answer),
            Ok(read) => answer.extend_from_slice(chunk.get(..read).unwrap_or(&[])),
            // TLS that ends without a farewell. An answer that was cut off is no JSON.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(answer),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(in_words(error)),
        }
        if answer.len() > most {
            return Err(format!("its answer has more than {most} bytes"));
        }
        if Instant::now() >= deadline.end {
            return Err(format!(
                "it takes longer than {} s to answer",
                deadline.patience.as_secs()
            ));
        }
    }
}

/// The name or address in `HOST:PORT`, without the brackets of an IPv6 address.
pub fn host_name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, _)) if !host.ends_with(']') => name,
        _ => host,
    };
    name.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_for_a_certificate_has_no_port_and_no_brackets() {
        let names = ["a:1", "a", "[::1]:8731", "[::1]"].map(host_name);
        assert_eq!(names, ["a", "a", "::1", "::1"]);
    }
}
