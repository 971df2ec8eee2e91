//! TLS over a socket, by rustls.
//!
//! Invariants:
//! - Plain bytes that were taken for sending are sent, or reported again as not sent: what is left of
//!   their records goes out before anything else.
//! - One thread receives, and only it takes `incoming`. The session is locked for no longer than it
//!   takes to encrypt or decrypt.

use diptych_sync::{Arc, Mutex};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use std::fmt;
use std::io::{self, BufRead, IoSlice, Write};
use std::path::{Path, PathBuf};

/// Received at once: a few records.
const INCOMING_BYTES: usize = 64 << 10;
/// Encrypted at once.
const OUTGOING_BYTES: usize = 64 << 10;

/// Why certificates and keys cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file is no PEM, or has nothing of what is wanted.
    #[error("{}: {source}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: pem::Error,
    },
    /// They do not fit each other, or are not understood.
    #[error("certificate and key cannot be used: {0}")]
    Certificate(#[source] rustls::Error),
    /// The authority of the clients is none.
    #[error("clients cannot be verified by {}: {source}", path.display())]
    ClientAuthority {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls::server::VerifierBuilderError,
    },
}

/// What a server shows, and what it wants to be shown.
#[derive(Clone)]
pub struct TlsConfig(Arc<ServerConfig>);

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConfig")
    }
}

impl TlsConfig {
    /// A server with this chain of certificates and this key, both PEM; with `client_authority`, clients
    /// have to show a certificate that it has signed.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or what is in it cannot be used.
    pub fn load(
        certificates: &Path,
        key: &Path,
        client_authority: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let chain = certificates_of(certificates)?;
        let key_of_file = PrivateKeyDer::from_pem_file(key);
        let key = key_of_file.map_err(|source| TlsError::Pem { path: key.to_owned(), source })?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider.clone());
        let config = config.with_safe_default_protocol_versions().map_err(TlsError::Certificate)?;
        let config = match client_authority {
            None => config.with_no_client_auth(),
            Some(path) => config.with_client_cert_verifier(verifier(path, provider)?),
        };
        let config = config.with_single_cert(chain, key).map_err(TlsError::Certificate)?;
        Ok(Self(Arc::new(config)))
    }
}

fn certificates_of(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    certificates.map_err(|source| TlsError::Pem { path: path.to_owned(), source })
}

fn verifier(
    path: &Path,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates_of(path)? {
        roots.add(certificate).map_err(TlsError::Certificate)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|source| TlsError::ClientAuthority { path: path.to_owned(), source })
}

/// A session over a socket. The socket's own receive and send are handed in.
pub(super) struct Tls {
    session: Mutex<ServerConnection>,
    incoming: Mutex<Incoming>,
    outgoing: Mutex<Outgoing>,
}

/// Records that came and were not taken yet.
struct Incoming {
    bytes: Vec<u8>,
    taken: usize,
}

/// Records that are to be sent.
#[derive(Default)]
struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    /// Plain bytes in them that were not reported as sent yet.
    plain: usize,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    pub(super) fn new(config: &TlsConfig) -> io::Result<Self> {
        let session = ServerConnection::new(config.0.clone()).map_err(io::Error::other)?;
        let incoming = Incoming { bytes: Vec::with_capacity(INCOMING_BYTES), taken: 0 };
        let (session, incoming) = (Mutex::new(session), Mutex::new(incoming));
        Ok(Self { session, incoming, outgoing: Mutex::new(Outgoing::default()) })
    }

    /// Plain bytes, at most as many as `into` has room for; `Interrupted` if records came and nothing
    /// plain was in them.
    pub(super) fn receive(
        &self,
        into: &mut Vec<u8>,
        receive: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
        send: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut incoming = self.incoming.lock();
        if let Some(bytes) = self.plain(into)? {
            return Ok(bytes);
        }
        let Incoming { bytes, taken } = &mut *incoming;
        if *taken == bytes.len() {
            bytes.clear();
            *taken = 0;
            if receive(bytes)? == 0 {
                return Ok(0);
            }
        }
        let mut session = self.session.lock();
        *taken += session.read_tls(&mut &bytes[*taken..])?;
        let processed = session.process_new_packets();
        let answers = session.wants_write();
        drop(session);
        if answers {
            self.send_records(send)?;
        }
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        match self.plain(into)? {
            Some(bytes) => Ok(bytes),
            None => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    /// Plain bytes that are there already; `None` if there are none yet.
    fn plain(&self, into: &mut Vec<u8>) -> io::Result<Option<usize>> {
        let mut session = self.session.lock();
        let mut reader = session.reader();
        match reader.fill_buf() {
            Ok(plain) => {
                let bytes = plain.len().min(into.capacity() - into.len());
                into.extend_from_slice(&plain[..bytes]);
                reader.consume(bytes);
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            // The peer has gone without a word of farewell.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// Sends plain bytes: those of the parts' beginning, again and again until it reports them as sent.
    pub(super) fn send(
        &self,
        parts: &[IoSlice<'_>],
        send: impl FnMut(&[u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.plain == 0 {
            let mut session = self.session.lock();
            for part in parts {
                let most = part.len().min(OUTGOING_BYTES - outgoing.plain);
                let bytes = session.writer().write(&part[..most])?;
                outgoing.plain += bytes;
                if bytes < part.len() {
                    break;
                }
            }
            take_records(&mut session, &mut outgoing)?;
        }
        outgoing.flush(send)?;
        Ok(std::mem::take(&mut outgoing.plain))
    }

    /// Sends what the session itself has to say.
    fn send_records(&self, send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        let mut outgoing = self.outgoing.lock();
        take_records(&mut self.session.lock(), &mut outgoing)?;
        outgoing.flush(send)
    }

    /// Says farewell.
    pub(super) fn finish(&self, send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        self.session.lock().send_close_notify();
        self.send_records(send)
    }
}

fn take_records(session: &mut ServerConnection, outgoing: &mut Outgoing) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(&mut outgoing.bytes)?;
    }
    Ok(())
}

impl Outgoing {
    fn flush(&mut self, mut send: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while self.sent < self.bytes.len() {
            match send(&self.bytes[self.sent..])? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                bytes => self.sent += bytes,
            }
        }
        self.bytes.clear();
        self.sent = 0;
        Ok(())
    }
}
