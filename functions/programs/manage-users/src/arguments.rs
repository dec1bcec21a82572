//! The command line: commands, arguments and their `--help` texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;

const AFTER: &str = "\
Accounts are named by username, email address or id. Without --table the command works on the folder DATA_DIR (./data), \
which may be that of a running service; with it, on the DynamoDB table of that name, with the variables that its deployment \
wrote down for operators, or with those of the functions (AWS_SECRET_NAME, KMS_KEY_ID, ...) where they are set.

Exit status:
  0  the command succeeded
  1  the command was refused, or a check failed: the error is printed
  2  the command line or the configuration cannot be used; nothing was changed
  3  the table, the secrets or the key is unavailable; a retry may succeed in a moment";

/// Administer the accounts and the audit trail of Portcullis.
#[derive(Debug, Parser)]
#[command(name = "manage-users", version, after_help = AFTER)]
pub(crate) struct Arguments {
    /// The DynamoDB table to work on, instead of `DATA_DIR`.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) table: Option<String>,
    /// Print the result as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create an account; its password is prompted for, or read from the standard input.
    CreateUser(CreateUser),
    /// Create an account without a password, and mail a link with which the person chooses one. Run again, it sends another
    /// link.
    InviteUser(InviteUser),
    /// Set the managed API key of an account, replacing the one that was set before. The keys that its owner made are not
    /// touched, whatever they are called.
    SetApiKey {
        /// The account that gets the key: username, email address or id.
        name: String,
        /// The key, `pk_<id>_<secret><checksum>`; a new one is generated when omitted.
        #[arg(long)]
        api_key: Option<String>,
    },
    /// Replace the secret of an account's managed API key, which `set-api-key` made, or replace the key by that in
    /// `PORTFOLIO_NEW_API_KEY` (or `PORTFOLIO_ROTATION_API_KEY`).
    RotateApiKey {
        /// The account that owns the key: username, email address or id.
        name: String,
    },
    /// Set a new password, prompted for or read from the standard input; all sessions of the account end.
    RotatePassword {
        /// The account that gets the password: username, email address or id.
        name: String,
    },
    /// List all accounts.
    ListUsers,
    /// Replace the roles of an account; they take effect at its next token refresh.
    SetRoles {
        /// The account that gets the roles: username, email address or id.
        name: String,
        /// The roles, by their names in the policy; all others are removed.
        #[arg(required = true)]
        roles: Vec<String>,
    },
    /// Disable an account; all its sessions end at once.
    Deactivate {
        /// The account to disable: username, email address or id.
        name: String,
    },
    /// Enable a disabled account.
    Activate {
        /// The account to enable: username, email address or id.
        name: String,
    },
    /// End the lockout of an account: failed sign-in attempts are reset.
    Unlock {
        /// The account to unlock: username, email address or id.
        name: String,
    },
    /// Remove the second factor of an account, when its owner lost it.
    ResetMfa {
        /// The account that loses its second factor: username, email address or id.
        name: String,
    },
    /// Import accounts of another system, including their password hashes.
    Import {
        /// The file to import, JSON lines or CSV; `-` is the standard input.
        file: PathBuf,
        /// The format of the file; derived from its name when omitted.
        #[arg(long)]
        format: Option<Format>,
    },
    /// Export all accounts as JSON lines, as `import` reads them.
    Export {
        /// Include the password hashes.
        #[arg(long)]
        with_hashes: bool,
    },
    /// Re-encrypt broker credentials under new data keys; run again with the same --before, it continues with the rest.
    RotateCredentials {
        /// Re-encrypt those encrypted before this time (RFC 3339); all of them when omitted.
        #[arg(long)]
        before: Option<Timestamp>,
    },
    /// Verify or export the audit trail.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateUser {
    /// The username to sign in with.
    pub(crate) name: String,
    /// A role of the account, by its name in the policy; may be repeated.
    #[arg(long = "role", required = true)]
    pub(crate) roles: Vec<String>,
    /// The email address, which then signs in too; without one the account gets no mail, and its password is forgotten for
    /// good unless `rotate-password` sets another.
    #[arg(long)]
    pub(crate) email: Option<String>,
    /// Have the person confirm the address before the account can be used, where `EMAIL_VERIFICATION` requires it.
    #[arg(long, requires = "email")]
    pub(crate) unverified: bool,
    /// An API key of the account, `pk_<id>_<secret><checksum>`; none is created when omitted.
    #[arg(long)]
    pub(crate) api_key: Option<String>,
    /// Create the account disabled.
    #[arg(long)]
    pub(crate) inactive: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InviteUser {
    /// The email address that the link is sent to; choosing the password confirms it.
    pub(crate) email: String,
    /// A role of the account, by its name in the policy; may be repeated.
    #[arg(long = "role", required = true)]
    pub(crate) roles: Vec<String>,
    /// What the person is called; the part of the address before the @ when omitted.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// A username to sign in with, beside the address.
    #[arg(long)]
    pub(crate) username: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Verify that no record was changed, removed or inserted.
    Verify,
    /// Export records as JSON lines, newest first.
    Export {
        /// Export no record before this time (RFC 3339).
        #[arg(long)]
        from: Option<Timestamp>,
        /// Export only records before this time (RFC 3339).
        #[arg(long)]
        to: Option<Timestamp>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON lines: one object per line.
    Jsonl,
    /// Comma-separated values; the first line names the columns.
    Csv,
}
