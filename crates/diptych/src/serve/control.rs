//! HTTP beside what hosts use: on a socket in the unit directory, and where the operator says.

use diptych::rest::{RestError, RestLimits, RestServer, Scsi, Served, Servers};
use diptych::rt::net::Address;
use diptych::rt::{Rt, UnitDir};
use std::path::{Path, absolute};
use tracing::warn;

/// The socket's name in a unit directory.
pub(crate) const SOCKET: &str = "control.sock";

/// The longest path of a socket, in bytes.
const PATH_BYTES_MAX: usize = 107;

/// Listens on the socket and on these addresses.
pub(super) fn listen(
    addresses: Vec<Address>,
    dir: &UnitDir,
    rt: &Rt,
    scsi: Option<Scsi>,
    servers: Servers,
) -> Result<RestServer, RestError> {
    for address in addresses.iter().filter(|address| !address.is_local()) {
        warn!(%address, "HTTP has no passwords: whoever reaches this address has the unit");
    }
    let socket = socket(dir.path());
    let control = match socket.as_os_str().len() <= PATH_BYTES_MAX {
        true => Some(Address::Unix(socket)),
        false => {
            warn!(
                path = %socket.display(),
                "the system has no sockets of so long a path: give an address with --http"
            );
            None
        }
    };
    let addresses: Vec<Address> = control.into_iter().chain(addresses).collect();
    let served = Served { rt: rt.clone(), id: dir.shape().id, scsi, servers };
    RestServer::listen(&addresses, RestLimits::default(), served)
}

/// Where the socket of a unit directory is, whatever the working directory.
pub(crate) fn socket(dir: &Path) -> std::path::PathBuf {
    absolute(dir).unwrap_or_else(|_| dir.to_owned()).join(SOCKET)
}
