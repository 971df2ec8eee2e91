//! Text requests (RFC 7143, 11.10, 11.11, appendix C): discovery, and lengths that change.
//!
//! Answers longer than a text may be go in parts: the initiator asks for the next with the tag it was
//! given. Invariant: what is kept between two requests is one text, in or out.

use crate::IscsiError;
use crate::bhs::{Bhs, FINAL, NO_TAG, opcode};
use crate::full_feature::{REQUEST_BYTES, Reader, Reason, fault};
use crate::login::CONTINUES;
use crate::names::{PORTAL_GROUP, Portal};
use crate::session::Outgoing;
use crate::text::{TEXT_BYTES_MAX, TextIn, TextOut, pairs};
use bytes::Bytes;
use diptych_cha::TargetId;

/// The text exchange of a session; there is one at a time.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    coming: TextIn,
    /// What is to be asked for with this tag.
    rest: Option<(u32, Bytes)>,
    /// The tag of a text that is to go on.
    goes_on: Option<u32>,
}

impl Reader<'_> {
    pub(crate) fn text(&mut self, header: &Bhs, data: &[u8]) -> Result<(), IscsiError> {
        let (is_final, continues) = (header.is_final(), header.flags() & CONTINUES != 0);
        let target_tag = header.target_tag();
        if header.tag() == NO_TAG || (is_final && continues) {
            self.refuse(header, Reason::Field);
            return Ok(());
        }
        let is_reset = target_tag == NO_TAG;
        let is_next = self.texts.goes_on == Some(target_tag);
        if is_reset {
            self.texts = Texts::default();
        } else if let Some((_, rest)) = self.texts.rest.take_if(|(tag, _)| *tag == target_tag) {
            return self.text_answer(header, rest);
        } else if !is_next {
            self.refuse(header, Reason::Field);
            return Ok(());
        }
        self.texts.coming.take(data).map_err(|error| fault(header, error))?;
        if continues {
            let tag = self.target_tag();
            self.texts.goes_on = Some(tag);
            return self.text_part(header, Bytes::new(), 0, tag);
        }
        self.texts.goes_on = None;
        let text = self.texts.coming.finish();
        let mut out = TextOut::default();
        for (key, value) in pairs(&text).map_err(|error| fault(header, error))? {
            match key {
                "SendTargets" => self.send_targets(value, &mut out),
                // Declared anew; what is under way has the length before.
                "MaxRecvDataSegmentLength" => {}
                _ if key.starts_with("X-") || key.starts_with("x-") => {
                    out.push(key, "NotUnderstood");
                }
                // What belongs to a login only.
                _ => out.push(key, "Reject"),
            }
        }
        self.text_answer(header, out.finish().into())
    }

    /// Sends an answer, or the first part of it.
    fn text_answer(&mut self, header: &Bhs, mut text: Bytes) -> Result<(), IscsiError> {
        let most = TEXT_BYTES_MAX.min(self.context.params.segment_bytes as usize);
        if text.len() <= most {
            let flags = if header.is_final() { FINAL } else { 0 };
            let tag = if header.is_final() { NO_TAG } else { self.target_tag() };
            self.texts.goes_on = (!header.is_final()).then_some(tag);
            return self.text_part(header, text, flags, tag);
        }
        let part = text.split_to(most);
        let tag = self.target_tag();
        self.texts.rest = Some((tag, text));
        self.text_part(header, part, CONTINUES, tag)
    }

    fn text_part(
        &mut self,
        header: &Bhs,
        part: Bytes,
        flags: u8,
        target_tag: u32,
    ) -> Result<(), IscsiError> {
        let pending = self.connection.begin_held(part.len() + REQUEST_BYTES, 0)?;
        let mut answer = Bhs::new(opcode::TEXT_RESPONSE, flags);
        answer.set(8, &header.lun()).set_tag(header.tag()).set_word(20, target_tag);
        self.give_back(header);
        let session = &self.context.session;
        session.answer(pending, [Outgoing::new(answer).with_data(session.data(part))]);
        Ok(())
    }

    /// SendTargets: all targets that admit the initiator, in a discovery session; or one of them.
    fn send_targets(&self, which: &str, out: &mut TextOut) {
        let admitted = self.context.target.targets_for(&self.initiator);
        let named = match (which, self.target) {
            ("All", None) => admitted,
            ("All", Some(_)) => return out.push("SendTargets", "Reject"),
            // The target of this session; a discovery session has none.
            ("", target) => target.into_iter().collect(),
            (name, _) => {
                let found = self.names().find(name).filter(|found| admitted.contains(found));
                found.into_iter().collect()
            }
        };
        for target in named {
            self.tell(target, out);
        }
    }

    fn tell(&self, target: TargetId, out: &mut TextOut) {
        out.push("TargetName", &self.names().of(target));
        let mut portals = self.shared.settings.portals.clone();
        if portals.is_empty() {
            portals.extend(Portal::of(self.connection.local()));
        }
        for portal in portals {
            out.push("TargetAddress", &format!("{portal},{PORTAL_GROUP}"));
        }
    }
}
