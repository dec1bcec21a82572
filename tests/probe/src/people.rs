//! The accounts of a run: made for it, and erased when it ends.

use std::sync::{Mutex, PoisonError};

use portcullis_platform::{Clock, Entropy, SystemClock, SystemEntropy};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use totp_rs::Totp;

use crate::client::{Answer, Ask, Client, Trouble};

/// SES's mailbox simulator takes what is sent there, and counts nothing against the sender.
pub const ADDRESS: &str = "success+portcullis-probe-{}@simulator.amazonses.com";

/// Returns a text that nobody else has: this many random bytes in hexadecimal.
pub fn something_new(bytes: usize) -> Result<String, Trouble> {
    let mut random = vec![0; bytes];
    SystemEntropy.fill(&mut random).map_err(|_| Trouble::NoRandomness)?;
    Ok(hex::encode(random))
}

/// The tokens of a session, and what makes its device a known one.
#[derive(Debug, Clone)]
pub struct Session {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
    /// The device token.
    pub device: String,
}

/// Somebody with an account, who is signed in.
#[derive(Debug, Clone)]
pub struct Person {
    /// The address.
    pub address: String,
    /// The password.
    pub password: String,
    /// The session of the sign-in.
    pub session: Session,
}

/// What is kept of an account until it is erased.
#[derive(Debug, Clone, Default)]
struct Made {
    address: String,
    password: String,
    user_id: Option<String>,
    /// A session that no check touches.
    access: Option<String>,
    codes: Vec<String>,
}

/// Everybody that was made.
#[derive(Debug)]
pub struct People {
    client: Client,
    /// An administrator's access token.
    token: Option<SecretString>,
    address: String,
    made: Mutex<Vec<Made>>,
}

/// Returns a sign-in that wants its tokens in the body.
pub fn sign_in(address: &str, password: &str) -> Ask {
    Ask::post("/v1/auth/login", json!({"email": address, "password": password, "token_delivery": "body"}))
}

/// Returns the same from a known device.
pub fn sign_in_on(address: &str, password: &str, device: &str) -> Ask {
    let body = json!({
        "email": address, "password": password, "token_delivery": "body", "device_token": device
    });
    Ask::post("/v1/auth/login", body)
}

/// Returns a refresh with this token.
pub fn refresh(token: &str) -> Ask {
    Ask::post("/v1/auth/refresh", json!({"refresh_token": token}))
}

/// Returns a request for the own account.
pub fn me(token: &str) -> Ask {
    Ask::get("/v1/users/me").with(token)
}

impl Session {
    /// Reads a session; fails where something else was answered.
    pub fn read(answer: &Answer) -> Result<Self, Trouble> {
        let (access, refresh) = (answer.text("access_token"), answer.text("refresh_token"));
        if access.is_empty() || refresh.is_empty() {
            return Err(Trouble::Unexpected(format!("{}, and not a session", answer.shown())));
        }
        let device = answer.text("device_token").to_owned();
        Ok(Self { access: access.to_owned(), refresh: refresh.to_owned(), device })
    }
}

impl People {
    /// Returns a run in which nobody was made yet. `{}` in the address is something new each time.
    pub fn new(client: Client, token: Option<SecretString>, address: &str) -> Self {
        Self { client, token, address: address.to_lowercase(), made: Mutex::default() }
    }

    /// Returns an address that nobody has.
    pub fn new_address(&self) -> Result<String, Trouble> {
        Ok(self.address.replace("{}", &something_new(6)?))
    }

    /// Returns the request that makes an account: by the administrator where there is one, else a registration.
    pub fn making(&self, address: &str, password: &str) -> Ask {
        let person = json!({"email": address, "password": password, "name": "Portcullis Probe"});
        match &self.token {
            Some(token) => Ask::post("/v1/admin/users", person).with(token.expose_secret()),
            None => Ask::post("/v1/auth/register", person),
        }
    }

    /// Has this account erased in the end.
    pub fn remember(&self, address: &str, password: &str) {
        let made = Made { address: address.to_owned(), password: password.to_owned(), ..Made::default() };
        self.with(|all| all.push(made));
    }

    /// Makes an account and signs its owner in; fails when either is refused.
    pub async fn person(&self) -> Result<Person, Trouble> {
        let (address, password) = (self.new_address()?, something_new(12)?);
        // Before it is there: the answer may be lost.
        self.remember(&address, &password);
        let made = self.client.ask(&self.making(&address, &password)).await?;
        if made.status != 201 && made.status != 202 {
            self.with(|all| all.retain(|one| one.address != address));
            made.clone().wants(201)?;
        }
        let user_id = made.text("user_id").to_owned();
        let kept = Session::read(&self.client.ask(&sign_in(&address, &password)).await?.wants(200)?)?;
        self.change(&address, |one| {
            one.access = Some(kept.access.clone());
            one.user_id = (!user_id.is_empty()).then_some(user_id.clone());
        });
        let session = Session::read(&self.client.ask(&sign_in(&address, &password)).await?.wants(200)?)?;
        Ok(Person { address, password, session })
    }

    /// Sets a second factor up. Returns the code it was proved with, and backup codes; some more are kept for the erasure.
    pub async fn second_factor(&self, person: &Person) -> Result<(String, Vec<String>), Trouble> {
        let set_up = Ask::post("/v1/mfa/totp/setup", Value::Null).with(&person.session.access);
        let set_up = self.client.ask(&set_up).await?.wants(200)?;
        let app = Totp::from_url(set_up.text("otpauth_uri"));
        let app = app.map_err(|_| Trouble::Unexpected("the secret of a factor cannot be read".to_owned()))?;
        let now = u64::try_from(SystemClock.now().as_second()).unwrap_or_default();
        let code = app.generate(now).to_string();
        let enable = Ask::post("/v1/mfa/totp/enable", json!({"code": code})).with(&person.session.access);
        let enabled = self.client.ask(&enable).await?.wants(200)?;
        let codes = enabled.body.get("backup_codes").and_then(Value::as_array).into_iter().flatten();
        let mut codes: Vec<String> = codes.filter_map(Value::as_str).map(str::to_owned).collect();
        let kept = codes.split_off(codes.len() / 2);
        self.change(&person.address, |one| one.codes.clone_from(&kept));
        Ok((code, codes))
    }

    /// Erases everybody, whatever became of the checks. Returns the addresses of those who are still there.
    pub async fn erase_all(&self, client: &Client) -> Vec<String> {
        let all = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        let mut left_behind = Vec::new();
        for made in all {
            if self.erase(client, &made).await.is_err() {
                left_behind.push(made.address);
            }
        }
        left_behind
    }

    async fn erase(&self, client: &Client, made: &Made) -> Result<(), Trouble> {
        if let Some(token) = &self.token {
            let token = token.expose_secret();
            let id = match &made.user_id {
                Some(id) => Some(id.clone()),
                None => found_by_address(client, token, &made.address).await?,
            };
            let Some(id) = id else { return Ok(()) };
            let erased =
                client.ask(&Ask::delete(format!("/v1/admin/users/{id}"), Value::Null).with(token)).await?;
            if erased.status == 204 || erased.status == 404 {
                return Ok(());
            }
        }
        let erase = |token: &str| Ask::delete("/v1/users/me", json!({"password": made.password})).with(token);
        if let Some(access) = &made.access
            && client.ask(&erase(access)).await?.status == 204
        {
            return Ok(());
        }
        let answer = client.ask(&sign_in(&made.address, &made.password)).await?;
        // Never made, or gone already.
        if answer.status == 401 {
            return Ok(());
        }
        let session = finished(client, answer.wants(200)?, made).await?;
        client.ask(&erase(&session.access)).await?.wants(204).map(drop)
    }

    fn change(&self, address: &str, change: impl Fn(&mut Made)) {
        self.with(|all| all.iter_mut().filter(|one| one.address == address).for_each(&change));
    }

    fn with(&self, act: impl FnOnce(&mut Vec<Made>)) {
        act(&mut self.made.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

async fn found_by_address(client: &Client, token: &str, address: &str) -> Result<Option<String>, Trouble> {
    let search = format!("/v1/admin/users?limit=1&search={}", address.replace('+', "%2B"));
    let found = client.ask(&Ask::get(search).with(token)).await?.wants(200)?;
    let id = found.body.pointer("/items/0/user_id").and_then(Value::as_str);
    Ok(id.map(str::to_owned))
}

/// Returns the session of a sign-in, with a backup code where one is asked for.
async fn finished(client: &Client, answer: Answer, made: &Made) -> Result<Session, Trouble> {
    if answer.text("status") != "mfa_required" {
        return Session::read(&answer);
    }
    let mut answer_to_code = answer.clone();
    for code in &made.codes {
        let body = json!({"session_token": answer.text("session_token"), "code": code});
        answer_to_code = client.ask(&Ask::post("/v1/auth/mfa/verify", body)).await?;
        if answer_to_code.status == 200 {
            break;
        }
    }
    Session::read(&answer_to_code)
}
