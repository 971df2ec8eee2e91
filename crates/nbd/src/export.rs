//! Exports: volumes by name.

use diptych_cha::{HostOp, HostReply, VolumeFacts};
use diptych_format::LdevId;
use diptych_rt::Rt;
use diptych_rt::net::Address;

/// Bytes of a block.
pub(crate) const BLOCK_BYTES: u64 = diptych_format::BLOCK_BYTES as u64;

const FLAG_HAS_FLAGS: u16 = 1 << 0;
const FLAG_READ_ONLY: u16 = 1 << 1;
const FLAG_SEND_FLUSH: u16 = 1 << 2;
const FLAG_SEND_FUA: u16 = 1 << 3;
const FLAG_SEND_TRIM: u16 = 1 << 5;
const FLAG_SEND_WRITE_ZEROES: u16 = 1 << 6;
const FLAG_SEND_DF: u16 = 1 << 7;
const FLAG_CAN_MULTI_CONN: u16 = 1 << 8;
const FLAG_SEND_CACHE: u16 = 1 << 10;
const FLAG_SEND_FAST_ZERO: u16 = 1 << 11;

/// A volume as a client sees it: as it was when the client chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Export {
    /// The volume.
    pub(crate) ldev: LdevId,
    /// Its size.
    pub(crate) bytes: u64,
    /// Hosts could not write it when the client chose it: the connection stays so, and does not count as
    /// a use of the volume.
    pub(crate) read_only: bool,
}

impl Export {
    /// The export of this number or name; the empty name is the volume with the lowest number.
    pub(crate) fn find(rt: &Rt, name: &[u8]) -> Option<Self> {
        let ldev = match std::str::from_utf8(name).ok()? {
            "" => rt.unit().volumes().first()?.ldev,
            name => rt.unit().find_volume(name)?,
        };
        match rt.execute(HostOp::Describe { ldev }) {
            HostReply::Volume(facts) => Some(Self::of(&facts)),
            _ => None,
        }
    }

    fn of(facts: &VolumeFacts) -> Self {
        Self {
            ldev: facts.ldev,
            bytes: facts.block_count * BLOCK_BYTES,
            read_only: facts.write.is_some(),
        }
    }

    /// The transmission flags.
    pub(crate) fn flags(&self, structured: bool) -> u16 {
        let mut flags = FLAG_HAS_FLAGS
            | FLAG_SEND_FLUSH
            | FLAG_SEND_FUA
            | FLAG_SEND_TRIM
            | FLAG_SEND_WRITE_ZEROES
            | FLAG_CAN_MULTI_CONN
            | FLAG_SEND_CACHE
            | FLAG_SEND_FAST_ZERO;
        for (is_so, flag) in [(self.read_only, FLAG_READ_ONLY), (structured, FLAG_SEND_DF)] {
            flags |= if is_so { flag } else { 0 };
        }
        flags
    }

    pub(crate) fn name(&self) -> String {
        self.ldev.to_string()
    }
}

/// What a volume is called, for people.
pub(crate) fn description(rt: &Rt, ldev: LdevId) -> String {
    match rt.unit().volume_name(ldev) {
        Some(name) => format!("Diptych volume {ldev}, {name}"),
        None => format!("Diptych volume {ldev}"),
    }
}

/// The address of a volume, for `qemu-img`, `nbdinfo` and others.
pub fn export_uri(address: &Address, ldev: LdevId) -> String {
    match address {
        Address::Tcp(socket) => format!("nbd://{socket}/{ldev}"),
        Address::Unix(path) => {
            format!("nbd+unix:///{ldev}?socket={}", escaped(&path.to_string_lossy()))
        }
    }
}

/// A text as a value in the query of a URI.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris() {
        #[track_caller]
        fn check(address: &str, expected: &str) {
            let address = address.parse().expect("an address");
            assert_eq!(export_uri(&address, LdevId::new(0, 0x1A)), expected);
        }
        check("127.0.0.1:10809", "nbd://127.0.0.1:10809/00:1A");
        check("[::1]:1", "nbd://[::1]:1/00:1A");
        check("unix:/tmp/a b.sock", "nbd+unix:///00:1A?socket=/tmp/a%20b.sock");
    }
}
