//! `diptych schedule`: copies at their times.

use super::copying::CopyArgs;
use super::error::CliError;
use super::table::{or_dash, table};
use super::{Act, Asked, help};
use diptych::rest::api::{
    CopyOptions, NewSchedule, PairRef, ScheduleInfo, ScheduleScope, ScheduleWhen,
};
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  diptych schedule add --cron '0 2 * * *' --pair 00:00 00:02
  diptych schedule add --every 1h --rotation 00:00 00:02 00:03 00:04 --images 2
  diptych schedule add --at 2030-02-01T02:00:00Z --group payroll";

/// Schedules: images at their times, and secondaries that take turns.
#[derive(Debug, clap::Subcommand)]
#[command(after_help = help(EXAMPLES), arg_required_else_help = true)]
pub(crate) enum What {
    /// List schedules
    List,
    /// Add a schedule
    Add(AddArgs),
    /// Take a schedule back; images stay
    Remove {
        /// Its number
        id: u32,
    },
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    scope: ScopeArgs,

    /// How many complete images a tick must leave, where several take turns
    #[arg(long, value_name = "N", default_value_t = 1)]
    images: usize,

    #[command(flatten)]
    when: WhenArgs,

    #[command(flatten)]
    copying: CopyArgs,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ScopeArgs {
    /// A pair
    #[arg(long, num_args = 2, value_names = ["PRIMARY", "SECONDARY"])]
    pair: Option<Vec<String>>,

    /// A primary, and the secondaries that take turns
    #[arg(long, num_args = 3.., value_name = "VOLUME")]
    rotation: Option<Vec<String>>,

    /// A consistency group; several take turns
    #[arg(long, num_args = 1.., value_name = "GROUP")]
    group: Option<Vec<String>>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhenArgs {
    /// Once, as 2030-02-01T02:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,

    /// Again and again after so long, as 1h
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    every: Option<Duration>,

    /// By the calendar, in UTC: minute, hour, day, month, day of the week
    #[arg(long, value_name = "CRON")]
    cron: Option<String>,
}

impl AddArgs {
    fn wanted(&self) -> NewSchedule {
        let images = self.images;
        let ScopeArgs { pair, rotation, group } = &self.scope;
        let scope = match (pair.as_deref(), rotation.as_deref(), group.as_deref()) {
            (Some([primary, secondary]), ..) => ScheduleScope::Pair(PairRef {
                primary: primary.clone(),
                secondary: secondary.clone(),
            }),
            (_, Some([primary, secondaries @ ..]), _) => ScheduleScope::Rotation {
                primary: primary.clone(),
                secondaries: secondaries.to_vec(),
                images,
            },
            (.., Some([group])) => ScheduleScope::Group { group: group.clone() },
            (.., groups) => {
                ScheduleScope::Groups { groups: groups.unwrap_or_default().to_vec(), images }
            }
        };
        let WhenArgs { at, every, cron } = &self.when;
        let when = match (at, every, cron) {
            (Some(at), ..) => ScheduleWhen::At(at.clone()),
            (_, Some(every), _) => {
                ScheduleWhen::EverySeconds(every.as_secs().try_into().unwrap_or(u32::MAX))
            }
            (.., cron) => ScheduleWhen::Cron(cron.clone().unwrap_or_default()),
        };
        let options = self.copying.options();
        let options = (options != CopyOptions::default()).then_some(options);
        NewSchedule { scope, when, options }
    }
}

impl Act for What {
    fn act(&self, asked: &Asked) -> Result<(), CliError> {
        match self {
            What::List => asked.show("/v1/schedules", |schedules: &Vec<_>| list(schedules)),
            What::Add(args) => {
                let added: ScheduleInfo = asked.post("/v1/schedules", &args.wanted())?;
                asked.tell(&added, |added| {
                    let ScheduleInfo { id, when, scope_text, .. } = added;
                    format!("added schedule {id}, {when}: {scope_text}")
                })
            }
            What::Remove { id } => {
                asked.delete(&format!("/v1/schedules/{id}"), || format!("removed schedule {id}"))
            }
        }
    }
}

fn list(schedules: &[ScheduleInfo]) -> String {
    let row = |schedule: &ScheduleInfo| {
        let next = match schedule.running {
            true => "now".to_owned(),
            false => or_dash(schedule.next.as_deref()),
        };
        [
            schedule.id.to_string(),
            schedule.scope_text.clone(),
            schedule.when.clone(),
            next,
            or_dash(schedule.last.as_deref()),
        ]
    };
    table(["NUMBER ", "WHAT", "WHEN", "NEXT", "LAST"], schedules.iter().map(row))
}
