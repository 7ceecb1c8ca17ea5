//! What only a mixed cluster is asked: who answers, and what must hold between servers of two languages.

use crate::messages::{RpcTo, TestRequest, TestResponse};
use crate::testsvc::nonsense;
use pitaya_runtime::codes;
use pitaya_runtime::prelude::*;
use std::str::from_utf8;

pub struct Interop;

#[handler(codec(Json, Protobuf))]
impl Interop {
    /// Which server answers.
    pub fn id(&self, app: &App) -> Raw {
        Raw::from(app.server_id().to_owned())
    }

    /// Binds and pushes at once: the frontend must hear pushes before it says that it has bound.
    pub async fn bindpush(&self, session: &Session, uid: Raw) -> Result<Raw> {
        session.bind(from_utf8(&uid.0)?).await?;
        session.push_raw("onBound", &uid.0)?;
        Ok(Raw::from("bound and pushed"))
    }

    /// An RPC to the server with an id.
    pub async fn rpcto(&self, app: &App, raw: Raw) -> Result<TestResponse> {
        let RpcTo { id, route, data } = pitaya_runtime::json::read(&raw.0)?;
        let Some((_, method)) = route.split_once('.') else {
            return Err(Error::new(codes::BAD_REQUEST, "invalid route"));
        };
        if id == app.server_id() {
            return Err(nonsense());
        }
        let server = app.rpc().server::<(Protobuf,)>(id);
        server.send(method.to_owned(), &TestRequest { msg: data }).request().await
    }

    /// Kicks users by uid, wherever they are.
    pub async fn kickusers(&self, app: &App, raw: Raw) -> Result<Raw> {
        let uids: Vec<String> = pitaya_runtime::json::read(&raw.0)?;
        app.users("connector").kick(&uids).await?;
        Ok(Raw::from("kicked"))
    }
}
