//! The component of Go Pitaya's end-to-end suite.

use crate::messages::{SendRpc, SendToUsers, TestRequest, TestResponse};
use pitaya_runtime::cluster::GroupError;
use pitaya_runtime::codes;
use pitaya_runtime::prelude::*;
use pitaya_runtime::session::Push;
use std::str::from_utf8;

pub struct TestSvc;

/// The type of the frontends of every suite.
const FRONTENDS: &str = "connector";
/// The group that everybody who binds is in.
const GROUP: &str = "g1";

#[handler(name = "testsvc", codec(Json, Protobuf))]
impl TestSvc {
    #[on(init)]
    async fn open(&self, groups: &Groups) -> Result<()> {
        Ok(groups.ensure(GROUP).await?)
    }

    pub fn testrequestonlysessionreturnsptr(&self) -> TestResponse {
        TestResponse::ok("hello")
    }

    pub fn testrequestonlysessionreturnsptrnil(&self) -> Result<TestResponse> {
        Err(Error::null_reply())
    }

    pub fn testrequestonlysessionreturnsrawnil(&self) -> Result<Raw> {
        Err(Error::null_reply())
    }

    pub fn testrequestreturnsptr(&self, request: TestRequest) -> TestResponse {
        TestResponse::ok(request.msg)
    }

    pub fn testrequestreturnsraw(&self, request: TestRequest) -> Raw {
        Raw::from(request.msg)
    }

    pub fn testrequestreceivereturnsraw(&self, raw: Raw) -> Raw {
        raw
    }

    pub fn testrequestreturnserror(&self, _raw: Raw) -> Result<Raw> {
        Err(Error::new("PIT-555", "somerror"))
    }

    pub async fn testbind(&self, session: &Session, groups: &Groups) -> Result<Raw> {
        let uid = uuid::Uuid::new_v4().to_string();
        bind(session, groups, &uid).await
    }

    pub async fn testbindid(&self, session: &Session, groups: &Groups, uid: Raw) -> Result<Raw> {
        bind(session, groups, from_utf8(&uid.0)?).await
    }

    #[route(notify)]
    pub async fn testsendgroupmsg(&self, groups: &Groups, raw: Raw) -> Result<()> {
        Ok(groups.at(FRONTENDS).multicast(GROUP, &Push::raw("route.test", raw.0)?, |_| true).await?)
    }

    #[route(notify)]
    pub async fn testsendgroupmsgptr(&self, groups: &Groups, request: TestRequest) -> Result<()> {
        Ok(groups.at(FRONTENDS).broadcast_as::<(Json, Protobuf), _>(GROUP, "route.testptr", &request).await?)
    }

    #[route(notify)]
    pub async fn testsendtousers(&self, app: &App, raw: Raw) -> Result<()> {
        let send: SendToUsers = pitaya_runtime::json::read(&raw.0)?;
        Ok(app.users(FRONTENDS).push_encoded(&Push::raw("route.sendtousers", send.msg)?, &send.uids).await?)
    }

    pub async fn testsendrpc(&self, app: &App, rpc: &Rpc, raw: Raw) -> Result<TestResponse> {
        let (kind, method, data) = remote(app, &raw)?;
        rpc.any::<(Protobuf,)>(kind).send(method, &TestRequest { msg: data }).request().await
    }

    pub async fn testsendrpcnoargs(&self, app: &App, rpc: &Rpc, raw: Raw) -> Result<TestResponse> {
        let (kind, method, _) = remote(app, &raw)?;
        rpc.any::<(Protobuf,)>(kind).empty(method).request().await
    }

    pub fn testrequestkickuser(&self, app: &App, uid: Raw) -> Result<TestResponse> {
        let session = app.sessions().by_uid(from_utf8(&uid.0)?);
        session.ok_or_else(|| Error::new(codes::NOT_FOUND, "session not found"))?.kick()?;
        Ok(TestResponse::ok("ok"))
    }

    pub fn testrequestkickme(&self, session: &Session) -> Result<TestResponse> {
        session.kick()?;
        Ok(TestResponse::ok("ok"))
    }
}

async fn bind(session: &Session, groups: &Groups, uid: &str) -> Result<Raw> {
    session.bind(uid).await.map_err(|e| Error::new("PIT-444", e.message().to_owned()))?;
    match groups.add_member(GROUP, uid).await {
        // A uid that another session had before is in it still.
        Ok(()) | Err(GroupError::MemberAlreadyExists) => Ok(Raw::from("ack")),
        Err(e) => Err(Error::new("PIT-555", e.to_string())),
    }
}

/// The server type, the remote, and its argument.
fn remote(app: &App, raw: &Raw) -> Result<(String, String, String)> {
    let SendRpc { route, data } = pitaya_runtime::json::read(&raw.0)?;
    let Some((kind, method)) = route.split_once('.') else {
        return Err(Error::bad_request("invalid route"));
    };
    if !method.contains('.') {
        let text = "no server type chosen for sending RPC, send a full route in the format server.service.component";
        return Err(Error::new(codes::UNKNOWN, text));
    }
    if kind == app.server_type() {
        return Err(nonsense());
    }
    Ok((kind.to_owned(), method.to_owned(), data))
}

/// Ours may call its own type, and itself; Go's suite wants to hear that Go may not.
pub fn nonsense() -> Error {
    let text = "you are making a rpc that may be processed locally, either specify a different server type or specify a server id";
    Error::new(codes::UNKNOWN, text)
}

/// What other servers call.
pub struct TestRemoteSvc;

#[remote(name = "testremotesvc", codec = Protobuf)]
impl TestRemoteSvc {
    pub async fn rpctestrawptrreturnsptr(&self, request: TestRequest) -> Result<TestResponse> {
        Ok(TestResponse::ok(format!("got {}", request.msg)))
    }

    pub async fn rpctestptrreturnsptr(&self, request: TestRequest) -> Result<TestResponse> {
        Ok(TestResponse::ok(format!("got {}", request.msg)))
    }

    pub async fn rpctestreturnserror(&self, _request: TestRequest) -> Result<TestResponse> {
        Err(Error::new("PIT-433", "test error").with("some", "meta"))
    }

    pub async fn rpctestnoargs(&self) -> Result<TestResponse> {
        Ok(TestResponse::ok("got nothing"))
    }
}
