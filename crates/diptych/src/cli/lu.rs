//! `diptych lu`: which volume is behind which LUN of which port.

use super::ask::YesArgs;
use super::error::CliError;
use super::table::{flags, or_dash, table};
use super::{Act, Asked, help, part};
use diptych::rest::api::{LuInfo, NewLu};

const EXAMPLES: &str = "\
Examples:
  diptych lu add CL1-A:4 payroll
  diptych lu add CL1-A.1:0 00:04 --removable true
  diptych lu remove CL1-A:4";

/// Logical units: paths by which SCSI hosts reach volumes.
///
/// A path is a port, its host group if it is not the first, and a LUN: CL1-A:3, CL1-A.2:0.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = help(EXAMPLES), arg_required_else_help = true)]
pub(crate) enum What {
    /// List paths
    List,
    /// Add a path to a volume
    Add(AddArgs),
    /// Remove a path; the volume stays
    Remove {
        /// The path, as CL1-A:3
        path: String,
        /// Also if a host uses the volume
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        yes: YesArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct AddArgs {
    /// The path, as CL1-A:3
    path: String,

    /// The volume, as 00:1A or by its name
    ldev: String,

    /// Whether hosts are told that blocks may be given up; of the volume, by whatever path
    #[arg(long, value_name = "BOOL")]
    thin: Option<bool>,

    /// Whether the medium can be removed; of the volume, by whatever path
    #[arg(long, value_name = "BOOL")]
    removable: Option<bool>,

    /// Whether hosts may not change it; of the volume, by whatever path
    #[arg(long, value_name = "BOOL")]
    write_protected: Option<bool>,

    /// Whether it takes pair commands in band, and hosts do not reach its data
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    command_device: Option<bool>,
}

impl Act for What {
    fn act(&self, asked: &Asked) -> Result<(), CliError> {
        match self {
            What::List => asked.show("/v1/lus", |lus: &Vec<_>| list(lus)),
            What::Add(args) => {
                let wanted = NewLu {
                    path: args.path.clone(),
                    ldev: args.ldev.clone(),
                    thin: args.thin,
                    removable: args.removable,
                    write_protected: args.write_protected,
                    command_device: args.command_device,
                };
                let lu: LuInfo = asked.post("/v1/lus", &wanted)?;
                asked.tell(&lu, |lu| format!("{} leads to volume {}", lu.path, lu.ldev))
            }
            What::Remove { path, force, yes } => {
                yes.ask(&format!("remove path {path}? hosts lose the volume"))?;
                let at = format!("/v1/lus/{}?force={force}", part(path)?);
                asked.delete(&at, || format!("removed path {path}"))
            }
        }
    }
}

fn list(lus: &[LuInfo]) -> String {
    let row = |lu: &LuInfo| {
        let flags = flags([
            (lu.thin, "thin"),
            (lu.removable, "removable"),
            (lu.write_protected, "write-protected"),
            (lu.command_device, "command device"),
        ]);
        [lu.path.clone(), lu.ldev.clone(), or_dash(lu.name.as_deref()), flags]
    };
    table(["PATH", "LDEV", "NAME", "FLAGS"], lus.iter().map(row))
}
