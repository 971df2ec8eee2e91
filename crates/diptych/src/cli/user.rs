//! `diptych user`: who may log in by CHAP.

use super::ask::YesArgs;
use super::error::CliError;
use super::table::table;
use super::{Act, Asked, help, part};
use diptych::rest::api::{ChangeUser, NewUser, UserInfo};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  diptych user add iqn.2001-04.com.example:db1 --secret-file secret
  openssl rand -hex 16 | tee secret | diptych user add db1 --secret-file -";

/// What of a file is read: no secret is so long.
const FILE_BYTES_MAX: u64 = 4 << 10;

/// Users: who may log in over iSCSI, by CHAP. Without any, everybody may.
///
/// Those that diptych.toml names are listed, and not changed here.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = help(EXAMPLES), arg_required_else_help = true)]
pub(crate) enum What {
    /// List users
    List,
    /// Add a user; with the first one, nobody logs in without a proof any more
    Add(SecretArgs),
    /// Give a user another secret
    Change(SecretArgs),
    /// Remove a user; sessions that there are go on
    Remove {
        /// The name
        name: String,
        /// Also the last one: everybody may log in then
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        yes: YesArgs,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct SecretArgs {
    /// The name
    name: String,

    /// Where the secret is, of 12 to 128 bytes; - is stdin. An end of line behind it does not count
    #[arg(long, value_name = "FILE")]
    secret_file: PathBuf,
}

impl SecretArgs {
    fn secret(&self) -> Result<String, CliError> {
        let path = || self.secret_file.clone();
        let file = |source| CliError::File { path: path(), source };
        let mut text = String::new();
        let from: Box<dyn Read> = match self.secret_file == Path::new("-") {
            true => Box::new(io::stdin()),
            false => Box::new(fs::File::open(&self.secret_file).map_err(file)?),
        };
        from.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(file)?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }
}

impl Act for What {
    fn act(&self, asked: &Asked) -> Result<(), CliError> {
        match self {
            What::List => asked.show("/v1/users", |users: &Vec<_>| list(users)),
            What::Add(args) => {
                let wanted = NewUser { name: args.name.clone(), secret: args.secret()? };
                let user: UserInfo = asked.post("/v1/users", &wanted)?;
                asked.tell(&user, |user| format!("added user {}", user.name))
            }
            What::Change(args) => {
                let wanted = ChangeUser { secret: args.secret()? };
                let user: UserInfo = asked.patch(&path(&args.name)?, &wanted)?;
                asked.tell(&user, |user| format!("user {} has another secret", user.name))
            }
            What::Remove { name, force, yes } => {
                yes.ask(&format!("remove user {name}?"))?;
                let path = format!("{}?force={force}", path(name)?);
                asked.delete(&path, || format!("removed user {name}"))
            }
        }
    }
}

fn path(name: &str) -> Result<String, CliError> {
    Ok(format!("/v1/users/{}", part(name)?))
}

fn list(users: &[UserInfo]) -> String {
    let row = |user: &UserInfo| {
        let from = if user.fixed { "diptych.toml" } else { "the unit" };
        [user.name.clone(), from.to_owned()]
    };
    table(["USER", "KEPT IN"], users.iter().map(row))
}
