//! The service: a login, then requests, and what is left of a session afterwards.

use crate::bhs::{Bhs, opcode};
use crate::error::{Fault, LoginRefused};
use crate::full_feature::Reader;
use crate::login::Login;
use crate::session::{Data, Digests, Outgoing, Session};
use crate::sessions::{Place, Sessions, Who};
use crate::task::{Context, Tasks};
use crate::text::TEXT_BYTES_MAX;
use crate::{IscsiError, IscsiSettings, TargetNames, receive};
use diptych_cha::scsi::{InitiatorPort, LoginError, NexusId, ScsiTarget};
use diptych_cha::{InitiatorName, TargetId};
use diptych_rt::Rt;
use diptych_rt::net::{Connection, Service};
use diptych_sync::Arc;
use std::time::Duration;
use tracing::info;

/// Requests of a login: an initiator needs a handful.
const LOGIN_REQUESTS_MAX: usize = 64;
/// Time that a session has to end when another takes its place.
const LINGERS: Duration = Duration::from_secs(8);

/// iSCSI for the logical units of a SCSI target.
#[derive(Debug)]
pub struct IscsiService {
    shared: Shared,
}

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) rt: Rt,
    pub(crate) target: Arc<ScsiTarget>,
    pub(crate) names: TargetNames,
    pub(crate) settings: IscsiSettings,
    pub(crate) sessions: Arc<Sessions>,
}

impl IscsiService {
    /// Serves the logical units of `target`, under these names, by the driver of their unit.
    pub fn new(
        rt: Rt,
        target: Arc<ScsiTarget>,
        names: TargetNames,
        settings: IscsiSettings,
    ) -> Self {
        let sessions = Arc::new(Sessions::default());
        Self { shared: Shared { rt, target, names, settings, sessions } }
    }
}

impl Service for IscsiService {
    type Error = IscsiError;

    const NAME: &'static str = "iscsi";

    fn serve(&self, connection: &mut Connection) -> Result<(), IscsiError> {
        let Some(begun) = self.shared.log_in(connection)? else { return Ok(()) };
        connection.established();
        self.shared.full_feature(connection, begun)
    }
}

/// A session that begins.
struct Begun {
    context: Arc<Context>,
    initiator: InitiatorName,
    connection_no: u16,
    /// Nothing in a discovery session.
    nexus: Option<(NexusId, TargetId)>,
    _place: Place,
}

impl Shared {
    /// Answers login requests until a session begins; `None` if the initiator went away.
    fn log_in(&self, connection: &mut Connection) -> Result<Option<Begun>, IscsiError> {
        let mut login = Login::new(&self.names, &self.settings);
        let mut session = None;
        for _ in 0..LOGIN_REQUESTS_MAX {
            let Some(header) = receive::header(connection, Digests::default())? else {
                return Ok(None);
            };
            if header.opcode() != opcode::LOGIN {
                let what = Fault::NoLogin;
                return Err(IscsiError::Protocol { opcode: header.opcode(), what });
            }
            let data = receive::data(connection, &header, Digests::default(), TEXT_BYTES_MAX)?;
            let session = session
                .get_or_insert_with(|| Session::new(header.command_no(), 1, Digests::default()));
            let mut answer = Bhs::new(opcode::LOGIN_RESPONSE, 0);
            answer.set(8, &header.array::<8>(8)).set_tag(header.tag());
            let step = login.take(&header, &data);
            let begun = match &step {
                Ok(step) if step.is_last => self.begin(&login, session, connection).map(Some),
                Ok(_) => Ok(None),
                Err(refused) => Err(*refused),
            };
            match (step, begun) {
                (Ok(step), Ok(begun)) => {
                    answer.0[1] = step.flags;
                    if let Some(begun) = &begun {
                        answer.set(14, &begun._place.tsih().to_be_bytes());
                    }
                    let data = Data::new(step.text.into(), Digests::default());
                    session.send(connection, Outgoing::new(answer).with_data(data));
                    if begun.is_some() {
                        return Ok(begun);
                    }
                }
                (_, Err(refused)) | (Err(refused), _) => {
                    answer.set(36, &refused.status());
                    session.send(connection, Outgoing::new(answer));
                    return Err(refused.into());
                }
            }
        }
        Err(LoginRefused::Nonsense.into())
    }

    /// The last request of a login: the session has its place, and the target knows of it.
    fn begin(
        &self,
        login: &Login<'_>,
        before: &Session,
        connection: &Connection,
    ) -> Result<Begun, LoginRefused> {
        let (Some(who), Some(initiator)) = (login.who(), login.initiator.clone()) else {
            return Err(LoginRefused::MissingParameter);
        };
        if who.tsih != 0 {
            let is_there = self.sessions.has(who.tsih, who.isid);
            return Err(if is_there {
                LoginRefused::TooManyConnections
            } else {
                LoginRefused::NoSession
            });
        }
        let port = InitiatorPort::new(initiator.clone(), who.isid);
        let owner = login.target.map(|target| Who { port: port.clone(), target });
        let place = self.sessions.enter(owner, connection.ender(), LINGERS)?;
        let nexus = match login.target {
            None => None,
            Some(target) => Some((self.target.login(port, target)?, target)),
        };
        let params = login.params.clone();
        let digests = Digests { header: params.header_digest, data: params.data_digest };
        let session = before.established(digests);
        let context = Context {
            rt: self.rt.clone(),
            target: self.target.clone(),
            session,
            params,
            tasks: Tasks::default(),
        };
        let (context, connection_no) = (Arc::new(context), who.connection_no);
        match login.target {
            Some(target) => connection.attached(target),
            None => connection.attached("discovery"),
        }
        info!(peer = connection.peer(), %initiator, target = ?login.target, "logged in");
        Ok(Begun { context, initiator, connection_no, nexus, _place: place })
    }

    fn full_feature(&self, connection: &mut Connection, begun: Begun) -> Result<(), IscsiError> {
        let Begun { context, initiator, connection_no, nexus, _place } = begun;
        let who = (initiator, connection_no);
        let _ending =
            Ending { shared: self, context: context.clone(), nexus: nexus.map(|of| of.0) };
        let served = Reader::new(self, connection, context, who, nexus).run();
        if served.is_ok() && connection.is_stopping() {
            // What came is answered.
            connection.drain()?;
        }
        served
    }
}

/// The end of a session, also after a panic: what is under way is aborted, and waited for, before another
/// may take its place.
struct Ending<'a> {
    shared: &'a Shared,
    context: Arc<Context>,
    nexus: Option<NexusId>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.context.tasks.abort(None, |_, _| true);
        if let Some(nexus) = self.nexus {
            self.shared.target.logout(nexus);
        }
        self.context.tasks.wait_for_none();
    }
}

impl From<LoginError> for LoginRefused {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::NoTarget { .. } => Self::NotFound,
            LoginError::NotAdmitted { .. } => Self::NotAdmitted,
            LoginError::TooMany { .. } => Self::TooManySessions,
            _ => Self::Nonsense,
        }
    }
}
