//! The command that withdraws a signing key.

use crate::arguments::Confirmed;
use crate::confirmation::confirm;
use crate::failure::Failure;
use crate::output::{Output, members};
use crate::tool::Tool;

pub(crate) async fn withdraw(
    tool: &Tool,
    output: Output,
    kid: &str,
    confirmed: Confirmed,
) -> Result<(), Failure> {
    confirm(confirmed, "refuses every access token that the key signed, at every edge, for two days")?;
    tool.identity.withdraw_signing_key(kid).await.map_err(|error| match error {
        portcullis_identity::Error::NotFound => Failure::Refused("this is no id of a signing key".to_owned()),
        error => error.into(),
    })?;
    let text =
        "the key is withdrawn at every edge; the service itself goes on with it until it is rotated out";
    output.say(text, members([("kid", kid.into())]))
}
