//! The service: a handshake, then requests.

use crate::handshake::negotiate;
use crate::{NbdError, transmission};
use diptych_rt::Rt;
use diptych_rt::net::{Connection, Service};
use tracing::info;

/// NBD for all volumes of a control unit.
#[derive(Debug)]
pub struct NbdService {
    rt: Rt,
}

impl NbdService {
    /// Serves the volumes of this driver's unit.
    pub fn new(rt: Rt) -> Self {
        Self { rt }
    }
}

impl Service for NbdService {
    type Error = NbdError;

    const NAME: &'static str = "nbd";

    fn serve(&self, connection: &mut Connection) -> Result<(), NbdError> {
        let Some(agreed) = negotiate(&self.rt, connection)? else { return Ok(()) };
        connection.established();
        // As long as somebody may write it, it becomes no secondary.
        let writer = match agreed.export.read_only {
            true => None,
            false => Some(self.rt.unit().open_writer(agreed.export.ldev).map_err(NbdError::Gone)?),
        };
        let (ldev, read_only) = (agreed.export.ldev, agreed.export.read_only);
        info!(peer = connection.peer(), volume = %ldev, read_only, "attached");
        let served = transmission::serve(&self.rt, connection, &agreed);
        // What was received may write still.
        let drained = connection.drain();
        drop(writer);
        served.and(drained.map_err(NbdError::from))
    }
}
