// The peer client in Go, for what is measured end to end against grpc-go's own server.
//
//	client ADDRESS CERT KEY CA SERVER_PID lat BYTES WARM_MS MS      one unary call at a time on one connection
//	client ADDRESS CERT KEY CA SERVER_PID pour CHUNK_BYTES TOTAL_BYTES
//
// Prints "name value" lines as our load client does.
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"hawser.bench/peer/pb"
)

func die(what string, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", what, err)
		os.Exit(1)
	}
}

func number(text string) int {
	n, err := strconv.Atoi(text)
	die("number:", err)
	return n
}

// cpuOf reads a process's CPU clock, whose number the kernel makes of the process's (clock_getcpuclockid).
func cpuOf(pid int) float64 {
	var at unix.Timespec
	die("the server's CPU clock:", unix.ClockGettime(int32(^pid<<3|2), &at))
	return float64(at.Sec) + float64(at.Nsec)/1e9
}

func lat(client pb.BenchClient, size int, warm, run time.Duration) {
	request := &pb.Blob{Data: bytes.Repeat([]byte("x"), size)}
	took := make([]float64, 0, 1<<22)
	begin := time.Now()
	for before := begin; before.Sub(begin) < warm+run; {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		reply, err := client.Echo(ctx, request)
		cancel()
		die("echo:", err)
		if !bytes.Equal(reply.Data, request.Data) {
			die("echo:", errors.New("other bytes"))
		}
		after := time.Now()
		if after.Sub(begin) > warm {
			took = append(took, float64(after.Sub(before).Nanoseconds())/1e3)
		}
		before = after
	}
	slices.Sort(took)
	fmt.Printf("n %d\np50_us %f\np99_us %f\n", len(took), took[len(took)/2], took[len(took)-1-len(took)/100])
}

func pourOnce(client pb.BenchClient, total uint64, chunk uint32) {
	stream, err := client.Pour(context.Background(), &pb.PourRequest{TotalBytes: total, ChunkBytes: chunk})
	die("pour:", err)
	got := uint64(0)
	for {
		blob, err := stream.Recv()
		if err == io.EOF {
			break
		}
		die("pour:", err)
		got += uint64(len(blob.Data))
	}
	if got != total {
		die("pour:", errors.New("bytes are missing"))
	}
}

func pour(client pb.BenchClient, pid int, chunk uint32, total uint64) {
	pourOnce(client, 16<<20, chunk)
	cpu := cpuOf(pid)
	begin := time.Now()
	pourOnce(client, total, chunk)
	gb := float64(total) / 1e9
	fmt.Printf("mb_s %f\ncpu_s_per_gb %f\n", gb*1000/time.Since(begin).Seconds(), (cpuOf(pid)-cpu)/gb)
}

func main() {
	if len(os.Args) < 9 {
		die("usage:", errors.New("client ADDRESS CERT KEY CA SERVER_PID lat|pour ...: see the source"))
	}
	pair, err := tls.LoadX509KeyPair(os.Args[2], os.Args[3])
	die("certificate:", err)
	pem, err := os.ReadFile(os.Args[4])
	die("CA:", err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	conn, err := grpc.NewClient(os.Args[1],
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots})),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32)))
	die("dial:", err)
	client := pb.NewBenchClient(conn)
	switch {
	case os.Args[6] == "lat" && len(os.Args) == 10:
		ms := func(text string) time.Duration { return time.Duration(number(text)) * time.Millisecond }
		lat(client, number(os.Args[7]), ms(os.Args[8]), ms(os.Args[9]))
	case os.Args[6] == "pour" && len(os.Args) == 9:
		pour(client, number(os.Args[5]), uint32(number(os.Args[7])), uint64(number(os.Args[8])))
	default:
		die("measure:", errors.New("no such one"))
	}
}
