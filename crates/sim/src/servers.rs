//! Resources: each does one thing at a time, in the order in which it was asked.

use diptych_format::{BLOCK_BYTES, DriveNo, Resource, Time, Work};
use std::ops::Range;

/// What a resource has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceUse {
    /// Which.
    pub resource: Resource,
    /// Nanoseconds that it was busy, or will have been with what is queued.
    pub busy_ns: u64,
    /// Effects queued on it.
    pub requests: u64,
    /// Bytes they move.
    pub bytes: u64,
}

impl ResourceUse {
    /// The part of the time up to `now` that it was busy. More than 1 if its queue reaches past `now`.
    pub fn utilisation(&self, now: Time) -> f64 {
        if now == Time::ZERO { 0.0 } else { self.busy_ns as f64 / now.ns as f64 }
    }
}

/// A FIFO server: all it needs to know of its queue is when it is next free.
#[derive(Debug)]
struct Server {
    used: ResourceUse,
    next_free: Time,
    /// So much later than planned is done what was queued before the latest delay.
    slipped_ns: u64,
    /// Sectors of requests that are queued and not performed.
    unperformed: Vec<Range<u64>>,
}

impl Server {
    fn new(resource: Resource) -> Self {
        let used = ResourceUse { resource, busy_ns: 0, requests: 0, bytes: 0 };
        Self { used, next_free: Time::ZERO, slipped_ns: 0, unperformed: Vec::new() }
    }
}

/// When an effect is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub(crate) start: Time,
    pub(crate) end: Time,
}

/// All resources: the drives, address change units as they turn up, and the log.
#[derive(Debug)]
pub(crate) struct Servers {
    drives: Vec<Server>,
    drrs: Vec<Server>,
    log: Server,
}

impl Servers {
    pub(crate) fn new(drives: impl Iterator<Item = DriveNo>) -> Self {
        let drives = drives.map(|drive| Server::new(Resource::Drive(drive))).collect();
        let log = Server::new(Resource::Log);
        Self { drives, drrs: vec![Server::new(Resource::Drr(0))], log }
    }

    fn server(&mut self, resource: Resource) -> &mut Server {
        match resource {
            Resource::Drive(drive) => &mut self.drives[usize::from(drive.0)],
            Resource::Drr(no) => {
                while self.drrs.len() <= usize::from(no) {
                    let new = Server::new(Resource::Drr(self.drrs.len() as u16));
                    self.drrs.push(new);
                }
                &mut self.drrs[usize::from(no)]
            }
            Resource::Log => &mut self.log,
        }
    }

    /// Queues work of `cost_ns` nanoseconds.
    pub(crate) fn queue(&mut self, work: &Work, cost_ns: u64, now: Time) -> Turn {
        let server = self.server(work.resource);
        let start = server.next_free.max(now);
        let end = start + cost_ns;
        server.next_free = end;
        server.used.busy_ns = server.used.busy_ns.saturating_add(cost_ns);
        server.used.requests += 1;
        server.used.bytes += work.bytes;
        Turn { start, end }
    }

    /// The request queued last takes longer than planned; returns when it is done.
    pub(crate) fn delay_last(&mut self, resource: Resource, delay_ns: u64) -> Time {
        let server = self.server(resource);
        server.next_free = server.next_free + delay_ns;
        server.used.busy_ns = server.used.busy_ns.saturating_add(delay_ns);
        server.next_free
    }

    /// The request that is at the head takes longer than planned: all behind it are done later.
    pub(crate) fn delay_first(&mut self, resource: Resource, delay_ns: u64) {
        self.delay_last(resource, delay_ns);
        let server = self.server(resource);
        server.slipped_ns = server.slipped_ns.saturating_add(delay_ns);
    }

    /// So much later than planned at the beginning is done what is queued now, all delays together.
    pub(crate) fn slipped_ns(&mut self, resource: Resource) -> u64 {
        self.server(resource).slipped_ns
    }

    /// Whether a request that is queued and not performed reaches sectors of this one.
    pub(crate) fn is_behind(&mut self, work: &Work) -> bool {
        let Some(sectors) = sectors(work) else { return false };
        let unperformed = &self.server(work.resource).unperformed;
        unperformed.iter().any(|r| r.start < sectors.end && sectors.start < r.end)
    }

    /// Notes that the work is queued and not performed.
    pub(crate) fn put_off(&mut self, work: &Work) {
        if let Some(sectors) = sectors(work) {
            self.server(work.resource).unperformed.push(sectors);
        }
    }

    /// Notes that work put off is performed.
    pub(crate) fn caught_up(&mut self, work: &Work) {
        let Some(sectors) = sectors(work) else { return };
        let unperformed = &mut self.server(work.resource).unperformed;
        let index = unperformed.iter().position(|r| *r == sectors);
        unperformed.remove(index.expect("what was put off is caught up with once"));
    }

    /// What all have done, the drives first, and the log last if it was used.
    pub(crate) fn used(&self) -> Vec<ResourceUse> {
        let log = Some(&self.log).filter(|log| log.used.requests > 0);
        self.drives.iter().chain(&self.drrs).chain(log).map(|server| server.used).collect()
    }
}

fn sectors(work: &Work) -> Option<Range<u64>> {
    let start = work.at?.0;
    Some(start..start + work.bytes / BLOCK_BYTES as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_format::SectorNo;

    const DRIVE: Resource = Resource::Drive(DriveNo(0));

    fn work(resource: Resource, sector: u64, sectors: u64) -> Work {
        let bytes = sectors * BLOCK_BYTES as u64;
        Work { resource, bytes, at: Some(SectorNo(sector)), is_write: true }
    }

    #[test]
    fn a_resource_serves_first_come_first_served() {
        let mut servers = Servers::new([DriveNo(0), DriveNo(1)].into_iter());
        let mut table = String::new();
        let asked = [(0, 0, 100), (0, 0, 50), (1, 10, 70), (0, 120, 10), (0, 400, 10)];
        for (drive, now, cost_ns) in asked {
            let work = work(Resource::Drive(DriveNo(drive)), 0, 8);
            let turn = servers.queue(&work, cost_ns, Time::from_ns(now));
            let (start, end) = (turn.start.ns, turn.end.ns);
            table += &format!("drive {drive} at {now:>3}, {cost_ns:>3} ns: {start:>3}..{end}\n");
        }
        insta::assert_snapshot!(table, @r"
        drive 0 at   0, 100 ns:   0..100
        drive 0 at   0,  50 ns: 100..150
        drive 1 at  10,  70 ns:  10..80
        drive 0 at 120,  10 ns: 150..160
        drive 0 at 400,  10 ns: 400..410
        ");
        let used: Vec<_> = servers.used().iter().map(|u| (u.busy_ns, u.requests)).collect();
        assert_eq!(used, [(170, 4), (70, 1), (0, 0)]);
        assert_eq!(servers.used()[0].utilisation(Time::from_ns(340)), 0.5);
    }

    #[test]
    fn a_request_is_behind_those_that_reach_its_sectors() {
        let mut servers = Servers::new([DriveNo(0)].into_iter());
        servers.put_off(&work(DRIVE, 100, 8));
        let check = |servers: &mut Servers, sector, count, expected| {
            assert_eq!(servers.is_behind(&work(DRIVE, sector, count)), expected, "{sector}");
        };
        check(&mut servers, 92, 8, false);
        check(&mut servers, 92, 9, true);
        check(&mut servers, 107, 1, true);
        check(&mut servers, 108, 8, false);
        servers.caught_up(&work(DRIVE, 100, 8));
        check(&mut servers, 100, 8, false);
    }

    #[test]
    fn a_request_that_takes_longer_holds_up_those_behind_it() {
        let mut servers = Servers::new([DriveNo(0)].into_iter());
        let queue =
            |servers: &mut Servers| servers.queue(&work(DRIVE, 0, 8), 10, Time::ZERO).end.ns;
        assert_eq!([queue(&mut servers), queue(&mut servers)], [10, 20]);
        // The second takes longer by itself; then the first does, and both are later.
        assert_eq!(servers.delay_last(DRIVE, 5).ns, 25);
        servers.delay_first(DRIVE, 100);
        assert_eq!((servers.slipped_ns(DRIVE), queue(&mut servers)), (100, 135));
        servers.delay_first(DRIVE, u64::MAX);
        assert_eq!((servers.slipped_ns(DRIVE), queue(&mut servers)), (u64::MAX, u64::MAX));
    }
}
