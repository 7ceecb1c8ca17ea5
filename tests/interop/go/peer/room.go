package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	pitaya "github.com/topfreegames/pitaya/v3/pkg"
	"github.com/topfreegames/pitaya/v3/pkg/component"
	"github.com/topfreegames/pitaya/v3/pkg/protos/test"
)

// answer is a reply, or the error alone: Pitaya wants one of them to be nil.
func answer(reply *test.TestResponse, err error) (*test.TestResponse, error) {
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// report writes an error that nobody is told.
func report(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
	}
}

// Move is a player's step. The tags make it a protobuf message without generated code.
type Move struct {
	UID string    `protobuf:"bytes,1,opt,name=uid,proto3" json:"uid"`
	Seq uint64    `protobuf:"varint,2,opt,name=seq,proto3" json:"seq"`
	Pos []float64 `protobuf:"fixed64,3,rep,packed,name=pos,proto3" json:"pos"`
	Act string    `protobuf:"bytes,4,opt,name=act,proto3" json:"act"`
}

func (m *Move) Reset()         { *m = Move{} }
func (m *Move) String() string { return fmt.Sprintf("%+v", *m) }
func (*Move) ProtoMessage()    {}

// Room is what a game does: echo, data, bind, push, kick, wait, fail.
type Room struct {
	component.Base
	app      pitaya.Pitaya
	frontend bool
}

func (r *Room) Join(ctx context.Context, raw []byte) ([]byte, error) { return raw, nil }

func (r *Room) Echo(ctx context.Context, raw []byte) ([]byte, error) { return raw, nil }

func (r *Room) Move(ctx context.Context, step *Move) (*Move, error) { return step, nil }

func (r *Room) SetData(ctx context.Context, raw []byte) ([]byte, error) {
	session := r.app.GetSessionFromCtx(ctx)
	var data map[string]any
	if err := json.Unmarshal(raw, &data); err != nil {
		return nil, pitaya.Error(err, "ROOM-400", map[string]string{"why": "json"})
	}
	if err := session.SetData(data); err != nil {
		return nil, err
	}
	if r.frontend {
		return []byte("front"), nil
	}
	if err := session.PushToFront(ctx); err != nil {
		return nil, err
	}
	return []byte("pushed"), nil
}

func (r *Room) GetData(ctx context.Context) ([]byte, error) {
	return r.app.GetSessionFromCtx(ctx).GetDataEncoded(), nil
}

func (r *Room) BindTo(ctx context.Context, uid []byte) ([]byte, error) {
	if err := r.app.GetSessionFromCtx(ctx).Bind(ctx, string(uid)); err != nil {
		return nil, pitaya.Error(err, "ROOM-BIND")
	}
	return []byte("bound"), nil
}

func (r *Room) PushMe(ctx context.Context, raw []byte) ([]byte, error) {
	session := r.app.GetSessionFromCtx(ctx)
	if err := session.Push("onPush", raw); err != nil {
		return nil, err
	}
	step := &Move{UID: session.UID(), Seq: 7, Pos: []float64{1.5, 2}, Act: "p"}
	if err := session.Push("onMove", step); err != nil {
		return nil, err
	}
	return []byte("after two pushes"), nil
}

func (r *Room) KickMe(ctx context.Context) ([]byte, error) {
	if err := r.app.GetSessionFromCtx(ctx).Kick(ctx); err != nil {
		return nil, err
	}
	return []byte("kicked"), nil
}

func (r *Room) Sleep(ctx context.Context, raw []byte) ([]byte, error) {
	duration, err := time.ParseDuration(string(raw))
	if err != nil {
		return nil, pitaya.Error(err, "ROOM-400")
	}
	time.Sleep(duration)
	return []byte("slept"), nil
}

func (r *Room) Panic(ctx context.Context) ([]byte, error) {
	panic("on purpose")
}

func (r *Room) Told(ctx context.Context, raw []byte) {
	report(r.app.GetSessionFromCtx(ctx).Push("onTold", raw))
}

// Interop is what only a mixed cluster is asked.
type Interop struct {
	component.Base
	app pitaya.Pitaya
}

// ID tells which server answers.
func (i *Interop) ID(ctx context.Context) ([]byte, error) {
	return []byte(i.app.GetServerID()), nil
}

// BindPush binds and pushes at once: the frontend must hear pushes before it says that it has bound.
func (i *Interop) BindPush(ctx context.Context, uid []byte) ([]byte, error) {
	session := i.app.GetSessionFromCtx(ctx)
	if err := session.Bind(ctx, string(uid)); err != nil {
		return nil, err
	}
	if err := session.Push("onBound", uid); err != nil {
		return nil, err
	}
	return []byte("bound and pushed"), nil
}

// RPCTo makes an RPC to the server with an id.
func (i *Interop) RPCTo(ctx context.Context, raw []byte) (*test.TestResponse, error) {
	var call call
	if err := json.Unmarshal(raw, &call); err != nil {
		return nil, err
	}
	reply := &test.TestResponse{}
	err := i.app.RPCTo(ctx, call.ID, call.Route, reply, &test.TestRequest{Msg: call.Data})
	return answer(reply, err)
}

// KickUsers kicks users of the frontends by uid, wherever they are.
func (i *Interop) KickUsers(ctx context.Context, raw []byte) ([]byte, error) {
	var uids []string
	if err := json.Unmarshal(raw, &uids); err != nil {
		return nil, err
	}
	if _, err := i.app.SendKickToUsers(uids, frontends); err != nil {
		return nil, err
	}
	return []byte("kicked"), nil
}
