//! The login: from the first request of a connection to a session (RFC 7143, 6.3 and 11.12).
//!
//! | stage | what happens | ends when |
//! |---|---|---|
//! | 0, security | names, AuthMethod, CHAP | the initiator wants on, and has proved itself if it has to |
//! | 1, operational | digests, lengths, how data goes | the initiator wants on |
//! | 3 | the session begins | |
//!
//! Invariants: the state here has a limit, whatever comes; nobody has a session without the proof that the
//! settings ask for; the target is told of the session with the last request only.

use crate::IscsiSettings;
use crate::bhs::{Bhs, FINAL};
use crate::chap::{Challenge, Proof};
use crate::error::LoginRefused;
use crate::names::{PORTAL_GROUP, TargetNames};
use crate::params::{Answer, Params, SEGMENT_BYTES_MAX};
use crate::text::{TEXT_BYTES_MAX, TextIn, TextOut, pairs};
use diptych_cha::{InitiatorName, TargetId};

/// The C bit of byte 1: the text goes on in the next request.
pub(crate) const CONTINUES: u8 = 0x40;
const SECURITY: u8 = 0;
const OPERATIONAL: u8 = 1;
const FULL_FEATURE: u8 = 3;

/// What all requests of a login share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) isid: [u8; 6],
    pub(crate) tsih: u16,
    tag: u32,
    pub(crate) connection_no: u16,
}

impl Who {
    fn of(header: &Bhs) -> Self {
        Self {
            isid: header.array(8),
            tsih: header.half(14),
            tag: header.tag(),
            connection_no: header.half(20),
        }
    }
}

/// Where the proof is.
#[derive(Debug)]
enum Proving {
    /// Not begun.
    Not,
    /// CHAP was agreed on.
    Agreed,
    /// The challenge was sent.
    Challenged(Challenge),
    /// The initiator is believed.
    Proved,
}

/// A login under way.
#[derive(Debug)]
pub(crate) struct Login<'a> {
    names: &'a TargetNames,
    settings: &'a IscsiSettings,
    who: Option<Who>,
    stage: u8,
    text: TextIn,
    proving: Proving,
    said_segment: bool,
    said_portal_group: bool,
    pub(crate) params: Params,
    pub(crate) initiator: Option<InitiatorName>,
    pub(crate) target: Option<TargetId>,
    pub(crate) discovery: bool,
}

/// What is answered to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Byte 1.
    pub(crate) flags: u8,
    pub(crate) text: Vec<u8>,
    /// It was the last one.
    pub(crate) is_last: bool,
}

impl<'a> Login<'a> {
    pub(crate) fn new(names: &'a TargetNames, settings: &'a IscsiSettings) -> Self {
        Self {
            names,
            settings,
            who: None,
            stage: SECURITY,
            text: TextIn::default(),
            proving: Proving::Not,
            said_segment: false,
            said_portal_group: false,
            params: Params::default(),
            initiator: None,
            target: None,
            discovery: false,
        }
    }

    /// Takes a request.
    pub(crate) fn take(&mut self, header: &Bhs, data: &[u8]) -> Result<Step, LoginRefused> {
        let flags = header.flags();
        let (current, next) = (flags >> 2 & 3, flags & 3);
        let (transits, continues) = (flags & FINAL != 0, flags & CONTINUES != 0);
        let is_first = self.who.is_none();
        if is_first {
            // Byte 3: the least version that the initiator speaks.
            if header.0[3] > 0 {
                return Err(LoginRefused::Version);
            }
            self.stage = current;
        }
        let who = *self.who.get_or_insert(Who::of(header));
        let sound_next = !transits || next == FULL_FEATURE || (next == OPERATIONAL && current == 0);
        let sound = who == Who::of(header) && current == self.stage && current <= OPERATIONAL;
        if !sound || !sound_next || (transits && continues) || !header.is_immediate() {
            return Err(LoginRefused::Nonsense);
        }
        self.text.take(data)?;
        let stage_flags = current << 2;
        if continues {
            return Ok(Step { flags: stage_flags, text: Vec::new(), is_last: false });
        }
        let text = self.text.finish();
        let mut out = TextOut::default();
        self.text_came(&pairs(&text)?, &mut out)?;
        let text = out.finish();
        if text.len() > TEXT_BYTES_MAX {
            return Err(LoginRefused::Nonsense);
        }
        if !transits || !self.may_go_on() {
            return Ok(Step { flags: stage_flags, text, is_last: false });
        }
        self.stage = next;
        let is_last = next == FULL_FEATURE;
        Ok(Step { flags: FINAL | stage_flags | next, text, is_last })
    }

    /// What all requests of the login share.
    pub(crate) fn who(&self) -> Option<Who> {
        self.who
    }

    fn is_proof_needed(&self) -> bool {
        !self.settings.users.is_empty()
    }

    fn may_go_on(&self) -> bool {
        !self.is_proof_needed() || matches!(self.proving, Proving::Proved)
    }

    fn text_came(&mut self, pairs: &[(&str, &str)], out: &mut TextOut) -> Result<(), LoginRefused> {
        if self.initiator.is_none() {
            self.introduce(pairs)?;
        }
        if self.stage == OPERATIONAL && !self.may_go_on() {
            return Err(LoginRefused::NotAuthenticated);
        }
        if self.target.is_some() && !self.said_portal_group {
            out.push("TargetPortalGroupTag", PORTAL_GROUP);
            self.said_portal_group = true;
        }
        let mut proof = Proof::default();
        for &(key, value) in pairs {
            match key {
                "AuthMethod" => self.choose_method(value, out)?,
                "CHAP_A" => self.challenge(value, out)?,
                "CHAP_N" => proof.name = Some(value),
                "CHAP_R" => proof.response = Some(value),
                "CHAP_I" => proof.id = Some(value),
                "CHAP_C" => proof.challenge = Some(value),
                _ => {
                    if let Answer::Value(answer) = self.params.take(key, value, self.discovery) {
                        out.push(key, &answer);
                    }
                }
            }
        }
        if proof.name.is_some() || proof.response.is_some() {
            self.prove(&proof, out)?;
        }
        if self.stage == OPERATIONAL && !self.said_segment {
            out.push("MaxRecvDataSegmentLength", &SEGMENT_BYTES_MAX.to_string());
            self.said_segment = true;
        }
        Ok(())
    }

    /// The keys that come with the first text.
    fn introduce(&mut self, pairs: &[(&str, &str)]) -> Result<(), LoginRefused> {
        let value = |key| pairs.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
        let name = value("InitiatorName").ok_or(LoginRefused::MissingParameter)?;
        self.initiator = Some(name.parse().map_err(|_| LoginRefused::Nonsense)?);
        self.discovery = match value("SessionType") {
            None | Some("Normal") => false,
            Some("Discovery") => true,
            Some(_) => return Err(LoginRefused::SessionType),
        };
        if !self.discovery {
            let name = value("TargetName").ok_or(LoginRefused::MissingParameter)?;
            self.target = Some(self.names.find(name).ok_or(LoginRefused::NotFound)?);
        }
        Ok(())
    }

    fn choose_method(&mut self, list: &str, out: &mut TextOut) -> Result<(), LoginRefused> {
        if self.stage != SECURITY || !matches!(self.proving, Proving::Not) {
            return Err(LoginRefused::Nonsense);
        }
        let method = if self.is_proof_needed() { "CHAP" } else { "None" };
        if !list.split(',').any(|one| one == method) {
            return Err(LoginRefused::NotAuthenticated);
        }
        if self.is_proof_needed() {
            self.proving = Proving::Agreed;
        }
        out.push("AuthMethod", method);
        Ok(())
    }

    fn challenge(&mut self, algorithms: &str, out: &mut TextOut) -> Result<(), LoginRefused> {
        if !matches!(self.proving, Proving::Agreed) {
            return Err(LoginRefused::Nonsense);
        }
        let challenge = Challenge::new(algorithms)?;
        challenge.keys().iter().for_each(|(key, value)| out.push(key, value));
        self.proving = Proving::Challenged(challenge);
        Ok(())
    }

    fn prove(&mut self, proof: &Proof<'_>, out: &mut TextOut) -> Result<(), LoginRefused> {
        let Proving::Challenged(challenge) = std::mem::replace(&mut self.proving, Proving::Not)
        else {
            return Err(LoginRefused::Nonsense);
        };
        let keys = challenge.check(proof, &self.settings.users, self.settings.own.as_ref())?;
        keys.iter().for_each(|(key, value)| out.push(key, value));
        self.proving = Proving::Proved;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bhs::opcode;
    use crate::{ChapError, Credentials, Secret};
    use proptest::prelude::*;

    const NAME: &str = "iqn.2026-01.example.diptych:0000000000000007.cl1-a";

    fn request(flags: u8) -> Bhs {
        let mut header = Bhs::new(opcode::LOGIN | 0x40, flags);
        *header.set(8, &[0x80, 1, 2, 3, 0, 0]).set_tag(5)
    }

    /// Says each text with its flags; what is answered, in one line each.
    fn say(settings: &IscsiSettings, requests: &[(u8, &str)]) -> Vec<String> {
        let names = TargetNames::new(7);
        let mut login = Login::new(&names, settings);
        let mut answers = Vec::new();
        for (flags, text) in requests {
            let text = text.replace(' ', "\0").replace("NAME", NAME);
            answers.push(match login.take(&request(*flags), text.as_bytes()) {
                Ok(Step { flags, text, is_last }) => {
                    let text = String::from_utf8(text).expect("UTF-8").replace('\0', " ");
                    format!("{flags:02x} {text}{}", if is_last { "-" } else { "" })
                }
                Err(refused) => format!("{:?}", refused.status()),
            });
        }
        answers
    }

    #[track_caller]
    fn check(requests: &[(u8, &str)], expected: &[&str]) {
        assert_eq!(say(&IscsiSettings::default(), requests), expected);
    }

    #[test]
    fn the_stages() {
        let hello =
            "InitiatorName=iqn.host TargetName=NAME SessionType=Normal AuthMethod=CHAP,None";
        check(
            &[(0x81, hello), (0x87, "HeaderDigest=None MaxRecvDataSegmentLength=65536 ")],
            &[
                "81 TargetPortalGroupTag=1 AuthMethod=None ",
                "87 HeaderDigest=None MaxRecvDataSegmentLength=262144 -",
            ],
        );
        // At once, from either stage; with the text in parts.
        check(&[(0x83, hello)], &["83 TargetPortalGroupTag=1 AuthMethod=None -"]);
        check(
            &[(0x44, "InitiatorName=iqn.h"), (0x87, "ost SessionType=Discovery InitialR2T=No ")],
            &["04 ", "87 InitialR2T=Irrelevant MaxRecvDataSegmentLength=262144 -"],
        );
        check(
            &[(0x00, hello), (0x83, "")],
            &["00 TargetPortalGroupTag=1 AuthMethod=None ", "83 -"],
        );
    }

    #[test]
    fn what_is_refused() {
        let one = |flags, text, expected: &str| check(&[(flags, text)], &[expected]);
        one(0x87, "TargetName=NAME", "[2, 7]");
        one(0x87, "InitiatorName=iqn.host", "[2, 7]");
        one(0x87, "InitiatorName=a,b TargetName=NAME", "[2, 0]");
        one(0x87, "InitiatorName=iqn.host TargetName=iqn.other", "[2, 3]");
        one(0x87, "InitiatorName=iqn.host SessionType=Other", "[2, 9]");
        one(0x87, "InitiatorName=iqn.host InitiatorName=iqn.host", "[2, 0]");
        one(0x81, "InitiatorName=iqn.host TargetName=NAME AuthMethod=KRB5", "[2, 1]");
        // Stages that there are not, backwards, and both bits.
        for flags in [0x8B, 0x82, 0x84, 0x85, 0xC7, 0x8F] {
            one(flags, "InitiatorName=iqn.host TargetName=NAME", "[2, 0]");
        }
        let late = (0x87, "CHAP_A=5");
        check(
            &[(0x04, "InitiatorName=iqn.host SessionType=Discovery"), late].map(|one| one)[..1],
            &["04 MaxRecvDataSegmentLength=262144 "],
        );
        check(
            &[(0x04, "InitiatorName=a TargetName=NAME"), late],
            &["04 TargetPortalGroupTag=1 MaxRecvDataSegmentLength=262144 ", "[2, 0]"],
        );
        let long = "x".repeat(8_000);
        check(&[(0x40, &long), (0x00, &long)], &["00 ", "[2, 0]"]);
        let many: String = (0..1_000).map(|no| format!("k{no}= ")).collect();
        check(&[(0x00, &format!("InitiatorName=a SessionType=Discovery {many}"))], &["[2, 0]"]);
    }

    fn with_users() -> IscsiSettings {
        let secret = Secret::new("secret secret").expect("long enough");
        let users = vec![Credentials { name: "host".to_owned(), secret }];
        let users = diptych_sync::Arc::new(users.into());
        IscsiSettings { users, ..IscsiSettings::default() }
    }

    #[test]
    fn nobody_goes_past_the_proof() {
        let hello = "InitiatorName=iqn.host TargetName=NAME ";
        let chap = format!("{hello}AuthMethod=None,CHAP");
        let none = format!("{hello}AuthMethod=None");
        let last = |requests: &[(u8, &str)]| say(&with_users(), requests).pop().expect("one");
        assert_eq!(last(&[(0x87, hello)]), "[2, 1]");
        assert_eq!(last(&[(0x81, &none)]), "[2, 1]");
        assert_eq!(last(&[(0x83, hello)]), "00 TargetPortalGroupTag=1 ");
        assert_eq!(last(&[(0x83, &chap)]), "00 TargetPortalGroupTag=1 AuthMethod=CHAP ");
        assert_eq!(last(&[(0x00, &chap), (0x83, "")]), "00 ");
        assert_eq!(last(&[(0x00, &chap), (0x87, "")]), "[2, 0]");
        assert_eq!(last(&[(0x00, &chap), (0x00, "CHAP_A=6")]), "[2, 1]");
        let wrong = (0x83, "CHAP_N=host CHAP_R=0x00");
        assert_eq!(last(&[(0x00, &chap), wrong]), "[2, 0]");
        assert_eq!(last(&[(0x00, &chap), (0x00, "CHAP_A=5"), wrong]), "[2, 1]");
        assert_eq!(last(&[(0x00, &chap), (0x00, "CHAP_A=5"), (0x83, "CHAP_N=host")]), "[2, 1]");
        let challenged = last(&[(0x00, &chap), (0x83, "CHAP_A=7,5")]);
        assert!(challenged.starts_with("00 CHAP_A=7 CHAP_I="), "{challenged}");
        assert_eq!(LoginRefused::Chap(ChapError::Wrong).status(), [2, 1]);
    }

    #[test]
    fn all_requests_are_of_one_login() {
        let (names, settings) = (TargetNames::new(7), IscsiSettings::default());
        let hello = b"InitiatorName=iqn.host\0SessionType=Discovery\0";
        let check = |change: &dyn Fn(&mut Bhs), expected| {
            let mut login = Login::new(&names, &settings);
            assert!(login.take(&request(0x00), hello).is_ok());
            let mut second = request(0x83);
            change(&mut second);
            assert_eq!(login.take(&second, b"").map(|step| step.is_last), expected);
        };
        check(&|_| {}, Ok(true));
        for change in [8, 14, 16, 20] {
            check(&|header| header.0[change] ^= 1, Err(LoginRefused::Nonsense));
        }
        check(&|header| header.0[0] ^= 0x40, Err(LoginRefused::Nonsense));
        let mut newer = request(0x83);
        newer.0[3] = 1;
        let refused = Login::new(&names, &settings).take(&newer, hello);
        assert_eq!(refused, Err(LoginRefused::Version));
    }

    proptest! {
        #[test]
        fn any_requests_are_answered_or_refused(
            requests in prop::collection::vec(
                (any::<u8>(), "(InitiatorName=a\0)?(SessionType=Discovery\0)?(AuthMethod=CHAP\0)?(CHAP_[ANRIC]=[57]?(0x..)?\0){0,4}.{0,20}"),
                0..8,
            ),
            header in prop::array::uniform32(any::<u8>()),
            is_sound in any::<bool>(),
        ) {
            let (names, settings) = (TargetNames::new(7), with_users());
            let mut login = Login::new(&names, &settings);
            for (flags, text) in requests {
                let mut request = request(flags & 0xC7);
                if !is_sound {
                    request.set(0, &header);
                }
                match login.take(&request, text.as_bytes()) {
                    // Nobody guesses the response.
                    Ok(step) => prop_assert!(!step.is_last && step.text.len() <= TEXT_BYTES_MAX),
                    Err(_) => break,
                }
            }
        }
    }
}
