//! The bodies of requests and answers, as JSON has them.
//!
//! A volume is named by its number, `00:1A`, or by the name it was given. Keys are added and never
//! change their meaning; what does not apply is `null` or left out.

mod group;
mod host_group;
mod lu;
mod pair;
mod problem;
mod schedule;
mod status;
mod user;
mod volume;

pub use group::{GroupAnswer, GroupInfo, GroupMember};
pub use host_group::{Admit, ChangeHostGroup, HostGroupInfo, NewHostGroup};
pub use lu::{LuInfo, NewLu};
pub use pair::{CommandAnswer, CopyOptions, NewPair, PairCommand, PairInfo, PairRef};
pub use problem::Problem;
pub use schedule::{NewSchedule, ScheduleInfo, ScheduleScope, ScheduleWhen};
pub use status::{CacheStatus, Health, LogStatus, StatusInfo};
pub use user::{ChangeUser, NewUser, UserInfo};
pub use volume::{ChangeVolume, NewVolume, Transferred, VolumeInfo};

use serde::{Deserialize, Serialize};

/// Something that may cost hosts or data something: whether it is wanted all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Force {
    /// Also if hosts use the volume.
    pub force: bool,
}

/// An answer with nothing in it but that it is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {}
