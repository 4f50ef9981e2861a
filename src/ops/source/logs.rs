//! Logs of requests: files, or standard input, plain or compressed → how often each request was
//! seen.
//!
//! A thread reads blocks of whole lines; the others read the lines. What a log unpacks to is
//! bounded, and so are the length of a line and the number of distinct requests that are held.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use anyhow::{Context as _, Result, bail};
use flate2::bufread::MultiGzDecoder;
use jiff::Timestamp;
use memchr::{memchr_iter, memrchr};
use rayon::prelude::*;
use refguard_core::traffic::{LogPlace, Row, RowReader, Tally, Unclear};
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;
/// Blocks that wait for a thread.
const WAITING: usize = 8;
/// Bytes of a line at most: rows of a spend log may hold the whole conversation.
const MAX_LINE: usize = 8 << 20;
/// Bytes of a log at most, unpacked.
const MAX_BYTES: u64 = 256 << 30;
/// Distinct requests of all logs at most.
const MAX_REQUESTS: usize = 8_000_000;

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// The first frame of a file is one of data, or one to be passed over.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const ZSTD_SKIPPABLE: [u8; 3] = [0x2a, 0x4d, 0x18];

/// Which rows of which logs are looked at.
#[derive(Debug, Clone)]
pub struct LogSelection {
    /// Files; `-`: standard input.
    pub logs: Vec<String>,
    /// One row of so many, from the first; 1: each.
    pub one_of: u64,
    /// Rows from before this time are passed over.
    pub since: Option<Timestamp>,
    /// Rows of other sets are passed over.
    pub set: Option<String>,
}

impl LogSelection {
    /// Reads all logs.
    ///
    /// # Errors
    /// Where one cannot be read or passes a limit.
    pub(in crate::ops) fn read(&self, reader: &RowReader) -> Result<Tally> {
        let mut tally = Tally::default();
        for log in &self.logs {
            let read = self
                .read_one(log, reader)
                .with_context(|| format!("log `{log}`"))?;
            tally = tally.merge_with(read);
            within_limit(tally.requests.len())?;
        }
        Ok(tally)
    }

    fn read_one(&self, log: &str, reader: &RowReader) -> Result<Tally> {
        let plain: Box<dyn Read + Send> = match log {
            "-" => Box::new(io::stdin()),
            path => Box::new(File::open(path).context("cannot be read")?),
        };
        let unpacked =
            unpack_log(BufReader::with_capacity(BLOCK, plain)).context("cannot be read")?;

        let name: Arc<str> = log.into();
        let held = AtomicUsize::new(0);
        let is_over = AtomicBool::new(false);
        let (sender, blocks) = mpsc::sync_channel::<Block>(WAITING);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| read_blocks(unpacked, sender, &is_over));
            let tally = blocks
                .into_iter()
                .par_bridge()
                .fold(Tally::default, |mut tally, block| {
                    let before = tally.requests.len();
                    self.count(&block, &name, reader, &mut tally);
                    let held = held.fetch_add(tally.requests.len() - before, Ordering::Relaxed);
                    // Threads hold the same requests: what they hold together is at most so many
                    // times as much.
                    if held > MAX_REQUESTS * rayon::current_num_threads() {
                        is_over.store(true, Ordering::Relaxed);
                    }
                    tally
                });
            let tally = tally.reduce(Tally::default, Tally::merge_with);
            match reading.join() {
                Ok(read) => read?,
                Err(_) => bail!("reading it met a bug of refguard"),
            }
            within_limit(tally.requests.len())?;
            Ok(tally)
        })
    }

    /// Counts the rows of a block that belong to the sample.
    fn count(&self, block: &Block, log: &Arc<str>, reader: &RowReader, tally: &mut Tally) {
        let mut line = block.first_line;
        let mut take = |text: Option<&[u8]>| {
            let number = line;
            line += 1;
            if !(number - 1).is_multiple_of(self.one_of) {
                return;
            }
            let row = match text {
                Some(text) => reader.read_row(text),
                None => Row::Unclear(Unclear::TooLong),
            };
            tally.add_row(row, || LogPlace {
                log: log.clone(),
                line: number,
            });
        };
        match &block.lines {
            Some(lines) => {
                let mut rest = lines.as_slice();
                while !rest.is_empty() {
                    let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                    take(rest.get(..end));
                    rest = rest.get(end + 1..).unwrap_or_default();
                }
            }
            None => take(None),
        }
    }
}

fn within_limit(requests: usize) -> Result<()> {
    if requests > MAX_REQUESTS {
        bail!(
            "more than {MAX_REQUESTS} distinct requests, which is the limit `log-requests`: look \
             at fewer rows \
             with --since or --sample"
        );
    }
    Ok(())
}

/// Whole lines.
struct Block {
    /// The number of the first.
    first_line: u64,
    /// `None`: one line that is too long.
    lines: Option<Vec<u8>>,
}

/// Cuts a log into blocks of whole lines, until nobody wants more.
fn read_blocks(
    mut log: impl Read,
    blocks: mpsc::SyncSender<Block>,
    is_over: &AtomicBool,
) -> Result<()> {
    let mut first_line = 1;
    let mut total = 0_u64;
    let mut rest: Vec<u8> = Vec::new();
    let mut is_too_long = false;
    loop {
        let begin = rest.len();
        rest.resize(begin + BLOCK, 0);
        let read = read_full(&mut log, rest.get_mut(begin..).unwrap_or_default())?;
        rest.truncate(begin + read);
        total += read as u64;
        if total > MAX_BYTES {
            bail!("it unpacks to more than {MAX_BYTES} bytes, which is the limit `log-bytes`");
        }
        if is_over.load(Ordering::Relaxed) {
            within_limit(usize::MAX)?;
        }

        let is_end = read == 0;
        let end = match memrchr(b'\n', &rest) {
            _ if is_end => rest.len(),
            Some(at) => at + 1,
            None => 0,
        };
        let mut lines = rest.get(..end).unwrap_or_default().to_vec();
        rest.drain(..end);
        if is_too_long && !lines.is_empty() {
            // The end of a line that was told already.
            let cut = memchr::memchr(b'\n', &lines).map_or(lines.len(), |at| at + 1);
            lines.drain(..cut);
            is_too_long = false;
        }
        let mut sent = true;
        if !lines.is_empty() {
            let count = memchr_iter(b'\n', &lines).count() as u64;
            sent = blocks
                .send(Block {
                    first_line,
                    lines: Some(lines),
                })
                .is_ok();
            first_line += count;
        }
        if rest.len() > MAX_LINE {
            rest.clear();
            if !is_too_long {
                is_too_long = true;
                sent = blocks
                    .send(Block {
                        first_line,
                        lines: None,
                    })
                    .is_ok();
                first_line += 1;
            }
        }
        if is_end || !sent {
            return Ok(());
        }
    }
}

/// Reads until the buffer is full or nothing is left.
fn read_full(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A log as it was before it was packed: by its first bytes, whatever its name.
fn unpack_log(mut packed: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let start = packed.fill_buf()?;
    let is_skippable = start.get(1..4) == Some(&ZSTD_SKIPPABLE)
        && start.first().is_some_and(|byte| byte & 0xf0 == 0x50);
    Ok(if start.starts_with(&GZIP) {
        Box::new(MultiGzDecoder::new(packed))
    } else if start.starts_with(&ZSTD) || is_skippable {
        Box::new(ZstdFrames {
            packed,
            frame: None,
        })
    } else {
        Box::new(packed)
    })
}

/// Frames of zstd, one after another: a packed log that was appended to has several.
struct ZstdFrames<R> {
    packed: R,
    /// The one that is being read.
    frame: Option<FrameDecoder>,
}

impl<R: BufRead> ZstdFrames<R> {
    /// The next frame; `None`: nothing is left.
    fn next_frame(&mut self) -> io::Result<Option<FrameDecoder>> {
        while !self.packed.fill_buf()?.is_empty() {
            let mut frame = FrameDecoder::new();
            match frame.init(&mut self.packed) {
                Ok(()) => return Ok(Some(frame)),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    io::copy(
                        &mut self.packed.by_ref().take(length.into()),
                        &mut io::sink(),
                    )?;
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let frame = match &mut self.frame {
                Some(frame) => frame,
                None => match self.next_frame()? {
                    Some(frame) => self.frame.insert(frame),
                    None => return Ok(0),
                },
            };
            while frame.can_collect() == 0 && !frame.is_finished() {
                frame
                    .decode_blocks(&mut self.packed, BlockDecodingStrategy::UptoBlocks(1))
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            }
            match frame.read(buffer)? {
                0 => self.frame = None,
                read => return Ok(read),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of a text: the number of the first line of each, and its lines.
    fn blocks_of(text: &[u8]) -> Vec<(u64, Option<Vec<u8>>)> {
        let (sender, blocks) = mpsc::sync_channel(1_000);
        read_blocks(text, sender, &AtomicBool::new(false)).unwrap();
        blocks
            .into_iter()
            .map(|block| (block.first_line, block.lines))
            .collect()
    }

    #[test]
    fn blocks_are_whole_lines_and_a_line_that_is_too_long_is_one_of_its_own() {
        assert_eq!(
            blocks_of(b"a\nb"),
            [(1, Some(b"a\n".to_vec())), (2, Some(b"b".to_vec()))]
        );
        let long = [
            b"a\n".to_vec(),
            vec![b'x'; MAX_LINE + 3 * BLOCK],
            b"\nb\nc".to_vec(),
        ]
        .concat();
        let blocks = blocks_of(&long);
        let first_lines: Vec<u64> = blocks.iter().map(|(first, _)| *first).collect();
        assert_eq!(first_lines, [1, 2, 3, 4]);
        let text: Vec<Option<&[u8]>> = blocks.iter().map(|(_, lines)| lines.as_deref()).collect();
        assert_eq!(text, [Some(&b"a\n"[..]), None, Some(b"b\n"), Some(b"c")]);
        assert!(blocks_of(b"").is_empty());
    }

    fn unpacked(packed: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        unpack_log(io::Cursor::new(packed))?.read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_was_packed_in_parts_is_read_whole() {
        let zstd = |text: &[u8]| {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            ruzstd::encoding::compress_to_vec(text, level)
        };
        let gzip = |text: &[u8]| {
            let mut packed = flate2::read::GzEncoder::new(text, flate2::Compression::fast());
            let mut bytes = Vec::new();
            packed.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        assert_eq!(
            unpacked([zstd(b"a\n"), zstd(b"b\n")].concat()).unwrap(),
            b"a\nb\n"
        );
        let mixed = [skipped.clone(), zstd(b"a\n"), skipped, zstd(b"b\n")].concat();
        assert_eq!(unpacked(mixed).unwrap(), b"a\nb\n");
        assert_eq!(
            unpacked([gzip(b"a\n"), gzip(b"b\n")].concat()).unwrap(),
            b"a\nb\n"
        );
        assert_eq!(unpacked(b"a\n".to_vec()).unwrap(), b"a\n");
        // One that was cut off is said, not taken for its end.
        for whole in [zstd(&[b'x'; 5_000]), gzip(b"some lines of a log")] {
            assert!(unpacked(whole[..whole.len() - 3].to_vec()).is_err());
        }
    }
}
