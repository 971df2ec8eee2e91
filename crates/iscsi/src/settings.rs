//! What a service is started with.

use crate::{Credentials, Portal, Users};
use diptych_sync::Arc;
use std::time::Duration;

/// Settings of an [`IscsiService`](crate::IscsiService).
#[derive(Debug, Clone)]
pub struct IscsiSettings {
    /// The portals that discovery tells of; none: the one that the host came by.
    pub portals: Vec<Portal>,
    /// Who may log in, by CHAP; nobody named means everybody, without a proof. They may change while the
    /// service serves.
    pub users: Arc<Users>,
    /// What the target proves itself by to initiators that ask it to (mutual CHAP).
    pub own: Option<Credentials>,
    /// A session on which nothing comes for so long is pinged; one that does not answer for as long ends.
    pub ping: Duration,
}

impl Default for IscsiSettings {
    /// The portal that the host came by, everybody, no proof, a ping after 30 seconds.
    fn default() -> Self {
        let (portals, users) = (Vec::new(), Arc::default());
        Self { portals, users, own: None, ping: Duration::from_secs(30) }
    }
}
