// The peer server in Go, on as many threads as Go likes: its cost is CPU time, whatever the threads.
//
//	server CERT KEY CA [ADDRESS]
//
// Prints "config NAME VALUE" and "listening ADDRESS"; serves until SIGTERM.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"hawser.bench/peer/pb"
)

type bench struct {
	pb.UnimplementedBenchServer
}

func (bench) Echo(_ context.Context, blob *pb.Blob) (*pb.Blob, error) {
	return blob, nil
}

func (bench) Pour(request *pb.PourRequest, stream grpc.ServerStreamingServer[pb.Blob]) error {
	blob := &pb.Blob{Data: make([]byte, request.ChunkBytes)}
	for left := request.TotalBytes; left > 0; left -= uint64(len(blob.Data)) {
		if left < uint64(len(blob.Data)) {
			blob.Data = blob.Data[:left]
		}
		if err := stream.Send(blob); err != nil {
			return err
		}
	}
	return nil
}

func fail(what string, err error) {
	fmt.Fprintln(os.Stderr, what, err)
	os.Exit(1)
}

func main() {
	if len(os.Args) < 4 {
		fail("usage:", fmt.Errorf("server CERT KEY CA [ADDRESS]"))
	}
	pair, err := tls.LoadX509KeyPair(os.Args[1], os.Args[2])
	if err != nil {
		fail("certificate:", err)
	}
	pem, err := os.ReadFile(os.Args[3])
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fail("CA:", err)
	}
	address := "127.0.0.1:0"
	if len(os.Args) > 4 {
		address = os.Args[4]
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fail("listen:", err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    roots,
	})))
	pb.RegisterBenchServer(server, bench{})
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		server.Stop()
	}()
	fmt.Printf("config grpc_version %s\nlistening %s\n", grpc.Version, listener.Addr())
	if err := server.Serve(listener); err != nil {
		fail("serve:", err)
	}
}
