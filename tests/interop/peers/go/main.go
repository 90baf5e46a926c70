// The interop cases of grpc-go's own library over mutual TLS, and its test server.
//
//	peer --side client --target HOST:PORT|unix:/PATH [--cert FILE --key FILE --ca FILE] --cases A,B --rpcs N --dials N --calls N
//	peer --side server --listen HOST:PORT --cert FILE --key FILE --ca FILE --clients require|none --seconds N
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

var (
	side    = flag.String("side", "", "client or server")
	target  = flag.String("target", "", "")
	listen  = flag.String("listen", "", "")
	cert    = flag.String("cert", "", "")
	key     = flag.String("key", "", "")
	ca      = flag.String("ca", "", "")
	clients = flag.String("clients", "require", "")
	cases   = flag.String("cases", "", "")
	calls   = flag.Int("calls", 50, "")
	rpcs    = flag.Int("rpcs", 10, "")
	dials   = flag.Int("dials", 5, "")
	seconds = flag.Int("seconds", 120, "")
)

func die(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func config() *tls.Config {
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	die(err)
	pem, err := os.ReadFile(*ca)
	die(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool}
}

func connect() *grpc.ClientConn {
	how := insecure.NewCredentials()
	if *cert != "" {
		how = credentials.NewTLS(config())
	}
	conn, err := grpc.NewClient(*target, grpc.WithTransportCredentials(how), grpc.WithDisableRetry(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(8<<20)))
	die(err)
	return conn
}

func large() *testpb.SimpleRequest {
	return &testpb.SimpleRequest{ResponseSize: 314159, Payload: &testpb.Payload{Body: make([]byte, 271828)}}
}

func unary(client testpb.TestServiceClient, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	answer, err := client.UnaryCall(ctx, large())
	if err == nil && len(answer.Payload.Body) != 314159 {
		err = fmt.Errorf("%d bytes", len(answer.Payload.Body))
	}
	return err
}

func concurrent(client testpb.TestServiceClient) (first error) {
	var group sync.WaitGroup
	var lock sync.Mutex
	for i := 0; i < *calls; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := unary(client, 2*time.Minute); err != nil {
				lock.Lock()
				first = err
				lock.Unlock()
			}
		}()
	}
	group.Wait()
	return
}

// The library's cases end the program when they fail.
var library = map[string]func(context.Context, testpb.TestServiceClient){
	"empty_unary":                 func(c context.Context, t testpb.TestServiceClient) { interop.DoEmptyUnaryCall(c, t) },
	"large_unary":                 func(c context.Context, t testpb.TestServiceClient) { interop.DoLargeUnaryCall(c, t) },
	"client_streaming":            func(c context.Context, t testpb.TestServiceClient) { interop.DoClientStreaming(c, t) },
	"server_streaming":            func(c context.Context, t testpb.TestServiceClient) { interop.DoServerStreaming(c, t) },
	"ping_pong":                   func(c context.Context, t testpb.TestServiceClient) { interop.DoPingPong(c, t) },
	"empty_stream":                func(c context.Context, t testpb.TestServiceClient) { interop.DoEmptyStream(c, t) },
	"timeout_on_sleeping_server":  func(c context.Context, t testpb.TestServiceClient) { interop.DoTimeoutOnSleepingServer(c, t) },
	"cancel_after_begin":          func(c context.Context, t testpb.TestServiceClient) { interop.DoCancelAfterBegin(c, t) },
	"cancel_after_first_response": func(c context.Context, t testpb.TestServiceClient) { interop.DoCancelAfterFirstResponse(c, t) },
	"status_code_and_message":     func(c context.Context, t testpb.TestServiceClient) { interop.DoStatusCodeAndMessage(c, t) },
	"special_status_message":      func(c context.Context, t testpb.TestServiceClient) { interop.DoSpecialStatusMessage(c, t) },
	"custom_metadata":             func(c context.Context, t testpb.TestServiceClient) { interop.DoCustomMetadata(c, t) },
}

func run(name string, conn *grpc.ClientConn) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client := testpb.NewTestServiceClient(conn)
	switch name {
	case "unimplemented_method":
		interop.DoUnimplementedMethod(ctx, conn)
	case "unimplemented_service":
		interop.DoUnimplementedService(ctx, testpb.NewUnimplementedServiceClient(conn))
	case "concurrent_large_unary":
		return concurrent(client)
	case "rpc_soak":
		for i := 0; i < *rpcs; i++ {
			if err := unary(client, time.Second); err != nil {
				return err
			}
		}
	case "channel_soak":
		for i := 0; i < *dials; i++ {
			other := connect()
			err := unary(testpb.NewTestServiceClient(other), time.Second)
			other.Close()
			if err != nil {
				return err
			}
		}
	default:
		library[name](ctx, client)
	}
	return nil
}

func version() { fmt.Printf("version grpc-go %s on %s\n", grpc.Version, runtime.Version()) }

func main() {
	flag.Parse()
	if *side == "server" {
		how := config()
		if *clients == "require" {
			how.ClientAuth = tls.RequireAndVerifyClientCert
		}
		listener, err := net.Listen("tcp", *listen)
		die(err)
		server := grpc.NewServer(grpc.Creds(credentials.NewTLS(how)), grpc.MaxRecvMsgSize(8<<20))
		testpb.RegisterTestServiceServer(server, interop.NewTestServer())
		version()
		fmt.Println("listening", listener.Addr())
		time.AfterFunc(time.Duration(*seconds)*time.Second, server.Stop)
		die(server.Serve(listener))
		return
	}
	version()
	conn := connect()
	failed := 0
	for _, name := range strings.Split(*cases, ",") {
		if err := run(name, conn); err != nil {
			failed++
			fmt.Printf("fail %s: %v\n", name, err)
			continue
		}
		fmt.Println("pass", name)
	}
	if failed > 0 {
		os.Exit(1)
	}
}
