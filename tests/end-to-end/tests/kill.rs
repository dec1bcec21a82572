//! What a client was told succeeded survives `kill -9`.
#![cfg(test)]

use portcullis_harness::app::App;
use portcullis_harness::endpoint::Endpoint;
use portcullis_harness::in_process::PASSWORD;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const SEED: u64 = 20_261_121;
const KILLS: usize = 50;
/// Neither the hash nor the limits are what is tested here.
const CHEAP: [(&str, &str); 3] =
    [("ARGON2_MEMORY_KIB", "64"), ("ARGON2_ITERATIONS", "1"), ("RATE_LIMIT", "off")];
/// While the service is under load each refresh is to write; afterwards a lost response is to be forgiven.
const LOADED: [(&str, &str); 4] = [CHEAP[0], CHEAP[1], CHEAP[2], ("REFRESH_REUSE_GRACE", "0")];

/// What one person was told succeeded.
#[derive(Debug, Default)]
struct Acknowledged {
    email: String,
    registered: bool,
    refresh_token: Option<String>,
    rotations: u64,
}

/// Registers, signs in and refreshes until the service is gone.
async fn live(app: &Endpoint, known: &mut Acknowledged, signal: &UnboundedSender<()>) -> reqwest::Result<()> {
    if app.register(&known.email).send().await?.status != 201 {
        return Ok(());
    }
    known.registered = true;
    let _ = signal.send(());
    let session = app.login(&known.email, PASSWORD).send().await?;
    known.refresh_token = session["refresh_token"].as_str().map(str::to_owned);
    while let Some(token) = &known.refresh_token {
        let next = app.refresh(token).send().await?;
        let Some(next) = next["refresh_token"].as_str() else { break };
        known.refresh_token = Some(next.to_owned());
        known.rotations += 1;
        let _ = signal.send(());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_is_found_after_fifty_kills() {
    println!("seed {SEED}");
    let mut random = StdRng::seed_from_u64(SEED);
    let (mut registered, mut rotations) = (0, 0);
    let mut app = App::with(&LOADED);
    for kill in 0..KILLS {
        let (signal, mut acknowledgements) = unbounded_channel();
        let people: Vec<_> = (0..4)
            .map(|number| {
                // Not a clone of the app: this client stays with the process that is killed.
                let (there, signal) = (Endpoint::at(&app.url()), signal.clone());
                let email = format!("p{kill}x{number}@example.com");
                let mut known = Acknowledged { email, ..Acknowledged::default() };
                tokio::spawn(async move {
                    // It ends with an error: the service is killed under it.
                    let _ = live(&there, &mut known, &signal).await;
                    known
                })
            })
            .collect();
        drop(signal);
        // After so many writes, that is, while the other three are in the middle of theirs.
        for _ in 0..random.random_range(1..40) {
            acknowledgements.recv().await;
        }
        app.kill();
        app.start_again(&CHEAP);
        for person in people {
            let known = person.await.unwrap();
            if known.registered {
                registered += 1;
                assert_eq!(app.login(&known.email, PASSWORD).await.status, 200, "kill {kill}");
            }
            if let Some(token) = known.refresh_token {
                rotations += known.rotations;
                let refreshed = app.refresh(&token).await;
                assert_eq!(refreshed.status, 200, "kill {kill}: an acknowledged token is lost");
            }
        }
        app.kill();
        app.start_again(&LOADED);
    }
    println!("{KILLS} kills, {registered} registrations and {rotations} rotations acknowledged, none lost");
    assert!(registered + rotations > 500, "there was load");
}
