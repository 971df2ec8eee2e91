//! `diptych group`: consistency groups.

use super::commanding::{HowArgs, RestoreArgs};
use super::error::CliError;
use super::table::table;
use super::wait::{self, UntilArgs};
use super::{Act, Asked, help, part};
use diptych::rest::api::{GroupAnswer, GroupInfo, PairCommand, PairRef};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  diptych group define both payroll,00:02 ledger,00:03
  diptych group copy both --drain-limit 200ms
  diptych group wait both --status split --timeout 10m";

/// Consistency groups: one command for several pairs at one instant, all or none.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = help(EXAMPLES), arg_required_else_help = true)]
pub(crate) enum What {
    /// List groups and their pairs
    List,
    /// Make a group, or give it other pairs
    Define {
        /// The group
        name: String,
        /// Each pair as PRIMARY,SECONDARY
        #[arg(required = true, value_name = "PRIMARY,SECONDARY", value_parser = pair)]
        pairs: Vec<PairRef>,
    },
    /// Forget a group; its pairs stay
    Remove {
        /// The group
        name: String,
    },
    /// Make images of one instant
    #[command(visible_alias = "split")]
    Copy(CommandArgs),
    /// Have the secondaries follow their primaries again
    Resync(CommandArgs),
    /// Give the primaries their secondaries' content
    Restore {
        #[command(flatten)]
        command: CommandArgs,
        #[command(flatten)]
        restore: RestoreArgs,
    },
    /// Stop copying; changes are tracked
    Suspend(CommandArgs),
    /// Wait until all pairs of a group have a status
    Wait {
        /// The group
        name: String,
        #[command(flatten)]
        until: UntilArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct CommandArgs {
    /// The group
    name: String,

    #[command(flatten)]
    how: HowArgs,

    /// How long hosts may have to wait for it, as 200ms; longer, and it is refused
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    drain_limit: Option<Duration>,
}

fn pair(text: &str) -> Result<PairRef, &'static str> {
    let (primary, secondary) = text.split_once(',').ok_or("a pair is PRIMARY,SECONDARY")?;
    Ok(PairRef { primary: primary.to_owned(), secondary: secondary.to_owned() })
}

impl Act for What {
    fn act(&self, asked: &Asked) -> Result<(), CliError> {
        match self {
            What::List => asked.show("/v1/groups", |groups: &Vec<_>| list(groups)),
            What::Define { name, pairs } => {
                let group: GroupInfo = asked.put(&path(name)?, pairs)?;
                asked.tell(&group, |group| list(std::slice::from_ref(group)))
            }
            What::Remove { name } => asked.delete(&path(name)?, || format!("forgot group {name}")),
            What::Copy(args) => command(asked, "copy", args, args.how.command()),
            What::Resync(args) => command(asked, "resync", args, args.how.command()),
            What::Suspend(args) => command(asked, "suspend", args, args.how.command()),
            What::Restore { command: args, restore } => {
                let name = &args.name;
                let question =
                    format!("give the primaries of group {name} their secondaries' content?");
                let wanted = restore.asked(&question, args.how.command())?;
                command(asked, "restore", args, wanted)
            }
            What::Wait { name, until } => {
                wait::group(asked, name, until, |group| list(std::slice::from_ref(group)))
            }
        }
    }
}

fn path(name: &str) -> Result<String, CliError> {
    Ok(format!("/v1/groups/{}", part(name)?))
}

fn command(
    asked: &Asked,
    word: &str,
    args: &CommandArgs,
    wanted: PairCommand,
) -> Result<(), CliError> {
    let limit = args.drain_limit.map(|limit| limit.as_millis().try_into().unwrap_or(u64::MAX));
    let wanted = PairCommand { drain_limit_ms: limit, ..wanted };
    let answer: GroupAnswer = asked.post(&format!("{}/{word}", path(&args.name)?), &wanted)?;
    asked.tell(&answer, |answer| match (answer.is_accepted(), answer.barrier_ns) {
        (true, Some(ns)) => {
            let waited = humantime::format_duration(Duration::from_micros(ns / 1_000));
            let GroupAnswer { command, group, pairs, .. } = answer;
            format!("{command} of group {group}: {pairs} pairs, hosts waited {waited} at most")
        }
        _ => String::new(),
    })?;
    if answer.is_accepted() || args.how.or_nothing {
        return Ok(());
    }
    let GroupAnswer { command, group, nothing_for, met, .. } = answer;
    let of = nothing_for.map_or_else(String::new, |pair| {
        format!(": {} -> {} is {}", pair.primary, pair.secondary, met.unwrap_or_default())
    });
    Err(CliError::Nothing(format!("{command} of group {group}{of}")))
}

fn list(groups: &[GroupInfo]) -> String {
    let rows = groups.iter().flat_map(|group| {
        group.pairs.iter().map(|member| {
            let PairRef { primary, secondary } = member.pair.clone();
            [group.name.clone(), primary, secondary, member.status.clone()]
        })
    });
    table(["GROUP", "PRIMARY", "SECONDARY", "STATUS"], rows)
}
