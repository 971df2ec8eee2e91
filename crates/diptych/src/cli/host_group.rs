//! `diptych host-group`: who may log in to a port, and finds which volumes there.

use super::ask::YesArgs;
use super::error::CliError;
use super::table::table;
use super::{Act, Asked, help, part};
use diptych::rest::api::{Admit, ChangeHostGroup, HostGroupInfo, NewHostGroup};

const EXAMPLES: &str = "\
Examples:
  diptych host-group create CL1-A --name db-hosts
  diptych host-group add CL1-A.1 iqn.2001-04.com.example:db1
  diptych lu add CL1-A.1:0 payroll";

/// Host groups: who may log in to a port, and which LUNs they find there.
///
/// The first group of a port is called as the port, the others have a number behind it: CL1-A, CL1-A.1. A
/// group that names nobody admits everybody.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = help(EXAMPLES), arg_required_else_help = true)]
pub(crate) enum What {
    /// List host groups, who may log in to them, and who has
    List,
    /// Make a group without LUNs, which admits everybody
    Create {
        /// The port, as CL1-A, for the lowest number that is free, or port and number, as CL1-A.2
        port: String,
        /// What people call it
        #[arg(long, value_name = "NAME", default_value = "hosts")]
        name: String,
    },
    /// Give a group another name
    Rename {
        /// The group, as CL1-A.2
        group: String,
        /// What people call it
        name: String,
    },
    /// Delete a group with its LUNs; the volumes stay
    Delete(Lost),
    /// Name an initiator that the group admits; with the first name, all others are shut out
    Add {
        /// The group, as CL1-A.2
        group: String,
        /// The initiator's name, as iqn.2001-04.com.example:host
        initiator: String,
        /// Also if others are logged in, who are shut out
        #[arg(short, long)]
        force: bool,
    },
    /// Take an initiator's name from the group again
    Remove {
        #[command(flatten)]
        lost: Lost,
        /// The initiator's name
        initiator: String,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Lost {
    /// The group, as CL1-A.2
    group: String,

    /// Also if that ends sessions, or the group admits everybody then
    #[arg(short, long)]
    force: bool,

    #[command(flatten)]
    yes: YesArgs,
}

impl Act for What {
    fn act(&self, asked: &Asked) -> Result<(), CliError> {
        match self {
            What::List => asked.show("/v1/host-groups", |groups: &Vec<_>| list(groups)),
            What::Create { port, name } => {
                let (port, name) = (port.clone(), name.clone());
                let made: HostGroupInfo =
                    asked.post("/v1/host-groups", &NewHostGroup { port, name })?;
                asked.tell(&made, |made| format!("made host group {}: {}", made.group, made.target))
            }
            What::Rename { group, name } => {
                let wanted = ChangeHostGroup { name: name.clone() };
                tell(asked, &asked.patch(&path(group)?, &wanted)?)
            }
            What::Delete(Lost { group, force, yes }) => {
                yes.ask(&format!("delete host group {group}? its hosts lose their LUNs"))?;
                let path = format!("{}?force={force}", path(group)?);
                asked.delete(&path, || format!("deleted host group {group}"))
            }
            What::Add { group, initiator, force } => {
                let path = format!("{}/initiators?force={force}", path(group)?);
                tell(asked, &asked.post(&path, &Admit { initiator: initiator.clone() })?)
            }
            What::Remove { lost: Lost { group, force, yes }, initiator } => {
                yes.ask(&format!("take {initiator} from host group {group}?"))?;
                let path = format!("{}/initiators/{}", path(group)?, part(initiator)?);
                let path = format!("{path}?force={force}");
                asked.delete(&path, || format!("{group} does not name {initiator} any more"))
            }
        }
    }
}

fn path(group: &str) -> Result<String, CliError> {
    Ok(format!("/v1/host-groups/{}", part(group)?))
}

fn tell(asked: &Asked, group: &HostGroupInfo) -> Result<(), CliError> {
    asked.tell(group, |group| list(std::slice::from_ref(group)))
}

fn list(groups: &[HostGroupInfo]) -> String {
    let row = |group: &HostGroupInfo| {
        let admitted = match group.initiators.is_empty() {
            true => "everybody".to_owned(),
            false => group.initiators.join(" "),
        };
        [
            group.group.clone(),
            group.name.clone(),
            group.luns.to_string(),
            group.sessions.len().to_string(),
            admitted,
        ]
    };
    table(["GROUP", "NAME", "LUNS ", "SESSIONS ", "ADMITS"], groups.iter().map(row))
}
