//! Pages, compressed one by one.

use bytes::Bytes;
use parquet::basic::{Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, compress_bound};

/// Shorter repetitions than this are not looked for in byte planes: there they are chance, and take
/// longer to read than the bytes themselves.
const MIN_MATCH: u32 = 6;
/// Bytes of a block's header, with room to spare.
const BLOCK_HEADER: usize = 8;

/// Compresses pages, each into one frame of zstd.
pub(super) struct Compressor(CCtx<'static>);

impl Compressor {
    pub(super) fn new(level: ZstdLevel, encoding: Encoding) -> Result<Self, ParquetError> {
        let mut context = CCtx::create();
        let level = CParameter::CompressionLevel(level.compression_level());
        context.set_parameter(level).map_err(failed)?;
        if encoding == Encoding::BYTE_STREAM_SPLIT {
            let min_match = CParameter::MinMatch(MIN_MATCH);
            context.set_parameter(min_match).map_err(failed)?;
        }
        Ok(Self(context))
    }

    /// Compresses bytes so that a block of the frame ends at each of the cuts.
    pub(super) fn compress(&mut self, bytes: &[u8], cuts: &[usize]) -> Result<Bytes, ParquetError> {
        let room = compress_bound(bytes.len()) + cuts.len() * BLOCK_HEADER;
        let mut compressed: Vec<u8> = Vec::with_capacity(room);
        let Self(context) = self;
        context.reset(ResetDirective::SessionOnly).map_err(failed)?;
        let size = Some(bytes.len() as u64);
        context.set_pledged_src_size(size).map_err(failed)?;
        let mut out = OutBuffer::around(&mut compressed);
        let mut add = |part, until| {
            let mut part = InBuffer::around(part);
            match context.compress_stream2(&mut out, &mut part, until) {
                Ok(0) => Ok(()),
                Ok(_) => Err(failed_by("a page grew beyond its bound")),
                Err(code) => Err(failed(code)),
            }
        };
        let mut start = 0;
        for &cut in cuts {
            add(&bytes[start..cut], ZSTD_EndDirective::ZSTD_e_flush)?;
            start = cut;
        }
        add(&bytes[start..], ZSTD_EndDirective::ZSTD_e_end)?;
        Ok(compressed.into())
    }
}

fn failed(code: usize) -> ParquetError {
    failed_by(zstd::zstd_safe::get_error_name(code))
}

fn failed_by(reason: &str) -> ParquetError {
    ParquetError::General(format!("zstd: {reason}"))
}
