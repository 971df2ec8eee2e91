//! The outbox of a connection: answers from several threads, and who sends them.

use diptych_rt::net::{Address, Budget, Connection, NetLimits, Part, Pending, Wire};
use diptych_sync::model::{Bound, Model, Mutant};
use diptych_sync::{Arc, Mutex, thread};
use std::io::{self, IoSlice};
use std::time::Duration;

/// What went out, and whether somebody is sending.
#[derive(Default)]
struct Out {
    sent: Vec<u8>,
    is_sending: bool,
    /// So many sends without waiting find no room first.
    full: usize,
}

/// A wire that nothing comes from.
struct OneWay(Arc<Mutex<Out>>);

impl Wire for OneWay {
    fn receive(&self, _into: &mut Vec<u8>) -> io::Result<usize> {
        Ok(0)
    }

    fn send(&self, parts: &[IoSlice<'_>], wait: bool) -> io::Result<usize> {
        let mut out = self.0.lock();
        assert!(!out.is_sending, "invariant: one thread at a time sends");
        out.is_sending = true;
        drop(out);
        // Between the two somebody else may come.
        let mut out = self.0.lock();
        out.is_sending = false;
        if !wait && out.full > 0 {
            out.full -= 1;
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let bytes = parts.first().map_or(0, |part| part.len());
        out.sent.extend_from_slice(&parts[0]);
        Ok(bytes)
    }

    fn set_patience(&self, _patience: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn end(&self, _receiving: bool, _sending: bool) {}
}

/// Two requests under way, answered by two threads, while the connection's own thread ends its batch.
fn answers(full: usize) {
    let out = Arc::new(Mutex::new(Out { full, ..Out::default() }));
    let local: Address = "127.0.0.1:0".parse().expect("an address");
    let wire = Box::new(OneWay(out.clone()));
    let connection = Connection::over(wire, NetLimits::default(), local, String::new());
    let [first, second] = [(); 2].map(|()| connection.begin(64).expect("it has not ended"));
    let answer = |pending: Pending, text: &'static [u8]| {
        thread::spawn(move || pending.answer([Part::Copy(text)]))
    };
    let workers = [answer(first, b"ab"), answer(second, b"c")];
    let reader = thread::spawn(move || {
        connection.drain().expect("nothing fails");
        connection
    });
    for worker in workers {
        worker.join().expect("a worker");
    }
    let connection = reader.join().expect("the reader");
    let mut sent = out.lock().sent.clone();
    sent.sort_unstable();
    assert_eq!(sent, b"abc", "invariant: every answer is sent");
    connection.end();
}

#[test]
fn every_answer_is_sent() {
    Model {
        name: "every_answer_is_sent",
        protocol: "two answers come while the reader of their connection ends a batch",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 7_000,
        mutants: &[
            Mutant { name: "batch-end-sends", dies_by: "deadlock" },
            Mutant { name: "sender-looks-again", dies_by: "deadlock" },
            Mutant { name: "one-sender", dies_by: "invariant: one thread" },
        ],
    }
    .check(|| answers(0));
}

#[test]
fn the_writer_sends_what_is_left() {
    Model {
        name: "the_writer_sends_what_is_left",
        protocol: "two answers come, and the socket has no room for the first",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 14_000,
        mutants: &[Mutant { name: "writer-is-told", dies_by: "deadlock" }],
    }
    .check(|| answers(2));
}

/// What a connection takes of a budget at a time.
const PORTION_BYTES: usize = 64 << 10;

/// Two connections and a budget for one of them: a request on each, answered by a worker.
fn within_a_budget() {
    let budget = Budget::new(PORTION_BYTES);
    let connections = [(); 2].map(|()| {
        let out = Arc::new(Mutex::new(Out::default()));
        let local: Address = "127.0.0.1:0".parse().expect("an address");
        let (wire, limits) = (Box::new(OneWay(out)), NetLimits::default());
        Connection::over_within(wire, limits, budget.clone(), local, String::new())
    });
    let readers = connections.map(|connection| {
        let budget = budget.clone();
        thread::spawn(move || {
            let pending = connection.begin(2 * PORTION_BYTES).expect("it has not ended");
            assert!(budget.used() <= PORTION_BYTES, "invariant: the budget is kept");
            pending.answer([]);
            connection
        })
    });
    for reader in readers {
        reader.join().expect("a reader").end();
    }
    assert_eq!(budget.used(), 0, "invariant: all is given back");
}

#[test]
fn who_waits_for_the_budget_gets_it() {
    Model {
        name: "who_waits_for_the_budget_gets_it",
        protocol: "two connections, and memory for a request on one of them",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 200,
        mutants: &[
            Mutant { name: "budget-is-told", dies_by: "deadlock" },
            Mutant { name: "budget-is-kept", dies_by: "invariant: the budget is kept" },
        ],
    }
    .check(within_a_budget);
}
