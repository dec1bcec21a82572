//! Whether sign-ins and refreshes stay as fast when there are many accounts.
//!
//! The password hash is the cheapest there is, so that what grows with the table would show.

use portcullis_harness::in_process::CHEAP_HASHES;
use portcullis_platform_embedded::EmbeddedDynamoDb;
use tokio::runtime::Runtime;

use crate::report::Report;
use crate::service::Service;

const SIZES: [usize; 3] = [1, 1_000, 100_000];

pub(crate) fn measure(runtime: &Runtime, report: &mut Report) {
    let engine = EmbeddedDynamoDb::in_memory().expect("an engine");
    let service = runtime.block_on(Service::start(engine.http_client(), CHEAP_HASHES));
    let mut accounts = 0;
    let mut first = None;
    for size in SIZES {
        while accounts < size {
            runtime.block_on(service.register(&address(accounts)));
            accounts += 1;
        }
        let mut turn = 0;
        let login = report.time(&format!("login, {size} accounts"), || {
            turn = (turn + 7_919) % accounts;
            runtime.block_on(service.sign_in(&address(turn)));
        });
        let mut token = runtime.block_on(service.sign_in(&address(accounts / 2)));
        let refresh = report.time(&format!("refresh, {size} accounts"), || {
            token = runtime.block_on(service.refresh(&token));
        });
        let (Some(login), Some(refresh)) = (login, refresh) else { return };
        let (first_login, first_refresh) = *first.get_or_insert((login, refresh));
        let figure = format!(
            "{:7.0} logins/s ({:.2} of the first)   {:7.0} refreshes/s ({:.2})",
            1.0 / login,
            first_login / login,
            1.0 / refresh,
            first_refresh / refresh
        );
        report.line(&format!("{size} accounts, cheapest hash, in memory"), figure);
    }
}

fn address(number: usize) -> String {
    format!("person{number}@example.com")
}
