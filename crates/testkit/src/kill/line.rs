//! Lines of the pipe: what was asked, and what was answered.

use crate::Tag;
use diptych_cha::{Command, HostOp, HostReply, Outcome};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId};
use std::fmt;
use std::str::FromStr;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// The unit is open.
    Up,
    /// This request is made next; a write has its number as tag.
    Asked(u64, Asked),
    /// It was answered.
    Answered(u64, Answer),
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Write(LdevId, BlockRange),
    Unmap(LdevId, BlockRange),
    Read(LdevId, BlockRange),
    Flush(LdevId),
    Command(Command),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Failed,
    Outcome(Outcome),
    /// Data, as its tags; `None` where a block is that of no write.
    Tags(Vec<Option<Tag>>),
}

/// A line that makes no sense.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotLine;

impl Asked {
    /// The request with this number.
    pub(super) fn op(self, number: u64) -> HostOp {
        match self {
            Self::Write(ldev, blocks) => {
                HostOp::Write { ldev, block: blocks.start, data: Tag(number).data(blocks) }
            }
            Self::Unmap(ldev, blocks) => HostOp::Unmap { ldev, blocks },
            Self::Read(ldev, blocks) => HostOp::Read { ldev, blocks },
            Self::Flush(ldev) => HostOp::Flush { ldev },
            Self::Command(command) => HostOp::Command(command),
        }
    }

    /// The answer as a line has it.
    pub(super) fn answer(self, reply: &HostReply) -> Answer {
        match (self, reply) {
            (_, HostReply::Done) => Answer::Done,
            (_, HostReply::Outcome(outcome)) => Answer::Outcome(*outcome),
            (Self::Read(_, blocks), HostReply::Data(data)) => {
                let blocks = blocks.iter().zip(data.chunks(BLOCK_BYTES));
                Answer::Tags(blocks.map(|(block, data)| Tag::of(data, block)).collect())
            }
            _ => Answer::Failed,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => f.write_str("up"),
            Self::Asked(number, asked) => {
                let mut of_blocks = |word, ldev: &LdevId, blocks: &BlockRange| {
                    write!(f, "ask {number} {word} {ldev} {} {}", blocks.start.0, blocks.count())
                };
                match asked {
                    Asked::Write(ldev, blocks) => of_blocks("write", ldev, blocks),
                    Asked::Unmap(ldev, blocks) => of_blocks("unmap", ldev, blocks),
                    Asked::Read(ldev, blocks) => of_blocks("read", ldev, blocks),
                    Asked::Flush(ldev) => write!(f, "ask {number} flush {ldev}"),
                    Asked::Command(command) => {
                        write!(f, "ask {number} command {}", Hex(&command.encode()))
                    }
                }
            }
            Self::Answered(number, answer) => match answer {
                Answer::Done => write!(f, "did {number} done"),
                Answer::Failed => write!(f, "did {number} failed"),
                Answer::Outcome(outcome) => {
                    write!(f, "did {number} outcome {}", Hex(&outcome.encode()))
                }
                Answer::Tags(tags) => {
                    write!(f, "did {number} tags")?;
                    tags.iter().try_for_each(|tag| match tag {
                        Some(tag) => write!(f, " {tag}"),
                        None => write!(f, " -"),
                    })
                }
            },
        }
    }
}

impl FromStr for Line {
    type Err = NotLine;

    fn from_str(text: &str) -> Result<Self, NotLine> {
        fn parsed<T: FromStr>(word: Option<&str>) -> Result<T, NotLine> {
            word.and_then(|word| word.parse().ok()).ok_or(NotLine)
        }
        let mut words = text.split(' ');
        let first = words.next();
        if text == "up" {
            return Ok(Self::Up);
        }
        let number = parsed(words.next())?;
        let kind = words.next().ok_or(NotLine)?;
        let line = match (first, kind) {
            (Some("ask"), "command") => {
                let block = unhex(words.next().ok_or(NotLine)?)?;
                Self::Asked(number, Asked::Command(Command::decode(&block).map_err(|_| NotLine)?))
            }
            (Some("ask"), "flush") => Self::Asked(number, Asked::Flush(parsed(words.next())?)),
            (Some("ask"), _) => {
                let ldev = parsed(words.next())?;
                let start = BlockNo(parsed(words.next())?);
                let blocks = BlockRange::new(start, parsed(words.next())?);
                let asked = match kind {
                    "write" => Asked::Write(ldev, blocks),
                    "unmap" => Asked::Unmap(ldev, blocks),
                    "read" => Asked::Read(ldev, blocks),
                    _ => return Err(NotLine),
                };
                Self::Asked(number, asked)
            }
            (Some("did"), "done") => Self::Answered(number, Answer::Done),
            (Some("did"), "failed") => Self::Answered(number, Answer::Failed),
            (Some("did"), "outcome") => {
                let block = unhex(words.next().ok_or(NotLine)?)?;
                let outcome = Outcome::decode(&block).map_err(|_| NotLine)?;
                Self::Answered(number, Answer::Outcome(outcome))
            }
            (Some("did"), "tags") => {
                let tag = |word: &str| match word {
                    "-" => Ok(None),
                    word => word.parse().map(|tag| Some(Tag(tag))).map_err(|_| NotLine),
                };
                let tags: Result<_, _> = words.by_ref().map(tag).collect();
                Self::Answered(number, Answer::Tags(tags?))
            }
            _ => return Err(NotLine),
        };
        if words.next().is_none() { Ok(line) } else { Err(NotLine) }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn unhex(text: &str) -> Result<Vec<u8>, NotLine> {
    let digits = text.as_bytes().chunks(2);
    let byte = |digits| {
        let digits = std::str::from_utf8(digits).map_err(|_| NotLine)?;
        u8::from_str_radix(digits, 16).map_err(|_| NotLine)
    };
    digits.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ldev;
    use diptych_cha::CommandCode;

    #[test]
    fn what_is_written_is_read() {
        #[track_caller]
        fn check(line: Line, expected: &str) {
            assert_eq!(line.to_string(), expected);
            assert_eq!(expected.parse(), Ok(line));
        }
        let blocks = BlockRange::new(BlockNo(3), 2);
        check(Line::Up, "up");
        check(Line::Asked(7, Asked::Write(ldev(1), blocks)), "ask 7 write 00:01 3 2");
        check(Line::Asked(7, Asked::Unmap(ldev(1), blocks)), "ask 7 unmap 00:01 3 2");
        check(Line::Asked(7, Asked::Read(ldev(1), blocks)), "ask 7 read 00:01 3 2");
        check(Line::Asked(7, Asked::Flush(ldev(1))), "ask 7 flush 00:01");
        check(Line::Answered(7, Answer::Done), "did 7 done");
        check(Line::Answered(7, Answer::Failed), "did 7 failed");
        let tags = vec![Some(Tag(5)), None, Some(Tag::ZERO)];
        check(Line::Answered(7, Answer::Tags(tags)), "did 7 tags 5 - 0");
        let command = Command::new(CommandCode::Copy, ldev(0), ldev(1));
        let line = Line::Asked(8, Asked::Command(command));
        assert_eq!(line.to_string().parse(), Ok(line));
        let line = Line::Answered(8, Answer::Outcome(Outcome::Nothing { met: None }));
        assert_eq!(line.to_string().parse(), Ok(line));
    }

    #[test]
    fn what_makes_no_sense_is_not_read() {
        for text in [
            "",
            "u",
            "ask",
            "ask 7",
            "ask 7 write 00:01 3",
            "did 7 done now",
            "did x done",
            "did 7 tags x",
        ] {
            assert_eq!(text.parse::<Line>(), Err(NotLine), "{text:?}");
        }
    }
}
