//! Requests as they come: header, additional header segments, data, and their digests.
//!
//! Invariant: what may come is bounded before it is received; digests are checked before anything is made
//! of what they are of.

use crate::IscsiError;
use crate::bhs::{BHS_BYTES, Bhs, padding};
use crate::digest;
use crate::error::Fault;
use crate::session::Digests;
use bytes::Bytes;
use diptych_rt::net::Connection;

/// Receives a header; `None` if the initiator has closed the connection.
pub(crate) fn header(
    connection: &mut Connection,
    digests: Digests,
) -> Result<Option<Bhs>, IscsiError> {
    let Some(bytes) = connection.header::<BHS_BYTES>()? else { return Ok(None) };
    let header = Bhs(bytes);
    // At most 1,020 bytes. Nothing in them is looked at: no CDB of more than 16 bytes is known.
    let additional = match header.additional_bytes() {
        0 => Bytes::new(),
        bytes => connection.payload(bytes)?,
    };
    if digests.header && word(connection)? != digest::to_wire(header.digest(&additional)) {
        return Err(IscsiError::Digest { opcode: header.opcode(), header: true });
    }
    Ok(Some(header))
}

/// Receives the data of a PDU, of at most so many bytes.
pub(crate) fn data(
    connection: &mut Connection,
    header: &Bhs,
    digests: Digests,
    most: usize,
) -> Result<Bytes, IscsiError> {
    let (bytes, opcode) = (header.data_bytes(), header.opcode());
    if bytes == 0 {
        return Ok(Bytes::new());
    }
    if bytes > most {
        let what = Fault::DataTooLong { bytes, most };
        return Err(IscsiError::Protocol { opcode, what });
    }
    let data = connection.payload(bytes)?;
    let pad = match padding(bytes) {
        0 => Bytes::new(),
        pad => connection.payload(pad)?,
    };
    if digests.data {
        let found = digest::append(digest::of(&data), &pad);
        if word(connection)? != digest::to_wire(found) {
            return Err(IscsiError::Digest { opcode, header: false });
        }
    }
    Ok(data)
}

fn word(connection: &mut Connection) -> Result<[u8; 4], IscsiError> {
    Ok(connection.header::<4>()?.ok_or(diptych_rt::net::NetError::Closed)?)
}
