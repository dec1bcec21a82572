//! The commands that freeze broker credentials, of one person and of everybody, and lift that again.

use std::time::Duration;

use portcullis_identity::Field;
use portcullis_vault::{Freeze, FreezeReason, OperatorFreeze};
use serde_json::{Map, Value};

use crate::arguments::{Confirmed, FreezeOptions};
use crate::confirmation::confirm;
use crate::failure::Failure;
use crate::output::{Output, counted, members};
use crate::tool::Tool;

pub(crate) async fn freeze(
    tool: &Tool,
    output: Output,
    name: &str,
    freeze: FreezeOptions,
    cancel_orders: bool,
) -> Result<(), Failure> {
    let wanted = OperatorFreeze { cancel_orders, ..wanted(tool, freeze)? };
    let person = tool.identity.account_by_name(name).await?.id;
    let frozen = Box::pin(tool.vault.freeze_person(&tool.operator, person, wanted, &tool.origin)).await?;
    let accounts: Vec<Value> = frozen
        .accounts
        .iter()
        .map(|account| {
            let value = members([
                ("account_id", account.id.to_string().into()),
                ("broker", account.broker.clone().into()),
                ("session", account.session.as_str().into()),
                ("orders", account.orders.as_str().into()),
                ("open_orders", account.open_orders.into()),
                ("reason", account.advice.clone().into()),
            ]);
            Value::from(value)
        })
        .collect();
    for advice in frozen.accounts.iter().filter_map(|account| account.advice.as_deref()) {
        output.note(advice);
    }
    let text = format!(
        "nobody reads the broker credentials of {name} any more ({})",
        counted(accounts.len(), "trading account")
    );
    let value = members([
        ("user_id", person.to_string().into()),
        ("frozen_at", frozen.since.to_string().into()),
        ("until", frozen.ends_at.map(|end| end.to_string()).into()),
        ("accounts", accounts.into()),
    ]);
    output.say(&text, value)
}

pub(crate) async fn unfreeze(tool: &Tool, output: Output, name: &str) -> Result<(), Failure> {
    let person = tool.identity.account_by_name(name).await?.id;
    let left = tool.vault.unfreeze_person(&tool.operator, person, &tool.origin).await?;
    let text = match (&left.everybody, &left.own) {
        (None, None) => format!("the broker credentials of {name} can be read again"),
        (Some(_), _) => format!("the freeze of {name} is lifted; everybody's credentials are frozen"),
        (None, Some(_)) => format!("the freeze of {name} is lifted; the one of their own stays"),
    };
    let status = if left.any() { "frozen" } else { "active" };
    output.say(&text, members([("user_id", person.to_string().into()), ("status", status.into())]))
}

pub(crate) async fn freeze_everybody(
    tool: &Tool,
    output: Output,
    freeze: FreezeOptions,
    confirmed: Confirmed,
) -> Result<(), Failure> {
    let wanted = wanted(tool, freeze)?;
    confirm(confirmed, "stops every reading of everybody's broker credentials")?;
    let freeze = tool.vault.freeze_everybody(&tool.operator, wanted, &tool.origin).await?;
    output.say("nobody's broker credentials are read any more", freeze_json(&freeze))
}

pub(crate) async fn unfreeze_everybody(
    tool: &Tool,
    output: Output,
    confirmed: Confirmed,
) -> Result<(), Failure> {
    confirm(confirmed, "lets services read the broker credentials of everybody who is not frozen")?;
    tool.vault.unfreeze_everybody(&tool.operator, &tool.origin).await?;
    output.say("there is no freeze of everybody any more", members([("status", "active".into())]))
}

/// Returns what is wanted; fails for a reason that is none and a time that is over.
fn wanted(tool: &Tool, FreezeOptions { reason, until }: FreezeOptions) -> Result<OperatorFreeze, Failure> {
    let reason = FreezeReason::parse(&reason).map_err(|invalid| invalid.of(Field::Reason))?;
    let left = until.map(|until| until.duration_since(tool.identity.clock.now()));
    // Zero is refused where a freeze is decided on, as is a time that is too far away.
    let lasts = left.map(|left| Duration::try_from(left).unwrap_or(Duration::ZERO));
    Ok(OperatorFreeze { reason, lasts, cancel_orders: false })
}

fn freeze_json(freeze: &Freeze) -> Map<String, Value> {
    members([
        ("status", "frozen".into()),
        ("frozen_at", freeze.since.to_string().into()),
        ("frozen_by", freeze.frozen_by.clone().into()),
        ("until", freeze.ends_at.map(|end| end.to_string()).into()),
        ("reason", freeze.reason.clone().into()),
    ])
}
