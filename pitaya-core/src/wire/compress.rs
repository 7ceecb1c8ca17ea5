//! zlib (RFC 1950) both ways. The protocol's names say gzip; the bytes never were.
//!
//! The state of a deflater has hundreds of kilobytes, which Go sets up for every answer. Here each thread keeps one of
//! each direction and resets it.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// The shortest body worth compressing, in bytes. Below it zlib costs more than it saves; whether to compress is the
/// sender's choice on this wire.
pub const MIN_COMPRESS: usize = 128;

/// Up to here, in bytes, any ratio is accepted when inflating: so little cannot hurt.
pub const FREE_RATIO: usize = 64 << 10;

/// Beyond [`FREE_RATIO`] a body may inflate to this many times its size. Deflate's own maximum is about 1,030.
pub const MAX_RATIO: usize = 100;

/// How much of its scratch buffer an idle thread may keep, in bytes.
const KEPT_SCRATCH: usize = 64 << 10;

/// Why a compressed body cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Not zlib, or damaged.
    #[error("the body is flagged as compressed but is no valid zlib stream")]
    Corrupt,
    /// The stream stops before its end.
    #[error("the compressed body is cut off")]
    Truncated,
    /// It inflates beyond the limit.
    #[error("the compressed body inflates to more than the limit of {limit} bytes")]
    TooLong {
        /// Bytes allowed.
        limit: usize,
    },
    /// It inflates suspiciously far.
    #[error("{compressed} compressed bytes inflate to more than {ratio} times their size")]
    Ratio {
        /// Bytes received.
        compressed: usize,
        /// How many times that is allowed.
        ratio: usize,
    },
}

struct Deflater {
    zlib: Compress,
    scratch: Vec<u8>,
}

thread_local! {
    static DEFLATER: RefCell<Deflater> =
        RefCell::new(Deflater { zlib: Compress::new(Compression::default(), true), scratch: Vec::new() });
    static INFLATER: RefCell<Decompress> = RefCell::new(Decompress::new(true));
}

/// Compresses the bytes of `out` from `body_at` on, in place, and says whether it did.
///
/// It does so only if there are at least [`MIN_COMPRESS`] of them and the result is strictly smaller, as Go's clients
/// and servers do; else `out` stays as it is.
///
/// # Panics
/// If `body_at` is beyond the end of `out`.
///
/// ```
/// use pitaya_core::wire::{compress_tail, inflate};
///
/// let mut out = [b"head".as_slice(), &[b'a'; 500]].concat();
/// assert!(compress_tail(&mut out, 4));
///
/// let mut body = Vec::new();
/// inflate(&out[4..], 1024, &mut body)?;
/// assert_eq!(body, [b'a'; 500]);
/// # Ok::<(), pitaya_core::wire::InflateError>(())
/// ```
pub fn compress_tail(out: &mut Vec<u8>, body_at: usize) -> bool {
    let length = out[body_at..].len();
    if length < MIN_COMPRESS {
        return false;
    }
    DEFLATER.with_borrow_mut(|Deflater { zlib, scratch }| {
        // No room for a result that is not smaller: deflate gives up by itself.
        let room = length - 1;
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        zlib.reset();
        let done = zlib.compress(&out[body_at..], &mut scratch[..room], FlushCompress::Finish);
        let smaller = matches!(done, Ok(Status::StreamEnd));
        if smaller {
            // At most `room`, which is a usize.
            let length = zlib.total_out() as usize;
            out.truncate(body_at);
            out.extend_from_slice(&scratch[..length]);
        }
        scratch.truncate(KEPT_SCRATCH);
        scratch.shrink_to(KEPT_SCRATCH);
        smaller
    })
}

/// Opens a zlib stream and appends what it holds to `out`: at most `limit` bytes, and beyond [`FREE_RATIO`] at most
/// [`MAX_RATIO`] times the size of `body`. Bytes behind the stream are ignored, as Go does.
///
/// Memory grows with what was really inflated and never past the bound, so a bomb costs no more than an honest body.
///
/// # Errors
/// [`InflateError`], see there; `out` is then as it was. The session that sent the body is to be closed.
pub fn inflate(body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    inflate_within(body, limit, MAX_RATIO, out)
}

/// [`inflate`] with a ratio of one's own in place of [`MAX_RATIO`].
///
/// # Errors
/// As for [`inflate`].
pub fn inflate_within(body: &[u8], limit: usize, ratio: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    let start = out.len();
    let done = INFLATER.with_borrow_mut(|zlib| {
        zlib.reset(true);
        run(zlib, body, limit, ratio, out)
    });
    if done.is_err() {
        out.truncate(start);
    }
    done
}

fn run(zlib: &mut Decompress, body: &[u8], limit: usize, ratio: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    let start = out.len();
    let ceiling = limit.min(body.len().saturating_mul(ratio).max(FREE_RATIO));
    let mut room = body.len().saturating_mul(4).clamp(256, FREE_RATIO);
    let (mut read, mut written) = (0, 0);
    loop {
        // One byte above the ceiling tells a body that ends there from one that goes on.
        room = room.min(ceiling.saturating_add(1) - written);
        out.reserve_exact(room);
        out.resize(start + written + room, 0);
        let status = zlib
            .decompress(&body[read..], &mut out[start + written..], FlushDecompress::None)
            .map_err(|_| InflateError::Corrupt)?;
        // Both totals are bounded by the lengths of slices.
        read = zlib.total_in() as usize;
        let before = std::mem::replace(&mut written, zlib.total_out() as usize);
        out.truncate(start + written);

        if written > ceiling {
            return Err(match ceiling == limit {
                true => InflateError::TooLong { limit },
                false => InflateError::Ratio { compressed: body.len(), ratio },
            });
        }
        if status == Status::StreamEnd {
            return Ok(());
        }
        // It stopped with room to spare: what it lacks is input.
        if written - before < room {
            return Err(InflateError::Truncated);
        }
        room = written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflated(body: &[u8], limit: usize) -> Result<Vec<u8>, InflateError> {
        let mut out = b"before".to_vec();
        inflate(body, limit, &mut out).inspect_err(|_| assert_eq!(out, b"before")).map(|()| out[6..].to_vec())
    }

    /// What a client of ours would send: zlib of any size, smaller or not.
    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() * 2 + 64);
        Compress::new(Compression::default(), true).compress_vec(body, &mut out, FlushCompress::Finish).unwrap();
        out
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .take(length)
        .collect()
    }

    #[test]
    fn short_or_incompressible_bodies_stay() {
        for body in [vec![], vec![b'a'; MIN_COMPRESS - 1], noise(MIN_COMPRESS), noise(100_000)] {
            let mut out = [b"head".as_slice(), &body].concat();
            assert!(!compress_tail(&mut out, 4));
            assert_eq!(out, [b"head".as_slice(), &body].concat());
        }
    }

    #[test]
    fn only_what_gets_strictly_smaller_is_compressed() {
        let mut equal = 0;
        for (noisy, zeros) in
            (MIN_COMPRESS..MIN_COMPRESS + 20).flat_map(|noisy| (0..40).map(move |zeros| (noisy, zeros)))
        {
            let body = [noise(noisy), vec![0; zeros]].concat();
            let length = zlib(&body).len();
            assert_eq!(compress_tail(&mut body.clone(), 0), length < body.len(), "{noisy} + {zeros}");
            equal += usize::from(length == body.len());
        }
        assert!(equal > 0, "some just break even");
    }

    #[test]
    fn compressed_bodies_come_back_whatever_their_size() {
        for length in [MIN_COMPRESS, 129, 1000, 65_536, 1_000_000, 3] {
            let body: Vec<u8> = (0..length).map(|index| (index % 61) as u8).chain(noise(length / 50)).collect();
            let mut out = [b"head".as_slice(), &body].concat();
            assert_eq!(compress_tail(&mut out, 4), length > 3);
            if length > 3 {
                assert!(out.len() < 4 + body.len());
                assert_eq!(&out[..4], b"head");
                assert_eq!(inflated(&out[4..], body.len()).unwrap(), body);
            }
        }
        DEFLATER.with_borrow(|deflater| assert!(deflater.scratch.capacity() <= KEPT_SCRATCH));
    }

    #[test]
    fn the_limit_is_exact() {
        for length in [0, 1, 255, 256, 257, 5000, 70_000] {
            let body = zlib(&[noise(length / 2), vec![0; length - length / 2]].concat());
            assert_eq!(inflated(&body, length).unwrap().len(), length);
            if length > 0 {
                assert_eq!(inflated(&body, length - 1), Err(InflateError::TooLong { limit: length - 1 }));
            }
        }
    }

    #[test]
    fn a_bomb_stops_at_the_bound() {
        let bomb = zlib(&vec![0; 16 << 20]);
        for limit in [1, 1000, 64 << 10, 1 << 20, usize::MAX] {
            let mut out = Vec::new();
            let bound = limit.min(MAX_RATIO * bomb.len());
            let wanted = match limit == bound {
                true => InflateError::TooLong { limit },
                false => InflateError::Ratio { compressed: bomb.len(), ratio: MAX_RATIO },
            };
            assert_eq!(inflate(&bomb, limit, &mut out), Err(wanted));
            assert!(out.capacity() <= bound + 1, "{} bytes for a bound of {bound}", out.capacity());
        }
    }

    #[test]
    fn the_ratio_counts_above_its_free_part_only() {
        let small = zlib(&[0; FREE_RATIO]);
        assert!(small.len() * MAX_RATIO < FREE_RATIO);
        assert_eq!(inflated(&small, usize::MAX).unwrap().len(), FREE_RATIO);
        let above = zlib(&[0; FREE_RATIO + 1]);
        assert_eq!(
            inflated(&above, usize::MAX),
            Err(InflateError::Ratio { compressed: above.len(), ratio: MAX_RATIO })
        );
    }

    #[test]
    fn every_cut_is_noticed_and_every_tail_ignored() {
        let text = noise(300);
        let body = zlib(&text);
        for end in 0..body.len() {
            assert_eq!(inflated(&body[..end], 1000), Err(InflateError::Truncated), "cut at {end}");
        }
        assert_eq!(inflated(&[body, vec![0xff; 50]].concat(), 1000).unwrap(), text);
    }

    #[test]
    fn only_zlib_is_zlib() {
        let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 0x4c, 0x4a, 6, 0, 0xc2, 0x41, 0x24, 0x35, 3, 0, 0, 0];
        let mut sum = zlib(b"abc");
        *sum.last_mut().unwrap() ^= 1;
        for body in [&gzip[..], b"plain text", &sum, &zlib(b"abc")[2..]] {
            assert_eq!(inflated(body, 1000), Err(InflateError::Corrupt));
        }
        assert_eq!(inflated(&zlib(b"abc"), 3).unwrap(), b"abc", "and the state is fit for the next one");
    }
}
