//! The text format of Prometheus, read strictly: what it does not allow, and what its conventions say of
//! names, is an error.

use std::collections::{BTreeMap, BTreeSet};

pub(crate) type Labels = BTreeMap<String, String>;

/// The samples behind one HELP and TYPE.
#[derive(Debug, Default)]
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) samples: Vec<(String, Labels, f64)>,
}

pub(crate) type Families = BTreeMap<String, Family>;

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Labels, and what is behind their closing brace.
fn labels(mut text: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        let (name, rest) = text.split_once("=\"")?;
        let (mut value, mut chars) = (String::new(), rest.char_indices());
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    c @ ('\\' | '"') => c,
                    _ => return None,
                }),
                (_, '\n') => return None,
                (_, c) => value.push(c),
            }
        };
        if !is_name(name) || labels.insert(name.to_owned(), value).is_some() {
            return None;
        }
        text = &rest[end + 1..];
        match text.split_at_checked(1)? {
            (",", rest) => text = rest,
            ("}", rest) => return Some((labels, rest)),
            _ => return None,
        }
    }
}

fn sample(line: &str) -> Option<(String, Labels, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (Labels::new(), rest),
    };
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    is_name(name).then(|| (name.to_owned(), labels, value))
}

/// Reads all of it.
pub(crate) fn read(text: &str) -> Result<Families, String> {
    let mut families = Families::new();
    let mut now: Option<(String, Family)> = None;
    let mut help = None;
    let mut end = |now: &mut Option<(String, Family)>| match now.take() {
        Some((name, family)) => {
            convention(&name, &family)?;
            match families.insert(name.clone(), family) {
                None => Ok(()),
                Some(_) => Err(format!("{name} stands twice")),
            }
        }
        None => Ok(()),
    };
    for line in text.strip_suffix('\n').ok_or("the last line has no end")?.split('\n') {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            end(&mut now)?;
            let (name, words) = rest.split_once(' ').ok_or_else(|| line.to_owned())?;
            if words.is_empty() || !words.ends_with('.') {
                return Err(format!("no help: {line}"));
            }
            help = Some(name.to_owned());
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or_else(|| line.to_owned())?;
            if help.take().as_deref() != Some(name) || !is_name(name) {
                return Err(format!("not behind its HELP: {line}"));
            }
            now = Some((name.to_owned(), Family { kind: kind.to_owned(), samples: Vec::new() }));
        } else {
            let sample = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
            let (name, family) = now.as_mut().ok_or_else(|| format!("of no family: {line}"))?;
            let suffix = sample.0.strip_prefix(name.as_str());
            let fits = matches!(
                (family.kind.as_str(), suffix),
                ("histogram", Some("_bucket" | "_sum" | "_count"))
                    | ("counter" | "gauge", Some(""))
            );
            if !fits || sample.2 < 0.0 {
                return Err(format!("not of family {name}: {line}"));
            }
            family.samples.push(sample);
        }
    }
    end(&mut now)?;
    Ok(families)
}

/// What names say, and what samples of one family have in common.
fn convention(name: &str, family: &Family) -> Result<(), String> {
    if !name.starts_with("diptych_") || (family.kind == "counter") != name.ends_with("_total") {
        return Err(format!("{name} is no name of a {}", family.kind));
    }
    let mut seen = BTreeSet::new();
    for (of, labels, _) in &family.samples {
        if !seen.insert((of, labels)) {
            return Err(format!("{of} {labels:?} stands twice"));
        }
    }
    let without_bound = |labels: &Labels| {
        let labels = labels.iter().filter(|(name, _)| *name != "le");
        labels.map(|(name, value)| (name.clone(), value.clone())).collect::<Labels>()
    };
    let names: BTreeSet<Vec<String>> = family
        .samples
        .iter()
        .map(|(_, labels, _)| without_bound(labels).into_keys().collect())
        .collect();
    if names.len() > 1 {
        return Err(format!("{name} has samples with other labels: {names:?}"));
    }
    if family.kind != "histogram" {
        return Ok(());
    }
    let mut of_labels: BTreeMap<Labels, Vec<(&str, f64)>> = BTreeMap::new();
    for (of, labels, value) in &family.samples {
        let at = of_labels.entry(without_bound(labels)).or_default();
        at.push((labels.get("le").map_or(of.as_str(), String::as_str), *value));
    }
    for (labels, values) in of_labels {
        let (buckets, rest) = values.split_at(values.len().saturating_sub(2));
        let ascend = buckets.windows(2).all(|two| two[0].1 <= two[1].1);
        let last = buckets.last().is_some_and(|(le, all)| *le == "+Inf" && *all == rest[1].1);
        if !ascend || !last {
            return Err(format!("{name} {labels:?} is no histogram: {values:?}"));
        }
    }
    Ok(())
}
