//! What hosts and commands did, and which contents were possible when.
//!
//! Everything that gives a track of a volume its content is an event: a host's write, a copy command
//! (the secondary is its primary at that instant), a restore, an exchange. Of each it is known when it
//! began and ended; it happened at some instant between. Content is followed back from event to event.

/// When something began and ended, in steps of the notes.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

/// What a volume holds by an event.
#[derive(Clone, Copy)]
pub(crate) enum Gives {
    /// What a host wrote.
    Value(u64),
    /// What this volume held at that instant.
    ContentOf(usize),
    /// Nobody knows.
    Anything,
}

/// Something that may have happened. It is told from others by when it began.
struct Event {
    gives: Gives,
    span: Span,
}

#[derive(Default)]
pub(crate) struct Notes {
    clock: u64,
    /// By volume and track.
    events: Vec<Vec<Vec<Event>>>,
}

impl Notes {
    /// All volumes read zero.
    pub(crate) fn new(volumes: usize, tracks: u64) -> Self {
        let zero = || Event { gives: Gives::Value(0), span: Span { began: 0, ended: 0 } };
        let volume = || (0..tracks).map(|_| vec![zero()]).collect();
        Self { clock: 0, events: (0..volumes).map(|_| volume()).collect() }
    }

    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// An event of one track begins. Noted before whatever it is about: others may see what it gives
    /// at once.
    pub(crate) fn begins(&mut self, volume: usize, track: usize, began: u64, gives: Gives) {
        let span = Span { began, ended: u64::MAX };
        self.events[volume][track].push(Event { gives, span });
    }

    /// As [`Notes::begins`], for all tracks of a volume.
    pub(crate) fn begins_everywhere(&mut self, volume: usize, began: u64, gives: Gives) {
        for track in 0..self.events[volume].len() {
            self.begins(volume, track, began, gives);
        }
    }

    /// What began then has ended now, or it was refused and has never happened.
    pub(crate) fn ends(&mut self, volume: usize, began: u64, happened: bool) {
        let now = self.tick();
        for events in &mut self.events[volume] {
            let Some(at) = events.iter().position(|event| event.span.began == began) else {
                continue;
            };
            if happened {
                events[at].span.ended = now;
            } else {
                events.remove(at);
            }
        }
    }

    /// Whether a track could hold `value` at some instant of `at`.
    pub(crate) fn possible(&self, volume: usize, track: usize, value: u64, at: Span) -> bool {
        self.leads_to(volume, track, value, at, &mut Vec::new())
    }

    /// `way`: the events on the way from here to where the value was found. Nothing passes through an
    /// event twice.
    fn leads_to(
        &self,
        volume: usize,
        track: usize,
        value: u64,
        at: Span,
        way: &mut Vec<u64>,
    ) -> bool {
        let events = &self.events[volume][track];
        // Another event came wholly between.
        let hidden = |event: &Event| {
            let between =
                |other: &Event| event.span.ended < other.span.began && other.span.ended < at.began;
            events.iter().any(between)
        };
        let mut seen = events.iter().filter(|event| event.span.began <= at.ended && !hidden(event));
        seen.any(|event| match event.gives {
            Gives::Value(written) => written == value,
            Gives::Anything => true,
            Gives::ContentOf(_) if way.contains(&event.span.began) => false,
            Gives::ContentOf(source) => {
                let Span { began, ended } = event.span;
                way.push(began);
                let at = Span { began, ended: ended.min(at.ended) };
                let found = self.leads_to(source, track, value, at, way);
                way.pop();
                found
            }
        })
    }
}
