//! Who may log in by CHAP: names and their secrets.
//!
//! Some are fixed, as the settings of a process have them; others are made and taken away while it runs.
//!
//! Invariants: a secret is long enough, and never shown; what is kept is within its limits; nobody has the
//! secret that the array proves itself by, or who knows the one would know the other (RFC 7143, 9.2.1).

use diptych_sync::RwLock;
use std::collections::BTreeMap;
use std::fmt;

/// A secret: 12 to 128 bytes. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The least bytes: 96 bits (RFC 7143, 12.1.3).
    pub const BYTES_MIN: usize = 12;
    /// The most bytes.
    pub const BYTES_MAX: usize = 128;

    /// A secret, if it is long enough and not too long.
    pub fn new(secret: impl Into<Vec<u8>>) -> Option<Self> {
        let secret = secret.into();
        (Self::BYTES_MIN..=Self::BYTES_MAX).contains(&secret.len()).then_some(Self(secret))
    }

    /// Its bytes, for a proof.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A name and its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub name: String,
    /// The secret.
    pub secret: Secret,
}

/// Why a user is not made or taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// It is no name of a user.
    #[error("a user's name is 1 to {most} letters, digits, dots, dashes, underscores and colons")]
    Name {
        /// The most characters.
        most: usize,
    },
    /// It is no secret.
    #[error("a secret has {least} to {most} bytes")]
    Secret {
        /// The least bytes.
        least: usize,
        /// The most bytes.
        most: usize,
    },
    /// The array proves itself by the same.
    #[error("this is the secret that the array proves itself by")]
    SameSecret,
    /// There is a user of this name.
    #[error("there is a user of this name already")]
    Exists,
    /// There is no user of this name.
    #[error("there is no user of this name")]
    Unknown,
    /// The user stands in the settings.
    #[error("this user stands in the settings, and is not changed while the unit runs")]
    Fixed,
    /// There are as many as there may be.
    #[error("there are {most} users, and no more fit")]
    TooMany {
        /// The most there can be.
        most: usize,
    },
    /// Without this one, everybody may log in.
    #[error("this is the last user: without one, everybody may log in without a proof")]
    Last,
}

type Made = BTreeMap<String, Secret>;

/// All users. Nobody means that everybody may log in, without a proof.
///
/// ```
/// use diptych_cha::{Secret, Users};
/// let users = Users::default();
/// let kept = users.with("host", Secret::new("at least twelve").unwrap()).unwrap();
/// assert!(users.is_empty(), "it is kept first");
/// users.restore(&kept);
/// assert!(users.secret_of("host").is_some());
/// ```
#[derive(Default)]
pub struct Users {
    fixed: Vec<Credentials>,
    own: Option<Secret>,
    made: RwLock<Made>,
}

impl Users {
    /// Users made while the unit runs, at most.
    pub const MADE_MAX: usize = 128;
    /// Characters of a name, at most: those of an iSCSI name.
    pub const NAME_CHARS_MAX: usize = 223;

    /// These, and none made yet; `own` is what the array proves itself by.
    pub fn fixed(fixed: Vec<Credentials>, own: Option<&Credentials>) -> Self {
        let own = own.map(|own| own.secret.clone());
        Self { fixed, own, made: RwLock::default() }
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.made.read().is_empty()
    }

    /// The secret of a user.
    pub fn secret_of(&self, name: &str) -> Option<Secret> {
        let fixed = self.fixed.iter().find(|user| user.name == name);
        fixed.map(|user| user.secret.clone()).or_else(|| self.made.read().get(name).cloned())
    }

    /// All names, those that are fixed first; and whether they are.
    pub fn list(&self) -> Vec<(String, bool)> {
        let fixed = self.fixed.iter().map(|user| (user.name.clone(), true));
        let made = self.made.read();
        fixed.chain(made.keys().map(|name| (name.clone(), false))).collect()
    }

    /// What is to be kept so that there is one more user, or one with another secret
    /// ([`restore`](Self::restore) makes it so).
    ///
    /// # Errors
    ///
    /// If there can be no such user.
    pub fn with(&self, name: &str, secret: Secret) -> Result<Vec<u8>, UserError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let most = Self::NAME_CHARS_MAX;
        let fits = (1..=most).contains(&name.len()) && name.chars().all(allowed);
        if !fits || matches!(name, "." | "..") {
            return Err(UserError::Name { most });
        }
        self.not_fixed(name)?;
        if self.own.as_ref() == Some(&secret) {
            return Err(UserError::SameSecret);
        }
        let mut made = self.made.read().clone();
        if made.len() >= Self::MADE_MAX && !made.contains_key(name) {
            return Err(UserError::TooMany { most: Self::MADE_MAX });
        }
        made.insert(name.to_owned(), secret);
        Ok(encoded(&made))
    }

    /// What is to be kept so that there is one user less. The last one goes only by force.
    ///
    /// # Errors
    ///
    /// If there is no such user, it is fixed, or it is the last one.
    pub fn without(&self, name: &str, force: bool) -> Result<Vec<u8>, UserError> {
        self.not_fixed(name)?;
        let mut made = self.made.read().clone();
        made.remove(name).ok_or(UserError::Unknown)?;
        if made.is_empty() && self.fixed.is_empty() && !force {
            return Err(UserError::Last);
        }
        Ok(encoded(&made))
    }

    fn not_fixed(&self, name: &str) -> Result<(), UserError> {
        let is_fixed = self.fixed.iter().any(|user| user.name == name);
        if is_fixed { Err(UserError::Fixed) } else { Ok(()) }
    }

    /// Takes up what was kept, in place of all that were made. `false`, and nothing changes, if it makes
    /// no sense.
    pub fn restore(&self, kept: &[u8]) -> bool {
        let Ok(made) = postcard::from_bytes::<BTreeMap<String, Vec<u8>>>(kept) else {
            return false;
        };
        let made = made.into_iter().map(|(name, secret)| Some((name, Secret::new(secret)?)));
        let Some(made) = made.collect::<Option<Made>>() else { return false };
        *self.made.write() = made;
        true
    }
}

impl From<Vec<Credentials>> for Users {
    fn from(fixed: Vec<Credentials>) -> Self {
        Self::fixed(fixed, None)
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list().into_iter().map(|(name, _)| name)).finish()
    }
}

fn encoded(made: &Made) -> Vec<u8> {
    let made: BTreeMap<&str, &[u8]> =
        made.iter().map(|(name, secret)| (name.as_str(), secret.expose())).collect();
    postcard::to_allocvec(&made).expect("names and bytes can be encoded")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text).expect("long enough")
    }

    fn user(name: &str, text: &str) -> Credentials {
        Credentials { name: name.to_owned(), secret: secret(text) }
    }

    #[test]
    fn secrets_are_long_enough_and_not_shown() {
        assert!(Secret::new("short").is_none() && Secret::new(vec![1; 129]).is_none());
        assert_eq!(format!("{:?}", Secret::new("secret secret")), "Some(Secret)");
    }

    #[test]
    fn users_come_and_go() {
        let own = user("array", "a third secret");
        let users = Users::fixed(vec![user("fixed", "secret secret")], Some(&own));
        let kept = users.with("iqn.2001-04.com.example:host", secret("another secret"));
        assert!(users.restore(&kept.expect("room")));
        let names = users.list();
        assert_eq!(names[1], ("iqn.2001-04.com.example:host".to_owned(), false));
        assert_eq!(users.secret_of("fixed"), Some(secret("secret secret")));
        assert_eq!(users.secret_of(&names[1].0), Some(secret("another secret")));
        assert_eq!(users.secret_of("nobody"), None);
        let check = |name: &str, text: &str, expected| {
            assert_eq!(users.with(name, secret(text)).err(), expected, "{name}");
        };
        check("fixed", "another secret", Some(UserError::Fixed));
        check("x", "a third secret", Some(UserError::SameSecret));
        for name in ["", "two words", "a/b", "..", &"x".repeat(224)] {
            check(name, "another secret", Some(UserError::Name { most: 223 }));
        }
        assert_eq!(users.without("nobody", true), Err(UserError::Unknown));
        assert_eq!(users.without("fixed", true), Err(UserError::Fixed));
        assert!(users.restore(&users.without(&names[1].0, false).expect("it is there")));
        assert_eq!(users.list().len(), 1);
        assert!(!users.restore(b"nonsense") && !users.is_empty());
    }

    #[test]
    fn the_last_one_goes_by_force() {
        let users = Users::default();
        assert!(users.restore(&users.with("a", secret("another secret")).expect("room")));
        assert_eq!(users.without("a", false), Err(UserError::Last));
        assert!(users.restore(&users.without("a", true).expect("by force")));
        assert!(users.is_empty());
    }

    #[test]
    fn users_are_limited_and_fit_what_is_kept() {
        let users = Users::default();
        let long = vec![b'x'; Secret::BYTES_MAX];
        for no in 0..Users::MADE_MAX {
            let name = format!("{no:0>223}");
            let kept = users.with(&name, Secret::new(long.clone()).expect("not too long"));
            let kept = kept.expect("room");
            assert!(kept.len() <= 64 << 10 && users.restore(&kept));
        }
        let full = UserError::TooMany { most: Users::MADE_MAX };
        assert_eq!(users.with("x", secret("another secret")).err(), Some(full));
    }
}
