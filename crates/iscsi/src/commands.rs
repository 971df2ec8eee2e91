//! SCSI commands and the data that comes apart from them (RFC 7143, 11.3, 11.7 and 11.8).

use crate::IscsiError;
use crate::bhs::{Bhs, FINAL, NO_TAG, opcode};
use crate::collect::{ASKED_BYTES_MAX, COMMAND_BYTES_MAX, Collecting, Then};
use crate::error::Fault;
use crate::full_feature::{REQUEST_BYTES, Reader, Reason, fault};
use crate::response::Command;
use crate::session::{Outgoing, Status};
use crate::task::{self, Context};
use bytes::Bytes;
use diptych_cha::scsi::{Asc, DataLength, ScsiReply, ScsiStatus, Sense, SenseKey, expected_data};

const READS: u8 = 0x40;
const WRITES: u8 = 0x20;

impl Reader<'_> {
    /// Takes a command up; the data that came with it is here.
    pub(crate) fn command(&mut self, header: &Bhs, data: Bytes) -> Result<(), IscsiError> {
        let tag = header.tag();
        if tag == NO_TAG {
            self.refuse(header, Reason::Field);
            return Ok(());
        }
        if self.collecting.contains_key(&tag) || self.context.tasks.has(tag) {
            self.refuse(header, Reason::InProgress);
            return Ok(());
        }
        let cdb: [u8; 16] = header.array(32);
        let command = Command {
            tag,
            lun: header.lun(),
            reads: header.flags() & READS != 0,
            writes: header.flags() & WRITES != 0,
            expected: header.word(20),
            length: expected_data(&cdb),
            is_immediate: header.is_immediate(),
        };
        let params = &self.context.params;
        let upto = params.unasked_bytes().min(command.expected);
        let may_come = command.writes && params.immediate_data && data.len() <= upto as usize;
        if !data.is_empty() && !may_come {
            return Err(fault(header, Fault::Unasked));
        }
        // All that the host has: some commands are refused if that is not what they take.
        let wanted = match command.length {
            DataLength::Out(bytes) if command.writes && bytes <= COMMAND_BYTES_MAX as u64 => {
                (command.expected as usize).min(COMMAND_BYTES_MAX)
            }
            _ => 0,
        };
        let comes = command.writes
            && !params.initial_r2t
            && !header.is_final()
            && data.len() < upto as usize;
        if !comes && data.len() >= wanted {
            return self.start_in_turn(command, cdb, data);
        }
        let collecting = Collecting::new(command, cdb, wanted, data, comes.then_some(upto));
        let then = collecting.first();
        self.collecting.insert(tag, collecting);
        self.go_on(tag, &then)
    }

    /// Data for a command. What comes for one that was aborted is ignored.
    pub(crate) fn data_out(&mut self, header: &Bhs, data: &Bytes) -> Result<(), IscsiError> {
        let tag = header.tag();
        let Some(collecting) = self.collecting.get_mut(&tag) else { return Ok(()) };
        let then = collecting.take(header, data).map_err(|what| fault(header, what))?;
        self.go_on(tag, &then)
    }

    fn go_on(&mut self, tag: u32, then: &Then) -> Result<(), IscsiError> {
        match then {
            Then::More => {}
            Then::Ask => {
                let has_room = self.collecting.get(&tag).is_some_and(|command| command.has_room);
                if has_room {
                    self.ask(tag);
                } else {
                    self.asking.push_back(tag);
                    self.ask_all()?;
                }
            }
            Then::Complete => {
                let Some(collecting) = self.collecting.get_mut(&tag) else { return Ok(()) };
                if collecting.has_room || self.connection.try_hold(collecting.keeps()) {
                    self.start_collected(tag)?;
                } else {
                    self.asking.push_back(tag);
                }
                self.ask_all()?;
            }
            Then::Spoilt => {
                let Some(collected) = self.forget(tag) else { return Ok(()) };
                self.refuse_data(collected.command)?;
                self.ask_all()?;
            }
        }
        Ok(())
    }

    /// Ends a command whose data did not come in its order: as a part of it was lost on the way, the
    /// command ends with PROTOCOL SERVICE CRC ERROR (RFC 7143, 7.8 and 7.9).
    fn refuse_data(&mut self, command: Command) -> Result<(), IscsiError> {
        let pending = self.connection.begin_held(REQUEST_BYTES, 0)?;
        let Context { session, params, .. } = &*self.context;
        let sense = Sense::new(SenseKey::AbortedCommand, Asc::new(0x47, 0x05));
        let (status, data_in) = (ScsiStatus::CheckCondition, Bytes::new());
        let reply = ScsiReply { status, sense: Some(sense), data_in };
        let pdus = command.answer(session, params, reply);
        if !command.is_immediate {
            session.give_back();
        }
        session.answer(pending, pdus);
        Ok(())
    }

    /// Takes a command from those whose data is not all there: nothing comes of it.
    pub(crate) fn forget(&mut self, tag: u32) -> Option<Collecting> {
        let collected = self.collecting.remove(&tag)?;
        if collected.has_room {
            self.asked_bytes -= collected.wanted();
            self.connection.give_back(collected.keeps());
        } else {
            self.asking.retain(|other| *other != tag);
        }
        Some(collected)
    }

    /// Whether data is to come on this connection that was asked for, or comes unasked: then it has to be
    /// read on, whatever else waits.
    fn is_data_coming(&self) -> bool {
        self.collecting.len() > self.asking.len()
    }

    /// Asks for data in turn, as long as there is room for it, and carries out commands that waited for
    /// room only. If no data is to come, room is waited for here: nothing more is read.
    pub(crate) fn ask_all(&mut self) -> Result<(), IscsiError> {
        while let Some(&tag) = self.asking.front() {
            let Some(collecting) = self.collecting.get(&tag) else {
                self.asking.pop_front();
                continue;
            };
            let (wanted, keeps) = (collecting.wanted(), collecting.keeps());
            let is_complete = collecting.first() == Then::Complete;
            let is_full = self.asked_bytes > 0 && self.asked_bytes + wanted > ASKED_BYTES_MAX;
            if is_full && !is_complete {
                return Ok(());
            }
            if !self.connection.try_hold(keeps) {
                if self.is_data_coming() {
                    return Ok(());
                }
                self.connection.hold(keeps)?;
            }
            self.asking.pop_front();
            if is_complete {
                self.start_collected(tag)?;
            } else if let Some(collecting) = self.collecting.get_mut(&tag) {
                collecting.has_room = true;
                self.asked_bytes += wanted;
                self.ask(tag);
            }
        }
        Ok(())
    }

    /// Sends R2T (RFC 7143, 11.8).
    fn ask(&mut self, tag: u32) {
        let target_tag = self.target_tag();
        let burst = self.context.params.burst_bytes;
        let Some(collecting) = self.collecting.get_mut(&tag) else { return };
        let r2t = collecting.ask(target_tag, burst);
        let mut header = Bhs::new(opcode::READY_TO_TRANSFER, FINAL);
        header.set(8, &collecting.command.lun).set_tag(tag).set_word(20, r2t.tag);
        header.set_word(36, r2t.r2t_no).set_word(40, r2t.offset).set_word(44, r2t.bytes);
        self.send(Outgoing::new(header).with_status(Status::Next));
    }

    /// Carries a command out whose data is here, when there is room for what it keeps.
    fn start_in_turn(
        &mut self,
        command: Command,
        cdb: [u8; 16],
        data: Bytes,
    ) -> Result<(), IscsiError> {
        let keeps = data.len() + command.answer_bytes();
        if !self.connection.try_hold(keeps) {
            if self.is_data_coming() {
                let (tag, wanted) = (command.tag, data.len());
                self.collecting.insert(tag, Collecting::new(command, cdb, wanted, data, None));
                self.asking.push_back(tag);
                return Ok(());
            }
            self.connection.hold(keeps)?;
        }
        self.start(command, &cdb, data, keeps)
    }

    /// Carries a command out whose data has come; what it keeps is held.
    fn start_collected(&mut self, tag: u32) -> Result<(), IscsiError> {
        let Some(collected) = self.collecting.remove(&tag) else { return Ok(()) };
        if collected.has_room {
            self.asked_bytes -= collected.wanted();
        }
        let (command, cdb, keeps) = (collected.command, collected.cdb, collected.keeps());
        self.start(command, &cdb, collected.finish(), keeps)
    }

    /// Carries a command out: all its data is here, and what it keeps is held.
    fn start(
        &mut self,
        command: Command,
        cdb: &[u8],
        data: Bytes,
        keeps: usize,
    ) -> Result<(), IscsiError> {
        let pending = self.connection.begin_held(keeps, keeps)?;
        let Some(nexus) = self.nexus else { return Ok(()) };
        let task = self.context.target.task(nexus, command.lun, cdb, data);
        if task.is_nobodys() {
            return Err(IscsiError::LoggedOut);
        }
        task::run(self.context.clone(), command, task, pending);
        Ok(())
    }
}
