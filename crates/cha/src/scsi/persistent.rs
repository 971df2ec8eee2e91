//! PERSISTENT RESERVE IN and OUT (SPC-5, 6.16, 6.17): the bytes around [`Registrations`].

use super::cdb::{Cdb, at};
use super::nexus::{InitiatorPort, Registrant};
use super::registrations::{Kind, REGISTRATIONS_MAX, Registrations, Tell};
use super::reply::Refused;
use super::sense::{Asc, Sense};
use crate::TargetId;

const REGISTER: u8 = 0;
const REGISTER_AND_IGNORE: u8 = 6;
const REGISTER_AND_MOVE: u8 = 7;

/// What a PERSISTENT RESERVE OUT command comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    /// Whom to tell, and of what.
    pub(crate) tell: Tell,
    /// Whose commands to abort.
    pub(crate) abort: Vec<Registrant>,
}

/// PERSISTENT RESERVE IN.
pub(crate) fn report(action: u8, of: &Registrations) -> Vec<u8> {
    let list = match action {
        0 => of.all.iter().flat_map(|each| each.key.to_be_bytes()).collect(),
        1 => reservation(of),
        2 => return capabilities(of),
        _ => of.all.iter().flat_map(|each| full_status(of, &each.who, each.key)).collect(),
    };
    [&of.generation.to_be_bytes()[..], &(list.len() as u32).to_be_bytes(), &list].concat()
}

fn reservation(of: &Registrations) -> Vec<u8> {
    let Some(reservation) = &of.reservation else { return Vec::new() };
    let key = reservation.holder.as_ref().and_then(|holder| of.key_of(holder)).unwrap_or(0);
    let mut bytes = vec![0; 16];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    bytes[13] = reservation.kind as u8;
    bytes
}

/// CRH, SIP_C, ATP_C and PTPL_C; all types; TEST UNIT READY is let through.
fn capabilities(of: &Registrations) -> Vec<u8> {
    vec![0, 8, 0x1D, 0x90 | u8::from(of.outlives_power), 0xEA, 0x01, 0, 0]
}

fn full_status(of: &Registrations, who: &Registrant, key: u64) -> Vec<u8> {
    let mut bytes = vec![0; 24];
    bytes[..8].copy_from_slice(&key.to_be_bytes());
    if let Some(reservation) = of.reservation.as_ref().filter(|_| of.is_holder(who)) {
        bytes[12] = 0x01;
        bytes[13] = reservation.kind as u8;
    }
    bytes[18..20].copy_from_slice(&who.target.relative_port().to_be_bytes());
    let transport_id = who.initiator.transport_id();
    bytes[20..24].copy_from_slice(&(transport_id.len() as u32).to_be_bytes());
    bytes.extend(transport_id);
    bytes
}

/// PERSISTENT RESERVE OUT by `who`; `targets` are all there are.
pub(crate) fn change(
    of: &mut Registrations,
    cdb: &Cdb,
    list: &[u8],
    who: &Registrant,
    targets: &[TargetId],
) -> Result<Changed, Refused> {
    let action = cdb.action();
    if list.len() < 24 {
        return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into());
    }
    let (key, new_key) = (at::<8>(list, 0), at::<8>(list, 8));
    let outlives_power = if action == REGISTER_AND_MOVE { list[17] } else { list[20] } & 1 != 0;
    let registers = matches!(action, REGISTER | REGISTER_AND_IGNORE | REGISTER_AND_MOVE);
    let tell = match action {
        REGISTER | REGISTER_AND_IGNORE => register(of, action, list, who, targets)?,
        REGISTER_AND_MOVE => {
            hand_over(of, list, who, targets)?;
            Tell::new()
        }
        _ => {
            let specific = list[20] & 0x0C;
            if list.len() != 24 || specific != 0 {
                return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into());
            }
            of.with_key(who, key)?;
            let kind = kind(cdb);
            match action {
                1 => of.reserve(who, kind?)?,
                2 => of.release(who, kind?)?,
                3 => of.clear(who),
                _ => {
                    let (tell, lost) = of.preempt(who, new_key, kind.ok())?;
                    let abort = if action == 5 { lost } else { Vec::new() };
                    return Ok(Changed { tell, abort });
                }
            }
        }
    };
    if registers {
        of.outlives_power = outlives_power;
    }
    Ok(Changed { tell, abort: Vec::new() })
}

/// SCOPE and TYPE: only whole logical units can be reserved.
fn kind(cdb: &Cdb) -> Result<Kind, Refused> {
    let byte = cdb.byte(2);
    let kind = Kind::from_number(byte & 0x0F).filter(|_| byte >> 4 == 0);
    kind.ok_or(Sense::in_cdb(2).into())
}

fn register(
    of: &mut Registrations,
    action: u8,
    list: &[u8],
    who: &Registrant,
    targets: &[TargetId],
) -> Result<Tell, Refused> {
    let (key, new_key) = (at::<8>(list, 0), at::<8>(list, 8));
    let [names_ports, all_targets] = [0x08, 0x04].map(|mask| list[20] & mask != 0);
    let registered = of.key_of(who);
    if action == REGISTER && registered.unwrap_or(0) != key {
        return Err(Refused::CONFLICT);
    }
    if !names_ports && list.len() != 24 {
        return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into());
    }
    let mut ports = vec![who.initiator.clone()];
    if names_ports {
        if action == REGISTER_AND_IGNORE || registered.is_some() {
            return Err(Sense::in_list(20).into());
        }
        ports.extend(named_ports(list)?);
    }
    let at_targets = if all_targets { targets } else { &[who.target][..] };
    if ports.len() * at_targets.len() > REGISTRATIONS_MAX {
        return Err(Sense::illegal(Asc::INSUFFICIENT_REGISTRATIONS).into());
    }
    let mut others = Vec::new();
    for initiator in &ports {
        for &target in at_targets {
            let each = Registrant { initiator: initiator.clone(), target };
            if each != *who && !others.contains(&each) {
                others.push(each);
            }
        }
    }
    if new_key == 0 {
        let mut tell = of.register(who, 0, &[])?;
        for each in others.iter().filter(|_| all_targets) {
            tell.extend(of.register(each, 0, &[])?);
        }
        return Ok(tell);
    }
    of.register(who, new_key, &others)
}

/// The initiator ports that SPEC_I_PT names.
fn named_ports(list: &[u8]) -> Result<Vec<InitiatorPort>, Refused> {
    let len = at::<4>(list, 24) as usize;
    let mut rest = match list.get(28..) {
        Some(rest) if rest.len() == len => rest,
        _ => return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into()),
    };
    let mut ports = Vec::new();
    while !rest.is_empty() {
        let at = (list.len() - rest.len()).min(usize::from(u16::MAX)) as u16;
        let Some((port, taken)) = InitiatorPort::from_transport_id(rest) else {
            return Err(Sense::in_list(at).into());
        };
        if ports.len() >= REGISTRATIONS_MAX {
            return Err(Sense::illegal(Asc::INSUFFICIENT_REGISTRATIONS).into());
        }
        ports.push(port);
        rest = &rest[taken..];
    }
    Ok(ports)
}

fn hand_over(
    of: &mut Registrations,
    list: &[u8],
    who: &Registrant,
    targets: &[TargetId],
) -> Result<(), Refused> {
    let (key, new_key) = (at::<8>(list, 0), at::<8>(list, 8));
    of.with_key(who, key)?;
    if new_key == 0 {
        return Err(Sense::in_list(8).into());
    }
    let len = at::<4>(list, 20) as usize;
    if list.len() != 24 + len {
        return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into());
    }
    let port = at::<2>(list, 18) as u16;
    let target = targets.iter().copied().find(|target| target.relative_port() == port);
    let target = target.ok_or(Refused::from(Sense::in_list(18)))?;
    let Some((initiator, _)) = InitiatorPort::from_transport_id(&list[24..]) else {
        return Err(Sense::in_list(24).into());
    };
    let to = Registrant { initiator, target };
    if to == *who {
        return Err(Sense::in_list(24).into());
    }
    of.hand_over(who, &to, new_key, list[17] & 0x02 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PortId;
    use crate::scsi::attention::Attention;

    fn targets() -> [TargetId; 2] {
        let port = PortId::new(1, 0).expect("a port");
        [TargetId::new(port, 0), TargetId::new(port, 1)]
    }

    fn host(no: u8) -> Registrant {
        let name = format!("iqn.host-{no}").parse().expect("a name");
        Registrant { initiator: InitiatorPort::new(name, [no; 6]), target: targets()[0] }
    }

    fn out(action: u8, kind: u8) -> Cdb {
        Cdb::new(&[0x5F, action, kind, 0, 0, 0, 0, 0, 24, 0])
    }

    fn list(key: u64, new_key: u64, flags: u8) -> Vec<u8> {
        let mut list = [key.to_be_bytes(), new_key.to_be_bytes(), [0; 8]].concat();
        list[20] = flags;
        list
    }

    #[test]
    fn a_life_of_registrations() {
        let mut of = Registrations::default();
        let mut run = |action, kind, no, key, new_key| {
            let cdb = out(action, kind);
            let done = change(&mut of, &cdb, &list(key, new_key, 0), &host(no), &targets());
            done.map(|changed| changed.tell.len()).map_err(|refused| match refused {
                Refused::Check(sense) => (sense.asc.code, sense.asc.qualifier),
                Refused::Status(status) => (0xFF, status as u8),
            })
        };
        let conflict = Err((0xFF, 0x18));
        assert_eq!(run(0, 0, 1, 5, 7), conflict);
        assert_eq!(run(0, 0, 1, 0, 7), Ok(0));
        assert_eq!(run(0, 0, 1, 8, 9), conflict);
        assert_eq!(run(6, 0, 2, 0, 8), Ok(0));
        assert_eq!(run(1, 2, 1, 7, 0), Err((0x24, 0)));
        assert_eq!(run(1, 0x11, 1, 7, 0), Err((0x24, 0)));
        assert_eq!(run(1, 5, 1, 7, 0), Ok(0));
        assert_eq!(run(1, 5, 1, 7, 0), Ok(0));
        assert_eq!(run(1, 5, 2, 8, 0), conflict);
        assert_eq!(run(2, 1, 1, 7, 0), Err((0x26, 4)));
        assert_eq!(run(2, 5, 2, 8, 0), Ok(0));
        assert_eq!(run(2, 5, 1, 7, 0), Ok(1));
        assert_eq!(run(1, 8, 2, 8, 0), Ok(0));
        assert_eq!(run(5, 3, 1, 7, 0), Ok(1));
        assert_eq!(run(3, 0, 1, 7, 0), Ok(0));
        assert_eq!((of.all.len(), of.reservation.is_none(), of.generation), (0, true, 4));
    }

    #[test]
    fn what_is_reported() {
        let mut of = Registrations::default();
        for no in [1, 2] {
            let key = list(0, u64::from(no), 1);
            change(&mut of, &out(6, 0), &key, &host(no), &targets()).expect("room");
        }
        change(&mut of, &out(1, 3), &list(1, 0, 0), &host(1), &targets()).expect("free");
        let shown = |action| -> String {
            report(action, &of).iter().map(|byte| format!("{byte:02X}")).collect()
        };
        insta::assert_snapshot!(shown(0), @r"000000020000001000000000000000010000000000000002");
        insta::assert_snapshot!(shown(1), @r"000000020000001000000000000000010000000000030000");
        insta::assert_snapshot!(shown(2), @r"00081D91EA010000");
        insta::assert_snapshot!(shown(3), @r"00000002000000700000000000000001000000000103000000000001000000204500001C69716E2E686F73742D312C692C3078303130313031303130313031000000000000000002000000000000000000000001000000204500001C69716E2E686F73742D322C692C307830323032303230323032303200");
    }

    #[test]
    fn ports_by_name_and_all_targets() {
        let mut of = Registrations::default();
        let id = host(2).initiator.transport_id();
        let mut named = list(0, 7, 0x0C);
        named.extend((id.len() as u32).to_be_bytes());
        named.extend(&id);
        change(&mut of, &out(0, 0), &named, &host(1), &targets()).expect("room");
        assert_eq!(of.all.len(), 4);
        assert_eq!(of.key_of(&Registrant { target: targets()[1], ..host(2) }), Some(7));
        // Not when it is registered already; and nothing past what is there is read.
        let again = change(&mut of, &out(0, 0), &list(7, 7, 0x08), &host(1), &targets());
        assert_eq!(again, Err(Sense::in_list(20).into()));
        let cut = change(&mut of, &out(0, 0), &named[..30], &host(3), &targets());
        assert_eq!(cut, Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into()));
        // All of its own, at once.
        change(&mut of, &out(0, 0), &list(7, 0, 0x04), &host(1), &targets()).expect("registered");
        assert_eq!(of.all.len(), 2);
    }

    #[test]
    fn a_reservation_moves() {
        let mut of = Registrations::default();
        change(&mut of, &out(0, 0), &list(0, 7, 0), &host(1), &targets()).expect("room");
        change(&mut of, &out(1, 1), &list(7, 0, 0), &host(1), &targets()).expect("free");
        let id = host(2).initiator.transport_id();
        let mut moved = [7_u64.to_be_bytes(), 9_u64.to_be_bytes()].concat();
        moved.extend([0, 0x02]);
        moved.extend(targets()[0].relative_port().to_be_bytes());
        moved.extend((id.len() as u32).to_be_bytes());
        moved.extend(&id);
        change(&mut of, &out(7, 0), &moved, &host(1), &targets()).expect("it holds it");
        assert_eq!((of.key_of(&host(1)), of.key_of(&host(2))), (None, Some(9)));
        assert!(of.is_holder(&host(2)));
    }

    #[test]
    fn whom_clearing_tells() {
        let mut of = Registrations::default();
        for no in [1, 2] {
            let key = list(0, u64::from(no), 0);
            change(&mut of, &out(6, 0), &key, &host(no), &targets()).expect("room");
        }
        let cleared = change(&mut of, &out(3, 0), &list(1, 0, 0), &host(1), &targets());
        let tell = vec![(host(2), Attention::ReservationsPreempted)];
        assert_eq!(cleared, Ok(Changed { tell, abort: Vec::new() }));
    }
}
