//! A request's header, and what of it cannot be carried out.

use crate::errno::Errno;
use crate::export::{BLOCK_BYTES, Export};
use diptych_cha::Tried;
use diptych_format::{BlockNo, BlockRange};

/// The largest payload, in either direction: the protocol's usual limit, and advertised.
pub const PAYLOAD_BYTES_MAX: u32 = 32 << 20;

const REQUEST_MAGIC: u32 = 0x2560_9513;
const EXTENDED_REQUEST_MAGIC: u32 = 0x21e4_1c71;

pub(crate) const FLAG_FUA: u16 = 1 << 0;
pub(crate) const FLAG_NO_HOLE: u16 = 1 << 1;
pub(crate) const FLAG_DF: u16 = 1 << 2;
pub(crate) const FLAG_REQ_ONE: u16 = 1 << 3;
pub(crate) const FLAG_FAST_ZERO: u16 = 1 << 4;
pub(crate) const FLAG_PAYLOAD_LEN: u16 = 1 << 5;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
    Disconnect,
    Flush,
    Trim,
    Cache,
    WriteZeroes,
    BlockStatus,
    Unknown(u16),
}

impl Kind {
    fn of(code: u16) -> Self {
        match code {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::Disconnect,
            3 => Self::Flush,
            4 => Self::Trim,
            5 => Self::Cache,
            6 => Self::WriteZeroes,
            7 => Self::BlockStatus,
            code => Self::Unknown(code),
        }
    }

    /// The flags that may be set. FUA may come with everything.
    const fn flags(self) -> u16 {
        match self {
            Self::Read => FLAG_FUA | FLAG_DF,
            Self::WriteZeroes => FLAG_FUA | FLAG_NO_HOLE | FLAG_FAST_ZERO,
            Self::BlockStatus => FLAG_FUA | FLAG_REQ_ONE,
            _ => FLAG_FUA,
        }
    }

    const fn changes(self) -> bool {
        matches!(self, Self::Write | Self::Trim | Self::WriteZeroes)
    }
}

/// A request, as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) flags: u16,
    pub(crate) cookie: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Why a request is refused before the unit sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) errno: Errno,
    pub(crate) why: &'static str,
}

const fn refusal(errno: Errno, why: &'static str) -> Refusal {
    Refusal { errno, why }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) << 16 | u32::from(u16_at(bytes, at + 2))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) << 32 | u64::from(u32_at(bytes, at + 4))
}

impl Request {
    /// Bytes of a header.
    pub(crate) const COMPACT_BYTES: usize = 28;
    /// Bytes of a header where extended headers were negotiated.
    pub(crate) const EXTENDED_BYTES: usize = 32;

    /// Reads a header; the error is the number where its magic should be.
    pub(crate) fn compact(header: &[u8; Self::COMPACT_BYTES]) -> Result<Self, u32> {
        Self::decode(header, REQUEST_MAGIC, u32_at(header, 24).into())
    }

    /// Reads an extended header.
    pub(crate) fn extended(header: &[u8; Self::EXTENDED_BYTES]) -> Result<Self, u32> {
        let request = Self::decode(header, EXTENDED_REQUEST_MAGIC, u64_at(header, 24))?;
        // It says of a write what is so anyhow: the length is that of a payload.
        let flags = match request.kind {
            Kind::Write => request.flags & !FLAG_PAYLOAD_LEN,
            _ => request.flags,
        };
        Ok(Self { flags, ..request })
    }

    fn decode(header: &[u8], magic: u32, length: u64) -> Result<Self, u32> {
        let found = u32_at(header, 0);
        if found != magic {
            return Err(found);
        }
        Ok(Self {
            flags: u16_at(header, 4),
            kind: Kind::of(u16_at(header, 6)),
            cookie: u64_at(header, 8),
            offset: u64_at(header, 16),
            length,
        })
    }

    pub(crate) const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Bytes that follow the header.
    pub(crate) const fn payload_bytes(&self) -> u64 {
        match self.kind {
            Kind::Write => self.length,
            _ if self.has(FLAG_PAYLOAD_LEN) => self.length,
            _ => 0,
        }
    }

    /// The blocks that are meant, if the request can be handed to the unit. `extended`: nothing of it
    /// has to fit 32 bits; `structured`: answers come in chunks.
    pub(crate) fn blocks(&self, export: &Export, structured: bool) -> Result<BlockRange, Refusal> {
        if let Kind::Unknown(_) = self.kind {
            return Err(refusal(Errno::Inval, "there is no such request"));
        }
        if self.flags & !self.kind.flags() != 0 {
            return Err(refusal(Errno::Inval, "a flag that this request does not have"));
        }
        if self.has(FLAG_DF) && !structured {
            return Err(refusal(Errno::Inval, "DF without structured replies"));
        }
        if self.kind.changes() && export.read_only {
            return Err(refusal(Errno::Perm, "the export is read-only"));
        }
        if self.kind == Kind::Flush {
            let is_plain = self.offset == 0 && self.length == 0;
            return is_plain
                .then_some(BlockRange::new(BlockNo(0), 0))
                .ok_or(refusal(Errno::Inval, "a flush has no offset and no length"));
        }
        if !(self.offset.is_multiple_of(BLOCK_BYTES) && self.length.is_multiple_of(BLOCK_BYTES)) {
            return Err(refusal(Errno::Inval, "not whole blocks of 512 bytes"));
        }
        if self.offset.checked_add(self.length).is_none_or(|end| end > export.bytes) {
            let tried = match self.kind {
                Kind::Write | Kind::WriteZeroes => Tried::Write,
                _ => Tried::Read,
            };
            return Err(refusal(Errno::past_end(tried), "past the end of the volume"));
        }
        if self.kind == Kind::Read && self.length > PAYLOAD_BYTES_MAX.into() {
            let errno = if structured { Errno::Overflow } else { Errno::Inval };
            return Err(refusal(errno, "more than one answer may have"));
        }
        Ok(BlockRange::new(BlockNo(self.offset / BLOCK_BYTES), self.length / BLOCK_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_format::LdevId;

    const EXPORT: Export = Export { ldev: LdevId::new(0, 0), bytes: 8 << 30, read_only: false };

    fn request(kind: Kind, flags: u16, offset: u64, length: u64) -> Request {
        Request { kind, flags, cookie: 7, offset, length }
    }

    #[test]
    fn headers() {
        let mut header = [0; 28];
        header[..4].copy_from_slice(&REQUEST_MAGIC.to_be_bytes());
        header[5] = 1;
        header[7] = 6;
        header[15] = 7;
        header[22] = 2;
        header[26] = 4;
        let expected = request(Kind::WriteZeroes, FLAG_FUA, 512, 1024);
        assert_eq!(Request::compact(&header), Ok(expected));
        header[0] = 9;
        assert_eq!(Request::compact(&header), Err(0x0960_9513));
        let mut header = [0; 32];
        header[..4].copy_from_slice(&EXTENDED_REQUEST_MAGIC.to_be_bytes());
        header[5] = FLAG_PAYLOAD_LEN as u8;
        header[7] = 1;
        header[15] = 7;
        header[24] = 1;
        let expected = request(Kind::Write, 0, 0, 1 << 56);
        assert_eq!(Request::extended(&header), Ok(expected));
    }

    #[test]
    fn what_is_refused() {
        #[track_caller]
        fn check(request: Request, expected: Result<(u64, u64), Errno>) {
            let found = request.blocks(&EXPORT, true);
            let found = found.map(|b| (b.start.0, b.count())).map_err(|refusal| refusal.errno);
            assert_eq!(found, expected, "{request:?}");
        }
        let end = EXPORT.bytes;
        check(request(Kind::Read, FLAG_DF, 512, 1024), Ok((1, 2)));
        check(request(Kind::Read, 0, end - 512, 512), Ok((end / 512 - 1, 1)));
        check(request(Kind::Read, 0, end, 512), Err(Errno::Inval));
        check(request(Kind::Write, 0, end, 512), Err(Errno::NoSpc));
        check(request(Kind::WriteZeroes, 0, end, 512), Err(Errno::NoSpc));
        check(request(Kind::Trim, 0, end, 512), Err(Errno::Inval));
        check(request(Kind::Read, 0, u64::MAX - 511, 512), Err(Errno::Inval));
        check(request(Kind::Read, 0, 1, 512), Err(Errno::Inval));
        check(request(Kind::Read, 0, 512, 3), Err(Errno::Inval));
        check(request(Kind::Read, FLAG_NO_HOLE, 0, 512), Err(Errno::Inval));
        check(request(Kind::Read, 0, 0, 64 << 20), Err(Errno::Overflow));
        check(request(Kind::WriteZeroes, FLAG_FAST_ZERO, 0, 4 << 30), Ok((0, 8 << 20)));
        check(request(Kind::Flush, FLAG_FUA, 0, 0), Ok((0, 0)));
        check(request(Kind::Flush, 0, 512, 0), Err(Errno::Inval));
        check(request(Kind::Unknown(8), 0, 0, 0), Err(Errno::Inval));
        let simple = request(Kind::Read, FLAG_DF, 0, 512).blocks(&EXPORT, false);
        assert_eq!(simple.map_err(|refusal| refusal.errno), Err(Errno::Inval));
        let read_only = Export { read_only: true, ..EXPORT };
        for kind in [Kind::Write, Kind::Trim, Kind::WriteZeroes] {
            let found = request(kind, 0, 0, 512).blocks(&read_only, true);
            assert_eq!(found.map_err(|refusal| refusal.errno), Err(Errno::Perm), "{kind:?}");
        }
    }
}
