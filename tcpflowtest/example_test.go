package tcpflowtest_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/tcpflow-states/tcpflow-states/analyzer"
	"github.com/tcpflow-states/tcpflow-states/tcpflowtest"
)

// printer is a test that prints what it has to say. In a test of your own, t is
// the *testing.T.
type printer struct{ testing.TB }

func (printer) Helper()                           {}
func (printer) Errorf(format string, args ...any) { fmt.Printf(format+"\n", args...) }
func (printer) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// A service leaks sockets: of twelve connections, it closes four.
func ExampleRead() {
	t := printer{}
	flows := tcpflowtest.Read(t, "../testdata/pcaps/stuck_close_wait_many.pcap")
	flows.Port(7014).Count(12).Established()
	flows.With("stuck-close-wait").Count(8).ClosedFirstBy(tcpflowtest.Client).State(tcpflowtest.Server, analyzer.CloseWait)
	flows.Client("10.77.14.1:40099").EventuallyClosed()
	// Output:
	// tcpflowtest: EventuallyClosed does not hold for 1 of 1 flow of ../testdata/pcaps/stuck_close_wait_many.pcap, client 10.77.14.1:40099: not closed by both sides
	// flow 0, 10.77.14.1:40099 > 10.77.14.2:7014, 9 frames in 222.744ms
	//    0.000000  client  CLOSED       > SYN_SENT      sent SYN, frame 3
	//    0.000036  server  LISTEN       > SYN_RECEIVED  sent SYN+ACK, frame 4
	//    0.000036  client  SYN_SENT     > ESTABLISHED   received SYN+ACK, frame 4
	//    0.008708  server  SYN_RECEIVED > ESTABLISHED   received ACK of SYN, frame 5
	//    0.178600  client  ESTABLISHED  > FIN_WAIT_1    sent FIN, frame 43
	//    0.178600  server  ESTABLISHED  > CLOSE_WAIT    received FIN, frame 43
	//    0.222744  client  FIN_WAIT_1   > FIN_WAIT_2?   received ACK of FIN, frame 67
	//    0.320137  capture ends: client FIN_WAIT_2?, server CLOSE_WAIT; handshake established, close half-closed
	//   error stuck-close-wait of the server: client's FIN (frame 43) acknowledged in frame 67; no FIN from the server in the 142 ms that follow: the server owes the next packet
	//     cause: the application never closes the socket: a leaked descriptor, a blocked thread, a connection forgotten in a pool
	//   warning stuck-fin-wait-2 of the client: client's FIN (frame 43) acknowledged in frame 67; it waits for a FIN of the server, which has sent nothing new for 97 ms
	//     cause: the other end owes a FIN: see stuck-close-wait there; if this side's application has closed the socket, its kernel forgets it after tcp_fin_timeout, otherwise never
}

// A test of a service on loopback: whatever opens a connection to it closes it, and
// so does the service.
func ExampleCapture() {
	test := func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.NotFoundHandler()}
		go server.Serve(l)

		c := tcpflowtest.Capture(t, tcpflowtest.Options{Port: uint16(l.Addr().(*net.TCPAddr).Port)})
		response, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		server.Close()

		flows := c.Stop()
		flows.Count(1).Established().EventuallyClosed().Without("stuck-close-wait")
	}
	_ = test // go test runs it where it is a function TestXxx
}

// What holds says nothing.
func ExampleFlows() {
	t := printer{}
	flows := tcpflowtest.Read(t, "../testdata/pcaps/close_client.pcap")
	flows.Established().EventuallyClosed().Without("stuck-close-wait")
	flows.Through(tcpflowtest.Client, analyzer.Established, analyzer.TimeWait).Never(tcpflowtest.Client, analyzer.CloseWait)
	fmt.Println(flows.Len(), "flow, as expected")
	// Output: 1 flow, as expected
}
