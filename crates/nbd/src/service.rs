//! The service: a handshake, then requests.

use crate::handshake::negotiate;
use crate::{NbdError, transmission};
use diptych_rt::Rt;
use diptych_rt::net::{Connection, Service};
use tracing::info;

/// NBD for all volumes of a control unit.
#[derive(Debug)]
pub struct NbdService {
    pub(crate) rt: Rt,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
}

/// How connections are encrypted.
#[cfg(feature = "tls")]
#[derive(Debug)]
pub(crate) struct Tls {
    pub(crate) config: diptych_rt::net::TlsConfig,
    /// Nothing is said to a client that does not encrypt.
    pub(crate) required: bool,
}

impl NbdService {
    /// Serves the volumes of this driver's unit.
    pub fn new(rt: Rt) -> Self {
        Self {
            rt,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// The same, with STARTTLS; if it is `required`, for nobody else.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(self, config: diptych_rt::net::TlsConfig, required: bool) -> Self {
        Self { tls: Some(Tls { config, required }), ..self }
    }

    /// Whether a client has to encrypt before anything else.
    pub(crate) fn requires_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.as_ref().is_some_and(|tls| tls.required);
        #[cfg(not(feature = "tls"))]
        false
    }
}

impl Service for NbdService {
    type Error = NbdError;

    const NAME: &'static str = "nbd";

    fn serve(&self, connection: &mut Connection) -> Result<(), NbdError> {
        let Some(agreed) = negotiate(self, connection)? else { return Ok(()) };
        connection.established();
        // As long as somebody may write it, it becomes no secondary.
        let writer = match agreed.export.read_only {
            true => None,
            false => Some(self.rt.unit().open_writer(agreed.export.ldev).map_err(NbdError::Gone)?),
        };
        let (ldev, read_only) = (agreed.export.ldev, agreed.export.read_only);
        connection.attached(ldev);
        info!(peer = connection.peer(), volume = %ldev, read_only, "attached");
        let served = transmission::serve(&self.rt, connection, &agreed);
        // What was received may write still.
        let drained = connection.drain();
        drop(writer);
        served.and(drained.map_err(NbdError::from))
    }
}
