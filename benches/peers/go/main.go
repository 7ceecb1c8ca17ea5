// A Go Pitaya server with the echoes of the example conformance, and its defaults: what the suite compares with.
//
// It knows the flags of the example that matter here and says on standard error when it is ready.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/spf13/viper"
	pitaya "github.com/topfreegames/pitaya/v3/pkg"
	"github.com/topfreegames/pitaya/v3/pkg/acceptor"
	"github.com/topfreegames/pitaya/v3/pkg/component"
	"github.com/topfreegames/pitaya/v3/pkg/config"
	logruswrapper "github.com/topfreegames/pitaya/v3/pkg/logger/logrus"
	"github.com/topfreegames/pitaya/v3/pkg/modules"
	"github.com/topfreegames/pitaya/v3/pkg/serialize/json"
)

func main() {
	serverType := flag.String("type", "connector", "the server type")
	frontend := flag.Bool("frontend", true, "whether clients connect to it")
	standalone := flag.Bool("standalone", false, "without a broker")
	addr := flag.String("addr", "", "HOST:PORT of a frontend")
	ws := flag.Bool("ws", false, "WebSocket instead of TCP")
	compress := flag.Bool("compress", false, "compress messages, which is Pitaya's default")
	sdPrefix := flag.String("sdprefix", "pitaya/", "what the keys in etcd begin with")
	_ = flag.String("serializer", "json", "always json")
	flag.Parse()

	log := logrus.New()
	log.SetLevel(logrus.ErrorLevel)
	pitaya.SetLogger(logruswrapper.NewWithFieldLogger(log))

	settings := viper.New()
	settings.Set("pitaya.cluster.sd.etcd.prefix", *sdPrefix)
	settings.Set("pitaya.handler.messages.compression", *compress)
	mode := pitaya.Cluster
	if *standalone {
		mode = pitaya.Standalone
	}
	builder := pitaya.NewBuilderWithConfigs(*frontend, *serverType, mode, nil, config.NewConfig(settings))
	builder.Serializer = json.NewSerializer()
	if *frontend && *ws {
		builder.AddAcceptor(acceptor.NewWSAcceptor(*addr))
	} else if *frontend {
		builder.AddAcceptor(acceptor.NewTCPAcceptor(*addr))
	}
	app := builder.Build()
	app.Register(&Room{}, component.WithName("room"), component.WithNameFunc(strings.ToLower))
	if err := app.RegisterModule(&announcer{}, "announcer"); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(2)
	}
	app.Start()
}

// Move is a player's step.
type Move struct {
	UID string    `json:"uid"`
	Seq uint64    `json:"seq"`
	Pos []float64 `json:"pos"`
	Act string    `json:"act"`
}

// Room has the echoes.
type Room struct {
	component.Base
}

// Join returns what it gets.
func (*Room) Join(_ context.Context, raw []byte) ([]byte, error) { return raw, nil }

// Move returns what it gets, decoded and encoded.
func (*Room) Move(_ context.Context, step *Move) (*Move, error) { return step, nil }

// announcer says that the server is ready.
type announcer struct {
	modules.Base
}

// AfterInit comes when every module has been initialized, discovery among them.
func (*announcer) AfterInit() {
	fmt.Fprintln(os.Stderr, "all modules started!")
}
