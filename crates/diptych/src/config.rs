//! `diptych.toml`: what `diptych serve` must know before it starts.
//!
//! Volumes, pairs and all else that a unit has are in its log, and are changed while it runs. What is
//! here is read once, at the start. Without the file all is as usual.

mod iscsi;

use crate::offline::TRACK_BYTES;
use crate::size::parse_size;
use diptych::iscsi::{IscsiSettings, Secret};
use diptych::rt::net::{Address, AddressError, NetLimits, TlsConfig, TlsError};
use diptych::unit::{Durability, UnitConfig};
use serde::{Deserialize, Deserializer, de};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file's name in a unit directory.
pub(crate) const FILE: &str = "diptych.toml";
/// The file as it is made: everything in it is as usual.
pub(crate) const TEXT: &str = include_str!("config.toml");

/// The least cache: a request of 32 MiB, and what copies need beside it.
const CACHE_MIN_BYTES: u64 = 48 << 20;

/// Waiting awake for longer than that is only a waste.
const POLL_MAX_MICROSECONDS: u64 = 10_000;

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ConfigError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {source}", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{}: {section}.listen: {source}", path.display())]
    Address { path: PathBuf, section: &'static str, source: AddressError },
    #[error("{}: nbd.tls: {source}", path.display())]
    Tls { path: PathBuf, source: TlsError },
    #[error("{}: cache.size is {bytes} bytes, it has to be at least {least_bytes}", path.display())]
    CacheTooSmall { path: PathBuf, bytes: u64, least_bytes: u64 },
    #[error(
        "{}: limits.poll-microseconds is {microseconds}, it has to be at most {POLL_MAX_MICROSECONDS}",
        path.display()
    )]
    PollTooLong { path: PathBuf, microseconds: u64 },
    #[error("{}: limits.{setting} may not be 0", path.display())]
    Zero { path: PathBuf, setting: &'static str },
    #[error("{}: iscsi.listen: {address} is no TCP address", path.display())]
    NotTcp { path: PathBuf, address: Address },
    #[error("{}: iscsi.portals: {text:?} is no portal: say 192.0.2.1:3260 or array.example:3260", path.display())]
    Portal { path: PathBuf, text: String },
    #[error(
        "{}: the secret of {name:?} has to have {} to {} bytes",
        path.display(), Secret::BYTES_MIN, Secret::BYTES_MAX
    )]
    Secret { path: PathBuf, name: String },
    #[error("{}: the secret of iscsi.own is that of a user as well", path.display())]
    SameSecret { path: PathBuf, name: String },
}

/// The file, with what is usual where it says nothing.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    nbd: Nbd,
    http: Http,
    iscsi: iscsi::Iscsi,
    cache: Cache,
    log: Log,
    limits: Limits,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Nbd {
    listen: Vec<String>,
    tls: Option<Tls>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    client_authority: Option<PathBuf>,
    #[serde(default)]
    required: bool,
}

impl Default for Nbd {
    fn default() -> Self {
        Self { listen: vec!["127.0.0.1:10809".to_owned()], tls: None }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Http {
    listen: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Cache {
    #[serde(deserialize_with = "size")]
    size: u64,
    destage_seconds: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self { size: 256 << 20, destage_seconds: 5 }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Log {
    durability: Promise,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Promise {
    #[default]
    WriteBack,
    Battery,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Limits {
    connections: usize,
    negotiation_seconds: u64,
    stalled_seconds: u64,
    idle_seconds: u64,
    requests: usize,
    #[serde(deserialize_with = "size")]
    bytes: u64,
    #[serde(deserialize_with = "size")]
    all_bytes: u64,
    poll_microseconds: u64,
    drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let usual = NetLimits::default();
        Self {
            connections: usual.connections,
            negotiation_seconds: usual.negotiation.as_secs(),
            stalled_seconds: usual.stalled.as_secs(),
            idle_seconds: usual.idle.map_or(0, |idle| idle.as_secs()),
            requests: usual.requests,
            bytes: usual.bytes as u64,
            all_bytes: 256 << 20,
            poll_microseconds: usual.poll.as_micros() as u64,
            drain_seconds: usual.drain.as_secs(),
        }
    }
}

/// A size in words or bytes.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Size {
        Bytes(u64),
        Text(String),
    }
    match Size::deserialize(deserializer)? {
        Size::Bytes(bytes) => Ok(bytes),
        Size::Text(text) => parse_size(&text).map_err(de::Error::custom),
    }
}

/// What a server is started with.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where NBD is served.
    pub(crate) nbd: Vec<Address>,
    /// How NBD is encrypted, and whether it has to be.
    pub(crate) nbd_tls: Option<(TlsConfig, bool)>,
    /// Where HTTP is served, beside the socket in the unit directory.
    pub(crate) http: Vec<Address>,
    /// Where iSCSI is served.
    pub(crate) iscsi: Vec<Address>,
    /// How iSCSI is served.
    pub(crate) iscsi_settings: IscsiSettings,
    /// Limits of connections, for each protocol.
    pub(crate) limits: NetLimits,
    /// Bytes that all connections of all protocols may keep for requests under way.
    pub(crate) all_bytes: usize,
    cache_bytes: u64,
    destage_delay_ns: u64,
    durability: Durability,
}

impl Config {
    /// What the file in this unit directory says.
    pub(crate) fn load(dir: &Path) -> Result<Self, ConfigError> {
        let path = dir.join(FILE);
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_text(&text, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::from_text("", &path),
            Err(source) => Err(ConfigError::Read { path, source }),
        }
    }

    fn from_text(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let path = || path.to_owned();
        let file: File = toml::from_str(text)
            .map_err(|source| ConfigError::Toml { path: path(), source: Box::new(source) })?;
        let addresses = |section, texts: &[String]| {
            let address = |text: &String| {
                let parsed = text.parse().map(|address| within(&path(), address));
                parsed.map_err(|source| ConfigError::Address { path: path(), section, source })
            };
            texts.iter().map(address).collect::<Result<Vec<_>, _>>()
        };
        let (bytes, least_bytes) = (file.cache.size, CACHE_MIN_BYTES);
        if bytes < least_bytes {
            return Err(ConfigError::CacheTooSmall { path: path(), bytes, least_bytes });
        }
        let iscsi = addresses("iscsi", &file.iscsi.listen)?;
        if let Some(address) = iscsi.iter().find(|at| matches!(at, Address::Unix(_))).cloned() {
            return Err(ConfigError::NotTcp { path: path(), address });
        }
        Ok(Self {
            nbd: addresses("nbd", &file.nbd.listen)?,
            nbd_tls: file.nbd.tls.map(|tls| tls.load(&path())).transpose()?,
            http: addresses("http", &file.http.listen)?,
            iscsi,
            iscsi_settings: file.iscsi.settings(&path())?,
            limits: file.limits.checked(&path())?,
            all_bytes: usize::try_from(file.limits.all_bytes).unwrap_or(usize::MAX),
            cache_bytes: bytes,
            destage_delay_ns: file.cache.destage_seconds.saturating_mul(1_000_000_000),
            durability: match file.log.durability {
                Promise::WriteBack => Durability::WriteBack,
                Promise::Battery => Durability::Battery,
            },
        })
    }

    /// Settings of the unit.
    pub(crate) fn unit(&self) -> UnitConfig {
        let slots = usize::try_from(self.cache_bytes / TRACK_BYTES as u64).unwrap_or(usize::MAX);
        UnitConfig {
            durability: self.durability,
            destage_delay_ns: self.destage_delay_ns,
            ..UnitConfig::with_cache(slots, TRACK_BYTES)
        }
    }
}

/// A socket's path is one in the directory of this file.
fn within(file: &Path, address: Address) -> Address {
    match (address, file.parent()) {
        (Address::Unix(path), Some(dir)) => Address::Unix(dir.join(path)),
        (address, _) => address,
    }
}

impl Tls {
    /// Paths are of the directory of this file.
    fn load(&self, file: &Path) -> Result<(TlsConfig, bool), ConfigError> {
        let within = |path: &PathBuf| file.parent().unwrap_or(Path::new("")).join(path);
        let authority = self.client_authority.as_ref().map(within);
        TlsConfig::load(&within(&self.certificate), &within(&self.key), authority.as_deref())
            .map(|config| (config, self.required))
            .map_err(|source| ConfigError::Tls { path: file.to_owned(), source })
    }
}

impl Limits {
    fn checked(&self, path: &Path) -> Result<NetLimits, ConfigError> {
        let at_least_one = [
            ("connections", self.connections as u64),
            ("negotiation-seconds", self.negotiation_seconds),
            ("stalled-seconds", self.stalled_seconds),
            ("requests", self.requests as u64),
            ("bytes", self.bytes),
            ("all-bytes", self.all_bytes),
        ];
        if let Some((setting, _)) = at_least_one.into_iter().find(|(_, value)| *value == 0) {
            return Err(ConfigError::Zero { path: path.to_owned(), setting });
        }
        if self.poll_microseconds > POLL_MAX_MICROSECONDS {
            let (path, microseconds) = (path.to_owned(), self.poll_microseconds);
            return Err(ConfigError::PollTooLong { path, microseconds });
        }
        Ok(NetLimits {
            connections: self.connections,
            negotiation: Duration::from_secs(self.negotiation_seconds),
            stalled: Duration::from_secs(self.stalled_seconds),
            idle: (self.idle_seconds > 0).then(|| Duration::from_secs(self.idle_seconds)),
            requests: self.requests,
            bytes: usize::try_from(self.bytes).unwrap_or(usize::MAX),
            poll: Duration::from_micros(self.poll_microseconds),
            drain: Duration::from_secs(self.drain_seconds),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, ConfigError> {
        Config::from_text(text, Path::new("array/diptych.toml"))
    }

    /// The text with every setting that is commented out in force.
    fn in_force() -> String {
        let setting = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line != "#";
        let line = |line: &str| match setting(line) {
            true => line[1..].to_owned(),
            false => line.to_owned(),
        };
        TEXT.lines().map(|text| line(text) + "\n").collect()
    }

    #[test]
    fn the_file_as_it_is_made_says_what_is_usual() {
        let [usual, made, in_force] =
            ["", TEXT, &in_force()].map(|text| format!("{:?}", config(text).expect(text)));
        assert_eq!(made, usual);
        assert_eq!(in_force, usual);
        assert!(self::in_force().contains("\nlisten = [\"127.0.0.1:10809\"]"));
    }

    #[test]
    fn what_it_says_holds() {
        let text = "[nbd]\nlisten = [\"unix:nbd.sock\", \"[::1]:0\"]\n[cache]\nsize = \"1GiB\"\n\
                    destage-seconds = 2\n[log]\ndurability = \"battery\"\n\
                    [limits]\nidle-seconds = 60\nbytes = 4096\npoll-microseconds = 0\n";
        let config = config(text).expect("sound");
        let addresses: Vec<_> = config.nbd.iter().map(Address::to_string).collect();
        assert_eq!(addresses, ["unix:array/nbd.sock", "[::1]:0"]);
        let unit = config.unit();
        assert_eq!((unit.cache.capacity_slots, unit.durability), (16_384, Durability::Battery));
        assert_eq!(config.limits.idle, Some(Duration::from_secs(60)));
        assert_eq!((config.limits.bytes, config.limits.poll), (4096, Duration::ZERO));
        assert_eq!(unit.destage_delay_ns, 2_000_000_000);
    }

    #[test]
    fn who_may_log_in() {
        let text = "[iscsi]\nlisten = [\"[::1]:0\"]\nportals = [\"array.example:3260\"]\n\
                    users = [{ name = \"a\", secret = \"secret secret\" }]\n\
                    own = { name = \"b\", secret = \"another secret\" }\n";
        let config = config(text).expect("sound");
        let settings = &config.iscsi_settings;
        assert_eq!(settings.users.list(), [("a".to_owned(), true)]);
        assert_eq!(settings.own.as_ref().map(|own| own.name.as_str()), Some("b"));
        assert_eq!((config.iscsi.len(), settings.portals.len()), (1, 1));
        assert!(!format!("{config:?}").contains("secret secret"));
    }

    #[test]
    fn mistakes_are_named() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            let found = config(text).expect_err(text).to_string();
            assert!(found.starts_with("array/diptych.toml: "), "{found}");
            assert!(found.contains(expected), "{found}");
        }
        check("[nbd]\nlisten = [\"localhost\"]", "nbd.listen: \"localhost\" is no address");
        check("[nbd]\nport = 3", "unknown field `port`, expected `listen`");
        check("[http]\nlisten = [\"8080\"]", "http.listen: \"8080\" is no address");
        check("[ndb]\n", "unknown field `ndb`");
        check("[iscsi]\nlisten = [\"unix:x\"]", "iscsi.listen: unix:array/x is no TCP address");
        check("[iscsi]\nportals = [\"x\"]", "iscsi.portals: \"x\" is no portal");
        let user =
            |section, secret| format!("[[iscsi.{section}]]\nname = \"a\"\nsecret = \"{secret}\"\n");
        check(&user("users", "short"), "the secret of \"a\" has to have 12 to 128 bytes");
        let own = user("own", "secret secret").replace("[[", "[").replace("]]", "]");
        let same = user("users", "secret secret") + &own;
        check(&same, "the secret of iscsi.own is that of a user as well");
        check("[cache]\nsize = \"1MB\"", "a size is a number of bytes");
        check("[cache]\nsize = \"1MiB\"", "cache.size is 1048576 bytes");
        check("[log]\ndurability = \"none\"", "unknown variant `none`");
        check("[limits]\nconnections = 0", "limits.connections may not be 0");
        check("[limits]\nconnections = -1", "invalid value");
        let long = "limits.poll-microseconds is 10001, it has to be at most 10000";
        check("[limits]\npoll-microseconds = 10001", long);
        check("[limits]\nall-bytes = 0", "limits.all-bytes may not be 0");
    }
}
