//! A client that blocks: one request at a time, each on a connection of its own.

use crate::api::Problem;
use crate::endpoint::Endpoint;
use crate::error::ClientError;
use crate::stream::{AnyBody, BrokenOff, Streamed};
use bytes::Bytes;
use diptych_sync::Arc;
use http_body_util::{BodyExt, Collected, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::ext::on_informational;
use hyper::header::{CONTENT_TYPE, EXPECT, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io::{self, Read, Write};
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Time to be connected.
const CONNECT: Duration = Duration::from_secs(10);
/// Bytes of an answer that is taken as a whole.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Bytes of a part of contents.
const PART_BYTES: usize = 1 << 20;

/// What is done with a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Look.
    Get,
    /// Do, or make.
    Post,
    /// Put in place of what is there.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

impl Method {
    fn http(self) -> hyper::Method {
        match self {
            Self::Get => hyper::Method::GET,
            Self::Post => hyper::Method::POST,
            Self::Put => hyper::Method::PUT,
            Self::Patch => hyper::Method::PATCH,
            Self::Delete => hyper::Method::DELETE,
        }
    }

    fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// A client of one unit.
pub struct Client {
    endpoint: Endpoint,
    runtime: Runtime,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

type Sender = http1::SendRequest<AnyBody>;

impl Client {
    /// A client of the unit that is asked here. Nobody is connected yet.
    ///
    /// # Errors
    ///
    /// If the system has nothing to wait with.
    pub fn new(endpoint: &Endpoint) -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self { endpoint: endpoint.clone(), runtime: runtime.map_err(ClientError::Local)? })
    }

    /// Where the unit is asked.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A request with a body of JSON, and its answer. Where the method has no body, none is sent.
    ///
    /// # Errors
    ///
    /// If nobody answers, the unit refuses, or what it says is not of that type.
    pub fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let answer = self.runtime.block_on(async {
            let mut request = self.request(method, path);
            let mut bytes = Vec::new();
            if method.has_body() {
                bytes = serde_json::to_vec(body).map_err(ClientError::Answer)?;
                request = request.header(CONTENT_TYPE, "application/json");
            }
            let body = Either::Left(Full::from(bytes));
            let request = request.body(body).map_err(ClientError::Request)?;
            let (mut sender, connection) = self.connect().await?;
            let answer = sender.send_request(request).await.map_err(ClientError::Http)?;
            let answer = whole(good(answer).await?).await;
            connection.abort();
            answer
        })?;
        serde_json::from_slice(&answer).map_err(ClientError::Answer)
    }

    /// The answer to a look, as text.
    ///
    /// # Errors
    ///
    /// If nobody answers, or the unit refuses.
    pub fn text(&self, path: &str) -> Result<String, ClientError> {
        let answer = self.runtime.block_on(async {
            let body = Either::Left(Full::default());
            let request = self.request(Method::Get, path).body(body);
            let (mut sender, connection) = self.connect().await?;
            let request = request.map_err(ClientError::Request)?;
            let answer = sender.send_request(request).await.map_err(ClientError::Http)?;
            let answer = whole(good(answer).await?).await;
            connection.abort();
            answer
        })?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Receives contents. `progress` is told how many bytes have come, and of how many.
    ///
    /// # Errors
    ///
    /// If nobody answers, the unit refuses, the contents end before their end, or they cannot be
    /// written here.
    pub fn export(
        &self,
        path: &str,
        to: &mut dyn Write,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<u64, ClientError> {
        self.runtime.block_on(async {
            let body = Either::Left(Full::default());
            let request = self.request(Method::Get, path).body(body);
            let (mut sender, connection) = self.connect().await?;
            let request = request.map_err(ClientError::Request)?;
            let answer = sender.send_request(request).await.map_err(ClientError::Http)?;
            let mut body = good(answer).await?.into_body();
            let mut bytes = 0;
            let all = hyper::body::Body::size_hint(&body).exact();
            let all = all.ok_or(ClientError::Short { bytes })?;
            progress(0, all);
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|_| ClientError::Short { bytes })?;
                let Ok(data) = frame.into_data() else { continue };
                to.write_all(&data).map_err(ClientError::Local)?;
                bytes += data.len() as u64;
                progress(bytes, all);
            }
            connection.abort();
            if bytes == all { Ok(bytes) } else { Err(ClientError::Short { bytes }) }
        })
    }

    /// Sends contents of so many bytes. `progress` is told how many bytes have gone, and of how many.
    ///
    /// # Errors
    ///
    /// If nobody answers, the unit refuses, or there are fewer bytes than said.
    pub fn import<T: DeserializeOwned>(
        &self,
        path: &str,
        from: &mut dyn Read,
        all: u64,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<T, ClientError> {
        let answer = self.runtime.block_on(async {
            let (parts, body) = Streamed::new(all);
            let request = self.request(Method::Put, path);
            let request = request
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(EXPECT, "100-continue");
            let mut request = request.body(Either::Right(body)).map_err(ClientError::Request)?;
            // A refusal comes before anything is sent: a server that ends the connection with parts of a
            // body on their way could take its answer with it.
            let wanted = Arc::new(Notify::new());
            let told = wanted.clone();
            on_informational(&mut request, move |_| told.notify_one());
            let (mut sender, connection) = self.connect().await?;
            let send = async {
                wanted.notified().await;
                let mut sent = 0;
                while sent < all {
                    let part = next_part(from, all - sent);
                    let broken = part.is_err();
                    let bytes = part.as_ref().map_or(0, Bytes::len) as u64;
                    let told = part.as_ref().map_err(|_| BrokenOff).cloned();
                    if parts.send(told).await.is_err() || broken {
                        // The unit has answered before the end, or there is no more to send.
                        return part.map(|_| ());
                    }
                    sent += bytes;
                    progress(sent, all);
                }
                Ok(())
            };
            let mut answered = pin!(sender.send_request(request));
            let answer = tokio::select! {
                answer = answered.as_mut() => answer,
                sent = send => {
                    sent.map_err(ClientError::Local)?;
                    answered.await
                }
            };
            let answer = whole(good(answer.map_err(ClientError::Http)?).await?).await;
            connection.abort();
            answer
        })?;
        serde_json::from_slice(&answer).map_err(ClientError::Answer)
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder().method(method.http()).uri(path).header(HOST, self.endpoint.host())
    }

    async fn connect(&self) -> Result<(Sender, JoinHandle<()>), ClientError> {
        let failed = |source| ClientError::Connect { endpoint: self.endpoint.clone(), source };
        let late = |_| failed(io::ErrorKind::TimedOut.into());
        match &self.endpoint {
            Endpoint::Http(host) => {
                let stream = timeout(CONNECT, TcpStream::connect(host)).await.map_err(late)?;
                let stream = stream.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                shake(stream).await
            }
            Endpoint::Unix(path) => {
                let stream = timeout(CONNECT, UnixStream::connect(path)).await.map_err(late)?;
                shake(stream.map_err(failed)?).await
            }
        }
    }
}

async fn shake(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(Sender, JoinHandle<()>), ClientError> {
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (sender, connection) = shaken.map_err(ClientError::Http)?;
    let connection = tokio::spawn(async move {
        // What breaks it, the request is told.
        let _ = connection.await;
    });
    Ok((sender, connection))
}

/// The next part of what is to be sent.
fn next_part(from: &mut dyn Read, left: u64) -> io::Result<Bytes> {
    let wanted = left.min(PART_BYTES as u64);
    let mut part = Vec::new();
    from.take(wanted).read_to_end(&mut part)?;
    if (part.len() as u64) < wanted {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(part.into())
}

/// The answer, unless it is a refusal.
async fn good(answer: Response<Incoming>) -> Result<Response<Incoming>, ClientError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let bytes = whole(answer).await?;
    let problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| Problem {
        code: "unknown".to_owned(),
        message: format!("{status}: {}", String::from_utf8_lossy(&bytes).trim()),
        what_to_do: None,
    });
    Err(ClientError::Refused { status: status.as_u16(), problem })
}

async fn whole(answer: Response<Incoming>) -> Result<Bytes, ClientError> {
    let limited = Limited::new(answer.into_body(), ANSWER_BYTES_MAX);
    let short = |_| ClientError::Short { bytes: 0 };
    limited.collect().await.map(Collected::to_bytes).map_err(short)
}
