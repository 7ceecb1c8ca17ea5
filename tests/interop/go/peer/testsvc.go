package main

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/uuid"
	pitaya "github.com/topfreegames/pitaya/v3/pkg"
	"github.com/topfreegames/pitaya/v3/pkg/component"
	"github.com/topfreegames/pitaya/v3/pkg/constants"
	"github.com/topfreegames/pitaya/v3/pkg/protos/test"
	"github.com/topfreegames/pitaya/v3/pkg/session"
)

// group is the one that everybody who binds is in.
const group = "g1"

// frontends is the server type whose clients are pushed to.
const frontends = "connector"

func okay(msg string) *test.TestResponse {
	return &test.TestResponse{Code: 200, Msg: msg}
}

// TestSvc is the service of Pitaya's own end-to-end suite.
type TestSvc struct {
	component.Base
	app      pitaya.Pitaya
	sessions session.SessionPool
}

// Init makes the group, if another server has not.
func (t *TestSvc) Init() {
	err := t.app.GroupCreate(context.Background(), group)
	if err != nil && !errors.Is(err, constants.ErrGroupAlreadyExists) {
		fail("group %s: %v", group, err)
	}
}

func (t *TestSvc) TestRequestOnlySessionReturnsPtr(ctx context.Context) (*test.TestResponse, error) {
	return okay("hello"), nil
}

func (t *TestSvc) TestRequestOnlySessionReturnsPtrNil(ctx context.Context) (*test.TestResponse, error) {
	return nil, nil
}

func (t *TestSvc) TestRequestOnlySessionReturnsRawNil(ctx context.Context) ([]byte, error) {
	return nil, nil
}

func (t *TestSvc) TestRequestReturnsPtr(ctx context.Context, request *test.TestRequest) (*test.TestResponse, error) {
	return okay(request.Msg), nil
}

func (t *TestSvc) TestRequestReturnsRaw(ctx context.Context, request *test.TestRequest) ([]byte, error) {
	return []byte(request.Msg), nil
}

func (t *TestSvc) TestRequestReceiveReturnsRaw(ctx context.Context, raw []byte) ([]byte, error) {
	return raw, nil
}

func (t *TestSvc) TestRequestReturnsError(ctx context.Context, raw []byte) ([]byte, error) {
	return nil, pitaya.Error(errors.New("somerror"), "PIT-555")
}

func (t *TestSvc) TestBind(ctx context.Context) ([]byte, error) {
	return t.TestBindID(ctx, []byte(uuid.NewString()))
}

func (t *TestSvc) TestBindID(ctx context.Context, uid []byte) ([]byte, error) {
	if err := t.app.GetSessionFromCtx(ctx).Bind(ctx, string(uid)); err != nil {
		return nil, pitaya.Error(err, "PIT-444")
	}
	err := t.app.GroupAddMember(ctx, group, string(uid))
	// A uid that another session had before is in it still.
	if err != nil && !errors.Is(err, constants.ErrMemberAlreadyExists) {
		return nil, pitaya.Error(err, "PIT-441")
	}
	return []byte("ack"), nil
}

func (t *TestSvc) TestSendGroupMsg(ctx context.Context, raw []byte) {
	report(t.app.GroupBroadcast(ctx, frontends, group, "route.test", raw))
}

func (t *TestSvc) TestSendGroupMsgPtr(ctx context.Context, request *test.TestRequest) {
	report(t.app.GroupBroadcast(ctx, frontends, group, "route.testptr", request))
}

func (t *TestSvc) TestSendToUsers(ctx context.Context, raw []byte) {
	var send struct {
		UIDs []string `json:"uids"`
		Msg  string   `json:"msg"`
	}
	if err := json.Unmarshal(raw, &send); err != nil {
		report(err)
		return
	}
	_, err := t.app.SendPushToUsers("route.sendtousers", []byte(send.Msg), send.UIDs, frontends)
	report(err)
}

// call is what the routes that make an RPC are told; in JSON whatever the serializer.
type call struct {
	ID    string `json:"id"`
	Route string `json:"route"`
	Data  string `json:"data"`
}

func (t *TestSvc) TestSendRPC(ctx context.Context, raw []byte) (*test.TestResponse, error) {
	var call call
	if err := json.Unmarshal(raw, &call); err != nil {
		return nil, err
	}
	reply := &test.TestResponse{}
	err := t.app.RPC(ctx, call.Route, reply, &test.TestRequest{Msg: call.Data})
	return answer(reply, err)
}

func (t *TestSvc) TestSendRPCNoArgs(ctx context.Context, raw []byte) (*test.TestResponse, error) {
	var call call
	if err := json.Unmarshal(raw, &call); err != nil {
		return nil, err
	}
	reply := &test.TestResponse{}
	err := t.app.RPC(ctx, call.Route, reply, nil)
	return answer(reply, err)
}

func (t *TestSvc) TestRequestKickUser(ctx context.Context, uid []byte) (*test.TestResponse, error) {
	session := t.sessions.GetSessionByUID(string(uid))
	if session == nil {
		return nil, pitaya.Error(constants.ErrSessionNotFound, "PIT-404")
	}
	return answer(okay("ok"), session.Kick(ctx))
}

func (t *TestSvc) TestRequestKickMe(ctx context.Context) (*test.TestResponse, error) {
	return answer(okay("ok"), t.app.GetSessionFromCtx(ctx).Kick(ctx))
}

// TestRemoteSvc is what other servers may call.
type TestRemoteSvc struct {
	component.Base
}

func (t *TestRemoteSvc) RPCTestRawPtrReturnsPtr(ctx context.Context, request *test.TestRequest) (*test.TestResponse, error) {
	return okay("got " + request.Msg), nil
}

func (t *TestRemoteSvc) RPCTestPtrReturnsPtr(ctx context.Context, request *test.TestRequest) (*test.TestResponse, error) {
	return okay("got " + request.Msg), nil
}

func (t *TestRemoteSvc) RPCTestReturnsError(ctx context.Context, request *test.TestRequest) (*test.TestResponse, error) {
	return nil, pitaya.Error(errors.New("test error"), "PIT-433", map[string]string{"some": "meta"})
}

func (t *TestRemoteSvc) RPCTestNoArgs(ctx context.Context) (*test.TestResponse, error) {
	return okay("got nothing"), nil
}
