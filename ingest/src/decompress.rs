//! Undoing `Content-Encoding`, never past the limit.

use std::io::Read;

use bytes::Bytes;

use crate::budget::Share;
use crate::error::PushError;

/// Largest zstd window accepted, as a power of two: 32 MiB, what the best levels of usual encoders
/// ask for. The decoder sets a whole window aside before the first byte.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;
const STEP: usize = 64 << 10;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Identity,
    Gzip,
    Deflate,
    Zstd,
}

impl Encoding {
    /// The encoding of this name, as in `Content-Encoding` and `grpc-encoding`.
    pub(crate) fn from_name(name: &str) -> Result<Self, PushError> {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Identity),
            "gzip" | "x-gzip" => Ok(Self::Gzip),
            "deflate" | "zlib" => Ok(Self::Deflate),
            "zstd" => Ok(Self::Zstd),
            _ => Err(PushError::UnknownEncoding {
                encoding: name.chars().take(64).collect(),
            }),
        }
    }
}

/// Decompresses a body of which at most `limit` bytes may come out.
///
/// Memory is taken from `memory` as the output grows, so that a small body cannot claim much.
pub(crate) fn decompress(
    body: Bytes,
    encoding: Encoding,
    limit: usize,
    memory: &mut Share,
) -> Result<Bytes, PushError> {
    match encoding {
        Encoding::Identity if body.len() > limit => Err(PushError::BodyTooLarge { limit }),
        Encoding::Identity => Ok(body),
        Encoding::Gzip => read(
            flate2::bufread::MultiGzDecoder::new(&body[..]),
            limit,
            memory,
        ),
        // Some senders mean raw deflate; a zlib header tells: method 8 and a checksum modulo 31.
        Encoding::Deflate => match body.get(..2) {
            Some(&[a, b]) if a & 0x0f == 8 && (u16::from(a) << 8 | u16::from(b)) % 31 == 0 => {
                read(flate2::bufread::ZlibDecoder::new(&body[..]), limit, memory)
            }
            _ => read(
                flate2::bufread::DeflateDecoder::new(&body[..]),
                limit,
                memory,
            ),
        },
        Encoding::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(&body[..]).map_err(|e| malformed(&e))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(|e| malformed(&e))?;
            read(decoder, limit, memory)
        }
    }
}

fn read(mut decoder: impl Read, limit: usize, memory: &mut Share) -> Result<Bytes, PushError> {
    let mut out = Vec::new();
    loop {
        let before = out.len();
        // One byte more than allowed, to tell the limit from the end.
        let step = STEP.max(before).min(limit.saturating_add(1) - before);
        memory.grow(step)?;
        let read = decoder
            .by_ref()
            .take(step as u64)
            .read_to_end(&mut out)
            .map_err(|e| malformed(&e))?;
        if out.len() > limit {
            return Err(PushError::BodyTooLarge { limit });
        }
        if read < step {
            // It stays, and has grown with room to spare.
            memory.grow(out.len())?;
            return Ok(Bytes::copy_from_slice(&out));
        }
    }
}

fn malformed(error: &std::io::Error) -> PushError {
    PushError::Malformed {
        reason: format!("cannot decompress: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::budget::Budget;

    const LIMIT: usize = 1 << 20;

    fn undo(body: Vec<u8>, encoding: Encoding) -> Result<Bytes, PushError> {
        decompress(
            body.into(),
            encoding,
            LIMIT,
            &mut Budget::new(64 << 20).share(),
        )
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(bytes, 3).unwrap()
    }

    #[test]
    fn every_encoding_is_undone_up_to_the_limit_and_not_beyond() {
        for len in [0, 1, STEP - 1, STEP, STEP + 1, LIMIT] {
            let plain: Vec<u8> = (0..=250).cycle().take(len).collect();
            assert_eq!(undo(plain.clone(), Encoding::Identity).unwrap(), plain);
            assert_eq!(undo(gzip(&plain), Encoding::Gzip).unwrap(), plain);
            assert_eq!(undo(zlib(&plain), Encoding::Deflate).unwrap(), plain);
            assert_eq!(undo(raw_deflate(&plain), Encoding::Deflate).unwrap(), plain);
            assert_eq!(undo(zstd(&plain), Encoding::Zstd).unwrap(), plain);
        }
        let over = vec![0; LIMIT + 1];
        let too_large = PushError::BodyTooLarge { limit: LIMIT };
        assert_eq!(
            undo(over.clone(), Encoding::Identity).unwrap_err(),
            too_large
        );
        assert_eq!(undo(gzip(&over), Encoding::Gzip).unwrap_err(), too_large);
        assert_eq!(undo(zlib(&over), Encoding::Deflate).unwrap_err(), too_large);
        assert_eq!(undo(zstd(&over), Encoding::Zstd).unwrap_err(), too_large);
    }

    #[test]
    fn bombs_stop_at_the_limit() {
        let zeros = vec![0; 64 << 20];
        let too_large = PushError::BodyTooLarge { limit: LIMIT };
        assert_eq!(undo(gzip(&zeros), Encoding::Gzip).unwrap_err(), too_large);
        assert_eq!(undo(zstd(&zeros), Encoding::Zstd).unwrap_err(), too_large);
        // Many members, none of them large.
        let member = gzip(&[7; 1000]);
        assert_eq!(
            undo(member.repeat(2000), Encoding::Gzip).unwrap_err(),
            too_large
        );
        assert_eq!(undo(gzip(&[]).repeat(10), Encoding::Gzip).unwrap(), b""[..]);
    }

    #[test]
    fn a_huge_window_is_refused() {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.include_contentsize(false).unwrap();
        encoder.write_all(&[1; 1000]).unwrap();
        let body = encoder.finish().unwrap();
        assert!(matches!(
            undo(body, Encoding::Zstd),
            Err(PushError::Malformed { .. })
        ));
    }

    #[test]
    fn wrong_bytes_are_malformed() {
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Zstd] {
            assert!(
                matches!(
                    undo(b"not compressed".to_vec(), encoding),
                    Err(PushError::Malformed { .. })
                ),
                "{encoding:?}"
            );
        }
        let cut = gzip(&[1; 1000]);
        assert!(undo(cut[..cut.len() - 3].to_vec(), Encoding::Gzip).is_err());
    }

    #[test]
    fn encodings_have_names() {
        assert_eq!(Encoding::from_name("GZIP"), Ok(Encoding::Gzip));
        assert_eq!(Encoding::from_name("identity"), Ok(Encoding::Identity));
        assert!(matches!(
            Encoding::from_name("br"),
            Err(PushError::UnknownEncoding { .. })
        ));
        assert!(Encoding::from_name("gzip, gzip").is_err());
    }
}
