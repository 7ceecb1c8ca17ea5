//! Remotes by which servers ask each other about memberships of sessions. Only servers that list [`EXTENSION`] are asked.

use super::messages::{Change, Changed, Ended, Held, WhereIs, Whereabouts};
use super::records::{Record, Writer};
use super::{Memberships, Outcome};
use crate::cluster::{ServerInfo, sys};
use bytes::Bytes;
use futures_util::future::join_all;
use pitaya_core::cluster::groups::{GroupError, Holder};
use pitaya_core::rpc::{Peer, Rpc, RpcCall, Target};
use pitaya_core::{Error, Result, codes};
use prost::Message;
use std::sync::Arc;

/// The name by which a server says that it answers these questions.
pub(crate) const EXTENSION: &str = pitaya_core::cluster::server::SESSION_GROUPS;

/// Questions as they come in.
pub(crate) enum Question {
    Joins,
    Leaves,
    Ended,
    Held,
    WhereIs,
}

/// Asking.
impl Memberships {
    /// Has the frontend of a session record a join. Gives the epoch of the frontend.
    pub(super) async fn record_at(&self, frontend: &Peer, session: i64, uid: &str, group: &str) -> Outcome<u64> {
        let changed = self.change_at(frontend, sys::JOIN_GROUP, session, uid, group).await?;
        match changed {
            Changed { ended: true, .. } => Err(GroupError::SessionEnded),
            Changed { unbound: true, .. } => Err(GroupError::NotBound),
            Changed { most: 0, epoch, .. } => Ok(epoch),
            Changed { most, .. } => Err(GroupError::TooManyGroups(usize::try_from(most).unwrap_or(usize::MAX))),
        }
    }

    /// Has the frontend of a session forget a join. Gives its epoch; nothing when the session has ended there.
    pub(super) async fn forget_at(
        &self,
        frontend: &Peer,
        session: i64,
        uid: &str,
        group: &str,
    ) -> Outcome<Option<u64>> {
        let changed = self.change_at(frontend, sys::LEAVE_GROUP, session, uid, group).await?;
        Ok((!changed.ended).then_some(changed.epoch))
    }

    async fn change_at(
        &self,
        frontend: &Peer,
        operation: &'static str,
        session: i64,
        uid: &str,
        group: &str,
    ) -> Outcome<Changed> {
        let own = &self.cluster.own;
        let change = Change {
            session,
            uid: uid.to_owned(),
            group: group.to_owned(),
            server: own.id.to_string(),
            kind: own.kind.to_string(),
            store: self.identity().unwrap_or_default(),
        };
        self.reporting(frontend)?;
        self.ask(&frontend.id, operation, &change).await
    }

    /// The record of a frontend that reports the end of its sessions.
    pub(super) fn reporting(&self, frontend: &Peer) -> Outcome<Arc<ServerInfo>> {
        let unknown = || GroupError::Unavailable(format!("the frontend `{}` is not in discovery", frontend.id));
        let server = self.cluster.servers.get(&frontend.id).ok_or_else(unknown)?;
        if server.speaks(EXTENSION) { Ok(server) } else { Err(GroupError::Frontend(frontend.id.clone())) }
    }

    /// Has the server that wrote these memberships take out a session. When it is gone, another one that has the same store
    /// does it: this one, or any of its type.
    pub(super) async fn end_at(
        &self,
        writer: &Peer,
        store: Option<&str>,
        holder: &Holder,
        uid: &str,
        groups: &[Arc<str>],
    ) -> Outcome<()> {
        let Some(to) = self.stand_in(writer, store)? else {
            let _turn = self.turns.of(&holder.frontend, holder.session).await;
            return self.store.leave(groups, uid, holder).await.map(drop);
        };
        self.ask::<Changed>(&to, sys::SESSION_ENDED, &Ended::new(holder, uid, groups)).await.map(drop)
    }

    /// The server that sees what this one has written: itself, or when it is gone this one (`None`) or another of its type.
    pub(super) fn stand_in(&self, writer: &Peer, store: Option<&str>) -> Outcome<Option<Arc<str>>> {
        let servers = &self.cluster.servers;
        let there = servers.get(&writer.id).filter(|server| server.speaks(EXTENSION));
        if there.is_none() && store.is_some() && store == self.identity().as_deref() {
            return Ok(None);
        }
        let other = || servers.of(&writer.kind).iter().find(|server| server.speaks(EXTENSION)).cloned();
        let nobody = || GroupError::Unavailable(format!("no server of type `{}` is in discovery", writer.kind));
        there.or_else(other).map(|server| Some(server.id.clone())).ok_or_else(nobody)
    }

    /// Whether another frontend of ours that has the same store has a session of this user.
    pub(super) async fn is_elsewhere(&self, uid: &str) -> Outcome<bool> {
        let Some(store) = self.identity() else { return Ok(false) };
        let own = &self.cluster.own.id;
        let servers = self.cluster.servers.all();
        let others = servers.iter().filter(|server| server.frontend && server.id != *own && server.speaks(EXTENSION));
        let question = WhereIs { uid: uid.to_owned(), store };
        let answers = others.map(|server| self.ask::<Whereabouts>(&server.id, sys::WHERE_IS, &question));
        let answers = join_all(answers).await;
        if answers.iter().flatten().any(|answer| answer.here) {
            return Ok(true);
        }
        // Who did not answer may have it.
        answers.into_iter().find_map(|answer| answer.err()).map_or(Ok(false), Err)
    }

    pub(super) fn identity(&self) -> Option<String> {
        self.store.identity().map(|identity| identity.to_string())
    }

    pub(super) async fn ask<A: Message + Default>(
        &self,
        server: &Arc<str>,
        route: &'static str,
        question: &impl Message,
    ) -> Outcome<A> {
        let mut call = RpcCall::new(Target::Server(server.clone()), route);
        call.body = question.encode_to_vec().into();
        let unavailable = |error: Error| {
            let answered = ![codes::TIMEOUT, codes::UNAVAILABLE].contains(&error.code());
            let what = if answered { "answered with an error" } else { "did not answer" };
            GroupError::Unavailable(format!("`{server}` {what}: {}", error.message()))
        };
        let answer = Rpc::shared(self.cluster.clone()).call(call).await.map_err(unavailable)?;
        A::decode(answer).map_err(|error| GroupError::Unavailable(format!("`{server}` gave no answer: {error}")))
    }
}

/// Answering.
impl Memberships {
    pub(crate) async fn answer(&self, question: &Question, body: &Bytes) -> Result<Bytes> {
        match question {
            Question::Joins => Ok(self.joined_elsewhere(read(body)?).await.encode_to_vec().into()),
            Question::Leaves => {
                let Change { session, group, server, .. } = read(body)?;
                self.records.remove(session, &group, Some(&server));
                let ended = self.sessions.get(session).is_none();
                Ok(Changed { epoch: self.epoch, ended, ..Changed::default() }.encode_to_vec().into())
            }
            Question::Ended => {
                let (holder, uid, groups) = read::<Ended>(body)?.into_parts();
                // Behind a join that is on its way to the store.
                let _turn = self.turns.of(&holder.frontend, holder.session).await;
                self.store.leave(&groups, &uid, &holder).await?;
                Ok(Changed::default().encode_to_vec().into())
            }
            Question::Held => {
                let (holder, uid, groups) = read::<Ended>(body)?.into_parts();
                // Not behind one: the join that made the frontend ask is in progress here.
                let held = self.held(&groups, &uid, &holder).await?;
                let groups = held.iter().map(|group| group.to_string()).collect();
                Ok(Held { groups }.encode_to_vec().into())
            }
            Question::WhereIs => {
                let WhereIs { uid, store } = read(body)?;
                let here = self.identity() == Some(store) && self.sessions.by_uid(&uid).is_some();
                Ok(Whereabouts { here }.encode_to_vec().into())
            }
        }
    }

    async fn joined_elsewhere(&self, change: Change) -> Changed {
        let Change { session, uid, group, server, kind, store } = change;
        let mut changed = Changed { epoch: self.epoch, ..Changed::default() };
        let Some(session) = self.sessions.get(session) else { return Changed { ended: true, ..changed } };
        match session.uid() {
            None => return Changed { unbound: true, ..changed },
            // A number that had another owner before this frontend started again.
            Some(known) if *known != *uid => return Changed { ended: true, ..changed },
            Some(_) => {}
        }
        let server = Peer { id: server.into(), kind: kind.into() };
        let store: Option<Arc<str>> = (!store.is_empty()).then(|| store.into());
        let place = store.as_ref().unwrap_or(&server.id).clone();
        let record = Record::new(group.into(), uid.into(), Writer::Other { server, store }, place);
        match self.record(&session, record).await {
            Ok(()) => {}
            Err(GroupError::TooManyGroups(most)) => changed.most = most as u64,
            Err(_) => changed.ended = true,
        }
        changed
    }
}

fn read<M: Message + Default>(body: &Bytes) -> Result<M> {
    M::decode(body.clone()).map_err(|error| Error::bad_request(error.to_string()))
}
