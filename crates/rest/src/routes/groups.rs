//! Consistency groups, and the commands for them.

use super::pairs::{check_hosts, code_of, options, shown_as, text_of};
use super::{Asked, Query};
use crate::api::{Done, GroupAnswer, GroupInfo, GroupMember, PairCommand, PairRef};
use crate::management::{App, answer};
use crate::problem::Failure;
use crate::waits::{WaitFor, until};
use axum::Json;
use axum::extract::{Path, State};
use diptych_cha::{GroupCommand, GroupName, GroupOutcome, HostOp, HostReply, Who};
use diptych_format::LdevId;
use diptych_shared::{PairOptions, SIMPLEX};

type Answer<T> = Result<Json<T>, Failure>;

const MILLISECOND_NS: u64 = 1_000_000;

fn reference((primary, secondary): (LdevId, LdevId)) -> PairRef {
    PairRef { primary: primary.to_string(), secondary: secondary.to_string() }
}

fn pairs_of(app: &App, name: &GroupName) -> Result<Vec<(LdevId, LdevId)>, Failure> {
    app.rt.unit().group(name).ok_or_else(|| no_group(name))
}

fn no_group(name: &GroupName) -> Failure {
    Failure::missing("no-group", format_args!("there is no consistency group {name}"))
        .or("diptych group list tells the groups")
}

fn info(app: &App, name: &GroupName) -> Result<GroupInfo, Failure> {
    let member = |volumes: (LdevId, LdevId)| {
        let pair = app.rt.unit().pair(volumes.0, volumes.1);
        let status = pair.map_or_else(|| SIMPLEX.to_owned(), |pair| shown_as(&pair));
        GroupMember { pair: reference(volumes), status }
    };
    let pairs = pairs_of(app, name)?.into_iter().map(member).collect();
    Ok(GroupInfo { name: name.to_string(), pairs })
}

pub(super) async fn list(State(app): State<App>) -> Answer<Vec<GroupInfo>> {
    answer(&app, |app| {
        // One that somebody removes meanwhile is left out.
        let groups = app.rt.unit().groups();
        Ok(groups.iter().filter_map(|name| info(app, name).ok()).collect())
    })
    .await
}

pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(wait): Query<WaitFor>,
) -> Answer<GroupInfo> {
    let look = move |app: &App| info(app, &name.parse()?);
    let over = wait.clone();
    let is_over = move |group: &GroupInfo| {
        let mut statuses = group.pairs.iter().map(|member| member.status.as_str());
        // One that is waited for in vain ends it for all.
        statuses.clone().any(|status| over.is_in_vain(status))
            || statuses.all(|status| over.is_over(status))
    };
    until(&app, wait, look, is_over).await.map(Json)
}

pub(super) async fn define(
    State(app): State<App>,
    Path(name): Path<String>,
    Asked(pairs): Asked<Vec<PairRef>>,
) -> Answer<GroupInfo> {
    answer(&app, move |app| {
        let name: GroupName = name.parse()?;
        let volumes = |pair: &PairRef| Ok((app.ldev(&pair.primary)?, app.ldev(&pair.secondary)?));
        let pairs: Vec<_> = pairs.iter().map(volumes).collect::<Result<_, Failure>>()?;
        app.managed(|unit| unit.define_group(name.clone(), pairs.clone()))?;
        info(app, &name)
    })
    .await
}

pub(super) async fn remove(State(app): State<App>, Path(name): Path<String>) -> Answer<Done> {
    answer(&app, move |app| {
        let name: GroupName = name.parse()?;
        if app.managed(|unit| unit.remove_group(&name))? {
            Ok(Done {})
        } else {
            Err(no_group(&name))
        }
    })
    .await
}

pub(super) async fn command(
    State(app): State<App>,
    Path((name, word)): Path<(String, String)>,
    Asked(asked): Asked<PairCommand>,
) -> Answer<GroupAnswer> {
    answer(&app, move |app| {
        let name: GroupName = name.parse()?;
        let code = code_of(&word, &asked)?;
        let pairs = pairs_of(app, &name)?;
        for volumes in &pairs {
            check_hosts(app, code, &asked, *volumes)?;
        }
        // One set of options is for all pairs; without a word it is that of the first.
        let first = pairs.first().and_then(|first| app.rt.unit().pair(first.0, first.1));
        let before = first.map_or_else(PairOptions::default, |pair| pair.options);
        let command = GroupCommand {
            options: options(&asked.options, before)?,
            freeze: asked.freeze,
            drain_limit_ns: asked.drain_limit_ms.map(|ms| ms.saturating_mul(MILLISECOND_NS)),
            ..GroupCommand::new(code, pairs).by(Who::Operator)
        };
        let empty = GroupAnswer {
            outcome: "nothing".to_owned(),
            command: code.to_string(),
            group: name.to_string(),
            pairs: 0,
            barrier_ns: None,
            nothing_for: None,
            met: None,
        };
        match app.rt.execute(HostOp::Group(command)) {
            HostReply::Group(GroupOutcome::Accepted { pairs, barrier_ns }) => Ok(GroupAnswer {
                outcome: "accepted".to_owned(),
                pairs: pairs.len(),
                barrier_ns: Some(barrier_ns),
                ..empty
            }),
            HostReply::Group(GroupOutcome::Nothing { primary, secondary, met }) => {
                let (nothing_for, met) =
                    (Some(reference((primary, secondary))), Some(text_of(met)));
                Ok(GroupAnswer { nothing_for, met, ..empty })
            }
            HostReply::Group(GroupOutcome::Refused { pair, why }) => {
                Err(app.failed(Failure::from(why).about(pair)))
            }
            HostReply::Failed(error) => Err(app.failed(error)),
            other => Err(app.failed(Failure::bad(format_args!("{code}: {other:?}")))),
        }
    })
    .await
}
