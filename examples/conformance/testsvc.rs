//! The component of Go Pitaya's end-to-end suite.

use crate::messages::{SendRpc, SendToUsers, TestRequest, TestResponse};
use pitaya_runtime::cluster::GroupError;
use pitaya_runtime::codes;
use pitaya_runtime::prelude::*;
use pitaya_runtime::session::Push;
use std::str::from_utf8;

pub struct TestSvc;

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
        Ok(groups.multicast(GROUP, &Push::raw("route.test", raw.0)?, |_| true).await?)
    }

    #[route(notify)]
    pub async fn testsendgroupmsgptr(&self, groups: &Groups, request: TestRequest) -> Result<()> {
        Ok(groups.broadcast_as::<(Json, Protobuf), _>(GROUP, "route.testptr", &request).await?)
    }

    #[route(notify)]
    pub fn testsendtousers(&self, app: &App, raw: Raw) -> Result<()> {
        let send: SendToUsers = serde_json::from_slice(&raw.0)?;
        Ok(app.push_encoded(&Push::raw("route.sendtousers", send.msg)?, &send.uids)?)
    }

    pub fn testsendrpc(&self, raw: Raw) -> Result<TestResponse> {
        rpc(&raw)
    }

    pub fn testsendrpcnoargs(&self, raw: Raw) -> Result<TestResponse> {
        rpc(&raw)
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

/// Standalone there is nobody to call.
fn rpc(raw: &Raw) -> Result<TestResponse> {
    let SendRpc { route } = serde_json::from_slice(&raw.0)?;
    tracing::debug!("no RPC to {route}: the server is standalone");
    Err(Error::new(codes::UNKNOWN, "RPC server is not running"))
}
