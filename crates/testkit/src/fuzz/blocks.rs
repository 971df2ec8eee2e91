//! Command, answer and pair blocks (Figs. 3, 7): what decodes encodes to the same bytes.

use diptych_cha::{
    COMMAND_BLOCK_BYTES, CommandBlock, HostOp, OUTCOME_BLOCK_BYTES, Outcome, OutcomeBlock,
    PAIR_BLOCK_BYTES, PairFacts,
};

pub(super) fn run(bytes: &[u8]) -> bool {
    let op = CommandBlock::new_checked(bytes).and_then(CommandBlock::operation);
    if let Ok(op) = &op {
        let again = match op {
            HostOp::Command(command) => command.encode(),
            HostOp::CreateAuto(auto) => auto.encode(),
            other => panic!("a command block that is {other:?}"),
        };
        assert_eq!(again, bytes[..COMMAND_BLOCK_BYTES], "what decodes encodes to the same bytes");
    }
    let outcome: Result<Outcome, _> =
        OutcomeBlock::new_checked(bytes).and_then(OutcomeBlock::outcome);
    if let Ok(outcome) = &outcome {
        let again = outcome.encode();
        assert_eq!(again, bytes[..OUTCOME_BLOCK_BYTES], "what decodes encodes to the same bytes");
    }
    let pair = PairFacts::decode(bytes);
    if let Ok(Some(pair)) = &pair {
        let again = pair.encode();
        assert_eq!(again, bytes[..PAIR_BLOCK_BYTES], "what decodes encodes to the same bytes");
    }
    op.is_ok() || outcome.is_ok() || pair.is_ok()
}
