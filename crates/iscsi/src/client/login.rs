//! The login of an initiator (RFC 7143, 6.3): its names, its proof, and what both sides agree on.
//!
//! Invariants: a target that does not ask for a proof is not given one; texts are limited as at the target.

use super::wire::{Pdu, Wire};
use super::{ClientError, Initiator, IscsiUrl, Surprise};
use crate::Credentials;
use crate::bhs::{Bhs, FINAL, opcode};
use crate::chap;
use crate::login::CONTINUES;
use crate::params::{SEGMENT_BYTES_MAX, SEGMENT_BYTES_USUAL, number};
use crate::text::{TextIn, TextOut, pairs};
use std::collections::BTreeMap;

const SECURITY: u8 = 0;
const OPERATIONAL: u8 = 1;
const FULL_FEATURE: u8 = 3;
/// Exchanges of a login: it needs four.
const EXCHANGES_MAX: usize = 16;
const TAG: u32 = 1;
const LENGTHS: (u32, u32) = (512, (1 << 24) - 1);

/// What both sides have agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Agreed {
    /// Bytes of a data segment that the target takes.
    pub(super) segment_bytes: usize,
    /// Data may come with the command itself.
    pub(super) immediate_data: bool,
    first_burst_bytes: usize,
}

impl Agreed {
    /// Bytes that may come with a command.
    pub(super) fn first_burst(&self) -> usize {
        self.first_burst_bytes.min(self.segment_bytes)
    }
}

type Keys = BTreeMap<String, String>;

struct Login<'a> {
    wire: &'a mut Wire,
    isid: [u8; 6],
    exchanges: usize,
}

pub(super) fn log_in(
    wire: &mut Wire,
    url: &IscsiUrl,
    initiator: &Initiator,
) -> Result<Agreed, ClientError> {
    // Of the kind that is drawn: no other session of the same name has it.
    let mut isid = [0x80, 0, 0, 0, 0, 0];
    getrandom::fill(&mut isid[1..]).map_err(|_| chap::ChapError::NoRandom)?;
    let mut login = Login { wire, isid, exchanges: 0 };
    login.prove(url, initiator)?;
    let digests = if initiator.digests { "CRC32C,None" } else { "None" };
    let segment = SEGMENT_BYTES_MAX.to_string();
    let wanted = [
        ("HeaderDigest", digests),
        ("DataDigest", digests),
        ("MaxRecvDataSegmentLength", &segment),
        ("InitialR2T", "Yes"),
        ("ImmediateData", "Yes"),
        ("MaxBurstLength", "262144"),
        ("FirstBurstLength", "65536"),
        ("MaxOutstandingR2T", "1"),
        ("MaxConnections", "1"),
        ("DataPDUInOrder", "Yes"),
        ("DataSequenceInOrder", "Yes"),
        ("ErrorRecoveryLevel", "0"),
        ("DefaultTime2Wait", "0"),
        ("DefaultTime2Retain", "0"),
    ];
    let mut said = login.say(OPERATIONAL, Some(FULL_FEATURE), &wanted)?;
    while !said.went_on {
        let more = login.say(OPERATIONAL, Some(FULL_FEATURE), &[])?;
        said.keys.extend(more.keys);
        said.went_on = more.went_on;
    }
    let agreed = agreed(&said.keys)?;
    let has = |key: &str| said.keys.get(key).is_some_and(|value| value == "CRC32C");
    wire.digests.header = has("HeaderDigest");
    wire.digests.data = has("DataDigest");
    Ok(agreed)
}

fn agreed(keys: &Keys) -> Result<Agreed, ClientError> {
    let length = |key: &str, usual: u32| match keys.get(key) {
        None => Ok(usual as usize),
        Some(value) => number(value, LENGTHS).map(|n| n as usize).ok_or(Surprise::Login),
    };
    Ok(Agreed {
        segment_bytes: length("MaxRecvDataSegmentLength", SEGMENT_BYTES_USUAL)?,
        immediate_data: keys.get("ImmediateData").is_none_or(|value| value == "Yes"),
        first_burst_bytes: length("FirstBurstLength", 65_536)?,
    })
}

/// What the target has said.
struct Said {
    keys: Keys,
    /// It goes on to the next stage.
    went_on: bool,
}

impl Login<'_> {
    /// The security stage.
    fn prove(&mut self, url: &IscsiUrl, initiator: &Initiator) -> Result<(), ClientError> {
        let methods = if initiator.credentials.is_some() { "CHAP,None" } else { "None" };
        let hello = [
            ("InitiatorName", initiator.name.as_str()),
            ("TargetName", &url.target),
            ("SessionType", "Normal"),
            ("AuthMethod", methods),
        ];
        let said = self.say(SECURITY, None, &hello).map_err(|error| match error {
            ClientError::Refused { status: [2, 1] } if initiator.credentials.is_none() => {
                ClientError::NoCredentials
            }
            other => other,
        })?;
        let method = said.keys.get("AuthMethod").map(String::as_str);
        let said = match (method, &initiator.credentials) {
            (Some("CHAP"), Some(credentials)) => self.chap(credentials)?,
            (Some("None"), _) => self.say(SECURITY, Some(OPERATIONAL), &[])?,
            _ => return Err(Surprise::Login.into()),
        };
        if said.went_on { Ok(()) } else { Err(Surprise::Login.into()) }
    }

    fn chap(&mut self, credentials: &Credentials) -> Result<Said, ClientError> {
        let asked = self.say(SECURITY, None, &[("CHAP_A", chap::ALGORITHMS)])?.keys;
        let key = |key: &str| asked.get(key).map(String::as_str).unwrap_or_default();
        let (algorithm, id, challenge) = (key("CHAP_A"), key("CHAP_I"), key("CHAP_C"));
        let response = chap::respond(algorithm, id, challenge, &credentials.secret)?;
        let proof = [("CHAP_N", credentials.name.as_str()), ("CHAP_R", &response)];
        self.say(SECURITY, Some(OPERATIONAL), &proof)
    }

    /// Says these keys, and hears what the target says to them.
    fn say(
        &mut self,
        stage: u8,
        next: Option<u8>,
        keys: &[(&str, &str)],
    ) -> Result<Said, ClientError> {
        let mut text = TextOut::default();
        keys.iter().for_each(|(key, value)| text.push(key, value));
        let transits = next.map_or(0, |next| FINAL | next);
        let mut pdu = self.exchange(transits | stage << 2, &text.finish())?;
        let mut heard = TextIn::default();
        loop {
            let flags = pdu.header.flags();
            heard.take(&pdu.data).map_err(|_| Surprise::Login)?;
            if flags & CONTINUES == 0 {
                let text = heard.finish();
                let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
                let keys = pairs(&text).map_err(|_| Surprise::Login)?;
                let keys = keys.into_iter().map(owned).collect();
                let went_on = flags & FINAL != 0;
                if went_on && next != Some(flags & 3) {
                    return Err(Surprise::Login.into());
                }
                return Ok(Said { keys, went_on });
            }
            pdu = self.exchange(stage << 2, &[])?;
        }
    }

    fn exchange(&mut self, flags: u8, text: &[u8]) -> Result<Pdu, ClientError> {
        self.exchanges += 1;
        if self.exchanges > EXCHANGES_MAX {
            return Err(Surprise::Endless.into());
        }
        let mut header = Bhs::new(opcode::LOGIN | 0x40, flags);
        header.set(8, &self.isid).set_tag(TAG);
        self.wire.request(header, text)?;
        let pdu = self.wire.receive()?;
        if pdu.header.opcode() != opcode::LOGIN_RESPONSE || pdu.header.tag() != TAG {
            return Err(Surprise::Opcode { code: pdu.header.opcode() }.into());
        }
        match pdu.header.array::<2>(36) {
            [0, _] => Ok(pdu),
            status => Err(ClientError::Refused { status }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_agreed_on() {
        #[track_caller]
        fn check(keys: &[(&str, &str)], expected: Option<(usize, bool, usize)>) {
            let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
            let found = agreed(&keys.iter().map(owned).collect()).ok();
            let found = found.map(|a| (a.segment_bytes, a.immediate_data, a.first_burst_bytes));
            assert_eq!(found, expected);
        }
        check(&[], Some((8_192, true, 65_536)));
        check(
            &[
                ("MaxRecvDataSegmentLength", "0x1000"),
                ("ImmediateData", "No"),
                ("FirstBurstLength", "512"),
            ],
            Some((4_096, false, 512)),
        );
        check(&[("MaxRecvDataSegmentLength", "1")], None);
        check(&[("FirstBurstLength", "Reject")], None);
    }
}
