//! `diptych pair`: pairs, and the commands for them.

use super::ask::YesArgs;
use super::commanding::{HowArgs, RestoreArgs};
use super::copying::CopyArgs;
use super::error::CliError;
use super::table::{facts, or_dash, table};
use super::wait::{self, UntilArgs};
use super::{Act, Asked, help, history, part};
use diptych::rest::api::{CommandAnswer, NewPair, PairCommand, PairInfo};

const EXAMPLES: &str = "\
Examples:
  diptych pair create payroll
  diptych pair copy payroll 00:02
  diptych pair wait payroll 00:02 --status split --timeout 10m
  diptych pair resync payroll 00:02 --pace fast";

/// Pairs: list, create, split, re-synchronize, restore, delete them.
///
/// A command that meets a status in which it has nothing to do changes nothing, says so and exits with 1,
/// so that nobody takes an old image for a new one; with --or-nothing it exits with 0.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = help(EXAMPLES), arg_required_else_help = true)]
pub(crate) enum What {
    /// List pairs
    List,
    /// Show one pair
    Show(PairNames),
    /// Create a pair, and copy the primary to the secondary
    Create(CreateArgs),
    /// Make an image: the secondary is the primary of this instant
    #[command(visible_alias = "split")]
    Copy(CommandArgs),
    /// Have the secondary follow the primary again, by what differs
    Resync(CommandArgs),
    /// Give the primary the secondary's content
    Restore {
        #[command(flatten)]
        command: CommandArgs,
        #[command(flatten)]
        restore: RestoreArgs,
    },
    /// Stop copying; changes are tracked
    Suspend(CommandArgs),
    /// Delete a pair; the volumes stay
    Delete(DeleteArgs),
    /// Wait until a pair has a status
    Wait {
        #[command(flatten)]
        pair: PairNames,
        #[command(flatten)]
        until: UntilArgs,
    },
    /// Change how a pair is copied, also while it is
    Pace {
        #[command(flatten)]
        pair: PairNames,
        #[command(flatten)]
        copying: CopyArgs,
    },
    /// Show what has happened, of all pairs or of one
    History {
        /// The primary volume
        primary: Option<String>,
        /// The secondary volume
        secondary: Option<String>,
        /// The newest so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
}

/// A pair by its volumes.
#[derive(Debug, clap::Args)]
pub(crate) struct PairNames {
    /// The primary volume, as 00:1A or by its name
    pub(super) primary: String,

    /// The secondary volume, as 00:1A or by its name
    pub(super) secondary: String,
}

impl PairNames {
    pub(super) fn path(&self) -> Result<String, CliError> {
        Ok(format!("/v1/pairs/{}/{}", part(&self.primary)?, part(&self.secondary)?))
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// The primary volume, as 00:1A or by its name
    primary: String,

    /// The secondary volume; without it, the first reserved one that fits
    secondary: Option<String>,

    #[command(flatten)]
    copying: CopyArgs,

    /// Do not begin to copy
    #[arg(long)]
    no_copy: bool,

    /// Make an image at once
    #[arg(long)]
    split: bool,

    /// Exit with 0 also if there is such a pair
    #[arg(long)]
    or_nothing: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CommandArgs {
    #[command(flatten)]
    pair: PairNames,

    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pair: PairNames,

    /// Also while it is restoring: the primary's contents are undefined then
    #[arg(short, long)]
    force: bool,

    /// Exit with 0 also if there is no such pair
    #[arg(long)]
    or_nothing: bool,

    #[command(flatten)]
    yes: YesArgs,
}

impl Act for What {
    fn act(&self, asked: &Asked) -> Result<(), CliError> {
        match self {
            What::List => asked.show("/v1/pairs", |pairs: &Vec<_>| list(pairs)),
            What::Show(pair) => asked.show(&pair.path()?, show_words),
            What::Create(args) => create(asked, args),
            What::Copy(args) => command(asked, "copy", args, &args.how.command()),
            What::Resync(args) => command(asked, "resync", args, &args.how.command()),
            What::Suspend(args) => command(asked, "suspend", args, &args.how.command()),
            What::Restore { command: args, restore } => {
                let PairNames { primary, secondary } = &args.pair;
                let question = format!("give {primary} the content of {secondary}?");
                let wanted = restore.asked(&question, args.how.command())?;
                command(asked, "restore", args, &wanted)
            }
            What::Delete(args) => delete(asked, args),
            What::Wait { pair, until } => wait::pair(asked, pair, until),
            What::Pace { pair, copying } => {
                let pair: PairInfo = asked.patch(&pair.path()?, &copying.options())?;
                asked.tell(&pair, show_words)
            }
            What::History { primary, secondary, limit } => {
                let mut path = format!("/v1/history?limit={limit}");
                let named = [("primary", primary), ("secondary", secondary)];
                for (key, volume) in named {
                    if let Some(volume) = volume {
                        path.push_str(&format!("&{key}={}", part(volume)?));
                    }
                }
                asked.show(&path, history::lines)
            }
        }
    }
}

fn create(asked: &Asked, args: &CreateArgs) -> Result<(), CliError> {
    let wanted = NewPair {
        primary: args.primary.clone(),
        secondary: args.secondary.clone(),
        options: args.copying.options(),
        no_copy: args.no_copy,
        split: args.split,
    };
    tell(asked, &asked.post("/v1/pairs", &wanted)?, args.or_nothing)
}

fn command(
    asked: &Asked,
    word: &str,
    args: &CommandArgs,
    wanted: &PairCommand,
) -> Result<(), CliError> {
    let path = format!("{}/{word}", args.pair.path()?);
    tell(asked, &asked.post(&path, wanted)?, args.how.or_nothing)
}

fn delete(asked: &Asked, args: &DeleteArgs) -> Result<(), CliError> {
    let PairNames { primary, secondary } = &args.pair;
    args.yes.ask(&format!("delete the pair of {primary} and {secondary}?"))?;
    let wanted = PairCommand { force: args.force, ..PairCommand::default() };
    let path = format!("{}/delete", args.pair.path()?);
    tell(asked, &asked.post(&path, &wanted)?, args.or_nothing)
}

/// What a command came to. Nothing is a failure, unless it is as good.
fn tell(asked: &Asked, answer: &CommandAnswer, or_nothing: bool) -> Result<(), CliError> {
    asked.tell(answer, answer_words)?;
    check_answer(answer, or_nothing)
}

/// What a command came to in words; none, if there was nothing to do.
pub(super) fn answer_words(answer: &CommandAnswer) -> String {
    let CommandAnswer { primary, secondary, from, to, .. } = answer;
    let image = answer.image.map_or_else(String::new, |image| format!(", image {image}"));
    match answer.is_accepted() {
        true => format!("{primary} -> {secondary}: {from} -> {to}{image}"),
        false => String::new(),
    }
}

/// Nothing is a failure, unless it is as good.
pub(super) fn check_answer(answer: &CommandAnswer, or_nothing: bool) -> Result<(), CliError> {
    if answer.is_accepted() || or_nothing {
        return Ok(());
    }
    let CommandAnswer { command, primary, secondary, from, .. } = answer;
    let met = format!("{command} of {primary} -> {secondary} met {from}");
    Err(CliError::Nothing(met))
}

/// Pairs as a table.
pub(super) fn list(pairs: &[PairInfo]) -> String {
    let called = |ldev: &str, name: &Option<String>| match name {
        Some(name) => format!("{ldev} {name}"),
        None => ldev.to_owned(),
    };
    let row = |pair: &PairInfo| {
        [
            called(&pair.primary, &pair.primary_name),
            called(&pair.secondary, &pair.secondary_name),
            pair.status.clone(),
            format!("{} %", pair.done_percent),
            pair.c_tracks.to_string(),
            pair.dp_tracks.to_string(),
            pair.ds_tracks.to_string(),
            pair.pace.clone(),
            or_dash(pair.image_at.as_deref()),
        ]
    };
    let headings =
        ["PRIMARY", "SECONDARY", "STATUS", "DONE ", "C ", "DP ", "DS ", "PACE", "IMAGE OF"];
    table(headings, pairs.iter().map(row))
}

/// A pair in words.
pub(super) fn show_words(pair: &PairInfo) -> String {
    let image = match (pair.image, &pair.image_at) {
        (Some(image), Some(at)) => format!("{image}, of {at}"),
        (Some(image), None) => image.to_string(),
        (None, _) => "none".to_owned(),
    };
    let speed = match (pair.tracks_per_second, &pair.held_by) {
        (Some(speed), Some(held_by)) => format!("{speed:.0} tracks/s, held back by {held_by}"),
        _ => "-".to_owned(),
    };
    let quick = if pair.quick { ", quick" } else { "" };
    let limit = pair.limit.as_ref().map_or_else(String::new, |limit| format!(", limit {limit}"));
    facts([
        ("pair", format!("{} -> {}", pair.primary, pair.secondary)),
        ("names", {
            let name = |name: &Option<String>| or_dash(name.as_deref());
            format!("{} -> {}", name(&pair.primary_name), name(&pair.secondary_name))
        }),
        ("number", pair.number.clone()),
        ("status", format!("{} ({})", pair.status, pair.status_text)),
        ("image", image),
        (
            "done",
            format!("{} %, {} of {} tracks left", pair.done_percent, pair.c_tracks, pair.tracks),
        ),
        ("changed", format!("{} of primary, {} of secondary", pair.dp_tracks, pair.ds_tracks)),
        ("copying", format!("pace {}, {} lanes{quick}{limit}", pair.pace, pair.lanes)),
        ("speed", speed),
        (
            "copied",
            format!(
                "{} tracks, {} of them before a write",
                pair.copied_tracks, pair.protected_tracks
            ),
        ),
        ("unreadable", format!("{} tracks", pair.unreadable_tracks)),
    ])
}
