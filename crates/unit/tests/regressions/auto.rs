//! A secondary to be chosen, and who holds it.

use crate::bench::*;
use diptych_cha::{CreateAuto, HostOp, HostReply, Outcome};
use diptych_format::{Time, Wait};
use diptych_testkit::ldev;

#[test]
fn a_candidate_that_is_none_any_more_when_its_claim_is_granted_is_passed_over() {
    let mut bench = Bench::new(1, config(6), 4);
    bench.fill(1, 1);
    bench.evict(3);
    for volume in [1, 2] {
        bench.unit().set_reserved(ldev(volume), true, Time::ZERO).expect("no pair yet");
    }
    // A read that misses holds the first candidate, and the create waits for it.
    let reader = bench.begin_to_effect(read_of(1, 0, 4), 0);
    let create = bench.begin(HostOp::CreateAuto(CreateAuto::new(ldev(0))));
    assert_eq!(bench.hand.waiting().collect::<Vec<_>>(), [(create, Wait::Claim)]);
    bench.unit().set_reserved(ldev(1), false, Time::ZERO).expect("no pair yet");
    bench.settle();
    assert_eq!(tags_of(0, bench.reply(reader)), Ok(vec![1; 4]));
    match bench.reply(create) {
        HostReply::Outcome(Outcome::Chosen { secondary, .. }) => assert_eq!(secondary, ldev(2)),
        other => panic!("an automatic create was answered {other:?}"),
    }
}
