//! Where to listen, and how those who wait for it are told.

use super::ServeError;
use crate::config::Config;
use diptych::rt::net::{Address, AddressError};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Addresses in place of those of the file.
#[derive(Debug, clap::Args)]
pub(crate) struct AddressArgs {
    /// Serve NBD here instead of where diptych.toml says: IP:PORT or unix:PATH; again for more
    #[arg(long, value_name = "ADDRESS")]
    nbd: Vec<Address>,

    /// Serve HTTP here instead of where diptych.toml says, and on control.sock in the unit directory as
    /// always: IP:PORT or unix:PATH; again for more
    #[arg(long, value_name = "ADDRESS")]
    http: Vec<Address>,

    /// Serve iSCSI here instead of where diptych.toml says: IP:PORT; again for more
    #[arg(long, value_name = "ADDRESS", value_parser = tcp)]
    iscsi: Vec<Address>,

    /// Take any free ports instead of those that diptych.toml says
    #[arg(long)]
    free_ports: bool,

    /// Write the addresses into this file as soon as all of them are served, one a line
    #[arg(long, value_name = "FILE")]
    pub(super) ready_file: Option<PathBuf>,
}

impl AddressArgs {
    /// Where to serve NBD.
    pub(super) fn nbd(&self, config: &Config) -> Vec<Address> {
        self.chosen(&self.nbd, &config.nbd)
    }

    /// Where to serve HTTP, beside the socket in the unit directory.
    pub(super) fn http(&self, config: &Config) -> Vec<Address> {
        self.chosen(&self.http, &config.http)
    }

    /// Where to serve iSCSI.
    pub(super) fn iscsi(&self, config: &Config) -> Vec<Address> {
        self.chosen(&self.iscsi, &config.iscsi)
    }

    fn chosen(&self, asked: &[Address], usual: &[Address]) -> Vec<Address> {
        if !asked.is_empty() {
            return asked.to_vec();
        }
        let mut addresses = usual.to_vec();
        for address in &mut addresses {
            if let (Address::Tcp(socket), true) = (address, self.free_ports) {
                socket.set_port(0);
            }
        }
        addresses
    }
}

fn tcp(text: &str) -> Result<Address, String> {
    match text.parse() {
        Ok(Address::Unix(_)) => Err("iSCSI is served by TCP only".to_owned()),
        other => other.map_err(|error: AddressError| error.to_string()),
    }
}

/// What to attach to.
#[derive(Debug, Default)]
pub(super) struct Ready(Vec<String>);

impl Ready {
    pub(super) fn extend(&mut self, addresses: impl IntoIterator<Item = String>) {
        self.0.extend(addresses);
    }

    /// Says so on stdout, and in the file, which has all of it from the moment it is there.
    pub(super) fn say(&self, file: Option<&Path>) -> Result<(), ServeError> {
        let text: String = self.0.iter().map(|address| format!("{address}\n")).collect();
        let mut out = io::stdout().lock();
        let said = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"ready\n"));
        said.and_then(|()| out.flush()).map_err(ServeError::Report)?;
        let Some(path) = file else { return Ok(()) };
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
        written.map_err(|source| ServeError::ReadyFile { path: path.to_owned(), source })
    }
}
