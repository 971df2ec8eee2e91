//! Options of the handshake: what came, and the replies.

use diptych_rt::net::{Connection, Part};

/// The longest option: names have at most 4,096 bytes.
pub const OPTION_BYTES_MAX: u32 = 8 << 10;
/// The longest name or query, by the protocol.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// The most queries of an option.
pub(crate) const QUERIES_MAX: usize = 64;

const REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;

pub(crate) const EXPORT_NAME: u32 = 1;
pub(crate) const ABORT: u32 = 2;
pub(crate) const LIST: u32 = 3;
pub(crate) const STARTTLS: u32 = 5;
pub(crate) const INFO: u32 = 6;
pub(crate) const GO: u32 = 7;
pub(crate) const STRUCTURED_REPLY: u32 = 8;
pub(crate) const LIST_META_CONTEXT: u32 = 9;
pub(crate) const SET_META_CONTEXT: u32 = 10;
pub(crate) const EXTENDED_HEADERS: u32 = 11;

pub(crate) const INFO_EXPORT: u16 = 0;
pub(crate) const INFO_NAME: u16 = 1;
pub(crate) const INFO_DESCRIPTION: u16 = 2;
pub(crate) const INFO_BLOCK_SIZE: u16 = 3;

/// The kind of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Reply {
    Ack = 1,
    Server = 2,
    Info = 3,
    MetaContext = 4,
    ErrUnsup = 1 << 31 | 1,
    ErrInvalid = 1 << 31 | 3,
    ErrTlsReqd = 1 << 31 | 5,
    ErrUnknown = 1 << 31 | 6,
    ErrShutdown = 1 << 31 | 7,
    ErrTooBig = 1 << 31 | 9,
}

/// Sends a reply to an option.
pub(crate) fn reply(connection: &Connection, option: u32, kind: Reply, data: &[u8]) {
    let mut header = [0; 20];
    header[..8].copy_from_slice(&REPLY_MAGIC.to_be_bytes());
    header[8..12].copy_from_slice(&option.to_be_bytes());
    header[12..16].copy_from_slice(&(kind as u32).to_be_bytes());
    let length = u32::try_from(data.len()).expect("replies are short");
    header[16..].copy_from_slice(&length.to_be_bytes());
    connection.send([Part::Copy(&header), Part::Copy(data)]);
}

/// An option's data that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// Lengths contradict each other, or a text is longer than any may be.
    Invalid,
    /// More queries than are answered.
    TooMany,
}

/// Data of an option that is taken from its front.
struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Bad> {
        let (first, rest) = self.0.split_at_checked(count).ok_or(Bad::Invalid)?;
        self.0 = rest;
        Ok(first)
    }

    fn u16(&mut self) -> Result<u16, Bad> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self) -> Result<u32, Bad> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    /// A text behind its length.
    fn text(&mut self) -> Result<&'a [u8], Bad> {
        let length = usize::try_from(self.u32()?).map_err(|_| Bad::Invalid)?;
        if length > TEXT_BYTES_MAX { Err(Bad::Invalid) } else { self.bytes(length) }
    }

    fn end(&self) -> Result<(), Bad> {
        if self.0.is_empty() { Ok(()) } else { Err(Bad::Invalid) }
    }
}

/// The data of INFO and GO.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InfoRequest<'a> {
    pub(crate) name: &'a [u8],
    wanted: Vec<u16>,
}

impl<'a> InfoRequest<'a> {
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, Bad> {
        let mut data = Data(data);
        let name = data.text()?;
        let count = data.u16()?;
        // As many as are there: the length of all of it is bounded.
        let wanted = (0..count).map(|_| data.u16()).collect::<Result<_, _>>()?;
        data.end()?;
        Ok(Self { name, wanted })
    }

    pub(crate) fn wants(&self, info: u16) -> bool {
        self.wanted.contains(&info)
    }
}

/// The data of LIST_META_CONTEXT and SET_META_CONTEXT.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ContextRequest<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) queries: Vec<&'a [u8]>,
}

impl<'a> ContextRequest<'a> {
    pub(crate) fn parse(data: &'a [u8]) -> Result<Self, Bad> {
        let mut data = Data(data);
        let name = data.text()?;
        let count = data.u32()?;
        let mut queries = Vec::new();
        for _ in 0..count {
            queries.push(data.text()?);
            if queries.len() > QUERIES_MAX {
                return Err(Bad::TooMany);
            }
        }
        data.end()?;
        Ok(Self { name, queries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn infos() {
        #[track_caller]
        fn check(bytes: &[u8], expected: Result<(&[u8], &[u16]), Bad>) {
            let found = InfoRequest::parse(bytes);
            let found = found.as_ref().map(|info| (info.name, &info.wanted[..]));
            assert_eq!(found.map_err(|bad| *bad), expected);
        }
        check(&data(&[&[0, 0, 0, 0, 0, 0]]), Ok((b"", &[])));
        check(&data(&[&[0, 0, 0, 2], b"ab", &[0, 1, 0, 3]]), Ok((b"ab", &[3])));
        check(&data(&[&[0, 0, 0, 3], b"ab", &[0, 1, 0, 3, 0]]), Err(Bad::Invalid));
        check(&data(&[&[0, 0, 0, 2], b"ab", &[0, 2, 0, 3]]), Err(Bad::Invalid));
        check(&data(&[&[0, 0, 0, 2], b"ab", &[0, 0, 0, 3]]), Err(Bad::Invalid));
        check(&data(&[&[255, 255, 255, 255], b"ab", &[0, 0]]), Err(Bad::Invalid));
        check(b"", Err(Bad::Invalid));
    }

    #[test]
    fn contexts() {
        #[track_caller]
        fn check(bytes: &[u8], expected: Result<&[&[u8]], Bad>) {
            let found = ContextRequest::parse(bytes);
            assert_eq!(found.as_ref().map(|c| &c.queries[..]).map_err(|bad| *bad), expected);
        }
        check(&data(&[&[0; 8]]), Ok(&[]));
        let two = data(&[&[0; 4], &[0, 0, 0, 2, 0, 0, 0, 1], b"a", &[0, 0, 0, 0]]);
        check(&two, Ok(&[b"a", b""]));
        check(&two[..two.len() - 1], Err(Bad::Invalid));
        check(&data(&[&[0; 4], &[255, 255, 255, 255]]), Err(Bad::Invalid));
        let many = data(&[&[0; 4], &[0, 0, 0, 65], &[0; 4 * 65]]);
        check(&many, Err(Bad::TooMany));
        let long = data(&[&[0; 4], &[0, 0, 0, 1, 0, 0, 0x10, 1], &[b'a'; 4097]]);
        check(&long, Err(Bad::Invalid));
    }
}
