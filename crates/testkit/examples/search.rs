//! Every state that the rules of pairs can come to: what `cargo xtask search` runs.
#![allow(clippy::print_stdout, reason = "the tables are what the program is for")]

use clap::Parser;
use diptych_testkit::{BrokenRule, SearchConfig, SearchReport, search};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

/// Every state that the rules of pairs can come to, with crashes and failures.
#[derive(Parser)]
struct Args {
    /// Only this configuration, with all rules kept.
    #[arg(long)]
    config: Option<String>,
    /// Only this rule, broken on purpose, with the way to what it breaks.
    #[arg(long)]
    broken: Option<String>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let configs: Vec<SearchConfig> = match (&args.config, &args.broken) {
        (Some(name), _) => vec![SearchConfig::named(name).ok_or_else(|| unknown_config(name))?],
        (None, Some(_)) => Vec::new(),
        (None, None) => SearchConfig::all().collect(),
    };
    let rules: Vec<BrokenRule> = match (&args.broken, &args.config) {
        (Some(name), _) => {
            let rule = BrokenRule::ALL.iter().find(|rule| rule.name() == name);
            vec![*rule.ok_or_else(|| unknown_rule(name))?]
        }
        (None, Some(_)) => Vec::new(),
        (None, None) => BrokenRule::ALL.to_vec(),
    };
    let mut as_it_should_be = true;
    if args.broken.is_none() {
        println!("{:<20}{:>10}{:>13}{:>7}{:>9}", "", "states", "transitions", "depth", "seconds");
        for config in configs {
            let (report, seconds) = run(config, None)?;
            let SearchReport { states, transitions, depth, wrong } = report;
            let name = config.name();
            println!("{name:<20}{states:>10}{transitions:>13}{depth:>7}{seconds:>9.1}");
            if let Some(wrong) = wrong {
                println!("{wrong}");
                as_it_should_be = false;
            }
        }
    }
    if !rules.is_empty() {
        println!("{:<32}{:<16}{:>5}{:>9}  found as", "broken rule", "in", "steps", "states");
    }
    for rule in rules {
        let config = match &args.config {
            Some(name) => SearchConfig::named(name).ok_or_else(|| unknown_config(name))?,
            None => rule.config(),
        };
        let (report, _) = run(config, Some(rule))?;
        let SearchReport { states, depth, wrong, .. } = report;
        let found = wrong.as_ref().map_or("NOT FOUND", |trace| trace.wrong);
        println!("{:<32}{:<16}{depth:>5}{states:>9}  {found}", rule.name(), config.name());
        as_it_should_be &= wrong.is_some();
        if let (Some(trace), true) = (wrong, args.broken.is_some()) {
            println!("{trace}");
        }
    }
    Ok(if as_it_should_be { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Searches, with a bar on standard error if that is a terminal.
fn run(
    config: SearchConfig,
    broken: Option<BrokenRule>,
) -> Result<(SearchReport, f64), Box<dyn Error>> {
    let style = "{elapsed_precise} {msg}: {pos} of {len} states met so far";
    let bar = ProgressBar::new(0).with_style(ProgressStyle::with_template(style)?);
    bar.set_message(broken.map_or(config.name(), BrokenRule::name));
    let begun = Instant::now();
    let report = search(config, broken, |states, done| {
        bar.set_length(states as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    Ok((report, begun.elapsed().as_secs_f64()))
}

fn unknown_config(name: &str) -> String {
    let names: Vec<&str> = SearchConfig::all().map(|config| config.name()).collect();
    format!("no configuration {name:?}; there are {}", names.join(", "))
}

fn unknown_rule(name: &str) -> String {
    let names: Vec<&str> = BrokenRule::ALL.iter().map(|rule| rule.name()).collect();
    format!("no rule {name:?}; there are {}", names.join(", "))
}
