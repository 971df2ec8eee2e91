//! `diptych inband`: pair commands as a host gives them, through a command device over iSCSI.
//!
//! One write is the command, and ends when it has; what it came to, and the pair, are read afterwards. The
//! number of the request makes it safe to ask again: a known one is not carried out a second time.

mod device;
mod error;

use super::copying::CopyArgs;
use super::error::CliError;
use super::pair::{list, show_words};
use super::table::write_answer;
use super::{EXIT_CODES, ask::YesArgs};
use crate::cli::told_error;
use device::Device;
use diptych::cha::scsi::InBand;
use diptych::cha::{Command, CommandCode, CreateAuto, Outcome, PairFacts};
use diptych::format::LdevId;
use diptych::iscsi::client::{Initiator, IscsiUrl};
use diptych::iscsi::{Credentials, Secret};
use diptych::rest::api::{CommandAnswer, PairInfo};
pub(crate) use error::InbandError;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

/// Pair commands in band: written to a command device, over iSCSI.
///
/// A host that reaches nothing but its disks drives its pairs so. Volumes are named by their numbers. The
/// command device is a volume that was made one: diptych lu add CL1-A:9 00:04 --command-device
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct InbandArgs {
    #[command(flatten)]
    at: AtArgs,

    #[command(subcommand)]
    what: What,
}

/// Which command device, and who asks.
#[derive(Debug, clap::Args)]
struct AtArgs {
    /// The command device: iscsi://HOST:PORT/TARGET/LUN
    #[arg(long, value_name = "URL", env = "DIPTYCH_DEVICE", global = true)]
    #[arg(help_heading = "Command device")]
    url: Option<IscsiUrl>,

    /// The user to log in as, by CHAP
    #[arg(long, value_name = "NAME", global = true, requires = "password_file")]
    #[arg(help_heading = "Command device")]
    user: Option<String>,

    /// The file with the user's password, of 12 to 128 bytes; a line end behind it does not count
    #[arg(long, value_name = "FILE", global = true, requires = "user")]
    #[arg(help_heading = "Command device")]
    password_file: Option<PathBuf>,

    /// The iSCSI name of this host
    #[arg(long, value_name = "IQN", global = true, default_value = Initiator::NAME)]
    #[arg(help_heading = "Command device")]
    initiator: String,

    /// CRC32C digests, where the target has them
    #[arg(long, global = true, help_heading = "Command device")]
    digests: bool,

    /// The number of the request; the same again is not carried out twice
    #[arg(long, value_name = "N", global = true, help_heading = "Command device")]
    sequence: Option<u64>,

    /// Print JSON
    #[arg(long, global = true, help_heading = "Command device")]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List pairs, all or those of a volume
    List {
        /// The volume, as 00:1A
        #[arg(long, value_name = "LDEV")]
        volume: Option<LdevId>,
    },
    /// Show one pair
    Show(Volumes),
    /// Create a pair, and copy the primary to the secondary
    Create(CreateArgs),
    /// Make an image: the secondary is the primary of this instant
    #[command(visible_alias = "split")]
    Copy(CommandArgs),
    /// Have the secondary follow the primary again, by what differs
    Resync(CommandArgs),
    /// Give the primary the secondary's content
    Restore(RestoreArgs),
    /// Stop copying; changes are tracked
    Suspend(CommandArgs),
    /// Delete a pair; the volumes stay
    Delete(DeleteArgs),
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Volumes {
    /// The primary volume, as 00:1A
    primary: LdevId,

    /// The secondary volume, as 00:1A
    secondary: LdevId,
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// The primary volume, as 00:1A
    primary: LdevId,

    /// The secondary volume; without it, the first reserved one that fits
    secondary: Option<LdevId>,

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
struct CommandArgs {
    #[command(flatten)]
    volumes: Volumes,

    #[command(flatten)]
    copying: CopyArgs,

    /// Exit with 0 also if there was nothing to do
    #[arg(long)]
    or_nothing: bool,
}

#[derive(Debug, clap::Args)]
struct RestoreArgs {
    #[command(flatten)]
    command: CommandArgs,

    /// The volumes exchange their storage: the primary is the image at once
    #[arg(long)]
    quick_restore: bool,

    /// The pair stays split, and the secondary is what the primary was
    #[arg(long, requires = "quick_restore")]
    freeze: bool,

    #[command(flatten)]
    yes: YesArgs,
}

#[derive(Debug, clap::Args)]
struct DeleteArgs {
    #[command(flatten)]
    volumes: Volumes,

    /// Also while it is restoring: the primary's contents are undefined then
    #[arg(short, long)]
    force: bool,

    /// Exit with 0 also if there is no such pair
    #[arg(long)]
    or_nothing: bool,

    #[command(flatten)]
    yes: YesArgs,
}

/// Carries out a command, tells what went wrong, and says with which code to exit.
pub(crate) fn run(args: &InbandArgs) -> ExitCode {
    match carry_out(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => told_error(&error, args.at.json),
    }
}

fn carry_out(args: &InbandArgs) -> Result<(), CliError> {
    let mut device = Device::open(args.at.url()?, &args.at.initiator()?)?;
    let done = args.what.carry_out(&args.at, &mut device);
    // What was to be known is known.
    let _ = device.close();
    done
}

impl AtArgs {
    fn url(&self) -> Result<&IscsiUrl, CliError> {
        self.url.as_ref().ok_or_else(|| InbandError::NoDevice.into())
    }

    fn initiator(&self) -> Result<Initiator, CliError> {
        let credentials = match (&self.user, &self.password_file) {
            (Some(name), Some(path)) => {
                let failed = |source| CliError::File { path: path.clone(), source };
                let password = std::fs::read(path).map_err(failed)?;
                let password = password.strip_suffix(b"\n").unwrap_or(&password);
                let password = password.strip_suffix(b"\r").unwrap_or(password);
                let secret = Secret::new(password);
                let secret = secret.ok_or_else(|| InbandError::Password { path: path.clone() })?;
                Some(Credentials { name: name.clone(), secret })
            }
            _ => None,
        };
        let (name, digests) = (self.initiator.clone(), self.digests);
        Ok(Initiator { name, credentials, digests, ..Initiator::default() })
    }

    /// The number asked for, or one that is not used again: the time in nanoseconds.
    fn sequence(&self) -> u64 {
        let since = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.sequence.unwrap_or_else(|| since().unwrap_or_default().as_nanos() as u64)
    }
}

impl What {
    fn carry_out(&self, at: &AtArgs, device: &mut Device) -> Result<(), CliError> {
        let plain = |code: CommandCode, volumes: &Volumes| {
            Command::new(code, volumes.primary, volumes.secondary)
        };
        match self {
            Self::List { volume } => {
                let mut pairs = device.pairs()?;
                let of = |pair: &PairFacts, ldev| pair.primary == ldev || pair.secondary == ldev;
                pairs.retain(|pair| volume.is_none_or(|ldev| of(pair, ldev)));
                let pairs: Vec<PairInfo> = pairs.iter().map(info).collect();
                write_answer(at.json, &pairs, |pairs| list(pairs))
            }
            Self::Show(volumes) => {
                let pair = device.pair(volumes.primary, volumes.secondary)?;
                let Volumes { primary, secondary } = *volumes;
                let pair = pair.ok_or(InbandError::NoPair { primary, secondary })?;
                write_answer(at.json, &info(&pair), show_words)
            }
            Self::Create(args) => create(at, device, args),
            Self::Copy(args) => ask(at, device, plain(CommandCode::Copy, &args.volumes), args),
            Self::Resync(args) => ask(at, device, plain(CommandCode::Resync, &args.volumes), args),
            Self::Suspend(args) => {
                ask(at, device, plain(CommandCode::Suspend, &args.volumes), args)
            }
            Self::Restore(RestoreArgs { command, quick_restore, freeze, yes }) => {
                let Volumes { primary, secondary } = command.volumes;
                yes.ask(&format!("give {primary} the content of {secondary}?"))?;
                let codes = [CommandCode::Restore, CommandCode::QuickRestore];
                let code = codes[usize::from(*quick_restore)];
                let restore = Command { freeze: *freeze, ..plain(code, &command.volumes) };
                ask(at, device, restore, command)
            }
            Self::Delete(DeleteArgs { volumes, force, or_nothing, yes }) => {
                let Volumes { primary, secondary } = *volumes;
                yes.ask(&format!("delete the pair of {primary} and {secondary}?"))?;
                let delete = Command { force: *force, ..plain(CommandCode::Delete, volumes) };
                let asked = Asked { primary, secondary: Some(secondary), code: delete.code };
                tell(at, device, &asked, &delete.encode(), *or_nothing)
            }
        }
    }
}

/// What is asked, for the answer.
struct Asked {
    code: CommandCode,
    primary: LdevId,
    /// Nothing, if the unit chooses it.
    secondary: Option<LdevId>,
}

fn create(at: &AtArgs, device: &mut Device, args: &CreateArgs) -> Result<(), CliError> {
    let &CreateArgs { primary, secondary, no_copy, split, or_nothing, .. } = args;
    let auto = CreateAuto {
        options: args.copying.over(Default::default()),
        initial_copy: !no_copy,
        and_copy: split,
        ..CreateAuto::new(primary)
    };
    let block = match secondary {
        Some(secondary) => auto.choose(secondary).encode(),
        None => auto.encode(),
    };
    let asked = Asked { code: CommandCode::Create, primary, secondary };
    tell(at, device, &asked, &block, or_nothing)
}

/// A command on a pair, which keeps the options that are not said.
fn ask(
    at: &AtArgs,
    device: &mut Device,
    command: Command,
    args: &CommandArgs,
) -> Result<(), CliError> {
    let Volumes { primary, secondary } = args.volumes;
    let before = device.pair(primary, secondary)?.map(|pair| pair.options);
    let options = args.copying.over(before.unwrap_or_default());
    let asked = Asked { code: command.code, primary, secondary: Some(secondary) };
    tell(at, device, &asked, &Command { options, ..command }.encode(), args.or_nothing)
}

/// Has a command carried out, and tells what it came to. Nothing is a failure, unless it is as good.
fn tell(
    at: &AtArgs,
    device: &mut Device,
    asked: &Asked,
    block: &[u8; diptych::cha::COMMAND_BLOCK_BYTES],
    or_nothing: bool,
) -> Result<(), CliError> {
    let sequence = at.sequence();
    let answer = device.request(sequence, block)?;
    let outcome = match answer.became {
        InBand::Done(outcome) => outcome,
        InBand::Running => return Err(InbandError::Running { sequence }.into()),
        InBand::Interrupted => return Err(InbandError::Interrupted { sequence }.into()),
    };
    let (word, pair, secondary, from, to) = match outcome {
        Outcome::Accepted { pair, from, to } => ("accepted", Some(pair), asked.secondary, from, to),
        Outcome::Chosen { pair, secondary, to } => {
            ("accepted", Some(pair), Some(secondary), None, Some(to))
        }
        Outcome::Nothing { met } => ("nothing", None, asked.secondary, met, met),
        Outcome::Refused(refusal) => return Err(InbandError::Refused { refusal }.into()),
    };
    let status = |status: Option<diptych::shared::PairStatus>| {
        status.map_or_else(|| "no pair".to_owned(), |status| status.to_string())
    };
    let image = answer.pair.map(|pair| pair.image.0).filter(|image| *image != 0);
    let pair = pair.or(answer.pair.map(|pair| pair.id));
    let told = CommandAnswer {
        outcome: word.to_owned(),
        command: asked.code.to_string(),
        primary: asked.primary.to_string(),
        secondary: secondary.map_or_else(String::new, |ldev| ldev.to_string()),
        pair: pair.map(|pair| pair.to_string()),
        from: status(from),
        to: status(to),
        image,
    };
    write_answer(at.json, &told, super::pair::answer_words)?;
    super::pair::check_answer(&told, or_nothing)
}

/// The pair in the shape that `diptych pair` tells it in. Names, times and speeds are not known in band.
fn info(pair: &PairFacts) -> PairInfo {
    let done = (pair.tracks - pair.c_tracks.min(pair.tracks)) * 100 / pair.tracks.max(1);
    PairInfo {
        number: pair.id.to_string(),
        primary: pair.primary.to_string(),
        primary_name: None,
        secondary: pair.secondary.to_string(),
        secondary_name: None,
        status: pair.shown_as().to_lowercase(),
        status_text: pair.status.to_string(),
        copying: pair.status.is_copying(),
        pace: pair.options.pace.to_string(),
        lanes: pair.options.lanes,
        quick: pair.options.quick,
        limit: pair.options.limit.map(|limit| limit.to_string()),
        tracks: pair.tracks,
        c_tracks: pair.c_tracks,
        dp_tracks: pair.dp_tracks,
        ds_tracks: pair.ds_tracks,
        a_tracks: pair.a_tracks,
        unreadable_tracks: pair.unreadable_tracks,
        done_percent: done as u8,
        image: Some(pair.image.0).filter(|image| *image != 0),
        image_at: None,
        copied_tracks: pair.copied_tracks,
        protected_tracks: pair.protected_tracks,
        tracks_per_second: None,
        held_by: None,
    }
}
