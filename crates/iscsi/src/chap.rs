//! CHAP: each side proves that it knows a secret without telling it (RFC 7143, 12.1.3; RFC 1994).
//!
//! | step | initiator | target |
//! |---|---|---|
//! | 1 | `CHAP_A=7,5` algorithms | `CHAP_A`, `CHAP_I` identifier, `CHAP_C` challenge |
//! | 2 | `CHAP_N` name, `CHAP_R` response; for mutual CHAP also `CHAP_I`, `CHAP_C` | `CHAP_N`, `CHAP_R`, if asked |
//!
//! Invariants: a challenge is used once; an answer to our own challenge, sent back as theirs, is refused;
//! secrets are not shown; the time of a comparison does not tell how much of it was right.

use diptych_cha::{Credentials, Secret, Users};
use md5::Md5;
use sha2::{Digest, Sha256};

/// Bytes of our challenges.
const CHALLENGE_BYTES: usize = 16;
/// Bytes of a challenge of theirs, at most (RFC 7143, 12.1.3).
const CHALLENGE_BYTES_MAX: usize = 1024;

/// An algorithm, by its registered number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Md5 = 5,
    Sha256 = 7,
}

impl Algorithm {
    /// The first of a list that is served.
    fn choose(list: &str) -> Option<Self> {
        list.split(',').find_map(|one| match one {
            "5" => Some(Self::Md5),
            "7" => Some(Self::Sha256),
            _ => None,
        })
    }

    fn response(self, id: u8, secret: &Secret, challenge: &[u8]) -> Vec<u8> {
        let parts: [&[u8]; 3] = [&[id], secret.expose(), challenge];
        match self {
            Self::Md5 => Md5::digest(parts.concat()).to_vec(),
            Self::Sha256 => Sha256::digest(parts.concat()).to_vec(),
        }
    }
}

/// Why the initiator is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChapError {
    /// None of its algorithms is served.
    #[error("no CHAP algorithm in common")]
    Algorithm,
    /// A key is missing, or its value makes no sense.
    #[error("a CHAP key is missing or makes no sense")]
    Key,
    /// No such user, or another secret.
    #[error("an unknown CHAP name, or a wrong secret")]
    Wrong,
    /// It wants a proof of the target, which has no secret of its own.
    #[error("mutual CHAP is asked for, and the target has no name and secret")]
    NotMutual,
    /// No challenge could be drawn.
    #[error("the system gave no random numbers for a challenge")]
    NoRandom,
}

/// A challenge that waits for its response.
#[derive(Debug)]
pub(crate) struct Challenge {
    algorithm: Algorithm,
    id: u8,
    challenge: [u8; CHALLENGE_BYTES],
}

/// What the initiator sends in step 2.
#[derive(Debug, Default)]
pub(crate) struct Proof<'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) response: Option<&'a str>,
    pub(crate) id: Option<&'a str>,
    pub(crate) challenge: Option<&'a str>,
}

impl Challenge {
    /// Step 1: with what the initiator said of its algorithms, and random bytes.
    pub(crate) fn new(algorithms: &str) -> Result<Self, ChapError> {
        let algorithm = Algorithm::choose(algorithms).ok_or(ChapError::Algorithm)?;
        let mut drawn = [0; CHALLENGE_BYTES + 1];
        getrandom::fill(&mut drawn).map_err(|_| ChapError::NoRandom)?;
        let [id, challenge @ ..] = drawn;
        Ok(Self { algorithm, id, challenge })
    }

    /// The keys of its answer.
    pub(crate) fn keys(&self) -> [(&'static str, String); 3] {
        [
            ("CHAP_A", (self.algorithm as u8).to_string()),
            ("CHAP_I", self.id.to_string()),
            ("CHAP_C", to_text(&self.challenge)),
        ]
    }

    /// Step 2: the keys of the answer, if the initiator is believed.
    pub(crate) fn check(
        self,
        proof: &Proof<'_>,
        users: &Users,
        own: Option<&Credentials>,
    ) -> Result<Vec<(&'static str, String)>, ChapError> {
        let (Some(name), Some(response)) = (proof.name, proof.response) else {
            return Err(ChapError::Key);
        };
        let response = from_text(response).ok_or(ChapError::Key)?;
        let secret = users.secret_of(name).ok_or(ChapError::Wrong)?;
        let expected = self.algorithm.response(self.id, &secret, &self.challenge);
        if !is_same(&expected, &response) {
            return Err(ChapError::Wrong);
        }
        let (Some(id), Some(challenge)) = (proof.id, proof.challenge) else {
            return match (proof.id, proof.challenge) {
                (None, None) => Ok(Vec::new()),
                _ => Err(ChapError::Key),
            };
        };
        let own = own.ok_or(ChapError::NotMutual)?;
        let id = id.parse::<u8>().map_err(|_| ChapError::Key)?;
        let challenge = from_text(challenge).ok_or(ChapError::Key)?;
        let is_own = challenge == self.challenge;
        if challenge.is_empty() || challenge.len() > CHALLENGE_BYTES_MAX || is_own {
            return Err(ChapError::Key);
        }
        let response = self.algorithm.response(id, &own.secret, &challenge);
        Ok(vec![("CHAP_N", own.name.clone()), ("CHAP_R", to_text(&response))])
    }
}

/// What an initiator says of its algorithms, the better one first.
pub(crate) const ALGORITHMS: &str = "7,5";

/// What an initiator answers to a challenge.
pub(crate) fn respond(
    algorithm: &str,
    id: &str,
    challenge: &str,
    secret: &Secret,
) -> Result<String, ChapError> {
    let is_one = ALGORITHMS.split(',').any(|one| one == algorithm);
    let algorithm = Algorithm::choose(algorithm).filter(|_| is_one).ok_or(ChapError::Algorithm)?;
    let id = id.parse::<u8>().map_err(|_| ChapError::Key)?;
    let challenge = from_text(challenge).ok_or(ChapError::Key)?;
    if challenge.is_empty() || challenge.len() > CHALLENGE_BYTES_MAX {
        return Err(ChapError::Key);
    }
    Ok(to_text(&algorithm.response(id, secret, &challenge)))
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b));
    one.len() == other.len() && differing == 0
}

fn to_text(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("0x".to_owned()).chain(digits).collect()
}

/// Bytes as a text has them: hexadecimal or base64 (RFC 7143, 6.1).
fn from_text(text: &str) -> Option<Vec<u8>> {
    let (prefix, digits) = text.split_at_checked(2)?;
    match prefix {
        "0x" | "0X" => {
            let digits: Option<Vec<u8>> =
                digits.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
            let digits = digits?;
            // An odd number of digits has a zero in front.
            let (first, rest) = digits.split_at(digits.len() % 2);
            let pairs = rest.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
            Some(first.iter().copied().chain(pairs).collect())
        }
        "0b" | "0B" => from_base64(digits.as_bytes()),
        _ => None,
    }
}

fn from_base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) || text.len() - digits.len() > 2 {
        return None;
    }
    let (mut bytes, mut bits, mut count) = (Vec::with_capacity(text.len() / 4 * 3), 0_u32, 0);
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn credentials(name: &str, secret: &str) -> Credentials {
        Credentials { name: name.to_owned(), secret: Secret::new(secret).expect("long enough") }
    }

    fn fixed(algorithm: Algorithm) -> Challenge {
        Challenge { algorithm, id: 7, challenge: [9; CHALLENGE_BYTES] }
    }

    #[test]
    fn who_knows_the_secret_is_believed() {
        let all = [credentials("other", "another secret"), credentials("host", "secret secret")];
        let users = Users::from(all.to_vec());
        let own = credentials("unit", "a third secret");
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let right = to_text(&algorithm.response(7, &all[1].secret, &[9; CHALLENGE_BYTES]));
            let proof = Proof { name: Some("host"), response: Some(&right), ..Proof::default() };
            assert_eq!(fixed(algorithm).check(&proof, &users, None), Ok(Vec::new()));
            let as_other = Proof { name: Some("other"), ..proof };
            let check = |proof: &Proof<'_>| fixed(algorithm).check(proof, &users, Some(&own));
            assert_eq!(check(&as_other), Err(ChapError::Wrong));
            let nobody = Proof { name: Some("nobody"), ..as_other };
            assert_eq!(check(&nobody), Err(ChapError::Wrong));
            assert_eq!(check(&Proof { response: None, ..nobody }), Err(ChapError::Key));
            let short = Proof { name: Some("host"), response: Some("0x00"), ..Proof::default() };
            assert_eq!(check(&short), Err(ChapError::Wrong));
        }
    }

    #[test]
    fn the_target_proves_itself_if_asked() {
        let user = credentials("host", "secret secret");
        let users = Users::from(vec![user.clone()]);
        let own = credentials("unit", "a third secret");
        let right = to_text(&Algorithm::Md5.response(7, &user.secret, &[9; 16]));
        let check = |id, challenge, own| {
            let (name, response) = (Some("host"), Some(&*right));
            let proof = Proof { name, response, id, challenge };
            fixed(Algorithm::Md5).check(&proof, &users, own)
        };
        let expected = to_text(&Algorithm::Md5.response(200, &own.secret, &[1, 2]));
        let keys = vec![("CHAP_N", "unit".to_owned()), ("CHAP_R", expected)];
        assert_eq!(check(Some("200"), Some("0x0102"), Some(&own)), Ok(keys));
        assert_eq!(check(Some("200"), Some("0x0102"), None), Err(ChapError::NotMutual));
        assert_eq!(check(Some("256"), Some("0x0102"), Some(&own)), Err(ChapError::Key));
        assert_eq!(check(Some("1"), None, Some(&own)), Err(ChapError::Key));
        let ours = to_text(&[9; 16]);
        assert_eq!(check(Some("1"), Some(&ours), Some(&own)), Err(ChapError::Key));
    }

    #[test]
    fn an_initiator_answers_what_a_target_believes() {
        let user = credentials("host", "secret secret");
        let users = Users::from(vec![user.clone()]);
        for algorithms in ["5", "7,5"] {
            let challenge = Challenge::new(algorithms).expect("one");
            let [(_, algorithm), (_, id), (_, asked)] = challenge.keys();
            let right = respond(&algorithm, &id, &asked, &user.secret).expect("an answer");
            let proof = Proof { name: Some("host"), response: Some(&right), ..Proof::default() };
            assert_eq!(challenge.check(&proof, &users, None), Ok(Vec::new()));
        }
        let check = |algorithm, id, challenge, expected| {
            assert_eq!(respond(algorithm, id, challenge, &user.secret), Err(expected));
        };
        check("6", "1", "0x01", ChapError::Algorithm);
        check("7,5", "1", "0x01", ChapError::Algorithm);
        check("5", "256", "0x01", ChapError::Key);
        check("5", "1", "0x", ChapError::Key);
        check("5", "1", "", ChapError::Key);
    }

    #[test]
    fn algorithms_are_chosen_from_their_list() {
        assert_eq!(Algorithm::choose("8,7,5"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::choose("5"), Some(Algorithm::Md5));
        assert_eq!(Algorithm::choose("6,x"), None);
        assert_ne!(
            Challenge::new("5").expect("one").challenge,
            Challenge::new("5").expect("one").challenge
        );
    }

    #[test]
    fn binary_values() {
        #[track_caller]
        fn check(text: &str, expected: Option<&[u8]>) {
            assert_eq!(from_text(text).as_deref(), expected, "{text}");
        }
        check("0x0aFF", Some(&[0x0A, 0xFF]));
        check("0xABC", Some(&[0x0A, 0xBC]));
        check("0x", Some(&[]));
        check("0xg0", None);
        check("0bSGk=", Some(b"Hi"));
        check("0bSGlo", Some(b"Hih"));
        check("0bSA==", Some(b"H"));
        check("0bSA=", None);
        check("0bSB==", None);
        check("0b====", None);
        check("Hi", None);
        check("\u{e9}", None);
    }

    proptest! {
        #[test]
        fn any_text_is_bytes_or_none(text in "0[xXbB]?[0-9a-fA-F+/=\u{e9}]{0,40}") {
            if let Some(bytes) = from_text(&text) {
                prop_assert!(bytes.len() <= text.len());
                prop_assert_eq!(from_text(&to_text(&bytes)), Some(bytes));
            }
        }
    }
}
