// A Go Pitaya server with the services of the example conformance: the other half of a mixed cluster.
//
// It knows the same flags, speaks through Pitaya's public API alone, and says on standard error when it is ready and
// where it listens, in the words of the example.
package main

import (
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
	"github.com/topfreegames/pitaya/v3/pkg/groups"
	logruswrapper "github.com/topfreegames/pitaya/v3/pkg/logger/logrus"
	"github.com/topfreegames/pitaya/v3/pkg/modules"
	"github.com/topfreegames/pitaya/v3/pkg/serialize/json"
	"github.com/topfreegames/pitaya/v3/pkg/serialize/protobuf"
)

func main() {
	serverType := flag.String("type", "connector", "the server type")
	frontend := flag.Bool("frontend", true, "whether clients connect to it")
	port := flag.Int("port", 32222, "the port a frontend listens on")
	addr := flag.String("addr", "", "HOST:PORT, wins over -port")
	sdPrefix := flag.String("sdprefix", "pitaya/", "what the keys in etcd begin with")
	serializer := flag.String("serializer", "json", "json or protobuf")
	groupStore := flag.String("groups", "memory", "memory or etcd")
	debug := flag.Bool("debug", false, "log everything")
	flag.Parse()

	log := logrus.New()
	log.SetLevel(logrus.WarnLevel)
	if *debug {
		log.SetLevel(logrus.DebugLevel)
	}
	pitaya.SetLogger(logruswrapper.NewWithFieldLogger(log))

	settings := viper.New()
	settings.Set("pitaya.cluster.sd.etcd.prefix", *sdPrefix)
	settings.Set("pitaya.groups.etcd.prefix", *sdPrefix)
	settings.Set("pitaya.handler.messages.compression", false)
	// No metadata at all: the record says `"metadata":null`, as that of any app that has none to give.
	builder := pitaya.NewBuilderWithConfigs(*frontend, *serverType, pitaya.Cluster, nil, config.NewConfig(settings))

	listening := func() string { return "" }
	if *frontend {
		if *addr == "" {
			*addr = fmt.Sprintf(":%d", *port)
		}
		tcp := acceptor.NewTCPAcceptor(*addr)
		builder.AddAcceptor(tcp)
		listening = tcp.GetAddr
	}

	switch *serializer {
	case "json":
		builder.Serializer = json.NewSerializer()
	case "protobuf":
		builder.Serializer = protobuf.NewSerializer()
	default:
		fail("-serializer %s: json or protobuf", *serializer)
	}

	switch *groupStore {
	case "memory":
		builder.Groups = groups.NewMemoryGroupService(builder.Config.Groups.Memory)
	case "etcd":
		store, err := groups.NewEtcdGroupService(builder.Config.Groups.Etcd, nil)
		if err != nil {
			fail("groups in etcd: %v", err)
		}
		builder.Groups = store
	default:
		fail("-groups %s: memory or etcd", *groupStore)
	}

	app := builder.Build()
	for name, service := range map[string]component.Component{
		"testsvc": &TestSvc{app: app, sessions: builder.SessionPool},
		"room":    &Room{app: app, frontend: *frontend},
		"interop": &Interop{app: app},
	} {
		app.Register(service, component.WithName(name), component.WithNameFunc(strings.ToLower))
	}
	app.RegisterRemote(&TestRemoteSvc{}, component.WithName("testremotesvc"), component.WithNameFunc(strings.ToLower))
	if err := app.RegisterModule(&announcer{listening: listening}, "announcer"); err != nil {
		fail("%v", err)
	}
	app.Start()
}

func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "peer: "+format+"\n", values...)
	os.Exit(2)
}

// announcer says that the server is ready. Pitaya's own line is one of its log and has no address.
type announcer struct {
	modules.Base
	listening func() string
}

// AfterInit comes when every module has been initialized, discovery among them.
func (a *announcer) AfterInit() {
	fmt.Fprintf(os.Stderr, "all modules started! listening on %s\n", a.listening())
}
