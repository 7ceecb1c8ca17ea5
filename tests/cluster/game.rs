//! What the servers of these tests do.

use parking_lot::Mutex;
use pitaya_runtime::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

/// Why somebody is kicked.
pub fn out(message: &str) -> KickReason {
    let data = KickReason::new("OUT-1", message).with_data(&[1, 2, 3]);
    data.unwrap_or_else(|e| panic!("{e:?}"))
}

/// A component on a backend, and on frontends too.
#[derive(Default)]
pub struct Room {
    pub heard: Mutex<Vec<String>>,
    pub told: AtomicU64,
    /// Sessions that were kept, and what those that were not must let go of.
    pub kept: Mutex<Vec<Session>>,
    pub left: Arc<()>,
    pub gate: Option<Arc<tokio::sync::Semaphore>>,
}

#[handler(codec(Json, Protobuf))]
impl Room {
    /// At once.
    pub fn echo(&self, raw: Raw) -> Raw {
        raw
    }

    /// A little later.
    pub async fn slow_echo(&self, raw: Raw) -> Raw {
        tokio::time::sleep(Duration::from_millis(5)).await;
        raw
    }

    /// Where it runs, and for whom.
    pub fn who(&self, app: &App, session: &Session) -> Raw {
        let frontend = session.frontend().map_or("-", |peer| &peer.id);
        let uid = session.uid();
        Raw::from(format!("{} {frontend} {}", app.server_id(), uid.as_deref().unwrap_or("nobody")))
    }

    pub async fn bind(&self, session: &Session, uid: Raw) -> Result<Raw> {
        session.bind(std::str::from_utf8(&uid.0)?).await?;
        session.push_raw("onBound", b"at once")?;
        Ok(Raw::from("bound"))
    }

    pub async fn set(&self, session: &Session, raw: Raw) -> Result<Raw> {
        session.data().replace_encoded(&raw.0)?;
        session.push_to_front().await?;
        Ok(Raw::from("set"))
    }

    pub async fn add(&self, session: &Session, key: Raw) -> Result<Raw> {
        session.data().set(std::str::from_utf8(&key.0)?, 1)?;
        session.push_to_front().await?;
        Ok(Raw::from("added"))
    }

    pub fn get(&self, session: &Session) -> Raw {
        Raw(session.data().encoded())
    }

    /// Leaves things with the session and tells nobody; keeps it when asked to.
    pub fn scribble(&self, session: &Session, keep: Raw) -> Result<Raw> {
        session.data().set("scribble", true)?;
        let value = self.left.clone();
        session.on_close(move |_, _| drop(value));
        if &keep.0[..] == b"keep" {
            self.kept.lock().push(session.clone());
        }
        Ok(Raw(session.data().encoded()))
    }

    /// Three pushes, then the answer.
    pub async fn pushes(&self, session: &Session, raw: Raw) -> Result<Raw> {
        for n in 0..3_u8 {
            session.push_raw("onPush", &[&raw.0[..], &[b'0' + n]].concat())?;
        }
        Ok(raw)
    }

    pub fn kick(&self, session: &Session) -> Result<Raw> {
        session.kick()?;
        Ok(Raw::from("kicked"))
    }

    pub fn kick_out(&self, session: &Session, why: Raw) -> Result<Raw> {
        session.kick_with(&out(std::str::from_utf8(&why.0)?))?;
        Ok(Raw::from("kicked"))
    }

    pub fn fail(&self) -> Result<Raw> {
        Err(Error::new("ROOM-1", "on purpose").with("some", "meta"))
    }

    pub fn panic(&self) -> Raw {
        panic!("on purpose")
    }

    pub async fn stuck(&self) -> Raw {
        std::future::pending().await
    }

    /// Waits until it is let through.
    pub async fn wait(&self, raw: Raw) -> Result<Raw> {
        let gate = self.gate.as_ref().ok_or_else(|| Error::internal("no gate"))?;
        gate.acquire().await?.forget();
        self.heard.lock().push(String::from_utf8_lossy(&raw.0).into_owned());
        Ok(raw)
    }

    #[route(notify)]
    pub fn tell(&self, raw: Raw) {
        self.heard.lock().push(String::from_utf8_lossy(&raw.0).into_owned());
        self.told.fetch_add(1, SeqCst);
    }

    #[route(internal)]
    pub fn secret(&self) -> Raw {
        Raw::from("secret")
    }
}
