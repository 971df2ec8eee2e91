//! Which request meets which fault.

use super::FaultKind;
use crate::{Op, SectorRange};
use diptych_format::DriveNo;

/// The most rules that a drive has at a time.
pub(super) const MAX_RULES: usize = 4096;

/// One fault, and the request that meets it.
///
/// A rule counts the requests that match it, by operation and, if it names sectors, by touching
/// one of them. It strikes at the nth and is spent, or strikes at the nth and every later one.
///
/// ```
/// use diptych_device::{FaultKind, FaultPlan, FaultRule, Op, SectorRange};
/// use diptych_format::SectorNo;
///
/// let plan = FaultPlan::from([
///     // The third write that touches sectors 100 to 199 is lost as far as it does.
///     FaultRule::new(Op::Write, FaultKind::LostWrite)
///         .touching(SectorRange::new(SectorNo(100), 100))
///         .nth(3),
///     // From the tenth write on there is no room.
///     FaultRule::new(Op::Write, FaultKind::StorageFull).nth(10).repeated(),
/// ]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct FaultRule {
    op: Op,
    kind: FaultKind,
    sectors: Option<SectorRange>,
    nth: u64,
    repeats: bool,
}

impl FaultRule {
    /// The first request of this kind meets the fault.
    pub const fn new(op: Op, kind: FaultKind) -> Self {
        Self { op, kind, sectors: None, nth: 1, repeats: false }
    }

    /// Only requests that touch `sectors` match, and only these sectors are concerned.
    pub const fn touching(mut self, sectors: SectorRange) -> Self {
        self.sectors = Some(sectors);
        self
    }

    /// The nth request that matches meets the fault, counted from 1.
    pub const fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// Every later request that matches meets the fault as well.
    pub const fn repeated(mut self) -> Self {
        self.repeats = true;
        self
    }

    fn check(&self, drive_count: usize) -> Result<(), PlanError> {
        if !self.kind.suits(self.op) {
            return Err(PlanError::Unsuited { op: self.op, kind: self.kind.clone() });
        }
        if self.nth == 0 {
            return Err(PlanError::FromOne);
        }
        if self.op == Op::Flush && self.sectors.is_some() {
            return Err(PlanError::FlushHasNoSectors);
        }
        match self.kind {
            FaultKind::MisdirectedWrite { drive: Some(drive), .. }
                if usize::from(drive.0) >= drive_count =>
            {
                Err(PlanError::NoSuchDrive { drive, drive_count })
            }
            _ => Ok(()),
        }
    }
}

/// The faults that a drive will have, in any order. All rules that a request matches strike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultPlan(Vec<FaultRule>);

impl FaultPlan {
    /// No fault: the drive works.
    pub const fn none() -> Self {
        Self(Vec::new())
    }
}

impl<const N: usize> From<[FaultRule; N]> for FaultPlan {
    fn from(rules: [FaultRule; N]) -> Self {
        rules.into_iter().collect()
    }
}

impl From<FaultRule> for FaultPlan {
    fn from(rule: FaultRule) -> Self {
        [rule].into()
    }
}

impl FromIterator<FaultRule> for FaultPlan {
    fn from_iter<I: IntoIterator<Item = FaultRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

/// A plan that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// The fault is of another kind of request.
    #[error("a {op} cannot meet the fault '{kind}'")]
    Unsuited {
        /// The kind of request the rule names.
        op: Op,
        /// The fault it names.
        kind: FaultKind,
    },
    /// A rule names request 0.
    #[error("matching requests are counted from 1")]
    FromOne,
    /// A rule names sectors of a flush.
    #[error("a flush touches no sectors that a rule could name")]
    FlushHasNoSectors,
    /// A misdirected write goes to a drive that is not there.
    #[error("there is no drive {drive} among {drive_count}")]
    NoSuchDrive {
        /// The drive named.
        drive: DriveNo,
        /// Drives of the shelf.
        drive_count: usize,
    },
    /// A drive has too many rules.
    #[error("a drive has at most {max} rules")]
    TooManyRules {
        /// The most there can be.
        max: usize,
    },
    /// A shelf has too many drives.
    #[error("a shelf has at most {max} drives, not {drive_count}")]
    TooManyDrives {
        /// The most there can be.
        max: usize,
        /// Drives given.
        drive_count: usize,
    },
}

/// A rule that struck: what is wrong, and with which sectors of the request.
#[derive(Debug, Clone)]
pub(super) struct Strike {
    pub(super) kind: FaultKind,
    /// The sectors concerned; none for a flush.
    pub(super) sectors: SectorRange,
}

/// The rules that have not struck for good, with their counts.
#[derive(Debug, Default)]
pub(super) struct Rules(Vec<(FaultRule, u64)>);

impl Rules {
    pub(super) fn new(plan: FaultPlan, drive_count: usize) -> Result<Self, PlanError> {
        let mut rules = Self::default();
        plan.0.into_iter().try_for_each(|rule| rules.push(rule, drive_count))?;
        Ok(rules)
    }

    pub(super) fn push(&mut self, rule: FaultRule, drive_count: usize) -> Result<(), PlanError> {
        rule.check(drive_count)?;
        if self.0.len() == MAX_RULES {
            return Err(PlanError::TooManyRules { max: MAX_RULES });
        }
        self.0.push((rule, 0));
        Ok(())
    }

    /// Counts a request; the rules that strike at it, in the order of the plan.
    pub(super) fn meet(&mut self, op: Op, request: SectorRange) -> Vec<Strike> {
        let mut strikes = Vec::new();
        self.0.retain_mut(|(rule, seen)| {
            let sectors = rule.sectors.map_or(request, |s| s.intersection(request));
            if rule.op != op || rule.sectors.is_some() && sectors.is_empty() {
                return true;
            }
            *seen += 1;
            if *seen < rule.nth {
                return true;
            }
            strikes.push(Strike { kind: rule.kind.clone(), sectors });
            rule.repeats
        });
        strikes
    }

    /// The sectors of `request` whose former content a rule may ask for.
    pub(super) fn watched(&self, request: SectorRange) -> impl Iterator<Item = SectorRange> {
        let stale = self.0.iter().filter(|(rule, _)| rule.kind == FaultKind::StaleRead);
        stale.map(move |(rule, _)| rule.sectors.map_or(request, |s| s.intersection(request)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_format::SectorNo;

    fn sectors(start: u64, end: u64) -> SectorRange {
        SectorRange { start: SectorNo(start), end: SectorNo(end) }
    }

    #[test]
    fn a_rule_strikes_at_the_nth_request_that_matches() {
        fn check(rule: FaultRule, expected: [Option<SectorRange>; 5]) {
            let requests = [
                (Op::Read, sectors(0, 8)),
                (Op::Write, sectors(4, 6)),
                (Op::Read, sectors(6, 7)),
                (Op::Flush, SectorRange::default()),
                (Op::Read, sectors(7, 20)),
            ];
            let mut rules = Rules::new(rule.clone().into(), 1).unwrap();
            let struck = requests.map(|(op, range)| {
                let strikes = rules.meet(op, range);
                strikes.first().map(|strike| strike.sectors)
            });
            assert_eq!(struck, expected, "{rule:?}");
        }
        let on = |op| FaultRule::new(op, FaultKind::Fail);
        let all = sectors(0, 8);
        check(on(Op::Read), [Some(all), None, None, None, None]);
        check(on(Op::Read).nth(2), [None, None, Some(sectors(6, 7)), None, None]);
        check(
            on(Op::Read).nth(2).repeated(),
            [None, None, Some(sectors(6, 7)), None, Some(sectors(7, 20))],
        );
        check(on(Op::Read).nth(4), [None; 5]);
        check(on(Op::Flush), [None, None, None, Some(sectors(0, 0)), None]);
        let at_7 = on(Op::Read).touching(sectors(7, 9));
        check(at_7.clone(), [Some(sectors(7, 8)), None, None, None, None]);
        check(at_7.nth(2), [None, None, None, None, Some(sectors(7, 9))]);
    }

    #[test]
    fn a_plan_that_cannot_be_followed_is_refused() {
        fn check(rule: FaultRule, expected: &str) {
            assert_eq!(Rules::new(rule.into(), 2).unwrap_err().to_string(), expected);
        }
        check(
            FaultRule::new(Op::Read, FaultKind::LostWrite),
            "a read cannot meet the fault 'write lost'",
        );
        check(
            FaultRule::new(Op::Flush, FaultKind::BitRot { bit: 3 }),
            "a flush cannot meet the fault 'bit 3 flipped'",
        );
        check(
            FaultRule::new(Op::Read, FaultKind::Fail).nth(0),
            "matching requests are counted from 1",
        );
        check(
            FaultRule::new(Op::Flush, FaultKind::Fail).touching(sectors(0, 1)),
            "a flush touches no sectors that a rule could name",
        );
        let to_2 = FaultKind::MisdirectedWrite { drive: Some(DriveNo(2)), to: SectorNo(0) };
        check(FaultRule::new(Op::Write, to_2), "there is no drive 2 among 2");
        let rule = FaultRule::new(Op::Read, FaultKind::Fail);
        let many: FaultPlan = std::iter::repeat_n(rule, MAX_RULES + 1).collect();
        assert_eq!(Rules::new(many, 1).unwrap_err(), PlanError::TooManyRules { max: MAX_RULES });
    }
}
