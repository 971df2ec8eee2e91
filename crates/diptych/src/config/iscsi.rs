//! The section `[iscsi]`: where, by which portals, and who may log in.

use super::ConfigError;
use diptych::iscsi::{Credentials, IscsiSettings, Portal, Secret, Users};
use diptych::sync::Arc;
use serde::Deserialize;
use std::path::Path;

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Iscsi {
    pub(super) listen: Vec<String>,
    portals: Vec<String>,
    users: Vec<User>,
    own: Option<User>,
}

impl Default for Iscsi {
    fn default() -> Self {
        let listen = vec!["127.0.0.1:3260".to_owned()];
        Self { listen, portals: Vec::new(), users: Vec::new(), own: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    secret: String,
}

impl User {
    fn checked(self, path: &Path) -> Result<Credentials, ConfigError> {
        let Self { name, secret } = self;
        match Secret::new(secret) {
            Some(secret) => Ok(Credentials { name, secret }),
            None => Err(ConfigError::Secret { path: path.to_owned(), name }),
        }
    }
}

impl Iscsi {
    pub(super) fn settings(self, path: &Path) -> Result<IscsiSettings, ConfigError> {
        let portal = |text: &String| {
            let error = || ConfigError::Portal { path: path.to_owned(), text: text.clone() };
            Portal::new(text).ok_or_else(error)
        };
        let users: Result<Vec<_>, _> =
            self.users.into_iter().map(|user| user.checked(path)).collect();
        let (users, own) = (users?, self.own.map(|own| own.checked(path)).transpose()?);
        // Who knows the one would know the other (RFC 7143, 9.2.1).
        let same = |own: &&Credentials| users.iter().any(|user| user.secret == own.secret);
        if let Some(own) = own.as_ref().filter(same) {
            return Err(ConfigError::SameSecret { path: path.to_owned(), name: own.name.clone() });
        }
        Ok(IscsiSettings {
            portals: self.portals.iter().map(portal).collect::<Result<_, _>>()?,
            users: Arc::new(Users::fixed(users, own.as_ref())),
            own,
            ..IscsiSettings::default()
        })
    }
}
