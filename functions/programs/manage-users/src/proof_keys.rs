//! The command that prints the keys by which one service checks proofs of the edge.

use portcullis_identity::service_proof_keys;
use secrecy::ExposeSecret;

use crate::failure::Failure;
use crate::output::{Output, members};
use crate::tool::Tool;

/// Prints the keys alone on the standard output, so that a pipe can take them where they are kept.
pub(crate) async fn print(tool: &Tool, output: Output, service: &str, ids: &[String]) -> Result<(), Failure> {
    let keys = service_proof_keys(tool.secrets.as_ref(), service, ids).await;
    let keys = keys.map_err(|error| Failure::unusable(&error))?.ok_or_else(|| {
        let why =
            "a service is a lower-case word other than `identity`, an id is 1 to 16 of a-z, 0-9 and `-`";
        Failure::Refused(why.to_owned())
    })?;
    let keys = keys.expose_secret();
    tool.has_read(output, "EDGE_PROOF_KEY");
    output.note(&format!(
        "SERVICE_PROOF_KEYS of {service}; secret: whoever has it can send {service} requests in anybody's name"
    ));
    output.say(keys, members([("service", service.into()), ("keys", keys.into())]))
}
