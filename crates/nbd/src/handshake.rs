//! The handshake: from the first magic number to the volume that the client chose.

use crate::context::{CONTEXTS_MAX, Context};
use crate::export::{Export, description};
use crate::option::{self, Bad, ContextRequest, InfoRequest, OPTION_BYTES_MAX, Reply, reply};
use crate::request::PAYLOAD_BYTES_MAX;
use crate::{NbdError, NbdService};
use diptych_format::LdevId;
use diptych_rt::Rt;
use diptych_rt::net::{Connection, Part};

const INIT_MAGIC: u64 = 0x4e42_444d_4147_4943; // "NBDMAGIC"
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054; // "IHAVEOPT"

/// Fixed newstyle, and no zeroes behind the flags of an export.
const SERVER_FLAGS: u16 = 0b11;
const FLAG_NO_ZEROES: u32 = 0b10;

/// Options of a connection: a client needs a handful.
const OPTIONS_MAX: usize = 256;
/// An option that is too long is passed over, up to this length.
const PASSED_BYTES_MAX: u32 = 1 << 20;

/// What was agreed.
#[derive(Debug)]
pub(crate) struct Agreed {
    pub(crate) export: Export,
    pub(crate) structured: bool,
    pub(crate) extended: bool,
    /// The contexts of block status, each with its id.
    pub(crate) contexts: Vec<(u32, Context)>,
}

/// What becomes of the handshake after an option.
enum Next {
    Option,
    Transmission(Export),
    End,
}

/// Negotiates with the client; `None` if it went away or gave up.
pub(crate) fn negotiate(
    service: &NbdService,
    connection: &mut Connection,
) -> Result<Option<Agreed>, NbdError> {
    let mut hello = [0; 18];
    hello[..8].copy_from_slice(&INIT_MAGIC.to_be_bytes());
    hello[8..16].copy_from_slice(&OPTION_MAGIC.to_be_bytes());
    hello[16..].copy_from_slice(&SERVER_FLAGS.to_be_bytes());
    connection.send([Part::Copy(&hello)]);
    let Some(flags) = connection.header::<4>()? else { return Ok(None) };
    let flags = u32::from_be_bytes(flags);
    if flags & !u32::from(SERVER_FLAGS) != 0 {
        return Err(NbdError::Flags { flags });
    }
    let no_zeroes = flags & FLAG_NO_ZEROES != 0;
    let mut haggling = Haggling {
        service,
        rt: &service.rt,
        encrypted: false,
        connection,
        no_zeroes,
        structured: false,
        extended: false,
        contexts: None,
    };
    for _ in 0..OPTIONS_MAX {
        match haggling.option()? {
            Next::Option => haggling.connection.drain()?,
            Next::End => return Ok(None),
            Next::Transmission(export) => {
                let Haggling { structured, extended, contexts, .. } = haggling;
                // Chosen for another volume, they are not chosen.
                let contexts = contexts.filter(|(of, _)| *of == export.ldev);
                let contexts = contexts.map(|(_, contexts)| (0..).zip(contexts).collect());
                let contexts = contexts.unwrap_or_default();
                return Ok(Some(Agreed { export, structured, extended, contexts }));
            }
        }
    }
    Err(NbdError::TooManyOptions { most: OPTIONS_MAX })
}

struct Haggling<'a> {
    service: &'a NbdService,
    rt: &'a Rt,
    encrypted: bool,
    connection: &'a mut Connection,
    no_zeroes: bool,
    structured: bool,
    extended: bool,
    /// Chosen contexts, and the volume they were chosen for.
    contexts: Option<(LdevId, Vec<Context>)>,
}

impl Haggling<'_> {
    /// Reads an option and answers it.
    fn option(&mut self) -> Result<Next, NbdError> {
        let Some(header) = self.connection.header::<16>()? else { return Ok(Next::End) };
        let (magic, rest) = header.split_first_chunk::<8>().expect("16 bytes");
        let (option, length) = rest.split_first_chunk::<4>().expect("8 bytes");
        let found = u64::from_be_bytes(*magic);
        if found != OPTION_MAGIC {
            return Err(NbdError::Magic { found });
        }
        let option = u32::from_be_bytes(*option);
        let length = u32::from_be_bytes(*length.first_chunk().expect("4 bytes"));
        if length > OPTION_BYTES_MAX {
            return self.too_long(option, length);
        }
        let data = self.connection.payload(length as usize)?;
        if self.connection.is_stopping() && option != option::EXPORT_NAME {
            return Ok(self.answer(option, Reply::ErrShutdown, b"the control unit is stopping"));
        }
        if self.service.requires_tls() && !self.encrypted {
            match option {
                option::STARTTLS | option::ABORT => {}
                option::EXPORT_NAME => return Err(NbdError::NotEncrypted),
                _ => return Ok(self.answer(option, Reply::ErrTlsReqd, b"first STARTTLS")),
            }
        }
        match option {
            option::EXPORT_NAME => self.export_name(&data),
            option::ABORT => {
                reply(self.connection, option, Reply::Ack, &[]);
                Ok(Next::End)
            }
            option::LIST => Ok(self.list(&data)),
            option::INFO | option::GO => Ok(self.info(option, &data)),
            option::STRUCTURED_REPLY | option::EXTENDED_HEADERS if !data.is_empty() => {
                Ok(self.answer(option, Reply::ErrInvalid, b"this option has no data"))
            }
            option::STRUCTURED_REPLY => {
                self.structured = true;
                Ok(self.answer(option, Reply::Ack, &[]))
            }
            option::EXTENDED_HEADERS => {
                // They bring structured replies along.
                (self.extended, self.structured) = (true, true);
                Ok(self.answer(option, Reply::Ack, &[]))
            }
            option::LIST_META_CONTEXT | option::SET_META_CONTEXT => {
                Ok(self.contexts(option, &data))
            }
            option::STARTTLS => self.start_tls(&data),
            _ => Ok(self.answer(option, Reply::ErrUnsup, b"there is no such option")),
        }
    }

    fn answer(&self, option: u32, kind: Reply, data: &[u8]) -> Next {
        reply(self.connection, option, kind, data);
        Next::Option
    }

    /// Encrypts from here on, if this server does. What was agreed before does not hold any more.
    fn start_tls(&mut self, data: &[u8]) -> Result<Next, NbdError> {
        let option = option::STARTTLS;
        if !data.is_empty() || self.encrypted {
            return Ok(self.answer(option, Reply::ErrInvalid, b"no data, and only once"));
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.service.tls {
            reply(self.connection, option, Reply::Ack, &[]);
            self.connection.drain()?;
            self.connection.start_tls(&tls.config)?;
            (self.encrypted, self.structured, self.extended) = (true, false, false);
            self.contexts = None;
            return Ok(Next::Option);
        }
        Ok(self.answer(option, Reply::ErrUnsup, b"there is no TLS here"))
    }

    fn too_long(&mut self, option: u32, length: u32) -> Result<Next, NbdError> {
        // What has no answer cannot be refused.
        let most = if option == option::EXPORT_NAME { OPTION_BYTES_MAX } else { PASSED_BYTES_MAX };
        if length > most {
            return Err(NbdError::TooLong { bytes: length.into(), most: most.into() });
        }
        self.connection.skip(length.into())?;
        Ok(self.answer(option, Reply::ErrTooBig, b"options have at most 8 KiB here"))
    }

    fn export_name(&self, name: &[u8]) -> Result<Next, NbdError> {
        let export = Export::find(self.rt, name).ok_or(NbdError::NoExport)?;
        let mut answer = [0; 134];
        answer[..8].copy_from_slice(&export.bytes.to_be_bytes());
        answer[8..10].copy_from_slice(&export.flags(self.structured).to_be_bytes());
        let bytes = if self.no_zeroes { 10 } else { answer.len() };
        self.connection.send([Part::Copy(&answer[..bytes])]);
        Ok(Next::Transmission(export))
    }

    fn list(&self, data: &[u8]) -> Next {
        if !data.is_empty() {
            return self.answer(option::LIST, Reply::ErrInvalid, b"this option has no data");
        }
        for volume in self.rt.unit().volumes() {
            let name = volume.ldev.to_string();
            let length = u32::try_from(name.len()).expect("a volume's number is short");
            let description = description(self.rt, volume.ldev);
            let data = [&length.to_be_bytes(), name.as_bytes(), description.as_bytes()].concat();
            reply(self.connection, option::LIST, Reply::Server, &data);
        }
        self.answer(option::LIST, Reply::Ack, &[])
    }

    fn info(&self, option: u32, data: &[u8]) -> Next {
        let Ok(request) = InfoRequest::parse(data) else {
            return self.answer(option, Reply::ErrInvalid, b"lengths contradict each other");
        };
        let Some(export) = Export::find(self.rt, request.name) else {
            return self.answer(option, Reply::ErrUnknown, b"there is no such volume");
        };
        let send = |info: u16, data: &[u8]| {
            let data = [&info.to_be_bytes(), data].concat();
            reply(self.connection, option, Reply::Info, &data);
        };
        let flags = export.flags(self.structured).to_be_bytes();
        send(option::INFO_EXPORT, &[&export.bytes.to_be_bytes()[..], &flags].concat());
        if request.wants(option::INFO_NAME) {
            send(option::INFO_NAME, export.name().as_bytes());
        }
        if request.wants(option::INFO_DESCRIPTION) {
            send(option::INFO_DESCRIPTION, description(self.rt, export.ldev).as_bytes());
        }
        if request.wants(option::INFO_BLOCK_SIZE) {
            let sizes = [512, 4096, PAYLOAD_BYTES_MAX].map(u32::to_be_bytes);
            send(option::INFO_BLOCK_SIZE, &sizes.concat());
        }
        reply(self.connection, option, Reply::Ack, &[]);
        if option == option::GO { Next::Transmission(export) } else { Next::Option }
    }

    fn contexts(&mut self, option: u32, data: &[u8]) -> Next {
        let sets = option == option::SET_META_CONTEXT;
        if sets {
            // Also if this fails.
            self.contexts = None;
        }
        if !self.structured {
            let why = b"contexts need structured replies";
            return self.answer(option, Reply::ErrInvalid, why);
        }
        let request = match ContextRequest::parse(data) {
            Ok(request) => request,
            Err(Bad::Invalid) => {
                return self.answer(option, Reply::ErrInvalid, b"lengths contradict each other");
            }
            Err(Bad::TooMany) => {
                return self.answer(option, Reply::ErrTooBig, b"that many queries");
            }
        };
        let Some(export) = Export::find(self.rt, request.name) else {
            return self.answer(option, Reply::ErrUnknown, b"there is no such volume");
        };
        let found: Vec<Context> = if sets {
            let chosen = |query: &&[u8]| Context::chosen(self.rt, &export, query);
            request.queries.iter().filter_map(chosen).collect()
        } else if request.queries.is_empty() {
            Context::all(self.rt, &export)
        } else {
            let listed = |query: &&[u8]| Context::listed(self.rt, &export, query);
            request.queries.iter().flat_map(listed).collect()
        };
        let mut contexts = Vec::new();
        for context in found {
            if !contexts.contains(&context) {
                contexts.push(context);
            }
        }
        if sets && contexts.len() > CONTEXTS_MAX {
            return self.answer(option, Reply::ErrTooBig, b"at most 16 contexts");
        }
        for (id, context) in (0_u32..).zip(&contexts) {
            // A list has no ids.
            let id = if sets { id } else { 0 };
            let data = [&id.to_be_bytes()[..], context.to_string().as_bytes()].concat();
            reply(self.connection, option, Reply::MetaContext, &data);
        }
        if sets {
            self.contexts = Some((export.ldev, contexts));
        }
        self.answer(option, Reply::Ack, &[])
    }
}
