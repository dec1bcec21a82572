//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

const AFTER: &str = "\
Accounts are named by username, address or id. Without --table the folder DATA_DIR (./data) is worked on, which may be \
that of a running service; with it, the DynamoDB table of that name, with the variables of the functions \
(AWS_SECRET_NAME, KMS_KEY_ID, AWS_REGION, ...).

Exit status:
  0  it is done
  1  it was refused, or something is wrong with what was looked at: the reason is printed
  2  the command line or the configuration cannot be used; nothing was done
  3  the table, the secrets or the key did not answer; the same command may work in a moment";

/// Accounts and the audit trail of Portcullis.
#[derive(Debug, Parser)]
#[command(name = "manage-users", version, after_help = AFTER)]
pub(crate) struct Arguments {
    /// The DynamoDB table to work on, in place of `DATA_DIR`.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) table: Option<String>,
    /// Answer in JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make an account; asks for its password, or reads it from the standard input.
    CreateUser(CreateUser),
    /// Give an account an API key, in place of the one it was given before.
    SetApiKey {
        /// Whose.
        name: String,
        /// The key, pk_<id>_<secret><checksum>; a fresh one when left out.
        #[arg(long)]
        api_key: Option<String>,
    },
    /// Give an account's API key another secret, or put the key of `PORTFOLIO_NEW_API_KEY` (or
    /// `PORTFOLIO_ROTATION_API_KEY`) in its place.
    RotateApiKey {
        /// Whose.
        name: String,
    },
    /// Give an account another password, asked for or read from the standard input; its sessions end.
    RotatePassword {
        /// Whose.
        name: String,
    },
    /// List all accounts.
    ListUsers,
    /// Give an account these roles and no others; they count from its next refresh on.
    SetRoles {
        /// Whose.
        name: String,
        /// Names of roles in the policy.
        #[arg(required = true)]
        roles: Vec<String>,
    },
    /// Switch an account off; its sessions end at once.
    Deactivate {
        /// Which.
        name: String,
    },
    /// Switch an account on again.
    Activate {
        /// Which.
        name: String,
    },
    /// Forget failed tries to sign in.
    Unlock {
        /// Whose.
        name: String,
    },
    /// Take the second factor away from an account whose owner lost it.
    ResetMfa {
        /// Whose.
        name: String,
    },
    /// Take over accounts of an older system, password hashes included.
    Import {
        /// JSON lines or CSV; `-` is the standard input.
        file: PathBuf,
        /// What the file is; by its name when left out.
        #[arg(long)]
        format: Option<Format>,
    },
    /// Write all accounts as JSON lines, as `import` reads them.
    Export {
        /// With the hashes of passwords.
        #[arg(long)]
        with_hashes: bool,
    },
    /// Seal broker credentials anew, under data keys made now. Started again with the same --before, it does what is left.
    RotateCredentials {
        /// RFC 3339: those sealed before this; all of them when left out.
        #[arg(long)]
        before: Option<Timestamp>,
    },
    /// The audit trail.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateUser {
    /// The username to sign in with.
    pub(crate) name: String,
    /// A role of the policy; may be given several times.
    #[arg(long = "role", required = true)]
    pub(crate) roles: Vec<String>,
    /// The address; one that takes no mail, <name>@users.invalid, when left out.
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// An API key for the account, pk_<id>_<secret><checksum>.
    #[arg(long)]
    pub(crate) api_key: Option<String>,
    /// Make it switched off.
    #[arg(long)]
    pub(crate) inactive: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Look at every record: was one changed, removed or put in?
    Verify,
    /// Write records as JSON lines, newest first.
    Export {
        /// RFC 3339: no record before this.
        #[arg(long)]
        from: Option<Timestamp>,
        /// RFC 3339: records before this.
        #[arg(long)]
        to: Option<Timestamp>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values, the first line naming the columns.
    Csv,
}
