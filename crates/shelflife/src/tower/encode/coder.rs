//! The codings that are built in: RFC 7932, RFC 8878 and RFC 1952, by libraries.

use std::io::Write as _;

use super::Coding;

/// Those that are offered; of two that a client likes as well, the first.
pub(super) const OFFERED: &[Coding] = &[Coding::Brotli, Coding::Zstd, Coding::Gzip];

/// What each is told to try. Made once and sent often, so more than the fastest; but on the way of a request.
const BROTLI: i32 = 5;
const ZSTD: i32 = 6;
const GZIP: u32 = 6;

/// The body in this coding. `None`: it can't be made, which nothing known to us causes.
pub(super) fn code(coding: Coding, body: &[u8]) -> Option<Vec<u8>> {
    match coding {
        Coding::Brotli => brotli(body),
        // RFC 9659 §3: a window of 8 MB at the most; this level has 2 MB.
        Coding::Zstd => zstd::bulk::compress(body, ZSTD).ok(),
        Coding::Gzip => gzip(body),
    }
}

fn brotli(body: &[u8]) -> Option<Vec<u8>> {
    let params = brotli::enc::BrotliEncoderParams {
        quality: BROTLI,
        // No more window than there is to see: its memory is allocated whole.
        lgwin: bits(body.len()).clamp(16, 22),
        size_hint: body.len(),
        ..Default::default()
    };
    let room = Vec::with_capacity(body.len() / 3);
    let mut writer = brotli::CompressorWriter::with_params(room, 4096, &params);
    writer.write_all(body).ok()?;
    writer.flush().ok()?;
    Some(writer.into_inner())
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let room = Vec::with_capacity(body.len() / 3);
    let mut writer = flate2::write::GzEncoder::new(room, flate2::Compression::new(GZIP));
    writer.write_all(body).ok()?;
    writer.finish().ok()
}

/// How many bits it takes to count so far.
fn bits(len: usize) -> i32 {
    i32::try_from(usize::BITS - len.leading_zeros()).unwrap_or(22)
}
