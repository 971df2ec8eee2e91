//! The text format, version 0.0.4: families of samples.
//!
//! Invariants: the samples of a family stand together, behind its HELP and TYPE; labels are escaped.

use std::fmt::{Display, Write};

/// What a family of samples is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The text as it grows.
#[derive(Default)]
pub(super) struct Text(pub(super) String);

/// Labels of a sample, in their order.
pub(super) type Labels<'a> = &'a [(&'a str, &'a dyn Display)];

impl Text {
    /// Begins a family.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {word}\n"));
        Family { text: self, name }
    }

    /// A family of one sample.
    pub(super) fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // A string takes whatever it is given.
        let _ = self.0.write_fmt(text);
    }
}

pub(super) struct Family<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Family<'_> {
    /// One sample of it.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.put("", labels, value);
    }

    /// All samples of a histogram of times: how many took at most as long as each bound, and longer than
    /// the one before; the last have no bound.
    pub(super) fn histogram(
        &mut self,
        label: (&str, &dyn Display),
        bounds_ns: &[u64],
        took: &[u64],
        time_ns: u64,
    ) {
        let mut all = 0;
        for (no, count) in took.iter().enumerate() {
            all += count;
            let bound = bounds_ns.get(no).map_or_else(|| "+Inf".to_owned(), |ns| seconds(*ns));
            self.put("_bucket", &[label, ("le", &bound)], all);
        }
        self.put("_sum", &[label], seconds(time_ns));
        self.put("_count", &[label], all);
    }

    fn put(&mut self, suffix: &str, labels: Labels<'_>, value: impl Display) {
        let label = |(name, value): &(&str, &dyn Display)| {
            let value = value.to_string().replace('\\', "\\\\").replace('"', "\\\"");
            format!("{name}=\"{}\"", value.replace('\n', "\\n"))
        };
        let labels: Vec<String> = labels.iter().map(label).collect();
        let name = self.name;
        if labels.is_empty() {
            self.text.put(format_args!("{name}{suffix} {value}\n"));
        } else {
            let labels = labels.join(",");
            self.text.put(format_args!("{name}{suffix}{{{labels}}} {value}\n"));
        }
    }
}

/// So many nanoseconds, in seconds.
pub(super) fn seconds(ns: u64) -> String {
    format!("{}", ns as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples() {
        let mut text = Text::default();
        text.one("a_total", Kind::Counter, "Of a.", 3);
        let mut family = text.family("b", Kind::Gauge, "Of b.");
        family.sample(&[("x", &1), ("y", &"a \"word\" \\\n")], 0.5);
        family.sample(&[], 2);
        insta::assert_snapshot!(text.0, @r#"
        # HELP a_total Of a.
        # TYPE a_total counter
        a_total 3
        # HELP b Of b.
        # TYPE b gauge
        b{x="1",y="a \"word\" \\\n"} 0.5
        b 2
        "#);
    }

    #[test]
    fn a_histogram() {
        let mut text = Text::default();
        let mut family = text.family("c_seconds", Kind::Histogram, "Of c.");
        family.histogram(("kind", &"read"), &[50_000, 1_000_000_000], &[2, 0, 1], 2_500_000_000);
        insta::assert_snapshot!(text.0, @r#"
        # HELP c_seconds Of c.
        # TYPE c_seconds histogram
        c_seconds_bucket{kind="read",le="0.00005"} 2
        c_seconds_bucket{kind="read",le="1"} 2
        c_seconds_bucket{kind="read",le="+Inf"} 3
        c_seconds_sum{kind="read"} 2.5
        c_seconds_count{kind="read"} 3
        "#);
    }
}
