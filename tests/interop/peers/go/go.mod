module hawser.test/interop

go 1.24.0

require google.golang.org/grpc v1.75.0
