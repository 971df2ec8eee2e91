//! `diptych ldev`: volumes.

use super::ask::YesArgs;
use super::error::CliError;
use super::table::{facts, flags, or_dash, table};
use super::{Act, Asked, help, part, transfer};
use crate::size::parse_size;
use diptych::format::{Emulation, LdevId};
use diptych::rest::api::{ChangeVolume, Force, NewVolume, VolumeInfo};
use indicatif::HumanBytes;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  diptych ldev create --size 10GiB --name payroll
  diptych ldev create --size 10GiB --reserved
  diptych ldev import payroll disk.img
  diptych ldev export payroll - | zstd > disk.img.zst";

/// Volumes: list, make, change, remove them, and move their contents.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = help(EXAMPLES), arg_required_else_help = true)]
pub(crate) enum What {
    /// List volumes
    List,
    /// Show one volume
    Show(Named),
    /// Make a volume, which reads zero
    Create(CreateArgs),
    /// Give a volume a name, or take it away
    Rename {
        /// The volume, as 00:1A or by its name
        ldev: String,
        /// The new name; without it, it has none
        name: Option<String>,
    },
    /// Remove a volume that is in no pair; its data is gone
    Delete(Lost),
    /// Format a volume: it reads zero, and its contents are defined
    Format(Lost),
    /// Let hosts use a blocked volume again
    Release(Named),
    /// Accept contents that are undefined as they are
    Accept(Named),
    /// Set a volume aside to become a secondary
    Reserve {
        /// The volume, as 00:1A or by its name
        ldev: String,
        /// No more
        #[arg(long)]
        off: bool,
    },
    /// Write a file into a volume, from its beginning
    Import {
        /// The volume, as 00:1A or by its name
        ldev: String,
        /// The file, of whole blocks of 512 bytes
        file: PathBuf,
        /// Also if a host uses the volume
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        yes: YesArgs,
    },
    /// Read a volume into a new file
    Export {
        /// The volume, as 00:1A or by its name
        ldev: String,
        /// The file; - is stdout
        file: PathBuf,
        /// Also into a file that is there
        #[arg(short, long)]
        force: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Named {
    /// The volume, as 00:1A or by its name
    ldev: String,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Lost {
    /// The volume, as 00:1A or by its name
    ldev: String,

    /// Also if a host uses it
    #[arg(short, long)]
    force: bool,

    #[command(flatten)]
    yes: YesArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CreateArgs {
    /// Its number, as 00:1A; without it, the lowest that is free
    ldev: Option<LdevId>,

    /// Its name: letters, digits, dots, dashes and underscores
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Emulation type: OPEN-3, OPEN-8, OPEN-9, OPEN-E, OPEN-L or OPEN-V
    #[arg(long, value_name = "TYPE", default_value = "OPEN-V")]
    emulation: Emulation,

    /// Size in bytes or with KiB, MiB or GiB; only for OPEN-V
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    size: Option<u64>,

    /// The drive to put it on; without it, the first with room
    #[arg(long, value_name = "N")]
    drive: Option<usize>,

    /// Set it aside to become a secondary
    #[arg(long)]
    reserved: bool,
}

impl Act for What {
    fn act(&self, asked: &Asked) -> Result<(), CliError> {
        match self {
            What::List => asked.show("/v1/ldevs", |volumes: &Vec<_>| list(volumes)),
            What::Show(Named { ldev }) => asked.show(&path(ldev)?, show),
            What::Create(args) => create(asked, args),
            What::Rename { ldev, name } => {
                let name = Some(name.clone().unwrap_or_default());
                change(asked, ldev, ChangeVolume { name, ..ChangeVolume::default() })
            }
            What::Reserve { ldev, off } => {
                let reserved = Some(!off);
                change(asked, ldev, ChangeVolume { reserved, ..ChangeVolume::default() })
            }
            What::Delete(lost) => delete(asked, lost),
            What::Format(Lost { ldev, force, yes }) => {
                yes.ask(&format!("format volume {ldev}? its data is lost"))?;
                act(asked, ldev, "format", *force)
            }
            What::Release(Named { ldev }) => act(asked, ldev, "release", false),
            What::Accept(Named { ldev }) => act(asked, ldev, "accept", false),
            What::Import { ldev, file, force, yes } => {
                yes.ask(&format!("write {} into volume {ldev}?", file.display()))?;
                transfer::import(asked, ldev, file, *force)
            }
            What::Export { ldev, file, force } => transfer::export(asked, ldev, file, *force),
        }
    }
}

fn path(ldev: &str) -> Result<String, CliError> {
    Ok(format!("/v1/ldevs/{}", part(ldev)?))
}

fn create(asked: &Asked, args: &CreateArgs) -> Result<(), CliError> {
    let wanted = NewVolume {
        ldev: args.ldev.map(|ldev| ldev.to_string()),
        name: args.name.clone(),
        emulation: Some(args.emulation.to_string()),
        bytes: args.size,
        drive: args.drive,
        reserved: args.reserved,
    };
    let volume: VolumeInfo = asked.post("/v1/ldevs", &wanted)?;
    asked.tell(&volume, |volume| format!("made volume {}", volume.ldev))
}

fn delete(asked: &Asked, lost: &Lost) -> Result<(), CliError> {
    let Lost { ldev, force, yes } = lost;
    yes.ask(&format!("remove volume {ldev}? its data is lost"))?;
    let path = format!("{}?force={force}", path(ldev)?);
    asked.delete(&path, || format!("removed volume {ldev}"))
}

fn change(asked: &Asked, ldev: &str, wanted: ChangeVolume) -> Result<(), CliError> {
    let volume: VolumeInfo = asked.patch(&path(ldev)?, &wanted)?;
    asked.tell(&volume, show)
}

fn act(asked: &Asked, ldev: &str, what: &str, force: bool) -> Result<(), CliError> {
    let volume: VolumeInfo = asked.post(&format!("{}/{what}", path(ldev)?), &Force { force })?;
    asked.tell(&volume, show)
}

fn flags_of(volume: &VolumeInfo) -> String {
    flags([
        (volume.reserved, "reserved"),
        (volume.undefined, "contents undefined"),
        (volume.in_use, "in use"),
    ])
}

fn list(volumes: &[VolumeInfo]) -> String {
    let row = |volume: &VolumeInfo| {
        [
            volume.ldev.clone(),
            or_dash(volume.name.as_deref()),
            volume.emulation.clone(),
            HumanBytes(volume.bytes).to_string(),
            format!("{} of {}", volume.stored_tracks, volume.tracks),
            volume.role.clone(),
            volume.state.clone(),
            flags_of(volume),
        ]
    };
    let headings = ["LDEV", "NAME", "TYPE", "SIZE ", "STORED TRACKS ", "ROLE", "STATE", "FLAGS"];
    table(headings, volumes.iter().map(row))
}

fn show(volume: &VolumeInfo) -> String {
    let drive = volume.drive.map(|drive| drive.to_string());
    facts([
        ("volume", volume.ldev.clone()),
        ("name", or_dash(volume.name.as_deref())),
        ("type", volume.emulation.clone()),
        ("size", format!("{} ({} blocks)", HumanBytes(volume.bytes), volume.blocks)),
        ("stored", format!("{} of {} tracks", volume.stored_tracks, volume.tracks)),
        ("drive", or_dash(drive.as_deref())),
        ("role", volume.role.clone()),
        ("state", volume.state.clone()),
        ("flags", flags_of(volume)),
    ])
}
