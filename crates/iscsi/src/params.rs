//! What initiator and target agree on (RFC 7143, 6.2 and 13).
//!
//! | kind | keys | what holds |
//! |---|---|---|
//! | list | HeaderDigest, DataDigest, TaskReporting | the first in the initiator's list that is served |
//! | number | MaxBurstLength, FirstBurstLength, MaxConnections, MaxOutstandingR2T, DefaultTime2Retain, ErrorRecoveryLevel, iSCSIProtocolLevel | the least of both |
//! | number | DefaultTime2Wait | the greatest of both |
//! | yes or no | ImmediateData | yes, if both say so |
//! | yes or no | InitialR2T, DataPDUInOrder, DataSequenceInOrder | yes, if one says so |
//! | declared | MaxRecvDataSegmentLength, aliases | what each side says of itself |
//!
//! Invariants: a value that no rule allows is answered Reject, a key that is not known NotUnderstood, one
//! that means nothing in a discovery session Irrelevant; in each case what held before holds still.

/// Bytes of a data segment that the target takes: its MaxRecvDataSegmentLength.
pub(crate) const SEGMENT_BYTES_MAX: usize = 256 << 10;
/// Bytes that go unasked with a write: the target's FirstBurstLength.
pub(crate) const FIRST_BURST_BYTES: u32 = 256 << 10;
/// Bytes of one sequence of data: the target's MaxBurstLength.
pub(crate) const BURST_BYTES: u32 = 1 << 20;
/// Bytes of a data segment until something else was said, and of each in a login.
pub(crate) const SEGMENT_BYTES_USUAL: u32 = 8 << 10;

const LENGTHS: (u32, u32) = (512, (1 << 24) - 1);

/// What holds in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Params {
    pub(crate) header_digest: bool,
    pub(crate) data_digest: bool,
    /// No data goes unasked but what comes with the command itself.
    pub(crate) initial_r2t: bool,
    /// Data may come with the command itself.
    pub(crate) immediate_data: bool,
    /// Bytes of a data segment that the initiator takes.
    pub(crate) segment_bytes: u32,
    pub(crate) burst_bytes: u32,
    pub(crate) first_burst_bytes: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            header_digest: false,
            data_digest: false,
            initial_r2t: true,
            immediate_data: true,
            segment_bytes: SEGMENT_BYTES_USUAL,
            burst_bytes: 262_144,
            first_burst_bytes: 65_536,
        }
    }
}

/// What is answered to a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This value.
    Value(String),
    /// Nothing: it was declared.
    Nothing,
}

const REJECT: &str = "Reject";

fn answer(value: impl ToString) -> Answer {
    Answer::Value(value.to_string())
}

impl Params {
    /// Takes a key of the operational negotiation.
    pub(crate) fn take(&mut self, key: &str, value: &str, discovery: bool) -> Answer {
        if discovery && is_of_normal_sessions(key) {
            return answer("Irrelevant");
        }
        match key {
            "HeaderDigest" => digest(value, &mut self.header_digest),
            "DataDigest" => digest(value, &mut self.data_digest),
            "InitialR2T" => truth(value, &mut self.initial_r2t, |theirs| theirs),
            "ImmediateData" => truth(value, &mut self.immediate_data, |theirs| theirs),
            "DataPDUInOrder" | "DataSequenceInOrder" => truth(value, &mut true, |_| true),
            "MaxRecvDataSegmentLength" => match number(value, LENGTHS) {
                Some(theirs) => {
                    self.segment_bytes = theirs;
                    Answer::Nothing
                }
                None => answer(REJECT),
            },
            "MaxBurstLength" => least(value, LENGTHS, BURST_BYTES, &mut self.burst_bytes),
            "FirstBurstLength" => {
                least(value, LENGTHS, FIRST_BURST_BYTES, &mut self.first_burst_bytes)
            }
            "MaxConnections" | "MaxOutstandingR2T" => least(value, (1, 65_535), 1, &mut 1),
            "ErrorRecoveryLevel" => least(value, (0, 2), 0, &mut 0),
            "DefaultTime2Retain" => least(value, (0, 3_600), 0, &mut 0),
            "DefaultTime2Wait" => number(value, (0, 3_600)).map_or_else(|| answer(REJECT), answer),
            "iSCSIProtocolLevel" => least(value, (0, 31), 1, &mut 1),
            "TaskReporting" => {
                let served =
                    value.split(',').find(|one| matches!(*one, "RFC3720" | "ResponseFence"));
                answer(served.unwrap_or(REJECT))
            }
            // They are no more, and may not be answered as unknown (RFC 7143, 13.25).
            "IFMarker" | "OFMarker" => answer("No"),
            "IFMarkInt" | "OFMarkInt" => answer(REJECT),
            "InitiatorAlias" | "InitiatorName" | "SessionType" | "TargetName" => Answer::Nothing,
            // What only a target says.
            "TargetAlias" | "TargetAddress" | "TargetPortalGroupTag" => answer(REJECT),
            _ => answer("NotUnderstood"),
        }
    }

    /// Bytes that may come unasked with a write.
    pub(crate) fn unasked_bytes(&self) -> u32 {
        self.first_burst_bytes.min(self.burst_bytes)
    }
}

fn is_of_normal_sessions(key: &str) -> bool {
    matches!(
        key,
        "MaxConnections"
            | "InitialR2T"
            | "ImmediateData"
            | "MaxBurstLength"
            | "FirstBurstLength"
            | "MaxOutstandingR2T"
            | "DataPDUInOrder"
            | "DataSequenceInOrder"
            | "TaskReporting"
    )
}

fn digest(value: &str, holds: &mut bool) -> Answer {
    let served = value.split(',').find(|one| matches!(*one, "None" | "CRC32C"));
    if let Some(served) = served {
        *holds = served == "CRC32C";
    }
    answer(served.unwrap_or(REJECT))
}

fn truth(value: &str, holds: &mut bool, rule: impl FnOnce(bool) -> bool) -> Answer {
    let theirs = match value {
        "Yes" => true,
        "No" => false,
        _ => return answer(REJECT),
    };
    *holds = rule(theirs);
    answer(if *holds { "Yes" } else { "No" })
}

fn least(value: &str, range: (u32, u32), ours: u32, holds: &mut u32) -> Answer {
    let Some(theirs) = number(value, range) else { return answer(REJECT) };
    *holds = theirs.min(ours);
    answer(*holds)
}

/// A number, decimal or with 0x, within a range (RFC 7143, 6.1).
pub(crate) fn number(value: &str, (least, most): (u32, u32)) -> Option<u32> {
    let hex = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((value, 10), |hex| (hex, 16));
    // The parser of numbers would take a plus sign.
    let sound = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = sound.then(|| u32::from_str_radix(digits, radix).ok())??;
    (least..=most).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_their_answers() {
        #[track_caller]
        fn check(key: &str, value: &str, expected: &str) {
            let found = match Params::default().take(key, value, false) {
                Answer::Value(value) => value,
                Answer::Nothing => String::new(),
            };
            assert_eq!(found, expected, "{key}={value}");
        }
        check("HeaderDigest", "CRC32C,None", "CRC32C");
        check("HeaderDigest", "None,CRC32C", "None");
        check("DataDigest", "x-new,CRC32C", "CRC32C");
        check("DataDigest", "x-new", "Reject");
        for key in ["InitialR2T", "ImmediateData"] {
            check(key, "Yes", "Yes");
            check(key, "No", "No");
            check(key, "yes", "Reject");
        }
        check("DataPDUInOrder", "No", "Yes");
        check("DataSequenceInOrder", "No", "Yes");
        check("MaxRecvDataSegmentLength", "262144", "");
        check("MaxRecvDataSegmentLength", "511", "Reject");
        check("MaxRecvDataSegmentLength", "16777216", "Reject");
        check("MaxBurstLength", "0x4000", "16384");
        check("MaxBurstLength", "16776192", "1048576");
        check("FirstBurstLength", "16776192", "262144");
        check("FirstBurstLength", "+600", "Reject");
        check("FirstBurstLength", "", "Reject");
        check("MaxConnections", "8", "1");
        check("MaxConnections", "0", "Reject");
        check("MaxOutstandingR2T", "16", "1");
        check("ErrorRecoveryLevel", "2", "0");
        check("ErrorRecoveryLevel", "3", "Reject");
        check("DefaultTime2Wait", "2", "2");
        check("DefaultTime2Retain", "20", "0");
        check("iSCSIProtocolLevel", "2", "1");
        check("TaskReporting", "FastAbort,RFC3720", "RFC3720");
        check("OFMarker", "Yes", "No");
        check("IFMarkInt", "2048~8192", "Reject");
        check("InitiatorAlias", "somebody", "");
        check("TargetAlias", "x", "Reject");
        check("X-com.example.new", "1", "NotUnderstood");
        check("Nonsense", "1", "NotUnderstood");
    }

    #[test]
    fn what_was_refused_changes_nothing() {
        let mut params = Params::default();
        for (key, value) in [("MaxBurstLength", "1"), ("InitialR2T", "?"), ("HeaderDigest", "md5")]
        {
            params.take(key, value, false);
        }
        assert_eq!(params, Params::default());
        params.take("MaxBurstLength", "4096", false);
        assert_eq!((params.burst_bytes, params.unasked_bytes()), (4096, 4096));
    }

    #[test]
    fn keys_of_normal_sessions_mean_nothing_in_discovery() {
        let mut params = Params::default();
        assert_eq!(params.take("MaxBurstLength", "4096", true), answer("Irrelevant"));
        assert_eq!(params.take("HeaderDigest", "None", true), answer("None"));
        assert_eq!(params, Params::default());
    }
}
