//! The command line: commands, arguments and their `--help` texts.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::Timestamp;
use portcullis_identity::EVENT_TYPES;

use crate::dates::moment;
use crate::listing::Columns;

/// What the help says behind the commands and options, and the manual page in sections of these names.
pub(crate) const SECTIONS: [(&str, &str); 4] = [
    (
        "Accounts",
        "Accounts are named by username, email address or id. Without --table the command works on the folder DATA_DIR (./data), \
         which may be that of a running service; with it, on the DynamoDB table of that name, with the variables that its \
         deployment wrote down for operators, or with those of the functions (AWS_SECRET_NAME, KMS_KEY_ID, ...) where they are \
         set. Nothing is made in a folder that no service has run on.",
    ),
    (
        "Times",
        "Times are written 2026-11-28, 2026-11-28T09:30:00Z, now, today, yesterday, tomorrow, -7d or +90d; days begin at midnight \
         UTC.",
    ),
    (
        "Exit status",
        "0: the command succeeded\n\
         1: the command was refused, or a check failed: the error is printed\n\
         2: the command line or the configuration cannot be used; nothing was changed\n\
         3: the table, the secrets or the key is unavailable; a retry may succeed in a moment",
    ),
    (
        "Environment",
        "DATA_DIR: the folder of the service on this machine\n\
         EMAIL_VERIFICATION, ROLE_DEFINITIONS, SERVICES and the other variables of the service, as it has them\n\
         PORTFOLIO_NEW_API_KEY, PORTFOLIO_ROTATION_API_KEY: the key that rotate-api-key sets\n\
         AWS_REGION, AWS_PROFILE and what else AWS tools read, with --table",
    ),
];

fn after_help() -> String {
    SECTIONS.map(|(title, text)| format!("{title}:\n{text}")).join("\n\n")
}

/// Administer the accounts and the audit trail of Portcullis.
#[derive(Debug, Parser)]
#[command(name = "manage-users", version, after_help = after_help())]
pub(crate) struct Arguments {
    /// The DynamoDB table to work on, instead of `DATA_DIR`.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) table: Option<String>,
    /// The name that the audit trail has for whoever runs this; the caller's ARN with --table, else `SUDO_USER` or `USER`, when
    /// omitted.
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub(crate) operator: Option<String>,
    /// Print the result as JSON, and a failure as JSON on the standard error.
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
    #[command(visible_alias = "invite")]
    InviteUser(InviteUser),
    /// Show an account: its state, sign-ins, sessions and API keys.
    Show {
        /// The account to show: username, email address or id.
        name: String,
    },
    /// Find accounts by a part of their address, username, name or id, by role, status or last sign-in. A whole address or id is
    /// looked up; anything else reads the accounts one after the other, newest first, until --limit are found.
    Find(Find),
    /// Set the managed API key of an account, replacing the one that was set before. The keys that its owner made are not
    /// touched, whatever they are called.
    SetApiKey {
        /// The account that gets the key: username, email address or id.
        name: String,
        #[command(flatten)]
        key: KeyOptions,
    },
    /// Replace the secret of an account's managed API key, or replace the key by that in `PORTFOLIO_NEW_API_KEY` (or
    /// `PORTFOLIO_ROTATION_API_KEY`). An account without a managed key gets its first one.
    RotateApiKey {
        /// The account that owns the key: username, email address or id.
        name: String,
    },
    /// Set a new password, prompted for or read from the standard input; all sessions of the account end.
    RotatePassword {
        /// The account that gets the password: username, email address or id.
        name: String,
        /// The new password. A shell keeps what is typed here; prefer the prompt or a pipe.
        #[arg(long)]
        password: Option<String>,
    },
    /// List accounts, newest first.
    ListUsers(ListUsers),
    /// List the live sessions of an account, newest first.
    ListSessions {
        /// The account that owns the sessions: username, email address or id.
        name: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// List the API keys of an account, newest first.
    ListKeys {
        /// The account that owns the keys: username, email address or id.
        name: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// End every session of an account.
    RevokeSessions {
        /// The account whose sessions end: username, email address or id.
        name: String,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// End every session of every account. For a table that was restored to an earlier time, before it is put to use: what had
    /// ended since is alive again in it.
    RevokeAllSessions {
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Erase an account with its sessions, API keys and trading accounts; its audit trail stays. There is no way back.
    Delete {
        /// The account to erase: username, email address or id.
        name: String,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Take the address of an account as confirmed.
    VerifyEmail {
        /// The account with the address: username, email address or id.
        name: String,
    },
    /// Mail the owner of an account a link to choose another password.
    SendReset {
        /// The account to mail to: username, email address or id.
        name: String,
    },
    /// List the roles of `ROLE_DEFINITIONS` and what each may do.
    Roles,
    /// Check a policy before it is deployed.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
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
    /// Freeze a person's broker credentials: no service reads them, and the sessions at brokers are ended. Only an administrator
    /// lifts it, with `unfreeze`.
    Freeze {
        /// The person: username, email address or id.
        name: String,
        #[command(flatten)]
        freeze: FreezeOptions,
        /// Cancel resting orders, too, protective stops among them.
        #[arg(long)]
        cancel_orders: bool,
    },
    /// Lift the administrators' freeze of a person's broker credentials; the person's own freeze stays.
    Unfreeze {
        /// The person: username, email address or id.
        name: String,
    },
    /// Freeze everybody's broker credentials: no service reads anybody's. Sessions at brokers go on.
    FreezeEverybody {
        #[command(flatten)]
        freeze: FreezeOptions,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Lift the freeze of everybody's broker credentials; those of single people stay.
    UnfreezeEverybody {
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Remove the second factor of an account, when its owner lost it.
    ResetMfa {
        /// The account that loses its second factor: username, email address or id.
        name: String,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Import accounts of another system, including their password hashes.
    Import {
        /// The file to import, JSON lines or CSV; `-` is the standard input.
        file: PathBuf,
        /// The format of the file; derived from its name when omitted.
        #[arg(long)]
        format: Option<Format>,
        /// Report what would be imported and what refused, and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Export all accounts as JSON lines, as `import` reads them.
    Export {
        /// Include the password hashes.
        #[arg(long)]
        with_hashes: bool,
    },
    /// Re-encrypt broker credentials under new data keys; run again with the same --before, it continues with the rest.
    RotateCredentials {
        /// Re-encrypt those encrypted before this time; all of them when omitted.
        #[arg(long, value_parser = moment, allow_hyphen_values = true)]
        before: Option<Timestamp>,
    },
    /// Withdraw a signing key that leaked: within seconds no edge believes what it signed. Whoever has such a token needs
    /// another one.
    WithdrawKey {
        /// The `kid` of the key, as tokens and the published set have it.
        kid: String,
        #[command(flatten)]
        confirmed: Confirmed,
    },
    /// Print the secret by which a service recognises requests that came through the edge (`SERVICE_PROOF_KEYS` of the service).
    /// It is good for that service alone. While `EDGE_PROOF_KEY` has two versions, it holds a key by each.
    ProofKey {
        /// The service, by its name in the route table of the edge.
        service: String,
        /// The id of the key, which the route table names as `proof_key`; repeated, the secret holds several keys, so that one can
        /// take the place of another.
        #[arg(long = "id", value_name = "ID", default_value = "1")]
        ids: Vec<String>,
    },
    /// List, add or withdraw the tokens of services.
    ServiceTokens {
        #[command(subcommand)]
        command: ServiceTokensCommand,
    },
    /// Verify, search or export the audit trail.
    Audit {
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Print the completions of a shell.
    Completions {
        /// The shell they are for.
        shell: Shell,
    },
    /// Print the manual page, in roff.
    Man,
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
    /// An API key that the account is made with, `pk_<id>_<secret><checksum>` or one of 128 random bits from elsewhere; none when omitted. A shell keeps what is typed
    /// here.
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

#[derive(Debug, Args)]
pub(crate) struct KeyOptions {
    /// The key, `pk_<id>_<secret><checksum>` or one of 128 random bits from elsewhere; a new one is generated when omitted. A shell keeps what is typed here.
    #[arg(long)]
    pub(crate) api_key: Option<String>,
    /// A scope of the key, as `resource:action`; may be repeated. All that the account may give a key when omitted.
    #[arg(long = "scope")]
    pub(crate) scopes: Vec<String>,
    /// When the key ends; never when omitted.
    #[arg(long, value_parser = moment, allow_hyphen_values = true)]
    pub(crate) expires: Option<Timestamp>,
}

#[derive(Debug, Args)]
pub(crate) struct FreezeOptions {
    /// Why, in words for those whose credentials are frozen.
    #[arg(long)]
    pub(crate) reason: String,
    /// When the freeze ends by itself; it has to be lifted when omitted.
    #[arg(long, value_parser = moment, allow_hyphen_values = true)]
    pub(crate) until: Option<Timestamp>,
}

/// The consent to what cannot be undone.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Confirmed {
    /// Do it without asking; needed where there is no terminal to ask on.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// The way a list is cut and printed.
#[derive(Debug, Args)]
pub(crate) struct Paging {
    /// Print this many at most; all when omitted.
    #[arg(long)]
    pub(crate) limit: Option<usize>,
    /// Go on after this one, the last of the page before.
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

/// The columns of a list.
#[derive(Debug, Args)]
pub(crate) struct Shown {
    /// Print these columns alone, separated by commas; they are the members that --json prints.
    #[arg(long, value_delimiter = ',')]
    pub(crate) columns: Option<Vec<String>>,
    /// Print no line with the names of the columns.
    #[arg(long)]
    pub(crate) no_headers: bool,
}

impl Shown {
    pub(crate) fn columns(&self, usual: &[&str]) -> Columns {
        let named = self.columns.clone();
        Columns {
            names: named.unwrap_or_else(|| usual.iter().map(|&name| name.to_owned()).collect()),
            are_chosen: self.columns.is_some(),
            headers: !self.no_headers,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ListUsers {
    /// List those alone: `text=`, `role=`, `status=`, `since=` (signed in since) or `not-since=`; may be repeated.
    #[arg(long = "filter", value_name = "NAME=VALUE")]
    pub(crate) filters: Vec<String>,
    #[command(flatten)]
    pub(crate) paging: Paging,
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// A part of the address, the username, the name or the id. One that is the whole address or id of an account finds that
    /// account alone.
    pub(crate) text: Option<String>,
    /// With this role.
    #[arg(long)]
    pub(crate) role: Option<String>,
    /// With this status, `active` or `disabled`.
    #[arg(long)]
    pub(crate) status: Option<String>,
    /// Signed in since this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) since: Option<String>,
    /// Not signed in since this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) not_since: Option<String>,
    #[command(flatten)]
    pub(crate) paging: Paging,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a file in the form of `ROLE_DEFINITIONS`, and list the roles it defines.
    Check {
        /// The file to check.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Period {
    /// No record before this time.
    #[arg(long, value_parser = moment, allow_hyphen_values = true)]
    pub(crate) from: Option<Timestamp>,
    /// Only records before this time.
    #[arg(long, value_parser = moment, allow_hyphen_values = true)]
    pub(crate) to: Option<Timestamp>,
}

/// Reads a type of event, and refuses what is none with the list of those there are.
fn event_types() -> PossibleValuesParser {
    PossibleValuesParser::new(EVENT_TYPES.iter().map(|kind| kind.as_str()))
}

#[derive(Debug, Args)]
pub(crate) struct SearchTrail {
    /// Records of this account: username, email address or id.
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Records of this type, such as `login_failed`.
    #[arg(long = "type", value_name = "TYPE", value_parser = event_types(), hide_possible_values = true)]
    pub(crate) kind: Option<String>,
    /// Records of this actor, such as `self`, `admin:<user id>` or `cli:<name>`.
    #[arg(long)]
    pub(crate) actor: Option<String>,
    #[command(flatten)]
    pub(crate) period: Period,
    /// Print this many at most.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
    /// Go on after this record, the last of the page before.
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) shown: Shown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Verify that no record was changed, removed or inserted.
    Verify,
    /// Search for records, newest first.
    Search(SearchTrail),
    /// Export records as JSON lines, newest first.
    Export(Period),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ServiceTokensCommand {
    /// List the tokens of each service by fingerprint, newest first, and when each was last presented.
    List,
    /// Give a service another token, which is printed; those it has stay valid. A service that is new gets its first one.
    Add {
        /// The service, by its name in `SERVICES`.
        service: String,
    },
    /// Refuse the tokens of a service from now on, but for the newest: after one of them leaked.
    Withdraw {
        /// The service, by its name in `SERVICES`.
        service: String,
        /// Refuse the newest, too, and print the one that takes its place: nothing the service has works until it is given that.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        confirmed: Confirmed,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// JSON lines: one object per line.
    Jsonl,
    /// Comma-separated values; the first line names the columns.
    Csv,
}
